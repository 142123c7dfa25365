"""Powers and the cube root, without a branch, so that LLVM computes several elements at once.

Numbers go in, a number comes out; the special cases are those of C's `pow` (ISO C, annex F.10.4.4), as NumPy has them.
Begin with `power`; powers of 1/2, 3/2 and their
kind are at the end.

x**y = e**(y log x), where an error of the logarithm counts up to 745 times: so it is a sum of two numbers, right to 65
bits, from log((1 + s) / (1 - s)) = 2 s + 2/3 s**3 + ... whose first two terms are such sums (Dekker, Numerische
Mathematik 18, 1971).
"""

# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

from tracegrad.kernels.exponential import EXP, LN2_HIGH, LN2_LOW, LOG2_E, SHIFT, halves, power_of_two
from tracegrad.kernels.instructions import choose, floor, fused, polynomial, root, vector, with_sign
from tracegrad.kernels.logarithm import INFINITY, NAN, parts

ROOT_HALF_BITS = 0x3FE6A09E667F3BCD
TWO_THIRDS = 0.6666666666666666
TWO_THIRDS_REST = 3.700743415417188e-17

# (2 atanh(s) / s - 2 - 2/3 s**2) / s**4 in s**2, |s| <= 0.1716; error 2**-70 relative to 2 s
LOG_TAIL = (
    0.4,
    0.2857142857142689,
    0.22222222222715327,
    0.18181818106283446,
    0.1538462215562365,
    0.13332961820191241,
    0.11777198113104743,
    0.10280305248641018,
    0.12018187722457604,
)

# (1 + f)**(-1/3), |f| <= 1/3; error 2**-17
INVERSE_CBRT = (
    1.0000056390391956,
    -0.3333551114053989,
    0.22132620771894604,
    -0.17142604081721585,
    0.1647480193108633,
    -0.14794098864410932,
)


def log_in_two(x):
    """log(x) of a positive number, and what is missing in it."""
    e, f = parts(x, ROOT_HALF_BITS)
    whole = 2.0 + f
    inverse = 1.0 / whole
    s = f * inverse
    s_rest = (fused(-s, whole, f) - s * (f - (whole - 2.0))) * inverse
    square = s * s
    square_rest = fused(s, s, -square) + 2.0 * s * s_rest
    third = square * TWO_THIRDS
    tail = square * square * polynomial(square, LOG_TAIL)
    tail = fused(square, TWO_THIRDS, -third) + fused(square, TWO_THIRDS_REST, square_rest * TWO_THIRDS) + tail
    factor = third + tail
    factor_rest = tail - (factor - third)
    more = s * factor
    more_rest = fused(s, factor, -more) + fused(s, factor_rest, s_rest * (2.0 + factor))
    twos = e * LN2_HIGH
    first = twos + 2.0 * s
    first_rest = 2.0 * s - (first - twos)
    second = first + more
    rest = (more - (second - first)) + (first_rest + fused(e, LN2_LOW, more_rest))
    found = second + rest
    return found, rest - (found - second)


def exp_of_two(x, rest):
    """e**(x + rest), with a small rest."""
    inside = choose(x > 710.0, 710.0, choose(x < -746.0, -746.0, x))
    rest = choose(inside == x, rest, 0.0)
    t = fused(inside, LOG2_E, SHIFT)
    n = t - SHIFT
    high = fused(-n, LN2_HIGH, inside)
    low = n * LN2_LOW
    r = high - low
    rest = ((high - r) - low) + rest
    square = r * r
    curve = polynomial(r, EXP)
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
    size = abs(x)
    e, f = parts(size)
    t = fused(e, 0.3333333333333333, SHIFT)
    left = e - 3.0 * (t - SHIFT)
    number = (1.0 + f) * choose(left > 0.0, 2.0, choose(left < 0.0, 0.5, 1.0))
    inverse = polynomial(f, INVERSE_CBRT) * choose(
        left > 0.0, 0.7937005259840998, choose(left < 0.0, 1.2599210498948732, 1.0)
    )
    missing = fused(-number * inverse, inverse * inverse, 1.0)  # so far 17 bits are right, now 50
    inverse = fused(inverse * missing, fused(missing, 0.2222222222222222, 0.3333333333333333), inverse)
    found = number * inverse * inverse
    square = found * found
    cube = square * found
    missing = (number - cube) - fused(square, found, -cube) - fused(found, found, -square) * found
    found = fused(missing * (inverse * inverse), 0.3333333333333333, found)
    return choose((size > 0.0) & (size < INFINITY), with_sign(found * power_of_two(t), x), x)


# --- halves -----------------------------------------------------------------------------------------------------------
# Roots and quotients, within 2 units of the last place over the whole range. `pow` takes the root of -0.0 for that of
# 0.0, and of -inf for that of inf; what overflows or vanishes on the way does so in the result.


@vector
def to_half(x):
    """x**0.5."""
    return choose(x == -INFINITY, INFINITY, root(x + 0.0))


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


def with_inverse(x, exponent, power_of):
    """A power of `x` from its inverse, y, where y = (1 - e) / x and e is what the division lost."""
    y = 1.0 / (x + 0.0)
    lost = fused(-x, y, 1.0)
    found = power_of(y)
    whole = fused(found, exponent * lost, found)
    return choose(x == -INFINITY, 0.0, choose(whole == whole, whole, found))


@vector
def to_minus_three_halves(x):
    """x**-1.5."""
    return with_inverse(x, 1.5, lambda y: y * root(y))


@vector
def to_minus_five_halves(x):
    """x**-2.5."""
    return with_inverse(x, 2.5, lambda y: y * root(y) * y)


HALVES = {
    0.5: to_half,
    1.5: to_three_halves,
    2.5: to_five_halves,
    -0.5: to_minus_half,
    -1.5: to_minus_three_halves,
    -2.5: to_minus_five_halves,
}
"""Powers of half an odd number, by the exponent."""
