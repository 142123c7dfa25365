"""The rules every trace keeps, checked: assigned once, read when known, typed as the ops say, nested traces closed.

A trace goes in; nothing comes out, or an `InternalError` with the step as text. A pass that breaks a rule is found
here and not in the text it would have led to. Begin with `verify`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from tracegrad.errors import InternalError
from tracegrad.ir.trace import Atom, Const, Guard, Instr, Trace, Var
from tracegrad.ir.types import ArrayType

_COUNTER = ArrayType((), np.dtype(np.int64))


def verify(trace: Trace) -> None:
    """Check a trace and the traces its steps hold.

    Raises
    ------
    InternalError : a rule is broken
    """
    known: set[Var] = set()
    for variable in trace.inputs:
        _assign(variable, known, trace)
    for step in trace.steps:
        for atom in step.inputs:
            _check_read(atom, known, step)
        if isinstance(step, Guard):
            _check_guard(step)
        else:
            _check_instr(step)
            for variable in step.outputs:
                _assign(variable, known, step)
    for atom in trace.outputs:
        _check_read(atom, known, trace)


def _broken(what: str, where: Any) -> InternalError:
    if isinstance(where, Trace):
        return InternalError(f"{what}, in trace {where.name}")
    shown = f"guard {where.condition!r}" if isinstance(where, Guard) else f"{where.op.name}{where.inputs}"
    return InternalError(f"{what}: {shown}", where.location)


def _assign(variable: Any, known: set[Var], where: Any) -> None:
    if not isinstance(variable, Var):
        raise _broken(f"{variable!r} is no variable", where)
    if variable in known:
        raise _broken(f"{variable!r} is assigned twice", where)
    known.add(variable)


def _check_read(atom: Any, known: set[Var], where: Any) -> None:
    if isinstance(atom, Var):
        if atom not in known:
            raise _broken(f"{atom!r} is read before it is assigned", where)
    elif not isinstance(atom, Const):
        raise _broken(f"{atom!r} is neither variable nor constant", where)


def _check_guard(guard: Guard) -> None:
    condition = guard.condition.type
    if isinstance(guard.expected, (bool, np.bool_)) and condition != ArrayType((), np.dtype(bool)):
        raise _broken(f"a condition has the type {condition}", guard)
    if np.shape(guard.expected) != condition.shape:
        raise _broken(f"a guard compares {condition} with {guard.expected!r}", guard)


def _check_instr(step: Instr) -> None:
    for key, value in step.params.items():
        if not _is_frozen(value):
            raise _broken(f"the parameter {key} = {value!r} can change", step)
    if step.op.name == "loop":
        _check_loop(step)
    elif step.op.name == "branch":
        _check_branch(step)
    try:
        types = step.op.result_types(step.inputs, step.params)
    except Exception as error:
        raise _broken(f"the op refuses its inputs ({error})", step) from error
    found = [v.type for v in step.outputs]
    if step.op.name == "loop":
        types = [*map(_as_said, types, found), *types[len(found) :]]
    _check_types(found, types, "results", step)


def _as_said(known: ArrayType, said: ArrayType) -> ArrayType:
    """The type of a loop's result; how long a stack is need not be said."""
    return ArrayType((-1, *known.shape[1:]), known.dtype) if said.shape[:1] == (-1,) else known


def _is_frozen(value: Any) -> bool:
    if isinstance(value, (tuple, list)):
        return type(value) is not list and all(map(_is_frozen, value))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return bool(type(value).__dataclass_params__.frozen)  # type: ignore[attr-defined]
    return not isinstance(value, (dict, set, bytearray, np.ndarray, Var))


def _check_types(found: Sequence[ArrayType], wanted: Sequence[ArrayType], what: str, where: Any) -> None:
    if list(found) != list(wanted):
        shown = [f"({', '.join(map(str, types))})" for types in (found, wanted)]
        raise _broken(f"the {what} have the types {shown[0]} where {shown[1]} is expected", where)


def _types(atoms: Sequence[Atom]) -> list[ArrayType]:
    return [atom.type for atom in atoms]


def _check_branch(step: Instr) -> None:
    arms = [arm for arm in step.params["arms"] if arm is not None]
    if not arms or len(step.params["arms"]) != 2:
        raise _broken("a branch has two arms, of which one may be unknown", step)
    _check_types([step.inputs[0].type], [ArrayType((), np.dtype(bool))], "conditions", step)
    if len(step.params["names"]) != len(step.outputs):
        raise _broken(f"{len(step.outputs)} results have the names {step.params['names']}", step)
    for arm in arms:
        verify(arm)
        _check_types(_types(arm.inputs), _types(step.inputs[1:]), "arm's inputs", step)
        _check_types(_types(arm.outputs), _types(step.outputs), "arm's outputs", step)


def _check_loop(step: Instr) -> None:
    condition, body = step.params["condition"], step.params["body"]
    n, end = step.params["carried"], len(step.inputs) - step.params["sliced"]
    limit = step.inputs[0]
    if limit.type.shape or limit.type.dtype.kind not in "iu":
        raise _broken(f"the limit has the type {limit.type}", step)
    stop, ends = step.params["stop"], condition is not None or step.params["stop"] is not None
    unlimited = isinstance(limit, Const) and limit.value < 0
    if not ends and unlimited:
        raise _broken("a loop has neither limit, condition nor stop", step)
    if body is None and condition is None and isinstance(limit, Const):
        raise _broken("a loop without a body is one that may be entered another time", step)
    if step.params["reverse"] and (ends or body is None):
        raise _broken("a reverse loop has a limit and a body, no condition and no stop", step)
    if len(step.params["names"]) != n:
        raise _broken(f"{n} carried values have the names {step.params['names']}", step)
    held = [_COUNTER, *_types(step.inputs[1:end])]
    if stop is not None:
        if not 0 <= stop < n:
            raise _broken(f"the loop is stopped by value {stop} of {n}", step)
        _check_types([held[1 + stop]], [ArrayType((), np.dtype(bool))], "stops", step)
    if condition is not None:
        verify(condition)
        _check_types(_types(condition.inputs), held, "condition's inputs", step)
        _check_types(_types(condition.outputs), [ArrayType((), np.dtype(bool))], "condition's outputs", step)
    if body is None:
        return
    verify(body)
    slices = [ArrayType(atom.shape[1:], atom.dtype) for atom in step.inputs[end:]]
    _check_types(_types(body.inputs), [*held, *slices], "body's inputs", step)
    _check_types(_types(body.outputs[:n]), held[1 : 1 + n], "body's carried outputs", step)
