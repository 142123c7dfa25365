"""Reductions under NumPy's signatures: sum, mean, var, max, cumsum, argmax, sort, logsumexp and their kind."""

from __future__ import annotations

from typing import Any

import numpy as np

from tracegrad.ops import cumulate, reduce
from tracegrad.ops.arithmetic import add, divide, multiply
from tracegrad.ops.compare import equal, logical_and, logical_not, logical_or, maximum, minimum, not_equal
from tracegrad.ops.compare import where as choose
from tracegrad.ops.elementary import sqrt
from tracegrad.ops.families import conj, real
from tracegrad.ops.numpy_forms import (
    answers,
    as_dtype,
    axis_number,
    axis_tuple,
    expand_to,
    is_number,
    known,
    operand,
    value,
)
from tracegrad.ops.shape import reshape


def _reduced(op: Any, a: Any, axis: Any, keepdims: bool, dtype: Any = None, **params: Any) -> Any:
    a = operand(a)
    if dtype is not None:
        a = as_dtype(a, dtype)
    return as_dtype(op(a, axis=_axes(op, a, axis), keepdims=bool(keepdims), **params), dtype)


def _axes(op: Any, a: Any, axis: Any) -> tuple[int, ...]:
    """The axes to reduce; reductions of NumPy's ufuncs take a number for one with a single axis."""
    if not a.ndim and op is not reduce.mean and not isinstance(axis, tuple) and axis in (0, -1):
        return ()
    return axis_tuple(axis, a.ndim)


def _only(a: Any, where: Any, otherwise: Any) -> Any:
    """`a` with `otherwise` in the places that `where=` leaves out."""
    a = operand(a)
    return a if where is True else choose(operand(where), a, otherwise)


@answers(np.sum)
def sum(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    *,
    keepdims: bool = False,
    initial: Any = 0,
    where: Any = True,
) -> Any:
    found = _reduced(reduce.sum_, _only(a, where, 0), axis, keepdims, dtype)
    return found if is_number(initial, 0) else add(found, value(initial))


@answers(np.mean)
def mean(a: Any, axis: Any = None, dtype: Any = None, *, keepdims: bool = False, where: Any = True) -> Any:
    if where is True:
        return _reduced(reduce.mean, a, axis, keepdims, dtype)
    a = operand(a)
    kind = np.dtype(np.float64 if a.dtype.kind in "iub" else a.dtype) if dtype is None else dtype
    return as_dtype(
        sum(a, axis, kind, keepdims=keepdims, where=where) / _count(a, axis, keepdims, where), kind
    )


@answers(np.prod)
def prod(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    *,
    keepdims: bool = False,
    initial: Any = 1,
    where: Any = True,
) -> Any:
    found = _reduced(reduce.prod, _only(a, where, 1), axis, keepdims, dtype)
    return found if is_number(initial, 1) else multiply(found, value(initial))


def _extreme(op: Any, ufunc: Any, a: Any, axis: Any, keepdims: bool, initial: Any, where: Any) -> Any:
    """The extreme of `a` and of `initial`, which is all that is left where nothing else is."""
    a = operand(a)
    if initial is np._NoValue:
        if where is True:
            return _reduced(op, a, axis, keepdims)
        raise ValueError(
            f"reduction operation '{ufunc.name}' does not have an identity, so to use a where mask one has to specify "
            "'initial'"
        )
    initial = value(initial)
    lengths = [a.shape[k] for k in _axes(op, a, axis)]
    if 0 in lengths:
        shape = reduce.reduced_shape(a.shape, _axes(op, a, axis), keepdims)
        return expand_to(as_dtype(operand(initial), a.dtype), shape)
    limits = np.finfo(a.dtype) if a.dtype.kind == "f" else np.iinfo(a.dtype)
    last = limits.min if op is reduce.max_ else limits.max
    worst = float(np.copysign(np.inf, last)) if a.dtype.kind == "f" else int(last)
    return as_dtype(ufunc(_reduced(op, _only(a, where, worst), axis, keepdims), initial), a.dtype)


@answers(np.max, np.amax)
def max(
    a: Any, axis: Any = None, *, keepdims: bool = False, initial: Any = np._NoValue, where: Any = True
) -> Any:
    return _extreme(reduce.max_, maximum, a, axis, keepdims, initial, where)


@answers(np.min, np.amin)
def min(
    a: Any, axis: Any = None, *, keepdims: bool = False, initial: Any = np._NoValue, where: Any = True
) -> Any:
    return _extreme(reduce.min_, minimum, a, axis, keepdims, initial, where)


def _count(a: Any, axis: Any, keepdims: bool, where: Any) -> Any:
    """How many items `where=` leaves, in the dtype of the result."""
    left = sum(expand_to(operand(where), a.shape), axis, keepdims=keepdims)
    return as_dtype(left, a.dtype if a.dtype.kind in "fc" else np.float64)


def degrees_of_freedom(ddof: Any, correction: Any) -> Any:
    """What `ddof=`, or `correction=` by its newer name, takes from the number of items."""
    if correction is None:
        return known(ddof)
    if ddof:
        raise ValueError("ddof and correction can't be provided simultaneously.")
    return known(correction)


