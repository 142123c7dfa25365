"""Convolution of vectors, recursive filters, and search in vectors."""

# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

import numpy as np

from tracegrad.kernels.arithmetic import added


def convolved(x, y, start, zero, out):
    """Elements of the convolution of two vectors, from `start` on; `y` is the shorter one.

    For a stretch of the result that stays in the cache, four elements of `y` at a time: where all four meet `x`, they
    are one loop over the stretch.
    """
    long, short = np.ascontiguousarray(x), y  # of which elements alone are read, in any order
    fours = short.size - short.size % 4
    for first in range(0, out.size, 4096):
        last = max(min(first + 4096, out.size), 0)
        for k in range(last - first):
            out[first + k] = zero
        for j in range(0, fours, 4):
            low = min(max(j + 3 - start, first), last)
            high = max(min(long.size + j - start, last), low)
            base = max(low + start - j - 3, 0)
            a, b, c, d = short[j], short[j + 1], short[j + 2], short[j + 3]
            for k in range(high - low):
                out[low + k] += (long[base + k] * d + long[base + k + 1] * c) + (
                    long[base + k + 2] * b + long[base + k + 3] * a
                )
            for one in range(j, j + 4):
                add_multiple(out, long, short[one], one - start, first, low)
                add_multiple(out, long, short[one], one - start, high, last)
        for j in range(fours, short.size):
            add_multiple(out, long, short[j], j - start, first, last)


def add_multiple(out, x, factor, shift, first, last):
    """`out[k] += x[k - shift] * factor` for those k from `first` to `last` for which there is such an element."""
    low = max(max(shift, first), 0)
    base = max(low - shift, 0)
    for k in range(min(x.size + shift, last) - low):
        out[low + k] += x[base + k] * factor


def convolved_in_full(x, y, zero, out):
    """The convolution of two short vectors."""
    for k in range(out.size):
        out[k] = zero
    for j in range(y.size):
        for i in range(x.size):
            out[i + j] += x[i] * y[j]


def convolved_inside(x, y, zero, out):
    """The elements of the convolution of two short vectors where the second lies inside of the first."""
    for k in range(out.size):
        out[k] = zero
    for j in range(y.size):
        for k in range(out.size):
            out[k] += x[j + k] * y[-1 - j]


def convolved_by_longer(x, y, start, zero, out):
    """As `convolved`, where `x` is the shorter one."""
    convolved(y, x, start, zero, out)


def convolved_between(x, y, start, zero, out):
    """As `convolved`, of two short vectors."""
    for k in range(out.size):
        out[k] = zero
    for j in range(y.size):
        add_multiple(out, x, y[j], j - start, 0, out.size)


def convolved_at_few(x, y, start, zero, out):
    """A few elements of the convolution of two long vectors, from `start` on.

    They are inner products with `y` turned around, one stretch after the other.
    """
    long, turned = np.ascontiguousarray(x), np.empty(min(y.size, 4096), y.dtype)
    for k in range(out.size):
        out[k] = zero
    for first in range(0, y.size, 4096):
        count = max(min(4096, y.size - first), 0)
        for j in range(count):
            turned[j] = y[y.size - 1 - first - j]
        for k in range(out.size):
            base = k + start - y.size + 1 + first
            low = max(-base, 0)
            place = max(base + low, 0)
            total = zero
            for j in range(min(count, long.size - base) - low):
                total = added(total, long[place + j] * turned[low + j])
            out[k] += total


def fed_back(a, x):
    """y with y[n] + a[1] y[n - 1] + a[2] y[n - 2] ... = x[n], of each column; the first of `a` is not read."""
    y = x.copy()
    for n in range(x.shape[0]):
        for k in range(1, min(a.size, n + 1)):
            for j in range(x.shape[1]):
                y[n, j] -= a[k] * y[n - k, j]
    return y


def place_in(row, number, right):
    """`np.searchsorted` of a number: how many elements of a sorted vector stand before it; NaN stands behind all.

    Each step is arithmetic: nobody can foretell which way an `if` would go.
    """
    low, many, missing = 0, row.size, number != number
    while many:
        half = (many + 1) // 2
        at = row[low + half - 1]
        if right:
            before = (at <= number) | missing
        else:
            before = (at < number) | (missing & (at == at))
        low += half * before
        many -= half
    return low
