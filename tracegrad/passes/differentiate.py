"""Trace to the trace of its derivative: the primal steps, then what the sweep writes.

The results are traces like any other: differentiate them again for higher orders. Begin with `reverse_mode`.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

import numpy as np

from tracegrad.ad.activity import active_variables
from tracegrad.ad.blocks import inline, results_of, write
from tracegrad.ad.forward import push_forward
from tracegrad.ad.loop import loop
from tracegrad.ad.reverse import pull_back
from tracegrad.errors import NotDifferentiableError
from tracegrad.ir.trace import Atom, Const, Step, Trace, Var
from tracegrad.ir.types import ArrayType
from tracegrad.ops.index import Slot, index_set, zeros
from tracegrad.ops.shape import reshape, transpose
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


def jacobians(trace: Trace, wrt: Sequence[int], seeded: Sequence[int]) -> Trace:
    """The trace of the derivatives of each item of an output by each item of the inputs.

    A loop over the items of the output pulls each back, or loops over those of the inputs push each forward, if there
    are no more of these. What does not depend on the item is computed before the loop.

    Parameters
    ----------
    trace : Trace, without one-armed branches
    wrt : places of the inputs to differentiate by
    seeded : the place of the output; none for a number that never changes

    Returns
    -------
    Trace
        Inputs: those of `trace`. Outputs: those of `trace`, then for each of `wrt` an array of the shape of the output
        followed by that of the input.
    """
    inputs = [trace.inputs[i].type for i in wrt]
    y = trace.outputs[seeded[0]].type if seeded else ArrayType((), np.dtype(np.int64))
    if not y.is_inexact:
        builder = Builder()
        zero = [_typed(None, ArrayType(y.shape + x.shape, x.dtype), builder) for x in inputs]
        outputs = (*trace.outputs, *map(builder.atom, zero))
        return replace(trace, steps=(*trace.steps, *builder.steps), outputs=outputs)
    if _are_columns_fewer(y, inputs):
        with suppress(NotDifferentiableError):  # a function of the user's may have a pullback alone
            return _by_columns(trace, wrt, seeded[0])
    builder, count = Builder(), len(trace.outputs)
    joint = reverse_mode(trace, wrt, seeded)
    rows = _of_each_item(builder, joint.steps, joint.inputs[-1], joint.outputs[count:])
    found = [reshape(r, shape=y.shape + x.shape) for r, x in zip(rows, inputs, strict=True)]
    outputs = (*joint.outputs[:count], *map(builder.atom, found))
    return replace(trace, steps=tuple(builder.steps), outputs=outputs)


def _by_columns(trace: Trace, wrt: Sequence[int], output: int) -> Trace:
    builder, y, outputs = Builder(), trace.outputs[output].type, list(trace.outputs)
    builder.steps = list(trace.steps)
    for place in wrt:
        joint, x = forward_mode(trace, [place]), trace.inputs[place].type
        steps, dot = joint.steps[len(trace.steps) :], joint.outputs[len(trace.outputs) + output]
        columns = reshape(*_of_each_item(builder, steps, joint.inputs[-1], [dot]), shape=(x.size, y.size))
        found: Symbol = reshape(transpose(columns, axes=(1, 0)), shape=y.shape + x.shape)
        outputs.append(builder.atom(found))
    return replace(trace, steps=tuple(builder.steps), outputs=tuple(outputs))


def _are_columns_fewer(y: ArrayType, inputs: Sequence[ArrayType]) -> bool:
    """Of complex numbers, and of mixed types, the derivative is what the reverse sweep says."""
    real = y.dtype.kind == "f" and all(type.dtype == y.dtype for type in inputs)
    return real and -1 not in y.shape and sum(type.size for type in inputs) <= y.size != 1


def _of_each_item(
    builder: Builder, steps: Sequence[Step], seed: Var, made: Sequence[Atom]
) -> tuple[Symbol, ...]:
    """What steps make of a seed that is zero but for one item, for each of its items: a loop that stacks it."""
    moving, inside = {seed}, list[Step]()
    for step in steps:
        if moving.isdisjoint(step.inputs):
            builder.steps.append(step)
        else:
            inside.append(step)
            moving.update(step.outputs)
    shape, length, one = seed.type.shape, seed.type.size, seed.type.dtype.type(1)
    read = dict.fromkeys(a for step in inside for a in step.inputs if isinstance(a, Var))
    read.update(dict.fromkeys(a for a in made if isinstance(a, Var)))
    given = [v for v in read if v not in moving]
    closed = Trace((seed, *given), tuple(inside), tuple(made))
    if length == 1:
        unit = builder.symbol(Const(np.ones(shape, one.dtype) if shape else one))
        return tuple(
            results_of(closed, inline(builder, closed, [unit, *map(builder.symbol, given)]), builder)
        )
    body = Builder(builder.level + 1)
    number, *own = (body.input(v.type, v.name) for v in (Var(ArrayType((), np.dtype(np.int64)), "k"), *given))
    zero = _typed(None, ArrayType((length,), seed.type.dtype), body)
    unit = reshape(index_set(zero, number, one, index=(Slot(0),)), shape=shape)
    results = results_of(closed, inline(body, closed, [unit, *own]), body)
    params = {"condition": None, "stop": None, "carried": 0, "sliced": 0, "reverse": False, "names": ()}
    return write(
        builder,
        loop,
        [builder.constant(np.int64(length)), *map(builder.symbol, given)],
        {**params, "body": body.trace([number, *own], results)},
    )[1:]


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
