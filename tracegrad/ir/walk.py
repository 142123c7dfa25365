"""Questions that many ask of a trace: its nested traces, its guards in order, how often a variable is read.

Traces go in; dictionaries and lists come out, and nothing is changed. Begin with `nested`: it alone knows which
parameters of a step are traces, so everything that goes into loops and branches goes through it, or through
`map_nested`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from tracegrad.ir.trace import Guard, Instr, Step, Trace, Var


def nested(step: Step) -> tuple[Trace, ...]:
    """The traces a step holds, in the order of their guards: condition, body; or the arms, true and false."""
    if isinstance(step, Guard):
        return ()
    found: list[Trace] = []
    for value in step.params.values():
        if isinstance(value, Trace):
            found.append(value)
        elif type(value) is tuple:
            found.extend(item for item in value if isinstance(item, Trace))
    if len(found) == 2 and found[1] is step.params.get("condition"):
        found.reverse()
    return tuple(found)


def map_nested(step: Instr, change: Callable[[Trace], Trace]) -> Instr:
    """The step with `change` applied to each trace it holds; the step itself when nothing changed."""
    params: dict[str, Any] = {}
    changed = False
    for key, value in step.params.items():
        new = value
        if isinstance(value, Trace):
            new = change(value)
        elif type(value) is tuple and any(isinstance(item, Trace) for item in value):
            new = tuple(change(item) if isinstance(item, Trace) else item for item in value)
            if all(a is b for a, b in zip(new, value, strict=True)):
                new = value
        changed = changed or new is not value
        params[key] = new
    return replace(step, params=params) if changed else step


def map_control(trace: Trace, change: Callable[[Trace], Trace]) -> Trace:
    """The trace with `change` applied to the traces that its loops and branches hold; itself when nothing changed."""
    steps = tuple(
        map_nested(step, change) if isinstance(step, Instr) and step.op.family == "control" else step
        for step in trace.steps
    )
    changed = any(a is not b for a, b in zip(steps, trace.steps, strict=True))
    return replace(trace, steps=steps) if changed else trace


def has_control(trace: Trace) -> bool:
    """Whether there are loops or branches among the steps."""
    return any(isinstance(step, Instr) and step.op.family == "control" for step in trace.steps)


def all_steps(trace: Trace) -> Iterator[Step]:
    """Every step, depth first: a step, then those of the traces it holds."""
    for step in trace.steps:
        yield step
        for inner in nested(step):
            yield from all_steps(inner)


def guards(trace: Trace) -> list[Guard]:
    """The guards in the order of their exit numbers."""
    return [step for step in all_steps(trace) if isinstance(step, Guard)]


def has_guard(step: Step) -> bool:
    """Whether running the step can leave the program: a guard, or a loop or branch with one inside."""
    return isinstance(step, Guard) or any(has_guard(s) for inner in nested(step) for s in inner.steps)


def without_guards(trace: Trace) -> Trace:
    """The trace with its guards left out, and those of the traces it holds: for repeating what was checked before."""
    steps = tuple(map_nested(step, without_guards) for step in trace.steps if isinstance(step, Instr))
    unchanged = len(steps) == len(trace.steps) and all(
        a is b for a, b in zip(steps, trace.steps, strict=True)
    )
    return trace if unchanged else replace(trace, steps=steps)


def use_counts(trace: Trace) -> Counter[Var]:
    """How often each variable is read, by steps and as an output of the trace."""
    counts: Counter[Var] = Counter(a for step in trace.steps for a in step.inputs if isinstance(a, Var))
    counts.update(a for a in trace.outputs if isinstance(a, Var))
    return counts
