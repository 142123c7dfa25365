"""Loops that read along the columns of an array, from copies of some columns at a time.

The finished statements of a function go in. `x[i, j] + x[j, i]` in a loop over `j` reads neighbours and, each a row
from the next, the elements of a column: no vector is loaded from those, and vectors are what makes `tanh` fast. So
`ROWS` columns are copied to the rows of a strip first, while the memory hands out all of them together, and the loops
for as many `i` read there: `x[i, j] + strip[row, j]`. Nothing else changes, no order and no digit. Begin with
`in_strips`.

Copying: Lam, Rothberg and Wolf, The cache performance and optimizations of blocked algorithms, ASPLOS 1991.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import count
from typing import Any

from tracegrad.emit.elements import subscript
from tracegrad.emit.loops import assign, for_each, minus, plus, times
from tracegrad.emit.printer import Line
from tracegrad.emit.segments import Copies, is_whole, names_in
from tracegrad.ops.op import call, literal, named
from tracegrad.syntax import nodes_of

ROWS = 32  # columns that are copied together
LEAST = 24  # columns, and elements of one, from which copies are worth it


@dataclass(eq=False)
class _Loop:
    """A loop, or the question in it whether a round is this thread's; the columns that it goes through."""

    line: Line
    depth: int
    columns: list[_Index] = field(default_factory=list)

    @cached_property
    def uses(self) -> dict[str, set[int]]:
        """Of each name in it, by how many indices it is read there; 0 where it is bound, written to, or used whole."""
        found: dict[str, set[int]] = {}
        for line in _all([self.line]):
            for name, axes in _uses(line.statement):
                found.setdefault(name, set()).add(axes)
        return found


@dataclass(eq=False)
class _Index:
    """An index, less than `length`, that is made in the rounds of `owner`; `outermost` is the first loop for it."""

    name: str
    length: int
    outermost: _Loop
    owner: _Loop
    strips: dict[str, _Strip] = field(default_factory=dict)  # by what is read there
    held: str = ""  # what is called: the number of the strip that is there, and the row of this index
    row: str = ""


@dataclass(frozen=True)
class _Block:
    """Where a block starts: how many rounds it has, and all blocks together, if this is known."""

    rounds: int
    length: int
    outermost: _Loop


@dataclass(frozen=True)
class _Strip:
    """A copy of the columns that are read as `read`, with `length` elements, counted by `along`."""

    name: str
    read: ast.Subscript
    along: str
    length: int


Indices = Mapping[str, _Index]
Blocks = Mapping[str, _Block]


def in_strips(lines: Sequence[Line], taken: Collection[str]) -> list[Line]:
    """The same statements, with strips where these are worth it; `taken` are names that the function knows."""
    strips = _Strips(lines, taken)
    return [made for line in lines for made in strips.line(line, 0, {}, {})]


