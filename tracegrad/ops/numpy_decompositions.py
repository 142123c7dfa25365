"""Decompositions and what is made of them, under the signatures of `numpy.linalg`: eigh, svd, qr, pinv, lstsq, cond.

Begin with `svd`.
"""

from __future__ import annotations

import builtins
import math
from typing import Any, NamedTuple

import numpy as np

from tracegrad.errors import UnsupportedError
from tracegrad.ops import decompositions as ops
from tracegrad.ops import eigen, linalg
from tracegrad.ops.arithmetic import divide
from tracegrad.ops.compare import equal, greater, isfinite, isnan, logical_and, logical_not, not_equal, where
from tracegrad.ops.numpy_elementwise import conj, imag
from tracegrad.ops.numpy_elementwise import real as real_part
from tracegrad.ops.numpy_forms import FUNCTIONS, answers, known, operand
from tracegrad.ops.numpy_linalg import inv, linalg_norm, matmul, slogdet, solve, trace
from tracegrad.ops.numpy_reduce import all, any, count_nonzero, sum
from tracegrad.ops.numpy_sampled import real, vander
from tracegrad.ops.numpy_shape import concatenate, diagonal, expand_dims, reshape, transpose


class EighResult(NamedTuple):
    """What `np.linalg.eigh` returns."""

    eigenvalues: Any
    eigenvectors: Any


class SVDResult(NamedTuple):
    """What `np.linalg.svd` returns."""

    U: Any
    S: Any
    Vh: Any


class QRResult(NamedTuple):
    """What `np.linalg.qr` returns."""

    Q: Any
    R: Any


@answers(np.linalg.eigh)
def eigh(a: Any, UPLO: str = "L") -> EighResult:
    if UPLO.upper() not in ("L", "U"):
        raise ValueError("UPLO argument must be 'L' or 'U'")
    return EighResult(*ops.eigh(operand(a), lower=UPLO.upper() == "L"))


@answers(np.linalg.eigvalsh)
def eigvalsh(a: Any, UPLO: str = "L") -> Any:
    return eigh(a, UPLO).eigenvalues


class EigResult(NamedTuple):
    """What `np.linalg.eig` returns."""

    eigenvalues: Any
    eigenvectors: Any


@answers(np.linalg.eig)
def eig(a: Any) -> EigResult:
    """Of a real matrix whose eigenvalues happen to be real, both are real: that is guarded."""
    a = operand(a)
    values, vectors = eigen.eig(a)
    if a.dtype.kind != "c" and known(all(equal(imag(values), 0))):
        values, vectors = real_part(values), real_part(vectors)
    return EigResult(values, vectors)


@answers(np.linalg.eigvals)
def eigvals(a: Any) -> Any:
    return eig(a).eigenvalues


@answers(np.linalg.svd)
def svd(a: Any, full_matrices: bool = True, compute_uv: bool = True, hermitian: bool = False) -> Any:
    a = operand(a)
    if not compute_uv:
        return ops.svd(a)[1]
    if full_matrices and a.ndim > 1 and a.shape[-1] != a.shape[-2]:
        raise UnsupportedError(
            "`np.linalg.svd` of a matrix that is not square is recorded with full_matrices=False.",
            None,
            "np.linalg.svd(a, full_matrices=False): the other vectors only complete a basis, and have no derivative",
        )
    return SVDResult(*ops.svd(a))


@answers(np.linalg.svdvals)
def svdvals(x: Any, /) -> Any:
    return svd(x, compute_uv=False)


@answers(np.linalg.qr)
def qr(a: Any, mode: str = "reduced") -> Any:
    a = operand(a)
    if a.ndim < 2:
        raise np.linalg.LinAlgError(
            f"{a.ndim}-dimensional array given. Array must be at least two-dimensional"
        )
    m, n = a.shape[-2:]
    if mode not in ("reduced", "r", "complete"):
        raise UnsupportedError(
            f"`np.linalg.qr` is recorded without mode={mode!r}.", None, "use mode='reduced'"
        )
    if mode == "complete" and m > n:
        raise UnsupportedError(
            "`np.linalg.qr` is recorded without mode='complete' for more rows than columns.",
            None,
            "use mode='reduced': the other columns only complete a basis, and have no derivative",
        )
    if m >= n:
        q, r = ops.qr(a)
    else:
        q, r = ops.qr(a[..., :m])
        r = concatenate([r, matmul(linalg.adjoint(q), a[..., m:])], -1)
    return r if mode == "r" else QRResult(q, r)


@answers(np.linalg.pinv)
def pinv(a: Any, rcond: Any = None, hermitian: bool = False, *, rtol: Any = None) -> Any:
    a = real(a)
    if rcond is None:
        rcond = 1e-15 if rtol is None else rtol
    return ops.pinv(a, rcond=float(known(rcond)))


@answers(np.linalg.matrix_rank)
def matrix_rank(A: Any, tol: Any = None, hermitian: bool = False, *, rtol: Any = None) -> Any:
    a = real(A)
    if a.ndim < 2:
        return int(known(count_nonzero(a)) > 0)
    s = svdvals(a)
    if tol is None:
        if rtol is None:
            rtol = builtins.max(a.shape[-2:]) * np.finfo(s.dtype).eps
        tol = s[..., :1] * rtol  # the largest; there is none in a matrix of nothing
    else:
        tol = expand_dims(tol, -1)
    return count_nonzero(greater(s, tol), -1)


