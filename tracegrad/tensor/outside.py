"""What one capture reads from outside, while it runs: each access path once, as an input or with a guard.

What stands at the end of a path is an *input* (floats, arrays: new values are just used) or is *guarded*: numbers and
strings by value, functions, classes and modules by identity, other objects by their type, since what is read of them
has paths of its own. An object that goes where its reads cannot be seen needs more: its identity is guarded, or the run
is not repeatable. In: objects, as the clone meets them. Out: `Read`s. Begin with `Reads.read`.
"""

from __future__ import annotations

import collections
import operator
import random
import types
from collections.abc import Hashable
from typing import Any

import numpy as np

from tracegrad import tree
from tracegrad.containers import is_container
from tracegrad.ir.types import is_number
from tracegrad.ops.operators import Operators
from tracegrad.record.pins import memory_of
from tracegrad.tensor.reads import (
    BY_IDENTITY,
    BY_VALUE,
    HEAP_TYPE,
    MISSING,
    Argument,
    Read,
    Step,
    name_of_default,
)

_BOUND = (types.MethodType, types.BuiltinMethodType)  # made anew at each access
CONTAINERS = (list, tuple, dict)
GENERATORS = (np.random.Generator, np.random.RandomState, random.Random)
_PLAIN = (float, int, str, np.ndarray, type(None))


