"""Branches written as expressions: `a and b`, `x if c else y`, `not c`.

A branch whose arms are nested already goes in; where each arm is one short expression, an `Either` comes out, to
stand in its place. Python evaluates the arm that is chosen and no other, as the branch does. Begin with
`as_expression`.
"""

from __future__ import annotations

import numpy as np

from tracegrad.emit.blocks import Block, Choice, Compute, Either, Move, Operand, Value
from tracegrad.emit.expressions import Expressions
from tracegrad.ir.location import Location


def as_expression(node: Choice, expressions: Expressions) -> Either | None:
    """The branch as an expression, what its arms compute nested in it; None where statements say it better."""
    if len(node.outputs) != 1 or node.outputs[0].type.shape or node.leaving is not None:
        return None
    output = node.outputs[0]
    sources: list[Operand] = []
    for arm in node.arms:
        move = arm.nodes[-1]
        assert isinstance(move, Move)
        sources.append(move.sources[0])
        if not _is_expression(arm, sources[-1], node.location, output):
            return None
    if output.type.dtype != np.bool_ and any(_stays(source, output) for source in sources):
        return None
    for arm in node.arms:
        for inner in arm.nodes[:-1]:
            assert isinstance(inner, (Compute, Either))
            if inner.makes[0].expression is None:
                inner.makes[0].expression = expressions.of(inner)
    found = Either(node.location, node.condition, (sources[0], sources[1]), output)
    before = (node, *(arm.nodes[-1] for arm in node.arms))
    for operand, reader in zip(found.reads, before, strict=True):
        if isinstance(operand, Value):
            operand.readers[operand.readers.index(reader)] = found
    output.maker = found
    return found


def _is_expression(arm: Block, source: Operand, where: Location | None, output: Value) -> bool:
    """Whether all an arm does is compute its result, from scalars; a number in the line of the branch."""
    for inner in arm.nodes[:-1]:
        if not isinstance(inner, (Compute, Either)) or len(inner.makes) != 1:
            return False
        value = inner.makes[0]
        if value.type.shape or not (output.type.dtype == np.bool_ or same_line(inner.location, where)):
            return False
        if value.expression is None and (value is not source or len(value.readers) != 1):
            return False
        if value.hint not in (None, output.hint):
            return False
    return True


def _stays(source: Operand, output: Value) -> bool:
    """Whether an arm leaves the variable as it is: `if c: s = 0.0` is shorter."""
    made_here = isinstance(source, Value) and source.expression is not None
    return (
        isinstance(source, Value) and not made_here and source.hint is not None and source.hint == output.hint
    )


def same_line(a: Location | None, b: Location | None) -> bool:
    """Whether two nodes come from one line of the user's; a node without location goes with any."""
    return a is None or b is None or (a.line == b.line and a.file == b.file)
