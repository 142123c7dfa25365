"""Conditions as a person writes them: `not`, `and`, `or`, `0.0 < x < 1.0`.

Expressions of which only the truth is asked go in and come out; each evaluates what Python would. Begin with
`negated`.
"""

from __future__ import annotations

import ast

_OPPOSITE: dict[type, type] = {ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Is: ast.IsNot, ast.IsNot: ast.Is}
_MIRRORED: dict[type, type] = {ast.Lt: ast.Gt, ast.LtE: ast.GtE, ast.Gt: ast.Lt, ast.GtE: ast.LtE}
_SAME_WAY = ((ast.Lt, ast.LtE), (ast.Gt, ast.GtE))


def negated(node: ast.expr) -> ast.expr:
    """`not x`; `x` of `not x`. The opposite of `x < y` is not `x >= y`, where one is NaN."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        return node.operand
    if isinstance(node, ast.Compare) and len(node.ops) == 1 and type(node.ops[0]) in _OPPOSITE:
        return ast.Compare(left=node.left, ops=[_OPPOSITE[type(node.ops[0])]()], comparators=node.comparators)
    return ast.UnaryOp(op=ast.Not(), operand=node)


def joined(op: ast.boolop, left: ast.expr, right: ast.expr) -> ast.expr:
    """`left and right`, `left or right`; `a < b < c` where the middle is the same."""
    values = [part for node in (left, right) for part in _parts(op, node)]
    found = [values[0]]
    for part in values[1:]:
        chain = _chain(found[-1], part) if isinstance(op, ast.And) else None
        found = [*found[:-1], chain] if chain is not None else [*found, part]
    return found[0] if len(found) == 1 else ast.BoolOp(op=op, values=found)


def _parts(op: ast.boolop, node: ast.expr) -> list[ast.expr]:
    return node.values if isinstance(node, ast.BoolOp) and type(node.op) is type(op) else [node]


def _chain(left: ast.expr, right: ast.expr) -> ast.expr | None:
    """`a < b < c` for `a < b and b < c`, and for `b > a and b < c`, where `b` is a name."""
    if not (isinstance(left, ast.Compare) and isinstance(right, ast.Compare)) or len(right.ops) != 1:
        return None
    if len(left.ops) == 1 and type(left.ops[0]) in _MIRRORED and _same(left.left, right.left):
        left = ast.Compare(
            left=left.comparators[0], ops=[_MIRRORED[type(left.ops[0])]()], comparators=[left.left]
        )
    middle = left.comparators[-1]
    if not _same(middle, right.left):
        return None
    ops = [*left.ops, *right.ops]
    if not any(all(isinstance(op, same) for op in ops) for same in _SAME_WAY):
        return None
    return ast.Compare(left=left.left, ops=ops, comparators=[*left.comparators, *right.comparators])


def _same(a: ast.expr, b: ast.expr) -> bool:
    """Whether both are names of one value (see `Expressions.name`)."""
    value = getattr(a, "value", None) if isinstance(a, ast.Name) and isinstance(b, ast.Name) else None
    return value is not None and value is getattr(b, "value", None)
