"""Why no known program fitted a call: the guard that failed, with what it assumed and what was found.

In: the paths that were tried, each with the guard where its program was left or the read that no longer holds, and
the capture that followed. Out: events for the log. Begin with `causes`.
"""

from __future__ import annotations

import types
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tracegrad.dispatch.events import Event
from tracegrad.dispatch.tree import Path
from tracegrad.ir.location import Location
from tracegrad.ir.trace import Guard
from tracegrad.ir.types import is_number, type_of
from tracegrad.ir.unify import WENT_ANOTHER_WAY
from tracegrad.ir.walk import all_steps
from tracegrad.tensor.captured import Captured, Leaf
from tracegrad.tensor.reads import MISSING, Argument, Read, follow, name_of_default

Failed = tuple[Path, int | Read | str]
"""A path that was tried, and the number of the guard where it was left, the read that no longer holds, or an error."""


def causes(failed: Sequence[Failed], captured: Captured, leaves: Sequence[Leaf], call: int) -> list[Event]:
    """One event for each thing that was not as a program assumed, the program tried first first."""
    found: dict[tuple[str, str, Location | None], Event] = {}
    for path, what in failed:
        if isinstance(what, Read):
            name, old, new = _read(what, leaves)
            event = Event("changed", f"{name} was {old}, is {new}", call, None, old, new, path.born + 1)
        elif isinstance(what, str):
            event = Event("failure", f"its program raised {what}", call, program=path.born + 1)
        else:
            event = _guard(path, path.built.guards[what], captured, call)
        found.setdefault((event.kind, event.text, event.where), event)
    return list(found.values())


def other_arguments(before: Mapping[str, str], now: Mapping[str, str], call: int) -> Event:
    """The arguments are of other types than those of the call before.

    Parameters
    ----------
    before, now : dict
        For each argument leaf, by name, its type or its static value, as text.
    """
    parts, old, new = [], [], []
    for name in dict.fromkeys((*before, *now)):
        was, is_now = before.get(name, "not given"), now.get(name, "not given")
        if was != is_now:
            parts.append(f"`{name}` was {was}, is {is_now}")
            old.append(was)
            new.append(is_now)
    text = "; ".join(parts) if parts else "an argument is another object, or differentiated otherwise"
    return Event("arguments", text, call, None, ", ".join(old), ", ".join(new))


def not_joined(apart: Mapping[Path, str], failed: Sequence[Failed]) -> str:
    """Why a capture did not join the program that was left for it at a branch or loop."""
    for path, what in failed:
        if isinstance(what, int) and path in apart and not _asked_straight(path, what):
            if apart[path].startswith(WENT_ANOTHER_WAY):  # two straight paths, which is told anyway
                return ""
            return f"; not joined with program {path.born + 1}: {apart[path]}"
    return ""


# --- guards in the trace


def _guard(path: Path, guard: Guard, captured: Captured, call: int) -> Event:
    old = shown(guard.expected)
    if isinstance(guard.expected, (bool, np.bool_)):
        new = shown(not guard.expected)
    else:
        new = _found_there(guard, path.built.guards, captured)
    line = "" if guard.location is None else guard.location.text
    what = f"`{line}`" if line else "a condition"
    return Event("side exit", f"{what} was {old}, is {new}", call, guard.location, old, new, path.born + 1)


def _asked_straight(path: Path, number: int) -> bool:
    """Whether this guard was recorded as one, and does not stand for an arm of a branch or a loop not entered."""
    location = path.built.guards[number].location
    return any(isinstance(s, Guard) and s.location == location for s in all_steps(path.captured.trace))


def _found_there(guard: Guard, guards: Sequence[Guard], captured: Captured) -> str:
    """What the capture found where another value was expected: its guard of the same line, in the same turn."""
    turn = [g for g in guards if g.location == guard.location].index(guard)
    there = [s for s in all_steps(captured.trace) if isinstance(s, Guard) and s.location == guard.location]
    if turn < len(there) and shown(there[turn].expected) != shown(guard.expected):
        return shown(there[turn].expected)
    return "another"


# --- what was read outside


def _read(read: Read, leaves: Sequence[Leaf]) -> tuple[str, str, str]:
    """What the user calls it, what it was, what it is."""
    root = leaves[read.root.place].value if isinstance(read.root, Argument) else read.root
    now = follow(root, read.path)
    kind, name = read.kind, _named(read, leaves)
    if kind == "type" and now is not MISSING:
        return name, _a(read.found), _a(type(now))
    if kind == "length" and type(now) is read.found[0]:
        return name, f"{read.found[1]} items long", f"{len(now)}"
    if kind == "keys" and type(now) is dict:
        return name, f"a dict with the keys {_listed(read.found)}", f"one with {_listed(now)}"
    if kind in ("form", "length", "keys"):
        return name, "of another type or length", _a(type(now)) if now is not MISSING else "gone"
    old, new = shown(read.found), shown(now)
    return name, old, "another" if new == old else new


def _named(read: Read, leaves: Sequence[Leaf]) -> str:
    path = read.path
    while path and path[-1][0] == "attr" and path[-1][1] in ("__code__", "__func__"):
        path = path[:-1]
    if len(path) > 1 and path[0] == ("attr", "__defaults__"):
        return f"the default `{name_of_default(read.root, path[1][1]) or path[1][1]}`"
    text = leaves[read.root.place].name if isinstance(read.root, Argument) else ""
    for how, key in path:
        text += f".{key}" if how == "attr" else str(key) if how in ("global", "free") else f"[{key!r:.30}]"
    if len(path) == 1 and path[0][0] == "global":
        return f"global `{text}`"
    return f"`{text.lstrip('.')}`"


def _listed(keys: Any) -> str:
    return ", ".join(f"{key!r:.20}" for key in list(keys)[:5]) + (", ..." if len(keys) > 5 else "")


def _a(kind: type) -> str:
    name = kind.__name__
    return f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name}"


def shown(value: Any) -> str:
    """A value in a few words. An object of the user's is never printed: its `repr` is the user's code."""
    if value is MISSING:
        return "gone"
    if isinstance(value, (bool, np.bool_)):
        return repr(bool(value))
    if value is None or isinstance(value, (int, float, complex, str, bytes, np.generic, np.dtype)):
        text = repr(value.item() if isinstance(value, np.generic) else value)
        return text if len(text) <= 40 else f"{text[:37]}..."
    if isinstance(value, np.ndarray):
        return str(type_of(value)) if is_number(value.dtype) else f"an array of {value.dtype}"
    if isinstance(value, (types.FunctionType, types.BuiltinFunctionType, type, np.ufunc, types.ModuleType)):
        return f"`{getattr(value, '__name__', type(value).__name__)}`"
    if isinstance(value, types.CodeType):
        return "other code"
    if isinstance(value, tuple) and len(value) <= 4:
        return f"({', '.join(map(shown, value))})"
    return _a(type(value))
