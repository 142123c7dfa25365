"""Changes of shape under NumPy's signatures: reshape, transpose, concatenate, split, tile, roll, take, sort, ..."""

from __future__ import annotations

import builtins
import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from tracegrad.errors import UnsupportedError
from tracegrad.ops import index as items
from tracegrad.ops import shape as ops
from tracegrad.ops.arithmetic import subtract
from tracegrad.ops.compare import maximum, minimum, not_equal
from tracegrad.ops.cumulate import argsort
from tracegrad.ops.families import astype as cast
from tracegrad.ops.numpy_forms import (
    answers,
    as_dtype,
    axis_number,
    axis_tuple,
    expand_to,
    is_sequence,
    is_traced,
    lying,
    number_type,
    operand,
    value,
    whole,
)


def in_rows(a: Any, order: str | None, name: str) -> bool:
    """Whether items are read row by row (`order="C"`), and not column by column.

    Raises
    ------
    UnsupportedError : they are read as they lie in memory, and which way that is makes a difference
    """
    if order not in ("C", "F", "A", "K", None):
        raise ValueError(f"order must be one of 'C', 'F', 'A', or 'K' (got {order!r})")
    if order in ("C", "F", None):
        return order != "F"
    if builtins.sum(n > 1 for n in a.shape) < 2:
        return True
    raise UnsupportedError(
        f"`{name}` is recorded without order={order!r}: how the array lies in memory is not recorded.",
        None,
        "order='C' for its rows, or order='F' for its columns",
    )


@answers(np.reshape)
def reshape(a: Any, shape: Any, order: str | None = "C") -> Any:
    a = operand(a)
    if not in_rows(a, order, "np.reshape"):
        return transpose(reshape(transpose(a), whole(shape)[::-1]))
    lengths = whole(shape)
    if -1 in lengths:
        rest = math.prod(n for n in lengths if n != -1)
        free = a.size // rest if rest else 0
        lengths = tuple(free if n == -1 else n for n in lengths)
    if math.prod(lengths) != a.size or builtins.min(lengths, default=0) < 0:
        raise ValueError(f"cannot reshape array of size {a.size} into shape {whole(shape)}")
    return a if lengths == a.shape else ops.reshape(a, shape=lengths)


@answers(np.ravel)
def ravel(a: Any, order: str | None = "C") -> Any:
    a = operand(a)
    flat = reshape(a if in_rows(a, order, "np.ravel") else transpose(a), (-1,))
    value = getattr(flat, "value", flat)
    if not isinstance(value, np.ndarray) or value.flags.c_contiguous:
        return flat
    found = copy(flat)  # a view with gaps is what `reshape` gives, and `ravel` never does
    if is_traced(a):
        a.recorder.reshaped(a.value, found.value)
    return found


@answers(np.transpose, np.permute_dims)
def transpose(a: Any, axes: Any = None) -> Any:
    a = operand(a)
    if axes is None:
        order = tuple(range(a.ndim))[::-1]
    else:
        order = tuple(axis_number(k, a.ndim) for k in axes)
        if sorted(order) != list(range(a.ndim)):
            raise ValueError("axes don't match array")
    return a if order == tuple(range(a.ndim)) else ops.transpose(a, axes=order)


@answers(np.matrix_transpose)
def matrix_transpose(x: Any) -> Any:
    return swapaxes(x, -1, -2)


@answers(np.swapaxes)
def swapaxes(a: Any, axis1: int, axis2: int) -> Any:
    a = operand(a)
    order = list(range(a.ndim))
    i, j = axis_number(axis1, a.ndim), axis_number(axis2, a.ndim)
    order[i], order[j] = order[j], order[i]
    return transpose(a, order)


@answers(np.moveaxis)
def moveaxis(a: Any, source: Any, destination: Any) -> Any:
    a = operand(a)
    start, end = ([axis_number(k, a.ndim) for k in whole(axes)] for axes in (source, destination))
    if len(start) != len(end):
        raise ValueError("`source` and `destination` arguments must have the same number of elements")
    order = [k for k in range(a.ndim) if k not in start]
    for place, axis in sorted(zip(end, start, strict=True)):
        order.insert(place, axis)
    return transpose(a, order)


@answers(np.rollaxis)
def rollaxis(a: Any, axis: int, start: int = 0) -> Any:
    ndim = operand(a).ndim
    axis = axis_number(axis, ndim)
    start = start + ndim if start < 0 else start
    return moveaxis(a, axis, start - 1 if axis < start else start)


