"""What happened and why: the log of a dispatcher, counted in `Stats` and told by `explain()`.

An `Event` is one thing that happened in one call: why no known program fitted, and what was done about it. The
same events go to `logging.getLogger("tracegrad")`, each as `record.event` with the function's name as
`record.function_name`: what costs speed as a warning, once; the rest at level debug. Begin with `Event`.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from tracegrad.compiler.disk_cache import say_once
from tracegrad.errors import BUG, told
from tracegrad.ir.location import Location

logger = logging.getLogger("tracegrad")
KEPT = 200
CAUSES = ("side exit", "changed", "arguments")


@dataclass(frozen=True, slots=True)
class Stats:
    """Counts since the function was decorated."""

    calls: int
    captures: int
    compiles: int
    side_exits: int
    loads: int = 0


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened.

    Attributes
    ----------
    kind : str
        Why a call was captured: "side exit" (a condition went another way), "changed" (something outside is not
        what it was), "arguments" (of other types). What was done: "capture" (a new program), "merge" (the capture
        joined a program), "compile", "numpy" (a program that Numba does not compile), "load" (programs, or the machine
        code of one, from the disk cache), "not kept" there, "tape", "signatures",
        "failure" (a program raised an error, and the answer came in another way).
    text : str
    call : int
        Which call of the function it was, from 1.
    where : Location or None
        The user's line.
    old, new : str
        What the program assumed and what was found, for the causes.
    program : int
        The number of the program, as `explain()` and `paths` show it; 0 where there is none.
    """

    kind: str
    text: str
    call: int = 0
    where: Location | None = None
    old: str = ""
    new: str = ""
    program: int = 0


def blamed(error: Exception) -> str:
    """An error of ours as the reason of what it costs, which is never the answer."""
    return f"{BUG} ({told(error)})"


def say_failed(cost: str, error: Exception) -> str:
    """Say what an error of ours costs where no function's log is at hand; returns the reason."""
    reason = blamed(error)
    say_once(reason, f"{cost}, by {reason}")
    return reason


class Log:
    """The last events of one dispatcher, and its counts."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.events: list[Event] = []
        self.forgotten = 0
        self.captures = 0
        self.compiles = 0
        self.side_exits = 0
        self.loads = 0
        self._said: set[str] = set()

    def add(self, event: Event) -> None:
        """Note an event."""
        self._keep(event)
        if logger.isEnabledFor(logging.DEBUG):
            place = "" if event.where is None else f" ({event.where})"
            logger.debug(
                "%s, call %d: %s: %s%s",
                self.name,
                event.call,
                event.kind,
                event.text,
                place,
                extra=self._for(event),
            )

    def warn(self, event: Event) -> None:
        """Note an event that costs speed, and say it once."""
        if event.text in self._said:
            self.add(event)
            return
        self._said.add(event.text)
        self._keep(event)
        logger.warning("`%s` %s", self.name, event.text, extra=self._for(event))

    def failed(self, cost: str, error: Exception, call: int) -> None:
        """Something of ours could not be made, or raised what the user's function does not: what that costs."""
        self.warn(Event("failure", f"{cost}, by {blamed(error)}.", call))

    def _keep(self, event: Event) -> None:
        self.events.append(event)
        if len(self.events) > KEPT:
            self.forgotten += 1
            del self.events[0]

    def _for(self, event: Event) -> dict[str, object]:
        return {"event": event, "function_name": self.name}
