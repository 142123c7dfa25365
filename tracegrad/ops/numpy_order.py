"""Order and position under NumPy's signatures: nonzero, partition, median, quantile, searchsorted, histogram.

Where the number of results depends on values (`nonzero`), that number is asked for, and so guarded. Begin with
`nonzero`.
"""

from __future__ import annotations

import builtins
import math
from typing import Any

import numpy as np

from tracegrad.errors import UnsupportedError
from tracegrad.ops import cumulate
from tracegrad.ops.arithmetic import divide, multiply
from tracegrad.ops.compare import (
    equal,
    floor,
    isfinite,
    isnan,
    logical_and,
    logical_not,
    maximum,
    minimum,
    not_equal,
    rint,
    where,
)
from tracegrad.ops.families import astype
from tracegrad.ops.index import Slot, index_add, read
from tracegrad.ops.index import flatnonzero as true_positions
from tracegrad.ops.numpy_forms import (
    answers,
    as_dtype,
    axis_number,
    axis_tuple,
    common_dtype,
    is_sequence,
    is_traced,
    known,
    operand,
    value,
    whole,
)
from tracegrad.ops.numpy_reduce import all as all_of
from tracegrad.ops.numpy_reduce import argsort, count_nonzero, max, mean, min, sum
from tracegrad.ops.numpy_shape import (
    concatenate,
    diff,
    ravel,
    reshape,
    sort,
    stack,
    take,
    take_along_axis,
    transpose,
)

# --- positions --------------------------------------------------------------------------------------------------------


@answers(np.nonzero)
def nonzero(a: Any) -> tuple[Any, ...]:
    a = operand(a)
    if not is_traced(a):
        return np.nonzero(a)
    if not a.ndim:
        raise ValueError(
            "Calling nonzero on 0d arrays is not allowed. Use np.atleast_1d(scalar).nonzero() instead."
        )
    mask = a if a.dtype.kind == "b" else not_equal(a, 0)
    rest = true_positions(ravel(mask), count=known(count_nonzero(mask)))
    out: list[Any] = []
    for n in reversed(a.shape[1:]):
        out.append(rest % n)
        rest = rest // n
    return (rest, *reversed(out))


@answers(np.flatnonzero)
def flatnonzero(a: Any) -> Any:
    return nonzero(ravel(a))[0]


@answers(np.argwhere)
def argwhere(a: Any) -> Any:
    if not operand(a).ndim:
        return argwhere(reshape(operand(a), (1,)))[:, :0]
    return stack(nonzero(a), 1)


@answers(np.searchsorted)
def searchsorted(a: Any, v: Any, side: str = "left", sorter: Any = None) -> Any:
    a = operand(a)
    if sorter is not None:
        a = read(a, operand(sorter))
    return cumulate.searchsorted(a, operand(v), side=side)


def _rises(bins: Any) -> bool:
    """Whether bins rise, and not fall."""
    steps = diff(bins)
    if known(all_of(steps >= 0)):
        return True
    if known(all_of(steps <= 0)):
        return False
    raise ValueError("bins must be monotonically increasing or decreasing")


@answers(np.digitize)
def digitize(x: Any, bins: Any, right: bool = False) -> Any:
    x, bins = operand(x), operand(bins)
    side = "left" if right else "right"
    if _rises(bins):
        return searchsorted(bins, x, side)
    return bins.shape[0] - searchsorted(bins[::-1], x, side)


@answers(np.lexsort)
def lexsort(keys: Any, axis: int = -1) -> Any:
    rows = [operand(k) for k in keys]
    if not rows[0].ndim:
        return np.intp(0)
    order = argsort(rows[0], axis)
    for row in rows[1:]:
        order = take_along_axis(order, argsort(take_along_axis(row, order, axis), axis), axis)
    return order


# --- parts of a sorted array ------------------------------------------------------------------------------------------


def _checked_kth(kth: Any, length: int) -> None:
    for k in kth if is_sequence(kth) else (kth,):
        if not -length <= known(k) < length:
            raise ValueError(f"kth(={known(k)}) out of bounds ({length})")


def _flat(a: Any, axis: int | None) -> tuple[Any, int]:
    a = operand(a)
    return (ravel(a), 0) if axis is None else (a, axis_number(axis, a.ndim))


@answers(np.partition)
def partition(a: Any, kth: Any, axis: int | None = -1) -> Any:
    """Sorted in full: NumPy promises no order on either side of `kth`."""
    a, axis = _flat(a, axis)
    _checked_kth(kth, a.shape[axis])
    return sort(a, axis)


