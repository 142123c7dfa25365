"""Factors of a matrix are found once for all that reads it; values, derivatives and errors stay what they were."""

from __future__ import annotations

import re

import numpy as np
import pytest
import scipy.linalg

import tracegrad as tg
from tracegrad.kernels import lapack, stacks
from tracegrad.ops.factored import factors


def solved_and_measured(a, b):
    return b @ np.linalg.solve(a, b) + np.linalg.slogdet(a)[1]


def several(a, b):
    found = np.linalg.inv(a) @ np.linalg.solve(a.T, b)
    return np.sum(np.sin(found)) + np.linalg.det(a.T) + np.sum(np.linalg.inv(a.T) * a)


def columns(a, b):
    right = np.outer(b, np.arange(1.0, 4.0))
    return np.sum(np.linalg.solve(a, right) ** 2)


def measured(a, b):
    return np.linalg.slogdet(a)[1] * np.sum(b)


def volume(a, b):
    return np.linalg.det(a) * np.sum(b)


def in_a_loop(a, b):
    for _ in range(3):
        b = np.linalg.solve(a, b) + np.linalg.solve(a.T, b)
    return np.sum(b)


def twice(a, b):
    x = np.linalg.solve(a, b)
    return np.sum(np.linalg.solve(a, x * x))


FUNCTIONS = (solved_and_measured, several, columns, measured, volume, in_a_loop, twice)


def until_small(a, b):
    steps = 0.0
    while np.max(np.abs(b)) > 0.01 and steps < 5.0:
        b = np.linalg.solve(a.T, b) / 3
        steps += 1.0
    return np.sum(b)


def in_two_loops(a, b):
    for _ in range(3):
        for _ in range(2):
            b = np.sin(np.linalg.solve(a, b))
        b = np.where(b > 0.1, np.linalg.solve(a, b), b)
    return np.sum(b * b)


def changed_in_a_loop(a, b):
    for _ in range(3):
        b = np.linalg.solve(a, b)
        a = a + 0.01 * np.outer(b, b)
    return np.sum(b)


HOISTED = (until_small, in_two_loops)


def drawn(n, seed=0):
    generator = np.random.default_rng(seed)
    return generator.uniform(-1, 1, (n, n)) + np.roll(2 * np.eye(n), 1, 0), generator.uniform(0.5, 1, n)


def native(function):
    return tg.value_and_grad(function, (0, 1), jit="native")


def factorizations(made):
    """How many there are in the function itself, behind the kernels it calls."""
    return made.native_source.rpartition("\ndef ")[2].count(" = factors(")


@pytest.mark.parametrize("function", FUNCTIONS + HOISTED)
@pytest.mark.parametrize("n", [1, 40])
def test_values_are_numpys_and_derivatives_those_of_the_array_text(function, n):
    a, b = drawn(n)
    made = native(function)
    value, bars = made(a, b)
    np.testing.assert_allclose(value, function(a, b), rtol=1e-9)
    for bar, wanted in zip(bars, tg.grad(function, (0, 1), jit="python")(a, b), strict=True):
        np.testing.assert_allclose(bar, wanted, rtol=1e-8, atol=1e-8 * np.max(np.abs(wanted)))
    assert factorizations(made) == 1


@pytest.mark.parametrize("function", (*FUNCTIONS, *HOISTED, changed_in_a_loop))
def test_derivatives_agree_with_differences(function):
    (a, b), (along_a, along_b), step = drawn(4), drawn(4, 1), 1e-6
    _, (bar_a, bar_b) = native(function)(a, b)
    ends = [function(a + s * along_a, b + s * along_b) for s in (step, -step)]
    slope = np.sum(bar_a * along_a) + np.sum(bar_b * along_b)
    np.testing.assert_allclose(slope, (ends[0] - ends[1]) / (2 * step), rtol=1e-5)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_of_single_precision_and_of_fortrans_order(function):
    a, b = drawn(6)
    small = native(function)(a.astype(np.float32), b.astype(np.float32))[1]
    for given in (np.asfortranarray(a), np.repeat(a, 2, 1)[:, ::2]):
        for bar, single, wanted in zip(
            native(function)(given, b)[1], small, native(function)(a, b)[1], strict=True
        ):
            np.testing.assert_array_equal(bar, wanted)
            assert single.dtype == np.float32
            np.testing.assert_allclose(single, wanted, rtol=1e-2, atol=1e-3 * np.max(np.abs(wanted)))


