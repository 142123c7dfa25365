"""Probability distributions in closed form, in their standard place and scale.

A `Distribution` says what `scipy.stats` computes with masks and loops over cases: logarithms of densities, distribution
functions, moments; `scipy_stats.py` moves and scales them, and says what holds outside the support. Arguments are
arrays of float64, the number first, then the shapes. Begin with `Distribution`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tracegrad.ops.bessel import i0e, i1e, vonmises_moment
from tracegrad.ops.compare import (
    absolute,
    equal,
    greater,
    less,
    less_equal,
    logical_and,
    rint,
    sign,
    where,
)
from tracegrad.ops.elementary import arctan2, exp, expm1, log, log1p, sin, sqrt, tan
from tracegrad.ops.incomplete import (
    betainc,
    betaincc,
    betainccinv,
    betaincinv,
    gammainc,
    gammaincc,
    gammainccinv,
    gammaincinv,
    log_beta_density,
    log_gamma_density,
    stdtr,
    stdtrit,
)
from tracegrad.ops.special import (
    betaln,
    digamma,
    erf,
    expit,
    gammaln,
    log_expit,
    log_ndtr,
    logit,
    ndtr,
    ndtri,
    poch,
    xlogy,
)

_HALF_LOG_TWO_PI = 0.5 * math.log(2 * math.pi)
_EULER = 0.5772156649015329
_WHOLE_LINE = (-math.inf, math.inf)
FROM_ZERO = (0.0, math.inf)

Of = Callable[..., Any]


@dataclass(frozen=True, kw_only=True)
class Distribution:
    """One distribution.

    Attributes
    ----------
    logpdf : callable
        Of a discrete distribution that of its probabilities.
    cdf, sf, logcdf, logsf, ppf, isf : callable or None
        What is None follows from the others, or is not known.
    support : (low, high)
        Numbers, or functions of the shapes.
    point : float or callable
        A number inside, computed with where the argument is outside.
    valid : callable or None
        From the shapes to whether they are ones; None: all greater than 0.
    mean, var, median, entropy : callable or None
        Of the shapes; a median that is None is the quantile.
    discrete : bool
    """

    logpdf: Of
    cdf: Of | None = None
    sf: Of | None = None
    logcdf: Of | None = None
    logsf: Of | None = None
    ppf: Of | None = None
    isf: Of | None = None
    support: tuple[Any, Any] = _WHOLE_LINE
    point: Any = 0.5
    valid: Of | None = None
    mean: Of | None = None
    var: Of | None = None
    median: Of | None = None
    entropy: Of | None = None
    discrete: bool = False


def _normal_logpdf(x: Any) -> Any:
    return -0.5 * (x * x) - _HALF_LOG_TWO_PI


norm = Distribution(
    logpdf=_normal_logpdf,
    cdf=ndtr,
    sf=lambda x: ndtr(-x),
    logcdf=log_ndtr,
    logsf=lambda x: log_ndtr(-x),
    ppf=ndtri,
    isf=lambda q: -ndtri(q),
    mean=lambda: 0.0,
    var=lambda: 1.0,
    entropy=lambda: 0.5 + _HALF_LOG_TWO_PI,
)
halfnorm = Distribution(
    logpdf=lambda x: 0.5 * math.log(2 / math.pi) - 0.5 * (x * x),
    cdf=lambda x: erf(x / math.sqrt(2)),
    sf=lambda x: 2 * ndtr(-x),
    ppf=lambda q: ndtri((1 + q) / 2),
    isf=lambda q: -ndtri(q / 2),
    support=FROM_ZERO,
    mean=lambda: math.sqrt(2 / math.pi),
    var=lambda: 1 - 2 / math.pi,
    entropy=lambda: 0.5 * math.log(math.pi / 2) + 0.5,
)
expon = Distribution(
    logpdf=lambda x: -x,
    cdf=lambda x: -expm1(-x),
    sf=lambda x: exp(-x),
    logsf=lambda x: -x,
    ppf=lambda q: -log1p(-q),
    isf=lambda q: -log(q),
    support=FROM_ZERO,
    mean=lambda: 1.0,
    var=lambda: 1.0,
    entropy=lambda: 1.0,
)
uniform = Distribution(
    logpdf=lambda x: 0.0 * x,
    cdf=lambda x: x,
    sf=lambda x: 1 - x,
    ppf=lambda q: q,
    isf=lambda q: 1 - q,
    support=(0.0, 1.0),
    mean=lambda: 0.5,
    var=lambda: 1 / 12,
    entropy=lambda: 0.0,
)
gamma = Distribution(
    logpdf=lambda x, a: log_gamma_density(a, x),
    cdf=lambda x, a: gammainc(a, x),
    sf=lambda x, a: gammaincc(a, x),
    ppf=lambda q, a: gammaincinv(a, q),
    isf=lambda q, a: gammainccinv(a, q),
    support=FROM_ZERO,
    mean=lambda a: a,
    var=lambda a: a,
    entropy=lambda a: a + gammaln(a) + (1 - a) * digamma(a),
)


def _invgamma_logpdf(x: Any, a: Any) -> Any:
    zero = equal(x, 0)
    safe = where(zero, 1.0, x)
    return where(zero, -np.inf, -(a + 1) * log(safe) - gammaln(a) - 1 / safe)


invgamma = Distribution(
    logpdf=_invgamma_logpdf,
    cdf=lambda x, a: gammaincc(a, 1 / x),
    sf=lambda x, a: gammainc(a, 1 / x),
    ppf=lambda q, a: 1 / gammainccinv(a, q),
    isf=lambda q, a: 1 / gammaincinv(a, q),
    support=FROM_ZERO,
)
chi2 = Distribution(
    logpdf=lambda x, df: xlogy(0.5 * df - 1, x) - 0.5 * x - gammaln(0.5 * df) - 0.5 * math.log(2) * df,
    cdf=lambda x, df: gammainc(0.5 * df, 0.5 * x),
    sf=lambda x, df: gammaincc(0.5 * df, 0.5 * x),
    ppf=lambda q, df: 2 * gammaincinv(0.5 * df, q),
    isf=lambda q, df: 2 * gammainccinv(0.5 * df, q),
    support=FROM_ZERO,
    mean=lambda df: df,
    var=lambda df: 2 * df,
    entropy=lambda df: 0.5 * df + math.log(2) + gammaln(0.5 * df) + (1 - 0.5 * df) * digamma(0.5 * df),
)
beta = Distribution(
    logpdf=lambda x, a, b: log_beta_density(a, b, x),
    cdf=lambda x, a, b: betainc(a, b, x),
    sf=lambda x, a, b: betaincc(a, b, x),
    ppf=lambda q, a, b: betaincinv(a, b, q),
    isf=lambda q, a, b: betainccinv(a, b, q),
    support=(0.0, 1.0),
    mean=lambda a, b: a / (a + b),
    var=lambda a, b: a * b / ((a + b) * (a + b) * (a + b + 1)),
    entropy=lambda a, b: (
        betaln(a, b) - (a - 1) * digamma(a) - (b - 1) * digamma(b) + (a + b - 2) * digamma(a + b)
    ),
)


def _t_logpdf(x: Any, df: Any) -> Any:
    """The normal density where `df` is infinite."""
    normal = equal(df, np.inf)
    df = where(normal, 1.0, df)
    found = (
        log(poch(0.5 * df, 0.5)) - 0.5 * (log(df) + math.log(math.pi)) - 0.5 * (df + 1) * log1p(x * x / df)
    )
    return where(normal, _normal_logpdf(x), found)


t = Distribution(
    logpdf=_t_logpdf,
    cdf=lambda x, df: stdtr(df, x),
    sf=lambda x, df: stdtr(df, -x),
    ppf=lambda q, df: stdtrit(df, q),
    isf=lambda q, df: -stdtrit(df, q),
    median=lambda df: 0.0 * df,
    entropy=lambda df: (
        0.5 * (df + 1) * (digamma(0.5 * (df + 1)) - digamma(0.5 * df)) + 0.5 * log(df) + betaln(0.5 * df, 0.5)
    ),
)
f = Distribution(
    logpdf=lambda x, m, n: (
        0.5 * n * log(n)
        + 0.5 * m * log(m)
        + xlogy(0.5 * m - 1, x)
        - 0.5 * (m + n) * log(n + m * x)
        - betaln(0.5 * m, 0.5 * n)
    ),
    cdf=lambda x, m, n: betainc(0.5 * m, 0.5 * n, m * x / (n + m * x)),
    sf=lambda x, m, n: betainc(0.5 * n, 0.5 * m, n / (n + m * x)),
    support=FROM_ZERO,
)
cauchy = Distribution(
    logpdf=lambda x: -math.log(math.pi) - log1p(x * x),
    cdf=lambda x: arctan2(1.0, -x) / math.pi,
    sf=lambda x: arctan2(1.0, x) / math.pi,
    ppf=lambda q: tan(math.pi * q - math.pi / 2),
    isf=lambda q: tan(math.pi / 2 - math.pi * q),
    entropy=lambda: math.log(4 * math.pi),
)


def _laplace_cdf(x: Any) -> Any:
    tail = 0.5 * exp(-absolute(x))
    return where(greater(x, 0), 1 - tail, tail)


laplace = Distribution(
    logpdf=lambda x: -absolute(x) - math.log(2),
    cdf=_laplace_cdf,
    sf=lambda x: _laplace_cdf(-x),
    ppf=lambda q: -sign(q - 0.5) * log(2 * where(greater(q, 0.5), 1 - q, q)),
    isf=lambda q: sign(q - 0.5) * log(2 * where(greater(q, 0.5), 1 - q, q)),
    mean=lambda: 0.0,
    var=lambda: 2.0,
    entropy=lambda: math.log(2) + 1,
)


def _logistic_logpdf(x: Any) -> Any:
    y = -absolute(x)
    return y - 2 * log1p(exp(y))


logistic = Distribution(
    logpdf=_logistic_logpdf,
    cdf=expit,
    sf=lambda x: expit(-x),
    logcdf=log_expit,
    logsf=lambda x: log_expit(-x),
    ppf=logit,
    isf=lambda q: -logit(q),
    mean=lambda: 0.0,
    var=lambda: math.pi**2 / 3,
    entropy=lambda: 2.0,
)
gumbel_r = Distribution(
    logpdf=lambda x: -x - exp(-x),
    cdf=lambda x: exp(-exp(-x)),
    logcdf=lambda x: -exp(-x),
    sf=lambda x: -expm1(-exp(-x)),
    logsf=lambda x: log1p(-exp(-exp(-x))),
    ppf=lambda q: -log(-log(q)),
    isf=lambda q: -log(-log1p(-q)),
    mean=lambda: _EULER,
    var=lambda: math.pi**2 / 6,
    entropy=lambda: _EULER + 1,
)
gumbel_l = Distribution(
    logpdf=lambda x: x - exp(x),
    cdf=lambda x: -expm1(-exp(x)),
    sf=lambda x: exp(-exp(x)),
    logcdf=lambda x: log1p(-exp(-exp(x))),
    logsf=lambda x: -exp(x),
    ppf=lambda q: log(-log1p(-q)),
    isf=lambda q: log(-log(q)),
    mean=lambda: -_EULER,
    var=lambda: math.pi**2 / 6,
    entropy=lambda: _EULER + 1,
)
lognorm = Distribution(
    logpdf=lambda x, s: where(
        equal(x, 0),
        -np.inf,
        _normal_logpdf(log(where(equal(x, 0), 1.0, x)) / s) - log(s * where(equal(x, 0), 1.0, x)),
    ),
    cdf=lambda x, s: ndtr(log(x) / s),
    sf=lambda x, s: ndtr(-log(x) / s),
    logcdf=lambda x, s: log_ndtr(log(x) / s),
    logsf=lambda x, s: log_ndtr(-log(x) / s),
    ppf=lambda q, s: exp(s * ndtri(q)),
    isf=lambda q, s: exp(-s * ndtri(q)),
    support=FROM_ZERO,
    mean=lambda s: exp(0.5 * s * s),
    var=lambda s: expm1(s * s) * exp(s * s),
    entropy=lambda s: 0.5 + _HALF_LOG_TWO_PI + log(s),
)
weibull_min = Distribution(
    logpdf=lambda x, c: log(c) + xlogy(c - 1, x) - x**c,
    cdf=lambda x, c: -expm1(-(x**c)),
    sf=lambda x, c: exp(-(x**c)),
    logcdf=lambda x, c: log1p(-exp(-(x**c))),
    logsf=lambda x, c: -(x**c),
    ppf=lambda q, c: (-log1p(-q)) ** (1 / c),
    isf=lambda q, c: (-log(q)) ** (1 / c),
    support=FROM_ZERO,
    mean=lambda c: exp(gammaln(1 + 1 / c)),
    var=lambda c: exp(gammaln(1 + 2 / c)) - exp(2 * gammaln(1 + 1 / c)),
    entropy=lambda c: -_EULER / c - log(c) + _EULER + 1,
)
rayleigh = Distribution(
    logpdf=lambda x: where(equal(x, np.inf), -np.inf, log(x) - 0.5 * x * x),
    cdf=lambda x: -expm1(-0.5 * x * x),
    sf=lambda x: exp(-0.5 * x * x),
    logsf=lambda x: -0.5 * x * x,
    ppf=lambda q: sqrt(-2 * log1p(-q)),
    isf=lambda q: sqrt(-2 * log(q)),
    support=FROM_ZERO,
    mean=lambda: math.sqrt(math.pi / 2),
    var=lambda: (4 - math.pi) / 2,
    entropy=lambda: _EULER / 2 + 1 - 0.5 * math.log(2),
)
pareto = Distribution(
    logpdf=lambda x, b: log(b) - (b + 1) * log(x),
    cdf=lambda x, b: 1 - x**-b,
    sf=lambda x, b: x**-b,
    logsf=lambda x, b: -b * log(x),
    ppf=lambda q, b: (1 - q) ** (-1 / b),
    isf=lambda q, b: q ** (-1 / b),
    support=(1.0, math.inf),
    point=2.0,
    entropy=lambda b: 1 + 1 / b - log(b),
)


def _gennorm_cdf(x: Any, b: Any) -> Any:
    half = 0.5 * sign(x)
    return (0.5 + half) - half * gammaincc(1 / b, absolute(x) ** b)


gennorm = Distribution(
    logpdf=lambda x, b: log(0.5 * b) - gammaln(1 / b) - absolute(x) ** b,
    cdf=_gennorm_cdf,
    sf=lambda x, b: _gennorm_cdf(-x, b),
    mean=lambda b: 0.0 * b,
    var=lambda b: exp(gammaln(3 / b) - gammaln(1 / b)),
    entropy=lambda b: 1 / b - log(0.5 * b) + gammaln(1 / b),
)


def _log_gauss_mass(a: Any, b: Any) -> Any:
    """The logarithm of the normal distribution's mass between two numbers; far to the right by symmetry."""
    right = greater(a, 0)
    low, high = where(right, -b, a), where(right, -a, b)
    left = less_equal(high, 0)
    above, below = log_ndtr(where(left, high, -1.0)), log_ndtr(where(left, low, -2.0))
    tails = above + log1p(-exp(below - above))
    across = log1p(-ndtr(where(left, -1.0, low)) - ndtr(where(left, -1.0, -high)))
    return where(left, tails, across)


