"""Products with the rows of a large matrix, and the loop between them, as one visit of that matrix.

Blocks with nested loops go in. A loop over rows that reads `z = x @ w` row by row, and makes what the rows of `x` are
multiplied by, is done for some rows at a time, with the products of just those rows before and after it: so the matrix,
which is larger than all else, comes from memory once and not twice. The sum over all rows is gathered block by block;
blocks depend on sizes alone. Begin with `visit_rows`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tracegrad.emit.blocks import (
    Block,
    Check,
    Choice,
    Compute,
    Nest,
    Node,
    Operand,
    Push,
    Repeat,
    Return,
    Slide,
    Value,
    Visit,
    Write,
    steps_of,
)
from tracegrad.emit.fusion import loop_shape, place_made, places_read
from tracegrad.emit.lifetimes import leaves
from tracegrad.emit.matrices import is_flipped_matrix
from tracegrad.emit.nests import as_nest
from tracegrad.emit.visit_products import SUMS, rows_of

LARGE = 2**16  # elements of a matrix that has left the nearest caches when it is read again
FEW = 4  # blocks that are worth it, and sums


def visit_rows(block: Block) -> None:
    """Put products with the rows of a matrix around the loops between them, in a block and in the blocks in it."""
    for node in block.nodes:
        if isinstance(node, (Choice, Repeat)):
            for inner in node.arms if isinstance(node, Choice) else (node.test, node.body):
                if inner is not None:
                    visit_rows(inner)
    if not any(isinstance(node, Compute) and node.fills for node in block.nodes):
        return
    for node in [n for n in block.nodes if loop_shape(steps_of(n)[0])]:
        at = block.nodes.index(node)
        visit = _visit(block.nodes, at)
        if visit is not None:
            moved = {*visit.before, *visit.after}
            block.nodes[at] = visit
            block.nodes = [other for other in block.nodes if other not in moved]


def _visit(nodes: Sequence[Node], at: int) -> Visit | None:
    """The loop that stands there with products around it, if one before and one after it share a matrix."""
    node = nodes[at]
    steps = steps_of(node)
    shape = loop_shape(steps[0])
    if not shape or isinstance(node, Slide) or any(isinstance(step, Push) for step in steps):
        return None
    rows = shape[0]
    before = [p for p in _products(reversed(nodes[:at])) if _makes_rows(p, rows)]
    before = [p for p in before if _is_read_here(p.outputs[0], steps, nodes)]
    if not before:
        return None
    after = [p for p in _products(nodes[at + 1 :]) if _sums_rows(p, rows)]
    later = {value for other in nodes[at + 1 :] for step in steps_of(other) for value in step.makes}
    after = [p for p in after if _all_by_row(p, rows, steps) and later.isdisjoint(_arrays(p))]
    shared = {_matrix(p, rows) for p in before} & {_matrix(p, rows) for p in after}
    before, after = ([p for p in side if _matrix(p, rows) in shared] for side in (before, after))
    width = max((matrix.type.shape[1] for matrix in shared if matrix is not None), default=0)
    if not width or rows * width < LARGE or rows < FEW * rows_of(width):
        return None
    if FEW * sum(product.outputs[0].type.size for product in after) > SUMS:
        return None
    parts = node.parts if isinstance(node, Nest) else as_nest(steps, rows).parts
    before.reverse()
    return Visit(None, [*before, *steps, *after], 0, rows, parts, before, after, width)


def _products(nodes: Sequence[Node] | Iterator[Node]) -> Iterator[Compute]:
    """The products that stand before anything that writes into memory."""
    for node in nodes:
        if isinstance(node, (Write, Choice, Repeat, Return, Check)):
            return
        if isinstance(node, Compute) and node.fills and node.instr.op.name in ("matmul", "dot"):
            yield node


def _plain(operand: Operand) -> Value | None:
    """An array with a name of its own."""
    return operand if isinstance(operand, Value) and operand.expression is None else None


def _turned(operand: Operand) -> Value | None:
    """Of `x.T`, where it is written so, the matrix x."""
    if isinstance(operand, Value) and operand.expression is not None and isinstance(operand.maker, Compute):
        return _plain(operand.maker.inputs[0]) if is_flipped_matrix(operand.maker) else None
    return None


def _makes_rows(product: Compute, rows: int) -> bool:
    """Whether it is `x @ w`, of a matrix of so many rows."""
    left = _plain(product.inputs[0])
    return left is not None and len(left.type.shape) == 2 and left.type.shape[0] == rows


def _sums_rows(product: Compute, rows: int) -> bool:
    """Whether it is `r @ x`, `r.T @ x` or `x.T @ r`, of matrices of so many rows, or a vector."""
    return all(value is not None and value.type.shape[0] == rows for value in _arrays(product))


def _arrays(product: Compute) -> list[Value | None]:
    """The two arrays whose rows are summed over."""
    left, right = product.inputs
    first = _plain(left) if len(left.type.shape) == 1 else _turned(left)
    return [first, _plain(right)]


def _matrix(product: Compute, rows: int) -> Value | None:
    """The largest matrix of so many rows in a product."""
    found = [_plain(product.inputs[0])] if _makes_rows(product, rows) else _arrays(product)
    matrices = [v for v in found if v is not None and len(v.type.shape) == 2]
    return max(matrices, key=lambda v: v.type.shape[1], default=None)


def _is_read_here(value: Value, steps: Sequence[Node], nodes: Sequence[Node]) -> bool:
    """Whether the loop is the first to read it, each row in its own round."""
    stand = (n for n in nodes if not n.makes or n.makes[0].expression is None)
    first = next((n for n in stand if any(value in found for found in _read_by(n))), None)
    inside = first is not None and steps[0] in steps_of(first)
    places = [place for step in steps for read, place in places_read(step) if read is value]
    return inside and all(place is not None and place[0] == "axis_0" for place in places)


def _read_by(node: Node) -> Iterator[set[Value]]:
    for step in steps_of(node):
        yield {value for operand in step.reads for value in leaves(operand)}


def _all_by_row(product: Compute, rows: int, steps: Sequence[Node]) -> bool:
    """Whether the loop makes what is summed, where it does, row by row."""
    made = {value: step for step in steps for value in step.makes}
    for value in _arrays(product):
        if value in made:
            place = place_made(made[value])
            if place is None or place[0] != "axis_0":
                return False
    return True
