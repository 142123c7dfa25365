"""Marks in expressions: reads from outside, calls, operators, questions about the whole of a value.

In: an expression of the user's. Out: the same expression asking a `Marks` object (`tensor/namespace.py`).
What Python evaluates only in one of two cases is a branch with one result:

    a if c else b         __tg__.close(1, a) if __tg__.open(1, c) else __tg__.close(1, b)
    a and b               __tg__.close(2, b) if __tg__.open(2, a) else __tg__.kept(2)
    a < b < c             __tg__.close(3, compare("Lt", __tg__.second(3), c))
                              if __tg__.open_compare(3, "Lt", a, b) else __tg__.kept(3)

Begin with `Expressions.visit_Call`.
"""

from __future__ import annotations

import ast
import types
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tracegrad.errors import InternalError
from tracegrad.record.certificate import (
    FLAG,
    MARKS,
    Form,
    names_stored_by,
    statements,
    unfit_choice,
    written_objects,
)
from tracegrad.record.liveness import Liveness

_LEFT_ALONE = {"super", "locals", "globals", "vars", "eval", "exec", "dir", "breakpoint"}
_BLIND = {"globals", "eval", "exec", "dir"}  # what they read or write is not seen
_SHOWS = {"print", "warn", "debug", "info", "warning", "error", "exception", "critical", "log", "write"}


@dataclass(slots=True)
class Scope:
    """A function, lambda or comprehension whose names are being looked up.

    `names` are bound in it, `given_away` are declared `global` in it; a `generator` has no structures. `moved` are
    functions to define before the statement that is being visited; None where no statement is.
    """

    names: set[str]
    given_away: frozenset[str] = frozenset()
    generator: bool = False
    liveness: Liveness = field(default_factory=lambda: Liveness(()))
    outside: frozenset[str] = frozenset()
    moved: list[ast.stmt] | None = None


