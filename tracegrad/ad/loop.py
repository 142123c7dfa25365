"""Loop: `loop(limit, *carried, *invariants, *sliced)` repeats a body, a closed trace.

The first input of the body, and of the condition, is the counter: 0, 1, 2, ..., and steps - 1, ..., 0 in a reverse
loop. A loop ends after `limit` steps (-1: no limit), or when its condition is false before a step, or when the
carried value number `stop` is true after one. A reverse loop has a limit alone. Results are the number of steps,
the carried values and the stacks.

Values a loop needs anew at each step come as slices of stacks, values each step leaves behind go onto stacks. The
derivative of a loop is a loop, so the sweep differentiates its own result, to any order.

Reverse of a loop, the idea: the forward loop stacks the carried values it had at the entry of each step; the reverse
loop reads them backwards, repeats the step's primal computation and pulls the cotangents back through it. What turns
out not to be needed (all of it, for a linear body) is dropped by `passes/dce.py`. Begin with `_loop_vjp`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tracegrad.ad.activity import active_variables
from tracegrad.ad.blocks import Loop, inline, name_of, pull, results_of, stack_type, typed, write, zero_of
from tracegrad.ad.forward import push_forward
from tracegrad.ir.interpret import interpret
from tracegrad.ir.trace import Trace, Var
from tracegrad.ir.types import ArrayType
from tracegrad.ops.op import Op
from tracegrad.ops.symbol import Builder


def _evaluate_loop(*inputs: Any, **params: Any) -> Any:
    parts = Loop.of(inputs, params)
    condition, body, n = params["condition"], params["body"], params["carried"]
    carried, steps, limit, stop = parts.carried, 0, int(parts.limit), params["stop"]
    stacks: list[list[Any]] = [[] for _ in body.outputs[n:]]
    while steps != limit and (
        condition is None or bool(interpret(condition, (np.int64(steps), *carried, *parts.invariants))[0])
    ):
        k = limit - 1 - steps if params["reverse"] else steps
        results = interpret(body, (np.int64(k), *carried, *parts.invariants, *(s[k] for s in parts.sliced)))
        carried, left = results[:n], results[n:]
        for stack, value in zip(stacks, left, strict=True):
            stack.append(value)
        steps += 1
        if stop is not None and carried[stop]:
            break
    if params["reverse"]:
        for stack in stacks:
            stack.reverse()
    stacked = [
        np.array(s) if s else np.empty((0, *atom.type.shape), atom.type.dtype)
        for s, atom in zip(stacks, body.outputs[n:], strict=True)
    ]
    return (np.int64(steps), *carried, *stacked)


def _loop_types(*inputs: Any, **params: Any) -> tuple[ArrayType, ...]:
    body, n = params["body"], params["carried"]
    carried = Loop.of(inputs, params).carried
    return (
        ArrayType((), np.dtype(np.int64)),
        *(c.type for c in carried),
        *(stack_type(atom.type) for atom in (body.outputs[n:] if body is not None else ())),
    )


def _active_carried(body: Trace, n: int, active: Sequence[bool]) -> list[bool]:
    """Which inputs of the body can carry a derivative, given which of the loop do: a fixed point."""
    flags = list(active)
    while True:
        found = active_variables(body, [v for v, flag in zip(body.inputs, flags, strict=True) if flag])
        grown = [flags[1 + i] or body.outputs[i] in found for i in range(n)]
        if grown == flags[1 : 1 + n]:
            return flags
        flags[1 : 1 + n] = grown


def _loop_vjp(g: Any, z: Any, *inputs: Any, active: Sequence[bool], **params: Any) -> tuple[Any, ...]:
    """See the head of this file. Carried by the reverse loop: cotangents of what the loop carried, sums for
    invariants."""
    outer: Builder = inputs[0].recorder
    parts, body, n = Loop.of(inputs, params), params["body"], params["carried"]
    flags = _active_carried(body, n, active)
    m = len(parts.invariants)
    stacked_bars = list(g[1 + n :])
    # Which carried cotangents appear at all: those given, and those the body makes from them, again and again.
    flowing = [bar is not None for bar in g[1 : 1 + n]]
    while True:
        builder = Builder(outer.level + 1)
        primals = [builder.input(v.type, v.name) for v in body.inputs]
        carried_bars = [
            builder.input(v.type, f"{v.name}_bar" if v.name else None) if flowing[i] else None
            for i, v in enumerate(body.inputs[1 : 1 + n])
        ]
        slice_bars = [
            None if bar is None else builder.input(a.type)
            for bar, a in zip(stacked_bars, body.outputs[n:], strict=True)
        ]
        values = inline(builder, body, primals)
        found = pull(
            builder,
            body,
            values,
            [*carried_bars, *slice_bars],
            [v for v, flag in zip(body.inputs, flags, strict=True) if flag],
        )
        grown = [flowing[i] or found.get(v) is not None for i, v in enumerate(body.inputs[1 : 1 + n])]
        if grown == flowing:
            break
        flowing = grown
    carried_inputs, invariant_inputs = body.inputs[1 : 1 + n], body.inputs[1 + n : 1 + n + m]
    slice_inputs = body.inputs[1 + n + m :]
    summed = [j for j, v in enumerate(invariant_inputs) if found.get(v) is not None]
    sums = [
        builder.input(
            invariant_inputs[j].type, f"{invariant_inputs[j].name}_bar" if invariant_inputs[j].name else None
        )
        for j in summed
    ]
    sliced_out = [k for k, v in enumerate(slice_inputs) if found.get(v) is not None]
    moving = [i for i in range(n) if flowing[i]]
    next_bars = []
    for i in moving:
        v = carried_inputs[i]
        bar = found.get(v)
        next_bars.append(zero_of(builder, v.type) if bar is None else typed(bar, v.type))
    next_sums = [s + found[invariant_inputs[j]] for s, j in zip(sums, summed, strict=True)]
    left = [typed(found[slice_inputs[k]], slice_inputs[k].type) for k in sliced_out]
    reverse_body = builder.trace(
        [
            primals[0],
            *(carried_bars[i] for i in moving),
            *sums,
            *primals[1 + n : 1 + n + m],
            *primals[1 : 1 + n],
            *primals[1 + n + m :],
            *(b for b in slice_bars if b is not None),
        ],
        [*next_bars, *next_sums, *left],
    )
    entries = [z[1 + n + e] for e in params["entries"]]
    sliced = [*entries, *parts.sliced, *(b for b in stacked_bars if b is not None)]
    initial = [
        *(
            zero_of(outer, carried_inputs[i].type)
            if g[1 + i] is None
            else typed(g[1 + i], carried_inputs[i].type)
            for i in moving
        ),
        *(zero_of(outer, v.type) for v in (invariant_inputs[j] for j in summed)),
    ]
    names = tuple(f"{name_of(carried_bars[i]) or 'carried_bar'}" for i in moving) + tuple(
        name_of(s) or "invariant_bar" for s in sums
    )
    results = write(
        outer,
        loop,
        [
            parts.limit if params["condition"] is None and params["stop"] is None else z[0],
            *initial,
            *parts.invariants,
            *sliced,
        ],
        {
            "condition": None,
            "stop": None,
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
    flags = _active_carried(body, n, [t is not None for t in tangents])
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
    moving = [i for i in range(n) if flags[1 + i]]
    results = results_of(body, values, builder)

    def dot_of(position: int) -> Any:
        atom = body.outputs[position]
        dot = found.get(atom) if isinstance(atom, Var) else None
        return zero_of(builder, atom.type) if dot is None else typed(dot, atom.type)

    stacked_dots = [p for p in range(n, len(body.outputs)) if found.get(body.outputs[p]) is not None]
    carried_dots = dots[1 : 1 + n]
    still_dots = [d for d in dots[1 + n : 1 + n + m] if d is not None]
    slice_dots = [d for d in dots[1 + n + m :] if d is not None]
    body_dot = builder.trace(
        [
            *primals[: 1 + n],
            *(carried_dots[i] for i in moving),
            *primals[1 + n : 1 + n + m],
            *still_dots,
            *primals[1 + n + m :],
            *slice_dots,
        ],
        [*results[:n], *(dot_of(i) for i in moving), *results[n:], *(dot_of(p) for p in stacked_dots)],
    )
    if condition is not None:
        test = Builder(outer.level + 1)
        given = [test.input(v.type, v.name) for v in condition.inputs]
        tested = inline(test, condition, given)
        extra = (
            [test.input(body.inputs[1 + i].type) for i in moving],
            [test.input(d.type) for d in still_dots],
        )
        condition = test.trace(
            [*given[: 1 + n], *extra[0], *given[1 + n :], *extra[1]], results_of(condition, tested, test)
        )
    initial_dots = [
        zero_of(outer, body.inputs[1 + i].type)
        if tangents[1 + i] is None
        else typed(tangents[1 + i], body.inputs[1 + i].type)
        for i in moving
    ]
    written = write(
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
            "stop": params["stop"],
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


loop: Op = Op(
    "loop",
    _evaluate_loop,
    result_type=_loop_types,
    vjp=_loop_vjp,
    jvp=_loop_jvp,
    n_outputs=-1,
    family="control",
)
