"""Changes of shape: reshape, transpose, concatenate, stack, flip, roll, tile, repeat, pad, triangles and diagonals.

These ops take static parameters in one form: axes are non-negative, shapes complete. The functions of `numpy_shape.py`
bring NumPy's many forms to these. Begin with `reshape`.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from tracegrad.ir.trace import Instr
from tracegrad.ir.types import ArrayType, promote
from tracegrad.kernels import shapes as kernels
from tracegrad.ops.families import case, cast, linear, sum_to
from tracegrad.ops.index import Slot, getitem, index_add, zeros_like
from tracegrad.ops.op import Op, call, literal, read_only
from tracegrad.ops.strides import memory_blocks, memory_steps, memory_walk


def _with_shape(x: Any, shape: tuple[int, ...]) -> ArrayType:
    length = -1 if -1 in x.shape else math.prod(x.shape) // (-math.prod(shape) or 1)  # where `shape` has -1
    return ArrayType(tuple(length if n == -1 else n for n in shape), x.dtype)


# --- the same elements in another shape -------------------------------------------------------------------------------


def _emit_reshape(inputs: Sequence[ast.expr], instr: Instr) -> ast.expr:
    shape = instr.params["shape"]
    if len(shape) == 1 and instr.inputs[0].ndim > 1:
        return call("np.ravel", inputs[0])
    return call("np.reshape", inputs[0], literal(tuple(shape)))


def _native_reshape(instr: Instr) -> Any:
    shape = tuple(instr.params["shape"])
    if instr.inputs[0].ndim == 0:
        return (kernels.filled, shape) if shape else (kernels.same,)
    return (kernels.reshaped, shape) if shape else (kernels.only_item,)


reshape: Op = linear(
    lambda x, shape: np.reshape(x, shape),
    transpose=lambda g, x, shape: None if 0 in x.shape else reshape(g, shape=x.shape),  # not 0 * -1
    result_type=_with_shape,
    name="reshape",
    emit=_emit_reshape,
    native=_native_reshape,
    view=lambda x, part, shape: reshape(part, shape=x.shape),
    sample=(
        case((2, 6), shape=(3, 4)),
        case((2, 3), shape=(6,)),
        case((), shape=(1, 1)),
        case((1,), shape=()),
        case((0, 3), shape=(3, 0)),
    ),
)


def _expanded(x: Any, axis: tuple[int, ...]) -> ArrayType:
    ndim = x.ndim + len(axis)
    lengths = iter(x.shape)
    return ArrayType(tuple(1 if k in axis else next(lengths) for k in range(ndim)), x.dtype)


def _emit_expand(inputs: Sequence[ast.expr], instr: Instr) -> ast.expr:
    axis = instr.params["axis"]
    if instr.inputs[0].ndim == 0:
        return call("np.reshape", inputs[0], literal((1,) * len(axis)))
    parts: list[Any] = [None if k in axis else slice(None) for k in range(instr.outputs[0].ndim)]
    while parts and parts[-1] == slice(None) and None in parts[:-1]:
        parts.pop()
    index = literal(tuple(parts)) if len(parts) > 1 else literal(parts[0])
    return ast.Subscript(value=inputs[0], slice=index, ctx=ast.Load())


expand_dims: Op = linear(
    lambda x, axis: np.expand_dims(x, axis),
    transpose=lambda g, x, axis: reshape(g, shape=x.shape),
    result_type=_expanded,
    name="expand_dims",
    emit=_emit_expand,
    native=lambda instr: (
        (kernels.filled if instr.inputs[0].ndim == 0 else kernels.reshaped, tuple(instr.outputs[0].shape))
    ),
    view=lambda x, part, axis: reshape(part, shape=x.shape),
    sample=(case((3,), axis=(0,)), case((3, 2), axis=(1,)), case((3, 2), axis=(0, 3)), case((), axis=(0, 1))),
)


def _emit_transpose(inputs: Sequence[ast.expr], instr: Instr) -> ast.expr:
    axes = instr.params["axes"]
    if axes == (1, 0):
        return ast.Attribute(value=inputs[0], attr="T", ctx=ast.Load())
    if tuple(axes) == tuple(range(len(axes)))[::-1]:
        return call("np.transpose", inputs[0])
    return call("np.transpose", inputs[0], literal(tuple(axes)))


def _native_transpose(instr: Instr) -> Any:
    x, axes = instr.inputs[0], instr.params["axes"]
    if axes == (1, 0):
        return (kernels.transposed_matrix,)
    out, steps = instr.outputs[0], memory_steps(x.shape)
    return memory_walk(x, out.shape, tuple(steps[k] for k in axes), out) if axes else (kernels.same,)


def _transposed(x: Any, axes: tuple[int, ...]) -> ArrayType:
    return ArrayType(tuple(x.shape[k] for k in axes), x.dtype)


def _transposed_back(g: Any, axes: tuple[int, ...]) -> Any:
    return transpose(g, axes=tuple(axes.index(k) for k in range(len(axes))))


transpose: Op = linear(
    np.transpose,
    transpose=lambda g, x, axes: _transposed_back(g, axes),
    result_type=_transposed,
    emit=_emit_transpose,
    native=_native_transpose,
    view=lambda x, part, axes: _transposed_back(part, axes),
    sample=(
        case((2, 3), axes=(1, 0)),
        case((2, 3, 4), axes=(2, 0, 1)),
        case((2, 3, 4), axes=(2, 1, 0)),
        case((2, 3, 2, 2), axes=(1, 3, 0, 2)),
        case((0, 2), axes=(1, 0)),
        case((), axes=()),
    ),
)

copy: Op = linear(
    lambda x: np.array(x, order="C")[()],
    transpose=lambda g, x: g,
    result_type=lambda x: ArrayType(x.shape, x.dtype),
    name="copy",
    emit=lambda inputs, instr: (
        ast.Call(func=ast.Attribute(value=inputs[0], attr="copy", ctx=ast.Load()), args=[], keywords=[])
        if instr.inputs[0].shape
        else inputs[0]
    ),
    sample=(case((2, 3)), case(())),
)
"""The same values in memory of their own."""


def _emit_flip(inputs: Sequence[ast.expr], instr: Instr) -> ast.expr:
    axis = instr.params["axis"]
    parts = tuple(slice(None, None, -1) if k in axis else slice(None) for k in range(max(axis) + 1))
    return ast.Subscript(
        value=inputs[0], slice=literal(parts if len(parts) > 1 else parts[0]), ctx=ast.Load()
    )


flip: Op = linear(
    np.flip,
    transpose=lambda g, x, axis: flip(g, axis=axis),
    result_type=lambda x, axis: ArrayType(x.shape, x.dtype),
    emit=_emit_flip,
    view=lambda x, part, axis: flip(part, axis=axis),
    sample=(
        case((4,), axis=(0,)),
        case((2, 3), axis=(1,)),
        case((2, 3), axis=(0, 1)),
        case((0, 3), axis=(0,)),
    ),
)


# --- putting together -------------------------------------------------------------------------------------------------


def _concatenated(*arrays: Any, axis: int) -> ArrayType:
    first = arrays[0].shape
    for array in arrays[1:]:
        other = array.shape
        if (*other[:axis], *other[axis + 1 :]) != (*first[:axis], *first[axis + 1 :]):
            raise ValueError(
                f"concatenate along axis {axis} needs shapes that agree elsewhere: {first} and {other}"
            )
    length = sum(array.shape[axis] for array in arrays)
    return ArrayType((*first[:axis], length, *first[axis + 1 :]), promote(*(a.dtype for a in arrays)))


def _concatenate_vjp(g: Any, z: Any, *arrays: Any, axis: int) -> tuple[Any, ...]:
    found, start = [], 0
    for array in arrays:
        stop = start + array.shape[axis]
        part = getitem(g, index=(*(slice(None),) * axis, slice(start, stop)))
        found.append(cast(part, array.dtype) if array.dtype.kind in "fc" else None)
        start = stop
    return tuple(found)


def _filled_in(tangents: Sequence[Any], arrays: Sequence[Any]) -> list[Any]:
    return [zeros_like(x) if t is None else t for t, x in zip(tangents, arrays, strict=True)]


def _concatenate_jvp(tangents: Any, z: Any, *arrays: Any, axis: int) -> Any:
    return cast(concatenate(*_filled_in(tangents, arrays), axis=axis), z.dtype)


concatenate: Op = Op(
    "concatenate",
    lambda *arrays, axis: np.concatenate(arrays, axis=axis),
    result_type=_concatenated,
    vjp=_concatenate_vjp,
    jvp=_concatenate_jvp,
    emit=lambda inputs, instr: call(
        "np.concatenate",
        ast.Tuple(elts=list(inputs), ctx=ast.Load()),
        **({"axis": instr.params["axis"]} if instr.params["axis"] else {}),
    ),
    sample=(
        case((2,), (3,), axis=0),
        case((2, 3), (2, 1), (2, 2), axis=1),
        case((2, 2), (3, 2), axis=0),
        case((0, 2), (1, 2), axis=0),
    ),
)


def _stacked(*arrays: Any, axis: int) -> ArrayType:
    first = arrays[0].shape
    for array in arrays[1:]:
        if array.shape != first:
            raise ValueError(f"stack needs arrays of one shape, not {first} and {array.shape}")
    return ArrayType((*first[:axis], len(arrays), *first[axis:]), promote(*(a.dtype for a in arrays)))


def _stack_vjp(g: Any, z: Any, *arrays: Any, axis: int) -> tuple[Any, ...]:
    return tuple(
        cast(getitem(g, index=(*(slice(None),) * axis, k)), array.dtype) if array.dtype.kind in "fc" else None
        for k, array in enumerate(arrays)
    )


def _stack_jvp(tangents: Any, z: Any, *arrays: Any, axis: int) -> Any:
    return cast(stack(*_filled_in(tangents, arrays), axis=axis), z.dtype)


def _emit_stack(inputs: Sequence[ast.expr], instr: Instr) -> ast.expr:
    if not instr.inputs[0].shape:
        return call("np.array", ast.List(elts=list(inputs), ctx=ast.Load()))
    axis = instr.params["axis"]
    return call("np.stack", ast.Tuple(elts=list(inputs), ctx=ast.Load()), **({"axis": axis} if axis else {}))


stack: Op = Op(
    "stack",
    lambda *arrays, axis: np.stack(arrays, axis=axis),
    result_type=_stacked,
    vjp=_stack_vjp,
    jvp=_stack_jvp,
    emit=_emit_stack,
    sample=(
        case((), (), (), axis=0),
        case((3,), (3,), axis=0),
        case((3,), (3,), axis=1),
        case((2, 3), (2, 3), (2, 3), axis=1),
        case((0,), (0,), axis=1),
    ),
)


# --- repeating, moving, filling around --------------------------------------------------------------------------------


def _untile(g: Any, x: Any, reps: tuple[int, ...]) -> Any:
    lengths = (*(1,) * (len(reps) - x.ndim), *x.shape)
    pairs = tuple(n for pair in zip(reps, lengths, strict=True) for n in pair)
    single = tuple(n for length in lengths for n in (1, length))
    return reshape(sum_to(reshape(g, shape=pairs), shape=single), shape=x.shape)


def _native_tile(instr: Instr) -> Any:
    x, out, reps = instr.inputs[0], instr.outputs[0], instr.params["reps"]
    if not x.ndim:
        return kernels.filled, tuple(out.shape)
    lengths = (*(1,) * (len(reps) - x.ndim), *x.shape)
    sizes = [n for pair in zip(reps, lengths, strict=True) for n in pair]
    steps = [n for step in memory_steps(lengths) for n in (0, step)]
    return memory_walk(x, sizes, steps, out)


tile: Op = linear(
    np.tile,
    transpose=_untile,
    result_type=lambda x, reps: ArrayType(
        tuple(n * r for n, r in zip((*(1,) * (len(reps) - x.ndim), *x.shape), reps, strict=True)), x.dtype
    ),
    emit=lambda inputs, instr: call(
        "np.tile",
        inputs[0],
        literal(instr.params["reps"] if len(instr.params["reps"]) > 1 else instr.params["reps"][0]),
    ),
    native=_native_tile,
    sample=(
        case((3,), reps=(2,)),
        case((2, 3), reps=(2, 2)),
        case((3,), reps=(2, 2)),
        case((), reps=(3,)),
        case((2, 2, 3), reps=(2, 3, 2)),
    ),
)
"""Copies side by side; `reps` has an entry for each axis of the result."""


def _unrepeat(g: Any, x: Any, repeats: int, axis: int) -> Any:
    before, after = x.shape[: axis + 1], x.shape[axis + 1 :]
    return reshape(
        sum_to(reshape(g, shape=(*before, repeats, *after)), shape=(*before, 1, *after)), shape=x.shape
    )


def _native_repeat(instr: Instr) -> Any:
    x, out = instr.inputs[0], instr.outputs[0]
    rows, length, width = memory_blocks(x.shape, instr.params["axis"])
    sizes = rows, length, instr.params["repeats"], width
    return memory_walk(x, sizes, (length * width, width, 0, 1), out)


repeat: Op = linear(
    np.repeat,
    transpose=_unrepeat,
    result_type=lambda x, repeats, axis: ArrayType(
        (*x.shape[:axis], x.shape[axis] * repeats, *x.shape[axis + 1 :]), x.dtype
    ),
    emit=lambda inputs, instr: call(
        "np.repeat",
        inputs[0],
        literal(instr.params["repeats"]),
        **({"axis": instr.params["axis"]} if instr.inputs[0].ndim > 1 else {}),
    ),
    native=_native_repeat,
    sample=(case((3,), repeats=2, axis=0), case((2, 3), repeats=3, axis=1), case((2, 3), repeats=2, axis=0)),
)

roll: Op = linear(
    np.roll,
    transpose=lambda g, x, shift, axis: roll(g, shift=-shift, axis=axis),
    result_type=lambda x, shift, axis: ArrayType(x.shape, x.dtype),
    emit=lambda inputs, instr: call(
        "np.roll",
        inputs[0],
        literal(instr.params["shift"]),
        **({"axis": instr.params["axis"]} if instr.inputs[0].ndim > 1 else {}),
    ),
    native=lambda instr: (
        kernels.rolled,
        instr.params["shift"],
        *memory_blocks(instr.inputs[0].shape, instr.params["axis"]),
        tuple(instr.outputs[0].shape),
    ),
    sample=(
        case((4,), shift=1, axis=0),
        case((2, 3), shift=-2, axis=1),
        case((3, 2), shift=7, axis=0),
        case((2, 3, 2), shift=-1, axis=1),
    ),
)


def _padded(x: Any, widths: tuple[tuple[int, int], ...], value: Any) -> ArrayType:
    return ArrayType(
        tuple(before + n + after for n, (before, after) in zip(x.shape, widths, strict=True)), x.dtype
    )


def _pad_vjp(g: Any, z: Any, x: Any, widths: Any, value: Any) -> tuple[Any, ...]:
    inner = tuple(slice(before, before + n) for n, (before, _) in zip(x.shape, widths, strict=True))
    return (getitem(g, index=inner),)


def _emit_pad(inputs: Sequence[ast.expr], instr: Instr) -> ast.expr:
    value = instr.params["value"]
    return call(
        "np.pad", inputs[0], literal(instr.params["widths"]), **({"constant_values": value} if value else {})
    )


def _native_pad(instr: Instr) -> Any:
    """Axes with nothing around them are one with the axis before."""
    x, out = instr.inputs[0], instr.outputs[0]
    axes: list[tuple[int, int, int]] = []
    for n, (before, _), around in zip(x.shape, instr.params["widths"], out.shape, strict=True):
        if axes and n == around:
            length, start, whole = axes[-1]
            axes[-1] = length * n, start * n, whole * n
        else:
            axes.append((n, before, around))
    value = out.dtype.type(instr.params["value"])
    return kernels.padded, *zip(*axes, strict=True), tuple(out.shape), value


pad: Op = Op(
    "pad",
    lambda x, widths, value: np.pad(x, widths, constant_values=value),
    result_type=_padded,
    vjp=_pad_vjp,
    jvp=lambda tangents, z, x, widths, value: pad(tangents[0], widths=widths, value=0),
    emit=_emit_pad,
    native=_native_pad,
    sample=(
        case((3,), widths=((1, 2),), value=0),
        case((2, 3), widths=((0, 1), (2, 0)), value=1.5),
        case((0, 2), widths=((1, 1), (0, 0)), value=0),
        case((2, 3, 2), widths=((1, 0), (0, 2), (0, 0)), value=0),
        case((2, 1, 2, 2), widths=((1, 1), (0, 1), (0, 0), (2, 1)), value=-1),
    ),
)
"""An array with a constant around it; `widths` has (before, after) for each axis."""


# --- triangles and diagonals ------------------------------------------------------------------------------------------


def _triangle(function: Any, kernel: Any) -> Op:
    def native(instr: Instr) -> Any:
        shape = tuple(instr.inputs[0].shape)
        return kernel, instr.params["k"], math.prod(shape[:-2]), *shape[-2:], shape

    def emit(inputs: Sequence[ast.expr], instr: Instr) -> ast.expr:
        return call(
            f"np.{function.__name__}", inputs[0], **({"k": instr.params["k"]} if instr.params["k"] else {})
        )

    op = linear(
        function,
        transpose=lambda g, x, k: op(g, k=k),
        result_type=lambda x, k: ArrayType(x.shape, x.dtype),
        emit=emit,
        native=native,
        sample=(case((3, 3), k=0), case((2, 4), k=1), case((4, 2), k=-1), case((2, 3, 3), k=0)),
    )
    return op


tril: Op = _triangle(np.tril, kernels.lower_triangle)
triu: Op = _triangle(np.triu, kernels.upper_triangle)


def diagonal_length(rows: int, columns: int, k: int) -> int:
    """How many elements diagonal `k` of a matrix has."""
    return max(0, min(rows + min(k, 0), columns - max(k, 0)))


def diagonal_transpose(g: Any, x: Any, k: int) -> Any:
    """Zeros in the shape of `x` with `g` on diagonal `k` of the last two axes."""
    rows, columns = x.shape[-2:]
    if x.ndim == 2 and rows == columns:
        return diag(g, k=k)
    steps = np.arange(diagonal_length(rows, columns, k))
    index = (*(slice(None),) * (x.ndim - 2), Slot(0), Slot(1))
    return index_add(zeros_like(x), steps + max(-k, 0), steps + max(k, 0), g, index=index)


def _emit_diagonal(inputs: Sequence[ast.expr], instr: Instr) -> ast.expr:
    k = {"offset": instr.params["k"]} if instr.params["k"] else {}
    last = {"axis1": -2, "axis2": -1} if instr.inputs[0].ndim > 2 else {}
    return call("np.diagonal", inputs[0], **k, **last)


def _native_diagonal(instr: Instr) -> Any:
    x, out, k = instr.inputs[0], instr.outputs[0], instr.params["k"]
    steps, columns = memory_steps(x.shape), x.shape[-1]
    return memory_walk(x, out.shape, (*steps[:-2], columns + 1), out, max(k, 0) + max(-k, 0) * columns)


diagonal: Op = linear(
    lambda x, k: np.diagonal(x, k, -2, -1),
    transpose=diagonal_transpose,
    result_type=lambda x, k: ArrayType(
        (*x.shape[:-2], diagonal_length(x.shape[-2], x.shape[-1], k)), x.dtype
    ),
    name="diagonal",
    emit=_emit_diagonal,
    native=_native_diagonal,
    view=read_only,
    sample=(case((3, 3), k=0), case((3, 3), k=-1), case((2, 4), k=1), case((2, 3, 4), k=0)),
)
"""Diagonal `k` of the last two axes."""

diag: Op = linear(
    np.diag,
    transpose=lambda g, x, k: diagonal(g, k=k),
    result_type=lambda x, k: ArrayType((x.shape[0] + abs(k),) * 2, x.dtype),
    emit=lambda inputs, instr: call(
        "np.diag", inputs[0], **({"k": instr.params["k"]} if instr.params["k"] else {})
    ),
    native=lambda instr: (kernels.on_diagonal, instr.params["k"], tuple(instr.outputs[0].shape)),
    sample=(case((3,), k=0), case((2,), k=1), case((2,), k=-2)),
)
"""A square matrix with a vector on diagonal `k`."""
