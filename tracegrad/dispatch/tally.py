"""How often arms and loops ran: exact counts, made by a second program that computes nothing else.

Counters in the compiled program itself cost about one part in twenty of a loop over scalars, so nothing is counted
until it is asked for (`Looking.counting`); a call then runs the program and this one. Begin with `Tally.add`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from tracegrad.dispatch.build import FITS, Built
from tracegrad.ir.trace import Trace
from tracegrad.passes.count import Place, counted


class Tally:
    """The counts of one path.

    Attributes
    ----------
    calls : int
        How many calls were counted.
    totals : Counter of Place
    """

    def __init__(self) -> None:
        self.calls = 0
        self.totals: Counter[Place] = Counter()
        self._trace: Trace | None = None
        self._program: Built | None = None
        self._places: list[Place] = []

    def add(self, trace: Trace, inputs: Sequence[Any]) -> None:
        """Count one call of the program made from this trace."""
        if trace is not self._trace:
            counts, self._places = counted(trace)
            self._trace, self._program = trace, Built("value", counts, (), ())
        self.calls += 1
        if not self._places:
            return
        assert self._program is not None
        code, *found = self._program.run_python(inputs[: len(trace.inputs)])
        if code != FITS:  # the program itself rounded a condition the other way
            self.calls -= 1
            return
        for place, times in zip(self._places, found, strict=True):
            self.totals[place] += int(times)
