"""Transforms by columns beside NumPy's: every norm, sides that differ, lengths that are no product; programs."""

import numpy as np
import pytest

import tracegrad as tg
from tracegrad.kernels import fourier
from tracegrad.kernels.fourier import fft_by_columns, ifft_by_columns, irfft_by_columns, rfft_by_columns

rng = np.random.default_rng(7)
NORMS = ("backward", "ortho", "forward")
LONG = 1_002_001  # 7 * 11 * 13 times itself


@pytest.fixture
def short(monkeypatch):
    """Short vectors are matrices, too."""
    monkeypatch.setattr(fourier, "SHORTEST", 1)
    monkeypatch.setattr(fourier, "BLOCK", 6)  # sides end inside of a block
    fourier._sides.cache_clear()
    fourier._first_roots.cache_clear()
    yield
    fourier._sides.cache_clear()
    fourier._first_roots.cache_clear()


def normal(n, dtype=complex):
    return rng.normal(size=n) + (1j * rng.normal(size=n) if dtype is complex else 0.0)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("n", [16, 24, 36, 100, 144, 480, 1000, 4096, 4620])
def test_transforms_by_columns_are_numpys(short, n, norm):
    for kernel, function, given, found in (
        (rfft_by_columns, np.fft.rfft, normal(n, float), np.full(n // 2 + 1, np.nan, complex)),
        (irfft_by_columns, np.fft.irfft, normal(n // 2 + 1), np.full(n, np.nan)),
        (fft_by_columns, np.fft.fft, normal(n), np.full(n, np.nan, complex)),
        (ifft_by_columns, np.fft.ifft, normal(n), np.full(n, np.nan, complex)),
    ):
        assert fourier.is_by_columns(n, len(given) != len(found))
        before = given.copy()
        kernel(given, norm=norm, out=found)
        wanted = function(given, norm=norm)
        np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-14 * np.sqrt(n) * np.max(np.abs(wanted)))
        np.testing.assert_array_equal(given, before)


def test_what_is_filled_may_be_what_is_given(short):
    x = normal(24 * 25)
    wanted = np.fft.fft(x)
    fft_by_columns(x, x)
    np.testing.assert_allclose(x, wanted, rtol=0, atol=1e-12)


def test_other_lengths_are_numpys(short):
    assert not fourier.is_by_columns(17 * 17 * 16)  # a prime that NumPy takes another way for
    assert fourier.is_by_columns(27 * 25) and not fourier.is_by_columns(27 * 25, True)  # no even sides
    assert not fourier.is_by_columns(2 * 1009)


def test_errors_are_no_larger_than_numpys():
    x = rng.normal(size=1000 * 1000)
    exact = np.fft.rfft(x.astype(np.longdouble))
    if exact.dtype == np.complex128:
        pytest.skip("no longer numbers here")
    found = np.empty(500_001, complex)
    rfft_by_columns(x, found)

    def error(spectrum):
        return float(np.sqrt(np.mean(np.abs(spectrum - exact) ** 2)))

    assert error(found) <= 1.5 * error(np.fft.rfft(x))


def power(x):
    return np.sum(np.abs(np.fft.rfft(x)[:1000]) ** 2)


def smoothed(x):
    return np.sum(np.fft.irfft(np.fft.rfft(x) * 0.5, norm="ortho") ** 3)


def shifted(x):
    return np.sum(np.abs(np.fft.ifft(np.fft.fft(x) * 1j) + x) ** 2)


@pytest.mark.parametrize("function", [power, smoothed, shifted])
@pytest.mark.parametrize("n", [1_000_000, LONG])
def test_programs_of_long_vectors_have_their_value_and_gradient(function, n):
    x = rng.normal(size=n)
    native, array = (tg.value_and_grad(function, jit=tier) for tier in ("native", "python"))
    (value, slope), (wanted, wanted_slope) = native(x), array(x)
    assert value == pytest.approx(wanted, rel=1e-9)
    np.testing.assert_allclose(slope, wanted_slope, rtol=0, atol=1e-12 * np.max(np.abs(wanted_slope)))
    assert ("fft_by_columns(x" in native.native_source) == (n % 2 == 0 or function is shifted)


def test_real_numbers_that_stand_for_a_spectrum_are_numpys():
    x = rng.normal(size=500_001)
    native = tg.grad(real_spectrum, jit="native")
    np.testing.assert_allclose(native(x), tg.grad(real_spectrum, jit="python")(x), rtol=1e-9, atol=1e-12)


def real_spectrum(x):
    return np.sum(np.fft.irfft(x) ** 2)
