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
from tracegrad.ops.compare import equal, isnan, logical_or
from tracegrad.ops.compare import where as choose
from tracegrad.ops.index import getitem
from tracegrad.ops.numpy_forms import (
    FUNCTIONS,
    array_operand,
    as_dtype,
    axis_number,
    axis_tuple,
    deliver,
    is_traced,
    known,
    operand,
    refuse_keywords,
    refusing_as,
    whole,
)
from tracegrad.ops.numpy_reduce import all, any, cumprod, cumsum, logsumexp, max, min, prod, sum
from tracegrad.ops.numpy_shape import (
    broadcast_to,
    concatenate,
    expand_dims,
    moveaxis,
    reshape,
    stack,
    take_along_axis,
)
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
    return _one_by_one(ufunc, a if dtype is None else as_dtype(a, dtype), axis, **keywords)


_IN_ANY_ORDER = {np.fmax, np.fmin, np.hypot, np.logaddexp, np.logaddexp2}
_NOTHING: dict[np.ufunc, float] = {np.hypot: 0.0, np.logaddexp: -np.inf, np.logaddexp2: -np.inf}
"""What a masked reduction without `initial` starts from."""


def _one_by_one(
    ufunc: np.ufunc,
    a: Any,
    axis: Any,
    keepdims: bool = False,
    initial: Any = np._NoValue,
    where: Any = True,
    **keywords: Any,
) -> Any:
    """A reduction as it is defined, along one axis, or along several brought together."""
    refuse_keywords(f"np.{ufunc.__name__}.reduce", keywords)
    axes = axis_tuple(axis, a.ndim)
    if len(axes) > 1 and ufunc not in _IN_ANY_ORDER:
        raise ValueError(
            f"reduction operation '{ufunc.__name__}' is not reorderable, so at most one axis may be specified"
        )
    if not axes:
        return a
    items = _items(_together(a, axes), 0)
    masks = [True] * len(items) if where is True else _items(_together(broadcast_to(where, a.shape), axes), 0)
    if initial is None or initial is np._NoValue:
        initial = _NOTHING.get(ufunc) if where is not True or not items else None
    found, start = initial, 0
    if found is None:
        if not items or where is not True:
            raise ValueError(f"reduction operation '{ufunc.__name__}' has no identity")
        found, start = items[0], 1
    for item, mask in zip(items[start:], masks[start:], strict=True):
        next_one = FUNCTIONS[ufunc](found, item)
        found = next_one if mask is True else choose(mask, next_one, found)
    return expand_dims(found, axes) if keepdims else found


def _together(a: Any, axes: tuple[int, ...]) -> Any:
    """The axes as one, in front."""
    if len(axes) == 1:
        return moveaxis(a, axes[0], 0)
    moved = moveaxis(a, axes, tuple(range(len(axes))))
    return reshape(moved, (-1, *moved.shape[len(axes) :]))


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
    return take_along_axis(a, cumulate.running_max(choose(record, number, 0), axis=axis), axis)


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
    left, right = array_operand(left), array_operand(right)
    return FUNCTIONS[ufunc](reshape(left, left.shape + (1,) * right.ndim), right, **keywords)


_METHODS: dict[str, Callable[..., Any]] = {
    "reduce": _reduce,
    "accumulate": _accumulate,
    "reduceat": _reduceat,
    "outer": _outer,
}
