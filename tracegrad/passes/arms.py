"""What a branch tells about its arms: the condition is known in them, and sums go where something is added.

A trace goes in; one with smaller branches, which computes the same, comes out. Begin with `settle_sums`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from tracegrad.ir.trace import Atom, Const, Instr, Step, Trace, Var
from tracegrad.ir.walk import map_control, use_counts
from tracegrad.passes.rewrite import place_all

# --- the condition ----------------------------------------------------------------------------------------------------


def condition_known(step: Instr) -> Instr:
    """Inside an arm the condition of its branch is a constant: True in one, False in the other."""
    condition = step.inputs[0]
    places = [k for k, a in enumerate(step.inputs[1:]) if a is condition]
    if not places or condition.dtype != np.bool_:
        return step

    def told(arm: Trace | None, answer: bool) -> Trace | None:
        if arm is None:
            return None
        stands: dict[Var, Atom] = {arm.inputs[k]: Const(np.bool_(answer)) for k in places}
        return replace(place_all(arm, stands), inputs=tuple(v for v in arm.inputs if v not in stands))

    arms = tuple(told(arm, k == 0) for k, arm in enumerate(step.params["arms"]))
    inputs = (condition, *(a for a in step.inputs[1:] if a is not condition))
    return replace(step, inputs=inputs, params={**step.params, "arms": arms})


# --- sums -------------------------------------------------------------------------------------------------------------


def settle_sums(trace: Trace) -> Trace:
    """A sum of a value and a branch's result that is zero in some arm is written in the arms, but not in that one.

    `b = branch(p, x*y, 0); s = t + b` becomes `s = branch(p, t + x*y, t)`, in the trace and in the traces it holds.
    The value must be known before the branch, and nobody else may read the branch's result.
    """
    steps: list[Step] = list(trace.steps)
    branches = {v: k for k, step in enumerate(steps) if _is_branch(step) for v in step.outputs}
    if not branches:
        return map_control(trace, settle_sums)
    counts = use_counts(trace)
    known = dict.fromkeys(trace.inputs, -1)
    known.update((v, k) for k, step in enumerate(steps) for v in step.outputs)
    gone: set[int] = set()
    for k, step in enumerate(steps):
        for side in _sides_of_sum(step):
            other, result = step.inputs[1 - side], step.inputs[side]
            at = branches.get(result) if isinstance(result, Var) else None
            if at is None or counts[result] != 1 or (isinstance(other, Var) and known[other] >= at):  # type: ignore[index]
                continue
            branch = steps[at]
            assert isinstance(step, Instr) and isinstance(branch, Instr) and isinstance(result, Var)
            if _is_zero_somewhere(branch, branch.outputs.index(result)):
                steps[at] = _with_sum(branch, branch.outputs.index(result), step, side)
                known[step.outputs[0]] = branches[step.outputs[0]] = at
                gone.add(k)
                break
    kept = tuple(step for k, step in enumerate(steps) if k not in gone)
    return map_control(replace(trace, steps=kept) if gone else trace, settle_sums)


def _is_branch(step: Step) -> bool:
    return isinstance(step, Instr) and step.op.name == "branch" and None not in step.params["arms"]


def _sides_of_sum(step: Step) -> tuple[int, ...]:
    """Where a step adds something to a value of the same type; empty for other steps."""
    if not isinstance(step, Instr) or step.op.name not in ("add", "subtract"):
        return ()
    if any(a.type != step.outputs[0].type for a in step.inputs):
        return ()
    return (1, 0) if step.op.name == "add" else (1,)


def _is_zero_somewhere(branch: Instr, place: int) -> bool:
    return any(_is_zero(arm, arm.outputs[place]) for arm in branch.params["arms"])


def _is_zero(arm: Trace, atom: Atom) -> bool:
    """Whether this output of an arm is zero, or is in some arm of a branch in it."""
    if isinstance(atom, Const):
        return not atom.shape and atom.value == 0
    maker = _makers(arm).get(atom)
    if maker is None or not _is_branch(maker):
        return maker is not None and maker.op.name == "zeros"
    return _is_zero_somewhere(maker, maker.outputs.index(atom))


def _makers(trace: Trace) -> Mapping[Var, Instr]:
    return {v: step for step in trace.steps if isinstance(step, Instr) for v in step.outputs}


def _with_sum(branch: Instr, place: int, added: Instr, side: int) -> Instr:
    """The branch with the sum in its arms; its result is the sum's."""
    other = added.inputs[1 - side]

    def summed(arm: Trace) -> Trace:
        given = Var(other.type, getattr(other, "name", None))
        atom = arm.outputs[place]
        maker = _makers(arm).get(atom) if isinstance(atom, Var) else None
        outputs, steps = list(arm.outputs), arm.steps
        if _is_zero(arm, atom) and (maker is None or maker.op.name == "zeros"):
            outputs[place] = given
        else:
            total = Var(added.outputs[0].type, added.outputs[0].name)
            inputs = (given, atom) if side == 1 else (atom, given)
            where = added.location if maker is None else maker.location
            after = 1 + max((k for k, step in enumerate(steps) if atom in step.outputs), default=-1)
            summed_up = replace(added, inputs=inputs, outputs=(total,), location=where)
            steps = (*steps[:after], summed_up, *steps[after:])
            outputs[place] = total
        return Trace((*arm.inputs, given), steps, tuple(outputs), arm.name)

    names = list(branch.params["names"])
    if place < len(names):
        names[place] = added.outputs[0].name or names[place]
    outputs = list(branch.outputs)
    outputs[place] = added.outputs[0]
    params = {**branch.params, "arms": tuple(map(summed, branch.params["arms"])), "names": tuple(names)}
    return replace(branch, inputs=(*branch.inputs, other), outputs=tuple(outputs), params=params)
