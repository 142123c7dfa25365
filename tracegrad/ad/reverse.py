"""The one reverse sweep: cotangents carried backward through executed steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tracegrad.ad.cotangents import Cotangents
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
        if op.family == "control":
            contributions = op.vjp(g, z, *inputs, active=flags, **step.params)
        elif op.partials is not None:
            contributions = op.vjp(g[0], z[0], *inputs, active=flags)
        elif op.n_outputs == 1:
            contributions = op.vjp(g[0], z[0], *inputs, **step.params)
        else:
            contributions = op.vjp(tuple(g), tuple(z), *inputs, **step.params)
        for atom, flag, term in zip(step.inputs, flags, contributions, strict=True):
            if flag and term is not None and isinstance(atom, Var):
                sums.add(atom, term)
    builder.location = None
    return sums.all()
