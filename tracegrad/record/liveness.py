"""Which local names may be read later: what a structure has to hand on, and no more.

In: the body of a function, after its early exits became arms. Out: for every loop and branch, the names that
may be read after it, and for a loop those that its next step may read. The usual backward analysis over the
AST; what nested functions and generators read, and everything where `locals()` is asked, counts as read at
any time. Begin with `Liveness`.

References
----------
Aho, Lam, Sethi and Ullman, Compilers, 2nd ed., Addison-Wesley 2007, section 9.2.5.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tracegrad.record.certificate import assigned_names, loaded_names, statements

_Names = frozenset[str]
SEES_ALL = {"locals", "vars", "dir", "eval", "exec", "breakpoint"}
_NESTED = (
    ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef, ast.GeneratorExp,
)  # fmt: skip
_NONE: _Names = frozenset()


@dataclass(frozen=True, slots=True)
class _Jumps:
    """What is read where `break` and `continue` go."""

    broken: _Names = _NONE
    continued: _Names = _NONE


class Liveness:
    """The names read after, and at the head of, every structure of one function's body.

    Attributes
    ----------
    after : dict of a structure to the names that may be read once it is done
    header : dict of a loop to the names that may be read when a step begins, before its target is stored
    """

    def __init__(self, body: Sequence[ast.stmt]) -> None:
        self.after: dict[ast.AST, _Names] = {}
        self.header: dict[ast.AST, _Names] = {}
        self._heads: dict[ast.AST, _Names] = {}
        self._caught: _Names = _NONE  # what handlers around may read
        self._always = self._read_any_time(body)
        self._block(body, _NONE, _Jumps())

    def _read_any_time(self, body: Sequence[ast.stmt]) -> _Names:
        names: set[str] = set()
        for node in statements(body):
            if isinstance(node, _NESTED):
                names |= loaded_names([node])
                for inner in ast.walk(node):
                    if isinstance(inner, ast.Nonlocal):
                        names.update(inner.names)
            elif isinstance(node, (ast.Global, ast.Nonlocal)):
                names.update(node.names)
            elif isinstance(node, ast.Name) and node.id in SEES_ALL:
                names.update(assigned_names(body))
        return frozenset(names)

    def _block(self, nodes: Sequence[ast.stmt], out: _Names, jumps: _Jumps) -> _Names:
        for node in reversed(nodes):
            out = self._statement(node, out | self._always, jumps) | self._caught
        return out

    def _statement(self, node: ast.stmt, out: _Names, jumps: _Jumps) -> _Names:
        """The names that may be read from before this statement on, given those from behind it on."""
        match node:
            case ast.Break():
                return jumps.broken
            case ast.Continue():
                return jumps.continued
            case ast.Return() | ast.Raise():
                return frozenset(loaded_names([node]))
            case ast.If():
                self.after[node] = out
                either = self._block(node.body, out, jumps) | self._block(node.orelse, out, jumps)
                return _before(node.test, either)
            case ast.While():
                return self._while(node, out, jumps)
            case ast.For() | ast.AsyncFor():
                return self._for(node, out, jumps)
            case ast.With() | ast.AsyncWith():
                return self._with(node, out, jumps)
            case ast.Try() | ast.TryStar():
                return self._try(node, out, jumps)
            case ast.Match():
                ways = [
                    self._block(c.body, out, jumps) | loaded_names([c.pattern, *filter(None, [c.guard])])
                    for c in node.cases
                ]
                return out.union(*ways) | loaded_names([node.subject])
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                return (out - {node.name}) | loaded_names([node])
            case ast.Assign() | ast.AnnAssign() | ast.AugAssign():
                stored = {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and _is_stored(n)}
                if isinstance(node, ast.AnnAssign) and node.value is None:
                    return out
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                whole = {n for t in targets for n in _whole_names(t)}
                return (out - (whole & stored)) | loaded_names([node])
            case ast.Expr():
                return _before(node.value, out)
            case _:
                return out | loaded_names([node])

    def _while(self, node: ast.While, out: _Names, jumps: _Jumps) -> _Names:
        self.after[node] = out
        ended = self._block(node.orelse, out, jumps)
        ended = out if _is_true(node.test) else ended
        while True:
            head = self.header.get(node, _NONE)
            found = _before(node.test, self._block(node.body, head, _Jumps(out, head)) | ended)
            found |= self._caught | self._always
            self.header[node] = found | head
            if found <= head:
                return head

    def _for(self, node: ast.For | ast.AsyncFor, out: _Names, jumps: _Jumps) -> _Names:
        self.after[node] = out
        ended = self._block(node.orelse, out, jumps)
        stored = set(_whole_names(node.target))
        while True:
            head = self._heads.get(node, _NONE)
            body = self._block(node.body, head, _Jumps(out, head))
            self.header[node] = (body - stored) | loaded_names([node.target]) | self._always
            found = ended | self.header[node] | self._caught
            if found <= head:
                return head | loaded_names([node.iter])
            self._heads[node] = head | found

    def _with(self, node: ast.With | ast.AsyncWith, out: _Names, jumps: _Jumps) -> _Names:
        outer, self._caught = self._caught, self._caught | out  # it may swallow an exception
        body = self._block(node.body, out, jumps)
        self._caught = outer
        return body | loaded_names(
            x for item in node.items for x in (item.context_expr, item.optional_vars) if x is not None
        )

    def _try(self, node: ast.Try | ast.TryStar, out: _Names, jumps: _Jumps) -> _Names:
        final = self._block(node.finalbody, out | jumps.broken | jumps.continued, jumps)
        behind = out | final if node.finalbody else out
        outer = self._caught
        if node.finalbody:
            self._caught = outer | final
        handlers = _NONE
        for handler in node.handlers:
            read = self._block(handler.body, behind, jumps)
            handlers |= read | loaded_names([handler.type] if handler.type else [])
        otherwise = self._block(node.orelse, behind, jumps)
        self._caught = self._caught | handlers
        body = self._block(node.body, otherwise, jumps)
        self._caught = outer
        return body | handlers | final


def _before(expression: ast.expr, out: _Names) -> _Names:
    """The names read from before an expression on; a `:=` that always happens stores its name."""
    read = loaded_names([expression])
    return (out - (set(_certain_walrus(expression)) - read)) | read


def _certain_walrus(node: ast.expr) -> Iterable[str]:
    """Names that evaluating this expression stores, whatever it finds."""
    if isinstance(node, ast.NamedExpr):
        yield node.target.id
        yield from _certain_walrus(node.value)
    elif isinstance(node, ast.Compare):
        yield from _certain_walrus(node.left)
        yield from _certain_walrus(node.comparators[0])
    elif isinstance(node, ast.BoolOp):
        yield from _certain_walrus(node.values[0])
    elif isinstance(node, ast.UnaryOp):
        yield from _certain_walrus(node.operand)
    elif isinstance(node, ast.BinOp):
        yield from _certain_walrus(node.left)
        yield from _certain_walrus(node.right)


def _whole_names(target: ast.AST) -> Iterable[str]:
    if isinstance(target, ast.Name):
        yield target.id
    elif isinstance(target, (ast.Tuple, ast.List)):
        for part in target.elts:
            yield from _whole_names(part)
    elif isinstance(target, ast.Starred):
        yield from _whole_names(target.value)


def _is_stored(node: ast.Name) -> bool:
    return isinstance(node.ctx, ast.Store)


def _is_true(test: ast.expr) -> bool:
    return isinstance(test, ast.Constant) and bool(test.value)
