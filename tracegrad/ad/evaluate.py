"""Evaluator: derivative rules on values that are there already.

The rules run on whatever carries a recorder. Beside `Builder`, which writes a trace, stands `Evaluator`, which
computes: so the one reverse sweep runs backward over the steps of a tape at once, without a trace of its own. Begin
with `Evaluator.apply`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tracegrad.ir.trace import Var
from tracegrad.ir.types import WEAK, ArrayType, type_of
from tracegrad.ops.op import Op, Selection, selection_of
from tracegrad.ops.operators import Operators
from tracegrad.ops.symbol import Builder


class Evaluated(Operators):
    """A number or an array that behaves in derivative rules as a `Symbol` does."""

    __slots__ = ("recorder", "selection", "value")
    atom = None  # it stands for no variable

    def __init__(self, value: Any, recorder: Evaluator, selection: Selection | None = None) -> None:
        self.value = value
        self.recorder = recorder
        self.selection = selection

    @property
    def type(self) -> ArrayType:
        return type_of(self.value)

    @property
    def shape(self) -> tuple[int, ...]:
        shape: tuple[int, ...] = getattr(self.value, "shape", ())
        return shape

    @property
    def dtype(self) -> np.dtype[Any]:
        found: np.dtype[Any] | None = getattr(self.value, "dtype", None)
        return type_of(self.value).dtype if found is None else found

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return self.type.size

    # What rules do most. Python's operators mean what the ops do for any values but two Python numbers, and for these,
    # too, in what cannot fail.

    def __add__(self, other: Any) -> Any:
        return Evaluated(self.value + (other.value if type(other) is Evaluated else other), self.recorder)

    def __radd__(self, other: Any) -> Any:
        return Evaluated(other + self.value, self.recorder)

    def __sub__(self, other: Any) -> Any:
        return Evaluated(self.value - (other.value if type(other) is Evaluated else other), self.recorder)

    def __rsub__(self, other: Any) -> Any:
        return Evaluated(other - self.value, self.recorder)

    def __mul__(self, other: Any) -> Any:
        return Evaluated(self.value * (other.value if type(other) is Evaluated else other), self.recorder)

    def __rmul__(self, other: Any) -> Any:
        return Evaluated(other * self.value, self.recorder)

    def __len__(self) -> int:
        return self.shape[0]

    def __repr__(self) -> str:
        return f"Evaluated({self.value!r})"


class Evaluator(Builder):
    """Computes what a `Builder` would write."""

    def symbol(self, atom: Any) -> Any:
        """The value of a constant."""
        return Evaluated(atom.value, self)

    def constant(self, value: Any) -> Any:
        return Evaluated(value, self)

    def apply(self, op: Op, args: Sequence[Any], params: Mapping[str, Any]) -> Any:
        """`op(*args, **params)`."""
        values = [a.value if type(a) is Evaluated else a for a in args]
        found = op.evaluate(*values, **params)
        if op.n_outputs != 1:
            return tuple(Evaluated(v, self) for v in found)
        if op.family == "elementwise" and type(found) in _STRONG and all(type(v) in WEAK for v in values):
            found = found.item()  # arithmetic on Python numbers is as weak as they are
        return Evaluated(found, self, selection_of(op, args))


_STRONG = (np.float64, np.int64)


def in_type(bar: Evaluated | None, variable: Var) -> Any:
    """A cotangent as an array of its own, in the type of its variable; zeros for an absent one."""
    if bar is None:
        return np.zeros(variable.shape, variable.dtype)[()]
    return np.array(np.broadcast_to(np.asarray(bar.value, variable.dtype), variable.shape))[()]
