"""Structure marks: the user's function compiled again from its AST, with marks that tell the recorder what happens.

In: a function. Out: `Marked`, code for a clone that calls a `Marks` object (`tensor/namespace.py`) at every call, at every
read of something from outside (`reads`), at stores into objects, and at the edges of loops and branches that have a certificate:

    while norm(b) < 1000:         __tg__.enter(1)
        b = b * 2                 while True:
                                      (b,) = __tg__.header(1, locals())       # b is now the loop's variable
                                      if not __tg__.proceed(1, norm(b) < 1000): break
                                      b = __tg__.name("b", b * 2)
                                  (b,) = __tg__.leave(1, locals())
    if b.sum() > 0:               if __tg__.test(2, b.sum() > 0, locals()):
        c = b                         c = __tg__.name("c", b)
                                  (c,) = __tg__.join(2, locals())             # c is now the branch's result

File name and line numbers are kept, so tracebacks and debuggers show the user's code. Begin with `mark`.
"""

from __future__ import annotations

import ast
import functools
import inspect
import textwrap
import types
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tracegrad.record.certificate import Structure, assigned_names, loaded_names, refusal

MARKS = "__tg__"
_LEFT_ALONE = {"super", "locals", "globals", "vars", "eval", "exec", "dir", "breakpoint"}
_BLIND = {"globals", "eval", "exec"}  # what they read or write is not seen
_SHOWS = {"print", "warn", "debug", "info", "warning", "error", "exception", "critical", "log", "write"}
_SCOPES = (
    ast.FunctionDef,
    ast.AsyncFunctionDef,
    ast.Lambda,
    ast.ListComp,
    ast.SetComp,
    ast.DictComp,
    ast.GeneratorExp,
)


@dataclass(frozen=True, slots=True)
class Marked:
    """Code of a marked clone, and what is known about its structures.

    `names[key]` are the local names a structure rebinds, `after[key]` those of them read outside it; `refusals` says of each statement without certificate why;
    `writes_outside` is the line of a `global` or `nonlocal` statement, or 0.
    """

    code: types.CodeType
    names: dict[int, tuple[str, ...]]
    after: dict[int, frozenset[str]]
    lines: dict[int, int]
    refusals: tuple[str, ...]
    writes_outside: int


@functools.lru_cache(maxsize=1024)
def mark(code: types.CodeType) -> Marked | None:
    """The marked code of a function's code, or None where its source is not to be had."""
    found = _definition(code)
    if found is None:
        return None
    node, file = found
    marker = _Marker(code, node)
    body = marker.function_body()
    # A factory around the clone gives it the free variables of the original, and one more for the marks.
    clone: ast.stmt
    if isinstance(node, ast.Lambda):
        clone = ast.FunctionDef(
            name="__clone__", args=node.args, body=body, decorator_list=[], type_params=[]
        )
    else:
        clone = type(node)(name=code.co_name, args=node.args, body=body, decorator_list=[], type_params=[])
    _drop_annotations(clone.args)
    inner_name = clone.name
    parameters = [ast.arg(arg=n) for n in (*code.co_freevars, MARKS)]
    factory = ast.FunctionDef(
        name="__factory__",
        args=ast.arguments(posonlyargs=[], args=parameters, kwonlyargs=[], kw_defaults=[], defaults=[]),
        body=[clone],
        decorator_list=[],
        type_params=[],
    )
    module = ast.Module(body=[factory], type_ignores=[])
    ast.copy_location(factory, node)
    ast.copy_location(clone, node)
    ast.fix_missing_locations(module)
    compiled = compile(module, file, "exec", dont_inherit=True, flags=code.co_flags & _FUTURE)
    outer = _constant_code(compiled, "__factory__")
    made = _constant_code(outer, inner_name).replace(co_name=code.co_name, co_qualname=code.co_qualname)
    _remember(made)
    return Marked(
        made,
        marker.names,
        marker.after,
        marker.lines,
        tuple(marker.refusals),
        marker.writes_outside,
    )


_FUTURE = 0x1000000  # from __future__ import annotations
_marked_codes: set[types.CodeType] = set()


def _remember(code: types.CodeType) -> None:
    _marked_codes.add(code)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            _remember(constant)


def is_marked(function: types.FunctionType) -> bool:
    """Whether a function was made by a marked clone, so that its code has marks already."""
    return function.__code__ in _marked_codes


