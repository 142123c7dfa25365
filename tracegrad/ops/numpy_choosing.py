"""Choosing, inserting and writing under NumPy's signatures: select, choose, compress, insert, delete, place, put, ...

What writes into an array (`place`, `put`, `fill_diagonal`) goes through `target[key] = value`, whose meaning is that of
the array's recorder. Begin with `select`.
"""

from __future__ import annotations

import builtins
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from tracegrad.ops import compare
from tracegrad.ops.compare import not_equal
from tracegrad.ops.index import Slot, index_set, read
from tracegrad.ops.numpy_forms import (
    answers,
    array_operand,
    as_dtype,
    axis_number,
    common_dtype,
    expand_to,
    is_sequence,
    is_traced,
    known,
    lying,
    operand,
    whole,
)
from tracegrad.ops.numpy_order import nonzero
from tracegrad.ops.numpy_reduce import any
from tracegrad.ops.numpy_runs import in_runs
from tracegrad.ops.numpy_shape import (
    array_split,
    atleast_1d,
    broadcast_arrays,
    concatenate,
    copy,
    inside,
    moveaxis,
    ravel,
    reshape,
    stack,
    take,
)
from tracegrad.ops.windows import counts
from tracegrad.ops.windows import windows as all_windows

# --- by conditions ----------------------------------------------------------------------------------------------------


@answers(np.select)
def select(condlist: Sequence[Any], choicelist: Sequence[Any], default: Any = 0) -> Any:
    if len(condlist) != len(choicelist):
        raise ValueError("list of cases must be same length as list of conditions")
    if not len(condlist):
        raise ValueError("select with an empty condition list is not possible")
    conditions = [operand(c) for c in condlist]
    for k, condition in enumerate(conditions):
        if condition.dtype.kind != "b":
            raise TypeError(f"invalid entry {k} in condlist: should be boolean ndarray")
    dtype = common_dtype([*choicelist, default])
    found = as_dtype(array_operand(default), dtype)
    for condition, choice in zip(conditions[::-1], list(choicelist)[::-1], strict=True):
        found = compare.where(condition, as_dtype(array_operand(choice), dtype), found)
    return lying(found, "C")


@answers(np.piecewise)
def piecewise(x: Any, condlist: Any, funclist: Sequence[Any], *args: Any, **kw: Any) -> Any:
    x = operand(x)
    several = is_sequence(condlist) and (operand(condlist[0]).ndim > 0 or not x.ndim)
    if not several:
        condlist = [condlist]
    conditions = [operand(c) for c in condlist]
    if len(funclist) == len(conditions) + 1:
        rest = conditions[0]
        for c in conditions[1:]:
            rest = compare.logical_or(rest, c)
        conditions.append(compare.logical_not(rest))
    elif len(funclist) != len(conditions):
        n = len(conditions)
        raise ValueError(f"with {n} condition(s), either {n} or {n + 1} functions are expected")
    found = x * 0
    for condition, function in zip(conditions, funclist, strict=True):
        places = nonzero(ravel(condition))[0]
        if not places.shape[0]:
            continue
        part = function(read(ravel(x), places), *args, **kw) if callable(function) else function
        flat = index_set(ravel(found), places, as_dtype(operand(part), x.dtype), index=(Slot(0),))
        found = reshape(flat, x.shape)
    return found


@answers(np.choose)
def choose(a: Any, choices: Any, *, mode: str = "raise") -> Any:
    dtype = common_dtype(choices)
    *rows, picks = broadcast_arrays(*(as_dtype(array_operand(c), dtype) for c in choices), a)
    n = len(rows)
    if mode == "raise" and known(any(compare.logical_or(picks < 0, picks >= n))):
        raise ValueError("invalid entry in choice array")
    picks = inside(picks, n, mode)
    grids = np.ogrid[tuple(slice(m) for m in picks.shape)] if picks.ndim else ()
    return read(stack(rows), (picks, *grids))


@answers(np.compress)
def compress(condition: Any, a: Any, axis: int | None = None) -> Any:
    condition = operand(condition)
    if condition.ndim != 1:
        raise ValueError("condition must be a 1-d array")
    return take(a, nonzero(condition)[0], axis)


@answers(np.extract)
def extract(condition: Any, arr: Any) -> Any:
    return take(ravel(arr), nonzero(ravel(condition))[0])


