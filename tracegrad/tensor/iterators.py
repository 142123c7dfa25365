"""Iterators are state that no name shows: one that several steps of a loop use up makes each step another.

`next(it)` in a loop gives equal items in the steps that were captured, perhaps, and another one later. So an iterator
may be used up only inside the step of a loop, and the arm of a branch, that made it; otherwise the structures around
stay paths. Begin with `Iterators.used`.
"""

from __future__ import annotations

from typing import Any

from tracegrad.record.loops import Structures

_CONTAINERS = (list, dict)


class Iterators:
    """Where each iterator of a capture was made, and each list and dict.

    Parameters
    ----------
    structures : Structures
        The open loops and branches of the capture.
    """

    def __init__(self, structures: Structures) -> None:
        self.structures = structures

    def made(self, value: Any) -> Any:
        """Remember where an iterator, list or dict was made; returns it."""
        kind = type(value)
        if kind in _CONTAINERS or hasattr(kind, "__next__"):
            self.structures.made(value)
        return value

    def used(self, value: Any) -> Any:
        """Fail the structures that an iterator was not made in, and that use it up now; returns it."""
        if hasattr(type(value), "__next__"):
            same = self.structures.crossed(value)
            if same < len(self.structures.frames):
                kind = getattr(value, "function", type(value))  # `zip` and its kind stand for themselves
                self.structures.fail(f"a {kind.__name__} is used up in more than one step", same)
        return value
