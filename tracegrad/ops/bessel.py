"""Bessel functions and their relatives: of the first and second kind, modified, spherical, Struve, Kelvin, Airy.

No derivative with respect to an order: SciPy has no function for it. Derivatives: DLMF 10.6, 10.29, 10.51, 11.4. Begin
with `jv`.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from tracegrad.kernels.bessel import bessel_i0, bessel_i1
from tracegrad.ops.compare import isinf, sign, where
from tracegrad.ops.elementary import cos, exp, sin
from tracegrad.ops.families import Unknown, case, elementwise, positive
from tracegrad.ops.op import Op
from tracegrad.ops.special import of_order, scipy_special, several, special, special_dtype

order_v = functools.partial(of_order, argument="v")
spherical = functools.partial(of_order, dtype=special_dtype)


i0: Op = special("i0", lambda z, x: i1(x), domain=positive, one=bessel_i0)
i1: Op = special("i1", lambda z, x: 0.5 * (i0(x) + iv(2, x)), domain=positive, one=bessel_i1)
i0e: Op = special("i0e", lambda z, x: i1e(x) - sign(x) * z, domain=positive)
i1e: Op = special(
    "i1e",
    lambda z, x: 0.5 * (i0e(x) + ive(2, where(isinf(x), 0.0, x))) - sign(x) * z,  # ive is NaN at infinity
    domain=positive,
)
k0: Op = special("k0", lambda z, x: -k1(x), domain=positive)
k1: Op = special("k1", lambda z, x: -k0(x) - z / x, domain=positive)
j0: Op = special("j0", lambda z, x: -j1(x), domain=positive)
j1: Op = special("j1", lambda z, x: 0.5 * (j0(x) - jv(2, x)), domain=positive)
y0: Op = special("y0", lambda z, x: -y1(x), domain=positive)
y1: Op = special("y1", lambda z, x: y0(x) - z / x, domain=positive)
jv: Op = order_v("jv", lambda z, n, x: 0.5 * (jv(n - 1, x) - jv(n + 1, x)))
yv: Op = order_v("yv", lambda z, n, x: 0.5 * (yv(n - 1, x) - yv(n + 1, x)))
yn: Op = of_order("yn", lambda z, n, x: 0.5 * (yv(n - 1, x) - yv(n + 1, x)))
iv: Op = order_v("iv", lambda z, n, x: 0.5 * (iv(n - 1, x) + iv(n + 1, x)))
ive: Op = order_v(
    "ive",
    lambda z, n, x: (
        Unknown("z") if x.dtype.kind == "c" else 0.5 * (ive(n - 1, x) + ive(n + 1, x)) - sign(x) * z
    ),
)
"""Of complex numbers it is scaled by their real part alone, and has no complex derivative."""
kv: Op = order_v("kv", lambda z, n, x: -0.5 * (kv(n - 1, x) + kv(n + 1, x)))
k0e: Op = special("k0e", lambda z, x: z - k1e(x), domain=positive)
k1e: Op = special("k1e", lambda z, x: z - k0e(x) - z / x, domain=positive)
kve: Op = order_v("kve", lambda z, n, x: z - 0.5 * (kve(n - 1, x) + kve(n + 1, x)))
kn: Op = of_order("kn", lambda z, n, x: -0.5 * (kv(n - 1, x) + kv(n + 1, x)))

struve: Op = order_v("struve", lambda z, v, x: struve(v - 1, x) - v / x * z)
modstruve: Op = order_v("modstruve", lambda z, v, x: modstruve(v - 1, x) - v / x * z)

ber: Op = special("ber", lambda z, x: berp(x), domain=positive)
bei: Op = special("bei", lambda z, x: beip(x), domain=positive)
ker: Op = special("ker", lambda z, x: kerp(x), domain=positive)
kei: Op = special("kei", lambda z, x: keip(x), domain=positive)
berp: Op = special("berp", lambda z, x: -bei(x) - z / x, domain=positive)
beip: Op = special("beip", lambda z, x: ber(x) - z / x, domain=positive)
kerp: Op = special("kerp", lambda z, x: -kei(x) - z / x, domain=positive)
keip: Op = special("keip", lambda z, x: ker(x) - z / x, domain=positive)


spherical_jn: Op = spherical("spherical_jn", lambda z, n, x: n / x * z - spherical_jn(n + 1, x))
spherical_yn: Op = spherical("spherical_yn", lambda z, n, x: n / x * z - spherical_yn(n + 1, x))
spherical_in: Op = spherical("spherical_in", lambda z, n, x: n / x * z + spherical_in(n + 1, x))
spherical_kn: Op = of_order(
    "spherical_kn",
    lambda z, n, x: n / x * z - spherical_kn(n + 1, x),
    dtype=lambda n, x: special_dtype(x),
)

airy: Op = several("airy", 4, lambda z, x: (z[1], x * z[0], z[3], x * z[2]))
"""Ai, its derivative, Bi, its derivative."""


# --- the von Mises distribution ---------------------------------------------------------------------------------------

_TERMS = 64  # of a series whose terms fall as exp(-j**2 / (2 * kappa)), kappa below 50


def _moment(n: Any, x: Any, kappa: Any) -> Any:
    if np.iscomplexobj(x) or np.iscomplexobj(kappa):
        raise TypeError("the von Mises distribution is one of real numbers")
    n, x, kappa = (np.asarray(a)[..., None] for a in (n, x, kappa))
    j = np.arange(1.0, _TERMS + 1)
    ive_of = scipy_special().ive
    ratios = ive_of(j, kappa) / ive_of(0, kappa)

    def integral(k: Any) -> Any:
        """Of cos(k t) from -pi to x."""
        return np.where(k == 0, x + math.pi, np.sin(k * x) / np.where(k == 0, 1.0, k))

    terms = integral(n)[..., 0] + np.sum(ratios * (integral(n + j) + integral(n - j)), axis=-1)
    return terms / (2 * math.pi)


vonmises_moment: Op = elementwise(
    _moment,
    lambda z, n, x, kappa: (
        Unknown("n", "it is a whole number"),
        cos(n * x) * exp(-2 * kappa * sin(0.5 * x) ** 2) / (2 * math.pi * i0e(kappa)),
        0.5 * (vonmises_moment(n + 1, x, kappa) + vonmises_moment(n - 1, x, kappa))
        - i1e(kappa) / i0e(kappa) * z,
    ),
    name="vonmises_moment",
    dtype=special_dtype,
    domain=tuple(
        case(n, lambda g, s=s: g.uniform(-1, 1, s)[()], lambda g, s=s: g.uniform(0.5, 3, s)[()])
        for n, s in ((np.int64(1), (3,)), (np.array([0, 2]), (2,)), (np.int64(0), (2, 3)))
    ),
    callee="bessel.vonmises_moment",
    imports="from tracegrad.ops import bessel",
    native=False,
)
"""The integral of cos(n t) times the density from -pi to x: n = 0 is the distribution function. Mardia and Jupp,
Directional Statistics, 2000, 3.5.4."""
