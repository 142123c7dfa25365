"""Series and DataFrame around traced arrays: pandas' own, with the answers that are a whole array's.

Labels are pandas' business: rows that are matched, chosen or sorted, columns that are found. Where all of a frame is
one matrix, arithmetic and reductions are steps of that matrix, so that the program reads as NumPy code does; anything
else goes column by column, through `columns.py`. Begin with `whole` and `DataFrame`.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas

from tracegrad.columns import COMPARISONS, OPERATORS, Column, as_asked, reduced
from tracegrad.errors import InPlaceError, UnsupportedError
from tracegrad.labels import is_number, is_traced


def whole(value: Any) -> Any:
    """The values of a Series or a DataFrame as one array, traced where they are; anything else as it is."""
    if isinstance(value, pandas.Series):
        return value.array.data if isinstance(value.array, Column) else value.to_numpy()
    if isinstance(value, pandas.DataFrame):
        return value.to_numpy()
    return value.data if isinstance(value, Column) else value


class _Borrowed:
    """What belongs to the caller is not written into: nobody outside would see it."""

    _borrowed = False

    def _own(self) -> None:
        if self._borrowed:
            kind = type(self).__name__
            raise InPlaceError(
                f"a {kind} of the caller's is written in place.",
                None,
                f"copy it first, `{'s = s.copy()' if kind == 'Series' else 'df = df.copy()'}`",
            )

    def __setitem__(self, key: Any, value: Any) -> None:
        self._own()
        super().__setitem__(key, value)  # type: ignore[misc]

    def __delitem__(self, key: Any) -> None:
        self._own()
        super().__delitem__(key)  # type: ignore[misc]

    def rolling(self, *args: Any, **keywords: Any) -> Any:
        raise UnsupportedError(
            "windows over a recorded container are not known: pandas computes them with plain numbers.",
            None,
            "compute with the values, np.lib.stride_tricks.sliding_window_view(s.to_numpy(), n).mean(-1)",
        )

    expanding = ewm = resample = rolling

    def _update_inplace(self, result: Any, *args: Any, **keywords: Any) -> None:
        self._own()
        super()._update_inplace(result, *args, **keywords)  # type: ignore[misc]


class Series(_Borrowed, pandas.Series):
    """A pandas Series around a traced vector."""

    def __init__(self, data: Any = None, *args: Any, **keywords: Any) -> None:
        found = vector(data)
        super().__init__(data if found is None else found, *args, **keywords)

    @property
    def _constructor(self) -> Any:
        return Series

    @property
    def _constructor_expanddim(self) -> Any:
        return DataFrame

    @property
    def values(self) -> Any:
        return self.array.data if isinstance(self.array, Column) else super().values

    def to_numpy(self, *args: Any, **keywords: Any) -> Any:
        if not isinstance(self.array, Column):
            return super().to_numpy(*args, **keywords)
        return as_asked(self.array.data, *args, **keywords)

    def tolist(self) -> Any:
        return list(self.values)

    to_list = tolist

    def __iter__(self) -> Any:
        return iter(self.values)

    def dot(self, other: Any) -> Any:
        right = other
        if isinstance(other, (pandas.Series, pandas.DataFrame)):
            common = self.index.union(other.index)
            if len(common) > len(self.index) or len(common) > len(other.index):
                raise ValueError("matrices are not aligned")
            left, right = self.reindex(index=common), other.reindex(index=common)
        else:
            left = self
        found = np.dot(whole(left), whole(right))
        return series(found, other.columns) if isinstance(other, pandas.DataFrame) else found

    def __matmul__(self, other: Any) -> Any:
        return self.dot(other)

    def __rmatmul__(self, other: Any) -> Any:
        return np.dot(whole(np.transpose(whole(other))).T, self.values)

    def cov(self, other: Any, min_periods: Any = None, ddof: int = 1) -> Any:
        x, y = self._paired(other)
        if _are_few(x, min_periods):
            return np.nan
        return np.sum((x - np.mean(x)) * (y - np.mean(y))) / (x.shape[0] - ddof)

    def corr(self, other: Any, method: str = "pearson", min_periods: Any = None) -> Any:
        _only_pearson(method)
        x, y = self._paired(other)
        if _are_few(x, min_periods):
            return np.nan
        x, y = x - np.mean(x), y - np.mean(y)
        return np.sum(x * y) / np.sqrt(np.sum(x * x) * np.sum(y * y))

    def _paired(self, other: Any) -> tuple[Any, Any]:
        """The values of both where both are there."""
        left, right = self.align(other, join="inner")
        there = left.notna().to_numpy() & right.notna().to_numpy()
        x, y = whole(left), whole(right)
        return (x, y) if there.all() else (x[there], y[there])

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **keywords: Any) -> Any:
        return _by_ufunc(self, super().__array_ufunc__, ufunc, method, inputs, keywords)


class DataFrame(_Borrowed, pandas.DataFrame):
    """A pandas DataFrame around traced columns."""

    def __init__(
        self, data: Any = None, index: Any = None, columns: Any = None, *args: Any, **keywords: Any
    ) -> None:
        if is_traced(data) and data.ndim == 2:
            columns = pandas.RangeIndex(data.shape[1]) if columns is None else columns
            super().__init__(
                {j: Column(None, (data, j)) for j in range(data.shape[1])}, index, *args, **keywords
            )
            self.columns = columns
            return
        if isinstance(data, dict):
            data = {k: v if vector(v) is None else vector(v) for k, v in data.items()}
        super().__init__(data, index, columns, *args, **keywords)

    @property
    def _constructor(self) -> Any:
        return DataFrame

    @property
    def _constructor_sliced(self) -> Any:
        return Series

    def insert(self, *args: Any, **keywords: Any) -> None:
        self._own()
        super().insert(*args, **keywords)

    def matrix(self) -> Any:
        """All values as one array, if the columns are of one dtype; None if they are not."""
        columns = [c.array for _, c in self.items()]
        if not columns or not all(isinstance(c, Column) and c.dtype == columns[0].dtype for c in columns):
            return None
        origins = [c.origin for c in columns]
        if all(o is not None and o[0] is origins[0][0] for o in origins):
            matrix, places = origins[0][0], [o[1] for o in origins]
            return matrix if places == list(range(matrix.shape[1])) else matrix[:, places]
        return np.stack([c.data for c in columns], axis=1)

    def to_numpy(self, *args: Any, **keywords: Any) -> Any:
        found = self.matrix()
        if found is None:
            parts = [whole(c) for _, c in self.items()]
            kinds = {p.dtype.kind for p in parts}
            if not any(map(is_traced, parts)):
                return super().to_numpy(*args, **keywords)
            if not all(is_number(p.dtype) for p in parts) or "b" in kinds:
                raise UnsupportedError(
                    "a frame with columns that are no numbers has no array of numbers.",
                    None,
                    'choose columns, `df[["a", "b"]].to_numpy()`',
                )
            found = np.stack([p.astype(np.result_type(*(q.dtype for q in parts))) for p in parts], axis=1)
        return as_asked(found, *args, **keywords)

    @property
    def values(self) -> Any:
        return self.to_numpy()

    @property
    def T(self) -> Any:
        return self.transpose()

    def transpose(self, *args: Any, copy: Any = False) -> Any:
        return frame(self.to_numpy().T, self.columns, self.index)

    def dot(self, other: Any) -> Any:
        left, right = self, other
        if isinstance(other, (pandas.Series, pandas.DataFrame)):
            common = self.columns.union(other.index)
            if len(common) > len(self.columns) or len(common) > len(other.index):
                raise ValueError("matrices are not aligned")
            if not self.columns.equals(other.index):
                left, right = self.reindex(columns=common), other.reindex(index=common)
        elif self.shape[1] != np.shape(other)[0]:
            raise ValueError(f"Dot product shape mismatch, {self.shape} vs {np.shape(other)}")
        found = np.dot(left.to_numpy(), whole(right))
        if isinstance(other, pandas.DataFrame):
            return frame(found, self.index, other.columns)
        return series(found, self.index) if found.ndim == 1 else frame(found, self.index, None)

    def __matmul__(self, other: Any) -> Any:
        return self.dot(other)

    def __rmatmul__(self, other: Any) -> Any:
        found = np.dot(whole(other), self.to_numpy())
        return series(found, self.columns) if found.ndim == 1 else frame(found, None, self.columns)

    def apply(self, func: Any, axis: Any = 0, *args: Any, **keywords: Any) -> Any:
        if axis not in (1, "columns") or args or keywords or not callable(func):
            return super().apply(func, axis, *args, **keywords)
        rows = [func(row) for _, row in self.iterrows()]
        if any(np.ndim(row) for row in rows):
            raise UnsupportedError(
                "`apply` of rows is recorded where each row gives a number.",
                None,
                "compute with whole columns",
            )
        return series(np.stack(rows), self.index)

    def cov(self, min_periods: Any = None, ddof: int = 1, numeric_only: bool = False) -> Any:
        matrix = self._complete("cov")
        if _are_few(matrix, min_periods):
            return pandas.DataFrame(np.nan, self.columns, self.columns)
        return frame(np.cov(matrix, rowvar=False, ddof=ddof), self.columns, self.columns)

    def corr(self, method: str = "pearson", min_periods: int = 1, numeric_only: bool = False) -> Any:
        _only_pearson(method)
        matrix = self._complete("corr")
        if _are_few(matrix, min_periods):
            return pandas.DataFrame(np.nan, self.columns, self.columns)
        return frame(np.corrcoef(matrix, rowvar=False), self.columns, self.columns)

    def _complete(self, name: str) -> Any:
        matrix = self.matrix()
        if matrix is None or np.any(np.isnan(matrix)):
            raise UnsupportedError(
                f"`{name}` of a recorded frame is known for columns of one dtype without NaN.",
                None,
                "take such columns, df[[...]].dropna()",
            )
        return matrix

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **keywords: Any) -> Any:
        return _by_ufunc(self, super().__array_ufunc__, ufunc, method, inputs, keywords)

    def _matched(self, other: Any) -> Any:
        """What arithmetic of the whole matrix has on its other side; None where labels have to be matched."""
        if isinstance(other, pandas.DataFrame):
            same = self.index.identical(other.index) and self.columns.identical(other.columns)
            return (other.matrix() if isinstance(other, DataFrame) else other.to_numpy()) if same else None
        if isinstance(other, pandas.Series):
            return whole(other) if self.columns.identical(other.index) else None
        if isinstance(other, (int, float, complex)) or is_traced(other) or type(other) is np.ndarray:
            return other if np.ndim(other) == 0 or np.shape(other) == self.shape else None
        return None


def _only_pearson(method: Any) -> None:
    if method != "pearson":
        raise UnsupportedError(
            f"`corr` is recorded for method='pearson', not {method!r}.", None, "compute it with .to_numpy()"
        )


def _are_few(values: Any, min_periods: Any) -> bool:
    """Whether there are fewer observations than a moment is asked to have."""
    return min_periods is not None and values.shape[0] < min_periods


def series(values: Any, index: Any, name: Any = None) -> Any:
    """A Series around an array."""
    if not is_traced(values):
        return pandas.Series(values, index=index, name=name)
    return Series(Column(values), index=index, name=name, copy=False)


def frame(matrix: Any, index: Any, columns: Any) -> Any:
    """A DataFrame around a matrix."""
    if not is_traced(matrix):
        return pandas.DataFrame(matrix, index=index, columns=columns)
    index = pandas.RangeIndex(matrix.shape[0]) if index is None else index
    return DataFrame(matrix, index, columns, copy=False)


def vector(data: Any) -> Any:
    """A column of traced numbers, or None where nothing is traced."""
    if is_traced(data):
        return Column(data) if data.ndim == 1 else None
    if isinstance(data, (list, tuple)) and any(map(is_traced, data)):
        return Column(np.stack(list(data)))
    return None


def relabelled(values: Any, like: Any) -> Any:
    """An array with the labels of a container of its shape."""
    if isinstance(like, pandas.Series):
        return series(values, like.index, like.name)
    return frame(values, like.index, like.columns)


def _by_ufunc(
    self: Any, above: Callable[..., Any], ufunc: np.ufunc, method: str, inputs: Any, keywords: Any
) -> Any:
    """A ufunc of containers with the same labels, and of arrays, as one step; labels that differ are pandas'."""
    others = [x for x in inputs if isinstance(x, (pandas.Series, pandas.DataFrame))]
    alike = all(type(x).__mro__[-6:] == type(self).__mro__[-6:] or x.ndim == self.ndim for x in others)
    same = alike and all(
        a.identical(b) for x in others for a, b in zip(x.axes, self.axes, strict=True) if x is not self
    )
    if method != "__call__" or keywords or not same:
        return above(ufunc, method, *inputs, **keywords)
    values = [whole(x) for x in inputs]
    if any(np.ndim(v) not in (0, self.ndim) for v in values) or not any(map(is_traced, values)):
        return above(ufunc, method, *inputs)
    found = ufunc(*values)
    names = {x.name for x in others} if self.ndim == 1 else set()

    def labelled(part: Any) -> Any:
        made = relabelled(part, self)
        if len(names) > 1:
            made.name = None
        return made

    return tuple(map(labelled, found)) if isinstance(found, tuple) else labelled(found)