def test_singular_matrices_raise_what_numpy_raises_in_the_line_that_reads_them():
    a = np.array([[1.0, 2.0], [2.0, 4.0]])
    made = native(solved_and_measured)
    made(*drawn(2))
    with pytest.raises(np.linalg.LinAlgError, match="Singular matrix") as raised:
        made(a, np.ones(2))
    lines = [entry.lineno + 1 for entry in raised.traceback if entry.frame.code.name == "solved_and_measured"]
    assert lines == [solved_and_measured.__code__.co_firstlineno + 1]


def fitted(a, b):
    return np.sum(np.sin(np.linalg.lstsq(a, b, rcond=None)[0]))


@pytest.mark.parametrize("shape", [(3, 3), (9, 4), (4, 9)])
@pytest.mark.parametrize("columns", [(), (2,)])
def test_a_pseudoinverse_is_made_of_singular_vectors_that_are_known(shape, columns):
    generator = np.random.default_rng(2)
    (a, along_a), step = generator.standard_normal((2, *shape)), 1e-6
    b, along_b = generator.standard_normal((2, shape[0], *columns))
    made = native(fitted)
    value, (a_bar, b_bar) = made(a, b)
    np.testing.assert_allclose(value, fitted(a, b), rtol=1e-12)
    ends = [fitted(a + s * along_a, b + s * along_b) for s in (step, -step)]
    slope = np.sum(a_bar * along_a) + np.sum(b_bar * along_b)
    np.testing.assert_allclose(slope, (ends[0] - ends[1]) / (2 * step), rtol=1e-5)
    text = made.native_source.rpartition("\ndef ")[2]
    assert text.count("singular_vectors(") == 1 and "pseudoinverse(" not in text


def repeated(a, b, steps):
    for _ in range(steps):
        b = np.linalg.solve(a, b)
    return np.sum(b)


def test_a_loop_raises_for_a_singular_matrix_if_it_makes_a_step():
    made = tg.value_and_grad(repeated, (0, 1), jit="native")
    made(*drawn(6), 3)
    singular, b = np.ones((6, 6)), np.ones(6)
    with pytest.raises(np.linalg.LinAlgError, match="Singular matrix") as raised:
        made(singular, b, 3)
    lines = [entry.lineno + 1 for entry in raised.traceback if entry.frame.code.name == "repeated"]
    assert lines == [repeated.__code__.co_firstlineno + 2]
    value, (a_bar, b_bar) = made(singular, b, 0)
    assert value == 6 and not a_bar.any()
    np.testing.assert_array_equal(b_bar, b)


def signs(a):
    sign, size = np.linalg.slogdet(a)
    return sign, size, np.linalg.det(a)


@pytest.mark.parametrize("a", [np.zeros((3, 3)), np.ones((3, 3)), np.diag([1.0, np.nan, 2.0])])
def test_determinants_of_what_has_no_inverse_are_numpys(a):
    made = tg.jit(signs, jit="native")
    with np.errstate(all="ignore"):
        results = zip(made(a), signs(a), strict=True)
    for found, wanted in results:
        np.testing.assert_array_equal(found, wanted)
    assert factorizations(made) == 1


def test_the_gradient_of_a_singular_determinant_is_its_adjugate():
    bar, _ = native(volume)(np.diag([1.0, 2.0, 0.0]), np.ones(1))[1]
    np.testing.assert_allclose(bar, np.diag([0.0, 0.0, 2.0]), atol=1e-12)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_is_as_in_numpy(bad):
    a, b = drawn(4)
    a[1, 2] = bad
    with np.errstate(all="ignore"):
        value, bars = native(solved_and_measured)(a, b)
        np.testing.assert_array_equal(np.isnan(value), np.isnan(solved_and_measured(a, b)))
        wanted = tg.grad(solved_and_measured, (0, 1), jit="python")(a, b)
    for bar, expected in zip(bars, wanted, strict=True):
        assert np.isnan(bar[np.isnan(expected)]).all() and np.isnan(expected).any()


@pytest.mark.parametrize("n", [1, 2, 7])
@pytest.mark.parametrize("shape", [(), (3,)])
def test_python_says_what_lapack_does_with_factors(n, shape):
    a, _ = drawn(n)
    b = np.random.default_rng(3).uniform(-1, 1, (n, *shape))
    turned, pivots = lapack.factors(a)
    for across, matrix in ((0, a), (1, a.T)):
        found = lapack.solution_by_factors(turned, pivots, b, across)
        np.testing.assert_allclose(found, np.linalg.solve(matrix, b), rtol=1e-9, atol=1e-12)


