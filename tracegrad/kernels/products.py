"""Products of vectors and matrices for compiled programs. `zero` says in which dtype to add; shapes are static.

Small ones are plain loops, which cost nothing to call; large products of two matrices, or of one and a vector, are
written as they are, and go through BLAS.
"""

# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

import numpy as np

from tracegrad.kernels.arithmetic import added
from tracegrad.kernels.stacks import place_of, stacked


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
    add_matrices(x, y, out)
    return out


def add_matrices(x, y, out):
    """`x @ y` added to `out`, by loops."""
    for i in range(x.shape[0]):
        for k in range(x.shape[1]):
            for j in range(y.shape[1]):
                out[i, j] += x[i, k] * y[k, j]


def batched_product(x, y, x_stack, y_stack, x_step, y_step, shape, zero):
    """`x @ y` for stacks of matrices; a step is 0 where all have the same matrix."""
    left = np.ascontiguousarray(x).reshape(x_stack)
    right = np.ascontiguousarray(y).reshape(y_stack)
    count = max(left.shape[0], right.shape[0])
    out = np.full((count, left.shape[1], right.shape[2]), zero)
    for b in range(count):
        add_matrices(left[b * x_step], right[b * y_step], out[b])
    return out.reshape(shape)


def batched_blas_product(x, y, x_stack, y_stack, x_step, y_step, shape):
    """As `batched_product`, one call of BLAS for each pair."""
    left = np.ascontiguousarray(x).reshape(x_stack)
    right = np.ascontiguousarray(y).reshape(y_stack)
    count = max(left.shape[0], right.shape[0])
    out = np.empty((count, left.shape[1], right.shape[2]), x.dtype)
    for b in range(count):
        np.dot(left[b * x_step], right[b * y_step], out[b])
    return out.reshape(shape)


def add_product(x, y, out):
    """`x @ y` added to `out`, of matrices that are parts of arrays: the compiler calls BLAS, which takes them as they
    lie."""
    for i in range(x.shape[0]):
        for k in range(x.shape[1]):
            for j in range(y.shape[1]):
                out[i, j] += x[i, k] * y[k, j]


def put_product(x, y, out):
    """As `add_product`, into `out`."""
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            out[i, j] = 0.0
    add_product(x, y, out)


def product_over(x, y, rows):
    """`x @ y` into `x`, so many rows at a time."""
    product = np.empty((rows, x.shape[1]), x.dtype)
    for first in range(0, x.shape[0], rows):
        count = max(min(rows, x.shape[0] - first), 0)
        np.dot(x[first : first + count], y, product[:count])
        for i in range(count):
            for j in range(x.shape[1]):
                x[first + i, j] = product[i, j]


def spread_product(x, y, x_grown, y_grown, x_full, y_full, shape, zero):
    """`x @ y` for stacks that broadcast: `grown` has a vector as a matrix, `full` the batch that both share."""
    left, right = stacked(x, x_grown), stacked(y, y_grown)
    count = 1
    for n in x_full[:-2]:
        count *= n
    out = np.full((count, left.shape[1], right.shape[2]), zero)
    for b in range(count):
        p, q = left[place_of(b, x_grown, x_full)], right[place_of(b, y_grown, y_full)]
        add_matrices(p, q, out[b])
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
    x_step, y_step, out_step = max(x_steps[last], 0), max(y_steps[last], 0), max(out_steps[last], 0)
    rows = 1
    for axis in range(last):
        rows *= sizes[axis]
    for row in range(rows):
        left, x_place, y_place, out_place = row, 0, 0, 0
        for axis in range(last - 1, -1, -1):
            index = left % sizes[axis]
            left //= sizes[axis]
            x_place += index * x_steps[axis]
            y_place += index * y_steps[axis]
            out_place += index * out_steps[axis]
        i, j, k = max(x_place, 0), max(y_place, 0), max(out_place, 0)
        if out_step == 0:
            total = zero
            for n in range(sizes[last]):
                total = added(total, a[i + n * x_step] * b[j + n * y_step])
            out[k] += total
        else:
            for n in range(sizes[last]):
                out[k + n * out_step] += a[i + n * x_step] * b[j + n * y_step]
    return out.reshape(shape)


def contract_all(x, y, sizes, x_steps, y_steps, out_steps, shape, zero):
    """As `contract`, to a scalar."""
    return contract(x, y, sizes, x_steps, y_steps, out_steps, (1,), zero)[0]


def contract_one(x, sizes, x_steps, no_steps, out_steps, shape, zero):
    """As `contract`, for one array; `no_steps` is all zeros."""
    return contract(x, np.full(1, zero + 1), sizes, x_steps, no_steps, out_steps, shape, zero)


def contract_one_all(x, sizes, x_steps, no_steps, out_steps, shape, zero):
    """As `contract_one`, to a scalar."""
    return contract(x, np.full(1, zero + 1), sizes, x_steps, no_steps, out_steps, (1,), zero)[0]


def contract_three(
    x,
    y,
    w,
    first,
    x_steps,
    y_steps,
    between_steps,
    between,
    second,
    left_steps,
    w_steps,
    out_steps,
    shape,
    zero,
):
    """Three arrays: `x` and `y` to an array of shape `between`, then that and `w`."""
    left = contract(x, y, first, x_steps, y_steps, between_steps, between, zero)
    return contract(left, w, second, left_steps, w_steps, out_steps, shape, zero)


def contract_three_all(
    x,
    y,
    w,
    first,
    x_steps,
    y_steps,
    between_steps,
    between,
    second,
    left_steps,
    w_steps,
    out_steps,
    shape,
    zero,
):
    """As `contract_three`, to a scalar."""
    left = contract(x, y, first, x_steps, y_steps, between_steps, between, zero)
    return contract(left, w, second, left_steps, w_steps, out_steps, (1,), zero)[0]


def sum_of_diagonal(x, offset, zero):
    """The sum of a diagonal."""
    total = zero
    i, j = max(-offset, 0), max(offset, 0)
    while i < x.shape[0] and j < x.shape[1]:
        total += x[i, j]
        i += 1
        j += 1
    return total
