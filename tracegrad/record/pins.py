"""Arrays that go through structures and are written in place later: whose memory a name holds may depend on the
arm that was taken.

In: results of closed structures (`hold`), and arrays about to be written (`written`). Out: guards for what
was taken, where a name could hold the memory that is written. Begin with `Pins.written`.
"""

from __future__ import annotations

import types
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from tracegrad.ir.close import substituted
from tracegrad.ir.location import Location
from tracegrad.ir.trace import Atom, Guard, Var


def memory_of(array: Any) -> Any:
    """The array whose memory this one looks at; NumPy's `as_strided` puts an object between the two."""
    base: Any = getattr(array, "base", None)
    while isinstance(base, np.ndarray) or isinstance(getattr(base, "base", None), np.ndarray):
        array = base if isinstance(base, np.ndarray) else base.base
        base = array.base
    return array


def owner_of(array: Any) -> int:
    """The number of the array whose memory this one looks at."""
    return id(memory_of(array))


# Memory by the number of its owner, which is another's as soon as the memory is gone.
Reach: TypeAlias = dict[int, weakref.ref[Any]]

MANY = 1000  # objects looked at to say whose memory a name may hold
_PLAIN = (int, float, complex, str, bytes, type(None), type, range, slice, np.generic, np.ufunc, np.dtype)


def parts_of(value: Any) -> list[Any] | None:
    """What a plain object could hold arrays in; None if that is not known."""
    if isinstance(value, (*_PLAIN, types.ModuleType, types.BuiltinFunctionType, type(np.sum), np.ndarray)):
        return []
    if type(value) in (list, tuple):
        return list(value)
    if type(value) is dict:
        return list(value.values())
    if isinstance(value, types.FunctionType):
        cells = zip(value.__code__.co_freevars, value.__closure__ or (), strict=True)
        return [_content(cell) for name, cell in cells if not name.startswith("__tg")]
    if isinstance(value, types.MethodType):
        return [value.__self__, value.__func__]
    kept = getattr(value, "__dict__", None)
    return list(kept.values()) if type(kept) is dict and not hasattr(type(value), "__slots__") else None


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not bound yet
        return None


@dataclass(frozen=True, slots=True)
class Pin:
    """Which array `holder` is depends on `condition` having been `expected`, or on what happened deeper
    inside. `reach`: the memory it could be; None if that is not known.
    """

    holder: Any
    condition: Atom
    expected: Any
    deep: bool
    location: Location | None
    reach: Reach | None


class Pins:
    """The pins of one recording.

    Parameters
    ----------
    is_visible : callable
        Whether the block that is being recorded may read an atom.
    """

    def __init__(self, is_visible: Callable[[Atom], bool]) -> None:
        self._is_visible = is_visible
        self._pins: list[Pin] = []
        self._prune_at = 64

    def hold(
        self,
        made: Any,
        condition: Atom,
        expected: Any,
        deep: bool,
        location: Location | None,
        reach: Reach | None,
    ) -> None:
        """`made` is an array that came out of a structure under a name bound inside."""
        self._pins.append(Pin(weakref.ref(made), condition, expected, deep, location, reach))
        if len(self._pins) > self._prune_at:
            self._pins = [p for p in self._pins if p.holder() is not None]
            self._prune_at = 64 + 2 * len(self._pins)

    def written(self, array: Any, owner: int, alias: Any) -> tuple[list[Guard], bool]:
        """An array is written in place; returns what must have been taken for names to hold what they hold
        now, and whether that cannot be said.
        """
        left: list[Pin] = []
        guards: list[Guard] = []
        unknown = False
        for pin in self._pins:
            holder = pin.holder()
            if holder is None:
                continue
            apart = pin.reach is not None and owner_of(holder.value) != owner and not _has(pin.reach, owner)
            if holder.dtype != array.dtype or apart:
                left.append(pin)
                continue
            condition = substituted(pin.condition, alias)
            if pin.deep or not self._is_visible(condition):
                unknown = True
            elif isinstance(condition, Var):
                guards.append(Guard(condition, pin.expected, pin.location))
        self._pins = left
        return guards, unknown


def reach(seen: Sequence[Any] | None, traced: Callable[[Any], Any]) -> Reach | None:
    """The memory that the names read in a structure could hold; None if that is not known."""
    if seen is None:
        return None
    found: Reach = {}
    known: dict[int, Any] = {}
    todo = list(seen)
    while todo:
        value = todo.pop()
        if id(value) in known:
            continue
        known[id(value)] = value
        array = traced(value)
        if array is not None:
            memory = memory_of(array.value)
            if isinstance(memory, np.ndarray):  # numbers are not written
                found[id(memory)] = weakref.ref(memory)
            continue
        inner = parts_of(value)
        if inner is None or len(known) > MANY:
            return None
        todo.extend(inner)
    return found


def _has(found: Reach, owner: int) -> bool:
    return owner in found and found[owner]() is not None
