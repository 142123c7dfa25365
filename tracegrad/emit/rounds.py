"""The rounds of loops over elements: for each index of a shape, in blocks, in threads.

Lines go in, the same inside of their loops come out. A number that all elements are gathered in, a sum or the largest,
is gathered block by block (`Part`): blocks and their order depend on sizes alone, so it is the same number whoever does
the blocks, and the error of a sum grows with the number of blocks. Begin with `Rounds.each`.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from tracegrad.emit.blocks import Value
from tracegrad.emit.elements import index_of, subscript
from tracegrad.emit.expressions import Expressions, zeros
from tracegrad.emit.long_loops import LongLoops
from tracegrad.emit.loops import assign, for_each, minus, plus, times
from tracegrad.emit.names import Unused
from tracegrad.emit.printer import Line
from tracegrad.emit.reductions import Reduction
from tracegrad.emit.segments import pieces_of
from tracegrad.ir.types import ArrayType
from tracegrad.kernels.arithmetic import in_threads
from tracegrad.kernels.items import checked
from tracegrad.ops.op import call, literal, named
from tracegrad.syntax import nodes_of

BLOCK = 1024  # elements whose sum is one term of a larger sum


@dataclass(frozen=True)
class Part:
    """What the elements of a block are gathered in, and of which whole that is a part: two names of numbers."""

    whole: str
    name: str
    reduction: Reduction
    dtype: Any


@dataclass(frozen=True)
class Columns:
    """An array that rows are gathered in: `result`, and where blocks of rows have one each, the name of all those."""

    result: str
    name: str
    type: ArrayType
    reduction: Reduction


@dataclass(frozen=True)
class Blocks:
    """Blocks of rounds along an axis.

    Attributes
    ----------
    length, rounds : int
        Of the axis, and of a block.
    letter : str
        The index of the axis.
    start : str
        What the first index of a block is called.
    deepest : int
        So many letters have other loops.
    near : Near or None
        Where rows of other arrays are there for a block alone: how its lines are written.
    """

    length: int
    rounds: int
    letter: str
    start: str
    deepest: int
    near: Near | None = None

    @property
    def count(self) -> int:
        return -(-self.length // self.rounds)


@dataclass(frozen=True)
class Share:
    """A function that does some blocks of a loop."""

    name: str
    parameters: list[str]
    lines: list[Line]


Lines: TypeAlias = dict[int, list[Line]]
"""What stands inside of so many loops."""

Near: TypeAlias = Callable[[str, Sequence[Line]], Sequence[Line]]
"""The rounds of a block, from the name of its first index and the lines of one."""

Around: TypeAlias = Callable[[str, str | None], tuple[Sequence[Line], Sequence[Line]]]
"""What stands before and after the rounds of a block, from the names of its first index and, in threads, its number."""


def nothing(start: str, block: str | None) -> tuple[Sequence[Line], Sequence[Line]]:
    """No lines around a block."""
    return (), ()


class Rounds:
    """Writes the loops around lines.

    Parameters
    ----------
    expressions : Expressions
        Of the same function.
    unused : Unused
        Names for indices and parts of sums.
    """

    def __init__(self, expressions: Expressions, unused: Unused) -> None:
        self.expressions = expressions
        self.unused = unused
        self.long_loops = LongLoops(unused)
        self.shares: list[Share] = []

    def each(self, shape: Sequence[int], inside: Sequence[Line], first: int = 0) -> Sequence[Line]:
        """The lines for each index of a shape, from axis `first` on."""
        axes = list(zip(shape, self.unused.letters, strict=False))[first:]
        for n, letter in reversed(axes):
            if n != 1:
                inside = self._along(letter, n, inside)
        return inside

    def _along(self, letter: str, n: int, inside: Sequence[Line]) -> Sequence[Line]:
        """The lines for each index of one axis."""
        pieces = pieces_of(letter, n, inside)
        if len(pieces) == 1:
            return self.counted(letter, n, literal(n), (), pieces[0].lines)
        lines: list[Line] = []
        for piece in pieces:
            limits = [literal(piece.first), literal(piece.last)][not piece.first :]
            lines += piece.lines if piece.is_one else [for_each(letter, limits, piece.lines)]
        return lines

    def counted(
        self, letter: str, rounds: int, until: ast.expr, index: Sequence[Line], inside: Sequence[Line]
    ) -> Sequence[Line]:
        """A loop whose rounds, `rounds` at most, begin with other indices; several, where it is long."""
        several = self.long_loops.of(letter, rounds, until, index, inside)
        return several or [for_each(letter, until, [*index, *inside])]

    # --- in blocks ----------------------------------------------------------------------------------------------------

    def in_blocks(
        self, shape: Sequence[int], inside: Sequence[Line], parts: Sequence[Part], first: int = 0
    ) -> Sequence[Line]:
        """The lines for each index from axis `first` on, in blocks of about `BLOCK` elements along one axis."""
        axis = next(k for k in range(first, len(shape)) if math.prod(shape[k + 1 :]) <= BLOCK)
        block = Blocks(shape[axis], rounds_of(shape, axis), self.unused.letters[axis], "start", len(shape))
        lines = self.by_blocks(block, self.each(shape, inside, axis + 1), parts)
        return self.each(shape[:axis], lines, first)

    def by_blocks(
        self, blocks: Blocks, inside: Sequence[Line], parts: Sequence[Part], around: Around = nothing
    ) -> Sequence[Line]:
        """The lines for each index of an axis, block by block, with those `around` a block."""
        where = inside[0].location
        before = self.cleared(parts, where)
        after = [Line(self.joined(p, named(p.name)), where) for p in parts]
        if blocks.rounds == 1 and around is nothing:
            return [for_each(blocks.letter, literal(blocks.length), [*before, *inside, *after])]
        start = self.unused.like(blocks.start)
        limits = [literal(n) for n in (0, blocks.length, blocks.rounds)]
        first, last = around(start, None)
        lines = [*before, *first, *self._block(blocks, start, inside), *last, *after]
        return [for_each(start, limits, lines)]

    def _block(self, blocks: Blocks, start: str, inside: Sequence[Line]) -> Sequence[Line]:
        """The rounds of one block, from `start` on."""
        return self.one_block(blocks, start, inside) if blocks.near is None else blocks.near(start, inside)

    def one_block(self, blocks: Blocks, start: str, inside: Sequence[Line]) -> Sequence[Line]:
        """The rounds of one block of a loop.

        An index is a start and what is counted from there: so the compiler knows that it is not negative.
        """
        where, place = inside[0].location, self.unused.letters[blocks.deepest]
        pieces = pieces_of(blocks.letter, blocks.length, inside)
        lines: list[Line] = []
        for piece in pieces:
            turn, until = start, literal(blocks.rounds)
            if piece.first:
                turn = self.unused.like("turn")
                lines.append(Line(assign(turn, call("max", named(start), literal(piece.first))), where))
                until = minus(call("min", plus(start, until), literal(piece.last)), turn)
            elif len(pieces) > 1 or blocks.length % blocks.rounds:
                until = call("min", until, minus(piece.last, start))
            first = Line(assign(blocks.letter, plus(turn, place)), where)
            lines += self.counted(place, blocks.rounds, until, [first], piece.lines)
        return lines

    def zeroed(self, array: Value, where: Any) -> Sequence[Line]:
        """All elements of an array that has its memory become zero."""
        type = array.type
        index = index_of(type.shape, self.unused.letters)[array.dropped :]
        place = subscript(named(array.name), index, store=True)
        zero = self.expressions.constant(type.dtype.type(0), type)
        return self.each(type.shape, [Line(ast.Assign(targets=[place], value=zero), where)], array.dropped)

    def cleared(self, parts: Sequence[Part], where: Any) -> list[Line]:
        """Parts before anything is gathered in them."""
        return [Line(assign(p.name, p.reduction.start(self.expressions, p.dtype)), where) for p in parts]

    def joined(self, part: Part, found: ast.expr) -> ast.stmt:
        whole = ast.Name(id=part.whole, ctx=ast.Store())
        return part.reduction.join(self.expressions, whole, found)

    # --- in threads ---------------------------------------------------------------------------------------------------

    def in_threads(
        self,
        blocks: Blocks,
        inside: Sequence[Line],
        parts: Sequence[Part],
        columns: Sequence[Columns] = (),
        rooms: Sequence[Line] = (),
        around: Around = nothing,
    ) -> Sequence[Line]:
        """The lines for each index of an axis, in blocks that a function of its own does, some at a time.

        `rooms` make memory that each round uses again. The blocks are tried one after the other, which costs nothing
        beside what is in them: so the compiler knows that no index is negative.
        """
        self.expressions.kernels[in_threads] = None
        count = literal(blocks.count)
        alone = blocks.rounds == 1 and around is nothing
        block = blocks.letter if alone else self.unused.like("block")
        first, last = self.unused.like("first"), self.unused.like("last")
        where = inside[0].location
        lines = self.cleared(parts, where)
        if not alone:
            start = self.unused.like(blocks.start)
            lines.append(Line(assign(start, times(blocks.rounds, block)), where))
            first_of_all, last_of_all = around(start, block)
            inside = [*first_of_all, *self._block(blocks, start, inside), *last_of_all]
        lines.extend(inside)
        before: list[Line] = []
        after: list[Line] = []
        for part in parts:
            array = self.unused.like(f"{part.name}s")
            before.append(
                Line(assign(array, zeros(ArrayType((blocks.count,), part.dtype), "np.empty")), where)
            )
            place = subscript(named(array), [named(block)], store=True)
            lines.append(Line(ast.Assign(targets=[place], value=named(part.name)), where))
            after.append(Line(self.joined(part, subscript(named(array), [named(block)])), where))
        for each in columns:
            before.append(Line(assign(each.name, self._empty(each, blocks.count)), where))
            after.extend(self._joined_columns(each, block, where))
        mine = ast.Compare(
            left=named(first), ops=[ast.LtE(), ast.Lt()], comparators=[named(block), named(last)]
        )
        guarded = Line(ast.If(test=mine, body=[], orelse=[]), where, body=lines)
        share = [*rooms, for_each(block, count, [guarded])]
        known = {*self.unused.reserved, first, last}
        read = [name for name in free_names(share) if name not in known]
        name = self.unused.like(f"{self.unused.function}_part{len(self.shares) or ''}")
        self.shares.append(Share(name, [first, last, *read], share))
        given = ast.Tuple(elts=[named(n) for n in read], ctx=ast.Load())
        shared = Line(ast.Expr(value=call(in_threads.__name__, count, named(name), given)), where)
        return [*before, shared, *([for_each(block, count, after)] if after else [])]

    def _empty(self, columns: Columns, blocks: int) -> ast.expr:
        """An array for each block, with nothing gathered in it."""
        type = ArrayType((blocks, *columns.type.shape), columns.type.dtype)
        if columns.reduction.kind == "sum":
            return zeros(type)
        start = columns.reduction.start(self.expressions, type.dtype)
        return call("np.full", literal(tuple(type.shape)), start)

    def _joined_columns(self, columns: Columns, block: str, where: Any) -> Sequence[Line]:
        shape = columns.type.shape
        index = index_of(shape, self.unused.letters[1:])
        place = subscript(named(columns.result), index, store=True)
        part = subscript(named(columns.name), [named(block), *index])
        joined = columns.reduction.join(self.expressions, place, part)
        return self.each((1, *shape), [Line(joined, where)])


def rounds_of(shape: Sequence[int], axis: int) -> int:
    """How many indices of an axis are a block."""
    return max(1, BLOCK // math.prod(shape[axis + 1 :]))


def first_axis(shape: Sequence[int]) -> int:
    """The first axis with several elements."""
    return next((k for k, n in enumerate(shape) if n != 1), 0)


def taken(lines: Lines, depth: int) -> list[Line]:
    """The lines that stand inside so many loops or more, taken out."""
    return [line for k in sorted(lines) if k >= depth for line in lines.pop(k)]


def in_order(lines: Lines) -> list[Line]:
    """All lines, those in the fewest loops first."""
    return [line for k in sorted(lines) for line in lines[k]]


def free_names(lines: Sequence[Line]) -> list[str]:
    """The names that lines read and do not assign, in order."""
    read: dict[str, None] = {}
    assigned: set[str] = set()

    def visit(line: Line) -> None:
        for node in nodes_of(line.statement):
            if isinstance(node, ast.Name):
                if isinstance(node.ctx, ast.Store):
                    assigned.add(node.id)
                else:
                    read[node.id] = None
        for inner in line.body:
            visit(inner)

    for line in lines:
        visit(line)
    return [name for name in read if name not in assigned]


def checks_indices(lines: Sequence[Line]) -> bool:
    """Whether an index is checked there, which may leave the loop."""
    return checked.__name__ in free_names(lines)
