"""What the function reads from outside: access paths that are looked up again at each call.

A read starts at a root (the globals of a function, a closure cell, an argument that is not traced) and
follows attributes and items. What stands at its end is an *input* (floats, arrays: new values are just
used) or is *guarded*: numbers and strings by value, functions, classes and modules by identity, other
objects by their type, since what is read of them has paths of its own. Begin with `Reads.read`.
"""

from __future__ import annotations

import collections
import types
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

MISSING = type("Missing", (), {"__repr__": lambda self: "<missing>"})()
_BY_VALUE = (bool, int, str, bytes, type(None), complex, np.integer, np.bool_, np.dtype)
_BY_IDENTITY = (types.FunctionType, types.BuiltinFunctionType, types.ModuleType, type, np.ufunc, type(np.sum))
CONTAINERS = (list, tuple, dict)

Step = tuple[str, Any]


@dataclass(frozen=True, slots=True)
class Read:
    """One access path and what the capture found there.

    `kind`: "input", "value", "identity", "type", "length", "keys" or "form". `root` is the object the path
    starts at; for an argument it is `Argument(i)`.
    """

    root: Any = field(repr=False)
    path: tuple[Step, ...]
    kind: str
    found: Any = field(repr=False)

    def __str__(self) -> str:
        text = ""
        for how, key in self.path:
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
            else:
                value = getattr(value, key) if how == "attr" else value[key]
    except (AttributeError, LookupError, TypeError, ValueError):
        return MISSING
    return value


def holds(read: Read, value: Any) -> bool:
    """Whether what is found now is what the capture assumed."""
    if read.kind == "identity":
        return value is read.found
    if read.kind == "value":
        return value is read.found or (type(value) is type(read.found) and bool(value == read.found))
    if read.kind == "type":
        return type(value) is read.found
    if read.kind == "length":
        return type(value) is read.found[0] and len(value) == read.found[1]
    if read.kind == "form":
        return form_of(value) == read.found
    if read.kind == "keys":
        return type(value) is dict and tuple(value) == read.found
    return same_kind(value, read.found)


def form_of(value: Any) -> tuple[Any, ...]:
    """Type, and of an array dtype and shape."""
    return (type(value), getattr(value, "dtype", None), getattr(value, "shape", None))


def same_kind(value: Any, found: Any) -> bool:
    """Whether a new value fits an input made for `found`: the same type, dtype and shape."""
    if type(value) is not type(found):
        return False
    return not isinstance(found, np.ndarray) or (value.dtype == found.dtype and value.shape == found.shape)


def _name(root: Any, path: tuple[Step, ...]) -> str | None:
    """What the user calls what stands there."""
    if not path:
        return None
    key = path[-1][1]
    if len(path) == 2 and path[0] == ("attr", "__defaults__"):
        code = root.__code__
        return str(code.co_varnames[code.co_argcount - len(root.__defaults__) + key])
    return key if isinstance(key, str) else None


