"""Where a function of one number may go wrong: numbers of every size, edges, thresholds, multiples of pi/2."""

from __future__ import annotations

import math
from typing import Any

import mpmath
import numpy as np

EDGES = [0.0, 5e-324, 1e-310, 2.2250738585072014e-308, 1e-300, 1e-8, 1.0, 1.7976931348623157e308, math.inf]


def everywhere() -> Any:
    """Both signs, every exponent, some of each; and NaN."""
    generator = np.random.default_rng(7)
    sizes = np.ldexp(generator.uniform(1, 2, 1024), np.arange(-1074, 1022, 2)[:1024])
    found = np.concatenate([EDGES, sizes])
    return np.concatenate([found, -found, [math.nan]])


def everywhere_single() -> Any:
    """The same of float32."""
    generator = np.random.default_rng(8)
    sizes = np.ldexp(generator.uniform(1, 2, 1104), np.repeat(np.arange(-148, 128), 4)).astype(np.float32)
    found = np.concatenate([[0.0, 1e-45, 1e-40, np.finfo(np.float32).tiny, math.inf], sizes]).astype(
        np.float32
    )
    return np.concatenate([found, -found, [math.nan]])


def within(low: float, high: float, count: int = 600) -> Any:
    """Numbers spread over an interval."""
    return np.random.default_rng(11).uniform(low, high, count)


def around(*places: float) -> Any:
    """The numbers next to some places, and some near them."""
    steps = np.array([-3, -2, -1, 0, 1, 2, 3])
    beside = [p + steps * np.spacing(p) for p in places]
    near = [p + s * 2.0**-k * max(abs(p), 1e-3) for p in places for k in range(2, 52, 3) for s in (-1, 1)]
    return np.concatenate([*beside, near])


def quarter_turns() -> Any:
    """Doubles next to multiples of pi/2, among them one of the closest there is (6381956970095103 * 2**797)."""
    with mpmath.workprec(1200):
        numbers = [*range(1, 60), *(3**k for k in range(4, 300, 7))]
        found = [float(n * mpmath.pi / 2) for n in numbers]
    return np.array([*found, math.ldexp(6381956970095103, 797), 2.0**30, 2.0**30 + 1, 1e22, 1e300])


def error_in_ulp(found: Any, exact: Any, dtype: Any = np.float64) -> float:
    """The distance of a result from the exact value, in units of the last place of the exact value in this dtype."""
    rounded = dtype(float(exact))
    if not np.isfinite(rounded) or np.isnan(found):
        limit = np.finfo(dtype).max
        same = found == rounded or (abs(found) == limit and abs(exact) < 2 * mpmath.mpf(float(limit)))
        return 0.0 if same or (np.isnan(found) and np.isnan(rounded)) else math.inf
    return float(abs(mpmath.mpf(float(found)) - exact) / mpmath.mpf(float(np.spacing(abs(rounded)))))
