"""Iterators are state that no name shows: one that several steps of a loop use up makes each step another.

`next(it)` in a loop gives equal items in the steps that were captured, perhaps, and another one later. So an iterator
may be used up only inside the step of a loop, and the arm of a branch, that made it; otherwise the structures around
stay paths. Begin with `Iterators.used`.
"""

from __future__ import annotations

from typing import Any

from tracegrad.record.structure import Structures


class Iterators:
    """Where each iterator of a capture was made.

    Parameters
    ----------
    structures : Structures
        The open loops and branches of the capture.
    """

    def __init__(self, structures: Structures) -> None:
        self.structures = structures
        self._made: dict[int, tuple[Any, tuple[Any, ...]]] = {}

    def made(self, value: Any) -> Any:
        """Remember where an iterator was made; returns it."""
        if hasattr(type(value), "__next__"):
            self._made[id(value)] = (value, self.structures.place())
        return value

    def used(self, value: Any) -> Any:
        """Fail the structures that an iterator was not made in, and that use it up now; returns it."""
        if not hasattr(type(value), "__next__"):
            return value
        entry = self._made.get(id(value))
        before = entry[1] if entry is not None and entry[0] is value else ()
        now = self.structures.place()
        same = 0
        while same < min(len(before), len(now)) and before[same] == now[same]:
            same += 1
        if same < len(now):
            self.structures.fail(f"a {type(value).__name__} is used up in more than one step", same)
        return value
