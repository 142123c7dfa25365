"""What the rules of loops and branches share: a loop's parts, copying a trace into another, stacking more.

Begin with `Loop`, which names the parts of a loop's flat list of inputs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tracegrad.ad.activity import active_variables
from tracegrad.ad.reverse import pull_back
from tracegrad.ir.trace import Const, Instr, Trace, Var
from tracegrad.ir.types import ArrayType
from tracegrad.ir.walk import map_nested, without_guards
from tracegrad.ops.families import cast
from tracegrad.ops.index import zeros
from tracegrad.ops.op import Op
from tracegrad.ops.symbol import Builder, Symbol

UNKNOWN = -1  # first dimension of a stack: a length known only at run time


@dataclass(frozen=True, slots=True)
class Loop:
    """The inputs of a loop by role, cut out of its flat list.

    The inputs of its body stand in the same places, with the counter where the loop has its limit.
    """

    limit: Any
    carried: tuple[Any, ...]
    invariants: tuple[Any, ...]
    sliced: tuple[Any, ...]

    @classmethod
    def of(cls, inputs: Sequence[Any], params: Mapping[str, Any]) -> Loop:
        carried, sliced = params["carried"], params["sliced"]
        end = len(inputs) - sliced
        return cls(
            inputs[0], tuple(inputs[1 : 1 + carried]), tuple(inputs[1 + carried : end]), tuple(inputs[end:])
        )


def steps_of(limit: Any, params: Mapping[str, Any]) -> int:
    """How many steps a loop with this limit makes, `UNKNOWN` where only a run tells."""
    leaves = params["condition"] is not None or params["stop"] is not None
    return UNKNOWN if leaves or not isinstance(limit, Const) else int(limit.value)


def stack_type(type: ArrayType, steps: int) -> ArrayType:
    """The type of a stack of values of this type."""
    return ArrayType((steps, *type.shape), type.dtype)


def with_invariants(loop: Instr, inside: Sequence[Var], given: Sequence[Any]) -> Instr:
    """The loop, which is given more that it does not change: `inside` is what its body calls it."""
    end = len(loop.inputs) - loop.params["sliced"]

    def more(inputs: Sequence[Any], new: Sequence[Any]) -> tuple[Any, ...]:
        return (*inputs[:end], *new, *inputs[end:])

    body, test = loop.params["body"], loop.params["condition"]
    body = replace(body, inputs=more(body.inputs, inside))
    test = test and replace(test, inputs=more(test.inputs, [Var(v.type) for v in inside]))
    params = {**loop.params, "body": body, "condition": test}
    return replace(loop, inputs=more(loop.inputs, given), params=params)


def inline(
    builder: Builder, trace: Trace, inputs: Sequence[Symbol], guards: bool = False
) -> dict[Any, Symbol]:
    """Copy a trace's steps with fresh variables; returns the symbol of each of its variables.

    Names and locations are kept. Guards are left out unless asked for: a reverse sweep repeats what the forward
    checked.
    """
    values: dict[Any, Symbol] = dict(zip(trace.inputs, inputs, strict=True))

    def atom(a: Any) -> Any:
        return values[a].atom if isinstance(a, Var) else a

    for step in trace.steps:
        if isinstance(step, Instr):
            outputs = tuple(Var(v.type, v.name) for v in step.outputs)
            copy = step if guards else map_nested(step, without_guards)
            builder.steps.append(replace(copy, inputs=tuple(map(atom, step.inputs)), outputs=outputs))
            values.update(zip(step.outputs, map(builder.symbol, outputs), strict=True))
        elif guards:
            builder.steps.append(replace(step, condition=atom(step.condition)))
    return values


def results_of(trace: Trace, values: Mapping[Any, Symbol], builder: Builder) -> list[Symbol]:
    """The symbols of a trace's outputs."""
    return [values[a] if isinstance(a, Var) else builder.symbol(a) for a in trace.outputs]


def stack_more(builder: Builder, made: Var, kept: Sequence[Var], inner: Mapping[Var, Instr]) -> list[Symbol]:
    """Let a loop that was written already, the maker of `made`, stack more values of its body; returns their stacks.

    `inner` has the loops of its body that leave more behind themselves for that, by their first results.
    """
    place = builder.place(made)
    step = builder.steps[place]
    assert isinstance(step, Instr)
    n, body = step.params["carried"], step.params["body"]
    there = dict(zip(body.outputs[n:], step.outputs[1 + n :], strict=True))
    length = steps_of(step.inputs[0], step.params)
    fresh = {
        v: Var(stack_type(v.type, length), f"{v.name}_stack" if v.name else None)
        for v in kept
        if v not in there
    }
    steps = tuple(inner.get(s.outputs[0], s) if isinstance(s, Instr) and s.outputs else s for s in body.steps)
    params = {**step.params, "body": replace(body, steps=steps, outputs=(*body.outputs, *fresh))}
    builder.steps[place] = replace(step, params=params, outputs=(*step.outputs, *fresh.values()))
    return [builder.symbol(there[v] if v in there else fresh[v]) for v in kept]


def zero_of(builder: Builder, type: ArrayType) -> Symbol:
    """A zero of this type: a constant for a scalar, an array made by `zeros` otherwise."""
    if not type.shape:
        return builder.constant(type.dtype.type(0))
    result: Symbol = builder.apply(zeros, (), {"shape": type.shape, "dtype": type.dtype})
    return result


def write(
    builder: Builder, op: Op, inputs: Sequence[Symbol], params: Mapping[str, Any]
) -> tuple[Symbol, ...]:
    """Write a control step, with all its results as symbols."""
    result = builder.apply(op, inputs, params)
    return result if isinstance(result, tuple) else (result,)


def typed(value: Any, type: ArrayType) -> Any:
    """A weak constant takes the type it stands for."""
    return value if value.atom.type.dtype == type.dtype else cast(value, type.dtype)


def name_of(symbol: Any) -> str | None:
    return getattr(symbol.atom, "name", None)


def pull(
    builder: Builder,
    trace: Trace,
    values: Mapping[Any, Symbol],
    bars: Sequence[Any],
    active: Sequence[Var],
    sums: Mapping[Any, Any] | None = None,
) -> dict[Any, Any]:
    """Cotangents of a trace's variables from those of its outputs (None: absent), added to what `sums` has."""
    seeds: dict[Any, Any] = dict(sums or {})
    for output, bar in zip(trace.outputs, bars, strict=True):
        if bar is not None and isinstance(output, Var):
            seeds[output] = bar if output not in seeds else seeds[output] + bar
    return pull_back(trace.steps, values, seeds, builder, active_variables(trace, active))
