"""Exponentials and what is made of them, without a branch, so that LLVM computes several elements at once.

A number goes in, a number comes out; NaN, infinities, signed zeros and subnormal results are NumPy's. Begin with `exp`.

All rest on one reduction (Cody and Waite, Software Manual for the Elementary Functions, 1980, chapter 6): x = n ln 2
+ r with |r| <= 0.3466, so e**x = 2**n e**r, and e**r - 1 is r plus a polynomial. Adding `SHIFT` rounds to an integer
and leaves it in the lowest bits. The coefficients are minimax ones (Remez), rounded one after the other; stated errors
are relative to e**r - 1, and for the others to themselves. Tables are by the width of the number (`width_of`).
"""

# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

from tracegrad.kernels.instructions import (
    FRACTION,
    bits,
    choose,
    fused,
    number,
    polynomial,
    vector,
    width_of,
    with_sign,
)

SHIFT = {64: 6755399441055744.0, 32: 12582912.0}  # 1.5 * 2**52, 1.5 * 2**23
SHIFT_BITS = {64: 0x4338000000000000, 32: 0x4B400000}
ONE_BITS = {64: 0x3FF0000000000000, 32: 0x3F800000}
EXPONENT = {64: 0x7FF0000000000000, 32: 0x7F800000}
BIAS = {64: 1023, 32: 127}
LOG2_E = 1.4426950408889634
LN2_HIGH = {64: 0.6931471805598903, 32: 0.693145751953125}  # 42 and 16 bits: times n it is exact
LN2_LOW = {64: 5.497923018708371e-14, 32: 1.428606765330187e-06}
LN2 = {64: 0.6931471805599453, 32: 0.6931471824645996}
LN2_REST = {64: 2.3190468138462996e-17, 32: -1.9046542121259336e-09}
OVERFLOW = {64: 710.0, 32: 89.0}  # e to this power is infinite
VANISHING = {64: -746.0, 32: -104.0}  # and to this one 0

# (e**r - 1 - r) / r**2, |r| <= 0.3467; errors 2**-59, 2**-28
EXP = {
    64: (
        0.5,
        0.16666666666666677,
        0.04166666666666671,
        0.008333333333320361,
        0.0013888888888842705,
        0.00019841269889707573,
        2.4801587439680943e-05,
        2.7557240296941053e-06,
        2.755715031145526e-07,
        2.511049083911274e-08,
        2.0960117617581427e-09,
    ),
    32: (0.5, 0.16666636, 0.04166651, 0.00834151, 0.0013930543, 0.00015046186),
}
# (sinh r / r - 1) / r**2 in r**2; errors 2**-61, 2**-34
SINH = {
    64: (
        0.16666666666666677,
        0.008333333333321386,
        0.00019841269886817248,
        2.7557243449572226e-06,
        2.510932213622607e-08,
    ),
    32: (0.16666667, 0.008333175, 0.00019974104),
}
# (cosh r - 1 - r**2 / 2) / r**4 in r**2; errors 2**-69, 2**-33
COSH = {
    64: (
        0.041666666666666685,
        0.0013888888888873286,
        2.4801587349195693e-05,
        2.755725182712552e-07,
        2.092176710081597e-09,
    ),
    32: (0.04166646, 0.0013935426),
}
# (tanh x / x - 1) / x**2 in x**2, |x| <= 0.552; errors 2**-59, 2**-30
TANH = {
    64: (
        -0.333333333333333,
        0.1333333333332644,
        -0.05396825396360903,
        0.021869488380634447,
        -0.00886323250509991,
        0.003592090969756251,
        -0.0014555355399238285,
        0.0005884127127551538,
        -0.0002332967998720532,
        8.318980778842397e-05,
        -1.9413558368848495e-05,
    ),
    32: (-0.33333316, 0.13332541, -0.053846966, 0.02104736, -0.00623691),
}


def power_of_two(t):
    """2**n where t is SHIFT + n, for the exponents of normal numbers."""
    w = width_of(t)
    return number((bits(t) << FRACTION[w]) + ONE_BITS[w], w)


