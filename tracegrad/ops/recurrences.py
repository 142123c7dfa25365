"""Linear recurrences along an axis: what running products are differentiated with, and recursive filters.

With y the forward and s the backward solution of

    y_k = x_k y_{k-1} + b_k,        s_k = b_k + x_{k+1} s_{k+1},

the two are each other's transpose in b, and both have the derivative y_{k-1} s_k in x_k if the other one is solved for
the cotangent. So a running product z is differentiated by one of them in either mode, in as many steps as it has
elements, whether there are zeros or not, and to any order. `axis` is one non-negative axis. Begin with `recurrence`.

A filter that feeds back what it gave is the same with fixed factors and more of them: its transpose is itself, run from
the last sample to the first, see `fed_back`.
"""

from __future__ import annotations

import functools
import importlib
from typing import Any

import numpy as np

from tracegrad.ir.trace import Instr
from tracegrad.ir.types import ArrayType, promote
from tracegrad.kernels import vectors
from tracegrad.kernels.reductions import recurrence_blocks
from tracegrad.ops.families import case, cast
from tracegrad.ops.index import getitem, zeros_like
from tracegrad.ops.op import Op
from tracegrad.ops.reduce import sum_
from tracegrad.ops.shape import concatenate, flip, stack
from tracegrad.ops.strides import memory_blocks

WIDE = 8  # rows of so many elements are computed by NumPy, a row at a time; shorter ones number by number


def solved(x: Any, b: Any, axis: int, backwards: bool) -> Any:
    """The solution, one place after the other."""
    x, b = np.moveaxis(np.asarray(x), axis, 0), np.moveaxis(np.asarray(b), axis, 0)
    if backwards:
        x, b = np.roll(x, -1, axis=0)[::-1], b[::-1]
    out = np.empty(b.shape, promote(x.dtype, b.dtype))
    if b[:1].size >= WIDE:
        out[0] = b[0]
        for k in range(1, len(b)):
            out[k] = x[k] * out[k - 1] + b[k]
    elif out.size:
        for column in np.ndindex(b.shape[1:]):
            place = (slice(None), *column)
            out[place] = _row(x[place].tolist(), b[place].tolist())
    return np.moveaxis(out[::-1] if backwards else out, 0, axis)


def _row(x: list[Any], b: list[Any]) -> list[Any]:
    found = b[:1]
    last = b[0]
    for factor, term in zip(x[1:], b[1:], strict=True):
        last = factor * last + term
        found.append(last)
    return found


def shifted(y: Any, axis: int, start: Any) -> Any:
    """What stands one place before along an axis; `start` before the first."""
    n, lead = y.shape[axis], (slice(None),) * axis
    if not n:
        return y
    first = zeros_like(getitem(y, index=(*lead, slice(0, 1))))
    return concatenate(
        first + start if start else first, getitem(y, index=(*lead, slice(0, n - 1))), axis=axis
    )


def _shifted_back(y: Any, axis: int) -> Any:
    n, lead = y.shape[axis], (slice(None),) * axis
    if not n:
        return y
    last = zeros_like(getitem(y, index=(*lead, slice(0, 1))))
    return concatenate(getitem(y, index=(*lead, slice(1, n))), last, axis=axis)


def _vjp(g: Any, y: Any, x: Any, b: Any, axis: int, backwards: bool) -> tuple[Any, ...]:
    g = cast(g, y.dtype)
    found = recurrence(x, g, axis=axis, backwards=not backwards)
    forward, backward = (found, y) if backwards else (y, found)
    return cast(shifted(forward, axis, 0) * backward, x.dtype), cast(found, b.dtype)


def _jvp(tangents: Any, y: Any, x: Any, b: Any, axis: int, backwards: bool) -> Any:
    x_dot, b_dot = tangents
    if x_dot is not None:
        moved = _shifted_back(x_dot * y, axis) if backwards else x_dot * shifted(y, axis, 0)
        b_dot = moved if b_dot is None else moved + b_dot
    return cast(recurrence(x, b_dot, axis=axis, backwards=backwards), y.dtype)


