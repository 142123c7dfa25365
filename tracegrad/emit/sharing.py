"""Large arrays of a native function that stand in the same memory, one after the other.

The finished statements of a function go in, with the large arrays it makes; out comes which of them may begin where
another ends. An array whose elements are all read for the last time by the loop that writes another's, each just before
the other's at the same place is written, gives its memory to that one: `h[i, j] = tanh(x_at_w[i, j])` writes where it
reads. The names stay: `h = x_at_w` says that they are one. A loop that threads share stands in a function of its own,
which is looked into. Begin with `shared`.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from tracegrad.emit.mirrors import is_mirrored
from tracegrad.emit.printer import Line
from tracegrad.emit.products_over import may_stand_over
from tracegrad.emit.segments import is_whole, names_in
from tracegrad.emit.turns import cycles, turned, unknown
from tracegrad.ir.types import ArrayType
from tracegrad.kernels.arithmetic import in_threads
from tracegrad.kernels.numpy_fourier import OVER
from tracegrad.kernels.outside import called_out
from tracegrad.kernels.products import add_product, put_product
from tracegrad.kernels.reductions import cumsum_blocks
from tracegrad.syntax import nodes_of

Indices = Mapping[str, frozenset[str]]
"""Names, each the sum of two others, or a number of whole blocks."""

IN_PLACE = {cumsum_blocks.__name__, *OVER}
"""Kernels that are done with each element of their first argument before they write there."""

Parts = Mapping[str, Sequence[Line]]
"""The functions that threads share, by name."""


@dataclass
class _Life:
    """Where an array is used: the first and the last line, and whether that is all there is to see of it."""

    first: int = -1
    last: int = -1
    plain: bool = True


@dataclass(eq=False)
class Room:
    """Memory in which arrays stand one after the other.

    Attributes
    ----------
    names : in the order of the text
    first : for each name, the number of the first line that uses it
    memory : what the memory is called
    bound : for each other name, which one had the memory before, under that name, when the first line begins
    changed : the numbers of the lines that can only write where they read if they go by tiles (`mirrors`), or by rows
    """

    names: list[str]
    first: dict[str, int]
    memory: str = ""
    bound: dict[str, str] = field(default_factory=dict)
    changed: set[int] = field(default_factory=set)


def shared(
    lines: Sequence[Line],
    made: Mapping[str, ArrayType],
    returned: Mapping[str, int],
    parts: Parts,
) -> list[Room]:
    """The memory that arrays need.

    Parameters
    ----------
    lines : statements, at the top level of the function
    made : the arrays, each filled before it is read
    returned : those that are results; their memory is nobody else's afterwards
    parts : the functions that `in_threads` calls; they call what they are given by the names it has here
    """
    lives = {name: _Life() for name in made}
    for number, line in enumerate(lines):
        for name, plain in _uses(line, parts, made):
            if name in lives:
                life = lives[name]
                life.first = number if life.first < 0 else life.first
                life.last, life.plain = number, life.plain and plain
    vague = unknown(lines)
    rooms: list[Room] = []
    for name in sorted((n for n in made if lives[n].first >= 0), key=lambda name: lives[name].first):
        first = lives[name].first
        ends = {
            room: lives[last]
            for room in (rooms if lives[name].plain else ())
            if made[last := room.names[-1]] == made[name]
            and last not in returned
            and not (name in returned and vague.intersection(room.names))
        }
        here = [room for room, life in ends.items() if life.plain and life.last == first]
        there = [r for r in here if _writes_where_it_read(lines[first], r.names[-1], name, parts)]
        free = (r for r, life in ends.items() if life.plain and (life.last < first or r in there))
        room = next(free, None)
        if room is None:
            others = (r for r in here if _may_in_tiles(lines[first], r.names[-1], name, parts))
            room = next(others, None) or next(
                (r for r in here if may_stand_over(lines[first], r.names[-1], name, made[name])), None
            )
            if room is None:
                rooms.append(room := Room([], {}))
            else:
                room.changed.add(first)
        room.names.append(name)
        room.first[name] = first
    turning = {name for line in lines for step in turned(line) for name in cycles(step)}
    for room in rooms:
        _call(room, returned, turning)
    return rooms


def seen_whole(lines: Sequence[Line], parts: Parts, made: Mapping[str, ArrayType]) -> set[str]:
    """The names of which more is asked than elements and products: another name may be an array's as well."""
    return {name for line in lines for name, plain in _uses(line, parts, made) if not plain}


