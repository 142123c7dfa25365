"""Loops as statements: `for` and `while`, what they count, and the stacks they leave behind.

A `Repeat` goes in, with the lines of its blocks written already; lines come out. Stacks are Python lists in
array text, buffers in native text: of the right length where the number of iterations is known, else
doubled when full. Begin with `write_loop`.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence

from tracegrad.emit.blocks import Push, Repeat, Value
from tracegrad.emit.expressions import Expressions, zeros
from tracegrad.emit.logic import joined, negated
from tracegrad.emit.printer import Line
from tracegrad.ir.location import Location
from tracegrad.ir.trace import Const
from tracegrad.ir.types import ArrayType
from tracegrad.ops.op import call, literal, named

FIRST_ROOM = 64  # entries of a buffer whose final length is not known


def assign(name: str, value: ast.expr) -> ast.stmt:
    """`name = value`."""
    return ast.Assign(targets=[ast.Name(id=name, ctx=ast.Store())], value=value)


def plus(left: ast.expr | str | int, right: ast.expr | str | int) -> ast.expr:
    """`left + right`, of expressions, names or numbers; `left - x` for a right of `-x`."""
    if isinstance(right, ast.UnaryOp) and isinstance(right.op, ast.USub):
        return minus(left, right.operand)
    return ast.BinOp(left=_term(left), op=ast.Add(), right=_term(right))


def minus(left: ast.expr | str | int, right: ast.expr | str | int) -> ast.expr:
    """`left - right`, of expressions, names or numbers."""
    return ast.BinOp(left=_term(left), op=ast.Sub(), right=_term(right))


def times(left: ast.expr | str | int, right: ast.expr | str | int) -> ast.expr:
    """`left * right`, of expressions, names or numbers."""
    return ast.BinOp(left=_term(left), op=ast.Mult(), right=_term(right))


def moved(place: ast.expr, start: int, step: int = 1) -> ast.expr:
    """`start + step * place`, as it is written."""
    if isinstance(place, ast.Constant) and isinstance(place.value, int):
        return literal(start + step * place.value)
    if step < 0:
        far = place if step == -1 else times(-step, place)
        return minus(start, far)
    far = place if step == 1 else times(step, place)
    if not start:
        return far
    return plus(far, start) if start > 0 else minus(far, -start)


def _term(given: ast.expr | str | int) -> ast.expr:
    return named(given) if isinstance(given, str) else literal(given)


def for_each(name: str, until: ast.expr | Sequence[ast.expr], inside: Sequence[Line]) -> Line:
    """`for name in range(until):`."""
    limits = [until] if isinstance(until, ast.expr) else until
    target = ast.Name(id=name, ctx=ast.Store())
    head = ast.For(target=target, iter=call("range", *limits), body=[], orelse=[])
    return Line(head, inside[0].location, body=list(inside))


def write_loop(
    node: Repeat,
    expressions: Expressions,
    enter: Sequence[Line],
    test: Sequence[Line],
    body: Sequence[Line],
) -> list[Line]:
    """The whole loop; `enter` gives the carried values their first content."""
    where = node.location
    lines = list(enter)
    inside = list(body)
    for buffer in node.buffers:
        lines.append(Line(assign(buffer.name, zeros(buffer.memory, "np.empty")), where))
    for stack in node.stacks:
        if stack.is_buffer:
            continue
        lines.append(Line(assign(stack.name, _room(node, stack, expressions)), where))
    if node.steps is not None and _is_counted(node):
        lines.append(Line(assign(node.steps.name, literal(0)), where))
        inside = [_increment(node.steps), *inside] if node.is_for else [*inside, *counting(node)]
    if node.stop is not None:
        inside.append(_break_if(expressions.read(node.stop), where))
    if not node.is_for:
        lines.append(_while(node, expressions, test, inside or [Line(ast.Pass())]))
    elif inside:
        lines.append(Line(_for(node, expressions), where, body=inside))
    for stack in node.converted:
        lines.append(Line(assign(stack.name, _whole(node, stack)), where))
    return lines


def counting(node: Repeat) -> list[Line]:
    """What counts at the end of the body; a `for`, whose body does not read the number of steps, counts first."""
    if node.steps is None or node.is_for or not _is_counted(node):
        return []
    return [_increment(node.steps)]


def _increment(steps: Value) -> Line:
    target = ast.Name(id=steps.name, ctx=ast.Store())
    return Line(ast.AugAssign(target=target, op=ast.Add(), value=literal(1)))


def _is_counted(node: Repeat) -> bool:
    """Whether the number of iterations is asked for: by a reader, the limit of a `while`, a buffer cut to it."""
    assert node.steps is not None
    cut = any(stack not in node.lists for stack in node.converted)
    return bool(node.steps.readers) or cut or (node.limited and not node.is_for)


def _for(node: Repeat, expressions: Expressions) -> ast.stmt:
    used = bool(node.counter.readers)
    limit = expressions.number(node.limit)
    times = call("range", limit)
    if used and node.reverse and expressions.native:  # Numba has no `reversed`
        last: ast.expr = minus(limit, 1)
        if isinstance(node.limit, Const):
            last = literal(int(node.limit.value) - 1)
        times = call("range", last, literal(-1), literal(-1))
    elif used and node.reverse:
        times = call("reversed", times)
    return ast.For(
        target=ast.Name(id=node.counter.name if used else "_", ctx=ast.Store()),
        iter=times,
        body=[],
        orelse=[],
    )


def _while(node: Repeat, expressions: Expressions, test: Sequence[Line], inside: list[Line]) -> Line:
    condition = literal(True) if node.condition is None else expressions.truth(node.condition)
    counter = named(node.counter.name)
    if not test:
        if node.limited:
            below = ast.Compare(left=counter, ops=[ast.Lt()], comparators=[expressions.number(node.limit)])
            condition = joined(ast.And(), below, condition)
        return Line(ast.While(test=condition, body=[], orelse=[]), node.location, body=inside)
    first: list[Line] = []
    if node.limited:
        reached = ast.Compare(left=counter, ops=[ast.GtE()], comparators=[expressions.number(node.limit)])
        first.append(_break_if(reached))
    stop = _break_if(negated(condition))
    forever = ast.While(test=literal(True), body=[], orelse=[])
    return Line(forever, node.location, body=[*first, *test, stop, *inside])


def _break_if(condition: ast.expr, where: Location | None = None) -> Line:
    return Line(ast.If(test=condition, body=[], orelse=[]), where, body=[Line(ast.Break())])


# --- stacks -----------------------------------------------------------------------------------------------------------


def write_push(node: Push, value: ast.expr, grows: bool) -> list[Line]:
    """`stack.append(value)`, or `stack[k] = value` after making room."""
    stack = named(node.stack.name)
    if node.index is None:
        append = ast.Call(
            func=ast.Attribute(value=stack, attr="append", ctx=ast.Load()), args=[value], keywords=[]
        )
        return [Line(ast.Expr(value=append), node.location)]
    index = named(node.index.name)
    lines = [make_room(node)] if grows else []
    place = ast.Subscript(value=stack, slice=index, ctx=ast.Store())
    lines.append(Line(ast.Assign(targets=[place], value=value), node.location))
    return lines


def make_room(node: Push) -> Line:
    """A full stack becomes twice as long."""
    assert node.index is not None
    stack = named(node.stack.name)
    index = named(node.index.name)
    full = ast.Compare(left=index, ops=[ast.Eq()], comparators=[call("len", stack)])
    both = ast.Tuple(elts=[stack, call("np.empty_like", stack)], ctx=ast.Load())
    room = Line(assign(node.stack.name, call("np.concatenate", both)))
    return Line(ast.If(test=full, body=[], orelse=[]), node.location, body=[room])


def _room(node: Repeat, stack: Value, expressions: Expressions) -> ast.expr:
    if stack in node.lists:
        return literal([])
    inner = stack.type.shape[1:]
    if node.grows:
        length = literal(FIRST_ROOM)
    elif node.room is not None:
        length = literal(node.room)
    else:
        length = expressions.number(node.limit)
    shape = ast.Tuple(elts=[length, *map(literal, inner)], ctx=ast.Load()) if inner else length
    dtype = [] if stack.type.dtype == "f8" else [literal(stack.type.dtype)]
    return call("np.empty", shape, *dtype)


def _whole(node: Repeat, stack: Value) -> ast.expr:
    """A stack as a plain array: a list made one, a buffer cut to its length."""
    name = named(stack.name)
    if stack not in node.lists:
        assert node.steps is not None
        upper = ast.Slice(lower=None, upper=named(node.steps.name), step=None)
        part = ast.Subscript(value=name, slice=upper, ctx=ast.Load())
        return ast.Call(func=ast.Attribute(value=part, attr="copy", ctx=ast.Load()), args=[], keywords=[])
    entry = ArrayType(stack.type.shape[1:], stack.type.dtype)
    array = call("np.array", name, *([] if entry.dtype == "f8" else [literal(entry.dtype)]))
    if not entry.shape:
        return array
    # Nothing tells how many arrays without items there are.
    length = literal(-1) if entry.size else call("len", name)
    return ast.Call(
        func=ast.Attribute(value=array, attr="reshape", ctx=ast.Load()),
        args=[ast.Tuple(elts=[length, *map(literal, entry.shape)], ctx=ast.Load())],
        keywords=[],
    )
