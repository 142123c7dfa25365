"""The determinant and its derivatives, which exist at singular matrices too.

The derivative of det(x) towards y is trace(adjugate(x) y), and the adjugate is a polynomial of the items of x. Where x
is regular it is det(x) inv(x); where it is singular it is found from singular values, as products of all but one
(Magnus and Neudecker, Matrix Differential Calculus, 3rd ed., Wiley 2019, chapter 8). Begin with `det`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tracegrad.ir.types import ArrayType
from tracegrad.kernels import decompositions, lapack, stacks
from tracegrad.ops.families import case, cast
from tracegrad.ops.linalg import (
    check_square,
    float_dtype,
    inv,
    native_lapack,
    on_matrix,
    regular,
    scalar_type,
    trace_of_product,
    transposed,
)
from tracegrad.ops.op import Op

_IMPORTS = "from tracegrad.ops import determinants"


def _adjugate_type(x: Any, *change: Any) -> ArrayType:
    check_square(x)
    return ArrayType(x.shape, float_dtype(x))


def adjugate_of(x: Any) -> Any:
    """`det(x) * inv(x)`, and its limit where x is singular; stacks too."""
    x = np.asarray(x, float_dtype(x))
    det = np.linalg.det(x)
    if np.all(det != 0):
        return det[..., None, None] * np.linalg.inv(x)
    return _of_each(decompositions.adjugate, x)


def adjugate_change_of(x: Any, change: Any) -> Any:
    """The derivative of the adjugate of x towards `change`."""
    x = np.asarray(x, float_dtype(x))
    return _of_each(decompositions.adjugate_change, x, np.asarray(change, x.dtype))


def _of_each(kernel: Callable[..., Any], *stacks: Any) -> Any:
    """A function of matrices, of each in these stacks."""
    if stacks[0].ndim == 2:
        return kernel(*stacks)
    if not stacks[0].size:
        return np.zeros_like(stacks[0])
    return np.stack([_of_each(kernel, *part) for part in zip(*stacks, strict=True)])


def _second_change(x: Any, left: Any, right: Any) -> Any:
    """The second derivative of the adjugate towards both changes; from four rows on, of a regular matrix.

    Of three rows the adjugate is x x - trace(x) x + (trace(x)**2 - trace(x x)) / 2, by Cayley and Hamilton, of fewer
    rows it is linear.
    """
    n = x.shape[-1]
    one = np.eye(n, dtype=x.dtype)
    if n < 3:
        return 0.0 * left * right
    if n == 3:
        of_left, of_right, of_both = (
            on_matrix(trace_of_product(*pair)) for pair in ((one, left), (one, right), (left, right))
        )
        crossed = left @ right + right @ left
        return crossed - of_left * right - of_right * left + (of_left * of_right - of_both) * one
    back = inv(x)
    a, b = back @ left, back @ right
    traces = [on_matrix(trace_of_product(*pair)) for pair in ((back, left), (back, right), (a, b))]
    inner = traces[1] * (traces[0] * one - a) - traces[2] * one + a @ b + b @ a - traces[0] * b
    return on_matrix(det(x)) * inner @ back


def _change_vjp(g: Any, z: Any, x: Any, change: Any) -> tuple[Any, ...]:
    g = transposed(g)
    of_x = transposed(_second_change(x, change, g))
    return cast(of_x, x.dtype), cast(transposed(adjugate_change(x, g)), change.dtype)


def _change_jvp(tangents: Any, z: Any, x: Any, change: Any) -> Any:
    of_x = None if tangents[0] is None else _second_change(x, change, tangents[0])
    if tangents[1] is None:
        return cast(of_x, z.dtype)
    of_change = adjugate_change(x, tangents[1])
    return cast(of_change if of_x is None else of_x + of_change, z.dtype)


adjugate_change: Op = Op(
    "adjugate_change",
    adjugate_change_of,
    result_type=_adjugate_type,
    vjp=_change_vjp,
    jvp=_change_jvp,
    callee="determinants.adjugate_change_of",
    imports=_IMPORTS,
    native=native_lapack(decompositions.adjugate_change, None),
    sample=(case(regular(3, 3), (3, 3)), case(regular(2, 2, 2), (2, 2, 2))),
)
"""The derivative of the adjugate; its own, the third of a determinant, needs a regular matrix from four rows on."""

adjugate: Op = Op(
    "adjugate",
    adjugate_of,
    result_type=_adjugate_type,
    vjp=lambda g, z, x: (cast(transposed(adjugate_change(x, transposed(g))), x.dtype),),
    jvp=lambda tangents, z, x: cast(adjugate_change(x, tangents[0]), z.dtype),
    callee="determinants.adjugate_of",
    imports=_IMPORTS,
    native=native_lapack(decompositions.adjugate, stacks.adjugates),
    sample=(case(regular(3, 3)), case(regular(2, 2, 2))),
)

det: Op = Op(
    "det",
    np.linalg.det,
    result_type=scalar_type,
    vjp=lambda g, z, x: (cast(on_matrix(g) * transposed(adjugate(x)), x.dtype),),
    jvp=lambda tangents, z, x: cast(trace_of_product(adjugate(x), tangents[0]), z.dtype),
    callee="np.linalg.det",
    native=native_lapack(lapack.determinant, stacks.determinants_of),
    sample=(case(regular(3, 3)), case(regular(2, 2, 2))),
)
"""At singular matrices of more than three rows NumPy refuses the third derivative; all others are there."""
