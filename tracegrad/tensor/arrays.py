"""What NumPy makes without asking its items: `array`, `asarray`, `fromiter`, `vectorize`, `r_`, `c_`, for tensors.

`np.array([x[0], 1.0])` asks a tensor for a plain number, and `np.r_` and `np.vectorize` do so inside: the tensors would
be left behind. These are the same functions, recorded. (Inside captured functions NumPy's own are.) Begin with `array`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from tracegrad.ops.functions import FUNCTIONS
from tracegrad.ops.numpy_forms import as_dtype, is_traced, operand
from tracegrad.ops.numpy_making import concatenated
from tracegrad.tensor.item_loops import vectorized
from tracegrad.tensor.tensor import Tensor

__all__ = ["array", "asarray", "c_", "fromiter", "r_", "vectorize"]


def array(data: Any, dtype: Any = None) -> Tensor:
    """As `numpy.array`: numbers, arrays and tensors nested to any depth, as one tensor of its own memory.

    Parameters
    ----------
    data : array_like
        Derivatives pass to the tensors in it.
    dtype : dtype, optional
        Default: NumPy's promotion of what is there.

    Returns
    -------
    Tensor
    """
    return FUNCTIONS[np.copy](asarray(data, dtype))


def asarray(data: Any, dtype: Any = None) -> Tensor:
    """As `numpy.asarray`: a tensor as it is, anything else as `array` has it."""
    return _tensor(as_dtype(operand(data), dtype))


def fromiter(items: Iterable[Any], dtype: Any, count: int = -1) -> Tensor:
    """As `numpy.fromiter`: a vector of what an iterator gives, the first `count` where that is not negative."""
    listed = list(items)
    return array(listed if count < 0 else listed[:count], dtype)


def vectorize(pyfunc: Callable[..., Any], otypes: str | Sequence[Any] | None = None) -> Callable[..., Any]:
    """As `numpy.vectorize`: a function that calls `pyfunc` for each item of its arguments, which are broadcast."""

    def each(*args: Any) -> Any:
        given = args if any(map(is_traced, args)) else (asarray(args[0]), *args[1:])
        return vectorized(_called, pyfunc=pyfunc, otypes=otypes, args=given)

    return each


def _called(function: Callable[..., Any], args: Sequence[Any], keywords: Mapping[str, Any]) -> Any:
    return function(*args, **keywords)


class Joined:
    """As `numpy.r_` and `numpy.c_`: `r_[x, 1.0, 0:3]` puts what stands between the brackets into one tensor."""

    def __init__(self, numpys: Any) -> None:
        self._numpys = numpys

    def __getitem__(self, key: Any) -> Tensor:
        return _tensor(concatenated(self._numpys, key))


r_, c_ = Joined(np.r_), Joined(np.c_)


def _tensor(value: Any) -> Any:
    return value if is_traced(value) else Tensor(value)
