"""Products with some rows of a matrix at a time, as statements between the loops over those rows.

A `Visit` goes in, the lines of a block of rows come out: `np.dot(x[start:start + 128], w, z[start:start + 128])`
before, `g += np.dot(r[start:start + 128], x[start:start + 128])` after. Begin with `VisitProducts.block`.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence

from tracegrad.emit.blocks import Compute, Visit
from tracegrad.emit.elements import subscript
from tracegrad.emit.expressions import Expressions, zeros
from tracegrad.emit.loops import assign, minus, plus
from tracegrad.emit.names import Unused
from tracegrad.emit.printer import Line
from tracegrad.emit.reductions import Reduction
from tracegrad.emit.rounds import Around, Blocks, Columns, Near, Rounds
from tracegrad.emit.windows import NearRows
from tracegrad.ops.op import call, literal, named

ROOM = 2**15  # elements of a matrix that are still in the second cache when they are read again
MOST = 1024  # rows of a block
SUMS = 2**19  # elements that blocks of rows may gather beside the result


def rows_of(width: int) -> int:
    """How many rows of so many elements are a block."""
    return max(16, min(MOST, ROOM // max(width, 1)) // 16 * 16)


class VisitProducts:
    """Writes the blocks of rows of one visit.

    Parameters
    ----------
    visit : Visit
        Its values have their names.
    expressions : Expressions
        Of the function.
    unused : Unused
        Names that no value has.
    rounds : Rounds
        Writes loops.
    """

    def __init__(self, visit: Visit, expressions: Expressions, unused: Unused, rounds: Rounds) -> None:
        self.visit, self.expressions, self.unused, self.rounds = visit, expressions, unused, rounds
        self.rest = unused.like("rest")
        made = (value for step in visit.nodes for value in step.makes)
        self.windows = {value.name: value.window for value in made if value.window is not None}

    def rooms(self) -> tuple[list[Line], list[Line]]:
        """The lines that make memory for the results of products: for all rows, and for those of a block."""
        whole: list[Line] = []
        rows: list[Line] = []
        for stage in self.visit.stages:
            if isinstance(stage, Compute):
                (rows if stage.outputs[0].window else whole).extend(self._room(stage))
        return [*whole, *(line for product in self.visit.after for line in self._cleared(product))], rows

    def block(self, blocks: Blocks, insides: Sequence[Sequence[Line]]) -> Near:
        """What is done with a block of rows, from the lines of one round of each loop."""
        place = self.unused.letters[blocks.deepest]
        near = NearRows(self.windows, blocks.letter, blocks.letter, place, 0)

        def block(start: str, inside: Sequence[Line]) -> Sequence[Line]:
            loops = iter(insides)
            lines: list[Line] = []
            if self.windows and blocks.length % blocks.rounds:
                until = call("min", literal(blocks.rounds), minus(blocks.length, start))
                lines.append(Line(assign(self.rest, until), inside[0].location))
            for stage in self.visit.stages:
                if isinstance(stage, Compute):
                    lines.append(self._rows(stage, start))
                else:
                    lines.extend(self.rounds.one_block(blocks, start, near.lines(next(loops))))
            return lines

        return block

    def sums(self, columns: list[Columns] | None) -> Around:
        """The lines that add the products over the rows of a block to those of all before.

        Where threads share the blocks, each has sums of its own, which are put into `columns`.
        """
        sums = []
        for product in self.visit.after:
            result = product.outputs[0]
            sums.append(result.name)
            if columns is not None:
                sums[-1] = self.unused.like(f"{result.name}_parts")
                shape = (self.visit.length, *result.type.shape)
                reduction = Reduction("sum", (0,), shape, result.type.dtype)
                columns.append(Columns(result.name, sums[-1], result.type, reduction))

        def around(start: str, block: str | None) -> tuple[list[Line], list[Line]]:
            products = zip(self.visit.after, sums, strict=True)
            return [], [self._sum(product, total, start, block) for product, total in products]

        return around

    def _room(self, product: Compute) -> list[Line]:
        result = product.outputs[0]
        if result.is_buffer:
            return []
        return [Line(assign(result.name, zeros(result.memory, "np.empty")), product.location)]

    def _cleared(self, product: Compute) -> list[Line]:
        """Memory with nothing in it yet."""
        result, where = product.outputs[0], product.location
        if not result.is_buffer:
            return [Line(assign(result.name, zeros(result.type)), where)]
        return [*self.rounds.zeroed(result, where)]

    def _operands(self, product: Compute) -> list[ast.expr]:
        return [self.expressions.operand(x, k, product.instr) for k, x in enumerate(product.inputs)]

    def _rows(self, product: Compute, start: str) -> Line:
        x, w = self._operands(product)
        result = self.expressions.name(product.outputs[0])
        written = call("np.dot", self._part_of(x, start), w, self._part_of(result, start))
        return Line(ast.Expr(value=written), product.location)

    def _sum(self, product: Compute, total: str, start: str, block: str | None) -> Line:
        given = [self._part_of(x, start) for x in self._operands(product)]
        if block is None:
            store = ast.Name(id=total, ctx=ast.Store())
            added = ast.AugAssign(target=store, op=ast.Add(), value=call("np.dot", *given))
            return Line(added, product.location)
        place = subscript(named(total), [named(block)])
        return Line(ast.Expr(value=call("np.dot", *given, place)), product.location)

    def _part_of(self, text: ast.expr, start: str) -> ast.expr:
        """`x[start:start + 128]` of `x`, also inside of `x.T`; of rows that are there for a block alone, all."""
        if isinstance(text, ast.Attribute):
            return ast.Attribute(value=self._part_of(text.value, start), attr=text.attr, ctx=ast.Load())
        part = ast.Slice(lower=named(start), upper=plus(start, self.visit.rounds))
        if isinstance(text, ast.Name) and text.id in self.windows:
            if not self.visit.length % self.visit.rounds:
                return text
            part = ast.Slice(upper=named(self.rest))
        return ast.Subscript(value=text, slice=part, ctx=ast.Load())
