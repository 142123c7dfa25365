"""Logarithms and what is made of them, without a branch, so that LLVM computes several elements at once.

A number goes in, a number comes out; NaN, infinities, signed zeros and subnormal numbers are NumPy's. Begin with `log`.

All rest on one reduction: x = 2**e (1 + f) with 2/3 <= 1 + f < 4/3, so log(x) = e ln 2 + log(1 + f), and log(1 + f) is
f - f**2 / 2 plus f**3 times a minimax polynomial (Remez). The sum e ln 2 + f keeps what its rounding loses (Dekker,
Numerische Mathematik 18, 1971), which gives the last digit where e is -1.
"""

# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

import math

from tracegrad.kernels.exponential import LN2_HIGH, LN2_LOW, ONE_BITS, SHIFT, SHIFT_BITS, exp
from tracegrad.kernels.instructions import (
    FRACTION,
    bits,
    choose,
    fused,
    number,
    polynomial,
    root,
    shifted_down,
    vector,
    width_of,
    with_sign,
)

TWO_THIRDS_BITS = {64: 0x3FE5555555555555, 32: 0x3F2AAAAB}
SMALLEST_NORMAL = {64: 2.2250738585072014e-308, 32: 1.1754943508222875e-38}
EXPONENT_0 = {w: SHIFT[w] + (1 << (w - 2 - FRACTION[w])) for w in SHIFT}  # more, so that words are positive
ENLARGED = {64: 54, 32: 25}  # powers of two by which subnormal numbers become normal
HUGE = {64: 1e300, 32: 1e37}
LARGE = {64: 268435456.0, 32: 8192.0}  # so large that 1 does not count beside its square
LOG2_E = {64: 1.4426950408889634, 32: 1.4426950216293335}
LOG2_E_REST = {64: 2.0355273740931033e-17, 32: 1.925963033500011e-08}
LOG10_E = {64: 0.4342944819032518, 32: 0.4342944920063019}
LOG10_E_REST = {64: 1.098319650216765e-17, 32: -1.0103049952192578e-08}
LOG10_2_HIGH = {64: 0.30102999566395283, 32: 0.301025390625}  # 42 and 16 bits: times e it is exact
LOG10_2_LOW = {64: 2.8363394551044964e-14, 32: 4.605039066518657e-06}
INFINITY = math.inf
NAN = math.nan

# (log(1 + f) - f + f**2 / 2) / f**3, |f| <= 1/3; errors 2**-56.6, 2**-29.8 relative to log(1 + f)
LOG = {
    64: (
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
    ),
    32: (
        0.33333334,
        -0.24999811,
        0.19999765,
        -0.16680087,
        0.14298947,
        -0.12187894,
        0.10822231,
        -0.12881188,
        0.11728662,
    ),
}


def parts(x, least=TWO_THIRDS_BITS):
    """e and f of a positive number; `least` is the word of the smallest 1 + f."""
    w = width_of(x)
    up = ENLARGED[w]
    subnormal = x < SMALLEST_NORMAL[w]
    word = bits(choose(subnormal, x * 2.0**up, x))
    e, scale = exponent_of(word, least, w)
    return e - choose(subnormal, EXPONENT_0[w] + up, EXPONENT_0[w]), number(word - scale, w) - 1.0


def exponent_of(word, least, w):
    """EXPONENT_0 + e, and the part of the word that is e, for 2**e (1 + f) and the least 1 + f."""
    apart = word - least[w]
    e = number(shifted_down(apart + (1 << (w - 2)), FRACTION[w], w) + SHIFT_BITS[w], w)
    return e, apart & -(1 << FRACTION[w])


def log_of_parts(e, f, missing):
    """e ln 2 + log(1 + f + missing)."""
    w = width_of(f)
    square = f * f
    high = fused(e, LN2_HIGH[w], f)
    low = fused(e, LN2_LOW[w], f - fused(-e, LN2_HIGH[w], high)) + missing
    return high - (0.5 * square - fused(f * square, polynomial(f, LOG[w]), low))