def clone(function: types.FunctionType, marked: Marked, marks: Any) -> types.FunctionType:
    """The function with marked code, its own globals, defaults and cells, and a cell that holds the marks."""
    cells = dict(zip(function.__code__.co_freevars, function.__closure__ or (), strict=True))
    cells[MARKS] = types.CellType(marks)
    made = types.FunctionType(
        marked.code,
        function.__globals__,
        function.__name__,
        function.__defaults__,
        tuple(cells[name] for name in marked.code.co_freevars),
    )
    made.__kwdefaults__ = function.__kwdefaults__
    made.__qualname__ = function.__qualname__
    made.__module__ = function.__module__
    return made


def _constant_code(code: types.CodeType, name: str) -> types.CodeType:
    return next(c for c in code.co_consts if isinstance(c, types.CodeType) and c.co_name == name)


def _drop_annotations(args: ast.arguments) -> None:
    """Defaults and annotations were evaluated when the user's function was defined."""
    for arg in (*args.posonlyargs, *args.args, *args.kwonlyargs, args.vararg, args.kwarg):
        if arg is not None:
            arg.annotation = None
    args.defaults = [ast.Constant(value=None) for _ in args.defaults]
    args.kw_defaults = [None if d is None else ast.Constant(value=None) for d in args.kw_defaults]


def _definition(code: types.CodeType) -> tuple[Any, str] | None:
    """The AST node of a function, with the line numbers of its file."""
    try:
        lines, first = inspect.getsourcelines(code)
    except (OSError, TypeError):
        return None
    source = textwrap.dedent("".join(lines))
    try:
        tree = ast.parse(source)
    except SyntaxError:
        # A lambda or comprehension in the middle of a statement: read the whole file instead.
        try:
            module, _ = inspect.findsource(code)
            tree, first = ast.parse("".join(module)), 1
        except (OSError, SyntaxError):
            return None
    ast.increment_lineno(tree, first - 1)
    wanted = [n for n in ast.walk(tree) if _defines(n, code)]
    if len(wanted) > 1:
        wanted = [n for n in wanted if _same_shape(n, code)]
    return (wanted[0], code.co_filename) if len(wanted) == 1 else None


def _defines(node: ast.AST, code: types.CodeType) -> bool:
    if isinstance(node, ast.Lambda):
        return code.co_name == "<lambda>" and node.lineno == code.co_firstlineno
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        line = node.decorator_list[0].lineno if node.decorator_list else node.lineno
        return node.name == code.co_name and line == code.co_firstlineno
    return False


def _same_shape(node: Any, code: types.CodeType) -> bool:
    """Whether a lambda has the parameters, names and constants of this code: several may stand on one line."""
    args = node.args
    names = [a.arg for a in (*args.posonlyargs, *args.args, *args.kwonlyargs)]
    if (
        tuple(names) != code.co_varnames[: len(names)]
        or len(names) != code.co_argcount + code.co_kwonlyargcount
    ):
        return False
    expression = ast.fix_missing_locations(ast.Expression(body=ast.Lambda(args=node.args, body=node.body)))
    wrapper = compile(expression, "<lambda>", "eval")
    other = next((c for c in wrapper.co_consts if isinstance(c, types.CodeType)), None)
    return other is not None and _looks(other) == _looks(code)


def _looks(code: types.CodeType) -> tuple[Any, ...]:
    """Names and constants of a code object and of those inside; where it stands, and what is free, is left out."""
    names = frozenset({*code.co_names, *code.co_freevars, *code.co_varnames, *code.co_cellvars})
    constants = tuple(_looks(c) if isinstance(c, types.CodeType) else (type(c), c) for c in code.co_consts)
    return names, tuple(c for c in constants if c[0] is not str or "<locals>" not in str(c[1]))


