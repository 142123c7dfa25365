"""Arrays of indices as positions that are surely inside their axis, for the native text, which checks none itself.

A read or a write at arrays of indices comes in; out comes the same at arrays that are checked and counted from the
start, once for all that use them. So loops over elements read `x[rows[i], j]` without asking. Begin with
`checked_arrays`.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import numpy as np

from tracegrad.ir.trace import Atom, Const, Instr, Var
from tracegrad.ops.arithmetic import floor_divide, remainder
from tracegrad.ops.compare import maximum, minimum
from tracegrad.ops.families import astype
from tracegrad.ops.index import Slot, flatnonzero, getitem, index_arrays, inside, whole
from tracegrad.passes.rewrite import Made, Term, expression

_SURE = {"argsort", "argmax", "argmin"}
"""Ops whose results are indices of the axis they name."""


def checked_arrays(step: Instr, made: Made, counts: Counter[Var]) -> Term | None:
    """x[i, j] with arrays i, j -> x[inside(i), inside(j)], where it is not known that they are; so for writes"""
    arrays = index_arrays(step)
    if not any(a.shape for a in arrays) or any(-1 in a.shape for a in step.inputs):
        return None
    found: list[Any] = list(arrays)
    for axis, part in enumerate(
        p for p in whole(step.params["index"], len(step.inputs[0].shape)) if p is not None
    ):
        if isinstance(part, Slot):
            k = part.number
            found[k] = _inside(found[k], step.inputs[0].shape[axis], axis, made)
    if all(a is b for a, b in zip(found, arrays, strict=True)):
        return None
    rest = step.inputs[1 + len(arrays) :] if step.op is not getitem else ()
    return expression(step.op, step.inputs[0], *found, *rest, **step.params)


def _inside(index: Atom, length: int, axis: int, made: Made) -> Any:
    """The indices from the start of the axis; themselves where that is known."""
    if isinstance(index, Const):
        value = np.asarray(index.value)
        if ((value >= 0) & (value < length)).all():
            return index
        if ((value >= -length) & (value < length)).all():
            return Const(np.where(value < 0, value + length, value).astype(np.intp))
    else:
        maker = made.get(index)
        if maker is not None and maker.op is inside:
            return index
        until = _until(index, made)
        if until is not None and until <= length:
            return index
    wide = index if index.dtype == np.intp else expression(astype, index, dtype=np.dtype(np.intp))
    return expression(inside, wide, length=length, axis=axis)


def _until(index: Atom, made: Made) -> int | None:
    """All of the indices are from zero to below this; None where that is not known."""
    maker = made.get(index) if isinstance(index, Var) else None
    if maker is None:
        return None
    if maker.op.name in _SURE:
        axis = maker.params["axis"]
        return math.prod(maker.inputs[0].shape[k] for k in ([axis] if isinstance(axis, int) else axis))
    if maker.op is flatnonzero:
        return maker.inputs[0].type.size
    by = maker.inputs[-1]
    if maker.op is minimum and isinstance(by, Const) and not by.shape and by.value >= 0:
        return int(by.value) + 1 if _is_counted(maker.inputs[0], made) else None
    if maker.op not in (remainder, floor_divide) or not isinstance(by, Const) or by.shape or by.value <= 0:
        return None
    until, divisor = _until(maker.inputs[0], made), int(by.value)
    if until is None:
        return None
    return min(until, divisor) if maker.op is remainder else -(-until // divisor)


def _is_counted(index: Atom, made: Made) -> bool:
    """Whether none of the indices is negative, as they are the larger ones of themselves and a constant."""
    maker = made.get(index) if isinstance(index, Var) else None
    if maker is None or maker.op is not maximum:
        return _until(index, made) is not None
    least = maker.inputs[-1]
    return isinstance(least, Const) and not least.shape and bool(least.value >= 0)
