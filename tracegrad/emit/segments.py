"""Loops that read around the end of an axis, as several loops over parts of it.

`u[(j + 999) % 1000]` is how a loop reads what `np.roll` moves. Along an axis whose index changes in every round, that
is a division a round, and no compiler makes vectors of it. So such a loop becomes several, in each of which a remainder
is nothing but a number added to the index. The statements of a loop go in, pieces of its rounds with statements of
their own come out; the rounds stay in their order. Begin with `pieces_of`.

Index set splitting: Allen and Kennedy, Optimizing Compilers for Modern Architectures, Morgan Kaufmann 2001, chapter 5.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

from tracegrad.emit.loops import moved
from tracegrad.emit.printer import Line
from tracegrad.ops.op import literal, named
from tracegrad.syntax import nodes_of

SHORT = 16  # rounds that are no loop of their own, beside longer ones
LARGE = 20_000  # nodes of the statements of all longer pieces together
TURNS = 2  # how often one index begins again


@dataclass(frozen=True)
class Piece:
    """Rounds from `first` to before `last`; the index of a single one stands in its lines as a number."""

    first: int
    last: int
    lines: Sequence[Line]

    @property
    def is_one(self) -> bool:
        return self.last - self.first == 1


def pieces_of(letter: str, rounds: int, inside: Sequence[Line]) -> list[Piece]:
    """The rounds of a loop in pieces; one, where nothing begins again or that need not be fast."""
    whole = [Piece(0, rounds, inside)]
    if any(line.body for line in inside):
        return whole
    around = [found for line in inside for n in nodes_of(line.statement) if (found := around_end(n, letter))]
    if not around:
        return whole
    breaks = {b for numbers in around for b in _breaks(*numbers, rounds)}
    nodes = sum(1 for line in inside for _ in ast.walk(line.statement))
    by_length = sorted(pairwise([0, *sorted(breaks), rounds]), key=lambda piece: piece[0] - piece[1])
    longer = [p for p in by_length[: LARGE // nodes] if p == by_length[0] or p[1] - p[0] >= SHORT]
    if not longer:
        return whole
    ends = sorted({0, rounds, *(end for piece in longer for end in piece)})
    return [_piece(letter, first, last, inside) for first, last in pairwise(ends)]


def _piece(letter: str, first: int, last: int, inside: Sequence[Line]) -> Piece:
    resolve = _Resolve(letter, first, last)
    lines = [Line(resolve.visit(line.statement), line.location, line.note) for line in inside]
    return Piece(first, last, lines)


def names_in(node: ast.AST) -> set[str]:
    """The names that stand anywhere in an expression or a statement."""
    return {n.id for n in nodes_of(node) if isinstance(n, ast.Name)}


def is_whole(part: ast.expr) -> bool:
    """Whether this part of an index stands for whole axes."""
    return isinstance(part, ast.Slice) or (isinstance(part, ast.Constant) and part.value in (None, ...))


class Copies(ast.NodeVisitor):
    """Copies of statements, in which a subclass may put something else.

    Names stay the nodes they are: they know their value, and with it the whole program.
    """

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return node

    def generic_visit(self, node: ast.AST) -> Any:
        return type(node)(**{field: self._copied(part) for field, part in ast.iter_fields(node)})

    def _copied(self, part: Any) -> Any:
        if isinstance(part, list):
            return [self._copied(each) for each in part]
        return self.visit(part) if isinstance(part, ast.AST) else part


class _Resolve(Copies):
    """Copies in which remainders are sums where these rounds do not go around an end; the index of one round is a
    number."""

    def __init__(self, letter: str, first: int, last: int) -> None:
        self.letter, self.first, self.last = letter, first, last

    def visit_Name(self, node: ast.Name) -> ast.expr:
        one = node.id == self.letter and self.last - self.first == 1
        return literal(self.first) if one else node

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        around = around_end(node, self.letter)
        node = self.generic_visit(node)
        if self.last - self.first == 1:
            number = steps_along(node, self.letter)
            return literal(number[1]) if number else node
        if around is None:
            return node
        step, start, length = around
        turns = {(step * j + start) // length for j in (self.first, self.last - 1)}
        return node if len(turns) > 1 else moved(named(self.letter), start - turns.pop() * length, step)


def _breaks(step: int, start: int, length: int, rounds: int) -> Iterable[int]:
    """The rounds in which `(step * j + start) % length` begins again, if these are few."""
    low, high = sorted((step * j + start) // length for j in (0, rounds - 1))
    for turn in range(low + 1, high + 1) if high - low <= TURNS else ():
        left = turn * length - start  # `step * j` gets there, or below
        yield -(-left // step) if step > 0 else left // step + 1


def around_end(node: ast.AST, letter: str) -> tuple[int, int, int] | None:
    """`(step * letter + start) % length` as its numbers."""
    match node:
        case ast.BinOp(left=left, op=ast.Mod(), right=ast.Constant(value=int(length))) if length > 0:
            steps = steps_along(left, letter)
            return (*steps, length) if steps and steps[0] else None
    return None


class Offset(NamedTuple):
    """How far from an index another one is, and whether it goes around an end."""

    by: int
    wraps: bool


def offset_along(node: ast.expr, letter: str) -> Offset | None:
    """How far an index is from `letter`: `letter + 3`, or around an end."""
    around = around_end(node, letter)
    if around is not None:
        step, start, length = around
        by = start % length
        return Offset(by - length if 2 * by > length else by, True) if step == 1 else None
    steps = steps_along(node, letter)
    return Offset(steps[1], False) if steps is not None and steps[0] == 1 else None


def steps_along(node: ast.expr, letter: str) -> tuple[int, int] | None:
    """`step * letter + start` as its numbers."""
    match node:
        case ast.Name(id=name) if name == letter:
            return 1, 0
        case ast.Constant(value=value) if type(value) is int:
            return 0, value
        case ast.BinOp(left=left, op=ast.Add() | ast.Sub() | ast.Mult() | ast.Mod() as op, right=right):
            one, other = steps_along(left, letter), steps_along(right, letter)
            if one is None or other is None:
                return None
            match op:
                case ast.Add():
                    return one[0] + other[0], one[1] + other[1]
                case ast.Sub():
                    return one[0] - other[0], one[1] - other[1]
                case ast.Mult() if not one[0] or not other[0]:
                    return one[0] * other[1] + other[0] * one[1], one[1] * other[1]
                case ast.Mod() if not one[0] and not other[0] and other[1]:
                    return 0, one[1] % other[1]
    return None
