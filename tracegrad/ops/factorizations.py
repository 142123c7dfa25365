"""Factorisations of `scipy.linalg` that NumPy lacks: LU with its pivots, polar, generalised eigenvalues, band matrices.

Begin with `lu_factor`.
"""

from __future__ import annotations

import functools
import importlib
from typing import Any

import numpy as np

from tracegrad.errors import UnsupportedError
from tracegrad.ir.types import ArrayType
from tracegrad.kernels import lapack
from tracegrad.ops.compare import equal, where
from tracegrad.ops.decompositions import columns, gaps_of, on_diagonal, plus, solve_sylvester
from tracegrad.ops.families import case, cast, real_dtype
from tracegrad.ops.index import read, zeros_like
from tracegrad.ops.linalg import (
    adjoint,
    by_gradients,
    check_square,
    definite,
    float_dtype,
    halved,
    hermitian,
    native_lapack,
    on_matrix,
    regular,
    solve,
    solve_lower,
    solve_upper,
    transposed,
)
from tracegrad.ops.op import Op
from tracegrad.ops.reduce import sum_
from tracegrad.ops.shape import concatenate, diagonal, stack, tril, triu

_INTEGER = np.dtype(np.int32)


@functools.cache
def _scipy() -> Any:
    return importlib.import_module("scipy.linalg")


# --- LU ---------------------------------------------------------------------------------------------------------------


pivoted_rows: Op = Op(
    "pivoted_rows",
    lapack.rows_in_order,
    result_type=lambda pivots: ArrayType(pivots.shape, np.dtype(np.int64)),
    passes_zero=True,
    callee="lapack.rows_in_order",
    imports="from tracegrad.kernels import lapack",
    native=lambda instr: (lapack.rows_in_order,),
    sample=(case(np.array([1, 2, 2])),),
)


def _lu_type(a: Any) -> tuple[ArrayType, ArrayType]:
    check_square(a)
    return ArrayType(a.shape, float_dtype(a)), ArrayType(a.shape[:1], _INTEGER)


def _parts(lu: Any) -> tuple[Any, Any]:
    if lu.shape[0] != lu.shape[1]:
        raise UnsupportedError(
            "`scipy.linalg.lu_factor` and `lu` have a derivative of a square matrix alone.",
            None,
            "factor the square part, and solve a triangular equation for the rest",
        )
    return tril(lu, k=-1) + np.eye(lu.shape[-1], dtype=lu.dtype), triu(lu, k=0)


def _lu_vjp(g: Any, z: Any, a: Any) -> tuple[Any, ...]:
    """de Hoog, Anderssen and Lukas, Differentiation of matrix functionals using triangular factorization, 2011."""
    lu, pivots = z
    low, up = _parts(lu)
    inner = tril(transposed(low) @ tril(g[0], k=-1), k=-1) + triu(triu(g[0], k=0) @ transposed(up), k=0)
    bar = solve_upper(transposed(low), transposed(solve_upper(up, transposed(inner))))
    rows = pivoted_rows(pivots)
    return (cast(read(bar, (inverse_rows(rows),)), a.dtype),)


def inverse_rows(rows: Any) -> Any:
    from_zero = np.arange(rows.shape[0])
    places = where(equal(read(rows, (None, slice(None))), from_zero[:, None]), from_zero[None, :], 0)
    return sum_(places, axis=(1,), keepdims=False)


def _lu_jvp(tangents: Any, z: Any, a: Any) -> tuple[Any, None]:
    lu, pivots = z
    low, up = _parts(lu)
    moved = read(tangents[0], (pivoted_rows(pivots),))
    inner = solve_lower(low, transposed(solve_lower(transposed(up), transposed(moved))))
    return cast(low @ tril(inner, k=-1) + triu(inner, k=0) @ up, lu.dtype), None


lu_factor: Op = Op(
    "lu_factor",
    lambda a: tuple(_scipy().lu_factor(a)),
    result_type=_lu_type,
    vjp=_lu_vjp,
    jvp=_lu_jvp,
    callee="scipy.linalg.lu_factor",
    imports="import scipy.linalg",
    n_outputs=2,
    native=native_lapack(lapack.lu_factors, None),
    sample=(case(regular(3, 3)), case(lambda g: g.uniform(-1, 1, (3, 3)))),
)
"""Of a square matrix; the derivative is that at constant pivots."""


def qr_pivots(a: Any) -> Any:
    """The order of the columns that LAPACK chooses."""
    return _scipy().qr(a, mode="r", pivoting=True)[-1].astype(np.int64)


