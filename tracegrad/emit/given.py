"""Large arrays that a native function is given memory for, by whoever calls it.

The finished statements of a function go in, the same with further parameters come out: `x_bar = np.empty(1000000)` is
no statement any more, but an argument. Fresh memory costs more than the arithmetic of an elementwise program, because
the system hands it out page by page; whoever calls can use the same again. An array that is returned is a result, and
is left out of the tuple; any other is room to work in. Results that are not small are such arguments as well. Arrays
that are not needed at the same time stand in the same memory (`sharing.py`). A name that arrays have one after the
other is several names first. Begin with `give`.
"""

from __future__ import annotations

import ast
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

import numpy as np

from tracegrad.emit.loops import assign
from tracegrad.emit.mirrors import in_tiles, tiles
from tracegrad.emit.printer import Line
from tracegrad.emit.products_over import standing_over
from tracegrad.emit.rounds import Share
from tracegrad.emit.segments import Copies
from tracegrad.emit.sharing import Parts, Room, seen_whole, shared
from tracegrad.emit.sizes import is_large
from tracegrad.emit.turns import after, cycles, turned, unknown
from tracegrad.ir.location import Location
from tracegrad.ir.source import Memory
from tracegrad.ir.types import ArrayType
from tracegrad.kernels import shapes
from tracegrad.kernels.arithmetic import in_threads
from tracegrad.kernels.products import product_over
from tracegrad.ops.op import call, literal, named
from tracegrad.syntax import nodes_of

SHORT = 16  # elements of a row that is no loop of vectors by itself
RESULT = 1 << 12  # bytes of a result that is written where the caller wants it; a smaller one is copied there


def give(
    lines: Sequence[Line], parts: Sequence[Share], parameters: Sequence[str], kernels: dict[Any, None]
) -> tuple[list[Line], list[Share], list[str], tuple[Memory, ...]]:
    """Statements and functions for threads without the large arrays that are made once, the names of these, and what
    memory they need; `kernels` learns what the statements call instead.

    The statements return flat tuples, a code first, and stand in a function of these `parameters`. An array whose
    name is bound once, at the top level, and never again, is whatever stands in that memory, from its first write to
    the end.
    """
    lines, parts = _one_name_each(lines, parts, parameters)
    lines, reshaped = _as_made(lines)
    returned = _returned(lines)
    texts = {part.name: part.lines for part in parts}
    made = _large(lines, returned, texts)
    if not made:
        return lines, parts, [], ()
    where = {found[0]: line.location for line in lines if (found := _made(line.statement))}
    lines = _without(lines, made)
    rooms = shared(lines, made, returned, texts)
    changed = {}
    for room in rooms:
        type = made[room.names[0]]
        for number in room.changed:
            over = standing_over(lines[number], type)
            if over is not None:
                changed[number] = [over]
                kernels[product_over] = None
            else:
                changed[number], parts = _by_tiles(lines[number], parts, type, _names(lines))
    outputs = _outputs(lines, rooms, returned)
    entered = defaultdict(list)
    for room in rooms:
        for name, other in room.bound.items():
            entered[room.first[name]].append(Line(assign(name, named(other)), where[name]))
    kept = [
        line for number, same in enumerate(lines) for line in (*entered[number], *changed.get(number, [same]))
    ]
    given = [room.memory for room in rooms]
    types = {name: made[name] for name in given}
    for k, name in enumerate(given):
        if (result := reshaped.get(outputs.get(name, -1))) is not None:
            view = call(shapes.reshaped.__name__, named(result.name), literal(types[name].shape))
            kept.insert(0, Line(assign(name, view), result.location))
            types[result.name] = replace(types[name], shape=result.shape)
            given[k], outputs[result.name] = result.name, outputs.pop(name)
    for statement in _statements(kept):
        match statement:
            case ast.Return(value=ast.Tuple(elts=results)):
                for output in sorted(outputs.values(), reverse=True):
                    del results[1 + output]
            case ast.Expr(
                value=ast.Call(func=ast.Name(id=in_threads.__name__), args=[_, _, ast.Tuple(elts=names)])
            ):
                again = _again([n.id for n in names if isinstance(n, ast.Name)], rooms)
                names[:] = [n for n in names if not (isinstance(n, ast.Name) and n.id in again)]
    memory = tuple((types[name].dtype, types[name].shape, outputs.get(name)) for name in given)
    return kept, [_with_one_name(part, rooms) for part in parts], given, memory


