"""Matrices that products take as they lie in memory: parts of arrays, and transposes of them.

BLAS knows how far apart rows are, so `x[:, :k] @ w` needs no copy of the part, and a product that is written into a
part of an array needs no memory of its own. Nodes go in; answers, and the text of a part, come out. Begin with
`is_matrix_part`.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence

from tracegrad.emit.blocks import Compute, Item, Node, Value, Write
from tracegrad.emit.expressions import Expressions
from tracegrad.emit.order import Places, passes_write
from tracegrad.ir.trace import Instr
from tracegrad.ops.index import Slot, index_arrays, index_text, item_shape, whole
from tracegrad.ops.op import named

FEW = 4  # times less than an operand: then a product costs nothing to copy


def is_matrix_part(node: Compute) -> bool:
    """Whether a read of a named array gives a matrix whose rows lie as in the whole: `x[:, :k]`, `x[::2]`."""
    source, instr = node.inputs[0], node.instr
    is_read = instr.op.name == "getitem" and len(instr.outputs[0].shape) == 2
    return is_read and isinstance(source, Value) and source.expression is None and _has_rows(instr)


def is_flipped_matrix(node: Compute) -> bool:
    """`x.T` of a matrix in memory."""
    source = node.inputs[0]
    flips = node.instr.op.name == "transpose" and node.instr.params["axes"] == (1, 0)
    return flips and isinstance(source, Value) and lies_in_memory(source)


def lies_in_memory(value: Value) -> bool:
    """Whether a matrix has a name, or is written as a part of what has one."""
    maker = value.maker
    if value.expression is None:
        return True
    if isinstance(maker, Item):
        return isinstance(maker.stack, Value) and maker.stack.expression is None
    return isinstance(maker, Compute) and is_matrix_part(maker)


def seen_part(node: Compute, expressions: Expressions) -> ast.expr:
    """`x[:, :k]`, or `x.T`: the text of a matrix that a product reads."""
    source = expressions.read(node.inputs[0])
    if node.instr.op.name == "transpose":
        return ast.Attribute(value=source, attr="T", ctx=ast.Load())
    return _part_of(source, node.instr, expressions.slots(node.instr, node.inputs[1:]))


def is_strided(text: ast.expr) -> bool:
    """Whether a matrix is written as a part of an array in which its elements may not lie one behind the other."""
    if isinstance(text, ast.Attribute):
        return is_strided(text.value)
    if not isinstance(text, ast.Subscript):
        return False
    parts = text.slice.elts if isinstance(text.slice, ast.Tuple) else [text.slice]
    return any(isinstance(part, ast.Slice) and (k or part.step is not None) for k, part in enumerate(parts))


def goes_into_place(node: Node, places: Places) -> bool:
    """Whether a product of matrices is all that is written into a part of an array, or added to it, and the part is a
    matrix: then it is written there in the first place.

    A result that is small beside what is multiplied stays, as its copy costs nothing, and its product may be done
    with rows of large matrices (`visits`).
    """
    if not isinstance(node, Compute) or not node.fills or node.instr.op.name not in ("matmul", "dot"):
        return False
    value = node.outputs[0]
    write = value.readers[0] if len(value.readers) == 1 else None
    if not isinstance(write, Write) or not write.loop or write not in places or write.rest[-1] is not value:
        return False
    alike = len(value.type.shape) == 2 and value.type.shape == tuple(item_shape(write.instr))
    if not alike or value.type.dtype != write.output.type.dtype or not _has_rows(write.instr):
        return False
    least = min(x.type.size for x in node.inputs)
    return FEW * value.type.size >= least and not passes_write(node, write, places)


def product_written(write: Write) -> Compute | None:
    """The product that `goes_into_place`."""
    value = write.rest[-1]
    if isinstance(value, Value) and value.expression is not None and isinstance(value.maker, Compute):
        return value.maker if value.maker.fills else None
    return None


def part_written(write: Write, expressions: Expressions) -> ast.expr:
    """The text of the part that a write is about."""
    array = named(write.output.name)
    return _part_of(array, write.instr, expressions.slots(write.instr, write.rest[:-1]))


def _part_of(array: ast.expr, instr: Instr, slots: Sequence[ast.expr]) -> ast.expr:
    """`x[:, :k]`, without the axes at the end that are whole."""
    index = whole(instr.params["index"], len(instr.inputs[0].shape))
    while index and index[-1] == slice(None):
        index.pop()
    if not index:
        return array
    return ast.Subscript(value=array, slice=index_text(slots, index), ctx=ast.Load())


def _has_rows(instr: Instr) -> bool:
    """Whether an index has numbers and slices alone, and leaves the elements of rows beside each other."""
    shape, index = instr.inputs[0].shape, instr.params["index"]
    if -1 in shape or not shape or None in index or any(a.shape for a in index_arrays(instr)):
        return False
    *parts, last = whole(index, len(shape))
    plain = isinstance(last, slice) and last.step in (None, 1)
    return plain and all(
        type(part) is int or isinstance(part, Slot) or (isinstance(part, slice) and (part.step or 1) > 0)
        for part in parts
    )
