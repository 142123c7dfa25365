"""Functions made of ops, under NumPy's signatures: value, gradient, tangent and second order against plain NumPy and
differences; NumPy's own errors on bad input.
"""

from __future__ import annotations

import numpy as np
import pytest

import tracegrad as tg
from tests.ops.calls import CALLS, RISING, V
from tracegrad import config

EACH = pytest.mark.parametrize(("function", "x"), CALLS.values(), ids=CALLS)


def weighted(function):
    """A number whose gradient asks for every item of the result, each with a weight of its own."""

    def loss(x):
        found = function(x)
        return np.sum(found * np.cos(np.arange(found.size)).reshape(found.shape)) + np.sum(found * found) / 2

    return loss


def differences(function, x, step=1e-6):
    steps = np.eye(x.size).reshape(x.size, *x.shape) * step
    slopes = [(function(x + s) - function(x - s)) / (2 * step) for s in steps]
    return np.moveaxis(np.array(slopes), 0, -1).reshape(*np.shape(slopes[0]), *x.shape)


@EACH
def test_value_gradient_tangent_and_second_order(function, x):
    with config.using(jit="python"):
        found = tg.jit(function)(x)
        wanted = function(x)
        assert np.shape(found) == np.shape(wanted) and found.dtype == wanted.dtype
        np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-13)
        loss = weighted(function)
        gradient = tg.grad(loss)
        for _ in range(2):  # the capture, then the program
            np.testing.assert_allclose(gradient(x), differences(loss, x), rtol=1e-6, atol=1e-6)
        along = np.cos(1 + np.arange(x.size)).reshape(x.shape)
        step = 1e-6
        _, tangent = tg.jvp(loss, (x,), (along,))
        slope = (loss(x + step * along) - loss(x - step * along)) / (2 * step)
        np.testing.assert_allclose(tangent, slope, rtol=1e-6, atol=1e-6)
        found = tg.grad(lambda x: np.sum(gradient(x) * along))(x)
        wanted = (gradient(x + step * along) - gradient(x - step * along)) / (2 * step)
        np.testing.assert_allclose(found, wanted, rtol=2e-5, atol=2e-5)


EAGER = [
    *(
        "linspace",
        "meshgrid",
        "block",
        "insert",
        "gradient",
        "trapezoid",
        "unwrap",
        "interp-values",
        "convolve",
    ),
    *("polyfit", "select", "piecewise", "extract", "apply_along_axis", "median", "quantile", "nanvar", "cov"),
    *("histogram", "bincount", "unique", "svd", "eigh", "qr-wide", "pinv", "put_along_axis", "nonzero"),
]


@pytest.mark.parametrize("name", EAGER)
def test_eager_tensors_record_the_same(name):
    function, x = CALLS[name]
    tensor = tg.tensor(x, requires_grad=True)
    loss = weighted(function)
    loss(tensor).backward()
    np.testing.assert_allclose(tensor.grad.numpy(), differences(loss, x), rtol=1e-6, atol=1e-6)


BAD = {
    "select": lambda x: np.select([], []),
    "select-lengths": lambda x: np.select([x > 1], [x, x]),
    "select-integers": lambda x: np.select([np.arange(6)], [x]),
    "piecewise": lambda x: np.piecewise(x, [x > 1], [1.0, 2.0, 3.0]),
    "choose": lambda x: np.choose([0, 3, 1], [x[:3], x[3:]]),
    "compress": lambda x: np.compress([[True]], x),
    "dsplit": lambda x: np.dsplit(x, 2),
    "gradient": lambda x: np.gradient(x, [1.0, 2.0]),
    "gradient-short": lambda x: np.gradient(x[:1]),
    "interp": lambda x: np.interp(1.0, RISING, x[:3]),
    "convolve": lambda x: np.convolve(x, []),
    "convolve-matrix": lambda x: np.convolve(x.reshape(2, 3), x),
    "cumulative_sum": lambda x: np.cumulative_sum(x.reshape(2, 3)),
    "polyfit": lambda x: np.polyfit(RISING[:3], x, 1),
    "polyint": lambda x: np.polyint(x, -1),
    "linspace": lambda x: np.linspace(x[0], x[1], -1),
    "geomspace": lambda x: np.geomspace(x[0] * 0, x[1]),
    "meshgrid": lambda x: np.meshgrid(x, x, indexing="yx"),
    "quantile": lambda x: np.quantile(x, 1.5),
    "percentile": lambda x: np.percentile(x, 150),
    "median": lambda x: np.median(x, axis=3),
    "partition": lambda x: np.partition(x, 9),
    "bincount": lambda x: np.bincount([0, -1], weights=x[:2]),
    "bincount-lengths": lambda x: np.bincount([0, 1], weights=x),
    "histogram": lambda x: np.digitize(x, [1.0, 3.0, 2.0]),
    "insert": lambda x: np.insert(x, 9, 1.0),
    "delete": lambda x: np.delete(x, 9),
    "trim_zeros": lambda x: np.trim_zeros(x, "x"),
    "cov": lambda x: np.cov(x.reshape(1, 2, 3)),
    "svd": lambda x: np.linalg.svd(x),
    "eigh": lambda x: np.linalg.eigh(x.reshape(2, 3)),
    "pinv": lambda x: np.linalg.pinv(x),
    "lstsq": lambda x: np.linalg.lstsq(x.reshape(2, 3), x, rcond=None),
    "tensorinv": lambda x: np.linalg.tensorinv(x.reshape(1, 2, 3), 0),
    "tensorsolve": lambda x: np.linalg.tensorsolve(x.reshape(2, 3), x[:2]),
    "fill_diagonal": lambda x: np.fill_diagonal(x * 1, 1.0),
}


@pytest.mark.parametrize("function", BAD.values(), ids=BAD)
def test_bad_input_raises_what_numpy_raises(function):
    with pytest.raises(Exception) as theirs:
        function(V)
    with pytest.raises(type(theirs.value)) as ours, config.using(jit="python"):
        tg.jit(function)(V)
    assert str(ours.value).splitlines()[0] == str(theirs.value).splitlines()[0]
