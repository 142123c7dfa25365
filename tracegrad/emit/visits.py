"""Products with the rows of large matrices, and the loops between them, as one visit of these rows.

Blocks with nested loops go in. A loop over rows that reads `z = x @ w` row by row, and makes what the rows of `x` are
multiplied by, is done for some rows at a time, with the products of just those rows before and after it: so the matrix,
which is larger than all else, comes from memory once and not twice. What else is made and read row by row joins them:
products of what the loop makes, and loops that read those. An array that nothing else reads is there for a block of
rows alone, its window. Sums over all rows are gathered block by block; blocks depend on sizes alone. Begin with
`visit_rows`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import TypeAlias, TypeGuard

from tracegrad.emit.blocks import (
    Block,
    Check,
    Choice,
    Compute,
    Move,
    Nest,
    Node,
    Operand,
    Push,
    Repeat,
    Return,
    Slide,
    Value,
    Visit,
    Window,
    Write,
    steps_of,
)
from tracegrad.emit.fusion import loop_shape, places_read, reading_statements
from tracegrad.emit.lifetimes import leaves
from tracegrad.emit.matrices import is_flipped_matrix
from tracegrad.emit.nests import as_nest, place_done
from tracegrad.emit.overlays import is_overlay
from tracegrad.emit.visit_products import SUMS, rows_of

LARGE = 2**16  # elements of a matrix that has left the nearest caches when it is read again
FEW = 4  # blocks that are worth it, and sums
SHARED = 2**19  # elements of rows that threads may share
NEAR = 2**17  # elements of what rows are multiplied by, which are read again for each block
FAR = 32  # statements that stay behind, between a visit and one that joins it
LEAST = 64  # rows that products are done with where no matrix is read twice: with fewer BLAS is slow


def visit_rows(block: Block) -> None:
    """Put products with the rows of a matrix around the loops between them, in a block and in the blocks in it."""
    for node in block.nodes:
        if isinstance(node, (Choice, Repeat)):
            for inner in node.arms if isinstance(node, Choice) else (node.test, node.body):
                if inner is not None:
                    visit_rows(inner)
    lengths = {rows for node in block.nodes if _is_product(node) and (rows := _rows_of(node))}
    known: _Known = {}
    for node in block.nodes.copy() if lengths else ():
        sums = _is_product(node) and not _makes_rows(node)
        if _rows_of(node) in lengths and not sums and node in block.nodes:
            block.nodes = _with_visit(block.nodes, block.nodes.index(node), known)


_Known: TypeAlias = dict[Node, list[tuple[Value, bool]]]
"""What each node reads, and whether it reads one row in the round of that row."""


@dataclass(eq=False)
class _Group:
    """Loops and products that may be done with some rows at a time, and what they make, each row in its own round.

    Attributes
    ----------
    rows : int
    known : what nodes read
    stages, after : what is done with a block in turn, and the sums of products over all rows
    results : what is made, and whether by rows
    seen : arrays that are read by rows
    """

    rows: int
    known: _Known
    stages: list[Node] = field(default_factory=list)
    after: list[Compute] = field(default_factory=list)
    results: dict[Value, bool] = field(default_factory=dict)
    seen: dict[Value, None] = field(default_factory=dict)

    def may_take(self, node: Node, late: set[Value]) -> bool:
        """Whether a node reads rows of what is read or made here, of this in its own round, and nothing made later."""
        if _rows_of(node) != self.rows:
            return False
        related = not self.stages
        for value, by_row in _reads(node, self.known):
            if value in late or (value in self.results and not (by_row and self.results[value])):
                return False
            related = related or (by_row and (value in self.results or value in self.seen))
        return related

    def take(self, node: Node) -> None:
        if _is_product(node) and not _makes_rows(node):
            self.after.append(node)
        else:
            self.stages.append(node)
        for step in steps_of(node):
            by_row = _makes_rows(step) if _is_product(step) else _is_own_row(place_done(step))
            self.results.update((value, by_row) for value in step.makes)
        self.seen.update((value, None) for value, by_row in _reads(node, self.known) if by_row)

    def windows(self) -> list[Value]:
        """What nothing else reads."""
        members = {step for node in (*self.stages, *self.after) for step in steps_of(node)}
        return [
            value
            for value, by_row in self.results.items()
            if by_row
            and not (value.inner or value.dropped or value.expression)
            and value.type.shape[:1] == (self.rows,)
            and (readers := list(reading_statements(value)))
            and members.issuperset(readers)
        ]


def _with_visit(nodes: list[Node], at: int, known: _Known) -> list[Node]:
    """The nodes with a visit that begins there; the same where it is not worth it."""
    rows = _rows_of(nodes[at])
    group = _Group(rows, known)
    early: list[Node] = []
    behind: list[Node] = []
    late: set[Value] = set()
    for node in takewhile(_may_be_passed, nodes[at:]):
        if len(behind) == FAR:
            break
        makes = [value for step in steps_of(node) for value in step.makes]
        if any(value.expression is not None for value in makes):
            early.append(node)
        elif group.may_take(node, late):
            group.take(node)
        elif any(value in late or value in group.results for value, _ in _reads(node, known)):
            behind.append(node)
            late.update(makes)
        else:
            early.append(node)
    visit = _as_visit(group)
    if visit is None:
        return nodes
    end = at + len(early) + len(group.stages) + len(group.after) + len(behind)
    return [*nodes[:at], *early, visit, *behind, *nodes[end:]]


def _as_visit(group: _Group) -> Visit | None:
    """Loops and products with blocks of rows, if a matrix is read once and not twice, or arrays need no memory."""
    rows = group.rows
    products = [node for node in group.stages if _is_product(node)]
    if len(products) == len(group.stages) or not (products or group.after):
        return None
    read = {value for product in products for value in _by_row(product)}
    summed = {value for product in group.after for value in _by_row(product)}
    twice = sum(value.type.size for value in read & summed if value not in group.results)
    windows = group.windows()
    width = max(map(_width, (*read, *summed, *windows)))
    sums = sum(product.outputs[0].type.size for product in group.after)
    least = rows_of(width)
    if rows < FEW * least or FEW * sums > SUMS:
        return None
    kept = sum(value.type.size for value in windows) >= LARGE and least >= LEAST
    if twice < LARGE and not kept:
        return None
    most = min(SUMS, rows * width // FEW)
    rounds = max(least, -(-rows * sums // most))
    if FEW * rounds > rows:
        return None
    if kept:
        for value in windows:
            value.window = Window(0, rounds)
    stages: list[Compute | Nest] = [
        node if _is_product(node) or isinstance(node, Nest) else as_nest(steps_of(node), rows)
        for node in group.stages
    ]
    steps = [step for node in (*stages, *group.after) for step in steps_of(node)]
    large = rows * width >= SHARED
    return Visit(None, steps, 0, rows, [], stages, group.after, rounds, large)


def _may_be_passed(node: Node) -> bool:
    """Whether what follows may stand before it: it neither writes into memory nor leads elsewhere."""
    return not isinstance(node, (Write, Choice, Repeat, Move, Return, Check))


def _is_product(node: Node) -> TypeGuard[Compute]:
    return isinstance(node, Compute) and node.fills and node.instr.op.name in ("matmul", "dot")


def _rows_of(node: Node) -> int:
    """The rows that a loop or a product goes over; 0 where it is none that may be done by rows."""
    if isinstance(node, Compute) and node.fills:
        if not _is_product(node):
            return 0
        left = _plain(node.inputs[0])
        if left is not None and len(left.type.shape) == 2:
            return left.type.shape[0] if node.inputs[1].type.size <= NEAR else 0
        arrays = [value for value in _summed(node) if value is not None]
        return arrays[0].type.shape[0] if len(arrays) == 2 else 0
    steps = steps_of(node)
    shape = loop_shape(steps[0])
    unfit = isinstance(node, (Slide, Visit)) or any(
        isinstance(step, Push) or (isinstance(step, Compute) and is_overlay(step.instr)) for step in steps
    )
    return shape[0] if shape and not unfit else 0


def _makes_rows(product: Compute) -> bool:
    """Whether it is `x @ w`, a row of which is made of a row of x."""
    left = _plain(product.inputs[0])
    return left is not None and len(left.type.shape) == 2


def _plain(operand: Operand) -> Value | None:
    """An array with a name of its own."""
    return operand if isinstance(operand, Value) and operand.expression is None else None


def _turned(operand: Operand) -> Value | None:
    """Of `x.T`, where it is written so, the matrix x."""
    if isinstance(operand, Value) and operand.expression is not None and isinstance(operand.maker, Compute):
        return _plain(operand.maker.inputs[0]) if is_flipped_matrix(operand.maker) else None
    return None


def _summed(product: Compute) -> list[Value | None]:
    """The two arrays whose rows are summed over, of `r @ x`, `r.T @ x` or `x.T @ r`."""
    left, right = product.inputs
    first = _plain(left) if len(left.type.shape) == 1 else _turned(left)
    return [first, _plain(right)]


def _by_row(product: Compute) -> list[Value]:
    """The arrays that a product reads row by row."""
    found = [_plain(product.inputs[0])] if _makes_rows(product) else _summed(product)
    return [value for value in found if value is not None]


def _width(value: Value) -> int:
    """The elements of a row."""
    return math.prod(value.type.shape[1:])


def _reads(node: Node, known: _Known) -> list[tuple[Value, bool]]:
    found = known.get(node)
    if found is None:
        found = known[node] = list(_found_reads(node))
    return found


def _found_reads(node: Node) -> Iterator[tuple[Value, bool]]:
    if not _rows_of(node):
        for step in steps_of(node):
            yield from ((value, False) for operand in step.reads for value in leaves(operand))
    elif _is_product(node):
        yield from ((value, True) for value in _by_row(node))
        others = node.inputs[1:] if _makes_rows(node) else ()
        yield from ((value, False) for operand in others for value in leaves(operand))
    else:
        for step in steps_of(node):
            yield from ((value, _is_own_row(place)) for value, place in places_read(step))


def _is_own_row(place: Sequence[str] | None) -> bool:
    return place is not None and place[:1] == ("axis_0",)
