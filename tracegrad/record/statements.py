"""Marks in statements: where values are stored, and at the edges of loops and branches that have a
certificate.

In: the AST of a user's function. Out: the statements of its clone, and what is known of their structures.
Begin with `Statements.function_body`.
"""

from __future__ import annotations

import ast
import types
from collections.abc import Sequence
from typing import Any

from tracegrad.record.certificate import (
    FLAG,
    MARKS,
    Form,
    Structure,
    assigned_names,
    depth_of,
    loaded_names,
    pattern_of,
    refusal,
    statements,
    stop_flag,
    written_objects,
)
from tracegrad.record.comprehensions import Comprehensions
from tracegrad.record.exits import Exits
from tracegrad.record.expressions import Scope, bound_names, is_generator, placed
from tracegrad.record.liveness import Liveness


class Statements(Comprehensions):
    """Puts the marks in; and into the expressions inside."""

    def __init__(self, code: types.CodeType, node: Any) -> None:
        super().__init__(code, node)
        self.reasons: dict[ast.AST, str] = {}
        self.texts: dict[ast.AST, str] = {}
        self.writes_outside = 0

    def function_body(self) -> list[ast.stmt]:
        if isinstance(self.node, ast.Lambda):
            self.scopes.append(Scope(bound_names(self.node), generator=is_generator(self.node)))
            returned = ast.Return(value=self.visit(self.node.body))
            return [ast.copy_location(returned, self.node.body)]
        return self._body(self.node)

    def _body(self, node: Any) -> list[ast.stmt]:
        """The body of a function, in a scope of its own."""
        declared = [n for n in statements(node.body) if isinstance(n, (ast.Global, ast.Nonlocal))]
        outside = frozenset(name for d in declared for name in d.names)
        given_away = frozenset(name for d in declared if isinstance(d, ast.Global) for name in d.names)
        generator = is_generator(node)
        body, names = node.body, bound_names(node)
        if not generator:
            node.body = body = self._with_exits(body, outside)
        left = bound_names(node)
        dropped = names - left  # only code that never runs stores them: they stay local
        scope = Scope(names | left, given_away, generator, Liveness(body), outside)
        made = self._within(scope, lambda: self._block(body))
        shared = sorted(n for d in declared if isinstance(d, ast.Nonlocal) for n in d.names)
        for d in declared:
            if isinstance(d, ast.Global) or generator or self.free.intersection(d.names):
                self.writes_outside = self.writes_outside or d.lineno
        if dropped:
            stores: list[ast.expr] = [ast.Name(id=n, ctx=ast.Store()) for n in sorted(dropped)]
            never = ast.Assign(targets=stores, value=ast.Constant(value=None))
            made = [placed(ast.If(ast.Constant(value=False), [never], []), body[0]), *made]
        if shared:
            note = self._mark("stores_outer", *(ast.Constant(value=n) for n in shared))
            made = [placed(ast.Expr(value=note), body[0]), *made]
        return made

    def _with_exits(self, body: list[ast.stmt], outside: frozenset[str]) -> list[ast.stmt]:
        """The body with `break`, `continue` and early `return` as arms."""
        exits = Exits(outside, self.texts)
        body = exits.function(body)
        self.reasons.update(exits.reasons)
        return body

    # --- small pieces

    def _locals(self) -> ast.expr:
        """The names of the running function; where one of them is `locals`, the mark looks for them itself."""
        if "locals" in self.free or any("locals" in scope.names for scope in self.scopes):
            return self._mark("names")
        return ast.Call(func=ast.Name(id="locals", ctx=ast.Load()), args=[], keywords=[])

    def _block(self, nodes: Sequence[ast.stmt]) -> list[ast.stmt]:
        out: list[ast.stmt] = []
        scope = self.scopes[-1]
        for node in nodes:
            around, scope.moved = scope.moved, None if scope.generator else []
            made = self.visit(node)
            made = [*(scope.moved or ()), *(made if isinstance(made, list) else [made])]
            scope.moved = around
            for statement in made:
                if not hasattr(statement, "lineno"):
                    placed(statement, node)
            out.extend(made)
        return out

    def visit_Try(self, node: Any) -> Any:
        for handler in node.handlers:
            handler.type = handler.type and self.visit(handler.type)
            handler.body = self._block(handler.body)
        for part in ("body", "orelse", "finalbody"):
            setattr(node, part, self._block(getattr(node, part)))
        return node

    visit_TryStar = visit_Try

    # --- what looks at the whole of a container

    def visit_Raise(self, node: ast.Raise) -> ast.stmt:
        showing, self.showing = self.showing, True
        self.generic_visit(node)
        self.showing = showing
        return node

    def visit_Assert(self, node: ast.Assert) -> ast.stmt:
        test = self._truth(node.test)
        showing, self.showing = self.showing, True
        message = None if node.msg is None else self.visit(node.msg)
        self.showing = showing
        return ast.copy_location(ast.Assert(test=test, msg=message), node)

    def visit_Match(self, node: ast.Match) -> Any:
        """Class patterns of numbers and arrays ask `isinstance` through the marks: a traced value stands for one."""
        cases: list[ast.match_case] = []
        beyond = False
        for case in node.cases:
            asked = _ClassPatterns(self.temporary)
            pattern = asked.visit(case.pattern)
            beyond = beyond or asked.in_alternatives
            tests = [self._truth(placed(test, case.pattern)) for test in asked.tests]
            tests += [] if case.guard is None else [self._truth(case.guard)]
            guard = (
                None if not tests else tests[0] if len(tests) == 1 else ast.BoolOp(op=ast.And(), values=tests)
            )
            cases.append(ast.match_case(pattern=pattern, guard=guard, body=self._block(case.body)))
        made = ast.copy_location(ast.Match(subject=self._whole(node.subject), cases=cases), node)
        return [placed(ast.Expr(value=self._mark("alternatives")), node), made] if beyond else made

    def _stored(self, target: ast.expr, value: ast.expr) -> list[ast.stmt]:
        """`target = value` with marks; the value is already marked."""
        if isinstance(target, ast.Name):
            if not self._is_local(target.id) or target.id.startswith(FLAG):
                return [ast.Assign(targets=[target], value=value)]
            return [
                ast.Assign(targets=[target], value=self._mark("name", ast.Constant(value=target.id), value))
            ]
        if isinstance(target, ast.Attribute):
            name = ast.Constant(value=target.attr)
            return [ast.Expr(value=self._mark("set_attr", self.visit(target.value), name, value))]
        if isinstance(target, ast.Subscript):
            return [
                ast.Expr(
                    value=self._mark("set_item", self.visit(target.value), self._key(target.slice), value)
                )
            ]
        later: list[ast.stmt] = []
        unpacked = self._unpacked(target, later)
        return [ast.Assign(targets=[unpacked], value=self._mark("whole", value)), *later]

    def _unpacked(self, target: ast.expr, later: list[ast.stmt]) -> ast.expr:
        """A target with plain names only; what is more than a name is stored afterwards."""
        if isinstance(target, (ast.Tuple, ast.List)):
            return type(target)(elts=[self._unpacked(t, later) for t in target.elts], ctx=ast.Store())
        if isinstance(target, ast.Starred):
            return ast.Starred(value=self._unpacked(target.value, later), ctx=ast.Store())
        if isinstance(target, ast.Name):
            if self._is_local(target.id):
                later.extend(self._stored(target, ast.Name(id=target.id, ctx=ast.Load())))
            return target
        later.extend(self._stored(target, ast.Name(id=self.temporary(), ctx=ast.Load())))
        return ast.Name(id=f"__tg_{self.temporaries}", ctx=ast.Store())

    def temporary(self) -> str:
        self.temporaries += 1
        return f"__tg_{self.temporaries}"

    def visit_Delete(self, node: ast.Delete) -> Any:
        made: list[ast.stmt] = []
        for target in node.targets:
            if isinstance(target, ast.Attribute):
                name = ast.Constant(value=target.attr)
                made.append(ast.Expr(value=self._mark("del_attr", self.visit(target.value), name)))
            elif isinstance(target, ast.Subscript):
                made.append(
                    ast.Expr(value=self._mark("del_item", self.visit(target.value), self._key(target.slice)))
                )
            else:
                made.append(ast.Delete(targets=[target]))
        return made

    def visit_With(self, node: Any) -> Any:
        later: list[ast.stmt] = []
        for item in node.items:
            item.context_expr = placed(self._mark("entered", self.visit(item.context_expr)), node)
            if item.optional_vars is not None:
                item.optional_vars = self._unpacked(item.optional_vars, later)
        for statement in later:
            placed(statement, node)
        node.body = [*later, *self._block(node.body)]
        return node

    visit_AsyncWith = visit_With

    def visit_Import(self, node: Any) -> Any:
        """What an import inside the function binds is read from outside."""
        made: list[ast.stmt] = [node]
        for alias in node.names:
            if alias.name == "*":
                continue
            name = alias.asname or alias.name.split(".")[0]
            if isinstance(node, ast.ImportFrom):
                parts = (node.module or "", node.level, alias.name)
            else:
                parts = (alias.name if alias.asname else name, 0, "")
            value = self._mark("imported", *map(ast.Constant, parts), ast.Name(id=name, ctx=ast.Load()))
            made.append(placed(ast.Assign(targets=[ast.Name(id=name, ctx=ast.Store())], value=value), node))
        return made

    visit_ImportFrom = visit_Import

    def visit_Assign(self, node: ast.Assign) -> Any:
        if len(node.targets) == 1:
            self.depths[node.value] = depth_of(pattern_of(node.targets[0]))
        value = self.visit(node.value)
        if len(node.targets) == 1:
            return self._stored(node.targets[0], value)
        name = self.temporary()
        made: list[ast.stmt] = [ast.Assign(targets=[ast.Name(id=name, ctx=ast.Store())], value=value)]
        for target in node.targets:
            made.extend(self._stored(target, ast.Name(id=name, ctx=ast.Load())))
        return made

    def visit_AnnAssign(self, node: ast.AnnAssign) -> Any:
        if node.value is None:
            return ast.Pass()
        return self._stored(node.target, self.visit(node.value))

    def visit_AugAssign(self, node: ast.AugAssign) -> Any:
        value, operator = self.visit(node.value), ast.Constant(value=type(node.op).__name__)
        if isinstance(node.target, ast.Attribute):
            name = ast.Constant(value=node.target.attr)
            return ast.Expr(
                value=self._mark("update_attr", self.visit(node.target.value), name, operator, value)
            )
        if isinstance(node.target, ast.Subscript):
            key = self._key(node.target.slice)
            return ast.Expr(
                value=self._mark("update_item", self.visit(node.target.value), key, operator, value)
            )
        assert isinstance(node.target, ast.Name)
        read = self.visit_Name(placed(ast.Name(id=node.target.id, ctx=ast.Load()), node))
        return self._stored(node.target, self._mark("update", read, operator, value))

    # --- scopes

    def visit_FunctionDef(self, node: Any) -> Any:
        node.args.defaults = [self.visit(d) for d in node.args.defaults]
        node.args.kw_defaults = [d if d is None else self.visit(d) for d in node.args.kw_defaults]
        node.decorator_list = [self.visit(d) for d in node.decorator_list]
        node.body = self._body(node)
        return node

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_ClassDef(self, node: ast.ClassDef) -> Any:
        for inner in ast.walk(node):  # its methods are no part of this clone, and may run without marks
            if isinstance(inner, (ast.Global, ast.Nonlocal)):
                self.writes_outside = self.writes_outside or inner.lineno
        return node

    # --- structure

    def _certified(self, node: Structure) -> int | None:
        """The key of a structure that may be generalised, or None."""
        scope = self.scopes[-1]
        reason = self.reasons.get(node) or refusal(node, scope.outside)
        if scope.generator:
            reason = f"line {node.lineno}: it is inside a generator"
        if reason:
            self.refusals.append(reason)
            return None
        kind = type(node).__name__.lower()
        parts = [*node.body, *node.orelse]
        after = scope.liveness.after[node]
        later = after
        if isinstance(node, ast.For):
            stored = assigned_names([node.target, *parts])
            later = after | scope.liveness.header[node]
            text = self.texts.get(node) or f"for {ast.unparse(node.target)} in {ast.unparse(node.iter)}"
        else:
            stored = assigned_names(parts)
            text = self.texts.get(node) or ast.unparse(node.test)
        if isinstance(node, ast.While):
            stored = assigned_names([node.test, *parts])
            later = after | scope.liveness.header[node]
        stop = stop_flag(node)
        names = tuple(n for n in stored if n in later or n == stop)
        local = set().union(*(s.names for s in self.scopes))
        written = written_objects([node], local)
        key = len(self.structures) + 1
        self.structures[key] = Form(
            kind,
            names,
            after.intersection(names),
            written,
            stop,
            node.lineno,
            text,
            bare=kind == "if" and not node.orelse,
            loads=frozenset(loaded_names(parts)),
            targets=frozenset(assigned_names([node.target]) if isinstance(node, ast.For) else ()),
            pattern=pattern_of(node.target) if isinstance(node, ast.For) else (),
        )
        return key

    def _rebind(self, method: str, key: int) -> list[ast.stmt]:
        call = self._mark(method, ast.Constant(value=key), self._locals())
        names = self.structures[key].names
        if not names:
            return [ast.Expr(value=call)]
        target = ast.Tuple(elts=[ast.Name(id=n, ctx=ast.Store()) for n in names], ctx=ast.Store())
        made: list[ast.stmt] = [ast.Assign(targets=[target], value=call)]
        undefined = ast.Attribute(value=ast.Name(id=MARKS, ctx=ast.Load()), attr="undefined", ctx=ast.Load())
        for n in names:
            test = ast.Compare(left=ast.Name(id=n, ctx=ast.Load()), ops=[ast.Is()], comparators=[undefined])
            made.append(
                ast.If(test=test, body=[ast.Delete(targets=[ast.Name(id=n, ctx=ast.Del())])], orelse=[])
            )
        return made

    def _stopping(self, key: int) -> list[ast.stmt]:
        """The end of a loop's body, where its flag is asked."""
        stop = self.structures[key].stop
        if stop is None:
            return []
        asked = self._mark("stopped", ast.Constant(value=key), ast.Name(id=stop, ctx=ast.Load()))
        return [ast.If(test=asked, body=[ast.Break()], orelse=[])]

    def visit_If(self, node: ast.If) -> Any:
        key = self._certified(node)
        test = self._truth(node.test)
        made = ast.copy_location(
            ast.If(test=test, body=self._block(node.body), orelse=self._block(node.orelse)), node
        )
        if key is None:
            return made
        made.test = placed(self._mark("test", ast.Constant(value=key), test, self._locals()), node.test)
        return [made, *self._rebind("join", key)]

    def visit_While(self, node: ast.While) -> Any:
        key = self._certified(node)
        test = self._truth(node.test)
        if key is None:
            return ast.While(test=test, body=self._block(node.body), orelse=self._block(node.orelse))
        body = self._block(node.body if self.structures[key].stop is None else node.body[:-1])
        proceed = placed(self._mark("proceed", ast.Constant(value=key), test), node.test)
        leave = ast.If(test=ast.UnaryOp(op=ast.Not(), operand=proceed), body=[ast.Break()], orelse=[])
        edges = [*self._rebind("header", key), leave], self._stopping(key)
        for statement in (*edges[0], *edges[1]):
            placed(statement, node)
        enter = ast.Expr(value=self._mark("enter", ast.Constant(value=key)))
        loop = ast.While(test=ast.Constant(value=True), body=[*edges[0], *body, *edges[1]], orelse=[])
        return [enter, loop, *self._rebind("leave", key)]

    def visit_For(self, node: ast.For) -> Any:
        key = self._certified(node)
        iterated = self.visit(node.iter)
        later: list[ast.stmt] = []
        target = node.target
        if key is None:
            target = self._unpacked(node.target, later)
            for statement in later:
                placed(statement, node)
            return ast.For(
                target=target,
                iter=placed(self._mark("iterate", iterated), node.iter),
                body=[*later, *self._block(node.body)],
                orelse=self._block(node.orelse),
            )
        form = self.structures[key]
        body = self._block(node.body if form.stop is None else node.body[:-1])
        if node.target.__class__ is not ast.Name or node.target.id in form.names:
            # The head of a step still has to see what the last one left under the target's names, and what is taken
            # from a row is taken behind it.
            name = self.temporary()
            target = ast.Name(id=name, ctx=ast.Store())
            later = self._stored(node.target, ast.Name(id=name, ctx=ast.Load()))
        # The frame opens when what is run over is known: computing that is no part of the loop.
        entered = placed(self._mark("enter_for", ast.Constant(value=key), iterated), node.iter)
        before, end = [*self._rebind("header", key), *later], self._stopping(key)
        for statement in (*before, *end):
            placed(statement, node)
        loop = ast.For(target=target, iter=entered, body=[*before, *body, *end], orelse=[])
        return [loop, *self._rebind("leave", key)]


