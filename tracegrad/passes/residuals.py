"""Cutting the trace of value and gradient in two: a forward trace, and a backward trace that reads its residuals.

Forward is what the results and the guards need; everything else is backward. A residual is a primal that a backward
step reads; one that is cheaper to compute again than to keep (a scalar read out of a kept array, a view, a
comparison) is computed again. Begin with `split`.
"""

from __future__ import annotations

from collections.abc import Container, Mapping

from tracegrad.ir.trace import Atom, Instr, Step, Trace, Var
from tracegrad.ir.walk import has_guard

_CHEAP = {
    *("getitem", "transpose", "reshape", "squeeze", "expand_dims", "broadcast_to", "windows"),
    *("negative", "zeros"),
}


def split(joint: Trace, outputs: int, cotangents: int) -> tuple[Trace, Trace]:
    """Forward and backward traces of a joint one.

    Parameters
    ----------
    joint : Trace
        As `differentiate.reverse_mode` makes it.
    outputs : int
        How many of the first outputs are results; the others are gradients.
    cotangents : int
        How many of the last inputs are cotangents.

    Returns
    -------
    forward : Trace
        The primal inputs to (results..., residuals...).
    backward : Trace
        (residuals..., cotangents...) to gradients.
    """
    end = len(joint.inputs) - cotangents
    primal, bars = joint.inputs[:end], joint.inputs[end:]
    needed: set[object] = {a for a in joint.outputs[:outputs] if isinstance(a, Var)}
    forward: list[Step] = []
    backward: list[Step] = []
    for step in reversed(joint.steps):
        if has_guard(step) or needed.intersection(step.outputs):
            forward.append(step)
            needed.update(step.inputs)
        else:
            backward.append(step)
    forward.reverse()
    backward.reverse()
    gradients = joint.outputs[outputs:]
    backward, residuals = _residuals(forward, backward, gradients, set(bars))
    return (
        Trace(primal, tuple(forward), (*joint.outputs[:outputs], *residuals), joint.name),
        Trace((*residuals, *bars), tuple(backward), gradients, joint.name),
    )


def _residuals(
    forward: list[Step], backward: list[Step], gradients: tuple[Atom, ...], bars: set[Var]
) -> tuple[list[Step], list[Var]]:
    """The backward steps, with cheap primals computed again, and what they read of the forward."""
    makers = {v: step for step in forward for v in step.outputs}
    kept = set(_read_outside(backward, gradients, bars))
    again: set[Step] = set()
    for variable in kept:
        again.update(_again(variable, makers, kept) or ())
    steps = [*(step for step in forward if step in again), *backward]
    return steps, _read_outside(steps, gradients, bars)


def _again(variable: Var, makers: Mapping[Var, Step], kept: Container[Var]) -> list[Step] | None:
    """The cheap steps that compute a primal from others that are kept; None where there is no such way."""
    maker = makers.get(variable)
    if not isinstance(maker, Instr) or maker.op.name not in _CHEAP:
        return None
    steps: list[Step] = [maker]
    for source in maker.inputs:
        if isinstance(source, Var) and source not in kept:
            before = _again(source, makers, kept)
            if before is None:
                return None
            steps.extend(before)
    return steps


def _read_outside(steps: list[Step], outputs: tuple[Atom, ...], bars: set[Var]) -> list[Var]:
    """Variables that steps and outputs read and do not make, in order of their first reading."""
    known = set(bars)
    free: dict[Var, None] = {}
    for step in steps:
        for atom in step.inputs:
            if isinstance(atom, Var) and atom not in known:
                free[atom] = None
        known.update(step.outputs)
    for atom in outputs:
        if isinstance(atom, Var) and atom not in known:
            free[atom] = None
    return list(free)
