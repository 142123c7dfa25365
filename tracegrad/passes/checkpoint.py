"""Loops cut into segments, so that what their reverse keeps fits a budget.

    loop(n, x):              loop(segments, x):
      x = f(k, x)   becomes    loop(min(m, n - j * m), x):
                                 x = f(j * m + k, x)

The reverse rule does the rest: an outer step cannot keep the stacks of an inner loop whose limit is no constant, so it
keeps the carried values at its entry, a checkpoint, and the reverse runs the inner loop again with its stacks. Memory
for n steps is that of n / m checkpoints and of m steps; deeper nests need still less, down to the logarithm of n, and
one more run of the body for each level.

Where the number of steps is not known, the first steps stay as they are, as many as fit: a short loop pays nothing.
What comes after them is cut in two levels, and what those cannot hold in as many as it takes.

A trace without one-armed branches goes in; one that computes the same comes out. Begin with `checkpointed`.

References: Griewank and Walther, Algorithm 799: revolve, ACM TOMS 26, 2000; Siskind and Pearlmutter, Divide-and-conquer
checkpointing for arbitrary programs with no user annotation, Optimization Methods and Software 33, 2018.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from tracegrad.ad.blocks import Loop, inline, results_of
from tracegrad.ad.loop import loop
from tracegrad.ad.work import bytes_of
from tracegrad.errors import NotDifferentiableError
from tracegrad.ir.close import copied, substitute, substituted
from tracegrad.ir.trace import Atom, Const, Instr, Step, Trace, Var
from tracegrad.ir.types import array_type
from tracegrad.ir.walk import map_nested, nested
from tracegrad.ops.arithmetic import add
from tracegrad.ops.compare import logical_and, logical_not, minimum, where
from tracegrad.ops.symbol import Builder, Symbol
from tracegrad.passes.differentiate import reverse_mode

FAR = 10**8  # steps that a loop of unknown length may make within its budget
ROUND = 4096  # steps of a segment, where there is room for more: its stacks stay in the cache
DEEPEST = 6  # levels; a loop of a million steps then needs sixty checkpoints
OPEN = 4  # levels of the last part, where the number of steps is not known
_INTEGER = array_type((), np.int64)

Plan = list[list[int | None]]
"""Parts of a loop one after the other; of each, the steps of a segment, then how many of them make one of the next
level; None for any number."""


def checkpointed(trace: Trace, memory: int) -> Trace:
    """Cut the loops whose stacks would not fit.

    Parameters
    ----------
    trace : Trace
        To be differentiated in reverse.
    memory : int
        Bytes for the stacks of all loops together.
    """
    kept = {step: _kept(step) for step in trace.steps if _holds_loops(step)}
    many = sum(size > 0 for size in kept.values())
    if not many:
        return trace
    stands: dict[Var, Atom] = {}
    steps: list[Step] = []
    for before in trace.steps:
        step = substitute(before, stands)
        if not kept.get(before):
            steps.append(step)
            continue
        assert isinstance(step, Instr)
        share, size = memory // many, kept[before]
        if any(map(_holds_loops, (s for inner in nested(step) for s in inner.steps))):
            share //= 2 if step.op.name == "loop" else 1
            inside = share
            cut = map_nested(step, lambda inner, inside=inside: checkpointed(inner, inside))  # type: ignore[misc]
            step, size = cut, size if cut is step else _kept(cut)
        parts = _plan(step, size, share) if step.op.name == "loop" else []
        if not parts or step.params["sliced"] or len(step.outputs) > 1 + step.params["carried"]:
            steps.append(step)
            continue
        written, results = _parts(step, parts)
        steps.extend(written)
        stands.update(zip(step.outputs, results, strict=True))
    outputs = tuple(substituted(a, stands) for a in trace.outputs)
    return replace(trace, steps=tuple(steps), outputs=outputs)


def _holds_loops(step: Step) -> bool:
    if not isinstance(step, Instr) or step.op.family != "control":
        return False
    return step.op is loop or any(_holds_loops(s) for inner in nested(step) for s in inner.steps)


def _kept(step: Step) -> int:
    """Bytes that each step of a loop adds to the stacks of its reverse; of a branch: of the loops in it."""
    assert isinstance(step, Instr)
    if step.op is not loop:
        return sum(_kept(s) for inner in nested(step) for s in inner.steps if _holds_loops(s))
    inputs = {a: Var(a.type) for a in step.inputs if isinstance(a, Var)}
    alone = Trace(tuple(inputs.values()), (substitute(step, inputs),), step.outputs)
    wrt = [k for k, v in enumerate(alone.inputs) if v.type.is_inexact]
    seeded = [k for k, v in enumerate(step.outputs) if v.type.is_inexact and -1 not in v.shape]
    try:
        found = reverse_mode(alone, wrt, seeded)
    except NotDifferentiableError:  # on a path that nobody may ask for
        return sum(bytes_of(a.type) for a in Loop.of(step.inputs, step.params).carried)
    again = next(s for s in found.steps if step.outputs[0] in s.outputs)
    stacks = again.outputs[1 + step.params["carried"] :]
    return sum(bytes_of(array_type(v.shape[1:], v.dtype)) for v in stacks)


# --- how long the segments are ----------------------------------------------------------------------------------------


def _plan(step: Instr, kept: int, memory: int) -> Plan:
    """The parts of a loop, none where it may stay as it is."""
    carried = sum(bytes_of(a.type) for a in Loop.of(step.inputs, step.params).carried)
    limit = step.inputs[0]
    if step.params["condition"] is not None or step.params["stop"] is not None:
        memory //= (
            3  # stacks of unknown length grow by doubling: for a moment the old one and the new are there
        )
    steps = int(limit.value) if isinstance(limit, Const) and limit.value >= 0 else None
    if steps is None:
        return _open_plan(max(kept, 1), max(carried, 1), memory)
    return [_levels(steps, kept, max(carried, 1), memory)] if steps * kept > memory else []


def _levels(steps: int, kept: int, carried: int, memory: int) -> list[int | None]:
    """As few levels as fit, balanced; the ones that need least where none fit."""

    def sizes(depth: int) -> list[int]:
        # With q counts and one segment, depth * (q * carried) is least where all are equal, a segment by its own size.
        many = max(2, math.ceil((steps * kept / carried) ** (1 / depth)))
        segment = max(1, math.ceil(steps / many ** (depth - 1)))
        return [segment, *(many,) * (depth - 1)]

    def needs(depth: int) -> int:
        return sizes(depth)[0] * kept + sum(sizes(depth)[1:]) * carried

    depths = range(2, DEEPEST + 1)
    depth = next((d for d in depths if needs(d) <= memory), None) or min(depths, key=needs)
    return [*sizes(depth)[:-1], None]


def _open_plan(kept: int, carried: int, memory: int) -> Plan:
    """Parts for any number of steps: the first stays as it is, one has two levels, one has more if need be."""

    def part(depth: int, share: int) -> list[int | None]:
        segment = max(1, share // (depth * kept))
        many = max(2, share // (depth * carried))
        return [min(segment, ROUND) if depth > 1 else segment, *(many,) * (depth - 1)]

    depths: tuple[int, ...]
    for deepest in range(2, OPEN + 1):
        depths = (1, 2) if deepest == 2 else (1, 2, deepest)
        plan = [part(depth, memory // len(depths)) for depth in depths]
        if math.prod(size for size in plan[-1] if size is not None) >= FAR:
            break
    plan[-1][-1] = None
    return plan


# --- writing them -----------------------------------------------------------------------------------------------------


def _parts(step: Instr, plan: Plan) -> tuple[list[Step], list[Atom]]:
    """The parts as steps, and the atoms that stand for the results of the loop."""
    builder = Builder()
    builder.location = step.location
    symbols = [builder.symbol(a) for a in step.inputs]
    done: Any = builder.constant(0)
    state: Sequence[Any] = Loop.of(symbols, step.params).carried
    for number, sizes in enumerate(plan):
        done, *state = _part(builder, step, symbols, done, state, sizes, number == 0)
    return builder.steps, [done.atom, *(s.atom for s in state)]


def _part(
    builder: Builder,
    step: Instr,
    inputs: Sequence[Symbol],
    base: Any,
    state: Sequence[Any],
    sizes: Sequence[int | None],
    first: bool,
) -> list[Any]:
    """Steps from number `base` on: returns the number of the next step, and the carried values."""
    params = step.params
    parts = Loop.of(inputs, params)
    *inner, many = sizes
    width = math.prod(size for size in inner if size is not None)
    limit = _limit(builder, parts.limit, base, width, many)
    endless = isinstance(limit.atom, Const) and limit.atom.value < 0
    asks = params["stop"] is not None and not first  # whether the part before was left for good
    if asks and not endless:
        limit = where(state[params["stop"]], 0, limit)
    if inner:
        return _segments(builder, step, parts, base, state, inner, width, limit, asks and endless)
    counted, *found = _written(
        builder,
        [limit, *state, base, *parts.invariants],
        params,
        _from(params["condition"], params["carried"]),
        _from(params["body"], params["carried"]),
    )
    return [base + counted, *found]


def _limit(builder: Builder, limit: Symbol, base: Any, width: int, many: int | None) -> Any:
    """How many steps of this width there are from `base` up to the limit, or `many` if that is less."""
    if isinstance(limit.atom, Const) and limit.atom.value < 0:
        return builder.constant(-1 if many is None else many)
    left = limit - base
    if width > 1:
        left = (left + (width - 1)) // width
    return left if many is None else minimum(left, many)


def _segments(
    builder: Builder,
    step: Instr,
    parts: Loop,
    base: Any,
    state: Sequence[Any],
    inner: Sequence[int | None],
    width: int,
    limit: Any,
    asks: bool,
) -> list[Any]:
    """A loop whose steps are loops; it carries, before all else, the number of steps that are done."""
    params = step.params
    body = Builder(builder.level + 1)
    body.location = step.location
    given = [base, parts.limit, *parts.invariants]
    number = body.input(_INTEGER)
    done = body.input(_INTEGER)
    held = [body.input(v.type, v.name) for v in params["body"].inputs[1 : 1 + params["carried"]]]
    still = [body.input(s.type, getattr(s.atom, "name", None)) for s in given]
    here = still[0] + number * width
    own_limit: Any = still[1] if isinstance(parts.limit.atom, Var) else body.symbol(parts.limit.atom)
    found = _part(body, step, [own_limit, *held, *still[2:]], here, held, inner, True)
    condition = params["condition"]
    stop = params["stop"]
    if condition is not None or asks:
        test = Builder(builder.level + 1)
        test.location = step.location
        asked = [test.input(s.type, getattr(s.atom, "name", None)) for s in (number, done, *held, *still)]
        carried = asked[2 : 2 + len(held)]
        answers = [logical_not(carried[stop])] if asks else []
        if condition is not None:
            at = asked[2 + len(held)] + asked[0] * width
            answers += _inlined(test, condition, [at, *carried, *asked[4 + len(held) :]])
        condition = test.trace(asked, [answers[0] if len(answers) == 1 else logical_and(*answers)])
    changed = {**params, "stop": None if stop is None else 1 + stop, "names": ("done", *params["names"])}
    changed["carried"] = 1 + params["carried"]
    inputs = [limit, base, *state, *given]
    whole = body.trace([number, done, *held, *still], found)
    return list(_written(builder, inputs, changed, condition, whole)[1:])


def _written(
    builder: Builder, inputs: Sequence[Any], params: Any, condition: Trace | None, body: Trace
) -> tuple[Any, ...]:
    results: tuple[Any, ...] = builder.apply(
        loop, inputs, {**params, "condition": condition, "body": body, "sliced": 0, "reverse": False}
    )
    for name, result in zip(params["names"], results[1:], strict=True):
        result.atom.name = name
    return results


def _from(trace: Trace | None, carried: int) -> Any:
    """A body or condition that counts from a number it gets as its first invariant."""
    if trace is None:
        return None
    fresh = copied(trace)
    counter, base = Var(_INTEGER, fresh.inputs[0].name), Var(_INTEGER)
    number = Instr(add, (base, counter), (fresh.inputs[0],), {}, None)
    inputs = (counter, *fresh.inputs[1 : 1 + carried], base, *fresh.inputs[1 + carried :])
    return replace(fresh, inputs=inputs, steps=(number, *fresh.steps))


def _inlined(builder: Builder, trace: Trace, inputs: Sequence[Any]) -> list[Symbol]:
    """The results of a trace, written where it is asked for."""
    return results_of(trace, inline(builder, trace, inputs, guards=True), builder)
