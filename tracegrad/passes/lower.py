"""Forms that a program cannot have: arms and bodies nobody has seen yet, results in memory of somebody else.

Begin with `lower_branches`: what was not seen becomes a guard, whose side exit leads to a capture that sees it.
`own_outputs` writes the copies that make results safe to change.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np

from tracegrad.ir.close import substitute, substituted
from tracegrad.ir.trace import Atom, Const, Guard, Instr, Step, Trace, Var
from tracegrad.ir.walk import has_control, map_nested
from tracegrad.ops.compare import greater, logical_and
from tracegrad.ops.families import sum_to
from tracegrad.ops.shape import copy, reshape
from tracegrad.passes.rewrite import inlined, strong

# --- what was never seen ----------------------------------------------------------------------------------------------


def lower_branches(trace: Trace) -> Trace:
    """Replace every branch with one known arm by a guard and that arm's steps, and every loop never entered by a guard.

    Afterwards each branch has two arms and each loop a body, in the trace and in the traces it holds. The guard
    has the location of the branch or loop.
    """
    if not has_control(trace):
        return trace
    stands: dict[Var, Atom] = {}
    steps: list[Step] = []
    for before in trace.steps:
        step = substitute(before, stands)
        if isinstance(step, Guard) or step.op.family != "control":
            steps.append(step)
            continue
        step = map_nested(step, lower_branches)
        if step.op.name == "branch" and None in step.params["arms"]:
            taken = step.params["arms"][1] is None
            arm = step.params["arms"][0 if taken else 1]
            steps.append(Guard(step.inputs[0], taken, step.location))
            arm_steps, results = inlined(arm, step.inputs[1:])
            steps.extend(arm_steps)
            stands.update(zip(step.outputs, results, strict=True))
        elif step.op.name == "loop" and step.params["body"] is None:
            steps.extend(_not_entered(step))
            stands[step.outputs[0]] = Const(np.int64(0))
            for variable, first in zip(step.outputs[1:], step.inputs[1:], strict=False):
                stands[variable] = strong(first, variable.type)
        else:
            steps.append(step)
    return replace(trace, steps=tuple(steps), outputs=tuple(substituted(a, stands) for a in trace.outputs))


def _not_entered(step: Instr) -> list[Step]:
    """The guard that a loop makes no step: its limit is 0, or its condition is false, or either."""
    limit, condition = step.inputs[0], step.params["condition"]
    if condition is None:
        return [Guard(limit, 0, step.location)]
    steps, (test,) = inlined(condition, [Const(np.int64(0)), *step.inputs[1:]])
    if isinstance(limit, Var):
        some, both = Var(test.type), Var(test.type)
        steps.append(Instr(greater, (limit, Const(0)), (some,), {}, step.location))
        steps.append(Instr(logical_and, (some, test), (both,), {}, step.location))
        test = both
    return [*steps, Guard(test, False, step.location)]


# --- memory of one's own ----------------------------------------------------------------------------------------------

Roots: TypeAlias = frozenset[Any]
"""Where the memory of a value may come from: variables that own memory, and constants."""


def own_outputs(trace: Trace, n: int) -> Trace:
    """Give each of the first `n` outputs memory of its own, by a copy where it may share it.

    An output shares memory with an input, a constant or another output when it is that value, or a view of it, or may
    be, as the result of a branch. Views of memory that nobody else has are copied too, unless merely reshaped:
    they may be read-only or not contiguous. Scalars are values and share nothing.
    """
    roots = _roots(trace, {v: frozenset([v]) for v in trace.inputs})
    plain = _merely_reshaped(trace)
    taken: set[Any] = set(trace.inputs)
    for atom in trace.outputs[n:]:
        taken.update(_roots_of(atom, roots))
    steps, outputs = list(trace.steps), list(trace.outputs)
    for k, atom in enumerate(trace.outputs[:n]):
        if not atom.type.shape:
            continue
        found = _roots_of(atom, roots)
        owned = taken.isdisjoint(found) and not any(isinstance(root, Const) for root in found)
        if owned and atom in plain:
            taken.update(found)
            continue
        fresh = Var(atom.type, atom.name if isinstance(atom, Var) else None)
        steps.append(Instr(copy, (atom,), (fresh,), {}, None))
        outputs[k] = fresh
    return _with_copies(trace, steps, outputs)


def no_output_twice(trace: Trace) -> Trace:
    """Give an output that is another one as well memory of its own: what two steps made may have become one step."""
    steps, outputs = list(trace.steps), list(trace.outputs)
    for k, atom in enumerate(outputs):
        if isinstance(atom, Var) and atom.shape and atom in outputs[:k]:
            fresh = Var(atom.type, atom.name)
            steps.append(Instr(copy, (atom,), (fresh,), {}, None))
            outputs[k] = fresh
    return _with_copies(trace, steps, outputs)


def _with_copies(trace: Trace, steps: list[Step], outputs: list[Atom]) -> Trace:
    """The trace with steps that copy added at its end, and what it gives then; itself if there are none."""
    if len(steps) == len(trace.steps):
        return trace
    return replace(trace, steps=tuple(steps), outputs=tuple(outputs))


def _roots_of(atom: Atom, roots: Mapping[Var, Roots]) -> Roots:
    return roots[atom] if isinstance(atom, Var) else frozenset([atom])


def _is_view(step: Instr) -> bool:
    """Whether the result may be memory of the first input; a sum over nothing is its input."""
    return step.op.view or (step.op is sum_to and step.inputs[0].shape == step.outputs[0].shape)


def _roots(trace: Trace, known: Mapping[Var, Roots]) -> dict[Var, Roots]:
    """The roots of every variable, given those of the inputs."""
    roots = dict(known)
    for step in trace.steps:
        if isinstance(step, Guard):
            continue
        given = [_roots_of(a, roots) for a in step.inputs]
        if step.op.name == "branch":
            found = _branch_roots(step, given)
        elif step.op.name == "loop":
            found = _loop_roots(step, given)
        elif _is_view(step):
            found = [given[0]] * len(step.outputs)
        else:
            found = [frozenset([v]) for v in step.outputs]
        roots.update(zip(step.outputs, found, strict=True))
    return roots


def _results(trace: Trace, given: Sequence[Roots]) -> list[Roots]:
    roots = _roots(trace, dict(zip(trace.inputs, given, strict=True)))
    return [_roots_of(a, roots) for a in trace.outputs]


def _branch_roots(step: Instr, given: Sequence[Roots]) -> list[Roots]:
    left, right = (_results(arm, given[1:]) for arm in step.params["arms"])
    return [a | b for a, b in zip(left, right, strict=True)]


def _loop_roots(step: Instr, given: Sequence[Roots]) -> list[Roots]:
    """What is carried may come from where it started or from where the body takes it: a fixed point."""
    n, body = step.params["carried"], step.params["body"]
    carried = list(given[1 : 1 + n])
    while True:
        after = _results(body, [given[0], *carried, *given[1 + n :]])[:n]
        grown = [a | b for a, b in zip(carried, after, strict=True)]
        if grown == carried:
            break
        carried = grown
    owned = [frozenset([v]) for v in step.outputs]
    return [owned[0], *carried, *owned[1 + n :]]


def _merely_reshaped(trace: Trace, given: Container[Any] = ()) -> set[Any]:
    """Variables whose memory is as an op made it, contiguous and writable; `given`: the inputs of which that holds."""
    plain: set[Any] = {v for v in trace.inputs if v in given}
    for step in trace.steps:
        if isinstance(step, Guard):
            continue
        if step.op.name == "branch":
            inner = [
                _merely_reshaped(a, _plain_inputs(a, step.inputs[1:], plain)) for a in step.params["arms"]
            ]
            outputs = zip(*(arm.outputs for arm in step.params["arms"]), strict=True)
            plain.update(
                v for v, pair in zip(step.outputs, outputs, strict=True) if all(map(_in, pair, inner))
            )
        elif step.op.name == "loop":
            plain.update(_plain_results(step, plain))
        elif not _is_view(step) or (step.op is reshape and step.inputs[0] in plain):
            plain.update(step.outputs)
    return plain


def _in(item: Any, items: set[Any]) -> bool:
    return item in items


def _plain_inputs(trace: Trace, atoms: Sequence[Atom], plain: set[Any]) -> set[Any]:
    return {v for v, atom in zip(trace.inputs, atoms, strict=True) if atom in plain}


def _plain_results(step: Instr, plain: set[Any]) -> set[Any]:
    """The results of a loop that are plain: carried values that start so and stay so, and all that is stacked."""
    n, body = step.params["carried"], step.params["body"]
    given = _plain_inputs(body, step.inputs, plain)
    while True:
        inner = _merely_reshaped(body, given)
        lost = {
            v
            for v, after in zip(body.inputs[1:], body.outputs[:n], strict=False)
            if v in given and after not in inner
        }
        if not lost:
            break
        given -= lost
    carried = zip(step.outputs[1:], body.inputs[1 : 1 + n], strict=False)
    return {step.outputs[0], *(v for v, inside in carried if inside in given), *step.outputs[1 + n :]}
