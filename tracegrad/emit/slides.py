"""Arrays that loops read some rows away from where they make something of them: these are never there as a whole.

Blocks with fused and nested loops go in. Where one loop makes an array element by element and another reads it at rows
nearby, `d[i + 1] - d[i]`, both become one loop over blocks of rows: for each block, first the rows that it reads are
made, those around it among them, in a small array that stays in the cache (`Window`), then the block is done. Some rows
are made twice, with the same digits; so each block stands for itself, and threads may share them. What else the first
loop does, as to gather a sum, is done with the second. Where a loop adds parts to rows further on, and another reads
these sums, that one follows: it does a block of rows after they are all added. Begin with `slide`.

Overlapped tiling: Ragan-Kelley et al., "Halide", PLDI 2013; Krishnamoorthy et al., "Effective automatic
parallelization of stencil computations", PLDI 2007.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from tracegrad.emit.blocks import (
    Ahead,
    Block,
    Check,
    Compute,
    Fused,
    Nest,
    Node,
    Slide,
    Value,
    Window,
    steps_of,
)
from tracegrad.emit.fusion import Place, loop_shape, place_made, places_read, reading_statements
from tracegrad.emit.lifetimes import leaves
from tracegrad.emit.overlays import adds_windows, is_overlay, part_shape
from tracegrad.emit.rounds import BLOCK
from tracegrad.emit.segments import Offset, offset_along

LARGE = 2**17  # elements of an array that has left the nearest caches when it is read again
ROWS = 16  # of a block, at least
PARTS = 8  # a window is at most such a part of its array
REACH = 4  # a block has so many times the rows that are made twice, or more
MOST = 100  # steps of the loops that become one


@dataclass(eq=False)
class _Group:
    """Loops that become one: what each makes ahead, and what is done with the rows of a block."""

    main: list[Node]
    ahead: list[list[Compute]] = field(default_factory=list)  # the last one first
    before: list[Node] = field(default_factory=list)  # what the loops did besides, which is done first

    def steps(self) -> Iterator[Node]:
        yield from self.main
        yield from self.before
        for steps in self.ahead:
            yield from steps


def slide(block: Block) -> None:
    """Let the loops of a function's outermost block make what later ones read nearby as these go."""
    homes = {step: node for node in block.nodes if _is_loop(node) for step in steps_of(node)}
    for node in reversed(block.nodes):
        if homes.get(steps_of(node)[0]) is not node:
            continue
        if any(_reads_nearby(step) for step in steps_of(node)):
            _slide_into(block, node, homes)
        if node in block.nodes:
            _follow(block, node, homes)


def _reads_nearby(step: Node) -> bool:
    """Whether a loop reads a large array at other rows than its own."""
    reads = (_read_of(value, place) for value, place in places_read(step) if value.type.size >= LARGE)
    return any(read is not None and (read.by or read.wraps) for read in reads)


def _is_loop(node: Node) -> bool:
    """Whether it is a loop over the elements of arrays, and nothing else."""
    steps = steps_of(node)
    shape = loop_shape(steps[0]) or ()
    plain = not isinstance(node, Nest) or (type(node) is Nest and not node.axis)
    return plain and bool(shape) and shape[0] > 1 and all(isinstance(s, Compute) and s.loop for s in steps)


def _slide_into(block: Block, node: Node, homes: dict[Node, Node]) -> None:
    """Let a loop have what it reads made ahead by those before it, if that can be."""
    nodes, group, taken = list(block.nodes), _Group(list(steps_of(node))), [node]
    found = True
    while found:
        found = False
        makers = {v.maker for step in group.steps() for v, _ in places_read(step)}
        wanted = {homes[maker] for maker in makers if maker in homes}.difference(taken)
        for other in sorted(wanted, key=nodes.index, reverse=True):
            ordered = _taken_in(nodes, node, other, group)
            if ordered is not None:
                nodes, found = ordered, True
                taken.append(other)
    slid = _as_slide(block.nodes, node, group) if group.ahead else None
    if slid is not None:
        nodes[nodes.index(node)] = slid
        block.nodes = nodes
        for step in (step for other in taken for step in steps_of(other)):
            del homes[step]


