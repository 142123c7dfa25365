"""Activity analysis: which variables can carry a derivative."""

from __future__ import annotations

from collections.abc import Iterable

from tracegrad.ir.trace import Instr, Trace, Var


def active_variables(trace: Trace, active_inputs: Iterable[Var]) -> set[Var]:
    """The variables of a trace that depend, with a derivative, on the active inputs.

    A result is active when its type can carry a derivative, its op has not a zero derivative everywhere, and one of its
    inputs is active. Loops and branches count as one step: each inexact result depends on each input.
    """
    active = {v for v in active_inputs if v.type.is_inexact}
    for step in trace.steps:
        if isinstance(step, Instr) and not step.op.passes_zero and not active.isdisjoint(step.inputs):
            active.update(v for v in step.outputs if v.type.is_inexact)
    return active
