"""Exponentials, logarithms, roots, trigonometric and hyperbolic functions, each one line.

A partial is ∂z/∂x as an expression of z and x. Derivatives: Abramowitz and Stegun, chapter 4. For erf and its kind see
`special.py`. Begin with `exp`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tracegrad.kernels import arcs, exponential, logarithm, powers, trigonometric
from tracegrad.ops.compare import absolute, equal, greater, less, maximum, signbit, where
from tracegrad.ops.families import (
    above_one,
    away_from_zero,
    by_loop,
    constant_of,
    elementwise,
    positive,
    real,
    unit,
)
from tracegrad.ops.op import Op


def _function(function: np.ufunc, partials: Any, **options: Any) -> Op:
    """One of complex numbers too, which compiled programs compute by NumPy's loop."""
    return elementwise(function, partials, native=by_loop(function), **options)


exp: Op = _function(np.exp, lambda z, x: z, vector=exponential.exp)
exp2: Op = _function(np.exp2, lambda z, x: z * math.log(2), vector=exponential.exp2)

expm1: Op = _function(np.expm1, lambda z, x: z + 1, vector=exponential.expm1)
log: Op = _function(np.log, lambda z, x: 1 / x, domain=positive, vector=logarithm.log)
log2: Op = _function(np.log2, lambda z, x: 1 / (x * math.log(2)), domain=positive, vector=logarithm.log2)
log10: Op = _function(np.log10, lambda z, x: 1 / (x * math.log(10)), domain=positive, vector=logarithm.log10)
log1p: Op = _function(np.log1p, lambda z, x: 1 / (1 + x), domain=positive, vector=logarithm.log1p)


def _shares(power: Op, half: float) -> Any:
    """What each term is of the sum; nothing where the sum itself is 0, whose logarithm is -inf.

    A term that is all of the sum as far as can be told has all of it, also where both are infinite; two share it.
    """

    def partials(z: Any, x: Any, y: Any) -> tuple[Any, Any]:
        one_is_known = constant_of(x) is not None or constant_of(y) is not None
        total = z if one_is_known else where(equal(z, -math.inf), 0.0, z)
        alone = where(equal(x, y), half, 0.0)
        return (
            power(where(equal(x, total), alone, x - total)),
            power(where(equal(y, total), alone, y - total)),
        )

    return partials


_NO_SUM = "0 where both are -inf"
logaddexp: Op = elementwise(
    np.logaddexp, _shares(exp, -math.log(2)), vector=logarithm.logaddexp, edge=_NO_SUM
)
logaddexp2: Op = elementwise(np.logaddexp2, _shares(exp2, -1.0), edge=_NO_SUM)

sqrt: Op = _function(np.sqrt, lambda z, x: 0.5 / z, domain=positive, edge="infinite at 0")
cbrt: Op = elementwise(
    np.cbrt, lambda z, x: 1 / (3 * z * z), domain=positive, vector=powers.cbrt, edge="infinite at 0"
)


def _hypot_partials(z: Any, x: Any, y: Any) -> tuple[Any, Any]:
    """∂ of the length (x, y); 0 where the length is 0, as for the norm."""
    length = where(equal(z, 0), 1.0, z)
    return x / length, y / length


hypot: Op = elementwise(
    np.hypot, _hypot_partials, domain=away_from_zero, edge="0 at the origin", vector=powers.hypot
)

sin: Op = _function(np.sin, lambda z, x: cos(x), vector=trigonometric.sin)
cos: Op = _function(np.cos, lambda z, x: -sin(x), vector=trigonometric.cos)
tan: Op = _function(np.tan, lambda z, x: 1 + z * z, domain=unit, vector=trigonometric.tan)


def _and_one(x: Any) -> Any:
    """x + 1 of a complex number, with the sign of an imaginary part 0, which says on what side of a cut it lies."""
    return -(-x - 1)