def _taken_in(nodes: list[Node], node: Node, other: Node, group: _Group) -> list[Node] | None:
    """Take the loop `other` into a group: what is left of the nodes, in order; None where it must stay."""
    if not _is_loop(other) or isinstance(other, Nest):
        return None
    steps = list(steps_of(other))
    wanted = {v for step in group.steps() for v, _ in places_read(step) if v.maker in steps}
    reads = [_read_of(v, place) for step in group.steps() for v, place in places_read(step) if v in wanted]
    nearby = any(read is not None and (read.by or read.wraps) for read in reads)
    if None in reads or not (nearby and any(v.type.size >= LARGE for v in wanted)):
        return None
    made = _made_of(wanted, steps)
    members = {*group.steps(), *steps}
    if any(
        place_made(step) is None or not members.issuperset(reading_statements(step.makes[0])) for step in made
    ):
        return None
    rest = [step for step in steps if step not in made]
    if rest and loop_shape(rest[0]) != loop_shape(group.main[0]):
        return None
    at, until = nodes.index(other), nodes.index(node)
    after = _after(nodes[at + 1 : until], {v for step in rest for v in step.makes})
    if after is None or any(v in after[1] for step in group.steps() for v, _ in places_read(step)):
        return None
    moved = after[0]
    group.ahead.append(made)
    group.before[:0] = rest
    stay = [n for n in nodes[at + 1 : until] if n not in moved]
    return [*nodes[:at], *stay, node, *moved, *nodes[until + 1 :]]


def _made_of(wanted: Iterable[Value], steps: Sequence[Node]) -> list[Compute]:
    """The steps of a loop that make some values."""
    needed, found = set(wanted), []
    for step in reversed(steps):
        if isinstance(step, Compute) and step.makes[0] in needed:
            found.append(step)
            needed.update(v for v, _ in places_read(step))
    return found[::-1]


def _after(nodes: Sequence[Node], values: set[Value]) -> tuple[list[Node], set[Value]] | None:
    """The nodes that need some values, with all that is made of these; None where something may not be moved, or
    what is there may be written in."""
    moved: list[Node] = []
    made = set(values)
    for node in nodes:
        steps = steps_of(node)
        if not isinstance(node, Check) and not all(isinstance(step, Compute) for step in steps):
            return None
        if any(v in made for step in steps for operand in step.reads for v in leaves(operand)):
            if isinstance(node, Check):
                return None
            moved.append(node)
            made.update(v for step in steps for v in step.makes)
    return moved, made


def _read_of(value: Value, place: Place) -> Offset | None:
    """Which row of an array is read, if it is one near to that of the loop."""
    if place is None or not value.type.shape or value.type.shape[0] == 1:
        return None
    return offset_along(ast.parse(place[0], mode="eval").body, "axis_0")


# --- the rows of a block ----------------------------------------------------------------------------------------------


