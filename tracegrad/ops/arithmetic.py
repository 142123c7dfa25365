"""Arithmetic: add, multiply, power and their kind, each one line. A partial is ∂z/∂x as an expression of z, x, y."""

from __future__ import annotations

from typing import Any

import numpy as np

from tracegrad.ops.compare import where
from tracegrad.ops.elementary import log
from tracegrad.ops.families import away_from_zero, elementwise, positive
from tracegrad.ops.op import Op


def _power_partials(z: Any, x: Any, y: Any) -> tuple[Any, Any]:
    """∂(x**y): y x**(y-1), and x**y log(x), which is 0 at x = 0 for y > 0, as the limit is."""
    safe = log(where(x > 0, x, 1.0))
    return y * x ** (y - 1), where(x > 0, z * safe, 0.0)


add: Op = elementwise(np.add, lambda z, x, y: (1, 1), symbol="+")
subtract: Op = elementwise(np.subtract, lambda z, x, y: (1, -1), symbol="-")
multiply: Op = elementwise(np.multiply, lambda z, x, y: (y, x), symbol="*")
divide: Op = elementwise(np.divide, lambda z, x, y: (1 / y, -z / y), domain=away_from_zero, symbol="/")
negative: Op = elementwise(np.negative, lambda z, x: -1, symbol="neg")
positive_: Op = elementwise(np.positive, lambda z, x: 1, name="positive")
power: Op = elementwise(np.power, _power_partials, domain=positive, symbol="**")
floor_divide: Op = elementwise(np.floor_divide, passes_zero=True, domain=away_from_zero, symbol="//")
remainder: Op = elementwise(
    np.remainder, lambda z, x, y: (1, -floor_divide(x, y)), domain=((0.2, 0.9), (1.0, 2.0)), symbol="%"
)
reciprocal: Op = elementwise(np.reciprocal, lambda z, x: -z * z, domain=away_from_zero)
square: Op = elementwise(np.square, lambda z, x: 2 * x)
