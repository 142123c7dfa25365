"""Reductions: sum, mean, product, extremes, variance, norm; arg-extremes, any and all.

`axis` is a sorted tuple of non-negative axes, `keepdims` a bool; the functions of `numpy_reduce.py` bring NumPy's
forms to these. Ties of max and min share the derivative equally; the norm has derivative 0 at 0. Begin with
`reduction_type`.
"""

from __future__ import annotations

import ast
import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tracegrad.ir.trace import Instr
from tracegrad.ir.types import ArrayType
from tracegrad.kernels import reductions as kernels
from tracegrad.kernels.shapes import same
from tracegrad.ops.compare import equal, where
from tracegrad.ops.elementary import exp
from tracegrad.ops.families import broadcast_to, case, cast, conj, linear
from tracegrad.ops.index import getitem
from tracegrad.ops.op import Op, call
from tracegrad.ops.shape import concatenate, expand_dims, reshape, transpose
from tracegrad.ops.strides import memory_cut

Axes = tuple[int, ...]


# --- what all reductions share ----------------------------------------------------------------------------------------


def reduced_shape(shape: tuple[int, ...], axis: Axes, keepdims: bool) -> tuple[int, ...]:
    """The shape that is left."""
    if keepdims:
        return tuple(1 if k in axis else n for k, n in enumerate(shape))
    return tuple(n for k, n in enumerate(shape) if k not in axis)