def _call(room: Room, returned: Collection[str], turning: Collection[str]) -> None:
    """Memory is called as the result that stands there, or as the first array. Where arrays change places, it is not
    told by its own name, but by that of the array before."""
    moves = any(name in turning for name in room.names)
    last = room.names[-1]
    room.memory = last if last in returned and not moves else room.names[0]
    others = (
        zip(room.names[1:], room.names, strict=False) if moves else ((n, room.memory) for n in room.names)
    )
    room.bound = {name: other for name, other in others if name != room.memory}


def _uses(line: Line, parts: Parts, made: Mapping[str, ArrayType]) -> Iterator[tuple[str, bool]]:
    """The names that a line uses, and whether as an array whose elements or product alone are asked for."""
    statement = line.statement
    turning = cycles(statement)
    for inner in _part_of(statement, parts) or ():
        yield from _uses(inner, parts, made)
        statement = ast.Pass()
    heads = [statement.iter, statement.target] if isinstance(statement, ast.For) else [statement]
    heads = [statement.test] if isinstance(statement, (ast.If, ast.While)) else heads
    for part in heads:
        nodes = nodes_of(part)
        plain = {id(name) for node in nodes for name in _asked_plainly(node, made)}
        for node in nodes:
            if isinstance(node, ast.Name):
                yield (
                    node.id,
                    node.id in turning
                    or id(node) in plain
                    or (isinstance(statement, ast.Return) and _is_alone(node, statement)),
                )
    for inner in (*line.body, *line.orelse):
        yield from _uses(inner, parts, made)


def _part_of(statement: ast.stmt, parts: Parts) -> Sequence[Line] | None:
    """What threads share there."""
    match statement:
        case ast.Expr(value=ast.Call(func=ast.Name(id=in_threads.__name__), args=[_, ast.Name(id=name), _])):
            return parts[name]
    return None


def _is_alone(node: ast.Name, statement: ast.Return) -> bool:
    """Whether this is a whole result."""
    return isinstance(statement.value, ast.Tuple) and any(e is node for e in statement.value.elts)


def _asked_plainly(node: ast.AST, made: Mapping[str, ArrayType]) -> Iterator[ast.Name]:
    """Arrays of which this node asks an element, or a product or a kernel's result into the memory of the last."""
    match node:
        case ast.Subscript(value=ast.Name() as name, slice=index):
            if name.id in made and _is_element(index, len(made[name.id].shape)):
                yield name
        case ast.Call(args=arguments) if _is_product(node):
            yield from _bases(arguments)
        case ast.Expr(value=ast.Call(func=ast.Name(), args=arguments)):
            yield from _bases(arguments)


def _is_element(index: ast.expr, axes: int) -> bool:
    """Whether there is a number for each axis: what is left of a row is a view, which may be read later."""
    parts = index.elts if isinstance(index, ast.Tuple) else [index]
    return len(parts) == axes and not any(map(is_whole, parts))


def _bases(arguments: Sequence[ast.expr]) -> Iterator[ast.Name]:
    """The arrays that these are, or are parts of."""
    for argument in arguments:
        if isinstance(argument, ast.Tuple):
            yield from _bases(argument.elts)
        found = argument
        while isinstance(found, ast.Attribute | ast.Subscript):
            found = found.value
        if isinstance(found, ast.Name):
            yield found


def _is_product(call: ast.Call) -> bool:
    """Whether matrices are multiplied there, or rows of them."""
    match call:
        case ast.Call(func=ast.Attribute(value=ast.Name(id="np"), attr="dot"), args=[_, _, *_]):
            return True
        case ast.Call(func=ast.Name(id=add_product.__name__ | put_product.__name__)):
            return True
    return False


# --- in the same loop


