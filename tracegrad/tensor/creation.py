"""Making tensors: `tensor`, `ones`, `arange`, `randn`, `from_numpy`, and the random generator behind them.

Begin with `tensor`. Sizes are given as in PyTorch, one by one or as one sequence: `ones(2, 3)`, `ones((2, 3))`,
`ones(size=(2, 3))`.
"""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from typing import Any

import numpy as np

from tracegrad.errors import ArgumentError
from tracegrad.ops.functions import FUNCTIONS
from tracegrad.record.frames import user_location
from tracegrad.tensor import dtypes
from tracegrad.tensor.arrangement import whole
from tracegrad.tensor.generators import Generator, manual_seed, source
from tracegrad.tensor.tensor import Tensor

__all__ = [
    "Generator",
    "arange",
    "as_tensor",
    "empty",
    "empty_like",
    "eye",
    "from_numpy",
    "full",
    "full_like",
    "is_tensor",
    "linspace",
    "manual_seed",
    "normal",
    "ones",
    "ones_like",
    "rand",
    "rand_like",
    "randint",
    "randn",
    "randn_like",
    "randperm",
    "tensor",
    "zeros",
    "zeros_like",
]


def _plain(data: Any) -> Any:
    """Nested data with the tensors in it replaced by their arrays."""
    if isinstance(data, Tensor):
        return data.value
    if isinstance(data, (list, tuple)):
        return [_plain(item) for item in data]
    return data


def _default_for(value: np.ndarray[Any, Any], data: Any) -> np.dtype[Any]:
    """Python numbers get the default dtype, arrays keep theirs."""
    kind = value.dtype.kind
    if kind not in "fciub":
        raise ArgumentError(
            f"a tensor cannot be made from data of dtype {value.dtype}.",
            user_location(),
            "give numbers, or lists of them",
        )
    if isinstance(data, (np.ndarray, np.generic, Tensor)) or kind not in "fc" or _holds_arrays(data):
        return value.dtype
    default = dtypes.get_default_dtype()
    return default if kind == "f" else np.result_type(default, np.complex64)


def _holds_arrays(data: Any) -> bool:
    while isinstance(data, (list, tuple)) and data:
        data = data[0]
    return isinstance(data, (np.ndarray, np.generic, Tensor))


