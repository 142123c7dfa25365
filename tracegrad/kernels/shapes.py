"""Changes of shape for compiled programs, where Numba wants contiguous arrays or has no such function.

All sizes and axes come in as static numbers and tuples. A value of shape () is a scalar here.
"""

# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

import numpy as np


def same(x):
    """The scalar itself."""
    return x


def reshaped(x, shape):
    """`x` in another shape; a copy where it is not contiguous."""
    return np.ascontiguousarray(x).reshape(shape)


def only_item(x):
    """The one element of an array, as a scalar."""
    return np.ascontiguousarray(x).reshape(x.size)[0]


def filled(x, shape):
    """An array full of one scalar."""
    return np.full(shape, x)


def spread(x, steps, shape):
    """`x` read in another way: along each axis of `shape` by a step through its memory, 0 where it is repeated."""
    flat = np.ascontiguousarray(x).reshape(x.size)
    out = np.empty(shape, x.dtype)
    row = out.reshape((out.size // max(shape[-1], 1), shape[-1]))
    last = len(shape) - 1
    for k, index in enumerate(np.ndindex(shape[:-1])):
        place = 0
        for axis in range(last):
            place += index[axis] * steps[axis]
        for j in range(shape[last]):
            row[k, j] = flat[place]
            place += steps[last]
    return out


def transposed_matrix(x):
    """`x.T`, as a fresh array."""
    return np.ascontiguousarray(x.T)


def rolled(x, shift, rows, length, width, shape):
    """`x` moved along one axis, what leaves at the end comes in at the start."""
    blocks = np.ascontiguousarray(x).reshape((rows, length, width))
    out = np.empty((rows, length, width), x.dtype)
    for i in range(rows):
        for j in range(length):
            k = (j + shift) % length
            for c in range(width):
                out[i, k, c] = blocks[i, j, c]
    return out.reshape(shape)


def repeated(x, times, rows, length, width, shape):
    """Each slice along one axis `times` times in a row."""
    blocks = np.ascontiguousarray(x).reshape((rows, length, width))
    out = np.empty((rows, length * times, width), x.dtype)
    for i in range(rows):
        for j in range(length * times):
            for c in range(width):
                out[i, j, c] = blocks[i, j // times, c]
    return out.reshape(shape)


def lower_triangle(x, k):
    """A matrix with zeros above diagonal `k`."""
    out = np.zeros(x.shape, x.dtype)
    for i in range(x.shape[0]):
        for j in range(min(i + k + 1, x.shape[1])):
            out[i, j] = x[i, j]
    return out


def upper_triangle(x, k):
    """A matrix with zeros below diagonal `k`."""
    out = np.zeros(x.shape, x.dtype)
    for i in range(x.shape[0]):
        for j in range(max(i + k, 0), x.shape[1]):
            out[i, j] = x[i, j]
    return out


def diagonal_of(x, k, n):
    """The `n` elements of diagonal `k` of a matrix."""
    out = np.empty(n, x.dtype)
    for i in range(n):
        out[i] = x[i + max(-k, 0), i + max(k, 0)]
    return out


def on_diagonal(x, k, shape):
    """A matrix of zeros with `x` on diagonal `k`."""
    out = np.zeros(shape, x.dtype)
    for i in range(x.size):
        out[i + max(-k, 0), i + max(k, 0)] = x[i]
    return out


def padded(x, before, shape, value):
    """`x` set into an array of this shape full of `value`, `before` elements from the start of each axis."""
    out = np.full(shape, x.dtype.type(value))
    flat = out.reshape(out.size)
    for index in np.ndindex(x.shape):
        place = 0
        for k in range(len(shape)):
            place = place * shape[k] + before[k] + index[k]
        flat[place] = x[index]
    return out


def tiled(x, lengths, shape):
    """Copies side by side; `lengths` is the shape of `x` with leading ones."""
    flat = np.ascontiguousarray(x).reshape(x.size)
    out = np.empty(shape, x.dtype)
    for index in np.ndindex(shape):
        place = 0
        for k in range(len(lengths)):
            place = place * lengths[k] + index[k] % lengths[k]
        out[index] = flat[place]
    return out


def rounded(x, decimals):
    """`np.round` of an array."""
    out = np.empty(x.shape, x.dtype)
    np.round(x, decimals, out)
    return out
