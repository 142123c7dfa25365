"""Derivatives of the incomplete gamma and beta functions with respect to their shapes, which SciPy does not have.

Arrays go in, arrays come out; orders are whole numbers. Begin with `gammainc_shape`.

P(a, x) is the integral of the density t**(a - 1) e**-t / gamma(a) up to x. Its n-th derivative in a is the integral of
the n-th derivative of the density, which is the density times a complete Bell polynomial of the derivatives of its
logarithm: log t - digamma(a), -polygamma(1, a), ... The integral over all t is that of a constant, 0; so the smaller
tail is integrated, and nothing cancels. With u = log t the integrand falls from the end point without a turn, at least
as fast as its Gaussian: Gauss and Legendre's rule, on the stretch where it is more than e**-45 of what it is there,
gives 12 digits. Shapes below 2 are raised by one first: P(a, x) = P(a + 1, x) + x**a e**-x / gamma(a + 1), DLMF 8.8.5;
the beta function likewise with u = log(t / (1 - t)), DLMF 8.17.20 and 8.17.21.
"""

# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

import functools
import importlib
import math

import numpy as np

NODES = 96
FALL = 45.0
LOWEST = 2.0  # the smallest shape of which an integral is computed


@functools.cache
def _special():
    return importlib.import_module("scipy.special")


@functools.cache
def _rule():
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    return 0.5 * (nodes + 1), 0.5 * weights


def _by_order(function):
    """The same for arrays of orders: each order apart, elements in one row, values of no meaning NaN."""

    @functools.wraps(function)
    def of_arrays(*args):
        args = np.broadcast_arrays(*args)
        count = len(args) - (2 if function.__name__.startswith("gamma") else 3)
        orders = np.stack([np.ravel(n) for n in args[:count]], axis=1).astype(int)
        rest = [np.ravel(a).astype(float) for a in args[count:]]
        out = np.empty(orders.shape[0])
        with np.errstate(all="ignore"):
            for order in np.unique(orders, axis=0):
                chosen = (orders == order).all(axis=1)
                out[chosen] = function(*map(int, order), *(a[chosen] for a in rest))
        return out.reshape(args[0].shape)[()]

    return of_arrays


def _log_derivatives(order, start, shape):
    """Of log t - log gamma(a) in a: the first is `start` - digamma(a), the others do not depend on t."""
    special = _special()
    return [start - special.digamma(shape), *(-special.polygamma(k, shape) for k in range(1, order))]


def _bell(order, c):
    """The complete Bell polynomial of this order: the derivative of e**f over e**f, from those of f."""
    found = [1.0]
    for n in range(order):
        found.append(sum(math.comb(n, j) * found[n - j] * c[j] for j in range(n + 1)))
    return found[order]


def _furthest(start, height, slope):
    """Where a convex function that grows from 0 is `FALL`, from a number beyond it."""
    s = start
    for _ in range(24):
        s = s - (height(s) - FALL) / slope(s)
    return s


@_by_order
def gammainc_shape(n, a, x):
    """The `n`-th derivative of `scipy.special.gammainc(a, x)` in `a`."""
    special = _special()
    if n == 0:
        return special.gammainc(a, x)
    inside = (a > 0) & (x > 0) & np.isfinite(x) & np.isfinite(a)
    out = np.where((a > 0) & ((x == 0) | (x == np.inf)), 0.0, np.nan)
    out[inside] = _gammainc_shape(n, a[inside], x[inside])
    return out


def _gammainc_shape(n, a, x):
    special = _special()
    total, log_x = np.zeros_like(a), np.log(x)
    for _ in range(int(LOWEST)):
        low = a < LOWEST
        term = np.exp(a * log_x - x - special.gammaln(a + 1))
        total = np.where(low, total + term * _bell(n, _log_derivatives(n, log_x, a + 1)), total)
        a = np.where(low, a + 1, a)
    below = x <= a
    s = np.where(
        below,
        _furthest((FALL + x) / a, lambda s: a * s + x * np.expm1(-s), lambda s: a - x * np.exp(-s)),
        np.fmin(np.sqrt(2 * FALL / x), FALL / np.abs(x - a)),
    )
    nodes, weights = _rule()
    steps = np.where(below, -s, s)[:, None] * nodes
    fall = a[:, None] * steps - x[:, None] * np.expm1(steps)
    weight = np.exp(fall + _log_gamma_front(a, x)[:, None])
    c = _log_derivatives(n, log_x, a)
    factor = _bell(n, [c[0][:, None] + steps, *(k[:, None] for k in c[1:])])
    return total + np.where(below, s, -s) * ((weight * factor) @ weights)


def _log_gamma_front(a, x):
    """log(x**a e**-x / gamma(a)), without the cancellation of large terms."""
    special = _special()
    far = a > 20
    big = np.where(far, a, 20.0)
    stirling = (1 / 12 - (1 / 360 - (1 / 1260 - 1 / (1680 * big**2)) / big**2) / big**2) / big
    ratio = (x - a) / a
    near = a * (np.log1p(ratio) - ratio) + 0.5 * np.log(big / (2 * np.pi)) - stirling
    return np.where(far, near, a * np.log(x) - x - special.gammaln(a))


