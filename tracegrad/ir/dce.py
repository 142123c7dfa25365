"""Results nobody reads, and the steps, carried values, stacks and operands that only they needed.

A trace goes in; a smaller one with the same outputs and the same guards comes out. Begin with `drop_unused`.

A loop is cut down as a whole: a carried value is needed when its final value is read, when the condition reads it,
or when the body needs it for something needed, which is a fixed point.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

from tracegrad.ir.trace import Atom, Guard, Instr, Step, Trace, Var
from tracegrad.ir.walk import has_guard


def drop_unused(trace: Trace) -> Trace:
    """Drop what nobody reads; a guard is a reader and always stays, and so does a loop or branch with a guard inside.

    Inputs and outputs of the trace itself stay as they are. The number of steps a loop did stays among its results.
    """
    needed = {a for a in trace.outputs if isinstance(a, Var)}
    kept: list[Step] = []
    for step in reversed(trace.steps):
        if not isinstance(step, Guard):
            if needed.isdisjoint(step.outputs) and not has_guard(step):
                continue
            if step.op.name == "branch":
                step = _smaller_branch(step, needed)
            elif step.op.name == "loop":
                step = _smaller_loop(step, needed)
        kept.append(step)
        needed.update([a for a in step.inputs if isinstance(a, Var)])
    kept.reverse()
    if len(kept) == len(trace.steps) and all(a is b for a, b in zip(kept, trace.steps, strict=True)):
        return trace
    return replace(trace, steps=tuple(kept))


def _picked(items: Iterable[Any], flags: Sequence[bool]) -> tuple[Any, ...]:
    return tuple(item for item, flag in zip(items, flags, strict=True) if flag)


def _reads(trace: Trace) -> Callable[[Atom], bool]:
    """Whether a variable is read in a trace from which the unused has been dropped."""
    read = {a for step in trace.steps for a in step.inputs}
    read.update(trace.outputs)
    return read.__contains__


def _smaller_branch(step: Instr, needed: set[Var]) -> Instr:
    wanted = [v in needed for v in step.outputs]

    def smaller(arm: Trace | None) -> Trace | None:
        return None if arm is None else drop_unused(replace(arm, outputs=_picked(arm.outputs, wanted)))

    before = step.params["arms"]
    arms = before if all(wanted) else tuple(map(smaller, before))
    arms = tuple(None if arm is None else drop_unused(arm) for arm in arms)
    used = [False] * (len(step.inputs) - 1)
    for arm in arms:
        if arm is not None:
            reads = _reads(arm)
            used = [flag or reads(v) for flag, v in zip(used, arm.inputs, strict=True)]
    if all(wanted) and all(used) and all(a is b for a, b in zip(arms, before, strict=True)):
        return step
    arms = tuple(None if arm is None else replace(arm, inputs=_picked(arm.inputs, used)) for arm in arms)
    params = {**step.params, "arms": arms, "names": _picked(step.params["names"], wanted)}
    inputs = (step.inputs[0], *_picked(step.inputs[1:], used))
    return Instr(step.op, inputs, _picked(step.outputs, wanted), params, step.location)


def _smaller_loop(step: Instr, needed: set[Var]) -> Instr:
    n, end = step.params["carried"], len(step.inputs) - step.params["sliced"]
    m = end - 1 - n
    stacks = [v in needed for v in step.outputs[1 + n :]]
    condition, stop = step.params["condition"], step.params["stop"]
    tested = [False] * (n + m)
    if condition is not None:
        condition = drop_unused(condition)
        tested = list(map(_reads(condition), condition.inputs[1:]))
    carried = [
        v in needed or test or k == stop
        for k, (v, test) in enumerate(zip(step.outputs[1 : 1 + n], tested, strict=False))
    ]
    body = step.params["body"]
    used = [*tested, *(False,) * step.params["sliced"]]
    while body is not None:
        smaller = drop_unused(replace(body, outputs=_picked(body.outputs, [*carried, *stacks])))
        reads = _reads(smaller)
        used = [reads(v) or test for v, test in zip(body.inputs[1:], [*tested, *used[n + m :]], strict=True)]
        grown = [a or b for a, b in zip(carried, used, strict=False)]
        if grown == carried:
            body = smaller if not all([*carried, *stacks]) or smaller.steps is not body.steps else body
            break
        carried = grown
    still, slices = used[n : n + m], used[n + m :]
    if condition is step.params["condition"] and body is step.params["body"] and all([*still, *slices]):
        return step
    flags = [*carried, *still]
    params = dict(step.params)
    if condition is not None:
        params["condition"] = replace(condition, inputs=_picked(condition.inputs, [True, *flags]))
    if body is not None:
        params["body"] = replace(body, inputs=_picked(body.inputs, [True, *flags, *slices]))
    if stop is not None:
        params["stop"] = sum(carried[:stop])
    params["carried"], params["sliced"] = sum(carried), sum(slices)
    params["names"] = _picked(params["names"], carried)
    inputs = (step.inputs[0], *_picked(step.inputs[1:], [*flags, *slices]))
    outputs = _picked(step.outputs, [True, *carried, *stacks])
    return Instr(step.op, inputs, outputs, params, step.location)
