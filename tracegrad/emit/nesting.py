"""Which values are written inside the expression that reads them, as a person would.

Blocks go in; afterwards `Value.expression` holds the text of the nested ones. A value nests when it has one
reader, in the same block and of the same user line, no name from the user, and the whole stays short. So
nothing moves into a loop or an arm, where it would run more or less often; that it may move past a write in
place is seen to by `lifetimes`, which counts what a nested value reads as read where it is written. Begin
with `nest`.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence

from tracegrad.emit.blocks import (
    Block,
    Check,
    Choice,
    Compute,
    Either,
    Item,
    Move,
    Node,
    Operand,
    Pack,
    Push,
    Repeat,
    Return,
    Value,
    Write,
)
from tracegrad.emit.choices import as_expression, same_line
from tracegrad.emit.elements import called_kernel, is_gather, is_light, is_search, is_view, scalar_step
from tracegrad.emit.expressions import Expressions
from tracegrad.emit.joins import is_join
from tracegrad.emit.lifetimes import leaves, reads_own_place
from tracegrad.emit.long_loops import ROUNDS, is_one_by_one
from tracegrad.emit.matrices import goes_into_place, is_flipped_matrix, is_matrix_part, seen_part
from tracegrad.emit.names import part_of
from tracegrad.emit.order import COMPARISONS, Places, passes_write
from tracegrad.emit.overlays import is_overlay
from tracegrad.emit.reductions import reduction_of
from tracegrad.emit.sizes import is_large
from tracegrad.ir.trace import Const
from tracegrad.ops.index import item_shape

NESTED = 60  # characters of an expression inside another
WHOLE = 76  # characters of an expression on its own line
SHORT = 14  # characters of what is rather written twice than named
DEPTH = 5
MOST_ROLLED = 16  # ways in which loops read an array around its ends: each is another piece of these loops
_QUICK = ("multiply", "add", "subtract", "negative")


def nest(block: Block, expressions: Expressions) -> None:
    """Decide for every value of a block and of the blocks in it."""
    places = Places(block)
    for k, node in enumerate(block.nodes):
        if isinstance(node, Choice):
            for arm in node.arms:
                nest(arm, expressions)
            either = as_expression(node, expressions)
            if either is not None:
                places[either] = k
                block.nodes[k] = node = either
        elif isinstance(node, Repeat):
            if node.test is not None:
                nest(node.test, expressions)
            nest(node.body, expressions)
        _fit(node, expressions)
        if isinstance(node, Compute) and expressions.leaves(node):
            continue  # never in a loop over elements, whose threads must not wait for Python's lock
        if isinstance(node, (Compute, Item, Either)) and len(node.makes) == 1:
            if expressions.native and goes_into_place(node, places):
                node.makes[0].expression = expressions.of(node)
                continue
            if expressions.native and (_is_lens(node, places) or _is_scaled(node, places)):
                node.makes[0].expression = _seen_through(node, expressions)
                continue
            echo = (
                _is_echo(node, places)
                or _is_asked_again(node, places)
                or _is_mask(node, places)
                or _is_joined(node, places)
                or _is_short(node, places, expressions)
            )
            if echo or _may_nest(node, block, places, expressions):
                if expressions.native and not _fits_loops(node, node.makes[0], expressions):
                    continue
                _try(node, node.makes[0], expressions, echo)


def _try(node: Compute | Item | Either, value: Value, expressions: Expressions, echo: bool) -> None:
    found = expressions.of(node)
    depth = 1 + max(
        (r.depth for r in node.reads if isinstance(r, Value) and r.expression is not None), default=0
    )
    whole = bool(value.readers) and isinstance(value.readers[0], (Repeat, Return))
    if echo or (width(found) <= (WHOLE if whole else NESTED) and (depth <= DEPTH or whole)):
        value.expression, value.depth = found, depth


def _may_nest(node: Compute | Item | Either, block: Block, places: Places, expressions: Expressions) -> bool:
    (value,) = node.makes
    if len(value.readers) != 1 or (isinstance(node, Compute) and (node.fills or _is_one_by_one(node))):
        return False
    reader = value.readers[0]
    if isinstance(reader, Compute) and reader.fills and reader.instr.op.name == "einsum":
        return False  # read in loops
    if _is_searched(value, reader):
        return False
    if isinstance(reader, Repeat) and reader.test is block:
        return value.hint is None or value.is_derivative
    if reader not in places:
        return False
    if isinstance(reader, Move):
        return _rotates(reader) and len(reader.sources) > 1
    if isinstance(reader, Return):
        return value.hint is None and value not in reader.kept
    if isinstance(node, Either) and not _decides(value, reader):
        return isinstance(reader, (Compute, Either)) and same_line(node.location, reader.location)
    if isinstance(reader, Push) or (isinstance(reader, Write) and reader.source is value):
        return False
    if value.hint is not None and not value.is_derivative and not isinstance(node, Item):
        return False
    if passes_write(node, reader, places):
        return False
    anywhere = isinstance(node, Item) or isinstance(reader, (Check, Pack)) or _decides(value, reader)
    if (_is_term(value, reader) or _is_made_in_place(node, reader)) and is_light(expressions.of(node)):
        return True
    return anywhere or same_line(node.location, reader.location)


def _is_one_by_one(node: Compute) -> bool:
    """Whether a loop calls a function that keeps it from becoming vectors: a statement of its own may stand in another
    loop."""
    kernel = called_kernel(node.instr) if node.loop and node.outputs[0].type.size >= ROUNDS else None
    return kernel is not None and is_one_by_one([kernel[0].__name__])


def _is_lens(node: Compute | Item | Either, places: Places) -> bool:
    """A view that loops over elements read, in native text: they read its source, at other indices; also the numbers
    of elements.

    Parts of arrays that are matrices, and their transposes, may be read by products of matrices, too, which take them
    as they lie in memory.
    """
    if not isinstance(node, Compute) or not (is_view(node.instr) or _is_numbers(node)):
        return False
    source, value = node.inputs[0], node.outputs[0]
    if _is_numbers(node):
        return bool(value.readers) and all(r in places and _has_elements(r, value) for r in value.readers)
    flipped, part = is_flipped_matrix(node), is_matrix_part(node)
    rolled = node.instr.op.name == "roll"
    if value.hint is not None and not value.is_derivative and not (flipped or part or rolled):
        return False
    if rolled and isinstance(source, Value) and len(source.readers) > MOST_ROLLED:
        return False
    if isinstance(source, Value):
        named = source.expression is None or _is_nested_view(source) or flipped
        if not named or any(passes_write(node, reader, places) for reader in value.readers):
            return False
    return bool(value.readers) and all(
        r in places
        and (
            (_has_elements(r, value) and (part or not _is_flipped_for_products(r)))
            or (flipped and _multiplies_matrices(r))
            or (part and _multiplies(r, value, places))
        )
        for r in value.readers
    )


def _is_scaled(node: Compute | Item | Either, places: Places) -> bool:
    """A large array times a number, unnamed, which loops read around its ends: multiplied there again, and not kept.

    Beside comparisons it is kept, as a machine may round a product and a sum at once.
    """
    if not isinstance(node, Compute) or not _is_scaling(node) or places.compare:
        return False
    value, (source,) = node.outputs[0], [x for x in node.inputs if x.type.shape]
    if value.hint is not None and not value.is_derivative:
        return False
    if isinstance(source, Const) or source.expression is not None or source.type != value.type:
        return False
    if not is_large(value.type) or any(passes_write(node, reader, places) for reader in value.readers):
        return False
    return _is_rolled(value) and all(r in places and _has_elements(r, value) for r in value.readers)


def _is_rolled(value: Value) -> bool:
    """Whether loops read it around its ends."""
    return any(isinstance(r, Compute) and r.instr.op.name == "roll" for r in value.readers)


def _is_scaling(node: Compute) -> bool:
    """Whether it is an array times a number."""
    numbers = [x for x in node.inputs if not x.type.shape]
    named = not any(isinstance(x, Value) and x.expression is not None for x in numbers)
    one = len(node.inputs) - len(numbers) == 1
    return node.loop and node.instr.op.name in ("multiply", "negative") and one and named


def _seen_through(node: Compute | Item | Either, expressions: Expressions) -> ast.expr:
    """What stands where a view is read: its text for a product; loops look through it themselves."""
    if isinstance(node, Compute) and (is_flipped_matrix(node) or is_matrix_part(node)):
        return seen_part(node, expressions)
    return expressions.of(node)


def _multiplies(reader: Node, value: Value, places: Places) -> bool:
    """Whether a node is a product of a matrix and a matrix or vector that reads a part of an array, itself or
    transposed."""
    if isinstance(reader, Compute) and is_flipped_matrix(reader) and reader.outputs[0].readers:
        return all(r in places and _multiplies(r, value, places) for r in reader.outputs[0].readers)
    return isinstance(reader, Compute) and reader.fills and _multiplies_matrices(reader)


def _is_flipped_for_products(node: Node) -> bool:
    """Whether it is a transpose that products alone read: they take it of a matrix that is in memory."""
    if not isinstance(node, Compute) or node.instr.op.name != "transpose" or not node.outputs[0].readers:
        return False
    return all(_multiplies_matrices(r) for r in node.outputs[0].readers)


def _multiplies_matrices(reader: Node) -> bool:
    """Whether a node is a product of a matrix and a matrix or vector, neither one computed in its loops."""
    if not isinstance(reader, Compute) or reader.loop or reader.instr.op.name not in ("matmul", "dot"):
        return False
    return all(x.type.ndim <= 2 for x in reader.inputs)


def _is_numbers(node: Compute) -> bool:
    """Whether the elements are their own numbers."""
    return node.loop and node.instr.op.name == "numbered"


def _is_nested_view(value: Value) -> bool:
    """Whether it looks at a named array, through views alone, or is one times a number that several loops read."""
    maker = value.maker
    if not isinstance(maker, Compute):
        return False
    if _is_numbers(maker):
        return True
    if not is_view(maker.instr):
        return (len(value.readers) > 1 or _is_rolled(value)) and _is_scaling(maker)
    source = maker.inputs[0]
    return not isinstance(source, Value) or source.expression is None or _is_nested_view(source)


def _has_elements(reader: Node, value: Value) -> bool:
    """Whether a node reads this array one element at a time."""
    if isinstance(reader, Write):
        return reader.loop and reader.source is not value
    return isinstance(reader, Compute) and reader.loop and not _is_searched(value, reader)


def _is_searched(value: Value, reader: Node) -> bool:
    """Whether each round of a loop looks for a number among all elements of an array."""
    return isinstance(reader, Compute) and is_search(reader.instr) and reader.inputs[0] is value


def _fits_loops(node: Compute | Item | Either, value: Value, expressions: Expressions) -> bool:
    """Whether nesting keeps loops over elements apart from what is computed as a whole."""
    if not value.readers:  # what a loop that is never entered would have read
        return True
    reader = value.readers[0]
    if not value.type.shape:
        if any(isinstance(r, (Compute, Write)) and r.loop for r in value.readers) and not is_light(
            expressions.of(node)
        ):
            return False
        return not (isinstance(node, Compute) and node.loop)
    if not _has_elements(reader, value):
        return not (isinstance(node, Compute) and node.loop)
    if isinstance(node, Item):
        return True
    if isinstance(node, Either) or not node.loop or scalar_step(node.instr) is None:
        return False
    if isinstance(reader, Write):
        return value.type.shape == item_shape(reader.instr)
    return _reads_each(reader, value)


def _rotates(move: Move) -> bool:
    """Whether a loop hands one carried value on as another (`a, b = b, a + b`): then its line shows the expressions."""
    return any(s in move.targets and s is not t for s, t in zip(move.sources, move.targets, strict=True))


def _is_echo(node: Compute | Item | Either, places: Places) -> bool:
    """`x[0]`, unnamed: read again wherever it is needed, rather than given a name."""
    if not isinstance(node, Compute) or node.instr.op.name != "getitem" or node.outputs[0].hint is not None:
        return False
    source, index = node.inputs[0], node.instr.params["index"]
    if not isinstance(source, Value) or source.expression is not None or len(node.inputs) != 1:
        return False
    if not all(type(part) is int for part in index) or node.outputs[0].type.shape or len(index) > 2:
        return False
    if any(passes_write(node, reader, places) for reader in node.outputs[0].readers):
        return False
    return all(
        reader in places and not isinstance(reader, (Move, Push)) and not _kept(reader, node.outputs[0])
        for reader in node.outputs[0].readers
    )


def _is_term(value: Value, reader: Node) -> bool:
    """Whether a number is added to a derivative: short terms from several lines are one statement."""
    return not value.type.shape and isinstance(reader, Compute) and part_of(value) is not None


def _is_made_in_place(node: Compute | Item | Either, reader: Node) -> bool:
    """Whether each element is made of the one that a loop adds it to: whatever line that is, it needs no memory."""
    if not isinstance(reader, Write) or not reader.loop or not isinstance(node, Compute):
        return False
    read = any(leaf is reader.source for operand in node.reads for leaf in leaves(operand))
    return read and reads_own_place(reader, node.outputs[0])


def _decides(value: Value, reader: Node) -> bool:
    """Whether a node asks a value which way to go."""
    return isinstance(reader, (Check, Choice, Either)) and reader.condition is value


def _is_asked_again(node: Node, places: Places) -> bool:
    """`x > 0.0`, unnamed, which decides several branches: asked again, rather than given a name."""
    if not isinstance(node, Compute) or node.instr.op.symbol not in COMPARISONS:
        return False
    value = node.outputs[0]
    simple = all(isinstance(x, Const) or (x.expression is None and not x.type.shape) for x in node.inputs)
    decides = bool(value.readers) and all(r in places and _decides(value, r) for r in value.readers)
    return simple and decides and value.hint is None


def _is_mask(node: Compute | Item | Either, places: Places) -> bool:
    """`x == y` of arrays, unnamed, which loops over elements read: compared again, rather than kept."""
    if not isinstance(node, Compute) or not node.loop or node.instr.op.symbol not in COMPARISONS:
        return False
    value = node.outputs[0]
    simple = all(isinstance(x, Const) or x.expression is None or _is_nested_view(x) for x in node.inputs)
    if not simple or value.hint is not None or any(passes_write(node, r, places) for r in value.readers):
        return False
    return all(r in places and _reads_each(r, value) for r in value.readers)


def _is_joined(node: Compute | Item | Either, places: Places) -> bool:
    """A part of an array that is put together: computed where it stands there, rather than kept, whoever named it."""
    if not isinstance(node, Compute) or not node.loop or scalar_step(node.instr) is None:
        return False
    (value,) = node.outputs
    if len(value.readers) != 1 or value.readers[0] not in places or not is_large(value.type):
        return False
    (reader,) = value.readers
    joins = isinstance(reader, Compute) and is_join(reader.instr)
    return joins and not passes_write(node, reader, places)


def _reads_each(reader: Node, value: Value) -> bool:
    """Whether a loop reads this array at the very elements it runs over."""
    if not isinstance(reader, Compute) or not reader.loop or is_view(reader.instr) or is_gather(reader.instr):
        return False
    if _is_searched(value, reader):
        return False
    if is_overlay(reader.instr) or is_join(reader.instr):
        return True
    return reduction_of(reader.instr) is not None or value.type.shape == reader.outputs[0].type.shape


def _is_short(node: Node, places: Places, expressions: Expressions) -> bool:
    """`b * x`, unnamed, read in two or three places: written there again, as a person would."""
    if not isinstance(node, Compute) or node.instr.op.name not in _QUICK or node.loop:
        return False
    value = node.outputs[0]
    simple = all(isinstance(x, Const) or (x.expression is None and not x.type.shape) for x in node.inputs)
    if not simple or value.hint is not None or not 2 <= len(value.readers) <= 3:
        return False
    if not all(r in places and isinstance(r, Compute) and not r.loop for r in value.readers):
        return False
    return width(expressions.of(node)) <= SHORT


def _kept(reader: Node, value: Value) -> bool:
    return isinstance(reader, Return) and value in reader.kept


def _fit(node: Node, expressions: Expressions) -> None:
    """Take nested operands out again, the widest first, until the node's own line is short enough."""
    # What the arms of a branch compute has no line to go back to.
    reads = (node.condition,) if isinstance(node, Either) else node.reads
    while True:
        inner = [r for r in reads if isinstance(r, Value) and r.expression is not None]
        wide = [
            r
            for r in inner
            if not (isinstance(r.maker, Item) or _is_nested_view(r) or len(r.readers) > 1)
            and width(r.expression) > 12
        ]
        if not wide or _line_width(node, expressions) <= WHOLE or _has_lines(node):
            return
        widest = max(wide, key=lambda r: width(r.expression))
        widest.expression, widest.depth = None, 0
        if isinstance(node, (Compute, Item, Either)):
            expressions.forget(node)


