"""Values that outlive the run they are of: kept in a list, an attribute, a global, they are plain numbers and arrays.

Their recording turns into a `Past` when it is over (`end`), and lets go of its steps. Whatever meets such a value later
meets what NumPy computed: the derivative of that run is done, and of another run the value is a constant.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tracegrad.ops.op import Op
from tracegrad.record.recording import Recording


def end(recording: Recording) -> None:
    """A run is over, and its derivative is done or written down.

    One inside of another's stays as it is: what is left of it could still lead to what the other differentiates.
    """
    if recording.level > 1 or recording.lifted:
        return
    vars(recording).clear()
    recording.__class__ = Past
    recording.level = math.inf


class Past(Recording):
    """The recorder of what is left of a run. Its level is above all others, so it is asked first."""

    level: float

    def plain(self, value: Any) -> Any:
        """The value itself, of one of this run; anything else as it is."""
        return value.value if getattr(value, "recorder", None) is self else value

    def apply(self, op: Op, args: Sequence[Any], params: Mapping[str, Any]) -> Any:
        return op(*map(self.plain, args), **params)

    def truth(self, traced: Any) -> bool:
        return bool(traced.value)

    def number(self, traced: Any, kind: Any) -> Any:
        if kind == "item":
            return traced.value.item() if hasattr(traced.value, "item") else traced.value
        return operator.index(traced.value) if kind == "index" else kind(traced.value)

    def text(self, traced: Any) -> Any:
        return traced.value

    def array(self, traced: Any) -> np.ndarray[Any, Any]:
        return np.array(traced.value)

    def as_array(self, data: Any) -> Any:
        return np.array(data) if isinstance(data, (list, tuple)) else data

    def plain_key(self, key: Any, shape: tuple[int, ...]) -> Any:
        return tuple(map(self.plain, key)) if isinstance(key, tuple) else self.plain(key)

    def assign(self, traced: Any, key: Any, value: Any) -> None:
        traced.value[self.plain_key(key, traced.shape)] = self.plain(value)

    def update(self, traced: Any, op: Op, other: Any) -> Any:
        if not isinstance(traced.value, np.ndarray):
            return op(traced, other)
        op.evaluate(traced.value, self.plain(other), out=traced.value)
        return traced
