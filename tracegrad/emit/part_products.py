"""Contractions as products of matrices that are parts of arrays, as statements.

A step goes in, loops come out: `put_product(q[i, :, j], k[i, :, j].T, scores[i, j])` for each `i` and `j`. Nothing is
transposed in memory, and results are written where they are wanted. Begin with `products_of_parts`.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from typing import Any

from tracegrad.emit.blocks import Compute
from tracegrad.emit.elements import subscript
from tracegrad.emit.expressions import Expressions
from tracegrad.emit.loops import for_each
from tracegrad.emit.printer import Line
from tracegrad.kernels.products import add_product, put_product
from tracegrad.ops.contraction import as_products
from tracegrad.ops.op import call, literal, named


def products_of_parts(
    node: Compute, inputs: Sequence[ast.expr], expressions: Expressions, letters: Sequence[str]
) -> list[Line]:
    """The statements of a contraction whose result has its memory already; `letters` name indices."""
    instr, where = node.instr, node.location
    subscripts = instr.params["subscripts"]
    found = as_products(subscripts, instr.inputs, instr.outputs[0].dtype, narrow=True)
    assert found is not None
    terms, _, output = subscripts.partition("->")
    lengths = (n for x in instr.inputs for n in x.shape)
    sizes = dict(zip(terms.replace(",", ""), lengths, strict=True))
    (left, right), (x, y) = terms.split(","), inputs
    if found.swapped:
        left, right, x, y = right, left, y, x
    result = expressions.name(node.outputs[0])
    around = dict(zip(found.loops + found.summed, letters, strict=False))
    names: dict[str, ast.expr] = {a: named(name) for a, name in around.items()}

    def written(function: Any, index: Mapping[str, ast.expr]) -> Line:
        expressions.kernels[function] = None
        given = (
            _part(x, left, index, found.rows + found.length),
            _part(y, right, index, found.length + found.columns),
            _part(result, output, index, found.rows + found.columns),
        )
        return Line(ast.Expr(value=call(function.__name__, *given)), where)

    lines = [written(put_product, {**names, found.summed: literal(0)})]
    if found.summed:
        limits = (literal(1), literal(sizes[found.summed]))
        lines.append(for_each(around[found.summed], limits, [written(add_product, names)]))
    for a in reversed(found.loops):
        lines = [for_each(around[a], literal(sizes[a]), lines)]
    return lines


def _part(array: ast.expr, term: str, index: Mapping[str, ast.expr], axes: str) -> ast.expr:
    """The matrix with these axes at an index, in their order."""
    parts = [index.get(a, ast.Slice()) for a in term]
    while parts and isinstance(parts[-1], ast.Slice):
        parts.pop()
    part = subscript(array, parts) if parts else array
    if term.index(axes[0]) < term.index(axes[1]):
        return part
    return ast.Attribute(value=part, attr="T", ctx=ast.Load())
