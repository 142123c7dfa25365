"""The error function, its complement and the normal distribution, without a branch, so that LLVM computes several
elements at once.

A number goes in, a number comes out; NaN, infinities and signed zeros are SciPy's. Begin with `erf`.

Near 0, erf(x) is x plus a polynomial. Farther out it is 1 - e**-q(x), where only q's polynomial is needed: erfc is
small there. `erfc` itself has to be right where it is tiny: it is e**(-x**2) P(t) / (x + CENTER) with t =
(x - CENTER) / (x + CENTER), the form of Shepherd and Laframboise, Mathematics of Computation 36, 1981. What the
rounding of t moved in x is known, and is put back through the derivative. The coefficients are minimax ones (Remez).
"""

# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

from tracegrad.kernels.exponential import EXP, LN2_HIGH, LN2_LOW, LOG2_E, SHIFT, exp, halves, inside
from tracegrad.kernels.instructions import choose, fused, horner, polynomial, vector, width_of, with_sign
from tracegrad.kernels.logarithm import INFINITY, log_of_parts, log_of_sum, where_defined

NEAR = 0.89
CENTER = 3.078125
FLAT = {64: 5.95, 32: 4.0}  # erf is 1 from here on
GONE = {64: 28.0, 32: 10.3}  # and erfc 0
TWO_OVER_ROOT_PI = 1.1283791670955126
MIDDLE = 0.34375
ROOT_HALF = {64: 0.7071067811865476, 32: 0.7071067690849304}
ROOT_HALF_REST = {64: -4.833646656726457e-17, 32: 1.2101617485882343e-08}
ROOT_TWO = 1.4142135623730951
INVERSE_ROOT_TWO_PI = 0.3989422804014327

# erf x / x - 1 in x**2, |x| <= 0.9; errors 2**-56, 2**-30 relative to erf
ERF = {
    64: (
        0.1283791670955126,
        -0.3761263890318411,
        0.11283791670972039,
        -0.026866170648260745,
        0.005223977655079994,
        -0.0008548328652469411,
        0.00012055388232249563,
        -1.4926830171441774e-05,
        1.6477638072245482e-06,
        -1.6479729045872418e-07,
        1.5098451039143244e-08,
        -1.0825386350160267e-09,
    ),
    32: (0.12837917, -0.3761263, 0.11283624, -0.02685556, 0.005191753, -0.0008039753, 7.9431e-05),
}
# -log(erfc x), 0.88 <= x <= FLAT; errors 2**-60, 2**-29 times erf / erfc
MINUS_LOG = {
    64: (
        -6.45900680202611e-09,
        1.1283792726733093,
        0.6366189955165545,
        0.10277607737321495,
        -0.01913913356302932,
        -0.00018501625465330702,
        0.0016542894864793804,
        -0.0005329537981906544,
        -3.6514699404065895e-05,
        0.00011949431772054466,
        -6.8979589584777e-05,
        2.5927852165894576e-05,
        -7.300956040690969e-06,
        1.5987595962496285e-06,
        -2.734204726039589e-07,
        3.59914904678409e-08,
        -3.5297152805664377e-09,
        2.4309143336425837e-10,
        -1.049035703341351e-11,
        2.1335579258599977e-13,
    ),
    32: (
        0.00013983883,
        1.1279094,
        0.63678354,
        0.10428574,
        -0.022399578,
        0.0030869974,
        -0.00020044566,
    ),
}
# (1/2 - ndtr(-x)) / x - MIDDLE in x**2, |x| <= 1.2; errors 2**-61, 2**-32 times ndtr(-x)
NDTR = {
    64: (
        0.055192280401432675,
        -0.06649038006690527,
        0.009973557010032674,
        -0.0011873282154533046,
        0.00011543468748313022,
        -9.444655852379605e-06,
        6.659685304330709e-07,
        -4.122555180238868e-08,
        2.27248222224498e-09,
        -1.1235162606399688e-10,
        4.841924960061973e-12,
        -1.4572319416018011e-13,
    ),
    32: (
        0.05519228,
        -0.066490375,
        0.009973493,
        -0.0011870917,
        0.00011501508,
        -9.052506e-06,
        4.7569873e-07,
    ),
}
# (x + CENTER) e**(x**2) erfc(x) in t, 0.83 <= x <= GONE; errors 2**-56, 2**-29
TAIL = {
    64: (
        1.0764090930655679,
        -0.8932262614540846,
        0.6083993762186733,
        -0.3311453419341101,
        0.13566612346258639,
        -0.0354182693039185,
        0.0014559214286444452,
        0.0029929454137348475,
        -0.0008967248667195993,
        -0.00017987604225494554,
        0.00014193388933607588,
        9.802924790778328e-06,
        -2.138459471818929e-05,
        -9.157768405058372e-07,
        3.4590055062422117e-06,
        2.877871927166486e-07,
        -5.953491120883912e-07,
        -1.0066280151462371e-07,
        1.0493293127232564e-07,
        2.122516813753169e-08,
        -1.5825168062704716e-08,
    ),
    32: (
        1.0764091,
        -0.89322627,
        0.6083993,
        -0.33114502,
        0.1356691,
        -0.03542303,
        0.0014285245,
        0.00301656,
        -0.00079406495,
        -0.00021446675,
    ),
}
TAIL_REST = {64: 0.0, 32: -8.420638408779269e-09}  # what is missing in the first


