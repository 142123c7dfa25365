"""Nested lists, tuples, dicts, namedtuples and dataclasses as flat leaves and a structure, and back.

The work is done by `optree`; dataclasses are registered with it when they are first met. Begin with `flatten`.
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Sequence
from typing import Any

_NAMESPACE = "tracegrad"
_registered: set[type] = set()
_lock = threading.Lock()
_CONTAINERS = (list, tuple, dict)


def flatten(value: Any) -> tuple[list[Any], Any]:
    """Leaves in order, and the structure, which is hashable and equal for equal structures. None is a leaf."""
    if not isinstance(value, _CONTAINERS) and not dataclasses.is_dataclass(value):
        return [value], None
    import optree

    _register(value)
    leaves, structure = optree.tree_flatten(value, none_is_leaf=True, namespace=_NAMESPACE)
    return leaves, structure


def unflatten(structure: Any, leaves: Sequence[Any]) -> Any:
    """The value with this structure and these leaves."""
    if structure is None:
        return leaves[0]
    import optree

    return optree.tree_unflatten(structure, leaves)


def paths(value: Any, name: str = "") -> list[str]:
    """How the user would write each leaf: `params['w'][0]`."""
    if not isinstance(value, _CONTAINERS) and not dataclasses.is_dataclass(value):
        return [name]
    import optree

    _register(value)
    found, _, _ = optree.tree_flatten_with_accessor(value, none_is_leaf=True, namespace=_NAMESPACE)
    return [accessor.codify(name) for accessor in found]


def _register(value: Any) -> None:
    """Register the dataclasses in a value: their fields are leaves, in order."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        cls = type(value)
        if cls not in _registered:
            with _lock:
                if cls not in _registered:
                    _register_class(cls)
                    _registered.add(cls)
        children: Any = [getattr(value, f.name) for f in dataclasses.fields(value)]
    elif isinstance(value, dict):
        children = value.values()
    elif isinstance(value, (list, tuple)):
        children = value
    else:
        return
    for child in children:
        _register(child)


def _register_class(cls: type) -> None:
    import optree

    names = tuple(f.name for f in dataclasses.fields(cls))

    def parts(instance: Any) -> tuple[tuple[Any, ...], type, tuple[str, ...]]:
        return tuple(getattr(instance, n) for n in names), cls, names

    def rebuild(kind: type, values: Sequence[Any]) -> Any:
        made = object.__new__(kind)
        for n, v in zip(names, values, strict=True):
            object.__setattr__(made, n, v)
        return made

    optree.register_pytree_node(cls, parts, rebuild, path_entry_type=optree.GetAttrEntry, namespace=_NAMESPACE)
