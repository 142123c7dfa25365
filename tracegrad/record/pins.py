"""Arrays that go through structures and are written in place later: whose memory a name holds may depend on the
arm that was taken.

In: results of closed structures (`hold`), and arrays about to be written (`written`). Out: guards for what
was taken, where a name could hold the memory that is written. Begin with `Pins.written`.
"""

from __future__ import annotations

import types
import weakref
from collections.abc import Callable, Iterable, Sequence
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


# Memory that an array may be in: references that say whether it is still there, and are the same for the same memory.
Reach: TypeAlias = tuple[weakref.ref[Any], ...]

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
    inside. `reach`: the memory it could be; None if that is not known. `alone`: its own memory, whichever it is, has no
    other name then.
    """

    holder: Any
    condition: Atom
    expected: Any
    deep: bool
    location: Location | None
    reach: Reach | None
    alone: bool


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
        alone: bool,
    ) -> None:
        """`made` is an array that came out of a structure under a name bound inside."""
        self._pins.append(Pin(weakref.ref(made), condition, expected, deep, location, reach, alone))
        if len(self._pins) > self._prune_at:
            self._pins = [p for p in self._pins if p.holder() is not None]
            self._prune_at = 64 + 2 * len(self._pins)

    def written(self, array: Any, owner: int, alias: Any, entered: bool = False) -> tuple[list[Guard], bool]:
        """An array is written in place, or has `entered` a structure that may write it; returns what must have been
        taken for names to hold what they hold now, and whether that cannot be said.
        """
        left: list[Pin] = []
        guards: list[Guard] = []
        unknown = False
        for pin in self._pins:
            holder = pin.holder()
            if holder is None:
                continue
            if holder.dtype != array.dtype or not self._matters(pin, holder, array, owner, entered):
                left.append(pin)
                continue
            condition = substituted(pin.condition, alias)
            if pin.deep or not self._is_visible(condition):
                unknown = True
            elif isinstance(condition, Var):
                guards.append(Guard(condition, pin.expected, pin.location))
        self._pins = left
        return guards, unknown

    def _matters(self, pin: Pin, holder: Any, array: Any, owner: int, entered: bool) -> bool:
        """Whether the holder is, or could have been, another name for the array.

        What a structure may write stands for a result of it from there on, under every name that it has now.
        """
        if owner_of(holder.value) != owner:
            return not entered and (pin.reach is None or _has(pin.reach, owner))
        if holder is not array or has_twins(array):
            return True
        return not entered and not (pin.alone and self._is_gone(pin))

    def _is_gone(self, pin: Pin) -> bool:
        """Whether nobody holds the memory any more that an array could have been in."""
        others = [p.reach for p in self._pins if p is not pin and p.holder() is not None]
        if pin.reach is None or None in others:
            return False
        return all(r() is None and not any(r is s for o in others for s in o or ()) for r in pin.reach)

    def reach_of(self, array: Any) -> Reach | None:
        """The memory that an array may be in; None if that is not known."""
        found = list(references([array]))
        for pin in self._pins:
            if pin.holder() is array:
                if pin.reach is None:
                    return None
                found.extend(pin.reach)
        return tuple(found)


def has_twins(array: Any) -> bool:
    """Whether an array is there under another variable of a loop or branch as well."""
    return any(t is not None and t is not array for t in (twin() for twin in array.twins or ()))


def arrays_in(seen: Sequence[Any] | None, traced: Callable[[Any], Any]) -> list[Any] | None:
    """The traced arrays that names lead to, which hold this; None if that is not known."""
    if seen is None:
        return None
    found: list[Any] = []
    known: dict[int, Any] = {}
    todo = list(seen)
    while todo:
        value = todo.pop()
        if id(value) in known:
            continue
        known[id(value)] = value
        array = traced(value)
        if array is not None:
            if isinstance(array.value, np.ndarray):  # numbers are not written
                found.append(array)
            continue
        inner = parts_of(value)
        if inner is None or len(known) > MANY:
            return None
        todo.extend(inner)
    return found


def references(arrays: Iterable[Any]) -> Reach:
    """The memory of arrays."""
    memory = (memory_of(a.value) for a in arrays)
    return tuple(weakref.ref(m) for m in memory if isinstance(m, np.ndarray))


def _has(found: Reach, owner: int) -> bool:
    return any(id(r()) == owner for r in found)
