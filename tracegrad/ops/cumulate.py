"""Along an axis without losing it: running sums and products, the order that sorts, where numbers fall among sorted
ones, convolution.

`axis` is one non-negative axis. Begin with `cumsum`.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tracegrad.ir.trace import Instr
from tracegrad.ir.types import ArrayType, promote
from tracegrad.kernels import reductions as kernels
from tracegrad.kernels import sorting, vectors
from tracegrad.ops.families import bilinear, case, cast, linear
from tracegrad.ops.op import Op, call, literal
from tracegrad.ops.recurrences import recurrence, shifted
from tracegrad.ops.reduce import dtype_after
from tracegrad.ops.shape import flip
from tracegrad.ops.strides import memory_blocks


def _cumulative_type(function: Callable[..., Any]) -> Callable[..., ArrayType]:
    return lambda x, axis: ArrayType(x.shape, dtype_after(function, x.dtype))


def _native_cumulative(kernel: Any, *static: Any) -> Callable[[Instr], Any]:
    """The kernel, and what it is told after the shape; a float is a number of the dtype of the result."""

    def native(instr: Instr) -> Any:
        number = instr.outputs[0].dtype.type
        blocks = memory_blocks(instr.inputs[0].shape, instr.params["axis"])
        return kernel, *blocks, *(number(s) if type(s) is float else s for s in static)

    return native


def _emit_cumulative(callee: str) -> Callable[[Sequence[ast.expr], Instr], ast.expr]:
    return lambda inputs, instr: call(
        callee, inputs[0], **({"axis": instr.params["axis"]} if instr.inputs[0].ndim > 1 else {})
    )


def _emit_from_end(inputs: Sequence[ast.expr], instr: Instr) -> ast.expr:
    axis = literal(instr.params["axis"])
    return call("np.flip", call("np.cumsum", call("np.flip", inputs[0], axis), axis), axis)


_ALONG = (case((4,), axis=0), case((2, 3), axis=0), case((2, 3), axis=1), case((0, 2), axis=0))

cumsum: Op = linear(
    np.cumsum,
    transpose=lambda g, x, axis: flip(cumsum(flip(g, axis=(axis,)), axis=axis), axis=(axis,)),
    result_type=_cumulative_type(np.cumsum),
    emit=_emit_cumulative("np.cumsum"),
    native=_native_cumulative(kernels.cumsum_blocks, False, 0.0),
    sample=_ALONG,
)


cumsum_back: Op = linear(
    lambda x, axis: np.flip(np.cumsum(np.flip(x, axis), axis=axis), axis),
    transpose=lambda g, x, axis: cumsum(g, axis=axis),
    name="cumsum_back",
    result_type=_cumulative_type(np.cumsum),
    emit=_emit_from_end,
    native=_native_cumulative(kernels.cumsum_blocks, True, 0.0),
    sample=_ALONG,
)
"""Running sums from the end on, of native text: array text turns an array around before and after `cumsum`."""


def _cumprod_vjp(g: Any, z: Any, x: Any, axis: int) -> tuple[Any, ...]:
    """x_k stands in all products from z_k on, each of them z_{k-1} times what follows."""
    summed = recurrence(cast(x, z.dtype), g, axis=axis, backwards=True)
    return (cast(shifted(z, axis, 1) * summed, x.dtype),)


def _cumprod_jvp(tangents: Any, z: Any, x: Any, axis: int) -> Any:
    term = shifted(z, axis, 1) * tangents[0]
    return cast(recurrence(cast(x, z.dtype), term, axis=axis, backwards=False), z.dtype)


cumprod: Op = Op(
    "cumprod",
    np.cumprod,
    result_type=_cumulative_type(np.cumprod),
    vjp=_cumprod_vjp,
    jvp=_cumprod_jvp,
    emit=_emit_cumulative("np.cumprod"),
    native=_native_cumulative(kernels.cumprod_blocks, 1.0),
    sample=(
        case((4,), axis=0),
        case((2, 3), axis=0),
        case((2, 3), axis=1),
        case(np.array([2.0, 0.0, 3.0, 0.0]), axis=0),
    ),
)


def _running_op(name: str, ufunc: np.ufunc, kernel: Any) -> Op:
    return Op(
        name,
        lambda x, axis: ufunc.accumulate(x, axis=axis),
        result_type=lambda x, axis: ArrayType(x.shape, x.dtype),
        passes_zero=True,
        emit=_emit_cumulative(f"np.{ufunc.__name__}.accumulate"),
        native=_native_cumulative(kernel),
        sample=_ALONG,
    )


running_max: Op = _running_op("running_max", np.maximum, kernels.cummax_blocks)
running_min: Op = _running_op("running_min", np.minimum, kernels.cummin_blocks)
"""Running extremes as they stand in comparisons: `ops/numpy_ufuncs.py` reads what carries the derivative."""


MOST_SORTED = 2**31 - 1  # places of 32 bits


def _native_argsort(instr: Instr) -> Any:
    x = instr.inputs[0]
    if x.dtype.kind == "c":
        return False
    blocks = memory_blocks(x.shape, instr.params["axis"])
    if blocks[1] > MOST_SORTED:
        return False
    if x.dtype.kind in "iu" and x.dtype.itemsize == 8:
        return sorting.argsort_integers, *blocks, 0 if x.dtype.kind == "i" else -(2**63)
    return sorting.argsort_floats if x.dtype == np.float64 else sorting.argsort_blocks, *blocks


argsort: Op = Op(
    "argsort",
    lambda x, axis: np.argsort(x, axis=axis, kind="stable"),
    result_type=lambda x, axis: ArrayType(x.shape, np.dtype(np.int64)),
    passes_zero=True,
    emit=lambda inputs, instr: call(
        "np.argsort",
        inputs[0],
        **({"axis": instr.params["axis"]} if instr.params["axis"] != instr.inputs[0].ndim - 1 else {}),
        kind="stable",
    ),
    native=_native_argsort,
    sample=_ALONG,
)
"""Stable, so that ties come out the same in every tier."""


def _native_search(instr: Instr) -> Any:
    (row, numbers), right = instr.inputs, instr.params["side"] == "right"
    if -1 in (*row.shape, *numbers.shape) or any(x.dtype.kind not in "fiu" for x in instr.inputs):
        return False
    return vectors.place_in, right


searchsorted: Op = Op(
    "searchsorted",
    np.searchsorted,
    result_type=lambda a, v, side: ArrayType(v.shape, np.dtype(np.int64)),
    passes_zero=True,
    emit=lambda inputs, instr: call(
        "np.searchsorted", *inputs, **({"side": "right"} if instr.params["side"] == "right" else {})
    ),
    native=_native_search,
    sample=(
        case(np.array([0.1, 0.5, 0.9]), (4,), side="left"),
        case(np.array([0.1, 0.5, 0.9]), (2, 3), side="right"),
        case(np.array([0.1, 0.5, 0.9]), (), side="left"),
    ),
)
"""Where numbers `v` belong among the sorted numbers `a`."""


def _convolved_type(x: Any, y: Any, mode: str) -> ArrayType:
    n, m = x.shape[0], y.shape[0]
    return ArrayType((n + m - 1 if mode == "full" else n - m + 1,), promote(x.dtype, y.dtype))


def _convolve_vjp(g: Any, x: Any, y: Any, mode: str) -> tuple[Any, Any]:
    """Each cotangent is a convolution with the other input turned around."""
    if mode == "full":
        return _valid(g, flip(y, axis=(0,))), _valid(g, flip(x, axis=(0,)))
    return (
        convolve(g, flip(y, axis=(0,)), mode="full"),
        flip(_valid(x, flip(g, axis=(0,))), axis=(0,)),
    )


def _valid(long: Any, short: Any) -> Any:
    return convolve(long, short, mode="valid")


FEW = 16  # elements of a result, each of which is then an inner product
SHORT = 256  # products of elements that are two loops and nothing else


def _native_convolve(instr: Instr) -> Any:
    out, (x, y) = instr.outputs[0], instr.inputs
    if out.dtype.kind != "f" or -1 in (*x.shape, *y.shape):
        return False
    count, zero = out.shape[0], out.dtype.type(0)
    full = instr.params["mode"] == "full"
    if min(x.shape[0], count) * y.shape[0] <= SHORT:
        return (vectors.convolved_in_full, zero) if full else (vectors.convolved_inside, zero)
    if full:
        shorter = x.shape[0] < y.shape[0]
        return vectors.convolved_by_longer if shorter else vectors.convolved, 0, zero
    if count < FEW:
        return vectors.convolved_at_few, y.shape[0] - 1, zero
    return vectors.convolved, y.shape[0] - 1, zero


convolve: Op = bilinear(
    np.convolve,
    _convolve_vjp,
    result_type=_convolved_type,
    native=_native_convolve,
    sample=(
        case((4,), (3,), mode="full"),
        case((2,), (4,), mode="full"),
        case((4,), (2,), mode="valid"),
        case((7,), (20,), mode="full"),
        case((30,), (9,), mode="valid"),
        case((3,), (3,), mode="valid"),
        case((40,), (7,), mode="full"),
        case((7,), (40,), mode="full"),
        case((50,), (7,), mode="valid"),
        case((40,), (30,), mode="valid"),
    ),
)
"""Of two vectors, neither empty; with `mode="valid"` the first is the longer one."""


def _part(x: Any, y: Any, start: int, count: int) -> Any:
    return np.convolve(np.pad(x, _around(x.shape[0], y.shape[0], start, count)), y, mode="valid")


def _around(n: int, m: int, start: int, count: int) -> tuple[int, int]:
    """How many zeros before and behind x make this part the one where y lies inside of x."""
    return m - 1 - start, start + count - n


def _part_vjp(g: Any, x: Any, y: Any, start: int, count: int) -> tuple[Any, Any]:
    """z[i] = sum of x[i + start - j] * y[j]: each cotangent is a part of a convolution with the other input, turned."""
    n, m = x.shape[0], y.shape[0]
    return (
        convolve_part(g, flip(y, axis=(0,)), start=m - 1 - start, count=n),
        convolve_part(g, flip(x, axis=(0,)), start=n - 1 - start, count=m),
    )


def _emit_part(inputs: Sequence[ast.expr], instr: Instr) -> ast.expr:
    (x, y), (n, m) = inputs, (a.shape[0] for a in instr.inputs)
    if n >= m and instr.params == {"start": (m - 1) // 2, "count": n}:
        return call("np.convolve", x, y, mode="same")
    padded = call("np.pad", x, literal(_around(n, m, **instr.params)))
    return call("np.convolve", padded, y, mode="valid")


def _native_part(instr: Instr) -> Any:
    out, (x, y) = instr.outputs[0], instr.inputs
    if out.dtype.kind != "f":
        return False
    given = instr.params["start"], out.dtype.type(0)
    if min(x.shape[0], out.shape[0]) * y.shape[0] <= SHORT:
        return vectors.convolved_between, *given
    if x.shape[0] < y.shape[0]:
        return vectors.convolved_by_longer, *given
    return (vectors.convolved_at_few if out.shape[0] < FEW else vectors.convolved), *given


convolve_part: Op = bilinear(
    _part,
    _part_vjp,
    name="convolve_part",
    result_type=lambda x, y, start, count: ArrayType((count,), promote(x.dtype, y.dtype)),
    emit=_emit_part,
    native=_native_part,
    sample=(
        case((5,), (3,), start=1, count=5),
        case((4,), (4,), start=1, count=4),
        case((40,), (8,), start=3, count=40),
        case((40,), (8,), start=4, count=41),
        case((8,), (40,), start=3, count=40),
        case((40,), (38,), start=36, count=6),
        case((50,), (49,), start=10, count=41),
    ),
)
"""`np.convolve(x, y)[start : start + count]`, where each element of x and y takes part in the first or last of these,
or between."""
