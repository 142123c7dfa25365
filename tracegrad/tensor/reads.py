"""Reads: access paths to what a function reads from outside, and whether what is found there now is what was found.

A read starts at a root (the globals of a function, a closure cell, an argument that is not traced) and follows
attributes and items. What stands at its end is an input, or is guarded: `outside.py` says which, while a capture
runs. Here is what is asked at later calls. Begin with `Read`.
"""

from __future__ import annotations

import datetime
import decimal
import enum
import fractions
import re
import types
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy._core import umath

from tracegrad import tree

MISSING = type("Missing", (), {"__repr__": lambda self: "<missing>"})()
BY_VALUE = (
    bool, int, str, bytes, type(None), complex, float, np.generic, np.dtype, range, slice, type(...),
    fractions.Fraction, decimal.Decimal, datetime.date, datetime.time, datetime.timedelta, datetime.timezone,
    re.Pattern,
)  # fmt: skip
_EXACT = {
    bool,
    int,
    str,
    bytes,
    type(None),
    range,
    slice,
    type(...),
}  # equal means the same, with nothing more to read
BY_IDENTITY = (
    types.FunctionType, types.BuiltinFunctionType, types.ModuleType, type, np.ufunc, type(np.sum), enum.Enum,
)  # fmt: skip
HEAP_TYPE = 1 << 9  # of `__flags__`: a class made by a `class` statement, whose attributes may be set

Step = tuple[str, Any]


class _Errors:
    """For a NumPy whose state of errors cannot be asked for as one object: it counts as another each time."""

    get = staticmethod(np.geterr)


_errors: Any = getattr(umath, "_extobj_contextvar", _Errors())


@dataclass(frozen=True, slots=True)
class Read:
    """One access path and what the capture found there.

    `kind`: "input", "value", "identity", "type", "length", "keys", "form", "contents" of an array, "alias" of the
    read that it found, "calm" (`calm_errors`), or "genuine" (`Reads.stable`). `root` is the object the path starts
    at; for an argument it is `Argument(i)`.
    """

    root: Any = field(repr=False)
    path: tuple[Step, ...]
    kind: str
    found: Any = field(repr=False)

    def __str__(self) -> str:
        text = ""
        for how, key in self.path:
            if how == "parts":
                break
            text += f".{key}" if how == "attr" else (str(key) if how in ("global", "free") else f"[{key!r}]")
        return text.lstrip(".") or "argument"


@dataclass(frozen=True, slots=True)
class Argument:
    """A root: the argument leaf at this place of the flattened call."""

    place: int


def follow(value: Any, path: tuple[Step, ...]) -> Any:
    """What stands at the end of a path now; `MISSING` if there is nothing."""
    try:
        for how, key in path:
            if how == "global":
                value = value.get(key, MISSING)
            elif how == "free":
                value = value.cell_contents
            elif how == "now":
                value = value.get()
            elif how == "parts":
                value = tree.flatten(value)
            else:
                value = getattr(value, key) if how == "attr" else value[key]
    except (AttributeError, LookupError, TypeError, ValueError):
        return MISSING
    return value


def name_of_default(function: Any, number: int) -> str | None:
    """The parameter a default belongs to; decorators hand on the defaults of functions with more parameters."""
    code = function.__code__
    place = code.co_argcount - len(function.__defaults__ or ()) + number
    return str(code.co_varnames[place]) if 0 <= place < code.co_argcount else None


def holds(read: Read, value: Any) -> bool:
    """Whether what is found now is what the capture assumed."""
    if read.kind == "identity":
        return value is read.found
    if read.kind == "value":
        return same_value(value, read.found)
    if read.kind == "type":
        return type(value) is read.found
    if read.kind == "length":
        return type(value) is read.found[0] and len(value) == read.found[1]
    if read.kind == "form":
        return form_of(value) == read.found
    if read.kind == "keys":
        return (
            type(value) is dict and len(value) == len(read.found) and all(map(same_value, value, read.found))
        )
    if read.kind == "calm":
        return value is read.found or is_calm()
    if read.kind == "contents":
        return same_kind(value, read.found) and value.tobytes() == read.found.tobytes()
    return same_kind(value, read.found)


def is_calm() -> bool:
    """Whether floating-point errors only warn, or not even that: no program raises, or calls anything, on them."""
    return {"raise", "call", "log"}.isdisjoint(np.geterr().values())


def calm_errors() -> Read:
    """The guard that `np.seterr` and `np.errstate` are as calm as they are now."""
    return Read(_errors, (("now", ""),), "calm", _errors.get())


def same_value(a: Any, b: Any) -> bool:
    """Whether nothing tells these two immutable values apart."""
    if a is b:
        return True
    kind = type(a)
    if kind is not type(b):
        return False
    if kind in _EXACT:
        return bool(a == b)
    if isinstance(a, np.generic):
        return a.dtype == b.dtype and a.tobytes() == b.tobytes()
    if isinstance(a, complex):
        return complex.__repr__(a) == complex.__repr__(b)
    if isinstance(a, float):
        return float.__repr__(a) == float.__repr__(b)
    if isinstance(a, decimal.Decimal):
        return str(a) == str(b)
    if isinstance(a, (set, frozenset)):
        return {(type(v), repr(v)) for v in a} == {(type(v), repr(v)) for v in b}
    if isinstance(a, tuple):
        return len(a) == len(b) and all(map(same_value, a, b))
    return bool(a == b)


def form_of(value: Any) -> tuple[Any, ...]:
    """Type, and of an array dtype and shape."""
    return (type(value), getattr(value, "dtype", None), getattr(value, "shape", None))


def same_kind(value: Any, found: Any) -> bool:
    """Whether a new value fits an input made for `found`: the same type, dtype and shape."""
    if type(value) is not type(found):
        return False
    return not isinstance(found, np.ndarray) or (value.dtype == found.dtype and value.shape == found.shape)