@dataclass
class _Steps:
    """What one loop does to two arrays, in the order of its statements."""

    old: str
    new: str
    parts: Parts
    number: int = 0
    last_read: int = -1
    first_write: int = -1
    indices: set[str] = field(default_factory=set)
    fits: bool = True
    shared: bool = False  # whether it is a loop that threads share
    threads: str = ""  # the index of the outermost loop
    rounds: dict[str, str] = field(default_factory=dict)
    blocks: dict[str, int] = field(default_factory=dict)  # starts of blocks, and how long these are

    def take(self, line: Line, loops: tuple[str, ...], made_of: Indices) -> Indices:
        """Go through a line; returns what the names of indices are made of after it."""
        if not self.fits or len(self.indices) > 1:  # it is decided
            return made_of
        statement = line.statement
        self.number += 1
        if isinstance(statement, ast.For):
            if not isinstance(statement.target, ast.Name) or names_in(statement.iter) & {self.old, self.new}:
                self.fits = False
                return made_of
            if not loops:
                self.threads = statement.target.id
            inner, known = (*loops, statement.target.id), made_of
            self.rounds[statement.target.id] = ast.unparse(statement.iter)
            for part in line.body:
                known = self.take(part, inner, known)
            self.fits = self.fits and not line.orelse
            return made_of
        if isinstance(statement, ast.If) and loops == (self.threads,) and self._is_mine(statement.test):
            for part in line.body:
                made_of = self.take(part, loops, made_of)
            return made_of
        if isinstance(statement, (ast.While, ast.If)):
            self.fits = self.fits and not _mentioned(line, {self.old, self.new}, self.parts)
            return made_of
        indexed = set()
        for node in nodes_of(statement):
            if isinstance(node, ast.Call) and _is_product(node):
                self.fits = self.fits and not names_in(node) & {self.old, self.new}
            if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
                indexed.add(id(node.value))
                self._access(node, loops, made_of)
            elif isinstance(node, ast.Name) and id(node) not in indexed:
                self.fits = self.fits and node.id not in (self.old, self.new)
        match statement:
            case ast.Assign(
                targets=[ast.Name(id=name)],
                value=ast.BinOp(left=ast.Name(id=left), op=ast.Add(), right=ast.Name(id=right)),
            ):
                whole = made_of.get(left, frozenset((left,)))
                if left in self.blocks and not self._is_in_block(right, self.blocks[left]):
                    whole = frozenset((left,))
                return {**made_of, name: whole | {left, right}}
            case ast.Assign(
                targets=[ast.Name(id=name)],
                value=ast.BinOp(left=ast.Constant(value=int(size)), op=ast.Mult(), right=ast.Name(id=block)),
            ):
                self.blocks[name] = size
                if block in loops:
                    return {**made_of, name: frozenset((block,))}
        return made_of

    def _is_in_block(self, index: str, size: int) -> bool:
        """Whether an index counts the rounds of a block."""
        rounds = self.rounds.get(index, "")
        return rounds == f"range({size})" or rounds.startswith(f"range(min({size}, ")

    def _is_mine(self, test: ast.expr) -> bool:
        """Whether this asks for nothing but whether a block is for this thread, `first <= block < last`."""
        match test:
            case ast.Compare(
                left=ast.Name(), ops=[ast.LtE(), ast.Lt()], comparators=[ast.Name(id=block), ast.Name()]
            ):
                return self.shared and block == self.threads
        return False

    def _access(self, node: ast.Subscript, loops: tuple[str, ...], made_of: Indices) -> None:
        assert isinstance(node.value, ast.Name)
        name = node.value.id
        if name not in (self.old, self.new):
            return
        self.indices.add(ast.unparse(node.slice))
        names = names_in(node.slice)
        names |= {part for index in names for part in made_of.get(index, ())}
        self.fits = self.fits and set(loops) <= names
        if name == self.old:
            self.last_read = self.number
            self.fits = self.fits and isinstance(node.ctx, ast.Load)
        elif isinstance(node.ctx, ast.Store) and self.first_write < 0:
            self.first_write = self.number


def _writes_where_it_read(line: Line, old: str, new: str, parts: Parts) -> bool:
    """Whether each element of the old array is read for the last time before its place in the new one is written."""
    match line.statement:
        case ast.Expr(value=ast.Call(func=ast.Name(id=called_out.__name__))):
            return True  # what fills an array is a function of NumPy's, which may be given the one it reads
        case ast.Expr(value=ast.Call(func=ast.Name(id=name), args=[ast.Name(id=first), *rest])):
            return name in IN_PLACE and first == old and not any(old in names_in(other) for other in rest)
    part = _part_of(line.statement, parts)
    *before, loop = part or [line]
    if not isinstance(loop.statement, ast.For) or any(
        _mentioned(other, {old, new}, parts) for other in before
    ):
        return False
    steps = _Steps(old, new, parts, shared=part is not None)
    steps.take(loop, (), {})
    return steps.fits and len(steps.indices) == 1 and steps.last_read <= steps.first_write


def _may_in_tiles(line: Line, old: str, new: str, parts: Parts) -> bool:
    """Whether each element of the old array is read with its mirror image alone."""
    part = _part_of(line.statement, parts)
    *before, loop = part or [line]
    apart = not any(_mentioned(other, {old, new}, parts) for other in before)
    return apart and is_mirrored(loop, old, new)


def _mentioned(line: Line, names: set[str], parts: Parts) -> bool:
    return any(name in names for name, _ in _uses(line, parts, {}))
