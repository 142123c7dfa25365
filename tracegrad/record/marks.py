"""Structure marks: the user's function compiled again from its AST, with marks that tell the recorder what
happens.

In: a function. Out: `Marked`, code for a clone that calls a `Marks` object (`tensor/namespace.py`) at every
call, at every read of something from outside (`reads`), at stores into objects, and at the edges of loops
and branches that have a certificate:

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
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tracegrad.record.certificate import FLAG, MARKS, Form
from tracegrad.record.statements import Statements
from tracegrad.record.straight import Straight


@dataclass(frozen=True, slots=True)
class Marked:
    """Code of a marked clone, and what is known about its structures, by key.

    `refusals` says of each statement without certificate why; `writes_outside` is the line of a statement
    that makes it write names from outside, or 0.
    """

    code: types.CodeType
    structures: dict[int, Form]
    refusals: tuple[str, ...]
    writes_outside: int


@functools.lru_cache(maxsize=1024)
def mark(code: types.CodeType, straight: bool = False) -> Marked | None:
    """The marked code of a function's code, or None where its source is not to be had.

    `straight`: for a run on the tape, without marks of structure and reads.
    """
    found = _definition(code)
    if found is None:
        return None
    node, file = found
    marker = (Straight if straight else Statements)(code, node)
    body = marker.function_body()
    # A factory around the clone gives it the free variables of the original, and one more for the marks.
    clone: Any
    definition: Any = ast.FunctionDef  # `type_params` is there from Python 3.12 on
    if isinstance(node, ast.Lambda) or straight:  # its own name, read without a mark, is that of the original
        clone = definition(name="__clone__", args=node.args, body=body, decorator_list=[], type_params=[])
    else:
        clone = type(node)(name=code.co_name, args=node.args, body=body, decorator_list=[], type_params=[])
    _drop_annotations(clone.args)
    inner_name = clone.name
    parameters = [ast.arg(arg=n) for n in (*code.co_freevars, MARKS)]
    factory = definition(
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
    made = _with_python_s_names(made)
    _remember(made, (code, made))
    return Marked(
        made,
        marker.structures,
        tuple(marker.refusals),
        marker.writes_outside,
    )


_FUTURE = 0x1000000  # from __future__ import annotations
# Marked code, and that of the functions inside: the outermost function as the user wrote it, and its marked code.
_marked_codes: dict[types.CodeType, tuple[types.CodeType, types.CodeType]] = {}


def _with_python_s_names(code: types.CodeType) -> types.CodeType:
    """Code in which the functions made of comprehensions are called what tracebacks call comprehensions."""
    constants = tuple(_with_python_s_names(c) if isinstance(c, types.CodeType) else c for c in code.co_consts)
    name = code.co_name.removeprefix(FLAG).rstrip("0123456789")
    if not code.co_name.startswith(FLAG):
        return code.replace(co_consts=constants)
    return code.replace(
        co_consts=constants, co_name=f"<{name}>", co_qualname=f"{code.co_qualname}.<locals>.<{name}>"
    )


def _remember(code: types.CodeType, roots: tuple[types.CodeType, types.CodeType]) -> None:
    _marked_codes[code] = roots
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            _remember(constant, roots)


def is_marked(function: types.FunctionType) -> bool:
    """Whether a function was made by a marked clone, so that its code has marks already."""
    return function.__code__ in _marked_codes


def unmarked(code: types.CodeType) -> types.CodeType | None:
    """The code that the user wrote, of a function that a marked clone made; None where that is not clear.

    Several lambdas on one line are told apart by where they end.
    """
    original, clone_of_it = _marked_codes[code]
    written, marked = (
        sorted((c for c in _inside(root) if _header(c) == _header(code)), key=_end)
        for root in (original, clone_of_it)
    )
    return written[marked.index(code)] if len(written) == len(marked) else None


def _inside(code: types.CodeType) -> Iterator[types.CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield constant
            yield from _inside(constant)


def _header(code: types.CodeType) -> tuple[Any, ...]:
    count = code.co_argcount + code.co_kwonlyargcount
    return code.co_name, code.co_firstlineno, code.co_argcount, code.co_varnames[:count]


def _end(code: types.CodeType) -> tuple[int, int]:
    return max((end or 0, column or 0) for _, end, _, column in code.co_positions())


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
    owner = (_owner_class(code) or "").lstrip("_")
    for node in wanted if owner else ():
        _mangle(node, f"_{owner}")
    if len(wanted) > 1:
        wanted = [n for n in wanted if _same_shape(n, code)]
    return (wanted[0], code.co_filename) if len(wanted) == 1 else None


def _owner_class(code: types.CodeType) -> str | None:
    """The class in whose body a function is written, however deep in functions of it."""
    parts = code.co_qualname.split(".")
    while len(parts) > 2 and parts[-2] == "<locals>":
        del parts[-2:]
    return parts[-2] if len(parts) > 1 else None


def _mangle(node: ast.AST, prefix: str) -> None:
    """Write private names of a class as Python's compiler does where it sees the class: `__rate` is `_Model__rate`.

    Names of keywords in calls and in class patterns stay, and what is inside of another class is that class's.
    """
    for field, value in ast.iter_fields(node):
        if (
            isinstance(value, str)
            and field in _IDENTIFIERS
            and not isinstance(node, (ast.keyword, ast.alias))
        ):
            setattr(node, field, _private(value, prefix))
        elif isinstance(value, list) and field == "names" and isinstance(node, (ast.Global, ast.Nonlocal)):
            node.names = [_private(name, prefix) for name in node.names]
        elif not (field == "body" and isinstance(node, ast.ClassDef)):
            for child in value if isinstance(value, list) else (value,):
                if isinstance(child, ast.AST):
                    _mangle(child, prefix)


_IDENTIFIERS = {"id", "arg", "attr", "name", "rest"}


def _private(name: str, prefix: str) -> str:
    return prefix + name if name.startswith("__") and not name.endswith("__") else name


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
    """Names and constants of a code object and of those inside; where it stands, and what is free, is left
    out.
    """
    names = frozenset({*code.co_names, *code.co_freevars, *code.co_varnames, *code.co_cellvars})
    constants = tuple(_looks(c) if isinstance(c, types.CodeType) else (type(c), c) for c in code.co_consts)
    return names, tuple(c for c in constants if c[0] is not str or "<locals>" not in str(c[1]))
