"""Large arrays of a native function that stand in the same memory, one after the other.

The finished statements of a function go in, with the large arrays it makes; out comes which of them may begin where
another ends. An array whose elements are all read for the last time by the loop that writes another's, each just before
the other's at the same place is written, gives its memory to that one: `h[i, j] = tanh(x_at_w[i, j])` writes where it
reads. The names stay: `h = x_at_w` says that they are one. Begin with `shared`.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from tracegrad.emit.printer import Line
from tracegrad.ir.types import ArrayType

Indices = Mapping[str, frozenset[str]]
"""Names, each the sum of two others."""


@dataclass
class _Life:
    """Where an array is used: the first and the last line, and whether that is all there is to see of it."""

    first: int = -1
    last: int = -1
    plain: bool = True


def shared(
    lines: Sequence[Line], made: Mapping[str, ArrayType], returned: Mapping[str, int]
) -> dict[str, str]:
    """For each array that stands in the memory of another: the name of that memory.

    Parameters
    ----------
    lines : statements, at the top level of the function
    made : the arrays, each filled before it is read
    returned : those that are results; their memory is nobody else's afterwards
    """
    lives = {name: _Life() for name in made}
    for number, line in enumerate(lines):
        for name, plain in _uses(line):
            if name in lives:
                life = lives[name]
                life.first = number if life.first < 0 else life.first
                life.last, life.plain = number, life.plain and plain
    rooms: list[list[str]] = []
    for name in sorted(made, key=lambda name: lives[name].first):
        for room in rooms if lives[name].plain else ():
            before = lives[room[-1]]
            alike = made[room[-1]] == made[name] and before.plain and room[-1] not in returned
            if alike and (
                before.last < lives[name].first
                or (
                    before.last == lives[name].first
                    and _writes_where_it_read(lines[before.last], room[-1], name)
                )
            ):
                room.append(name)
                break
        else:
            rooms.append([name])
    return {
        name: _called(room, returned) for room in rooms for name in room if name != _called(room, returned)
    }


def _called(room: Sequence[str], returned: Mapping[str, int]) -> str:
    """The name of the memory: the result's, if one stands there, or that of the first."""
    return room[-1] if room[-1] in returned else room[0]


def _uses(line: Line) -> Iterator[tuple[str, bool]]:
    """The names that a line uses, and whether as an array whose elements or product alone are asked for."""
    statement = line.statement
    parts = [statement.iter, statement.target] if isinstance(statement, ast.For) else [statement]
    parts = [statement.test] if isinstance(statement, (ast.If, ast.While)) else parts
    for part in parts:
        plain = {id(name) for node in ast.walk(part) for name in _asked_plainly(node)}
        for node in ast.walk(part):
            if isinstance(node, ast.Name):
                yield (
                    node.id,
                    id(node) in plain or (isinstance(statement, ast.Return) and _is_alone(node, statement)),
                )
    for inner in (*line.body, *line.orelse):
        yield from _uses(inner)


def _is_alone(node: ast.Name, statement: ast.Return) -> bool:
    """Whether this is a whole result."""
    return isinstance(statement.value, ast.Tuple) and any(e is node for e in statement.value.elts)


def _asked_plainly(node: ast.AST) -> Iterator[ast.Name]:
    """Arrays of which this node asks an element, or a product into the memory of the last."""
    match node:
        case ast.Subscript(value=ast.Name() as name, slice=index) if not isinstance(index, ast.Slice):
            if not any(isinstance(part, ast.Slice) for part in ast.walk(index)):
                yield name
        case ast.Call(func=ast.Attribute(value=ast.Name(id="np"), attr="dot"), args=[_, _, _] as arguments):
            for argument in arguments:
                found = (
                    argument.value
                    if isinstance(argument, ast.Attribute) and argument.attr == "T"
                    else argument
                )
                if isinstance(found, ast.Name):
                    yield found


# --- in the same loop


@dataclass
class _Steps:
    """What one loop does to two arrays, in the order of its statements."""

    old: str
    new: str
    number: int = 0
    last_read: int = -1
    first_write: int = -1
    indices: set[str] = field(default_factory=set)
    fits: bool = True

    def take(self, line: Line, loops: tuple[str, ...], made_of: Indices) -> Indices:
        """Go through a line; returns what the names of indices are made of after it."""
        statement = line.statement
        self.number += 1
        if isinstance(statement, ast.For):
            if not isinstance(statement.target, ast.Name) or _names(statement.iter) & {self.old, self.new}:
                self.fits = False
                return made_of
            inner, known = (*loops, statement.target.id), made_of
            for part in line.body:
                known = self.take(part, inner, known)
            self.fits = self.fits and not line.orelse
            return made_of
        if isinstance(statement, (ast.While, ast.If)):
            self.fits = self.fits and not _mentioned(line, {self.old, self.new})
            return made_of
        for node in ast.walk(statement):
            if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
                self._access(node, loops, made_of)
        match statement:
            case ast.Assign(
                targets=[ast.Name(id=name)],
                value=ast.BinOp(left=ast.Name(id=left), op=ast.Add(), right=ast.Name(id=right)),
            ):
                return {**made_of, name: frozenset((left, right))}
        return made_of

    def _access(self, node: ast.Subscript, loops: tuple[str, ...], made_of: Indices) -> None:
        assert isinstance(node.value, ast.Name)
        name = node.value.id
        if name not in (self.old, self.new):
            return
        self.indices.add(ast.unparse(node.slice))
        names = _names(node.slice)
        names |= {part for index in names for part in made_of.get(index, ())}
        self.fits = self.fits and set(loops) <= names
        if name == self.old:
            self.last_read = self.number
            self.fits = self.fits and isinstance(node.ctx, ast.Load)
        elif isinstance(node.ctx, ast.Store) and self.first_write < 0:
            self.first_write = self.number


def _writes_where_it_read(line: Line, old: str, new: str) -> bool:
    """Whether each element of the old array is read for the last time before its place in the new one is written."""
    if not isinstance(line.statement, ast.For):
        return False
    steps = _Steps(old, new)
    steps.take(line, (), {})
    return steps.fits and len(steps.indices) == 1 and steps.last_read <= steps.first_write


def _names(node: ast.AST) -> set[str]:
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}


def _mentioned(line: Line, names: set[str]) -> bool:
    return any(name in names for name, _ in _uses(line))
