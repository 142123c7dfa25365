"""Arrays as sets under NumPy's signatures: unique, isin, intersect1d, union1d, setdiff1d, setxor1d.

How many items a result has depends on values: that number is asked for, and so guarded. Derivatives go to the items
that are picked. Begin with `unique`.
"""

from __future__ import annotations

import builtins
from typing import Any

import numpy as np

from tracegrad.ops.compare import equal, isnan, logical_and, logical_not, minimum, not_equal
from tracegrad.ops.index import read
from tracegrad.ops.numpy_forms import answers, operand
from tracegrad.ops.numpy_order import nonzero, searchsorted
from tracegrad.ops.numpy_reduce import argsort, cumsum
from tracegrad.ops.numpy_shape import concatenate, diff, ravel, reshape, sort


@answers(np.unique)
def unique(
    ar: Any,
    return_index: bool = False,
    return_inverse: bool = False,
    return_counts: bool = False,
    *,
    equal_nan: bool = True,
    sorted: bool = True,
) -> Any:
    # Unsorted, NumPy leaves the order open: this is one.
    a = operand(ar)
    flat = ravel(a)
    order = argsort(flat)
    found = read(flat, order)
    late, early = found[1:], found[:-1]
    new = not_equal(late, early)
    if equal_nan and a.dtype.kind == "f":
        new = logical_and(new, logical_not(logical_and(isnan(late), isnan(early))))
    first = concatenate([np.ones(builtins.min(1, flat.shape[0]), bool), new])
    places = nonzero(first)[0]
    results = [read(found, places)]
    if return_index:
        results.append(read(order, places))
    if return_inverse:
        number = cumsum(first) - 1
        results.append(reshape(read(number, argsort(order)), a.shape))
    if return_counts:
        results.append(diff(concatenate([places, np.array([flat.shape[0]])])))
    return results[0] if len(results) == 1 else tuple(results)


@answers(np.unique_values)
def unique_values(x: Any) -> Any:
    return unique(x, equal_nan=False)


@answers(np.unique_counts)
def unique_counts(x: Any) -> Any:
    return _UNIQUE_COUNTS(*unique(x, return_counts=True, equal_nan=False))


@answers(np.unique_inverse)
def unique_inverse(x: Any) -> Any:
    return _UNIQUE_INVERSE(*unique(x, return_inverse=True, equal_nan=False))


@answers(np.unique_all)
def unique_all(x: Any) -> Any:
    return _UNIQUE_ALL(*unique(x, True, True, True, equal_nan=False))


_UNIQUE_COUNTS, _UNIQUE_INVERSE, _UNIQUE_ALL = (
    type(make(np.zeros(1))) for make in (np.unique_counts, np.unique_inverse, np.unique_all)
)


def _where_true(items: Any, mask: Any) -> Any:
    return read(items, nonzero(mask)[0])


@answers(np.isin)
def isin(
    element: Any, test_elements: Any, assume_unique: bool = False, invert: bool = False, *, kind: Any = None
) -> Any:
    # `kind` says how NumPy searches, not what it finds.
    element, among = operand(element), ravel(operand(test_elements))
    if among.shape[0] == 0:
        return np.full(element.shape, invert)
    ordered = sort(among)
    found = equal(read(ordered, minimum(searchsorted(ordered, element), among.shape[0] - 1)), element)
    return logical_not(found) if invert else found


@answers(np.union1d)
def union1d(ar1: Any, ar2: Any) -> Any:
    return unique(concatenate((ar1, ar2), axis=None))


@answers(np.intersect1d)
def intersect1d(ar1: Any, ar2: Any, assume_unique: bool = False, return_indices: bool = False) -> Any:
    first, starts_1 = _set(ar1, assume_unique)
    second, starts_2 = _set(ar2, assume_unique)
    both = concatenate((first, second))
    order = argsort(both)
    ordered = read(both, order)
    twice = nonzero(equal(ordered[1:], ordered[:-1]))[0]
    found = read(ordered, twice)
    if not return_indices:
        return found
    in_first, in_second = read(order, twice), read(order, twice + 1) - first.shape[0]
    return found, read(starts_1, in_first), read(starts_2, in_second)


def _set(items: Any, assume_unique: bool) -> tuple[Any, Any]:
    """The items, each once, and where they stand."""
    if not assume_unique:
        return unique(items, return_index=True)
    flat = ravel(operand(items))
    return flat, np.arange(flat.shape[0])


@answers(np.setdiff1d)
def setdiff1d(ar1: Any, ar2: Any, assume_unique: bool = False) -> Any:
    items = ravel(operand(ar1)) if assume_unique else unique(ar1)
    return _where_true(items, isin(items, ar2, invert=True))


@answers(np.setxor1d)
def setxor1d(ar1: Any, ar2: Any, assume_unique: bool = False) -> Any:
    if not assume_unique:
        ar1, ar2 = unique(ar1), unique(ar2)
    items = sort(concatenate((ar1, ar2), axis=None))
    if items.shape[0] == 0:
        return items
    end = np.ones(1, bool)
    new = concatenate([end, not_equal(items[1:], items[:-1]), end])
    return _where_true(items, logical_and(new[1:], new[:-1]))