def _as_slide(nodes: Sequence[Node], node: Node, group: _Group) -> Slide | None:
    """A group as one loop; None where that would take too much memory or time."""
    shape = loop_shape(group.main[0])
    assert shape is not None
    steps = list(group.steps())
    rounds = max(ROWS, BLOCK // max(math.prod((loop_shape(step) or ())[1:]) for step in steps))
    own = Ahead(None, [*group.before, *group.main], 0, 0, shape[0], False)
    loops: list[Ahead] = [own]
    places = {step: k for k, other in enumerate(nodes) for step in steps_of(other)}
    for made in sorted(group.ahead, key=lambda made: -places[made[0]]):
        loop = _made_ahead(made, loops)
        if loop is None or REACH * (loop.last - loop.first) > rounds:
            return None
        if PARTS * (rounds + loop.last - loop.first) > loop.length or len(steps) > MOST:
            return None
        loops.append(loop)
    for loop in loops[1:]:
        window = Window(loop.first, rounds + loop.last - loop.first)
        for step in loop.nodes:
            value = step.makes[0]
            value.window = None if set(loop.nodes).issuperset(reading_statements(value)) else window
    parts: list[Node] = [Fused(None, list(own.nodes))]
    if isinstance(node, Nest):
        parts = [*([Fused(None, list(group.before))] if group.before else []), *node.parts]
    ahead = loops[:0:-1]
    nodes_in_order = [step for loop in (*ahead, own) for step in loop.nodes]
    return Slide(None, nodes_in_order, 0, shape[0], parts, ahead, None, shape[0], rounds)


def _made_ahead(made: Sequence[Compute], readers: Sequence[Ahead]) -> Ahead | None:
    """The loop that makes what others read: as many rows as these need."""
    values = {step.makes[0] for step in made}
    length = made[0].makes[0].type.shape[0]
    reach = []
    for loop in readers:
        for step in loop.nodes:
            for value, place in places_read(step):
                if value not in values:
                    continue
                read = _read_of(value, place)
                assert read is not None
                alike = loop.length == length and (read.wraps or not read.by)
                if (loop.wraps and not alike) or (read.wraps and loop.length > length):
                    return None
                reach.append((loop.first + read.by, loop.last + read.by, loop.wraps or read.wraps))
    firsts, lasts, wraps = zip(*reach, strict=True)
    return Ahead(None, list(made), min(firsts), max(lasts), length, any(wraps))


# --- behind a loop that adds to rows ----------------------------------------------------------------------------------


def _follow(block: Block, node: Node, homes: dict[Node, Node]) -> None:
    """Let a loop read the rows of sums of parts as soon as the loop that adds these is done with them."""
    reads = [read for step in steps_of(node) for read in places_read(step)]
    sums = {v: v.maker for v, _ in reads if v.maker in homes and _is_done_by_rows(v)}
    for other in {homes[maker] for maker in sums.values() if maker is not None}.difference([node]):
        found = {v for v, _ in reads if v.maker in steps_of(other)}
        slid = _as_followed(block.nodes, other, node, found) if found <= sums.keys() else None
        if slid is not None:
            block.nodes = slid
            for step in (*steps_of(other), *steps_of(node)):
                del homes[step]
            return


def _is_done_by_rows(value: Value) -> bool:
    """Whether it is a large sum of parts, each row of which is there after the round of the row."""
    if not isinstance(value.maker, Compute) or not is_overlay(value.maker.instr) or value.type.size < LARGE:
        return False
    if adds_windows(value.maker.instr):
        return False
    instr = value.maker.instr
    rows, starts = part_shape(instr)[0], [start[0] for start in instr.params["starts"]]
    return (
        math.prod(part_shape(instr)[:-1]) > 1
        and not min(starts)
        and rows + max(starts) == value.type.shape[0]
    )


def _as_followed(nodes: Sequence[Node], other: Node, node: Node, sums: set[Value]) -> list[Node] | None:
    """The nodes with a loop behind the one that makes some sums; None where something else needs these, or more."""
    members = steps_of(node)
    shape = loop_shape(members[0])
    assert shape is not None
    if not isinstance(other, Nest) or any(len(v.type.shape) < 2 or v.type.shape[0] != shape[0] for v in sums):
        return None
    if any(reader not in members for v in sums for reader in reading_statements(v)):
        return None
    reads = [read for step in members for read in places_read(step)]
    if any(_read_of(v, place) != Offset(0, False) for v, place in reads if v in sums):
        return None
    at, until = nodes.index(other), nodes.index(node)
    after = _after(nodes[at + 1 : until], {v for step in steps_of(other) for v in step.makes} - sums)
    if after is None or any(v in after[1] for v, _ in reads):
        return None
    rounds = max(
        ROWS, BLOCK // max(math.prod((loop_shape(s) or ())[1:]) for s in (*steps_of(other), *members))
    )
    begun = {v: v.type.shape[0] - other.length for v in sums}
    if PARTS * (rounds + max(begun.values())) > shape[0] or max(begun.values()) > rounds:
        return None
    for value, rows in begun.items():
        value.window = Window(0, rounds + rows)
    parts: list[Node] = list(node.parts) if isinstance(node, Nest) else [Fused(None, list(members))]
    behind = Nest(None, list(members), 0, shape[0], parts)
    both = [*steps_of(other), *members]
    slid = Slide(None, both, 0, shape[0], list(other.parts), [], behind, other.length, rounds)
    stay = [n for n in nodes[at + 1 : until] if n not in after[0]]
    return [*nodes[:at], *stay, slid, *after[0], *nodes[until + 1 :]]
