"""Sine, cosine, tangent and their inverses, without a branch, so that LLVM computes several elements at once.

A number goes in, a number comes out; NaN, infinities and signed zeros are NumPy's. Begin with `sin`.

All of the first three rest on one reduction, x = n pi/2 + r with |r| <= pi/4 (Cody and Waite, with pi/2 in three parts
of 53 bits and fused products, as in Muller, Elementary Functions, 3rd ed., chapter 11; of 24 bits for float32): r comes
as a number and what is missing in it, so the digits are right beside the multiples of pi/2 too. Beyond `FAR` another
reduction, in whole numbers and float64, is done for the elements concerned.
"""

# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

import itertools

from tracegrad.kernels.exponential import SHIFT
from tracegrad.kernels.instructions import (
    bits,
    choose,
    entry,
    fused,
    number,
    polynomial,
    product_of_words,
    shifted_down,
    unless_far,
    vector,
    width_of,
)

FAR = {64: 1073741824.0, 32: 131072.0}
TWO_OVER_PI = 0.6366197723675814
HALF_PI = {64: 1.5707963267948966, 32: 1.5707963705062866}
HALF_PI_REST = {64: 6.123233995736766e-17, 32: -4.371138828673793e-08}
HALF_PI_LAST = {64: -1.4973849048591698e-33, 32: -1.7151245100058819e-15}
PLAIN, PLAIN_BITS = 4503599627370496.0, 0x4330000000000000  # 2**52: its lowest bits count ones

# (sin r / r - 1) / r**2 in r**2, |r| <= pi/4; errors 2**-57.9, 2**-27.7
SIN = {
    64: (
        -0.16666666666666632,
        0.008333333333322488,
        -0.00019841269829854743,
        2.755731370565593e-06,
        -2.505075999480036e-08,
        1.5896893140600954e-10,
    ),
    32: (-0.16666654, 0.008332087, -0.00019503737),
}
# (cos r - 1 + r**2 / 2) / r**4 in r**2, |r| <= pi/4; errors 2**-64, 2**-32.7
COS = {
    64: (
        0.0416666666666666,
        -0.001388888888887447,
        2.480158728966746e-05,
        -2.75573143995216e-07,
        2.087572904106186e-09,
        -1.1359920317940833e-11,
    ),
    32: (0.04166664, -0.001388712, 2.441006e-05),
}


# 64 zeros, then the bits of 2/pi behind the point
TWO_OVER_PI_BITS = (
    0x0000000000000000,
    0xA2F9836E4E441529,
    0xFC2757D1F534DDC0,
    0xDB6295993C439041,
    0xFE5163ABDEBBC561,
    0xB7246E3A424DD2E0,
    0x06492EEA09D1921C,
    0xFE1DEB1CB129A73E,
    0xE88235F52EBB4484,
    0xE99C7026B45F7E41,
    0x3991D639835339F4,
    0x9C845F8BBDF9283B,
    0x1FF897FFDE05980F,
    0xEF2F118B5A0A6D1F,
    0x6D367ECF27CB09B7,
    0x4F463F669E5FEA2D,
    0x7527BAC7EBE5F17B,
    0x3D0739F78A5292EA,
    0x6BFB5FB11F8D5D08,
    0x56033046FC7B6BAB,
    0xF0CFBC209AF4361D,
)


def sine_and_cosine(r, rest):
    """sin(r + rest) and cos(r + rest) for |r| <= pi/4, each as two terms of a sum that is not yet rounded."""
    w = width_of(r)
    square = r * r
    half = 0.5 * square
    whole = 1.0 - half
    missing = ((1.0 - whole) - half) + fused(square * square, polynomial(square, COS[w]), -r * rest)
    return (r, fused(r * square, polynomial(square, SIN[w]), rest)), (whole, missing)


def reduced(x):
    """The word whose lowest bits are n, then sin r and cos r as `sine_and_cosine` has them, for x = n pi/2 + r."""
    w = width_of(x)
    t = fused(x, TWO_OVER_PI, SHIFT[w])
    n = t - SHIFT[w]
    near = fused(-n, HALF_PI[w], x)
    product = n * HALF_PI_REST[w]
    r = near - product
    back = r - near
    rest = (near - (r - back)) - (product + back)
    rest = rest - fused(n, HALF_PI_LAST[w], fused(n, HALF_PI_REST[w], -product))
    return bits(t), *sine_and_cosine(r, rest)


