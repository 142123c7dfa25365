"""Loop and branch: ops that hold traces, whose derivative rules are the sweeps themselves.

`branch(condition, *operands)` runs one of two arms. `loop(limit, *carried, *invariants, *sliced)` repeats a body;
values it needs anew at each step come as slices of stacks, values each step leaves behind go onto stacks. Both are
closed forms: the derivative of a loop is a loop, of a branch a branch, so the sweep differentiates its own result,
to any order.

Reverse of a loop, the idea: the forward loop stacks the carried values it had at the entry of each step; the reverse
loop reads them backwards, repeats the step's primal computation and pulls the cotangents back through it. What turns
out not to be needed (all of it, for a linear body) is dropped by `passes/dce.py`. Begin with `Loop`, which names a
loop's parts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tracegrad.ad.activity import active_variables
from tracegrad.ad.forward import push_forward
from tracegrad.ad.reverse import pull_back
from tracegrad.ir.interpret import interpret
from tracegrad.ir.trace import Instr, Step, Trace, Var
from tracegrad.ir.types import ArrayType
from tracegrad.ir.walk import map_nested, without_guards
from tracegrad.ops.families import cast
from tracegrad.ops.index import zeros
from tracegrad.ops.op import Op
from tracegrad.ops.symbol import Builder, Symbol

UNKNOWN = -1  # first dimension of a stack: a length known only at run time


@dataclass(frozen=True, slots=True)
class Loop:
    """The inputs of a loop by role, cut out of its flat list."""

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


def stack_type(type: ArrayType) -> ArrayType:
    """The type of a stack of values of this type."""
    return ArrayType((UNKNOWN, *type.shape), type.dtype)


# --- meaning ----------------------------------------------------------------------------------------------------------


def _evaluate_branch(condition: Any, *operands: Any, arms: Any, names: Any) -> Any:
    results = interpret(arms[0] if bool(condition) else arms[1], operands)
    return results[0] if len(results) == 1 else results


def _evaluate_loop(*inputs: Any, **params: Any) -> Any:
    parts = Loop.of(inputs, params)
    condition, body, n = params["condition"], params["body"], params["carried"]
    carried, steps, limit = parts.carried, 0, int(parts.limit)
    stacks: list[list[Any]] = [[] for _ in body.outputs[n:]]
    while steps != limit and (
        condition is None or bool(interpret(condition, (*carried, *parts.invariants))[0])
    ):
        k = limit - 1 - steps if params["reverse"] else steps
        results = interpret(body, (*carried, *parts.invariants, *(s[k] for s in parts.sliced)))
        carried, left = results[:n], results[n:]
        for stack, value in zip(stacks, left, strict=True):
            stack.append(value)
        steps += 1
    if params["reverse"]:
        for stack in stacks:
            stack.reverse()
    stacked = [
        np.array(s) if s else np.empty((0, *atom.type.shape), atom.type.dtype)
        for s, atom in zip(stacks, body.outputs[n:], strict=True)
    ]
    return (np.int64(steps), *carried, *stacked)


def _branch_types(condition: Any, *operands: Any, arms: Any, names: Any) -> tuple[ArrayType, ...]:
    arm = arms[0] or arms[1]
    return tuple(atom.type for atom in arm.outputs)


def _loop_types(*inputs: Any, **params: Any) -> tuple[ArrayType, ...]:
    body, n = params["body"], params["carried"]
    carried = Loop.of(inputs, params).carried
    return (
        ArrayType((), np.dtype(np.int64)),
        *(c.type for c in carried),
        *(stack_type(atom.type) for atom in (body.outputs[n:] if body is not None else ())),
    )


# --- writing control steps
# ----------------------------------------------------------------------------------------------


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


def record_entries(steps: Sequence[Step]) -> tuple[Step, ...]:
    """The same steps, with every loop stacking what it carried at the entry of each step, for the reverse sweep.

    The stacks are further outputs of the loop; `params["entries"]` says which output is whose. Loops that have them are
    left alone.
    """
    return tuple(
        _with_entries(step) if isinstance(step, Instr) and step.op.family == "control" else step
        for step in steps
    )


def _with_entries(instr: Instr) -> Instr:
    params = dict(instr.params)
    if instr.op is branch:
        params["arms"] = tuple(replace(arm, steps=record_entries(arm.steps)) for arm in params["arms"])
        return replace(instr, params=params)
    body, n = params["body"], params["carried"]
    stacked = list(body.outputs[n:])
    given = params.get("entries") or (None,) * n
    entries, outputs = [], list(instr.outputs)
    for entry, variable in zip(given, body.inputs[:n], strict=True):
        if entry is None:
            entry = len(stacked)
            stacked.append(variable)
            outputs.append(
                Var(stack_type(variable.type), f"{variable.name}_stack" if variable.name else None)
            )
        entries.append(entry)
    params["body"] = replace(body, steps=record_entries(body.steps), outputs=(*body.outputs[:n], *stacked))
    params["entries"] = tuple(entries)
    return replace(instr, params=params, outputs=tuple(outputs))


def _zeros(builder: Builder, type: ArrayType) -> Symbol:
    """A zero of this type: a constant for a scalar, an array made by `zeros` otherwise."""
    if not type.shape:
        return builder.constant(type.dtype.type(0))
    result: Symbol = builder.apply(zeros, (), {"shape": type.shape, "dtype": type.dtype})
    return result


def _write(
    builder: Builder, op: Op, inputs: Sequence[Symbol], params: Mapping[str, Any]
) -> tuple[Symbol, ...]:
    """Write a control step, with all its results as symbols."""
    result = builder.apply(op, inputs, params)
    return result if isinstance(result, tuple) else (result,)


def _typed(value: Any, type: ArrayType) -> Any:
    """A weak constant takes the type it stands for."""
    return value if value.atom.type.dtype == type.dtype else cast(value, type.dtype)


# --- branch -----------------------------------------------------------------------------------------------------------


def _branch_vjp(
    g: Sequence[Any], z: Any, condition: Any, *operands: Any, active: Sequence[bool], arms: Any, names: Any
) -> tuple[Any, ...]:
    outer: Builder = condition.recorder
    cotangents = [x for x in g if x is not None]
    pulled = []
    for arm in arms:
        builder = Builder(outer.level + 1)
        inputs = [builder.input(v.type, v.name) for v in arm.inputs]
        bars = [None if x is None else builder.input(x.type, _name(x)) for x in g]
        values = inline(builder, arm, inputs)
        found = _pull(
            builder, arm, values, bars, [a for a, flag in zip(arm.inputs, active[1:], strict=True) if flag]
        )
        pulled.append(
            (builder, inputs, [b for b in bars if b is not None], [found.get(v) for v in arm.inputs])
        )
    wanted = [i for i in range(len(operands)) if any(bars[i] is not None for *_, bars in pulled)]
    if not wanted:
        return (None,) * (1 + len(operands))
    arms_bar = tuple(
        builder.trace(
            [*inputs, *bars],
            [
                _zeros(builder, operands[i].type) if found[i] is None else _typed(found[i], operands[i].type)
                for i in wanted
            ],
        )
        for builder, inputs, bars, found in pulled
    )
    bar_names = tuple(f"{_name(operands[i]) or 'operand'}_bar" for i in wanted)
    results = _write(
        outer, branch, [condition, *operands, *cotangents], {"arms": arms_bar, "names": bar_names}
    )
    bars_out: list[Any] = [None] * (1 + len(operands))
    for i, result in zip(wanted, results, strict=True):
        bars_out[1 + i] = result
    return tuple(bars_out)


def _branch_jvp(tangents: Any, z: Any, condition: Any, *operands: Any, arms: Any, names: Any) -> Any:
    outer: Builder = condition.recorder
    given = [t for t in tangents[1:] if t is not None]
    pushed = []
    for arm in arms:
        builder = Builder(outer.level + 1)
        inputs = [builder.input(v.type, v.name) for v in arm.inputs]
        dots = [None if t is None else builder.input(t.type, _name(t)) for t in tangents[1:]]
        values = inline(builder, arm, inputs)
        found = push_forward(
            arm.steps, values, {v: d for v, d in zip(arm.inputs, dots, strict=True) if d is not None}, builder
        )
        pushed.append(
            (
                builder,
                [*inputs, *(d for d in dots if d is not None)],
                [found.get(a) if isinstance(a, Var) else None for a in arm.outputs],
            )
        )
    wanted = [i for i in range(len(names)) if any(dots[i] is not None for *_, dots in pushed)]
    results: list[Any] = [None] * len(names)
    if wanted:
        types = [a.type for a in arms[0].outputs]
        arms_dot = tuple(
            b.trace(
                ins, [_zeros(b, types[i]) if dots[i] is None else _typed(dots[i], types[i]) for i in wanted]
            )
            for b, ins, dots in pushed
        )
        written = _write(
            outer,
            branch,
            [condition, *operands, *given],
            {"arms": arms_dot, "names": tuple(f"{names[i]}_dot" for i in wanted)},
        )
        for i, result in zip(wanted, written, strict=True):
            results[i] = result
    return tuple(results)


# --- loop -------------------------------------------------------------------------------------------------------------


def _name(symbol: Any) -> str | None:
    return getattr(symbol.atom, "name", None)


def _pull(
    builder: Builder, trace: Trace, values: Mapping[Any, Symbol], bars: Sequence[Any], active: Sequence[Var]
) -> dict[Any, Any]:
    """Cotangents of a trace's variables from those of its outputs (None: absent)."""
    seeds: dict[Any, Any] = {}
    for output, bar in zip(trace.outputs, bars, strict=True):
        if bar is not None and isinstance(output, Var):
            seeds[output] = bar if output not in seeds else seeds[output] + bar
    return pull_back(trace.steps, values, seeds, builder, active_variables(trace, active))


