"""Looking inside a transformed function: its sources, its trace, its paths, its counts, its story.

`Looking` is what a `Dispatcher` adds for the person who reads; it decides nothing and changes nothing.
"""

from __future__ import annotations

import contextlib
import inspect
import threading
import types
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from tracegrad.dispatch.build import Built, function_text
from tracegrad.dispatch.events import Event, Log, Stats
from tracegrad.dispatch.signature import Signature
from tracegrad.dispatch.tree import Path, TraceTree
from tracegrad.later import later

if TYPE_CHECKING:
    from tracegrad.dispatch import explain
    from tracegrad.dispatch import paths as rows
    from tracegrad.ir import text as written
else:
    explain = later("tracegrad.dispatch.explain")
    rows = later("tracegrad.dispatch.paths")
    written = later("tracegrad.ir.text")

MOST_PROGRAMS = 4  # in `explain()`


class Looking:
    """What the program used last is made of, and how it came to be."""

    function: Callable[..., Any]
    signature: Signature
    label: str
    log: Log
    trees: dict[Any, TraceTree]
    last: Path | None
    _counter: types.CellType
    _through: np.ndarray[Any, Any]
    _lock: threading.RLock
    _counting: bool
    _forget_entries: Callable[[], None]

    def _shown(self) -> Built:
        if self.last is None:
            raise AttributeError(
                f"`{self.signature.name}` has not been called yet: there is no program to show"
            )
        return self.last.built

    @property
    def forward_source(self) -> str:
        """The emitted forward function of the program used last."""
        return function_text(self._shown().source, 0)

    @property
    def backward_source(self) -> str:
        """The emitted backward function of the program used last."""
        if self._shown().backward is None:
            raise AttributeError(f"`{self.label}` has no backward function; `forward_source` is all of it")
        return function_text(self._shown().source, 1)

    @property
    def native_source(self) -> str:
        """The text that Numba compiles, of the program used last."""
        built = self._shown()
        made = built.native_source()
        return made.text if made is not None else "# no native text: " + "; ".join(built.reasons or ())

    @property
    def trace(self) -> str:
        """The captured trace behind the program used last, printed."""
        self._shown()
        assert self.last is not None
        return written.text(self.last.captured.trace)

    @property
    def _calls(self) -> int:
        count: int = self._counter.cell_contents + int(self._through[0])
        return count

    @property
    def stats(self) -> Stats:
        """Counts: calls, captures, compiles, side exits, programs loaded from the disk cache."""
        log = self.log
        return Stats(self._calls, log.captures, log.compiles, log.side_exits, log.loads)

    @property
    def events(self) -> tuple[Event, ...]:
        """What happened in the last calls that were not answered by a known program, oldest first."""
        return tuple(self.log.events)

    @property
    def paths(self) -> str:
        """The known programs as trees: a row a loop or condition, with the user's text, and what became of it."""
        return rows.paths_text(self.trees.values(), self._home())

    def explain(self) -> str:
        """What this function did and why: its programs, what was not generalised, and each capture with its cause."""
        home = self._home()
        known = [path for tree in self.trees.values() for path in tree.paths]
        straight = dict.fromkeys(
            home.said(said, where) for path in known for said, where in path.captured.notes
        )
        programs = rows.paths_text(self.trees.values(), home, MOST_PROGRAMS)
        return explain.story(
            self.signature.name, self.stats, programs, list(straight), self.log.events, home.place
        )

    @contextlib.contextmanager
    def counting(self) -> Iterator[None]:
        """Count how often each arm and each loop runs, for `explain()`; calls are slower inside.

        The counts are exact, and those of earlier blocks are added to. Calls outside are not counted: counting in
        compiled programs would slow all of them down.
        """
        with self._lock:
            self._counting = True
            for known in self.trees.values():
                for path in known.paths:
                    path.entry = None  # made anew by a call outside
            self._forget_entries()
        try:
            yield
        finally:
            self._counting = False

    def _home(self) -> rows.Home:
        code = getattr(inspect.unwrap(self.function), "__code__", None)
        return rows.Home(None if code is None else code.co_filename, self.signature.name)
