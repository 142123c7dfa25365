"""Reductions as loops, for compiled programs: Numba has no `axis` for most of them, and sums one after the other.

`cut` says how an array lies in memory, (outer, first, middle, second, inner): `first` and `second` are reduced, and may
be 1. `shape` is that of the result, `zero` says in which dtype to add. A kernel whose last parameter is `out` writes
its result there. Begin with `sum_of`.
"""

# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

import math

import numpy as np


def rows_of(x, cut):
    """`x` as a contiguous matrix whose rows are what is reduced."""
    outer, first, middle, second, inner = cut
    rows, columns = outer * middle * inner, first * second
    flat = np.ascontiguousarray(x).reshape(x.size)
    if middle * inner == 1:
        return flat.reshape((rows, columns))
    out = np.empty((rows, columns), x.dtype)
    k = 0
    for o in range(outer):
        for f in range(first):
            for m in range(middle):
                for s in range(second):
                    for i in range(inner):
                        out[(o * middle + m) * inner + i, f * second + s] = flat[k]
                        k += 1
    return out


def sum_of(row, zero):
    """The sum in blocks of blocks: the error grows as n / 16384, and eight lanes can run side by side."""
    n = row.size
    total = zero
    outer = 0
    while outer < n:
        stop = min(outer + 16384, n)
        middle = zero
        inner = outer
        while inner + 128 <= stop:
            a, b, c, d = zero, zero, zero, zero
            for i in range(inner, inner + 128, 4):
                a += row[i]
                b += row[i + 1]
                c += row[i + 2]
                d += row[i + 3]
            middle += (a + b) + (c + d)
            inner += 128
        for i in range(inner, stop):
            middle += row[i]
        total += middle
        outer = stop
    return total


def sum_all(x, zero):
    """The sum of all elements."""
    return sum_of(np.ascontiguousarray(x).reshape(x.size), zero)


def sum_rows(x, cut, shape, zero):
    """Sum over the axes that `cut` names."""
    matrix = rows_of(x, cut)
    rows = matrix.shape[0]
    out = np.full(rows, zero)
    for i in range(rows):
        out[i] = sum_of(matrix[i], zero)
    return out.reshape(shape)


def sum_columns(x, rows, columns, shape, zero):
    """Sum over leading axes: row after row is added, all columns side by side."""
    matrix = np.ascontiguousarray(x).reshape((rows, columns))
    out = np.full(columns, zero)
    for i in range(rows):
        for j in range(columns):
            out[j] += matrix[i, j]
    return out.reshape(shape)


def mean_all(x, zero):
    """The mean of all elements."""
    return type_like(sum_all(x, zero) / x.size, zero)


def mean_rows(x, cut, shape, zero):
    """Mean over the axes that `cut` names."""
    matrix = rows_of(x, cut)
    rows, columns = matrix.shape
    out = np.full(rows, zero)
    for i in range(rows):
        out[i] = sum_of(matrix[i], zero) / columns
    return out.reshape(shape)


def type_like(value, zero):
    """`value` in the dtype of `zero`."""
    out = np.full(1, zero)
    out[0] = value
    return out[0]


def prod_of(row, one):
    """The product."""
    total = one
    for i in range(row.size):
        total *= row[i]
    return total


def prod_all(x, one):
    """The product of all elements."""
    return prod_of(np.ascontiguousarray(x).reshape(x.size), one)


def prod_rows(x, cut, shape, one):
    """Product over the axes that `cut` names."""
    matrix = rows_of(x, cut)
    rows = matrix.shape[0]
    out = np.full(rows, one)
    for i in range(rows):
        out[i] = prod_of(matrix[i], one)
    return out.reshape(shape)


def max_of(row):
    """The largest element; NaN where there is one."""
    best = row[0]
    for i in range(row.size):
        if row[i] > best or row[i] != row[i]:
            best = row[i]
    return best


def max_all(x):
    """The largest of all elements."""
    return max_of(np.ascontiguousarray(x).reshape(x.size))


def max_rows(x, cut, shape):
    """Maximum over the axes that `cut` names."""
    matrix = rows_of(x, cut)
    rows = matrix.shape[0]
    out = np.empty(rows, x.dtype)
    for i in range(rows):
        out[i] = max_of(matrix[i])
    return out.reshape(shape)


def min_of(row):
    """The smallest element; NaN where there is one."""
    best = row[0]
    for i in range(row.size):
        if row[i] < best or row[i] != row[i]:
            best = row[i]
    return best


def min_all(x):
    """The smallest of all elements."""
    return min_of(np.ascontiguousarray(x).reshape(x.size))


def min_rows(x, cut, shape):
    """Minimum over the axes that `cut` names."""
    matrix = rows_of(x, cut)
    rows = matrix.shape[0]
    out = np.empty(rows, x.dtype)
    for i in range(rows):
        out[i] = min_of(matrix[i])
    return out.reshape(shape)