def _active_carried(body: Trace, n: int, active: Sequence[bool]) -> list[bool]:
    """Which carried values can carry a derivative, given which inputs do: a fixed point."""
    flags = list(active)
    while True:
        found = active_variables(body, [v for v, flag in zip(body.inputs, flags, strict=True) if flag])
        grown = [flags[i] or body.outputs[i] in found for i in range(n)]
        if grown == flags[:n]:
            return flags
        flags[:n] = grown


def _loop_vjp(g: Any, z: Any, *inputs: Any, active: Sequence[bool], **params: Any) -> tuple[Any, ...]:
    """See the head of this file. Carried by the reverse loop: cotangents of what the loop carried, sums for
    invariants."""
    outer: Builder = inputs[0].recorder
    parts, body, n = Loop.of(inputs, params), params["body"], params["carried"]
    flags = _active_carried(body, n, active[1:])
    m = len(parts.invariants)
    stacked_bars = list(g[1 + n :])
    # Which carried cotangents appear at all: those given, and those the body makes from them, again and again.
    flowing = [bar is not None for bar in g[1 : 1 + n]]
    while True:
        builder = Builder(outer.level + 1)
        primals = [builder.input(v.type, v.name) for v in body.inputs]
        carried_bars = [
            builder.input(v.type, f"{v.name}_bar" if v.name else None) if flowing[i] else None
            for i, v in enumerate(body.inputs[:n])
        ]
        slice_bars = [
            None if bar is None else builder.input(a.type)
            for bar, a in zip(stacked_bars, body.outputs[n:], strict=True)
        ]
        values = inline(builder, body, primals)
        found = _pull(
            builder,
            body,
            values,
            [*carried_bars, *slice_bars],
            [v for v, flag in zip(body.inputs, flags, strict=True) if flag],
        )
        grown = [flowing[i] or found.get(v) is not None for i, v in enumerate(body.inputs[:n])]
        if grown == flowing:
            break
        flowing = grown
    invariant_inputs = body.inputs[n : n + m]
    summed = [j for j, v in enumerate(invariant_inputs) if found.get(v) is not None]
    sums = [
        builder.input(
            invariant_inputs[j].type, f"{invariant_inputs[j].name}_bar" if invariant_inputs[j].name else None
        )
        for j in summed
    ]
    sliced_out = [k for k, v in enumerate(body.inputs[n + m :]) if found.get(v) is not None]
    moving = [i for i in range(n) if flowing[i]]
    next_bars = []
    for i in moving:
        v = body.inputs[i]
        bar = found.get(v)
        next_bars.append(_zeros(builder, v.type) if bar is None else _typed(bar, v.type))
    next_sums = [s + found[invariant_inputs[j]] for s, j in zip(sums, summed, strict=True)]
    left = [_typed(found[body.inputs[n + m + k]], body.inputs[n + m + k].type) for k in sliced_out]
    reverse_body = builder.trace(
        [
            *(carried_bars[i] for i in moving),
            *sums,
            *primals[n : n + m],
            *primals[:n],
            *primals[n + m :],
            *(b for b in slice_bars if b is not None),
        ],
        [*next_bars, *next_sums, *left],
    )
    entries = [z[1 + n + e] for e in params["entries"]]
    sliced = [*entries, *parts.sliced, *(b for b in stacked_bars if b is not None)]
    initial = [
        *(
            _zeros(outer, body.inputs[i].type) if g[1 + i] is None else _typed(g[1 + i], body.inputs[i].type)
            for i in moving
        ),
        *(_zeros(outer, v.type) for v in (invariant_inputs[j] for j in summed)),
    ]
    names = tuple(f"{_name(carried_bars[i]) or 'carried_bar'}" for i in moving) + tuple(
        _name(s) or "invariant_bar" for s in sums
    )
    results = _write(
        outer,
        loop,
        [parts.limit if params["condition"] is None else z[0], *initial, *parts.invariants, *sliced],
        {
            "condition": None,
            "body": reverse_body,
            "carried": len(initial),
            "sliced": len(sliced),
            "reverse": not params["reverse"],
            "names": names,
            "entries": None,
        },
    )
    out: list[Any] = [None] * len(inputs)
    for place, result in zip(moving, results[1:], strict=False):
        out[1 + place] = result
    for j, result in zip(summed, results[1 + len(moving) :], strict=False):
        out[1 + n + j] = result
    for k, result in zip(sliced_out, results[1 + len(initial) :], strict=True):
        out[1 + n + m + k] = result
    return tuple(out)