@answers(np.trim_zeros)
def trim_zeros(filt: Any, trim: str = "fb", axis: Any = None) -> Any:
    a = operand(filt)
    side = trim.lower()
    if side not in ("fb", "bf", "f", "b"):
        raise ValueError(f"unexpected character(s) in `trim`: {trim!r}")
    axes = range(a.ndim) if axis is None else [axis_number(k, a.ndim) for k in whole(axis)]
    for k in axes:
        others = tuple(j for j in range(a.ndim) if j != k)
        filled = nonzero(any(not_equal(a, 0), others) if others else not_equal(a, 0))[0]
        if not filled.shape[0]:
            return read(a, (*(slice(None),) * k, slice(0, 0)))
        first = known(filled[0]) if "f" in side else 0
        last = known(filled[-1]) + 1 if "b" in side else a.shape[k]
        a = read(a, (*(slice(None),) * k, slice(first, last)))
    return a


# --- taking out and putting in ----------------------------------------------------------------------------------------


def _plain_index(obj: Any) -> Any:
    """A number, list or mask that says where; traced numbers and masks are asked."""
    if is_traced(obj):
        if obj.dtype.kind == "b":
            return np.array([known(k) for k in nonzero(obj)[0]], dtype=np.intp)
        return known(obj) if not obj.ndim else np.array([known(k) for k in obj], dtype=np.intp)
    return obj


def _by_axis(arr: Any, axis: int | None) -> tuple[Any, int]:
    a = operand(arr)
    return (ravel(a), 0) if axis is None else (a, axis_number(axis, a.ndim))


@answers(np.delete)
def delete(arr: Any, obj: Any, axis: int | None = None) -> Any:
    a, axis = _by_axis(arr, axis)
    place = _plain_index(obj)
    places = np.delete(np.arange(a.shape[axis]), place)
    by_parts = isinstance(place, slice) or (np.size(place) == 1 and np.asarray(place).dtype.kind in "iu")
    found = in_runs([a], places, axis) if by_parts or a.ndim == 1 else None
    found = read(a, (*(slice(None),) * axis, places)) if found is None else found
    return lying(found, "A", a) if by_parts else found


@answers(np.insert)
def insert(arr: Any, obj: Any, values: Any, axis: int | None = None) -> Any:
    a, axis = _by_axis(arr, axis)
    n, place = a.shape[axis], _plain_index(obj)
    new = as_dtype(operand(values), a.dtype)
    new = reshape(new, (1,) * (a.ndim - new.ndim) + new.shape)
    single = not isinstance(place, slice) and np.ndim(place) == 0
    if single:
        new = moveaxis(new, 0, axis)
    count = new.shape[axis]
    if not single:
        counted = isinstance(place, slice) or np.asarray(place).dtype == bool
        count = len(np.arange(n)[place]) if counted else np.size(place)
    new = expand_to(new, (*a.shape[:axis], count, *a.shape[axis + 1 :]))
    order = np.insert(np.arange(n), place, n + np.arange(count))
    found = in_runs([a, new], order, axis)
    return lying(take(concatenate([a, new], axis), order, axis) if found is None else found, "A", a)


@answers(np.lib.stride_tricks.sliding_window_view)
def windows(
    x: Any, window_shape: Any, axis: Any = None, *, subok: bool = False, writeable: bool = False
) -> Any:
    """All windows of this shape, as axes behind those of their places: a view, into which nobody may write.

    `writeable` is taken, for those who ask for it and do not write, as `scipy.signal.stft`.
    """
    x, lengths = operand(x), whole(window_shape)
    axes = tuple(range(x.ndim)) if axis is None else tuple(axis_number(k, x.ndim) for k in whole(axis))
    if len(lengths) != len(axes):
        raise ValueError(
            f"Must provide matching length window_shape and axis; got {len(lengths)} window_shape elements and "
            f"{len(axes)} axes elements."
        )
    if builtins.any(n < 0 for n in lengths):
        raise ValueError("`window_shape` cannot contain negative values")
    if builtins.any(n < 1 for n in counts(x.shape, lengths, axes)):
        raise ValueError("window shape cannot be larger than input array shape")
    return all_windows(x, lengths=lengths, axes=axes)


@answers(np.resize)
def resize(a: Any, new_shape: Any) -> Any:
    flat, shape = ravel(a), whole(new_shape)
    if builtins.any(n < 0 for n in shape):
        raise ValueError("all elements of `new_shape` must be non-negative")
    if flat.shape[0] == 0:
        flat = concatenate((flat, np.zeros(1, flat.dtype)))  # of nothing NumPy makes zeros
    return reshape(take(flat, np.arange(math.prod(shape)) % flat.shape[0]), shape)


@answers(np.block)
def block(arrays: Any) -> Any:
    depth, inner = 0, arrays
    while isinstance(inner, list):
        if not inner:
            raise ValueError("List at arrays cannot be empty")
        depth, inner = depth + 1, inner[0]
    ndim = builtins.max(depth, builtins.max(x.ndim for x in _leaves(arrays)))
    found = _joined(arrays, depth, ndim)
    return found if depth else copy(found, "C")


