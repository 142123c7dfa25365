"""Reductions in the terms of sums and elementwise steps, which become one loop with what stands around them; and other
steps in the terms of those that have a compiled form.

For native text alone: the readable text says `np.mean(x)`, as a person does. A trace comes in, and one with the same
meaning goes out. Begin with `spell_out`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np

from tracegrad.ad.work import LARGE, bytes_of
from tracegrad.ir.trace import Atom, Const, Instr, Trace, Var
from tracegrad.ir.walk import map_control
from tracegrad.ops.arithmetic import add, divide, multiply, subtract
from tracegrad.ops.compare import equal, isfinite, where
from tracegrad.ops.contraction import einsum
from tracegrad.ops.cumulate import cumsum, cumsum_back
from tracegrad.ops.elementary import exp, hypot, log, sqrt
from tracegrad.ops.families import astype, broadcast_to, imag, real
from tracegrad.ops.fourier import along_axes, taken_as
from tracegrad.ops.index import index_set, item_shape, numbered, whole, zeros
from tracegrad.ops.linalg import dot, matmul
from tracegrad.ops.op import Op
from tracegrad.ops.reduce import max_, mean, sum_
from tracegrad.ops.shape import expand_dims, flip, reshape, transpose
from tracegrad.passes.picks import picked_first, sum_of_added
from tracegrad.passes.positions import checked_arrays
from tracegrad.passes.products import (
    contraction,
    from_behind,
    matrices,
    outer_products,
    summed_products,
    turned_product,
    turned_products,
)
from tracegrad.passes.rewrite import Heads, Made, Rule, Term, expression, rewrite
from tracegrad.passes.structure import identity_transpose, same_again

MANY = 32  # arrays beside each other that are a loop each
LONG = 400  # numbers on the diagonal of a matrix that is worth a thought


def spell_out(trace: Trace) -> Trace:
    """Write means, norms, variances, logsumexp and small products as sums, in the trace and in those it holds.

    Preserves the types of all values, and their values up to rounding.
    """
    return rewrite(map_control(trace, spell_out), _rules_for)


def _rules_for(op: Op, heads: Heads) -> tuple[Rule, ...]:
    if op.family == "elementwise" and transpose in heads:
        return (*_RULES.get(op.name, ()), _turned_later)
    return _RULES.get(op.name, ())


def _turned_later(step: Instr, made: Made, counts: Counter[Var]) -> Term | None:
    """exp(transpose(x)) -> transpose(exp(x)), so for several arrays with the same axes: loops read them as they lie"""
    inputs: list[Atom] = []
    axes = None
    for a in step.inputs:
        if a.shape:
            maker = made.get(a) if isinstance(a, Var) else None
            if maker is None or maker.op is not transpose or axes not in (None, maker.params["axes"]):
                return None
            axes, a = maker.params["axes"], maker.inputs[0]
        inputs.append(a)
    return expression(transpose, expression(step.op, *inputs, **step.params), axes=axes)


def _sum_of_turned(step: Instr, made: Made, counts: Counter[Var]) -> Term | None:
    """sum(transpose(x)) over all axes -> sum(x)"""
    x = step.inputs[0]
    maker = made.get(x) if isinstance(x, Var) else None
    if maker is None or maker.op is not transpose or len(step.params["axis"]) != len(x.shape):
        return None
    return expression(step.op, maker.inputs[0], **step.params)


def _reduction(spelled: Callable[[Any, dict[str, Any], int, Instr], Term | None]) -> tuple[Rule, ...]:
    """A rule for a reduction of real numbers to a loop: over all axes, or few elements."""

    def rule(step: Instr, made: Made, counts: Counter[Var]) -> Term | None:
        x = step.inputs[0]
        axes = {"axis": step.params["axis"], "keepdims": step.params["keepdims"]}
        if isinstance(x, Const) or x.dtype.kind != "f" or not x.shape or -1 in x.shape or not x.type.size:
            return None
        count = math.prod(x.shape[k] for k in axes["axis"])
        return spelled(x, axes, count, step)

    return (rule,)


def _mean(x: Any, axes: dict[str, Any], count: int, step: Instr) -> Term:
    return expression(divide, expression(sum_, x, **axes), Const(float(count)))


def _norm(x: Any, axes: dict[str, Any], count: int, step: Instr) -> Term:
    return expression(sqrt, expression(sum_, expression(multiply, x, x), **axes))


def _variance(x: Any, axes: dict[str, Any], count: int, step: Instr) -> Term:
    """In two passes, as NumPy takes it."""
    off = expression(subtract, x, expression(mean, x, axis=axes["axis"], keepdims=count != x.type.size))
    total = expression(sum_, expression(multiply, off, off), **axes)
    return expression(divide, total, Const(float(max(count - step.params["ddof"], 0))))


def _deviation(x: Any, axes: dict[str, Any], count: int, step: Instr) -> Term:
    return expression(sqrt, _variance(x, axes, count, step))


variance, deviation = (_reduction(spelled)[0] for spelled in (_variance, _deviation))


def _logsumexp(x: Any, axes: dict[str, Any], count: int, step: Instr) -> Term | None:
    """With the largest element taken out where it is finite, so that nothing overflows."""
    rows = count != x.type.size  # with the axes still there, to be subtracted from x
    found = expression(max_, x, axis=axes["axis"], keepdims=rows)
    largest = expression(where, expression(isfinite, found), found, Const(0.0))
    inside = expression(exp, expression(subtract, x, largest))
    total = expression(sum_, inside, axis=axes["axis"], keepdims=rows or axes["keepdims"])
    result = expression(add, expression(log, total), largest)
    return (
        expression(reshape, result, shape=tuple(step.outputs[0].shape))
        if rows and not axes["keepdims"]
        else result
    )


def _summed_from_end(step: Instr, made: Made, counts: Counter[Var]) -> Term | None:
    """flip(cumsum(flip(x))) -> cumsum_back(x), which needs no memory but its own"""
    sums = made.get(step.inputs[0]) if isinstance(step.inputs[0], Var) else None
    if sums is None or sums.op is not cumsum or step.params["axis"] != (sums.params["axis"],):
        return None
    turned = made.get(sums.inputs[0]) if isinstance(sums.inputs[0], Var) else None
    if turned is None or turned.op is not flip or turned.params["axis"] != step.params["axis"]:
        return None
    return expression(cumsum_back, turned.inputs[0], **sums.params)


def _filled(step: Instr, made: Made, counts: Counter[Var]) -> Term | None:
    """full_like(x, v) -> v in the shape of x, an array of which loops need nothing but v"""
    value: Any = step.inputs[1]
    shape, dtype = tuple(step.inputs[0].shape), step.params["dtype"]
    if not shape or -1 in shape:
        return None
    if isinstance(value, Const) and not value.shape and value.value == 0 and not _is_signed(value.value):
        return expression(zeros, shape=shape, dtype=dtype)
    if isinstance(value, Const):
        value = Const(np.asarray(value.value).astype(dtype)[()])
    elif value.dtype != dtype:
        value = expression(astype, value, dtype=dtype)
    return expression(broadcast_to, value, shape=shape)


def _on_diagonal(step: Instr, made: Made, counts: Counter[Var]) -> Term | None:
    """diag(x) of many numbers -> x where the row is the column, else 0: no matrix, where loops read it"""
    (x,), out = step.inputs, step.outputs[0]
    if step.params["k"] or -1 in x.shape or x.shape[0] < LONG or isinstance(x, Const):
        return None
    number = expression(numbered, x)
    here = expression(equal, expression(expand_dims, number, axis=(1,)), number)
    return expression(where, here, expression(expand_dims, x, axis=(1,)), Const(out.dtype.type(0)))


def _is_signed(value: Any) -> bool:
    """Whether a zero is -0.0."""
    return np.isrealobj(value) and bool(np.signbit(value))


def _everything(step: Instr, made: Made, counts: Counter[Var]) -> Term | None:
    """x[:, None] -> expand_dims(x), x[:, 0] of one column -> reshape(x): products and loops see through them"""
    if not _is_everything(step):
        return None
    x, out = step.inputs[0], step.outputs[0]
    axes = tuple(k for k, part in enumerate(whole(step.params["index"], x.type.ndim)) if part is None)
    if len(axes) + x.type.ndim == out.type.ndim:
        return expression(expand_dims, x, axis=axes)
    return expression(reshape, x, shape=tuple(out.shape))


def _to_everything(step: Instr, made: Made, counts: Counter[Var]) -> Term | None:
    """zeros with g added at [:, None] -> reshape(g); x of one column with g added at [:, 0] -> x + reshape(g), where
    x is made: a loop over rows need not end before it"""
    array, g = step.inputs[0], step.inputs[-1]
    maker = made.get(array) if isinstance(array, Var) else None
    if maker is None or not _is_everything(step) or g.dtype != array.dtype:
        return None
    repeated = made.get(g) if isinstance(g, Var) else None
    if maker.op is not zeros and repeated is not None and repeated.op is broadcast_to:
        g = repeated.inputs[0]
    if maker.op is not zeros and not g.shape:
        return expression(add, array, g)
    if tuple(g.shape) != item_shape(step):
        return None
    placed = expression(reshape, g, shape=tuple(array.shape))
    return placed if maker.op is zeros else expression(add, array, placed)


def _is_everything(step: Instr) -> bool:
    """Whether an index names all elements in their order, and does something to axes of one element."""
    index, shape = whole(step.params["index"], step.inputs[0].type.ndim), step.inputs[0].shape
    parts = [part for part in index if part is not None]
    return (
        -1 not in shape
        and any(part != slice(None) for part in index)
        and all(
            part == slice(None) or (type(part) is int and n == 1)
            for part, n in zip(parts, shape, strict=True)
        )
    )


def _length(step: Instr, made: Made, counts: Counter[Var]) -> Term | None:
    """absolute(z) of complex numbers -> hypot(real(z), imag(z)), of which loops compute several at once"""
    (z,) = step.inputs
    if z.dtype.kind != "c" or not z.shape:
        return None
    return expression(hypot, expression(real, z), expression(imag, z))


def _transformed(step: Instr, made: Made, counts: Counter[Var]) -> Term | None:
    """fft(x, axis=(0, 1)) -> fft(fft(x, axis=1), axis=0), of what is cast as NumPy casts it"""
    (x,), out, op, norm = step.inputs, step.outputs[0], step.op, step.params["norm"]
    axes = along_axes(step)
    if -1 in x.shape or op.fills(step) is not None:
        return None
    found: Term = x
    dtype = x.dtype
    for n, axis in reversed(axes):
        kinds = taken_as(op, dtype, n, norm)
        if kinds is None or (len(axes) == 1 and kinds == (x.dtype, out.dtype)):
            return None
        found = found if dtype == kinds[0] else expression(astype, found, dtype=kinds[0])
        several = isinstance(step.params["axis"], tuple)
        found = expression(op, found, n=(n,) if several else n, axis=(axis,) if several else axis, norm=norm)
        found = found if kinds[1] == out.dtype else expression(astype, found, dtype=out.dtype)
        dtype = out.dtype
    return found


def _needless_copy(step: Instr, made: Made, counts: Counter[Var]) -> Term | None:
    """copy(x @ y) -> x @ y, where nobody else reads it; so of what a loop writes, and through a change of its shape"""
    (x,) = step.inputs
    source: Any = x
    while (inner := made.get(source)) is not None and counts[source] <= 1 and -1 not in source.shape:
        of_several = inner.op is einsum and len(inner.inputs) > 1
        if of_several or inner.op in (matmul, dot, broadcast_to, cumsum_back):
            return x
        if inner.op is sum_ and inner.params["axis"]:
            return x
        if inner.op.family == "elementwise" and not inner.op.view:
            return x
        if inner.op in (transpose, real, imag) and source is x:
            return x
        if inner.op is not reshape:
            return None
        source = inner.inputs[0]
    return None


def _side_by_side(step: Instr, made: Made, counts: Counter[Var]) -> Term | None:
    """concatenate(x, y) and stack(x, y) -> zeros, with each written into its place; the first axis needs no loops, and
    what is large has its own, unless BLAS computes a part in its place"""
    axis, out, new = step.params["axis"], step.outputs[0], step.op.name == "stack"
    many = len(step.inputs) > MANY or not step.inputs[0].shape or (axis == 0 and not new)
    products = any(isinstance(x, Var) and x in made and made[x].op.family == "bilinear" for x in step.inputs)
    mixed = any(x.dtype != out.dtype for x in step.inputs)
    many = many or not (new or products or mixed or bytes_of(out.type) < LARGE)
    if many or -1 in out.shape or any(-1 in x.shape for x in step.inputs):
        return None
    found: Term = expression(zeros, shape=tuple(out.shape), dtype=out.dtype)
    start = 0
    for x in step.inputs:
        n = 1 if new else x.shape[axis]
        part = start if new else slice(start, start + n)
        if x.type.size:
            found = expression(index_set, found, x, index=(*[slice(None)] * axis, part))
        start += n
    return found


_RULES: dict[str, tuple[Rule, ...]] = {
    "mean": _reduction(_mean),
    "sum": (_sum_of_turned, sum_of_added, summed_products),
    "sum_to": (sum_of_added, summed_products),
    "reshape": (same_again,),
    "transpose": (identity_transpose, turned_products, turned_product),
    "norm": _reduction(_norm),
    "var": _reduction(_variance),
    "std": _reduction(_deviation),
    "logsumexp": _reduction(_logsumexp),
    "matmul": (matrices, from_behind),
    "dot": (matrices, from_behind),
    "outer": (outer_products,),
    "einsum": (contraction,),
    "copy": (_needless_copy,),
    "getitem": (checked_arrays, _everything, picked_first),
    "index_add": (checked_arrays, _to_everything),
    "index_set": (checked_arrays,),
    "flip": (_summed_from_end,),
    "full_like": (_filled,),
    "diag": (_on_diagonal,),
    "absolute": (_length,),
    **dict.fromkeys(("fft", "ifft", "rfft", "irfft"), (_transformed,)),
    "concatenate": (_side_by_side,),
    "stack": (_side_by_side,),
}
