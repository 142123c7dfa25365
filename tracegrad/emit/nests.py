"""Loops over elements with a leading axis in common, as one loop over that axis with the others inside.

Blocks with fused loops go in. What reads the results of another loop row by row stands in the same round of a loop over
the rows: so a program that works on rows, or on pairs, goes through memory once, and what lives inside of one row needs
the memory of a row, or is a number (`contract`). Inside, the same is done for the next axis. The order of the
arithmetic stays. Begin with `nest_loops`.

Loop fusion at the outer levels of a nest and array contraction: Allen and Kennedy, Optimizing Compilers for Modern
Architectures, Morgan Kaufmann 2001, chapter 8.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import TypeAlias

from tracegrad.emit.blocks import (
    Block,
    Choice,
    Compute,
    Fused,
    Nest,
    Node,
    Push,
    Repeat,
    Slide,
    Value,
    steps_of,
)
from tracegrad.emit.elements import is_view
from tracegrad.emit.fusion import (
    axes_index,
    contract_loop,
    gathered_place,
    index_text,
    loop_shape,
    place_made,
    places_read,
    reading_statements,
)
from tracegrad.emit.lifetimes import leaves, walk
from tracegrad.emit.overlays import is_overlay, made_in_rows, part_shape
from tracegrad.emit.reductions import reduction_of

SMALL = 1024  # elements of loops that are put together even where one reads nothing of the other
FAR = 32  # statements between a loop and one that joins it
ROW = 8  # elements of a row that is worth a loop of its own


_Reads: TypeAlias = dict[Node, list[tuple[Value, Sequence[str] | None]]]
"""What each step reads; it is asked for again at every axis."""


@dataclass(eq=False)
class _Group:
    """Nodes that are one loop, or one other node; what is asked of them is gathered as they come."""

    known: _Reads
    nodes: list[Node] = field(default_factory=list)
    results: dict[Value, Sequence[str] | None] = field(default_factory=dict)  # at which element each is made
    reads: dict[Value, None] = field(default_factory=dict)
    shapes: dict[tuple[int, ...], None] = field(default_factory=dict)
    may_move: bool = True

    def take(self, node: Node) -> None:
        self.nodes.append(node)
        self.results.update((v, place_done(step)) for step in steps_of(node) for v in step.makes)
        self.reads.update((v, None) for v, _ in _reads(node, self.known))
        self.shapes[_shape(node)] = None
        self.may_move = self.may_move and _may_move(node)


def nest_loops(block: Block) -> None:
    """Nest the loops of a block, and of the blocks in it."""
    for node in block.nodes:
        if isinstance(node, (Choice, Repeat)):
            for inner in node.arms if isinstance(node, Choice) else (node.test, node.body):
                if inner is not None:
                    nest_loops(inner)
    block.nodes = _gathered(block.nodes, 0, {})


def _gathered(nodes: Sequence[Node], axis: int, known: _Reads) -> list[Node]:
    """Loops of the same length along an axis as nests; inside of loops over the axes before it."""
    groups: list[_Group] = []
    made: dict[Value, _Group] = {}
    last: dict[int, _Group] = {}  # the last group of each length
    for node in nodes:
        if isinstance(node, (Choice, Repeat)):
            last.clear()
        shape = _shape(node)
        length = shape[axis] if len(shape) > axis and shape[axis] > 1 else None
        group = last.get(length) if length is not None else None
        if group is None or not _may_join(node, group, groups, made, axis, known):
            group = _Group(known)
            groups.append(group)
            if length is not None:
                last[length] = group
        group.take(node)
        made.update((v, group) for step in steps_of(node) for v in step.makes if v.expression is None)
    return [
        _in_rows(g.nodes[0], axis, known) if len(g.nodes) == 1 else _nest(g.nodes, axis, known)
        for g in groups
    ]


def _in_rows(node: Node, axis: int, known: _Reads) -> Node:
    """A loop that gathers what stays along an axis is one over this axis, with loops over the others inside."""
    shape = _shape(node)
    if len(shape) <= axis or not any(_stays(step, axis) for step in steps_of(node)):
        return node
    return _nest([node], axis, known) if shape[axis] != 1 else _in_rows(node, axis + 1, known)


def _stays(step: Node, axis: int) -> bool:
    """Whether it reduces rows, of what is left from an axis on, or for the first axis also columns; or hands something
    on along a row."""
    if isinstance(step, Compute) and is_overlay(step.instr):
        return math.prod(part_shape(step.instr)[axis:-1]) > 1
    reduction = reduction_of(step.instr) if isinstance(step, Compute) else None
    if reduction is None:
        return False
    kept = [k for k in reduction.kept if k >= axis]
    return bool(kept) and (not axis or any(k > kept[0] for k in reduction.longer))


def as_nest(steps: Sequence[Node], length: int) -> Nest:
    """Steps over one shape as a loop over its first axis with a loop over the others inside."""
    return Nest(None, list(steps), 0, length, [Fused(None, list(steps))])


def _nest(group: Sequence[Node], axis: int, known: _Reads) -> Nest:
    steps = [step for node in group for step in steps_of(node)]
    return Nest(None, steps, axis, _shape(group[0])[axis], _gathered(group, axis + 1, known))


def _shape(node: Node) -> tuple[int, ...]:
    """The shape a loop runs over; () for other nodes."""
    first = steps_of(node)[0]
    shape = loop_shape(first) or ()
    if (
        isinstance(first, Compute)
        and first.loop
        and first.outputs[0].expression is None
        and is_view(first.instr)
    ):
        shape = first.outputs[0].type.shape
        in_order = first.instr.op.name == "broadcast_to"  # others may read across memory, slow beside a loop
        return shape if in_order or math.prod(shape) <= SMALL else ()
    return shape


def _may_join(
    node: Node, group: _Group, groups: list[_Group], made: dict[Value, _Group], axis: int, known: _Reads
) -> bool:
    """Whether a loop may run inside of the group's loop over an axis: it reads what the group makes row by row.

    What else it reads is made before the group, or moved there.
    """
    flows, others = False, []
    for value, place in _reads(node, known):
        if value in group.results:
            flows = True
            if not _same_row(place, group.results[value], axis):
                return False
        elif value in made:
            others.append(made[value])
    shapes = [_shape(node), *group.shapes]
    rows = flows and max(math.prod(shape[axis + 1 :]) for shape in shapes) >= ROW
    return (rows or max(map(math.prod, shapes)) <= SMALL) and _before(others, group, groups, made)


def _before(wanted: Sequence[_Group], group: _Group, groups: list[_Group], made: dict[Value, _Group]) -> bool:
    """Whether what is wanted is made before a group, if need be by moving there what does not depend on it."""
    later = list(takewhile(lambda other: other is not group, reversed(groups[-FAR:])))
    if len(later) == FAR:
        return False
    waiting = [g for g in wanted if g in later]
    moved: set[_Group] = set()
    while waiting:
        found = waiting.pop()
        if found in moved:
            continue
        moved.add(found)
        sources = [made[v] for v in found.reads if v in made]
        if group in sources or not found.may_move:
            return False
        waiting.extend(g for g in sources if g in later)
    if moved:
        at = len(groups) - len(later) - 1
        groups[at:] = [*(g for g in groups[at:] if g in moved), *(g for g in groups[at:] if g not in moved)]
    return True


def _may_move(node: Node) -> bool:
    """Whether it computes elements or a number, and does nothing else."""
    return all(
        isinstance(step, Compute) and (step.loop or step.instr.op.family == "elementwise")
        for step in steps_of(node)
    )


def _reads(node: Node, known: _Reads) -> Iterable[tuple[Value, Sequence[str] | None]]:
    """The named values that a node reads, and for loops at which element."""
    for step in steps_of(node):
        found = known.get(step)
        if found is None:
            if isinstance(step, Push) or (isinstance(step, Compute) and step.loop):
                found = list(places_read(step))
            else:
                found = [(value, None) for operand in step.reads for value in leaves(operand)]
            known[step] = found
        yield from found


def place_done(step: Node) -> Sequence[str] | None:
    """The element of its result that a loop makes, or adds to, in one round."""
    reduction = reduction_of(step.instr) if isinstance(step, Compute) else None
    if reduction is not None:
        assert isinstance(step, Compute)
        return gathered_place(step, reduction)
    if isinstance(step, Compute) and is_overlay(step.instr):
        rows = index_text(axes_index(part_shape(step.instr)))[: made_in_rows(step.instr)]
        return (*rows, "the others")
    return place_made(step)


def _same_row(read: Sequence[str] | None, made: Sequence[str] | None, axis: int) -> bool:
    row = [f"axis_{k}" for k in range(axis + 1)]
    return read is not None and made is not None and list(read[: axis + 1]) == list(made[: axis + 1]) == row


def contract(block: Block) -> None:
    """What one loop alone reads is a number there, or has the memory of a row; in a block, and in the blocks in it."""
    for node in walk(block):
        if isinstance(node, Nest):
            for part in _innermost(node):
                contract_loop(part)
            _contract(node)
        elif isinstance(node, Fused):
            contract_loop(node)


def _innermost(node: Node) -> Iterable[Fused]:
    """The loops inside of which there are none."""
    if isinstance(node, Nest):
        around = (*node.ahead, *([node.behind] if node.behind else [])) if isinstance(node, Slide) else ()
        for part in (*node.parts, *around):
            yield from _innermost(part)
    elif isinstance(node, Fused):
        yield node


def _contract(nest: Nest) -> None:
    """What only one round of the loop reads has no axis for the rounds."""
    steps = set(nest.nodes)
    for step in nest.nodes:
        for value in step.makes:
            readers = list(reading_statements(value))
            if (
                value.inner
                or value.window
                or not value.type.shape
                or not readers
                or not steps.issuperset(readers)
            ):
                continue
            value.dropped = nest.axis + 1
            value.inner = all(n == 1 for n in value.memory.shape)
    for part in nest.parts:
        if isinstance(part, Nest):
            _contract(part)
