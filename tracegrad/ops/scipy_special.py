"""Functions of `scipy.special` under its signatures: every op that is one, and those that are made of ops.

`SPECIAL` maps their full names to ours. Begin with `under`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tracegrad.errors import UnsupportedError
from tracegrad.ops import (  # noqa: F401 (they declare)
    bessel,
    elementary,
    faddeeva,
    hypergeometric,
    incomplete,
    special,
)
from tracegrad.ops.arithmetic import stop_gradient
from tracegrad.ops.compare import (
    absolute,
    equal,
    floor,
    greater_equal,
    isfinite,
    less,
    less_equal,
    logical_and,
    where,
)
from tracegrad.ops.compare import sign as sign_of
from tracegrad.ops.elementary import cos, exp, log, sin, tan
from tracegrad.ops.families import astype
from tracegrad.ops.incomplete import betainc, betaincc, gammainc, gammaincc
from tracegrad.ops.numpy_elementwise import under_ufunc
from tracegrad.ops.numpy_forms import answers, axis_tuple, known, operand, value
from tracegrad.ops.numpy_reduce import any as anywhere_true
from tracegrad.ops.numpy_reduce import logsumexp as plain_logsumexp
from tracegrad.ops.numpy_reduce import max as largest
from tracegrad.ops.numpy_reduce import sum as total_of
from tracegrad.ops.op import REGISTRY
from tracegrad.ops.scipy_forms import of_real_numbers
from tracegrad.ops.shape import reshape

SPECIAL: dict[str, Callable[..., Any]] = {
    _op.callee: under_ufunc(_op, _op.callee)
    for _op in list(REGISTRY.values())
    if _op.callee.startswith("scipy.special.")
}
SPECIAL["scipy.special.psi"] = SPECIAL["scipy.special.digamma"]
SPECIAL["scipy.special.jn"] = SPECIAL["scipy.special.jv"]
for _name in ("cbrt", "exp2", "expm1", "log1p"):
    SPECIAL[f"scipy.special.{_name}"] = under_ufunc(REGISTRY[_name], f"scipy.special.{_name}")


def under(*names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Declare the decorated function as what these functions of `scipy.special` are when an argument is traced."""

    def decorate(ours: Callable[..., Any]) -> Callable[..., Any]:
        for name in names:
            full = f"scipy.special.{name}"
            SPECIAL[full] = of_real_numbers(full, answers(name=full)(ours))
        return ours

    return decorate


# --- exponentials summed ----------------------------------------------------------------------------------------------


@under("logsumexp")
def logsumexp(
    a: Any, axis: Any = None, b: Any = None, keepdims: bool = False, return_sign: bool = False
) -> Any:
    if b is None:
        found = plain_logsumexp(a, axis, keepdims=keepdims)
        return (found, where(equal(found, -np.inf), 0.0, 1.0)) if return_sign else found
    x, b = operand(a), operand(b)
    x = where(equal(b, 0), -np.inf, x)
    axes = axis_tuple(axis, x.ndim)
    top = largest(x, axes, keepdims=True)
    top = where(isfinite(top), top, 0.0)
    sums = total_of(b * exp(x - top), axes, keepdims=keepdims)
    zero = equal(sums, 0)
    found = log(absolute(where(zero, 1.0, sums))) + (top if keepdims else reshape(top, shape=sums.shape))
    found = where(zero, -np.inf, found)
    if return_sign:
        return found, sign_of(sums)
    return where(less(sums, 0), np.nan, found)


def _below_largest(x: Any, axes: tuple[int, ...]) -> Any:
    """`x` with its largest item taken out, of which what is made of the differences does not depend."""
    return x - stop_gradient(largest(x, axes, keepdims=True))


@under("softmax")
def softmax(x: Any, axis: Any = None) -> Any:
    x = operand(x)
    axes = axis_tuple(axis, x.ndim)
    found = exp(_below_largest(x, axes))
    return found / total_of(found, axes, keepdims=True)


@under("log_softmax")
def log_softmax(x: Any, axis: Any = None) -> Any:
    x = operand(x)
    axes = axis_tuple(axis, x.ndim)
    top = largest(x, axes, keepdims=True)
    x = x - stop_gradient(where(isfinite(top), top, 0.0))
    return x - log(total_of(exp(x), axes, keepdims=True))


# --- counting ---------------------------------------------------------------------------------------------------------


def _refuse_exact(name: str, exact: Any) -> None:
    if exact:
        raise UnsupportedError(
            f"`scipy.special.{name}` with `exact=True` counts with whole numbers of Python's.",
            None,
            "leave `exact` out",
        )


@under("comb")
def comb(N: Any, k: Any, *, exact: bool = False, repetition: bool = False) -> Any:
    _refuse_exact("comb", exact)
    N, k = operand(N), operand(k)
    if repetition:
        N = N + k - 1
    there = logical_and(less_equal(k, N), logical_and(greater_equal(N, 0), greater_equal(k, 0)))
    return where(there, special.binom(where(there, N, 1.0), where(there, k, 0.0)), 0.0)


