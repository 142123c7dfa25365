"""Inverse trigonometric functions, without a branch, so that LLVM computes several elements at once.

A number goes in, a number comes out; NaN, infinities and signed zeros are NumPy's. Begin with `arctan`.

Arguments are brought to an interval where a minimax polynomial (Remez) does: |x| <= 1 by 1/x, |x| <= 1/2 by
asin x = pi/2 - 2 asin sqrt((1 - x) / 2) (Muller, Elementary Functions, 3rd ed., chapter 11).
"""

# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

from tracegrad.kernels.instructions import bits, choose, horner, polynomial, root, vector, width_of, with_sign
from tracegrad.kernels.logarithm import NAN
from tracegrad.kernels.trigonometric import HALF_PI, HALF_PI_REST

PI = {w: 2.0 * high for w, high in HALF_PI.items()}
PI_REST = {w: 2.0 * low for w, low in HALF_PI_REST.items()}

# (atan x / x - 1) / x**2 in x**2, |x| <= 1; errors 2**-55.9, 2**-28.5
ARCTAN = {
    64: (
        -0.33333333333333093,
        0.19999999999955462,
        -0.14285714282803522,
        0.11111111013683851,
        -0.09090907119776234,
        0.07692281192285674,
        -0.06666415039298815,
        0.05880592789152524,
        -0.05253806554193312,
        0.04723296653637871,
        -0.04221726226082043,
        0.036693694151293636,
        -0.029985828446073982,
        0.022085461758323852,
        -0.013995277652263082,
        0.0072635646091257465,
        -0.00291944998062057,
        0.0008435235478377941,
        -0.00015480568875719697,
        1.3490166298468624e-05,
    ),
    32: (
        -0.333333,
        0.1999853,
        -0.14264014,
        0.10950861,
        -0.08399208,
        0.05787887,
        -0.031093534,
        0.010866272,
        -0.0017821451,
    ),
}
# (asin x / x - 1) / x**2 in x**2, |x| <= 1/2; errors 2**-59, 2**-27.6
ARCSIN = {
    64: (
        0.16666666666666763,
        0.07499999999970129,
        0.04464285717525562,
        0.030381942676816764,
        0.02237221586053326,
        0.017351596350171476,
        0.013981007950812861,
        0.011397382653728428,
        0.01078880332209021,
        0.0036741957159912957,
        0.02178563135968861,
        -0.021109457849680914,
        0.032697525451482426,
    ),
    32: (0.16666752, 0.074953064, 0.045469772, 0.024180774, 0.042166412),
}


def angle_of(ratio, above):
    """atan(ratio) for 0 <= ratio <= 1; where `above`, what is left of pi/2."""
    w = width_of(ratio)
    square = ratio * ratio
    curve = ratio * square * horner(square, ARCTAN[w])
    return choose(above, (HALF_PI[w] - ratio) - (curve - HALF_PI_REST[w]), ratio + curve)


@vector
def arctan(x):
    """The angle whose tangent is x, from -pi/2 to pi/2."""
    size = abs(x)
    above = size > 1.0
    return with_sign(angle_of(choose(above, 1.0 / size, size), above), x)


@vector
def arctan2(y, x):
    """The angle of the point (x, y), from -pi to pi."""
    high, wide = abs(y), abs(x)
    steep = high > wide
    less, more = choose(steep, wide, high), choose(steep, high, wide)
    ratio = choose(less == 0.0, 0.0, choose(less == more, 1.0, less / more))
    angle = angle_of(ratio, steep)
    w = width_of(x, y)
    angle = choose(bits(x) < 0, PI[w] - (angle - PI_REST[w]), angle)
    return choose((x == x) & (y == y), with_sign(angle, y), NAN)


def arcsin_parts(x):
    """Whether |x| is above 1/2; then |x|, or there sqrt((1 - |x|) / 2); and what its asin is above it."""
    size = abs(x)
    above = size > 0.5
    half = 0.5 - 0.5 * size
    square = choose(above, half, size * size)
    part = choose(above, root(half), size)
    return above, part, part * square * polynomial(square, ARCSIN[width_of(x)])


@vector
def arcsin(x):
    """The angle whose sine is x, from -pi/2 to pi/2."""
    w = width_of(x)
    above, part, curve = arcsin_parts(x)
    left = HALF_PI[w] - 2.0 * part
    rest = ((HALF_PI[w] - left) - 2.0 * part) + HALF_PI_REST[w]
    return with_sign(choose(above, left - (2.0 * curve - rest), part + curve), x)


@vector
def arccos(x):
    """The angle whose cosine is x, from 0 to pi."""
    w = width_of(x)
    above, part, curve = arcsin_parts(x)
    twice = 2.0 * (part + curve)
    far = choose(x < 0.0, PI[w] - (twice - PI_REST[w]), twice)
    return choose(above, far, HALF_PI[w] - (with_sign(part + curve, x) - HALF_PI_REST[w]))
