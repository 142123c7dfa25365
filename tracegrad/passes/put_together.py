"""What is computed of large arrays that are put together is computed of their parts, before it is differentiated.

    p = concatenate(x[:1], x)                     p = x[:1] | x
    d = subtract(p[1:], p[:-1])            ->     d = subtract(x[:1], x[:1]) | subtract(x[1:], x[:-1])
    s = sum(d)                                    s = add(sum(d_1), sum(d_2))

An array that is put together (`concatenate`, `pad`, a part that is written) is a list of *boxes*: where each begins,
its shape, and in which array its elements lie. Reads of slices cut boxes, elementwise steps are done for each part in
which no operand changes its box, sums are added up; so long as nothing else is done with such an array, it is never
made. The derivatives of the parts are added to zeros in the loops that make them (`overlays`), not to a cotangent of
the whole. Where all arrays have the same seams, the array text stays as it is, and native text alone goes by parts
(`parts`). A trace that is going to be differentiated goes in, and one with the same values comes out, up to the order
in which sums are taken. Begin with `put_together`.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from itertools import product
from typing import Any

from tracegrad.ir.close import substitute, substituted
from tracegrad.ir.dce import drop_unused
from tracegrad.ir.location import Location
from tracegrad.ir.trace import Atom, Const, Instr, Step, Trace, Var
from tracegrad.ir.types import ArrayType
from tracegrad.ops.arithmetic import add, divide, multiply
from tracegrad.ops.families import broadcast_to
from tracegrad.ops.index import full_like, getitem, index_add, index_set, zeros, zeros_like
from tracegrad.ops.op import Op
from tracegrad.ops.reduce import mean, norm, sum_
from tracegrad.ops.shape import concatenate, copy, expand_dims, pad, tile
from tracegrad.passes.boxes import Box, Boxes, Region, Whole, all_of, common, is_number, outside, place
from tracegrad.passes.parts import LARGE
from tracegrad.passes.rewrite import strong

BORDERED = 2**16  # elements of an array written in small parts, or tiled: of fewer a copy is quicker
SMALL = 8  # times as large is an array of which a part is computed again, rather than read
ROUNDS = 16  # each makes one more array whole, or a seam finer; most traces need two
MANY = 9  # boxes of an array: what a frame of one element makes of a stencil in two dimensions

_JOINS = (concatenate, pad, tile)
_WRITES = (index_add, index_set)


def put_together(trace: Trace) -> Trace:
    """Compute of parts what is computed of large arrays that are put together; a trace's own, not a loop's."""
    if not any(isinstance(s, Instr) and s.op in (*_JOINS, *_WRITES) for s in trace.steps):
        return trace
    trace = drop_unused(trace)
    readers: dict[Var, list[Step]] = defaultdict(list)
    for step in trace.steps:
        for atom in step.inputs:
            if isinstance(atom, Var):
                readers[atom].append(step)
    whole: set[Var] = {a for a in trace.outputs if isinstance(a, Var)}
    seams: dict[Var, Sequence[Region]] = {}
    apart: set[Var] = set()
    for _ in range(ROUNDS):
        parts = _Parts(trace, readers, whole, dict(seams), apart)
        lost = parts.written()
        if lost:
            whole, seams, apart = whole | parts.before_all(lost), {}, set()
        elif parts.seams != seams or parts.boxes.keys() != apart:
            seams, apart = parts.seams, set(parts.boxes)
        else:
            return drop_unused(parts.trace()) if parts.worthwhile else trace
    return trace


@dataclass
class _Parts:
    """A trace by parts, as it is written: the boxes of arrays that are not made, what stands for others, and the steps.

    `whole` are the arrays that are known to be needed, `seams` the regions in which elementwise steps are done since
    later ones are: so no part is read of what was computed of more. `apart` are the arrays that had boxes last time.
    """

    before: Trace
    readers: Mapping[Var, Sequence[Step]]
    whole: set[Var]
    seams: dict[Var, Sequence[Region]]
    apart: set[Var]
    boxes: dict[Var, Boxes] = field(default_factory=dict)
    stands: dict[Var, Atom] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)
    made: dict[Var, Instr] = field(default_factory=dict)
    each: dict[Var, Instr] = field(default_factory=dict)  # the elementwise steps of arrays that are not made
    read: dict[tuple[Atom, Region], Atom] = field(default_factory=dict)
    by_parts: dict[Var, bool] = field(default_factory=dict)
    worthwhile: bool = False  # whether boxes are cut: seams lie in several places, or a part is written
    location: Location | None = None

    def trace(self) -> Trace:
        outputs = tuple(substituted(a, self.stands) for a in self.before.outputs)
        return replace(self.before, steps=tuple(self.steps), outputs=outputs)

    def written(self) -> set[Var]:
        """Write all steps; which arrays turn out to be needed whole, so that it has to be done again without their
        boxes."""
        for step in self.before.steps:
            inputs = [a for a in step.inputs if isinstance(a, Var) and a in self.boxes]
            if isinstance(step, Instr):
                self.location = step.location
                rule = self._rule(step, bool(inputs))
                try:
                    if rule is not None:
                        rule(step)
                        continue
                except Whole:
                    pass
            if inputs:
                return set(inputs)
            step = substitute(step, self.stands)
            self.steps.append(step)
            if isinstance(step, Instr):
                self.made.update((v, step) for v in step.outputs)
        return set()

    def before_all(self, arrays: set[Var]) -> set[Var]:
        """Arrays with boxes, and all with boxes that they are made of."""
        found = set(arrays)
        for step in reversed(self.before.steps):
            if isinstance(step, Instr) and not found.isdisjoint(step.outputs):
                found.update(a for a in step.inputs if isinstance(a, Var) and a in self.boxes)
        return found

    def _rule(self, step: Instr, apart: bool) -> Callable[[Instr], None] | None:
        """How a step is written by parts; None where it is not."""
        if len(step.outputs) != 1 or any(-1 in a.shape for a in (*step.inputs, *step.outputs)):
            return None
        op, (out,) = step.op, step.outputs
        begins = out not in self.whole and out.type.size >= LARGE and out.dtype.kind == "f"
        if op in _JOINS:
            return self._joined if begins else None
        if op in _WRITES:
            return self._written if begins else None
        if op is copy:
            return self._copied
        if not apart:
            return None
        if op is getitem:
            return self._item
        if op in (sum_, mean):
            return self._summed if out.dtype.kind == "f" else None
        if op is norm:
            return self._assembled
        return self._each if op.family == "elementwise" else None

    # --- what is written

    def write(self, op: Op, *inputs: Atom, name: str | None = None, **params: Any) -> Var:
        """The result of one more step."""
        (type,) = op.result_types(inputs, params)
        step = Instr(op, inputs, (Var(type, name),), params, self.location)
        self.steps.append(step)
        self.made[step.outputs[0]] = step
        return step.outputs[0]

    def piece(self, box: Box) -> Atom:
        """The elements of a box: an array of its shape, or a number."""
        if not box.source.shape:
            return box.source
        return self.part(box.source, Region(box.place, box.region.shape))

    def _there(self, box: Box) -> Box:
        """The same box where its elements are an array of their own."""
        source = self.piece(box)
        return Box(box.region, source, (0,) * len(source.shape))

    def part(self, array: Atom, region: Region) -> Atom:
        """Part of an array that is there, or that is broadcast to a shape of which this is a region."""
        behind = len(region.shape) - len(array.shape)  # axes are counted from the last one
        ends = zip(array.shape, region.start[behind:], region.shape[behind:], strict=True)
        own = [(0, 1) if size == 1 else (start, length) for size, start, length in ends]
        region = Region(tuple(start for start, _ in own), tuple(length for _, length in own))
        if region.shape == array.shape:
            return array
        index = tuple(slice(start, start + length) for start, length in own)
        if isinstance(array, Const):
            return Const(array.value[index])
        if (array, region) not in self.read:
            self.read[array, region] = self._made_there(array, region) or self.write(
                getitem, array, index=index
            )
        return self.read[array, region]

    def _made_there(self, array: Var, region: Region) -> Atom | None:
        """Part of what an elementwise step makes, where it is a small one or parts are all that is read; part of a
        part."""
        step = self.made.get(array)
        if step is None:
            return None
        if step.op is getitem and len(step.inputs) == 1:
            try:
                inner, numbers = place(step)
            except Whole:
                return None
            start = tuple(a + b for a, b in zip(inner.start, region.start, strict=False))
            return None if numbers else self.part(step.inputs[0], Region(start, region.shape))
        if math.prod(region.shape) * SMALL > array.type.size and not self._is_read_by_parts(array):
            return None
        if step.op.family != "elementwise" or len(step.outputs) != 1:
            return None
        return self.write(step.op, *(self.part(a, region) for a in step.inputs), **step.params)

    def _is_read_by_parts(self, array: Var) -> bool:
        """Whether all that is made of an array are boxes, at the places of its own elements."""
        if array not in self.by_parts:
            readers = self.readers.get(array, ())
            self.by_parts[array] = (
                bool(readers) and array not in self.whole and all(map(self._parts_of, readers))
            )
        return self.by_parts[array]

    def _parts_of(self, step: Step) -> bool:
        if not isinstance(step, Instr) or not (
            step.op.family == "elementwise" or step.op in (*_JOINS, *_WRITES)
        ):
            return False
        (out,) = step.outputs
        return out in self.apart or self._is_read_by_parts(out)

    def _keep(self, array: Var, boxes: Sequence[Box]) -> None:
        """An array by its boxes; one that is all of it is an array that is there."""
        if len(boxes) > MANY or array in self.whole:
            raise Whole
        if len(boxes) == 1 and boxes[0].source.shape:
            self.stands[array] = self.piece(boxes[0])
        else:
            self.boxes[array] = tuple(boxes)

    def _boxes_of(self, atom: Atom) -> Boxes:
        """Those of any array; one for an array that is there."""
        if isinstance(atom, Var) and atom in self.boxes:
            return self.boxes[atom]
        all_of_it = all_of(atom.shape)
        maker = self.made.get(atom) if isinstance(atom, Var) else None
        if maker is not None and maker.op in (zeros, zeros_like):
            return (Box(all_of_it, Const(atom.dtype.type(0)), ()),)
        if maker is not None and maker.op is full_like and not maker.inputs[-1].shape:
            return (Box(all_of_it, strong(maker.inputs[-1], ArrayType((), atom.dtype)), ()),)
        return (Box(all_of_it, substituted(atom, self.stands), all_of_it.start),)

    # --- how arrays are put together

    def _joined(self, step: Instr) -> None:
        """concatenate(x, y), pad(x), tile(x): boxes side by side, or with numbers around."""
        out = step.outputs[0]
        if any(a.dtype != out.dtype for a in step.inputs):
            raise Whole
        found: list[Box] = []
        if step.op is pad:
            before = [first for first, _ in step.params["widths"]]
            inner = Region(tuple(before), tuple(step.inputs[0].shape))
            number = Const(out.dtype.type(step.params["value"]))
            found = [box.moved(before) for box in self._boxes_of(step.inputs[0])]
            found += [Box(region, number, ()) for region in all_of(out.shape).without(inner)]
        elif step.op is tile:
            found = self._tiled(step)
        else:
            axis, at = step.params["axis"], 0
            for part in step.inputs if len(step.inputs) <= MANY else ():
                by = [at if k == axis else 0 for k in range(len(out.shape))]
                found += [box.moved(by) for box in self._boxes_of(part) if part.type.size]
                at += part.shape[axis]
        if not found or max(math.prod(box.region.shape) for box in found) < LARGE:
            raise Whole
        self._keep(out, found)

    def _tiled(self, step: Instr) -> list[Box]:
        """tile(x, (2, 3)): the same array several times."""
        (array,), (out,), reps = step.inputs, step.outputs, step.params["reps"]
        if len(reps) != len(array.shape) or math.prod(reps) > MANY or out.type.size < BORDERED:
            raise Whole
        self.worthwhile = True
        return [
            box.moved([k * n for k, n in zip(places, array.shape, strict=True)])
            for places in product(*map(range, reps))
            for box in self._boxes_of(array)
        ]

    def _written(self, step: Instr) -> None:
        """index_set(x, v, [1:-1]) -> x[:1] | v | x[-1:]; what is added is added there."""
        array, *slots, value = step.inputs
        out = step.outputs[0]
        base = self._boxes_of(array)
        if slots or array.shape != out.shape or (step.op is index_add and self._is_gathered(array)):
            raise Whole
        region, numbers = place(step)
        if array not in self.boxes and math.prod(region.shape) < LARGE and out.type.size < BORDERED:
            raise Whole
        if isinstance(array, Var) and array in self.boxes:
            self._refine(array, [region, *all_of(out.shape).without(region)])
        around = [cut for box in base for rest in outside(box, region) if (cut := box.cut(rest))]
        inside = [cut for box in base if (cut := box.cut(region))]
        there = self._value(value, region, numbers, out.dtype)
        if step.op is index_set:
            inside = list(there)
        else:
            inside = [
                self._made(both, add, [self._in(inside, both), self._in(there, both)])
                for both in common(common([region], inside), there)
            ]
        if max(math.prod(box.region.shape) for box in (*inside, *around)) < LARGE:
            raise Whole
        self.worthwhile = True
        self._keep(out, [*inside, *around])

    def _is_gathered(self, array: Atom) -> bool:
        """Whether derivatives are added up there, from zeros on: that is for `overlays`."""
        maker = self.made.get(array) if isinstance(array, Var) and array not in self.boxes else None
        return is_number(self._boxes_of(array)) or (maker is not None and maker.op is index_add)

    def _value(self, value: Atom, region: Region, numbers: Sequence[int], dtype: Any) -> Sequence[Box]:
        """What is written, as boxes of the array; `numbers` are the axes that the index has a number for."""
        shape = tuple(n for k, n in enumerate(region.shape) if k not in numbers)
        if not value.shape:
            number = substituted(value, self.stands)
            if isinstance(number, Const):
                number = Const(dtype.type(number.value))
            if number.dtype != dtype:
                raise Whole
            return [Box(region, number, ())]
        if value.dtype != dtype or value.shape != shape:
            raise Whole
        if not numbers:
            return [box.moved(region.start) for box in self._boxes_of(value)]
        if isinstance(value, Var) and value in self.boxes:
            raise Whole
        source = self.write(expand_dims, substituted(value, self.stands), axis=tuple(numbers))
        return [Box(region, source, (0,) * len(region.shape))]

    # --- what is done with them

    def _item(self, step: Instr) -> None:
        """A slice cuts boxes; a number takes a row out of each."""
        array, *slots = step.inputs
        if slots or not isinstance(array, Var):
            raise Whole
        region, numbers = place(step)
        there = [self._there(box) for box in self.boxes[array]]  # it may be read at several places
        cut = [box for b in there if (box := b.cut(region))]
        self.worthwhile = True
        back = [-first for first in region.start]
        found = [box.moved(back) for box in cut]
        if numbers:
            found = [self._without(box, numbers) for box in found]
        out = step.outputs[0]
        if not out.shape and len(found) == 1:
            self.stands[out] = found[0].source
        elif not found or (len(found) == 1 and not found[0].source.shape):
            raise Whole
        else:
            self._keep(out, found)

    def _without(self, box: Box, numbers: Sequence[int]) -> Box:
        """A box of one element along these axes, without them."""
        kept = [k for k in range(len(box.region.shape)) if k not in numbers]
        region = Region(tuple(box.region.start[k] for k in kept), tuple(box.region.shape[k] for k in kept))
        if not box.source.shape:
            return replace(box, region=region)
        index = tuple(
            p if k in numbers else slice(p, p + n)
            for k, (p, n) in enumerate(zip(box.place, box.region.shape, strict=True))
        )
        source = self.write(getitem, box.source, index=index)
        return Box(region, source, (0,) * len(kept))

    def _copied(self, step: Instr) -> None:
        """A copy is made for what is written in it; where that is done by parts, it is what it was made of."""
        (array,), (out,) = step.inputs, step.outputs
        written = (s for s in self.readers[out] if isinstance(s, Instr) and s.op in _WRITES)
        if isinstance(array, Var) and array in self.boxes:
            self._keep(out, self.boxes[array])
        elif out not in self.whole and any(s.outputs[0] in self.apart for s in written):
            self.stands[out] = substituted(array, self.stands)
        else:
            raise Whole

    def _each(self, step: Instr) -> None:
        """An elementwise step, for each part in which no operand changes its box."""
        out = step.outputs[0]
        apart = {a: self.boxes[a] for a in step.inputs if isinstance(a, Var) and a in self.boxes}
        if any(a.shape != out.shape for a in apart):
            raise Whole
        regions = reduce(common, apart.values(), self.seams.get(out, [all_of(out.shape)]))
        if len(regions) > MANY:
            raise Whole
        self.worthwhile = self.worthwhile or len(regions) > min(map(len, apart.values()))
        self.each[out] = step
        for a in apart:
            self._refine(a, regions)
        found = []
        for region in regions:
            inputs = [
                self._in(apart[a], region)
                if isinstance(a, Var) and a in apart
                else self.part(substituted(a, self.stands), region)
                for a in step.inputs
            ]
            found.append(self._made(region, step.op, inputs, name=out.name, **step.params))
            if found[-1].source.dtype != out.dtype:
                raise Whole
        self._keep(out, found)

    def _refine(self, array: Var, regions: Sequence[Region]) -> None:
        """Let what is computed of parts be computed of these regions, next time."""
        step = self.each.get(array)
        known = {box.region for box in self.boxes[array]}
        if step is None or known.issuperset(regions):
            return
        self.seams[array] = [
            both for box in self.boxes[array] for region in regions if (both := region.within(box.region))
        ]
        for a in step.inputs:
            if isinstance(a, Var) and a in self.boxes:
                self._refine(a, self.seams[array])

    def _in(self, boxes: Sequence[Box], region: Region) -> Atom:
        """The elements of a region that lies in one of the boxes."""
        return next(self.piece(cut) for box in boxes if (cut := box.cut(region)))

    def _made(self, region: Region, op: Op, inputs: Sequence[Atom], **params: Any) -> Box:
        """What a step makes of a region: of a number beside a row, which is the same in each row, all rows."""
        source = self.write(op, *inputs, **params)
        if source.shape not in ((), region.shape):
            source = self.write(broadcast_to, source, shape=region.shape)
        return Box(region, source, (0,) * len(source.shape))

    def _summed(self, step: Instr) -> None:
        """The sums of the boxes, added up; a mean is that by its number."""
        (array,), (out,) = step.inputs, step.outputs
        assert isinstance(array, Var)
        axes = tuple(step.params["axis"])
        kept = [k for k in range(len(array.shape)) if k not in axes]
        boxes = self.boxes[array]
        if step.params["keepdims"] or any(
            box.region.shape[k] != array.shape[k] or not box.source.shape for box in boxes for k in kept
        ):
            raise Whole
        terms: list[Atom] = [
            self.write(sum_, self.piece(box), axis=axes, keepdims=False)
            if box.source.shape
            else self.write(multiply, box.source, Const(out.dtype.type(math.prod(box.region.shape))))
            for box in boxes
        ]
        total = reduce(lambda left, right: self.write(add, left, right), terms)
        if step.op is mean:
            total = self.write(divide, total, Const(math.prod(array.shape[k] for k in axes)))
        if total.type != out.type:
            raise Whole
        self.stands[out] = total

    def _assembled(self, step: Instr) -> None:
        """An array whose boxes lie along one axis is put together for this step: native text does without it again."""
        (array,) = step.inputs
        assert isinstance(array, Var)
        boxes = sorted(self.boxes[array], key=lambda box: box.region.start)
        axes = {k for box in boxes for k, n in enumerate(box.region.shape) if n != array.shape[k]}
        if len(axes) != 1 or any(not box.source.shape for box in boxes):
            raise Whole
        found = self.write(concatenate, *map(self.piece, boxes), axis=axes.pop())
        self.steps.append(replace(step, inputs=(found,)))
        self.made[step.outputs[0]] = step
