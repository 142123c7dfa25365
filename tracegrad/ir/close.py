"""Cutting a block of steps out as a closed trace, and copying steps with other variables.

A block that is being recorded reads variables of the block around it. `closed` makes a trace of it that
reads its own inputs alone, as loops and branches need. Begin there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from tracegrad.ir.trace import Atom, Guard, Instr, Step, Trace, Var


def substituted(atom: Atom, names: Mapping[Var, Atom]) -> Atom:
    """The atom that stands for `atom`, following chains of replacements."""
    while isinstance(atom, Var) and atom in names:
        atom = names[atom]
    return atom


def substitute(step: Step, names: Mapping[Var, Atom]) -> Step:
    """The step reading other atoms; nested traces are closed and stay as they are."""
    if isinstance(step, Guard):
        found = substituted(step.condition, names)
        return step if found is step.condition else replace(step, condition=found)
    if not names or not any(isinstance(a, Var) and a in names for a in step.inputs):
        return step
    inputs = tuple([substituted(a, names) for a in step.inputs])
    return Instr(step.op, inputs, step.outputs, step.params, step.location)


def renewed(steps: Iterable[Step], names: Mapping[Var, Atom]) -> tuple[list[Step], dict[Var, Atom]]:
    """A copy of steps with fresh results; returns it with the grown replacements."""
    grown = dict(names)
    copies: list[Step] = []
    for step in steps:
        step = substitute(step, grown)
        if isinstance(step, Instr):
            fresh = tuple(Var(v.type, v.name) for v in step.outputs)
            grown.update(zip(step.outputs, fresh, strict=True))
            step = replace(step, outputs=fresh)
        copies.append(step)
    return copies, grown


def free_variables(steps: Sequence[Step], outputs: Sequence[Atom], bound: Iterable[Var] = ()) -> list[Var]:
    """Variables read by a block and made outside, in order of their first reading."""
    known = set(bound)
    free: dict[Var, None] = {}

    def read(atoms: Iterable[Atom]) -> None:
        for atom in atoms:
            if isinstance(atom, Var) and atom not in known:
                free[atom] = None

    for step in steps:
        read(step.inputs)
        known.update(step.outputs)
    read(outputs)
    return list(free)


def closed(
    steps: Sequence[Step],
    outputs: Sequence[Atom],
    bound: Sequence[Var],
    free: Sequence[Var],
    name: str = "block",
) -> Trace:
    """A trace of a block, with inputs for `bound` (kept) and for `free` (fresh variables in their place)."""
    inner = {v: Var(v.type, v.name) for v in free}
    return Trace(
        (*bound, *(inner[v] for v in free)),
        tuple(substitute(step, inner) for step in steps),
        tuple(substituted(a, inner) for a in outputs),
        name,
    )


def copied(trace: Trace) -> Trace:
    """The same trace in fresh variables."""
    inputs = tuple(Var(v.type, v.name) for v in trace.inputs)
    steps, names = renewed(trace.steps, dict(zip(trace.inputs, inputs, strict=True)))
    return Trace(inputs, tuple(steps), tuple(substituted(a, names) for a in trace.outputs), trace.name)
