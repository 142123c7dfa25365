"""Factors of a matrix that are found once, and what is computed of them: steps that native text alone has.

They stand for `solve`, `inv`, `slogdet`, `det` and `adjugate` after derivatives were taken, where two or more of these
read one matrix, for triangular solutions, and for `pinv` where its singular vectors are known. Begin with `factors`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tracegrad.ir.types import ArrayType
from tracegrad.kernels import decompositions, lapack, stacks
from tracegrad.ops.families import case
from tracegrad.ops.linalg import scalar_type, shapes_in_stacks, slogdet_type, solve_type
from tracegrad.ops.op import Op

_MATRIX = np.array([[0.5, 2.0, -1.0], [3.0, 1.0, 0.25], [-0.5, 1.5, 2.0]])
_MATRICES = np.stack([_MATRIX, _MATRIX.T])
_FACTORS, _FACTORS_OF = lapack.factors(_MATRIX), stacks.factors_of(_MATRICES)


def _declared(name: str, one: Any, many: Any, result_type: Callable[..., Any], **rest: Any) -> Op:
    """A step of one matrix, or of a stack of them, which has shapes to be told where it meets another."""

    def kernel(inputs: Sequence[Any], params: Mapping[str, Any]) -> tuple[Any, ...]:
        given: tuple[Any, ...] = tuple(int(p) if isinstance(p, bool) else p for p in params.values())
        if all(x.ndim <= 2 for x in inputs):
            return (one, *given)
        if params:
            matrix, b = inputs[0], inputs[-1]
            given += (*shapes_in_stacks(matrix, b), tuple(solve_type(matrix, b).shape))
        return (many, *given)

    def evaluate(*inputs: Any, **params: Any) -> Any:
        if any(map(np.iscomplexobj, inputs)):
            raise TypeError(f"{name} is of real matrices alone")
        function, *given = kernel(inputs, params)
        return function(*inputs, *given)

    return Op(
        name,
        evaluate,
        result_type=result_type,
        why="stands for a step of which the derivative was taken.",
        callee=f"factored.{name}",
        imports="from tracegrad.ops import factored",
        native=lambda instr: kernel(instr.inputs, instr.params),
        **rest,
    )


def _of_factors(x: Any) -> tuple[ArrayType, ArrayType]:
    pivots = (*x.shape[:-2], x.shape[-1] + 1)
    return ArrayType(x.shape, x.dtype), ArrayType(pivots, np.dtype(np.int32))


factors: Op = _declared(
    "factors",
    lapack.factors,
    stacks.factors_of,
    _of_factors,
    n_outputs=2,
    sample=(case(_MATRIX), case(_MATRICES)),
)
"""The triangular factors, transposed, and the pivots, then 0 where the matrix is regular."""

solution_by_factors: Op = _declared(
    "solution_by_factors",
    lapack.solution_by_factors,
    stacks.solutions_by_factors,
    lambda turned, pivots, b, across: solve_type(turned, b),
    sample=(
        case(*_FACTORS, (3,), across=False),
        case(*_FACTORS, (3,), across=True),
        case(*_FACTORS, (3, 2), across=False),
        case(*_FACTORS, (3, 2), across=True),
        case(*_FACTORS, (2, 3, 2), across=True),
        case(*_FACTORS_OF, (3,), across=False),
        case(*_FACTORS_OF, (2, 3, 2), across=True),
    ),
)
"""Of the matrix, or `across`: of the transposed one."""

solution_by_triangle: Op = _declared(
    "solution_by_triangle",
    lapack.solution_by_triangle,
    stacks.solutions_by_triangles,
    lambda a, b, is_lower, across: solve_type(a, b),
    sample=(
        case(_MATRIX, (3,), is_lower=True, across=False),
        case(_MATRIX, (3,), is_lower=True, across=True),
        case(_MATRIX, (3, 2), is_lower=False, across=False),
        case(_MATRIX, (3, 2), is_lower=False, across=True),
        case(_MATRICES, (3,), is_lower=True, across=True),
        case(_MATRICES, (2, 3, 2), is_lower=False, across=True),
    ),
)
"""Of one triangle of a matrix, or `across`: of that transposed."""

inverse_by_factors: Op = _declared(
    "inverse_by_factors",
    lapack.inverse_by_factors,
    stacks.inverses_by_factors,
    lambda turned, pivots: ArrayType(turned.shape, turned.dtype),
    sample=(case(*_FACTORS), case(*_FACTORS_OF)),
)

det_by_factors: Op = _declared(
    "det_by_factors",
    lapack.determinant_by_factors,
    stacks.determinants_by_factors,
    lambda turned, pivots: scalar_type(turned),
    sample=(case(*_FACTORS), case(*_FACTORS_OF)),
)

slogdet_by_factors: Op = _declared(
    "slogdet_by_factors",
    lapack.log_determinant_by_factors,
    stacks.log_determinants_by_factors,
    lambda turned, pivots: slogdet_type(turned),
    n_outputs=2,
    sample=(case(*_FACTORS), case(*_FACTORS_OF)),
)

adjugate_by_factors: Op = _declared(
    "adjugate_by_factors",
    decompositions.adjugate_by_factors,
    stacks.adjugates_by_factors,
    lambda turned, pivots, x: ArrayType(x.shape, x.dtype),
    sample=(case(*_FACTORS, _MATRIX), case(*_FACTORS_OF, _MATRICES)),
)

pinv_by_vectors: Op = _declared(
    "pinv_by_vectors",
    decompositions.pseudoinverse_by_vectors,
    None,
    lambda u, sizes, vh, rcond: ArrayType((vh.shape[1], u.shape[0]), u.dtype),
    sample=(
        case(*np.linalg.svd(_MATRIX), rcond=1e-15),
        case(*np.linalg.svd(_MATRIX[:, :2], False), rcond=1e-15),
        case(*np.linalg.svd(_MATRIX[:2], False), rcond=0.5),
    ),
)
"""Of one matrix; stacks have no compiled form."""
