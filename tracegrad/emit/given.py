"""Large arrays that a native function is given memory for, by whoever calls it.

The finished statements of a function go in, the same with further parameters come out: `x_bar = np.empty(1000000)` is
no statement any more, but an argument. Fresh memory costs more than the arithmetic of an elementwise program, because
the system hands it out page by page; whoever calls can use the same again. An array that is returned is a result, and
is left out of the tuple; any other is room to work in. Arrays that are not needed at the same time stand in the same
memory (`sharing.py`). Begin with `give`.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from tracegrad.emit.again import LARGE
from tracegrad.emit.printer import Line
from tracegrad.emit.rounds import Share
from tracegrad.emit.sharing import shared
from tracegrad.ir.source import Memory
from tracegrad.ir.types import ArrayType
from tracegrad.kernels.arithmetic import in_threads


def give(
    lines: Sequence[Line], parts: Sequence[Share]
) -> tuple[list[Line], list[Share], list[str], tuple[Memory, ...]]:
    """Statements and functions for threads without the large arrays that are made once, the names of these, and what
    memory they need.

    The statements return flat tuples, a code first. An array whose name is bound once, at the top level, and never
    again, is whatever stands in that memory, from its first write to the end.
    """
    bound = Counter(
        node.id
        for statement in _statements(lines)
        for node in ast.walk(statement)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    )
    made = {}
    for line in lines:
        found = _made(line.statement)
        if found is not None and bound[found[0]] == 1:
            made[found[0]] = found[1]
    if not made:
        return list(lines), list(parts), [], ()
    returned = _returned(lines)
    within = shared(
        [line for line in lines if (_made(line.statement) or ("",))[0] not in made],
        made,
        returned,
        {part.name: part.lines for part in parts},
    )
    given = {name: type for name, type in made.items() if name not in within}
    memory = tuple((type.dtype, type.shape, returned.get(name)) for name, type in given.items())
    dropped = sorted((output for _, _, output in memory if output is not None), reverse=True)
    kept = [
        replace(line, statement=_named(name, within[name])) if name in within else line
        for line in lines
        if (name := (_made(line.statement) or ("",))[0]) not in given
    ]
    for statement in _statements(kept):
        if isinstance(statement, ast.Return):
            assert isinstance(statement.value, ast.Tuple)
            for output in dropped:
                del statement.value.elts[1 + output]
    for statement in _statements(kept):
        match statement:
            case ast.Expr(
                value=ast.Call(func=ast.Name(id=in_threads.__name__), args=[_, _, ast.Tuple(elts=names)])
            ):
                names[:] = [n for n in names if not _is_there(n, names, within)]
    return kept, [_with_one_name(part, within) for part in parts], list(given), memory


def _is_there(name: ast.expr, names: Sequence[ast.expr], within: Mapping[str, str]) -> bool:
    """Whether the memory of an array is given under another name."""
    given = {n.id for n in names if isinstance(n, ast.Name)}
    return isinstance(name, ast.Name) and within.get(name.id) in given


def _with_one_name(part: Share, within: Mapping[str, str]) -> Share:
    """A function for threads that is given each memory once; what else stands there is bound to it first."""
    where = part.lines[0].location
    again = [n for n in part.parameters if within.get(n) in part.parameters]
    bound = [Line(_named(n, within[n]), where) for n in again]
    parameters = [n for n in part.parameters if n not in again]
    return Share(part.name, parameters, [*bound, *part.lines])


def _named(name: str, memory: str) -> ast.stmt:
    """An array stands in the memory of another."""
    return ast.Assign(
        targets=[ast.Name(id=name, ctx=ast.Store())], value=ast.Name(id=memory, ctx=ast.Load()), lineno=0
    )


def _statements(lines: Sequence[Line]) -> Iterator[ast.stmt]:
    for line in lines:
        yield line.statement
        yield from _statements(line.body)
        yield from _statements(line.orelse)


def _made(statement: ast.stmt) -> tuple[str, ArrayType] | None:
    """The name and type of a large array that this statement makes, with nothing in it."""
    match statement:
        case ast.Assign(
            targets=[ast.Name(id=name)],
            value=ast.Call(
                func=ast.Attribute(value=ast.Name(id="np"), attr="empty"),
                args=[size, *dtype],
                keywords=[],
            ),
        ):
            pass
        case _:
            return None
    try:
        shape = ast.literal_eval(size)
    except ValueError:
        return None
    kind = np.float64
    if dtype:
        if not isinstance(dtype[0], ast.Attribute):
            return None
        kind = getattr(np, dtype[0].attr)
    type = ArrayType(shape if isinstance(shape, tuple) else (shape,), np.dtype(kind))
    return (name, type) if np.prod(type.shape, dtype=float) * type.dtype.itemsize >= LARGE else None


def _returned(lines: Sequence[Line]) -> dict[str, int]:
    """The outputs that are nothing but a name, the same wherever the function ends without a side exit."""
    ends: list[list[ast.expr]] = []
    for statement in _statements(lines):
        if isinstance(statement, ast.Return) and isinstance(statement.value, ast.Tuple):
            code, *outputs = statement.value.elts
            if ast.unparse(code) == "-1":
                ends.append(outputs)
    if not ends:
        return {}
    names = [{e.id if isinstance(e, ast.Name) else "" for e in same} for same in zip(*ends, strict=True)]
    found = {n.pop(): k for k, n in enumerate(names) if len(n) == 1}
    count = Counter(e.id for end in ends for e in end if isinstance(e, ast.Name))
    return {name: k for name, k in found.items() if count[name] == len(ends)}
