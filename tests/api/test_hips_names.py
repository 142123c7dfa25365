"""Names of HIPS autograd beside its transforms: spaces, boxes, places; compared with that library where it is there."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import scipy.signal

import tracegrad as tg
import tracegrad.core
import tracegrad.scipy.signal as signal
import tracegrad.tracer
import tracegrad.util
from tracegrad import differential_operators
from tracegrad.extend import Box, VSpace, defvjp, primitive, vspace
from tracegrad.misc.flatten import flatten_func
from tracegrad.scipy.special import logsumexp
from tracegrad.test_util import check_equivalent, check_grads, scalar_close

X = np.array([1.0, 2.0, 3.0])
NESTED = {"a": X, "b": (np.float64(4.0), X[:2] * 1j)}


@pytest.mark.parametrize(
    "value", [X, X * 1j, np.float64(2.0), NESTED], ids=["real", "complex", "number", "nested"]
)
def test_spaces_are_those_of_autograd(value: Any) -> None:
    theirs = pytest.importorskip("autograd.extend").vspace(value)
    ours = vspace(value)
    assert ours.size == theirs.size
    for made, wanted in ((ours.zeros(), theirs.zeros()), (ours.ones(), theirs.ones())):
        np.testing.assert_equal(made, wanted)
    np.testing.assert_equal(list(ours.standard_basis()), list(theirs.standard_basis()))
    np.testing.assert_equal(ours.add(value, value), theirs.add(value, value))
    np.testing.assert_equal(ours.scalar_mul(value, 3.0), theirs.scalar_mul(value, 3.0))
    np.testing.assert_equal(ours.covector(value), theirs.covector(value))
    assert ours.inner_prod(value, ours.ones()) == theirs.inner_prod(value, theirs.ones())
    assert ours == vspace(ours.randn()) and isinstance(ours, VSpace)
    assert ours != vspace(np.zeros(7))


def test_a_basis_makes_a_jacobian() -> None:
    def function(x: Any) -> Any:
        return np.cumsum(x**2)

    pull, value = tg.make_vjp(function)(X)
    rows = np.stack([pull(e) for e in vspace(value).standard_basis()])
    np.testing.assert_allclose(rows, np.tril(np.tile(2 * X, (3, 1))))


def test_boxes_are_what_is_differentiated() -> None:
    from tracegrad.numpy.numpy_boxes import ArrayBox

    def function(x: Any, y: Any) -> Any:
        scale = 2.0 if isinstance(x, ArrayBox) and not isinstance(y, ArrayBox) else 7.0
        assert isinstance(x, (int, Box)) and isinstance(x, np.ndarray)
        return np.sum(x**2 * y) * scale

    with tg.config.using(jit="python"):
        np.testing.assert_allclose(tg.grad(function)(X, X), 4 * X * X)
    assert not isinstance(X, Box) and not isinstance(1.0, Box)


def test_the_value_of_a_box_has_no_derivative() -> None:
    with tg.config.using(jit="python"):
        gradient = tg.grad(lambda x: np.sum(x * x._value))
        for factor in (1.0, 3.0):
            np.testing.assert_allclose(gradient(factor * X), factor * X)


def test_values_without_their_derivative_are_asked_for_by_getval() -> None:
    getval, isbox = tracegrad.tracer.getval, tracegrad.tracer.isbox

    def function(x: Any, y: Any) -> Any:
        assert isbox(x) and not isbox(y) and not isbox(2.0)
        return np.sum(x * getval(x) * getval(y)) * getval(3.0)

    with tg.config.using(jit="python"):
        np.testing.assert_allclose(tg.grad(function)(X, X), 3 * X * X)
    x = tg.tensor(X, requires_grad=True)
    (x * getval(x)).sum().backward()
    np.testing.assert_allclose(x.grad, X)


def test_both_modes_at_a_point_and_older_ways_to_give_derivatives() -> None:
    core = tracegrad.core

    @core.primitive
    def weighted(a: Any, b: Any, c: Any) -> Any:
        return a * b**2

    weighted.defgrad(lambda ans, a, b, c: lambda g: g * b**2)
    weighted.defvjp(lambda g, ans, vs, gvs, a, b, c: g * 2 * a * b + 0 * (vs.size - gvs.size), argnum=1)
    weighted.defvjp_is_zero(argnums=(2,))
    with tg.config.using(jit="python"):
        check_grads(weighted, (0, 1))(X, X[::-1].copy(), X)
        assert not np.any(tg.grad(lambda c: np.sum(weighted(X, X, c)))(X))
        pull, value = core.make_vjp(lambda x: weighted(x, x, x), X)
        np.testing.assert_allclose(value, X**3)
        np.testing.assert_allclose(pull(np.ones(3)), 3 * X**2)
        value, tangent = core.make_jvp(lambda x: weighted(x, x, x), X)(np.ones(3))
        np.testing.assert_allclose([value, tangent], [X**3, 3 * X**2])


def test_tuples_with_other_items_and_a_quick_check() -> None:
    assert tracegrad.util.subval((1, 2, 3), 1, "b") == (1, "b", 3)
    assert tracegrad.util.subvals([1, 2, 3], [(0, "a"), (2, "c")]) == ("a", 2, "c")
    wrong = primitive(lambda x: np.sum(x**2))
    defvjp(wrong, lambda ans, x: lambda g: g * x)
    with tg.config.using(jit="python"):
        tracegrad.util.quick_grad_check(lambda x, n: np.sum(x**n), X, (3,), verbose=False)
        with pytest.raises(AssertionError, match="by differences"):
            tracegrad.util.quick_grad_check(wrong, X)


def test_holomorphic_derivatives_under_their_name() -> None:
    z = 1.0 + 2.0j
    assert tg.holomorphic_grad(lambda z: z**3)(z) == pytest.approx(3 * z**2)


def test_transforms_at_their_place() -> None:
    for name in differential_operators.__all__:
        assert getattr(differential_operators, name) is getattr(tg, name)


def test_parts_of_numpy_are_numpy_s() -> None:
    """In a process of its own: NumPy may have loaded them before."""
    text = (
        "import importlib\n"
        "parts = [importlib.import_module(f'tracegrad.numpy.{n}') for n in ('fft', 'linalg', 'random', 'polynomial')]\n"
        "import numpy as np\n"
        "assert parts == [np.fft, np.linalg, np.random, np.polynomial], parts\n"
    )
    subprocess.run([sys.executable, "-c", text], check=True, timeout=120)


@pytest.mark.parametrize("modes", [["fwd"], ["rev"]])
def test_differences_in_both_parts_of_complex_numbers(modes: list[str]) -> None:
    z = np.array([1.1 + 1.2j, -0.4 + 0.7j])
    with tg.config.using(jit="python"):
        check_grads(lambda z: np.abs(z) * np.fft.fft(z), modes=modes)(z)
        check_grads(lambda z, x: x * abs(z) + z**3, (0, 1), modes=modes)(1.1 + 1.2j, 0.7)
        check_grads(np.angle, modes=modes, order=1)(z)


def test_differences_find_a_rule_that_forgets_a_part() -> None:
    @primitive
    def times(z: Any) -> Any:
        return z * (2.0 + 1.0j)

    defvjp(times, lambda ans, z: lambda g: g * 2.0)
    with tg.config.using(jit="python"), pytest.raises(AssertionError, match="by differences"):
        check_grads(times, modes=["rev"], order=1)(1.0 + 0.5j)


def test_nested_values_that_are_equal() -> None:
    assert scalar_close(1.0, 1.0 + 1e-9) and scalar_close(1e9, 1e9 + 1.0) and not scalar_close(1.0, 1.1)
    check_equivalent([X, 1j], [X + 1e-9, 1j])
    for other in ([X + 0.1, 1j], [X, 1j + 0.1], [X, 1.0], [X[:2], 1j]):
        with pytest.raises(AssertionError):
            check_equivalent([X, 1j], other)


def test_a_flattened_function_is_recorded_as_it_stands() -> None:
    def f(params: Any) -> Any:
        return np.sum((params["a"] - logsumexp(params["a"])) ** 2) + params["b"]

    flat, unflatten, start = flatten_func(f, {"a": X, "b": 0.5})
    with tg.config.using(jit="python"):
        found = tg.grad(lambda v: flat(v)[0])(start)
        expected = tg.grad(f)({"a": X, "b": 0.5})
    check_equivalent({n: np.asarray(v) for n, v in unflatten(found).items()}, expected)


def convolved(a: Any, b: Any, axes: Any, dots: Any, mode: str) -> Any:
    """By SciPy, one pair of vectors or matrices after the other."""
    kept_a = [k for k in range(a.ndim) if k not in (*axes[0], *dots[0])]
    kept_b = [k for k in range(b.ndim) if k not in (*axes[1], *dots[1])]
    a = np.transpose(a, [*kept_a, *dots[0], *axes[0]])
    b = np.transpose(b, [*kept_b, *dots[1], *axes[1]])
    sizes_a, sizes_b = a.shape[: len(kept_a)], b.shape[: len(kept_b)]
    summed = a.shape[len(kept_a) : len(kept_a) + len(dots[0])]
    rows = [
        sum(scipy.signal.convolve(a[(*i, *k)], b[(*j, *k)], mode, "direct") for k in np.ndindex(summed))
        for i in np.ndindex(sizes_a)
        for j in np.ndindex(sizes_b)
    ]
    return np.reshape(rows, (*sizes_a, *sizes_b, *np.shape(rows[0])))


@pytest.mark.parametrize("mode", ["full", "valid", "same"])
@pytest.mark.parametrize(
    ("a", "b", "axes", "dots"),
    [
        ((2, 2, 5, 4), (2, 3, 3, 2), ([2, 3], [2, 3]), ([1], [0])),
        ((2, 3), (2, 4), ([1], [1]), ((), ())),
        ((5, 2, 3), (4, 3, 2), ([0], [0]), ([1, 2], [2, 1])),
        ((2, 5), (4, 3), ([-1], [0]), ((), ())),
    ],
)
def test_convolutions_along_some_axes(a: Any, b: Any, axes: Any, dots: Any, mode: str) -> None:
    generator = np.random.default_rng(7)
    x, y = generator.standard_normal(a), generator.standard_normal(b)
    wanted = convolved(x, y, [[k % len(a) for k in axes[0]], axes[1]], dots, mode)
    np.testing.assert_allclose(signal.convolve(x, y, axes, dots, mode), wanted, rtol=1e-12)
    with tg.config.using(jit="python"):
        check_grads(lambda x, y: signal.convolve(x, y, axes, dots, mode), (0, 1), order=1)(x, y)


def test_convolutions_along_all_axes_are_scipy_s_and_bad_ones_are_refused() -> None:
    np.testing.assert_array_equal(signal.convolve(X, X, mode="same"), scipy.signal.convolve(X, X, "same"))
    assert signal.butter is scipy.signal.butter and not hasattr(signal, "not_there")
    ones = np.ones((2, 3))
    with pytest.raises(ValueError, match="acceptable mode flags"):
        signal.convolve(ones, ones, ([0], [0]), ([1], [1]), "other")
    with pytest.raises(ValueError, match="at least as large"):
        signal.convolve(ones, ones.T, ([0, 1], [0, 1]), ((), ()), "valid")
