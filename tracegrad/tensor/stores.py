"""Stores in a clone: into names, attributes and items; what outlives the call makes a run not repeatable.

In: what the user's syntax stores. Out: the store, made, or an error where a derivative would be lost. Begin with
`Stores.set_item`.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from tracegrad.ir.trace import Var
from tracegrad.ir.types import is_number
from tracegrad.labels import is_labelled
from tracegrad.tensor.callables import has_traced, plain_key
from tracegrad.tensor.outside import CONTAINERS
from tracegrad.tensor.special_methods import UPDATES
from tracegrad.tensor.standins import is_traced


def _stored_into(target: np.ndarray[Any, Any]) -> str:
    if is_number(target.dtype):
        return "a traced value is stored into a plain array that was made elsewhere"
    kind = "objects" if target.dtype == object else f"{target.dtype}"
    return f"a traced value is stored into a plain array of {kind}"


def _holders(target: Any, key: Any) -> int:
    return sys.getrefcount(target[key])


def _counted_once(target: Any, key: Any, item: Any) -> int:
    return _holders(target, key)


def _one_holder() -> int:
    """What `_holders` counts of an item that only its list holds, and the names of those who ask."""
    target = [object()]
    item = target[0]
    return _counted_once(target, 0, item)


_ONE = _one_holder()


class Stores:
    """The part of `Marks` that stands for writing."""

    recording: Any
    reads: Any
    structures: Any
    attr: Any
    item: Any
    borrowed: Any

    def name(self, name: str, value: Any) -> Any:
        """A value lands in a local name: it is called so in the emitted text."""
        if is_traced(value) and value.recorder is self.recording:
            atom = value.atom
            if isinstance(atom, Var) and atom.name is None:
                atom.name = name
        return value

    def set_attr(self, target: Any, name: str, value: Any) -> None:
        self._stores_into(target, f".{name}")
        setattr(target, name, value)

    def set_item(self, target: Any, key: Any, value: Any) -> None:
        if isinstance(target, CONTAINERS):
            key = plain_key(key)
        if isinstance(target, np.ndarray):
            if not is_number(target.dtype):
                key = tuple(map(plain_key, key)) if isinstance(key, tuple) else plain_key(key)
            if is_traced(value) or has_traced(key):
                raise self.recording.leak(_stored_into(target))
        if not is_traced(target):
            self._stores_into(target, "[...]")
        target[key] = value
        if isinstance(target, dict) and type(key) not in (str, int):
            self._stores_into(target, "[...]")  # it does not come apart any more

    def del_attr(self, target: Any, name: str) -> None:
        self._stores_into(target, f".{name}")
        delattr(target, name)

    def del_item(self, target: Any, key: Any) -> None:
        self._stores_into(target, "[...]")
        del target[plain_key(key)]

    def _stores_into(self, target: Any, what: str) -> None:
        if is_labelled(type(target)):
            self.borrowed(target)
        if self.reads.outlives(target):
            self.recording.not_repeatable(
                f"stores into `{what}` of a {type(target).__name__} that outlives the call"
            )
        else:
            self.structures.changing(target, f"stores into `{what}` of a {type(target).__name__}")

    def update(self, value: Any, operator_name: str, other: Any) -> Any:
        """`value += other` of a name."""
        op, plain = UPDATES[operator_name]
        if is_traced(value) and op is not None:
            return self.recording.update(self.recording.traced(value), op, other)
        if isinstance(value, np.ndarray) and is_traced(other):
            raise self.recording.leak(
                "a traced value is added in place to a plain array that was made elsewhere"
            )
        if isinstance(value, (list, set, dict, np.ndarray)):
            self._stores_into(value, "[...]")
        return plain(value, other)

    def update_attr(self, target: Any, name: str, operator_name: str, other: Any) -> None:
        self.set_attr(target, name, self.update(self.attr(target, name), operator_name, other))

    def _is_alone(self, target: Any, key: Any, item: Any) -> bool:
        """Whether nobody else has the array that a list or dict holds here: a new one in its place is as good."""
        mine = is_traced(item) and item.recorder is self.recording
        return (
            mine
            and not has_traced(key)
            and _holders(target, key) == _ONE
            and not self.recording.is_shared(item)
        )

    def update_item(self, target: Any, key: Any, operator_name: str, other: Any) -> None:
        current = self.item(target, key)
        op, plain = UPDATES[operator_name]
        if isinstance(target, CONTAINERS) and not self._is_alone(target, key, current):
            value = self.update(current, operator_name, other)
        else:  # a new value, then the store: the item itself may be a view of the target
            value = op(current, other) if is_traced(current) and op is not None else plain(current, other)
        self.set_item(target, key, value)
