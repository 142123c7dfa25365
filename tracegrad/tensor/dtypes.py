"""The dtypes under PyTorch's names, and the default one.

They are NumPy's dtypes. As in PyTorch, `float` is float32 and `double` is float64; the default of this package is
float64. Begin with `get_default_dtype`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

DType = np.dtype[Any]

float16 = half = np.dtype(np.float16)
float32 = float = np.dtype(np.float32)
float64 = double = np.dtype(np.float64)
complex64 = cfloat = np.dtype(np.complex64)
complex128 = cdouble = np.dtype(np.complex128)
uint8 = np.dtype(np.uint8)
int8 = np.dtype(np.int8)
int16 = short = np.dtype(np.int16)
int32 = int = np.dtype(np.int32)
int64 = long = np.dtype(np.int64)
bool = np.dtype(np.bool_)

_default: list[DType] = [float64]


def get_default_dtype() -> DType:
    """The dtype of tensors made from Python floats."""
    return _default[0]


def set_default_dtype(d: Any) -> None:
    """Set the dtype of tensors made from Python floats; a floating point dtype."""
    dtype = np.dtype(d)
    if dtype.kind != "f":
        raise TypeError(f"only floating-point types are supported as the default type, not {dtype}")
    _default[0] = dtype
