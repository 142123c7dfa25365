"""The known paths of a function as text: a tree with the user's conditions and lines.

Trace trees go in, lines come out; nothing is decided here. Begin with `paths_text`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tracegrad.dispatch.tree import Path, TraceTree
from tracegrad.ir.location import Location
from tracegrad.ir.trace import Const, Guard, Instr, Step, Trace


def paths_text(trees: Mapping[Any, TraceTree]) -> str:
    """One block a signature, one entry a path, one line a fork."""
    lines: list[str] = []
    for tree in trees.values():
        if not tree.paths and tree.on_tape is None:
            continue
        if lines:
            lines.append("")
        if tree.on_tape is not None:
            lines.append(f"on the tape: {tree.on_tape}")
        numbers = {path: number for number, path in enumerate(sorted(tree.paths, key=lambda p: p.born), 1)}
        for path, number in numbers.items():
            lines.extend(_path(path, number, numbers))
    return "\n".join(lines)


def _path(path: Path, number: int, numbers: Mapping[Path, int]) -> list[str]:
    trace = path.captured.trace
    inputs = ", ".join(f"{v.name or '_'}: {v.type}" for v in trace.inputs)
    tier = "native" if path.built.native is not None else "NumPy"
    calls = f"{path.calls} call{'' if path.calls == 1 else 's'} in the general way"
    lines = [f"path {number}: {trace.name}({inputs}), {tier}, {calls}"]
    exits = {
        path.built.guards[k].location: numbers[other]
        for k, other in path.exits.items()
        if other in numbers and k < len(path.built.guards)
    }
    lines.extend(_forks(trace, exits, "  "))
    return lines


def _forks(trace: Trace, exits: Mapping[Location | None, int], indent: str) -> list[str]:
    lines: list[str] = []
    for step in trace.steps:
        lines.extend(_fork(step, exits, indent))
    return lines


def _fork(step: Step, exits: Mapping[Location | None, int], indent: str) -> list[str]:
    where = "" if step.location is None else f"line {step.location.line}: {step.location.text}"
    if isinstance(step, Guard):
        other = f", otherwise path {exits[step.location]}" if step.location in exits else ""
        return [f"{indent}{where}  -> {_short(step.expected)}{other}"]
    if not isinstance(step, Instr) or step.op.family != "control":
        return []
    if step.op.name == "branch":
        return _branch(step, where, exits, indent)
    body = step.params["body"]
    limit = step.inputs[0]
    if step.params["condition"] is not None:
        often = "a loop, as often as the condition says"
    elif step.params["stop"] is not None:
        often = "a loop, until it is left"
    else:
        often = f"a loop, {limit.value} times" if isinstance(limit, Const) else "a loop"
    if body is None:
        often = "never entered so far"
    lines = [f"{indent}{where}  -> {often}"]
    return lines if body is None else lines + _forks(body, exits, indent + "  ")


def _branch(step: Instr, where: str, exits: Mapping[Location | None, int], indent: str) -> list[str]:
    arms = step.params["arms"]
    if None not in arms:
        lines = [f"{indent}{where}  -> both arms"]
    else:
        taken = arms[1] is None
        other = f", otherwise path {exits[step.location]}" if step.location in exits else ""
        lines = [f"{indent}{where}  -> {taken} so far{other}"]
    for outcome, arm in zip((True, False), arms, strict=True):
        inner = [] if arm is None else _forks(arm, exits, indent + "    ")
        if inner:
            lines.extend([f"{indent}  {outcome}:", *inner])
    return lines


def _short(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 40 else f"{shown[:37]}..."