@under("perm")
def perm(N: Any, k: Any, exact: bool = False) -> Any:
    _refuse_exact("perm", exact)
    N, k = operand(N), operand(k)
    there = logical_and(less_equal(k, N), logical_and(greater_equal(N, 0), greater_equal(k, 0)))
    n, k = where(there, N, 1.0), where(there, k, 0.0)
    return where(there, special.poch(n - k + 1, k), 0.0)


# --- distribution functions under their old names ---------------------------------------------------------------------


@under("multigammaln")
def multigammaln(a: Any, d: Any) -> Any:
    a, d = operand(a), known(d)
    if d < 1 or d != int(d):
        raise ValueError("d should be a positive integer (dimension)")
    if anywhere_true(less_equal(a, 0.5 * (d - 1))):
        raise ValueError(
            f"condition a ({getattr(a, 'value', a):f}) > 0.5 * (d-1) ({0.5 * (d - 1):f}) not met"
        )
    terms = special.gammaln(reshape(a, shape=(*a.shape, 1)) - np.arange(int(d)) / 2)
    return total_of(terms, axis=-1) + d * (d - 1) * 0.25 * math.log(math.pi)


@under("chdtr")
def chdtr(v: Any, x: Any) -> Any:
    return gammainc(0.5 * operand(v), 0.5 * operand(x))


@under("chdtrc")
def chdtrc(v: Any, x: Any) -> Any:
    return gammaincc(0.5 * operand(v), 0.5 * operand(x))


@under("fdtr")
def fdtr(dfn: Any, dfd: Any, x: Any) -> Any:
    dfn, dfd = operand(dfn), operand(dfd)
    return betainc(0.5 * dfn, 0.5 * dfd, dfn * x / (dfd + dfn * x))


@under("fdtrc")
def fdtrc(dfn: Any, dfd: Any, x: Any) -> Any:
    dfn, dfd = operand(dfn), operand(dfd)
    return betainc(0.5 * dfd, 0.5 * dfn, dfd / (dfd + dfn * x))


@under("gdtr")
def gdtr(a: Any, b: Any, x: Any) -> Any:
    return gammainc(operand(b), operand(a) * x)


@under("pdtr")
def pdtr(k: Any, m: Any) -> Any:
    return gammaincc(floor(operand(k)) + 1.0, operand(m))


@under("pdtrc")
def pdtrc(k: Any, m: Any) -> Any:
    return gammainc(floor(operand(k)) + 1.0, operand(m))


@under("bdtr")
def bdtr(k: Any, n: Any, p: Any) -> Any:
    k, n = floor(operand(k)), operand(n)
    all_of_them = greater_equal(k, n)
    k = where(all_of_them, n - 1.0, k)
    return where(all_of_them, 1.0, betaincc(k + 1.0, n - k, operand(p)))


@under("nbdtr")
def nbdtr(k: Any, n: Any, p: Any) -> Any:
    return betainc(operand(n) * 1.0, floor(operand(k)) + 1.0, operand(p))


# --- signatures of their own ------------------------------------------------------------------------------------------


@under("zeta")
def zeta(x: Any, q: Any = None) -> Any:
    return special.zeta(value(x), 1.0 if q is None else value(q))


@under("sinc")
def sinc(x: Any) -> Any:
    return elementary.sinc(operand(x))


@under("sindg")
def sindg(x: Any) -> Any:
    return sin(operand(x) * (np.pi / 180))


@under("cosdg")
def cosdg(x: Any) -> Any:
    return cos(operand(x) * (np.pi / 180))


@under("tandg")
def tandg(x: Any) -> Any:
    return tan(operand(x) * (np.pi / 180))


def _lambertw(z: Any, k: Any = 0, tol: Any = 1e-8) -> Any:
    if tol != 1e-8:
        raise UnsupportedError(
            "`scipy.special.lambertw` is recorded without its argument `tol`.", None, "leave it out"
        )
    return faddeeva.lambertw(astype(operand(z), dtype=np.dtype(np.complex128)), k)


SPECIAL["scipy.special.lambertw"] = answers(name="scipy.special.lambertw")(_lambertw)


def _spherical(op: Any) -> Callable[..., Any]:
    lower = {"spherical_jn": -1, "spherical_yn": -1, "spherical_in": 1, "spherical_kn": -1}[op.name]

    def function(n: Any, z: Any, derivative: bool = False) -> Any:
        z = operand(z)
        return n / z * op(n, z) + lower * op(n + 1, z) if derivative else op(n, z)

    return function


for _op in (bessel.spherical_jn, bessel.spherical_yn, bessel.spherical_in, bessel.spherical_kn):
    under(_op.name)(_spherical(_op))
