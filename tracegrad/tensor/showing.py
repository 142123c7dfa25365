"""Calls that only tell a person something: `print`, logging, warnings, what is written to the terminal.

They happen while the function runs as it stands; a program says nothing. In: a callable of the user's, and plain
values for what is traced. Out: whether it only shows, and the call, made. Begin with `shows`.
"""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tracegrad import tree
from tracegrad.containers import is_container
from tracegrad.ir.location import Location
from tracegrad.tensor.standins import is_traced

_LEVELS = ("debug", "info", "warning", "warn", "error", "exception", "critical", "fatal", "log")
_SHOWING: set[Any] = {
    print, warnings.warn, warnings.simplefilter, warnings.filterwarnings,
    *(getattr(logging, name) for name in _LEVELS if hasattr(logging, name)),
}  # fmt: skip
_PRINTERS = ("pprint", "pp")
_SAID: dict[Any, Any] = {}  # warnings that were shown


def shows(function: Any) -> bool:
    """Whether a callable only shows what it is given."""
    owner = getattr(function, "__self__", None)
    if isinstance(owner, (logging.Logger, logging.LoggerAdapter)):
        return function.__name__ in _LEVELS
    if owner is sys.stdout or owner is sys.stderr:
        return owner is not None and function.__name__ in ("write", "writelines", "flush")
    try:
        if function in _SHOWING:
            return True
    except TypeError:  # not hashable
        return False
    return getattr(function, "__module__", None) == "pprint" and function.__name__ in _PRINTERS


def plain(value: Any) -> Any:
    """A value that is only shown, without the trace: what is shown is no part of the program."""
    kind = type(value)
    if is_traced(value):
        return value.value
    if kind in (list, tuple):
        return kind(map(plain, value))
    if kind is dict:
        return {k: plain(v) for k, v in value.items()}
    if is_container(kind):
        leaves, structure = tree.flatten(value)
        return tree.unflatten(structure, [np.array(x.value) if is_traced(x) else x for x in leaves])
    return value


def show(function: Callable[..., Any], args: Any, keywords: Mapping[str, Any], where: Location) -> Any:
    """Call it with plain values; a warning is one of the user's line."""
    given = [plain(a) for a in args]
    named = {k: plain(v) for k, v in keywords.items()}
    return _warn(where, *given, **named) if function is warnings.warn else function(*given, **named)


def _warn(where: Location, message: Any, category: Any = None, *_: Any, **others: Any) -> None:
    kind = type(message) if isinstance(message, Warning) else category or UserWarning
    warnings.warn_explicit(message, kind, where.file, where.line, registry=_SAID)