def _native(instr: Instr) -> Any:
    out, params = instr.outputs[0], instr.params
    blocks = memory_blocks(out.shape, params["axis"])
    return recurrence_blocks, *blocks, params["backwards"], out.dtype.type(0)


recurrence: Op = Op(
    "recurrence",
    solved,
    result_type=lambda x, b, axis, backwards: ArrayType(x.shape, promote(x.dtype, b.dtype)),
    vjp=_vjp,
    jvp=_jvp,
    callee="recurrences.solved",
    imports="from tracegrad.ops import recurrences",
    native=_native,
    sample=(
        case((4,), (4,), axis=0, backwards=False),
        case((4,), (4,), axis=0, backwards=True),
        case((3, 2), (3, 2), axis=0, backwards=False),
        case((2, 3), (2, 3), axis=1, backwards=True),
        case((2, 3, 2), (2, 3, 2), axis=1, backwards=False),
        case((3, 9), (3, 9), axis=0, backwards=True),
        case((1,), (1,), axis=0, backwards=True),
        case((0, 2), (0, 2), axis=0, backwards=False),
    ),
)
"""y_k = x_k y_{k-1} + b_k from the first place on, or backwards y_k = x_{k+1} y_{k+1} + b_k from the last: the first x
there is not read. Both have one shape."""


@functools.cache
def _signals() -> Any:
    return importlib.import_module("scipy.signal")


def filtered(a: Any, x: Any) -> Any:
    """`scipy.signal.lfilter` of columns, with nothing but feedback."""
    a = np.concatenate((np.ones(1, a.dtype), a[1:]))
    return _signals().lfilter(a[:1], a, x, axis=0) if np.size(x) else np.array(x, promote(a.dtype, x.dtype))


def _delayed(y: Any, count: int) -> Any:
    """What stands so many places before; 0 before the first."""
    n = y.shape[0]
    before = zeros_like(getitem(y, index=(slice(0, count),)))
    return concatenate(before, getitem(y, index=(slice(0, max(n - count, 0)),)), axis=0)


def _fed_back_vjp(g: Any, y: Any, a: Any, x: Any) -> tuple[Any, ...]:
    x_bar = flip(fed_back(a, flip(g, axis=(0,))), axis=(0,))
    parts = [-sum_(x_bar * _delayed(y, k), axis=(0, 1), keepdims=False) for k in range(1, a.shape[0])]
    a_bar = stack(zeros_like(getitem(a, index=(0,))), *parts, axis=0)
    return cast(a_bar, a.dtype), cast(x_bar, x.dtype)


def _fed_back_jvp(tangents: Any, y: Any, a: Any, x: Any) -> Any:
    a_dot, driven = tangents
    if a_dot is not None:
        for k in range(1, a.shape[0]):
            term = -(getitem(a_dot, index=(k,)) * _delayed(y, k))
            driven = term if driven is None else driven + term
    return cast(fed_back(a, zeros_like(y) if driven is None else driven), y.dtype)


fed_back: Op = Op(
    "fed_back",
    filtered,
    result_type=lambda a, x: ArrayType(x.shape, promote(a.dtype, x.dtype)),
    vjp=_fed_back_vjp,
    jvp=_fed_back_jvp,
    callee="recurrences.filtered",
    imports="from tracegrad.ops import recurrences",
    native=lambda instr: len({x.dtype for x in instr.inputs}) == 1 and (vectors.fed_back,),
    sample=(
        case((3,), (5, 2)),
        case((2,), (4, 1)),
        case((4,), (2, 3)),
        case((1,), (3, 2)),
        case((2,), (0, 2)),
    ),
)
"""Columns y with y[n] + a[1] y[n - 1] + a[2] y[n - 2] ... = x[n]; the first coefficient is not read."""
