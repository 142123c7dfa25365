"""From a finished recording to a closed `Trace`: structures that were left open become straight,
replacements are made.
"""

from __future__ import annotations

from collections.abc import Sequence

from tracegrad.ir.close import free_variables, substitute, substituted
from tracegrad.ir.trace import Atom, Trace
from tracegrad.record.recording import Recording


def linearize(recording: Recording, outputs: Sequence[Atom], name: str) -> Trace:
    """The trace of a recording, with its inputs in the order of their appearance."""
    recording.structures.unwind(0)
    alias = recording.structures.alias
    steps = tuple(substitute(step, alias) for step in recording.steps) if alias else tuple(recording.steps)
    results = tuple(substituted(a, alias) for a in outputs)
    if recording.lost and not recording.lost.isdisjoint(free_variables(steps, results)):
        raise recording.unreadable()
    return Trace(tuple(recording.inputs), steps, results, name)
