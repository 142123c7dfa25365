"""Products of matrices that follow one another, in the order that needs the least memory, for the native text.

    h_bar = g @ w.T;  w_bar = h.T @ g   ->   w_bar = h.T @ g;  h_bar = g @ w.T

The reverse of a layer is two such products. What one of them alone reads, and nobody later, ends with it: so that one
comes first, and the other's result stands where that was; here it is `h`, as the weights stay. Where nothing ends with
either, the one that reads what elements were made of comes first: these may be made again, and end there then. A trace
comes in, and one of the same steps goes out. Begin with `least_memory_first`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tracegrad.ad.work import bytes_of
from tracegrad.ir.trace import Atom, Instr, Step, Trace, Var
from tracegrad.ir.walk import map_control
from tracegrad.passes.added_products import is_large_product

LARGE = 1 << 16  # bytes of an array whose memory is worth a thought


def least_memory_first(trace: Trace) -> Trace:
    """Order the products of the trace, and of those it holds."""
    trace = map_control(trace, least_memory_first)
    if sum(map(_is_product, trace.steps)) < 2:
        return trace
    lives = _Lives(trace)
    placed: list[Step] = []
    for step in trace.steps:
        placed.append(step)
        start = next((k for k in reversed(range(len(placed) - 1)) if not _may_wait(placed[k])), -1)
        if not _is_product(step) or start < 0 or not _is_product(placed[start]):
            continue
        first, between = placed[start], placed[start + 1 : -1]
        wanted = _read_for(step, between)
        apart = all(map(_is_view, wanted)) and not any(
            first.outputs[0] in read.inputs for read in (*wanted, step)
        )
        if apart and lives.ends_more(step, first):
            placed[start:] = [*wanted, step, first, *(other for other in between if other not in wanted)]
    same = all(a is b for a, b in zip(placed, trace.steps, strict=True))
    return trace if same else replace(trace, steps=tuple(placed))


def _is_view(step: Step) -> bool:
    """Whether a result shares memory with what a step reads first; what arrays of indices pick does not."""
    return isinstance(step, Instr) and step.op.view is not None and not any(a.shape for a in step.inputs[1:])


def _may_wait(step: Step) -> bool:
    """Whether a product may come before a step: loops over elements wait for what reads them anyway."""
    return _is_view(step) or (isinstance(step, Instr) and step.op.family == "elementwise")


def _is_product(step: Step) -> bool:
    return is_large_product(step) and bytes_of(step.outputs[0].type) >= LARGE


def _read_for(step: Step, before: Sequence[Step]) -> list[Step]:
    """Those among some steps that a step reads, itself or through others, in their order."""
    read, found = set(step.inputs), []
    for other in reversed(before):
        if read.intersection(other.outputs):
            read.update(other.inputs)
            found.append(other)
    return found[::-1]


class _Lives:
    """Who reads the arrays of a trace last; a view is read for the array it is a view of."""

    def __init__(self, trace: Trace) -> None:
        self.sources: dict[Atom, Atom] = {}
        self.last: dict[Atom, Step | None] = {}
        self.made_of_elements: set[Atom] = set()
        for step in trace.steps:
            if _is_view(step):
                self.sources[step.outputs[0]] = self.source(step.inputs[0])
                continue
            self.last.update((array, step) for array in self.read(step))
            if isinstance(step, Instr) and step.op.family == "elementwise":
                self.made_of_elements.update(step.outputs)
        self.last.update((self.source(atom), None) for atom in (*trace.inputs, *trace.outputs))

    def source(self, atom: Atom) -> Atom:
        return self.sources.get(atom, atom)

    def read(self, step: Step) -> set[Atom]:
        return {self.source(atom) for atom in step.inputs if isinstance(atom, Var)}

    def ends_more(self, step: Step, before: Step) -> bool:
        """Whether less is needed at once if a product comes before the one that it stands behind."""
        mine, other = self.read(step) - self.read(before), self.read(before) - self.read(step)
        gained = sum(bytes_of(array.type) for array in mine if self.last[array] is step)
        lost = sum(bytes_of(array.type) for array in other if self.last[array] is before)
        size, size_before = bytes_of(step.outputs[0].type), bytes_of(before.outputs[0].type)
        now, then = max(size_before, size_before + size - lost), max(size, size + size_before - gained)
        again = bool(mine & self.made_of_elements) and not other & self.made_of_elements
        return then < now or (then == now and again)
