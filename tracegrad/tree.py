"""Nested lists, tuples, dicts, namedtuples and dataclasses as flat leaves and a structure, and back.

Containers with labels, of pandas and xarray, are nested values too. The work is done by `optree`, loaded when the first
nested value is met; dataclasses and containers are registered with it when they are first met. Begin with `flatten`.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
import itertools
import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tracegrad import containers
from tracegrad.containers import is_container
from tracegrad.labels import is_traced

_NAMESPACE = "tracegrad"
_registered: set[type] = set()
_lock = threading.Lock()
_CONTAINERS = (list, tuple, dict)


def flatten(value: Any) -> tuple[list[Any], Any]:
    """Leaves in order, and the structure, which is hashable and equal for equal structures. None is a leaf."""
    if not isinstance(value, _CONTAINERS) and not _is_registrable(type(value)):
        return [value], None
    flat: tuple[list[Any], Any] = _optree().tree_flatten(value, none_is_leaf=True, namespace=_NAMESPACE)
    while _registers(flat[0]):
        flat = _optree().tree_flatten(value, none_is_leaf=True, namespace=_NAMESPACE)
    return flat


def unflatten(structure: Any, leaves: Sequence[Any]) -> Any:
    """The value with this structure and these leaves."""
    return leaves[0] if structure is None else _optree().tree_unflatten(structure, leaves)


def as_returned(structure: Any, leaves: Sequence[Any]) -> Any:
    """The structure of what the user gets: containers with labels around plain arrays, not around these."""
    if not has_labels(structure):
        return structure
    plain = [np.asarray(v.value) if is_traced(v) else v for v in leaves]
    return flatten(unflatten(structure, plain))[1]


def has_labels(structure: Any) -> bool:
    """Whether there is a container with labels in it."""
    if structure is None or structure.type is None:
        return False
    return is_container(structure.type) or any(map(has_labels, structure.children()))


def paths(value: Any, name: str = "") -> list[str]:
    """How the user would write each leaf: `params['w'][0]`."""
    structure = flatten(value)[1]
    return [name] if structure is None else list(_paths(structure, name))


def as_vector(value: Any) -> tuple[Any, Callable[[Any], Any]]:
    """All numbers of a nested value as one vector, and back.

    Parameters
    ----------
    value : number, array, or lists, tuples, dicts and dataclasses of them

    Returns
    -------
    vector : array of shape (n,)
    rebuild : callable
        From a vector to a value of the same structure.
    """
    leaves, structure = flatten(value)
    shapes = [np.shape(leaf) for leaf in leaves]
    ends = [0, *itertools.accumulate(int(np.prod(shape, dtype=int)) for shape in shapes)]

    def rebuild(vector: Any) -> Any:
        cuts = zip(ends, ends[1:], shapes, strict=False)
        return unflatten(structure, [np.reshape(vector[a:b], shape)[()] for a, b, shape in cuts])

    return np.concatenate([np.ravel(leaf) for leaf in leaves]) if leaves else np.zeros(0), rebuild


@functools.lru_cache(maxsize=1024)
def _paths(structure: Any, name: str) -> tuple[str, ...]:
    return tuple(accessor.codify(name) for accessor in structure.accessors())


@functools.cache
def _optree() -> Any:
    return importlib.import_module("optree")


def _is_registrable(kind: type) -> bool:
    return dataclasses.is_dataclass(kind) or is_container(kind)


def _registers(leaves: Sequence[Any]) -> bool:
    """Register the dataclasses and containers among leaves. Whether there was one."""
    met = {type(leaf) for leaf in leaves if _is_registrable(type(leaf))}
    with _lock:
        for cls in met - _registered:
            (_register_container if is_container(cls) else _register_class)(cls)
            _registered.add(cls)
    return bool(met)


def _register_container(cls: type) -> None:
    """Arrays are the items, labels the rest."""
    optree = _optree()

    def codify(entry: Any, node: str = "") -> str:
        return node if entry.entry is None else f"{node}[{entry.entry!r}]"

    optree.register_pytree_node(
        cls,
        containers.apart,
        lambda labels, leaves: containers.together(cls, labels, leaves),
        path_entry_type=type("LabelEntry", (optree.PyTreeEntry,), {"codify": codify}),
        namespace=_NAMESPACE,
    )


def _register_class(cls: type) -> None:
    """Fields and other attributes are the items."""
    fields = tuple(f.name for f in dataclasses.fields(cls))

    def parts(instance: Any) -> tuple[tuple[Any, ...], tuple[str, ...], tuple[str, ...]]:
        names = tuple(n for n in fields if hasattr(instance, n))
        names += tuple(n for n in getattr(instance, "__dict__", ()) if n not in fields)
        return tuple(getattr(instance, n) for n in names), names, names

    def rebuild(names: tuple[str, ...], values: Sequence[Any]) -> Any:
        made: Any = object.__new__(cls)
        for n, v in zip(names, values, strict=True):
            object.__setattr__(made, n, v)
        return made

    _optree().register_pytree_node(
        cls, parts, rebuild, path_entry_type=_optree().GetAttrEntry, namespace=_NAMESPACE
    )
