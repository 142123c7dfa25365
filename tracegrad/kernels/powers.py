"""Powers, the cube root and lengths, without a branch, so that LLVM computes several elements at once.

Numbers go in, a number comes out; the special cases are those of C's `pow` (ISO C, annex F.10.4.4), as NumPy has them.
Begin with `power`; powers of 1/2, 3/2 and their kind, and of small whole numbers, are at the end.

x**y = e**(y log x), where an error of the logarithm counts up to 745 times: so it is a sum of two numbers, right to 65
bits, from log((1 + s) / (1 - s)) = 2 s + 2/3 s**3 + ... whose first two terms are such sums (Dekker, Numerische
Mathematik 18, 1971).
"""

# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

from tracegrad.kernels.exponential import (
    EXP,
    LN2_HIGH,
    LN2_LOW,
    LOG2_E,
    OVERFLOW,
    SHIFT,
    VANISHING,
    halves,
    inside,
    power_of_two,
)
from tracegrad.kernels.instructions import choose, floor, fused, polynomial, root, vector, width_of, with_sign
from tracegrad.kernels.logarithm import INFINITY, NAN, log_of_parts, log_of_sum, parts, where_defined

ROOT_HALF_BITS = {64: 0x3FE6A09E667F3BCD, 32: 0x3F3504F3}
TWO_THIRDS = {64: 0.6666666666666666, 32: 0.6666666865348816}
TWO_THIRDS_REST = {64: 3.700743415417188e-17, 32: -1.9868215517249155e-08}

# (2 atanh(s) / s - 2 - 2/3 s**2) / s**4 in s**2, |s| <= 0.1716; errors 2**-70, 2**-37 relative to 2 s
LOG_TAIL = {
    64: (
        0.4,
        0.2857142857142689,
        0.22222222222715327,
        0.18181818106283446,
        0.1538462215562365,
        0.13332961820191241,
        0.11777198113104743,
        0.10280305248641018,
        0.12018187722457604,
    ),
    32: (0.40000153, 0.2854709, 0.23419645),
}

# (1 + f)**(-1/3), |f| <= 1/3; errors 2**-17, 2**-9
INVERSE_CBRT = {
    64: (
        1.0000056390391956,
        -0.3333551114053989,
        0.22132620771894604,
        -0.17142604081721585,
        0.1647480193108633,
        -0.14794098864410932,
    ),
    32: (0.99970007, -0.34878787, 0.24055673),
}


def log_in_two(x):
    """log(x) of a positive number, and what is missing in it."""
    w = width_of(x)
    e, f = parts(x, ROOT_HALF_BITS)
    whole = 2.0 + f
    inverse = 1.0 / whole
    s = f * inverse
    s_rest = (fused(-s, whole, f) - s * (f - (whole - 2.0))) * inverse
    square = s * s
    square_rest = fused(s, s, -square) + 2.0 * s * s_rest
    thirds, thirds_rest = TWO_THIRDS[w], TWO_THIRDS_REST[w]
    third = square * thirds
    tail = square * square * polynomial(square, LOG_TAIL[w])
    tail = fused(square, thirds, -third) + fused(square, thirds_rest, square_rest * thirds) + tail
    factor = third + tail
    factor_rest = tail - (factor - third)
    more = s * factor
    more_rest = fused(s, factor, -more) + fused(s, factor_rest, s_rest * (2.0 + factor))
    twos = e * LN2_HIGH[w]
    first = twos + 2.0 * s
    first_rest = 2.0 * s - (first - twos)
    second = first + more
    rest = (more - (second - first)) + (first_rest + fused(e, LN2_LOW[w], more_rest))
    found = second + rest
    return found, rest - (found - second)


