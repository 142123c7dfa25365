"""Adjugates from one factorisation, by LAPACK and as Python says what LAPACK does."""

from __future__ import annotations

import numpy as np
import pytest

import tracegrad as tg
from tracegrad.kernels.decompositions import adjugate
from tracegrad.kernels.lapack import factored_in_place, inverted_in_place


def by_minors(x):
    """The transposed matrix of signed determinants of what is left without a row and a column."""
    n = len(x)
    rest = [[np.delete(np.delete(x, i, 0), j, 1) for j in range(n)] for i in range(n)]
    return np.array([[(-1) ** (i + j) * np.linalg.det(rest[i][j]) for j in range(n)] for i in range(n)]).T


def determinant(x):
    return np.linalg.det(x)


def drawn(n, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, (n, n))


@pytest.mark.parametrize("n", [1, 2, 3, 5, 8, 20])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_of_regular_matrices(n, dtype):
    x = drawn(n).astype(dtype)
    tolerance = 1e-9 if dtype == np.float64 else 2e-3
    wanted = by_minors(x.astype(np.float64)) if n > 1 else np.ones((1, 1))
    scale = np.max(np.abs(wanted))
    np.testing.assert_allclose(adjugate(x) / scale, wanted / scale, atol=tolerance)
    native = tg.value_and_grad(determinant, jit="native")
    value, bar = native(x)
    assert native.stats.compiles == 1 and bar.dtype == dtype
    np.testing.assert_allclose(value, np.linalg.det(x), rtol=1e-3)
    np.testing.assert_allclose(bar.T / scale, wanted / scale, atol=tolerance)


@pytest.mark.parametrize("missing", [1, 2])
def test_of_singular_matrices(missing):
    x = np.rint(drawn(5) * 10)
    x[:missing] = 0.0
    wanted = by_minors(x)
    np.testing.assert_allclose(adjugate(x), wanted, atol=1e-9 * np.max(np.abs(wanted), initial=1.0))
    _, bar = tg.value_and_grad(determinant, jit="native")(x)
    np.testing.assert_allclose(bar.T, wanted, atol=1e-9 * np.max(np.abs(wanted), initial=1.0))


def test_what_is_no_number_makes_none():
    x = drawn(4)
    x[1, 2] = np.nan
    with np.errstate(invalid="ignore"):
        value, bar = tg.value_and_grad(determinant, jit="native")(x)
    assert np.isnan(value) and np.isnan(bar).all()


@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
def test_an_inverse_from_factors(dtype):
    x = drawn(6).astype(dtype) + (1j * drawn(6, 1) if dtype == np.complex128 else 0.0)
    turned, pivots = x.T.copy(), np.empty(6, np.int32)
    assert factored_in_place(turned, pivots) == 0 and list(pivots) != [1, 2, 3, 4, 5, 6]
    assert inverted_in_place(turned, pivots) == 0
    np.testing.assert_allclose(turned.T @ x, np.eye(6), atol=1e-12)


def test_factors_of_a_singular_matrix_have_no_inverse():
    turned, pivots = np.zeros((2, 2)), np.empty(2, np.int32)
    assert factored_in_place(turned, pivots) != 0
    assert inverted_in_place(turned, pivots) != 0
