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
from tracegrad.emit.elements import is_gather, is_view, source_index, split_index, spread_index
from tracegrad.emit.lifetimes import leaves, walk
from tracegrad.emit.reductions import Reduction, reduction_of
from tracegrad.ir.trace import Const
from tracegrad.ops.op import literal

Place = tuple[str, ...] | None  # the index of an element as text; None for the whole


def fuse(block: Block) -> None:
    """Fuse the loops of a block, and of the blocks in it."""
    placed: list[Node | None] = []  # None where a loop has moved down from
    made: dict[Value, int] = {}  # where in `placed` a value is made
    stands: dict[Node, int] = {}  # where in `placed` a node stands, itself or in what it holds
    last: dict[tuple[int, ...], int] = {}  # the last loop over each shape
    for node in block.nodes:
        shape = loop_shape(node)
        if isinstance(node, (Choice, Repeat)):
            for inner in node.arms if isinstance(node, Choice) else (node.test, node.body):
                if inner is not None:
                    fuse(inner)
            last.clear()
        at = last.get(shape) if shape is not None else None
        members = [] if at is None else _members(placed[at])
        if at is not None and not _may_join(node, members, at, made):
            if _may_move_down(members, placed[at + 1 :], at, stands) and _may_join(
                node, members, len(placed), made
            ):
                placed[at], at = None, len(placed)
                placed.append(None)
                stands.update((member, at) for member in members)
                made.update((value, at) for member in members for value in member.makes)
            else:
                at = None
        if at is None:
            at, members = len(placed), []
            placed.append(None)
        members = [*members, node]
        placed[at] = Fused(None, members) if len(members) > 1 else node
        if shape is not None:
            last[shape] = at
        made.update((value, at) for value in node.makes if value.expression is None)
        stands.update((inner, at) for inner in walk(Block([node])))
    block.nodes = [node for node in placed if node is not None]


def loop_shape(node: Node) -> tuple[int, ...] | None:
    """The shape whose elements a statement runs over; None for other nodes, and for what is nested.

    A view made contiguous stays alone: reading across memory would slow down what stands beside it.
    """
    if isinstance(node, Compute) and node.loop and node.outputs[0].expression is None:
        if is_view(node.instr):
            return None
        summed = reduction_of(node.instr) is not None
        return tuple((node.inputs[0] if summed else node.outputs[0]).type.shape)
    if isinstance(node, Push) and node.index is not None and isinstance(node.value, Value):
        return tuple(node.value.type.shape) or None
    return None


def _members(loop: Node | None) -> list[Node]:
    assert loop is not None
    return loop.nodes if isinstance(loop, Fused) else [loop]


def _may_move_down(
    members: Sequence[Node], after: Sequence[Node | None], at: int, stands: dict[Node, int]
) -> bool:
    """Whether nothing that stands after a loop reads what it makes, or writes into what it reads."""
    made = (value for member in members for value in member.makes)
    if any(stands.get(reader, at) > at for value in made for reader in reading_statements(value)):
        return False
    written = {node.source for node in after if isinstance(node, Write)}
    return not written or not any(value in written for member in members for value, _ in places_read(member))


def _may_join(node: Node, members: Sequence[Node], at: int, made: dict[Value, int]) -> bool:
    results = {value: place_made(member) for member in members for value in member.makes}
    for value, place in places_read(node):
        if value in results:
            if place is None or place != results[value]:
                return False
        elif made.get(value, -1) >= at:
            return False
    return True


def place_made(node: Node) -> Place:
    """The element a loop makes in one round; None for a sum, which is there only after the last round."""
    if isinstance(node, Compute) and reduction_of(node.instr) is None:
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
    assert isinstance(node, Compute)
    if node.fills:
        yield from ((value, None) for operand in node.inputs for value in leaves(operand))
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
    for operand in node.inputs:
        yield from _read_at(operand, index)


def axes_index(shape: Sequence[int]) -> list[ast.expr]:
    return [literal(0) if n == 1 else ast.Name(id=f"axis_{k}", ctx=ast.Load()) for k, n in enumerate(shape)]


def index_text(index: Sequence[ast.expr]) -> tuple[str, ...]:
    return tuple(map(ast.unparse, index))


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
