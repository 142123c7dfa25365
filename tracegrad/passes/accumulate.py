"""Sums that a loop collects from zero go on from what they are added to afterwards.

    t = loop(n, zeros, ...):            t = loop(n, s, ...):
      t -> index_add(t, k, g)      ->     t -> index_add(t, k, g)
    u = add(s, t)                       (t stands for u)

The reverse of a loop in a loop is like this: without it each outer step would make an array of zeros, fill a part of
it, and add all of it. What they are added to is computed before the loop, if it can be. Begin with `accumulate`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

from tracegrad.ir.close import substitute, substituted
from tracegrad.ir.trace import Atom, Instr, Step, Trace, Var
from tracegrad.ir.walk import has_control, map_control, use_counts
from tracegrad.ops.arithmetic import add, subtract
from tracegrad.ops.index import index_add
from tracegrad.passes.structure import is_zeros

FEW = 4  # steps that are computed earlier than written


def accumulate(trace: Trace) -> Trace:
    """Let arrays that start as zeros, are only added to and are then added to another start as that one."""
    if not has_control(trace):
        return trace
    trace = map_control(trace, accumulate)
    steps: list[Step] = list(trace.steps)
    counts = use_counts(trace)
    made = {v: step for step in steps if isinstance(step, Instr) for v in step.outputs}
    places: dict[Var, float] = {v: k for k, step in enumerate(steps) for v in step.outputs}
    numbers = {v: k for k, step in enumerate(steps) for v in step.outputs}
    moved: dict[int, float] = {}
    stands: dict[Var, Atom] = {}
    dropped: set[int] = set()
    for k, step in enumerate(steps):
        if not isinstance(step, Instr) or step.op is not add or not step.outputs[0].shape:
            continue
        current = substitute(step, stands)
        for total, start in (current.inputs, current.inputs[::-1]):
            first = _zero_start(total, made, counts) if total.type == step.outputs[0].type else None
            if first is None or start.type != total.type:
                continue
            at, place = first
            there = places[at.outputs[0]]
            later = _made_later(start, there, made, places)
            if later is None:
                continue
            for other in later:
                moved[numbers[other.outputs[0]]] = there - 0.5
                places.update(dict.fromkeys(other.outputs, there - 0.5))
            inputs = (*at.inputs[:place], start, *at.inputs[place + 1 :])
            new = replace(at, inputs=inputs)
            steps[numbers[at.outputs[0]]] = new
            made.update(dict.fromkeys(new.outputs, new))
            stands[step.outputs[0]] = total
            if isinstance(total, Var):
                counts[total] += counts[step.outputs[0]] - 1
            dropped.add(k)
            break
    if not dropped:
        return trace
    order = sorted((k for k in range(len(steps)) if k not in dropped), key=lambda k: (moved.get(k, k), k))
    kept = tuple(substitute(steps[k], stands) for k in order)
    return replace(trace, steps=kept, outputs=tuple(substituted(a, stands) for a in trace.outputs))


def _made_later(
    start: Atom, place: float, made: Mapping[Var, Instr], places: Mapping[Var, float]
) -> list[Instr] | None:
    """The few elementwise steps that make a value and stand after a place; None where others or more do, or where it is
    made of what is made there."""
    found: dict[Instr, None] = {}
    waiting = [start]
    while waiting:
        atom = waiting.pop()
        if not isinstance(atom, Var) or places.get(atom, -1.0) < place:
            continue
        step = made[atom]
        if step in found:
            continue
        if places[atom] == place or step.op.family != "elementwise" or len(found) == FEW:
            return None
        found[step] = None
        waiting.extend(step.inputs)
    return list(found)


def _zero_start(atom: Atom, made: Mapping[Var, Instr], counts: Counter[Var]) -> tuple[Instr, int] | None:
    """The step, and which of its inputs, where zeros start that this is the sum of additions to; a loop among them."""
    through_loop = False
    while isinstance(atom, Var) and counts[atom] == 1 and atom in made:
        step = made[atom]
        if step.op is index_add:
            place = 0
        elif step.op.name == "loop" and atom in step.outputs[1 : 1 + step.params["carried"]]:
            place = step.outputs.index(atom)
            if not _collects(step, place):
                return None
            through_loop = True
        else:
            return None
        atom = step.inputs[place]
        if through_loop and is_zeros(atom, made):
            return step, place
    return None


def _collects(loop: Instr, place: int) -> bool:
    """Whether a loop only adds to the value it carries at this place, and nothing else reads it."""
    condition, body = loop.params["condition"], loop.params["body"]
    if condition is not None and use_counts(condition)[condition.inputs[place]]:
        return False
    return body is not None and only_added_to(body, body.inputs[place], body.outputs[place - 1])


def only_added_to(trace: Trace, start: Var, end: Atom) -> bool:
    """Whether `end` is `start` with something added, and neither it nor what lies between is read by anybody else."""
    counts = use_counts(trace)
    made = {v: step for step in trace.steps if isinstance(step, Instr) for v in step.outputs}
    waiting = [end]
    while waiting:
        atom = waiting.pop()
        if not isinstance(atom, Var) or counts[atom] != 1:
            continue
        if atom is start:
            return True
        step = made.get(atom)
        if step is None:
            continue
        if step.op is add:
            waiting.extend(a for a in step.inputs if a.type == atom.type)
        elif step.op in (index_add, subtract):
            waiting.append(step.inputs[0])
        elif step.op.name == "loop" and atom in step.outputs[1 : 1 + step.params["carried"]]:
            place = step.outputs.index(atom)
            if _collects(step, place):
                waiting.append(step.inputs[place])
        elif step.op.name == "branch" and None not in step.params["arms"]:
            k = step.outputs.index(atom)
            for place, operand in enumerate(step.inputs[1:]):
                if all(only_added_to(arm, arm.inputs[place], arm.outputs[k]) for arm in step.params["arms"]):
                    waiting.append(operand)
    return False
