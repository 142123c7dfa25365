"""Containers with labels, as nested values: what is compared at each call, and what is a leaf.

A Series, a DataFrame, a DataArray or a Dataset is its arrays of numbers, which are leaves, and everything else (index,
columns, dimensions, coordinates, attributes), which is part of the structure. The libraries are never imported here:
only a user who has one of their objects asks. Begin with `is_labelled`; `containers.py` takes them apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

_LIBRARIES = ("pandas", "xarray")
_OURS = ("tracegrad.columns", "tracegrad.frames")  # the same classes around traced arrays


def is_labelled(kind: type) -> bool:
    """Whether a class is one of pandas' or xarray's, or ours for them."""
    module = kind.__module__
    return module.partition(".")[0] in _LIBRARIES or module in _OURS


def is_traced(value: Any) -> bool:
    """Whether a value carries a recorder."""
    return getattr(value, "recorder", None) is not None


def is_number(dtype: Any) -> bool:
    """Whether arrays of this dtype are leaves: NumPy's numbers and truth values."""
    return isinstance(dtype, np.dtype) and dtype.kind in "fiucb" and dtype.itemsize <= 16


class Content:
    """What is no number (texts, dates, categories): compared as a whole, not differentiated."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Content) or type(self.value) is not type(other.value):
            return False
        if hasattr(self.value, "identical"):  # xarray
            return bool(self.value.identical(other.value))
        return self.value.dtype == other.value.dtype and bool(self.value.equals(other.value))

    def __hash__(self) -> int:
        return hash((Content, type(self.value), self.value.shape))


class Apart:
    """A container with leaves that are no arrays: places, while its structure is looked at."""

    __slots__ = ("kind", "leaves")

    def __init__(self, kind: type, leaves: Sequence[Any]) -> None:
        self.kind, self.leaves = kind, tuple(leaves)


def frozen(value: Any) -> Any:
    """Attributes of a container as something that can be compared: equal means the same."""
    if isinstance(value, dict):
        return (dict, tuple((k, frozen(v)) for k, v in value.items()))
    if isinstance(value, (list, tuple)):
        return (type(value), tuple(map(frozen, value)))
    if isinstance(value, (np.ndarray, np.generic)) and not value.dtype.hasobject:
        return (type(value), value.dtype, value.shape, value.tobytes())
    if isinstance(value, (bool, int, float, complex, str, bytes, type(None))):
        return (type(value), repr(value))
    return (type(value), id(value))