def halves(t):
    """Two powers of two with the product 2**n where t is SHIFT + n: n may be beyond the exponents of numbers."""
    w = width_of(t)
    twice, up = bits(t) - (SHIFT_BITS[w] - 2 * BIAS[w]), FRACTION[w] - 1
    return number((twice << up) & EXPONENT[w], w), number(((twice + 1) << up) & EXPONENT[w], w)


def reduced(x):
    """SHIFT + n, r and what is missing in r, for x = n ln 2 + r."""
    w = width_of(x)
    t = fused(x, LOG2_E, SHIFT[w])
    n = t - SHIFT[w]
    high = fused(-n, LN2_HIGH[w], x)
    low = n * LN2_LOW[w]
    r = high - low
    return t, r, (high - r) - low


def inside(x, low, high):
    """`x`, or the nearer of two numbers it is not between; NaN stays."""
    return choose(x > high, high, choose(x < low, low, x))


@vector
def exp(x):
    """e**x."""
    w = width_of(x)
    x = inside(x, VANISHING[w], OVERFLOW[w])
    t = fused(x, LOG2_E, SHIFT[w])
    n = t - SHIFT[w]
    r = fused(-n, LN2_LOW[w], fused(-n, LN2_HIGH[w], x))
    near, far = halves(t)
    one = 1.0 + r
    return (one + fused(r * r, polynomial(r, EXP[w]), r - (one - 1.0))) * near * far


@vector
def exp2(x):
    """2**x."""
    w = width_of(x)
    x = inside(x, -BIAS[w] - FRACTION[w] - 2.0, BIAS[w] + 2.0)
    t = x + SHIFT[w]
    rest = x - (t - SHIFT[w])
    r = rest * LN2[w]
    low = fused(rest, LN2[w], -r) + rest * LN2_REST[w]
    near, far = halves(t)
    return (1.0 + (r + fused(r * r, polynomial(r, EXP[w]), low))) * near * far


@vector
def expm1(x):
    """e**x - 1, without cancellation."""
    w = width_of(x)
    t, r, low = reduced(inside(x, -50.0, OVERFLOW[w]))
    y = r + fused(r * r, polynomial(r, EXP[w]), fused(low, r, low))
    near, far = halves(t)
    one = number(2 * ONE_BITS[w] - bits(far), w)
    return with_sign(fused(near, y, near - one) * far, x)


def sinh_and_cosh(x):
    """sinh and cosh of |x|, over a common power of two, and that power."""
    w = width_of(x)
    size, most = abs(x), OVERFLOW[w] + 10.0
    t, r, low = reduced(choose(size > most, most, size))
    square = r * r
    sinh_r = r + fused(r * square, polynomial(square, SINH[w]), low)
    cosh_r = fused(square * square, polynomial(square, COSH[w]), 0.5 * square) + low * r
    near, far = halves(t)
    n, many = t - SHIFT[w], FRACTION[w] + 12.0
    other = power_of_two(SHIFT[w] - choose(n > many, many, n)) * number(2 * ONE_BITS[w] - bits(far), w)
    both, apart = near + other, near - other
    return (
        apart + (fused(both, sinh_r, apart * cosh_r) + ((near - apart) - other)),
        both + (fused(apart, sinh_r, both * cosh_r) + ((near - both) + other)),
        0.5 * far,
    )


@vector
def sinh(x):
    """(e**x - e**-x) / 2."""
    found, _, scale = sinh_and_cosh(x)
    return with_sign(found * scale, x)


@vector
def cosh(x):
    """(e**x + e**-x) / 2."""
    _, found, scale = sinh_and_cosh(x)
    return found * scale


@vector
def tanh(x):
    """1 - 2 / (e**2x + 1); near 0, where that cancels, x plus a polynomial."""
    size = abs(x)
    square = size * size
    near = fused(size * square, polynomial(square, TANH[width_of(x)]), size)
    far = 1.0 - 2.0 / (exp(2.0 * choose(size > 20.0, 20.0, size)) + 1.0)
    return with_sign(choose(size < 0.55, near, far), x)


@vector
def sigmoid(x):
    """1 / (1 + e**-x)."""
    power = exp(-abs(x))
    above = choose(x < 0.0, power, 1.0)
    below = 1.0 + power
    inverse = 1.0 / below
    found = above * inverse
    missing = fused(-found, power - (below - 1.0), fused(-found, below, above))
    return fused(missing, inverse, found)
