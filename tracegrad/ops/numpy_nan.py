"""Reductions that leave NaN out, under NumPy's signatures: nansum, nanmean, nanmax, ... Begin with `nansum`."""

from __future__ import annotations

from typing import Any

import numpy as np

from tracegrad.errors import UnsupportedError
from tracegrad.ops.compare import isnan, less_equal, logical_not, where
from tracegrad.ops.numpy_forms import answers, as_dtype, known, operand
from tracegrad.ops.numpy_reduce import (
    all,
    any,
    argmax,
    argmin,
    cumprod,
    cumsum,
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
    return where(isnan(a), value, a) if a.dtype.kind in "fc" else a


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


def _extreme(function: Any, worst: float, a: Any, axis: Any, keepdims: bool) -> Any:
    a = _ordered(f"nan{function.__name__}", a)
    found = function(_filled(a, worst), axis, keepdims=keepdims)
    return where(all(isnan(a), axis, keepdims=keepdims), np.nan, found) if a.dtype.kind == "f" else found


@answers(np.nanmax)
def nanmax(a: Any, axis: Any = None, *, keepdims: bool = False) -> Any:
    return _extreme(max, -np.inf, a, axis, keepdims)


@answers(np.nanmin)
def nanmin(a: Any, axis: Any = None, *, keepdims: bool = False) -> Any:
    return _extreme(min, np.inf, a, axis, keepdims)


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


def _count(a: Any, axis: Any, keepdims: bool) -> Any:
    return as_dtype(sum(logical_not(isnan(a)), axis, keepdims=keepdims), a.dtype)


@answers(np.nanmean)
def nanmean(a: Any, axis: Any = None, dtype: Any = None, *, keepdims: bool = False) -> Any:
    a = operand(a)
    if a.dtype.kind not in "fc":
        return mean(a, axis, dtype, keepdims=keepdims)
    return nansum(a, axis, dtype, keepdims=keepdims) / _count(a, axis, keepdims)


@answers(np.nanvar)
def nanvar(a: Any, axis: Any = None, dtype: Any = None, *, ddof: float = 0, keepdims: bool = False) -> Any:
    a = _ordered("nanvar", a)
    if a.dtype.kind != "f":
        return var(a, axis, dtype, ddof=ddof, keepdims=keepdims)
    away = where(isnan(a), 0.0, a - nanmean(a, axis, dtype, keepdims=True))
    left = _count(a, axis, keepdims) - known(ddof)
    none = less_equal(left, 0)
    return where(none, np.nan, sum(away * away, axis, keepdims=keepdims) / where(none, 1.0, left))


@answers(np.nanstd)
def nanstd(a: Any, axis: Any = None, dtype: Any = None, *, ddof: float = 0, keepdims: bool = False) -> Any:
    if _ordered("nanstd", a).dtype.kind != "f":
        return std(a, axis, dtype, ddof=ddof, keepdims=keepdims)
    return root(nanvar(a, axis, dtype, ddof=ddof, keepdims=keepdims))