@answers(np.squeeze)
def squeeze(a: Any, axis: Any = None) -> Any:
    a = operand(a)
    if axis is None or (not a.ndim and axis in (0, -1)):
        gone = tuple(k for k, n in enumerate(a.shape) if n == 1)
    else:
        gone = axis_tuple(axis, a.ndim)
    if builtins.any(a.shape[k] != 1 for k in gone):
        raise ValueError("cannot select an axis to squeeze out which has size not equal to one")
    return reshape(a, tuple(n for k, n in enumerate(a.shape) if k not in gone))


@answers(np.expand_dims)
def expand_dims(a: Any, axis: Any) -> Any:
    a = operand(a)
    return ops.expand_dims(a, axis=axis_tuple(axis, a.ndim + len(whole(axis))))


@answers(np.broadcast_to)
def broadcast_to(array: Any, shape: Any) -> Any:
    a, lengths = operand(array), whole(shape)
    if np.broadcast_shapes(a.shape, lengths) != lengths:
        raise ValueError(f"cannot broadcast an array of shape {a.shape} to shape {lengths}")
    found = expand_to(a, lengths)
    if found is a and isinstance(getattr(a, "value", None), np.ndarray):
        found = a[...]
        found.value = np.broadcast_to(found.value, lengths)  # a view that nobody may write into
    return found


@answers(np.broadcast_arrays)
def broadcast_arrays(*args: Any) -> tuple[Any, ...]:
    arrays = [operand(a) for a in args]
    shape = np.broadcast_shapes(*(a.shape for a in arrays))
    return tuple(expand_to(a, shape) for a in arrays)


def _each(function: Any, arrays: Sequence[Any]) -> Any:
    found = tuple(function(operand(a)) for a in arrays)
    return found[0] if len(found) == 1 else found


@answers(np.atleast_1d)
def atleast_1d(*arys: Any) -> Any:
    return _each(lambda a: a if a.ndim else reshape(a, (1,)), arys)


@answers(np.atleast_2d)
def atleast_2d(*arys: Any) -> Any:
    return _each(lambda a: a if a.ndim > 1 else reshape(a, (1, a.size)), arys)


@answers(np.atleast_3d)
def atleast_3d(*arys: Any) -> Any:
    return _each(
        lambda a: a if a.ndim > 2 else reshape(a, (*(a.shape if a.ndim == 2 else (1, a.size)), 1)), arys
    )


# --- joining and cutting ----------------------------------------------------------------------------------------------


@answers(np.concatenate, np.concat)
def concatenate(arrays: Sequence[Any], axis: int | None = 0, *, dtype: Any = None) -> Any:
    parts = [operand(a) for a in arrays]
    if axis is None:
        parts, axis = [reshape(a, (-1,)) for a in parts], 0
    if not parts:
        raise ValueError("need at least one array to concatenate")
    if not parts[0].ndim:
        raise ValueError("zero-dimensional arrays cannot be concatenated")
    return as_dtype(ops.concatenate(*parts, axis=axis_number(axis, parts[0].ndim)), dtype)


@answers(np.stack)
def stack(arrays: Sequence[Any], axis: int = 0, *, dtype: Any = None) -> Any:
    parts = [operand(a) for a in arrays]
    if not parts:
        raise ValueError("need at least one array to stack")
    return as_dtype(ops.stack(*parts, axis=axis_number(axis, parts[0].ndim + 1)), dtype)


@answers(np.vstack)
def vstack(tup: Sequence[Any], *, dtype: Any = None) -> Any:
    parts = [operand(a) for a in tup]
    if parts and builtins.all(a.ndim == 1 and a.shape == parts[0].shape for a in parts):
        return stack(parts, dtype=dtype)
    return concatenate([atleast_2d(a) for a in parts], 0, dtype=dtype)


@answers(np.hstack)
def hstack(tup: Sequence[Any], *, dtype: Any = None) -> Any:
    parts = [atleast_1d(a) for a in tup]
    return concatenate(parts, 0 if parts and parts[0].ndim == 1 else 1, dtype=dtype)


@answers(np.dstack)
def dstack(tup: Sequence[Any]) -> Any:
    return concatenate([atleast_3d(a) for a in tup], 2)


@answers(np.column_stack)
def column_stack(tup: Sequence[Any]) -> Any:
    parts = [operand(a) for a in tup]
    return concatenate([a if a.ndim > 1 else reshape(a, (a.size, 1)) for a in parts], 1)


@answers(np.append)
def append(arr: Any, values: Any, axis: int | None = None) -> Any:
    return concatenate([arr, values], axis)


def _cut(a: Any, edges: Sequence[int], axis: int) -> list[Any]:
    lead = (slice(None),) * axis
    return [items.getitem(a, index=(*lead, slice(i, j))) for i, j in itertools.pairwise(edges)]


