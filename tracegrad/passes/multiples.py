"""Arrays that a loop carries, each a multiple of what another was a step before, are made of that one.

    a, b = loop(n, zeros, b_0):            c, b = loop(n, -zeros, b_0):
      b_next = f(a, b)              ->       a = -c
      return -b, b_next                      return b, f(a, b)
                                           a = -c

The reverse of a wave equation is like this, `old, u = u, 2 * u - old + ...`. The loop makes one array a step then, not
two, and may write it where the one of two steps before stands. Multiples are exact: no value is rounded in another way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from tracegrad.ir.trace import Atom, Const, Instr, Step, Trace, Var
from tracegrad.ir.walk import map_control, use_counts
from tracegrad.ops.arithmetic import multiply, negative
from tracegrad.passes.structure import is_zeros


def carry_multiplied(trace: Trace) -> Trace:
    """Let loops carry what their carried arrays are multiples of, where another one carries that as well."""
    trace = map_control(trace, carry_multiplied)
    made = {v: step for step in trace.steps if isinstance(step, Instr) for v in step.outputs}
    steps: list[Step] = []
    for step in trace.steps:
        if isinstance(step, Instr) and step.op.name == "loop":
            before, step, after = _rewritten(step, made)
            steps.extend((*before, step, *after))
        else:
            steps.append(step)
    return trace if len(steps) == len(trace.steps) else replace(trace, steps=tuple(steps))


def _rewritten(loop: Instr, made: Mapping[Var, Instr]) -> tuple[Sequence[Step], Instr, Sequence[Step]]:
    """The loop, with steps before and after it; a place at a time."""
    before: list[Step] = []
    after: list[Step] = []
    for place in range(loop.params["carried"]):
        times = _multiple(loop, place)
        if times is None or not _is_exact(times, loop.inputs[1 + place], made):
            continue
        body: Trace = loop.params["body"]
        known, final = body.inputs[1 + place], loop.outputs[1 + place]
        name = _name(loop, body.inputs.index(_other(times)))
        carried, last = Var(known.type, name), Var(final.type, name)
        start = loop.inputs[1 + place]
        if _is_negative(times):
            start = Var(start.type)
            before.append(Instr(negative, (loop.inputs[1 + place],), (start,), {}, times.location))
        after.append(_times(times, last, final))
        inputs, steps, outputs = [*body.inputs], [_times(times, carried, known), *body.steps], [*body.outputs]
        inputs[1 + place], outputs[place] = carried, _other(times)
        body = replace(body, inputs=tuple(inputs), steps=tuple(steps), outputs=tuple(outputs))
        names = [*loop.params["names"]]
        names[place] = None
        given, results = [*loop.inputs], [*loop.outputs]
        given[1 + place], results[1 + place] = start, last
        params = {**loop.params, "body": body, "names": tuple(names)}
        loop = replace(loop, inputs=tuple(given), outputs=tuple(results), params=params)
    return before, loop, after


def _multiple(loop: Instr, place: int) -> Instr | None:
    """The step that makes what is carried there of what another place carries, and new content comes to."""
    body, test, count = loop.params["body"], loop.params["condition"], loop.params["carried"]
    value = body.outputs[place]
    step = next((s for s in body.steps if isinstance(s, Instr) and value in s.outputs), None)
    if step is None or not value.shape or value.dtype.kind != "f":
        return None
    if test is not None and use_counts(test)[test.inputs[1 + place]]:
        return None
    match step:
        case Instr(op=op, inputs=(Var() as other,)) if op is negative:
            pass
        case Instr(op=op, inputs=(Var() as other, Const() as factor) | (Const() as factor, Var() as other)):
            if op is not multiply or factor.shape or not np.isfinite(factor.value) or factor.value == 0:
                return None
        case _:
            return None
    carried = body.inputs[1 : 1 + count]
    if other not in carried or other.type != value.type or other is carried[place]:
        return None
    new = body.outputs[carried.index(other)]
    maker = next((s for s in body.steps if isinstance(s, Instr) and new in s.outputs), None)
    return None if maker is None or maker.op in (negative, multiply) else step


def _is_exact(times: Instr, first: Atom, made: Mapping[Var, Instr]) -> bool:
    """Whether the first content is the same multiple of something."""
    return times.op is negative or is_zeros(first, made)


def _is_negative(times: Instr) -> bool:
    """Whether the sign changes; of zeros as well."""
    return times.op is negative or any(isinstance(a, Const) and a.value < 0 for a in times.inputs)


def _other(times: Instr) -> Var:
    """What is multiplied."""
    (other,) = (a for a in times.inputs if isinstance(a, Var))
    return other


def _times(step: Instr, value: Var, result: Var) -> Instr:
    """The same multiple of another value."""
    inputs = tuple(value if isinstance(a, Var) else a for a in step.inputs)
    return replace(step, inputs=inputs, outputs=(result,))


def _name(loop: Instr, place: int) -> str | None:
    """What another place carried a step before is called."""
    name = loop.params["names"][place - 1] or loop.params["body"].inputs[place].name
    return name and f"earlier_{name}"