def _truncnorm_logcdf(x: Any, a: Any, b: Any) -> Any:
    return _log_gauss_mass(a, x) - _log_gauss_mass(a, b)


def _truncnorm_logsf(x: Any, a: Any, b: Any) -> Any:
    return _log_gauss_mass(x, b) - _log_gauss_mass(a, b)


truncnorm = Distribution(
    logpdf=lambda x, a, b: _normal_logpdf(x) - _log_gauss_mass(a, b),
    cdf=lambda x, a, b: exp(_truncnorm_logcdf(x, a, b)),
    sf=lambda x, a, b: exp(_truncnorm_logsf(x, a, b)),
    logcdf=_truncnorm_logcdf,
    logsf=_truncnorm_logsf,
    support=(lambda a, b: a, lambda a, b: b),
    point=lambda a, b: where(logical_and(less(a, 0), greater(b, 0)), 0.0, where(less(a, 0), b, a)),
    valid=lambda a, b: less(a, b),
)


def _vonmises_cdf(x: Any, kappa: Any) -> Any:
    """SciPy's: a series, and for narrow ones a normal distribution of what the angle stretches to."""
    wide = less(kappa, 50)
    narrow_kappa = where(wide, 50.0, kappa)
    rounds = rint(x / (2 * math.pi))
    stretched = math.sqrt(2 / math.pi) / i0e(narrow_kappa) * sin(0.5 * (x - 2 * math.pi * rounds))
    return where(wide, vonmises_moment(0, x, where(wide, kappa, 1.0)), ndtr(stretched) + rounds)


vonmises = Distribution(
    logpdf=lambda x, kappa: kappa * (-2 * sin(0.5 * x) ** 2) - math.log(2 * math.pi) - log(i0e(kappa)),
    cdf=_vonmises_cdf,
    valid=lambda kappa: less_equal(0, kappa),
    mean=lambda kappa: 0.0 * kappa,
    entropy=lambda kappa: -kappa * i1e(kappa) / i0e(kappa) + math.log(2 * math.pi) + log(i0e(kappa)) + kappa,
)
