"""Which statements of a long function become functions of their own.

A function of native text goes in (its AST), a `Cut` comes out: the same function with a `Piece` in the place of some
statements, and the names that more than one of them sees. For each loop that LLVM makes vectors of, it looks at the
whole function again, so many loops in one function take it more than their share of time; numbers and their statements
do not, and what they hand on through memory would cost more than it gains. Begin with `cut`.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any

from tracegrad.compiler.outlook import Names, bind, unsettled
from tracegrad.syntax import nodes_of

LONG = 2500  # nodes in the innermost loops of a function that is cut
PIECE = 500  # of a piece, at most, unless one statement has more
SHORT = 50  # of statements that stay where they are

_Place = tuple[int | None, str]  # in an array: its row, where that is known, and its index


class Piece(ast.stmt):
    """Statements that become a function of their own; the names in them, and which of these they bind."""

    _fields = ("body",)
    body: list[ast.stmt]
    names: dict[str, bool]


@dataclass(frozen=True, slots=True)
class Cut:
    """A function, and how it is cut.

    Attributes
    ----------
    body : its statements, with a `Piece` where some of them have become a function of their own
    shared : names by which one of these functions, or a call of one, hands something on to another
    around : names that the statements see that are in no piece
    """

    body: Sequence[ast.stmt]
    shared: frozenset[str] = frozenset()
    around: frozenset[str] = frozenset()


class _Cutter:
    """Cuts the blocks of one function; `whole` are loops that stay as they are, `seen` the names in statements."""

    def __init__(self, whole: Mapping[ast.For, Any], seen: Names, given: Sequence[str]) -> None:
        self.whole, self.seen = whole, seen
        self.place = dict.fromkeys(given, 0)  # of each name the piece that sees it, 0 for none
        self.several: set[str] = set()  # names that several places see, or one in several runs
        self.around: set[str] = set()
        self.inherited: set[str] = set()  # names of which a piece reads what it did not bind
        self.pieces = 0
        self.weights: dict[ast.stmt, int] = {}

    def block(self, statements: Sequence[ast.stmt], again: bool) -> list[ast.stmt]:
        """The statements of a block, which run `again` and again or once."""
        found: list[ast.stmt] = []
        open_: list[ast.stmt] = []
        size = 0
        for statement in statements:
            weight = self.weigh(statement)
            jumps = _jumps(statement)
            if jumps or size + weight > PIECE:
                self.close(open_, size, found, again)
                open_, size = [], 0
            if weight > PIECE and self.may_open(statement):
                found.append(self.opened(statement, again))
            elif jumps:
                self.see(self.seen.all(statement), 0, again)
                found.append(statement)
            else:
                open_.append(statement)
                size += weight
        self.close(open_, size, found, again)
        return found

    def close(self, body: list[ast.stmt], size: int, found: list[ast.stmt], again: bool) -> None:
        """Make a piece of statements, unless they are short."""
        if not body:
            return
        names: dict[str, bool] = {}
        for statement in body:
            bind(names, self.seen.all(statement))
        if size > SHORT:
            self.pieces += 1
            self.see(names, self.pieces, again)
            self.inherited |= unsettled(body, self.seen, names, ())
            piece = Piece()
            piece.body, piece.names = body, names
            found.append(piece)
        else:
            self.see(names, 0, again)
            found += body

    def see(self, names: Iterable[str], place: int, again: bool) -> None:
        """Note that a place sees names."""
        for name in names:
            if place == 0:
                self.around.add(name)
            if self.place.setdefault(name, place) != place or (again and place != 0):
                self.several.add(name)

    def opened(self, statement: Any, again: bool) -> ast.stmt:
        """A loop or a branch with pieces inside."""
        again = again or not isinstance(statement, ast.If)
        opened = copy(statement)
        self.see(self.seen.bound(statement), 0, again)
        for part in ("iter", "test"):
            if hasattr(statement, part):
                self.see(self.seen.read(getattr(statement, part)), 0, again)
        for part in ("body", "orelse"):
            setattr(opened, part, self.block(getattr(statement, part), again))
        return opened

    def weigh(self, statement: ast.stmt) -> int:
        """How much LLVM has to do for a statement beyond what grows with its length: the nodes of its innermost
        loops."""
        if statement not in self.weights:
            inside = [s for part in ("body", "orelse") for s in getattr(statement, part, ())]
            found = sum(map(self.weigh, inside))
            innermost = isinstance(statement, ast.For) and not found
            self.weights[statement] = len(nodes_of(statement)) if innermost else found
        return self.weights[statement]

    def may_open(self, statement: ast.stmt) -> bool:
        """Whether calls inside of it cost nothing much: not where LLVM would do several rounds at once."""
        if isinstance(statement, ast.For):
            return statement not in self.whole and not _rounds_may_be_apart(statement, self.seen)
        return isinstance(statement, ast.While | ast.If)


def cut(function: ast.FunctionDef, whole: Mapping[ast.For, Any], seen: Names) -> Cut:
    """Cut a function, if it is long; `whole` are loops that stay as they are, `seen` the names in its statements."""
    cutter = _Cutter(whole, seen, [a.arg for a in function.args.args])
    if sum(map(cutter.weigh, function.body)) <= LONG:
        return Cut(function.body)
    body = cutter.block(function.body, False)
    shared = cutter.several & (cutter.inherited | cutter.around)
    return Cut(body, frozenset(shared), frozenset(cutter.around))


def _rounds_may_be_apart(loop: ast.For, names: Names) -> bool:
    """Whether a loop has no control inside, and no round reads what another wrote, as far as names tell."""
    counter = loop.target.id if isinstance(loop.target, ast.Name) else ""
    rounds = _most_rounds(loop.iter)
    bound: set[str] = set()
    written: dict[str, set[_Place]] = {}
    read: dict[str, set[_Place]] = {}
    for statement in loop.body:
        if isinstance(statement, ast.For | ast.While | ast.If):
            return False
        adds = isinstance(statement, ast.Assign) and _adds(statement)
        for node in nodes_of(statement):
            match node:
                case ast.Subscript(value=ast.Name(id=name), slice=index, ctx=ctx):
                    uses = read if isinstance(ctx, ast.Load) else written
                    uses.setdefault(name, set()).add(_place(index, counter, rounds))
        if isinstance(statement, ast.AugAssign) or adds:
            continue
        bound.update(names.bound(statement))
    first: set[str] = {counter}
    for statement in loop.body:
        if isinstance(statement, ast.Assign) and not _adds(statement):
            made = names.bound(statement)
            seen = names.read(statement if made else statement.value)
            if not first.issuperset(bound.intersection(seen)):
                return False
            first.update(made)
    return not any(_may_meet(read.get(name, ()), places) for name, places in written.items())


def _place(index: ast.expr, counter: str, rounds: int) -> _Place:
    """A place in an array, with the row it is in: `a[3, i]`, or `a[192 + i]` where `i` has 64 values."""
    match index:
        case ast.Tuple(elts=[ast.Constant(value=int(number)), *_]):
            return number, ast.unparse(index)
        case ast.Name(id=name):
            return (0 if rounds and name == counter else None), name
        case ast.BinOp(left=ast.Constant(value=int(start)), op=ast.Add(), right=ast.Name(id=name)):
            row = start // rounds if rounds and name == counter and not start % rounds else None
            return row, f"{start} + {name}"
    return None, ast.unparse(index)


def _most_rounds(limits: ast.expr) -> int:
    """How many rounds a loop has at most, or 0 where its head does not tell."""
    match limits:
        case ast.Call(func=ast.Name(id="range"), args=[most]):
            if isinstance(most, ast.Call) and isinstance(most.func, ast.Name) and most.func.id == "min":
                most = most.args[0]
            if isinstance(most, ast.Constant) and isinstance(most.value, int):
                return most.value
    return 0


def _may_meet(read: Iterable[_Place], written: set[_Place]) -> bool:
    """Whether a place in an array that is read may be another one that is written: not where they are in different
    rows."""
    in_row: dict[int | None, set[_Place]] = {}
    for place in written:
        in_row.setdefault(place[0], set()).add(place)
    anywhere = in_row.get(None, set())
    return any(
        (written if place[0] is None else in_row.get(place[0], set()) | anywhere) - {place} for place in read
    )


def _adds(statement: ast.Assign) -> bool:
    """`total = added(total, term)`."""
    match statement:
        case ast.Assign(
            targets=[ast.Name(id=name)], value=ast.Call(func=ast.Name(), args=[ast.Name(id=before), _])
        ):
            return name == before
    return False


def _jumps(statement: ast.stmt) -> bool:
    """Whether a statement leaves a loop that it stands in."""
    if isinstance(statement, ast.Break | ast.Continue):
        return True
    if isinstance(statement, ast.For | ast.While):
        return any(map(_jumps, statement.orelse))
    if isinstance(statement, ast.If):
        return any(map(_jumps, [*statement.body, *statement.orelse]))
    return False
