"""Functions under SciPy's signatures: linear algebra, integrals and convolutions of samples.

`SCIPY_FORMS` maps their full names to ours. Begin with `solve_triangular`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tracegrad.errors import UnsupportedError
from tracegrad.ops import decompositions, linalg
from tracegrad.ops.index import read
from tracegrad.ops.numpy_choosing import block
from tracegrad.ops.numpy_forms import answers, operand
from tracegrad.ops.numpy_linalg import solve
from tracegrad.ops.numpy_sampled import convolve, real, trapezoid
from tracegrad.ops.numpy_shape import concatenate, ravel, tril, triu

SCIPY_FORMS: dict[str, Callable[..., Any]] = {"scipy.integrate.trapezoid": trapezoid}


def under(name: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Declare the decorated function as what SciPy's function of this name is when an argument is traced."""

    def decorate(ours: Callable[..., Any]) -> Callable[..., Any]:
        SCIPY_FORMS[name] = answers(name=name)(ours)
        return SCIPY_FORMS[name]

    return decorate


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
    a = real(a)
    part = (tril if lower else triu)(a, (-1 if lower else 1) if unit_diagonal else 0)
    if unit_diagonal:
        part = part + np.eye(a.shape[-1])
    return solve(linalg.adjoint(part) if trans in (1, 2, "T", "C") else part, real(b))


@under("scipy.linalg.cholesky")
def cholesky(a: Any, lower: bool = False, overwrite_a: bool = False, check_finite: bool = True) -> Any:
    a = real(a)
    return linalg.cholesky(a) if lower else linalg.adjoint(linalg.cholesky(linalg.adjoint(a)))


@under("scipy.linalg.cho_factor")
def cho_factor(
    a: Any, lower: bool = False, overwrite_a: bool = False, check_finite: bool = True
) -> tuple[Any, bool]:
    return cholesky(a, lower), lower


@under("scipy.linalg.cho_solve")
def cho_solve(c_and_lower: Any, b: Any, overwrite_b: bool = False, check_finite: bool = True) -> Any:
    c, lower = c_and_lower
    first = solve_triangular(c, b, 0 if lower else 1, lower)
    return solve_triangular(c, first, 1 if lower else 0, lower)


@under("scipy.linalg.expm")
def expm(A: Any) -> Any:
    return decompositions.expm(real(A))


@under("scipy.linalg.sqrtm")
def sqrtm(A: Any) -> Any:
    return decompositions.sqrtm(real(A))


@under("scipy.linalg.logm")
def logm(A: Any) -> Any:
    return decompositions.logm(real(A))


@under("scipy.linalg.solve_sylvester")
def solve_sylvester(a: Any, b: Any, q: Any) -> Any:
    return decompositions.solve_sylvester(real(a), real(b), real(q))


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


@under("scipy.signal.convolve")
def signal_convolve(in1: Any, in2: Any, mode: str = "full", method: str = "auto") -> Any:
    return _convolved(operand(in1), operand(in2), mode)


@under("scipy.signal.fftconvolve")
def fftconvolve(in1: Any, in2: Any, mode: str = "full") -> Any:
    return _convolved(operand(in1), operand(in2), mode)


def _convolved(x: Any, y: Any, mode: str) -> Any:
    """The result of mode `same` has the length of the first, whichever is longer."""
    if x.ndim != 1 or y.ndim != 1:
        raise UnsupportedError("convolution is recorded for vectors.", None, "convolve row by row")
    if mode != "same":
        return convolve(x, y, mode)
    start = (y.shape[0] - 1) // 2
    return convolve(x, y)[start : start + x.shape[0]]