class _Strips:
    """Writes the strips of one function."""

    def __init__(self, lines: Sequence[Line], taken: Collection[str]) -> None:
        self.lines, self.known = lines, taken

    @cached_property
    def taken(self) -> set[str]:
        """The names that are something else."""
        return {*self.known, *(name for line in _all(self.lines) for name in names_in(line.statement))}

    def line(self, line: Line, depth: int, indices: Indices, blocks: Blocks) -> list[Line]:
        """A statement inside of loops that make some indices, and starts of blocks."""
        if not line.body:
            return [line]
        loop = _Loop(line, depth)
        limits: list[ast.expr] = []
        match line.statement:
            case ast.For(target=ast.Name(id=name), iter=ast.Call(func=ast.Name(id="range"), args=limits)):
                indices, blocks = _entered(loop, name, limits, indices, blocks)
            case ast.If(test=ast.Compare(ops=[ast.LtE(), ast.Lt()])) if not line.orelse:
                for index in indices.values():
                    if index.owner.line.body == [line]:
                        index.owner = loop
            case _:
                indices, blocks = {}, {}
        is_innermost = not any(inner.body for inner in line.body)
        inside: list[Line] = []
        made: list[tuple[int, _Index]] = [(0, i) for i in indices.values() if i.owner is loop]
        for inner in line.body:
            if is_innermost and _computes(inner.statement):
                read = _Read(self, loop, indices)
                inside.append(replace(inner, statement=read.visit(inner.statement)) if indices else inner)
            else:
                inside += self.line(inner, depth + 1, indices, blocks)
            indices, blocks, new = _made(loop, limits, inner, indices, blocks)
            made += [(len(inside), index) for index in new]
        for at, index in reversed(made):
            if index.strips and index.owner is loop:
                inside[at:at] = self._filled(index)
        orelse = [new for inner in line.orelse for new in self.line(inner, depth + 1, {}, {})]
        rooms = [room for index in loop.columns if index.strips for room in _rooms(index, line)]
        return [*rooms, replace(line, body=inside, orelse=orelse)]

    def unused(self, stem: str) -> str:
        name = next(n for k in count() if (n := f"{stem}_{k}" if k else stem) not in self.taken)
        self.taken.add(name)
        return name

    def element(self, node: ast.Subscript, innermost: _Loop, indices: Indices) -> ast.expr | None:
        """What is read in a strip instead, if this is an element further down a column in each round of a loop."""
        match node:
            case ast.Subscript(
                value=ast.Name(id=array), slice=ast.Tuple(elts=[*others, ast.Name(id=last)]), ctx=ast.Load()
            ) if last in indices:
                column = indices[last]
            case _:
                return None
        along = [indices[n.id] for n in others if isinstance(n, ast.Name) and n.id in indices]
        along = [index for index in along if index.owner is innermost]
        if len(along) != 1 or column.owner is innermost or min(column.length, along[0].length) < LEAST:
            return None
        fixed = {name for other in others for name in names_in(other)} - {along[0].name}
        uses = column.outermost.uses
        if uses[array] != {1 + len(others)} or any(0 in uses.get(name, ()) for name in fixed):
            return None
        if along[0].outermost.depth <= column.owner.depth:
            return None
        text = ast.unparse(node)
        if text not in column.strips:
            if not column.strips:
                column.outermost.columns.append(column)
                column.held, column.row = self.unused("held"), self.unused("row")
            column.strips[text] = _Strip(self.unused("strip"), node, along[0].name, along[0].length)
        strip = column.strips[text]
        return subscript(named(strip.name), [named(column.row), named(along[0].name)])

    def _filled(self, column: _Index) -> list[Line]:
        """The strips of a column and its neighbours are filled when the first of them is at hand."""
        where = column.outermost.line.location
        number = ast.BinOp(left=named(column.name), op=ast.FloorDiv(), right=literal(ROWS))
        row = ast.BinOp(left=named(column.name), op=ast.Mod(), right=literal(ROWS))
        first = times(ROWS, column.held)
        rounds: ast.expr = literal(ROWS)
        if column.length % ROWS:
            rounds = call("min", rounds, minus(column.length, first))
        fill = [Line(assign(column.held, number), where)]
        for strip in column.strips.values():
            assert isinstance(strip.read.slice, ast.Tuple)
            element = subscript(strip.read.value, [*strip.read.slice.elts[:-1], plus(first, column.row)])
            place = subscript(named(strip.name), [named(column.row), named(strip.along)], store=True)
            copied = Line(ast.Assign(targets=[place], value=element), where)
            fill.append(
                for_each(strip.along, literal(strip.length), [for_each(column.row, rounds, [copied])])
            )
        test = ast.Compare(left=number, ops=[ast.NotEq()], comparators=[named(column.held)])
        return [
            Line(ast.If(test=test, body=[], orelse=[]), where, body=fill),
            Line(assign(column.row, row), where),
        ]


class _Read(Copies):
    """Copies of statements that read in strips."""

    def __init__(self, strips: _Strips, innermost: _Loop, indices: Indices) -> None:
        self.strips, self.innermost, self.indices = strips, innermost, indices

    def visit_Subscript(self, node: ast.Subscript) -> Any:
        return self.strips.element(node, self.innermost, self.indices) or self.generic_visit(node)


