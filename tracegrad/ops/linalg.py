"""Linear algebra: matmul, dot, outer, einsum; solve, inv, det, slogdet, cholesky.

A rule that works on the last two axes works on stacks of matrices too. Begin with `matmul`.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from tracegrad.ir.trace import Instr
from tracegrad.ir.types import ArrayType, broadcast_shapes, promote
from tracegrad.kernels import products as kernels
from tracegrad.ops.families import bilinear, broadcast_to, case, cast, sum_to
from tracegrad.ops.index import getitem, index_add, zeros_like
from tracegrad.ops.op import Op, call, literal
from tracegrad.ops.shape import diagonal, expand_dims, reshape, transpose, tril, triu

# --- products ---------------------------------------------------------------------------------------------------------


def _matmul_type(x: Any, y: Any) -> ArrayType:
    dtype = promote(x.dtype, y.dtype)
    if not x.shape or not y.shape or x.shape[-1] != y.shape[-2 if y.ndim > 1 else 0]:
        np.matmul(np.empty(x.shape, bool), np.empty(y.shape, bool))  # raises NumPy's own error
    if x.ndim == 1 and y.ndim == 1:
        return ArrayType((), dtype)
    lead = broadcast_shapes(x.shape[:-2], y.shape[:-2])
    return ArrayType((*lead, *x.shape[-2:-1], *(y.shape[-1:] if y.ndim > 1 else ())), dtype)


def adjoint(x: Any) -> Any:
    """The last two axes exchanged."""
    return transpose(x, axes=(*range(x.ndim - 2), x.ndim - 1, x.ndim - 2))


def _matmul_vjp(g: Any, x: Any, y: Any) -> tuple[Any, Any]:
    if x.ndim == 1 and y.ndim == 1:
        return g * y, g * x
    if x.ndim == 1 and y.ndim == 2:
        return y @ g, outer(x, g)
    if x.ndim == 2 and y.ndim == 1:
        return outer(g, y), g @ x
    left = expand_dims(x, axis=(0,)) if x.ndim == 1 else x
    right = expand_dims(y, axis=(1,)) if y.ndim == 1 else y
    if x.ndim == 1:
        g = expand_dims(g, axis=(g.ndim - 1,))
    if y.ndim == 1:
        g = expand_dims(g, axis=(g.ndim,))
    return _fitted(g @ adjoint(right), left, x), _fitted(adjoint(left) @ g, right, y)


def _fitted(bar: Any, grown: Any, x: Any) -> Any:
    """A cotangent of `grown`, which is `x` with an axis more, as one of `x`: summed over what was repeated."""
    if bar.shape != grown.shape:
        bar = sum_to(bar, shape=grown.shape)
    return reshape(bar, shape=x.shape) if bar.shape != x.shape else bar


def _native_product(instr: Instr) -> Any:
    x, y = instr.inputs
    out = instr.outputs[0]
    zero = out.dtype.type(0)
    if out.dtype.kind == "b" or not x.type.size or not y.type.size:
        return False
    if x.ndim > 2 or y.ndim > 2:
        lead = out.shape[: max(x.ndim, y.ndim) - 2]
        if min(x.ndim, y.ndim) == 1 or any(math.prod(a.shape[:-2]) not in (1, math.prod(lead)) for a in (x, y)):
            return False
        x_shape, y_shape = ((math.prod(a.shape[:-2]), *a.shape[-2:]) for a in (x, y))
        return (kernels.batched_product, x_shape, y_shape, tuple(out.shape), zero)
    steps = math.prod(x.shape) * (y.shape[1] if y.ndim == 2 else 1)
    if steps > 4096 and x.dtype == y.dtype and x.dtype.kind == "f":
        return (kernels.blas_product,)
    if x.ndim == 1:
        return (kernels.dot_vectors if y.ndim == 1 else kernels.vector_times_matrix, zero)
    return (kernels.matrix_times_vector if y.ndim == 1 else kernels.matrix_product, zero)


_SMALL = (case((3,), (3,)), case((2, 3), (3,)), case((3,), (3, 2)), case((2, 3), (3, 4)))

matmul: Op = bilinear(
    np.matmul,
    _matmul_vjp,
    result_type=_matmul_type,
    symbol="@",
    native=_native_product,
    sample=(
        *_SMALL,
        case((2, 3, 4), (2, 4, 2)),
        case((2, 3, 4), (4, 2)),
        case((3, 4), (2, 4, 2)),
        case((2, 3, 4), (4,)),
        case((4,), (2, 4, 3)),
        case((2, 1, 3, 2), (3, 2, 2)),
        case((0, 2), (2, 3)),
    ),
)

dot: Op = bilinear(
    np.dot, _matmul_vjp, result_type=_matmul_type, native=_native_product, sample=(*_SMALL, case((0,), (0,)))
)
"""`np.dot` of vectors and matrices; for more dimensions see `numpy_linalg.dot`."""

outer: Op = bilinear(
    np.outer,
    lambda g, x, y: (g @ y, x @ g),
    result_type=lambda x, y: ArrayType((*x.shape, *y.shape), promote(x.dtype, y.dtype)),
    native=lambda instr: (kernels.outer_product, instr.outputs[0].dtype.type(0)),
    sample=(case((3,), (2,)), case((1,), (2,)), case((0,), (2,))),
)
"""Of two vectors."""
