"""Functions made of ops, under NumPy's signatures: value, gradient, tangent and second order against plain NumPy and
differences; NumPy's own errors on bad input.
"""

from __future__ import annotations

import numpy as np
import pytest

import tracegrad as tg
from tracegrad import config

generator = np.random.default_rng(0)
V = generator.permutation(np.linspace(0.3, 1.9, 6))
M = generator.permutation(np.linspace(-1.5, 1.9, 12)).reshape(3, 4)
T = generator.uniform(0.5, 1.5, (2, 3, 4))
S = generator.uniform(-1, 1, (3, 3)) + 2 * np.eye(3)
HOLED = np.where(np.arange(12).reshape(3, 4) % 5 == 2, np.nan, M)
RISING = np.array([0.0, 0.4, 0.9, 1.1, 1.6, 2.0])


def written(write, *args):
    """What an array made inside holds after a function has written into it."""

    def function(x):
        a = np.zeros((3, 4))
        a += x
        write(a, *args, x.ravel()[:2] * 2)
        return a

    return function


FUNCTIONS = {
    "linspace": (lambda x: np.linspace(x[0], x[1], 5), V),
    "linspace-open": (lambda x: np.linspace(x[:2], x[2:4], 4, endpoint=False, axis=1), V),
    "linspace-step": (lambda x: np.linspace(x[0], 3.0, 5, retstep=True)[1], V),
    "logspace": (lambda x: np.logspace(x[0], x[1], 4, base=2.0), V),
    "geomspace": (lambda x: np.geomspace(x[0], x[1], 4), V),
    "geomspace-negative": (lambda x: np.geomspace(-x[0], -x[1], 4, endpoint=False), V),
    "full": (lambda x: np.full((2, 2), x[0]) * x[1], V),
    "meshgrid": (lambda x: np.stack(np.meshgrid(x[:3], x[3:])), V),
    "meshgrid-ij": (lambda x: np.stack(np.meshgrid(x[:3], x[3:5], indexing="ij")), V),
    "vander": (lambda x: np.vander(x, 4), V),
    "r_": (lambda x: np.r_[x, 1.0, x[0], 0:3], V),
    "c_": (lambda x: np.c_[x, x * x], V),
    "ix_": (lambda x: x[np.ix_([0, 2], [1, 3])], M),
    "dsplit": (lambda x: np.dsplit(x, 2)[1], T),
    "block": (lambda x: np.block([[x, x * 2], [x, x]]), M),
    "resize": (lambda x: np.resize(x, (3, 3)), V),
    "insert": (lambda x: np.insert(x, [1, 3], x[:2] * 2), V),
    "insert-axis": (lambda x: np.insert(x, 1, x[:, 0], axis=1), M),
    "delete": (lambda x: np.delete(x, [0, 2], axis=1), M),
    "append": (lambda x: np.append(x, x[0]), V),
    "trim_zeros": (lambda x: np.trim_zeros(np.concatenate([[0.0], x, [0.0, 0.0]])), V),
    "gradient": (lambda x: np.gradient(x, 0.5), V),
    "gradient-spaced": (lambda x: np.gradient(x, RISING, edge_order=2), V),
    "gradient-axes": (lambda x: np.stack(np.gradient(x, 0.5, 2.0)), M),
    "trapezoid": (lambda x: np.trapezoid(x, dx=0.3, axis=0), M),
    "trapezoid-at": (lambda x: np.trapezoid(x * x, np.cumsum(x)), V),
    "ediff1d": (lambda x: np.ediff1d(x, to_end=x[0], to_begin=[1.0, 2.0]), V),
    "unwrap": (lambda x: np.unwrap(5 * x), V),
    "unwrap-axis": (lambda x: np.unwrap(4 * x, axis=0, period=3.0), M),
    "interp-values": (lambda x: np.interp(np.array([-0.5, 0.2, 1.0, 2.5]), RISING, x), V),
    "interp-point": (lambda x: np.interp(x, RISING, np.array([3.0, 1.0, 2.0, 0.0, 1.0, 5.0])), V),
    "interp-nodes": (lambda x: np.interp(1.0, RISING + 0.01 * x, x, left=x[0], right=0.0), V),
    "interp-period": (lambda x: np.interp(x + 3.03, RISING[:5], x[:5], period=2.0), V),
    "convolve": (lambda x: np.convolve(x, x[:3]), V),
    "convolve-same": (lambda x: np.convolve(x[:2], x, "same"), V),
    "convolve-valid": (lambda x: np.convolve(x, x[:4], "valid"), V),
    "correlate": (lambda x: np.correlate(x, x[1:4]), V),
    "correlate-same": (lambda x: np.correlate(x[:3], x, "same"), V),
    "correlate-full": (lambda x: np.correlate(x, x[:3], mode="full"), V),
    "cumulative_sum": (lambda x: np.cumulative_sum(x, axis=1, include_initial=True), M),
    "cumulative_prod": (lambda x: np.cumulative_prod(x), V),
    "polyval": (lambda x: np.polyval(x[:3], x), V),
    "polyadd": (lambda x: np.polyadd(x, x[:2]) + np.polysub(x[:3], x), V),
    "polymul": (lambda x: np.polymul(x, x[:3]), V),
    "polydiv": (lambda x: np.concatenate(np.polydiv(x, x[:3])), V),
    "polyder": (lambda x: np.polyder(x, 2), V),
    "polyint": (lambda x: np.polyint(x, 2, k=[1.0, 2.0]), V),
    "poly": (lambda x: np.poly(x[:3]), V),
    "polyfit": (lambda x: np.polyfit(RISING, x, 2, w=x), V),
    "select": (lambda x: np.select([x > 1, x > 0.5], [x * x, 3 * x], default=-x), V),
    "piecewise": (lambda x: np.piecewise(x, [x < 0.7, x > 1.2], [np.sin, lambda v: v * v, 0.5]), V),
    "choose": (lambda x: np.choose([0, 1, 1], [x[:3], x[3:]]), V),
    "compress": (lambda x: np.compress([True, False, True], x, axis=0), M),
    "extract": (lambda x: np.extract(x > 0.6, x * x), V),
    "apply_along_axis": (lambda x: np.apply_along_axis(lambda v: v * v.sum(), 0, x), M),
    "apply_along_axis-number": (lambda x: np.apply_along_axis(np.prod, 1, x), M),
    "apply_over_axes": (lambda x: np.apply_over_axes(np.sum, x, [0, 2]), T),
    "partition": (lambda x: np.sort(np.partition(x, 3)[:3]), V),
    "median": (lambda x: np.median(x, axis=0), M),
    "median-even": (lambda x: np.median(x, axis=(0, 1), keepdims=True), M),
    "quantile": (lambda x: np.quantile(x, [0.1, 0.5, 0.77], axis=1), M),
    "quantile-hazen": (lambda x: np.quantile(x, 0.3, method="hazen"), V),
    "quantile-point": (lambda x: np.quantile(V, x[0] / 2), V[:2]),
    "percentile": (lambda x: np.percentile(x, 40, keepdims=True), M),
    "percentile-midpoint": (lambda x: np.percentile(x, 40, method="midpoint"), V),
    "nansum": (lambda x: np.nansum(np.where(np.isnan(HOLED), np.nan, x), axis=0), M),
    "nanprod": (lambda x: np.nanprod(np.where(np.isnan(HOLED), np.nan, x), axis=1), M),
    "nancumsum": (lambda x: np.nancumsum(np.where(np.isnan(HOLED), np.nan, x), axis=1), M),
    "nancumprod": (lambda x: np.nancumprod(np.where(np.isnan(HOLED), np.nan, x), axis=1), M),
    "nanmax": (lambda x: np.nanmax(np.where(np.isnan(HOLED), np.nan, x), axis=1), M),
    "nanmin": (lambda x: np.nanmin(np.where(np.isnan(HOLED), np.nan, x)), M),
    "nanmean": (lambda x: np.nanmean(np.where(np.isnan(HOLED), np.nan, x), axis=0), M),
    "nanvar": (lambda x: np.nanvar(np.where(np.isnan(HOLED), np.nan, x), axis=1, ddof=1), M),
    "nanstd": (lambda x: np.nanstd(np.where(np.isnan(HOLED), np.nan, x), keepdims=True), M),
    "nanmedian": (lambda x: np.nanmedian(np.where(np.isnan(HOLED), np.nan, x), axis=1), M),
    "nanquantile": (lambda x: np.nanquantile(np.where(np.isnan(HOLED), np.nan, x), [0.2, 0.6], axis=0), M),
    "nanpercentile": (lambda x: np.nanpercentile(np.where(np.isnan(HOLED), np.nan, x), 30, axis=1), M),
    "cov": (lambda x: np.cov(x), M),
    "cov-weights": (lambda x: np.cov(x, rowvar=False, aweights=[1.0, 2.0, 0.5], ddof=1), M),
    "cov-two": (lambda x: np.cov(x[:3], x[3:], bias=True), V),
    "corrcoef": (lambda x: np.corrcoef(x), M),
    "average-returned": (lambda x: np.stack(np.average(x, weights=x, axis=0, returned=True)), T[0]),
    "histogram": (lambda x: np.histogram(RISING, 3, weights=x)[0], V),
    "histogram-density": (lambda x: np.histogram(RISING, [0.0, 0.5, 2.0], weights=x, density=True)[0], V),
    "histogram-edges": (lambda x: np.histogram(x, 4)[1], V),
    "bincount": (lambda x: np.bincount([0, 2, 2, 1, 0, 4], weights=x, minlength=6), V),
    "unique": (lambda x: np.unique(np.round(x) * x), V),
    "modf": (lambda x: np.modf(3 * x)[0], V),
    "frexp": (lambda x: np.frexp(x)[0], V),
    "ldexp": (lambda x: np.ldexp(x, [1, 2, -1, 0, 3, 1]), V),
    "i0": (lambda x: np.i0(x), V),
    "matvec": (lambda x: np.matvec(x, x[..., 0, :]), T),
    "vecmat": (lambda x: np.vecmat(x[..., 0], x), T),
    "nonzero": (lambda x: x[np.nonzero(x > 0)], M),
    "argwhere": (lambda x: x[tuple(np.argwhere(x > 0).T)], M),
    "flatnonzero": (lambda x: x.ravel()[np.flatnonzero(x > 0)], M),
    "searchsorted": (lambda x: x * np.searchsorted(RISING, x), V),
    "digitize": (lambda x: x * np.digitize(x, RISING[::-1]), V),
    "lexsort": (lambda x: x[np.lexsort((x, np.round(x)))], V),
    "argpartition": (lambda x: x[np.argpartition(x, 2)[2]], V),
    "allclose": (lambda x: x * 2 if np.allclose(x, x + 1e-12) else x, V),
    "array_equal": (lambda x: x * 2 if np.array_equal(x, x) else x, V),
    "put_along_axis": (
        lambda x: (lambda a: (np.put_along_axis(a, np.array([[1], [0], [2]]), a[:, 3:] * 2, 1), a)[1])(x * 1),
        M,
    ),
    "put": (written(lambda a, v: np.put(a, [1, 7], v)), M),
    "place": (written(lambda a, v: np.place(a, np.arange(12).reshape(3, 4) % 3 == 0, v)), M),
    "putmask": (written(lambda a, v: np.putmask(a, np.arange(12).reshape(3, 4) > 5, v[0])), M),
    "fill_diagonal": (written(lambda a, v: np.fill_diagonal(a, v[0])), M),
    "svdvals": (lambda x: np.linalg.svdvals(x), M),
    "svd": (lambda x: np.abs(np.linalg.svd(x, full_matrices=False)[0]), M),
    "svd-values": (lambda x: np.linalg.svd(x, compute_uv=False), M),
    "eigh": (lambda x: np.abs(np.linalg.eigh(x @ x.T)[1]), M),
    "eigvalsh": (lambda x: np.linalg.eigvalsh(x, UPLO="U"), S),
    "qr": (lambda x: np.linalg.qr(x.T)[0], M),
    "qr-wide": (lambda x: np.linalg.qr(x, mode="r"), M),
    "pinv": (lambda x: np.linalg.pinv(x), M),
    "lstsq": (lambda x: np.linalg.lstsq(x.T, x[0], rcond=None)[0], M),
    "lstsq-residuals": (lambda x: np.linalg.lstsq(x[:, :2], x[:, 2:], rcond=None)[1], M),
    "cond": (lambda x: np.linalg.cond(x) + np.linalg.cond(x, 1) + np.linalg.cond(x, -2), S),
    "matrix_rank": (lambda x: x * np.linalg.matrix_rank(x), M),
    "tensorinv": (lambda x: np.linalg.tensorinv(x.reshape(3, 3, 1), ind=1), S),
    "tensorsolve": (lambda x: np.linalg.tensorsolve(x, x[0]), S),
    "linalg.trace": (lambda x: np.linalg.trace(x, offset=1), T),
    "linalg.diagonal": (lambda x: np.linalg.diagonal(x), T),
}
EACH = pytest.mark.parametrize(("function", "x"), FUNCTIONS.values(), ids=FUNCTIONS)


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
def test_value_and_gradient(function, x):
    with config.using(jit="python"):
        found = tg.jit(function)(x)
        wanted = function(x)
        assert np.shape(found) == np.shape(wanted) and found.dtype == wanted.dtype
        np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-13)
        loss = weighted(function)
        gradient = tg.grad(loss)
        for _ in range(2):  # the capture, then the program
            np.testing.assert_allclose(gradient(x), differences(loss, x), rtol=1e-6, atol=1e-6)


@EACH
def test_tangent_and_second_order(function, x):
    along = np.cos(1 + np.arange(x.size)).reshape(x.shape)
    step = 1e-6
    with config.using(jit="python"):
        loss = weighted(function)
        _, tangent = tg.jvp(loss, (x,), (along,))
        slope = (loss(x + step * along) - loss(x - step * along)) / (2 * step)
        np.testing.assert_allclose(tangent, slope, rtol=1e-6, atol=1e-6)
        gradient = tg.grad(loss)
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
    function, x = FUNCTIONS[name]
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
