"""The known programs of a function as text: the user's loops and conditions as a tree, with what became of each.

Trace trees go in, lines come out; nothing is decided here. Each row has three columns: the user's line, the user's
code, and what the program does there. Begin with `paths_text`.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tracegrad.dispatch.causes import shown
from tracegrad.dispatch.tree import Path, TraceTree
from tracegrad.ir.location import Location
from tracegrad.ir.trace import Const, Guard, Instr, Trace, Var
from tracegrad.passes.count import Place

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

    def said(self, what: str, where: Location | None) -> str:
        """A sentence about a line, with the line and what stands there."""
        return what if where is None else f"{self.place(where)}: `{where.text}`: {what}"


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
    lines = [f"on the tape, as {home.said(*tree.on_tape)}" for tree in found if tree.on_tape is not None]
    lines += [
        f"on the tape for now: the last {tree.new_in_a_row} captures were each a new program"
        for tree in found
        if tree.on_tape is None and tree.on_tape_for > 0
    ]
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
    tally = path.tally
    reader = _Reader(exits, home, {} if tally is None else tally.totals)
    rows = list(reader.rows(trace, [()], None if tally is None else tally.calls))
    counted = "" if tally is None else f", counted in {tally.calls:,} call{'' if tally.calls == 1 else 's'}"
    return [f"program {path.born + 1} ({inputs}), {tier}{counted}", *layout(rows)]


# --- rows


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads one program.

    Attributes
    ----------
    exits : what takes over where it is left, by the user's line
    home : Home
    totals : how often arms ran and how many steps loops made; empty where nothing was counted
    """

    exits: Mapping[Location | None, str]
    home: Home
    totals: Mapping[Place, int]

    def rows(self, trace: Trace, places: Sequence[Place], times: int | None) -> Iterator[Row]:
        """A row for each line of a block that asks or repeats something; steps of the same line share one.

        Parameters
        ----------
        trace : Trace
        places : sequence of Place
            Where blocks like this one are.
        times : int or None
            How often they ran in all; None where that was not counted.
        """
        guards: dict[Location | None, list[Guard]] = {}
        control: dict[Location | None, dict[Any, list[tuple[Instr, int]]]] = {}
        number = 0
        for step in trace.steps:
            if isinstance(step, Guard):
                guards.setdefault(step.location, []).append(step)
            elif step.op.family == "control":
                alike = control.setdefault(step.location, {})
                alike.setdefault(_shape(step), []).append((step, number))
                number += 1
        for location in dict.fromkeys(s.location for s in trace.steps):
            otherwise = self.exits.get(location, "captured")
            where = "" if location is None else self.home.place(location)
            code = "" if location is None else location.text
            if location in guards:
                yield Row(where, code, _guards(guards[location], otherwise))
            for several in control.get(location, {}).values():
                inside = [(*place, n) for place in places for _, n in several]
                total = None if times is None else times * len(several)
                row = self._control(several[0][0], inside, Row(where, code, ""), otherwise, total)
                if len(several) > 1:
                    row.does += f", {len(several)} times in a row"
                yield row

    def _control(
        self, step: Instr, places: Sequence[Place], row: Row, otherwise: str, total: int | None
    ) -> Row:
        """The row of a branch or a loop, or of several that are alike."""

        def ran(what: str) -> int | None:
            return None if total is None else sum(self.totals.get((*place, what), 0) for place in places)

        def below(block: Trace | None, what: str, times: int | None) -> list[Row]:
            if block is None:
                return []
            return list(self.rows(block, [(*place, what) for place in places], times))

        if step.op.name == "loop":
            made = ran("body")
            row.does = _loop(step, otherwise, made, total)
            row.inner = below(step.params["body"], "body", made)
            return row
        taken, other = step.params["arms"]
        true = ran("true")
        false = None if total is None or true is None else total - true
        row.does = _branch(step, otherwise, true, false)
        row.inner, row.other = below(taken, "true", true), below(other, "false", false)
        return row


def _shape(step: Instr) -> Any:
    """Equal for loops and branches that know the same arms, inside too."""
    blocks = step.params.get("arms") or (step.params["body"],)
    return (
        step.op.name,
        tuple(
            None
            if block is None
            else tuple(_shape(s) for s in block.steps if isinstance(s, Instr) and s.op.family == "control")
            for block in blocks
        ),
    )


def _guards(steps: Sequence[Guard], otherwise: str) -> str:
    if len(steps) == 1:
        return f"{shown(steps[0].expected)}, otherwise {otherwise}"
    answers = Counter(shown(s.expected) for s in steps)
    if len(answers) == 1:
        return f"{next(iter(answers))}, all {len(steps)} times"
    if len(answers) > MOST_ANSWERS:
        return f"asked {len(steps)} times, with {len(answers)} answers"
    return f"asked {len(steps)} times: {', '.join(f'{answer} {n}' for answer, n in answers.items())}"


def _branch(step: Instr, otherwise: str, true: int | None, false: int | None) -> str:
    arms = step.params["arms"]
    if None not in arms:
        return "both arms known" if true is None or false is None else f"True {true:,}, False {false:,}"
    taken = arms[1] is None
    times = true if taken else false
    return f"{taken} {'so far' if times is None else f'{times:,}'}, otherwise {otherwise}"


def _loop(step: Instr, otherwise: str, made: int | None, times: int | None) -> str:
    if step.params["body"] is None:
        return f"never entered so far, otherwise {otherwise}"
    limit, left = step.inputs[0], step.params["condition"] is not None or step.params["stop"] is not None
    if isinstance(limit, Const) and limit.value != -1 and not left:
        return f"{limit.value} steps"
    if made is not None and times is not None:
        return f"{made:,} steps" if times == 1 else f"{made:,} steps in {times:,} runs"
    if isinstance(limit, Const) and limit.value != -1:
        return f"at most {limit.value} steps"
    if isinstance(limit, Var) and limit.name and not left:
        return f"as many steps as `{limit.name}` says"
    return "any number of steps"


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