class _Marker(ast.NodeTransformer):
    """Puts the marks in; one instance a function."""

    def __init__(self, code: types.CodeType, node: Any) -> None:
        self.code = code
        self.node = node
        self.free = set(code.co_freevars)
        self.scopes: list[set[str]] = []
        self.names: dict[int, tuple[str, ...]] = {}
        self.after: dict[int, frozenset[str]] = {}
        self.lines: dict[int, int] = {}
        self.refusals: list[str] = []
        self.loops = 0
        self.temporaries = 0
        self.showing = False  # inside something that only shows values: `print`, the message of an exception
        self.owner = _owner_class(code)
        self.generator = bool(
            code.co_flags & (inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR)
        )
        outside = [n.lineno for n in ast.walk(node) if isinstance(n, (ast.Global, ast.Nonlocal))]
        self.writes_outside = outside[0] if outside else 0
        body = [node.body] if isinstance(node, ast.Lambda) else node.body
        self.loads: dict[str, int] = {}
        for name in loaded_names(body):
            self.loads[name] = self.loads.get(name, 0) + 1

    def function_body(self) -> list[ast.stmt]:
        self.scopes.append(_bound_names(self.node))
        if isinstance(self.node, ast.Lambda):
            returned = ast.Return(value=self.visit(self.node.body))
            return [ast.copy_location(returned, self.node.body)]
        return self._block(self.node.body)

    # --- small pieces

    def _mark(self, method: str, *args: ast.expr) -> ast.Call:
        function = ast.Attribute(value=ast.Name(id=MARKS, ctx=ast.Load()), attr=method, ctx=ast.Load())
        return ast.Call(func=function, args=list(args), keywords=[])

    def _locals(self) -> ast.expr:
        return ast.Call(func=ast.Name(id="locals", ctx=ast.Load()), args=[], keywords=[])

    def _block(self, nodes: Sequence[ast.stmt]) -> list[ast.stmt]:
        out: list[ast.stmt] = []
        for node in nodes:
            made = self.visit(node)
            made = made if isinstance(made, list) else [made]
            for statement in made:
                if not hasattr(statement, "lineno"):
                    _placed(statement, node)
                ast.fix_missing_locations(statement)
            out.extend(made)
        return out

    def _is_local(self, name: str) -> bool:
        return any(name in scope for scope in self.scopes)

    # --- reads and calls

    def visit_Name(self, node: ast.Name) -> ast.expr:
        if not isinstance(node.ctx, ast.Load) or self._is_local(node.id) or node.id in (MARKS, "__class__"):
            return node
        if node.id in self.free:
            return _placed(self._mark("free", ast.Constant(value=node.id), node), node)
        return _placed(self._mark("glob", ast.Constant(value=node.id)), node)

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        value = self.visit(node.value)
        if not isinstance(node.ctx, ast.Load):
            return ast.copy_location(
                ast.Attribute(value=value, attr=self._mangled(node.attr), ctx=node.ctx), node
            )
        return _placed(self._mark("attr", value, ast.Constant(value=self._mangled(node.attr))), node)

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        value, key = self.visit(node.value), self._key(node.slice)
        if not isinstance(node.ctx, ast.Load):
            return ast.copy_location(ast.Subscript(value=value, slice=key, ctx=node.ctx), node)
        return _placed(self._mark("item", value, key), node)

    def _key(self, node: ast.expr) -> ast.expr:
        """An index as a value: `1:n` becomes a slice object."""
        if isinstance(node, ast.Slice):
            parts = [
                ast.Constant(value=None) if p is None else self.visit(p)
                for p in (node.lower, node.upper, node.step)
            ]
            return _placed(self._mark("slice", *parts), node)
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
                return _placed(self._mark("blind", ast.Constant(value=node.func.id), made), node)
            if node.func.id != "vars":
                return ast.copy_location(made, node)
        made = self._mark("call", self.visit(node.func), *args)
        made.keywords = keywords
        return _placed(made, node)

    # --- operators, and what looks at the whole of a container

    def _whole(self, node: ast.expr) -> ast.expr:
        """An expression whose value is used in one piece: of a container from outside, every item is read."""
        return _placed(self._mark("whole", self.visit(node)), node)

    def _truth(self, node: ast.expr) -> ast.expr:
        """An expression that is asked whether it is true."""
        made = self.visit(node)
        return (
            made
            if isinstance(node, (ast.Compare, ast.Constant))
            else _placed(self._mark("asked", made), node)
        )

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        left, right = self.visit(node.left), self.visit(node.right)
        return _placed(self._mark("binary", ast.Constant(value=type(node.op).__name__), left, right), node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.expr:
        if isinstance(node.op, ast.Not):
            return ast.copy_location(ast.UnaryOp(op=node.op, operand=self._truth(node.operand)), node)
        if isinstance(node.operand, ast.Constant):
            return node
        return _placed(
            self._mark("unary", ast.Constant(value=type(node.op).__name__), self.visit(node.operand)), node
        )

    def visit_Compare(self, node: ast.Compare) -> ast.expr:
        if len(node.ops) > 1:
            parts = [self._whole(c) for c in node.comparators]
            return ast.copy_location(
                ast.Compare(left=self._whole(node.left), ops=node.ops, comparators=parts), node
            )
        left, right = self.visit(node.left), self.visit(node.comparators[0])
        return _placed(
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
            _placed(self._mark("shown", self.visit(node.value)), node)
            if self.showing
            else self._whole(node.value)
        )
        spec = None if node.format_spec is None else self.visit(node.format_spec)
        return ast.copy_location(
            ast.FormattedValue(value=value, conversion=node.conversion, format_spec=spec), node
        )

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

    def visit_Match(self, node: ast.Match) -> ast.stmt:
        cases = [
            ast.match_case(
                pattern=c.pattern,
                guard=None if c.guard is None else self._truth(c.guard),
                body=self._block(c.body),
            )
            for c in node.cases
        ]
        return ast.copy_location(ast.Match(subject=self._whole(node.subject), cases=cases), node)

    def _mangled(self, name: str) -> str:
        if name.startswith("__") and not name.endswith("__") and self.owner:
            return f"_{self.owner.lstrip('_')}{name}"
        return name

    # --- stores

    def _stored(self, target: ast.expr, value: ast.expr) -> list[ast.stmt]:
        """`target = value` with marks; the value is already marked."""
        if isinstance(target, ast.Name):
            if not self._is_local(target.id):
                return [ast.Assign(targets=[target], value=value)]
            return [
                ast.Assign(targets=[target], value=self._mark("name", ast.Constant(value=target.id), value))
            ]
        if isinstance(target, ast.Attribute):
            name = ast.Constant(value=self._mangled(target.attr))
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
        later.extend(self._stored(target, ast.Name(id=self._temporary(), ctx=ast.Load())))
        return ast.Name(id=f"__tg_{self.temporaries}", ctx=ast.Store())

    def _temporary(self) -> str:
        self.temporaries += 1
        return f"__tg_{self.temporaries}"

    def visit_Delete(self, node: ast.Delete) -> Any:
        made: list[ast.stmt] = []
        for target in node.targets:
            if isinstance(target, ast.Attribute):
                name = ast.Constant(value=self._mangled(target.attr))
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
            item.context_expr = self.visit(item.context_expr)
            if item.optional_vars is not None:
                item.optional_vars = self._unpacked(item.optional_vars, later)
        for statement in later:
            _placed(statement, node)
        node.body = [*later, *self._block(node.body)]
        return node

    visit_AsyncWith = visit_With

    def visit_Assign(self, node: ast.Assign) -> Any:
        value = self.visit(node.value)
        if len(node.targets) == 1:
            return self._stored(node.targets[0], value)
        name = self._temporary()
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
            name = ast.Constant(value=self._mangled(node.target.attr))
            return ast.Expr(
                value=self._mark("update_attr", self.visit(node.target.value), name, operator, value)
            )
        if isinstance(node.target, ast.Subscript):
            key = self._key(node.target.slice)
            return ast.Expr(
                value=self._mark("update_item", self.visit(node.target.value), key, operator, value)
            )
        assert isinstance(node.target, ast.Name)
        read = self.visit_Name(ast.Name(id=node.target.id, ctx=ast.Load()))
        return self._stored(node.target, self._mark("update", read, operator, value))

    # --- scopes

    def _inner(self, node: Any, names: set[str]) -> Any:
        self.scopes.append(names)
        try:
            return self.generic_visit(node)
        finally:
            self.scopes.pop()

    def visit_FunctionDef(self, node: Any) -> Any:
        node.args.defaults = [self.visit(d) for d in node.args.defaults]
        node.args.kw_defaults = [d if d is None else self.visit(d) for d in node.args.kw_defaults]
        node.decorator_list = [self.visit(d) for d in node.decorator_list]
        self.scopes.append(_bound_names(node))
        loops, self.loops = self.loops, 0
        inner, self.generator = self.generator, True  # structures of nested functions stay paths
        node.body = self._block(node.body)
        self.generator, self.loops = inner, loops
        self.scopes.pop()
        return node

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_Lambda(self, node: ast.Lambda) -> Any:
        return self._inner(node, _bound_names(node))

    def visit_ClassDef(self, node: ast.ClassDef) -> Any:
        return node

    def _comprehension(self, node: Any) -> Any:
        names = {n.id for g in node.generators for n in ast.walk(g.target) if isinstance(n, ast.Name)}
        node = self._inner(node, names)
        for generator in node.generators:
            generator.iter = self._mark("iterate", generator.iter)
            generator.ifs = [_placed(self._mark("asked", test), test) for test in generator.ifs]
        return node

    visit_ListComp = visit_SetComp = visit_DictComp = visit_GeneratorExp = _comprehension

    # --- structure

    def _names(self, node: Structure) -> tuple[tuple[str, ...], frozenset[str]]:
        """Names stored in a structure that somebody may read later; and those that are read outside of it."""
        inside: dict[str, int] = {}
        for name in loaded_names([node]):
            inside[name] = inside.get(name, 0) + 1
        stored = assigned_names([node])
        targets = assigned_names([node.target]) if isinstance(node, ast.For) else []
        around = self.loops > 0 or not isinstance(node, ast.If)
        stored = [n for n in stored if n not in targets]
        outside = [
            n for n in stored if self.loads.get(n, 0) > inside.get(n, 0) or (self.loops > 0 and n in inside)
        ]
        return tuple(n for n in stored if n in outside or (around and n in inside)), frozenset(outside)

    def _certified(self, node: Structure) -> int | None:
        """The key of a structure that may be generalised, or None."""
        reason = "it is inside a generator or nested function" if self.generator else refusal(node)
        if reason:
            self.refusals.append(reason)
            return None
        key = len(self.names) + 1
        self.names[key], self.after[key] = self._names(node)
        self.lines[key] = node.lineno
        return key

    def _rebind(self, method: str, key: int) -> list[ast.stmt]:
        call = self._mark(method, ast.Constant(value=key), self._locals())
        names = self.names[key]
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

    def visit_If(self, node: ast.If) -> Any:
        key = self._certified(node)
        test = self._truth(node.test)
        made = ast.copy_location(
            ast.If(test=test, body=self._block(node.body), orelse=self._block(node.orelse)), node
        )
        if key is None:
            return made
        made.test = _placed(self._mark("test", ast.Constant(value=key), test, self._locals()), node.test)
        return [made, *self._rebind("join", key)]

    def visit_While(self, node: ast.While) -> Any:
        key = self._certified(node)
        self.loops += 1
        test, body = self._truth(node.test), self._block(node.body)
        self.loops -= 1
        if key is None:
            return ast.While(test=test, body=body, orelse=self._block(node.orelse))
        proceed = _placed(self._mark("proceed", ast.Constant(value=key), test), node.test)
        leave = ast.If(test=ast.UnaryOp(op=ast.Not(), operand=proceed), body=[ast.Break()], orelse=[])
        header = self._rebind("header", key)
        for statement in (*header, leave):
            _placed(statement, node)
        enter = ast.Expr(value=self._mark("enter", ast.Constant(value=key)))
        loop = ast.While(test=ast.Constant(value=True), body=[*header, leave, *body], orelse=[])
        return [enter, loop, *self._rebind("leave", key)]

    def visit_For(self, node: ast.For) -> Any:
        key = self._certified(node)
        iterated = _placed(self._mark("iterate", self.visit(node.iter)), node.iter)
        self.loops += 1
        body = self._block(node.body)
        self.loops -= 1
        if key is None:
            later: list[ast.stmt] = []
            target = self._unpacked(node.target, later)
            for statement in later:
                _placed(statement, node)
            return ast.For(
                target=target, iter=iterated, body=[*later, *body], orelse=self._block(node.orelse)
            )
        header = self._rebind("header", key)
        for statement in header:
            _placed(statement, node)
        # The frame opens when what is run over is known: computing that is no part of the loop.
        entered = _placed(self._mark("enter_for", ast.Constant(value=key), iterated), node.iter)
        loop = ast.For(target=node.target, iter=entered, body=[*header, *body], orelse=[])
        return [loop, *self._rebind("leave", key)]


def _placed(made: Any, node: Any) -> Any:
    """Give a new node, and what is new inside it, the first line of the user's: a call would count as on its last."""
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


def _bound_names(node: Any) -> set[str]:
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


def _owner_class(code: types.CodeType) -> str | None:
    """The class a method is defined in, for private names."""
    parts = code.co_qualname.split(".")
    return parts[-2] if len(parts) > 1 and parts[-2] != "<locals>" else None
