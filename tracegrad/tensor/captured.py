"""What one run of a function left, as data, and whether a run is being captured now.

`capture.py` makes it; dispatch makes a program of it, and keeps it. A process that finds its programs on disk needs
this file alone. Begin with `Captured`.
"""

from __future__ import annotations

import contextlib
import functools
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from tracegrad import tree
from tracegrad.ir.location import Location
from tracegrad.ir.trace import Trace
from tracegrad.ir.types import ArrayType
from tracegrad.tensor.reads import Read
from tracegrad.tensor.redraw import Draw


@dataclass(frozen=True, slots=True)
class Leaf:
    """An argument leaf: its value, what the user calls it, and how it takes part.

    `role`: "traced" (an input), "active" (an input that is differentiated) or "static".
    """

    value: Any
    name: str
    role: str


@dataclass(frozen=True)
class Captured:
    """What one run left.

    Attributes
    ----------
    trace : Trace
    sources : tuple
        For each input of the trace where its value comes from at a later call: the place of an argument
        leaf (int), a `Read`, a `Drawn` number, a plain array (a constant), or an outer traced value.
    guards : tuple of Read
        What must be found again at a later call.
    draws : tuple of Draw
        Calls that draw random numbers, to be made again in this order; `drawn` is what they gave in this run.
    structure, results : the returned value's structure; per leaf an output's place in the trace (int) or
    `Static` values : list
        The value of each output of the trace in this run.
    weak : tuple of bool
        Which outputs are Python numbers.
    impure : (reason, Location) or None
        Why a later call could differ in a way no guard sees.
    notes : tuple of (str, Location)
        Why loops and branches were not generalised.
    genuine : tuple of Read
        What was looked up in modules nobody is expected to change, `np.exp`; asked by a later process alone.
    shows : bool
        Something was printed.
    files : tuple of str
        Where the functions are written that ran.
    caught : (reason, Location) or None
        What values made raise, and the function went on: the trace is true of these values alone.
    """

    trace: Trace
    sources: tuple[Any, ...]
    guards: tuple[Read, ...]
    draws: tuple[Draw, ...]
    drawn: tuple[Any, ...]
    structure: Any
    results: tuple[Any, ...]
    values: tuple[Any, ...]
    weak: tuple[bool, ...]
    impure: tuple[str, Location | None] | None
    notes: tuple[tuple[str, Location | None], ...]
    genuine: tuple[Read, ...] = ()
    shows: bool = False
    files: tuple[str, ...] = ()
    caught: tuple[str, Location | None] | None = None

    @functools.cached_property
    def name(self) -> str:
        """What the trace is called."""
        return self.trace.name

    @functools.cached_property
    def outputs(self) -> tuple[ArrayType, ...]:
        """The types of the outputs of the trace."""
        return tuple(atom.type for atom in self.trace.outputs)


@dataclass(frozen=True, slots=True)
class Static:
    """A returned leaf that is not traced: None, a string."""

    value: Any


class _Running(threading.local):
    def __init__(self) -> None:
        self.sessions: list[Any] = []


running = _Running()
under_way: list[Any] = []
"""Every capture under way, of all threads: empty nearly always, and quicker to ask than `is_capturing`."""


def is_capturing() -> bool:
    """Whether a capture is under way in this thread: calls inside become part of it."""
    return bool(running.sessions)


def outer_session() -> Any:
    """The innermost capture under way in this thread."""
    return running.sessions[-1] if running.sessions else None


@contextlib.contextmanager
def suspended() -> Iterator[None]:
    """Code of the user's that no capture of this thread sees."""
    sessions, running.sessions = running.sessions, []
    try:
        yield
    finally:
        running.sessions = sessions


_solvers: Any = None


def use_solvers(solvers: Any) -> None:
    """Let the table `solvers.SOLVERS` answer, under capture, for SciPy's functions that search with compiled code."""
    global _solvers
    _solvers = solvers


def solver_of(function: Any) -> Callable[..., Any] | None:
    """What answers for a function of SciPy's that solves equations; None where none does."""
    package = ".".join((getattr(function, "__module__", None) or "").split(".")[:2])
    if package not in ("scipy.optimize", "scipy.integrate") or _solvers is None:
        return None
    name = getattr(function, "__name__", "")
    found: Callable[..., Any] | None = _solvers.SOLVERS.get(f"{package}.{name}")
    return found if getattr(sys.modules.get(package), name, None) is function else None


def called(function: Callable[..., Any], *args: Any, **keywords: Any) -> Any:
    """Call a function of the user's from a function of ours: on traced values it is recorded as any other."""
    session = outer_session()
    leaves = tree.flatten([args, keywords])[0]
    if session is None or all(getattr(leaf, "recorder", None) is None for leaf in leaves):
        return function(*args, **keywords)
    return session.call(function, args, keywords)