class Expressions(ast.NodeTransformer):
    """Puts the marks into expressions; one instance a function."""

    def __init__(self, code: types.CodeType, node: Any) -> None:
        self.code = code
        self.node = node
        self.free = set(code.co_freevars)
        self.scopes: list[Scope] = []
        self.structures: dict[int, Form] = {}
        self.refusals: list[str] = []
        self.temporaries = 0
        self.showing = False  # inside something that only shows values: `print`, the message of an exception
        self.depths: dict[ast.expr, int] = {}  # how deep the items are taken apart where they are read

    def _mark(self, method: str, *args: ast.expr) -> ast.Call:
        function = ast.Attribute(value=ast.Name(id=MARKS, ctx=ast.Load()), attr=method, ctx=ast.Load())
        return ast.Call(func=function, args=list(args), keywords=[])

    def _is_local(self, name: str) -> bool:
        for scope in reversed(self.scopes):
            if name in scope.given_away:
                return False
            if name in scope.names:
                return True
        return False

    def visit_Name(self, node: ast.Name) -> ast.expr:
        if not isinstance(node.ctx, ast.Load) or self._is_local(node.id) or node.id in (MARKS, "__class__"):
            return node
        if node.id in self.free:
            return placed(self._mark("free", ast.Constant(value=node.id), node), node)
        return placed(self._mark("glob", ast.Constant(value=node.id)), node)

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        value = self.visit(node.value)
        if not isinstance(node.ctx, ast.Load):
            return ast.copy_location(ast.Attribute(value=value, attr=node.attr, ctx=node.ctx), node)
        return placed(self._mark("attr", value, ast.Constant(value=node.attr)), node)

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        depth = self.depths.pop(node, 0)
        if isinstance(node.ctx, ast.Load):
            self.depths[node.value] = depth + 1
        value, key = self.visit(node.value), self._key(node.slice)
        if not isinstance(node.ctx, ast.Load):
            return ast.copy_location(ast.Subscript(value=value, slice=key, ctx=node.ctx), node)
        apart = [ast.Constant(value=depth)] if depth else []
        return placed(self._mark("item", value, key, *apart), node)

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
        of_text = isinstance(node.func, ast.Attribute) and _is_text(node.func.value)
        if self.showing and (called in ("str", "repr") or (called == "format" and of_text)):
            args = [placed(self._mark("shown", a), a) if not isinstance(a, ast.Starred) else a for a in args]
            for keyword in keywords:
                keyword.value = placed(self._mark("shown", keyword.value), node)
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
        made = self._tested(node)
        plain = isinstance(node, (ast.Compare, ast.Constant)) or _is_flag(node) or _is_not(node)
        return made if plain else placed(self._mark("asked", made), node)

    def _tested(self, node: ast.expr) -> ast.expr:
        """An expression of whose value only the truth matters."""
        if isinstance(node, ast.IfExp):
            return self._if_expression(node, True)
        if isinstance(node, ast.BoolOp):
            return self._and_or(node, True)
        if isinstance(node, ast.Compare) and len(node.ops) > 1:
            return self._chained(node, True)
        made: ast.expr = self.visit(node)
        return made

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        left, right = self.visit(node.left), self.visit(node.right)
        if self.showing and isinstance(node.op, ast.Mod) and _is_text(node.left):
            right = self._mark("shown", right)
        return placed(self._mark("binary", ast.Constant(value=type(node.op).__name__), left, right), node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.expr:
        if isinstance(node.op, ast.Not):
            return placed(self._mark("negated", self._tested(node.operand)), node)
        if isinstance(node.operand, ast.Constant):
            return node
        return placed(
            self._mark("unary", ast.Constant(value=type(node.op).__name__), self.visit(node.operand)), node
        )

    def visit_Compare(self, node: ast.Compare) -> ast.expr:
        if len(node.ops) > 1:
            return self._chained(node, False)
        left, right = self.visit(node.left), self.visit(node.comparators[0])
        return self._compare(node, left, node.ops[0], right)

    def _compare(self, node: ast.expr, left: ast.expr, op: ast.cmpop, right: ast.expr) -> ast.expr:
        made: ast.expr = placed(
            self._mark("compare", ast.Constant(value=type(op).__name__), left, right), node
        )
        return made

    def visit_NamedExpr(self, node: ast.NamedExpr) -> ast.expr:
        value = self._mark("name", ast.Constant(value=node.target.id), self.visit(node.value))
        return ast.copy_location(ast.NamedExpr(target=node.target, value=placed(value, node)), node)

    # --- choices: what is evaluated in one of two cases

    def _choice(self, node: ast.expr, arms: Sequence[ast.expr], truth: bool) -> ast.expr | None:
        """The key of a choice, as a constant; None where it stays what Python makes of it."""
        reason = unfit_choice(arms)
        if reason is None and self.scopes[-1].generator:
            reason = f"line {node.lineno}: a conditional expression inside a generator"
        if reason:
            self.refusals.append(reason)
            return None
        key = len(self.structures) + 1
        names = set().union(*(s.names for s in self.scopes))
        self.structures[key] = Form(
            "choice",
            (),
            frozenset(),
            written_objects(arms, names),
            None,
            node.lineno,
            ast.unparse(node),
            truth,
        )
        return ast.Constant(value=key)

    def visit_IfExp(self, node: ast.IfExp) -> ast.expr:
        return self._if_expression(node, False)

    def _if_expression(self, node: ast.IfExp, truth: bool) -> ast.expr:
        key = self._choice(node, (node.body, node.orelse), truth)
        visit = self._tested if truth else self.visit
        if key is None:
            made = ast.IfExp(test=self._truth(node.test), body=visit(node.body), orelse=visit(node.orelse))
            return ast.copy_location(made, node)
        asked = self._mark("open", key, self._tested(node.test))
        arms = [placed(self._mark("close", key, visit(arm)), arm) for arm in (node.body, node.orelse)]
        return placed(ast.IfExp(test=asked, body=arms[0], orelse=arms[1]), node)

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.expr:
        return self._and_or(node, False)

    def _and_or(self, node: ast.BoolOp, truth: bool) -> ast.expr:
        visit = self._tested if truth else self.visit
        key = self._choice(node, node.values[1:], truth)
        if key is None:
            values = [*(self._truth(v) for v in node.values[:-1]), visit(node.values[-1])]
            return ast.copy_location(ast.BoolOp(op=node.op, values=values), node)
        first = placed(self._mark("open", key, visit(node.values[0])), node.values[0])
        rest: ast.expr = node.values[1]
        if len(node.values) > 2:
            rest = ast.copy_location(ast.BoolOp(op=node.op, values=node.values[1:]), rest)
        other = placed(self._mark("close", key, visit(rest)), rest)
        kept = self._mark("kept", key)
        body, orelse = (other, kept) if isinstance(node.op, ast.And) else (kept, other)
        return placed(ast.IfExp(test=first, body=body, orelse=orelse), node)

    def _chained(self, node: ast.Compare, truth: bool) -> ast.expr:
        """`a < b < c`, each operand evaluated once and only if those before it compare true."""
        if unfit_choice(node.comparators[1:]):
            self._choice(node, node.comparators[1:], truth)
            parts = [self._whole(c) for c in node.comparators]
            return ast.copy_location(
                ast.Compare(left=self._whole(node.left), ops=node.ops, comparators=parts), node
            )
        return self._linked(node, self.visit(node.left), node.ops, node.comparators, truth)

    def _linked(
        self, node: ast.Compare, left: ast.expr, ops: list[ast.cmpop], right: list[ast.expr], truth: bool
    ) -> ast.expr:
        if len(ops) == 1:
            return self._compare(node, left, ops[0], self.visit(right[0]))
        key = self._choice(node, right[1:], truth)
        if key is None:
            raise InternalError("a chained comparison that fits does not fit")
        op = ast.Constant(value=type(ops[0]).__name__)
        asked = self._mark("open_compare", key, op, left, self.visit(right[0]))
        rest = self._linked(node, self._mark("second", key), ops[1:], right[1:], truth)
        made = ast.IfExp(test=asked, body=self._mark("close", key, rest), orelse=self._mark("kept", key))
        return placed(made, node)

    def visit_Starred(self, node: ast.Starred) -> ast.expr:
        return ast.copy_location(ast.Starred(value=self._whole(node.value), ctx=node.ctx), node)

    def visit_List(self, node: ast.List) -> ast.expr:
        made = ast.List(elts=[self.visit(e) for e in node.elts], ctx=node.ctx)
        if not isinstance(node.ctx, ast.Load):
            return ast.copy_location(made, node)
        placed_list: ast.expr = placed(self._mark("made", ast.copy_location(made, node)), node)
        return placed_list

    def visit_Dict(self, node: ast.Dict) -> ast.expr:
        keys = [None if k is None else self.visit(k) for k in node.keys]
        values = [
            self._whole(v) if k is None else self.visit(v)
            for k, v in zip(node.keys, node.values, strict=True)
        ]
        made: ast.expr = self._mark("made", ast.copy_location(ast.Dict(keys=keys, values=values), node))
        return placed(made, node)

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

    def _within(self, scope: Scope, work: Callable[[], Any]) -> Any:
        self.scopes.append(scope)
        try:
            return work()
        finally:
            self.scopes.pop()

    def visit_Lambda(self, node: ast.Lambda) -> Any:
        node.args.defaults = [self.visit(d) for d in node.args.defaults]
        node.args.kw_defaults = [d if d is None else self.visit(d) for d in node.args.kw_defaults]
        scope = Scope(bound_names(node), generator=is_generator(node))
        node.body = self._within(scope, lambda: self.visit(node.body))
        return node

    def _comprehension(self, node: Any) -> Any:
        names = {n.id for g in node.generators for n in ast.walk(g.target) if isinstance(n, ast.Name)}
        first = node.generators[0]
        outermost = self._mark("iterate", self.visit(first.iter))  # evaluated where the comprehension stands
        self._within(Scope(names, generator=self.scopes[-1].generator), lambda: self._in_comprehension(node))
        first.iter = outermost
        return node

    def _in_comprehension(self, node: Any) -> None:
        for generator in node.generators:
            if generator is not node.generators[0]:
                generator.iter = self._mark("iterate", self.visit(generator.iter))
            generator.ifs = [self._truth(test) for test in generator.ifs]
            generator.target = self.visit(generator.target)
        for part in ("key", "value", "elt"):
            if hasattr(node, part):
                setattr(node, part, self.visit(getattr(node, part)))

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


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _is_flag(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id.startswith(FLAG)


def _is_not(node: ast.expr) -> bool:
    return isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not)


def is_generator(node: Any) -> bool:
    """Whether a function, lambda or coroutine is suspended somewhere."""
    body = [node.body] if isinstance(node, ast.Lambda) else node.body
    return isinstance(node, ast.AsyncFunctionDef) or any(
        isinstance(n, (ast.Yield, ast.YieldFrom, ast.Await)) for n in statements(body)
    )


def bound_names(node: Any) -> set[str]:
    """Names local to a function: parameters and whatever its body binds."""
    args = node.args
    every = (*args.posonlyargs, *args.args, *args.kwonlyargs, args.vararg, args.kwarg)
    body = [node.body] if isinstance(node, ast.Lambda) else node.body
    seen = list(statements(body))
    outside = {n for s in seen if isinstance(s, (ast.Global, ast.Nonlocal)) for n in s.names}
    return {a.arg for a in every if a is not None}.union(names_stored_by(seen)) - outside
