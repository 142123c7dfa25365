"""Exponentials and what is made of them, without a branch, so that LLVM computes several elements at once.

A number goes in, a number comes out; NaN, infinities, signed zeros and subnormal results are NumPy's. Begin with `exp`.

All rest on one reduction (Cody and Waite, Software Manual for the Elementary Functions, 1980, chapter 6): x = n ln 2
+ r with |r| <= 0.3466, so e**x = 2**n e**r, and e**r - 1 is r plus a polynomial. Adding `SHIFT` rounds to an integer
and leaves it in the lowest bits. The coefficients are minimax ones (Remez), rounded one after the other; stated errors
are relative to e**r - 1, and for the others to themselves.
"""

# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

from tracegrad.kernels.instructions import bits, choose, fused, number, polynomial, vector, with_sign

SHIFT = 6755399441055744.0  # 1.5 * 2**52
SHIFT_BITS = 0x4338000000000000
ONE_BITS = 0x3FF0000000000000
EXPONENT = 0x7FF0000000000000
LOG2_E = 1.4426950408889634
LN2_HIGH = 0.6931471805598903  # 42 bits: times n it is exact
LN2_LOW = 5.497923018708371e-14
LN2 = 0.6931471805599453
LN2_REST = 2.3190468138462996e-17

# (e**r - 1 - r) / r**2, |r| <= 0.3467; error 2**-59
EXP = (
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
)
# (sinh r / r - 1) / r**2 in r**2; error 2**-61
SINH = (
    0.16666666666666677,
    0.008333333333321386,
    0.00019841269886817248,
    2.7557243449572226e-06,
    2.510932213622607e-08,
)
# (cosh r - 1 - r**2 / 2) / r**4 in r**2; error 2**-69
COSH = (
    0.041666666666666685,
    0.0013888888888873286,
    2.4801587349195693e-05,
    2.755725182712552e-07,
    2.092176710081597e-09,
)
# (tanh x / x - 1) / x**2 in x**2, |x| <= 0.552; error 2**-59
TANH = (
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
)


def power_of_two(t):
    """2**n where t is SHIFT + n, for the exponents of normal numbers."""
    return number((bits(t) << 52) + ONE_BITS)


def halves(t):
    """Two powers of two with the product 2**n where t is SHIFT + n: n may be beyond the exponents of numbers."""
    twice = bits(t) - (SHIFT_BITS - 2046)
    return number((twice << 51) & EXPONENT), number(((twice + 1) << 51) & EXPONENT)


def reduced(x):
    """SHIFT + n, r and what is missing in r, for x = n ln 2 + r."""
    t = fused(x, LOG2_E, SHIFT)
    n = t - SHIFT
    high = fused(-n, LN2_HIGH, x)
    low = n * LN2_LOW
    r = high - low
    return t, r, (high - r) - low


@vector
def exp(x):
    """e**x."""
    x = choose(x > 710.0, 710.0, choose(x < -746.0, -746.0, x))
    t = fused(x, LOG2_E, SHIFT)
    n = t - SHIFT
    r = fused(-n, LN2_LOW, fused(-n, LN2_HIGH, x))
    near, far = halves(t)
    one = 1.0 + r
    return (one + fused(r * r, polynomial(r, EXP), r - (one - 1.0))) * near * far


@vector
def exp2(x):
    """2**x."""
    x = choose(x > 1025.0, 1025.0, choose(x < -1077.0, -1077.0, x))
    t = x + SHIFT
    rest = x - (t - SHIFT)
    r = rest * LN2
    low = fused(rest, LN2, -r) + rest * LN2_REST
    near, far = halves(t)
    return (1.0 + (r + fused(r * r, polynomial(r, EXP), low))) * near * far


@vector
def expm1(x):
    """e**x - 1, without cancellation."""
    inside = choose(x > 710.0, 710.0, choose(x < -50.0, -50.0, x))
    t, r, low = reduced(inside)
    y = r + fused(r * r, polynomial(r, EXP), fused(low, r, low))
    near, far = halves(t)
    one = number(2 * ONE_BITS - bits(far))
    return with_sign(fused(near, y, near - one) * far, x)


def sinh_and_cosh(x):
    """sinh and cosh of |x|, over a common power of two, and that power."""
    size = abs(x)
    t, r, low = reduced(choose(size > 720.0, 720.0, size))
    square = r * r
    sinh_r = r + fused(r * square, polynomial(square, SINH), low)
    cosh_r = fused(square * square, polynomial(square, COSH), 0.5 * square) + low * r
    near, far = halves(t)
    n = t - SHIFT
    other = power_of_two(SHIFT - choose(n > 64.0, 64.0, n)) * number(2 * ONE_BITS - bits(far))
    both, apart = near + other, near - other
    return (
        apart + fused(both, sinh_r, apart * cosh_r),
        both + fused(apart, sinh_r, both * cosh_r),
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
    near = fused(size * square, polynomial(square, TANH), size)
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