@answers(np.argpartition)
def argpartition(a: Any, kth: Any, axis: int | None = -1) -> Any:
    a, axis = _flat(a, axis)
    _checked_kth(kth, a.shape[axis])
    return argsort(a, axis)


# --- quantiles --------------------------------------------------------------------------------------------------------


_METHODS = {
    "hazen": (0.5, 0.5),
    "weibull": (0.0, 0.0),
    "linear": (1.0, 1.0),
    "median_unbiased": (1 / 3, 1 / 3),
    "normal_unbiased": (3 / 8, 3 / 8),
    "interpolated_inverted_cdf": (0.0, 1.0),
}


def _along_last(a: Any, axis: Any) -> tuple[Any, tuple[int, ...]]:
    """`a` with the axes of `axis` as one last axis; and these axes."""
    axes = axis_tuple(axis, a.ndim)
    kept = [k for k in range(a.ndim) if k not in axes]
    lengths = [a.shape[k] for k in kept]
    return reshape(transpose(a, (*kept, *axes)), (*lengths, math.prod(a.shape[k] for k in axes))), axes


def _places(method: str, n: Any, q: Any) -> Any:
    """Where between 0 and n - 1 the quantile lies."""
    if method in ("lower", "higher", "midpoint", "nearest"):
        at = multiply(q, n - 1)
        if method == "nearest":
            return rint(at)
        low, high = floor(at), -floor(-at)
        return low if method == "lower" else high if method == "higher" else 0.5 * (low + high)
    if method not in _METHODS:
        raise UnsupportedError(
            f"quantiles are recorded without method={method!r}.", None, f"use one of {', '.join(_METHODS)}"
        )
    alpha, beta = _METHODS[method]
    if method == "linear":
        return multiply(n - 1, q)
    return multiply(n, q) + (alpha + multiply(q, 1 - alpha - beta)) - 1


def _quantile(a: Any, q: Any, axis: Any, method: str, keepdims: bool, skip_nan: bool, said: str) -> Any:
    a, share, q = operand(a), value(q), operand(q)
    if a.dtype.kind == "c":
        raise TypeError("a must be an array of real numbers")
    if a.dtype.kind != "f":
        a = astype(a, dtype=np.dtype(np.float64))
    if known(count_nonzero(logical_not(logical_and(q >= 0, q <= 1)))):
        raise ValueError(said)
    picks = method in ("lower", "higher", "nearest") or (method == "linear" and q.dtype.kind in "iu")
    dtype = a.dtype if picks else common_dtype([share, a])
    rows, axes = _along_last(a, axis)
    length = rows.shape[-1]
    if skip_nan and not length:
        rows, length = np.full((*rows.shape[:-1], 1), np.nan, a.dtype), 1
    ordered = sort(rows)
    last = ordered[..., -1:]
    count: Any = sum(logical_not(isnan(rows)), -1, keepdims=True) if skip_nan else length
    found = [_pick(ordered, _places(method, count, each), count) for each in _each(q)]
    if not skip_nan:
        found = [where(isnan(last), last, one) for one in found]
    left = [n for k, n in enumerate(a.shape) if k not in axes]
    shape = [1 if k in axes else n for k, n in enumerate(a.shape)] if keepdims else left
    results = [as_dtype(reshape(one, shape), dtype) for one in found]
    if not q.ndim:
        return results[0]
    return reshape(stack(results), (*q.shape, *shape))


def _each(q: Any) -> list[Any]:
    flat = ravel(q)
    return [flat[k] for k in range(flat.shape[0])]


def _pick(ordered: Any, place: Any, count: Any) -> Any:
    """What stands at a place of the last axis; between two neighbours, the line between them."""
    place = minimum(maximum(place, 0.0), maximum(count - 1, 0) * 1.0)
    below = astype(floor(place), dtype=np.dtype(np.int64))
    above = minimum(below + 1, maximum(count - 1, 0))
    share = place - below
    low, high = (_at(ordered, k) for k in (below, above))
    step = high - low
    return where(share >= 0.5, high - step * (1 - share), low + step * share)


def _at(ordered: Any, place: Any) -> Any:
    """Items of the last axis, kept as an axis of length one."""
    if getattr(place, "ndim", 0):
        return take_along_axis(ordered, place, -1)
    return take(ordered, reshape(place, (1,)) if is_traced(place) else np.array([place]), -1)


