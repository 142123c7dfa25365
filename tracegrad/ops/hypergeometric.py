"""Hypergeometric functions, orthogonal polynomials, elliptic and other integrals, as `scipy.special` has them.

No derivative with respect to parameters and degrees: SciPy has no function for it. Derivatives: DLMF 15.5, 13.3, 18.9,
19.4. Begin with `hyp2f1`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from tracegrad.ops.compare import equal, where
from tracegrad.ops.elementary import cos, exp, sin, sqrt
from tracegrad.ops.families import Unknown, anywhere, positive, unit
from tracegrad.ops.op import Op
from tracegrad.ops.special import NO_CLOSED_FORM, several, special, with_shapes


def of_parameters(name: str, parameters: str, partial: Callable[..., Any], domain: Any) -> Op:
    """Declare a function of parameters, with respect to which no derivative is known, and of a number."""
    unknown = [Unknown(p, NO_CLOSED_FORM) for p in parameters.split()]
    return special(name, lambda z, *given: (*unknown, partial(z, *given)), domain=domain)


hyp0f1: Op = of_parameters("hyp0f1", "v", lambda z, v, x: hyp0f1(v + 1, x) / v, with_shapes(1, anywhere))
hyp1f1: Op = of_parameters(
    "hyp1f1",
    "a b",
    lambda z, a, b, x: a / b * hyp1f1(a + 1, b + 1, x),
    with_shapes(2, anywhere),
)
hyp2f1: Op = of_parameters(
    "hyp2f1",
    "a b c",
    lambda z, a, b, c, x: a * b / c * hyp2f1(a + 1, b + 1, c + 1, x),
    with_shapes(3, (-0.5, 0.5)),
)
hyperu: Op = of_parameters(
    "hyperu", "a b", lambda z, a, b, x: -a * hyperu(a + 1, b + 1, x), with_shapes(2, positive)
)


# --- orthogonal polynomials -------------------------------------------------------------------------------------------


def _lower(n: Any, found: Callable[[Any], Any]) -> Any:
    """The polynomial of the degree below; that of degree 0 has derivative 0."""
    none = equal(n, 0)
    return where(none, 0.0, found(where(none, 0, n - 1)))


_UNIT = with_shapes(1, unit)
eval_gegenbauer: Op = of_parameters(
    "eval_gegenbauer",
    "n alpha",
    lambda z, n, alpha, x: _lower(n, lambda k: 2 * alpha * eval_gegenbauer(k, alpha + 1, x)),
    with_shapes(2, unit),
)
eval_jacobi: Op = of_parameters(
    "eval_jacobi",
    "n alpha beta",
    lambda z, n, a, b, x: _lower(n, lambda k: 0.5 * (n + a + b + 1) * eval_jacobi(k, a + 1, b + 1, x)),
    with_shapes(3, unit),
)
eval_legendre: Op = of_parameters(
    "eval_legendre", "n", lambda z, n, x: _lower(n, lambda k: eval_gegenbauer(k, 1.5, x)), _UNIT
)
eval_chebyt: Op = of_parameters(
    "eval_chebyt", "n", lambda z, n, x: _lower(n, lambda k: n * eval_chebyu(k, x)), _UNIT
)
eval_chebyu: Op = of_parameters(
    "eval_chebyu", "n", lambda z, n, x: _lower(n, lambda k: 2 * eval_gegenbauer(k, 2.0, x)), _UNIT
)
eval_hermite: Op = of_parameters(
    "eval_hermite", "n", lambda z, n, x: _lower(n, lambda k: 2 * n * eval_hermite(k, x)), _UNIT
)
eval_hermitenorm: Op = of_parameters(
    "eval_hermitenorm", "n", lambda z, n, x: _lower(n, lambda k: n * eval_hermitenorm(k, x)), _UNIT
)
eval_genlaguerre: Op = of_parameters(
    "eval_genlaguerre",
    "n alpha",
    lambda z, n, alpha, x: _lower(n, lambda k: -eval_genlaguerre(k, alpha + 1, x)),
    with_shapes(2, positive),
)
eval_laguerre: Op = of_parameters(
    "eval_laguerre",
    "n",
    lambda z, n, x: _lower(n, lambda k: -eval_genlaguerre(k, 1.0, x)),
    with_shapes(1, positive),
)
eval_sh_legendre: Op = of_parameters(
    "eval_sh_legendre",
    "n",
    lambda z, n, x: _lower(n, lambda k: 2 * eval_gegenbauer(k, 1.5, 2 * x - 1)),
    with_shapes(1, (0.1, 0.9)),
)
eval_sh_chebyt: Op = of_parameters(
    "eval_sh_chebyt",
    "n",
    lambda z, n, x: _lower(n, lambda k: 2 * n * eval_chebyu(k, 2 * x - 1)),
    with_shapes(1, (0.1, 0.9)),
)


# --- integrals --------------------------------------------------------------------------------------------------------


def _complete_partial(value: Callable[[Any, Any, Any], Any], at_zero: float) -> Callable[..., Any]:
    """`value(z, m, 1 - m)` with a denominator `m`, and its limit at m = 0."""

    def partial(z: Any, m: Any) -> Any:
        zero = equal(m, 0)
        safe = where(zero, 0.5, m)
        return where(zero, at_zero, value(z, safe, 1 - safe))

    return partial


ellipk: Op = special(
    "ellipk",
    _complete_partial(lambda z, m, rest: (ellipe(m) / rest - z) / (2 * m), math.pi / 8),
    domain=(0.1, 0.9),
)
ellipe: Op = special(
    "ellipe",
    _complete_partial(lambda z, m, rest: (z - ellipk(m)) / (2 * m), -math.pi / 8),
    domain=(0.1, 0.9),
)


def _ellipkm1_partial(z: Any, p: Any) -> Any:
    one = equal(p, 1)
    safe = where(one, 0.5, p)
    return where(one, -math.pi / 8, (z - ellipe(1 - safe) / safe) / (2 * (1 - safe)))


ellipkm1: Op = special(
    "ellipkm1",
    _ellipkm1_partial,
    domain=(0.1, 0.9),
)


def _ellipkinc_partials(z: Any, phi: Any, m: Any) -> tuple[Any, Any]:
    root = sqrt(1 - m * sin(phi) * sin(phi))
    by_m = (ellipeinc(phi, m) - (1 - m) * z) / (2 * m * (1 - m)) - sin(2 * phi) / (4 * (1 - m) * root)
    return 1 / root, by_m


ellipkinc: Op = special("ellipkinc", _ellipkinc_partials, domain=((0.1, 1.4), (0.1, 0.9)))
ellipeinc: Op = special(
    "ellipeinc",
    lambda z, phi, m: (sqrt(1 - m * sin(phi) * sin(phi)), (z - ellipkinc(phi, m)) / (2 * m)),
    domain=((0.1, 1.4), (0.1, 0.9)),
)

sici: Op = several("sici", 2, lambda z, x: (sin(x) / x, cos(x) / x))
"""The sine and the cosine integral."""
shichi: Op = several("shichi", 2, lambda z, x: ((exp(x) - exp(-x)) / (2 * x), (exp(x) + exp(-x)) / (2 * x)))
"""The hyperbolic sine and cosine integral."""
fresnel: Op = several("fresnel", 2, lambda z, x: (sin(0.5 * math.pi * x * x), cos(0.5 * math.pi * x * x)))
"""Fresnel's integrals of sin(pi t**2 / 2) and cos(pi t**2 / 2)."""
