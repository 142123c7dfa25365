"""Loop: `loop(limit, *carried, *invariants, *sliced)` repeats a body, a closed trace.

The first input of the body, and of the condition, is the counter: 0, 1, 2, ..., and steps - 1, ..., 0 in a reverse
loop. A loop ends after `limit` steps (-1: no limit), or when its condition is false before a step, or when the
carried value number `stop` is true after one. A reverse loop has a limit alone. Results are the number of steps,
the carried values and the stacks.

Values a loop needs anew at each step come as slices of stacks, values each step leaves behind go onto stacks. The
derivative of a loop is a loop, so the sweep differentiates its own result, to any order.

Reverse of a loop, the idea: the forward loop stacks the carried values it had at the entry of each step; the reverse
loop reads them backwards, repeats the step's primal computation and pulls the cotangents back through it. What turns
out not to be needed (all of it, for a linear body) is dropped by `ir/dce.py`. The stacks of a loop in the body are
values of a step like any other, if their length is known, and may be stacked themselves. Begin with `_loop_vjp`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tracegrad.ad.activity import active_variables
from tracegrad.ad.blocks import (
    UNKNOWN,
    Loop,
    inline,
    name_of,
    pull,
    results_of,
    stack_more,
    stack_type,
    steps_of,
    typed,
    write,
    zero_of,
)
from tracegrad.ad.forward import push_forward
from tracegrad.ad.keep import with_stacks
from tracegrad.ir.interpret import interpret
from tracegrad.ir.trace import Instr, Trace, Var
from tracegrad.ir.types import ArrayType
from tracegrad.ir.walk import without_guards
from tracegrad.ops.op import Op
from tracegrad.ops.shape import reshape
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
    carried, steps = Loop.of(inputs, params).carried, steps_of(inputs[0], params)
    return (
        ArrayType((), np.dtype(np.int64)),
        *(c.type for c in carried),
        *(stack_type(atom.type, steps) for atom in (body.outputs[n:] if body is not None else ())),
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


@dataclass(frozen=True, slots=True)
class _Pulled:
    """One step of a loop computed again and pulled back, written with a builder of its own.

    `carried_bars` has an entry for each carried value, `slice_bars` for each stack, None where there is no cotangent;
    `sums` has the running sums of the cotangents of invariants, by place. `values` has the symbols of the variables of
    the forward body, `found` the cotangents of its inputs.
    """

    builder: Builder
    carried_bars: list[Any]
    slice_bars: list[Any]
    sums: dict[int, Any]
    values: dict[Any, Any]
    found: dict[Any, Any]


def _pulled(
    outer: Builder,
    body: Trace,
    n: int,
    m: int,
    flags: Sequence[bool],
    flowing: Sequence[bool],
    g: Sequence[Any],
) -> _Pulled:
    """Pull one step back; `flowing`: which carried values have a cotangent after it."""
    builder = Builder(outer.level + 1)
    primals = [builder.input(v.type, v.name) for v in body.inputs]

    def bar_of(v: Var) -> Any:
        return builder.input(v.type, f"{v.name}_bar" if v.name else None)

    carried_bars = [
        bar_of(v) if flag else None for v, flag in zip(body.inputs[1 : 1 + n], flowing, strict=True)
    ]
    slice_bars = [
        None if bar is None else builder.input(a.type)
        for bar, a in zip(g[1 + n :], body.outputs[n:], strict=True)
    ]
    sums = {j: bar_of(v) for j, v in enumerate(body.inputs[1 + n : 1 + n + m]) if flags[1 + n + j]}
    values = inline(builder, body, primals, guards=True)
    bars = {body.inputs[1 + n + j]: s for j, s in sums.items()}
    active = [v for v, flag in zip(body.inputs, flags, strict=True) if flag]
    found = pull(builder, body, values, [*carried_bars, *slice_bars], active, bars)
    return _Pulled(builder, carried_bars, slice_bars, sums, values, found)


def _loop_vjp(g: Any, z: Any, *inputs: Any, active: Sequence[bool], **params: Any) -> tuple[Any, ...]:
    """See the head of this file. Carried by the reverse loop: cotangents of what the loop carried, sums for
    invariants."""
    outer: Builder = inputs[0].recorder
    parts, body, n = Loop.of(inputs, params), params["body"], params["carried"]
    # A graph of tensors keeps results alone: what the reverse needs is made again.
    if not outer.has_made(z[0].atom):
        z = write(outer, loop, inputs, {**params, "body": without_guards(body)})
    m = len(parts.invariants)
    flags = _active_carried(body, n, active)
    of_body = Loop.of(body.inputs, params)
    # Which carried cotangents appear at all: those given, and those the body makes from them, again and again.
    flowing = [bar is not None for bar in g[1 : 1 + n]]
    while True:
        pulled = _pulled(outer, body, n, m, flags, flowing, g)
        builder, found = pulled.builder, pulled.found
        grown = [flag or found.get(v) is not None for flag, v in zip(flowing, of_body.carried, strict=True)]
        if grown == flowing:
            break
        flowing = grown
    moving = [i for i in range(n) if flowing[i]]
    summed = [j for j, s in pulled.sums.items() if found[of_body.invariants[j]].atom is not s.atom]
    sliced_out = [k for k, v in enumerate(of_body.sliced) if found.get(v) is not None]

    def bar_after(v: Var) -> Any:
        return zero_of(builder, v.type) if found.get(v) is None else typed(found[v], v.type)

    carried = [*(of_body.carried[i] for i in moving), *(of_body.invariants[j] for j in summed)]
    carried_bars = [*(pulled.carried_bars[i] for i in moving), *(pulled.sums[j] for j in summed)]
    slice_bars = [b for b in pulled.slice_bars if b is not None]
    primals = [pulled.values[v] for v in body.inputs]
    own = Loop.of(primals, params)
    inner, more = _stacks_inside(body, pulled)
    repeated = builder.trace(
        [own.limit, *carried_bars, *own.invariants, *own.sliced, *slice_bars, *own.carried],
        [*map(bar_after, carried), *(bar_after(of_body.sliced[k]) for k in sliced_out)],
    )
    reverse_body, kept = with_stacks(
        without_guards(repeated),
        {**{s.atom: v for v, s in pulled.values.items() if isinstance(s.atom, Var)}, **more},
        [s.atom for s in own.carried],
        [s.atom for s in own.invariants],
        body.outputs[n:],
    )
    asked = {first: step for first, step in inner.items() if not set(kept).isdisjoint(step.outputs)}
    stacks = stack_more(outer, z[0].atom, kept, asked)
    sliced = [*parts.sliced, *(b for b in g[1 + n :] if b is not None), *stacks]
    initial = [
        zero_of(outer, v.type) if bar is None else typed(bar, v.type)
        for v, bar in zip(carried, [*(g[1 + i] for i in moving), *(None for _ in summed)], strict=True)
    ]
    counted = params["condition"] is not None or params["stop"] is not None
    given = [*(parts.carried[i] for i in moving), *(parts.invariants[j] for j in summed)]
    results = write(
        outer,
        loop,
        [z[0] if counted else parts.limit, *initial, *parts.invariants, *sliced],
        {
            "condition": None,
            "stop": None,
            "body": reverse_body,
            "carried": len(initial),
            "sliced": len(sliced),
            "reverse": not params["reverse"],
            "names": tuple(name_of(s) or _bar_of(v) for s, v in zip(carried_bars, given, strict=True)),
        },
    )
    out: list[Any] = [None] * len(inputs)
    places = [*(1 + i for i in moving), *(1 + n + j for j in summed), *(1 + n + m + k for k in sliced_out)]
    for place, result in zip(places, results[1:], strict=True):
        out[place] = _as_long_as(inputs[place], result)
    return tuple(out)


def _bar_of(given: Any) -> str:
    """What the cotangent of something a loop is given is called, which has no name in the body."""
    return f"{name_of(given) or 'carried'}_bar"


def _stacks_inside(body: Trace, pulled: _Pulled) -> tuple[dict[Var, Instr], dict[Var, Var]]:
    """What the loops of a body leave behind for the reverse of the body.

    Returns
    -------
    dict of Var to Instr
        By their first results: the loops of `body` that are asked for more stacks, with these.
    dict of Var to Var
        For each such stack where the body is computed again: the one in `body`.
    """
    inner, more = {}, {}
    for step in body.steps:
        if isinstance(step, Instr) and step.op is loop:
            again = pulled.builder.steps[pulled.builder.place(pulled.values[step.outputs[0]].atom)]
            assert isinstance(again, Instr)
            stacks = {v: Var(v.type, v.name) for v in again.outputs[len(step.outputs) :]}
            outputs = (*step.outputs, *stacks.values())
            inner[step.outputs[0]] = replace(again, inputs=step.inputs, outputs=outputs)
            more.update(stacks)
    return inner, more


def _as_long_as(x: Any, x_bar: Any) -> Any:
    """A stack of cotangents with the length of what was sliced, where that is known: rules ask for shapes."""
    known = UNKNOWN in x_bar.shape and UNKNOWN not in x.shape
    return reshape(x_bar, shape=x.shape) if known else x_bar


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
