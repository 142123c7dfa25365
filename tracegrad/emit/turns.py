"""Arrays that change places in a loop: `u, u_next = u_next, u`.

Finished statements go in; out comes which names do, and whose array each has after the loop. Begin with `cycles`.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence

from tracegrad.emit.printer import Line
from tracegrad.syntax import nodes_of


def cycles(statement: ast.stmt) -> dict[str, str]:
    """For each name that takes the place of another there, while others take its own in the end: that other name."""
    match statement:
        case ast.Assign(targets=[ast.Tuple(elts=targets)], value=ast.Tuple(elts=values)):
            pass
        case _:
            return {}
    found = {
        target.id: value.id
        for target, value in zip(targets, values, strict=True)
        if isinstance(target, ast.Name) and isinstance(value, ast.Name)
    }
    while found.keys() != set(found.values()):
        found = {
            target: value for target, value in found.items() if target in found.values() and value in found
        }
    read = [n.id for value in values for n in nodes_of(value) if isinstance(n, ast.Name)]
    return found if all(read.count(name) == 1 for name in found) else {}


def turned(line: Line) -> Iterator[ast.stmt]:
    """The statements in a loop where arrays change places."""
    for inner in (*line.body, *line.orelse):
        if cycles(inner.statement):
            yield inner.statement
        yield from turned(inner)


def unknown(lines: Sequence[Line]) -> set[str]:
    """The names of which nobody knows whose arrays they have in the end."""
    return {name for line in lines if after(line) is None for step in turned(line) for name in cycles(step)}


def after(line: Line) -> Mapping[str, str] | None:
    """For each name whose array changes in a loop: which name had it before; None where nobody knows."""
    found = list(turned(line))
    if not found:
        return {}
    here = [inner.statement for inner in line.body]
    rounds = _rounds(line.statement)
    if len(found) > 1 or found[0] not in here or rounds is None or _is_left(line):
        return None
    step = cycles(found[0])
    return {name: _moved(name, step, rounds) for name in step}


def _moved(name: str, step: Mapping[str, str], rounds: int) -> str:
    """Whose array a name has after so many rounds."""
    ring = [name]
    while step[ring[-1]] != name:
        ring.append(step[ring[-1]])
    return ring[rounds % len(ring)]


def _rounds(loop: ast.stmt) -> int | None:
    """How often a `for` goes round, where the text says so."""
    match loop:
        case ast.For(iter=ast.Call(func=ast.Name(id="range"), args=limits)):
            try:
                return len(range(*map(ast.literal_eval, limits)))
            except ValueError:
                return None
    return None


def _is_left(line: Line) -> bool:
    """Whether a round may end before its end; what returns does not come to what follows the loop."""
    return any(
        isinstance(inner.statement, ast.Break | ast.Continue) or _is_left(inner)
        for inner in (*line.body, *line.orelse)
    )
