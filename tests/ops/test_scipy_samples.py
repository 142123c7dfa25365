"""Convolutions, filters, images and integrals of samples under SciPy's signatures: values and every derivative."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.integrate
import scipy.ndimage as images
import scipy.signal as signals

import tracegrad as tg
from tests.ops.derivatives import check
from tracegrad import config
from tracegrad.errors import UnsupportedError

generator = np.random.default_rng(0)
X = generator.uniform(-1, 1, 6)
K = generator.uniform(-1, 1, 3)
M = generator.uniform(-1, 1, (4, 5))
N = generator.uniform(-1, 1, (2, 3))
P = np.array([[0.4, 2.2, 1.7], [1.3, 3.9, 0.2]])

CALLS = {
    **{
        f"{name} {mode}": (lambda x, k, name=name, mode=mode: getattr(signals, name)(x, k, mode), X, K)
        for name in ("convolve", "correlate", "fftconvolve", "oaconvolve")
        for mode in ("full", "same", "valid")
    },
    **{
        f"{name} of images {mode}": (
            lambda x, k, name=name, mode=mode: getattr(signals, name)(x, k, mode),
            M,
            N,
        )
        for name in ("convolve", "correlate", "fftconvolve", "convolve2d")
        for mode in ("full", "same", "valid")
    },
    "convolve of cubes": (lambda x, k: signals.convolve(x, k), M.reshape(2, 2, 5), K.reshape(1, 1, 3)),
    "convolve longer second": (lambda x, k: signals.convolve(k, x, "same") + 0 * k, X, K),
    "convolve2d wrap": (lambda x, k: signals.convolve2d(x, k, "same", "wrap"), M, N),
    "convolve2d symm": (lambda x, k: signals.convolve2d(x, k, "full", "symm"), M, N),
    "correlate2d": (lambda x, k: signals.correlate2d(x, k, "full"), M, N),
    "lfilter": (lambda b, a, x: signals.lfilter(b, a + np.array([2.0, 0, 0]), x), K, K, X),
    "lfilter rows": (lambda b, x: signals.lfilter(b, [1.0, 0.4], x, axis=0), K, M),
    "lfilter with a past": (
        lambda b, x, z: (
            signals.lfilter(b, [1.0, 0.4, 0.2], x, zi=z)[0] + signals.lfilter(b, 1.0, x, zi=z)[1][0]
        ),
        K,
        X,
        K[:2],
    ),
    "lfilter of one sample": (lambda b, x, z: signals.lfilter(b, [1.0, 0.4], x, zi=z)[1], K, X[:1], K[:2]),
    "sosfilt with a past": (
        lambda x, z: signals.sosfilt([[1.0, 0.2, 0.3, 1.0, -0.4, 0.1]], x, zi=z)[0],
        M,
        np.ones((1, 4, 2)),
    ),
    "lfilter without recursion": (lambda b, x: signals.lfilter(b, [2.0], x), K, X),
    "sosfilt": (
        lambda x: signals.sosfilt([[1.0, 0.2, 0.3, 1.0, -0.4, 0.1], [0.5, 0.1, 0, 1.0, 0.2, 0.0]], x),
        M,
    ),
    "detrend": (lambda x: signals.detrend(x), M),
    "detrend constant": (lambda x: signals.detrend(x, axis=0, type="constant"), M),
    "detrend broken": (lambda x: signals.detrend(x, bp=[3]), X),
    "image correlate": (lambda x, k: images.correlate(x, k), M, N),
    "image convolve": (lambda x, k: images.convolve(x, k, mode="nearest"), M, N),
    "image constant": (lambda x, k: images.convolve(x, k, mode="constant", cval=1.5), M, N),
    "correlate1d": (lambda x, k: images.correlate1d(x, k, axis=0, mode="wrap"), M, K),
    "gaussian": (lambda x: images.gaussian_filter(x, 0.7), M),
    "gaussian mirror": (lambda x: images.gaussian_filter(x, [0.7, 0.4], mode="mirror"), M),
    "gaussian slope": (lambda x: images.gaussian_filter1d(x, 0.8, order=1), X),
    "map_coordinates": (lambda x, p: images.map_coordinates(x, p, order=1), M, P),
    "map_coordinates outside": (lambda x, p: images.map_coordinates(x, p, order=1, cval=2.0), M, P - 1),
    "map_coordinates nearest": (lambda x, p: images.map_coordinates(x, p, order=1, mode="nearest"), M, P - 1),
    **{
        f"map_coordinates {order} {mode}": (
            lambda x, p, order=order, mode=mode: images.map_coordinates(
                x, p, order=order, mode=mode, cval=0.3
            ),
            M,
            P - 0.73,
        )
        for order in (1, 2, 3)
        for mode in ("reflect", "grid-wrap", "wrap", "grid-constant", "nearest")
    },
    "shift": (lambda x, s: images.shift(x, s, order=2, mode="mirror"), M, [0.3, -1.2]),
    "zoom": (lambda x: images.zoom(x, 1.5, grid_mode=True, mode="grid-wrap"), M),
    "affine_transform": (
        lambda x, a: images.affine_transform(x, a, (0.2, 0.35)),
        M,
        np.array([[0.87, 0.21], [-0.13, 0.83]]),
    ),
    "trapezoid": (lambda y, x: scipy.integrate.trapezoid(y, np.cumsum(x * x)), X, X),
    "simpson": (lambda y, x: scipy.integrate.simpson(y, x=np.cumsum(x * x)), X, X + 2),
    "simpson even": (lambda y: scipy.integrate.simpson(y, dx=0.3), X[:5]),
    "cumulative_trapezoid": (lambda y: scipy.integrate.cumulative_trapezoid(y, dx=0.3, initial=0), M),
    "simpson even places": (lambda y, x: scipy.integrate.simpson(y, x=np.cumsum(x * x)), X[:5], X[:5] + 2),
    "simpson at known places": (lambda y: scipy.integrate.simpson(y, x=np.arange(5.0) ** 2, axis=1), M),
    "cumulative_trapezoid at places": (
        lambda y, x: scipy.integrate.cumulative_trapezoid(y, np.cumsum(x * x)),
        X,
        X,
    ),
    "cumulative_simpson": (lambda y: scipy.integrate.cumulative_simpson(y, dx=0.3, initial=0), X),
    "romb": (lambda y: scipy.integrate.romb(y, dx=0.3), X[:5]),
}


@pytest.mark.parametrize("name", CALLS)
def test_value_and_derivatives(name):
    function, *args = CALLS[name]
    check(function, *args, rtol=1e-6, atol=1e-7)


def test_what_is_not_recorded_is_refused_with_the_argument_and_bad_input_as_scipy_does():
    with config.using(jit="python"):
        with pytest.raises(UnsupportedError, match="output"):
            tg.grad(lambda x: np.sum(images.map_coordinates(x, P, output=float)))(M)
        for function in (
            lambda x: signals.lfilter([1.0], [1.0, 0.3], x, zi=[0.1, 0.2]),
            lambda x: signals.welch(x, nperseg=4, average="mode"),
            lambda x: signals.convolve(x, x, "half"),
            lambda x: signals.convolve(x, M),
            lambda x: signals.convolve2d(x, x),
        ):
            with pytest.raises(ValueError) as wanted:
                function(X)
            with pytest.raises(ValueError) as found:
                tg.grad(lambda x, function=function: np.sum(function(x)))(X)
            assert str(wanted.value)[1:20] == str(found.value)[1:20]
