"""A derivative inside something that is recorded already: it becomes part of that recording.

`grad(grad(f))`, a gradient inside a captured function, a transform called with eager tensors: the inner function is
captured on plain values, its trace is differentiated, and the derivative's steps are run on the outer values, which
record them. Levels cannot be confused: an outer value that the inner function reads is an input of the inner trace.
Begin with `run_inline`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from tracegrad import tree
from tracegrad.config import config
from tracegrad.dispatch.results import cotangent_leaves, value_tree
from tracegrad.dispatch.signature import Call
from tracegrad.ir.interpret import interpret
from tracegrad.ir.trace import Instr, Trace
from tracegrad.ir.types import is_weak
from tracegrad.ops.index import zeros
from tracegrad.passes.differentiate import forward_mode, jacobians, reverse_mode
from tracegrad.passes.pipeline import optimised, prepared, within
from tracegrad.passes.residuals import split
from tracegrad.tensor.captured import Captured, outer_session
from tracegrad.tensor.reads import MISSING, Argument, Read
from tracegrad.tensor.redraw import Drawn, Given, drawn_value
from tracegrad.tensor.traced import strong, weak


def run_inline(
    captured: Captured,
    call: Call,
    mode: str,
    seeded: Sequence[int],
    memory: int | None,
) -> tuple[Any, list[Any] | Callable[[Any], list[Any]]]:
    """The value, made of outer values; and flat gradients for "gradient", Jacobians for "jacobian", for "vjp" a
    function from cotangent to gradients."""
    values = _outer_values(captured, call)
    trace = prepared(captured.trace)
    where = {source: i for i, source in enumerate(captured.sources) if isinstance(source, int)}
    wrt = [where[place] for _, places in call.groups for place in places]
    count = len(trace.outputs)
    if mode == "value":
        return value_tree(captured, interpret(optimised(trace), values)), []
    budgeted = within(trace, memory or config.loop_memory)
    if mode == "jacobian":
        joint = optimised(jacobians(budgeted, wrt, seeded))
    else:
        joint = optimised(reverse_mode(budgeted, wrt, seeded, unit_seed=mode == "gradient"))
    if mode != "vjp":
        results = _recorded(joint, values)
        return value_tree(captured, results[:count]), list(results[count:])
    forward, backward = split(joint, count, len(seeded))
    results = _recorded(forward, values)
    return value_tree(captured, results[:count]), _pullback(captured, backward, results[count:], seeded)


def _pullback(
    captured: Captured, backward: Trace, residuals: Sequence[Any], seeded: Sequence[int]
) -> Callable[[Any], list[Any]]:
    def pull(cotangent: Any) -> list[Any]:
        return list(_recorded(backward, [*residuals, *cotangent_leaves(captured, seeded, cotangent)]))

    return pull


def _recorded(trace: Trace, values: Sequence[Any]) -> tuple[Any, ...]:
    """The outputs of a trace, whose zeros are a step for whoever records: as arrays they would be constants, of which
    nobody knows that they are 0."""
    session = outer_session()
    fresh = [step for step in trace.steps if isinstance(step, Instr) and step.op is zeros]
    if session is None or not fresh or not any(_is_recorded_by(session.recording, v) for v in values):
        return interpret(trace, values)
    inputs = (*trace.inputs, *(step.outputs[0] for step in fresh))
    rest = replace(trace, inputs=inputs, steps=tuple(step for step in trace.steps if step not in fresh))
    return interpret(rest, [*values, *(session.recording.zeros(np.zeros(**s.params)) for s in fresh)])


def _is_recorded_by(recording: Any, value: Any) -> bool:
    return getattr(value, "recorder", None) is recording


def push_inline(captured: Captured, call: Call, tangents: Sequence[Any]) -> tuple[Any, Any]:
    """Value and tangent of a call whose values, or whose tangents, are being recorded."""
    values = _outer_values(captured, call)
    where = {source: i for i, source in enumerate(captured.sources) if isinstance(source, int)}
    wrt = [where[place] for _, places in call.groups for place in places]
    joint = optimised(forward_mode(prepared(captured.trace), wrt))
    results = _recorded(joint, [*values, *tangents])
    count = len(captured.trace.outputs)
    return value_tree(captured, results[:count]), value_tree(captured, results[count:])


def _outer_values(captured: Captured, call: Call) -> list[Any]:
    """What the inner trace is run on: the outer values themselves, and what the inner function read, read by the
    outer.

    The inner trace says where Python's numbers take the type of what they meet, so here they are NumPy's.
    """
    session = outer_session()
    leaves = call.leaves
    if session is not None:
        if captured.impure is not None:
            session.recording.not_repeatable(captured.impure[0])
        for read in captured.guards:
            moved = _moved(read, leaves, session)
            if moved is not None:
                session.reads.guards.append(moved)
    first = 0
    if session is not None and captured.draws:
        first = session.draws.adopt(
            captured.draws, captured.drawn, lambda source: _given(source, leaves, session)
        )
    values: list[Any] = []
    for source in captured.sources:
        if isinstance(source, int):
            values.append(leaves[source].value)
        elif isinstance(source, Read):
            moved = None if session is None else _moved(source, leaves, session)
            if session is None or moved is None:
                values.append(source.found)
            else:
                values.append(session.reads.read(moved.found, moved.root, moved.path))
        elif isinstance(source, Drawn):
            value = drawn_value(captured.drawn, source)
            if session is not None:
                value = session.draws.input(value, Drawn(first + source.number, source.item))
            values.append(value)
        else:
            values.append(source)
    return [strong(value) for value in values]


def _given(source: Any, leaves: Sequence[Any], session: Any) -> Any:
    """What a draw of the inner function was given, as the outer one has it."""
    if isinstance(source, int):
        return session.draws.given(leaves[source].value)
    moved = _moved(source, leaves, session)
    return MISSING if moved is None else Given(moved)


def _moved(read: Read, leaves: Sequence[Any], session: Any) -> Read | None:
    """A read that starts at an argument of the inner call, as one that starts where the outer got that object."""
    if not isinstance(read.root, Argument):
        return read
    origin = session.reads.path_of(leaves[read.root.place].value)
    if origin is None:
        return None  # made inside the outer function: it is made again by whatever made it
    root, path = origin
    found = _moved(read.found, leaves, session) if read.kind == "alias" else read.found
    return Read(root, (*path, *read.path), read.kind, found)


def has_outer(captured: Captured) -> bool:
    """Whether the function read a value that some recorder made: a tensor it closes over."""
    return any(getattr(source, "recorder", None) is not None for source in captured.sources)


def without_tensors(result: Any) -> Any:
    """Results of a call that was given plain values: a tensor without gradient is the array it holds."""
    leaves, structure = tree.flatten(result)
    plain = [
        leaf if getattr(leaf, "recorder", None) is None or leaf.requires_grad else leaf.value
        for leaf in leaves
    ]
    return tree.unflatten(structure, plain)


def _in_kind(derivative: Any, given: Any) -> Any:
    """The derivative by a Python number is one."""
    return weak(derivative) if is_weak(getattr(given, "value", given)) else derivative


def rebuilt(call: Call, flat: Sequence[Any], single: bool, in_kind: bool = True) -> Any:
    """Flat derivatives in the structure of the differentiated arguments, and in their kind."""
    given, kind = iter(flat), _in_kind if in_kind else lambda derivative, given: strong(derivative)
    parts = [
        tree.unflatten(structure, [kind(next(given), call.leaves[place].value) for place in places])
        for structure, places in call.groups
    ]
    return parts[0] if single else tuple(parts)
