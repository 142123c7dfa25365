"""The incomplete gamma and beta functions and their inverses, and Student's distribution, in every argument.

Derivatives with respect to the shapes: `kernels/incomplete.py`. They are functions of whole orders, and derivatives of
their own kind, so any order is had. Begin with `gammainc`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tracegrad.kernels import incomplete
from tracegrad.ops.compare import equal, sign, where
from tracegrad.ops.elementary import exp, log, log1p
from tracegrad.ops.families import Unknown, anywhere, elementwise, positive
from tracegrad.ops.op import Op
from tracegrad.ops.special import (
    INSIDE,
    betaln,
    gammaln,
    special,
    xlog1py,
    xlogy,
)

_ORDER = Unknown("n", "it is a whole number")
_SHAPE = (0.6, 3.0)


def of_shapes(name: str, partials: Callable[..., Any], domain: Any) -> Op:
    """Declare a function of `kernels/incomplete.py`."""
    return elementwise(
        getattr(incomplete, name),
        partials,
        name=name,
        dtype=lambda *tokens: np.dtype(np.float64),
        domain=domain,
        callee=f"incomplete.{name}",
        imports="from tracegrad.kernels import incomplete",
        native=False,
    )


gammainc_shape: Op = of_shapes(
    "gammainc_shape",
    lambda z, n, a, x: (_ORDER, gammainc_shape(n + 1, a, x), gamma_density(n, a, x)),
    ((1, 1), _SHAPE, positive),
)
gamma_density: Op = of_shapes(
    "gamma_density",
    lambda z, n, a, x: (
        _ORDER,
        gamma_density(n + 1, a, x),
        ((a - 1) / x - 1) * z + n / x * gamma_density(n - 1, a, x),
    ),
    ((1, 1), _SHAPE, positive),
)
betainc_shape: Op = of_shapes(
    "betainc_shape",
    lambda z, m, n, a, b, x: (
        _ORDER,
        _ORDER,
        betainc_shape(m + 1, n, a, b, x),
        betainc_shape(m, n + 1, a, b, x),
        beta_density(m, n, a, b, x),
    ),
    ((1, 1), (0, 1), _SHAPE, _SHAPE, INSIDE),
)
beta_density: Op = of_shapes(
    "beta_density",
    lambda z, m, n, a, b, x: (
        _ORDER,
        _ORDER,
        beta_density(m + 1, n, a, b, x),
        beta_density(m, n + 1, a, b, x),
        ((a - 1) / x - (b - 1) / (1 - x)) * z
        + m / x * beta_density(m - 1, n, a, b, x)
        - n / (1 - x) * beta_density(m, n - 1, a, b, x),
    ),
    ((0, 1), (1, 1), _SHAPE, _SHAPE, INSIDE),
)


def log_gamma_density(a: Any, x: Any) -> Any:
    """Of the gamma distribution."""
    return xlogy(a - 1, x) - x - gammaln(a)


def _gamma_slope(a: Any, x: Any) -> Any:
    """The density of the gamma distribution, which is 0 at infinity."""
    beyond = equal(x, np.inf)
    return where(beyond, 0.0, exp(log_gamma_density(a, where(beyond, 1.0, x))))


def log_beta_density(a: Any, b: Any, x: Any) -> Any:
    """Of the beta distribution."""
    return xlogy(a - 1, x) + xlog1py(b - 1, -x) - betaln(a, b)


gammainc: Op = special(
    "gammainc",
    lambda z, a, x: (gammainc_shape(1, a, x), _gamma_slope(a, x)),
    domain=(_SHAPE, positive),
)
gammaincc: Op = special(
    "gammaincc",
    lambda z, a, x: (-gammainc_shape(1, a, x), -_gamma_slope(a, x)),
    domain=(_SHAPE, positive),
)
gammaincinv: Op = special(
    "gammaincinv",
    lambda z, a, y: (-gammainc_shape(1, a, z) * exp(-log_gamma_density(a, z)), exp(-log_gamma_density(a, z))),
    domain=(_SHAPE, INSIDE),
)
gammainccinv: Op = special(
    "gammainccinv",
    lambda z, a, y: (
        -gammainc_shape(1, a, z) * exp(-log_gamma_density(a, z)),
        -exp(-log_gamma_density(a, z)),
    ),
    domain=(_SHAPE, INSIDE),
)


def _beta_partials(sign: int) -> Callable[..., Any]:
    return lambda z, a, b, x: (
        sign * betainc_shape(1, 0, a, b, x),
        sign * betainc_shape(0, 1, a, b, x),
        sign * exp(log_beta_density(a, b, x)),
    )


def _inverse_beta_partials(sign: int) -> Callable[..., Any]:
    def partials(z: Any, a: Any, b: Any, y: Any) -> tuple[Any, ...]:
        slope = exp(-log_beta_density(a, b, z))
        return (
            -betainc_shape(1, 0, a, b, z) * slope,
            -betainc_shape(0, 1, a, b, z) * slope,
            sign * slope,
        )

    return partials


_BETA: dict[str, Any] = {"domain": (_SHAPE, _SHAPE, INSIDE)}
betainc: Op = special("betainc", _beta_partials(1), **_BETA)
betaincc: Op = special("betaincc", _beta_partials(-1), **_BETA)
betaincinv: Op = special("betaincinv", _inverse_beta_partials(1), **_BETA)
betainccinv: Op = special("betainccinv", _inverse_beta_partials(-1), **_BETA)


def log_student_density(df: Any, t: Any) -> Any:
    """Of Student's distribution."""
    return -betaln(0.5 * df, 0.5) - 0.5 * log(df) - 0.5 * (df + 1) * log1p(t * t / df)


def _student_slope(df: Any, t: Any) -> Any:
    """The derivative of the distribution function in `df`: DLMF 8.17, F(t) = 1 - I(df / (df + t²); df/2, 1/2) / 2."""
    square = t * t
    w = df / (df + square)
    half = 0.5 * df
    by_shape = 0.5 * betainc_shape(1, 0, half, 0.5, w)
    # I' at w times dw/d(df), without the root of 1 - w that vanishes at t = 0.
    by_place = 0.5 * exp(log_student_density(df, t)) * t / df
    return -0.5 * sign(t) * by_shape - by_place


stdtr: Op = special(
    "stdtr",
    lambda z, df, t: (_student_slope(df, t), exp(log_student_density(df, t))),
    domain=(positive, anywhere),
)
stdtrit: Op = special(
    "stdtrit",
    lambda z, df, p: (
        -_student_slope(df, z) * exp(-log_student_density(df, z)),
        exp(-log_student_density(df, z)),
    ),
    domain=(positive, INSIDE),
)
