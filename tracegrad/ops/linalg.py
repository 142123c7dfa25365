"""Linear algebra: matmul, dot, solve, cholesky, einsum and their kind."""

from __future__ import annotations

from typing import Any

import numpy as np

from tracegrad.ir.types import ArrayType, broadcast_shapes, promote
from tracegrad.ops.families import bilinear, sum_to
from tracegrad.ops.op import Op


def _matmul_type(x: Any, y: Any) -> ArrayType:
    dtype = promote(x.dtype, y.dtype)
    if x.ndim == 1 and y.ndim == 1:
        return ArrayType((), dtype)
    lead = broadcast_shapes(x.shape[:-2], y.shape[:-2])
    return ArrayType((*lead, *x.shape[-2:-1], *(y.shape[-1:] if y.ndim > 1 else ())), dtype)


def _matmul_vjp(g: Any, x: Any, y: Any) -> tuple[Any, Any]:
    raise NotImplementedError


matmul: Op = bilinear(np.matmul, _matmul_vjp, result_type=_matmul_type, symbol="@")