def _has_lines(node: Node) -> bool:
    """Whether what it reads stands on lines of its own."""
    return isinstance(node, Pack) or (isinstance(node, Compute) and is_join(node.instr))


def _line_width(node: Node, expressions: Expressions) -> int:
    if isinstance(node, (Compute, Item, Either)):
        return width(expressions.of(node)) + len(_target(node.makes)) + 3
    return _sum_of_widths(node.reads, expressions) + 8


def _target(values: Sequence[Value]) -> str:
    return ", ".join(v.hint or "a_name" for v in values)


def _sum_of_widths(reads: Sequence[Operand], expressions: Expressions) -> int:
    return sum(width(expressions.read(r)) + 2 for r in reads)


_OWN: dict[type, int] = {
    ast.Attribute: 1,
    ast.Call: 2,
    ast.BinOp: 4,
    ast.Compare: 4,
    ast.BoolOp: 5,
    ast.IfExp: 10,
    ast.UnaryOp: 4,
    ast.keyword: 1,
    ast.Subscript: 2,
}


def width(node: ast.AST) -> int:
    """About how many characters an expression takes; kept with the node, as nested ones are asked again and again."""
    found: int | None = getattr(node, "width", None)
    if found is None:
        found = node.width = _width(node)  # type: ignore[attr-defined]
    return found


def _width(node: ast.AST) -> int:
    if isinstance(node, ast.Name):
        return len(node.id)
    if isinstance(node, ast.Constant):
        return len(repr(node.value))
    own = _OWN.get(type(node), 1)
    if isinstance(node, ast.BinOp):
        return own + width(node.left) + width(node.right)
    if isinstance(node, (ast.Attribute, ast.keyword)):
        own += len((node.attr if isinstance(node, ast.Attribute) else node.arg) or "")
    elif isinstance(node, ast.Call):
        own += 2 * max(len(node.args) + len(node.keywords) - 1, 0)
    elif isinstance(node, (ast.Tuple, ast.List)):
        own += 2 * len(node.elts)
    return own + sum(
        width(child) for child in ast.iter_child_nodes(node) if isinstance(child, (ast.expr, ast.keyword))
    )
