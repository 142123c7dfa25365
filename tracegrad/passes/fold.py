"""What is known before the program runs: steps on constants, conditions that are constants.

A trace goes in; one comes out with those steps computed, decided branches replaced by their arm, and guards on
constants that hold left out. Types stay as they are: what stood for a variable is never a weak number. Begin with
`fold`.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tracegrad.ir.close import substitute, substituted
from tracegrad.ir.interpret import holds
from tracegrad.ir.trace import Atom, Const, Guard, Instr, Step, Trace, Var
from tracegrad.ir.walk import map_nested
from tracegrad.passes.rewrite import evaluate_constant, inlined

LARGEST = 16
"""Results with more items stay steps, so that the text shows how they are made and not what they are."""


def fold(trace: Trace) -> Trace:
    """Compute now what depends on constants alone, in the trace and in the traces it holds.

    A result is folded when it is small and not larger than what it is made of (`zeros` and `broadcast_to` stay).
    A guard on a constant that does not hold stays: the program must be left there.
    """
    stands: dict[Var, Atom] = {}
    steps: list[Step] = []
    waiting = list(reversed(trace.steps))
    changed = False
    while waiting:
        before = waiting.pop()
        step = substitute(before, stands)
        if isinstance(step, Guard):
            if isinstance(step.condition, Const) and holds(step.condition.value, step.expected):
                changed = True
                continue
        elif step.op.family == "control":
            arm = _decided(step)
            if arm is not None:
                arm_steps, outputs = inlined(arm, step.inputs[1:])
                stands.update(zip(step.outputs, outputs, strict=True))
                waiting.extend(reversed(arm_steps))
                changed = True
                continue
            step = map_nested(step, fold)
        else:
            known = _known(step)
            if known is not None:
                stands[step.outputs[0]] = known
                changed = True
                continue
        changed = changed or step is not before
        steps.append(step)
    if not changed:
        return trace
    return replace(trace, steps=tuple(steps), outputs=tuple(substituted(a, stands) for a in trace.outputs))


def _decided(step: Instr) -> Trace | None:
    """The arm a branch on a constant takes, if it is known."""
    if step.op.name != "branch" or not isinstance(step.inputs[0], Const):
        return None
    arms: tuple[Trace | None, Trace | None] = step.params["arms"]
    return arms[0] if step.inputs[0].value else arms[1]


def _known(step: Instr) -> Const | None:
    """The value of a step on constants, with the type of its variable."""
    variable = step.outputs[0]
    if not step.inputs or len(step.outputs) != 1 or not all(isinstance(a, Const) for a in step.inputs):
        return None
    size = variable.type.size
    if size > LARGEST or (size > 1 and size > max(a.type.size for a in step.inputs)):
        return None
    value = evaluate_constant(step.op, step.inputs, step.params)  # type: ignore[arg-type]
    if value is None:
        return None
    array = np.array(value, variable.dtype)
    if array.shape != variable.shape:
        return None
    return Const(array if array.shape else array[()])
