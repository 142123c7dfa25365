"""Arithmetic: add, multiply, power and their kind, each one line. A partial is ∂z/∂x as an expression of z, x, y."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tracegrad.kernels import powers
from tracegrad.ops.compare import equal, greater, sign, trunc, where
from tracegrad.ops.elementary import log
from tracegrad.ops.families import anywhere, away_from_zero, by_loop, cast, constant_of, elementwise, positive
from tracegrad.ops.op import Op


def _power_partials(z: Any, x: Any, y: Any) -> tuple[Any, Any]:
    """∂(x**y): y x**(y-1), and x**y log(x), which is 0 at x = 0 for y > 0, as the limit is.

    A known exponent gives the text a person writes, and 0 where it is 0, whatever x.
    """
    return _partial_of_base(z, x, y), _partial_of_exponent(z, x, y)


def _partial_of_base(z: Any, x: Any, y: Any) -> Any:
    """For x**-1.5 and its kind from the power itself, -1.5 z / x: a division instead of another power; of complex
    numbers for x**-1 too, where that other power would be NaN far away."""
    n = constant_of(y)
    if n is None:
        # The outer choice asks for `y` alone: where a pass finds `y` out, a power by a number is left.
        less = y - 1
        return y * x ** where(equal(y, 0), where(equal(x, 0), 1.0, less), less)
    if np.ndim(n):
        return y * x ** np.where(n == 0, 0, n - 1).astype(n.dtype)
    if n == 0:
        return None
    if n == 1:
        return 1
    if np.isrealobj(n) and n < 0 and (x.dtype.kind == "c" or (x.dtype.kind == "f" and n != int(n))):
        return n * (z / x)
    return 2 * x if n == 2 else n * x ** (n - 1)


def _partial_of_exponent(z: Any, x: Any, y: Any) -> Any:
    if constant_of(y) is not None:
        return None
    base = constant_of(x)
    if base is not None and np.isrealobj(base) and np.all(base > 0):
        return z * (math.log(base) if isinstance(base, (int, float)) else np.log(base))
    if z.dtype.kind == "c":
        zero = equal(x, 0)
        return where(zero, 0.0, z * log(cast(where(zero, 1.0, x), z.dtype)))
    above = greater(x, 0)
    return where(above, z * log(where(above, x, 1.0)), 0.0)


add: Op = elementwise(np.add, lambda z, x, y: (1, 1), symbol="+")
subtract: Op = elementwise(np.subtract, lambda z, x, y: (1, -1), symbol="-")
multiply: Op = elementwise(np.multiply, lambda z, x, y: (y, x), symbol="*")
divide: Op = elementwise(np.divide, lambda z, x, y: (1 / y, -z / y), domain=away_from_zero, symbol="/")
negative: Op = elementwise(np.negative, lambda z, x: -1, symbol="neg")
positive_: Op = elementwise(np.positive, lambda z, x: 1, name="positive")
stop_gradient: Op = elementwise(np.positive, passes_zero=True, name="stop_gradient", callee="np.positive")
"""The same value, which counts as a constant for derivatives."""
_POWER = "finite at 0 where the limit is; 0 by the exponent for a base of 0"
power: Op = elementwise(
    np.power,
    _power_partials,
    domain=positive,
    symbol="**",
    vector=powers.power,
    native=by_loop(np.power),
    edge=_POWER,
)
floor_divide: Op = elementwise(np.floor_divide, passes_zero=True, domain=away_from_zero, symbol="//")
remainder: Op = elementwise(
    np.remainder, lambda z, x, y: (1, -floor_divide(x, y)), domain=((0.2, 0.9), (1.0, 2.0)), symbol="%"
)
fmod: Op = elementwise(
    np.fmod,
    lambda z, x, y: (1, -trunc(x / y)),
    domain=((0.2, 0.9), (1.0, 2.0)),
    native=lambda instr: instr.outputs[0].dtype.kind == "f",  # of integers Numba's has another sign
)
copysign: Op = elementwise(
    np.copysign, lambda z, x, y: (sign(x) * copysign(1.0, y), None), domain=away_from_zero
)
ldexp: Op = elementwise(np.ldexp, lambda z, x, n: (power(2.0, n), None), domain=(anywhere, (-2, 3)))
float_power: Op = elementwise(
    np.float_power, _power_partials, domain=positive, native=by_loop(np.float_power), edge=_POWER
)
reciprocal: Op = elementwise(
    np.reciprocal, lambda z, x: -z * z, domain=away_from_zero, native=by_loop(np.reciprocal)
)
square: Op = elementwise(np.square, lambda z, x: 2 * x)