def reduced_far(x):
    """The same for a finite |x| above `FAR`, in whole numbers (Payne and Hanek, SIGNUM Newsletter 18, 1983).

    |x| is a whole number m times 2**k, and m times the bits of 2/pi from 2**(2 - k) down is x / (pi/2) modulo 4: 192
    of them are enough for the doubles that are closest to a multiple of pi/2.
    """
    word = bits(abs(x))
    m = (word & 0xFFFFFFFFFFFFF) | 0x10000000000000
    place = shifted_down(word, 52, 64) - 1013
    k, up = shifted_down(place, 6, 64), place & 63
    four = [entry(TWO_OVER_PI_BITS, k + j) for j in range(4)]
    high, middle, low = (
        (x << up) | shifted_down(shifted_down(y, 1, 64), 63 - up, 64) for x, y in itertools.pairwise(four)
    )
    low, carried = product_of_words(m, low)
    middle, upper = product_of_words(m, middle)
    total = middle + carried
    carry = shifted_down((middle & carried) | ((middle | carried) & (total ^ -1)), 63, 64)
    high = product_of_words(m, high)[0] + upper + carry
    n = shifted_down(high, 62, 64)
    high = (high << 2) | shifted_down(total, 62, 64)
    middle = (total << 2) | shifted_down(low, 62, 64)
    above = shifted_down(high, 63, 64)  # more than half a quarter turn: the next one, less the rest
    flip = 0 - above
    high, middle = high ^ flip, middle ^ flip
    parts = [
        (number(part | PLAIN_BITS, 64) - PLAIN) * 2.0 ** (-32 * (k + 1))
        for k, part in enumerate(
            [
                shifted_down(high, 32, 64),
                high & 0xFFFFFFFF,
                shifted_down(middle, 32, 64),
                middle & 0xFFFFFFFF,
            ]
        )
    ]
    total, missing = parts[0], 0.0
    for part in parts[1:]:
        more = total + part
        missing = missing + (part - (more - total))
        total = more
    turns = total + missing
    missing = missing - (turns - total)
    high, low = HALF_PI[64], HALF_PI_REST[64]
    r = turns * high
    rest = fused(turns, high, -r) + fused(turns, low, missing * high)
    (sine, missing), cosine = sine_and_cosine(r, rest)
    return n + above, (turned(sine, above << 1), turned(missing, above << 1)), cosine


def turned(x, y):
    """`x`, with the other sign where the second bit of `y` is set."""
    w = width_of(x)
    return number(bits(x) ^ ((y & 2) << (w - 2)), w)


def sine_of(n, sine, cosine):
    """sin(n pi/2 + r)."""
    return turned(choose((n & 1) == 0, sine[0] + sine[1], cosine[0] + cosine[1]), n)


def cosine_of(n, sine, cosine):
    """cos(n pi/2 + r)."""
    return turned(choose((n & 1) == 0, cosine[0] + cosine[1], sine[0] + sine[1]), n + 1)


def tangent_of(n, sine, cosine):
    """tan(n pi/2 + r): a quotient whose operands keep what their rounding loses."""
    even = (n & 1) == 0
    (high, high_rest), (low, low_rest) = map(rounded, (sine, cosine))
    above, above_rest = choose(even, high, -low), choose(even, high_rest, -low_rest)
    below, below_rest = choose(even, low, high), choose(even, low_rest, high_rest)
    inverse = 1.0 / below
    found = above * inverse
    return fused(fused(-found, below, above) + fused(-found, below_rest, above_rest), inverse, found)


def rounded(terms):
    """The sum of two terms, the larger one first, and what its rounding loses."""
    total = terms[0] + terms[1]
    return total, terms[1] - (total - terms[0])


def sin_far(x):
    """sin(x) for |x| above `FAR`."""
    return odd(x, sine_of(*reduced_far(x)))


def cos_far(x):
    """cos(x) for |x| above `FAR`."""
    return cosine_of(*reduced_far(x))


def tan_far(x):
    """tan(x) for |x| above `FAR`."""
    return odd(x, tangent_of(*reduced_far(x)))


def odd(x, found):
    """`found`, with the other sign where `x` is negative."""
    return choose(x < 0.0, -found, found)


@vector
def sin(x):
    """The sine."""
    return unless_far(x, FAR[width_of(x)], choose(x == 0.0, x, sine_of(*reduced(x))), sin_far)


@vector
def cos(x):
    """The cosine."""
    return unless_far(x, FAR[width_of(x)], cosine_of(*reduced(x)), cos_far)


@vector
def tan(x):
    """The tangent."""
    return unless_far(x, FAR[width_of(x)], choose(x == 0.0, x, tangent_of(*reduced(x))), tan_far)