def _leaves(arrays: Any) -> list[Any]:
    return [x for part in arrays for x in _leaves(part)] if isinstance(arrays, list) else [operand(arrays)]


def _joined(arrays: Any, depth: int, ndim: int) -> Any:
    if not isinstance(arrays, list):
        if depth:
            raise ValueError("List depths are mismatched.")
        a = operand(arrays)
        return reshape(a, (1,) * (ndim - a.ndim) + a.shape)
    return concatenate([_joined(part, depth - 1, ndim) for part in arrays], ndim - depth)


@answers(np.dsplit)
def dsplit(ary: Any, indices_or_sections: Any) -> list[Any]:
    a = operand(ary)
    if a.ndim < 3:
        raise ValueError("dsplit only works on arrays of 3 or more dimensions")
    if not is_sequence(indices_or_sections) and a.shape[2] % int(indices_or_sections):
        raise ValueError("array split does not result in an equal division")
    return array_split(a, indices_or_sections, 2)


@answers(np.apply_along_axis)
def apply_along_axis(func1d: Any, axis: int, arr: Any, *args: Any, **kwargs: Any) -> Any:
    a = operand(arr)
    axis = axis_number(axis, a.ndim)
    rows = moveaxis(a, axis, -1)
    lead = rows.shape[:-1]
    found = [operand(func1d(rows[index], *args, **kwargs)) for index in np.ndindex(*lead)]
    if not found:
        raise ValueError("Cannot apply_along_axis when any iteration dimensions are 0")
    made = reshape(stack(found), (*lead, *found[0].shape))
    n = found[0].ndim
    return moveaxis(made, tuple(range(len(lead), len(lead) + n)), tuple(range(axis, axis + n))) if n else made


@answers(np.apply_over_axes)
def apply_over_axes(func: Any, a: Any, axes: Any) -> Any:
    found = operand(a)
    ndim = found.ndim
    for k in whole(axes):
        given, found = found, operand(func(found, axis_number(k, ndim)))
        if found.ndim != ndim:
            found = reshape(found, [1 if j == axis_number(k, ndim) else n for j, n in enumerate(given.shape)])
    return found


# --- written in place -------------------------------------------------------------------------------------------------


@answers(np.put_along_axis)
def put_along_axis(arr: Any, indices: Any, values: Any, axis: int | None = -1) -> None:
    picked = operand(indices)
    if axis is None:
        arr.flat[picked] = values
        return
    axis = axis_number(axis, arr.ndim)
    grids = np.ogrid[tuple(slice(n) for n in picked.shape)]
    arr[tuple(picked if k == axis else grids[k] for k in range(arr.ndim))] = values


def _write_flat(a: Any, places: Any, values: Any) -> None:
    """`a.flat[places] = values`, the values repeated as often as needed."""
    count = places.shape[0]
    new = ravel(values)
    if not count:
        return
    new = new if new.shape[0] == count else take(new, np.arange(count) % new.shape[0])
    if a.ndim == 1:
        a[places] = new
        return
    grid, rest = [], places
    for n in reversed(a.shape[1:]):
        grid.append(rest % n)
        rest = rest // n
    a[(rest, *reversed(grid))] = new


@answers(np.put)
def put(a: Any, ind: Any, v: Any, mode: str = "raise") -> None:
    _write_flat(a, inside(ravel(ind), math.prod(a.shape), mode), v)


@answers(np.place)
def place(arr: Any, mask: Any, vals: Any) -> None:
    _write_flat(arr, nonzero(ravel(mask))[0], vals)


@answers(np.putmask)
def putmask(a: Any, mask: Any, values: Any) -> None:
    mask = operand(mask)
    if not operand(values).size:
        return
    new = resize(values, a.shape) if ravel(values).shape[0] != 1 else reshape(values, ())
    a[...] = compare.where(mask, new, a)


@answers(np.fill_diagonal)
def fill_diagonal(a: Any, val: Any, wrap: bool = False) -> None:
    if a.ndim < 2:
        raise ValueError("array must be at least 2-d")
    if a.ndim > 2 and len(set(a.shape)) > 1:
        raise ValueError("All dimensions of input must be of equal length")
    places = np.arange(math.prod(a.shape)).reshape(a.shape)
    step = a.shape[1] + 1 if a.ndim == 2 else 1 + sum(math.prod(a.shape[k:]) for k in range(1, a.ndim))
    end = a.shape[1] * a.shape[1] if a.ndim == 2 and not wrap else None
    _write_flat(a, places.ravel()[:end:step], atleast_1d(val))
