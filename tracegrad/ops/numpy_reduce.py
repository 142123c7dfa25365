"""Reductions under NumPy's signatures: sum, mean, var, max, cumsum, argmax, sort, logsumexp and their kind."""

from __future__ import annotations

from typing import Any

import numpy as np

from tracegrad.errors import UnsupportedError
from tracegrad.ops import cumulate, reduce
from tracegrad.ops.arithmetic import add, divide, multiply
from tracegrad.ops.compare import not_equal
from tracegrad.ops.numpy_forms import answers, as_dtype, axis_number, axis_tuple, known, operand
from tracegrad.ops.shape import reshape


def _reduced(op: Any, a: Any, axis: Any, keepdims: bool, dtype: Any = None, **params: Any) -> Any:
    a = operand(a)
    if dtype is not None:
        a = as_dtype(a, dtype)
    return as_dtype(op(a, axis=axis_tuple(axis, a.ndim), keepdims=bool(keepdims), **params), dtype)


@answers(np.sum)
def sum(a: Any, axis: Any = None, dtype: Any = None, *, keepdims: bool = False) -> Any:
    return _reduced(reduce.sum_, a, axis, keepdims, dtype)


@answers(np.mean)
def mean(a: Any, axis: Any = None, dtype: Any = None, *, keepdims: bool = False) -> Any:
    return _reduced(reduce.mean, a, axis, keepdims, dtype)


@answers(np.prod)
def prod(a: Any, axis: Any = None, dtype: Any = None, *, keepdims: bool = False) -> Any:
    return _reduced(reduce.prod, a, axis, keepdims, dtype)


@answers(np.max, np.amax)
def max(a: Any, axis: Any = None, *, keepdims: bool = False) -> Any:
    return _reduced(reduce.max_, a, axis, keepdims)


@answers(np.min, np.amin)
def min(a: Any, axis: Any = None, *, keepdims: bool = False) -> Any:
    return _reduced(reduce.min_, a, axis, keepdims)


@answers(np.var)
def var(a: Any, axis: Any = None, dtype: Any = None, *, ddof: float = 0, keepdims: bool = False) -> Any:
    return _reduced(reduce.var, a, axis, keepdims, dtype, ddof=known(ddof))


@answers(np.std)
def std(a: Any, axis: Any = None, dtype: Any = None, *, ddof: float = 0, keepdims: bool = False) -> Any:
    return _reduced(reduce.std, a, axis, keepdims, dtype, ddof=known(ddof))


@answers(np.any)
def any(a: Any, axis: Any = None, *, keepdims: bool = False) -> Any:
    return _reduced(reduce.any_, a, axis, keepdims)


@answers(np.all)
def all(a: Any, axis: Any = None, *, keepdims: bool = False) -> Any:
    return _reduced(reduce.all_, a, axis, keepdims)


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


@answers(name="scipy.special.logsumexp")
def logsumexp(
    a: Any, axis: Any = None, b: Any = None, keepdims: bool = False, return_sign: bool = False
) -> Any:
    if b is not None or return_sign:
        raise UnsupportedError(
            "`scipy.special.logsumexp` is recorded without `b` and `return_sign`.",
            None,
            "add np.log(b) to `a` for b > 0",
        )
    return _reduced(reduce.logsumexp, _inexact(a), axis, keepdims)


def _inexact(a: Any) -> Any:
    a = operand(a)
    return a if a.dtype.kind in "fc" else add(a, 0.0)