@_by_order
def gamma_density(n, a, x):
    """The `n`-th derivative of x**(a - 1) e**-x / gamma(a) in `a`; of order -1 it is 0."""
    special = _special()
    if n < 0:
        return np.zeros_like(x)
    front = np.exp(special.xlogy(a - 1, x) - x - special.gammaln(a))
    return front * _bell(n, _log_derivatives(n, np.log(x), a)) if n else front


def _beta_derivatives(m, n, log_t, log_rest, a, b, raised_a=0, raised_b=0):
    """Of a log t + b log(1 - t) + log gamma(a + b) - log gamma(a) - log gamma(b): a table by orders in a and in b."""
    special = _special()

    def psi(k, shape):
        return special.digamma(shape) if k == 0 else special.polygamma(k, shape)

    table = {}
    for i in range(m + 1):
        for j in range(n + 1):
            if i + j == 0:
                continue
            value = psi(i + j - 1, a + b)
            if j == 0:
                value = value - psi(i - 1, a + raised_a)
            if i == 0:
                value = value - psi(j - 1, b + raised_b)
            table[i, j] = value + (log_t if (i, j) == (1, 0) else log_rest if (i, j) == (0, 1) else 0.0)
    return table


def _bell_of_two(m, n, c):
    """The derivative of e**f over e**f, `m` times in one variable and `n` times in another."""
    found = {(0, 0): 1.0}
    for i in range(m + 1):
        for j in range(n + 1):
            if i:
                found[i, j] = sum(
                    math.comb(i - 1, p) * math.comb(j, q) * c[p + 1, q] * found[i - 1 - p, j - q]
                    for p in range(i)
                    for q in range(j + 1)
                )
            elif j:
                found[0, j] = sum(math.comb(j - 1, q) * c[0, q + 1] * found[0, j - 1 - q] for q in range(j))
    return found[m, n]


@_by_order
def betainc_shape(m, n, a, b, x):
    """The derivative of `scipy.special.betainc(a, b, x)`, `m` times in `a` and `n` times in `b`."""
    if m == n == 0:
        return _special().betainc(a, b, x)
    inside = (a > 0) & (b > 0) & (x > 0) & (x < 1) & np.isfinite(a) & np.isfinite(b)
    out = np.where((a > 0) & (b > 0) & ((x == 0) | (x == 1)), 0.0, np.nan)
    a, b, x = a[inside], b[inside], x[inside]
    swap = x > a / (a + b)
    found = np.empty_like(x)
    found[~swap] = _betainc_shape(m, n, a[~swap], b[~swap], x[~swap])
    found[swap] = -_betainc_shape(n, m, b[swap], a[swap], 1 - x[swap])
    out[inside] = found
    return out


def _betainc_shape(m, n, a, b, x):
    """For x below the mean."""
    special = _special()
    total, log_x, log_rest = np.zeros_like(x), np.log(x), np.log1p(-x)
    for _ in range(int(LOWEST)):
        low = a < LOWEST
        term = np.exp(a * log_x + b * log_rest - special.betaln(a, b)) / a
        factor = _bell_of_two(m, n, _beta_derivatives(m, n, log_x, log_rest, a, b, raised_a=1))
        total = np.where(low, total + term * factor, total)
        a = np.where(low, a + 1, a)
    size = a + b
    s = _furthest(
        (FALL - size * log_rest) / a,
        lambda s: a * s + size * np.log1p(x * np.expm1(-s)),
        lambda s: a - size * x * np.exp(-s) / (1 + x * np.expm1(-s)),
    )
    nodes, weights = _rule()
    steps = -s[:, None] * nodes
    turn = np.log1p(x[:, None] * np.expm1(steps))
    front = (a * log_x + b * log_rest - special.betaln(a, b))[:, None]
    weight = np.exp(front + a[:, None] * steps - size[:, None] * turn)
    c = {k: v[:, None] for k, v in _beta_derivatives(m, n, log_x, log_rest, a, b).items()}
    if m:
        c[1, 0] = c[1, 0] + (steps - turn)
    if n:
        c[0, 1] = c[0, 1] - turn
    return total + s * ((weight * _bell_of_two(m, n, c)) @ weights)


@_by_order
def beta_density(m, n, a, b, x):
    """The derivative of x**(a - 1) (1 - x)**(b - 1) / beta(a, b), by orders in `a` and `b`; of order -1 it is 0."""
    special = _special()
    if m < 0 or n < 0:
        return np.zeros_like(x)
    front = np.exp(special.xlogy(a - 1, x) + special.xlog1py(b - 1, -x) - special.betaln(a, b))
    if m == n == 0:
        return front
    return front * _bell_of_two(m, n, _beta_derivatives(m, n, np.log(x), np.log1p(-x), a, b))
