"""Logarithms and what is made of them, without a branch, so that LLVM computes several elements at once.

A number goes in, a number comes out; NaN, infinities, signed zeros and subnormal numbers are NumPy's. Begin with `log`.

All rest on one reduction: x = 2**e (1 + f) with 2/3 <= 1 + f < 4/3, so log(x) = e ln 2 + log(1 + f), and log(1 + f) is
f - f**2 / 2 plus f**3 times a minimax polynomial (Remez). The sum e ln 2 + f keeps what its rounding loses (Dekker,
Numerische Mathematik 18, 1971), which gives the last digit where e is -1.
"""

# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

import math

from tracegrad.kernels.exponential import (
    LN2_HIGH,
    LN2_LOW,
    ONE_BITS,
    SHIFT,
    SHIFT_BITS,
    exp,
)
from tracegrad.kernels.instructions import (
    bits,
    choose,
    fused,
    number,
    polynomial,
    shifted_down,
    vector,
    with_sign,
)

TWO_THIRDS_BITS = 0x3FE5555555555555
BIAS = 1 << 62  # of 1024, so that exponents are positive
SMALLEST_NORMAL = 2.2250738585072014e-308
LOG2_E = 1.4426950408889634
LOG2_E_REST = 2.0355273740931033e-17
LOG10_E = 0.4342944819032518
LOG10_E_REST = 1.098319650216765e-17
LOG10_2_HIGH = 0.30102999566395283  # 42 bits: times e it is exact
LOG10_2_LOW = 2.8363394551044964e-14
INFINITY = math.inf
NAN = math.nan

# (log(1 + f) - f + f**2 / 2) / f**3, |f| <= 1/3; error 2**-56.6 relative to log(1 + f)
LOG = (
    0.3333333333333323,
    -0.2500000000001335,
    0.2000000000005515,
    -0.16666666662927992,
    0.14285714276470554,
    -0.1250000038921594,
    0.1111111184472422,
    -0.09999979286456252,
    0.09090876430105291,
    -0.08333972351931143,
    0.07693192631813661,
    -0.07130790097690276,
    0.06651549664324084,
    -0.0639091260753332,
    0.06045187690007098,
    -0.04573490983822404,
    0.04202320651950586,
    -0.08624883986922519,
    0.0845276672332521,
)


def parts(x, least=TWO_THIRDS_BITS):
    """e and f of a positive number; `least` is the word of the smallest 1 + f."""
    subnormal = x < SMALLEST_NORMAL
    word = bits(choose(subnormal, x * 18014398509481984.0, x))
    apart = word - least
    e = number(shifted_down(apart + BIAS, 52) + SHIFT_BITS) - choose(
        subnormal, SHIFT + 1078.0, SHIFT + 1024.0
    )
    return e, number(word - (apart & -4503599627370496)) - 1.0


def log_of_parts(e, f, missing):
    """e ln 2 + log(1 + f + missing)."""
    square = f * f
    high = fused(e, LN2_HIGH, f)
    low = fused(e, LN2_LOW, f - fused(-e, LN2_HIGH, high)) + missing
    return high - (0.5 * square - fused(f * square, polynomial(f, LOG), low))


def where_defined(x, found):
    """`found`, or what a logarithm says of 0, infinity, NaN and negative numbers."""
    return choose(x > 0.0, choose(x < INFINITY, found, x), choose(x == 0.0, -INFINITY, NAN))


@vector
def log(x):
    """The natural logarithm."""
    e, f = parts(x)
    return where_defined(x, log_of_parts(e, f, 0.0))


@vector
def log1p(x):
    """log(1 + x), without cancellation."""
    total = 1.0 + x
    added = total - x
    rest = (1.0 - added) + (x - (total - added))
    word = bits(total)
    apart = word - TWO_THIRDS_BITS
    e = number(shifted_down(apart + BIAS, 52) + SHIFT_BITS) - (SHIFT + 1024.0)
    scale = apart & -4503599627370496
    f = number(word - scale) - 1.0
    missing = choose(x < 1e300, rest * number(ONE_BITS - scale), 0.0)
    missing = fused(f * f, missing, fused(-f, missing, missing))
    return with_sign(where_defined(total, log_of_parts(e, f, missing)), x)


def log_in_two(f):
    """log(1 + f) as a number and what is missing in it."""
    square = f * f
    rest = fused(-f * square, polynomial(f, LOG), 0.5 * square)
    high = f - rest
    return high, (f - high) - rest


@vector
def log2(x):
    """The logarithm to base 2; exact for powers of two."""
    e, f = parts(x)
    high, low = log_in_two(f)
    scaled = high * LOG2_E
    rest = fused(high, LOG2_E, -scaled) + fused(high, LOG2_E_REST, low * LOG2_E)
    total = e + scaled
    return where_defined(x, total + (((e - total) + scaled) + rest))


@vector
def log10(x):
    """The logarithm to base 10; exact for powers of ten."""
    e, f = parts(x)
    high, low = log_in_two(f)
    scaled = high * LOG10_E
    rest = fused(high, LOG10_E, -scaled) + fused(high, LOG10_E_REST, low * LOG10_E)
    whole = e * LOG10_2_HIGH
    total = whole + scaled
    return where_defined(x, total + (((whole - total) + scaled) + fused(e, LOG10_2_LOW, rest)))


@vector
def softplus(x):
    """log(1 + e**x)."""
    return choose(x > 0.0, x, 0.0) + log1p(exp(-abs(x)))


@vector
def logaddexp(x, y):
    """log(e**x + e**y)."""
    larger = choose(x > y, x, y)
    apart = choose(x == y, 0.0, -abs(x - y))
    return larger + log1p(exp(apart))
