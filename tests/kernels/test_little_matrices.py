"""Matrices of few rows are taken apart by loops, not by LAPACK: against exact fractions, and against NumPy."""

from __future__ import annotations

from fractions import Fraction
from itertools import permutations
from math import prod
from typing import Any

import numpy as np
import pytest

import tracegrad as tg

EPS = np.finfo(float).eps


def nearly_dependent(n: int, seed: int) -> Any:
    """Rows of different sizes, the last one almost the first."""
    generator = np.random.default_rng(seed)
    x = generator.normal(size=(n, n)) * 10.0 ** generator.integers(-3, 4, (n, 1))
    x[-1] = x[0] * 3.0 + 1e-9 * generator.normal(size=n)
    return x


def exact(x: Any) -> list[list[Fraction]]:
    return [[Fraction(v) for v in row] for row in x.tolist()]


def exact_det(rows: list[list[Fraction]]) -> Fraction:
    n = len(rows)
    signs = {
        p: (-1) ** sum(p[i] > p[j] for i in range(n) for j in range(i + 1, n)) for p in permutations(range(n))
    }
    return sum(
        (sign * prod((rows[i][p[i]] for i in range(n)), start=Fraction(1)) for p, sign in signs.items()),
        Fraction(0),
    )


def everything(a: Any, b: Any) -> Any:
    return np.linalg.solve(a, b), np.linalg.inv(a), np.linalg.det(a), np.linalg.slogdet(a)


@pytest.mark.parametrize("n", [1, 2, 3, 4])
@pytest.mark.parametrize("stacked", [True, False])
def test_errors_are_those_of_elimination_with_pivots(n: int, stacked: bool) -> None:
    """Residuals are exact: small beside what is multiplied, however ill-conditioned the matrix."""
    matrices = np.array([nearly_dependent(n, seed) for seed in range(6)])
    right = np.random.default_rng(9).normal(size=(6, n, 2))
    native = tg.jit(everything, jit="native")
    for _ in range(2):
        found = native(matrices, right) if stacked else None
    for k, (a, b) in enumerate(zip(matrices, right, strict=True)):
        x, back, det, (sign, log) = (
            native(a, b) if found is None else (*(f[k] for f in found[:3]), (found[3][0][k], found[3][1][k]))
        )
        rows = exact(a)
        for solved, wanted in ((x, b), (back, np.eye(n))):
            for i in range(n):
                for j in range(wanted.shape[1]):
                    terms = [rows[i][m] * Fraction(float(solved[m, j])) for m in range(n)]
                    size = np.abs(a).max(axis=1)[i] * np.abs(solved[:, j]).max() + abs(wanted[i, j])
                    assert abs(float(sum(terms) - Fraction(float(wanted[i, j])))) <= 32 * n * EPS * size
        size = prod(np.abs(a).max(axis=1))
        assert abs(float(exact_det(rows) - Fraction(float(det)))) <= 64 * EPS * size
        np.testing.assert_allclose(sign * np.exp(log), det, rtol=1e-12)


@pytest.mark.parametrize("n", [2, 3])
def test_derivatives_of_determinants_are_minors(n: int) -> None:
    """Also where the matrix is nearly singular, singular, or nothing."""
    x = nearly_dependent(n, 3)
    singular, nothing = x.copy(), np.zeros((n, n))
    singular[-1] = singular[0]
    stack = np.array([x, singular, nothing, np.eye(n)])
    native = tg.grad(lambda a: np.sum(np.linalg.det(a)), jit="native")
    for _ in range(2):
        bars = native(stack)
    for a, bar in zip(stack, bars, strict=True):
        rows = exact(a)
        for i in range(n):
            for j in range(n):
                rest = [[v for m, v in enumerate(row) if m != j] for k, row in enumerate(rows) if k != i]
                size = prod(np.delete(np.abs(a).max(axis=1), i))
                assert abs((-1) ** (i + j) * float(exact_det(rest)) - bar[i, j]) <= 8 * EPS * size


@pytest.mark.parametrize("n", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex128])
def test_values_are_numpys(n: int, dtype: Any) -> None:
    generator = np.random.default_rng(n)
    a, b = generator.normal(size=(5, n, n)) + 2 * np.eye(n), generator.normal(size=(5, n, 3))
    if dtype == np.complex128:
        a, b = a + 1j * generator.normal(size=a.shape), b - 1j
    a, b = a.astype(dtype), b.astype(dtype)
    f = lambda a, b: (np.linalg.solve(a, b), np.linalg.inv(a), np.linalg.det(a))  # noqa: E731
    native = tg.jit(f, jit="native")
    for _ in range(2):
        found = native(a, b)
    for one, wanted in zip(found, f(a, b), strict=True):
        assert one.dtype == wanted.dtype
        np.testing.assert_allclose(one, wanted, rtol=2e-4 if dtype == np.float32 else 1e-11)


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_singular_matrices(n: int) -> None:
    a = np.random.default_rng(n).normal(size=(3, n, n))
    b = np.ones((3, n, 1))
    solve, inv = tg.jit(np.linalg.solve, jit="native"), tg.jit(np.linalg.inv, jit="native")
    dets = tg.jit(lambda a: (np.linalg.det(a), *np.linalg.slogdet(a)), jit="native")
    for f, given in ((solve, (a, b)), (inv, (a,)), (dets, (a,))):
        f(*given)
        f(*given)
    a[1, :, -1] = 0.0
    for f, given in ((solve, (a, b)), (inv, (a,))):
        with pytest.raises(np.linalg.LinAlgError, match="Singular matrix"):
            f(*given)
    det, sign, log = dets(a)
    assert det[1] == 0 and sign[1] == 0 and log[1] == -np.inf and np.all(det[[0, 2]] != 0)
