"""Which values are one variable of the text.

Blocks with their nested values go in; afterwards every value has its life, writes happen in place where they may, and
`Groups` says what shares a name: what is written in place, what a loop carries, what the arms of a branch join. Begin
with `measure`.
"""

from __future__ import annotations

from collections.abc import Sequence

from tracegrad.emit.blocks import Block, Choice, Compute, Move, Node, Operand, Repeat, Value, Write
from tracegrad.emit.buffers import hoist
from tracegrad.emit.lifetimes import Groups, live, other_name, walk
from tracegrad.emit.memory import Memory, write_in_place
from tracegrad.emit.reuse import reuse
from tracegrad.emit.sizes import is_large, is_small
from tracegrad.ir.trace import Const


def measure(inputs: Sequence[Value], block: Block, native: bool) -> Groups:
    """Give every value its life, decide on the writes in place, and group the values."""
    live(inputs, block)
    groups = Groups()
    nodes = list(walk(block))
    loops = any(isinstance(node, Repeat) for node in nodes)
    if any(isinstance(node, Write) for node in nodes) or (native and loops):
        memory = Memory(inputs, nodes)
        write_in_place(block, memory, groups)
        if native and loops:
            reuse(block, memory, groups)
            hoist(block, memory, groups)
    if native:
        _name_copies(nodes, groups)
    for node in nodes:
        if isinstance(node, Repeat):
            for value, final in zip(node.carried, node.finals, strict=True):
                groups.join(value, final)
    for node in nodes:
        if isinstance(node, Repeat):
            for move in (node.body.nodes[-1], node.enter):
                assert isinstance(move, Move)
                _join_moved(move, groups, set(inputs))
        elif isinstance(node, Choice):
            for arm in node.arms:
                assert isinstance(arm.nodes[-1], Move)
                _join_moved(arm.nodes[-1], groups, set(inputs))
    return groups


def _name_copies(nodes: Sequence[Node], groups: Groups) -> None:
    """A large copy has another name than what it is a copy of: its memory is there before. So has a small one that a
    loop carries: its memory is the stack, where the text says its sizes."""
    pairs: list[tuple[Operand, Value]] = []
    small: set[Value] = set()
    for node in nodes:
        if isinstance(node, Compute) and node.instr.op.name == "copy":
            pairs.append((node.inputs[0], node.outputs[0]))
        elif isinstance(node, Write) and not node.in_place:
            pairs.append((node.source, node.output))
        elif isinstance(node, Repeat):
            moved = zip(node.enter.sources, node.carried, strict=True)
            pairs.extend((source, carried) for source, carried in moved if carried in node.copied)
            small.update(carried for carried in node.copied if is_small(carried.type))
    for source, copy in pairs:
        if isinstance(source, Value) and (is_large(copy.type) or copy in small):
            source.end = max(source.end, copy.start + 2)
            groups.lengthened(source)


def _join_moved(move: Move, groups: Groups, inputs: set[Value]) -> None:
    for target, source in zip(move.targets, move.sources, strict=True):
        if isinstance(source, Const) or source.expression is not None:
            continue
        foreign = source in inputs or any(v in inputs for v in groups.of(source))
        if foreign and source.hint != target.hint:
            continue
        if other_name(source, target):
            continue
        groups.join(target, source)
