"""`np.pad` in all its modes: an array and widths go in, the array with borders comes out.

Axis by axis, as NumPy does it, so that corners come out the same. Begin with `pad`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tracegrad.errors import UnsupportedError
from tracegrad.ops import shape as ops
from tracegrad.ops.index import getitem
from tracegrad.ops.linalg import matmul
from tracegrad.ops.numpy_forms import answers, as_dtype, expand_to, is_sequence, is_traced, lying, operand
from tracegrad.ops.numpy_order import median
from tracegrad.ops.numpy_reduce import max, mean, min
from tracegrad.ops.numpy_runs import in_runs
from tracegrad.ops.numpy_shape import concatenate, moveaxis, reshape, take

_TAKEN = ("edge", "reflect", "symmetric", "wrap")
"""Each item of the border is one of the array's."""

_STATISTICS: dict[str, Callable[..., Any]] = {"maximum": max, "mean": mean, "median": median, "minimum": min}


@answers(np.pad)
def pad(
    array: Any,
    pad_width: Any,
    mode: Any = "constant",
    *,
    constant_values: Any = 0,
    end_values: Any = 0,
    stat_length: Any = None,
    reflect_type: str = "even",
) -> Any:
    a = operand(array)
    if callable(mode):
        raise UnsupportedError(
            "`np.pad` is recorded without a function as its mode, which would write into a plain array.",
            None,
            "np.concatenate the borders",
        )
    widths = _widths(pad_width, a.ndim)
    if np.min(widths, initial=0) < 0:
        raise ValueError("index can't contain negative values")
    if mode == "empty" or (mode == "constant" and isinstance(constant_values, (bool, int, float))):
        value = 0 if mode == "empty" else constant_values
        return ops.pad(a, widths=tuple((before, after) for before, after in widths), value=value)
    if mode not in (*_TAKEN, *_STATISTICS, "constant", "linear_ramp"):
        raise ValueError(f"mode '{mode}' is not supported")
    if mode in ("mean", "median", "linear_ramp") and a.dtype.kind not in "fc":
        raise UnsupportedError(
            f"`np.pad` with mode={mode!r} rounds the borders of integers, which is not recorded.",
            None,
            "a.astype(float)",
        )
    given = a
    few_seams = np.count_nonzero(np.max(widths, axis=1, initial=0)) == 1 or np.max(widths, initial=0) == 1
    for axis, (before, after) in enumerate(widths):
        if not before and not after:
            continue
        if mode == "constant":
            first, last = _sides(constant_values, axis, a.ndim)
            a = _joined(a, _filled(a, first, before, axis), _filled(a, last, after, axis), axis)
        elif mode in _STATISTICS:
            lengths = (None, None) if stat_length is None else _sides(stat_length, axis, a.ndim)
            n = a.shape[axis]
            first, last = (
                _STATISTICS[mode](_part(a, axis, side), axis, keepdims=True)
                for side in (slice(0, lengths[0]), slice(None if lengths[1] is None else n - lengths[1], n))
            )
            a = _joined(a, _filled(a, first, before, axis), _filled(a, last, after, axis), axis)
        elif mode in _TAKEN and reflect_type == "even":
            places = np.pad(np.arange(a.shape[axis]), (before, after), mode=mode)
            found = in_runs([a], places, axis) if few_seams else None
            a = take(a, places, axis) if found is None else found
        else:
            ends = _sides(end_values, axis, a.ndim)
            options = {"end_values": ends} if mode == "linear_ramp" else {"reflect_type": reflect_type}
            a = _mixed(a, axis, before, after, mode, options)
    return lying(ops.copy(a) if a is given else a, "A", given)


def _widths(pad_width: Any, ndim: int) -> list[list[int]]:
    """How much is added before and after each axis."""
    if isinstance(pad_width, dict):
        widths: list[Any] = [(0, 0)] * ndim
        for k, width in pad_width.items():
            widths[k] = (width, width) if isinstance(width, int) else width
        pad_width = widths
    if np.asarray(pad_width).dtype.kind not in "iu":
        raise TypeError("`pad_width` must be of integral type.")
    found: list[list[int]] = np.broadcast_to(np.asarray(pad_width), (ndim, 2)).tolist()
    return found


def _sides(given: Any, axis: int, ndim: int) -> tuple[Any, Any]:
    """What is given for both sides of one axis, in any of NumPy's short forms; its numbers may be traced."""
    if not is_sequence(given):
        return given, given
    if is_traced(given):
        given = given + np.zeros((ndim, 2))
        return given[axis, 0], given[axis, 1]
    rows = list(given)
    if len(rows) == 1:
        return _sides(rows[0], axis, ndim)
    if is_sequence(rows[0]):
        row = rows[axis] if len(rows) > 1 else rows[0]
        return (row[0], row[0]) if len(row) == 1 else (row[0], row[1])
    return rows[0], rows[1]


def _part(a: Any, axis: int, part: slice) -> Any:
    return getitem(a, index=(*(slice(None),) * axis, part))


def _filled(a: Any, value: Any, width: int, axis: int) -> Any:
    """A border of one value, or of one value a row."""
    return expand_to(
        as_dtype(operand(value), a.dtype), tuple(width if k == axis else n for k, n in enumerate(a.shape))
    )


def _joined(a: Any, before: Any, after: Any, axis: int) -> Any:
    return concatenate([part for part in (before, a, after) if part.shape[axis]], axis)


def _mixed(a: Any, axis: int, before: int, after: int, mode: str, options: dict[str, Any]) -> Any:
    """A border whose items are sums of multiples of the array's: NumPy pads an identity matrix, which tells them.

    `before` rows of that matrix, times the array, are the border before it; what is added (the ends of a ramp) is
    found by padding zeros.
    """
    n = a.shape[axis]
    plain: dict[str, Any] = {**options, "end_values": 0} if mode == "linear_ramp" else options
    border_of: Any = np.pad
    factors = border_of(np.eye(n), ((before, after), (0, 0)), mode=mode, **plain)
    rows = moveaxis(a, axis, 0)
    flat = reshape(rows, (n, -1))
    borders = []
    for side, width, end in ((slice(0, before), before, 0), (slice(before + n, None), after, 1)):
        border = reshape(matmul(factors[side].astype(a.dtype), flat), (width, *rows.shape[1:]))
        if mode == "linear_ramp":
            left = np.linspace(1.0, 0.0, width, endpoint=False).reshape((width, *(1,) * (a.ndim - 1)))
            border = border + (left if end == 0 else left[::-1]) * options["end_values"][end]
        borders.append(as_dtype(moveaxis(border, 0, axis), a.dtype))
    return _joined(a, borders[0], borders[1], axis)