@answers(np.array_split)
def array_split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    a = operand(ary)
    axis = axis_number(axis, a.ndim)
    n = a.shape[axis]
    if is_sequence(indices_or_sections):
        edges = [0, *(int(i) for i in indices_or_sections), n]
    else:
        sections = int(indices_or_sections)
        each, extra = divmod(n, sections)
        edges = [k * each + builtins.min(k, extra) for k in range(sections + 1)]
    return _cut(a, edges, axis)


@answers(np.split)
def split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    if not is_sequence(indices_or_sections) and operand(ary).shape[axis] % int(indices_or_sections):
        raise ValueError("array split does not result in an equal division")
    return array_split(ary, indices_or_sections, axis)


@answers(np.vsplit)
def vsplit(ary: Any, indices_or_sections: Any) -> list[Any]:
    return split(ary, indices_or_sections, 0)


@answers(np.hsplit)
def hsplit(ary: Any, indices_or_sections: Any) -> list[Any]:
    return split(ary, indices_or_sections, 0 if operand(ary).ndim == 1 else 1)


@answers(np.unstack)
def unstack(x: Any, *, axis: Any = 0) -> tuple[Any, ...]:
    x = operand(x)
    (axis,) = (axis_number(k, x.ndim) for k in (axis if isinstance(axis, (tuple, list)) else (axis,)))
    return tuple(items.getitem(x, index=(*(slice(None),) * axis, k)) for k in range(x.shape[axis]))


# --- repeating and moving ---------------------------------------------------------------------------------------------


@answers(np.tile)
def tile(A: Any, reps: Any) -> Any:
    a, times = operand(A), whole(reps)
    return ops.tile(a, reps=(*(1,) * (a.ndim - len(times)), *times))


@answers(np.repeat)
def repeat(a: Any, repeats: Any, axis: int | None = None) -> Any:
    a = operand(a)
    if axis is None or not a.ndim:
        a, axis = reshape(a, (-1,)), axis or 0
    axis = axis_number(axis, a.ndim)
    if np.ndim(repeats) == 0:
        return ops.repeat(a, repeats=int(repeats), axis=axis)
    return take(a, np.repeat(np.arange(a.shape[axis]), np.asarray(repeats)), axis)


@answers(np.flip)
def flip(m: Any, axis: Any = None) -> Any:
    m = operand(m)
    axes = axis_tuple(axis, m.ndim)
    return ops.flip(m, axis=axes) if axes else m


@answers(np.flipud)
def flipud(m: Any) -> Any:
    return flip(m, 0)


@answers(np.fliplr)
def fliplr(m: Any) -> Any:
    return flip(m, 1)


@answers(np.rot90)
def rot90(m: Any, k: int = 1, axes: tuple[int, int] = (0, 1)) -> Any:
    for _ in range(int(k) % 4):
        m = swapaxes(flip(m, axes[1]), *axes)
    return m


@answers(np.roll)
def roll(a: Any, shift: Any, axis: Any = None) -> Any:
    a = operand(a)
    if axis is None:
        return reshape(ops.roll(reshape(a, (-1,)), shift=builtins.sum(whole(shift)), axis=0), a.shape)
    axes, shifts = whole(axis), whole(shift)
    for k, by in zip(*np.broadcast_arrays(axes, shifts), strict=True):
        a = ops.roll(a, shift=int(by), axis=axis_number(k, a.ndim))
    return a


# --- triangles and diagonals ------------------------------------------------------------------------------------------


@answers(np.tril)
def tril(m: Any, k: int = 0) -> Any:
    m = operand(m)
    return ops.tril(m if m.ndim > 1 else broadcast_to(m, m.shape * 2), k=int(k))


@answers(np.triu)
def triu(m: Any, k: int = 0) -> Any:
    m = operand(m)
    return ops.triu(m if m.ndim > 1 else broadcast_to(m, m.shape * 2), k=int(k))


