"""Python's numbers under operators, where they compute in another way than NumPy's of the same value.

Truth values count as 0 and 1, whole numbers never overflow, a complex number takes a float64 for the float that it is.
In: an op, and the values or variables it is given. Out: what `Recording.apply` has to know. Begin with `OPERATORS`.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tracegrad.errors import InternalError
from tracegrad.ir.trace import Atom, Const
from tracegrad.ops.op import Op

OPERATORS: dict[str, Callable[..., Any]] = {
    "add": operator.add,
    "subtract": operator.sub,
    "multiply": operator.mul,
    "power": operator.pow,
    "left_shift": operator.lshift,
    "right_shift": operator.rshift,
    "divide": operator.truediv,
    "floor_divide": operator.floordiv,
    "remainder": operator.mod,
    "bitwise_and": operator.and_,
    "bitwise_or": operator.or_,
    "bitwise_xor": operator.xor,
    "less": operator.lt,
    "less_equal": operator.le,
    "greater": operator.gt,
    "greater_equal": operator.ge,
}
"""Ops with two arguments that are operators."""
WHOLE = frozenset(["add", "subtract", "multiply", "power", "left_shift", "right_shift"])
"""Those whose result may be beyond int64."""
COUNTING = frozenset(
    [
        "add",
        "subtract",
        "multiply",
        "divide",
        "floor_divide",
        "remainder",
        "power",
        "negative",
        "positive",
        "absolute",
        "invert",
    ]
)
"""Those for which Python's truth values are 0 and 1; NumPy's have rules of their own."""
ORDERING = frozenset(["less", "less_equal", "greater", "greater_equal"])
"""Those that Python has not for complex numbers; NumPy compares their real parts first."""
_OF_COMPLEX = frozenset(["add", "subtract", "multiply", "divide", "power", "equal", "not_equal"])


def refuse_as_operator(op: Op, values: Sequence[Any]) -> None:
    """Raise what the operator raises for arguments that the ufunc refused; return where it takes them."""
    if op.name in OPERATORS:
        OPERATORS[op.name](*values)


def is_of_complex(op: Op, values: Sequence[Any]) -> bool:
    """Whether this is an operator on Python's complex number and a float64, which gives a number of Python's."""
    return op.name in _OF_COMPLEX and values[0].__class__ is complex and values[1].__class__ is np.float64


def taken_dtype(op: Op, atoms: Sequence[Atom], weaks: Sequence[bool], place: int) -> np.dtype[Any]:
    """The dtype in which a ufunc takes an argument, where its arguments have none in common."""
    tokens = [python_kind(a) if weak else a.type.dtype for a, weak in zip(atoms, weaks, strict=True)]
    found: np.dtype[Any] = op.evaluate.resolve_dtypes((*tokens, None))[place]  # type: ignore[attr-defined]
    return found


def python_kind(atom: Atom) -> type:
    """The type of a Python number by its variable or constant."""
    if isinstance(atom, Const):
        return type(atom.value)
    kinds: dict[str, type] = {"f": float, "i": int, "c": complex, "b": bool}
    found = kinds.get(atom.type.dtype.kind)
    if found is None:
        raise InternalError(f"a Python number of type {atom.type}")
    return found
