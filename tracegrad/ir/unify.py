"""Are two recordings the same program? And if they took different arms of a branch: the program that has
both.

`unify` compares blocks step by step, literally, with a growing correspondence of variables. Where one block
took an arm of a branch that the other did not, or entered a loop the other skipped, the result has both.
Used for the iterations of a loop (`record/structure.py`) and for the captures of a function
(`passes/merge.py`). Begin with `unify`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from tracegrad.errors import Mismatch
from tracegrad.ir.close import renewed, substituted
from tracegrad.ir.trace import Atom, Const, Guard, Instr, Step, Trace, Var
from tracegrad.ir.types import ArrayType

Names = dict[Var, Atom]


def unify(first: Sequence[Step], second: Sequence[Step], names: Names, zeros: Any) -> list[Step]:
    """One block that does what both do, in the variables of `first`.

    Parameters
    ----------
    first, second : sequence of Step
    names : dict of Var to Atom
        What the variables of `second` are called in `first`; grows while steps are matched.
    zeros : Op
        Writes the value of a result that an arm does not make.

    Raises
    ------
    Mismatch : they are different programs
    """
    if len(first) != len(second):
        raise Mismatch(f"{len(first)} steps and {len(second)}", _last_location(first, second))
    return [_step(a, b, names, zeros) for a, b in zip(first, second, strict=True)]


def same_atom(a: Atom, b: Atom, names: Mapping[Var, Atom]) -> bool:
    """Whether an atom of the second block is `a` of the first."""
    b = substituted(b, names)
    if isinstance(a, Const) and isinstance(b, Const):
        return same_value(a.value, b.value)
    return a is b


def same_value(a: Any, b: Any) -> bool:
    """Whether two constants are the same to the last bit, type included."""
    if a is b:
        return True
    if type(a) is not type(b):
        return False
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    return bool(a == b and str(a) == str(b)) or (a != a and b != b)


def _last_location(*blocks: Sequence[Step]) -> Any:
    longest = max(blocks, key=len)
    return longest[min(map(len, blocks))].location if longest else None


def _step(a: Step, b: Step, names: Names, zeros: Any) -> Step:
    if isinstance(a, Guard) or isinstance(b, Guard):
        if (
            isinstance(a, Guard)
            and isinstance(b, Guard)
            and same_atom(a.condition, b.condition, names)
            and same_value(a.expected, b.expected)
        ):
            return a
        raise Mismatch("a guard went another way", a.location)
    if a.op is not b.op:
        raise Mismatch(f"`{a.op.name}` here and `{b.op.name}` there", a.location)
    if "arms" in a.params:
        return _branch(a, b, names, zeros)
    if "body" in a.params:
        return _loop(a, b, names, zeros)
    # Once for each step of each iteration of a loop that is captured: plain loops, the common case first.
    same = len(a.inputs) == len(b.inputs) and (a.params is b.params or _same_params(a.params, b.params))
    for x, y in zip(a.inputs, b.inputs, strict=False):
        same = same and same_atom(x, y, names)
    for mine, other in zip(a.outputs, b.outputs, strict=True):
        same = same and (mine.type is other.type or mine.type == other.type)
        names[other] = mine
    if not same:
        raise Mismatch(f"`{a.op.name}` of other values", a.location)
    return a


def _same_params(a: Mapping[str, Any], b: Mapping[str, Any]) -> bool:
    if not a and not b:
        return True
    return a.keys() == b.keys() and all(type(a[k]) is type(b[k]) and a[k] == b[k] for k in a)


# --- branches -----------------------------------------------------------------------------------


def _branch(a: Instr, b: Instr, names: Names, zeros: Any) -> Instr:
    """Operands are united; results are matched by the user's names."""
    if not same_atom(a.inputs[0], b.inputs[0], names):
        raise Mismatch("a condition on other values", a.location)
    operands: list[Atom] = list(a.inputs[1:])
    place: list[int] = []  # for each operand of b, its place among the united ones
    for y in b.inputs[1:]:
        found = next((i for i, x in enumerate(operands) if same_atom(x, y, names)), None)
        if found is None:
            found = len(operands)
            operands.append(substituted(y, names))
        place.append(found)
    united = (*a.params["names"], *(n for n in b.params["names"] if n not in a.params["names"]))
    types: dict[str, ArrayType] = {n: v.type for n, v in zip(b.params["names"], b.outputs, strict=True)}
    for n, v in zip(a.params["names"], a.outputs, strict=True):
        if types.setdefault(n, v.type) != v.type:
            raise Mismatch(f"`{n}` is {v.type} after one arm and {types[n]} after the other", a.location)
    arms: list[Trace | None] = []
    for mine, other in zip(a.params["arms"], b.params["arms"], strict=True):
        if mine is None and other is None:
            arms.append(None)
            continue
        inputs = [Var(x.type, x.name if isinstance(x, Var) else None) for x in operands]
        if mine is not None:
            mine = _rebound(mine, inputs[: len(mine.inputs)])
        if other is not None:
            other = _rebound(other, [inputs[i] for i in place])
        arms.append(
            _united_arm(inputs, mine, a.params["names"], other, b.params["names"], united, types, zeros)
        )
    extra = [Var(types[n], n) for n in united[len(a.outputs) :]]
    outputs = (*a.outputs, *extra)
    names.update({v: outputs[united.index(n)] for n, v in zip(b.params["names"], b.outputs, strict=True)})
    return replace(
        a,
        inputs=(a.inputs[0], *operands),
        outputs=outputs,
        params={"arms": tuple(arms), "names": tuple(united)},
    )


