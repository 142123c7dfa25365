"""Where reads start, by a name that another process understands: a module, the function, what is reached from it.

In: the object at which a read starts. Out: a name of plain data, and back. Begin with `Roots.name` and `find`.
"""

from __future__ import annotations

import importlib
import sys
import types
from collections.abc import Sequence
from typing import Any

from tracegrad.dispatch.fingerprints import Unstorable
from tracegrad.tensor.reads import MISSING, Argument, Read, calm_errors, follow

_ERRORS = calm_errors().root
_PLAIN_KEYS = (str, int, bool, type(None))


class Roots:
    """Names for the roots of one signature's reads.

    Parameters
    ----------
    function : callable
        The function that is transformed.
    leaves : sequence
        The argument leaves of a call; a static one may be a root.
    """

    def __init__(self, function: Any, leaves: Sequence[Any]) -> None:
        self._known: dict[int, tuple[Any, Any]] = {}
        for place, leaf in enumerate(leaves):
            if leaf.role == "static":
                self._learn(leaf.value, ["argument", place])
        self._learn(function, ["function"])

    def learn(self, reads: Sequence[Read]) -> None:
        """Functions and classes found at the end of reads may be roots of others."""
        for read in reads:
            if read.kind == "identity" and isinstance(read.found, (types.FunctionType, type)):
                self._reach(read, read.found, [])
            elif read.kind == "type":
                self._reach(read, read.found, ["type"])

    def _reach(self, read: Read, found: Any, last: list[str]) -> None:
        try:
            name = ["at", self.name(read.root), path_as_data(read.path), *last]
        except Unstorable:
            return
        self._learn(found, name)

    def _learn(self, value: Any, name: Any) -> None:
        """A value has this name; a function gives names to its cells."""
        if id(value) in self._known:
            return
        self._known[id(value)] = value, name
        if isinstance(value, types.MethodType):
            self._learn(value.__func__, ["at", name, [["attr", "__func__"]]])
            self._learn(value.__self__, ["at", name, [["attr", "__self__"]]])
        if isinstance(value, types.FunctionType):
            for place, cell in enumerate(value.__closure__ or ()):
                self._learn(cell, ["at", name, [["attr", "__closure__"], ["item", place]]])
            self._learn(value.__globals__, ["at", name, [["attr", "__globals__"]]])

    def name(self, root: Any) -> Any:
        """The name of a root.

        Raises
        ------
        Unstorable : there is none that another process would understand
        """
        if isinstance(root, Argument):
            return ["argument", root.place]
        if root is sys.modules:
            return ["modules"]
        if root is _ERRORS:
            return ["errors"]
        if isinstance(root, types.ModuleType) and sys.modules.get(root.__name__) is root:
            return ["module", root.__name__]
        if type(root) is dict and _globals_of(root.get("__name__")) is root:
            return ["globals", root["__name__"]]
        known = self._known.get(id(root))
        if known is not None:
            return known[1]
        module, name = getattr(root, "__module__", None), getattr(root, "__qualname__", None)
        if isinstance(module, str) and isinstance(name, str):
            found = _named(module, name)
            if found is root:
                return ["named", module, name]
            if getattr(found, "__wrapped__", MISSING) is root:  # the Python code of `np.size`
                return ["at", ["named", module, name], [["attr", "__wrapped__"]]]
        raise Unstorable(f"a {type(root).__name__} that has no name")


def find(name: Any, function: Any, values: Sequence[Any]) -> Any:
    """The object of this name in this process; `MISSING` if there is none. An argument leaf by its value."""
    how = name[0]
    if how == "argument":
        return values[name[1]]
    if how == "function":
        return function
    if how == "modules":
        return sys.modules
    if how == "errors":
        return _ERRORS
    if how == "module":
        return sys.modules.get(name[1], MISSING)
    if how == "globals":
        return _globals_of(name[1])
    if how == "named":
        return _named(name[1], name[2])
    found = find(name[1], function, values)
    found = MISSING if found is MISSING else follow(found, path_from_data(name[2]))
    return type(found) if name[-1] == "type" and found is not MISSING else found


def _globals_of(module: Any) -> Any:
    return getattr(sys.modules.get(module), "__dict__", MISSING)


def _named(module: str, name: str) -> Any:
    if module.startswith("tracegrad."):  # what our functions return: nothing else has asked for it yet
        importlib.import_module(module)
    found = sys.modules.get(module, MISSING)
    for part in name.split("."):
        found = getattr(found, part, MISSING)
    return found


def path_as_data(path: Sequence[Any]) -> Any:
    """The steps of a path as plain data.

    Raises
    ------
    Unstorable : an item's key is no plain value
    """
    return [[how, _key(key)] for how, key in path]


def _key(key: Any) -> Any:
    if type(key) in _PLAIN_KEYS:
        return key
    if type(key) is tuple:
        return {"tuple": [_key(k) for k in key]}
    if type(key) is float:
        return {"float": key.hex()}
    raise Unstorable(f"an item whose key is a {type(key).__name__}")


def path_from_data(data: Any) -> tuple[Any, ...]:
    """The steps of a path."""
    return tuple((how, _from_key(key)) for how, key in data)


def _from_key(key: Any) -> Any:
    if isinstance(key, dict):
        return tuple(map(_from_key, key["tuple"])) if "tuple" in key else float.fromhex(key["float"])
    return key