def test_the_array_text_and_other_matrices_have_no_factors():
    a, b = drawn(3)
    plain = tg.value_and_grad(solved_and_measured, (0, 1), jit="python")
    assert "factors" not in plain.source(a, b)
    once = tg.jit(lambda a, b: np.linalg.solve(a, b), jit="native")
    once(a, b)
    assert factorizations(once) == 0
    assert factors.vjp is None


# --- stacks -----------------------------------------------------------------------------------------------------------


def solved(a, b):
    return np.sum(np.linalg.solve(a, b) ** 2)


def measured_and_inverted(a, b):
    sizes = np.linalg.slogdet(a)[1]
    inverses = np.swapaxes(np.linalg.inv(a), -1, -2)
    return (
        np.sum(sizes**2)
        + np.sum(np.sin(inverses))
        + np.sum(np.linalg.det(np.swapaxes(a, -1, -2))) * np.sum(b)
    )


def of_roots(a, b):
    roots = np.linalg.cholesky(a @ np.swapaxes(a, -1, -2))
    return np.sum(np.sin(np.linalg.solve(roots, b))) + np.sum(np.linalg.slogdet(roots)[1])


SHAPES = [
    (solved, (3, 1, 4, 4), (2, 4, 3), np.float64),
    (solved, (4, 4), (5, 4, 3), np.float64),
    (solved, (5, 4, 4), (4,), np.float32),
    (measured_and_inverted, (2, 3, 4, 4), (1,), np.float64),
    (of_roots, (3, 9, 9), (3, 9, 1), np.float64),
]


def stacks_drawn(a, b):
    generator = np.random.default_rng(0)
    near = generator.uniform(-1, 1, a) + np.roll(2 * np.eye(a[-1]), 1, 0)
    return near, generator.uniform(0.5, 1, b)


@pytest.mark.parametrize(("function", "a", "b", "dtype"), SHAPES)
def test_stacks_are_factored_once(function, a, b, dtype):
    given = [x.astype(dtype) for x in stacks_drawn(a, b)]
    made, plain = native(function), tg.value_and_grad(function, (0, 1), jit="python")
    value, bars = made(*given)
    tolerance = 1e-9 if dtype is np.float64 else 2e-2
    np.testing.assert_allclose(value, function(*given), rtol=tolerance)
    for bar, expected in zip(bars, plain(*given)[1], strict=True):
        assert bar.dtype == dtype
        np.testing.assert_allclose(bar, expected, rtol=tolerance, atol=tolerance * np.max(np.abs(expected)))
    if function is not of_roots:
        text = made.native_source.rpartition("\ndef ")[2]
        assert text.count(" = factors_of(") + text.count(" = factors(") == 1
        assert "solutions(" not in text and "inverses(" not in text


def test_derivatives_of_stacks_agree_with_differences():
    a, b = stacks_drawn((3, 1, 4, 4), (2, 4, 3))
    along, step = np.random.default_rng(1).uniform(-1, 1, a.shape), 1e-6
    for function in (solved, of_roots):
        ends = [function(a + s * along, b) for s in (step, -step)]
        slope = np.sum(native(function)(a, b)[1][0] * along)
        np.testing.assert_allclose(slope, (ends[0] - ends[1]) / (2 * step), rtol=1e-4)


def test_one_singular_matrix_of_a_stack_raises_what_numpy_raises():
    a, b = stacks_drawn((5, 4, 4), (5, 4, 1))
    made = native(solved)
    made(a, b)
    a[3] = 1.0
    with pytest.raises(np.linalg.LinAlgError, match="Singular matrix"):
        made(a, b)
    once = tg.jit(lambda a: np.linalg.cholesky(a), jit="native")
    once(a[:2] @ a[:2].swapaxes(1, 2))
    with pytest.raises(np.linalg.LinAlgError, match="not positive definite"):
        once(-a)


