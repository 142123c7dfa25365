"""Places of items as NumPy gives them, used to read the items; extremes and sums with `where=` and `initial=`."""

from __future__ import annotations

import numpy as np
import pytest

import tracegrad as tg

X = np.array([[3.0, 1.2, 2.0], [0.5, 0.1, 4.0]])
W = np.array([[True, False, True], [True, True, False]])
SCALE = np.arange(1.0, 7).reshape(2, 3)
START = {"sum": 2.0, "prod": 2.0, "min": 9.0, "max": -1.0}

PROGRAMS = {
    "unravel_index": lambda x: x[np.unravel_index(np.argmax(x), x.shape)] ** 2,
    "unravel_index of several": lambda x: np.sum(x[np.unravel_index(np.argsort(x.ravel())[:2], (2, 3))] ** 2),
    "ravel_multi_index": lambda x: x.ravel()[np.ravel_multi_index((1, 2), x.shape)] ** 2,
    "einsum with a path": lambda x: np.einsum("ij,ij", x, x, optimize=np.einsum_path("ij,ij", X, X)[0]),
    **{
        f"{name} along {axis}": lambda x, name=name, axis=axis: np.sum(
            getattr(np, name)(x, axis=axis, where=W, initial=START[name]) ** 2
        )
        for name in START
        for axis in (None, 0, 1)
    },
    **{
        f"{ufunc.__name__}.accumulate": lambda x, ufunc=ufunc: np.sum(ufunc.accumulate(x, axis=1) * SCALE)
        for ufunc in (np.maximum, np.minimum, np.fmax, np.add, np.multiply, np.logaddexp, np.hypot)
    },
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_values_and_derivatives(name):
    function = PROGRAMS[name]
    wanted = np.zeros_like(X)
    for place in np.ndindex(X.shape):
        step = np.zeros_like(X)
        step[place] = 1e-6
        wanted[place] = (function(X + step) - function(X - step)) / 2e-6
    both = tg.value_and_grad(function, jit="python")
    for _ in range(2):
        value, bar = both(X)
        assert value == pytest.approx(function(X), rel=1e-14)
        np.testing.assert_allclose(bar, wanted, rtol=1e-6, atol=1e-6)
    assert tg.jvp(function, jit="python")((X,), (SCALE,))[1] == pytest.approx(
        np.sum(wanted * SCALE), rel=1e-6
    )


def test_another_greatest_item_needs_no_new_program():
    function = tg.grad(PROGRAMS["unravel_index"], jit="python")
    for x in (X, X[::-1].copy(), -X):
        np.testing.assert_allclose(function(x), 2 * x * (x == x.max()))
    assert function.stats.captures <= 2


def test_places_out_of_bounds_are_refused_as_numpy_refuses_them():
    with pytest.raises(ValueError, match="out of bounds for array with size 6"):
        tg.grad(lambda x: x[np.unravel_index(np.argmax(x) + 6, x.shape)], jit="python")(X)
