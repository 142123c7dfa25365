"""What happened and why: the log of a dispatcher, counted in `Stats` and told by `explain()`.

The same events go to `logging.getLogger("tracegrad")`: what costs speed as a warning, once; the rest at level debug.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

logger = logging.getLogger("tracegrad")
KEPT = 100


@dataclass(frozen=True, slots=True)
class Stats:
    """Counts since the function was decorated."""

    calls: int
    captures: int
    compiles: int
    side_exits: int


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened: "capture", "merge", "path", "compile", "side exit", "tape"."""

    kind: str
    text: str


class Log:
    """The last events of one dispatcher, and its counts."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.events: list[Event] = []
        self.captures = 0
        self.compiles = 0
        self.side_exits = 0
        self._said: set[str] = set()

    def add(self, kind: str, text: str) -> None:
        """Note an event."""
        self.events.append(Event(kind, text))
        del self.events[:-KEPT]
        logger.debug("%s: %s: %s", self.name, kind, text)

    def warn(self, kind: str, text: str) -> None:
        """Note an event that costs speed, and say it once."""
        self.add(kind, text)
        if text not in self._said:
            self._said.add(text)
            logger.warning("`%s` %s", self.name, text)
