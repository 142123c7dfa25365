"""Decompositions of one matrix, by LAPACK, for arrays of any layout. Begin with `eigenvectors`."""

# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

import numpy as np


def eigenvectors(x):
    """`np.linalg.eigh`."""
    return np.linalg.eigh(np.ascontiguousarray(x))


def singular_vectors(x):
    """`np.linalg.svd` without the vectors that only complete a basis."""
    return np.linalg.svd(np.ascontiguousarray(x), False)


def orthogonal_factors(x):
    """`np.linalg.qr`."""
    return np.linalg.qr(np.ascontiguousarray(x))


def adjugate(x):
    """det(x) inv(x); of a singular matrix from its singular values."""
    x = np.ascontiguousarray(x)
    det = np.linalg.det(x)
    if det != 0:
        return det * np.linalg.inv(x)
    u, s, vh = np.linalg.svd(x)
    turn = np.linalg.det(u) * np.linalg.det(vh)
    left = np.ascontiguousarray(np.conj(vh).T)
    for j in range(s.size):
        left[:, j] *= turn * product_without(s, j, j)
    return left @ np.ascontiguousarray(np.conj(u).T)


def adjugate_change(x, change):
    """The derivative of the adjugate towards `change`; where rows are nearly dependent, what is large would cancel."""
    x, change = np.ascontiguousarray(x), np.ascontiguousarray(change)
    n, det = x.shape[0], np.linalg.det(x)
    if np.abs(det) > 1e-4 * np.prod(np.sqrt(np.sum(np.abs(x) ** 2, axis=1))):
        back = np.linalg.inv(x)
        turned = back @ change
        return det * (np.trace(turned) * back - turned @ back)
    u, s, vh = np.linalg.svd(x)
    left, right = np.ascontiguousarray(np.conj(vh).T), np.ascontiguousarray(np.conj(u).T)
    inner = right @ change @ left
    found = np.zeros_like(inner)
    for i in range(n):
        for j in range(n):
            if i != j:
                rest = product_without(s, i, j)
                found[i, j] = -inner[i, j] * rest
                found[i, i] += inner[j, j] * rest
    return np.linalg.det(u) * np.linalg.det(vh) * (left @ found @ right)


def product_without(s, i, j):
    """The product of all items but two."""
    product = 1.0
    for k in range(s.size):
        if k != i and k != j:
            product *= s[k]
    return product


def pseudoinverse(x, rcond):
    """`np.linalg.pinv`."""
    u, sizes, vh = np.linalg.svd(np.ascontiguousarray(x), False)
    for k in range(sizes.size):
        kept = sizes[k] > rcond * sizes[0]
        for j in range(vh.shape[1]):
            vh[k, j] = vh[k, j] / sizes[k] if kept else 0.0 * sizes[k]
    out = np.zeros((vh.shape[1], u.shape[0]), x.dtype)
    for k in range(sizes.size):
        for i in range(out.shape[0]):
            for j in range(out.shape[1]):
                out[i, j] += vh[k, i] * u[j, k]
    return out