@functools.lru_cache(maxsize=256)
def dtype_after(function: Callable[..., Any], dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The dtype that a NumPy reduction makes of an array of this dtype."""
    return np.asarray(function(np.ones(1, dtype))).dtype


def reduction_type(function: Callable[..., Any]) -> Callable[..., ArrayType]:
    """A `result_type` for a reduction whose dtype is that of `function` on one element."""

    def result_type(x: Any, axis: Axes, keepdims: bool = False, **params: Any) -> ArrayType:
        return ArrayType(reduced_shape(x.shape, axis, keepdims), dtype_after(function, x.dtype))

    return result_type


def spread(g: Any, x: Any, axis: Axes, keepdims: bool) -> Any:
    """A reduced value with its axes back as axes of length one, where broadcasting would not put them there itself."""
    if keepdims or not g.shape or axis == tuple(range(len(axis))):
        return g
    return expand_dims(g, axis=axis)


def emit_reduction(callee: str) -> Callable[[Sequence[ast.expr], Instr], ast.expr]:
    """`callee(x, axis=0, keepdims=True, ...)`, with what is the default left out."""

    def emit(inputs: Sequence[ast.expr], instr: Instr) -> ast.expr:
        keywords = dict(instr.params)
        axis, ndim = keywords.pop("axis"), instr.inputs[0].ndim
        if len(axis) != ndim or callee.endswith(".reduce"):
            keywords = {"axis": axis[0] if len(axis) == 1 else axis, **keywords}
        return call(callee, inputs[0], **{k: v for k, v in keywords.items() if k == "axis" or v})

    return emit


def row_order(ndim: int, axis: Axes) -> tuple[int, ...]:
    """The order of axes with the reduced ones last."""
    return (*(k for k in range(ndim) if k not in axis), *axis)


def native_reduction(
    all_kernel: Any,
    rows_kernel: Any,
    start: float | None = None,
    extra: Sequence[str] = (),
    scalar: Any = False,
    real_only: bool = False,
) -> Callable[[Instr], Any]:
    """A `native` that picks the kernel for full or partial reduction; `start` is given to it in the result's dtype.

    Where `real_only`, complex numbers stay NumPy's: the kernel compares, or squares without a conjugate.
    """

    def native(instr: Instr) -> Any:
        x, out, axis = instr.inputs[0], instr.outputs[0], instr.params["axis"]
        if real_only and x.dtype.kind == "c":
            return False
        if x.ndim == 0:
            return (scalar,) if scalar and x.dtype == out.dtype else False
        if not x.type.size:
            return False
        static = tuple(instr.params[name] for name in extra)
        if start is not None:
            static += (out.dtype.type(start),)
        if not out.shape:
            return (all_kernel, *static)
        if all_kernel is kernels.sum_all and axis == tuple(range(len(axis))):
            columns = math.prod(x.shape[k] for k in axis)
            return (kernels.sum_columns, columns, x.type.size // columns, tuple(out.shape), *static)
        cut = memory_cut(x.shape, axis)
        return (rows_kernel, cut, tuple(out.shape), *static) if cut else False

    return native


def _cases(*shape: int) -> tuple[Any, ...]:
    return (
        case((3,), axis=(0,), keepdims=False),
        case((2, 3), axis=(0, 1), keepdims=False),
        case((2, 3), axis=(0,), keepdims=False),
        case((2, 3), axis=(1,), keepdims=False),
        case((2, 3), axis=(1,), keepdims=True),
        case((2, 3, 4), axis=(0, 2), keepdims=False),
        case((2, 3, 4), axis=(1,), keepdims=True),
    )


_SMALL = _cases()
_SCALAR = case((), axis=(), keepdims=False)
_EMPTY = (case((0, 3), axis=(0,), keepdims=False), case((0,), axis=(0,), keepdims=False))


def _count(x: Any, axis: Axes) -> int:
    return math.prod(x.shape[k] for k in axis)


# --- sum, mean, product -----------------------------------------------------------------------------------------------

sum_: Op = linear(
    np.sum,
    transpose=lambda g, x, axis, keepdims: broadcast_to(spread(g, x, axis, keepdims), shape=x.shape),
    result_type=reduction_type(np.sum),
    emit=emit_reduction("np.sum"),
    native=native_reduction(kernels.sum_all, kernels.sum_rows, 0, scalar=same),
    sample=(*_SMALL, _SCALAR, *_EMPTY),
)

mean: Op = linear(
    np.mean,
    transpose=lambda g, x, axis, keepdims: broadcast_to(
        spread(g / _count(x, axis), x, axis, keepdims), shape=x.shape
    ),
    result_type=reduction_type(np.mean),
    emit=emit_reduction("np.mean"),
    native=native_reduction(kernels.mean_all, kernels.mean_rows, 0, scalar=same),
    sample=(*_SMALL, _SCALAR),
)


def _halves(x: Any, at: int, stop: int | None = None) -> tuple[Any, Any]:
    return getitem(x, index=(Ellipsis, slice(None, at))), getitem(x, index=(Ellipsis, slice(at, stop)))


def products_of_others(x: Any) -> Any:
    """For each element the product of all others along the last axis, zeros or not.

    Pairs are multiplied, the products of the other pairs found the same way, and handed down: no division, so it is
    right at zeros, and so are its derivatives.
    """
    n = x.shape[-1]
    if n < 2:
        return x * 0 + 1
    half = n // 2
    left, rest = _halves(x, half)
    right, odd = _halves(rest, half)
    if n == 2:
        return concatenate(right, left, axis=x.ndim - 1)
    if n % 2 == 0:
        others = products_of_others(left * right)
        return concatenate(others * right, others * left, axis=x.ndim - 1)
    others, of_odd = _halves(products_of_others(concatenate(left * right, odd, axis=x.ndim - 1)), half)
    return concatenate(others * right, others * left, of_odd, axis=x.ndim - 1)


def _prod_partial(x: Any, axis: Axes) -> Any:
    """∂ prod(x) / ∂x, in the shape of x."""
    if _count(x, axis) == 1:
        return x * 0 + 1
    order = row_order(x.ndim, axis)
    moved = tuple(x.shape[k] for k in order)
    rows = x if order == tuple(range(x.ndim)) else transpose(x, axes=order)
    if len(axis) != 1:
        rows = reshape(rows, shape=(*moved[: x.ndim - len(axis)], _count(x, axis)))
    found = products_of_others(rows)
    if len(axis) != 1:
        found = reshape(found, shape=moved)
    back = tuple(order.index(k) for k in range(x.ndim))
    return found if order == tuple(range(x.ndim)) else transpose(found, axes=back)


def _prod_vjp(g: Any, z: Any, x: Any, axis: Axes, keepdims: bool) -> tuple[Any, ...]:
    return (cast(spread(g, x, axis, keepdims) * _prod_partial(x, axis), x.dtype),)


def _prod_jvp(tangents: Any, z: Any, x: Any, axis: Axes, keepdims: bool) -> Any:
    return cast(sum_(tangents[0] * _prod_partial(x, axis), axis=axis, keepdims=keepdims), z.dtype)


prod: Op = Op(
    "prod",
    np.prod,
    result_type=reduction_type(np.prod),
    vjp=_prod_vjp,
    jvp=_prod_jvp,
    emit=emit_reduction("np.prod"),
    native=native_reduction(kernels.prod_all, kernels.prod_rows, 1, scalar=same),
    sample=(
        *_SMALL,
        _SCALAR,
        *_EMPTY,
        case(np.array([1.5, 0.0, 2.0]), axis=(0,), keepdims=False),
        case(np.array([0.0, 3.0, 0.0, 2.0]), axis=(0,), keepdims=False),
    ),
)


# --- extremes ---------------------------------------------------------------------------------------------------------


def _shares(x: Any, z: Any, axis: Axes, keepdims: bool) -> tuple[Any, Any]:
    """Which elements are the extreme, and how many they are."""
    mask = equal(x, spread(z, x, axis, keepdims))
    count = sum_(mask, axis=axis, keepdims=keepdims)
    return mask, count if z.dtype == np.float64 else cast(count, z.dtype)


def nonzero(z: Any) -> Any:
    """`z` with 1 in place of 0, to divide what is 0 there by."""
    return where(equal(z, 0), 1.0, z)


def _extreme(function: Callable[..., Any], all_kernel: Any, rows_kernel: Any) -> Op:
    def vjp(g: Any, z: Any, x: Any, axis: Axes, keepdims: bool) -> tuple[Any, ...]:
        if not axis:
            return (g,)
        mask, count = _shares(x, z, axis, keepdims)
        return (cast(where(mask, spread(g / count, x, axis, keepdims), 0.0), x.dtype),)

    def jvp(tangents: Any, z: Any, x: Any, axis: Axes, keepdims: bool) -> Any:
        if not axis:
            return tangents[0]
        mask, count = _shares(x, z, axis, keepdims)
        total = sum_(where(mask, tangents[0], 0.0), axis=axis, keepdims=keepdims)
        return cast(total / nonzero(count), z.dtype)  # beside NaN nothing is the extreme

    return Op(
        function.__name__.removeprefix("a"),
        function,
        result_type=reduction_type(function),
        vjp=vjp,
        jvp=jvp,
        emit=emit_reduction(f"np.{function.__name__.removeprefix('a')}"),
        edge="shared equally by all that are the extreme",
        native=native_reduction(all_kernel, rows_kernel, scalar=same, real_only=True),
        sample=(*_SMALL, _SCALAR),
    )


max_: Op = _extreme(np.max, kernels.max_all, kernels.max_rows)
min_: Op = _extreme(np.min, kernels.min_all, kernels.min_rows)


# --- variance, norm, logsumexp ----------------------------------------------------------------------------------------


def _deviation(x: Any, axis: Axes) -> Any:
    return x - spread(mean(x, axis=axis, keepdims=False), x, axis, False)


def _left(x: Any, axis: Axes, ddof: float) -> float:
    """What the sum of squares is divided by: the number of items less `ddof`, and never below 0, as NumPy has it."""
    return max(_count(x, axis) - ddof, 0)


def _twice_over(left: float) -> float:
    return 2 / left if left else math.inf


def _var_vjp(g: Any, z: Any, x: Any, axis: Axes, keepdims: bool, ddof: float) -> tuple[Any, ...]:
    scaled = g * _twice_over(_left(x, axis, ddof))
    return (cast(spread(scaled, x, axis, keepdims) * conj(_deviation(x, axis)), x.dtype),)


def _var_jvp(tangents: Any, z: Any, x: Any, axis: Axes, keepdims: bool, ddof: float) -> Any:
    total = sum_(conj(_deviation(x, axis)) * tangents[0], axis=axis, keepdims=keepdims)
    return cast(total * _twice_over(_left(x, axis, ddof)), z.dtype)


_DDOF = tuple(
    case(*c.inputs, **c.params, ddof=ddof) for c, ddof in zip(_SMALL, (0, 1, 0, 1, 0, 1, 0), strict=True)
)

var: Op = Op(
    "var",
    np.var,
    result_type=reduction_type(np.var),
    vjp=_var_vjp,
    jvp=_var_jvp,
    emit=emit_reduction("np.var"),
    native=native_reduction(kernels.var_all, kernels.var_rows, 0, extra=("ddof",), real_only=True),
    sample=_DDOF,
)


def _std_vjp(g: Any, z: Any, x: Any, axis: Axes, keepdims: bool, ddof: float) -> tuple[Any, ...]:
    scaled = g / (nonzero(z) * _left(x, axis, ddof))
    return (cast(spread(scaled, x, axis, keepdims) * conj(_deviation(x, axis)), x.dtype),)


def _std_jvp(tangents: Any, z: Any, x: Any, axis: Axes, keepdims: bool, ddof: float) -> Any:
    total = sum_(conj(_deviation(x, axis)) * tangents[0], axis=axis, keepdims=keepdims)
    return cast(total / (nonzero(z) * _left(x, axis, ddof)), z.dtype)


std: Op = Op(
    "std",
    np.std,
    result_type=reduction_type(np.std),
    vjp=_std_vjp,
    jvp=_std_jvp,
    emit=emit_reduction("np.std"),
    edge="0 where all are equal",
    native=native_reduction(kernels.std_all, kernels.std_rows, 0, extra=("ddof",), real_only=True),
    sample=_DDOF,
)


def _evaluate_norm(x: Any, axis: Axes, keepdims: bool) -> Any:
    if len(axis) == np.ndim(x) and not keepdims:
        return np.linalg.norm(x)
    if len(axis) <= 2 and axis:
        return np.linalg.norm(x, axis=axis if len(axis) > 1 else axis[0], keepdims=keepdims)
    return np.sqrt(np.sum(np.square(np.abs(x)), axis=axis, keepdims=keepdims))


def _emit_norm(inputs: Sequence[ast.expr], instr: Instr) -> ast.expr:
    axis, keepdims = instr.params["axis"], instr.params["keepdims"]
    if (len(axis) == instr.inputs[0].ndim and not keepdims) or (axis and len(axis) <= 2):
        return emit_reduction("np.linalg.norm")(inputs, instr)
    size = call("np.abs", inputs[0]) if instr.inputs[0].dtype.kind == "c" else inputs[0]
    return call("np.sqrt", call("np.sum", call("np.square", size), axis=axis, keepdims=keepdims))


def _norm_vjp(g: Any, z: Any, x: Any, axis: Axes, keepdims: bool) -> tuple[Any, ...]:
    return (cast(spread(g / nonzero(z), x, axis, keepdims) * conj(x), x.dtype),)


def _norm_jvp(tangents: Any, z: Any, x: Any, axis: Axes, keepdims: bool) -> Any:
    return cast(sum_(conj(x) * tangents[0], axis=axis, keepdims=keepdims) / nonzero(z), z.dtype)


norm: Op = Op(
    "norm",
    _evaluate_norm,
    result_type=reduction_type(np.linalg.norm),
    vjp=_norm_vjp,
    jvp=_norm_jvp,
    emit=_emit_norm,
    edge="0 at 0",
    native=native_reduction(
        kernels.norm_all, kernels.norm_rows, 0, scalar=kernels.norm_of_number, real_only=True
    ),
    sample=(
        *_SMALL,
        case((2, 2, 2), axis=(0, 1, 2), keepdims=False),
        case((2, 2, 2), axis=(0, 1, 2), keepdims=True),
    ),
)
"""The root of the sum of squares over some axes: the norm of a vector, the Frobenius norm of a matrix."""


def _logsumexp_vjp(g: Any, z: Any, x: Any, axis: Axes, keepdims: bool) -> tuple[Any, ...]:
    weights = exp(x - spread(z, x, axis, keepdims))
    return (cast(spread(g, x, axis, keepdims) * weights, x.dtype),)


def _logsumexp_jvp(tangents: Any, z: Any, x: Any, axis: Axes, keepdims: bool) -> Any:
    weights = exp(x - spread(z, x, axis, keepdims))
    return cast(sum_(weights * tangents[0], axis=axis, keepdims=keepdims), z.dtype)


logsumexp: Op = Op(
    "logsumexp",
    lambda x, axis, keepdims: np.logaddexp.reduce(x, axis=axis, keepdims=keepdims),
    result_type=reduction_type(np.logaddexp.reduce),
    vjp=_logsumexp_vjp,
    jvp=_logsumexp_jvp,
    emit=emit_reduction("np.logaddexp.reduce"),
    native=native_reduction(kernels.logsumexp_all, kernels.logsumexp_rows, 0, scalar=same),
    sample=_SMALL,
)


# --- without derivative -----------------------------------------------------------------------------------------------


def _flag(function: Callable[..., Any], all_kernel: Any, rows_kernel: Any) -> Op:
    return Op(
        function.__name__,
        function,
        result_type=reduction_type(function),
        passes_zero=True,
        emit=emit_reduction(f"np.{function.__name__}"),
        native=native_reduction(all_kernel, rows_kernel, scalar=same),
        sample=_SMALL,
    )


any_: Op = _flag(np.any, kernels.any_all, kernels.any_rows)
all_: Op = _flag(np.all, kernels.all_all, kernels.all_rows)


def _arg_extreme(function: Callable[..., Any], all_kernel: Any, rows_kernel: Any) -> Op:
    return Op(
        function.__name__,
        lambda x, axis, keepdims: function(x, axis=axis[0] if len(axis) == 1 else None, keepdims=keepdims),
        result_type=reduction_type(function),
        passes_zero=True,
        emit=emit_reduction(f"np.{function.__name__}"),
        native=native_reduction(all_kernel, rows_kernel, real_only=True),
        sample=tuple(c for c in _SMALL if len(c.params["axis"]) in (1, len(c.inputs[0]))),
    )


argmax: Op = _arg_extreme(np.argmax, kernels.argmax_all, kernels.argmax_rows)
argmin: Op = _arg_extreme(np.argmin, kernels.argmin_all, kernels.argmin_rows)
"""`axis` is one axis, or all of them: then the index is that of the flat array."""
