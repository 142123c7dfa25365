"""Are two recordings the same program? And if they took different arms of a branch: the program that has
both.

`unify` compares blocks step by step, literally, with a growing correspondence of variables. Where one block
took an arm of a branch that the other did not, or entered a loop the other skipped, the result has both.
Used for the iterations of a loop (`record/loops.py`) and for the captures of a function
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
WENT_ANOTHER_WAY = "a guard went another way"


def unify(
    first: Sequence[Step], second: Sequence[Step], names: Names, zeros: Any, alike: bool = True
) -> list[Step]:
    """One block that does what both do, in the variables of `first`.

    Parameters
    ----------
    first, second : sequence of Step
    names : dict of Var to Atom
        What the variables of `second` are called in `first`; grows while steps are matched.
    zeros : Op
        Writes the value of a result that an arm does not make.
    alike : bool
        Whether an arm that one block took is what the other would do there. If it is not, both must have taken
        the same arms.

    Raises
    ------
    Mismatch : they are different programs
    """
    united = [_step(a, b, names, zeros, alike) for a, b in zip(first, second, strict=False)]
    if len(first) != len(second):
        more = max(first, second, key=len)[len(united)]
        what = "a condition" if isinstance(more, Guard) else f"`{more.op.name}`"
        raise Mismatch(f"{what} is there in one alone", more.location)
    return united


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


def _step(a: Step, b: Step, names: Names, zeros: Any, alike: bool) -> Step:
    if isinstance(a, Guard) or isinstance(b, Guard):
        if (
            isinstance(a, Guard)
            and isinstance(b, Guard)
            and same_atom(a.condition, b.condition, names)
            and same_value(a.expected, b.expected)
        ):
            return a
        raise Mismatch(WENT_ANOTHER_WAY, a.location)
    if a.op is not b.op:
        raise Mismatch(f"`{a.op.name}` here and `{b.op.name}` there", a.location)
    if "arms" in a.params:
        return _branch(a, b, names, zeros, alike)
    if "body" in a.params:
        return _loop(a, b, names, zeros, alike)
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


def _branch(a: Instr, b: Instr, names: Names, zeros: Any, alike: bool) -> Instr:
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
    _no_other_shape(a.params["names"], b.params["names"], a)
    arms: list[Trace | None] = []
    for mine, other in zip(a.params["arms"], b.params["arms"], strict=True):
        if mine is None and other is None:
            arms.append(None)
            continue
        if not alike and (mine is None or other is None):
            raise Mismatch("another arm is taken, for an item that is not a number", a.location)
        inputs = [Var(x.type, x.name if isinstance(x, Var) else None) for x in operands]
        if mine is not None:
            mine = _rebound(mine, inputs[: len(mine.inputs)])
        if other is not None:
            other = _rebound(other, [inputs[i] for i in place])
        arms.append(
            _united_arm(
                inputs, mine, a.params["names"], other, b.params["names"], united, types, zeros, alike
            )
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


def _no_other_shape(first: Sequence[str], second: Sequence[str], step: Instr) -> None:
    """Refuse results that are parts of one name and missing on the other side: it holds something else there."""
    if {n for n in first if n.endswith("@")} != {n for n in second if n.endswith("@")}:
        raise Mismatch(
            "a name holds another array after one arm, and one that is written after the other", step.location
        )
    for some, others in ((first, second), (second, first)):
        roots = {n.split("[", 1)[0] for n in others}
        for n in some:
            if n not in others and n.split("[", 1)[0] in roots:
                raise Mismatch(f"`{n.split('[', 1)[0]}` holds something of another structure", step.location)


def _rebound(arm: Trace, inputs: Sequence[Var]) -> Trace:
    if any(v.type != i.type for v, i in zip(arm.inputs, inputs, strict=True)):
        # An integer that became a float: the steps were recorded for the other type.
        raise Mismatch("a block of steps that reads a value of another type", None)
    steps, names = renewed(arm.steps, dict(zip(arm.inputs, inputs, strict=True)))
    return Trace(tuple(inputs), tuple(steps), tuple(substituted(x, names) for x in arm.outputs), arm.name)


def _defined(arm: Trace, names: Sequence[str], zeros: Any) -> tuple[list[Step], dict[str, Atom]]:
    """Steps and results of an arm without the zeros that stand for what it does not define."""
    results = dict(zip(names, arm.outputs, strict=True))
    read = {a for step in arm.steps for a in step.inputs}
    empty = {
        v
        for step in arm.steps
        if isinstance(step, Instr) and step.op is zeros
        for v in step.outputs
        if v not in read
    }
    steps = [step for step in arm.steps if empty.isdisjoint(step.outputs)]
    return steps, {n: a for n, a in results.items() if a not in empty}


def _united_arm(
    inputs: Sequence[Var],
    mine: Trace | None,
    my_names: Sequence[str],
    other: Trace | None,
    other_names: Sequence[str],
    united: Sequence[str],
    types: Mapping[str, ArrayType],
    zeros: Any,
    alike: bool,
) -> Trace:
    """One arm with all results; a result this arm does not make is undefined, and nobody reads it: zeros."""
    results: dict[str, Atom] = {}
    if mine is not None and other is not None:
        inner: Names = {}
        my_steps, my_results = _defined(mine, my_names, zeros)
        other_steps, other_results = _defined(other, other_names, zeros)
        steps = unify(my_steps, other_steps, inner, zeros, alike)
        results.update(my_results)
        for n, y in other_results.items():
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


def _loop(a: Instr, b: Instr, names: Names, zeros: Any, alike: bool) -> Instr:
    """Loops over the same names; a loop that was never entered takes the body of the other, and a name that
    one of them never bound is the other's.
    """
    mine, other = _Parts(a), _Parts(b)
    if not same_atom(a.inputs[0], b.inputs[0], names):
        raise Mismatch("loops that run another number of times", a.location)
    if (mine.condition is None) != (other.condition is None):
        raise Mismatch("a loop with a condition and one without", a.location)
    if mine.body is not None and other.body is not None:
        if mine.stop != other.stop or mine.stacks != other.stacks:
            raise Mismatch("a loop that is left early and one that is not", a.location)
    elif not alike and (mine.body is None) != (other.body is None):
        raise Mismatch("a loop is entered, for an item that is not a number", a.location)
    elif mine.stacks or other.stacks:
        raise Mismatch("a loop that appends to a list is not entered", a.location)
    _no_other_shape(tuple(mine.init), tuple(other.init), a)
    init = dict(mine.init)
    for n, y in other.init.items():
        x = init.setdefault(n, substituted(y, names))
        if n in mine.init and (not same_atom(x, y, names) or x.type != y.type):
            raise Mismatch("a loop that starts with other values", a.location)
    invariants = list(mine.invariants)
    place: list[int] = []
    for y in other.invariants:
        found = next((i for i, x in enumerate(invariants) if same_atom(x, y, names)), None)
        if found is None:
            found = len(invariants)
            invariants.append(substituted(y, names))
        place.append(found)

    def united(first: Trace | None, second: Trace | None, handed_on: bool) -> Trace | None:
        if first is None and second is None:
            return None
        counter = (first or second).inputs[0]  # type: ignore[union-attr]
        own = {n: Var(x.type, n) for n, x in init.items()}
        for part, trace in ((mine, first), (other, second)):
            if trace is not None:  # the types inside are those of the body, not of what it starts with
                own.update(
                    (n, Var(v.type, v.name)) for n, v in zip(part.init, trace.inputs[1:], strict=False)
                )
        carried = list(own.values())
        still = [Var(x.type, x.name if isinstance(x, Var) else None) for x in invariants]
        inputs = [Var(counter.type, counter.name), *carried, *still]
        if first is not None:
            first = _rebound(first, [inputs[0], *(own[n] for n in mine.init), *still[: len(mine.invariants)]])
        if second is not None:
            second = _rebound(second, [inputs[0], *(own[n] for n in other.init), *(still[i] for i in place)])
        inner: Names = {}
        steps = list((first or second).steps)  # type: ignore[union-attr]
        if first is not None and second is not None:
            steps = unify(first.steps, second.steps, inner, zeros, alike)
        if not handed_on:
            known = [t.outputs[0] for t in (first, second) if t is not None]
            if len(known) == 2 and not same_atom(known[0], known[1], inner):
                raise Mismatch("the condition asks something else", a.location)
            return Trace(tuple(inputs), tuple(steps), (known[0],), "condition")
        results: dict[str, Atom] = {}
        for part, trace in ((mine, first), (other, second)):
            if trace is None:
                continue
            for n, y in zip((*part.init, *range(part.stacks)), trace.outputs, strict=True):
                if n in results and not same_atom(results[n], y, inner):
                    raise Mismatch("iterations that hand on other values", a.location)
                results.setdefault(n, substituted(y, inner))
        for n in init:
            results.setdefault(n, own[n])
        outputs = [results[n] for n in (*init, *range(mine.stacks))]
        return Trace(tuple(inputs), tuple(steps), tuple(outputs), "body")

    params = dict(a.params)
    params["condition"] = united(mine.condition, other.condition, False)
    params["body"] = united(mine.body, other.body, True)
    params["carried"], params["names"] = len(init), tuple(init)
    stop = mine.stop or other.stop
    params["stop"] = None if stop is None else params["names"].index(stop)
    extra = {n: v for n, v in zip(other.init, b.outputs[1:], strict=False) if n not in mine.init}
    finals = dict(zip(mine.init, a.outputs[1:], strict=False))
    finals.update((n, Var(v.type, v.name)) for n, v in extra.items())
    outputs = (a.outputs[0], *finals.values(), *a.outputs[1 + len(mine.init) :])
    names[b.outputs[0]] = a.outputs[0]
    names.update((v, finals[n]) for n, v in zip(other.init, b.outputs[1:], strict=False))
    names.update(zip(b.outputs[1 + len(other.init) :], a.outputs[1 + len(mine.init) :], strict=True))
    inputs = (a.inputs[0], *init.values(), *invariants)
    return replace(a, inputs=inputs, outputs=outputs, params=params)


class _Parts:
    """A recorded loop by the names it carries."""

    def __init__(self, step: Instr) -> None:
        params = step.params
        n = params["carried"]
        self.condition: Trace | None = params["condition"]
        self.body: Trace | None = params["body"]
        self.init: dict[str, Atom] = dict(zip(params["names"], step.inputs[1 : 1 + n], strict=True))
        self.invariants = step.inputs[1 + n :]
        self.stop: str | None = None if params["stop"] is None else params["names"][params["stop"]]
        self.stacks = len(step.outputs) - 1 - n