def test_python_says_what_is_done_with_the_factors_of_stacks():
    a, b = stacks_drawn((3, 1, 4, 4), (2, 4, 3))
    turned, pivots = stacks.factors_of(a)
    shapes = ((3, 1, 4, 4), (2, 4, 3), (3, 2, 4, 4), (3, 2, 4, 3), (3, 2, 4, 3))
    for across, matrices in ((0, a), (1, a.swapaxes(-1, -2))):
        found = stacks.solutions_by_factors(turned, pivots, b, across, *shapes)
        np.testing.assert_allclose(found, np.linalg.solve(matrices, b), rtol=1e-9)
    for is_lower, across, triangles in (
        (1, 0, np.tril(a)),
        (0, 0, np.triu(a)),
        (1, 1, np.tril(a).swapaxes(-1, -2)),
        (0, 1, np.triu(a).swapaxes(-1, -2)),
    ):
        found = stacks.solutions_by_triangles(a, b, is_lower, across, *shapes)
        np.testing.assert_allclose(found, np.linalg.solve(triangles, b))


def triangular(a, b):
    low, up = np.tril(a), np.triu(a)
    first = scipy.linalg.solve_triangular(low, b, trans=1, lower=True)
    return np.sum(scipy.linalg.solve_triangular(up.T, first, lower=True) ** 2)


@pytest.mark.parametrize("b", [(7,), (7, 3)])
def test_triangles_are_read_in_the_matrix_that_holds_them(b):
    a, b = stacks_drawn((7, 7), b)
    made = native(triangular)
    value, bars = made(a, b)
    first = np.linalg.solve(np.tril(a).T, b)
    second = np.linalg.solve(np.triu(a).T, first)
    np.testing.assert_allclose(value, np.sum(second**2), rtol=1e-10)
    second_bar = np.linalg.solve(np.triu(a), 2 * second)
    first_bar = np.linalg.solve(np.tril(a), second_bar)
    columns = [x.reshape(7, -1) for x in (first, second, second_bar, first_bar)]
    expected = -np.triu(columns[1] @ columns[2].T) - np.tril(columns[0] @ columns[3].T)
    np.testing.assert_allclose(bars[0], expected, rtol=1e-9, atol=1e-10 * np.max(np.abs(expected)))
    np.testing.assert_allclose(bars[1], first_bar, rtol=1e-9)
    solutions = re.findall(r"solution_by_triangle\((\w+), .*, (\d), (\d)\)", made.native_source)
    assert sorted(solutions) == [("a", "0", "0"), ("a", "0", "1"), ("a", "1", "0"), ("a", "1", "1")]


@pytest.mark.parametrize("b", [(3,), (9,), (9, 2)])
def test_lu_factors_are_those_of_scipy(b):
    def solved(a, b):
        lu, order = scipy.linalg.lu_factor(a)
        return np.sum(lu**2) + np.sum(scipy.linalg.lu_solve((lu, order), b) ** 2)

    a, b = stacks_drawn((b[0], b[0]), b)
    a = a[::-1].copy()  # rows that are exchanged
    made = native(solved)
    value, bars = made(a, b)
    np.testing.assert_allclose(value, solved(a, b), rtol=1e-10)
    assert "called_out" not in made.native_source
    steps = stacks_drawn(a.shape, b.shape)
    moved = [solved(a + h * steps[0], b + h * steps[1]) for h in (1e-6, -1e-6)]
    slope = sum(np.sum(bar * step) for bar, step in zip(bars, steps, strict=True))
    np.testing.assert_allclose(slope, (moved[0] - moved[1]) / 2e-6, rtol=1e-5)


# --- Cholesky factors -------------------------------------------------------------------------------------------------


def likelihood(a, b):
    root = np.linalg.cholesky(a @ np.swapaxes(a, -1, -2) + np.eye(a.shape[-1]))
    weights = np.linalg.solve(np.swapaxes(root, -1, -2), np.linalg.solve(root, b))
    return np.sum(b * weights) + 2 * np.sum(np.log(np.diagonal(root, axis1=-2, axis2=-1)))


@pytest.mark.parametrize(("a", "b"), [((20, 20), (20,)), ((6, 6), (6, 3)), ((3, 6, 6), (3, 6, 1))])
def test_solutions_with_cholesky_factors_are_triangular(a, b):
    given = stacks_drawn(a, b)
    made = native(likelihood)
    value, bars = made(*given)
    np.testing.assert_allclose(value, likelihood(*given), rtol=1e-11)
    for bar, expected in zip(bars, tg.grad(likelihood, (0, 1), jit="python")(*given), strict=True):
        np.testing.assert_allclose(bar, expected, rtol=1e-9, atol=1e-10 * np.max(np.abs(expected)))
    text = made.native_source.rpartition("\ndef ")[2]
    assert re.search(r"_by_triangles?\(.*, 1, 0", text) and re.search(r"_by_triangles?\(.*, 1, 1", text)
    assert not any(word in text for word in (" solution(", " solutions(", " factors(", "factors_of("))