def _name(root: Any, path: tuple[Step, ...]) -> str | None:
    """What the user calls what stands there."""
    if not path:
        return None
    key = path[-1][1]
    if len(path) == 2 and path[0] == ("attr", "__defaults__"):
        return name_of_default(root, key)
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
        self.files: set[str] = set()  # where the functions are written that ran
        self.genuine: dict[Any, Read] = {}  # what was looked up in modules that nobody changes
        self._memo: dict[Hashable, tuple[Any, Any]] = {}
        self._paths: dict[int, tuple[Any, Any, tuple[Step, ...]]] = {}
        self._roots: list[Any] = []
        self._lent: list[Any] = []

    def path_of(self, value: Any) -> tuple[Any, tuple[Step, ...]] | None:
        """Root and path of an object that came from outside, or None."""
        entry = self._paths.get(id(value))
        return None if entry is None or entry[0] is not value else entry[1:]

    def outlives(self, value: Any) -> bool:
        """Whether an object came from outside, or shows memory of an array that did: a field or a row of records."""
        if self.path_of(value) is not None:
            return True
        if not isinstance(value, (np.ndarray, np.void)):
            return False
        memory = memory_of(value)
        return any(memory_of(v) is memory for v, *_ in self._paths.values() if isinstance(v, np.ndarray))

    def inherit(self, outer: Reads) -> None:
        """Objects that are where reads start are so in a capture inside this one too."""
        for value, root, path in outer._paths.values():
            if value is root and not path:
                self.track(value, value, ())

    def track(self, value: Any, root: Any, path: tuple[Step, ...]) -> None:
        """Remember where an object came from; one that two paths lead to must be one object at each call."""
        known = self._paths.setdefault(id(value), (value, root, path))
        if known[1] is not root or known[2] != path:
            if known[0] is not value:
                self._paths[id(value)] = (value, root, path)
            elif not isinstance(value, BY_IDENTITY):
                self.guards.append(Read(root, path, "alias", Read(known[1], known[2], "", None)))

    def read(self, value: Any, root: Any, path: tuple[Step, ...], owner: Any = None) -> Any:
        """The value as the function sees it: traced where it can be an input, itself otherwise, with a guard.

        `owner` is the object of which the last step of the path reads an attribute.
        """
        if isinstance(value, Operators):
            traced: Any = value
            if traced.recorder.level < np.inf:
                return self.recording.traced(traced)
            value = traced.value  # of a run that is over
        key = (root if isinstance(root, Argument) else id(root), path)
        try:
            found = self._memo.get(key)
        except TypeError:  # an item whose key is not hashable: nothing to look up again
            self.recording.not_repeatable(f"reads an item with a {type(path[-1][1]).__name__} as key")
            return value
        if found is not None and (found[0] is value or _same_method(found[0], value)):
            return found[1]
        if found is not None:
            self.recording.not_repeatable(f"`{Read(root, path, '', None)}` changes while the function runs")
        self._roots.append(root)
        seen = self._seen(value, root, path, owner)
        self._memo[key] = (value, seen)
        return seen

    def pin(self, value: Any) -> None:
        """Guard that an object from outside is this very object."""
        origin = self.path_of(value)
        if origin is not None and not isinstance(value, BY_IDENTITY):
            key = ("pin", id(origin[0]), origin[1])
            if key not in self._memo:
                self._memo[key] = (value, value)
                self.guards.append(Read(*origin, "identity", value))

    def member(self, cls: type, name: str, found: Any) -> None:
        """Guard what a class of the user's has under a name: what runs when its objects are used."""
        if cls.__flags__ & HEAP_TYPE:
            key = ("member", id(cls), name)
            if key not in self._memo:
                self._memo[key] = (cls, found)
                self._roots.append(cls)
                path: tuple[Step, ...] = (("attr", name),)
                if isinstance(found, types.MethodType):
                    path, found = (*path, ("attr", "__func__")), found.__func__
                self.guards.append(Read(cls, path, "identity", found))
                if isinstance(found, property):
                    path, found = (*path, ("attr", "fget")), found.fget
                self.code(found, cls, path)

    def code(self, function: Any, root: Any, path: tuple[Step, ...]) -> None:
        """Guard the code of a function: tools that reload a module exchange that of the functions they find."""
        if isinstance(function, types.FunctionType):
            self.guards.append(Read(root, (*path, ("attr", "__code__")), "identity", function.__code__))

    def stable(self, module: Any, name: str, value: Any) -> Any:
        """What a module has that computes as NumPy does: nothing is guarded, another process looks once."""
        self.genuine[id(module), name] = Read(module, (("attr", name),), "genuine", value)
        return value

    def absent(self, root: Any, path: tuple[Step, ...]) -> None:
        """Guard that there is nothing at the end of a path."""
        self.read(MISSING, root, path)

    def _seen(self, value: Any, root: Any, path: tuple[Step, ...], owner: Any) -> Any:
        name = _name(root, path)
        if is_container(type(value)):
            return self._container(value, root, (*path, ("parts", None)))
        if isinstance(value, np.ndarray):
            return self._array(value, root, path, name)
        if type(value) in (float, complex) or isinstance(value, np.inexact):
            return self._input(value, root, path, name, weak=type(value) in (float, complex))
        if isinstance(value, types.MethodType):
            where = (*path, ("attr", "__func__"))
            self.guards.append(Read(root, where, "identity", value.__func__))
            self.code(value.__func__, root, where)
            if owner is None or (value.__self__ is not owner and value.__self__ is not type(owner)):
                self.read(value.__self__, root, (*path, ("attr", "__self__")))
        elif value is MISSING or (isinstance(value, BY_IDENTITY) and not _is_bound(value)):
            self.guards.append(Read(root, path, "identity", value))
            if value is not MISSING:
                self.track(value, root, path)
            self.code(value, root, path)
        elif isinstance(value, types.BuiltinFunctionType):
            if value.__self__ is not owner and value.__self__ is not type(owner):
                self.guards.append(Read(root, (*path, ("attr", "__name__")), "value", value.__name__))
                self.read(value.__self__, root, (*path, ("attr", "__self__")))
        elif isinstance(value, BY_VALUE):
            self.guards.append(Read(root, path, "value", value))
            if type(value).__flags__ & HEAP_TYPE:
                self.track(value, root, path)
        else:
            self.guards.append(Read(root, path, "type", type(value)))
            self.track(value, root, path)
        return value

    def _container(self, value: Any, root: Any, path: tuple[Step, ...]) -> Any:
        """A container with labels: its arrays are inputs, around which it is built anew."""
        leaves, structure = tree.flatten(value)
        self.guards.append(Read(root, (*path, ("item", 1)), "value", structure))
        names = tree.paths(value, _name(root, path[:-1]) or "data")
        seen = []
        for place, (leaf, name) in enumerate(zip(leaves, names, strict=True)):
            where = (*path, ("item", 0), ("item", place))
            if isinstance(leaf, np.ndarray):
                seen.append(self._input(leaf, root, where, name))
            else:
                self.guards.append(Read(root, where, "value", leaf))
                seen.append(leaf)
        return self.lend(tree.unflatten(structure, seen))

    def lend(self, value: Any) -> Any:
        """Remember containers with labels that are the caller's: they are built anew, so no write would reach them."""
        if type(value) in CONTAINERS:
            for item in value.values() if type(value) is dict else value:
                self.lend(item)
        elif is_container(type(value)):
            self._lent.append(value)
            if hasattr(value, "_borrowed"):
                object.__setattr__(value, "_borrowed", True)
        return value

    def is_lent(self, value: Any) -> bool:
        """Whether this container is the caller's."""
        return any(value is lent for lent in self._lent)

    def _array(self, value: Any, root: Any, path: tuple[Step, ...], name: str | None) -> Any:
        """An array of numbers is an input; of any other its contents are guarded."""
        kind = type(value)
        if kind is np.ndarray and is_number(value.dtype):
            return self._input(value, root, path, name)
        if kind is np.ndarray and not value.dtype.hasobject:
            self.guards.append(Read(root, path, "contents", value.copy()))
        else:
            what = "an array of objects" if kind is np.ndarray else f"a {kind.__name__}"
            self.recording.not_repeatable(f"reads {what} from outside")
        self.track(value, root, path)
        return value

    def _input(
        self, value: Any, root: Any, path: tuple[Step, ...], name: str | None, weak: bool = False
    ) -> Any:
        traced = self.recording.input(value, name, weak)
        self.inputs[traced.atom] = Read(root, path, "input", value)
        return traced

    def length(self, value: Any) -> int:
        """The length of a container, with a guard on it if it is from outside."""
        origin = self.path_of(value)
        if origin is not None:
            found = tuple(value) if type(value) is dict else (type(value), len(value))
            self.guards.append(Read(*origin, "keys" if type(value) is dict else "length", found))
        return len(value)

    def contents(self, value: Any, objects: str = "parts") -> Any:
        """A value used in one piece: a container from outside with each item read, anything else as it is.

        Parameters
        ----------
        objects : "parts", "same" or "whole"
            What will be done with the objects found: they are only moved, or compared and returned (their identity
            is guarded), or looked at by code whose reads are not seen (the run is not repeatable).
        """
        kind = type(value)
        origin = self.path_of(value)
        if kind in CONTAINERS:
            if origin is None:
                return self._made_inside(value, objects) if objects != "parts" else value
            root, path = origin
            if kind is dict:
                self.guards.append(Read(root, path, "keys", tuple(value)))
                items = {k: self.read(v, root, (*path, ("item", k))) for k, v in value.items()}
                return {k: self.contents(v, objects) for k, v in items.items()}
            self.guards.append(Read(root, path, "length", (kind, len(value))))
            read = (self.read(v, root, (*path, ("item", i))) for i, v in enumerate(value))
            return kind([self.contents(v, objects) for v in read])
        if kind is types.MethodType and objects == "same":
            self.pin(value.__self__)
        if origin is None:
            return value
        root, path = origin
        if isinstance(value, tuple) and hasattr(kind, "_fields"):
            read = (self.read(v, root, (*path, ("item", i))) for i, v in enumerate(value))
            return kind(*[self.contents(v, objects) for v in read])
        if kind in (set, frozenset) and all(isinstance(v, BY_VALUE) for v in value):
            self.guards.append(Read(root, path, "value", kind(value)))
        elif isinstance(value, (*CONTAINERS, set, frozenset, bytearray, collections.deque)):
            self.recording.not_repeatable(f"looks at the whole of a {kind.__name__} from outside")
        elif not isinstance(value, (*BY_IDENTITY, *BY_VALUE, types.MethodType, np.ndarray)):
            self._object(value, objects)
        return value

    def _made_inside(self, value: Any, objects: str) -> Any:
        """A container made inside, for code that looks into it: itself, unless there is one from outside in it."""
        items = value.values() if type(value) is dict else value
        if all(isinstance(v, (Operators, *_PLAIN)) for v in items):
            return value
        read = [self.contents(v, objects) for v in items]
        if all(map(operator.is_, read, items)):
            return value
        return dict(zip(value, read, strict=True)) if type(value) is dict else type(value)(read)

    def _object(self, value: Any, objects: str) -> None:
        kind = type(value)
        if hasattr(kind, "__next__"):
            self.recording.not_repeatable(f"uses up a {kind.__name__} from outside")
        elif objects == "same":
            self.pin(value)
        elif objects == "whole":
            self.recording.not_repeatable(
                f"hands a {kind.__name__} from outside to code whose reads are not seen"
            )

    def deep(self, value: Any) -> Any:
        """A returned value with every container from outside in it read."""
        kind = type(value)
        if kind in CONTAINERS and self.path_of(value) is None:
            if kind is dict:
                return {k: self.deep(v) for k, v in value.items()}
            return kind(map(self.deep, value))
        return self.contents(value, "same")


