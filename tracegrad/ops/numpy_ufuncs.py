"""Methods of ufuncs on traced values: `np.add.reduce`, `np.maximum.accumulate`, `np.add.reduceat`, `np.hypot.outer`.

A ufunc and the name of its method go in, what runs comes out. Sums, products and extremes are ops; any other reduction
is taken as it is defined, one item after the other. Begin with `ufunc_method`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from tracegrad.ops import cumulate
from tracegrad.ops.compare import equal, isnan, logical_or, where
from tracegrad.ops.index import getitem
from tracegrad.ops.numpy_forms import (
    FUNCTIONS,
    as_dtype,
    axis_number,
    deliver,
    is_traced,
    known,
    operand,
    refuse_keywords,
    refusing_as,
    whole,
)
from tracegrad.ops.numpy_reduce import all, any, cumprod, cumsum, logsumexp, max, min, prod, sum
from tracegrad.ops.numpy_shape import concatenate, expand_dims, reshape, stack, take_along_axis
from tracegrad.ops.op import Op

_REDUCTIONS: dict[np.ufunc, Callable[..., Any]] = {
    np.add: sum,
    np.multiply: prod,
    np.maximum: max,
    np.minimum: min,
    np.logical_and: all,
    np.logical_or: any,
    np.logaddexp: logsumexp,
}


def ufunc_method(ufunc: np.ufunc, method: str) -> Callable[..., Any] | None:
    """What runs instead of `ufunc.method` on traced values; None where there is nothing."""
    if ufunc not in FUNCTIONS or ufunc.nin != 2 or ufunc.nout != 1:
        return None
    run = _METHODS.get(method)
    if run is None:
        return None
    return refusing_as(getattr(ufunc, method), functools.partial(_delivered, run, ufunc))


def _delivered(run: Callable[..., Any], ufunc: np.ufunc, *args: Any, out: Any = None, **keywords: Any) -> Any:
    return deliver(run(ufunc, *args, **keywords), out)


def _reduce(ufunc: np.ufunc, array: Any, axis: Any = 0, dtype: Any = None, **keywords: Any) -> Any:
    a = operand(array)
    ours = _REDUCTIONS.get(ufunc)
    if ours is not None and (ufunc is not np.logaddexp or keywords.keys() <= {"keepdims"}):
        if dtype is not None:
            keywords["dtype"] = dtype
        return ours(a, axis=axis, **keywords)
    keepdims, initial = keywords.pop("keepdims", False), keywords.pop("initial", np._NoValue)
    refuse_keywords(f"np.{ufunc.__name__}.reduce", keywords)
    a = a if dtype is None else as_dtype(a, dtype)
    if isinstance(axis, tuple) or axis is None:
        if a.ndim > 1 and axis is not None and len(axis) > 1:
            raise ValueError(
                f"reduction operation '{ufunc.__name__}' is not reorderable, so at most one axis may be specified"
            )
        if a.ndim > 1 and axis is None:
            raise ValueError(
                f"reduction operation '{ufunc.__name__}' is not reorderable, so at most one axis may be specified"
            )
        axis = 0 if axis is None else axis[0]
    if not a.ndim:
        return a
    k = axis_number(axis, a.ndim)
    items = _items(a, k)
    if initial is not np._NoValue and initial is not None:
        items = [initial, *items]
    if not items:
        raise ValueError(f"zero-size array to reduction operation {ufunc.__name__} which has no identity")
    found = functools.reduce(FUNCTIONS[ufunc], items)
    return expand_dims(found, k) if keepdims else found


def _items(a: Any, axis: int) -> list[Any]:
    lead = (slice(None),) * axis
    return [getitem(a, index=(*lead, k)) for k in range(a.shape[axis])]


def _accumulate(ufunc: np.ufunc, array: Any, axis: int = 0, dtype: Any = None) -> Any:
    a = operand(array)
    if not a.ndim:
        raise TypeError("cannot accumulate on a scalar")
    axis = axis_number(axis, a.ndim)
    if ufunc in (np.add, np.multiply):
        return (cumsum if ufunc is np.add else cumprod)(a, axis, dtype)
    a = a if dtype is None else as_dtype(a, dtype)
    if ufunc in (np.maximum, np.minimum):
        return _running(cumulate.running_max if ufunc is np.maximum else cumulate.running_min, a, axis)
    found = _items(a, axis)
    for k in range(1, len(found)):
        found[k] = FUNCTIONS[ufunc](found[k - 1], found[k])
    return stack(found, axis) if found else a


def _running(op: Op, a: Any, axis: int) -> Any:
    """Running extremes, read from where they stand: of equal ones, the last counts."""
    number = np.arange(a.shape[axis]).reshape((-1, *(1,) * (a.ndim - 1 - axis)))
    record = equal(a, op(a, axis=axis))
    if a.dtype.kind == "f":
        record = logical_or(record, isnan(a))
    return take_along_axis(a, cumulate.running_max(where(record, number, 0), axis=axis), axis)


def _reduceat(ufunc: np.ufunc, array: Any, indices: Any, axis: int = 0, dtype: Any = None) -> Any:
    a = operand(array)
    axis = axis_number(axis, a.ndim)
    starts = [known(indices[k]) for k in range(len(indices))] if is_traced(indices) else whole(indices)
    n = a.shape[axis]
    for start in starts:
        if not 0 <= start < n:
            raise IndexError(f"index {start} out-of-bounds in {ufunc.__name__}.reduceat [0, {n})")
    lead = (slice(None),) * axis
    found = []
    for start, stop in zip(starts, (*starts[1:], n), strict=True):
        part = getitem(a, index=(*lead, slice(start, stop if stop > start else start + 1)))
        found.append(_reduce(ufunc, part, axis, dtype, keepdims=True))
    return concatenate(found, axis)


def _outer(ufunc: np.ufunc, left: Any, right: Any, **keywords: Any) -> Any:
    left, right = operand(left), operand(right)
    return FUNCTIONS[ufunc](reshape(left, left.shape + (1,) * right.ndim), right, **keywords)


_METHODS: dict[str, Callable[..., Any]] = {
    "reduce": _reduce,
    "accumulate": _accumulate,
    "reduceat": _reduceat,
    "outer": _outer,
}
