"""Convolution of vectors, and search in them."""

# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

import numpy as np


def convolved(x, y, start, count, zero):
    """`count` elements of the convolution of two vectors, from `start` on."""
    out = np.full(count, zero)
    for j in range(y.size):
        for i in range(max(start - j, 0), min(start + count - j, x.size)):
            out[i + j - start] += x[i] * y[j]
    return out


def place_in(row, number, right):
    """How many elements of a sorted vector stand before a number; NaN stands behind all."""
    low, high = 0, row.size
    while low < high:
        middle = (low + high) // 2
        at = row[middle]
        before = at < number or (at == at and number != number)
        alike = at == number or (at != at and number != number)
        if before or (right and alike):
            low = middle + 1
        else:
            high = middle
    return low


def place_of_number(row, number, right):
    """`np.searchsorted` of one number."""
    return place_in(np.ascontiguousarray(row), number, right)


def places_of(row, numbers, right, shape):
    """`np.searchsorted`."""
    flat, sorted_row = np.ascontiguousarray(numbers).reshape(numbers.size), np.ascontiguousarray(row)
    out = np.empty(flat.size, np.int64)
    for i in range(flat.size):
        out[i] = place_in(sorted_row, flat[i], right)
    return out.reshape(shape)
