"""Every exception, and the one layout of a message: what happened, where in the user's code, what to do.

Begin with `TracegradError`: each class below is one kind of mistake, and also a built-in kind of
exception, so that `except ValueError` keeps working for people who never heard of this module.
"""

from __future__ import annotations

import os
from typing import Any

_WHERE = "  where: "
_LINE = "\n"
BUG = "a bug in tracegrad, please report it"
"""What a warning says where an error of ours cost a program, and not the answer."""


class TracegradError(Exception):
    """Base of all errors; lays out the message.

    Parameters
    ----------
    what : str
        One sentence: what happened, with names, values, shapes.
    where : Location or str or None
        The user's file, line and function; anything whose `str` says that.
    do : str or None
        What to write instead.
    """

    def __init__(self, what: str, where: Any = None, do: str | None = None) -> None:
        self.what, self.where, self.do = what, where, do
        super().__init__(what, where, do)

    def __str__(self) -> str:
        lines = [self.what]
        if self.where is not None:
            lines.append(f"{_WHERE}{self.where}")
            text = getattr(self.where, "text", "")
            if text:
                lines.append(f"             {text}")
        if self.do:
            lines.append(f"  do:    {self.do}")
        return "\n".join(lines)


def add_line(error: BaseException, where: Any) -> None:
    """Note the user's line on an error of somebody else's, once."""
    if where is not None and not any(n.startswith(_WHERE) for n in getattr(error, "__notes__", ())):
        error.add_note(f"{_WHERE}{where}\n             {where.text}")


def told(error: Exception) -> str:
    """An error that nobody meant to raise, with the line of ours that did: what a report of a bug needs."""
    at = error.__traceback__
    while at is not None and at.tb_next is not None:
        at = at.tb_next
    where = "" if at is None else f" at {os.path.basename(at.tb_frame.f_code.co_filename)}:{at.tb_lineno}"
    return f"{type(error).__name__}{where}: {str(error).partition(_LINE)[0]}"


class NotScalarError(TracegradError, ValueError):
    """`grad` or `.backward()` met a result that is not a scalar."""


class ArgumentError(TracegradError, TypeError):
    """An argument cannot be differentiated, or an option names an argument that is not there."""


class DepthError(TracegradError, RecursionError):
    """User functions call each other deeper than `config.max_recursion` while they are captured."""


class NotDifferentiableError(TracegradError, TypeError):
    """An active path meets an op that is declared without a derivative."""


class UnsupportedError(TracegradError, TypeError):
    """A NumPy function, or a way of calling it, that has no op."""


class LeakError(TracegradError, TypeError):
    """A traced value reaches a place that would drop its derivative: a foreign array, `float` in foreign code."""


class InPlaceError(TracegradError, RuntimeError):
    """A write in place that would make a gradient wrong, or that is not recorded yet."""


class BackwardError(TracegradError, RuntimeError):
    """`.backward()` on a graph that is gone, or on a tensor without one."""


class ShapeError(TracegradError, ValueError):
    """Shapes that do not fit; NumPy's message with the user's line."""


class SideExit(TracegradError):
    """A guard failed: the program is left, and another path is taken. Never reaches a user.

    `number` is the guard's place in `ir.walk.guards(trace)`, None for a guard of no known trace.
    """

    def __init__(self, number: int | None, guard: Any = None) -> None:
        super().__init__("a guard failed", getattr(guard, "location", None))
        self.number, self.guard = number, guard


class InternalError(TracegradError, AssertionError):
    """A bug in tracegrad: a trace that breaks its own rules."""


class Mismatch(Exception):
    """Two recorded blocks are different programs: a finding inside the recorder, never an error the user sees."""

    def __init__(self, reason: str, where: Any = None) -> None:
        super().__init__(reason)
        self.reason, self.where = reason, where


REFUSALS = (TypeError, ValueError, IndexError, ArithmeticError)
"""What NumPy and the type rules of ops raise at inputs they do not take; anything else is a bug, and is not caught."""
