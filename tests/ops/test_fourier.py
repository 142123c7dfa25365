"""Transforms in whole programs: values are NumPy's, gradients those of complex steps, results stand in memory given."""

from __future__ import annotations

import itertools
from functools import partial

import numpy as np
import pytest
import scipy.fft

import tracegrad as tg

NORMS = ("backward", "ortho", "forward")
rng = np.random.default_rng(3)


def weights(shape):
    return np.cos(1.0 + np.arange(np.prod(shape))).reshape(shape)


def real_ones(x, n, axis, norm):
    z = np.fft.rfft(x, n, axis, norm)
    w = weights(z.shape)
    return np.sum(w * z.real**2 + z.imag**3 * w[::-1])


def back(x, n, axis, norm):
    z = np.fft.irfft(x * (1.0 + 0.5j) + 0.3j * x**2, n, axis, norm)
    return np.sum(weights(z.shape) * z**3)


def complex_ones(x, n, axis, norm):
    z = np.fft.fft(np.fft.ifft(x * (1.0 - 2.0j), n, axis, norm) ** 2, axis=axis, norm=norm)
    return np.sum(weights(z.shape) * z.real * z.imag)


def of_a_real_array(x, n, axis, norm):
    z = np.fft.fft(x, n, axis, norm)
    return np.sum(weights(z.shape) * z.real**2 + z.imag**3)


def differences(function, x, step=1e-5):
    """Central differences of fourth order."""
    slope = np.empty(x.shape)
    for k in np.ndindex(x.shape):
        moved = [x.copy() for _ in range(4)]
        for y, by in zip(moved, (-2, -1, 1, 2), strict=True):
            y[k] += by * step
        a, b, c, d = map(function, moved)
        slope[k] = (a - 8 * b + 8 * c - d) / (12 * step)
    return slope


@pytest.mark.parametrize("function", [real_ones, back, complex_ones, of_a_real_array])
@pytest.mark.parametrize(
    ("length", "n"), [(1, 1), (2, 2), (5, 5), (6, 6), (6, 9), (5, 8), (7, 4), (8, 3), (4, None)]
)
def test_gradients_along_an_axis(function, length, n):
    for norm, axis in itertools.product(NORMS, (0, 1, 2)):
        x = rng.normal(size=tuple(length if k == axis else 2 for k in range(3)))
        given = (n, axis, norm)
        wanted = differences(partial(function, n=n, axis=axis, norm=norm), x)
        value, slope = tg.value_and_grad(function, jit="python")(x, *given)
        assert value == pytest.approx(function(x, *given), rel=1e-12, abs=1e-13)
        np.testing.assert_allclose(slope, wanted, rtol=1e-6, atol=1e-7 * (1 + np.max(np.abs(wanted))))


@pytest.mark.parametrize("function", [real_ones, back, complex_ones, of_a_real_array])
@pytest.mark.parametrize(
    ("shape", "n", "axis"), [((9,), 9, 0), ((9,), 14, 0), ((3, 8), 8, 1), ((8, 3), 5, 0)]
)
def test_compiled_programs_say_the_same(function, shape, n, axis):
    x = rng.normal(size=shape)
    for norm in NORMS:
        native, array = (tg.value_and_grad(function, jit=tier) for tier in ("native", "python"))
        for point in (x, 1 - x, x):
            value, slope = native(point, n, axis, norm)
            wanted, wanted_slope = array(point, n, axis, norm)
            assert value == pytest.approx(wanted, rel=1e-12)
            np.testing.assert_allclose(slope, wanted_slope, rtol=1e-11, atol=1e-13)
        assert native.stats.compiles == native.stats.captures == 1, native.explain()


def plane(x):
    return np.sum(np.abs(np.fft.rfft2(x)) ** 2) + np.sum(np.abs(np.fft.fft2(x, s=(5, 4))) ** 3)


def filtered(x):
    return np.sum(np.fft.ifftn(np.fft.fftn(x) * np.exp(-(weights(x.shape) ** 2))).real ** 3)


def back_in_a_plane(x):
    return np.sum(np.fft.irfft2(np.fft.rfft2(x, norm="ortho") ** 2, s=(3, 7)) ** 2)


