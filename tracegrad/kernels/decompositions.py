"""What is made of the factors of one matrix that LAPACK finds: adjugates, pseudoinverses, derivatives of roots.

Begin with `adjugate`.
"""

# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

import numpy as np

from tracegrad.kernels.lapack import (
    determinant,
    determinant_by_factors,
    factors,
    flipped,
    inverse,
    inverted_in_place,
    product,
    product_added,
    rows_substituted,
    singular_vectors,
    turned_product_added,
)


def adjugate(x):
    """det(x) inv(x); of a singular matrix from its singular values, of two or three rows from their minors."""
    if x.shape[0] == 2 or x.shape[0] == 3:
        return minors(x)
    turned, pivots = factors(x)
    return adjugate_by_factors(turned, pivots, x)


def minors(x):
    """The adjugate of two or three rows, whose minors have no sign if rows and columns are counted around."""
    out = np.empty(x.shape, x.dtype)
    if x.shape[0] == 2:
        out[0, 0], out[0, 1], out[1, 0], out[1, 1] = x[1, 1], -x[0, 1], -x[1, 0], x[0, 0]
        return out
    for i in range(3):
        for j in range(3):
            a, b, c, d = (j + 1) % 3, (j + 2) % 3, (i + 1) % 3, (i + 2) % 3
            out[i, j] = x[a, c] * x[b, d] - x[a, d] * x[b, c]
    return out


def adjugate_by_factors(turned, pivots, x):
    """The same where `factors` took the matrix apart."""
    n = x.shape[0]
    det = determinant_by_factors(turned, pivots)
    out = turned.copy()
    if det != 0 and inverted_in_place(out, pivots) == 0:
        for i in range(n):
            for j in range(n):
                out[i, j] *= det
        return flipped(out)
    u, s, vh = singular_vectors(x)
    turn = determinant(u) * determinant(vh)
    left, right = adjoint(vh), adjoint(u)
    for j in range(n):
        size = turn * product_without(s, j, j)
        for i in range(n):
            left[i, j] *= size
    return product(left, right)


def adjugate_change(x, change):
    """The derivative of the adjugate towards `change`; where rows are nearly dependent, what is large would cancel."""
    n, det = x.shape[0], determinant(x)
    if np.abs(det) > 1e-4 * volume(x):
        back = inverse(x)
        turned = product(back, change)
        out = product(turned, back)
        total = np.zeros(1, x.dtype)
        for i in range(n):
            total[0] += turned[i, i]
        for i in range(n):
            for j in range(n):
                out[i, j] = det * (total[0] * back[i, j] - out[i, j])
        return out
    u, s, vh = singular_vectors(x)
    turn = determinant(u) * determinant(vh)
    left, right = adjoint(vh), adjoint(u)
    inner = product(product(right, change), left)
    found = np.zeros((n, n), x.dtype)
    for i in range(n):
        for j in range(n):
            if i != j:
                rest = turn * product_without(s, i, j)
                found[i, j] = -inner[i, j] * rest
                found[i, i] += inner[j, j] * rest
    return product(product(left, found), right)


def adjoint(x):
    """The conjugate of the transpose."""
    out = flipped(x)
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            out[i, j] = np.conj(out[i, j])
    return out


def volume(x):
    """The product of the lengths of all rows."""
    size = 1.0
    for i in range(x.shape[0]):
        square = 0.0
        for j in range(x.shape[1]):
            square += np.abs(x[i, j]) ** 2
        size *= np.sqrt(square)
    return size


def product_without(s, i, j):
    """The product of all items but two."""
    size = 1.0
    for k in range(s.size):
        if k != i and k != j:
            size *= s[k]
    return size


def pseudoinverse(x, rcond):
    """`np.linalg.pinv`."""
    u, sizes, vh = singular_vectors(x)
    return pseudoinverse_by_vectors(u, sizes, vh, rcond)


def pseudoinverse_by_vectors(u, sizes, vh, rcond):
    """The same of a matrix whose singular vectors are known."""
    left = adjoint(vh)
    for k in range(sizes.size):
        kept = sizes[k] > rcond * sizes[0]
        for i in range(left.shape[0]):
            left[i, k] = left[i, k] / sizes[k] if kept else 0.0 * sizes[k]
    return product(left, adjoint(u))


def root_pulled_back(x, bar):
    """What `pull_back_root` makes, in memory of its own."""
    out = bar.copy()
    pull_back_root(x, out)
    return out


def small_root_pulled_back(x, bar):
    """The same of few rows, which are one block."""
    out = bar.copy()
    pull_back_block(x, out, 0, x.shape[0])
    keep_lower(out)
    return out


def pull_back_root(x, bar):
    """A cotangent of the Cholesky factor `x` becomes that of the matrix it is of, in blocks of rows from the last on.

    Murray, Differentiation of the Cholesky decomposition, 2016, section 3.2: the blocked algorithm.
    """
    n = x.shape[0]
    end = n
    while end > 0:
        start = max(end - 32, 0)
        block, away = np.empty((end - start, end - start), x.dtype), np.empty((n - end, end - start), x.dtype)
        for i in range(end - start):
            for j in range(end - start):
                block[i, j] = x[start + i, start + j]
        if end < n:
            for i in range(n - end):
                for j in range(end - start):
                    away[i, j] = bar[end + i, start + j]
            if rows_substituted(block, away) != 0:
                substitute_rows(block, away)
            for i in range(n - end):
                for j in range(end - start):
                    bar[end + i, start + j] = away[i, j]
                    away[i, j] = -away[i, j]
            turned_product_added(away, x, bar, end, start, end)
        pull_back_block(x, bar, start, end)
        if start > 0:
            for i in range(end - start):
                for j in range(i):
                    block[i, j] = -bar[start + i, start + j]
                    block[j, i] = block[i, j]
                block[i, i] = -2 * bar[start + i, start + i]
            product_added(block, x, bar, start, start, start)
            if end < n:
                product_added(away, x, bar, start, end, start)
        end = start
    keep_lower(bar)


def substitute_rows(x, rows):
    """What `rows_substituted` does."""
    for i in range(rows.shape[0]):
        for step in range(x.shape[0]):
            k = x.shape[0] - 1 - step
            rows[i, k] /= x[k, k]
            for j in range(k):
                rows[i, j] -= rows[i, k] * x[k, j]


def pull_back_block(x, bar, start, end):
    """The same of some rows and columns alone: Murray's algorithm without blocks."""
    for step in range(end - start):
        j = end - 1 - step
        for i in range(j + 1, end):
            bar[i, j] /= x[j, j]
            bar[j, j] -= bar[i, j] * x[i, j]
        bar[j, j] /= x[j, j]
        for k in range(start, j):
            bar[j, k] -= bar[j, j] * x[j, k]
        for i in range(j + 1, end):
            for k in range(start, j):
                bar[i, k] -= bar[i, j] * x[j, k]
            for k in range(start, j):
                bar[j, k] -= bar[i, j] * x[i, k]
        bar[j, j] /= 2


def keep_lower(x):
    """Zeros above the diagonal."""
    for i in range(x.shape[0]):
        for j in range(i + 1, x.shape[0]):
            x[i, j] = 0
