"""Items picked and added by integer indices, for compiled programs, which do not check indices themselves.

An array is seen as (rows, length, width) in memory: the axis that is indexed has `length` slices of `width` elements.
"""

# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

import numpy as np


class OutOfBounds(IndexError):
    """NumPy's error, with its message; compiled code hands over the numbers alone."""

    def __str__(self):
        return "index {} is out of bounds for axis {} with size {}".format(*self.args)


def checked(k, length, axis):
    """The index counted from the start; an error where the axis ends before it."""
    if k < -length or k >= length:
        raise OutOfBounds(k, axis, length)
    return k + length if k < 0 else k


def taken(x, indices, axis, rows, length, width, shape):
    """The slices of one axis that `indices` name."""
    blocks = np.ascontiguousarray(x).reshape((rows, length, width))
    wanted = np.ascontiguousarray(indices).reshape(indices.size)
    out = np.empty((rows, wanted.size, width), x.dtype)
    for j in range(wanted.size):
        k = checked(wanted[j], length, axis)
        for i in range(rows):
            for c in range(width):
                out[i, j, c] = blocks[i, k, c]
    return out.reshape(shape)


def flat_indices(indices, together):
    """An index array, repeated to the shape it has together with another, as a vector."""
    found = indices + np.zeros(together, np.int64)
    return found.reshape(found.size)


def taken_pairs(x, i, j, rows, columns, width, shape):
    """The items that two index arrays of one shape name together."""
    blocks = np.ascontiguousarray(x).reshape((rows, columns, width))
    first, second = np.ascontiguousarray(i).reshape(i.size), np.ascontiguousarray(j).reshape(j.size)
    out = np.empty((first.size, width), x.dtype)
    for k in range(first.size):
        row, column = checked(first[k], rows, 0), checked(second[k], columns, 1)
        for c in range(width):
            out[k, c] = blocks[row, column, c]
    return out.reshape(shape)


def taken_spread_pairs(x, i, j, together, rows, columns, width, shape):
    """As `taken_pairs`, for index arrays that broadcast."""
    return taken_pairs(x, flat_indices(i, together), flat_indices(j, together), rows, columns, width, shape)


def added_at(a, indices, values, axis, rows, length, width, count, shape):
    """A copy of `a` with `values` added to the slices that `indices` name, as often as they are named."""
    out = np.ascontiguousarray(a).copy().reshape((rows, length, width))
    wanted = np.ascontiguousarray(indices).reshape(indices.size)
    given = np.ascontiguousarray(values).reshape((rows, count, width))
    for j in range(wanted.size):
        k = checked(wanted[j], length, axis)
        for i in range(rows):
            for c in range(width):
                out[i, k, c] += given[i, j, c]
    return out.reshape(shape)


def added_pairs(a, i, j, values, rows, columns, width, shape):
    """A copy of `a` with `values` added at the items that two index arrays of one shape name together."""
    out = np.ascontiguousarray(a).copy().reshape((rows, columns, width))
    first, second = np.ascontiguousarray(i).reshape(i.size), np.ascontiguousarray(j).reshape(j.size)
    given = np.ascontiguousarray(values).reshape((first.size, width))
    for k in range(first.size):
        row, column = checked(first[k], rows, 0), checked(second[k], columns, 1)
        for c in range(width):
            out[row, column, c] += given[k, c]
    return out.reshape(shape)


def written(a, indices, values, axis, rows, length, width, count, shape):
    """A copy of `a` with `values` in the slices that `indices` name; the last one stays."""
    out = np.ascontiguousarray(a).copy().reshape((rows, length, width))
    wanted = np.ascontiguousarray(indices).reshape(indices.size)
    given = np.ascontiguousarray(values).reshape((rows, count, width))
    for j in range(wanted.size):
        k = checked(wanted[j], length, axis)
        for i in range(rows):
            for c in range(width):
                out[i, k, c] = given[i, j, c]
    return out.reshape(shape)


def written_pairs(a, i, j, values, rows, columns, width, shape):
    """A copy of `a` with `values` at the items that two index arrays of one shape name together."""
    out = np.ascontiguousarray(a).copy().reshape((rows, columns, width))
    first, second = np.ascontiguousarray(i).reshape(i.size), np.ascontiguousarray(j).reshape(j.size)
    given = np.ascontiguousarray(values).reshape((first.size, width))
    for k in range(first.size):
        row, column = checked(first[k], rows, 0), checked(second[k], columns, 1)
        for c in range(width):
            out[row, column, c] = given[k, c]
    return out.reshape(shape)


def added_number(a, indices, value, axis, rows, length, width, count, shape):
    """As `added_at`, for one number."""
    return added_at(a, indices, np.full(rows * count * width, value), axis, rows, length, width, count, shape)


def written_number(a, indices, value, axis, rows, length, width, count, shape):
    """As `written`, for one number."""
    return written(a, indices, np.full(rows * count * width, value), axis, rows, length, width, count, shape)


def added_spread_pairs(a, i, j, values, together, rows, columns, width, shape):
    """As `added_pairs`, for index arrays that broadcast."""
    first, second = flat_indices(i, together), flat_indices(j, together)
    return added_pairs(a, first, second, values, rows, columns, width, shape)


def added_pairs_number(a, i, j, value, rows, columns, width, shape):
    """As `added_pairs`, for one number."""
    return added_pairs(a, i, j, np.full(i.size * width, value), rows, columns, width, shape)


def added_spread_pairs_number(a, i, j, value, together, rows, columns, width, shape):
    """As `added_spread_pairs`, for one number."""
    first, second = flat_indices(i, together), flat_indices(j, together)
    return added_pairs_number(a, first, second, value, rows, columns, width, shape)


def written_spread_pairs(a, i, j, values, together, rows, columns, width, shape):
    """As `written_pairs`, for index arrays that broadcast."""
    first, second = flat_indices(i, together), flat_indices(j, together)
    return written_pairs(a, first, second, values, rows, columns, width, shape)


def written_pairs_number(a, i, j, value, rows, columns, width, shape):
    """As `written_pairs`, for one number."""
    return written_pairs(a, i, j, np.full(i.size * width, value), rows, columns, width, shape)


def written_spread_pairs_number(a, i, j, value, together, rows, columns, width, shape):
    """As `written_spread_pairs`, for one number."""
    first, second = flat_indices(i, together), flat_indices(j, together)
    return written_pairs_number(a, first, second, value, rows, columns, width, shape)
