"""Products of large matrices that stand where their left operand stood, some rows at a time.

Row i of `x @ y` is made of row i of x alone. So `np.dot(x, y, z)`, where x is read for the last time, may write z into
the memory of x: `product_over(x, y, 144)` computes so many rows into a buffer and copies them. BLAS is called for each
block, and prepares y again; with blocks of this size that takes a few hundredths longer. Begin with `may_stand_over`.
"""

from __future__ import annotations

import ast

from tracegrad.emit.printer import Line
from tracegrad.ir.types import ArrayType
from tracegrad.kernels.products import product_over
from tracegrad.ops.op import call, literal, named
from tracegrad.syntax import nodes_of

LEAST = 1 << 22  # bytes of a matrix whose memory is worth the blocks
BLOCKS = 7  # at least: the buffer counts against a tenth of what lives
ROWS = 128, 512  # of a block: with fewer BLAS is slow, with more it is not faster
STEP = 16  # of which a block's rows are a multiple


def may_stand_over(line: Line, old: str, new: str, type: ArrayType) -> bool:
    """Whether a line computes one large matrix as another of its shape times something else."""
    operands = _multiplied(line)
    if operands is None or not _is_worth_it(type):
        return False
    left, right, out = operands
    there = {node.id for node in nodes_of(right) if isinstance(node, ast.Name)}
    return (left, out) == (old, new) and not there & {old, new}


def _is_worth_it(type: ArrayType) -> bool:
    large = type.size * type.dtype.itemsize >= LEAST
    return large and len(type.shape) == 2 and type.shape[0] >= BLOCKS * ROWS[0] and type.dtype.kind == "f"


def _multiplied(line: Line) -> tuple[str, ast.expr, str] | None:
    """What `np.dot(x, y, z)` is given."""
    match line.statement:
        case ast.Expr(
            value=ast.Call(
                func=ast.Attribute(value=ast.Name(id="np"), attr="dot"),
                args=[ast.Name(id=left), right, ast.Name(id=out)],
            )
        ):
            return left, right, out
    return None


def standing_over(line: Line, type: ArrayType) -> Line | None:
    """The product, of this type, in the memory of the left operand; None for any other line."""
    operands = _multiplied(line)
    if operands is None:
        return None
    rows = min(-(-type.shape[0] // BLOCKS // STEP) * STEP, ROWS[1])
    over = call(product_over.__name__, named(operands[0]), operands[1], literal(rows))
    return Line(ast.Expr(value=over), line.location)
