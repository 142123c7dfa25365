"""Loops that only sum: their reverse runs forwards, and in native text beside them.

    s, stack = loop(n, 0.0, p):                s, p_bar = loop(n, 0.0, zeros, p):
      return s + f(k, p), g(k, p)                t = g(k, p)
    p_bar = reverse loop(n, zeros, p, stack): -> return s + f(k, p), p_bar + h(k, t)
      return p_bar + h(k, stack[k])

What such a loop carries has the same cotangent after each step, so its steps can be pulled back in any order. In the
order in which they were made, they need nothing of what the loop keeps: the value and the derivative of a step are
computed side by side, what both need once, and nothing is stacked. Traces come in and go out. Begin with `forwards`,
which is part of every program, and `together`, which is for native text, whose two halves are one function.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeGuard

from tracegrad.ad.blocks import Loop
from tracegrad.ir.close import copied, substitute, substituted
from tracegrad.ir.trace import Atom, Const, Instr, Step, Trace, Var
from tracegrad.ir.walk import has_control, has_guard, map_control
from tracegrad.passes.accumulate import only_added_to
from tracegrad.passes.cse import share

NEAR = 500  # steps between two loops that may become one: more are not looked through


def forwards(trace: Trace) -> Trace:
    """Let reverse loops that only sum count upwards: then what they sum is in the order of the user's steps."""
    if not has_control(trace):
        return trace
    trace = map_control(trace, forwards)
    steps = tuple(_turned(step) if _only_sums_backwards(step) else step for step in trace.steps)
    return replace(trace, steps=steps) if steps != trace.steps else trace


def _only_sums_backwards(step: Step) -> bool:
    if not isinstance(step, Instr) or step.op.name != "loop" or not step.params["reverse"]:
        return False
    body = step.params["body"]
    return all(
        only_added_to(body, body.inputs[1 + k], body.outputs[k]) for k in range(step.params["carried"])
    )


def _turned(loop: Step) -> Step:
    assert isinstance(loop, Instr)
    return replace(loop, params={**loop.params, "reverse": False})


def together(trace: Trace) -> Trace:
    """Make one loop of two with the same steps, where the second needs of the first what it has at the same step.

    Only where that pays: the second is of the same line of the user's, and reads what the first leaves behind, or
    computes something again. No value is rounded in another way. Loops inside of one that was made here need another
    call, after `share`.
    """
    if not has_control(trace):
        return trace
    trace = map_control(trace, together)
    steps = list(trace.steps)
    stands: dict[Var, Atom] = {}
    for k in reversed(range(len(steps))):
        one = steps[k]
        if not _is_counted(one):
            continue
        for later in range(k + 1, min(k + 1 + NEAR, len(steps))):
            two = steps[later]
            found = _one_loop(one, two, steps[k + 1 : later]) if _is_counted(two) else None
            if found is not None:
                stands[two.outputs[0]] = one.outputs[0]
                steps[k : later + 1] = found
                break
    if not stands:
        return trace
    outputs = tuple(substituted(a, stands) for a in trace.outputs)
    return replace(trace, steps=tuple(substitute(s, stands) for s in steps), outputs=outputs)


def _one_loop(one: Instr, two: Instr, between: Sequence[Step]) -> list[Step] | None:
    """One loop for these two, with the steps that stand between them; None where they stay two."""
    if one.location != two.location or has_guard(two) or one.params["reverse"] is not two.params["reverse"]:
        return None
    if not _same_number(one.inputs[0], two.inputs[0]):
        return None
    after, before = _needing(one, between)
    made = {v for step in (one, *after) for v in step.outputs}
    stacks = set(one.outputs[1 + one.params["carried"] :])
    parts = Loop.of(two.inputs, two.params)
    if not made.isdisjoint((*parts.carried, *parts.invariants)) or not (made - stacks).isdisjoint(
        parts.sliced
    ):
        return None
    joined = _joined(one, two)
    body = joined.params["body"]
    pays = not stacks.isdisjoint(parts.sliced) or len(share(body).steps) < len(body.steps)
    return [*before, joined, *after] if pays else None


def _is_counted(step: Step) -> TypeGuard[Instr]:
    """Whether it is a loop whose number of steps is known before it."""
    return (
        isinstance(step, Instr)
        and step.op.name == "loop"
        and step.params["condition"] is None
        and step.params["stop"] is None
    )


def _same_number(a: Atom, b: Atom) -> bool:
    return int(a.value) == int(b.value) if isinstance(a, Const) and isinstance(b, Const) else a is b


def _needing(loop: Instr, between: Sequence[Step]) -> tuple[list[Step], list[Step]]:
    """The steps that need the loop, and the others, in their order.

    Guards count as such that do: their order is that of the side exits. So do calls of Python functions.
    """
    made = set(loop.outputs)
    after: list[Step] = []
    before: list[Step] = []
    for step in between:
        held = has_guard(step) or (isinstance(step, Instr) and step.op.family == "called")
        if held or not made.isdisjoint(step.inputs):
            made.update(step.outputs)
            after.append(step)
        else:
            before.append(step)
    return after, before


def _joined(one: Instr, two: Instr) -> Instr:
    """One loop that does what the two do, a step of the first and a step of the second in turn."""
    n, m = one.params["carried"], two.params["carried"]
    body, other = one.params["body"], copied(two.params["body"])
    given, inside = Loop.of(one.inputs, one.params), Loop.of(body.inputs, one.params)
    more, theirs = Loop.of(two.inputs, two.params), Loop.of(other.inputs, two.params)
    known: dict[Atom, Atom] = dict(zip(one.outputs[1 + n :], body.outputs[n:], strict=True))
    known.update(zip(given.sliced, inside.sliced, strict=True))
    kept: dict[Atom, Atom] = dict(zip(given.invariants, inside.invariants, strict=True))
    stands: dict[Var, Atom] = {other.inputs[0]: body.inputs[0]}
    new: tuple[list[Atom], list[Atom]] = [], []
    own: tuple[list[Var], list[Var]] = [], []
    for where, there, atoms, variables in (
        (0, kept, more.invariants, theirs.invariants),
        (1, known, more.sliced, theirs.sliced),
    ):
        for atom, v in zip(atoms, variables, strict=True):
            if isinstance(atom, Var) and atom in there:
                stands[v] = there[atom]
            else:
                new[where].append(atom)
                own[where].append(v)
    outputs = [substituted(a, stands) for a in other.outputs]
    joined = Trace(
        (
            body.inputs[0],
            *inside.carried,
            *theirs.carried,
            *inside.invariants,
            *own[0],
            *inside.sliced,
            *own[1],
        ),
        (*body.steps, *(substitute(step, stands) for step in other.steps)),
        (*body.outputs[:n], *outputs[:m], *body.outputs[n:], *outputs[m:]),
        body.name,
    )
    params = {
        **one.params,
        "body": joined,
        "carried": n + m,
        "sliced": len(given.sliced) + len(new[1]),
        "names": (*one.params["names"], *two.params["names"]),
    }
    return Instr(
        one.op,
        (given.limit, *given.carried, *more.carried, *given.invariants, *new[0], *given.sliced, *new[1]),
        (*one.outputs[: 1 + n], *two.outputs[1 : 1 + m], *one.outputs[1 + n :], *two.outputs[1 + m :]),
        params,
        one.location,
    )
