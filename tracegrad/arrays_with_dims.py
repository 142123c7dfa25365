"""DataArray and Dataset of xarray, taken apart and put together.

xarray computes with any array that speaks NumPy's protocols, so what stands inside under capture is the traced array
itself. Imported when the first container of xarray's is met. Begin with `parts_of_array`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray

from tracegrad.errors import UnsupportedError
from tracegrad.labels import Content, frozen, is_number, is_traced


class Labels:
    """Everything of a DataArray or a Dataset but its numbers."""

    def __init__(self, value: Any) -> None:
        self.kind: type = type(value)
        self.coords = value.coords.copy(deep=True)
        self.attrs = dict(value.attrs)
        self.dims: Any = value.dims
        self.name: Any = None
        if isinstance(value, xarray.DataArray):
            self.name = value.name
        else:
            self.dims = {name: (v.dims, dict(v.attrs)) for name, v in value.data_vars.items()}
        if any(is_traced(c.data) for c in self.coords.variables.values()):
            raise UnsupportedError(
                "a coordinate depends on an argument.", None, "keep it as a variable beside the others"
            )
        self.compared = (self.kind, self.name, frozen(self.attrs), frozen(self.dims))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Labels) or self.compared != other.compared:
            return False
        if list(self.coords) != list(other.coords):
            return False
        return all(_same(v, other.coords.variables[k]) for k, v in self.coords.variables.items())

    def __hash__(self) -> int:
        return hash(self.compared)


def _same(a: Any, b: Any) -> bool:
    return a.dtype == b.dtype and bool(a.identical(b)) and frozen(dict(a.attrs)) == frozen(dict(b.attrs))


def values_of(value: Any) -> Any:
    """The array in it."""
    return value.data


def parts_of_array(value: Any) -> tuple[list[Any], Any, tuple[Any, ...]]:
    """Its array as the one leaf, its labels, and how the leaf is called."""
    return [_leaf(value.variable)], Labels(value), (None,)


def parts_of_dataset(value: Any) -> tuple[list[Any], Any, tuple[Any, ...]]:
    """The arrays of its variables, its labels, and their names."""
    names = tuple(value.data_vars)
    return [_leaf(value[n].variable) for n in names], Labels(value), names


def array_with(labels: Labels, leaves: Sequence[Any]) -> Any:
    leaf = leaves[0].value.data if isinstance(leaves[0], Content) else leaves[0]
    return xarray.DataArray(
        leaf, coords=labels.coords, dims=labels.dims, name=labels.name, attrs=labels.attrs
    )


def dataset_with(labels: Labels, leaves: Sequence[Any]) -> Any:
    made = {}
    for (name, (dims, attrs)), leaf in zip(labels.dims.items(), leaves, strict=True):
        made[name] = leaf.value if isinstance(leaf, Content) else xarray.Variable(dims, leaf, attrs)
    return xarray.Dataset(made, coords=labels.coords, attrs=labels.attrs)


def _leaf(variable: Any) -> Any:
    data = variable.data
    if not isinstance(data, np.ndarray) and not is_traced(data):
        raise UnsupportedError(
            f"a container of xarray's holds a {type(data).__name__} and no array of NumPy's.",
            None,
            "load it first, `.load()`",
        )
    return data if is_number(data.dtype) else Content(variable.copy(deep=True))
