"""Reductions that leave NaN out, under NumPy's signatures: nansum, nanmean, nanmax, ... Begin with `nansum`."""

from __future__ import annotations

from typing import Any

import numpy as np

from tracegrad.errors import UnsupportedError
from tracegrad.ops.compare import isnan, less_equal, logical_and, logical_not
from tracegrad.ops.compare import where as choose
from tracegrad.ops.families import conj, real
from tracegrad.ops.numpy_forms import answers, as_dtype, expand_to, known, operand
from tracegrad.ops.numpy_reduce import (
    all,
    any,
    argmax,
    argmin,
    cumprod,
    cumsum,
    degrees_of_freedom,
    max,
    mean,
    min,
    prod,
    root,
    std,
    sum,
    var,
)


def _filled(a: Any, value: float) -> Any:
    """`a` with `value` in place of NaN."""
    a = operand(a)
    return choose(isnan(a), value, a) if a.dtype.kind in "fc" else a


def _ordered(name: str, a: Any) -> Any:
    """The argument as an array of numbers that have an order, or a square of the same type."""
    a = operand(a)
    if a.dtype.kind == "c":
        raise UnsupportedError(
            f"`np.{name}` of complex numbers is not recorded.", None, "give real and imaginary parts apart"
        )
    return a


@answers(np.nansum)
def nansum(a: Any, axis: Any = None, dtype: Any = None, **options: Any) -> Any:
    return sum(_filled(a, 0.0), axis, dtype, **options)


@answers(np.nanprod)
def nanprod(a: Any, axis: Any = None, dtype: Any = None, **options: Any) -> Any:
    return prod(_filled(a, 1.0), axis, dtype, **options)


@answers(np.nancumsum)
def nancumsum(a: Any, axis: Any = None, dtype: Any = None) -> Any:
    return cumsum(_filled(a, 0.0), axis, dtype)


@answers(np.nancumprod)
def nancumprod(a: Any, axis: Any = None, dtype: Any = None) -> Any:
    return cumprod(_filled(a, 1.0), axis, dtype)


def _extreme(function: Any, worst: float, a: Any, axis: Any, options: dict[str, Any]) -> Any:
    """NaN where there is nothing else, and no `initial=`."""
    a = _ordered(f"nan{function.__name__}", a)
    found = function(_filled(a, worst), axis, **options)
    if a.dtype.kind != "f" or options["initial"] is not np._NoValue:
        return found
    return choose(all(isnan(a), axis, keepdims=options["keepdims"]), np.nan, found)


@answers(np.nanmax)
def nanmax(
    a: Any, axis: Any = None, *, keepdims: bool = False, initial: Any = np._NoValue, where: Any = True
) -> Any:
    return _extreme(max, -np.inf, a, axis, {"keepdims": keepdims, "initial": initial, "where": where})


@answers(np.nanmin)
def nanmin(
    a: Any, axis: Any = None, *, keepdims: bool = False, initial: Any = np._NoValue, where: Any = True
) -> Any:
    return _extreme(min, np.inf, a, axis, {"keepdims": keepdims, "initial": initial, "where": where})


def _arg_extreme(function: Any, worst: float, a: Any, axis: Any, keepdims: bool) -> Any:
    a = operand(a)
    nothing = all(isnan(a), axis)
    if known(any(nothing) if nothing.ndim else nothing):
        raise ValueError("All-NaN slice encountered")
    return function(_filled(a, worst), axis, keepdims=keepdims)


@answers(np.nanargmax)
def nanargmax(a: Any, axis: Any = None, *, keepdims: bool = False) -> Any:
    return _arg_extreme(argmax, -np.inf, a, axis, keepdims)


@answers(np.nanargmin)
def nanargmin(a: Any, axis: Any = None, *, keepdims: bool = False) -> Any:
    return _arg_extreme(argmin, np.inf, a, axis, keepdims)


def _count(a: Any, axis: Any, keepdims: bool, where: Any, dtype: Any) -> Any:
    """How many items are no NaN, and are not left out by `where=`."""
    inside = logical_not(isnan(a))
    if where is not True:
        inside = logical_and(inside, expand_to(operand(where), a.shape))
    return as_dtype(sum(inside, axis, keepdims=keepdims), dtype)


@answers(np.nanmean)
def nanmean(a: Any, axis: Any = None, dtype: Any = None, *, keepdims: bool = False, where: Any = True) -> Any:
    a = operand(a)
    if a.dtype.kind not in "fc":
        return mean(a, axis, dtype, keepdims=keepdims, where=where)
    total = nansum(a, axis, dtype, keepdims=keepdims, where=where)
    return total / _count(a, axis, keepdims, where, total.dtype)


@answers(np.nanvar)
def nanvar(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    *,
    ddof: float = 0,
    keepdims: bool = False,
    where: Any = True,
    mean: Any = None,
    correction: Any = None,
) -> Any:
    a, ddof = operand(a), degrees_of_freedom(ddof, correction)
    if a.dtype.kind not in "fc":
        return var(a, axis, dtype, ddof=ddof, keepdims=keepdims, where=where, mean=mean)
    center = nanmean(a, axis, dtype, keepdims=True, where=where) if mean is None else operand(mean)
    away = choose(isnan(a), 0.0, a - center)
    squares = real(away * conj(away)) if away.dtype.kind == "c" else away * away
    total = sum(squares, axis, dtype, keepdims=keepdims, where=where)
    left = _count(a, axis, keepdims, where, total.dtype) - ddof
    none = less_equal(left, 0)
    return choose(none, np.nan, total / choose(none, 1.0, left))


@answers(np.nanstd)
def nanstd(a: Any, axis: Any = None, dtype: Any = None, **options: Any) -> Any:
    if operand(a).dtype.kind not in "fc":
        return std(a, axis, dtype, **options)
    return root(nanvar(a, axis, dtype, **options))
