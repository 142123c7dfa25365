"""The one reverse sweep: cotangents carried backward through executed steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tracegrad.ad.cotangents import Cotangents
from tracegrad.errors import NotDifferentiableError
from tracegrad.ir.trace import Instr, Step, Var
from tracegrad.ops.symbol import Builder


def pull_back(
    steps: Sequence[Step],
    values: Mapping[Var, Any],
    cotangents: Mapping[Var, Any],
    builder: Builder,
    active: set[Var],
) -> dict[Var, Any]:
    """Carry cotangents backward through executed steps.

    Parameters
    ----------
    steps : sequence of Instr and Guard, in execution order; guards were checked on the way and carry nothing
    values : dict of Var to Symbol, the primal of every variable in `steps`
    cotangents : dict of Var to Symbol, seeds; shape and dtype of their variable
    builder : Builder
        What the symbols write to; each step written here gets the location of the step it reverses.
    active : set of Var
        Variables that can carry a derivative; no cotangent is made for others.

    Returns
    -------
    dict of Var to Symbol, shape and dtype of the primal; absent means zero

    Raises
    ------
    NotDifferentiableError : an active path meets an op declared without a derivative

    References
    ----------
    Griewank and Walther, Evaluating Derivatives, 2nd ed., SIAM 2008, chapter 3.
    """
    sums = Cotangents(cotangents, builder)

    for step in reversed(steps):
        if not isinstance(step, Instr):
            continue
        op = step.op
        flags = [a in active for a in step.inputs]
        if op.passes_zero or True not in flags:
            continue
        builder.location = step.location
        g = [sums.sum(v) if v in active else None for v in step.outputs]
        if all(bar is None for bar in g):
            continue
        if op.vjp is None:
            raise op.refuse(step.location)
        inputs = [values[a] if isinstance(a, Var) else builder.symbol(a) for a in step.inputs]
        z = [values[v] for v in step.outputs]
        try:
            contributions = _contributions(step, g, z, inputs, flags)
        except NotDifferentiableError as error:  # an argument of the op has no derivative
            error.where = error.where or step.location
            raise
        for atom, flag, term in zip(step.inputs, flags, contributions, strict=True):
            if flag and term is not None and isinstance(atom, Var):
                sums.add(atom, term)
    builder.location = None
    return sums.all()


def _contributions(
    step: Instr, g: Sequence[Any], z: Sequence[Any], inputs: Sequence[Any], flags: Sequence[bool]
) -> Sequence[Any]:
    """What a step adds to the cotangents of its inputs."""
    op = step.op
    assert op.vjp is not None
    if op.family == "control":
        return op.vjp(g, z, *inputs, active=flags, **step.params)
    if op.family == "called":
        return op.vjp(g[0], z[0], *inputs, active=flags, **step.params)
    if op.partials is not None:
        return op.vjp(g[0], z[0], *inputs, active=flags)
    if op.n_outputs == 1:
        return op.vjp(g[0], z[0], *inputs, **step.params)
    return op.vjp(tuple(g), tuple(z), *inputs, **step.params)
