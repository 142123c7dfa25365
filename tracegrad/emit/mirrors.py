"""Loops that read a matrix at an element and at its mirror image, in tiles, to be written where they read.

`s[i, j] = a[i, j] + a[j, i]` may stand in the memory of `a` if both elements are read before either is written. So it
is computed for a tile and for the one at the other side of the diagonal together: for the first into a buffer, for the
second where it belongs, and then the buffer is copied to the first one's place. A row of tiles meets itself and half of
the others, those that follow it, after the last one the first; as the rows are of odd number, each pair meets once, and
threads can share them. Both tiles stay in the nearest cache, where columns are as near as rows. Begin with
`is_mirrored`.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from itertools import count

from tracegrad.emit.expressions import zeros
from tracegrad.emit.loops import assign, for_each, minus, plus, times
from tracegrad.emit.printer import Line
from tracegrad.emit.segments import names_in
from tracegrad.ir.types import ArrayType
from tracegrad.ops.op import call, literal, named
from tracegrad.syntax import nodes_of

SIDE = 32  # rows and columns of a tile, about: two of them are half of the nearest cache
LEAST = 256  # rows of a matrix whose memory is worth the tiles


@dataclass(frozen=True)
class _Square:
    """A loop over the rows of a square with one over its columns inside.

    Attributes
    ----------
    row, column : the names of the indices
    length : of each side
    inside : the statements for an element
    mine : the question whether a row is this thread's, if there is one
    """

    row: str
    column: str
    length: int
    inside: Sequence[Line]
    mine: Line | None


def is_mirrored(loop: Line, old: str, new: str) -> bool:
    """Whether a loop makes nothing but numbers and then an element of a square array, of those of another one at the
    same place and at its mirror image."""
    square = _square(loop)
    if square is None or square.length < LEAST:
        return False
    *before, last = (line.statement for line in square.inside)
    made: list[str] = []
    values: list[ast.expr] = []
    for statement in before:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                made.append(name)
                values.append(value)
            case _:
                return False
    match last:
        case ast.Assign(targets=[ast.Subscript(value=ast.Name(id=name), slice=place)], value=value):
            values.append(value)
        case _:
            return False
    if name != new or ast.unparse(place) != f"({square.row}, {square.column})":
        return False
    if {square.row, square.column, old, new}.intersection(made):
        return False
    if any(made[k] in names_in(value) for n, value in enumerate(values) for k in range(n, len(made))):
        return False  # a number that an earlier element left
    return all(_reads_pairs(value, old, new, square) for value in values)


def _square(loop: Line) -> _Square | None:
    rows, mine, body = _range(loop), None, loop.body
    if len(body) == 1 and isinstance(body[0].statement, ast.If) and not body[0].orelse:
        mine, body = body[0], body[0].body
    columns = _range(body[0]) if len(body) == 1 else None
    if rows is None or columns is None or rows[1] != columns[1]:
        return None
    if mine is not None and names_in(mine.statement.test) != {"first", rows[0], "last"}:  # type: ignore[attr-defined]
        return None
    return _Square(rows[0], columns[0], rows[1], body[0].body, mine)


def _range(line: Line) -> tuple[str, int] | None:
    """The index of `for i in range(200)`, and the number."""
    match line.statement:
        case ast.For(
            target=ast.Name(id=name),
            iter=ast.Call(func=ast.Name(id="range"), args=[ast.Constant(value=int(length))]),
        ) if not line.orelse:
            return name, length
    return None


def _reads_pairs(value: ast.expr, old: str, new: str, square: _Square) -> bool:
    """Whether an expression reads `old` at the places of a pair alone, and `new` nowhere."""
    pair = (f"({square.row}, {square.column})", f"({square.column}, {square.row})")
    known = set()
    for node in nodes_of(value):
        if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name) and node.value.id == old:
            if ast.unparse(node.slice) not in pair:
                return False
            known.add(id(node.value))
    names = [node for node in nodes_of(value) if isinstance(node, ast.Name)]
    return all(id(node) in known if node.id == old else node.id != new for node in names)


def tiles(length: int) -> tuple[int, int]:
    """How many rows of tiles a square has, an odd number, and how many rows each of them has, at most."""
    number = length // SIDE | 1
    return number, -(-length // number)


def in_tiles(loop: Line, type: ArrayType, taken: Collection[str]) -> list[Line]:
    """The same loop for pairs of tiles, with a buffer for one of them; `taken` are the names in its function."""
    square = _square(loop)
    assert square is not None
    number, side = tiles(square.length)
    block, turn, top, left, k, m, kept = (
        next(name for n in count() if (name := f"{stem}_{n}" if n else stem) not in taken)
        for stem in ("block", "turn", "top", "left", "k", "m", "kept")
    )
    where = loop.location
    element = square.inside[-1].statement
    assert isinstance(element, ast.Assign)
    (place,) = element.targets

    def each(rows: str, columns: str, inside: Sequence[Line]) -> Line:
        """The elements of the tile that begins at a row and a column."""

        def along(start: str, inner: str, index: str, lines: Sequence[Line]) -> Line:
            rest = minus(square.length, start)
            stands = Line(assign(index, plus(start, inner)), where)
            return for_each(inner, call("min", literal(side), rest), [stands, *lines])

        return along(rows, k, square.row, [along(columns, m, square.column, inside)])

    buffer = ast.Subscript(
        value=named(kept), slice=ast.Tuple(elts=[named(k), named(m)], ctx=ast.Load()), ctx=ast.Store()
    )
    aside = replace(square.inside[-1], statement=ast.Assign(targets=[buffer], value=element.value))
    back = ast.Subscript(value=buffer.value, slice=buffer.slice, ctx=ast.Load())
    returned = Line(ast.Assign(targets=[place], value=back), where)
    other = ast.BinOp(left=plus(block, turn), op=ast.Mod(), right=literal(number))
    apart = ast.Compare(left=named(turn), ops=[ast.Gt()], comparators=[literal(0)])
    pairs = [
        Line(assign(left, times(side, other)), where),
        each(top, left, [*square.inside[:-1], aside]),
        Line(ast.If(test=apart, body=[], orelse=[]), where, body=[each(left, top, square.inside)]),
        each(top, left, [returned]),
    ]
    lines = [
        Line(assign(top, times(side, block)), where),
        for_each(turn, literal(number // 2 + 1), pairs),
    ]
    if square.mine is not None:
        asked = _asked(square.mine.statement, square.row, block)
        lines = [replace(square.mine, statement=asked, body=lines)]
    room = Line(assign(kept, zeros(ArrayType((side, side), type.dtype), "np.empty")), where)
    return [room, for_each(block, literal(number), lines)]


def _asked(statement: ast.stmt, row: str, block: str) -> ast.If:
    """`if first <= block < last:` of `if first <= i < last:`."""
    assert isinstance(statement, ast.If) and isinstance(statement.test, ast.Compare)
    middle, last = statement.test.comparators
    assert isinstance(middle, ast.Name) and middle.id == row
    test = ast.Compare(left=statement.test.left, ops=statement.test.ops, comparators=[named(block), last])
    return ast.If(test=test, body=[], orelse=[])
