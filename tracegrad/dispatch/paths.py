"""The known programs of a function as text: the user's loops and conditions as a tree, with what became of each.

Trace trees go in, lines come out; nothing is decided here. Each row has three columns: the user's line, the user's
code, and what the program does there. Begin with `paths_text`.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from tracegrad.dispatch.causes import shown
from tracegrad.dispatch.tree import Path, TraceTree
from tracegrad.ir.location import Location
from tracegrad.ir.trace import Const, Guard, Instr, Step, Trace, Var

WIDEST = 52  # columns of the user's code
MOST_ANSWERS = 4


@dataclass(frozen=True, slots=True)
class Home:
    """The user's function: lines of other functions are said with their name, of other files with the file."""

    file: str | None
    function: str

    def place(self, where: Location) -> str:
        """`line 5`, or `line 5, in helper`."""
        line = f"line {where.line}"
        if where.file != self.file and self.file is not None:
            line = f"{os.path.basename(where.file)}:{where.line}"
        return line if where.function == self.function else f"{line}, in {where.function}"


@dataclass(slots=True)
class Row:
    """One line of the user's with what the program does there; `inner` stands below it, `other` below its `else`."""

    where: str
    code: str
    does: str
    inner: list[Row] = field(default_factory=list)
    other: list[Row] = field(default_factory=list)


def paths_text(trees: Iterable[TraceTree], home: Home, most: int | None = None) -> str:
    """One block a program, one row a condition or loop.

    Parameters
    ----------
    trees : iterable of TraceTree
    home : Home
    most : int, optional
        How many programs are shown; the others are counted.
    """
    found = [tree for tree in trees if tree.paths or tree.on_tape is not None]
    known = sorted((path for tree in found for path in tree.paths), key=lambda p: p.born)
    shown_now = known if most is None else known[:most]
    lines = [f"on the tape: {tree.on_tape}" for tree in found if tree.on_tape is not None]
    for path in shown_now:
        lines.extend(_program(path, set(known), home))
    if len(shown_now) < len(known):
        lines.append(f"and {len(known) - len(shown_now)} more programs; `paths` shows all of them")
    for tree in found:
        split = tree.splits_most()
        count = sum(path.split == split for path in tree.paths)
        if split is not None and count > 2:
            lines.append(
                f"{count} of {len(tree.paths)} programs were split off at {home.place(split)}: `{split.text}`"
            )
    return "\n".join(lines)


def _program(path: Path, known: set[Path], home: Home) -> list[str]:
    trace = path.captured.trace
    inputs = ", ".join(f"{v.name or '_'}: {v.type}" for v in trace.inputs)
    if path.built.native is not None:
        tier = "compiled"
    else:
        tier = "NumPy, as it has no compiled form" if path.tier_decided else "NumPy so far"
    exits = {
        path.built.guards[k].location: f"program {other.born + 1}"
        for k, other in path.exits.items()
        if other in known and k < len(path.built.guards)
    }
    rows = list(_rows(trace, exits, home))
    return [f"program {path.born + 1} ({inputs}), {tier}", *layout(rows)]


# --- rows


def _rows(trace: Trace, exits: Mapping[Location | None, str], home: Home) -> Iterator[Row]:
    """A row for each line of a block that asks or repeats something; steps of the same line share one."""
    groups: dict[Location | None, dict[str, list[Step]]] = {}
    for step in trace.steps:
        kind = "guard" if isinstance(step, Guard) else step.op.name if step.op.family == "control" else ""
        if kind:
            groups.setdefault(step.location, {}).setdefault(kind, []).append(step)
    for location, kind, steps in ((at, kind, s) for at, kinds in groups.items() for kind, s in kinds.items()):
        otherwise = exits.get(location, "captured")
        where = "" if location is None else home.place(location)
        code = "" if location is None else location.text
        first = steps[0]
        if kind == "guard":
            yield Row(where, code, _guards([s for s in steps if isinstance(s, Guard)], otherwise))
        elif isinstance(first, Instr):
            times = "" if len(steps) == 1 else f", {len(steps)} times in a row"
            row = Row(where, code, (_loop if kind == "loop" else _branch)(first, otherwise) + times)
            row.inner.extend(_block(_inner(first)[0], exits, home))
            row.other.extend(_block(_inner(first)[1], exits, home))
            yield row


def _guards(steps: Sequence[Guard], otherwise: str) -> str:
    if len(steps) == 1:
        return f"{shown(steps[0].expected)}, otherwise {otherwise}"
    answers = Counter(shown(s.expected) for s in steps)
    if len(answers) == 1:
        return f"{next(iter(answers))}, all {len(steps)} times"
    if len(answers) > MOST_ANSWERS:
        return f"asked {len(steps)} times, with {len(answers)} answers"
    return f"asked {len(steps)} times: {', '.join(f'{answer} {n}' for answer, n in answers.items())}"


def _branch(step: Instr, otherwise: str) -> str:
    arms = step.params["arms"]
    if None not in arms:
        return "both arms known"
    return f"{arms[1] is None} so far, otherwise {otherwise}"


def _loop(step: Instr, otherwise: str) -> str:
    if step.params["body"] is None:
        return f"never entered so far, otherwise {otherwise}"
    limit, left = step.inputs[0], step.params["condition"] is not None or step.params["stop"] is not None
    if isinstance(limit, Const) and limit.value != -1:
        return f"{'at most ' if left else ''}{limit.value} steps"
    if isinstance(limit, Var) and limit.name and not left:
        return f"as many steps as `{limit.name}` says"
    return "any number of steps"


def _inner(step: Instr) -> tuple[Trace | None, Trace | None]:
    """The body of a loop, or the two arms."""
    if step.op.name == "loop":
        return step.params["body"], None
    taken, other = step.params["arms"]
    return taken, other


def _block(trace: Trace | None, exits: Mapping[Location | None, str], home: Home) -> list[Row]:
    return [] if trace is None else list(_rows(trace, exits, home))


# --- columns


def layout(rows: Sequence[Row], indent: str = "  ") -> list[str]:
    """Rows in columns, those inside others indented."""
    flat = list(_flat(rows, 0))
    first = max((len(row.where) for row, _ in flat), default=0)
    codes = [_short("    " * depth + row.code) for row, depth in flat]
    second = max(map(len, codes), default=0)
    return [
        f"{indent}{row.where:<{first}}  {code:<{second}}  {row.does}".rstrip()
        for (row, _), code in zip(flat, codes, strict=True)
    ]


def _flat(rows: Sequence[Row], depth: int) -> Iterator[tuple[Row, int]]:
    for row in rows:
        yield row, depth
        yield from _flat(row.inner, depth + 1)
        if len(row.other) == 1 and row.other[0].code.startswith("elif "):
            yield from _flat(row.other, depth)
        elif row.other:
            yield Row("", "else:", ""), depth
            yield from _flat(row.other, depth + 1)


def _short(code: str) -> str:
    return code if len(code) <= WIDEST else f"{code[: WIDEST - 3]}..."