def _entered(
    loop: _Loop, name: str, limits: Sequence[ast.expr], indices: Indices, blocks: Blocks
) -> tuple[Indices, Blocks]:
    """What is known of the index of a loop."""
    indices, blocks = _without(indices, name), _without(blocks, name)
    match limits:
        case [ast.Constant(value=int(length))]:
            indices[name] = _Index(name, length, loop, loop)
        case [ast.Constant(value=0), ast.Constant(value=int(length)), ast.Constant(value=int(rounds))]:
            blocks[name] = _Block(rounds, length, loop)
    return indices, blocks


def _made(
    loop: _Loop, limits: Sequence[ast.expr], line: Line, indices: Indices, blocks: Blocks
) -> tuple[Indices, Blocks, list[_Index]]:
    """What is known of an index, or the start of a block, that a statement makes in the rounds of a loop."""
    match line.statement:
        case ast.Assign(
            targets=[ast.Name(id=name)],
            value=ast.BinOp(left=ast.Constant(value=int(rounds)), op=ast.Mult(), right=ast.Name(id=number)),
        ) if number in indices:
            among = indices[number]
            return indices, {**blocks, name: _Block(rounds, among.length * rounds, among.outermost)}, []
        case ast.Assign(
            targets=[ast.Name(id=name)],
            value=ast.BinOp(left=ast.Name(id=start), op=ast.Add(), right=ast.Name(id=turn)),
        ) if start in blocks and _turn(loop) == turn and (length := _length(blocks[start], start, limits)):
            index = _Index(name, length, blocks[start].outermost, loop)
            return {**indices, name: index}, blocks, [index]
        case ast.Assign(targets=[ast.Name(id=name)]) if name in indices or name in blocks:
            return _without(indices, name), _without(blocks, name), []
    return indices, blocks, []


def _turn(loop: _Loop) -> str:
    """The name that a loop counts by."""
    match loop.line.statement:
        case ast.For(target=ast.Name(id=name)):
            return name
    return ""


def _without(known: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {other: found for other, found in known.items() if other != name}


def _length(block: _Block, start: str, limits: Sequence[ast.expr]) -> int:
    """How many rounds all blocks have, if a loop with these limits does one of them; else 0."""
    match limits:
        case [ast.Constant(value=block.rounds)] if block.length % block.rounds == 0:
            return block.length
        case [
            ast.Call(
                func=ast.Name(id="min"),
                args=[
                    ast.Constant(value=block.rounds),
                    ast.BinOp(left=ast.Constant(value=int(length)), op=ast.Sub(), right=ast.Name(id=first)),
                ],
            )
        ] if first == start:
            return length
    return 0


def _rooms(column: _Index, line: Line) -> Iterator[Line]:
    """Memory for strips, with none in it."""
    for strip in column.strips.values():
        dtype = ast.Attribute(value=strip.read.value, attr="dtype", ctx=ast.Load())
        made = call("np.empty", literal((ROWS, strip.length)), dtype)
        yield Line(assign(strip.name, made), line.location)
    yield Line(assign(column.held, literal(-1)), line.location)


def _all(lines: Sequence[Line]) -> Iterator[Line]:
    for line in lines:
        yield line
        yield from _all([*line.body, *line.orelse])


def _computes(statement: ast.stmt) -> bool:
    """Whether it does more than to copy, which gains nothing by another copy."""
    match statement:
        case ast.Assign(value=value) | ast.AugAssign(value=value):
            return isinstance(statement, ast.AugAssign) or not isinstance(value, ast.Subscript)
    return False


def _uses(statement: ast.stmt) -> Iterator[tuple[str, int]]:
    """The names in a statement without its body, each with the number of indices by which an element is read there;
    0 where it is used in another way, and by a kernel whose result is nobody's: it may write there."""
    indexed: set[int] = set()
    for node in nodes_of(statement):
        if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
            key = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
            is_read = isinstance(node.ctx, ast.Load) and not isinstance(statement, ast.Expr)
            indexed.update(id(n) for part in (node.value, *key) for n in nodes_of(part))
            yield node.value.id, len(key) * (is_read and not any(map(is_whole, key)))
        elif isinstance(node, ast.Name) and id(node) not in indexed:
            yield node.id, 0
