"""What local names hold at the edge of a loop or branch: the leaves of their values, and the values again.

A value goes in, a tuple of numbers, a list of arrays; out come its leaves under labels (`state[0]`), and
`Shape`, what is left without them. A tuple is made anew from other leaves; a list or dict keeps its identity
and is changed in place, so that every name it has sees it. Begin with `taken_apart`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

UNDEFINED = type("Undefined", (), {"__repr__": lambda self: "<undefined>"})()
DEPTH = 8  # containers deeper than this are left alone: a list may contain itself

Shape: TypeAlias = tuple[Any, ...] | None
"""None for a leaf; else the type, the keys of a dict or the length, and the shapes of the items."""


def taken_apart(
    value: Any, label: str, leaves: dict[str, Any], owned: Callable[[Any], bool], depth: int = 0
) -> Shape:
    """Put the leaves of a value into `leaves`; returns its shape.

    `owned(container)` says of a list or dict whether it was made in this run: any other is a leaf.
    """
    kind = type(value)
    if depth < DEPTH:
        named = issubclass(kind, tuple) and hasattr(kind, "_fields") and not getattr(value, "__dict__", None)
        if kind is tuple or named:
            return kind, len(value), _items(enumerate(value), label, leaves, owned, depth)
        if kind is list and comes_apart(value, owned):
            return kind, len(value), _items(enumerate(value), label, leaves, owned, depth)
        if kind is dict and comes_apart(value, owned):
            return kind, tuple(value), _items(value.items(), label, leaves, owned, depth)
    leaves[label] = value
    return None


def _items(
    items: Any, label: str, leaves: dict[str, Any], owned: Callable[[Any], bool], depth: int
) -> tuple[Shape, ...]:
    return tuple(taken_apart(v, f"{label}[{k!r}]", leaves, owned, depth + 1) for k, v in items)


def put_together(value: Any, label: str, shape: Shape, leaves: Mapping[str, Any]) -> Any:
    """The value with these leaves in place of its own; those that are not given stay."""
    if shape is None:
        return leaves.get(label, value)
    kind, keys, shapes = shape
    pairs = list(zip(keys if kind is dict else range(keys), shapes, strict=True))
    parts = {k: put_together(value[k], f"{label}[{k!r}]", s, leaves) for k, s in pairs}
    if all(part is value[k] for k, part in parts.items()):
        return value
    if kind in (list, dict):
        for k, part in parts.items():
            value[k] = part
        return value
    return kind(parts.values()) if kind is tuple else kind(*parts.values())


def comes_apart(container: Any, owned: Callable[[Any], bool]) -> bool:
    """Whether a structure hands on what a list or dict holds."""
    keys = container if type(container) is dict else ()
    return type(container) in (list, dict) and owned(container) and all(type(k) in (str, int) for k in keys)


def is_in(value: Any, held: Any, depth: int = 0) -> bool:
    """Whether a list or dict is `held`, or inside of it."""
    if held is value:
        return True
    if depth == DEPTH or type(held) not in (list, tuple, dict):
        return False
    return any(is_in(value, v, depth + 1) for v in (held.values() if type(held) is dict else held))


def is_handed_on(value: Any, held: Any, owned: Callable[[Any], bool], depth: int = 0) -> bool:
    """Whether a list or dict is `held`, or inside of it, and comes apart with it."""
    if depth == DEPTH or not (type(held) is tuple or comes_apart(held, owned)):
        return False
    inside = held.values() if type(held) is dict else held
    return held is value or any(is_handed_on(value, v, owned, depth + 1) for v in inside)


def readable(label: str) -> str:
    """A label as the hint for a name in the emitted text: `state[0]` is called `state_0`."""
    return re.sub(r"\W+", "_", label).strip("_")


def root_of(label: str) -> str:
    """The local name that a label is a part of."""
    return label.split("[", 1)[0]


def tracked_names(form: Any) -> tuple[str, ...]:
    """The names whose values a structure hands on: those it stores, and those whose objects it writes."""
    if not form.written:
        names: tuple[str, ...] = form.names
        return names
    return (*form.names, *(n for n in form.written if n not in form.names))
