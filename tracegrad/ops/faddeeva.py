"""Special functions with complex values: Faddeeva's, Voigt's profile, which is made of it, and Lambert's.

In: real or complex numbers. Out: the ops that `scipy_special.py` gives SciPy's signatures. Derivatives: DLMF 7.10 and
4.13. Begin with `wofz`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tracegrad.ops.compare import equal, greater, logical_and, where
from tracegrad.ops.elementary import exp
from tracegrad.ops.families import Unknown, anywhere, imag, positive, real
from tracegrad.ops.op import Op
from tracegrad.ops.special import special

_ROOT_PI = math.sqrt(math.pi)
_ROOT_TWO = math.sqrt(2.0)

wofz: Op = special("wofz", lambda w, z: -2.0 * z * w + 2j / _ROOT_PI)
lambertw: Op = special(
    "lambertw",
    lambda w, z, k: (exp(-w) / (1.0 + w), Unknown("k", "it is a whole number")),
    domain=(positive, (0, 0)),
    dtype=lambda *tokens: np.dtype(np.complex128),
)

_FAR = 144.0
"""The squared distance from which a series gives what would cancel; ten of its terms are exact there."""


def _slopes(z: Any, above: Any) -> tuple[Any, Any]:
    """w'(z) and w''(z), by the series of DLMF 7.12 far from 0 where it holds: `above` the real axis."""
    far = logical_and(greater(real(z) * real(z) + imag(z) * imag(z), _FAR), above)
    near = where(far, 1.0, z)
    w = wofz(near)
    first = -2.0 * near * w + 2j / _ROOT_PI
    second = -2.0 * (w + near * first)
    inverse = 1.0 / where(far, z, 20.0)
    square, total_1, total_2, term = inverse * inverse, 0.0 * inverse, 0.0 * inverse, 1.0
    terms = []
    for n in range(11):  # w = i / sqrt(pi) * sum of (2n - 1)!! / 2**n / z**(2n + 1)
        terms.append(term)
        term = term * (2 * n + 1) / 2
    for n in reversed(range(11)):
        total_1 = total_1 * square + terms[n] * (2 * n + 1)
        total_2 = total_2 * square + terms[n] * (2 * n + 1) * (2 * n + 2)
    series_1 = total_1 * square * (-1j / _ROOT_PI)
    series_2 = total_2 * square * inverse * (1j / _ROOT_PI)
    return where(far, series_1, first), where(far, series_2, second)


def _voigt_partials(v: Any, x: Any, sigma: Any, gamma: Any) -> tuple[Any, Any, Any]:
    """By the width of the Gaussian, as of heat: sigma times the second derivative in `x`; without one, Cauchy's."""
    bare = equal(sigma, 0)
    width = where(bare, 1.0, sigma) * _ROOT_TWO
    first, second = _slopes((x + 1j * gamma) / width, greater(gamma, 0))
    scale = 1.0 / (width * width * _ROOT_PI)
    both = where(bare, x * x + gamma * gamma, 1.0)
    cauchy = 1.0 / (math.pi * both * both)
    return (
        where(bare, -2.0 * x * gamma * cauchy, real(first) * scale),
        where(bare, 0.0, sigma * real(second) * scale / width),
        where(bare, (x * x - gamma * gamma) * cauchy, -imag(first) * scale),
    )


voigt_profile: Op = special("voigt_profile", _voigt_partials, domain=(anywhere, positive, positive))
