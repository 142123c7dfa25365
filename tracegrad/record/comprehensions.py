"""Comprehensions as functions of their own, whose loops and branches carry marks like any other.

In: a list comprehension, or `sum`, `any`, `all`, `list`, `tuple`, `min`, `max`, `sorted` of a generator
expression. Out: a call of a local function, which is defined just before the statement:

    y = [a * v for v in xs if v]          def __tg_listcomp1(__tg_items):
                                              __tg_made = []
                                              for v in __tg_items:
                                                  if v:
                                                      __tg_made.append(a * v)
                                              return __tg_made
                                          y = __tg_listcomp1(xs)

What Python evaluates where the comprehension stands stays there, the rest runs in a scope of its own, as it did.
Where a function cannot stand (in a lambda, in a generator), or would not see the same names (`:=`, `locals`), the
comprehension stays what it is. Begin with `Comprehensions.visit_ListComp`.
"""

from __future__ import annotations

import ast
import copy
from typing import Any

from tracegrad.record.certificate import FLAG
from tracegrad.record.exits import placed_like
from tracegrad.record.expressions import Expressions, placed
from tracegrad.record.liveness import SEES_ALL

_ITEMS, _MADE = f"{FLAG}items", f"{FLAG}made"
_OF_ITEMS = {"list", "tuple", "min", "max", "sorted"}  # what they do with a list they do with its iterator
_OF_TRUTHS = {"any": True, "all": False}


class Comprehensions(Expressions):
    """The part of `Statements` that makes functions of comprehensions."""

    texts: dict[ast.AST, str]

    def temporary(self) -> str:
        raise NotImplementedError

    def _body(self, node: Any) -> list[ast.stmt]:
        raise NotImplementedError

    def visit_ListComp(self, node: ast.ListComp) -> Any:
        if not self._may_move(node):
            return self._comprehension(node)
        append = ast.Attribute(value=_read(_MADE), attr="append", ctx=ast.Load())
        added = ast.Expr(value=ast.Call(func=append, args=[node.elt], keywords=[]))
        empty = ast.List(elts=[], ctx=ast.Load())
        body = [_store(_MADE, empty), *self._looped(node, [added])]
        return self._moved(node, "listcomp", body, _read(_MADE))

    def visit_Call(self, node: ast.Call) -> ast.expr:
        if not self._is_of_items(node):
            return super().visit_Call(node)
        generator: Any = node.args[0]
        name: str = node.func.id  # type: ignore[attr-defined]
        # The user may have another `sum`: then that gets the generator, as it stands.
        otherwise = super().visit_Call(copy.deepcopy(node))
        asked = self._mark("is_builtin", ast.Constant(value=name))
        made = ast.IfExp(test=asked, body=self._gathered(name, node, generator), orelse=otherwise)
        return placed(made, node)

    def _gathered(self, name: str, node: ast.Call, generator: Any) -> ast.expr:
        if name in _OF_ITEMS:
            listed = ast.ListComp(elt=generator.elt, generators=generator.generators)
            args: list[ast.expr] = [ast.copy_location(listed, generator), *node.args[1:]]
            made = ast.Call(func=node.func, args=args, keywords=node.keywords)
            return super().visit_Call(ast.copy_location(made, node))
        if name == "sum":
            added = ast.BinOp(left=_read(_MADE), op=ast.Add(), right=generator.elt)
            start = _store(_MADE, ast.Constant(value=0))
            body = [start, *self._looped(generator, [_store(_MADE, added)])]
            return self._moved(generator, "genexpr", body, _read(_MADE))
        found = _OF_TRUTHS[name]
        test = generator.elt if found else ast.UnaryOp(op=ast.Not(), operand=generator.elt)
        leave = ast.If(test=test, body=[ast.Return(value=ast.Constant(value=found))], orelse=[])
        body = self._looped(generator, [leave])
        return self._moved(generator, "genexpr", body, ast.Constant(value=not found))

    def _is_of_items(self, node: ast.Call) -> bool:
        """Whether this calls one of the builtins with a generator expression that can be moved."""
        if not isinstance(node.func, ast.Name) or not node.args or not self._is_global(node.func.id):
            return False
        if not isinstance(node.args[0], ast.GeneratorExp) or not self._may_move(node.args[0]):
            return False
        if node.func.id in _OF_TRUTHS or node.func.id == "sum":
            return len(node.args) == 1 and not node.keywords
        return node.func.id in _OF_ITEMS

    def _looped(self, node: Any, inner: list[ast.stmt]) -> list[ast.stmt]:
        """The loops and conditions of a comprehension around a statement."""
        for generator in reversed(node.generators):
            for test in reversed(generator.ifs):
                inner = [placed_like(ast.If(test=test, body=inner, orelse=[]), test)]
            items = _read(_ITEMS) if generator is node.generators[0] else generator.iter
            loop = ast.For(target=generator.target, iter=items, body=inner, orelse=[])
            self.texts[loop] = f"for {ast.unparse(generator.target)} in {ast.unparse(generator.iter)}"
            inner = [placed_like(loop, generator.target)]
        return inner

    def _is_global(self, name: str) -> bool:
        return not self._is_local(name) and name not in self.free

    def _may_move(self, node: Any) -> bool:
        scope = self.scopes[-1]
        if scope.generator or scope.moved is None:
            return False
        for inner in ast.walk(node):
            if isinstance(inner, (ast.NamedExpr, ast.Await, ast.Yield, ast.YieldFrom)):
                return False
            if isinstance(inner, ast.comprehension) and inner.is_async:
                return False
            if isinstance(inner, ast.Name) and inner.id in SEES_ALL:
                return False
        return True

    def _moved(self, node: Any, kind: str, body: list[ast.stmt], result: ast.expr) -> ast.expr:
        """A call of a new function with this body, defined before the statement that is being visited."""
        scope = self.scopes[-1]
        assert scope.moved is not None
        name = f"{FLAG}{kind}{self.temporary().removeprefix(FLAG)}"
        first = node.generators[0].iter
        definition: Any = ast.FunctionDef  # `type_params` is there from Python 3.12 on
        made = definition(
            name=name,
            args=ast.arguments(
                posonlyargs=[],
                args=[ast.arg(arg=_ITEMS)],
                kwonlyargs=[],
                kw_defaults=[],
                defaults=[],
            ),
            body=[*body, ast.Return(value=result)],
            decorator_list=[],
            type_params=[],
        )
        placed_like(made, node)
        outermost = self.visit(first)
        made.body = self._body(made)
        scope.moved.append(made)
        called = ast.Call(func=_read(name), args=[outermost], keywords=[])
        return placed(called, node)


def _read(name: str) -> ast.expr:
    return ast.Name(id=name, ctx=ast.Load())


def _store(name: str, value: ast.expr) -> ast.stmt:
    return ast.Assign(targets=[ast.Name(id=name, ctx=ast.Store())], value=value)
