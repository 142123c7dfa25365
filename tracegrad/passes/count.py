"""How often each arm of a branch runs and how many steps each loop makes, as results of a trace.

    loop(3, x):                              loop(3, x, n):
      branch(x > 0):                           y, t = branch(x > 0):
        true:  ...                               true:  ..., 1
        false: ...             becomes           false: ..., 0
                                               n = n + t

Only the counts remain among the results, so what they do not need can be dropped. A structure is known by its place:
the number of the branch or loop in its block, then the block of it, and so on inwards. Merging captures adds arms and
bodies and moves nothing, so a place stays valid. Begin with `counted`.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tracegrad.ad.blocks import Loop
from tracegrad.ir.trace import Atom, Const, Guard, Instr, Step, Trace, Var
from tracegrad.ir.types import array_type
from tracegrad.ops.arithmetic import add

Place = tuple[int | str, ...]
"""`(0, "body", 1, "true")`: the true arm of the second structure in the body of the first."""

_INTEGER = array_type((), np.int64)
_ZERO, _ONE = Const(np.int64(0)), Const(np.int64(1))
ARMS = ("true", "false")


def counted(trace: Trace) -> tuple[Trace, list[Place]]:
    """A trace whose results are counts, and what each of them counts.

    Expects any trace; keeps inputs, guards and steps. The place of a branch with `"true"` behind it stands for
    the times the true arm ran, that of a loop with `"body"` behind it for its steps. What stands in the condition of a
    loop is not counted.
    """
    steps, places, counts = _block(trace)
    return replace(trace, steps=tuple(steps), outputs=tuple(counts)), places


def _block(trace: Trace) -> tuple[list[Step], list[Place], list[Atom]]:
    steps: list[Step] = []
    places: list[Place] = []
    counts: list[Atom] = []
    number = 0
    for step in trace.steps:
        if isinstance(step, Guard) or step.op.family != "control":
            steps.append(step)
            continue
        made, inner, found = (_loop if step.op.name == "loop" else _branch)(step)
        steps.append(made)
        places.extend((number, *place) for place in inner)
        counts.extend(found)
        number += 1
    return steps, places, counts


def _branch(step: Instr) -> tuple[Instr, list[Place], list[Atom]]:
    arms = step.params["arms"]
    blocks = [None if arm is None else _block(arm) for arm in arms]
    places: list[Place] = [("true",)]
    for name, block in zip(ARMS, blocks, strict=True):
        places.extend((name, *place) for place in (block[1] if block else ()))
    grown: list[Trace | None] = []
    for name, arm, block in zip(ARMS, arms, blocks, strict=True):
        if arm is None or block is None:
            grown.append(None)
            continue
        own = dict(zip(block[1], block[2], strict=True))
        taken = _ONE if name == "true" else _ZERO
        found = [own.get(place[1:], _ZERO) if place[0] == name else _ZERO for place in places[1:]]
        grown.append(replace(arm, steps=tuple(block[0]), outputs=(*arm.outputs, taken, *found)))
    counts = [Var(_INTEGER) for _ in places]
    names = (*step.params["names"], *(f"count_{i}" for i in range(len(counts))))
    params = {**step.params, "arms": tuple(grown), "names": names}
    return replace(step, outputs=(*step.outputs, *counts), params=params), places, list(counts)


def _loop(step: Instr) -> tuple[Instr, list[Place], list[Atom]]:
    body, n = step.params["body"], step.params["carried"]
    if body is None:
        return step, [], []
    steps, inner, found = _block(body)
    if not inner:
        return step, [("body",)], [step.outputs[0]]
    before, after = [Var(_INTEGER) for _ in inner], [Var(_INTEGER) for _ in inner]
    steps.extend(
        Instr(add, (total, more), (new,), {}, None)
        for total, more, new in zip(before, found, after, strict=True)
    )

    def inputs(trace: Trace) -> tuple[Var, ...]:
        return (*trace.inputs[: 1 + n], *before, *trace.inputs[1 + n :])

    grown = replace(
        body,
        inputs=inputs(body),
        steps=tuple(steps),
        outputs=(*body.outputs[:n], *after, *body.outputs[n:]),
    )
    condition = step.params["condition"]
    if condition is not None:
        unread = [Var(_INTEGER) for _ in inner]
        given = (*condition.inputs[: 1 + n], *unread, *condition.inputs[1 + n :])
        condition = replace(condition, inputs=given)
    totals = [Var(_INTEGER) for _ in inner]
    parts = Loop.of(step.inputs, step.params)
    names = step.params["names"]
    made = replace(
        step,
        inputs=(parts.limit, *parts.carried, *(_ZERO for _ in inner), *parts.invariants, *parts.sliced),
        outputs=(*step.outputs[: 1 + n], *totals, *step.outputs[1 + n :]),
        params={
            **step.params,
            "body": grown,
            "condition": condition,
            "carried": n + len(inner),
            "names": (*names[:n], *(f"count_{i}" for i in range(len(inner))), *names[n:]),
        },
    )
    return made, [("body",), *(("body", *place) for place in inner)], [step.outputs[0], *totals]