def exp_of_two(x, rest):
    """e**(x + rest), with a small rest."""
    w = width_of(x)
    bounded = inside(x, VANISHING[w], OVERFLOW[w])
    rest = choose(bounded == x, rest, 0.0)
    t = fused(bounded, LOG2_E, SHIFT[w])
    n = t - SHIFT[w]
    high = fused(-n, LN2_HIGH[w], bounded)
    low = n * LN2_LOW[w]
    r = high - low
    rest = ((high - r) - low) + rest
    square = r * r
    curve = polynomial(r, EXP[w])
    rest = fused(rest, fused(square, curve, r), rest)
    one = 1.0 + r
    near, far = halves(t)
    return (one + fused(square, curve, rest + (r - (one - 1.0)))) * near * far


@vector
def power(x, y):
    """x**y."""
    size = abs(x)
    logarithm, missing = log_in_two(size)
    product = y * logarithm
    found = exp_of_two(product, fused(y, logarithm, -product) + y * missing)
    at_end = choose((size == INFINITY) ^ (y < 0.0), INFINITY, 0.0)
    ordinary = (size > 0.0) & (size < INFINITY)
    found = choose(ordinary, found, at_end)
    found = choose(size == 1.0, 1.0, found)
    whole = floor(y) == y
    odd = whole & (floor(0.5 * y) != 0.5 * y)
    found = choose((x < 0.0) & (ordinary & (floor(y) != y)), NAN, choose(odd, with_sign(found, x), found))
    found = choose((x == x) & (y == y), found, NAN)
    return choose((y == 0.0) | (x == 1.0), 1.0, found)


@vector
def cbrt(x):
    """The cube root."""
    w = width_of(x)
    size = abs(x)
    e, f = parts(size)
    t = fused(e, 0.3333333333333333, SHIFT[w])
    left = e - 3.0 * (t - SHIFT[w])
    number = (1.0 + f) * choose(left > 0.0, 2.0, choose(left < 0.0, 0.5, 1.0))
    inverse = polynomial(f, INVERSE_CBRT[w]) * choose(
        left > 0.0, 0.7937005259840998, choose(left < 0.0, 1.2599210498948732, 1.0)
    )
    # So far 17 bits are right (of float32 9), now 50 (24).
    missing = fused(-number * inverse, inverse * inverse, 1.0)
    inverse = fused(inverse * missing, fused(missing, 0.2222222222222222, 0.3333333333333333), inverse)
    found = number * inverse * inverse
    square = found * found
    cube = square * found
    missing = (number - cube) - fused(square, found, -cube) - fused(found, found, -square) * found
    found = fused(missing * (inverse * inverse), 0.3333333333333333, found)
    return choose((size > 0.0) & (size < INFINITY), with_sign(found * power_of_two(t), x), x)


# --- lengths ----------------------------------------------------------------------------------------------------------

LONG = {64: 2.0**511, 32: 2.0**62}
SHORT = {64: 2.0**-450, 32: 2.0**-45}
SCALE = {64: 2.0**600, 32: 2.0**100}
LOG_SCALE = {64: 415.88830833596717, 32: 69.31471805599453}


@vector
def hypot(x, y):
    """The root of x**2 + y**2, where the squares of very long and very short ones are those of a multiple."""
    w = width_of(x, y)
    a, b = abs(x), abs(y)
    longer = choose(a > b, a, b)
    up, down = longer < SHORT[w], longer > LONG[w]
    factor = choose(down, 1.0 / SCALE[w], choose(up, SCALE[w], 1.0))
    p, q = a * factor, b * factor
    found = root(fused(p, p, q * q)) * choose(down, SCALE[w], choose(up, 1.0 / SCALE[w], 1.0))
    return choose((a == INFINITY) | (b == INFINITY), INFINITY, found)


@vector
def log_of_length(x, y):
    """The logarithm of `hypot`, with what the squares and their sum lose: near 1 nothing else is left."""
    w = width_of(x, y)
    a, b = abs(x), abs(y)
    first = a > b
    longer, shorter = choose(first, a, b), choose(first, b, a)
    up, down = longer < SHORT[w], longer > LONG[w]
    factor = choose(down, 1.0 / SCALE[w], choose(up, SCALE[w], 1.0))
    longer, shorter = longer * factor, shorter * factor
    square, other = longer * longer, shorter * shorter
    total = square + other
    rest = (other - (total - square)) + (fused(longer, longer, -square) + fused(shorter, shorter, -other))
    found = 0.5 * where_defined(total, log_of_parts(*log_of_sum(total, rest)))
    found = found + choose(down, LOG_SCALE[w], choose(up, -LOG_SCALE[w], 0.0))
    return choose((a == INFINITY) | (b == INFINITY), INFINITY, found)


