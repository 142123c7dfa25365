"""Values computed twice: the second step goes, and the first value stands for it.

A trace goes in; one comes out with no two steps of the same op on the same inputs with the same parameters. Ops
are pure, so guards between two steps do not matter; a guard that repeats an earlier one goes too. Begin with
`share`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from tracegrad.ir.close import substitute, substituted
from tracegrad.ir.trace import Atom, Const, Guard, Instr, Step, Trace, Var
from tracegrad.ir.walk import map_nested
from tracegrad.passes.rewrite import constant_key, place_all, renamed

_FRESH = ("copy",)
"""Ops whose result must be memory of its own; so is what has no inputs (`zeros`), cheap and often written into."""


def share_conditions(trace: Trace) -> Trace:
    """Compute each condition once: what one selects twice has one selection of its cotangents, summed before factors.

    Factors then never meet the zeros of what was not chosen, which times NaN would be NaN.
    """
    return share(trace, _is_condition)


def _is_condition(step: Step) -> bool:
    return isinstance(step, Instr) and step.op.family == "elementwise" and step.outputs[0].dtype.kind == "b"


def share(trace: Trace, wanted: Callable[[Step], bool] = lambda step: True) -> Trace:
    """Compute each value once, or each `wanted` one, in the trace and, separately, in each trace it holds.

    Nothing moves out of a loop or branch. A value keeps the user's name if either step had one.
    """
    seen: dict[Any, tuple[Var, ...]] = {}
    stands: dict[Var, Atom] = {}
    made: set[Var] = set()
    names: dict[Var, str] = {}
    steps: list[Step] = []
    changed = False
    for before in trace.steps:
        step = substitute(before, stands)
        if isinstance(step, Instr) and step.op.family == "control":
            step = map_nested(_once_each(step), share)
            stands.update(_same_results(step))
        key = _key(step) if wanted(step) else None
        first = seen.get(key) if key is not None else None
        if first is None:
            if key is not None:
                seen[key] = step.outputs
            made.update(step.outputs)
            steps.append(step)
            changed = changed or step is not before
            continue
        changed = True
        for kept, dropped in zip(first, step.outputs, strict=True):
            stands[dropped] = kept
            if dropped.name and not kept.name and kept in made:
                names.setdefault(kept, dropped.name)
    if not changed:
        return trace
    outputs = tuple(substituted(a, stands) for a in trace.outputs)
    return renamed(replace(trace, steps=tuple(steps), outputs=outputs), names)


def _once_each(step: Instr) -> Instr:
    """Each operand of a branch, each invariant and each stack a loop reads, is handed in once."""
    shift = 0  # a loop's traces have the counter where it has its limit, an arm has nothing for the condition
    if step.op.name == "loop":
        end = len(step.inputs) - step.params["sliced"]
        groups = [range(1 + step.params["carried"], end), range(end, len(step.inputs))]
    else:
        groups, shift = [range(1, len(step.inputs))], 1
    twins: dict[int, int] = {}
    for group in groups:
        first: dict[Any, int] = {}
        for k in group:
            same = first.setdefault(_atom_key(step.inputs[k]), k)
            if same != k:
                twins[k] = same
    if not twins:
        return step

    def narrowed(inner: Trace) -> Trace:
        known = [(k - shift, same - shift) for k, same in twins.items() if k - shift < len(inner.inputs)]
        stands = {inner.inputs[k]: inner.inputs[same] for k, same in known}
        return replace(place_all(inner, stands), inputs=tuple(v for v in inner.inputs if v not in stands))

    params = {**map_nested(step, narrowed).params}
    if step.op.name == "loop":
        params["sliced"] -= sum(k in groups[1] for k in twins)
    inputs = tuple(a for k, a in enumerate(step.inputs) if k not in twins)
    return replace(step, inputs=inputs, params=params)


def _same_results(step: Instr) -> dict[Var, Atom]:
    """Results of a branch, or stacks of a loop, that are surely equal: the first stands for the others."""
    if step.op.name == "loop":
        body, n = step.params["body"], step.params["carried"]
        results, rows = step.outputs[1 + n :], [() if body is None else body.outputs[n:]]
    elif None in step.params["arms"]:
        return {}
    else:
        results, rows = step.outputs, [arm.outputs for arm in step.params["arms"]]
    first: dict[Any, Var] = {}
    found: dict[Var, Atom] = {}
    for variable, *atoms in zip(results, *rows, strict=True):
        same = first.setdefault(tuple(map(_atom_key, atoms)), variable)
        if same is not variable:
            found[variable] = same
    return found


def _key(step: Step) -> Any:
    """Equal for steps that compute the same; None for a step that is never shared."""
    if isinstance(step, Guard):
        return "guard", _atom_key(step.condition), _value_key(step.expected)
    if not step.inputs or step.op.name in _FRESH:
        return None
    params = tuple((name, _value_key(value)) for name, value in step.params.items() if name != "names")
    return step.op, tuple(map(_atom_key, step.inputs)), params


def _atom_key(atom: Atom) -> Any:
    return constant_key(atom) if isinstance(atom, Const) else atom


def _value_key(value: Any) -> Any:
    """A parameter by value: hashable, and telling 1 from 1.0 and from True."""
    if isinstance(value, (tuple, list)):
        return type(value), tuple(map(_value_key, value))
    if isinstance(value, slice):
        return slice, _value_key((value.start, value.stop, value.step))
    if isinstance(value, np.ndarray):
        return constant_key(Const(value))
    if isinstance(value, Trace):
        return _trace_key(value)
    if isinstance(value, float):
        return float, repr(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return type(value), tuple(_value_key(getattr(value, f.name)) for f in dataclasses.fields(value))
    return type(value), value


def _trace_key(trace: Trace) -> Any:
    """A trace by what it computes, whatever its variables are."""
    numbers: dict[Var, int] = {v: k for k, v in enumerate(trace.inputs)}
    steps = []
    for step in trace.steps:
        if isinstance(step, Guard):
            steps.append(("guard", _numbered(step.condition, numbers), _value_key(step.expected)))
            continue
        inputs = tuple(_numbered(a, numbers) for a in step.inputs)
        params = tuple((name, _value_key(value)) for name, value in step.params.items() if name != "names")
        steps.append((step.op, inputs, params))
        for v in step.outputs:
            numbers[v] = len(numbers)
    outputs = tuple(_numbered(a, numbers) for a in trace.outputs)
    return tuple(v.type for v in trace.inputs), tuple(steps), outputs


def _numbered(atom: Atom, numbers: Mapping[Var, int]) -> Any:
    return constant_key(atom) if isinstance(atom, Const) else numbers[atom]