@answers(np.quantile)
def quantile(
    a: Any,
    q: Any,
    axis: Any = None,
    overwrite_input: bool = False,
    *,
    method: str = "linear",
    keepdims: bool = False,
) -> Any:
    return _quantile(a, q, axis, method, keepdims, False, "Quantiles must be in the range [0, 1]")


@answers(np.percentile)
def percentile(
    a: Any,
    q: Any,
    axis: Any = None,
    overwrite_input: bool = False,
    *,
    method: str = "linear",
    keepdims: bool = False,
) -> Any:
    q = value(q) / 100
    return _quantile(a, q, axis, method, keepdims, False, "Percentiles must be in the range [0, 100]")


@answers(np.nanquantile)
def nanquantile(
    a: Any,
    q: Any,
    axis: Any = None,
    overwrite_input: bool = False,
    *,
    method: str = "linear",
    keepdims: bool = False,
) -> Any:
    return _quantile(a, q, axis, method, keepdims, True, "Quantiles must be in the range [0, 1]")


@answers(np.nanpercentile)
def nanpercentile(
    a: Any,
    q: Any,
    axis: Any = None,
    overwrite_input: bool = False,
    *,
    method: str = "linear",
    keepdims: bool = False,
) -> Any:
    q = value(q) / 100
    return _quantile(a, q, axis, method, keepdims, True, "Percentiles must be in the range [0, 100]")


@answers(np.nanmedian)
def nanmedian(a: Any, axis: Any = None, overwrite_input: bool = False, *, keepdims: bool = False) -> Any:
    return _median(operand(a), axis, keepdims, True)


@answers(np.median)
def median(a: Any, axis: Any = None, overwrite_input: bool = False, *, keepdims: bool = False) -> Any:
    return _median(operand(a), axis, keepdims, False)