def tensor(data: Any, *, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """A tensor with a copy of the data.

    Parameters
    ----------
    data : number, nested lists of numbers, ndarray or Tensor
    dtype : dtype, optional
        Default: that of an array; the default dtype for Python floats, int64 for ints, bool for bools.
    requires_grad : bool, default False
        Whether operations on it are recorded.
    """
    value = np.array(_plain(data))
    if value.size == 0 and not isinstance(data, (np.ndarray, Tensor)):
        value = value.astype(dtypes.get_default_dtype())
    wanted = _default_for(value, data) if dtype is None else np.dtype(dtype)
    return Tensor(value.astype(wanted, copy=False), requires_grad)


def as_tensor(data: Any, dtype: Any = None) -> Tensor:
    """A tensor that shares memory with `data` where it can; a tensor as it is."""
    if isinstance(data, Tensor):
        return data if dtype is None else data.to(dtype)
    if isinstance(data, np.ndarray) and (dtype is None or data.dtype == dtype):
        return Tensor(data)
    return tensor(data, dtype=dtype)


def from_numpy(ndarray: np.ndarray[Any, Any]) -> Tensor:
    """A tensor that shares memory with an array."""
    if not isinstance(ndarray, np.ndarray):
        raise ArgumentError(
            f"from_numpy expected an ndarray, got {type(ndarray).__name__}.",
            user_location(),
            "use tracegrad.tensor(data)",
        )
    return Tensor(ndarray)


def is_tensor(obj: Any) -> bool:
    """Whether `obj` is a Tensor."""
    return isinstance(obj, Tensor)


# --- filled -------------------------------------------------------------------------------------------------


def _shape(size: Sequence[Any], keyword: Any) -> tuple[int, ...]:
    return tuple(builtins.int(n) for n in whole(size if keyword is None else (keyword,)))


def _dtype(dtype: Any) -> np.dtype[Any]:
    return dtypes.get_default_dtype() if dtype is None else np.dtype(dtype)


def ones(*args: Any, size: Any = None, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """Ones."""
    return Tensor(np.ones(_shape(args, size), _dtype(dtype)), requires_grad)


def zeros(*args: Any, size: Any = None, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """Zeros."""
    return Tensor(np.zeros(_shape(args, size), _dtype(dtype)), requires_grad)


def empty(*args: Any, size: Any = None, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """Memory to be written into; its contents are not defined."""
    return Tensor(np.empty(_shape(args, size), _dtype(dtype)), requires_grad)


def full(size: Any, fill_value: Any, *, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """One value everywhere, or an array of them that is broadcast."""
    if isinstance(fill_value, Tensor) and not requires_grad:
        return FUNCTIONS[np.broadcast_to](
            fill_value.to(dtype or fill_value.dtype), _shape((size,), None)
        ).clone()
    if dtype is None:
        dtype = _default_for(np.asarray(fill_value), fill_value)
    return Tensor(np.full(_shape((size,), None), fill_value, dtype), requires_grad)


def eye(n: int, m: int | None = None, *, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """The identity matrix."""
    return Tensor(np.eye(n, m, dtype=_dtype(dtype)), requires_grad)


def arange(*args: Any, dtype: Any = None, requires_grad: bool = False, **bounds: Any) -> Tensor:
    """`arange(end)`, `arange(start, end, step)`: evenly spaced, without the end; int64 where all three are ints."""
    names = ("end",) if len(args) == 1 else ("start", "end", "step")
    given = {"start": 0, "step": 1, **dict(zip(names, args, strict=False)), **bounds}
    start, end, step = (_number(given[k]) for k in ("start", "end", "step"))
    if dtype is None and any(isinstance(n, builtins.float) for n in (start, end, step)):
        dtype = dtypes.get_default_dtype()
    return Tensor(np.arange(start, end, step, dtype=dtype), requires_grad)


def _number(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value


def linspace(start: Any, end: Any, steps: int, *, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """`steps` numbers, evenly spaced, both ends included; derivatives pass to ends that are tensors."""
    if isinstance(start, Tensor) or isinstance(end, Tensor):
        made = FUNCTIONS[np.linspace](start, end, steps, dtype=_dtype(dtype))
        return made if made.active else made.requires_grad_(requires_grad)
    return Tensor(np.linspace(start, end, steps, dtype=_dtype(dtype)), requires_grad)


# --- random -------------------------------------------------------------------------------------------------


def rand(
    *args: Any,
    size: Any = None,
    generator: Generator | None = None,
    dtype: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Uniform between 0 and 1."""
    value = source(generator).random(_shape(args, size))
    return Tensor(np.asarray(value, dtype=_dtype(dtype)), requires_grad)


def randn(
    *args: Any,
    size: Any = None,
    generator: Generator | None = None,
    dtype: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Normal, with mean 0 and variance 1."""
    value = source(generator).standard_normal(_shape(args, size))
    return Tensor(np.asarray(value, dtype=_dtype(dtype)), requires_grad)


def normal(mean: Any, std: Any, size: Any = None, *, generator: Generator | None = None) -> Tensor:
    """Normal, with this mean and standard deviation, numbers or tensors."""
    shape = None if size is None else _shape((size,), None)
    value = source(generator).normal(_plain(mean), _plain(std), shape)
    return Tensor(np.asarray(value, dtype=_dtype(None)))


def randint(*args: Any, size: Any = None, generator: Generator | None = None, dtype: Any = None) -> Tensor:
    """`randint(high, size)`, `randint(low, high, size)`: integers from `low` (0) to below `high`."""
    bounds, shape = (args, size) if size is not None else (args[:-1], args[-1])
    low, high = (0, *bounds) if len(bounds) == 1 else bounds
    drawn = source(generator).integers(low, high, _shape((shape,), None))
    return Tensor(np.asarray(drawn, dtype=dtypes.int64 if dtype is None else dtype))


def randperm(n: int, *, generator: Generator | None = None) -> Tensor:
    """The integers from 0 to n - 1 in random order."""
    return Tensor(source(generator).permutation(n))


# --- like another -------------------------------------------------------------------------------------------


def _like(input: Any, dtype: Any) -> tuple[tuple[int, ...], np.dtype[Any]]:
    return tuple(input.shape), np.dtype(input.dtype if dtype is None else dtype)


def ones_like(input: Any, *, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """Ones, in the shape and dtype of `input`."""
    return Tensor(np.ones(*_like(input, dtype)), requires_grad)


def zeros_like(input: Any, *, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """Zeros, in the shape and dtype of `input`."""
    return Tensor(np.zeros(*_like(input, dtype)), requires_grad)


def empty_like(input: Any, *, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """Memory in the shape and dtype of `input`."""
    return Tensor(np.empty(*_like(input, dtype)), requires_grad)


def full_like(input: Any, fill_value: Any, *, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """One value, in the shape and dtype of `input`."""
    shape, dtype = _like(input, dtype)
    return Tensor(np.full(shape, fill_value, dtype), requires_grad)


def rand_like(input: Any, *, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """Uniform between 0 and 1, in the shape and dtype of `input`."""
    shape, dtype = _like(input, dtype)
    return rand(*shape, dtype=dtype, requires_grad=requires_grad)


def randn_like(input: Any, *, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """Normal, in the shape and dtype of `input`."""
    shape, dtype = _like(input, dtype)
    return randn(*shape, dtype=dtype, requires_grad=requires_grad)
