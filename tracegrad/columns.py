"""A column of a pandas container around a traced array: what pandas computes with it is recorded.

pandas lets others bring arrays of their own (`pandas.api.extensions`). This one hands each question on to the array
inside, through operators and NumPy's functions; where pandas decides by values (labels to sort, rows to keep), the
program asks at each call whether it would decide so again. What pandas wants plain numbers for is refused. Imported
when the first container of pandas' is met. Begin with `Column`.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas
from pandas.api.extensions import ExtensionArray, ExtensionDtype
from pandas.api.indexers import check_array_indexer

from tracegrad.errors import LeakError, UnsupportedError
from tracegrad.labels import is_traced

_CONTAINERS = (pandas.Series, pandas.Index, pandas.DataFrame)


class ColumnType(ExtensionDtype):
    """The dtype of a column: NumPy's."""

    _metadata = ("numpy",)
    na_value = np.nan

    def __init__(self, numpy: Any) -> None:
        self.numpy = np.dtype(numpy)

    @property
    def name(self) -> str:
        return str(self.numpy)

    @property
    def type(self) -> Any:
        return self.numpy.type

    @property
    def kind(self) -> str:
        return self.numpy.kind

    @property
    def _is_numeric(self) -> bool:
        return self.kind in "fiuc"

    @property
    def _is_boolean(self) -> bool:
        return self.kind == "b"

    @classmethod
    def construct_array_type(cls) -> Any:
        return Column

    @classmethod
    def construct_from_string(cls, string: str) -> Any:
        raise TypeError(f"no column is made of {string!r}")

    def _get_common_dtype(self, dtypes: list[Any]) -> Any:
        found = [d.numpy if isinstance(d, ColumnType) else d for d in dtypes]
        if any(not isinstance(d, np.dtype) or d.kind not in "fiucb" for d in found):
            return None
        return ColumnType(np.result_type(*found))