@answers(np.var)
def var(
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
    ddof = degrees_of_freedom(ddof, correction)
    if where is True and mean is None:
        return _reduced(reduce.var, a, axis, keepdims, dtype, ddof=ddof)
    a = operand(a)
    if dtype is not None:
        a = as_dtype(a, dtype)
    away = a - (_mean(a, axis, keepdims=True, where=where) if mean is None else operand(mean))
    squares = real(multiply(away, conj(away))) if away.dtype.kind == "c" else multiply(away, away)
    left = maximum(_count(real(a) if a.dtype.kind == "c" else a, axis, keepdims, where) - ddof, 0)
    return as_dtype(sum(squares, axis, keepdims=keepdims, where=where) / left, dtype)


_mean = mean


@answers(np.std)
def std(
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
    if where is True and mean is None:
        return _reduced(reduce.std, a, axis, keepdims, dtype, ddof=degrees_of_freedom(ddof, correction))
    squared = var(a, axis, dtype, ddof=ddof, keepdims=keepdims, where=where, mean=mean, correction=correction)
    return root(squared)


def root(x: Any) -> Any:
    """The square root of something that is never negative, with derivative 0 at 0."""
    flat = equal(x, 0)
    return choose(flat, 0.0, sqrt(choose(flat, 1.0, x)))


@answers(np.any)
def any(a: Any, axis: Any = None, *, keepdims: bool = False, where: Any = True) -> Any:
    a = operand(a)
    return _reduced(reduce.any_, a if where is True else logical_and(a, operand(where)), axis, keepdims)


@answers(np.all)
def all(a: Any, axis: Any = None, *, keepdims: bool = False, where: Any = True) -> Any:
    a = operand(a)
    left_out = a if where is True else logical_or(a, logical_not(operand(where)))
    return _reduced(reduce.all_, left_out, axis, keepdims)


@answers(np.ptp)
def ptp(a: Any, axis: Any = None, *, keepdims: bool = False) -> Any:
    return max(a, axis, keepdims=keepdims) - min(a, axis, keepdims=keepdims)


@answers(np.count_nonzero)
def count_nonzero(a: Any, axis: Any = None, *, keepdims: bool = False) -> Any:
    return sum(not_equal(operand(a), 0), axis, keepdims=keepdims)


@answers(np.average)
def average(
    a: Any, axis: Any = None, weights: Any = None, returned: bool = False, *, keepdims: bool = False
) -> Any:
    a = operand(a)
    if weights is None:
        found = mean(a, axis, keepdims=keepdims)
        return (found, found * 0 + a.size / found.size) if returned else found
    weights = operand(weights)
    if weights.shape != a.shape:
        if weights.ndim != 1 or axis is None or isinstance(axis, tuple):
            raise TypeError("Axis must be specified when shapes of a and weights differ.")
        k = axis_number(axis, a.ndim)
        if weights.shape[0] != a.shape[k]:
            raise ValueError("Shape of weights must be consistent with shape of a along specified axis.")
        weights = reshape(weights, shape=tuple(weights.shape[0] if j == k else 1 for j in range(a.ndim)))
        total = sum(weights)
    else:
        total = sum(weights, axis, keepdims=keepdims)
    found = divide(sum(multiply(a, weights), axis, keepdims=keepdims), total)
    return (found, found * 0 + total) if returned else found


def _arg_extreme(op: Any, a: Any, axis: Any, keepdims: bool) -> Any:
    if isinstance(axis, tuple):
        raise TypeError("'tuple' object cannot be interpreted as an integer")
    return _reduced(op, a, axis, keepdims)


@answers(np.argmax)
def argmax(a: Any, axis: Any = None, *, keepdims: bool = False) -> Any:
    return _arg_extreme(reduce.argmax, a, axis, keepdims)


@answers(np.argmin)
def argmin(a: Any, axis: Any = None, *, keepdims: bool = False) -> Any:
    return _arg_extreme(reduce.argmin, a, axis, keepdims)


def _along(op: Any, a: Any, axis: Any, dtype: Any) -> Any:
    a = operand(a)
    if axis is None or a.ndim == 0:
        a, axis = reshape(a, shape=(a.size,)), 0
    if dtype is not None:
        a = as_dtype(a, dtype)
    return as_dtype(op(a, axis=axis_number(axis, a.ndim)), dtype)


@answers(np.cumsum)
def cumsum(a: Any, axis: Any = None, dtype: Any = None) -> Any:
    return _along(cumulate.cumsum, a, axis, dtype)


@answers(np.cumprod)
def cumprod(a: Any, axis: Any = None, dtype: Any = None) -> Any:
    return _along(cumulate.cumprod, a, axis, dtype)


@answers(np.argsort)
def argsort(a: Any, axis: Any = -1) -> Any:
    return _along(cumulate.argsort, a, axis, None)


@answers(name="np.logaddexp.reduce")
def logsumexp(a: Any, axis: Any = None, keepdims: bool = False) -> Any:
    return _reduced(reduce.logsumexp, _inexact(a), axis, keepdims)


def _inexact(a: Any) -> Any:
    a = operand(a)
    return a if a.dtype.kind in "fc" else add(a, 0.0)
