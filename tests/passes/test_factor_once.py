"""Factors of a matrix are found once for all that reads it; values, derivatives and errors stay what they were."""

from __future__ import annotations

import numpy as np
import pytest

import tracegrad as tg
from tracegrad.kernels import lapack
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


def drawn(n, seed=0):
    generator = np.random.default_rng(seed)
    return generator.uniform(-1, 1, (n, n)) + np.roll(2 * np.eye(n), 1, 0), generator.uniform(0.5, 1, n)


def native(function):
    return tg.value_and_grad(function, (0, 1), jit="native")


def factorizations(made):
    """How many there are in the function itself, behind the kernels it calls."""
    return made.native_source.rpartition("\ndef ")[2].count(" = factors(")


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("n", [1, 40])
def test_values_are_numpys_and_derivatives_those_of_the_array_text(function, n):
    a, b = drawn(n)
    made = native(function)
    value, bars = made(a, b)
    np.testing.assert_allclose(value, function(a, b), rtol=1e-9)
    for bar, wanted in zip(bars, tg.grad(function, (0, 1), jit="python")(a, b), strict=True):
        np.testing.assert_allclose(bar, wanted, rtol=1e-8, atol=1e-8 * np.max(np.abs(wanted)))
    assert factorizations(made) == (2 if function is in_a_loop else 1)


@pytest.mark.parametrize("function", FUNCTIONS)
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
