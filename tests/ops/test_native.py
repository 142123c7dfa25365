"""Ops whose native form is a kernel, compiled by Numba, give what the array text gives."""

from __future__ import annotations

import numpy as np
import pytest

import tracegrad as tg
from tests.ops.calls import CALLS
from tracegrad import config
from tracegrad.kernels import decompositions
from tracegrad.kernels.bessel import modified_bessel

x = np.random.default_rng(0).uniform(-1, 1, (3, 4))


def reductions(x):
    weights = np.where(x > 0, x, 0.1 * x)
    return np.mean(weights, axis=1) @ np.cumsum(x[:, 0]) + np.sum(np.max(x, axis=0)) + np.std(x)


def shapes(x):
    joined = np.concatenate([x[np.array([2, 0, 2])].T, np.roll(x, 1, axis=0).reshape(4, 3)], axis=1)
    return np.sum(np.sort(joined[1]) * np.arange(6.0)) + np.trace(np.tril(joined))


def matrices(x):
    a = x @ x.T + 3 * np.eye(3)
    return np.sum(np.linalg.solve(a, x)) + np.einsum("ij,kj->", np.linalg.cholesky(a), x[:, :3])


def stacks(x):
    cube = np.stack([x, np.sin(x), x * x[::-1]])
    turned = np.einsum("ijk->kij", cube)
    corner = np.tril(cube, 1) - 2 * np.triu(turned, -1)[:3, :, :1]
    running = np.cumsum(cube, axis=1) * np.cumprod(cube + 2, axis=0)
    traces = np.trace(turned, 1, 0, 2) @ running[:, :, 0]
    return np.sum(np.diagonal(cube, -1, 2, 0) ** 2) + np.sum(traces * corner[:, 0, 0] * running[0, :, 1])


@pytest.mark.parametrize(
    ("transform", "function"),
    [(tg.value_and_grad, reductions), (tg.value_and_grad, stacks), (tg.jit, shapes), (tg.jit, matrices)],
)
def test_compiled_programs_give_what_the_array_text_gives(transform, function):
    results = {}
    for tier in ("native", "python"):
        with config.using(jit=tier):
            made = transform(function)
            results[tier] = made(x)
            assert made.stats.compiles == (tier == "native"), made.explain()
    if transform is tg.jit:
        results = {tier: (value, 0.0) for tier, value in results.items()}
    for found in results.values():
        np.testing.assert_allclose(found[0], function(x), rtol=1e-12)
    np.testing.assert_allclose(results["native"][1], results["python"][1], rtol=1e-10, atol=1e-12)


def determinants_and_inverses(x):
    return np.sum(np.linalg.det(x) ** 2) + np.sum(np.linalg.inv(x) ** 2)


def test_determinants_of_stacks_and_their_gradients_are_compiled_in_one_module():
    m = np.random.default_rng(3).normal(size=(4, 3, 3)) + 2.0 * np.eye(3)
    made = tg.value_and_grad(determinants_and_inverses, jit="native")
    value, bar = made(m)
    assert made.stats.compiles == 1
    assert np.isclose(value, determinants_and_inverses(m))
    inverses = np.linalg.inv(m)
    wanted = 2.0 * np.linalg.det(m)[:, None, None] ** 2 * inverses.swapaxes(1, 2) - 2.0 * (
        inverses.swapaxes(1, 2) @ inverses @ inverses.swapaxes(1, 2)
    )
    np.testing.assert_allclose(bar, wanted, rtol=1e-9)


def powers(x):
    return np.sum(np.stack([x**k for k in range(5)], axis=1) @ np.array([1.0, -2.0, 0.5, 3.0, 0.25]))


def test_the_derivative_of_powers_in_a_short_loop_is_made_of_powers_by_numbers():
    x = np.linspace(-2.0, 2.0, 101)
    made = tg.value_and_grad(powers, jit="native")
    value, bar = made(x)
    assert np.isclose(value, powers(x))
    np.testing.assert_allclose(bar, x**3 + 9.0 * x**2 + x - 2.0, atol=1e-13)
    assert "x[i] ** 3" in made.native_source


def test_mixed_derivatives_of_a_power_at_an_exponent_of_0():
    found = tg.hessian(lambda v: v[0] ** v[1])(np.array([2.0, 0.0]))
    np.testing.assert_allclose(found, [[0.0, 0.5], [0.5, np.log(2.0) ** 2]], rtol=1e-14, atol=1e-16)


SPECIAL = np.array([0.0, -0.0, 1.0, -1.0, 2.5, -2.5, np.inf, -np.inf, np.nan, 7.0, 1e308, -3.0, 0.1])


def elementwise(a, b):
    return (
        a // b,
        a % b,
        a / b,
        a**b,
        np.maximum(a, b),
        np.minimum(a, b),
        np.hypot(a, b),
        np.sign(a) * np.floor(b),
    )


