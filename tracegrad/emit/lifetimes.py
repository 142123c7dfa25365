"""How long each value lives, and which values share one name.

Blocks with their nested values go in; `live` gives every value a life (`start`, `end`), and `Groups` holds what is
one variable of the text: what a loop carries, what the arms of a branch join, what a write in place changes. Who
decides that is `variables`. Positions count nodes in the order of the text. Two values may share a name if their
lives do not overlap; reads at a position come before writes at it. A value that is needed in some arms of a branch
but not after it is needed in no arm after its last reader there: its life has holes.

This is the way out of static single assignment of Boissinot et al., "Revisiting out-of-SSA translation",
CGO 2009, for structured programs, where a life is one interval. Begin with `live`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tracegrad.emit.blocks import (
    Block,
    Choice,
    Compute,
    Either,
    Fused,
    Item,
    Node,
    Operand,
    Push,
    Repeat,
    Value,
    Write,
)
from tracegrad.emit.elements import scalar_step
from tracegrad.ir.trace import Const
from tracegrad.ops.index import item_shape


def leaves(operand: Operand) -> Iterable[Value]:
    """The named values that writing this operand reads."""
    if isinstance(operand, Const):
        return
    if operand.expression is None:
        yield operand
        return
    assert operand.maker is not None
    for inner in operand.maker.reads:
        yield from leaves(inner)


def reads_own_place(write: Write, value: Operand) -> bool:
    """Whether a nested value has, of the array that a loop writes into, each element only where it is written."""
    if isinstance(value, Const):
        return True
    maker = value.maker
    if value is write.source or not isinstance(maker, Compute):
        return False
    if maker.instr.op.name == "getitem" and maker.inputs[0] is write.source:
        same = maker.instr.params["index"] == write.instr.params["index"]
        return (
            same and len(maker.inputs) == len(write.rest) == 1 and value.type.shape == item_shape(write.instr)
        )
    if scalar_step(maker.instr) is None:
        return False
    return all(
        isinstance(x, Const)
        or all(v is not write.source for v in leaves(x))
        or (x.type.shape == value.type.shape and reads_own_place(write, x))
        for x in maker.inputs
    )


class _Clock:
    """Numbers the nodes and stretches lives to their reads."""

    def __init__(self) -> None:
        self.now = 0
        self.read_inside: list[set[Value]] = []
        self.read_in_arm: list[dict[Value, int]] = []

    def read(self, operands: Iterable[Operand], at: int) -> None:
        for operand in operands:
            for value in leaves(operand):
                value.end = max(value.end, at)
                if self.read_inside:
                    self.read_inside[-1].add(value)
                if self.read_in_arm:
                    self.read_in_arm[-1][value] = at

    def make(self, values: Iterable[Value], at: int) -> None:
        for value in values:
            value.start, value.end = at, max(value.end, at + 1)

    def block(self, block: Block) -> None:
        for node in block.nodes:
            if (
                isinstance(node, (Compute, Either, Item))
                and node.makes
                and node.makes[0].expression is not None
            ):
                continue
            self.now += 4
            self.node(node)

    def node(self, node: Node) -> None:
        at = self.now
        if isinstance(node, Repeat):
            self.repeat(node)
        elif isinstance(node, Choice):
            self.read(node.reads, at)
            self.choice(node)
        elif isinstance(node, Fused):
            for inner in node.nodes:
                self.node(inner)
        elif isinstance(node, Write):
            self.read((node.source,), at)
            own = node.loop and reads_own_place(node, node.rest[-1])
            rest = [v for operand in node.rest for v in leaves(operand) if not (own and v is node.source)]
            self.read(rest, at + 2)  # the copy has its name when these are read
            self.make((node.output,), at)
        else:
            in_loop = isinstance(node, Push) or (isinstance(node, Compute) and (node.loop or node.fills))
            self.read(node.reads, at + 2 if in_loop else at)  # results of the loop have their names before
            self.make(node.makes, at)

    def choice(self, node: Choice) -> None:
        before = self.now
        read: list[dict[Value, int]] = []
        ends = []
        for arm in node.arms:
            self.read_in_arm.append({})
            self.block(arm)
            read.append(self.read_in_arm.pop())
            ends.append(self.now)
        self.now += 4
        for value in {**read[0], **read[1]}:
            if value.start <= before:
                value.holes.append((read[0].get(value, before), ends[0] + 2, self.now))
                value.holes.append((read[1].get(value, ends[0] + 2), self.now, self.now))
        if self.read_in_arm:
            self.read_in_arm[-1].update({**read[0], **read[1]})
        self.make(node.outputs, self.now)

    def repeat(self, node: Repeat) -> None:
        entry = self.now
        self.read(node.enter.sources, entry)
        self.read((node.limit,), entry + 2)
        self.make(node.carried, entry)
        counts = (node.counter,) if node.steps in (None, node.counter) else (node.counter, node.steps)
        self.make((*counts, *node.stacks), entry)
        self.read_inside.append(set())
        if node.limited and not node.is_for:
            self.read((node.limit,), entry + 2)
        if node.test is not None:
            self.block(node.test)
            self.now += 4
            if node.condition is not None:
                self.read((node.condition,), self.now)
            self.read(node.carried, self.now)
        self.block(node.body)
        self.now += 4
        leave = self.now
        inside = self.read_inside.pop()
        for value in inside:
            if value.start < entry:
                value.end = max(value.end, leave)
                if self.read_in_arm:
                    self.read_in_arm[-1][value] = leave
        for value in (*counts, *node.stacks):
            value.end = max(value.end, leave)
        if self.read_inside:
            self.read_inside[-1].update(inside)
        self.make(node.finals, leave)


class Groups:
    """Values that are one variable of the text, with the lives of all of them.

    From when to when a group lives is kept: a group lives apart from what comes after it, whoever its members are.
    """

    def __init__(self) -> None:
        self.members: dict[Value, list[Value]] = {}
        self._spans: dict[int, tuple[int, int]] = {}

    def of(self, value: Value) -> list[Value]:
        return self.members.setdefault(value, [value])

    def joined(self, a: Value, b: Value) -> bool:
        return self.of(a) is self.of(b)

    def apart(self, a: Value, b: Value) -> bool:
        """Whether no life in one group overlaps one in the other."""
        (start, end), (other_start, other_end) = self._span(a), self._span(b)
        if end <= other_start or other_end <= start:
            return True
        return not any(overlap(p, q) for p in self.of(a) for q in self.of(b))

    def _span(self, value: Value) -> tuple[int, int]:
        """From when to when members live; lives may have become shorter since, never longer."""
        group = self.of(value)
        if id(group) not in self._spans:
            self._spans[id(group)] = min(v.start for v in group), max(v.end for v in group)
        return self._spans[id(group)]

    def lengthened(self, value: Value) -> None:
        """A life has become longer."""
        self._spans.pop(id(self.of(value)), None)

    def join(self, a: Value, b: Value) -> bool:
        """Make them one variable if their lives allow it; says whether they are."""
        if self.joined(a, b):
            return True
        if not self.apart(a, b):
            return False
        small, large = sorted((self.of(a), self.of(b)), key=len)
        (start, end), (other_start, other_end) = self._span(a), self._span(b)
        self._spans[id(large)] = min(start, other_start), max(end, other_end)
        del self._spans[id(small)]
        large.extend(small)
        for value in small:
            self.members[value] = large
        return True


def other_name(a: Value, b: Value) -> bool:
    """Whether the user named both, and not alike: what the user calls by two names keeps them."""
    named = not (a.hint is None or b.hint is None or a.is_derivative or b.is_derivative)
    return named and a.hint != b.hint


def overlap(a: Value, b: Value) -> bool:
    """Whether both are needed at some position."""
    start, end = max(a.start, b.start), min(a.end, b.end)
    return start < end and not (_in_hole(a, start, end) or _in_hole(b, start, end))


def live_at(value: Value, position: int) -> bool:
    """Whether the value is needed after a position."""
    return value.start <= position < value.end and not _in_hole(value, position, position + 1)


def _in_hole(value: Value, start: int, end: int) -> bool:
    """Whether it is not needed from start to end; a hole counts only if the value is not needed after the branch."""
    return any(
        first <= start and end <= last and (value.end <= limit or not live_at(value, limit))
        for first, last, limit in value.holes
    )


def live(inputs: Sequence[Value], block: Block) -> None:
    """Give every value its life."""
    clock = _Clock()
    for value in inputs:
        value.start, value.end = -1, 0
    clock.block(block)


def walk(block: Block) -> Iterable[Node]:
    """All nodes, depth first in the order of the text."""
    for node in block.nodes:
        yield node
        if isinstance(node, Choice):
            for arm in node.arms:
                yield from walk(arm)
        elif isinstance(node, Fused):
            yield from node.nodes
        elif isinstance(node, Repeat):
            if node.test is not None:
                yield from walk(node.test)
            yield from walk(node.body)
