"""Functions given by samples, under NumPy's signatures: gradient, trapezoid, interp, convolve, unwrap, polynomials.

Begin with `gradient`.
"""

from __future__ import annotations

import builtins
import math
from typing import Any

import numpy as np

from tracegrad.errors import UnsupportedError
from tracegrad.ops import cumulate
from tracegrad.ops.arithmetic import add, divide, negative, remainder, subtract
from tracegrad.ops.compare import (
    absolute,
    equal,
    greater,
    less,
    logical_and,
    maximum,
    minimum,
    where,
)
from tracegrad.ops.families import conj
from tracegrad.ops.index import read
from tracegrad.ops.numpy_forms import (
    answers,
    array_operand,
    as_dtype,
    axis_number,
    known,
    lying,
    operand,
    value,
    whole,
)
from tracegrad.ops.numpy_linalg import matmul, trace
from tracegrad.ops.numpy_order import argsort, nonzero, searchsorted
from tracegrad.ops.numpy_reduce import cumprod, cumsum, sum
from tracegrad.ops.numpy_shape import (
    atleast_1d,
    concatenate,
    diff,
    flip,
    ravel,
    reshape,
    stack,
)


def _part(a: Any, axis: int, part: Any) -> Any:
    return read(a, (*(slice(None),) * axis, part))


def _lying(x: Any, axis: int, ndim: int) -> Any:
    """A vector that lies along one axis."""
    return reshape(x, tuple(-1 if k == axis else 1 for k in range(ndim))) if ndim > 1 else x


def real(a: Any) -> Any:
    """An array of floats."""
    a = operand(a)
    return a if a.dtype.kind in "fc" else as_dtype(a, np.float64)


# --- differences and integrals ----------------------------------------------------------------------------------------


def _slopes(f: Any, h: Any, axis: int, edge_order: int) -> Any:
    n = f.shape[axis]
    if n < edge_order + 1:
        raise ValueError(
            "Shape of array too small to calculate a numerical gradient, "
            "at least (edge_order + 1) elements are required."
        )

    def at(k: int) -> Any:
        return _part(f, axis, slice(k, k + 1 if k != -1 else None))

    before, here, after = (_part(f, axis, s) for s in (slice(None, -2), slice(1, -1), slice(2, None)))
    h = operand(h)
    if not h.ndim:
        inner = (after - before) / (2.0 * h)
        first, last = (at(1) - at(0)) / h, (at(-1) - at(-2)) / h
        if edge_order == 2:
            first = (-1.5 / h) * at(0) + (2.0 / h) * at(1) + (-0.5 / h) * at(2)
            last = (0.5 / h) * at(-3) + (-2.0 / h) * at(-2) + (1.5 / h) * at(-1)
        return concatenate([first, inner, last], axis)
    left, right = (_lying(h[s], axis, f.ndim) for s in (slice(None, -1), slice(1, None)))
    inner = (
        -right / (left * (left + right)) * before
        + (right - left) / (left * right) * here
        + left / (right * (left + right)) * after
    )
    first, last = (at(1) - at(0)) / h[0], (at(-1) - at(-2)) / h[-1]
    if edge_order == 2:
        a, b = h[0], h[1]
        first = -(2.0 * a + b) / (a * (a + b)) * at(0) + (a + b) / (a * b) * at(1) - a / (b * (a + b)) * at(2)
        a, b = h[-2], h[-1]
        last = (
            b / (a * (a + b)) * at(-3) - (b + a) / (a * b) * at(-2) + (2.0 * b + a) / (b * (a + b)) * at(-1)
        )
    return concatenate([first, inner, last], axis)


