"""What is computed of the elements that a mask picks is computed where they lie, for native text.

    i = flatnonzero(reshape(mask))
    a = getitem(x, i // n, i % n)    ->    s = sum(where(mask, f(x), 0))
    s = sum(f(a))                          y = where(mask, g(x), 0)
    y = index_add(zeros, i // n, i % n, g(a))

So neither the places nor the elements are kept, and loops go through memory in order. That is done where a large mask
picks a good part of an array, and where nothing but floats is computed, by steps that compiled loops do for several
elements at once; if anything else is asked of the places or of the elements, all stays. Begin with `at_their_places`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tracegrad.ir.trace import Atom, Const, Instr, Step, Trace, Var
from tracegrad.ir.types import ArrayType
from tracegrad.ir.walk import map_control
from tracegrad.ops.arithmetic import add, floor_divide, power, remainder
from tracegrad.ops.compare import where
from tracegrad.ops.families import astype
from tracegrad.ops.index import Slot, flatnonzero, getitem, index_add, index_set
from tracegrad.ops.reduce import sum_
from tracegrad.ops.shape import reshape
from tracegrad.passes.structure import is_zeros

LARGE = 2**13  # elements of a mask that is worth a thought
PART = 4  # one of so many elements is picked, at least
HALF = 2  # so many where functions are computed of them
_QUICK = (
    *("add", "subtract", "multiply", "divide", "negative", "absolute", "sign", "square", "sqrt"),
    *("where", "maximum", "minimum", "clip", "astype", "logical_and", "logical_or", "logical_not"),
    *("greater", "greater_equal", "less", "less_equal", "equal", "not_equal"),
)


def at_their_places(trace: Trace) -> Trace:
    """Compute where they lie what is computed of the elements that masks pick, in the trace and in those it holds.

    Preserves the types of all values, and their values up to the order in which sums are taken.
    """
    trace = map_control(trace, at_their_places)
    for step in trace.steps:
        if isinstance(step, Instr) and step.op is flatnonzero:
            trace = _at_places_of(step, trace)
    return trace


def _at_places_of(found: Instr, trace: Trace) -> Trace:
    """The trace without the places that one step finds, if nobody needs them."""
    made = {v: step for step in trace.steps if isinstance(step, Instr) for v in step.outputs}
    readers: defaultdict[Atom, list[Step]] = defaultdict(list)
    for step in trace.steps:
        for atom in step.inputs:
            readers[atom].append(step)
    group = _group(found, made, readers)
    if group is None or not group.places.isdisjoint(trace.outputs):
        return trace
    instead: dict[Step, Sequence[Instr]] = {}
    for step in trace.steps:
        if step in group.steps or group.known.isdisjoint(step.inputs):
            continue
        new = group.instead(step) if isinstance(step, Instr) else None
        if new is None:
            return trace
        instead[step] = new
    if not group.known.isdisjoint(trace.outputs):
        return trace
    if group.functions and HALF * found.params["count"] < group.mask.type.size:
        return trace
    return replace(trace, steps=tuple(new for step in trace.steps for new in instead.get(step, (step,))))


def _group(found: Instr, made: dict[Var, Instr], readers: Any) -> _Group | None:
    """A mask with the places where it is true, along each axis; None where it is not worth it."""
    mask, place = found.inputs[0], found.outputs[0]
    by_axes = any(isinstance(r, Instr) and r.op in (remainder, floor_divide) for r in readers[place])
    maker = made.get(mask) if isinstance(mask, Var) else None
    if by_axes and maker is not None and maker.op is reshape:
        mask = maker.inputs[0]
    if mask.dtype.kind != "b" or -1 in mask.shape or mask.type.size < LARGE:
        return None
    if PART * found.params["count"] < mask.type.size:
        return None
    group = _Group(mask, made, {found})
    for axis in reversed(range(1, len(mask.shape))):
        before = None
        for step in readers[place]:
            by = step.inputs[-1]
            if not isinstance(by, Const) or by.shape or by.value != mask.shape[axis]:
                return None
            if step.op is remainder:
                group.axes[step.outputs[0]] = axis
            elif step.op is floor_divide:
                before = step.outputs[0]
            else:
                return None
            group.steps.add(step)
        if before is None:
            return None
        group.places.add(place)
        place = before
    group.axes[place] = 0
    group.places.update(group.axes)
    return group


@dataclass(eq=False)
class _Group:
    """The places where a mask is true, and what is computed of the elements there.

    Attributes
    ----------
    mask : of the shape that the elements lie in
    steps : which find the places
    axes : the places along each axis
    places : these, and what they are made of
    whole : for what is computed of the elements, the same of all
    functions : whether there is more than arithmetic
    """

    mask: Atom
    made: dict[Var, Instr]
    steps: set[Step]
    axes: dict[Atom, int] = field(default_factory=dict)
    places: set[Atom] = field(default_factory=set)
    whole: dict[Atom, Atom] = field(default_factory=dict)
    functions: bool = False

    @property
    def known(self) -> set[Atom]:
        return {*self.places, *self.whole}

    def instead(self, step: Instr) -> Sequence[Instr] | None:
        """What is computed in the place of a step that reads places or elements; None where that cannot be."""
        if step.op is getitem:
            return self._read(step)
        if step.op in (index_add, index_set):
            return self._written(step)
        if not self.places.isdisjoint(step.inputs):
            return None
        if step.op is sum_:
            return self._summed(step)
        return self._computed(step)

    def _read(self, step: Instr) -> Sequence[Instr] | None:
        source, *at = step.inputs
        if not self._is_here(step, at) or not _is_float(source):
            return None
        self.whole[step.outputs[0]] = source
        return ()

    def _computed(self, step: Instr) -> Sequence[Instr] | None:
        out, op = step.outputs[0], step.op
        if len(step.outputs) != 1 or (op.family != "elementwise" and op is not astype):
            return None
        if not _is_float(out) or any(a.shape and a not in self.whole for a in step.inputs):
            return None
        if op.name not in _QUICK and not _is_product(step):
            if op.vector is None:
                return None
            self.functions = True
        found = Var(ArrayType(self.mask.shape, out.dtype), out.name)
        self.whole[out] = found
        return (replace(step, inputs=tuple(self.whole.get(a, a) for a in step.inputs), outputs=(found,)),)

    def _summed(self, step: Instr) -> Sequence[Instr] | None:
        if step.params["axis"] != (0,) or step.params["keepdims"]:
            return None
        x = self.whole[step.inputs[0]]
        chosen = Var(ArrayType(self.mask.shape, x.dtype))
        axes = tuple(range(len(self.mask.shape)))
        return (
            Instr(where, (self.mask, x, Const(x.dtype.type(0))), (chosen,), {}, step.location),
            replace(step, inputs=(chosen,), params={**step.params, "axis": axes}),
        )

    def _written(self, step: Instr) -> Sequence[Instr] | None:
        source, *at, value = step.inputs
        if isinstance(value, Const) and not value.shape:
            value = Const(source.dtype.type(value.value))
        x = self.whole.get(value, value)
        if not self._is_here(step, at) or x.shape not in ((), self.mask.shape) or x.dtype != source.dtype:
            return None
        new: list[Instr] = []
        if step.op is index_add:
            empty = isinstance(source, Var) and is_zeros(source, self.made)
            source = Const(source.dtype.type(0)) if empty else source
            total = Var(step.outputs[0].type)
            new.append(Instr(add, (source, x), (total,), {}, step.location))
            x = total
        return (*new, Instr(where, (self.mask, x, source), step.outputs, {}, step.location))

    def _is_here(self, step: Instr, at: Sequence[Atom]) -> bool:
        """Whether the places of the mask are what is read or written of an array of its shape."""
        source = step.inputs[0]
        axes = [*range(len(self.mask.shape))]
        here = source.shape == self.mask.shape and source not in self.known
        slots = tuple(step.params["index"]) == tuple(map(Slot, axes))
        return here and slots and [self.axes.get(a) for a in at] == axes


def _is_float(x: Atom) -> bool:
    """Whether numbers of this kind are computed without an error, whatever they are."""
    return x.dtype.kind in "fb"


def _is_product(step: Instr) -> bool:
    """Whether it is `x ** 2`, or another power of few products."""
    by = step.inputs[-1]
    return step.op is power and isinstance(by, Const) and not by.shape and by.value in (2, 3, 4)