@answers(np.linalg.lstsq)
def lstsq(a: Any, b: Any, rcond: Any = None) -> tuple[Any, Any, Any, Any]:
    a, b = real(a), real(b)
    if a.ndim != 2:
        raise np.linalg.LinAlgError(f"{a.ndim}-dimensional array given. Array must be two-dimensional")
    m, n = a.shape
    if b.shape[0] != m:
        raise np.linalg.LinAlgError("Incompatible dimensions")
    if not all(isfinite(a)):
        raise np.linalg.LinAlgError("SVD did not converge in Linear Least Squares")
    if rcond is None or rcond == -1:
        rcond = np.finfo(a.dtype).eps * (builtins.max((m, n)) if rcond is None else 1)
    x = matmul(ops.pinv(a, rcond=float(known(rcond))), b)
    s = svdvals(a)
    rank = known(count_nonzero(greater(s, s[:1] * rcond)))
    left = b - matmul(a, x)
    residuals = np.array([], s.dtype)
    if m > n and rank == n:
        residuals = reshape(sum(real_part(conj(left) * left), 0), (-1,))
    return x, residuals, rank, s


@answers(np.linalg.cond)
def cond(x: Any, p: Any = None) -> Any:
    """Infinite, with a derivative of 0, where the matrix is singular; NaN stays where the matrix has some."""
    x = real(x)
    if p in (None, 2, -2):
        s = svdvals(x)
        found = divide(s[..., 0], s[..., -1]) if p != -2 else divide(s[..., -1], s[..., 0])
    else:
        regular = not_equal(slogdet(x)[0], 0)
        back = inv(where(expand_dims(regular, (-2, -1)), x, np.eye(x.shape[-1], dtype=x.dtype)))
        found = where(regular, linalg_norm(x, p, (-2, -1)) * linalg_norm(back, p, (-2, -1)), np.inf)
    lost = logical_and(isnan(found), logical_not(any(isnan(x), (-2, -1))))
    return where(lost, np.inf, found)


@answers(np.linalg.tensorinv)
def tensorinv(a: Any, ind: int = 2) -> Any:
    a = operand(a)
    if ind <= 0:
        raise ValueError("Invalid ind argument.")
    rows = math.prod(a.shape[ind:])
    return reshape(inv(reshape(a, (rows, -1))), (*a.shape[ind:], *a.shape[:ind]))


@answers(np.linalg.tensorsolve)
def tensorsolve(a: Any, b: Any, axes: Any = None) -> Any:
    a, b = operand(a), operand(b)
    if axes is not None:
        order = [k for k in range(a.ndim) if k not in axes]
        a = transpose(a, (*order, *axes))
    shape = a.shape[b.ndim :] if a.ndim > b.ndim else ()
    n = math.prod(shape)
    if a.size != n * n:
        raise np.linalg.LinAlgError(
            "Input arrays must satisfy the requirement             prod(a.shape[b.ndim:]) == prod(a.shape[:b.ndim])"
        )
    return reshape(solve(reshape(a, (n, n)), reshape(b, (-1,))), shape)


@answers(np.linalg.trace)
def linalg_trace(x: Any, /, *, offset: int = 0, dtype: Any = None) -> Any:
    return trace(x, offset, -2, -1, dtype)


@answers(np.linalg.diagonal)
def linalg_diagonal(x: Any, /, *, offset: int = 0) -> Any:
    return diagonal(x, offset, -2, -1)


@answers(np.polyfit)
def polyfit(
    x: Any, y: Any, deg: Any, rcond: Any = None, full: bool = False, w: Any = None, cov: bool = False
) -> Any:
    if full or cov:
        raise UnsupportedError(
            "`np.polyfit` is recorded without `full` and `cov`.", None, "use np.linalg.lstsq"
        )
    x, y, deg = real(x) + 0.0, real(y) + 0.0, int(deg)
    if deg < 0:
        raise ValueError("expected deg >= 0")
    if x.ndim != 1:
        raise TypeError("expected 1D vector for x")
    if not x.shape[0]:
        raise TypeError("expected non-empty vector for x")
    if y.ndim < 1 or y.ndim > 2:
        raise TypeError("expected 1D or 2D array for y")
    if x.shape[0] != y.shape[0]:
        raise TypeError("expected x and y to have same length")
    left, right = vander(x, deg + 1), y
    if w is not None:
        w = real(w)
        if w.ndim != 1:
            raise TypeError("expected a 1-d array for weights")
        if w.shape[0] != y.shape[0]:
            raise TypeError("expected w and y to have the same length")
        left = left * expand_dims(w, 1)
        right = right * (expand_dims(w, 1) if right.ndim == 2 else w)
    scale = linalg_norm(left, axis=0)
    if rcond is None:
        rcond = x.shape[0] * np.finfo(x.dtype).eps
    found = lstsq(left / scale, right, rcond)[0]
    return transpose(transpose(found) / scale)


for _theirs, _ours in ((np.linalg.matmul, np.matmul), (np.linalg.matrix_transpose, np.matrix_transpose)):
    FUNCTIONS[_theirs] = FUNCTIONS[_ours]