class Column(ExtensionArray):
    """A vector inside a Series or a DataFrame.

    Parameters
    ----------
    data : traced array, or ndarray, of one dimension; None with an origin
    origin : (matrix, place), optional
        The matrix of which this is a column: a frame is that matrix again.
    """

    def __init__(self, data: Any, origin: tuple[Any, int] | None = None) -> None:
        self._data = data
        self.origin = origin

    @property
    def data(self) -> Any:
        """The vector; of a matrix read where it is asked for, so that each block of a program has its own."""
        return self._data if self.origin is None else self.origin[0][:, self.origin[1]]

    # --- what pandas asks any array ---------------------------------------------------------------------------

    @classmethod
    def _from_sequence(cls, scalars: Any, *, dtype: Any = None, copy: bool = False) -> Column:
        data = scalars.data if isinstance(scalars, Column) else scalars
        if isinstance(data, _CONTAINERS):
            data = data.array.data if isinstance(data.array, Column) else data.to_numpy()
        if not is_traced(data) and not isinstance(data, np.ndarray):
            items = list(data)
            data = np.stack(items) if any(map(is_traced, items)) else np.asarray(items)
        elif isinstance(data, np.ndarray) and data.dtype == object and any(map(is_traced, data)):
            data = np.stack(list(data))
        wanted = dtype.numpy if isinstance(dtype, ColumnType) else dtype
        return cls(data if wanted is None or data.dtype == wanted else data.astype(wanted))

    @classmethod
    def _from_factorized(cls, values: Any, original: Any) -> Column:
        return cls(values)

    @property
    def dtype(self) -> Any:
        return ColumnType((self._data if self.origin is None else self.origin[0]).dtype)

    @property
    def nbytes(self) -> int:
        return len(self) * self.dtype.numpy.itemsize

    def __len__(self) -> int:
        return int((self._data if self.origin is None else self.origin[0]).shape[0])

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, (int, np.integer)):
            return self.data[int(key)]
        if isinstance(key, Column) and is_traced(key.data):
            return Column(self.data[key.data])
        if isinstance(key, tuple):  # (Ellipsis, slice)
            key = next((k for k in key if k is not Ellipsis), slice(None))
        return Column(self.data[check_array_indexer(self, key)])

    def __setitem__(self, key: Any, value: Any) -> None:
        value = _inside(value)
        if is_traced(value) and not is_traced(self.data):
            raise LeakError(
                "a traced value is stored into a column of plain numbers; its derivative would be lost there.",
                None,
                "make a new column, df.assign(a=...)",
            )
        self.data[check_array_indexer(self, key)] = value

    def isna(self) -> Any:
        if self.data.dtype.kind not in "fc":
            return np.zeros(len(self), bool)
        missing = np.isnan(self.data)
        return plain(missing) if np.any(missing) else np.zeros(len(self), bool)

    def take(self, indices: Any, *, allow_fill: bool = False, fill_value: Any = None) -> Column:
        indices = np.asarray(indices, np.intp)
        if not allow_fill:
            return Column(self.data[indices])
        absent = indices == -1
        if (indices < -1).any():
            raise ValueError("indices below -1 where -1 stands for a missing value")
        if not absent.any():
            return Column(self.data[indices])
        fill = np.nan if fill_value is None or fill_value is pandas.NA else fill_value
        if not len(self):
            return Column(np.full(len(indices), fill))
        return Column(np.where(absent, fill, self.data[np.where(absent, 0, indices)]))

    def copy(self) -> Column:
        return Column(self.data.copy())

    def view(self, dtype: Any = None) -> Any:
        if dtype is not None:
            raise UnsupportedError("a recorded column keeps its dtype.", None, "write .astype(dtype)")
        return Column(self._data, self.origin)

    @classmethod
    def _concat_same_type(cls, to_concat: Sequence[Any]) -> Column:
        parts = [c.data for c in to_concat]
        return cls(parts[0] if len(parts) == 1 else np.concatenate(parts))

    def astype(self, dtype: Any, copy: bool = True) -> Any:
        if isinstance(dtype, ColumnType):
            dtype = dtype.numpy
        if isinstance(dtype, ExtensionDtype) or np.dtype(dtype).kind not in "fiucb":
            return super().astype(dtype, copy=copy)
        if np.dtype(dtype) == self.dtype.numpy:
            return self.copy() if copy else self
        return Column(self.data.astype(np.dtype(dtype)))

    # --- plain numbers ----------------------------------------------------------------------------------------

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        found = plain(self.data)
        return found if dtype is None else found.astype(dtype)

    def to_numpy(self, *args: Any, **keywords: Any) -> Any:
        return as_asked(plain(self.data), *args, **keywords)

    def _values_for_factorize(self) -> tuple[Any, Any]:
        return plain(self.data), np.nan

    def unique(self) -> Any:
        return Column(pandas.unique(plain(self.data)))

    def _values_for_argsort(self) -> Any:
        return plain(self.data)

    def argsort(
        self, *, ascending: bool = True, kind: Any = "quicksort", na_position: str = "last", **rest: Any
    ) -> Any:
        if self.isna().any():
            raise UnsupportedError("a recorded column with NaN is not sorted.", None, "take .dropna() first")
        if ascending:
            return plain(np.argsort(self.data, kind=kind))
        return len(self) - 1 - plain(np.argsort(self.data[::-1], kind=kind))[::-1]

    def argmax(self, skipna: bool = True) -> int:
        return self._place_of(np.argmax)

    def argmin(self, skipna: bool = True) -> int:
        return self._place_of(np.argmin)

    def _place_of(self, extreme: Callable[[Any], Any]) -> int:
        if self.isna().any():
            raise UnsupportedError("a recorded column with NaN is not ordered.", None, "take .dropna() first")
        return int(extreme(self.data))

    # --- computing --------------------------------------------------------------------------------------------

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **keywords: Any) -> Any:
        if any(isinstance(x, _CONTAINERS) for x in inputs):
            return NotImplemented
        keywords = {k: _inside(v) for k, v in keywords.items()}
        found = getattr(ufunc, method)(*map(_inside, inputs), **keywords)
        return tuple(map(_as_column, found)) if isinstance(found, tuple) else _as_column(found)

    def __array_function__(self, function: Any, types: Any, args: Any, keywords: Any) -> Any:
        """The function of the arrays inside: `np.dot(a, b)`."""
        return function(*map(_inside, args), **{k: _inside(v) for k, v in keywords.items()})

    def __neg__(self) -> Column:
        return Column(-self.data)

    def __pos__(self) -> Column:
        return Column(self.data)

    def __abs__(self) -> Column:
        return Column(abs(self.data))

    def __invert__(self) -> Column:
        return Column(~self.data)

    def round(self, decimals: int = 0, *args: Any, **keywords: Any) -> Column:
        return Column(np.round(self.data, decimals))

    def map(self, mapper: Any, na_action: Any = None) -> Any:
        if not callable(mapper) or na_action is not None:
            return super().map(mapper, na_action)
        return self._from_sequence([mapper(value) for value in self.data])

    def fillna(self, value: Any = None, *, limit: Any = None, copy: bool = True, **rest: Any) -> Column:
        if limit is not None or rest:
            raise UnsupportedError("`fillna` is recorded with a value alone.", None, "write .fillna(value)")
        return self._where(~np.isnan(self.data), value) if self.data.dtype.kind in "fc" else self

    def _where(self, mask: Any, value: Any) -> Column:
        return Column(np.where(_inside(mask), self.data, _inside(value)))

    def _quantile(self, qs: Any, interpolation: str) -> Column:
        quantile: Any = np.nanquantile
        return Column(quantile(self.data, qs, method=interpolation))

    def _reduce(self, name: str, *, skipna: bool = True, keepdims: bool = False, **options: Any) -> Any:
        found = reduced(self.data, name, skipna, None, **options)
        return Column(np.reshape(found, (1,))) if keepdims else found

    def _accumulate(self, name: str, *, skipna: bool = True, **options: Any) -> Column:
        if name not in ("cumsum", "cumprod") or (skipna and self.isna().any()):
            raise UnsupportedError(
                f"`{name}` of a recorded column is not known here.", None, "compute with .to_numpy()"
            )
        return Column(getattr(np, name)(self.data))

    def _groupby_op(
        self, *, how: str, has_dropped_na: bool, min_count: int, ngroups: int, ids: Any, **options: Any
    ) -> Any:
        """`groupby(...).sum()`: rows that belong to no group have the number -1."""
        values = self.data
        if has_dropped_na:
            values, ids = values[ids >= 0], ids[ids >= 0]
        there = ~np.isnan(values) if values.dtype.kind in "fc" else np.ones(len(ids), bool)
        count = np.bincount(ids, weights=np.where(there, 1.0, 0.0), minlength=ngroups)

        def total(x: Any) -> Any:
            return np.bincount(ids, weights=np.where(there, x, 0.0), minlength=ngroups)

        if how == "sum" and min_count <= 0 and values.dtype.kind == "f":
            return Column(total(values))
        if how == "mean":
            return Column(total(values) / count)
        if how in ("var", "std"):
            away = values - (total(values) / count)[ids]
            variance = total(away * away) / (count - options.get("ddof", 1))
            return Column(variance if how == "var" else np.sqrt(variance))
        raise UnsupportedError(
            f"`{how}` of groups of a recorded column is not known here.",
            None,
            "take the groups' values, .to_numpy(), and compute with NumPy",
        )