class Reads:
    """The reads of one capture.

    Parameters
    ----------
    recording : Recording
        Gets an input for each float or array read.
    """

    def __init__(self, recording: Any) -> None:
        self.recording = recording
        self.guards: list[Read] = []
        self.inputs: dict[Any, Read] = {}  # Var -> where its value comes from
        self._memo: dict[Hashable, tuple[Any, Any]] = {}
        self._paths: dict[int, tuple[Any, Any, tuple[Step, ...]]] = {}
        self._roots: list[Any] = []

    def path_of(self, value: Any) -> tuple[Any, tuple[Step, ...]] | None:
        """Root and path of an object that came from outside, or None."""
        entry = self._paths.get(id(value))
        return None if entry is None or entry[0] is not value else entry[1:]

    def track(self, value: Any, root: Any, path: tuple[Step, ...]) -> None:
        """Remember where an object came from."""
        self._paths.setdefault(id(value), (value, root, path))

    def read(self, value: Any, root: Any, path: tuple[Step, ...]) -> Any:
        """The value as the function sees it: traced where it can be an input, itself otherwise, with a
        guard.
        """
        if getattr(value, "recorder", None) is not None:
            return self.recording.traced(value)
        key = (root if isinstance(root, Argument) else id(root), path)
        try:
            found = self._memo.get(key)
        except TypeError:  # an item whose key is not hashable: nothing to look up again
            self.recording.not_repeatable(f"reads an item with a {type(path[-1][1]).__name__} as key")
            return value
        if found is not None and found[0] is value:
            return found[1]
        if found is not None:
            self.recording.not_repeatable(f"`{Read(root, path, '', None)}` changes while the function runs")
        self._roots.append(root)
        seen = self._seen(value, root, path)
        self._memo[key] = (value, seen)
        return seen

    def _seen(self, value: Any, root: Any, path: tuple[Step, ...]) -> Any:
        name = _name(root, path)
        if isinstance(value, np.ndarray) and type(value) is np.ndarray and value.dtype.kind in "fiub":
            return self._input(value, root, path, name)
        if type(value) is float or isinstance(value, np.floating):
            return self._input(value, root, path, name, weak=type(value) is float)
        if isinstance(value, types.MethodType):
            self.guards.append(Read(root, (*path, ("attr", "__func__")), "identity", value.__func__))
        elif isinstance(value, types.BuiltinFunctionType) and not isinstance(
            value.__self__, (types.ModuleType, type(None))
        ):
            pass  # a method of a built-in object, made anew at each access; the object is guarded
        elif isinstance(value, _BY_VALUE):
            self.guards.append(Read(root, path, "value", value))
        elif value is MISSING or isinstance(value, _BY_IDENTITY):
            self.guards.append(Read(root, path, "identity", value))
            if isinstance(value, type):
                self.track(value, root, path)
            elif isinstance(value, types.FunctionType):
                # Tools that reload a module exchange the code of the functions they find.
                self.guards.append(Read(root, (*path, ("attr", "__code__")), "identity", value.__code__))
        else:
            self.guards.append(Read(root, path, "type", type(value)))
            self.track(value, root, path)
        return value

    def _input(
        self, value: Any, root: Any, path: tuple[Step, ...], name: str | None, weak: bool = False
    ) -> Any:
        traced = self.recording.input(value, name, weak)
        self.inputs[traced.atom] = Read(root, path, "input", value)
        return traced

    def contents(self, value: Any) -> Any:
        """A container from outside with each item read; anything else as it is."""
        kind = type(value)
        if kind in CONTAINERS:
            origin = self.path_of(value)
            if origin is None:
                return value
            root, path = origin
            if kind is dict:
                self.guards.append(Read(root, path, "keys", tuple(value)))
                return {k: self.contents(self.read(v, root, (*path, ("item", k)))) for k, v in value.items()}
            self.guards.append(Read(root, path, "length", (kind, len(value))))
            return kind(self.contents(self.read(v, root, (*path, ("item", i)))) for i, v in enumerate(value))
        if not isinstance(value, (*CONTAINERS, set, frozenset, bytearray, collections.deque)):
            return value
        origin = self.path_of(value)
        if origin is None:
            return value
        root, path = origin
        if isinstance(value, tuple) and hasattr(kind, "_fields"):
            return kind(
                *(self.contents(self.read(v, root, (*path, ("item", i)))) for i, v in enumerate(value))
            )
        if kind in (set, frozenset) and all(isinstance(v, (*_BY_VALUE, float)) for v in value):
            self.guards.append(Read(root, path, "value", kind(value)))
        else:
            self.recording.not_repeatable(f"looks at the whole of a {kind.__name__} from outside")
        return value

    def deep(self, value: Any) -> Any:
        """A returned value with every container from outside in it read."""
        kind = type(value)
        if kind in CONTAINERS and self.path_of(value) is None:
            if kind is dict:
                return {k: self.deep(v) for k, v in value.items()}
            return kind(map(self.deep, value))
        return self.contents(value)
