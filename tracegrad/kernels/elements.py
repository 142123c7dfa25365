"""Functions of one element for compiled programs, and the loops that apply them to arrays.

Special functions: `math` has erf, erfc and lgamma; the others are written out here.
"""

# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

import math

import numpy as np


def chosen(condition, x, y):
    """`x` where the condition holds, else `y`; scalars."""
    return x if condition else y


def erf_of(x):
    """The error function."""
    return math.erf(x)


def erf_each(x):
    """`erf` of every element."""
    out = np.empty(x.shape, x.dtype)
    flat, given = out.reshape(out.size), np.ascontiguousarray(x).reshape(x.size)
    for i in range(given.size):
        flat[i] = erf_of(given[i])
    return out


def erfc_of(x):
    """1 - erf(x), without cancellation."""
    return math.erfc(x)


def erfc_each(x):
    """`erfc` of every element."""
    out = np.empty(x.shape, x.dtype)
    flat, given = out.reshape(out.size), np.ascontiguousarray(x).reshape(x.size)
    for i in range(given.size):
        flat[i] = erfc_of(given[i])
    return out


def gamma_of(x):
    """The gamma function."""
    return math.gamma(x)


def gamma_each(x):
    """`gamma` of every element."""
    out = np.empty(x.shape, x.dtype)
    flat, given = out.reshape(out.size), np.ascontiguousarray(x).reshape(x.size)
    for i in range(given.size):
        flat[i] = gamma_of(given[i])
    return out


def gammaln_of(x):
    """log |gamma(x)|."""
    return math.lgamma(x)


def gammaln_each(x):
    """`gammaln` of every element."""
    out = np.empty(x.shape, x.dtype)
    flat, given = out.reshape(out.size), np.ascontiguousarray(x).reshape(x.size)
    for i in range(given.size):
        flat[i] = gammaln_of(given[i])
    return out


def expit_of(x):
    """The logistic function."""
    return 1.0 / (1.0 + math.exp(-x)) if x >= 0.0 else math.exp(x) / (1.0 + math.exp(x))


def expit_each(x):
    """`expit` of every element."""
    out = np.empty(x.shape, x.dtype)
    flat, given = out.reshape(out.size), np.ascontiguousarray(x).reshape(x.size)
    for i in range(given.size):
        flat[i] = expit_of(given[i])
    return out


def logit_of(x):
    """log(x / (1 - x))."""
    return np.log(x) - np.log1p(-x)


def logit_each(x):
    """`logit` of every element."""
    out = np.empty(x.shape, x.dtype)
    flat, given = out.reshape(out.size), np.ascontiguousarray(x).reshape(x.size)
    for i in range(given.size):
        flat[i] = logit_of(given[i])
    return out


def log_expit_of(x):
    """log(expit(x)), without overflow."""
    return min(x, 0.0) - math.log1p(math.exp(-abs(x))) if x == x else x


def log_expit_each(x):
    """`log_expit` of every element."""
    out = np.empty(x.shape, x.dtype)
    flat, given = out.reshape(out.size), np.ascontiguousarray(x).reshape(x.size)
    for i in range(given.size):
        flat[i] = log_expit_of(given[i])
    return out


def ndtr_of(x):
    """The normal distribution function."""
    return 0.5 * math.erfc(-x * 0.7071067811865476)


def ndtr_each(x):
    """`ndtr` of every element."""
    out = np.empty(x.shape, x.dtype)
    flat, given = out.reshape(out.size), np.ascontiguousarray(x).reshape(x.size)
    for i in range(given.size):
        flat[i] = ndtr_of(given[i])
    return out


def digamma_of(x):
    """The derivative of log gamma: recurrence up to 10, then the asymptotic series (Abramowitz and Stegun 6.3.18)."""
    if x <= 0.0:
        if x == math.floor(x):
            return math.nan if x < 0.0 else math.copysign(math.inf, -x)
        total = -math.pi / math.tan(math.pi * x)
        x = 1.0 - x
    else:
        total = 0.0
    while x < 10.0:
        total -= 1.0 / x
        x += 1.0
    s = 1.0 / (x * x)
    series = s * (1 / 12 - s * (1 / 120 - s * (1 / 252 - s * (1 / 240 - s * (1 / 132 - s * 691 / 32760)))))
    return total + math.log(x) - 0.5 / x - series


def digamma_each(x):
    """`digamma` of every element."""
    out = np.empty(x.shape, x.dtype)
    flat, given = out.reshape(out.size), np.ascontiguousarray(x).reshape(x.size)
    for i in range(given.size):
        flat[i] = digamma_of(given[i])
    return out


def xlogy_each(x, y):
    """x log(y), which is 0 where x is 0; scalars or arrays."""
    absent = x == 0.0
    return np.where(absent, 0.0, x * np.log(np.where(absent, 1.0, y)))


def xlogy_of(x, y):
    """x log(y), which is 0 where x is 0."""
    return 0.0 if x == 0.0 else x * np.log(y)