def goes_before(value, best, largest):
    """Whether a number is larger than the best so far, or smaller; NaN goes before numbers, the first equal stays."""
    beyond = value > best if largest else value < best
    return beyond or (value != value and best == best)


def place_of(row, largest):
    """Index of the first largest or smallest element; of the first NaN where there is one."""
    place = 0
    for i in range(row.size):
        if goes_before(row[i], row[place], largest):
            place = i
    return place


def places_in_rows(x, largest, cut, shape):
    """The places over the axis that `cut` names; of what lies before its neighbours, row after row."""
    outer, length, inner = cut[0], cut[1], cut[4]
    flat, rows = (
        np.ascontiguousarray(x).reshape(x.size),
        np.ascontiguousarray(x).reshape((outer, length * inner)),
    )
    out, best = np.zeros(outer * inner, np.int64), np.empty(inner, x.dtype)
    for o in range(outer):
        start, place = max(o * length * inner, 0), max(o * inner, 0)
        if inner == 1:
            out[place] = place_of(rows[o], largest)
        else:
            for i in range(inner):
                best[i] = flat[start + i]
            for r in range(1, length):
                here = start + max(r * inner, 0)
                for i in range(inner):
                    better = goes_before(flat[here + i], best[i], largest)
                    best[i] = flat[here + i] if better else best[i]
                    out[place + i] = r if better else out[place + i]
    return out.reshape(shape)


def argmax_all(x):
    """Index of the first largest element of the flat array."""
    return place_of(np.ascontiguousarray(x).reshape(x.size), True)


def argmax_rows(x, cut, shape):
    """Index of the maximum over the axis that `cut` names."""
    return places_in_rows(x, True, cut, shape)


def argmin_all(x):
    """Index of the first smallest element of the flat array."""
    return place_of(np.ascontiguousarray(x).reshape(x.size), False)


def argmin_rows(x, cut, shape):
    """Index of the minimum over the axis that `cut` names."""
    return places_in_rows(x, False, cut, shape)


def any_of(row):
    """Whether an element is not zero."""
    found = False
    for i in range(row.size):
        found = found or bool(row[i])
    return found


def any_all(x):
    """Whether any element is not zero."""
    return any_of(np.ascontiguousarray(x).reshape(x.size))


def any_rows(x, cut, shape):
    """`any` over the axes that `cut` names."""
    matrix = rows_of(x, cut)
    rows = matrix.shape[0]
    out = np.empty(rows, np.bool_)
    for i in range(rows):
        out[i] = any_of(matrix[i])
    return out.reshape(shape)


def all_of(row):
    """Whether no element is zero."""
    found = True
    for i in range(row.size):
        found = found and bool(row[i])
    return found


def all_all(x):
    """Whether no element at all is zero."""
    return all_of(np.ascontiguousarray(x).reshape(x.size))


def all_rows(x, cut, shape):
    """`all` over the axes that `cut` names."""
    matrix = rows_of(x, cut)
    rows = matrix.shape[0]
    out = np.empty(rows, np.bool_)
    for i in range(rows):
        out[i] = all_of(matrix[i])
    return out.reshape(shape)


def var_of(row, ddof, zero):
    """The variance, in two passes as NumPy takes."""
    mean = sum_of(row, zero) / row.size
    total = zero
    for i in range(row.size):
        total += (row[i] - mean) * (row[i] - mean)
    return total / max(row.size - ddof, 0)


def var_all(x, ddof, zero):
    """The variance of all elements."""
    return type_like(var_of(np.ascontiguousarray(x).reshape(x.size), ddof, zero), zero)


def var_rows(x, cut, shape, ddof, zero):
    """Variance over the axes that `cut` names."""
    matrix = rows_of(x, cut)
    rows = matrix.shape[0]
    out = np.full(rows, zero)
    for i in range(rows):
        out[i] = var_of(matrix[i], ddof, zero)
    return out.reshape(shape)


def std_all(x, ddof, zero):
    """The standard deviation of all elements."""
    return type_like(math.sqrt(var_of(np.ascontiguousarray(x).reshape(x.size), ddof, zero)), zero)


def std_rows(x, cut, shape, ddof, zero):
    """Standard deviation over the axes that `cut` names."""
    matrix = rows_of(x, cut)
    rows = matrix.shape[0]
    out = np.full(rows, zero)
    for i in range(rows):
        out[i] = math.sqrt(var_of(matrix[i], ddof, zero))
    return out.reshape(shape)


def norm_of(row, zero):
    """The root of the sum of squares."""
    total = zero
    for i in range(row.size):
        total += row[i] * row[i]
    return math.sqrt(total)


