"""Trace to the trace of its derivative: the primal steps, then what the sweep writes.

The results are traces like any other: differentiate them again for higher orders. Begin with `reverse_mode`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tracegrad.ad.activity import active_variables
from tracegrad.ad.forward import push_forward
from tracegrad.ad.reverse import pull_back
from tracegrad.ir.trace import Atom, Const, Trace, Var
from tracegrad.ir.types import ArrayType
from tracegrad.ops.index import zeros
from tracegrad.ops.symbol import Builder, Symbol


def reverse_mode(trace: Trace, wrt: Sequence[int], seeded: Sequence[int], unit_seed: bool = False) -> Trace:
    """The trace of value and gradients.

    Parameters
    ----------
    trace : Trace, without one-armed branches
    wrt : places of the inputs to differentiate by
    seeded : places of the outputs that have a cotangent
    unit_seed : bool
        The cotangent of the only seeded output, which is one number, is 1; otherwise each is a further input of the
        result.

    Returns
    -------
    Trace
        Inputs: those of `trace`, then the cotangents. Outputs: those of `trace`, then a gradient for each of `wrt`,
        with the type of its input (zeros where there is no dependence).
    """
    builder, values = _replay(trace)
    seeds: dict[Var, Symbol] = {}
    given: list[Symbol] = []
    for place in seeded:
        output = trace.outputs[place]
        if unit_seed:
            one = np.ones(output.type.shape, output.type.dtype)[()]
            seed = builder.constant(1.0 if output.type == ArrayType((), np.dtype(np.float64)) else one)
        else:
            # One name for the cotangent of a result, whatever the result is called.
            seed = builder.input(output.type, "out_bar" if len(seeded) == 1 else f"out{len(given)}_bar")
            given.append(seed)
        if isinstance(output, Var):
            seeds[output] = seed if output not in seeds else seeds[output] + seed
    inputs = [trace.inputs[i] for i in wrt]
    found = pull_back(list(builder.steps), values, seeds, builder, active_variables(trace, inputs))
    gradients = [_typed(found.get(v), v.type, builder) for v in inputs]
    return Trace(
        (*trace.inputs, *map(_variable, given)),
        tuple(builder.steps),
        (*trace.outputs, *(builder.atom(g) for g in gradients)),
        trace.name,
    )


def forward_mode(trace: Trace, wrt: Sequence[int]) -> Trace:
    """The trace of value and tangents.

    Returns
    -------
    Trace
        Inputs: those of `trace`, then a tangent for each of `wrt`. Outputs: those of `trace`, then a tangent for each
        (zeros where there is no dependence or the output carries no derivative).
    """
    builder, values = _replay(trace)
    inputs = [trace.inputs[i] for i in wrt]
    given = [builder.input(v.type, f"{v.name}_dot" if v.name else None) for v in inputs]
    steps, builder.steps = builder.steps, []
    dots = push_forward(steps, values, dict(zip(inputs, given, strict=True)), builder)
    tangents = [_typed(dots.get(a) if isinstance(a, Var) else None, a.type, builder) for a in trace.outputs]
    return Trace(
        (*trace.inputs, *map(_variable, given)),
        (*steps, *builder.steps),
        (*trace.outputs, *(builder.atom(t) for t in tangents)),
        trace.name,
    )


def _replay(trace: Trace) -> tuple[Builder, dict[Var, Symbol]]:
    """A builder that has written the primal steps, and the symbol of each variable."""
    builder = Builder()
    builder.steps = list(trace.steps)
    values = {v: builder.symbol(v) for v in trace.inputs}
    for step in builder.steps:
        values.update((v, builder.symbol(v)) for v in step.outputs)
    return builder, values


def _typed(value: Symbol | None, type: ArrayType, builder: Builder) -> Symbol:
    """A derivative in the type of its variable; zeros for an absent one."""
    if value is None:
        if not type.shape:
            return builder.constant(type.dtype.type(0))
        made: Symbol = builder.apply(zeros, (), {"shape": type.shape, "dtype": type.dtype})
        return made
    if isinstance(value.atom, Const) and value.atom.type.dtype != type.dtype:
        return builder.constant(np.asarray(value.atom.value, type.dtype)[()])
    return value


def _variable(symbol: Symbol) -> Var:
    atom: Atom = symbol.atom
    assert isinstance(atom, Var)
    return atom