def plain(values: Any) -> Any:
    """The plain array of values without derivative, which the program compares again at each call.

    Raises
    ------
    LeakError : the values have a derivative, which a plain array would drop
    """
    try:
        return np.array(values)
    except LeakError as error:
        raise LeakError(
            "pandas computes this with plain numbers, where the derivative would be lost.",
            error.where,
            "take the values, `.to_numpy()`, and compute with NumPy; or pandas' own methods for whole columns "
            "(arithmetic, sum, mean, std, dot, shift, fillna, ...)",
        ) from error


def as_asked(values: Any, dtype: Any = None, copy: bool = False, na_value: Any = None) -> Any:
    """An array as `to_numpy` was asked for it."""
    if na_value is not None and values.dtype.kind in "fc":
        values = np.where(np.isnan(values), na_value, values)
    values = values if dtype is None else values.astype(dtype)
    return values.copy() if copy else values


def reduced(data: Any, name: str, skipna: bool, axis: int | None, **options: Any) -> Any:
    """A reduction as pandas has it: without NaN, unless that is said otherwise."""
    if options.pop("min_count", 0) not in (0, -1):
        raise UnsupportedError(f"`{name}` is recorded without `min_count`.", None, "leave it out")
    ddof = {"ddof": options.pop("ddof", 1)} if name in ("std", "var", "sem") else {}
    options.pop("numeric_only", None)
    without = skipna and data.dtype.kind in "fc"
    if name in ("any", "all"):
        return getattr(np, name)(data, axis=axis)
    if name == "sem":
        count = np.sum(~np.isnan(data), axis=axis) if without else data.shape[axis or 0]
        return reduced(data, "std", skipna, axis, **ddof) / np.sqrt(count)
    if name not in _REDUCTIONS or any(v is not None for v in options.values()):
        raise UnsupportedError(
            f"`{name}` of a recorded column is not known here.", None, "compute it with .to_numpy()"
        )
    return getattr(np, f"nan{name}" if without else name)(data, axis=axis, **ddof)


_REDUCTIONS = ("sum", "mean", "std", "var", "min", "max", "prod", "median")


def _inside(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return type(value)(map(_inside, value))
    if isinstance(value, ExtensionArray) and not isinstance(value, Column):
        return np.asarray(value)
    return value.data if isinstance(value, Column) else value


def _as_column(value: Any) -> Any:
    return Column(value) if np.ndim(value) == 1 else value


def _bound(function: Callable[[Any, Any], Any], reflected: bool) -> Callable[[Any, Any], Any]:
    exact = function in (operator.floordiv, operator.mod)

    def method(self: Column, other: Any) -> Any:
        if isinstance(other, _CONTAINERS):
            return NotImplemented
        left, right = self.data, _inside(other)
        if isinstance(right, list):
            right = np.asarray(right)
        left, right = (right, left) if reflected else (left, right)
        if exact and np.asarray(getattr(right, "dtype", right)).dtype.kind != "f" and np.any(right == 0):
            raise UnsupportedError(
                "whole numbers of a recorded column are divided by zero.",
                None,
                "make them floats, .astype(float)",
            )
        return _as_column(function(left, right))

    return method


OPERATORS = ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "and_", "or_", "xor", "matmul")
COMPARISONS = ("eq", "ne", "lt", "le", "gt", "ge")
for _name in OPERATORS:
    _function = getattr(operator, _name)
    setattr(Column, f"__{_name.rstrip('_')}__", _bound(_function, False))
    setattr(Column, f"__r{_name.rstrip('_')}__", _bound(_function, True))
for _name in COMPARISONS:
    setattr(Column, f"__{_name}__", _bound(getattr(operator, _name), False))