def where_defined(x, found):
    """`found`, or what a logarithm says of 0, infinity, NaN and negative numbers."""
    return choose(x > 0.0, choose(x < INFINITY, found, x), choose(x == 0.0, -INFINITY, NAN))


@vector
def log(x):
    """The natural logarithm."""
    e, f = parts(x)
    return where_defined(x, log_of_parts(e, f, 0.0))


def log_of_sum(total, rest):
    """log(total + rest) of a normal number and a small one, as `log_of_parts` takes it."""
    w = width_of(total)
    word = bits(total)
    e, scale = exponent_of(word, TWO_THIRDS_BITS, w)
    f = number(word - scale, w) - 1.0
    missing = choose(total < HUGE[w], rest * number(ONE_BITS[w] - scale, w), 0.0)
    missing = fused(f * f, missing, fused(-f, missing, missing))
    return e - EXPONENT_0[w], f, missing


def one_and(x):
    """1 + x, and what its rounding loses."""
    total = 1.0 + x
    added = total - x
    return total, (1.0 - added) + (x - (total - added))


@vector
def log1p(x):
    """log(1 + x), without cancellation."""
    total, rest = one_and(x)
    return with_sign(where_defined(total, log_of_parts(*log_of_sum(total, rest))), x)


def log_unless_large(x, total, rest):
    """log(total + rest), or log(2 x) where x is so large that nothing else is left of it."""
    large = x > LARGE[width_of(x)]
    total = choose(large, x, total)
    e, f, missing = log_of_sum(total, choose(large, 0.0, rest))
    return where_defined(total, log_of_parts(choose(large, e + 1.0, e), f, missing))


@vector
def arcsinh(x):
    """log(x + sqrt(x**2 + 1)), as log1p(x + x**2 / (1 + sqrt(x**2 + 1)))."""
    size = abs(x)
    more = size * size / (1.0 + root(fused(size, size, 1.0)))
    less_one = size + more
    total, rest = one_and(less_one)
    return with_sign(log_unless_large(size, total, rest + (more - (less_one - size))), x)


@vector
def arccosh(x):
    """log(x + sqrt(x**2 - 1))."""
    above = x - 1.0
    wide = root(fused(above, above, 2.0 * above))
    total = x + wide
    return choose(x < 1.0, NAN, log_unless_large(x, total, wide - (total - x)))


@vector
def arctanh(x):
    """log((1 + x) / (1 - x)) / 2, as log1p of 2 x / (1 - x)."""
    size = abs(x)
    below = 1.0 - size
    inverse = 1.0 / below
    ratio = 2.0 * size * inverse
    lost = (fused(-ratio, below, 2.0 * size) - ratio * ((1.0 - below) - size)) * inverse
    total, rest = one_and(ratio)
    return with_sign(0.5 * where_defined(total, log_of_parts(*log_of_sum(total, rest + lost))), x)


def log_in_two(f):
    """log(1 + f) as a number and what is missing in it."""
    square = f * f
    rest = fused(-f * square, polynomial(f, LOG[width_of(f)]), 0.5 * square)
    high = f - rest
    return high, (f - high) - rest


@vector
def log2(x):
    """The logarithm to base 2; exact for powers of two."""
    w = width_of(x)
    e, f = parts(x)
    high, low = log_in_two(f)
    scaled = high * LOG2_E[w]
    rest = fused(high, LOG2_E[w], -scaled) + fused(high, LOG2_E_REST[w], low * LOG2_E[w])
    total = e + scaled
    return where_defined(x, total + (((e - total) + scaled) + rest))


@vector
def log10(x):
    """The logarithm to base 10; exact for powers of ten."""
    w = width_of(x)
    e, f = parts(x)
    high, low = log_in_two(f)
    scaled = high * LOG10_E[w]
    rest = fused(high, LOG10_E[w], -scaled) + fused(high, LOG10_E_REST[w], low * LOG10_E[w])
    whole = e * LOG10_2_HIGH[w]
    total = whole + scaled
    return where_defined(x, total + (((whole - total) + scaled) + fused(e, LOG10_2_LOW[w], rest)))


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
