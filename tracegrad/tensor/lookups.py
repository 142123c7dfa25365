"""Names, attributes, items and imports in a marked clone: what comes from outside is read.

In: what the user's syntax asks for. Out: the value, traced where it can be an input, with what must be so
again at the next call written down (`reads.py`). Begin with `Lookups.attr`.
"""

from __future__ import annotations

import builtins
import functools
import importlib.util
import sys
import types
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from tracegrad.ir.types import is_number
from tracegrad.ops.index import read as read_item
from tracegrad.ops.numpy_making import concatenated
from tracegrad.tensor.callables import LOCKS, has_traced, holds_traced, is_stable, plain_key
from tracegrad.tensor.numpy_protocol import find_method, unsupported
from tracegrad.tensor.outside import CONTAINERS, Reads
from tracegrad.tensor.reads import MISSING
from tracegrad.tensor.special_methods import WITHOUT_PARTS
from tracegrad.tensor.standins import is_traced
from tracegrad.tensor.traced import TracedArray

_JOINS = (type(np.r_), type(np.c_))


class Seen:
    """An object of SciPy's as our functions hold it: its attributes are read as the user's code would read them.

    What they look up in `seen` itself is not read, so a later call has to meet the same object.
    """

    def __init__(self, marks: Any, value: Any) -> None:
        marks.reads.pin(value)
        self.__dict__.update(_marks=marks, seen=value)

    def __getattr__(self, name: str) -> Any:
        found = self._marks.attr(self.seen, name)
        return self._marks.reads.contents(found) if type(found) is tuple else found


class Lookups:
    """The part of `Marks` that stands for reading."""

    recording: Any
    reads: Reads
    function: Any
    globals: dict[str, Any]
    own_attribute: Callable[[Any, str], Any]
    own_member: Callable[[type, str], Any]
    whole: Callable[[Any], Any]
    own_method: Callable[[Any, str], Callable[..., Any] | None]
    values_by_name: Callable[[Any, str], Any]
    from_table: Callable[[Any, Any, int], Any]

    def glob(self, name: str) -> Any:
        """A global name, or a builtin."""
        value = self.globals.get(name, MISSING)
        if value is not MISSING:
            return self.reads.read(value, self.globals, (("global", name),))
        self.reads.absent(self.globals, (("global", name),))
        value = getattr(builtins, name, MISSING)
        if value is MISSING:
            raise NameError(f"name {name!r} is not defined", name=name)
        return self.reads.stable(builtins, name, value)

    def of_scipy(self, owner: Any, name: str) -> Callable[..., Any] | None:
        """Our function for a special method of an object of SciPy's, bound to it; None if there is none."""
        ours = find_method(owner, name)
        return None if ours is None else functools.partial(ours, Seen(self, owner))

    def is_builtin(self, name: str) -> bool:
        """Whether a global name is the builtin one."""
        return self.glob(name) is getattr(builtins, name)

    def free(self, name: str, value: Any) -> Any:
        """A variable of an enclosing function."""
        code = self.function.__code__
        if name not in code.co_freevars:
            return value
        cell = self.function.__closure__[code.co_freevars.index(name)]
        return self.reads.read(value, cell, (("free", name),))

    def attr(self, value: Any, name: str) -> Any:
        """An attribute; of an object from outside it is a read. A property of a user's class runs as a marked clone."""
        kind = type(value)
        if kind is types.ModuleType and is_stable(value.__name__):
            return self.reads.stable(value, name, getattr(value, name))
        if isinstance(value, TracedArray):
            if not hasattr(value, name) and hasattr(np.ndarray, name):
                raise unsupported(f"ndarray.{name}")
            if value.weak and not hasattr(value, name) and hasattr(type(value.value), name):
                return getattr(self.recording.number(value, type(value.value)), name)
            return getattr(value if hasattr(value, name) else value.value, name)
        if kind not in WITHOUT_PARTS:
            own = self.values_by_name(value, name)
            if own is not MISSING:
                return own
            own = self.own_attribute(value, name)
            if own is not MISSING:
                return own
        origin = self.reads.path_of(value)
        if origin is None and isinstance(value, types.ModuleType):
            origin = (value, ())
        try:
            found = getattr(value, name)
        except AttributeError:
            if origin is not None:
                self.reads.absent(origin[0], (*origin[1], ("attr", name)))
            raise
        if origin is None:
            return found
        root, path = origin
        return self.reads.read(found, root, (*path, ("attr", name)), value)

    def item(self, value: Any, key: Any, depth: int = 0) -> Any:
        """An item, of which items are read at once to this depth; of an object from outside it is a read."""
        if type(key) not in WITHOUT_PARTS:
            key = self.reads.contents(key, "same" if isinstance(value, dict) else "whole")
        if is_traced(value):
            return value[key]
        if isinstance(value, np.ndarray):
            if not is_number(value.dtype):
                return value[tuple(map(plain_key, key)) if isinstance(key, tuple) else plain_key(key)]
            return read_item(value, key) if has_traced(key) else value[key]
        if isinstance(value, _JOINS) and holds_traced(key if isinstance(key, tuple) else (key,)):
            return concatenated(value, key)
        if isinstance(value, CONTAINERS):
            if type(value) in (list, tuple) and is_traced(key):
                row = self.from_table(value, key, depth)
                if row is not MISSING:
                    return row
            key = plain_key(key)
        own = self.own_method(value, "__getitem__")
        if own is not None:
            return own(value, key)
        origin = self.reads.path_of(value)
        try:
            found = value[key]
        except LookupError:
            if origin is not None:
                self.reads.absent(origin[0], (*origin[1], ("item", key)))
            raise
        if origin is None:
            return found
        if isinstance(key, slice):
            return self.whole(value)[key]
        root, path = origin
        return self.reads.read(found, root, (*path, ("item", key)))

    def imported(self, module: str, level: int, name: str, value: Any) -> Any:
        """What `import module` (no name) or `from module import name` binds inside a function."""
        package = self.globals.get("__package__")
        full = importlib.util.resolve_name("." * level + module, package) if level else module
        if is_stable(full):
            return self.reads.stable(sys.modules[full], name, value) if name else value
        if not name:
            return self.reads.read(value, sys.modules, (("item", full),))
        holder = sys.modules[full]
        return self.reads.read(value, holder, (("attr", name),), holder)

    def entered(self, manager: Any) -> Any:
        """What a `with` enters."""
        kind = type(manager)
        if kind is warnings.catch_warnings and not manager._record:
            return manager
        own = self.own_member(kind, "__enter__") or self.own_member(kind, "__exit__")
        if own is not None or (self.reads.path_of(manager) is not None and kind not in LOCKS):
            self.recording.not_repeatable(
                f"enters a {kind.__name__}, and what that reads or writes is not seen"
            )
        return manager

    def blind(self, name: str, result: Any) -> Any:
        self.recording.not_repeatable(f"calls `{name}`, and what that reads or writes is not seen")
        return result