def _binary(name: str) -> Callable[[Any, Any], Any]:
    above = getattr(pandas.DataFrame, f"__{name}__")
    plain = name.removeprefix("r") if name.startswith("r") and name != "rshift" else name
    function = getattr(operator, f"{plain}_" if plain in ("and", "or") else plain)
    reflected = plain != name

    def method(self: DataFrame, other: Any) -> Any:
        right = self._matched(other)
        left = None if right is None else self.matrix()
        exact = plain in ("floordiv", "mod") and left is not None and left.dtype.kind != "f"
        if left is None or exact or left.dtype.kind == "b":
            return above(self, other)
        return relabelled(function(right, left) if reflected else function(left, right), self)

    return method


def _reduction(name: str) -> Callable[..., Any]:
    above = getattr(pandas.DataFrame, name)

    def method(self: DataFrame, axis: Any = 0, skipna: bool = True, **options: Any) -> Any:
        axis = {"index": 0, "rows": 0, "columns": 1}.get(axis, axis)
        matrix = self.matrix()
        options = {k: v for k, v in options.items() if v is not np._NoValue}
        if matrix is None or matrix.dtype.kind not in "fc" or options.keys() - {"ddof"}:
            return above(self, axis=axis, skipna=skipna, **options)
        found = reduced(matrix, name, skipna, axis, **options)
        return found if axis is None else series(found, self.index if axis == 1 else self.columns)

    return method


for _name in OPERATORS:
    if _name != "matmul":
        for _side in ("", "r"):
            setattr(DataFrame, f"__{_side}{_name.rstrip('_')}__", _binary(_side + _name.rstrip("_")))
for _name in COMPARISONS:
    setattr(DataFrame, f"__{_name}__", _binary(_name))
for _name in ("sum", "mean", "std", "var", "min", "max", "prod", "median"):
    setattr(DataFrame, _name, _reduction(_name))
