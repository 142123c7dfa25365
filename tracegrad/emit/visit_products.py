"""Products with some rows of a matrix at a time, as statements before and after the loop over those rows.

A `Visit` goes in, the lines around a block of rows come out: `np.dot(x[start:start + 128], w, z[start:start + 128])`
before, `g += np.dot(r[start:start + 128], x[start:start + 128])` after. Begin with `VisitProducts.around`.
"""

from __future__ import annotations

import ast

from tracegrad.emit.blocks import Compute, Visit
from tracegrad.emit.elements import subscript
from tracegrad.emit.expressions import Expressions, zeros
from tracegrad.emit.loops import assign, plus
from tracegrad.emit.names import Unused
from tracegrad.emit.printer import Line
from tracegrad.emit.reductions import Reduction
from tracegrad.emit.rounds import Around, Columns, Rounds
from tracegrad.ops.op import call, named

ROOM = 2**15  # elements of a matrix that are still in the second cache when they are read again
MOST = 1024  # rows of a block
SUMS = 2**19  # elements that blocks of rows may gather beside the result


def rows_of(width: int) -> int:
    """How many rows of so many elements are a block."""
    return max(16, min(MOST, ROOM // max(width, 1)) // 16 * 16)


class VisitProducts:
    """Writes products with rows in one function.

    Parameters
    ----------
    expressions : Expressions
        Of the function.
    unused : Unused
        Names that no value has.
    rounds : Rounds
        Writes loops.
    """

    def __init__(self, expressions: Expressions, unused: Unused, rounds: Rounds) -> None:
        self.expressions, self.unused, self.rounds = expressions, unused, rounds

    def around(self, visit: Visit, rows: int, columns: list[Columns] | None) -> tuple[list[Line], Around]:
        """The lines that make memory for the results, and those around each block of so many rows.

        Where threads share the blocks, each has sums of its own, which are put into `columns`.
        """
        made = [line for product in visit.before for line in self._room(product)]
        sums = []
        for product in visit.after:
            result = product.outputs[0]
            made.extend(self._cleared(product))
            sums.append(result.name)
            if columns is not None:
                sums[-1] = self.unused.like(f"{result.name}_parts")
                reduction = Reduction("sum", (0,), (visit.length, *result.type.shape), result.type.dtype)
                columns.append(Columns(result.name, sums[-1], result.type, reduction))

        def around(start: str, block: str | None) -> tuple[list[Line], list[Line]]:
            before = [self._rows(product, start, rows) for product in visit.before]
            after = [
                self._sum(product, total, start, rows, block)
                for product, total in zip(visit.after, sums, strict=True)
            ]
            return before, after

        return made, around

    def _room(self, product: Compute) -> list[Line]:
        result = product.outputs[0]
        if result.is_buffer:
            return []
        return [Line(assign(result.name, zeros(result.type, "np.empty")), product.location)]

    def _cleared(self, product: Compute) -> list[Line]:
        """Memory with nothing in it yet."""
        result, where = product.outputs[0], product.location
        if not result.is_buffer:
            return [Line(assign(result.name, zeros(result.type)), where)]
        return [*self.rounds.zeroed(result, where)]

    def _operands(self, product: Compute) -> list[ast.expr]:
        return [self.expressions.operand(x, k, product.instr) for k, x in enumerate(product.inputs)]

    def _rows(self, product: Compute, start: str, rows: int) -> Line:
        x, w = self._operands(product)
        result = self.expressions.name(product.outputs[0])
        written = call("np.dot", _part_of(x, start, rows), w, _part_of(result, start, rows))
        return Line(ast.Expr(value=written), product.location)

    def _sum(self, product: Compute, total: str, start: str, rows: int, block: str | None) -> Line:
        given = [_part_of(x, start, rows) for x in self._operands(product)]
        if block is None:
            store = ast.Name(id=total, ctx=ast.Store())
            added = ast.AugAssign(target=store, op=ast.Add(), value=call("np.dot", *given))
            return Line(added, product.location)
        place = subscript(named(total), [named(block)])
        return Line(ast.Expr(value=call("np.dot", *given, place)), product.location)


def _part_of(text: ast.expr, start: str, rows: int) -> ast.expr:
    """`x[start:start + 128]` of `x`, also inside of `x.T`."""
    if isinstance(text, ast.Attribute):
        return ast.Attribute(value=_part_of(text.value, start, rows), attr=text.attr, ctx=ast.Load())
    part = ast.Slice(lower=named(start), upper=plus(start, rows))
    return ast.Subscript(value=text, slice=part, ctx=ast.Load())
