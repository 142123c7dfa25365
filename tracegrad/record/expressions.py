"""Marks in expressions: reads from outside, calls, operators, questions about the whole of a value.

In: an expression of the user's. Out: the same expression asking a `Marks` object (`tensor/namespace.py`).
Begin with `Expressions.visit_Call`.
"""

from __future__ import annotations

import ast
import inspect
import types
from typing import Any

from tracegrad.record.certificate import loaded_names

MARKS = "__tg__"
_LEFT_ALONE = {"super", "locals", "globals", "vars", "eval", "exec", "dir", "breakpoint"}
_BLIND = {"globals", "eval", "exec"}  # what they read or write is not seen
_SHOWS = {"print", "warn", "debug", "info", "warning", "error", "exception", "critical", "log", "write"}


class Expressions(ast.NodeTransformer):
    """Puts the marks into expressions; one instance a function."""

    def __init__(self, code: types.CodeType, node: Any) -> None:
        self.code = code
        self.node = node
        self.free = set(code.co_freevars)
        self.scopes: list[set[str]] = []
        self.names: dict[int, tuple[str, ...]] = {}
        self.after: dict[int, frozenset[str]] = {}
        self.refusals: list[str] = []
        self.loops = 0
        self.temporaries = 0
        self.showing = False  # inside something that only shows values: `print`, the message of an exception
        self.owner = owner_class(code)
        self.generator = bool(
            code.co_flags & (inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR)
        )
        outside = [n.lineno for n in ast.walk(node) if isinstance(n, (ast.Global, ast.Nonlocal))]
        self.writes_outside = outside[0] if outside else 0
        body = [node.body] if isinstance(node, ast.Lambda) else node.body
        self.loads: dict[str, int] = {}
        for name in loaded_names(body):
            self.loads[name] = self.loads.get(name, 0) + 1

    def _mark(self, method: str, *args: ast.expr) -> ast.Call:
        function = ast.Attribute(value=ast.Name(id=MARKS, ctx=ast.Load()), attr=method, ctx=ast.Load())
        return ast.Call(func=function, args=list(args), keywords=[])

    def _is_local(self, name: str) -> bool:
        return any(name in scope for scope in self.scopes)

    def visit_Name(self, node: ast.Name) -> ast.expr:
        if not isinstance(node.ctx, ast.Load) or self._is_local(node.id) or node.id in (MARKS, "__class__"):
            return node
        if node.id in self.free:
            return placed(self._mark("free", ast.Constant(value=node.id), node), node)
        return placed(self._mark("glob", ast.Constant(value=node.id)), node)

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        value = self.visit(node.value)
        if not isinstance(node.ctx, ast.Load):
            return ast.copy_location(
                ast.Attribute(value=value, attr=self._mangled(node.attr), ctx=node.ctx), node
            )
        return placed(self._mark("attr", value, ast.Constant(value=self._mangled(node.attr))), node)

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        value, key = self.visit(node.value), self._key(node.slice)
        if not isinstance(node.ctx, ast.Load):
            return ast.copy_location(ast.Subscript(value=value, slice=key, ctx=node.ctx), node)
        return placed(self._mark("item", value, key), node)

    def _key(self, node: ast.expr) -> ast.expr:
        """An index as a value: `1:n` becomes a slice object."""
        if isinstance(node, ast.Slice):
            parts = [
                ast.Constant(value=None) if p is None else self.visit(p)
                for p in (node.lower, node.upper, node.step)
            ]
            return placed(self._mark("slice", *parts), node)
        if isinstance(node, ast.Tuple):
            return ast.copy_location(ast.Tuple(elts=[self._key(e) for e in node.elts], ctx=ast.Load()), node)
        return self.visit(node)

    def visit_Call(self, node: ast.Call) -> ast.expr:
        called = getattr(node.func, "id", getattr(node.func, "attr", ""))
        showing, self.showing = self.showing, self.showing or called in _SHOWS
        args = [self.visit(a) for a in node.args]
        keywords = [
            ast.keyword(arg=k.arg, value=self.visit(k.value) if k.arg else self._whole(k.value))
            for k in node.keywords
        ]
        self.showing = showing
        alone = (
            isinstance(node.func, ast.Name)
            and node.func.id in _LEFT_ALONE
            and not self._is_local(node.func.id)
        )
        if isinstance(node.func, ast.Name) and alone and (args or keywords or node.func.id != "vars"):
            made = ast.Call(func=node.func, args=args, keywords=keywords)
            if node.func.id in _BLIND:
                return placed(self._mark("blind", ast.Constant(value=node.func.id), made), node)
            if node.func.id != "vars":
                return ast.copy_location(made, node)
        made = self._mark("call", self.visit(node.func), *args)
        made.keywords = keywords
        return placed(made, node)

    def _whole(self, node: ast.expr) -> ast.expr:
        """An expression whose value is used in one piece: of a container from outside, every item is read."""
        return placed(self._mark("whole", self.visit(node)), node)

    def _truth(self, node: ast.expr) -> ast.expr:
        """An expression that is asked whether it is true."""
        made = self.visit(node)
        return (
            made if isinstance(node, (ast.Compare, ast.Constant)) else placed(self._mark("asked", made), node)
        )

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        left, right = self.visit(node.left), self.visit(node.right)
        return placed(self._mark("binary", ast.Constant(value=type(node.op).__name__), left, right), node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.expr:
        if isinstance(node.op, ast.Not):
            return ast.copy_location(ast.UnaryOp(op=node.op, operand=self._truth(node.operand)), node)
        if isinstance(node.operand, ast.Constant):
            return node
        return placed(
            self._mark("unary", ast.Constant(value=type(node.op).__name__), self.visit(node.operand)), node
        )

    def visit_Compare(self, node: ast.Compare) -> ast.expr:
        if len(node.ops) > 1:
            parts = [self._whole(c) for c in node.comparators]
            return ast.copy_location(
                ast.Compare(left=self._whole(node.left), ops=node.ops, comparators=parts), node
            )
        left, right = self.visit(node.left), self.visit(node.comparators[0])
        return placed(
            self._mark("compare", ast.Constant(value=type(node.ops[0]).__name__), left, right), node
        )

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.expr:
        values = [*(self._truth(v) for v in node.values[:-1]), self.visit(node.values[-1])]
        return ast.copy_location(ast.BoolOp(op=node.op, values=values), node)

    def visit_IfExp(self, node: ast.IfExp) -> ast.expr:
        made = ast.IfExp(
            test=self._truth(node.test), body=self.visit(node.body), orelse=self.visit(node.orelse)
        )
        return ast.copy_location(made, node)

    def visit_Starred(self, node: ast.Starred) -> ast.expr:
        return ast.copy_location(ast.Starred(value=self._whole(node.value), ctx=node.ctx), node)

    def visit_Dict(self, node: ast.Dict) -> ast.expr:
        keys = [None if k is None else self.visit(k) for k in node.keys]
        values = [
            self._whole(v) if k is None else self.visit(v)
            for k, v in zip(node.keys, node.values, strict=True)
        ]
        return ast.copy_location(ast.Dict(keys=keys, values=values), node)

    def visit_FormattedValue(self, node: ast.FormattedValue) -> ast.expr:
        value = (
            placed(self._mark("shown", self.visit(node.value)), node)
            if self.showing
            else self._whole(node.value)
        )
        spec = None if node.format_spec is None else self.visit(node.format_spec)
        return ast.copy_location(
            ast.FormattedValue(value=value, conversion=node.conversion, format_spec=spec), node
        )

    def _mangled(self, name: str) -> str:
        if name.startswith("__") and not name.endswith("__") and self.owner:
            return f"_{self.owner.lstrip('_')}{name}"
        return name

    def _inner(self, node: Any, names: set[str]) -> Any:
        self.scopes.append(names)
        try:
            return self.generic_visit(node)
        finally:
            self.scopes.pop()

    def visit_Lambda(self, node: ast.Lambda) -> Any:
        return self._inner(node, bound_names(node))

    def _comprehension(self, node: Any) -> Any:
        names = {n.id for g in node.generators for n in ast.walk(g.target) if isinstance(n, ast.Name)}
        node = self._inner(node, names)
        for generator in node.generators:
            generator.iter = self._mark("iterate", generator.iter)
            generator.ifs = [placed(self._mark("asked", test), test) for test in generator.ifs]
        return node

    visit_ListComp = visit_SetComp = visit_DictComp = _comprehension

    def visit_GeneratorExp(self, node: ast.GeneratorExp) -> ast.expr:
        made: ast.expr = placed(self._mark("generator", self._comprehension(node)), node)
        return made


def placed(made: Any, node: Any) -> Any:
    """Give a new node, and what is new inside it, the first line of the user's: a call would count as on
    its last.
    """
    todo = [made]
    while todo:
        new = todo.pop()
        if isinstance(new, (ast.stmt, ast.expr)):
            if hasattr(new, "lineno"):
                continue
            new.lineno = new.end_lineno = node.lineno
            new.col_offset = new.end_col_offset = node.col_offset
        todo.extend(ast.iter_child_nodes(new))
    return made


def bound_names(node: Any) -> set[str]:
    """Names local to a function: parameters and whatever its body binds."""
    args = node.args
    names = {
        a.arg
        for a in (*args.posonlyargs, *args.args, *args.kwonlyargs, args.vararg, args.kwarg)
        if a is not None
    }
    outside: set[str] = set()
    todo: list[ast.AST] = [node.body] if isinstance(node, ast.Lambda) else list(node.body)
    while todo:
        inner = todo.pop()
        if isinstance(inner, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            names.add(inner.name)
            todo.extend(inner.decorator_list)
            continue
        if isinstance(inner, ast.Lambda):
            continue
        if isinstance(inner, ast.Name) and isinstance(inner.ctx, (ast.Store, ast.Del)):
            names.add(inner.id)
        elif isinstance(inner, (ast.Global, ast.Nonlocal)):
            outside.update(inner.names)
        elif isinstance(inner, ast.ExceptHandler) and inner.name:
            names.add(inner.name)
        elif isinstance(inner, (ast.Import, ast.ImportFrom)):
            names.update((a.asname or a.name.split(".")[0]) for a in inner.names)
        elif isinstance(inner, (ast.MatchAs, ast.MatchStar)) and inner.name:
            names.add(inner.name)
        elif isinstance(inner, ast.MatchMapping) and inner.rest:
            names.add(inner.rest)
        if isinstance(inner, (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)):
            # Its targets are its own; a walrus inside binds here.
            names.update(
                n.target.id
                for n in ast.walk(inner)
                if isinstance(n, ast.NamedExpr) and isinstance(n.target, ast.Name)
            )
            continue
        todo.extend(ast.iter_child_nodes(inner))
    return names - outside


def owner_class(code: types.CodeType) -> str | None:
    """The class a method is defined in, for private names."""
    parts = code.co_qualname.split(".")
    return parts[-2] if len(parts) > 1 and parts[-2] != "<locals>" else None
