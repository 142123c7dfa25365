"""Voigt's profile: its slopes against sixty digits, from one bell to the other, and where one of them is missing."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
import scipy.special

import tracegrad as tg

PLACES = [
    (0.3, 1.0, 0.5),
    (0.0, 1.0, 1.0),
    (50.0, 0.1, 0.2),
    (1.0, 1e-4, 1.0),
    (3.0, 0.5, 1e-8),
    (8.4, 0.5, 1e-3),
    (8.6, 0.5, 1e-3),
    (3.0, 1.0, 0.0),
    (30.0, 1.0, 0.0),
    (20.0, 1.0, 1e-12),
]


def profile(x, sigma, gamma):
    z = (mpmath.mpf(x) + 1j * mpmath.mpf(gamma)) / (sigma * mpmath.sqrt(2))
    return mpmath.re(mpmath.exp(-z * z) * mpmath.erfc(-1j * z)) / (sigma * mpmath.sqrt(2 * mpmath.pi))


@pytest.mark.parametrize("place", PLACES, ids=str)
def test_slopes_of_the_profile(place):
    gradient = tg.grad(scipy.special.voigt_profile, (0, 1, 2), jit="python")(*place)
    with mpmath.workdps(60):
        place = [mpmath.mpf(p) for p in place]
        for k, found in enumerate(gradient):
            wanted = mpmath.diff(
                lambda p, k=k: profile(*place[:k], p, *place[k + 1 :]),
                place[k],
                h=mpmath.mpf(10) ** -25,
                direction=int(k == 2),
            )
            assert float(found) == pytest.approx(float(wanted), rel=2e-12, abs=1e-300)


def test_without_a_gaussian_it_is_cauchy_s():
    found = tg.grad(scipy.special.voigt_profile, (0, 1, 2), jit="python")(0.5, 0.0, 0.7)
    cauchy = tg.grad(lambda x, g: g / (np.pi * (x * x + g * g)), (0, 1), jit="python")(0.5, 0.7)
    np.testing.assert_allclose(found, (cauchy[0], 0.0, cauchy[1]), rtol=1e-14)


@pytest.mark.parametrize("z", [0.0, 1.0, -0.3, 20.0])
def test_two_slopes_of_lambert_s_function(z):
    first = tg.grad(lambda x: scipy.special.lambertw(x).real, jit="python")
    second = tg.grad(first, jit="python")
    assert first(z) == pytest.approx(float(mpmath.diff(mpmath.lambertw, z)), rel=1e-12)
    assert second(z) == pytest.approx(float(mpmath.diff(mpmath.lambertw, z, 2)), rel=1e-10)


def test_lambert_s_function_of_complex_numbers():
    z = 0.3 + 0.8j
    found = tg.grad(lambda z: scipy.special.lambertw(z).real, jit="python")(z)
    step = 1e-6
    along = [scipy.special.lambertw(z + d * step) - scipy.special.lambertw(z - d * step) for d in (1, 1j)]
    slopes = [a.real / (2 * step) for a in along]
    assert found == pytest.approx(complex(slopes[0], -slopes[1]), rel=1e-8)
