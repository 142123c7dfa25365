"""Modified Bessel functions of whole order, for one element, where NumPy has no compiled form."""

# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

import math


def modified_bessel(x, order):
    """I_order(x): the series of positive terms (DLMF 10.25.2), far from 0 the asymptotic one (DLMF 10.40.1)."""
    size = abs(x)
    sign = -1.0 if x < 0 and order % 2 == 1 else 1.0
    if size > 720.0:
        return sign * (math.inf if size < math.inf else math.nan)  # NaN at infinity, as SciPy has it
    if size > 40.0:  # the smallest term of the asymptotic series is exp(-2 x)
        term, total, k = 1.0, 1.0, 1
        while k < 40 and abs(term) > 1e-17 * abs(total):
            term *= -(4.0 * order * order - (2.0 * k - 1.0) ** 2) / (8.0 * k * size)
            total += term
            k += 1
        half = math.exp(0.5 * size)  # twice, since exp(x) may be too large where I(x) is not
        return sign * half * (half / math.sqrt(2.0 * math.pi * size) * total)
    quarter = 0.25 * size * size
    term = 1.0
    for k in range(order):
        term *= 0.5 * size / (k + 1.0)
    total, k = term, 1
    while term > 1e-17 * total:
        term *= quarter / (k * (k + order))
        total += term
        k += 1
    return sign * (total if x == x else x)


def bessel_i0(x):
    """I_0(x)."""
    return modified_bessel(x, 0)


def bessel_i1(x):
    """I_1(x)."""
    return modified_bessel(x, 1)
