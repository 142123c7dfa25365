"""Which statements may become a loop or a branch of the trace: a judgement on the user's AST alone.

The certificate asks that a body stores nothing but local names and cannot be left early; what the names
hold, and what is called, is checked while the body runs (`recording.py`). Without certificate the statement
runs as it stands: each run is a path of its own, and right all the same. Begin with `refusal`.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator

Structure = ast.If | ast.While | ast.For

_PLAIN = (ast.Assign, ast.AugAssign, ast.AnnAssign, ast.Expr, ast.Pass, ast.Assert)


def refusal(node: Structure) -> str | None:
    """Why this statement stays a path, in the user's terms; None if it may be generalised."""
    if not isinstance(node, ast.If) and node.orelse:
        return f"line {node.lineno}: the loop has an `else`"
    if isinstance(node, ast.For) and not _only_names(node.target):
        return f"line {node.lineno}: the loop stores into something other than local names"
    for statement in (*node.body, *node.orelse):
        reason = _refused(statement)
        if reason:
            return reason
    return None


def _refused(node: ast.stmt) -> str | None:
    if isinstance(node, (ast.If, ast.While, ast.For)):
        return refusal(node)
    if isinstance(node, (ast.Break, ast.Continue, ast.Return, ast.Raise)):
        return f"line {node.lineno}: `{type(node).__name__.lower()}` leaves the block early"
    if not isinstance(node, _PLAIN):
        return f"line {node.lineno}: `{type(node).__name__.lower()}` inside a loop or branch"
    for target in _targets(node):
        if not _only_names(target):
            return f"line {node.lineno}: stores into `{ast.unparse(target)}`, which is not a local name"
    for inner in ast.walk(node):
        if isinstance(inner, (ast.Yield, ast.YieldFrom, ast.Await)):
            return f"line {node.lineno}: a generator is suspended inside the block"
    return None


def _targets(node: ast.stmt) -> list[ast.expr]:
    if isinstance(node, ast.Assign):
        return node.targets
    if isinstance(node, (ast.AugAssign, ast.AnnAssign)):
        return [node.target]
    return []


def _only_names(target: ast.expr) -> bool:
    if isinstance(target, (ast.Tuple, ast.List)):
        return all(_only_names(t) for t in target.elts)
    return isinstance(target, ast.Name)


def statements(nodes: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """Every node below, without going into nested functions, classes and comprehensions' own scopes."""
    for node in nodes:
        yield node
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)):
            yield from statements(ast.iter_child_nodes(node))


def assigned_names(nodes: Iterable[ast.AST]) -> list[str]:
    """Local names stored in these nodes, in order of appearance."""
    names: dict[str, None] = {}
    for node in statements(nodes):
        if isinstance(node, ast.comprehension):
            continue
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names[node.id] = None
    for node in statements(nodes):
        if isinstance(node, (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)):
            for generator in node.generators:
                for inner in ast.walk(generator.target):
                    if isinstance(inner, ast.Name):
                        names.pop(inner.id, None)
    return list(names)


def loaded_names(nodes: Iterable[ast.AST]) -> list[str]:
    """Names read in these nodes, nested functions included, as often as they are read."""
    return [
        inner.id
        for node in nodes
        for inner in ast.walk(node)
        if (isinstance(inner, ast.Name) and isinstance(inner.ctx, (ast.Load, ast.Del)))
    ] + [
        statement.target.id
        for node in nodes
        for statement in ast.walk(node)
        if isinstance(statement, ast.AugAssign) and isinstance(statement.target, ast.Name)
    ]