pivots: Op = Op(
    "qr_pivots",
    qr_pivots,
    result_type=lambda a: ArrayType(a.shape[1:], np.dtype(np.int64)),
    passes_zero=True,
    callee="factorizations.qr_pivots",
    imports="from tracegrad.ops import factorizations",
    native=False,
    sample=(case(lambda g: g.uniform(-1, 1, (4, 3))), case(lambda g: g.uniform(-1, 1, (2, 3)))),
)


# --- the polar decomposition ------------------------------------------------------------------------------------------


def polar_factor_of(a: Any) -> tuple[Any, Any]:
    """The first factor of `scipy.linalg.polar`, and how much of full rank the second lacks, up to rounding."""
    w, s, vh = np.linalg.svd(np.asarray(a, float_dtype(a)), full_matrices=False)
    least = s.max(-1, initial=0.0) * s.shape[-1] * np.finfo(s.dtype).eps
    return w @ vh, np.sum(s <= least[..., None], axis=-1, dtype=_INTEGER)


def _polar_slope(z: Any, a: Any, change: Any) -> Any:
    """How the first factor u of a = u p changes with a: what is linear in `change`, and its own adjoint.

    u* u_dot is skew and solves K p + p K = u* a_dot - a_dot* u, as p is Hermitian; beside u's columns u_dot p = a_dot.
    """
    u, missing = z
    p, is_regular = adjoint(u) @ a, on_matrix(equal(missing, 0))
    p = where(is_regular, p, np.eye(p.shape[-1], dtype=p.dtype))  # something to solve with in any case
    inner = adjoint(u) @ change
    found = u @ solve_sylvester(p, p, inner - adjoint(inner))
    if a.shape[-2] > a.shape[-1]:
        found = found + transposed(solve(transposed(p), transposed(change - u @ inner)))
    return found * where(is_regular, 1.0, np.nan)


def _polar_vjp(g: Any, z: Any, a: Any) -> tuple[Any, ...]:
    return (cast(_polar_slope(z, a, g[0]), a.dtype),)


def _polar_jvp(tangents: Any, z: Any, a: Any) -> tuple[Any, None]:
    return cast(_polar_slope(z, a, tangents[0]), z[0].dtype), None


polar_factor: Op = Op(
    "polar_factor",
    polar_factor_of,
    result_type=lambda a: (ArrayType(a.shape, float_dtype(a)), ArrayType(a.shape[:-2], _INTEGER)),
    vjp=by_gradients(_polar_vjp),
    jvp=_polar_jvp,
    callee="factorizations.polar_factor_of",
    imports="from tracegrad.ops import factorizations",
    n_outputs=2,
    edge="NaN at matrices whose columns depend on each other",
    native=False,
    sample=(case(regular(3, 3)), case((4, 2)), case(np.eye(3))),
)
"""Of a matrix with at least as many rows as columns; through equations with the second factor rather than singular
vectors, whose derivative is not there where values coincide."""


# --- generalised eigenvalues ------------------------------------------------------------------------------------------


def _eigh_type(a: Any, b: Any, lower: bool) -> tuple[ArrayType, ArrayType]:
    check_square(a)
    dtype = float_dtype(a, b)
    return ArrayType(a.shape[:1], real_dtype(dtype)), ArrayType(a.shape, dtype)


@by_gradients
def _eigh_vjp(g: Any, z: Any, a: Any, b: Any, lower: bool) -> tuple[Any, ...]:
    w, v = z
    a_inner = b_inner = None
    if g[0] is not None:
        a_inner, b_inner = on_diagonal(g[0]), -on_diagonal(g[0] * w)
    if g[1] is not None:
        turn = adjoint(v) @ g[1]
        moved = gaps_of(w) * turn
        a_inner = plus(a_inner, moved)
        b_inner = plus(b_inner, -(moved * columns(w)) - 0.5 * on_diagonal(diagonal(turn, k=0)))
    return tuple(
        cast(_read_triangle(v @ inner @ adjoint(v), lower), x.dtype)
        for inner, x in ((a_inner, a), (b_inner, b))
    )


def _read_triangle(full: Any, lower: bool) -> Any:
    part = halved(full + adjoint(full))
    return part if lower else adjoint(part)


