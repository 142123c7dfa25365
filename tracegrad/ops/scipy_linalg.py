"""Functions of `scipy.linalg` under its signatures.

A function that reads one triangle of a symmetric matrix has its derivative with respect to that triangle. Begin with
`solve`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tracegrad.errors import UnsupportedError
from tracegrad.ir.types import promote
from tracegrad.ops import decompositions, eigen, factorizations, linalg
from tracegrad.ops import numpy_decompositions as of_numpy
from tracegrad.ops.compare import equal, isfinite, less, logical_and, not_equal, where
from tracegrad.ops.index import read
from tracegrad.ops.numpy_choosing import block
from tracegrad.ops.numpy_elementwise import allclose, imag
from tracegrad.ops.numpy_elementwise import real as real_part
from tracegrad.ops.numpy_forms import as_dtype, is_traced, known, operand
from tracegrad.ops.numpy_linalg import det, inv, kron, linalg_norm, matmul
from tracegrad.ops.numpy_linalg import solve as solved
from tracegrad.ops.numpy_reduce import all as all_true
from tracegrad.ops.numpy_reduce import any as any_true
from tracegrad.ops.numpy_reduce import max as largest
from tracegrad.ops.numpy_sampled import real
from tracegrad.ops.numpy_shape import concatenate, ravel, reshape, swapaxes, tril, triu
from tracegrad.ops.scipy_forms import refuse, under


def _finite(a: Any, check_finite: bool = True) -> Any:
    """An array of floats, which SciPy refuses where it holds infinities or NaN: a guard on its values."""
    a = real(a)
    if check_finite and is_traced(a) and not all_true(isfinite(a)):
        raise ValueError("array must not contain infs or NaNs")
    return a


def _mirrored(a: Any, lower: bool) -> Any:
    """The symmetric matrix of which one triangle is read."""
    part = tril(a) if lower else triu(a)
    rest = tril(a, -1) if lower else triu(a, 1)
    return part + swapaxes(rest, -1, -2)


_OF_ONE_TRIANGLE = ("sym", "symmetric", "pos", "positive definite", "her", "hermitian")
"""What may be assumed of a matrix so that one of its triangles is read."""


@under("scipy.linalg.solve")
def solve(
    a: Any,
    b: Any,
    lower: bool = False,
    overwrite_a: bool = False,
    overwrite_b: bool = False,
    check_finite: bool = True,
    assume_a: str | None = None,
    transposed: bool = False,
) -> Any:
    a, b = _finite(a, check_finite), _finite(b, check_finite)
    if assume_a in _OF_ONE_TRIANGLE:
        a = _mirrored(a, lower)
    elif assume_a in ("lower triangular", "upper triangular"):
        return solve_triangular(a, b, int(transposed), assume_a == "lower triangular", check_finite=False)
    return solved(swapaxes(a, -1, -2) if transposed else a, b)


@under("scipy.linalg.inv")
def inverse(
    a: Any,
    overwrite_a: bool = False,
    check_finite: bool = True,
    *,
    assume_a: str | None = None,
    lower: bool = False,
) -> Any:
    a = _finite(a, check_finite)
    if assume_a in _OF_ONE_TRIANGLE:
        a = _mirrored(a, lower)
    elif assume_a in ("lower triangular", "upper triangular"):
        a = tril(a) if assume_a == "lower triangular" else triu(a)
    return inv(a)


under("scipy._lib.array_api_compat.numpy.linalg.solve")(lambda x1, x2: solved(x1, x2))


@under("scipy.linalg.solve_triangular")
def solve_triangular(
    a: Any,
    b: Any,
    trans: Any = 0,
    lower: bool = False,
    unit_diagonal: bool = False,
    overwrite_b: bool = False,
    check_finite: bool = True,
) -> Any:
    a = _finite(a, check_finite)
    part = (tril if lower else triu)(a, (-1 if lower else 1) if unit_diagonal else 0)
    if unit_diagonal:
        part = part + np.eye(a.shape[-1])
    turned = {1: linalg.transposed, "T": linalg.transposed, 2: linalg.adjoint, "C": linalg.adjoint}.get(trans)
    if turned is not None:
        part, lower = turned(part), not lower
    return (linalg.solve_lower if lower else linalg.solve_upper)(part, _finite(b, check_finite))


under("scipy.linalg.norm")(
    lambda a, ord=None, axis=None, keepdims=False, check_finite=True: linalg_norm(
        _finite(a, check_finite), ord, axis, keepdims
    )
)
under("scipy.linalg.det")(lambda a, overwrite_a=False, check_finite=True: det(_finite(a, check_finite)))


@under("scipy.linalg.pinv")
def pinv(
    a: Any, *, atol: Any = None, rtol: Any = None, return_rank: bool = False, check_finite: bool = True
) -> Any:
    if atol is not None or return_rank:
        raise UnsupportedError(
            "`scipy.linalg.pinv` is recorded with `rtol` alone.", None, "leave the others out"
        )
    a = _finite(a, check_finite)
    return of_numpy.pinv(a, rtol=max(a.shape) * np.finfo(a.dtype).eps if rtol is None else rtol)


@under("scipy.linalg.lstsq")
def lstsq(a: Any, b: Any, cond: Any = None, *options: Any, **more: Any) -> Any:
    a = _finite(a)
    return of_numpy.lstsq(a, real(b), np.finfo(a.dtype).eps if cond is None else cond)


# --- factorisations ---------------------------------------------------------------------------------------------------


@under("scipy.linalg.cholesky")
def cholesky(a: Any, lower: bool = False, overwrite_a: bool = False, check_finite: bool = True) -> Any:
    a = _finite(a, check_finite)
    return linalg.cholesky(a) if lower else linalg.adjoint(linalg.cholesky(linalg.adjoint(a)))


@under("scipy.linalg.cho_factor")
def cho_factor(
    a: Any, lower: bool = False, overwrite_a: bool = False, check_finite: bool = True
) -> tuple[Any, bool]:
    return cholesky(a, lower, check_finite=check_finite), lower


@under("scipy.linalg.cho_solve")
def cho_solve(c_and_lower: Any, b: Any, overwrite_b: bool = False, check_finite: bool = True) -> Any:
    c, lower = c_and_lower
    c, b = _finite(c, check_finite), _finite(b, check_finite)
    first = solve_triangular(c, b, 0 if lower else 2, lower, check_finite=False)
    return solve_triangular(c, first, 2 if lower else 0, lower, check_finite=False)


@under("scipy.linalg.lu_factor")
def lu_factor(a: Any, overwrite_a: bool = False, check_finite: bool = True) -> tuple[Any, Any]:
    return factorizations.lu_factor(_finite(a, check_finite))


@under("scipy.linalg.lu_solve")
def lu_solve(
    lu_and_piv: Any, b: Any, trans: int = 0, overwrite_b: bool = False, check_finite: bool = True
) -> Any:
    lu, pivots = lu_and_piv
    lu, b = _finite(lu, check_finite), _finite(b, check_finite)
    rows = factorizations.pivoted_rows(operand(pivots))
    if not trans:
        low = solve_triangular(lu, read(b, (rows,)), 0, True, True, check_finite=False)
        return solve_triangular(lu, low, check_finite=False)
    up = solve_triangular(lu, b, 1, check_finite=False)
    found = solve_triangular(lu, up, 1, True, True, check_finite=False)
    return read(found, (factorizations.inverse_rows(rows),))


@under("scipy.linalg.lu")
def lu(
    a: Any,
    permute_l: bool = False,
    overwrite_a: bool = False,
    check_finite: bool = True,
    p_indices: bool = False,
) -> Any:
    factors, pivots = factorizations.lu_factor(_finite(a, check_finite))
    n = factors.shape[0]
    inverse = factorizations.inverse_rows(factorizations.pivoted_rows(pivots))
    low, up = tril(factors, -1) + np.eye(n), triu(factors)
    if permute_l:
        return read(low, (inverse,)), up
    return inverse if p_indices else read(np.eye(n), (inverse,)), low, up


@under("scipy.linalg.qr")
def qr(
    a: Any,
    overwrite_a: bool = False,
    lwork: Any = None,
    mode: str = "full",
    pivoting: bool = False,
    check_finite: bool = True,
) -> Any:
    if mode == "raw":
        raise UnsupportedError("`scipy.linalg.qr` is recorded without mode='raw'.", None, "use mode='full'")
    a = _finite(a, check_finite)
    if pivoting:
        order = factorizations.pivots(a)
        return (*qr(a[:, order], mode=mode, check_finite=False), order)
    if mode == "r":
        r = of_numpy.qr(a, "r")
        missing = a.shape[0] - r.shape[0]
        return (concatenate([r, np.zeros((missing, r.shape[1]))], 0) if missing else r,)
    return tuple(of_numpy.qr(a, "reduced" if mode == "economic" else "complete"))


@under("scipy.linalg.svd")
def svd(
    a: Any,
    full_matrices: bool = True,
    compute_uv: bool = True,
    overwrite_a: bool = False,
    check_finite: bool = True,
    lapack_driver: str = "gesdd",
) -> Any:
    found = of_numpy.svd(_finite(a, check_finite), full_matrices, compute_uv)
    return tuple(found) if compute_uv else found


under("scipy.linalg.svdvals")(
    lambda a, overwrite_a=False, check_finite=True: of_numpy.svd(_finite(a, check_finite), compute_uv=False)
)


@under("scipy.linalg.eigh")
def eigh(
    a: Any,
    b: Any = None,
    *,
    lower: bool = True,
    eigvals_only: bool = False,
    overwrite_a: bool = False,
    overwrite_b: bool = False,
    type: int = 1,
    check_finite: bool = True,
    subset_by_index: Any = None,
    subset_by_value: Any = None,
    driver: Any = None,
) -> Any:
    if type != 1 or subset_by_value is not None:
        raise UnsupportedError(
            "`scipy.linalg.eigh` is recorded without `subset_by_value`, and with `type=1`.",
            None,
            "take all eigenvalues, and choose among them",
        )
    a, lower = _finite(a, check_finite), bool(lower)
    if b is not None:
        w, v = factorizations.generalised_eigh(a, _finite(b, check_finite), lower=lower)
    elif eigvals_only:
        w, v = decompositions.eigh(a, lower=lower)
    else:
        w, v = decompositions.scipy_eigh(a, lower=lower, driver=driver)
    if subset_by_index is not None:
        first, last = subset_by_index
        w, v = read(w, (slice(first, last + 1),)), read(v, (slice(None), slice(first, last + 1)))
    return w if eigvals_only else (w, v)


@under("scipy.linalg.eigvalsh")
def eigvalsh(a: Any, b: Any = None, **options: Any) -> Any:
    return eigh(a, b, eigvals_only=True, **options)


@under("scipy.linalg.polar")
def polar(a: Any, side: str = "right") -> tuple[Any, Any]:
    a = _finite(a)
    if side not in ("right", "left"):
        raise ValueError("`side` must be either 'right' or 'left'")
    if a.shape[-2] < a.shape[-1]:
        u = swapaxes(factorizations.polar_factor(swapaxes(a, -1, -2))[0], -1, -2)
    else:
        u = factorizations.polar_factor(a)[0]
    turned = swapaxes(u, -1, -2)
    return u, matmul(turned, a) if side == "right" else matmul(a, turned)


# --- what a matrix looks like -----------------------------------------------------------------------------------------


def _mirrors(turned: Callable[[Any], Any]) -> Callable[..., Any]:
    def function(a: Any, atol: Any = None, rtol: Any = None) -> Any:
        a = operand(a)
        if atol is None and rtol is None:
            return all_true(equal(a, turned(a)))
        return allclose(a, turned(a), 0.0 if rtol is None else rtol, 0.0 if atol is None else atol)

    return function


under("scipy.linalg.issymmetric")(_mirrors(lambda a: swapaxes(a, -1, -2)))
under("scipy.linalg.ishermitian")(_mirrors(linalg.adjoint))


@under("scipy.linalg.bandwidth")
def bandwidth(a: Any) -> tuple[Any, Any]:
    """How many diagonals below and above the main one are in use."""
    a = operand(a)
    below = np.subtract.outer(np.arange(a.shape[0]), np.arange(a.shape[1]))
    used = not_equal(a, 0)
    return tuple(largest(where(used, np.maximum(away, 0), 0)) for away in (below, -below))


# --- band matrices ----------------------------------------------------------------------------------------------------


@under("scipy.linalg.solve_banded")
def solve_banded(
    l_and_u: Any,
    ab: Any,
    b: Any,
    overwrite_ab: bool = False,
    overwrite_b: bool = False,
    check_finite: bool = True,
) -> Any:
    low, up = (int(n) for n in l_and_u)
    ab, b = _finite(ab, check_finite), _finite(b, check_finite)
    if ab.shape[-1] != b.shape[0]:
        raise ValueError("shapes of ab and b are not compatible.")
    if low + up + 1 != ab.shape[0]:
        raise ValueError(
            f"invalid values for the number of lower and upper diagonals: l+u+1 ({low + up + 1}) does not equal "
            f"ab.shape[0] ({ab.shape[0]})"
        )
    return factorizations.solve_banded(ab, b, low=low, up=up)


def _whole_band(ab: Any, lower: bool) -> tuple[Any, int]:
    """All diagonals of a symmetric band matrix of which half are given."""
    width = ab.shape[0] - 1
    half = ab if not lower else factorizations.transposed_band(ab, width, 0)
    rest = factorizations.transposed_band(half, 0, width)
    return concatenate([half, rest[1:]], 0), width


@under("scipy.linalg.solveh_banded")
def solveh_banded(
    ab: Any,
    b: Any,
    overwrite_ab: bool = False,
    overwrite_b: bool = False,
    lower: bool = False,
    check_finite: bool = True,
) -> Any:
    whole, width = _whole_band(_finite(ab, check_finite), lower)
    return factorizations.solve_banded(whole, _finite(b, check_finite), low=width, up=width)


@under("scipy.linalg.cholesky_banded")
def cholesky_banded(
    ab: Any, overwrite_ab: bool = False, lower: bool = False, check_finite: bool = True
) -> Any:
    ab = _finite(ab, check_finite)
    whole, width = _whole_band(ab, lower)
    n = ab.shape[1]
    factor = linalg.cholesky(factorizations.dense_band(whole, width, width))
    k, column = np.indices((width + 1, n))
    row = np.minimum(column + k, n - 1)
    found = read(factor, (row, column)) * (column + k < n)
    return found if lower else factorizations.transposed_band(found, width, 0)


@under("scipy.linalg.cho_solve_banded")
def cho_solve_banded(cb_and_lower: Any, b: Any, overwrite_b: bool = False, check_finite: bool = True) -> Any:
    cb, lower = cb_and_lower
    cb = _finite(cb, check_finite)
    width = cb.shape[0] - 1
    low = cb if lower else factorizations.transposed_band(cb, 0, width)
    first = factorizations.solve_banded(low, _finite(b, check_finite), low=width, up=0)
    return factorizations.solve_banded(factorizations.transposed_band(low, width, 0), first, low=0, up=width)


# --- functions of a matrix, equations for one -------------------------------------------------------------------------


def _of_matrix(name: str) -> None:
    under(f"scipy.linalg.{name}")(lambda A: getattr(decompositions, name)(real(A)))


for _name in ("expm", "logm", "cosm", "sinm", "tanm", "coshm", "sinhm", "tanhm"):
    _of_matrix(_name)


@under("scipy.linalg.sqrtm")
def sqrtm(A: Any) -> Any:
    """Complex of a real matrix that has negative eigenvalues: that is guarded."""
    a, crosses = real(A), False
    if a.dtype.kind != "c" and a.ndim == 2 and a.shape[0] == a.shape[1]:
        values = eigen.eig(a)[0]
        negative = logical_and(equal(imag(values), 0), less(real_part(values), 0))
        crosses = bool(known(any_true(negative)))
    return decompositions.sqrtm(a, crosses=crosses)


@under("scipy.linalg.solve_sylvester")
def solve_sylvester(a: Any, b: Any, q: Any) -> Any:
    a, b, q = (real(x) for x in (a, b, q))
    dtype = promote(a.dtype, b.dtype, q.dtype)  # SciPy is wrong where real and complex matrices are mixed
    return decompositions.solve_sylvester(*(as_dtype(x, dtype) for x in (a, b, q)))


@under("scipy.linalg.solve_continuous_lyapunov", "scipy.linalg.solve_lyapunov")
def solve_continuous_lyapunov(a: Any, q: Any) -> Any:
    a = real(a)
    return decompositions.solve_sylvester(a, swapaxes(a, -1, -2), real(q))


@under("scipy.linalg.solve_discrete_lyapunov")
def solve_discrete_lyapunov(a: Any, q: Any, method: Any = None) -> Any:
    a, q = _finite(a), _finite(q)
    n = a.shape[0]
    return reshape(solved(np.eye(n * n) - kron(a, a), ravel(q)), (n, n))


# --- matrices of a vector ---------------------------------------------------------------------------------------------


@under("scipy.linalg.block_diag")
def block_diag(*arrs: Any) -> Any:
    parts = [operand(a) for a in arrs]
    parts = [read(a, (None,) * (2 - a.ndim)) if a.ndim < 2 else a for a in parts]
    rows = [
        [a if j == k else np.zeros((a.shape[0], b.shape[1])) for j, b in enumerate(parts)]
        for k, a in enumerate(parts)
    ]
    return block(rows)


@under("scipy.linalg.toeplitz")
def toeplitz(c: Any, r: Any = None) -> Any:
    c = ravel(c)
    r = c if r is None else ravel(r)
    n = c.shape[0]
    values = concatenate([c[::-1], r[1:]])
    return read(values, np.arange(n - 1, -1, -1)[:, None] + np.arange(r.shape[0])[None, :])


@under("scipy.linalg.hankel")
def hankel(c: Any, r: Any = None) -> Any:
    c = ravel(c)
    r = np.zeros(c.shape[0]) if r is None else ravel(r)
    values = concatenate([c, r[1:]])
    return read(values, np.arange(c.shape[0])[:, None] + np.arange(r.shape[0])[None, :])


@under("scipy.linalg.circulant")
def circulant(c: Any) -> Any:
    c = ravel(c)
    n = c.shape[0]
    return read(c, (np.arange(n)[:, None] - np.arange(n)[None, :]) % n)


def _toeplitz_of(c_or_cr: Any) -> Any:
    return toeplitz(*c_or_cr) if isinstance(c_or_cr, tuple) else toeplitz(c_or_cr)


@under("scipy.linalg.solve_toeplitz")
def solve_toeplitz(c_or_cr: Any, b: Any, check_finite: bool = True) -> Any:
    return solved(_finite(_toeplitz_of(c_or_cr), check_finite), _finite(b, check_finite))


@under("scipy.linalg.matmul_toeplitz")
def matmul_toeplitz(c_or_cr: Any, x: Any, check_finite: bool = False, workers: Any = None) -> Any:
    return matmul(_toeplitz_of(c_or_cr), real(x))


@under("scipy.linalg.solve_circulant")
def solve_circulant(c: Any, b: Any, singular: str = "raise", *axes: Any, **options: Any) -> Any:
    if singular != "raise" or axes or options:
        raise UnsupportedError(
            "`scipy.linalg.solve_circulant` is recorded for `c` and `b` alone.",
            None,
            "use np.moveaxis before and after, and scipy.linalg.lstsq of a singular scipy.linalg.circulant(c)",
        )
    return solved(circulant(real(c)), real(b))


refuse(
    "scipy.linalg.null_space",
    "scipy.linalg.orth",
    why="gives one basis of many: it has no derivative with respect to `A`.",
    do="differentiate the projection, A @ np.linalg.pinv(A) or 1 - np.linalg.pinv(A) @ A",
)