def around_traced(value: Any, recording: Any) -> Any:
    """A container with labels around constants of a recording, so that it meets traced values."""
    leaves, structure = tree.flatten(value)
    if any(isinstance(leaf, np.ndarray) for leaf in leaves):
        made = [
            recording.wrap(x.copy(), recording.constant(x)) if isinstance(x, np.ndarray) else x
            for x in leaves
        ]
        return tree.unflatten(structure, made)
    return value


def _is_bound(value: Any) -> bool:
    """Whether this is a method of a built-in object; a function of a module says so too."""
    return isinstance(value, types.BuiltinFunctionType) and not isinstance(
        value.__self__, (types.ModuleType, type(None))
    )


def _same_method(a: Any, b: Any) -> bool:
    return type(a) is type(b) and isinstance(a, _BOUND) and a.__self__ is b.__self__ and a == b


class Unread(Reads):
    """The reads of a run on the tape: nothing is looked up again, so everything is what it is."""

    def path_of(self, value: Any) -> tuple[Any, tuple[Step, ...]] | None:
        """Only of generators of random numbers is it asked where they came from: from themselves."""
        return (value, ()) if isinstance(value, GENERATORS) else None

    def track(self, value: Any, root: Any, path: tuple[Step, ...]) -> None:
        """Where an object came from does not matter."""

    def read(self, value: Any, root: Any, path: tuple[Step, ...], owner: Any = None) -> Any:
        return self.lend(around_traced(value, self.recording)) if is_container(type(value)) else value

    def pin(self, value: Any) -> None:
        """Nothing is guarded."""

    def member(self, cls: type, name: str, found: Any) -> None:
        """Nothing is guarded."""

    def code(self, function: Any, root: Any, path: tuple[Step, ...]) -> None:
        """Nothing is guarded."""

    def stable(self, module: Any, name: str, value: Any) -> Any:
        return value

    def contents(self, value: Any, objects: str = "parts") -> Any:
        return value

    def deep(self, value: Any) -> Any:
        return value