def solved_for(a, b):
    return np.linalg.solve(a, b)


def of_columns(a, b):
    return np.linalg.solve(a.T, np.outer(b, np.arange(1.0, 4.0)))


def of_several_steps(a, b):
    for _ in range(3):
        b = np.sin(np.linalg.solve(a, b)) + b
    return b


def inverted_and_measured(a, b):
    return np.linalg.inv(a) @ b * np.linalg.det(a)


def of_a_stack(a, b):
    return np.linalg.solve(np.stack((a, a.T + np.eye(len(a)))), b)


PULLED = (
    solved_for,
    of_columns,
    of_several_steps,
    inverted_and_measured,
    of_a_stack,
    measured,
    solved_and_measured,
)


def seed_of(value):
    return np.cos(np.arange(float(np.size(value)))).reshape(np.shape(value))[()]


@pytest.mark.parametrize("function", PULLED)
def test_a_pullback_solves_by_the_factors_that_the_value_left(function):
    a, b = drawn(20)
    seed = seed_of(function(a, b))
    wanted = tg.vjp(jit="python")(function)(a, b)[1](seed)
    made = tg.vjp(jit="native")(function)
    for _ in range(3):
        value, pull = made(a, b)
    np.testing.assert_allclose(value, function(a, b), rtol=1e-9)
    for _ in range(2):
        for bar, known in zip(pull(seed), wanted, strict=True):
            np.testing.assert_allclose(bar, known, rtol=1e-8, atol=1e-9 * np.max(np.abs(known)))
    backward = made.native_source.rpartition("\ndef ")[2]
    assert "_by_factors" in backward and " = factors" not in backward


def test_a_pullback_of_few_rows_finds_the_factors_again():
    made = tg.vjp(jit="native")(solved_for)
    for _ in range(2):
        _, pull = made(*drawn(3))
    assert " = factors(" not in made.native_source.rpartition("\ndef ")[2]
    np.testing.assert_allclose(pull(np.ones(3))[1], np.linalg.solve(drawn(3)[0].T, np.ones(3)), rtol=1e-12)


@pytest.mark.parametrize("function", PULLED)
def test_a_pullback_of_tensors_goes_on_without_the_factors(function):
    a, b = drawn(20)
    made = tg.vjp(jit="native")(function)
    for _ in range(3):
        value, pull = made(a, b)
    seed = seed_of(value)
    wanted = pull(seed)
    given = tg.tensor(seed, requires_grad=True)
    for bar, known in zip(pull(given), wanted, strict=True):
        np.testing.assert_allclose(bar.detach().numpy(), known, rtol=1e-7, atol=1e-8 * np.max(np.abs(known)))


@pytest.mark.parametrize("function", PULLED)
def test_residuals_of_the_readable_text_are_pulled_back_by_it(function):
    """The native program of the same path keeps more."""
    a, b = drawn(20)
    made = tg.vjp(jit="native")(function)
    _, early = made(a, b)
    for _ in range(3):
        value, late = made(a, b)
    seed = seed_of(value)
    template, residuals = late._template, late._residuals[: late._template.built.outline.kept]
    assert len(residuals) < len(late._residuals)
    for pull in (early, type(late)(template, residuals)):
        for bar, known in zip(pull(seed), late(seed), strict=True):
            np.testing.assert_allclose(bar, known, rtol=1e-7, atol=1e-8 * np.max(np.abs(known)))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("n", [7, 8, 40])
def test_factors_of_few_and_of_many_rows_are_inverted(n, dtype):
    def measured_and_inverted(a):
        return np.linalg.slogdet(a)[1] + (np.linalg.inv(a) ** 3).sum()

    a = drawn(n)[0].astype(dtype)
    made = tg.value_and_grad(measured_and_inverted, jit="native")
    value, bar = made(a)
    assert "inverse_by_factors(" in made.native_source
    inverse = np.linalg.inv(a.astype(float))
    wanted = inverse.T - inverse.T @ (3 * inverse**2) @ inverse.T
    close = 1e-9 if dtype is np.float64 else 2e-3
    assert value == pytest.approx(measured_and_inverted(a.astype(float)), rel=close)
    np.testing.assert_allclose(bar, wanted, rtol=close, atol=close * np.max(np.abs(wanted)))
    for singular in (np.zeros((n, n), dtype), np.ones((n, n), dtype)):
        with pytest.raises(np.linalg.LinAlgError):
            made(singular)
