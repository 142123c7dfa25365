"""exp, log, log1p, tanh, sin, cos and erf of float64 in Numba, without branches.

Straight arithmetic with no calls, so that LLVM's loop vectoriser turns them into packed code: what somebody who
writes a gradient by hand for speed would do. Not for every argument: infinities and huge arguments are left out, and
the error of sin and erf is some hundred units in the last place. Begin with `exp`.
"""

from __future__ import annotations

import numba as nb
import numpy as np
from numba.core import types
from numba.extending import intrinsic

LOG2E = 1.4426950408889634
LN2_HI, LN2_LO = 6.93147180369123816490e-01, 1.90821492927058770002e-10


@intrinsic
def bits(typingctx, x):
    def codegen(context, builder, sig, args):
        return builder.bitcast(args[0], context.get_value_type(types.int64))

    return types.int64(types.float64), codegen


@intrinsic
def from_bits(typingctx, x):
    def codegen(context, builder, sig, args):
        return builder.bitcast(args[0], context.get_value_type(types.float64))

    return types.float64(types.int64), codegen


def kernel(f):
    return nb.njit(f, forceinline=True, error_model="numpy")


SHIFT = 6755399441055744.0  # 1.5 * 2**52: rounds to an integer


@kernel
def exp(x):
    x = min(max(x, -708.0), 709.0)
    t = x * LOG2E + SHIFT
    n = t - SHIFT
    r = (x - n * LN2_HI) - n * LN2_LO
    p = 1.0 / 6227020800.0
    p = p * r + 1.0 / 479001600.0
    p = p * r + 1.0 / 39916800.0
    p = p * r + 1.0 / 3628800.0
    p = p * r + 1.0 / 362880.0
    p = p * r + 1.0 / 40320.0
    p = p * r + 1.0 / 5040.0
    p = p * r + 1.0 / 720.0
    p = p * r + 1.0 / 120.0
    p = p * r + 1.0 / 24.0
    p = p * r + 1.0 / 6.0
    p = p * r + 0.5
    p = p * r + 1.0
    p = p * r + 1.0
    return p * from_bits((bits(t) << np.int64(52)) + np.int64(1023 << 52))


@kernel
def log(x):
    """Positive normal x."""
    i = bits(x)
    k = i - np.int64(0x3FE6A09E667F3BCD)  # so that m is in [1/sqrt2, sqrt2)
    e = k >> np.int64(52)
    m = from_bits(i - (e << np.int64(52)))
    s = (m - 1.0) / (m + 1.0)
    z = s * s
    p = 1.0 / 21.0
    p = p * z + 1.0 / 19.0
    p = p * z + 1.0 / 17.0
    p = p * z + 1.0 / 15.0
    p = p * z + 1.0 / 13.0
    p = p * z + 1.0 / 11.0
    p = p * z + 1.0 / 9.0
    p = p * z + 1.0 / 7.0
    p = p * z + 1.0 / 5.0
    p = p * z + 1.0 / 3.0
    ef = from_bits(e + np.int64(0x4338000000000000)) - SHIFT
    return ef * LN2_HI + (2.0 * s + (2.0 * s * z * p + ef * LN2_LO))


@kernel
def tanh(x):
    a = abs(x)
    e = exp(2.0 * min(a, 20.0))
    big = 1.0 - 2.0 / (e + 1.0)
    # near zero 1 - 2/(e+1) cancels; a Pade form is accurate there
    z = a * a
    num = a * (135135.0 + z * (17325.0 + z * (378.0 + z)))
    den = 135135.0 + z * (62370.0 + z * (3150.0 + z * 28.0))
    t = num / den if a < 0.3 else big
    return t if x >= 0.0 else -t


PIO2_HI = 1.57079632673412561417
PIO2_LO = 6.07710050650619224932e-11


@kernel
def sincos(x):
    """|x| below about 1e5."""
    t = x * 0.6366197723675814 + SHIFT
    n = t - SHIFT
    r = (x - n * PIO2_HI) - n * PIO2_LO
    z = r * r
    s = 1.0 / 6227020800.0
    s = s * z - 1.0 / 39916800.0
    s = s * z + 1.0 / 362880.0
    s = s * z - 1.0 / 5040.0
    s = s * z + 1.0 / 120.0
    s = s * z - 1.0 / 6.0
    s = r + r * z * s
    c = -1.0 / 87178291200.0
    c = c * z + 1.0 / 479001600.0
    c = c * z - 1.0 / 3628800.0
    c = c * z + 1.0 / 40320.0
    c = c * z - 1.0 / 720.0
    c = c * z + 1.0 / 24.0
    c = 1.0 - 0.5 * z + z * z * c
    q = bits(t)
    odd = (q & np.int64(1)) != 0
    a = c if odd else s
    b = s if odd else c
    sa = -a if (q & np.int64(2)) != 0 else a
    sb = -b if ((q + np.int64(1)) & np.int64(2)) != 0 else b
    return sa, sb


@kernel
def sin(x):
    return sincos(x)[0]


def chebyshev(f, lo, hi, n):
    """Power-basis coefficients in u in [-1, 1] of a degree-n interpolant."""
    c = np.polynomial.chebyshev.Chebyshev.interpolate(f, n, domain=[lo, hi])
    return np.polynomial.chebyshev.cheb2poly(c.coef)


def erfcx_table():
    from scipy.special import erfcx

    # erfcx(a) on a >= 0 through u in [-1, 1] with a = 2 (1 + u) / (1 - u)
    return chebyshev(lambda u: erfcx(2.0 * (1.0 + u) / (1.0 - u + 1e-300)), -1.0, 1.0, 24)


ERF = tuple(float(c) for c in erfcx_table())


@kernel
def erf(x):
    """erf(a) = 1 - exp(-a*a) erfcx(a), from one polynomial; small |x|
    loses relative accuracy, which the normal CDF does not see."""
    a = min(abs(x), 6.0)
    u = (a - 2.0) / (a + 2.0)
    p = ERF[24]
    p = p * u + ERF[23]
    p = p * u + ERF[22]
    p = p * u + ERF[21]
    p = p * u + ERF[20]
    p = p * u + ERF[19]
    p = p * u + ERF[18]
    p = p * u + ERF[17]
    p = p * u + ERF[16]
    p = p * u + ERF[15]
    p = p * u + ERF[14]
    p = p * u + ERF[13]
    p = p * u + ERF[12]
    p = p * u + ERF[11]
    p = p * u + ERF[10]
    p = p * u + ERF[9]
    p = p * u + ERF[8]
    p = p * u + ERF[7]
    p = p * u + ERF[6]
    p = p * u + ERF[5]
    p = p * u + ERF[4]
    p = p * u + ERF[3]
    p = p * u + ERF[2]
    p = p * u + ERF[1]
    p = p * u + ERF[0]
    t = 1.0 - p * exp(-a * a)
    return t if x >= 0.0 else -t


@kernel
def log1p(x):
    """Exact where 1 + x is: what rounding takes from it is put back."""
    u = 1.0 + x
    return log(u) + (x - (u - 1.0)) / u