@answers(np.diagonal)
def diagonal(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    return ops.diagonal(moveaxis(a, (axis1, axis2), (-2, -1)), k=int(offset))


@answers(np.diag)
def diag(v: Any, k: int = 0) -> Any:
    v = operand(v)
    if v.ndim not in (1, 2):
        raise ValueError("Input must be 1- or 2-d.")
    return ops.diag(v, k=int(k)) if v.ndim == 1 else ops.diagonal(v, k=int(k))


# --- picking out ------------------------------------------------------------------------------------------------------


def inside(indices: Any, length: int, mode: str) -> Any:
    """Positions on an axis as `mode` says: "raise" leaves them to be checked, "wrap" and "clip" bring them inside."""
    if mode not in ("raise", "clip", "wrap"):
        raise ValueError(f"clipmode must be one of 'clip', 'raise', or 'wrap' (got {mode!r})")
    found = indices if is_traced(indices) or isinstance(indices, int) else np.asarray(indices)
    if mode == "wrap":
        return operand(found) % length
    return minimum(maximum(found, 0), length - 1) if mode == "clip" else found


@answers(np.take)
def take(a: Any, indices: Any, axis: int | None = None, *, mode: str = "raise") -> Any:
    a = operand(a)
    if axis is None or not a.ndim:
        a, axis = reshape(a, (-1,)), axis or 0
    axis = axis_number(axis, a.ndim)
    if isinstance(indices, (list, tuple)):
        indices = value(indices) if indices else np.zeros(0, np.intp)
    wanted = inside(indices, a.shape[axis], mode)
    found = items.read(a, (*(slice(None),) * axis, wanted))
    return lying(ops.copy(found) if found.ndim and not operand(wanted).ndim else found, "C")


@answers(np.take_along_axis)
def take_along_axis(arr: Any, indices: Any, axis: int | None = -1) -> Any:
    a, picked = operand(arr), operand(indices)
    if axis is None:
        a, picked, axis = reshape(a, (-1,)), reshape(picked, (-1,)), 0
    axis = axis_number(axis, a.ndim)
    if a.ndim == 1:
        return items.read(a, picked)
    grids = np.ogrid[tuple(slice(n) for n in a.shape)]
    return items.read(a, tuple(picked if k == axis else grids[k] for k in range(a.ndim)))


@answers(np.sort)
def sort(a: Any, axis: int | None = -1) -> Any:
    a = operand(a)
    if axis is None:
        a, axis = reshape(a, (-1,)), 0
    axis = axis_number(axis, a.ndim)
    return lying(take_along_axis(a, argsort(a, axis=axis), axis), "K", a)


@answers(np.sort_complex)
def sort_complex(a: Any) -> Any:
    """Sorted by real parts, then imaginary ones; a complex copy also of real numbers, as wide as need be."""
    a = sort(a)
    if a.dtype.kind == "c":
        return a
    return as_dtype(a, np.complex64 if a.dtype.kind in "iu" and a.dtype.itemsize <= 2 else np.complex128)


@answers(np.diff)
def diff(a: Any, n: int = 1, axis: int = -1, prepend: Any = None, append: Any = None) -> Any:
    a = operand(a)
    axis = axis_number(axis, a.ndim)
    if n < 0:
        raise ValueError(f"order must be non-negative but got {n!r}")
    one = tuple(1 if k == axis else length for k, length in enumerate(a.shape))
    ends = [None if e is None else operand(e) for e in (prepend, append)]
    before, after = (e if e is None or e.ndim else expand_to(e, one) for e in ends)
    if before is not None or after is not None:
        a = concatenate([part for part in (before, a, after) if part is not None], axis)
    lead = (slice(None),) * axis_number(axis, a.ndim)
    for _ in range(n):
        late, early = (items.getitem(a, index=(*lead, part)) for part in (slice(1, None), slice(None, -1)))
        a = not_equal(late, early) if a.dtype.kind == "b" else subtract(late, early)
    return a


# --- copies and likenesses --------------------------------------------------------------------------------------------


@answers(np.copy)
def copy(a: Any, order: str = "K") -> Any:
    a = operand(a)
    return lying(ops.copy(a), order, a)


@answers(np.astype)
def astype(x: Any, dtype: Any, *, copy: bool = True) -> Any:
    x = operand(x)
    if x.dtype != np.dtype(dtype):
        return cast(x, dtype=number_type(dtype))
    return lying(ops.copy(x), "K", x) if copy else x


def _like(a: Any, fill: Any, dtype: Any, order: str, shape: Any) -> Any:
    a = given = operand(a)
    dtype = np.dtype(a.dtype if dtype is None else dtype)
    if shape is not None and whole(shape) != a.shape:
        a = expand_to(reshape(items.getitem(reshape(a, (-1,)), index=(0,)), ()), whole(shape))
    if type(fill) is int and not fill and dtype == a.dtype:  # not -0.0
        made = items.zeros_like(a)
    else:
        made = items.full_like(a, fill, dtype=dtype)
    return made if order == "K" else lying(made, order, given)


@answers(np.zeros_like)
def zeros_like(a: Any, dtype: Any = None, order: str = "K", *, shape: Any = None) -> Any:
    return _like(a, 0, dtype, order, shape)


@answers(np.empty_like)
def empty_like(prototype: Any, dtype: Any = None, order: str = "K", *, shape: Any = None) -> Any:
    return _like(prototype, 0, dtype, order, shape)


@answers(np.ones_like)
def ones_like(a: Any, dtype: Any = None, order: str = "K", *, shape: Any = None) -> Any:
    return _like(a, 1, dtype, order, shape)


@answers(np.full_like)
def full_like(a: Any, fill_value: Any, dtype: Any = None, order: str = "K", *, shape: Any = None) -> Any:
    return _like(a, fill_value, dtype, order, shape)
