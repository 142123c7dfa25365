"""Loops that an earlier capture of the same function has recorded: is this iteration one of theirs?

A loop needs two iterations to show that it repeats itself (`running.py`). Where an earlier capture has seen two,
and the first one of now is the same in every step, the second would be as well: one is enough, and a function whose
other branch is captured later does not run its loops again. In: an iteration. Out: whether it is known. Begin with
`KnownLoops.has`.
"""

from __future__ import annotations

from dataclasses import replace

from tracegrad.errors import Mismatch
from tracegrad.ir.location import Location
from tracegrad.ir.trace import Atom, Var
from tracegrad.record.iterations import Iteration, LoopFrame, matched


class KnownLoops:
    """The last iteration that stood for all, of each loop of a function; kept from capture to capture."""

    def __init__(self) -> None:
        self._found: dict[Location | None, Iteration] = {}

    def __contains__(self, location: Location | None) -> bool:
        return location in self._found

    def update(self, others: KnownLoops) -> None:
        """Those of a capture that is over; inside one, the first and the second run share variables."""
        self._found.update(others._found)

    def add(self, frame: LoopFrame) -> None:
        """Two iterations of this loop were recorded and equal, or one and it is known."""
        if frame.alike and frame.first is not None and frame.offset == 0:
            self._found[frame.location] = frame.first

    def has(self, frame: LoopFrame) -> bool:
        """Whether the only iteration of this loop so far is what an earlier capture saw repeated."""
        known, one = self._found.get(frame.location), frame.first
        if known is None or one is None or known.header.keys() != one.header.keys():
            return False
        outside, now = known.outside(), one.outside()
        if [v.type for v in outside] != [v.type for v in now]:
            return False
        names: dict[Var, Atom] = dict(zip(now, outside, strict=True))
        try:
            matched(replace(frame, first=known, last=None), one, names)
        except Mismatch:
            return False
        return True
