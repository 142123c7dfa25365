"""Series and DataFrame of pandas, taken apart and put together.

A frame whose columns are of one dtype is one matrix; any other has a leaf for each column. Imported when the first
container of pandas' is met. Begin with `parts_of_frame`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas

from tracegrad.columns import Column, plain
from tracegrad.frames import DataFrame, Series, frame, series, vector, whole
from tracegrad.labels import Content, frozen, is_number, is_traced


class Labels:
    """Everything of a Series or a DataFrame but its numbers.

    Attributes
    ----------
    kind : type, pandas' class
    axes : tuple of pandas.Index
    name : of a Series
    matrix : bool
        A frame is one leaf.
    """

    def __init__(self, value: Any, matrix: bool) -> None:
        self.kind: type = pandas.Series if isinstance(value, pandas.Series) else pandas.DataFrame
        self.axes = tuple(map(_axis, value.axes))
        self.names = tuple(tuple(axis.names) for axis in self.axes)
        self.name = getattr(value, "name", None) if self.kind is pandas.Series else None
        self.attrs = dict(value.attrs)
        self.matrix = matrix
        self.compared = (self.kind, matrix, frozen(self.name), frozen(self.names), frozen(self.attrs))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Labels) or self.compared != other.compared:
            return False
        return all(map(_same, self.axes, other.axes))

    def __hash__(self) -> int:
        return hash((self.compared, tuple(map(len, self.axes))))

    def labelled_axes(self) -> list[Any]:
        """The axes with the names they had: pandas lets a name change where it stands."""
        pairs = zip(self.axes, self.names, strict=True)
        return [a if tuple(a.names) == n else a.set_names(list(n)) for a, n in pairs]


def _same(a: Any, b: Any) -> bool:
    return a is b or (a.dtype == b.dtype and type(a) is type(b) and bool(a.identical(b)))


def _axis(axis: Any) -> Any:
    """An axis of plain labels: what was sorted or grouped by a recorded column has such a column for labels."""
    found = axis.array
    return pandas.Index(plain(found.data), name=axis.name) if isinstance(found, Column) else axis


def values_of(value: Any) -> Any:
    """The array in it."""
    return whole(value)


def parts_of_series(value: Any) -> tuple[list[Any], Any, tuple[Any, ...]]:
    """Its vector as the one leaf, its labels, and how the leaf is called."""
    return [_leaf(value)], Labels(value, False), (None,)


def parts_of_frame(value: Any) -> tuple[list[Any], Any, tuple[Any, ...]]:
    """Its matrix, or its columns, its labels, and how the leaves are called."""
    blocks: Any = getattr(value._mgr, "blocks", ())
    if len(blocks) == 1 and isinstance(blocks[0].values, np.ndarray) and is_number(blocks[0].values.dtype):
        return [value.to_numpy()], Labels(value, True), (None,)  # the quick way to the same answer
    columns = list(value.items())
    kinds = {c.dtype for _, c in columns}
    if len(kinds) == 1:
        matrix = value.matrix() if isinstance(value, DataFrame) else None
        if matrix is None and is_number(next(iter(kinds))):
            matrix = value.to_numpy()
        if matrix is not None:
            return [matrix], Labels(value, True), (None,)
    return [_leaf(c) for _, c in columns], Labels(value, False), tuple(name for name, _ in columns)


def series_with(labels: Labels, leaves: Sequence[Any]) -> Any:
    (index,) = labels.labelled_axes()
    made = _column(leaves[0], index, labels.name)
    made.attrs = dict(labels.attrs)
    return made


def frame_with(labels: Labels, leaves: Sequence[Any]) -> Any:
    index, columns = labels.labelled_axes()
    if labels.matrix:
        made = frame(leaves[0], index, columns)
    else:
        parts = {k: _column(leaf, index, None) for k, leaf in enumerate(leaves)}
        kind = DataFrame if any(is_traced(leaf) for leaf in leaves) else pandas.DataFrame
        made = kind(parts, index=index)
        made.columns = columns
    made.attrs = dict(labels.attrs)
    return made


def constructed(kind: type, data: Any = None, *args: Any, **keywords: Any) -> Any:
    """What `pandas.Series` and `pandas.DataFrame` make of traced arrays and numbers; None where nothing is traced."""
    parts = list(data.values()) if isinstance(data, dict) else [data]
    if not any(is_traced(part) or vector(part) is not None for part in parts):
        return None
    return (Series if kind.__name__ == "Series" else DataFrame)(data, *args, **keywords)


def _column(leaf: Any, index: Any, name: Any) -> Any:
    if isinstance(leaf, Content):
        found = leaf.value.copy(deep=False)
        found.index, found.name = index, name
        return found
    return series(leaf, index, name)


def _leaf(column: Any) -> Any:
    if isinstance(column.array, Column):
        return column.array.data
    if is_number(column.dtype):
        return column.to_numpy()
    return Content(column.reset_index(drop=True).rename(None).copy(deep=not _COPIES_ON_WRITE))


_COPIES_ON_WRITE = int(pandas.__version__.partition(".")[0]) >= 3
