"""Nested arguments and results as text: lists, tuples and dicts taken apart and put together without a library call.

A structure of `tree.flatten` and names go in, lines and expressions come out. Namedtuples, dataclasses and whatever
else is registered keep the call of `flatten` and `unflatten`. What text cannot say, a door cannot either
(`passing.py`). Begin with `apart` and `together`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tracegrad import tree
from tracegrad.tensor.reads import MISSING

Named = Callable[[str, Any], str]  # a stem and an object: the name under which the text finds it


class Leaf:
    """A leaf of a structure that is laid open."""

    __slots__ = ("number",)

    def __init__(self, number: int) -> None:
        self.number = number


def laid_open(structure: Any, count: int) -> Any:
    """The structure with numbered leaves."""
    return tree.unflatten(structure, [Leaf(k) for k in range(count)])


def is_plain(value: Any) -> bool:
    """Whether text can say what this is: lists, tuples and dicts with strings as keys, and leaves."""
    if type(value) is dict:
        return all(type(k) is str for k in value) and all(map(is_plain, value.values()))
    if type(value) in (list, tuple):
        return all(map(is_plain, value))
    return type(value) is Leaf


def together(structure: Any, leaves: Sequence[str], named: Named) -> str:
    """An expression for the value with this structure and these leaves."""
    if structure is None:
        return leaves[0]
    value = laid_open(structure, len(leaves))
    if not is_plain(value):
        unflatten, found = named("unflatten", tree.unflatten), named("structure", structure)
        return f"{unflatten}({found}, [{', '.join(leaves)}])"
    return _built(value, leaves)


def _built(value: Any, leaves: Sequence[str]) -> str:
    if type(value) is dict:
        return "{" + ", ".join(f"{k!r}: {_built(v, leaves)}" for k, v in value.items()) + "}"
    if type(value) is list:
        return "[" + ", ".join(_built(v, leaves) for v in value) + "]"
    if type(value) is tuple:
        return "(" + "".join(_built(v, leaves) + ", " for v in value) + ")"
    return leaves[value.number]


def apart(name: str, structure: Any, leaves: Sequence[str], otherwise: str, named: Named) -> list[str]:
    """Lines that assign the leaves of the value called `name`, or do `otherwise` where it has another structure."""
    value = laid_open(structure, len(leaves))
    if is_plain(value):
        return _taken(name, value, leaves, otherwise, named)
    flatten, found = named("flatten", tree.flatten), named("structure", structure)
    flat, other = f"{name}_flat", f"{name}_structure"
    lines = [f"{flat}, {other} = {flatten}({name})", f"if {other} != {found}: {otherwise}"]
    return [*lines, "".join(f"{leaf}, " for leaf in leaves) + f"= {flat}"] if leaves else lines


def _taken(name: str, value: Any, leaves: Sequence[str], otherwise: str, named: Named) -> list[str]:
    kind, of, length = named("kind", type(value)), named("type", type), named("len", len)
    lines = [f"if {of}({name}) is not {kind} or {length}({name}) != {len(value)}: {otherwise}"]
    items = list(value.items()) if type(value) is dict else list(enumerate(value))
    parts = [leaves[v.number] if type(v) is Leaf else f"{name}_{n}" for n, (_, v) in enumerate(items)]
    if type(value) is dict:
        missing = named("missing", MISSING)
        lines.extend(f"{p} = {name}.get({k!r}, {missing})" for p, (k, _) in zip(parts, items, strict=True))
    elif parts:
        lines.append("".join(f"{p}, " for p in parts) + f"= {name}")
    for part, (_, v) in zip(parts, items, strict=True):
        if type(v) is not Leaf:
            lines.extend(_taken(part, v, leaves, otherwise, named))
    return lines
