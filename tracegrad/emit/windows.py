"""Loops that make rows of arrays ahead of a block of rows, and that read these, as statements.

A `Slide` goes in, with the lines of one round of its loops; out come the rounds of a block. An array of which there are
only some rows, its window, is read and written at the place of a row among these: `d[i + 1] - d[i]`, in the block that
begins at `start`, is `d[k + 1] - d[k]` where `i = start + k`. Around the end of an axis the rounds are several loops,
each over rows that are neighbours. Begin with `Windows.around`.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from typing import Any

from tracegrad.emit.blocks import Ahead, Compute, Slide, Window
from tracegrad.emit.elements import subscript
from tracegrad.emit.loops import assign, minus, moved, plus
from tracegrad.emit.names import Unused
from tracegrad.emit.overlays import is_overlay
from tracegrad.emit.printer import Line
from tracegrad.emit.rounds import Around, Rounds
from tracegrad.emit.segments import Copies, offset_along, pieces_of
from tracegrad.ir.types import ArrayType
from tracegrad.ops.op import call, literal, named


class Windows:
    """Writes the rounds of a block in one slide.

    Parameters
    ----------
    slide : Slide
        Its values have their names.
    unused : Unused
        Names that no value has.
    rounds : Rounds
        Writes loops.
    deepest : int
        So many letters have other loops.
    """

    def __init__(self, slide: Slide, unused: Unused, rounds: Rounds, deepest: int) -> None:
        self.slide, self.unused, self.rounds = slide, unused, rounds
        self.letter = unused.letters[0]
        self.near, self.place, self.row = unused.letters[deepest : deepest + 3]
        self.windows = {
            value.name: value.window
            for step in slide.nodes
            for value in step.makes
            if value.window is not None
        }

    def own(self, start: str, inside: Sequence[Line]) -> Sequence[Line]:
        """The rounds of a block itself."""
        found = NearRows(self.windows, self.letter, self.letter, self.near, 0)
        loop = Ahead(None, [], 0, 0, self.slide.own, False)
        return self._rows(loop, self.letter, start, found.lines(inside))

    def around(self, ahead: Sequence[Sequence[Line]], behind: Sequence[Line]) -> Around:
        """What stands before and after each block, from the lines of one round of each loop ahead and behind."""

        def around(start: str, block: str | None) -> tuple[list[Line], list[Line]]:
            loops = zip(self.slide.ahead, ahead, strict=True)
            first = [line for loop, lines in loops for line in self._ahead(loop, start, lines)]
            if self.slide.behind is None:
                return first, []
            after = Ahead(None, [], 0, 0, self.slide.length, False)
            return [*self._moved_on(behind[0]), *first], [*self._ahead(after, start, behind)]

        return around

    def _moved_on(self, near: Line) -> Iterator[Line]:
        """Rows that the block before has begun become the first, and all others zeros."""
        for step in self.slide.nodes:
            if not isinstance(step, Compute) or not is_overlay(step.instr):
                continue
            value = step.outputs[0]
            if value.window is None:
                continue
            begun = value.window.rows - self.slide.rounds
            index = [
                literal(0) if n == 1 else named(letter)
                for n, letter in zip(value.type.shape[1:], self.unused.letters[1:], strict=False)
            ]
            array, row = named(value.name), named(self.near)
            old = subscript(array, [moved(row, self.slide.rounds), *index])
            zero = self.rounds.expressions.constant(value.type.dtype.type(0), ArrayType((), value.type.dtype))
            for first, rows, found in ((0, begun, old), (begun, self.slide.rounds, zero)):
                place = subscript(array, [moved(row, first), *index], store=True)
                stored = Line(ast.Assign(targets=[place], value=found), near.location)
                inner = self.rounds.each((1, *value.type.shape[1:]), [stored])
                yield from self.rounds.counted(self.near, rows, literal(rows), (), inner)

    def _ahead(self, loop: Ahead, start: str, inside: Sequence[Line]) -> Sequence[Line]:
        """The rounds that make rows for a block."""
        found = NearRows(self.windows, self.letter, self.row, self.near, loop.first)
        return self._rows(loop, self.row, start, found.lines(inside))

    def _rows(self, loop: Ahead, letter: str, start: str, inside: Sequence[Line]) -> Sequence[Line]:
        """A loop over neighbours for each turn around the axis and each piece of it.

        Indices are made so that the compiler knows that they are not negative.
        """
        n, first = loop.length, loop.first
        count = self.slide.rounds + loop.last - first
        end = self.slide.length + loop.last if loop.wraps else n
        if loop.wraps and any(line.body for line in inside):  # a remainder for a row costs nothing
            where = inside[0].location
            around = ast.BinOp(
                left=plus(moved(named(start), n + first), self.near), op=ast.Mod(), right=literal(n)
            )
            until = call("min", literal(count), minus(end - first, start))
            return self.rounds.counted(self.near, count, until, [Line(assign(letter, around), where)], inside)
        lines: list[Line] = []
        for turn in (-1, 0, 1) if loop.wraps else (0,):
            for piece in pieces_of(letter, n, inside):
                low, high = max(first, piece.first + turn * n), min(end, piece.last + turn * n)
                if not loop.wraps:
                    low = max(low, 0)
                if low >= high:
                    continue
                lines += self._neighbours(
                    letter, start, count, (low - first, high - first), first - turn * n, piece.lines
                )
        return lines

    def _neighbours(
        self,
        letter: str,
        start: str,
        count: int,
        limits: tuple[int, int],
        by: int,
        inside: Sequence[Line],
    ) -> Sequence[Line]:
        """The rounds from `limits[0]` to `limits[1]`, counted from the first block's first, that are among the `count`
        of this block; the row of such a round is `by` after its number."""
        where = inside[0].location
        low, high = limits
        lines: list[Line] = []
        until: ast.expr = call("min", literal(count), minus(high, start))
        begin, place = moved(named(start), by), self.near
        index: list[Line] = []
        if low > 0:
            ahead, turn = self.unused.like("ahead"), self.unused.like("turn")
            lines.append(Line(assign(ahead, call("max", minus(low, start), literal(0))), where))
            lines.append(Line(assign(turn, call("max", begin, literal(low + by))), where))
            until = minus(until, ahead)
            begin, place = named(turn), self.place
            index.append(Line(assign(self.near, plus(ahead, self.place)), where))
        index.append(Line(assign(letter, plus(begin, place)), where))
        lines += self.rounds.counted(place, count, until, index, inside)
        return lines


class NearRows(Copies):
    """Copies of lines in which windows are read and written where their rows are."""

    def __init__(self, windows: dict[str, Window], letter: str, row: str, near: str, first: int) -> None:
        self.windows, self.letter, self.row, self.near, self.first = windows, letter, row, near, first

    def lines(self, lines: Sequence[Line]) -> list[Line]:
        return [
            Line(
                self.visit(line.statement),
                line.location,
                line.note,
                body=self.lines(line.body),
                orelse=self.lines(line.orelse),
            )
            for line in lines
        ]

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return named(self.row) if node.id == self.letter else node

    def visit_Subscript(self, node: ast.Subscript) -> Any:
        window = self.windows.get(node.value.id) if isinstance(node.value, ast.Name) else None
        return self.generic_visit(node) if window is None else self._placed(node, window)

    def _placed(self, node: ast.Subscript, window: Window) -> ast.Subscript:
        """An element of a row, counted from the first row that is there."""
        row, *others = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        offset = offset_along(row, self.letter)
        assert offset is not None
        place = moved(named(self.near), self.first + offset.by - window.first)
        key = ast.Tuple(elts=[place, *map(self.visit, others)], ctx=ast.Load()) if others else place
        return ast.Subscript(value=node.value, slice=key, ctx=node.ctx)