def _loop_jvp(tangents: Any, z: Any, *inputs: Any, **params: Any) -> Any:
    """The loop again, carrying tangents beside the primals."""
    outer: Builder = inputs[0].recorder
    parts, body, n = Loop.of(inputs, params), params["body"], params["carried"]
    condition = params["condition"]
    m = len(parts.invariants)
    flags = _active_carried(body, n, [t is not None for t in tangents[1:]])
    builder = Builder(outer.level + 1)
    primals = [builder.input(v.type, v.name) for v in body.inputs]
    dots = [
        builder.input(v.type, f"{v.name}_dot" if v.name else None) if flag else None
        for v, flag in zip(body.inputs, flags, strict=True)
    ]
    values = inline(builder, body, primals)
    found = push_forward(
        body.steps, values, {v: d for v, d in zip(body.inputs, dots, strict=True) if d is not None}, builder
    )
    moving = [i for i in range(n) if flags[i]]
    results = results_of(body, values, builder)

    def dot_of(position: int) -> Any:
        atom = body.outputs[position]
        dot = found.get(atom) if isinstance(atom, Var) else None
        return _zeros(builder, atom.type) if dot is None else _typed(dot, atom.type)

    stacked_dots = [p for p in range(n, len(body.outputs)) if found.get(body.outputs[p]) is not None]
    still_dots = [d for d in dots[n : n + m] if d is not None]
    slice_dots = [d for d in dots[n + m :] if d is not None]
    body_dot = builder.trace(
        [
            *primals[:n],
            *(dots[i] for i in moving),
            *primals[n : n + m],
            *still_dots,
            *primals[n + m :],
            *slice_dots,
        ],
        [*results[:n], *(dot_of(i) for i in moving), *results[n:], *(dot_of(p) for p in stacked_dots)],
    )
    if condition is not None:
        test = Builder(outer.level + 1)
        given = [test.input(v.type, v.name) for v in condition.inputs]
        tested = inline(test, condition, given)
        extra = [test.input(body.inputs[i].type) for i in moving], [test.input(d.type) for d in still_dots]
        condition = test.trace(
            [*given[:n], *extra[0], *given[n:], *extra[1]], results_of(condition, tested, test)
        )
    initial_dots = [
        _zeros(outer, body.inputs[i].type)
        if tangents[1 + i] is None
        else _typed(tangents[1 + i], body.inputs[i].type)
        for i in moving
    ]
    written = _write(
        outer,
        loop,
        [
            parts.limit,
            *parts.carried,
            *initial_dots,
            *parts.invariants,
            *(t for t in tangents[1 + n : 1 + n + m] if t is not None),
            *parts.sliced,
            *(t for t in tangents[1 + n + m :] if t is not None),
        ],
        {
            "condition": condition,
            "body": body_dot,
            "carried": n + len(moving),
            "sliced": params["sliced"] + len(slice_dots),
            "reverse": params["reverse"],
            "names": (*params["names"], *(f"{params['names'][i]}_dot" for i in moving)),
            "entries": None,
        },
    )
    out: list[Any] = [None] * len(z)
    for i, result in zip(moving, written[1 + n :], strict=False):
        out[1 + i] = result
    first = 1 + n + len(moving) + (len(body.outputs) - n)
    for p, result in zip(stacked_dots, written[first:], strict=True):
        out[1 + p] = result
    return tuple(out)


branch: Op = Op(
    "branch",
    _evaluate_branch,
    result_type=_branch_types,
    vjp=_branch_vjp,
    jvp=_branch_jvp,
    n_outputs=-1,
    family="control",
)
loop: Op = Op(
    "loop",
    _evaluate_loop,
    result_type=_loop_types,
    vjp=_loop_vjp,
    jvp=_loop_jvp,
    n_outputs=-1,
    family="control",
)