def _eigh_jvp(tangents: Any, z: Any, a: Any, b: Any, lower: bool) -> tuple[Any, Any]:
    w, v = z
    of_a, of_b = (t if t is None or lower else adjoint(t) for t in tangents)
    change, turn = None, None
    if of_a is not None:
        change = adjoint(v) @ hermitian(of_a) @ v
    if of_b is not None:
        of_b = adjoint(v) @ hermitian(of_b) @ v
        change = plus(change, -(of_b * columns(w)))
        turn = -0.5 * on_diagonal(diagonal(of_b, k=0))
    w_dot = diagonal(change, k=0)
    inner = gaps_of(w) * change
    return cast(w_dot, w.dtype), cast(v @ (inner if turn is None else inner + turn), v.dtype)


generalised_eigh: Op = Op(
    "generalised_eigh",
    lambda a, b, lower: tuple(_scipy().eigh(a, b, lower=lower)),
    result_type=_eigh_type,
    vjp=_eigh_vjp,
    jvp=_eigh_jvp,
    callee="scipy.linalg.eigh",
    imports="import scipy.linalg",
    n_outputs=2,
    native=False,
    sample=(
        case(definite(3, 3), definite(3, 3), lower=True),
        case(definite(3, 3), definite(3, 3), lower=False),
    ),
)
"""a v = b v w with v.T b v = 1, of one triangle each."""


# --- band matrices ----------------------------------------------------------------------------------------------------


def _moved(x: Any, offset: int) -> Any:
    """`x[j + offset]` for each j along the first axis; 0 where there is none."""
    n = x.shape[0]
    if not offset:
        return x
    gap = zeros_like(read(x, (slice(0, abs(offset)),)))
    if offset > 0:
        return concatenate(read(x, (slice(offset, n),)), gap, axis=0)
    return concatenate(gap, read(x, (slice(0, max(n + offset, 0)),)), axis=0)


def transposed_band(ab: Any, low: int, up: int) -> Any:
    """The diagonals of the transposed matrix."""
    return stack(*(_moved(read(ab, (low + up - k,)), k - low) for k in range(low + up + 1)), axis=0)


def band_product(ab: Any, x: Any, low: int, up: int) -> Any:
    """The matrix times a vector or a matrix."""
    total = None
    for k in range(low + up + 1):
        factors = read(ab, (k,) if x.ndim == 1 else (k, slice(None), None))
        total = plus(total, _moved(factors * x, up - k))
    return total


def _band_vjp(g: Any, z: Any, ab: Any, b: Any, low: int, up: int) -> tuple[Any, ...]:
    bar = solve_banded(transposed_band(ab, low, up), g, low=up, up=low)
    products = stack(*(-(_moved(bar, k - up) * z) for k in range(low + up + 1)), axis=0)
    if z.ndim > 1:
        products = sum_(products, axis=(2,), keepdims=False)
    return cast(products, ab.dtype), cast(bar, b.dtype)


def _band_jvp(tangents: Any, z: Any, ab: Any, b: Any, low: int, up: int) -> Any:
    right = tangents[1]
    if tangents[0] is not None:
        right = plus(right, -band_product(tangents[0], z, low, up))
    return cast(solve_banded(ab, right, low=low, up=up), z.dtype)


def _band_sample(low: int, up: int, n: int) -> Any:
    def draw(generator: np.random.Generator) -> Any:
        ab = generator.uniform(-1, 1, (low + up + 1, n))
        ab[up] += 4
        return ab

    return draw


def solved_band(ab: Any, b: Any, low: int, up: int) -> Any:
    """`scipy.linalg.solve_banded` under the names of the op's parameters."""
    return _scipy().solve_banded((low, up), ab, b)


solve_banded: Op = Op(
    "solve_banded",
    solved_band,
    result_type=lambda ab, b, low, up: ArrayType(b.shape, float_dtype(ab, b)),
    vjp=_band_vjp,
    jvp=_band_jvp,
    callee="factorizations.solved_band",
    imports="from tracegrad.ops import factorizations",
    native=False,
    sample=(
        case(_band_sample(1, 1, 4), (4,), low=1, up=1),
        case(_band_sample(2, 1, 4), (4, 2), low=2, up=1),
        case(_band_sample(0, 2, 4), (4,), low=0, up=2),
    ),
)


def dense_band(ab: Any, low: int, up: int) -> Any:
    """A band matrix written out."""
    n = ab.shape[1]
    row, column = np.indices((n, n))
    k = row - column + up
    inside = (k >= 0) & (k < low + up + 1)
    return where(inside, read(ab, (np.clip(k, 0, low + up), column)), 0.0)
