"""Loops over elements that become one, in native text.

Blocks whose nested values are decided go in; afterwards steps over the same shape stand in one `Fused` node. A
step joins the last loop of its shape if it reads what that loop makes at the very element that is made there, and
nothing that is made after it; a loop whose results nobody has read yet moves down to where it can be joined. The order
of the arithmetic stays, and so does every digit. Begin with `fuse`. When all loops are what they will be, arrays that
only their own loop reads become numbers (`contract_loop`).

The conditions are those of loop fusion and array contraction in Allen and Kennedy, Optimizing Compilers for Modern
Architectures, Morgan Kaufmann 2001, chapter 8.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

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
from tracegrad.emit.elements import is_gather, is_search, is_view, source_index, split_index, spread_index
from tracegrad.emit.joins import is_join
from tracegrad.emit.lifetimes import leaves
from tracegrad.emit.overlays import is_overlay, part_shape
from tracegrad.emit.reductions import Reduction, reduction_of
from tracegrad.ir.trace import Const
from tracegrad.ops.index import item_shape
from tracegrad.ops.op import literal

Place = tuple[str, ...] | None  # the index of an element as text; None for the whole


@dataclass(eq=False)
class _Loop:
    """Statements in one loop, or one other statement, and where these stand.

    What is asked again and again of a long loop is known without going through it: so fusing takes time in proportion
    to the statements.
    """

    at: int
    members: list[Node] = field(default_factory=list)
    results: dict[Value, Place] = field(default_factory=dict)
    stays: bool = False  # what stands after it reads what it makes, or writes into what it reads

    def take(self, node: Node, written: Mapping[Value, int]) -> None:
        """One more statement; `written` says where arrays are written in."""
        self.members.append(node)
        self.results.update((value, place_made(node)) for value in node.makes)
        self.stays = self.stays or any(written.get(value, -1) > self.at for value in _read_by(node))


def fuse(block: Block) -> None:
    """Fuse the loops of a block, and of the blocks in it."""
    placed: list[_Loop | None] = []  # None where a loop has moved down from
    made: dict[Value, _Loop] = {}
    stands: dict[Node, _Loop] = {}
    written: dict[Value, int] = {}  # where in `placed` an array is written in
    last: dict[tuple[int, ...], _Loop] = {}  # the last loop over each shape
    for node in block.nodes:
        shape = loop_shape(node)
        if isinstance(node, (Choice, Repeat)):
            for inner in node.arms if isinstance(node, Choice) else (node.test, node.body):
                if inner is not None:
                    fuse(inner)
            last.clear()
        loop = last.get(shape) if shape is not None else None
        if loop is not None and not _may_join(node, loop, loop.at, made):
            if not loop.stays and _may_join(node, loop, len(placed), made):
                placed[loop.at], loop.at = None, len(placed)
                placed.append(loop)
            else:
                loop = None
        if loop is None:
            loop = _Loop(len(placed))
            placed.append(loop)
        for value in _read_by(node):
            if made.get(value, loop) is not loop:
                made[value].stays = True
        if isinstance(node, Write) and isinstance(node.source, Value):
            written[node.source] = loop.at
            for reader in reading_statements(node.source):
                if reader in stands:
                    stands[reader].stays = True
        loop.take(node, written)
        if shape is not None:
            last[shape] = loop
        stands[node] = loop
        made.update((value, loop) for value in node.makes if value.expression is None)
    block.nodes = [_as_node(loop) for loop in placed if loop is not None]


def _as_node(loop: _Loop) -> Node:
    return Fused(None, loop.members) if len(loop.members) > 1 else loop.members[0]


def _read_by(node: Node) -> Iterable[Value]:
    """The named values that a statement reads, itself or in what is nested in it; none of a nested one."""
    if node.makes and node.makes[0].expression is not None:
        return ()
    return (value for operand in node.reads for value in leaves(operand))


def loop_shape(node: Node) -> tuple[int, ...] | None:
    """The shape whose elements a statement runs over; None for other nodes, and for what is nested.

    A view made contiguous stays alone: reading across memory would slow down what stands beside it. So does what is put
    together, in loops over its parts.
    """
    if isinstance(node, Compute) and node.loop and node.outputs[0].expression is None:
        if is_view(node.instr) or is_join(node.instr):
            return None
        if is_overlay(node.instr):
            return part_shape(node.instr)
        summed = reduction_of(node.instr) is not None
        return tuple((node.inputs[0] if summed else node.outputs[0]).type.shape)
    if isinstance(node, Push) and node.index is not None and isinstance(node.value, Value):
        return tuple(node.value.type.shape) or None
    return None


def _may_join(node: Node, loop: _Loop, at: int, made: Mapping[Value, _Loop]) -> bool:
    """Whether a statement may stand in a loop at a place: it reads what is made before, or there where it is made."""
    for value, place in places_read(node):
        if value in loop.results:
            if place is None or place != loop.results[value]:
                return False
        elif value in made and made[value].at >= at:
            return False
    return True


def place_made(node: Node) -> Place:
    """The element a loop makes in one round; None for sums, which are there only after the last round."""
    if not isinstance(node, Compute) or is_overlay(node.instr) or is_join(node.instr):
        return None
    if reduction_of(node.instr) is None:
        return index_text(axes_index(node.outputs[0].type.shape))
    return None


def gathered_place(node: Compute, reduction: Reduction) -> tuple[str, ...]:
    """The element of a reduction that a loop takes an element into in one round."""
    index = index_text(axes_index(reduction.shape))
    kept = tuple(p for k, p in enumerate(index) if k not in reduction.axes)
    ndim = len(node.outputs[0].type.shape)
    if len(kept) == ndim:
        return kept
    lead = len(index) - ndim  # the axes stay, with one element
    return tuple("0" if k in reduction.axes else p for k, p in enumerate(index) if k >= lead)


def places_read(node: Node) -> Iterable[tuple[Value, Place]]:
    """The named values a loop reads in one round, and at which element."""
    if isinstance(node, Push):
        yield from _read_at(node.value, axes_index(node.value.type.shape))
        return
    if isinstance(node, Write):
        yield from ((value, None) for value in leaves(node.source))
        index = axes_index(item_shape(node.instr))
        for slot in node.rest[:-1]:
            yield from _read_at(slot, split_index(node.instr, index)[0])
        yield from _read_at(node.rest[-1], index)
        return
    assert isinstance(node, Compute)
    if node.fills or is_join(node.instr):
        yield from ((value, None) for operand in node.inputs for value in leaves(operand))
    elif is_overlay(node.instr):
        yield from _inputs_at(node, axes_index(part_shape(node.instr)))
    elif reduction_of(node.instr) is not None:
        yield from _read_at(node.inputs[0], axes_index(node.inputs[0].type.shape))
    else:
        yield from _inputs_at(node, axes_index(node.outputs[0].type.shape))


def _read_at(operand: Operand, index: Sequence[ast.expr]) -> Iterable[tuple[Value, Place]]:
    if isinstance(operand, Const):
        return
    maker = operand.maker
    own = spread_index(operand.type.shape, index)
    if operand.expression is None:
        yield operand, index_text(own) if own else None
    elif own and isinstance(maker, Compute):
        yield from _inputs_at(maker, own)
    else:
        for value in leaves(operand):
            yield value, None


def _inputs_at(node: Compute, index: Sequence[ast.expr]) -> Iterable[tuple[Value, Place]]:
    if is_view(node.instr) or is_gather(node.instr):
        anywhere = [lambda place: ast.Name(id="anywhere", ctx=ast.Load())] * (len(node.inputs) - 1)
        inside = source_index(node.instr, index, anywhere) if node.inputs[0].type.shape else []
        yield from _read_at(node.inputs[0], inside)
        for part in node.inputs[1:]:
            yield from _read_at(part, split_index(node.instr, index)[0])
        return
    for k, operand in enumerate(node.inputs):
        if node.fills or (is_search(node.instr) and not k):
            yield from ((value, None) for value in leaves(operand))
        else:
            yield from _read_at(operand, index)


def axes_index(shape: Sequence[int]) -> list[ast.expr]:
    return [literal(0) if n == 1 else ast.Name(id=f"axis_{k}", ctx=ast.Load()) for k, n in enumerate(shape)]


def index_text(index: Sequence[ast.expr]) -> tuple[str, ...]:
    return tuple(
        p.id if isinstance(p, ast.Name) else str(p.value) if isinstance(p, ast.Constant) else ast.unparse(p)
        for p in index
    )


def contract_loop(loop: Fused) -> None:
    """An array that is read nowhere else is a number."""
    members = set(loop.nodes)
    for node in loop.nodes:
        if place_made(node) is None or not node.makes:
            continue
        value = node.makes[0]
        readers = list(reading_statements(value))
        if readers and all(r in members and not isinstance(r, Push) for r in readers):
            value.inner = True


def reading_statements(value: Value) -> Iterable[Node]:
    """The statements that read a value, themselves or in what is nested in them."""
    for reader in value.readers:
        if isinstance(reader, (Compute, Either, Item)) and reader.makes[0].expression is not None:
            yield from reading_statements(reader.makes[0])
        else:
            yield reader
