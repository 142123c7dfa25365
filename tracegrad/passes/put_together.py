"""A large array of which a part is written once is put together of that part and what lies around it.

    z = index_add(x, v, index=([1:-1],))    ->    z = concatenate(x[:1], x[1:-1] + v, x[-1:])

In the array text both copy the array once. In native text what is computed of arrays that are put together is computed
of their parts (`parts`), so there is no array; and the parts' derivatives are added to zeros in the loop that makes
them (`overlays`), not to a cotangent of the whole. A trace that is going to be differentiated goes in, and one with the
same values comes out. Begin with `put_together`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from tracegrad.ir.dce import drop_unused
from tracegrad.ir.trace import Instr, Step, Trace, Var
from tracegrad.ops.arithmetic import add
from tracegrad.ops.index import getitem, index_add, index_set, whole
from tracegrad.ops.reduce import mean, norm, sum_
from tracegrad.ops.shape import concatenate
from tracegrad.passes.parts import LARGE
from tracegrad.passes.rewrite import Made, Rule, Term, expression, rewrite

_WRITES = (index_add, index_set)
_SUMS = (sum_, mean, norm)


def put_together(trace: Trace) -> Trace:
    """Put arrays together that nothing but elementwise steps and sums are done with; a trace's own, not a loop's."""
    trace = drop_unused(trace)
    readers: dict[Var, list[Step]] = defaultdict(list)
    for step in trace.steps:
        for atom in step.inputs:
            if isinstance(atom, Var):
                readers[atom].append(step)
    written = [s for s in trace.steps if isinstance(s, Instr) and s.op in _WRITES]
    fresh = {s.outputs[0] for s in written}
    places = {
        s.outputs[0]: place
        for s in written
        if (place := _place(s)) is not None
        and s.inputs[0] not in fresh
        and _is_summed(s.outputs[0], place[0], readers, trace.outputs)
    }
    if not places:
        return trace

    def together(step: Instr, made: Made, counts: Any) -> Term | None:
        place = places.get(step.outputs[0])
        return None if place is None else _parts(step, *place)

    rules: tuple[Rule, ...] = (together,)
    return rewrite(trace, lambda op, heads: rules if op in _WRITES else ())


def _place(step: Instr) -> tuple[int, int, int] | None:
    """The one axis along which a large part is written, where it begins, and where it ends."""
    array, *slots, value = step.inputs
    shape = array.shape
    if slots or -1 in shape or not isinstance(array, Var) or value.dtype != array.dtype:
        return None
    index = whole(step.params["index"], len(shape))
    if len(index) != len(shape) or value.type.size < LARGE or not all(isinstance(p, slice) for p in index):
        return None
    ends = [part.indices(n) for part, n in zip(index, shape, strict=True)]
    cut = [k for k, (end, n) in enumerate(zip(ends, shape, strict=True)) if end != (0, n, 1)]
    if len(cut) != 1 or value.shape != tuple(len(range(*end)) for end in ends):
        return None
    first, last, by = ends[cut[0]]
    return (cut[0], first, last) if by == 1 else None


def _is_summed(array: Var, axis: int, readers: Mapping[Var, Sequence[Step]], outputs: Sequence[Any]) -> bool:
    """Whether all that is made of an array, element by element, is added up along an axis."""
    waiting, seen = [array], {array}
    others: set[Var] = set()
    while waiting:
        v = waiting.pop()
        if v in outputs:
            return False
        for reader in readers[v]:
            if not isinstance(reader, Instr):
                return False
            if reader.op in _SUMS and axis in (reader.params["axis"] or range(len(array.shape))):
                continue
            if reader.op.family != "elementwise" or reader.outputs[0].shape != array.shape:
                return False
            others.update(a for a in reader.inputs if isinstance(a, Var) and a.shape)
            waiting.extend(z for z in reader.outputs if z not in seen)
            seen.update(reader.outputs)
    return others <= seen


def _parts(step: Instr, axis: int, first: int, last: int) -> Term:
    """What lies before, the part, what lies after."""
    array, value = step.inputs[0], step.inputs[-1]

    def read(start: int, end: int) -> Term:
        return expression(getitem, array, index=(*(slice(None),) * axis, slice(start, end)))

    part = expression(add, read(first, last), value) if step.op is index_add else value
    before = [read(0, first)] if first else []
    after = [read(last, array.shape[axis])] if last < array.shape[axis] else []
    return expression(concatenate, *before, part, *after, axis=axis)