@vector
def erf(x):
    """The error function."""
    w = width_of(x)
    size = abs(x)
    bounded = choose(size > FLAT[w], FLAT[w], size)
    far = 1.0 - exp(-polynomial(bounded, MINUS_LOG[w]))
    near = fused(size, polynomial(size * size, ERF[w]), size)
    return with_sign(choose(size < NEAR, near, far), x)


def scaled_tail(x, rest):
    """erfc(x + rest) e**(x**2) for 0.83 <= x <= GONE, and what is missing in it."""
    w = width_of(x)
    whole = x + CENTER
    part = CENTER - (whole - x)
    inverse = 1.0 / whole
    missing = fused(-inverse, whole, 1.0) - inverse * part
    beside = x - CENTER
    t = beside * inverse
    moved = fused(-t, whole, beside) + fused(-t, part, x - (beside + CENTER))
    moved = moved * whole * (0.5 / CENTER)
    first, second = TAIL[w][:2]
    curve = horner(t, TAIL[w][2:])
    slanted = fused(t, curve, second)
    value = fused(t, slanted, first)
    less = fused(t, slanted, first - value) + fused(t, fused(t, curve, second - slanted), TAIL_REST[w])
    scaled = value * inverse
    lost = fused(less, inverse, fused(value, inverse, -scaled))
    slope = fused(scaled, 2.0 * x + inverse, -TWO_OVER_ROOT_PI)
    return scaled, fused(scaled, missing, lost) + fused(moved, slope, -TWO_OVER_ROOT_PI * rest)


def tail(x, rest):
    """erfc(x + rest) for 0.83 <= x <= GONE, and what is missing in it."""
    w = width_of(x)
    scaled, correction = scaled_tail(x, rest)
    square = x * x
    rest = fused(x, x, -square)
    shift = fused(-square, LOG2_E, SHIFT[w])
    n = shift - SHIFT[w]
    high = fused(-n, LN2_HIGH[w], -square)
    low = n * LN2_LOW[w]
    r = high - low
    rest = ((high - r) - low) - rest
    curve = r * r * polynomial(r, EXP[w])
    power = curve + r
    curve = curve + fused(rest, power, rest)
    more = fused(scaled, r, fused(scaled, curve, fused(correction, power, correction)))
    found = scaled + more
    near, far = halves(shift)
    return found * near * far, (more - (found - scaled)) * near * far


@vector
def erfc(x):
    """1 - erf(x), without cancellation."""
    w = width_of(x)
    size = abs(x)
    below, _ = tail(inside(size, 0.83, GONE[w]), 0.0)
    far = choose(x < 0.0, 2.0 - below, below)
    return choose(size < 0.85, fused(-x, horner(x * x, ERF[w]), 1.0 - x), far)


def at_root_two(size):
    """size / sqrt(2) as `tail` takes it."""
    w = width_of(size)
    bounded = inside(size, 0.831 * ROOT_TWO, GONE[w] * ROOT_TWO)
    found = bounded * ROOT_HALF[w]
    return found, fused(bounded, ROOT_HALF[w], -found) + bounded * ROOT_HALF_REST[w]


def below(size):
    """The normal distribution at -size, and what is missing in it."""
    part = size * MIDDLE
    line = 0.5 - part
    lost = ((0.5 - line) - part) - fused(size, MIDDLE, -part)
    bent = fused(-size, horner(size * size, NDTR[width_of(size)]), lost)
    near = line + bent
    far, missing = tail(*at_root_two(size))
    middle = size < 1.2
    return choose(middle, near, 0.5 * far), choose(middle, bent - (near - line), 0.5 * missing)


@vector
def ndtr(x):
    """The normal distribution."""
    found, _ = below(abs(x))
    return choose(x < 0.0, found, 1.0 - found)


@vector
def log_ndtr(x):
    """The logarithm of the normal distribution: far below 0 that of e**(x**2 / 2) times it, less x**2 / 2."""
    w = width_of(x)
    size = abs(x)
    small, missing = below(size)
    above = 1.0 - small
    scaled, correction = scaled_tail(at_root_two(size)[0], 0.0)
    inverse = 1.0 / size
    square = inverse * inverse
    series = fused(square, horner(square, (-1.0, 3.0, -15.0, 105.0, -945.0)), 1.0) * inverse
    scaled = choose(size > GONE[w] * ROOT_TWO, series * INVERSE_ROOT_TWO_PI, 0.5 * (scaled + correction))
    far = x < -1.2
    total = choose(far, scaled, choose(x < 0.0, small, above))
    rest = choose(far, 0.0, choose(x < 0.0, missing, ((1.0 - above) - small) - missing))
    found = where_defined(total, log_of_parts(*log_of_sum(total, rest)))
    half = 0.5 * size
    square = half * size
    lost = choose(square < INFINITY, fused(half, size, -square), 0.0)
    return -abs(choose(far, (found - lost) - square, found))  # -0.0 where it vanishes