def _rebound(arm: Trace, inputs: Sequence[Var]) -> Trace:
    if any(v.type != i.type for v, i in zip(arm.inputs, inputs, strict=True)):
        # An integer that became a float: the steps were recorded for the other type.
        raise Mismatch("a block of steps that reads a value of another type", None)
    steps, names = renewed(arm.steps, dict(zip(arm.inputs, inputs, strict=True)))
    return Trace(tuple(inputs), tuple(steps), tuple(substituted(x, names) for x in arm.outputs), arm.name)


def _united_arm(
    inputs: Sequence[Var],
    mine: Trace | None,
    my_names: Sequence[str],
    other: Trace | None,
    other_names: Sequence[str],
    united: Sequence[str],
    types: Mapping[str, ArrayType],
    zeros: Any,
) -> Trace:
    """One arm with all results; a result this arm does not make is undefined, and nobody reads it: zeros."""
    results: dict[str, Atom] = {}
    if mine is not None and other is not None:
        inner: Names = {}
        steps = unify(mine.steps, other.steps, inner, zeros)
        results.update(zip(my_names, mine.outputs, strict=True))
        for n, y in zip(other_names, other.outputs, strict=True):
            if n in results and not same_atom(results[n], y, inner):
                raise Mismatch(f"`{n}` gets another value in the same arm", None)
            results.setdefault(n, substituted(y, inner))
    else:
        arm, arm_names = (mine, my_names) if mine is not None else (other, other_names)
        assert arm is not None
        steps = list(arm.steps)
        results.update(zip(arm_names, arm.outputs, strict=True))
    for n in united:
        if n not in results:
            missing = Var(types[n], n)
            steps.append(Instr(zeros, (), (missing,), {"shape": types[n].shape, "dtype": types[n].dtype}))
            results[n] = missing
    return Trace(tuple(inputs), tuple(steps), tuple(results[n] for n in united), "arm")


# --- loops --------------------------------------------------------------------------------------


def _loop(a: Instr, b: Instr, names: Names, zeros: Any) -> Instr:
    """Loops with the same carried names; a loop that was never entered takes the body of the other."""
    n = a.params["carried"]
    if a.params["names"] != b.params["names"] or not same_atom(a.inputs[0], b.inputs[0], names):
        raise Mismatch("loops that carry other values or run another number of times", a.location)
    for x, y in zip(a.inputs[1 : 1 + n], b.inputs[1 : 1 + n], strict=True):
        if not same_atom(x, y, names) or x.type != y.type:
            raise Mismatch("a loop that starts with other values", a.location)
    if (a.params["condition"] is None) != (b.params["condition"] is None):
        raise Mismatch("a loop with a condition and one without", a.location)
    if a.params["stop"] != b.params["stop"]:
        raise Mismatch("a loop that is left early and one that is not", a.location)
    invariants: list[Atom] = list(a.inputs[1 + n :])
    place: list[int] = []
    for y in b.inputs[1 + n :]:
        found = next((i for i, x in enumerate(invariants) if same_atom(x, y, names)), None)
        if found is None:
            found = len(invariants)
            invariants.append(substituted(y, names))
        place.append(found)

    def united(mine: Trace | None, other: Trace | None) -> Trace | None:
        if mine is None and other is None:
            return None
        own = (mine or other).inputs[: 1 + n]  # type: ignore[union-attr]
        inputs = [
            *(Var(v.type, v.name) for v in own),
            *(Var(x.type, x.name if isinstance(x, Var) else None) for x in invariants),
        ]
        if mine is not None:
            mine = _rebound(mine, inputs[: len(mine.inputs)])
        if other is not None:
            other = _rebound(other, [*inputs[: 1 + n], *(inputs[1 + n + i] for i in place)])
        if mine is None or other is None:
            one = mine or other
            assert one is not None
            return replace(one, inputs=tuple(inputs))
        inner: Names = {}
        steps = unify(mine.steps, other.steps, inner, zeros)
        for x, y in zip(mine.outputs, other.outputs, strict=True):
            if not same_atom(x, y, inner):
                raise Mismatch("iterations that hand on other values", a.location)
        return Trace(tuple(inputs), tuple(steps), mine.outputs, mine.name)

    params = dict(a.params)
    params["condition"] = united(a.params["condition"], b.params["condition"])
    params["body"] = united(a.params["body"], b.params["body"])
    names.update(zip(b.outputs, a.outputs, strict=True))
    return replace(a, inputs=(*a.inputs[: 1 + n], *invariants), params=params)