def _median(a: Any, axis: Any, keepdims: bool, skip_nan: bool) -> Any:
    if 0 in a.shape:
        return mean(a, axis, keepdims=keepdims)
    rows, axes = _along_last(a, axis)
    n: Any = rows.shape[-1]
    ordered = sort(rows)
    if skip_nan and a.dtype.kind in "fc":
        n = sum(logical_not(isnan(rows)), -1, keepdims=True)
        low, high = (_at(ordered, maximum(k, 0)) for k in ((n - 1) // 2, n // 2))
        found = where(equal(n, 0), np.nan, where(equal(n % 2, 1), low, (low + high) / 2))
    else:
        found = mean(ordered[..., (n - 1) // 2 : n // 2 + 1], -1, keepdims=True)
    if a.dtype.kind in "fc" and not skip_nan:
        last = ordered[..., -1:]
        found = where(isnan(last), last, found)
    kept = [n for k, n in enumerate(a.shape) if k not in axes]
    return reshape(found, [1 if k in axes else n for k, n in enumerate(a.shape)] if keepdims else kept)


# --- counting ---------------------------------------------------------------------------------------------------------


@answers(np.bincount)
def bincount(x: Any, weights: Any = None, minlength: int = 0) -> Any:
    x = operand(x)
    if x.ndim != 1:
        depth = "object too deep" if x.ndim else "object of too small depth"
        raise ValueError(f"{depth} for desired array")
    if x.dtype.kind not in "iub":
        raise TypeError(
            f"Cannot cast array data from dtype({x.dtype.name!r}) to dtype('int64') according to the rule 'safe'"
        )
    if x.shape[0] and known(min(x)) < 0:
        raise ValueError("'list' argument must have no negative elements")
    length = builtins.max(known(max(x)) + 1 if x.shape[0] else 0, int(minlength))
    if weights is None:
        return index_add(np.zeros(length, np.int64), as_dtype(x, np.int64), 1, index=(Slot(0),))
    weights = operand(weights)
    if weights.shape != x.shape:
        raise ValueError("The weights and list don't have the same length.")
    return index_add(np.zeros(length), as_dtype(x, np.int64), as_dtype(weights, np.float64), index=(Slot(0),))


@answers(np.histogram_bin_edges)
def histogram_bin_edges(a: Any, bins: Any = 10, range: Any = None, weights: Any = None) -> Any:
    if isinstance(bins, str) and is_traced(a):
        raise UnsupportedError(
            f"`np.histogram` of traced values is recorded without bins={bins!r}.",
            None,
            "give the number of bins",
        )
    if not is_traced(a) and not is_traced(bins):
        return np.histogram_bin_edges(np.asarray(a), bins, range)
    if is_sequence(bins):
        return operand(bins)
    a, count = operand(a), int(bins)
    if range is None:
        low, high = (min(a), max(a)) if a.size else (0.0, 1.0)
        if not all_of(isfinite(operand([low, high]))):
            raise ValueError("autodetected range of [{}, {}] is not finite".format(*map(value, (low, high))))
    else:
        low, high = range
    if known(equal(low, high)):
        low, high = low - 0.5, high + 0.5
    # As `np.linspace` has them, to the last bit: what lies on an edge is in the bin it is in there.
    step = divide(high - low, count)
    edges = concatenate([low + np.arange(count, dtype=operand(step).dtype) * step, reshape(high, (1,))])
    dtype = common_dtype([low, high, a])
    return as_dtype(edges, dtype if dtype.kind == "f" else np.float64)


def _bins_of(a: Any, edges: Any) -> tuple[Any, Any]:
    """In which bin each number lies, and whether it lies in one."""
    count = edges.shape[0] - 1
    place = searchsorted(edges, a, "right") - 1
    place = where(equal(a, edges[-1]), count - 1, place)
    inside = logical_and(a >= edges[0], a <= edges[-1])
    return minimum(maximum(place, 0), count - 1), inside


@answers(np.histogram)
def histogram(
    a: Any, bins: Any = 10, range: Any = None, density: bool | None = None, weights: Any = None
) -> tuple[Any, Any]:
    a = ravel(a)
    edges = histogram_bin_edges(a, bins, range)
    place, inside = _bins_of(a, edges)
    value: Any = 1 if weights is None else ravel(weights)
    value = where(inside, value, 0)
    start = np.zeros(edges.shape[0] - 1, np.int64 if weights is None else value.dtype)
    found = index_add(start, place, value, index=(Slot(0),))
    if density:
        return divide(divide(found, diff(edges)), sum(found)), edges
    return found, edges


@answers(np.histogramdd)
def histogramdd(
    sample: Any, bins: Any = 10, range: Any = None, density: bool | None = None, weights: Any = None
) -> tuple[Any, Any]:
    points = operand(sample)
    columns = points if points.ndim == 1 or isinstance(sample, (list, tuple)) else transpose(points)
    columns = columns if columns.ndim == 2 else reshape(columns, (1, -1))
    dimensions = columns.shape[0]
    each = bins if is_sequence(bins) else (bins,) * dimensions
    spans = (None,) * dimensions if range is None else range
    edges = [histogram_bin_edges(columns[k], each[k], spans[k]) for k in builtins.range(dimensions)]
    shape = tuple(e.shape[0] - 1 for e in edges)
    place: Any = 0
    inside: Any = True
    for k in builtins.range(dimensions):
        nth, within = _bins_of(columns[k], edges[k])
        place, inside = place * shape[k] + nth, logical_and(inside, within)
    value = where(inside, 1.0 if weights is None else as_dtype(ravel(weights), np.float64), 0.0)
    found = reshape(index_add(np.zeros(math.prod(shape)), place, value, index=(Slot(0),)), shape)
    if density:
        total = sum(found)
        for k, e in enumerate(edges):
            found = divide(found, reshape(diff(e), (-1, *(1,) * (dimensions - 1 - k))))
        found = divide(found, total)
    return found, edges


@answers(np.histogram2d)
def histogram2d(
    x: Any, y: Any, bins: Any = 10, range: Any = None, density: bool | None = None, weights: Any = None
) -> tuple[Any, Any, Any]:
    x, y = operand(x), operand(y)
    if x.shape != y.shape:
        raise ValueError("x and y must have the same length.")
    if is_sequence(bins) and len(bins) not in (1, 2):
        bins = (bins, bins)  # one array of edges for both
    found, edges = histogramdd((x, y), bins, range, density, weights)
    return found, *edges


@answers(np.unravel_index)
def unravel_index(indices: Any, shape: Any, order: str = "C") -> tuple[Any, ...]:
    """Of an `argmax` and its kind: values that later calls compute anew."""
    if order != "C":
        raise UnsupportedError(
            "`np.unravel_index` is recorded without order='F'.", None, "turn the shape and the result around"
        )
    rest, found = operand(indices), []
    size = math.prod(whole(shape))
    if not all_of(logical_and(rest >= 0, rest < size)):
        raise ValueError(f"index is out of bounds for array with size {size}")
    for n in reversed(whole(shape)):
        found.append(rest % n)
        rest = rest // n
    return tuple(reversed(found))