def _large(lines: Sequence[Line], returned: Collection[str], parts: Parts) -> dict[str, ArrayType]:
    """The arrays that may be given: made once, at the top level. Their names are never bound again but where they
    change places among themselves; no other name is theirs then, and if one is a result, it is known how often."""
    found = [
        (name, type)
        for name, type in filter(None, (_made(line.statement) for line in lines))
        if is_large(type) or (name in returned and _may_be_given(type))
    ]
    if not found:
        return {}
    bound, turns = _bound(lines), _turned_to(lines)
    made = {name: type for name, type in found if bound[name] == 1 + turns[name]}
    rings = [set(cycles(step)) for line in lines for step in turned(line)]
    if rings:
        vague = unknown(lines).intersection(returned) | seen_whole(_without(lines, made), parts, made)
        while lost := [ring for ring in rings if ring & made.keys() and (ring - made.keys() or ring & vague)]:
            made = {name: type for name, type in made.items() if not any(name in ring for ring in lost)}
    return made


def _without(lines: Sequence[Line], made: Collection[str]) -> list[Line]:
    """Without the statements that make these arrays."""
    return [line for line in lines if (_made(line.statement) or ("",))[0] not in made]


def _by_tiles(
    line: Line, parts: Sequence[Share], type: ArrayType, taken: Collection[str]
) -> tuple[list[Line], list[Share]]:
    """A loop that goes by tiles instead; where threads share it, they share the rows of tiles."""
    match line.statement:
        case ast.Expr(
            value=ast.Call(
                func=ast.Name(id=in_threads.__name__), args=[_, ast.Name(id=name) as function, given]
            )
        ):
            part = next(part for part in parts if part.name == name)
            *before, loop = part.lines
            there = in_tiles(loop, type, {*_names(part.lines), *part.parameters})
            tiled = replace(part, lines=[*before, *there])
            shared_by = call(in_threads.__name__, literal(tiles(type.shape[0])[0]), function, given)
            parts = [tiled if other is part else other for other in parts]
            return [replace(line, statement=ast.Expr(value=shared_by))], parts
    return in_tiles(line, type, taken), list(parts)


def _outputs(lines: Sequence[Line], rooms: Sequence[Room], returned: Mapping[str, int]) -> dict[str, int]:
    """Which memory becomes which output: that which stands under the name of a result in the end."""
    starts = defaultdict(list)
    for room in rooms:
        for name in room.names:
            starts[room.first[name]].append((name, room))
    under: dict[str, str] = {}
    for number, line in enumerate(lines):
        for name, room in starts[number]:
            under[name] = under.get(room.bound.get(name, ""), room.memory)
        places = after(line) or {}
        under.update({name: under[place] for name, place in places.items() if place in under})
    return {under[name]: output for name, output in returned.items() if name in under}


def _bound(lines: Sequence[Line]) -> Counter[str]:
    """How often each name is bound."""
    return Counter(
        node.id
        for statement in _statements(lines)
        for node in nodes_of(statement)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    )


def _turned_to(lines: Sequence[Line]) -> Counter[str]:
    """How often each name is bound where arrays change places."""
    return Counter(name for line in lines for step in turned(line) for name in cycles(step))


@dataclass(frozen=True)
class _Result:
    """A result that is an array in another shape: its name, its shape, and the line of the user's."""

    name: str
    shape: tuple[int, ...]
    location: Location | None


def _as_made(lines: Sequence[Line]) -> tuple[list[Line], dict[int, _Result]]:
    """The lines where such arrays are returned as they were made, and, by output, the results these stand for.

    So they are made in the memory of the results, of which they are views; views of other memory would be copied.
    """
    if not any(_reshaped(line.statement) for line in lines):
        return list(lines), {}
    bound, returned = _bound(lines), _returned(lines)
    made = dict(found for line in lines if (found := _made(line.statement)) and bound[found[0]] == 1)
    statements = list(_statements(lines))
    read = _read(statements)
    read.subtract(_read(s for s in statements if isinstance(s, ast.Return)))
    kept, called, results = [], dict[str, str](), dict[int, _Result]()
    for line in lines:
        match _reshaped(line.statement):
            case name, array, shape if (
                name in returned
                and bound[name] == 1
                and not read[name]
                and array in made
                and array not in (*returned, *called.values())
                and _may_be_given(made[array])
            ):
                called[name] = array
                results[returned[name]] = _Result(name, ast.literal_eval(shape), line.location)
            case _:
                kept.append(_renamed(line, called))
    return kept, results


def _reshaped(statement: ast.stmt) -> tuple[str, str, ast.expr] | None:
    """A name that an array is given in another shape, that of the array, and the shape."""
    match statement:
        case ast.Assign(
            targets=[ast.Name(id=name)],
            value=ast.Call(func=ast.Name(id=shapes.reshaped.__name__), args=[ast.Name(id=array), shape]),
        ):
            return name, array, shape
    return None


def with_sizes(lines: Sequence[Line], parts: Sequence[Share]) -> list[Share]:
    """Functions for threads that know how long the rows of what they are given are, where those are short.

    LLVM makes vectors of a loop around the elements of short rows where it knows how far these lie apart.
    """
    found = (_reshaped(statement) for statement in _statements(lines))
    shapes_known = {name: ast.literal_eval(shape) for name, _, shape in filter(None, found)}
    again = []
    for part in parts:
        bound = [
            Line(
                assign(name, call(shapes.reshaped.__name__, named(name), literal(shape))),
                part.lines[0].location,
            )
            for name in part.parameters
            if len(shape := shapes_known.get(name, ())) > 1 and shape[-1] <= SHORT
        ]
        again.append(replace(part, lines=[*bound, *part.lines]) if bound else part)
    return again