@answers(np.gradient)
def gradient(f: Any, *varargs: Any, axis: Any = None, edge_order: int = 1) -> Any:
    f = real(f)
    axes = tuple(range(f.ndim)) if axis is None else tuple(axis_number(k, f.ndim) for k in whole(axis))
    if len(varargs) not in (0, 1, len(axes)):
        raise TypeError("invalid number of arguments")
    if edge_order > 2:
        raise ValueError("'edge_order' greater than 2 not supported")
    if len(varargs) == 1 and operand(varargs[0]).ndim == 0:
        varargs = varargs * len(axes)
    elif len(varargs) == 1 and len(axes) != 1:
        raise TypeError("invalid number of arguments")
    steps: list[Any] = []
    for k, given in zip(axes, varargs or (1.0,) * len(axes), strict=True):
        if operand(given).ndim > 1:
            raise ValueError("distances must be either scalars or 1d")
        if operand(given).ndim and operand(given).shape[0] != f.shape[k]:
            raise ValueError("when 1d, distances must match the length of the corresponding dimension")
        steps.append(diff(given) if operand(given).ndim else value(given))
    found = [
        lying(as_dtype(_slopes(f, h, k, edge_order), f.dtype), "K", f)
        for k, h in zip(axes, steps, strict=True)
    ]
    return found[0] if len(found) == 1 else tuple(found)


def _areas(y: Any, x: Any, dx: Any, axis: int) -> Any:
    """The areas of the trapezoids between neighbours."""
    late, early = _part(y, axis, slice(1, None)), _part(y, axis, slice(None, -1))
    if x is None:
        d = value(dx)
    else:
        d = operand(x)
        d = _lying(diff(d), axis, y.ndim) if d.ndim == 1 else diff(d, axis=axis)
    return d * (late + early) / 2.0


@answers(np.trapezoid)
def trapezoid(y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1) -> Any:
    y = operand(y)
    axis = axis_number(axis, y.ndim)
    return sum(_areas(y, x, dx, axis), axis)


@answers(np.ediff1d)
def ediff1d(ary: Any, to_end: Any = None, to_begin: Any = None) -> Any:
    found = diff(ravel(ary))
    parts = [ravel(p) for p in (to_begin,) if p is not None] + [found]
    parts += [ravel(p) for p in (to_end,) if p is not None]
    return found if len(parts) == 1 else as_dtype(concatenate(parts), operand(ary).dtype)


@answers(np.unwrap)
def unwrap(p: Any, discont: Any = None, axis: int = -1, *, period: Any = 2 * math.pi) -> Any:
    p = operand(p)
    axis = axis_number(axis, p.ndim)
    step = diff(p, axis=axis)
    limit = period / 2 if discont is None else discont
    turned = remainder(step + period / 2, period) - period / 2
    turned = where(logical_and(equal(turned, -period / 2), greater(step, 0)), period / 2, turned)
    correction = where(less(absolute(step), limit), 0.0, turned - step)
    return concatenate(
        [_part(p, axis, slice(0, 1)), _part(p, axis, slice(1, None)) + cumsum(correction, axis)], axis
    )


def _cumulative(
    function: Any, x: Any, axis: int | None, dtype: Any, include_initial: bool, start: float
) -> Any:
    x = operand(x)
    x = x if x.ndim else reshape(x, (1,))
    if axis is None:
        if x.ndim != 1:
            raise ValueError("For arrays which have more than one dimension ``axis`` argument is required.")
        axis = 0
    found = function(x, axis, dtype)
    if not include_initial:
        return found
    axis = axis_number(axis, x.ndim)
    first = np.full((*x.shape[:axis], 1, *x.shape[axis + 1 :]), start, found.dtype)
    return concatenate([first, found], axis)


@answers(np.cumulative_sum)
def cumulative_sum(x: Any, /, *, axis: Any = None, dtype: Any = None, include_initial: bool = False) -> Any:
    return _cumulative(cumsum, x, axis, dtype, include_initial, 0)


@answers(np.cumulative_prod)
def cumulative_prod(x: Any, /, *, axis: Any = None, dtype: Any = None, include_initial: bool = False) -> Any:
    return _cumulative(cumprod, x, axis, dtype, include_initial, 1)


