"""What arrays of indices pick of what is computed is computed of what they pick, for the native text.

`(x - top - log(total))[rows, labels]` reads a few elements of x and subtracts from those: the large difference
is not made, if nobody wants more of it. The reverse adds a few numbers to zeros, and the sums of rows that follow are
these numbers added to fewer zeros. A step comes in, a term goes out; each element is computed as it was. Begin with
`picked_first`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

from tracegrad.ir.trace import Atom, Instr, Var
from tracegrad.ops.families import broadcast_to
from tracegrad.ops.index import Slot, getitem, index_add, index_arrays, item_shape, whole, zeros
from tracegrad.passes.rewrite import Made, Term, expression

FEW = 8  # times less than what is there
LARGE = 2**12  # elements that are worth it
MOST = 8  # steps before what is picked


def picked_first(step: Instr, made: Made, counts: Counter[Var]) -> Term | None:
    """(x - y)[i, j] -> x[i, j] - y[i, j], where arrays pick few of the elements"""
    source, *arrays = step.inputs
    index, maker = _leading(step), made.get(source) if isinstance(source, Var) else None
    if index is None or maker is None or maker.op.family != "elementwise" or len(maker.outputs) > 1:
        return None
    size = source.type.size
    if size < LARGE or FEW * step.outputs[0].type.size > size or _depth(source, made) > MOST:
        return None
    picked = [_picked(x, index, source.type.ndim, arrays) for x in maker.inputs]
    return expression(maker.op, *picked, **maker.params)


def _leading(step: Instr) -> list[Any] | None:
    """The index of a read or write for each axis, where arrays stand for the first axes and the others are whole.

    So arrays that repeat along an axis are read without the array for that axis: axes are counted from the last one.
    """
    ndim = step.inputs[0].type.ndim
    index = whole(step.params["index"], ndim)
    arrays = [p for p in index if isinstance(p, Slot)]
    plain = len(index) == ndim and all(p == slice(None) for p in index[len(arrays) :])
    shaped = all(a.shape for a in index_arrays(step)) and all(-1 not in a.shape for a in step.inputs)
    return index if arrays and plain and shaped and len(index_arrays(step)) == len(arrays) else None


def _depth(atom: Atom, made: Made) -> int:
    """How many elementwise steps of its size make an array, each of one before; more than `MOST` of them are not
    counted."""
    depth, waiting = 0, [atom]
    while waiting and depth <= MOST:
        makers = [made.get(a) for a in waiting if isinstance(a, Var)]
        found = [m for m in makers if m is not None and m.op.family == "elementwise"]
        waiting = list(dict.fromkeys(a for m in found for a in m.inputs if a.shape == atom.shape))
        depth += len(found)
    return depth


def _picked(x: Any, index: Sequence[Any], ndim: int, arrays: Sequence[Any]) -> Any:
    """What an index of `ndim` axes picks of an array that repeats along those it does not have."""
    if not x.shape:
        return x
    own = index[ndim - x.type.ndim :]
    kept: list[Any] = []
    parts: list[Any] = []
    for part, n in zip(own, x.shape, strict=True):
        if isinstance(part, Slot) and n != 1:
            kept.append(arrays[part.number])
            part = Slot(len(kept) - 1)
        parts.append(0 if isinstance(part, Slot) and n == 1 else part)
    while parts and parts[-1] == slice(None):
        parts.pop()
    return expression(getitem, x, *kept, index=tuple(parts)) if parts else x


def sum_of_added(step: Instr, made: Made, counts: Counter[Var]) -> Term | None:
    """sum over axis 1 of zeros with v added at [i, j] -> zeros with v added at [i], where v is small"""
    source = step.inputs[0]
    adds = made.get(source) if isinstance(source, Var) else None
    if adds is None or adds.op is not index_add or source.type.size < LARGE:
        return None
    target, *arrays, value = adds.inputs
    zero = made.get(target) if isinstance(target, Var) else None
    index = _leading(adds)
    if zero is None or zero.op is not zeros or index is None or value.dtype != source.dtype:
        return None
    axes, gone = _summed(step)
    kept = [k for k, p in enumerate(index) if isinstance(p, Slot) and k not in axes]
    picked = tuple(item_shape(adds))
    if not axes or not kept or not all(isinstance(index[k], Slot) for k in axes):
        return None
    if FEW * math.prod(picked) > source.type.size or len({a.shape for a in arrays}) > 1:
        return None
    added: Any = value if value.shape == picked else expression(broadcast_to, value, shape=picked)
    slots = {k: Slot(number) for number, k in enumerate(kept)}
    places = [0 if k in axes else slots.get(k, part) for k, part in enumerate(index) if k not in gone]
    empty = expression(zeros, shape=tuple(step.outputs[0].shape), dtype=source.dtype)
    return expression(index_add, empty, *(arrays[index[k].number] for k in kept), added, index=tuple(places))


def _summed(step: Instr) -> tuple[Sequence[int], Sequence[int]]:
    """The axes over which a step sums, and those of them that its result has not."""
    if "axis" in step.params:
        axes = tuple(step.params["axis"])
        return axes, () if step.params["keepdims"] else axes
    given, shape = step.inputs[0].shape, step.outputs[0].shape
    lead = len(given) - len(shape)
    return tuple(k for k, n in enumerate(given) if k < lead or shape[k - lead] != n), range(lead)