def _read(statements: Iterable[ast.stmt]) -> Counter[str]:
    """How often each name is read."""
    nodes = (node for statement in statements for node in nodes_of(statement))
    return Counter(n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load))


# --- names


def _one_name_each(
    lines: Sequence[Line], parts: Sequence[Share], parameters: Sequence[str]
) -> tuple[list[Line], list[Share]]:
    """The same where arrays that may be given and have a name one after the other have one each, and none that of a
    parameter."""
    made = Counter(found[0] for line in lines if (found := _made(line.statement)) and _may_be_given(found[1]))
    if not made:
        return list(lines), list(parts)
    here = Counter(map(_target, lines))
    bound = _bound(lines)
    bound.subtract(_turned_to(lines))
    again = {n for n in made if bound[n] == here[n] and (bound[n] > 1 or n in parameters)}
    if not again:
        return list(lines), list(parts)
    kept = {n for n in again if made[n] == bound[n] and n not in parameters}  # by the first
    taken = {
        *parameters,
        *(name for part in parts for name in (part.name, *_names(part.lines))),
        *_names(lines),
    }
    called: dict[str, str] = {}
    changed = []
    shares = {part.name: part for part in parts}
    for line in lines:
        for used in _names([line]) & shares.keys():
            part = shares[used]
            given = [called.get(n, n) for n in part.parameters]
            shares[used] = Share(used, given, [_renamed(inner, called) for inner in part.lines])
        name, line = _target(line), _renamed(line, called)
        if name in again:
            called[name] = name
            if name in kept:
                kept.remove(name)
            elif (found := _made(line.statement)) is not None and _may_be_given(found[1]):
                called[name] = next(new for k in count(1) if (new := f"{name}_{k}") not in taken)
                taken.add(called[name])
            assert isinstance(line.statement, ast.Assign)
            line = replace(line, statement=assign(called[name], line.statement.value))
        changed.append(line)
    return changed, list(shares.values())


def _target(line: Line) -> str:
    """The name that a statement binds, if it does nothing else."""
    match line.statement:
        case ast.Assign(targets=[ast.Name(id=name)]):
            return name
    return ""


def _names(lines: Sequence[Line]) -> set[str]:
    nodes = (node for statement in _statements(lines) for node in nodes_of(statement))
    return {node.id for node in nodes if isinstance(node, ast.Name)}


def _renamed(line: Line, called: Mapping[str, str]) -> Line:
    """A line with other names."""
    if not called or called.keys().isdisjoint(_names([line])):
        return line
    body, orelse = ([_renamed(inner, called) for inner in side] for side in (line.body, line.orelse))
    return replace(line, statement=_WithNames(called).visit(line.statement), body=body, orelse=orelse)


class _WithNames(Copies):
    """See `_renamed`; statements share their expressions, so these are made anew."""

    def __init__(self, called: Mapping[str, str]) -> None:
        self.called = called

    def visit_Name(self, node: ast.Name) -> ast.Name:
        return ast.Name(id=self.called.get(node.id, node.id), ctx=node.ctx)


# --- memory


def _again(names: Sequence[str], rooms: Sequence[Room]) -> dict[str, str]:
    """Those of some names whose memory has another of them already: that one."""
    found = {}
    for room in rooms:
        same = [name for name in (room.memory, *room.names) if name in names]
        found.update({name: same[0] for name in same if name != same[0]})
    return found


def _with_one_name(part: Share, rooms: Sequence[Room]) -> Share:
    """A function for threads that is given each memory once; what else stands there is bound to it first."""
    where = part.lines[0].location
    again = _again(part.parameters, rooms)
    bound = [Line(assign(name, named(memory)), where) for name, memory in again.items()]
    parameters = [n for n in part.parameters if n not in again]
    return Share(part.name, parameters, [*bound, *part.lines])


def _statements(lines: Sequence[Line]) -> Iterator[ast.stmt]:
    for line in lines:
        yield line.statement
        yield from _statements(line.body)
        yield from _statements(line.orelse)


def _made(statement: ast.stmt) -> tuple[str, ArrayType] | None:
    """The name and type of an array that this statement makes, with nothing in it."""
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
    return name, ArrayType(shape if isinstance(shape, tuple) else (shape,), np.dtype(kind))


def _may_be_given(type: ArrayType) -> bool:
    """Whether it is large, or would be as a result."""
    return is_large(type) or type.size * type.dtype.itemsize >= RESULT


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
    times = Counter(e.id for end in ends for e in end if isinstance(e, ast.Name))
    return {name: k for name, k in found.items() if times[name] == len(ends)}
