"""Distributions of whole numbers in closed form, and the table of all distributions.

`ALL` maps the names under `scipy.stats` to what `distributions.py` and this file say. Begin with `poisson`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tracegrad.ops import distributions
from tracegrad.ops.compare import equal, floor, less, less_equal, logical_and, where
from tracegrad.ops.distributions import FROM_ZERO, Distribution
from tracegrad.ops.elementary import exp, expm1, log, log1p
from tracegrad.ops.incomplete import betainc, betaincc, gammainc, gammaincc
from tracegrad.ops.numpy_forms import known, operand
from tracegrad.ops.numpy_reduce import max as largest
from tracegrad.ops.numpy_reduce import sum as total_of
from tracegrad.ops.numpy_shape import reshape
from tracegrad.ops.special import betaln, gammaln, xlog1py, xlogy


def _probability(p: Any) -> Any:
    return logical_and(less_equal(0, p), less_equal(p, 1))


def _count(n: Any) -> Any:
    return logical_and(less_equal(0, n), equal(n, floor(n)))


poisson = Distribution(
    logpdf=lambda k, mu: xlogy(k, mu) - gammaln(k + 1) - mu,
    cdf=lambda k, mu: gammaincc(k + 1, mu),
    sf=lambda k, mu: gammainc(k + 1, mu),
    support=FROM_ZERO,
    point=1.0,
    valid=lambda mu: less_equal(0, mu),
    mean=lambda mu: mu,
    var=lambda mu: mu,
    discrete=True,
)


def _binom_logpmf(k: Any, n: Any, p: Any) -> Any:
    ways = gammaln(n + 1) - (gammaln(k + 1) + gammaln(n - k + 1))
    return ways + xlogy(k, p) + xlog1py(n - k, -p)


binom = Distribution(
    logpdf=_binom_logpmf,
    cdf=lambda k, n, p: betaincc(k + 1, n - k, p),
    sf=lambda k, n, p: betainc(k + 1, n - k, p),
    support=(0.0, lambda n, p: n),
    point=0.0,
    valid=lambda n, p: logical_and(_count(n), _probability(p)),
    mean=lambda n, p: n * p,
    var=lambda n, p: n * p * (1 - p),
    discrete=True,
)
bernoulli = Distribution(
    logpdf=lambda k, p: _binom_logpmf(k, 1.0, p),
    cdf=lambda k, p: betaincc(k + 1, 1 - k, p),
    sf=lambda k, p: betainc(k + 1, 1 - k, p),
    support=(0.0, 1.0),
    point=0.0,
    valid=_probability,
    mean=lambda p: p,
    var=lambda p: p * (1 - p),
    entropy=lambda p: -xlogy(p, p) - xlog1py(1 - p, -p),
    discrete=True,
)
geom = Distribution(
    logpdf=lambda k, p: xlog1py(k - 1, -p) + log(p),
    cdf=lambda k, p: -expm1(log1p(-p) * k),
    sf=lambda k, p: exp(k * log1p(-p)),
    logsf=lambda k, p: k * log1p(-p),
    support=(1.0, math.inf),
    point=1.0,
    valid=lambda p: logical_and(less(0, p), less_equal(p, 1)),
    mean=lambda p: 1 / p,
    var=lambda p: (1 - p) / (p * p),
    discrete=True,
)
nbinom = Distribution(
    logpdf=lambda k, n, p: gammaln(n + k) - gammaln(k + 1) - gammaln(n) + n * log(p) + xlog1py(k, -p),
    cdf=lambda k, n, p: betainc(n, k + 1, p),
    sf=lambda k, n, p: betaincc(n, k + 1, p),
    support=FROM_ZERO,
    point=1.0,
    valid=lambda n, p: logical_and(less(0, n), logical_and(less(0, p), less_equal(p, 1))),
    mean=lambda n, p: n * (1 - p) / p,
    var=lambda n, p: n * (1 - p) / (p * p),
    discrete=True,
)


def _betabinom_logpmf(k: Any, n: Any, a: Any, b: Any) -> Any:
    return -log(n + 1) - betaln(n - k + 1, k + 1) + betaln(k + a, n - k + b) - betaln(a, b)


def _betabinom_cdf(k: Any, n: Any, a: Any, b: Any) -> Any:
    """The sum that it is; how many terms there are is guarded."""
    k, n, a, b = (reshape(x, (*x.shape, 1)) for x in map(operand, (k, n, a, b)))
    terms = np.arange(0.0, known(largest(where(equal(k, k), k, 0.0))) + 1.0)
    wanted = less_equal(terms, k)
    found = exp(_betabinom_logpmf(where(wanted, terms, 0.0), n, a, b))
    return total_of(where(wanted, found, 0.0 * k), axis=-1)  # NaN of NaN


betabinom = Distribution(
    logpdf=_betabinom_logpmf,
    cdf=_betabinom_cdf,
    support=(0.0, lambda n, a, b: n),
    point=0.0,
    valid=lambda n, a, b: logical_and(_count(n), logical_and(less(0, a), less(0, b))),
    mean=lambda n, a, b: n * a / (a + b),
    discrete=True,
)

ALL: dict[str, Distribution] = {
    name: found
    for name, found in (*vars(distributions).items(), *list(globals().items()))
    if isinstance(found, Distribution)
}