# --- what a function without source sees ------------------------------------------------------------------


class GlobalsView(dict[str, Any]):
    """The globals of a function without source; of a dict that is not exact, CPython calls `__getitem__`."""

    def __init__(self, marks: Any) -> None:
        super().__init__()
        self.names: dict[str, Any] = marks.globals
        self._marks = marks

    def __getitem__(self, name: str) -> Any:
        if name == "__builtins__":
            return builtins
        value = self._marks.glob(name)
        return (
            _Stable(value, self._marks) if isinstance(value, types.ModuleType) else self._marks.unseen(value)
        )


class _Stable:
    """A module seen by a function without source: its callables are called through the marks."""

    def __init__(self, module: types.ModuleType, marks: Any) -> None:
        self.__dict__.update(_module=module, _marks=marks)

    def __getattr__(self, name: str) -> Any:
        value = self._marks.attr(self._module, name)
        if isinstance(value, types.ModuleType):
            return _Stable(value, self._marks)
        return self._marks.unseen(value)


class Seeing(functools.partial[Any]):
    """A callable that calls through the marks, `Seeing(marks.call, callable)`: handed to these, it is itself again."""


class UfuncView:
    """A ufunc seen by a function without source: it and its methods are called through the marks."""

    def __init__(self, ufunc: np.ufunc, marks: Any) -> None:
        self._ufunc, self._marks = ufunc, marks

    def __call__(self, *args: Any, **keywords: Any) -> Any:
        return self._marks.call(self._ufunc, *args, **keywords)

    def __getattr__(self, name: str) -> Any:
        return self._marks.callable_view(getattr(self._ufunc, name))
