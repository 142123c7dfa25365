"""Capture: a function and its arguments in, a `Captured` trace out; the front wing's only exit.

The function runs once, on its real values. Arguments that can be traced become inputs of the trace,
everything it read from outside an input or a guard, values of an outer capture inputs again. Begin with
`capture`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tracegrad import tree
from tracegrad.errors import ArgumentError, TracegradError, add_line
from tracegrad.ir.trace import Atom, Trace, Var
from tracegrad.ir.types import is_number
from tracegrad.record.frames import is_raised_for_user, raised_at
from tracegrad.record.known import KnownLoops
from tracegrad.record.linearize import linearize
from tracegrad.record.past import end
from tracegrad.record.recording import Recording
from tracegrad.record.tape import Tape
from tracegrad.tensor.captured import Captured, Leaf, Static, running, under_way
from tracegrad.tensor.namespace import Session
from tracegrad.tensor.reads import Argument, Read, calm_errors, form_of, is_calm
from tracegrad.tensor.traced import TracedArray


@dataclass(frozen=True, slots=True)
class Taped:
    """What one run on the tape left.

    Attributes
    ----------
    tape : Tape
    inputs : dict of int to Var
        The variables of the active argument leaves, by place.
    captured : Captured
        The results; its trace has no steps.
    """

    tape: Tape
    inputs: dict[int, Var]
    captured: Captured


def capture(
    function: Callable[..., Any],
    leaves: Sequence[Leaf],
    rebuild: Callable[[Sequence[Any]], tuple[tuple[Any, ...], dict[str, Any]]],
    name: str,
    loops: KnownLoops,
) -> Captured:
    """Run a function once and record it.

    Parameters
    ----------
    function : callable
    leaves : sequence of Leaf
        The flattened arguments.
    rebuild : callable
        From leaves back to positional and keyword arguments.
    name : str
        What the trace is called.
    loops : KnownLoops
        Those of earlier captures of this function; its own come to them.

    Returns
    -------
    Captured

    Raises
    ------
    Whatever the function raises; nothing is kept then.
    """
    recording = Recording(TracedArray, len(running.sessions) + 1, loops)
    with _session(recording) as session:
        places: dict[Any, int] = {}
        given: list[Any] = []
        unwritten: dict[int, Any] = {}
        for place, leaf in enumerate(leaves):
            value = leaf.value
            if leaf.role == "static":
                if isinstance(value, np.ndarray):  # of texts, dates, records: guarded by what is in it
                    value = unwritten.setdefault(id(value), _read_only(value))
                    session.reads.read(value, Argument(place), ())
                elif not isinstance(value, (bool, str, bytes, type(None))):
                    session.reads.track(value, Argument(place), ())
                given.append(value)
                continue
            traced = _input(recording, leaf)
            places[traced.atom] = session.draws.places[traced.atom] = place
            given.append(traced)
        session.reads.guards.append(calm_errors())
        if not is_calm():
            recording.not_repeatable("raises on floating-point errors, as np.seterr or np.errstate says")
        args, keywords = session.reads.lend(rebuild(given))
        returned = session.call(function, args, keywords)
        flat, structure = tree.flatten(session.reads.deep(returned))
        structure = tree.as_returned(structure, flat)
        captured = _captured(recording, session, places, leaves, flat, structure, name)
        loops.update(recording.structures.found)
        return captured


def _read_only(array: Any) -> Any:
    """The array as one that nothing is written into: no program would write it again."""
    view = array.view()
    view.flags.writeable = False
    return view


def run_taped(
    function: Callable[..., Any],
    leaves: Sequence[Leaf],
    rebuild: Callable[[Sequence[Any]], tuple[tuple[Any, ...], dict[str, Any]]],
    name: str,
) -> Taped:
    """Run a function once, and keep what its own derivative needs and no more.

    Raises
    ------
    NotOnTape : the run meets a value of another recorder
    Whatever the function raises; nothing is kept then.
    """
    tape = Tape(TracedArray, len(running.sessions) + 1)
    with _session(tape) as session:
        given = [
            _input(tape, leaf)
            if leaf.role == "active" or (leaf.role == "traced" and isinstance(leaf.value, np.ndarray))
            else leaf.value
            for leaf in leaves
        ]
        inputs = {place: given[place].atom for place, leaf in enumerate(leaves) if leaf.role == "active"}
        args, keywords = session.reads.lend(rebuild(given))
        flat, structure = tree.flatten(session.call(function, args, keywords))
        results, outputs, values, weak = _results(flat, tape)
        structure = tree.as_returned(structure, flat)
    trace = Trace((), (), tuple(outputs), name)
    captured = Captured(trace, (), (), (), (), structure, results, values, weak, None, ())
    return Taped(tape, inputs, captured)


@contextlib.contextmanager
def _session(recording: Recording) -> Iterator[Session]:
    """A capture under way in this thread; nothing of it is left, however it ends."""
    session = Session(recording)
    if running.sessions:
        session.reads.inherit(running.sessions[-1].reads)
    running.sessions.append(session)
    under_way.append(session)
    try:
        yield session
    except TracegradError as error:
        if error.where is None:
            error.where = raised_at(error)
        raise
    except Exception as error:
        if is_raised_for_user(error):
            add_line(error, raised_at(error))
        raise
    finally:
        under_way.remove(session)
        running.sessions.pop()
        if running.sessions and recording.caught is not None:
            around = running.sessions[-1].recording
            around.caught = around.caught or recording.caught
        if not isinstance(recording, Tape):
            end(recording)


def _input(recording: Recording, leaf: Leaf) -> Any:
    """An argument leaf as an input."""
    value = leaf.value
    outer = getattr(value, "recorder", None) is not None
    raw = value.value if outer else value
    weak = isinstance(raw, (int, float, complex)) and not isinstance(raw, np.generic)
    if leaf.role == "active" and isinstance(raw, int):
        raw = float(raw)
    active = leaf.role == "active" or (outer and bool(value.requires_grad))
    return recording.input(raw, leaf.name, weak, active)


def _captured(
    recording: Recording,
    session: Session,
    places: dict[Any, int],
    leaves: Sequence[Leaf],
    flat: Sequence[Any],
    structure: Any,
    name: str,
) -> Captured:
    results, outputs, values, weak = _results(flat, recording)
    trace = linearize(recording, outputs, name)
    lifted = {traced.atom: outer for outer, traced in recording.lifted.values()}
    used: set[Any] = {a for step in trace.steps for a in step.inputs}
    used.update(trace.outputs)
    sources: list[Any] = []
    kept: list[Var] = []
    for variable in trace.inputs:
        if variable in session.draws.inputs and variable not in used:
            continue
        if variable in session.reads.inputs and variable not in used:
            # Looked at, and not computed with. Its form may have been used, its length; of a default that
            # the call replaces, not even that.
            read = session.reads.inputs[variable]
            if not any(step[1] in ("__defaults__", "__kwdefaults__") for step in read.path):
                session.reads.guards.append(Read(read.root, read.path, "form", form_of(read.found)))
            continue
        kept.append(variable)
        if variable in places:
            sources.append(places[variable])
        elif variable in session.reads.inputs:
            sources.append(session.reads.inputs[variable])
        elif variable in session.draws.inputs:
            sources.append(session.draws.inputs[variable])
        elif variable in recording.hoisted:
            sources.append(recording.hoisted[variable])
        else:
            sources.append(lifted[variable])
    if recording.layout_matters:
        session.reads.guards.extend(guard for source in sources for guard in _layout(source, leaves))
    notes = (*((text, None) for text in session.refusals), *recording.structures.reasons)
    return Captured(
        replace(trace, inputs=tuple(kept)),
        tuple(sources),
        tuple(session.reads.guards),
        tuple(session.draws.draws),
        tuple(session.draws.values),
        structure,
        results,
        values,
        weak,
        recording.impure,
        notes,
        tuple(session.reads.genuine.values()),
        recording.structures.shown,
        tuple(sorted(session.reads.files)),
        recording.caught,
    )


def _layout(source: Any, leaves: Sequence[Leaf]) -> Iterator[Read]:
    """The guards on how an array from outside lies in memory: in C's order, or else by which steps."""
    if isinstance(source, int):
        root: Any = Argument(source)
        path: tuple[Any, ...] = ()
        value = leaves[source].value
    elif isinstance(source, Read):
        root, path, value = source.root, source.path, source.found
    else:
        return
    if isinstance(value, np.ndarray) and (value.ndim > 1 or not value.flags.c_contiguous):
        place = (*path, ("attr", "flags"), ("attr", "c_contiguous"))
        yield Read(root, place, "value", value.flags.c_contiguous)
        if not value.flags.c_contiguous:
            yield Read(root, (*path, ("attr", "strides")), "value", value.strides)


def _results(
    flat: Sequence[Any], recording: Recording
) -> tuple[tuple[Any, ...], list[Atom], tuple[Any, ...], tuple[bool, ...]]:
    """Returned leaves: for each its place among the outputs or `Static`; the outputs, their values, which are weak."""
    results: list[Any] = []
    outputs: list[Atom] = []
    values: list[Any] = []
    weak: list[bool] = []
    for leaf in flat:
        traced = _as_traced(leaf, recording)
        if traced is None:
            results.append(Static(leaf))
        else:
            results.append(len(outputs))
            outputs.append(traced.atom)
            values.append(traced.value)
            weak.append(traced.weak)
    return tuple(results), outputs, tuple(values), tuple(weak)


def _as_traced(leaf: Any, recording: Recording) -> Any:
    """A returned leaf as a value of the recording; None for what is not numeric."""
    if isinstance(leaf, (bool, np.bool_)):
        return None
    if isinstance(leaf, np.ndarray):
        if not is_number(leaf.dtype):
            raise ArgumentError(f"the function returns an array of {leaf.dtype}.", None, "return numbers")
        return recording.wrap(leaf, recording.constant(leaf))
    return recording.number_as_traced(leaf)
