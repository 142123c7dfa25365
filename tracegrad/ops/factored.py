"""Factors of a matrix that are found once, and what is computed of them: steps that native text alone has.

They stand for `solve`, `inv`, `slogdet`, `det` and `adjugate` after derivatives were taken, where two or more of these
read one matrix. Begin with `factors`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tracegrad.ir.types import ArrayType
from tracegrad.kernels import decompositions, lapack
from tracegrad.ops.families import case
from tracegrad.ops.linalg import scalar_type, slogdet_type, solve_type
from tracegrad.ops.op import Op

_MATRIX = np.array([[0.5, 2.0, -1.0], [3.0, 1.0, 0.25], [-0.5, 1.5, 2.0]])
_FACTORS = lapack.factors(_MATRIX)


def _declared(name: str, kernel: Any, result_type: Callable[..., Any], **rest: Any) -> Op:
    def evaluate(*inputs: Any, **params: Any) -> Any:
        if any(map(np.iscomplexobj, inputs)):
            raise TypeError(f"{name} is of real matrices alone")
        return kernel(*inputs, *params.values())

    return Op(
        name,
        evaluate,
        result_type=result_type,
        why="stands for a step of which the derivative was taken.",
        callee=f"factored.{name}",
        imports="from tracegrad.ops import factored",
        native=lambda instr: (kernel, *map(int, instr.params.values())),
        **rest,
    )


factors: Op = _declared(
    "factors",
    lapack.factors,
    lambda x: (ArrayType(x.shape, x.dtype), ArrayType((x.shape[0] + 1,), np.dtype(np.int32))),
    n_outputs=2,
    sample=(case(_MATRIX),),
)
"""The triangular factors, transposed, and the pivots, then 0 where the matrix is regular."""

solution_by_factors: Op = _declared(
    "solution_by_factors",
    lapack.solution_by_factors,
    lambda turned, pivots, b, across: solve_type(turned, b),
    sample=(
        case(*_FACTORS, (3,), across=False),
        case(*_FACTORS, (3,), across=True),
        case(*_FACTORS, (3, 2), across=False),
        case(*_FACTORS, (3, 2), across=True),
    ),
)
"""Of the matrix, or `across`: of the transposed one."""

inverse_by_factors: Op = _declared(
    "inverse_by_factors",
    lapack.inverse_by_factors,
    lambda turned, pivots: ArrayType(turned.shape, turned.dtype),
    sample=(case(*_FACTORS),),
)

det_by_factors: Op = _declared(
    "det_by_factors",
    lapack.determinant_by_factors,
    lambda turned, pivots: scalar_type(turned),
    sample=(case(*_FACTORS),),
)

slogdet_by_factors: Op = _declared(
    "slogdet_by_factors",
    lapack.log_determinant_by_factors,
    lambda turned, pivots: slogdet_type(turned),
    n_outputs=2,
    sample=(case(*_FACTORS),),
)

adjugate_by_factors: Op = _declared(
    "adjugate_by_factors",
    decompositions.adjugate_by_factors,
    lambda turned, pivots, x: ArrayType(x.shape, x.dtype),
    sample=(case(*_FACTORS, _MATRIX),),
)
