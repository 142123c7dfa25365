"""Systems of equations and factors of one matrix, by LAPACK, which works in place on matrices in Fortran's order.

In compiled code the functions of `LAPACK` are calls of LAPACK itself (`compiler/lapack.py`); here is what they mean. To
LAPACK the rows of a contiguous matrix are columns, so it is handed the transposed one. Begin with `solution`.
"""

# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

import numpy as np


class Singular(np.linalg.LinAlgError):
    """NumPy's error, with its message; compiled code hands over a number alone."""

    def __str__(self):
        return "Singular matrix"


class NotPositive(np.linalg.LinAlgError):
    """NumPy's error, with its message; compiled code hands over a number alone."""

    def __str__(self):
        return "Matrix is not positive definite"


def solved_in_place(turned, pivots, rows):
    """Each row becomes the solution for it, and the matrix its factors; 0 where there is a solution."""
    try:
        rows[...] = np.linalg.solve(turned.T, rows.T).T
    except np.linalg.LinAlgError:
        return 1
    return 0


def factored_in_place(turned, pivots):
    """The matrix becomes its triangular factors, rows exchanged as `pivots` says; not 0 where it is singular."""
    found = 0
    for k in range(len(turned)):
        column = turned[k]
        p = k + int(np.argmax(np.abs(column[k:])))
        pivots[k] = p + 1
        turned[:, [k, p]] = turned[:, [p, k]]
        if turned[k, k] == 0:
            found = found or k + 1
            continue
        turned[k, k + 1 :] /= turned[k, k]
        turned[k + 1 :, k + 1 :] -= np.outer(turned[k + 1 :, k], turned[k, k + 1 :])
    return found


def rooted_in_place(x):
    """The lower triangle becomes the Cholesky factor of the matrix it is part of; 0 where there is one."""
    try:
        x[...] = np.tril(np.linalg.cholesky(x)) + np.triu(x, 1)
    except np.linalg.LinAlgError:
        return 1
    return 0


LAPACK = (solved_in_place, factored_in_place, rooted_in_place)


def solution(a, b):
    """`np.linalg.solve`."""
    turned, rows = a.T.copy(), b.T.copy()
    info = solved_in_place(turned, np.empty(a.shape[0], np.int32), rows)
    if info != 0:
        raise Singular(info)
    return np.ascontiguousarray(rows.T)


def inverse(x):
    """`np.linalg.inv`."""
    turned, rows = x.T.copy(), np.zeros(x.shape, x.dtype)
    for k in range(x.shape[0]):
        rows[k, k] = 1
    info = solved_in_place(turned, np.empty(x.shape[0], np.int32), rows)
    if info != 0:
        raise Singular(info)
    return np.ascontiguousarray(rows.T)


def determinant(x):
    """`np.linalg.det`."""
    turned, pivots = x.T.copy(), np.empty(x.shape[0], np.int32)
    found = turned[0, 0] * 0 + 1
    if factored_in_place(turned, pivots) != 0:
        return found * 0
    for k in range(x.shape[0]):
        found = found * turned[k, k]
        if pivots[k] != k + 1:
            found = -found
    return found


def log_determinant(x):
    """`np.linalg.slogdet`."""
    turned, pivots = x.T.copy(), np.empty(x.shape[0], np.int32)
    sign = turned[0, 0] * 0 + 1
    size = sign * 0
    if factored_in_place(turned, pivots) != 0:
        return sign * 0, np.log(size)
    for k in range(x.shape[0]):
        if (turned[k, k] < 0) != (pivots[k] != k + 1):
            sign = -sign
        size = size + np.log(np.abs(turned[k, k]))
    return sign, size


def cholesky_factor(x):
    """`np.linalg.cholesky`."""
    out = x.copy()
    info = rooted_in_place(out)
    if info != 0:
        raise NotPositive(info)
    for i in range(x.shape[0]):
        for j in range(i + 1, x.shape[0]):
            out[i, j] = 0
    return out