def test_special_values_are_numpys_in_compiled_loops():
    first, second = (part.ravel() for part in np.meshgrid(SPECIAL, SPECIAL))
    made = tg.jit(elementwise, jit="native")
    with np.errstate(all="ignore"):
        found = made(first, second)
        wanted = elementwise(first, second)
    assert made.stats.compiles == 1, made.explain()
    for got, want in zip(found, wanted, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-14)


def test_whole_numbers_are_divided_as_numpy_divides_them():
    numbers = np.arange(-8, 9)
    first, second = (part.ravel() for part in np.meshgrid(numbers, numbers))
    made = tg.jit(lambda a, b: (a // b, a % b), jit="native")
    with np.errstate(all="ignore"):
        found = made(first, second)
        wanted = first // second, first % second
    for got, want in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(got, want)


def test_the_norm_of_one_number_compiles():
    made = tg.value_and_grad(lambda x: np.linalg.norm(x) * x, jit="native")
    value, slope = made(np.array(-3.0))
    assert made.stats.compiles == 1, made.explain()
    assert value == -9.0
    assert slope == 6.0


def test_items_added_up_and_a_sum_over_elements_compile_together():
    """Both had a kernel called `added`, and the program stayed NumPy."""
    made = tg.value_and_grad(lambda x: np.sum(x[np.array([0, 2, 0])] ** 2), jit="native")
    value, slope = made(x)
    assert made.stats.compiles == 1, made.explain()
    np.testing.assert_allclose(value, np.sum(x[[0, 2, 0]] ** 2))
    np.testing.assert_allclose(slope, 2 * x * np.array([[2.0], [0.0], [1.0]]))


TOGETHER = {
    "numbers": "i0 frexp heaviside spacing convolve convolve-valid correlate-same searchsorted digitize interp-nodes",
    "joined": "block column_stack stack dstack cumprod cumulative_sum argwhere cross put_along_axis add.reduceat",
    "systems": "linalg.solve linalg.inv linalg.det linalg.slogdet linalg.cholesky pinv lstsq polyfit",
}


@pytest.mark.parametrize("names", TOGETHER.values(), ids=TOGETHER)
def test_functions_of_numerical_loops_compile(names):
    calls = [CALLS[name] for name in names.split()]

    def program(xs):
        return sum((k + 1) * np.sum(f(x) ** 2) for k, ((f, _), x) in enumerate(zip(calls, xs, strict=True)))

    given = [x for _, x in calls]
    native, array = (tg.value_and_grad(program, jit=tier) for tier in ("native", "python"))
    (value, bars), (wanted, wanted_bars) = native(given), array(given)
    assert native.stats.compiles == 1, native.explain()
    assert value == pytest.approx(wanted, rel=1e-10)
    for name, bar, other in zip(names.split(), bars, wanted_bars, strict=True):
        np.testing.assert_allclose(bar, other, rtol=1e-9, atol=1e-10, err_msg=name)


def test_matrices_without_a_solution_are_numpys_error_in_compiled_programs():
    solve = tg.jit(lambda a, b: np.linalg.solve(a, b), jit="native")
    root = tg.jit(lambda a: np.linalg.cholesky(a), jit="native")
    a, b = x[:, :3] + 2 * np.eye(3), x[:, 3]
    np.testing.assert_allclose(solve(a, b), np.linalg.solve(a, b), rtol=1e-12)
    np.testing.assert_allclose(root(a @ a.T), np.linalg.cholesky(a @ a.T), rtol=1e-12)
    with pytest.raises(np.linalg.LinAlgError, match="Singular matrix"):
        solve(np.zeros((3, 3)), b)
    with pytest.raises(np.linalg.LinAlgError, match="Matrix is not positive definite"):
        root(-a @ a.T)
    assert np.linalg.det(a) == pytest.approx(float(tg.jit(lambda a: np.linalg.det(a), jit="native")(a)))


def rooted(a, w):
    return np.sum(np.sin(np.linalg.cholesky(a)) * w)


@pytest.mark.parametrize(
    "shape", [(1, 1), (7, 7), (33, 33), (100, 100), (3, 5, 5), (2, 2, 40, 40), (2, 0, 0)]
)
def test_the_derivative_of_a_root_in_blocks_is_that_of_the_array_text_and_of_differences(shape):
    generator = np.random.default_rng(4)
    root, w, along = generator.uniform(-1, 1, (3, *shape))
    a = root @ np.swapaxes(root, -1, -2) + 2 * np.eye(shape[-1])
    made = tg.value_and_grad(rooted, jit="native")
    value, bar = made(a, w)
    np.testing.assert_allclose(value, rooted(a, w), rtol=1e-12)
    wanted = tg.grad(rooted, jit="python")(a, w)
    np.testing.assert_allclose(bar, wanted, rtol=1e-10, atol=1e-13)
    assert not np.triu(bar, 1).any()
    along, step = along + np.swapaxes(along, -1, -2), 1e-5
    slope = (rooted(a + step * along, w) - rooted(a - step * along, w)) / (2 * step)
    np.testing.assert_allclose(np.sum(bar * along), slope, rtol=1e-6, atol=1e-8)
    assert a.size == 0 or "_pulled_back(" in made.native_source
    np.testing.assert_allclose(
        tg.grad(rooted, jit="native")(a.astype(np.float32), w.astype(np.float32)), bar, rtol=1e-2, atol=1e-4
    )


def test_blocks_without_blas_are_the_same():
    generator = np.random.default_rng(5)
    block, rows = np.tril(generator.uniform(1, 2, (6, 6))), generator.uniform(-1, 1, (4, 6))
    found = rows.copy()
    decompositions.substitute_rows(block, found)
    np.testing.assert_allclose(found @ block, rows, rtol=1e-12)


GIVEN = np.random.default_rng(4).normal(size=(6, 8))
HOLED = GIVEN[:4, :4] * np.where(np.arange(4) == np.arange(4)[:, None] + 1, np.nan, 1)


@pytest.mark.parametrize(
    ("function", "arrays"),
    [
        (lambda x: np.linalg.eigh(x), (GIVEN[:4, :4], HOLED)),
        (lambda x: np.linalg.eigh(x, "U"), (GIVEN[:4, :4], HOLED.T)),
        (lambda x: np.linalg.svd(x, full_matrices=False), (GIVEN[:4], GIVEN[:4] * 0)),
        (lambda x: np.linalg.svd(x, full_matrices=False), (GIVEN[:, :4], GIVEN[:, ::-2])),
        (lambda x: np.linalg.qr(x), (GIVEN[:, :4], GIVEN[:, ::-2], np.full((6, 4), np.nan))),
    ],
    ids=["eigh", "eigh-upper", "svd-wide", "svd-tall", "qr"],
)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_decompositions_in_compiled_programs_are_numpys_without_leaving_them(function, arrays, dtype):
    """To some digits: NumPy and SciPy bring their own builds of LAPACK."""
    made = tg.jit(function, jit="native")
    made(np.ones_like(arrays[0], dtype) + np.eye(*arrays[0].shape, dtype=dtype))
    for array in arrays:
        given = np.ascontiguousarray(array, dtype)
        for found, wanted in zip(made(given), function(given), strict=True):
            assert found.dtype == wanted.dtype
            close = 100 * np.finfo(dtype).eps
            np.testing.assert_allclose(found, wanted, rtol=close, atol=close)
    assert (made.stats.captures, made.stats.compiles) == (1, 1), made.explain()


def test_decompositions_that_do_not_converge_are_numpys_error_in_compiled_programs():
    bad = np.array([[np.nan, 1.0, 2.0], [3.0, 4.0, 5.0], [1.0, 2.0, 3.0]])
    for function, message in (
        (lambda x: np.linalg.eigh(x)[0], "Eigenvalues did not converge"),
        (lambda x: np.linalg.svd(x)[1], "SVD did not converge"),
    ):
        made = tg.jit(function, jit="native")
        made(np.eye(3))
        with pytest.raises(np.linalg.LinAlgError, match=message):
            made(bad)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_determinants_of_nan_infinity_and_singular_matrices_are_numpys(dtype):
    made = tg.jit(lambda x: (np.linalg.det(x), *np.linalg.slogdet(x)), jit="native")
    square = np.array([[1.0, 1, 2], [3, 4, 5], [1, 2, 3]])
    made(square.astype(dtype))
    for first in (1.0, -0.0, np.nan, np.inf, 1 / 3):
        given = (square * np.where(np.arange(9).reshape(3, 3), 1, first)).astype(dtype)
        for matrix in (given, given * np.array([1, 1, 0], dtype)):
            with np.errstate(all="ignore"):
                wanted = np.linalg.det(matrix), *np.linalg.slogdet(matrix)
            for found, value in zip(made(matrix), wanted, strict=True):
                assert found.dtype == dtype
                np.testing.assert_allclose(found, value, rtol=1e-5)
    assert (made.stats.captures, made.stats.compiles) == (1, 1), made.explain()


@pytest.mark.parametrize("order", [0, 1])
def test_modified_bessel_functions_are_exact_to_some_units(order):
    special = pytest.importorskip("scipy.special")
    numbers = np.concatenate([np.linspace(-60, 60, 400), [0.0, 1e-300, 39.99, 40.01, 700.0]])
    found = [modified_bessel(float(v), order) for v in numbers]
    np.testing.assert_allclose(found, (special.i0, special.i1)[order](numbers), rtol=1e-14)
    assert np.isnan(modified_bessel(np.nan, order))
