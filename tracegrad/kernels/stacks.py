"""Equations, factors and determinants of stacks of matrices, one matrix after the other, by LAPACK.

The factors of a stack are found where they stay; a solution needs memory for the rows of one matrix. `grown` is the
shape of a stack, `full` the one with the axes that two stacks share: a matrix of the smaller stack serves several of
the larger one. Begin with `solutions`.
"""

# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

import numpy as np

from tracegrad.kernels.decompositions import (
    adjugate,
    adjugate_by_factors,
    keep_lower,
    pull_back_block,
    pull_back_root,
)
from tracegrad.kernels.lapack import (
    determinant_by_factors,
    factored_in_place,
    log_determinant_by_factors,
    make_root,
    refuse_singular,
    solve_columns,
    solve_rows,
)


def stacked(x, grown):
    """An array as one matrix behind the other."""
    rows, columns = grown[len(grown) - 2], grown[len(grown) - 1]
    return np.ascontiguousarray(x).reshape((x.size // (rows * columns), rows, columns))


def place_of(k, grown, full):
    """Which matrix of a stack is number `k` of the larger stack."""
    step, place = 1, 0
    for back in range(2, len(grown)):
        n, length = grown[len(grown) - 1 - back], full[len(full) - 1 - back]
        if n != 1:
            place += k % length * step
            step *= n
        k //= length
    return place


def turn(x, out):
    """Rows become columns."""
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            out[j, i] = x[i, j]


def factors_of(x):
    """What `factors` finds of each matrix of a stack."""
    matrices = stacked(x, x.shape)
    n = matrices.shape[2]
    turned, pivots = np.empty(matrices.shape, x.dtype), np.empty((matrices.shape[0], n + 1), np.int32)
    for k in range(matrices.shape[0]):
        turn(matrices[k], turned[k])
        pivots[k, n] = factored_in_place(turned[k], pivots[k])
    return turned.reshape(x.shape), pivots.reshape((*x.shape[:-2], n + 1))


def solutions(a, b, a_grown, b_grown, a_full, b_full, shape):
    """`np.linalg.solve`."""
    turned, pivots = factors_of(a)
    return solutions_by_factors(turned, pivots, b, 0, a_grown, b_grown, a_full, b_full, shape)


def solutions_by_factors(turned, pivots, b, across, a_grown, b_grown, a_full, b_full, shape):
    """The same of the matrices that `factors_of` took apart, or of the transposed ones."""
    matrices, right, out = stacked(turned, a_grown), stacked(b, b_grown), np.empty(shape, b.dtype)
    found, n = stacked(out, b_full), right.shape[1]
    order, rows = pivots.reshape((matrices.shape[0], n + 1)), np.empty((right.shape[2], n), b.dtype)
    for k in range(found.shape[0]):
        place = place_of(k, a_grown, a_full)
        turn(right[place_of(k, b_grown, b_full)], rows)
        solve_rows(matrices[place], order[place], rows, across)
        turn(rows, found[k])
    return out


def solutions_by_triangles(a, b, is_lower, across, a_grown, b_grown, a_full, b_full, shape):
    """`np.linalg.solve` of one triangle of each matrix, the only one that is read, or `across`: of that transposed."""
    matrices, right, out = stacked(a, a_grown), stacked(b, b_grown), np.empty(shape, b.dtype)
    found = stacked(out, b_full)
    for k in range(found.shape[0]):
        matrix, columns = matrices[place_of(k, a_grown, a_full)], found[k]
        given = right[place_of(k, b_grown, b_full)]
        refuse_singular(matrix)
        for i in range(columns.shape[0]):
            for j in range(columns.shape[1]):
                columns[i, j] = given[i, j]
        solve_columns(matrix, columns, is_lower, across)
    return out


def inverses(x):
    """`np.linalg.inv`."""
    turned, pivots = factors_of(x)
    return inverses_by_factors(turned, pivots)


def inverses_by_factors(turned, pivots):
    """The same where `factors_of` took the matrices apart."""
    matrices = stacked(turned, turned.shape)
    n = matrices.shape[1]
    out, rows = np.empty(matrices.shape, turned.dtype), np.empty((n, n), turned.dtype)
    order = pivots.reshape((matrices.shape[0], n + 1))
    for k in range(matrices.shape[0]):
        for i in range(n):
            for j in range(n):
                rows[i, j] = i == j
        solve_rows(matrices[k], order[k], rows, 0)
        turn(rows, out[k])
    return out.reshape(turned.shape)


def adjugates(x):
    """The adjugate of each."""
    matrices = stacked(x, x.shape)
    out = np.empty(matrices.shape, x.dtype)
    for k in range(matrices.shape[0]):
        out[k] = adjugate(matrices[k])
    return out.reshape(x.shape)


def adjugates_by_factors(turned, pivots, x):
    """The same where `factors_of` took the matrices apart."""
    matrices, factored = stacked(x, x.shape), stacked(turned, turned.shape)
    order = pivots.reshape((matrices.shape[0], matrices.shape[1] + 1))
    out = np.empty(matrices.shape, x.dtype)
    for k in range(matrices.shape[0]):
        out[k] = adjugate_by_factors(factored[k], order[k], matrices[k])
    return out.reshape(x.shape)


def cholesky_factors(x):
    """`np.linalg.cholesky`."""
    out = np.ascontiguousarray(x).copy()
    matrices = stacked(out, x.shape)
    for k in range(matrices.shape[0]):
        make_root(matrices[k])
    return out


def roots_pulled_back(x, bar):
    """What `pull_back_root` makes of each."""
    roots, out = stacked(x, x.shape), np.ascontiguousarray(bar).copy()
    bars = stacked(out, bar.shape)
    for k in range(roots.shape[0]):
        pull_back_root(roots[k], bars[k])
    return out


def small_roots_pulled_back(x, bar):
    """The same of matrices of few rows."""
    roots, out = stacked(x, x.shape), np.ascontiguousarray(bar).copy()
    bars = stacked(out, bar.shape)
    for k in range(roots.shape[0]):
        pull_back_block(roots[k], bars[k], 0, x.shape[-1])
        keep_lower(bars[k])
    return out


def determinants_of(x):
    """`np.linalg.det`."""
    turned, pivots = factors_of(x)
    return determinants_by_factors(turned, pivots)


def determinants_by_factors(turned, pivots):
    """The same where `factors_of` took the matrices apart."""
    matrices = stacked(turned, turned.shape)
    order = pivots.reshape((matrices.shape[0], matrices.shape[1] + 1))
    out = np.empty(matrices.shape[0], turned.dtype)
    for k in range(matrices.shape[0]):
        out[k] = determinant_by_factors(matrices[k], order[k])
    return out.reshape(turned.shape[:-2])


def log_determinants(x):
    """`np.linalg.slogdet`."""
    turned, pivots = factors_of(x)
    return log_determinants_by_factors(turned, pivots)


def log_determinants_by_factors(turned, pivots):
    """The same where `factors_of` took the matrices apart."""
    matrices = stacked(turned, turned.shape)
    order = pivots.reshape((matrices.shape[0], matrices.shape[1] + 1))
    signs, logs = np.empty(matrices.shape[0], turned.dtype), np.empty(matrices.shape[0], turned.dtype)
    for k in range(matrices.shape[0]):
        signs[k], logs[k] = log_determinant_by_factors(matrices[k], order[k])
    return signs.reshape(turned.shape[:-2]), logs.reshape(turned.shape[:-2])
