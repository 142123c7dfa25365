"""What kind of value a variable holds: shape and dtype; and NumPy's rules for combining them.

Begin with `ArrayType`. A Python number written in the program (`2.0` in `x * 2.0`) is *weak* (NEP 50): it takes the
dtype of the arrays beside it. Weakness is a property of a constant's Python type alone, so variables never have it.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Shape = tuple[int, ...]
WEAK = (bool, int, float, complex)


@dataclass(frozen=True, slots=True)
class ArrayType:
    """Shape and dtype of an array; a scalar has shape ()."""

    shape: Shape
    dtype: np.dtype[Any]

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def is_inexact(self) -> bool:
        """Whether values of this type can carry a derivative."""
        return self.dtype.kind in "fc"

    def __str__(self) -> str:
        return f"{self.dtype.str[1:]}[{','.join(map(str, self.shape))}]"


def is_number(dtype: np.dtype[Any]) -> bool:
    """Whether programs compute with this dtype: no numbers wider than NumPy's usual ones, no objects, no records."""
    return dtype.kind in "fiubc" and dtype.itemsize <= (16 if dtype.kind == "c" else 8)


def array_type(shape: Sequence[int], dtype: Any) -> ArrayType:
    """The type with this shape and anything NumPy takes for a dtype."""
    return ArrayType(tuple(shape), np.dtype(dtype))


_SCALARS = {
    t: ArrayType((), np.dtype(t)) for t in (*WEAK, np.float64, np.float32, np.int64, np.int32, np.bool_)
}  # made once: the types of scalars are compared more often than any


def type_of(value: Any) -> ArrayType:
    """The type of an array, a NumPy scalar or a Python number."""
    found = _SCALARS.get(type(value))
    if found is not None:
        return found
    if not hasattr(value, "dtype"):
        value = np.asarray(value)
    return ArrayType(value.shape, value.dtype)


def is_weak(value: Any) -> bool:
    """Whether `value` is a Python number, which takes the dtype of the arrays beside it."""
    return type(value) in WEAK


def broadcast_shapes(*shapes: Shape) -> Shape:
    """The common shape, as `np.broadcast_shapes`, whose error it raises."""
    first = shapes[0]
    for shape in shapes:
        if shape != first:
            return np.broadcast_shapes(*shapes)
    return first


@functools.lru_cache(maxsize=4096)
def ufunc_dtype(ufunc: np.ufunc, *dtypes: Any) -> np.dtype[Any]:
    """The dtype of a one-result ufunc's result; a Python type among `dtypes` is a weak number."""
    plain = (np.dtype(bool) if d is bool else d for d in dtypes)  # a Python bool is never weaker than NumPy's
    return ufunc.resolve_dtypes((*plain, *(None,) * ufunc.nout))[ufunc.nin]


def promote(*dtypes: Any) -> np.dtype[Any]:
    """NumPy's common dtype; a Python type among `dtypes` is a weak number."""
    return np.result_type(*(d(0) if isinstance(d, type) and d in WEAK else d for d in dtypes))