def _root(x: Any) -> Any:
    """sqrt(1 - x**2); of complex numbers by factors, whose squares do not overflow."""
    return sqrt(_and_one(-x)) * sqrt(_and_one(x)) if x.dtype.kind == "c" else sqrt(1 - x * x)


def _root_of_sum(x: Any) -> Any:
    """sqrt(x**2 + 1); of complex numbers far away from 0 that is x, or -x, of which the real part is positive."""
    if x.dtype.kind != "c":
        return sqrt(x * x + 1)
    far = greater(absolute(x), 1e9)
    near = where(far, 0.0, x)
    return where(far, where(signbit(real(x)), -x, x), sqrt(_and_one(near * near)))


arcsin: Op = _function(np.arcsin, lambda z, x: 1 / _root(x), domain=unit, vector=arcs.arcsin)
arccos: Op = _function(np.arccos, lambda z, x: -1 / _root(x), domain=unit, vector=arcs.arccos)
arctan: Op = _function(
    np.arctan,
    lambda z, x: 1 / (1 + x * 1j) * (1 / (1 - x * 1j)) if x.dtype.kind == "c" else 1 / (1 + x * x),
    vector=arcs.arctan,
)


def _turn(z: Any, y: Any, x: Any) -> tuple[Any, Any]:
    """∂ of the angle of (x, y): x / r² and -y / r², without squares of what is huge or tiny; 0 at the origin."""
    size = maximum(absolute(x), absolute(y))
    size = where(equal(size, 0), 1.0, size)
    u, v = x / size, y / size
    r = (u * u + v * v) * size
    r = where(equal(r, 0), 1.0, r)
    return u / r, -v / r


arctan2: Op = elementwise(
    np.arctan2, _turn, domain=away_from_zero, vector=arcs.arctan2, edge="0 at the origin"
)

sinh: Op = _function(np.sinh, lambda z, x: cosh(x), vector=exponential.sinh)
cosh: Op = _function(np.cosh, lambda z, x: sinh(x), vector=exponential.cosh)
tanh: Op = _function(np.tanh, lambda z, x: 1 - z * z, vector=exponential.tanh)
arcsinh: Op = _function(np.arcsinh, lambda z, x: 1 / _root_of_sum(x), vector=logarithm.arcsinh)
arccosh: Op = _function(
    np.arccosh,
    lambda z, x: 1 / (sqrt(x - 1) * sqrt(_and_one(x)) if x.dtype.kind == "c" else sqrt(x * x - 1)),
    domain=above_one,
    vector=logarithm.arccosh,
)
arctanh: Op = _function(
    np.arctanh,
    lambda z, x: 1 / (1 + x) * (1 / (1 - x)) if x.dtype.kind == "c" else 1 / (1 - x * x),
    domain=unit,
    vector=logarithm.arctanh,
)

deg2rad: Op = elementwise(np.deg2rad, lambda z, x: math.pi / 180)
rad2deg: Op = elementwise(np.rad2deg, lambda z, x: 180 / math.pi)
radians: Op = elementwise(np.radians, lambda z, x: math.pi / 180)
degrees: Op = elementwise(np.degrees, lambda z, x: 180 / math.pi)


def _sinc_partial(z: Any, x: Any) -> Any:
    """(cos πx - sinc x) / x; near 0, where that cancels, its series -π²x/3 + π⁴x³/30 - π⁶x⁵/840 + π⁸x⁷/45360."""
    near = less(absolute(x * x) if x.dtype.kind == "c" else x * x, 1e-3)
    far = where(near, 1.0, x)
    s = x * x * math.pi**2
    series = x * (math.pi**2 * (-1 / 3 + s * (1 / 30 + s * (-1 / 840 + s * (1 / 45360 - s / 3991680)))))
    return where(near, series, (cos(math.pi * far) - sinc(far)) / far)


sinc: Op = elementwise(
    np.sinc,
    _sinc_partial,
    dtype=lambda token: np.sinc(np.ones(1, token)).dtype,
    native=lambda instr: instr.outputs[0].dtype.kind != "c",  # Numba's compute narrow ones in another way
)
