"""The error function and its complement, without a branch, so that LLVM computes several elements at once.

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

NEAR = 0.89
CENTER = 3.078125
FLAT = {64: 5.95, 32: 4.0}  # erf is 1 from here on
GONE = {64: 28.0, 32: 10.3}  # and erfc 0
TWO_OVER_ROOT_PI = 1.1283791670955126

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
# (x + CENTER) e**(x**2) erfc(x) in t, 0.83 <= x <= GONE; errors 2**-56, 2**-25
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
        -0.89322615,
        0.6083983,
        -0.33114928,
        0.13568607,
        -0.035380427,
        0.001340608,
        0.0028538406,
        -0.0006583656,
    ),
}


@vector
def erf(x):
    """The error function."""
    w = width_of(x)
    size = abs(x)
    bounded = choose(size > FLAT[w], FLAT[w], size)
    far = 1.0 - exp(-polynomial(bounded, MINUS_LOG[w]))
    near = fused(size, polynomial(size * size, ERF[w]), size)
    return with_sign(choose(size < NEAR, near, far), x)


def tail(x):
    """erfc(x) for 0.83 <= x <= GONE."""
    w = width_of(x)
    whole = x + CENTER
    part = CENTER - (whole - x)
    inverse = 1.0 / whole
    missing = fused(-inverse, whole, 1.0) - inverse * part
    beside = x - CENTER
    t = beside * inverse
    moved = fused(-t, whole, beside) + fused(-t, part, x - (beside + CENTER))
    moved = moved * whole * (0.5 / CENTER)
    first, slanted = TAIL[w][0], horner(t, TAIL[w][1:])
    value = fused(t, slanted, first)
    scaled = value * inverse
    lost = fused(fused(t, slanted, first - value), inverse, fused(value, inverse, -scaled))
    slope = fused(scaled, 2.0 * x + inverse, -TWO_OVER_ROOT_PI)
    square = x * x
    rest = fused(x, x, -square)
    shift = fused(-square, LOG2_E, SHIFT[w])
    n = shift - SHIFT[w]
    high = fused(-n, LN2_HIGH[w], -square)
    low = n * LN2_LOW[w]
    r = high - low
    rest = ((high - r) - low) - rest
    power = fused(r * r, polynomial(r, EXP[w]), r)
    power = power + fused(rest, power, rest)
    near, far = halves(shift)
    correction = fused(scaled, missing, lost) + moved * slope
    return (scaled + fused(scaled, power, fused(correction, power, correction))) * near * far


@vector
def erfc(x):
    """1 - erf(x), without cancellation."""
    w = width_of(x)
    size = abs(x)
    below = tail(inside(size, 0.83, GONE[w]))
    far = choose(x < 0.0, 2.0 - below, below)
    return choose(size < 0.85, fused(-x, polynomial(x * x, ERF[w]), 1.0 - x), far)