def norm_all(x, zero):
    """The root of the sum of all squares."""
    return type_like(norm_of(np.ascontiguousarray(x).reshape(x.size), zero), zero)


def norm_of_number(x):
    """The norm of one number."""
    return abs(x)


def norm_rows(x, cut, shape, zero):
    """2-norm over the axes that `cut` names."""
    matrix = rows_of(x, cut)
    rows = matrix.shape[0]
    out = np.full(rows, zero)
    for i in range(rows):
        out[i] = norm_of(matrix[i], zero)
    return out.reshape(shape)


def logsumexp_of(row, zero):
    """log(sum(exp(row))), with the largest element taken out so that nothing overflows."""
    largest = max_of(row)
    if not math.isfinite(largest):
        return largest
    total = zero
    for i in range(row.size):
        total += math.exp(row[i] - largest)
    return math.log(total) + largest


def logsumexp_all(x, zero):
    """log(sum(exp(x))) over all elements."""
    return type_like(logsumexp_of(np.ascontiguousarray(x).reshape(x.size), zero), zero)


def logsumexp_rows(x, cut, shape, zero):
    """log(sum(exp(x))) over the axes that `cut` names."""
    matrix = rows_of(x, cut)
    rows = matrix.shape[0]
    out = np.full(rows, zero)
    for i in range(rows):
        out[i] = logsumexp_of(matrix[i], zero)
    return out.reshape(shape)


def cumsum_blocks(x, outer, length, inner, backwards, zero, out):
    """Running sums along the axis that has `length`, from its end on if `backwards`; they may stand where `x` does."""
    flat, sums = np.ascontiguousarray(x).reshape(x.size), out.reshape(out.size)
    for o in range(outer):
        start = o * length * inner
        if inner == 1:
            total = zero
            for k in range(length):
                here = max(start + (length - 1 - k if backwards else k), 0)
                total += flat[here]
                sums[here] = total
        else:
            last = np.full(inner, zero)
            for k in range(length):
                here = max(start + (length - 1 - k if backwards else k) * inner, 0)
                for i in range(inner):
                    last[i] += flat[here + i]
                for i in range(inner):
                    sums[here + i] = last[i]


def cumprod_blocks(x, outer, length, inner, one, out):
    """Running products along the axis that has `length`."""
    flat, products = np.ascontiguousarray(x).reshape(x.size), out.reshape(out.size)
    for o in range(outer):
        start, stop = o * length * inner, (o + 1) * length * inner
        if inner == 1:
            total = one
            for k in range(start, stop):
                total *= flat[k]
                products[k] = total
        else:
            for k in range(start, min(start + inner, stop)):
                products[k] = one * flat[k]
            for r in range(1, length):
                before = max(start + (r - 1) * inner, 0)
                here = before + inner
                for i in range(inner):
                    products[here + i] = products[before + i] * flat[here + i]


def recurrence_blocks(x, b, outer, length, inner, backwards, zero, out):
    """Along the axis that has `length`, each place of `x` times what was found one place before, plus that of `b`."""
    factors, terms = np.ascontiguousarray(x).reshape(x.size), np.ascontiguousarray(b).reshape(b.size)
    found = out.reshape(out.size)
    last = np.full(inner, zero)
    for o in range(outer):
        for k in range(length):
            place = o * length + (length - 1 - k if backwards else k)
            here = place * inner
            there = here + inner if backwards else here
            for i in range(inner):
                if k == 0:
                    last[i] = zero + terms[here + i]
                else:
                    last[i] = factors[there + i] * last[i] + terms[here + i]
                found[here + i] = last[i]


def cummax_blocks(x, outer, length, inner, out):
    """Running maxima along the axis that has `length`; NaN stays."""
    flat, best = np.ascontiguousarray(x).reshape(x.size), out.reshape(out.size)
    for o in range(outer):
        start, stop = o * length * inner, (o + 1) * length * inner
        for k in range(start, min(start + inner, stop)):
            best[k] = flat[k]
        for r in range(1, length):
            before = max(start + (r - 1) * inner, 0)
            here = before + inner
            for i in range(inner):
                last, x_here = best[before + i], flat[here + i]
                best[here + i] = x_here if x_here > last or x_here != x_here else last


def cummin_blocks(x, outer, length, inner, out):
    """Running minima along the axis that has `length`; NaN stays."""
    flat, best = np.ascontiguousarray(x).reshape(x.size), out.reshape(out.size)
    for o in range(outer):
        start, stop = o * length * inner, (o + 1) * length * inner
        for k in range(start, min(start + inner, stop)):
            best[k] = flat[k]
        for r in range(1, length):
            before = max(start + (r - 1) * inner, 0)
            here = before + inner
            for i in range(inner):
                last, x_here = best[before + i], flat[here + i]
                best[here + i] = x_here if x_here < last or x_here != x_here else last
