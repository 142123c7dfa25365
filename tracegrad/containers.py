"""Which containers of other libraries are nested values, and how each is taken apart and put together.

The libraries are those the user has imported; ours for them are imported when the first of their objects is met. In:
a container. Out: arrays as leaves, and labels, which are compared. Begin with `is_container`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tracegrad.errors import ArgumentError
from tracegrad.labels import Apart, Content, is_traced
from tracegrad.later import later

if TYPE_CHECKING:
    from tracegrad import arrays_with_dims, pandas_labels
else:
    arrays_with_dims = later("tracegrad.arrays_with_dims")
    pandas_labels = later("tracegrad.pandas_labels")

_KINDS: dict[tuple[str, str], tuple[Any, str]] = {
    ("pandas", "Series"): (pandas_labels, "series"),
    ("pandas", "DataFrame"): (pandas_labels, "frame"),
    ("tracegrad", "Series"): (pandas_labels, "series"),
    ("tracegrad", "DataFrame"): (pandas_labels, "frame"),
    ("xarray", "DataArray"): (arrays_with_dims, "array"),
    ("xarray", "Dataset"): (arrays_with_dims, "dataset"),
}


def _key(kind: type) -> tuple[str, str]:
    return kind.__module__.partition(".")[0], kind.__name__


def is_container(kind: type) -> bool:
    """Whether objects of this very class are nested values; a class made of one of these is not."""
    return _key(kind) in _KINDS


def apart(value: Any) -> tuple[list[Any], Any, tuple[Any, ...]]:
    """A container as its leaves, its labels and the names of the leaves."""
    module, name = _KINDS[_key(type(value))]
    found: tuple[list[Any], Any, tuple[Any, ...]] = getattr(module, f"parts_of_{name}")(value)
    return found


def together(kind: type, labels: Any, leaves: Sequence[Any]) -> Any:
    """The container with these labels and leaves; with leaves that are no arrays it stays apart."""
    if not all(isinstance(leaf, (np.ndarray, np.generic, Content)) or is_traced(leaf) for leaf in leaves):
        return Apart(labels.kind, leaves)
    module, name = _KINDS[_key(kind)]
    try:
        return getattr(module, f"{name}_with")(labels, leaves)
    except ValueError as error:
        shapes = ", ".join(str(np.shape(leaf)) for leaf in leaves)
        raise ArgumentError(
            f"what is of shape {shapes} does not have the labels of this {labels.kind.__name__}.",
            None,
            "pass the values, .to_numpy(), and put labels on the result",
        ) from error


def constructed(function: Any, args: Sequence[Any], keywords: Mapping[str, Any]) -> Any:
    """What a class of pandas makes of traced arrays, `pandas.Series(x, index)`; None where nothing is traced."""
    if not isinstance(function, type) or not is_container(function) or _key(function)[0] == "xarray":
        return None
    return pandas_labels.constructed(function, *args, **keywords)


def values_of(value: Any) -> Any:
    """The array in a container of one: a Series, a DataFrame, a DataArray."""
    return _KINDS[_key(type(value))][0].values_of(value)