# --- halves -----------------------------------------------------------------------------------------------------------
# Roots and quotients, within 2 units of the last place over the whole range. `pow` takes the root of -0.0 for that of
# 0.0, and of -inf for that of inf; what overflows or vanishes on the way does so in the result. Of arrays x**0.5 is the
# square root itself, as in NumPy.


@vector
def to_half(x):
    """x**0.5."""
    return root(x)


@vector
def to_three_halves(x):
    """x**1.5."""
    return choose(x == -INFINITY, INFINITY, x * root(x + 0.0))


@vector
def to_five_halves(x):
    """x**2.5."""
    return choose(x == -INFINITY, INFINITY, x * x * root(x + 0.0))


@vector
def to_minus_half(x):
    """x**-0.5."""
    return choose(x == -INFINITY, 0.0, 1.0 / root(x + 0.0))


def inverse_of(x):
    """1 / x, rounded to y, and the e with 1 / x = y / (1 - e)."""
    y = 1.0 / (x + 0.0)
    return y, fused(-x, y, 1.0)


def where_finite(x, found, whole):
    """What is left of a power of 1 / x where a correction, made of infinities, has made it NaN."""
    return choose(x == -INFINITY, 0.0, choose(whole == whole, whole, found))


@vector
def to_minus_three_halves(x):
    """x**-1.5."""
    y, lost = inverse_of(x)
    found = y * root(y)
    return where_finite(x, found, fused(found, 1.5 * lost, found))


@vector
def to_minus_five_halves(x):
    """x**-2.5."""
    y, lost = inverse_of(x)
    half = root(y)
    part = y * half
    found = part * y
    missing = fused(part, y, -found) + fused(y, half, -part) * y
    return where_finite(x, found, found + fused(found, 2.5 * lost, missing))


HALVES = {
    0.5: to_half,
    1.5: to_three_halves,
    2.5: to_five_halves,
    -0.5: to_minus_half,
    -1.5: to_minus_three_halves,
    -2.5: to_minus_five_halves,
}
"""Powers of half an odd number, by the exponent."""


# --- whole numbers ----------------------------------------------------------------------------------------------------
# Products, each with what its rounding loses, so that any number of them is rounded about once. Beside a product of
# its factors alone, x**3 is within 1.5 units of the last place and x**4 within 1.92; x**5 is not within 2.

BY_PRODUCTS = (-1, 0, 1, 2, 3, 4)
"""Exponents for which nothing else is needed than products of x, or 1 / x."""


def product_of_two(x, x_rest, y, y_rest):
    """(x + x_rest) (y + y_rest), rounded, and what is missing in it."""
    found = x * y
    return found, fused(x, y, -found) + fused(x, y_rest, x_rest * y)


def to_whole(n):
    """The vector function for x**n, by squares."""

    def of_number(x):
        base, rest = x, x * 0.0
        if n < 0:
            base = 1.0 / x
            rest = base * fused(-x, base, 1.0)
        found, missing = base, rest
        for bit in bin(abs(n))[3:]:
            found, missing = product_of_two(found, missing, found, missing)
            if bit == "1":
                found, missing = product_of_two(found, missing, base, rest)
        return choose(abs(missing) < abs(found), found + missing, found)  # not where it is infinite, or 0

    of_number.__name__ = f"to_{n}" if n > 0 else f"to_minus_{-n}"
    of_number.__doc__ = f"x**{n}."
    return vector(of_number)


WHOLE = {n: to_whole(n) for n in (*range(-16, -1), *range(5, 17))}
"""Powers of whole numbers, by the exponent."""
globals().update((function.__name__, function) for function in WHOLE.values())  # native text imports them
