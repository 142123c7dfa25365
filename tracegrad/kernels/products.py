"""Products of vectors and matrices for compiled programs. `zero` says in which dtype to add; shapes are static.

Small ones are plain loops, which cost nothing to call; large ones go through BLAS by `np.dot`, on contiguous
copies where the arrays are not.
"""

# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

import numpy as np


def dot_vectors(x, y, zero):
    """The inner product of two vectors, in four lanes."""
    n = x.size
    a, b, c, d = zero, zero, zero, zero
    whole = n - n % 4
    for i in range(0, whole, 4):
        a += x[i] * y[i]
        b += x[i + 1] * y[i + 1]
        c += x[i + 2] * y[i + 2]
        d += x[i + 3] * y[i + 3]
    for i in range(whole, n):
        a += x[i] * y[i]
    return (a + b) + (c + d)


def matrix_times_vector(x, y, zero):
    """`x @ y`, row by row."""
    out = np.full(x.shape[0], zero)
    for i in range(x.shape[0]):
        out[i] = dot_vectors(x[i], y, zero)
    return out


def vector_times_matrix(x, y, zero):
    """`x @ y`, one row of `y` after the other, all columns side by side."""
    out = np.full(y.shape[1], zero)
    for i in range(y.shape[0]):
        for j in range(y.shape[1]):
            out[j] += x[i] * y[i, j]
    return out


def matrix_product(x, y, zero):
    """`x @ y` of two matrices."""
    out = np.full((x.shape[0], y.shape[1]), zero)
    for i in range(x.shape[0]):
        for k in range(x.shape[1]):
            for j in range(y.shape[1]):
                out[i, j] += x[i, k] * y[k, j]
    return out


def blas_product(x, y):
    """`x @ y` of matrices and vectors by BLAS."""
    return np.dot(np.ascontiguousarray(x), np.ascontiguousarray(y))


def batched_product(x, y, x_shape, y_shape, shape, zero):
    """`x @ y` for stacks of matrices; `x_shape` and `y_shape` are (1 or batch, rows, columns), `shape` the result's."""
    left = np.ascontiguousarray(x).reshape(x_shape)
    right = np.ascontiguousarray(y).reshape(y_shape)
    batch = max(x_shape[0], y_shape[0])
    out = np.full((batch, x_shape[1], y_shape[2]), zero)
    for b in range(batch):
        first = left[min(b, x_shape[0] - 1)]
        second = right[min(b, y_shape[0] - 1)]
        for i in range(x_shape[1]):
            for k in range(x_shape[2]):
                for j in range(y_shape[2]):
                    out[b, i, j] += first[i, k] * second[k, j]
    return out.reshape(shape)


def outer_product(x, y, zero):
    """Every element of `x` times every element of `y`."""
    out = np.full((x.size, y.size), zero)
    for i in range(x.size):
        for j in range(y.size):
            out[i, j] = x[i] * y[j]
    return out


def contract(x, y, sizes, x_steps, y_steps, out_steps, shape, zero):
    """The sum of products over all indices: index `k` runs to `sizes[k]` and moves each flat array by its step."""
    a = np.ascontiguousarray(x).reshape(x.size)
    b = np.ascontiguousarray(y).reshape(y.size)
    length = 1
    for n in shape:
        length *= n
    out = np.full(length, zero)
    last = len(sizes) - 1
    x_step, y_step, out_step = x_steps[last], y_steps[last], out_steps[last]
    for index in np.ndindex(sizes[:-1]):
        i, j, k = 0, 0, 0
        for axis in range(last):
            i += index[axis] * x_steps[axis]
            j += index[axis] * y_steps[axis]
            k += index[axis] * out_steps[axis]
        for _ in range(sizes[last]):
            out[k] += a[i] * b[j]
            i += x_step
            j += y_step
            k += out_step
    return out.reshape(shape)


def sum_of_diagonal(x, offset, zero):
    """The sum of a diagonal."""
    total = zero
    i, j = max(-offset, 0), max(offset, 0)
    while i < x.shape[0] and j < x.shape[1]:
        total += x[i, j]
        i += 1
        j += 1
    return total


def solution(a, b):
    """`np.linalg.solve`."""
    return np.linalg.solve(np.ascontiguousarray(a), np.ascontiguousarray(b))


def inverse(x):
    """`np.linalg.inv`."""
    return np.linalg.inv(np.ascontiguousarray(x))


def determinant(x):
    """`np.linalg.det`."""
    return np.linalg.det(np.ascontiguousarray(x))


def log_determinant(x):
    """`np.linalg.slogdet`."""
    return np.linalg.slogdet(np.ascontiguousarray(x))


def cholesky_factor(x):
    """`np.linalg.cholesky`."""
    return np.linalg.cholesky(np.ascontiguousarray(x))