@answers(np.interp)
def interp(x: Any, xp: Any, fp: Any, left: Any = None, right: Any = None, period: Any = None) -> Any:
    x, xp = (as_dtype(operand(a), np.float64) for a in (x, xp))
    fp = as_dtype(operand(fp), np.complex128 if operand(fp).dtype.kind == "c" else np.float64)
    if xp.ndim != 1 or fp.ndim != 1:
        raise ValueError("Data points must be 1-D sequences")
    if xp.shape != fp.shape:
        raise ValueError("fp and xp are not of the same length.")
    if not xp.shape[0]:
        raise ValueError("array of sample points is empty")
    if period is not None:
        if known(equal(period, 0)):
            raise ValueError("period must be a non-zero value")
        period = absolute(value(period))
        x, xp = remainder(x, period), remainder(xp, period)
        order = argsort(xp)
        xp, fp = xp[order], fp[order]
        xp = concatenate([xp[-1:] - period, xp, xp[:1] + period])
        fp = concatenate([fp[-1:], fp, fp[:1]])
        left = right = None
    n = xp.shape[0]
    below = fp[0] if left is None else left
    above = fp[-1] if right is None else right
    if n == 1:
        return where(less(x, xp[0]), below, where(greater(x, xp[0]), above, fp[0] + 0.0 * x))
    j = minimum(maximum(searchsorted(xp, x, "right") - 1, 0), n - 2)
    steps = diff(xp)
    same = equal(steps, 0)  # of places that are given twice the last counts, and no slope is infinite
    start, y = read(xp, j), read(where(same, fp[1:], fp[:-1]), j)
    slope = read(divide(diff(fp), where(same, 1.0, steps)), j)
    found = slope * (x - start) + y
    found = where(greater(x, xp[-1]), above, found)
    return where(less(x, xp[0]), below, found)


# --- convolution ------------------------------------------------------------------------------------------------------


