"""Marks for a run on the tape: calls, operators and stores, and nothing of structure or of what is read.

In: the AST of a user's function. Out: the statements of a clone in which loops and branches are Python's own. Begin
with `Straight`.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence

from tracegrad.record.certificate import Structure
from tracegrad.record.statements import Statements


class Straight(Statements):
    """Puts in only the marks that a run needs for its values and its derivative."""

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return node

    def _stored(self, target: ast.expr, value: ast.expr) -> list[ast.stmt]:
        if isinstance(target, ast.Name):
            return [ast.Assign(targets=[target], value=value)]
        return super()._stored(target, value)

    def _with_exits(self, body: list[ast.stmt], outside: frozenset[str]) -> list[ast.stmt]:
        return body

    def _may_move(self, node: ast.expr) -> bool:
        return False

    def _certified(self, node: Structure) -> int | None:
        return None

    def _choice(self, node: ast.expr, arms: Sequence[ast.expr], truth: bool) -> ast.expr | None:
        return None

    def _chained(self, node: ast.Compare, truth: bool) -> ast.expr:
        parts = [self.visit(c) for c in node.comparators]
        return ast.copy_location(
            ast.Compare(left=self.visit(node.left), ops=node.ops, comparators=parts), node
        )
