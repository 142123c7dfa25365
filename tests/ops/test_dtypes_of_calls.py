"""NumPy calls on float32 arrays beside Python numbers: the dtype, the form and the value are NumPy's.

A Python number takes the dtype of what it meets in arithmetic. Where NumPy makes an array of it first, it does not.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import tracegrad as tg

X = np.array([0.5, -1.2, 0.8], np.float32)
M = (np.arange(9, dtype=np.float32) / 7).reshape(3, 3)
T = 0.6

CALLS = {
    "dot": lambda x, m, t: (np.dot(x, t), np.dot(t, x), x.dot(t), m.dot(t), np.inner(x, t), np.inner(t, x)),
    "outer": lambda x, m, t: (np.outer(x, t), np.add.outer(x, t), np.multiply.outer(t, x)),
    "arrays of one number": lambda x, m, t: (
        x + np.array(1.0), x * np.ones(()), x * np.asarray(3.0), np.where(x > 0, x, np.array(0.0)),
        np.array(2) * x, x * np.array(t), np.full((), 2.0) * x, np.maximum(x, np.zeros(())),
    ),
    "join": lambda x, m, t: (np.r_[x, t], np.r_[t, x], np.r_[x, 0.5], np.r_[x, x[0]], np.append(x, t), np.r_[t, 2]),
    "choose": lambda x, m, t: (
        np.select([x > 0.5, x < 0], [x, t], 0.3), np.select([x > 0.5], [x], t), np.choose([0, 1, 0], [x, t]),
    ),
    "sample": lambda x, m, t: (
        np.geomspace(x[0], x[2], 4), np.geomspace(x[0], x[0], 5), np.linspace(x[0], t, 4), np.gradient(x),
        np.gradient(x, [0.1, 0.5, t + 1]), np.interp(t, x * 0 + np.arange(3, dtype=np.float32), x), np.polyval(x, t),
        np.polyval([t, 1.0], x), np.vander(x), np.poly(x[:0]), np.poly(x),
    ),
    "reduce": lambda x, m, t: (
        np.trace(m, dtype=np.float64), np.nanmean(x.astype(float), dtype=np.float32),
        np.nanvar(x.astype(float), dtype=np.float32), np.var(x[0], mean=x[None]), np.var(x, mean=m, axis=0),
        np.var(x + 1j, where=x > 0), np.var(x * 1j, mean=t),
        np.cov(m), np.corrcoef(m + m.T @ m), np.cov(x, x),
    ),
    "order": lambda x, m, t: (
        np.quantile(x, t), np.quantile(x, [t, 0.2]), np.nanquantile(x, [0.2, 0.7]), np.percentile(x, 30),
        np.percentile(x, [30.0]), np.nanpercentile(x, [t]), np.quantile(x, [t], method="lower"), np.median(x),
    ),
    "count": lambda x, m, t: (np.bincount(x > 0) * x[0], np.histogram(x, weights=x)[0], np.histogram(x, 3)[1]),
    "math": lambda x, m, t: (math.hypot(t - 1.2), math.hypot(t, -1.5), math.hypot(t, 2.0, 3.0)),
}  # fmt: skip


def agree(found: Any, wanted: Any) -> None:
    for place, (a, b) in enumerate(zip(found, wanted, strict=True)):
        assert np.shape(a) == np.shape(b), place
        assert np.asarray(a).dtype == np.asarray(b).dtype, place
        close = 1e-6 if np.asarray(b).dtype == np.float32 else 1e-13
        np.testing.assert_allclose(a, b, rtol=close, atol=close, err_msg=str(place))


@pytest.mark.parametrize("name", CALLS)
def test_calls_beside_python_numbers_give_numpys_dtypes(name: str) -> None:
    agree(tg.jit(CALLS[name], jit="python")(X, M, T), CALLS[name](X, M, T))


def test_they_do_in_compiled_code() -> None:
    def together(x: Any, m: Any, t: Any) -> Any:
        return *CALLS["dot"](x, m, t), *CALLS["arrays of one number"](x, m, t), *CALLS["choose"](x, m, t)

    agree(tg.jit(together, jit="native")(X, M, T), together(X, M, T))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_what_lies_on_the_edge_of_a_bin_is_in_the_bin_numpy_says(dtype: Any) -> None:
    """The largest was left out where the last edge, computed, was a little below it."""
    draws = np.random.default_rng(3)
    function = tg.jit(lambda a, w: np.histogram(a, 7, weights=w), jit="python")
    for k in range(12):
        a = (draws.integers(0, 10, 11) / 10 if k % 2 else draws.normal(size=11)).astype(dtype)
        w = draws.normal(size=11).astype(dtype)
        wanted, edges = np.histogram(a, 7, weights=w)
        found, ours = function(a, w)
        np.testing.assert_array_equal(ours, edges)
        np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-6)