class _ClassPatterns(ast.NodeTransformer):
    """Replaces `float()` in a pattern by a name, and asks `isinstance` of that name in a guard."""

    def __init__(self, fresh: Any) -> None:
        self.fresh = fresh
        self.tests: list[ast.expr] = []
        self.in_alternatives = False

    def visit_MatchOr(self, node: ast.MatchOr) -> ast.pattern:
        self.in_alternatives = any(_stands_for_a_value(n) for n in ast.walk(node))
        return node

    def visit_MatchAs(self, node: ast.MatchAs) -> ast.pattern:
        if node.pattern is None or not _stands_for_a_value(node.pattern) or node.name is None:
            self.generic_visit(node)
            return node
        return self._named(node.pattern, node.name)

    def visit_MatchClass(self, node: ast.MatchClass) -> ast.pattern:
        if not _stands_for_a_value(node):
            self.generic_visit(node)
            return node
        return self._named(node, self.fresh())

    def _named(self, pattern: Any, name: str) -> ast.pattern:
        within = pattern.patterns[0] if pattern.patterns else None
        test = ast.Call(
            func=ast.Name(id="isinstance", ctx=ast.Load()),
            args=[ast.Name(id=name, ctx=ast.Load()), pattern.cls],
            keywords=[],
        )
        self.tests.append(test)
        kept = ast.MatchAs(pattern=None if within is None else self.visit(within), name=name)
        return ast.copy_location(kept, pattern)


def _stands_for_a_value(node: ast.AST) -> bool:
    """Whether this is a class pattern that a traced value may have to pass for: `float()`, `np.ndarray()`."""
    if not isinstance(node, ast.MatchClass):
        return False
    name = getattr(node.cls, "id", getattr(node.cls, "attr", ""))
    return name in (
        "float",
        "int",
        "complex",
        "bool",
        "ndarray",
        "floating",
        "integer",
        "number",
        "float64",
        "float32",
    )