@answers(np.convolve)
def convolve(a: Any, v: Any, mode: str = "full") -> Any:
    a, v = (atleast_1d(x) for x in (a, v))
    if a.ndim > 1 or v.ndim > 1:
        raise ValueError("object too deep for desired array")
    if not a.shape[0]:
        raise ValueError("a cannot be empty")
    if not v.shape[0]:
        raise ValueError("v cannot be empty")
    if v.shape[0] > a.shape[0]:
        a, v = v, a
    if mode in ("full", "valid"):
        return cumulate.convolve(a, v, mode=mode)
    if mode != "same":
        raise ValueError(f"mode must be one of 'valid', 'same', or 'full' (got {mode!r})")
    return cumulate.convolve_part(a, v, start=(v.shape[0] - 1) // 2, count=a.shape[0])


@answers(np.correlate)
def correlate(a: Any, v: Any, mode: str = "valid") -> Any:
    a, v = (atleast_1d(x) for x in (a, v))
    if a.ndim > 1 or v.ndim > 1:
        raise ValueError("object too deep for desired array")
    v = conj(v)
    if a.shape[0] >= v.shape[0]:
        return convolve(a, flip(v), mode)
    return flip(convolve(flip(a), v, mode))


# --- polynomials ------------------------------------------------------------------------------------------------------


@answers(np.polyval)
def polyval(p: Any, x: Any) -> Any:
    if isinstance(p, np.poly1d):
        p = p.coeffs
    if isinstance(x, np.poly1d):
        raise UnsupportedError("`np.polyval` is recorded at numbers.", None, "give an array, not a poly1d")
    p, x = array_operand(p), array_operand(x)
    found = x * 0
    for k in range(p.shape[0]):
        found = found * x + p[k]
    return found


def _sum_of(a1: Any, a2: Any, op: Any) -> Any:
    a1, a2 = (atleast_1d(a) for a in (a1, a2))
    n = builtins.max(a1.shape[0], a2.shape[0])
    a1, a2 = (concatenate([np.zeros(n - a.shape[0], a.dtype), a]) if a.shape[0] < n else a for a in (a1, a2))
    return op(a1, a2)


@answers(np.polyadd)
def polyadd(a1: Any, a2: Any) -> Any:
    return _sum_of(a1, a2, add)


@answers(np.polysub)
def polysub(a1: Any, a2: Any) -> Any:
    return _sum_of(a1, a2, subtract)


def _without_leading_zeros(p: Any) -> Any:
    p = atleast_1d(p)
    filled = nonzero(p)[0]
    return p[known(filled[0]) :] if filled.shape[0] else p[:0]


@answers(np.polymul)
def polymul(a1: Any, a2: Any) -> Any:
    a1, a2 = (_without_leading_zeros(a) for a in (a1, a2))
    return convolve(*(a if a.shape[0] else np.zeros(1) for a in (a1, a2)))


@answers(np.polydiv)
def polydiv(u: Any, v: Any) -> tuple[Any, Any]:
    u, v = (real(atleast_1d(a)) for a in (u, v))
    m, n = u.shape[0] - 1, v.shape[0] - 1
    scale = 1.0 / v[0]
    quotient: list[Any] = []
    rest = u
    for _ in range(m - n + 1):
        d = scale * rest[0]
        quotient.append(d)
        rest = concatenate([rest[1 : n + 1] - d * v[1:], rest[n + 1 :]])
    found = stack(quotient) if quotient else np.zeros(1)
    if not rest.shape[0]:  # NumPy leaves the last one
        rest = u[-1:] - quotient[-1] * v
    filled = [known(k) for k in nonzero(absolute(rest) > 1e-8)[0]]
    return found, rest[filled[0] if filled else rest.shape[0] - 1 :]


@answers(np.polyder)
def polyder(p: Any, m: int = 1) -> Any:
    p, m = operand(p), int(m)
    if m < 0:
        raise ValueError("Order of derivative must be positive (see polyint)")
    for _ in range(m):
        p = p[:-1] * np.arange(p.shape[0] - 1, 0, -1)
    return p


@answers(np.polyint)
def polyint(p: Any, m: int = 1, k: Any = None) -> Any:
    p, m = operand(p), int(m)
    if m < 0:
        raise ValueError("Order of integral must be positive (see polyder)")
    k = atleast_1d(np.zeros(m) if k is None else k)
    if k.shape[0] == 1 and m > 1:
        k = k[0] * np.ones(m)
    if k.shape[0] < m:
        raise ValueError("k must be a scalar or a rank-1 array of length 1 or >m.")
    for j in range(m):
        p = concatenate([divide(p, np.arange(p.shape[0], 0, -1)), k[j : j + 1]])
    return p


_LARGEST_BY_TRACES = 16


def _characteristic(a: Any) -> Any:
    """The characteristic polynomial by Faddeev and LeVerrier, which has a derivative where eigenvalues coincide."""
    if a.ndim != 2 or a.shape[0] != a.shape[1] or not a.shape[0]:
        raise ValueError("input must be 1d or non-empty square 2d array.")
    n = a.shape[0]
    if n > _LARGEST_BY_TRACES:
        raise UnsupportedError(
            f"`np.poly` is recorded for matrices of at most {_LARGEST_BY_TRACES} rows: by traces, which lose digits.",
            None,
            "give it the eigenvalues: np.poly(np.linalg.eigvals(a))",
        )
    coefficients: list[Any] = [np.ones((), a.dtype)]
    product = a
    for k in range(1, n + 1):
        coefficients.append(divide(trace(product), -k))
        if k < n:
            product = matmul(a, product + coefficients[-1] * np.eye(n, dtype=a.dtype))
    return stack(coefficients)


@answers(np.poly)
def poly(seq_of_zeros: Any) -> Any:
    roots = atleast_1d(seq_of_zeros)
    if roots.ndim != 1:
        return _characteristic(real(roots))
    if not roots.shape[0]:
        return 1.0
    found: Any = np.ones(1, roots.dtype)
    for k in range(roots.shape[0]):
        found = convolve(found, stack([np.ones((), roots.dtype), negative(roots[k])]))
    return found


@answers(np.vander)
def vander(x: Any, N: int | None = None, increasing: bool = False) -> Any:
    x = operand(x)
    if x.ndim != 1:
        raise ValueError("x must be a one-dimensional array or sequence.")
    n, x = x.shape[0] if N is None else int(N), as_dtype(x, np.promote_types(x.dtype, int))
    columns = [x**0]
    for _ in range(n - 1):
        columns.append(columns[-1] * x)
    if n < 1:
        return stack(columns, 1)[:, :0]
    return stack(columns if increasing else columns[::-1], 1)
