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


def spread(x, first, sizes, steps, shape):
    """`x` read from its element `first` along axes of these sizes, each by a step through its memory, 0 where repeated;
    in another shape."""
    flat = np.ascontiguousarray(x).reshape(x.size)
    lead = len(sizes) - 2
    rows, width, down, along = sizes[lead], sizes[lead + 1], steps[lead], steps[lead + 1]
    count = 1
    for axis in range(lead):
        count *= sizes[axis]
    out = np.empty(count * rows * width, x.dtype)
    for block in range(count):
        left, place = block, first
        for axis in range(lead - 1, -1, -1):
            place += left % sizes[axis] * steps[axis]
            left //= sizes[axis]
        for i in range(rows):
            start, source = (block * rows + i) * width, max(place + i * down, 0)
            if along == 1:
                for j in range(width):
                    out[start + j] = flat[source + j]
            else:
                for j in range(width):
                    out[start + j] = flat[source + j * along]
    return out.reshape(shape)


def transposed_matrix(x):
    """`x.T`, as a fresh array."""
    return np.ascontiguousarray(x.T)


def rolled(x, shift, rows, length, width, shape):
    """`x` moved along one axis, what leaves at the end comes in at the start."""
    flat = np.ascontiguousarray(x).reshape(x.size)
    out = np.empty(x.size, x.dtype)
    row = length * width
    kept = max(row - shift % max(length, 1) * width, 0)
    moved = max(row - kept, 0)
    for i in range(rows):
        start = max(i * row, 0)
        for j in range(kept):
            out[start + moved + j] = flat[start + j]
        for j in range(moved):
            out[start + j] = flat[start + kept + j]
    return out.reshape(shape)


def lower_triangle(x, k, count, rows, columns, shape):
    """Matrices with zeros above diagonal `k`."""
    stack = np.ascontiguousarray(x).reshape((count, rows, columns))
    out = np.zeros((count, rows, columns), x.dtype)
    for m in range(count):
        for i in range(rows):
            for j in range(min(i + k + 1, columns)):
                out[m, i, j] = stack[m, i, j]
    return out.reshape(shape)


def upper_triangle(x, k, count, rows, columns, shape):
    """Matrices with zeros below diagonal `k`."""
    stack = np.ascontiguousarray(x).reshape((count, rows, columns))
    out = np.zeros((count, rows, columns), x.dtype)
    for m in range(count):
        for i in range(rows):
            for j in range(max(i + k, 0), columns):
                out[m, i, j] = stack[m, i, j]
    return out.reshape(shape)


def on_diagonal(x, k, shape):
    """A matrix of zeros with `x` on diagonal `k`."""
    out = np.zeros(shape, x.dtype)
    for i in range(x.size):
        out[i + max(-k, 0), i + max(k, 0)] = x[i]
    return out


def padded(x, lengths, before, around, shape, value):
    """`x`, seen with axes of these lengths, set into an array full of `value`.

    `around` is the length of each axis there, `before` how many elements come first; `shape` is what it all is seen as.
    """
    flat = np.ascontiguousarray(x).reshape(x.size)
    last = len(lengths) - 1
    width = lengths[last]
    rows, size = 1, around[last]
    for axis in range(last):
        rows *= lengths[axis]
        size *= around[axis]
    out = np.full(size, value)
    for i in range(rows):
        left, step, place = i, around[last], before[last]
        for axis in range(last - 1, -1, -1):
            place += (left % lengths[axis] + before[axis]) * step
            left //= lengths[axis]
            step *= around[axis]
        start = max(place, 0)
        for j in range(width):
            out[start + j] = flat[i * width + j]
    return out.reshape(shape)


def rounded(x, decimals):
    """`np.round` of an array."""
    out = np.empty(x.shape, x.dtype)
    np.round(x, decimals, out)
    return out