def derivative(x):
    k = 1j * np.arange(x.shape[0] // 2 + 1)
    return np.sum(np.fft.irfft(k * np.fft.rfft(x), x.shape[0]) ** 2 * x)


def convolved(x):
    return np.sum(np.fft.irfft(np.fft.rfft(x) * np.fft.rfft(np.sin(x)), x.size) ** 3)


PROGRAMS = [
    (plane, (4, 5)),
    (plane, (5, 4)),
    (filtered, (3, 4)),
    (filtered, (2, 3, 2)),
    (back_in_a_plane, (3, 6)),
    (derivative, (12,)),
    (derivative, (13,)),
    (convolved, (7,)),
]


@pytest.mark.parametrize(("function", "shape"), PROGRAMS)
def test_programs_have_the_gradients_of_differences(function, shape):
    x = rng.normal(size=shape)
    wanted = differences(function, x)
    for tier in ("native", "python"):
        made = tg.value_and_grad(function, jit=tier)
        for _ in range(2):
            value, slope = made(x)
            assert value == pytest.approx(function(x), rel=1e-12)
            np.testing.assert_allclose(slope, wanted, rtol=1e-6, atol=1e-7 * np.max(np.abs(wanted)))


@pytest.mark.parametrize(("function", "n"), [(derivative, 12), (derivative, 13), (convolved, 7)])
@pytest.mark.parametrize("tier", ["native", "python"])
def test_second_derivatives(function, n, tier):
    slope_at, x, v = tg.grad(function, jit="python"), rng.normal(size=n), rng.normal(size=n)
    found = (slope_at(x + 1e-5 * v) - slope_at(x - 1e-5 * v)) / 2e-5
    made = tg.grad(lambda x: np.sum(tg.grad(function)(x) * v), jit=tier)
    np.testing.assert_allclose(made(x), found, rtol=1e-5, atol=1e-6 * np.max(np.abs(found)))


@pytest.mark.parametrize("name", ["fft", "rfft2", "dct", "idstn"])
def test_how_scipy_computes_a_transform_is_its_own_business(name):
    transform, x = getattr(scipy.fft, name), rng.normal(size=(3, 4))
    plain = tg.value_and_grad(lambda x: np.sum(np.abs(transform(x)) ** 3), jit="python")(x)
    told = tg.value_and_grad(
        lambda x: np.sum(np.abs(transform(x, workers=1, overwrite_x=False)) ** 3), jit="python"
    )
    assert told(x)[0] == pytest.approx(np.sum(np.abs(transform(x)) ** 3))
    np.testing.assert_array_equal(told(x)[1], plain[1])


def single(x):
    return np.sum(np.abs(np.fft.rfft(x)) ** 2) + np.sum(np.fft.irfft(np.fft.rfft(x) ** 2, x.size))


@pytest.mark.parametrize("tier", ["native", "python"])
def test_single_precision_stays_single(tier):
    x = rng.normal(size=10).astype(np.float32)
    slope = tg.grad(single, jit=tier)(x)
    assert slope.dtype == np.float32
    np.testing.assert_allclose(
        slope, tg.grad(single, jit="python")(x.astype(np.float64)), rtol=1e-4, atol=1e-4
    )


def test_large_spectra_stand_in_memory_that_is_given():
    made = tg.value_and_grad(derivative, jit="native")
    x = rng.normal(size=20_000)
    found = [made(x) for _ in range(3)]
    for value, slope in found:
        assert value == pytest.approx(derivative(x), rel=1e-9)
        np.testing.assert_allclose(slope, tg.grad(derivative, jit="python")(x), rtol=1e-9, atol=1e-3)
    text = made.native_source
    assert "np.array" not in text  # no weights written out
    assert text.count("np.empty(10001, np.complex128)") == 0
    head = text[text.index("def derivative_value_and_grad(") :].split(")")[0]
    assert head.count("rfft") == 1, head  # one spectrum's memory, and the gradient's
    assert "numpy_rfft_even(x, 0, 1.0, rfft_x)" in text
