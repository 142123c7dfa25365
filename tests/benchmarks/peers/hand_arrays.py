"""Value and gradient of the elementwise and the matrix workloads, by hand, for Numba.

The elementwise ones take their functions from the C library or from `vectors.py`, and run over blocks: a leaf
function over slices, which LLVM can vectorise, and sums of blocks added in order. Begin with `black_scholes`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numba
import numpy as np

from . import vectors

BLOCK = 1024
ROOT_HALF, NORMAL = 1.0 / math.sqrt(2.0), 1.0 / math.sqrt(2.0 * math.pi)

compiled = numba.njit(error_model="numpy")
Pair = tuple[Callable[..., Any], Callable[..., Any]]


@numba.njit(inline="always", error_model="numpy")
def sine_and_cosine(x):
    return math.sin(x), math.cos(x)


def of_many(parallel: bool) -> Callable[..., Any]:
    return numba.njit(parallel=parallel, error_model="numpy")


@compiled
def total(terms):
    s = 0.0
    for i in range(terms.size):
        s += terms[i]
    return s


def black_scholes(packed: bool, parallel: bool) -> Pair:
    """Value and gradient; value alone."""
    source: Any = vectors if packed else math
    log, exp, erf = source.log, source.exp, source.erf

    @compiled
    def value_block(S, K, T, sigma, terms):
        for i in range(S.size):
            vol = sigma[i] * math.sqrt(T[i])
            d1 = (log(S[i] / K[i]) + (0.03 + 0.5 * sigma[i] * sigma[i]) * T[i]) / vol
            d2 = d1 - vol
            terms[i] = 0.5 * (
                S[i] * (1.0 + erf(d1 * ROOT_HALF)) - K[i] * exp(-0.03 * T[i]) * (1.0 + erf(d2 * ROOT_HALF))
            )

    @compiled
    def block(S, K, T, sigma, terms, S_bar, K_bar, T_bar, sigma_bar):
        for i in range(S.size):
            root = math.sqrt(T[i])
            vol = sigma[i] * root
            d1 = (log(S[i] / K[i]) + (0.03 + 0.5 * sigma[i] * sigma[i]) * T[i]) / vol
            d2 = d1 - vol
            N1 = 0.5 * (1.0 + erf(d1 * ROOT_HALF))
            N2 = 0.5 * (1.0 + erf(d2 * ROOT_HALF))
            discount = exp(-0.03 * T[i])
            density = S[i] * NORMAL * exp(-0.5 * d1 * d1)
            paid = K[i] * discount * N2
            terms[i] = S[i] * N1 - paid
            S_bar[i] = N1
            K_bar[i] = -discount * N2
            T_bar[i] = 0.5 * density * sigma[i] / root + 0.03 * paid
            sigma_bar[i] = density * root

    @of_many(parallel)
    def value(S, K, T, sigma):
        n = S.size
        sums = np.empty((n + BLOCK - 1) // BLOCK)
        for k in numba.prange(sums.size):
            terms = np.empty(BLOCK)
            low, high = k * BLOCK, min(n, k * BLOCK + BLOCK)
            value_block(S[low:high], K[low:high], T[low:high], sigma[low:high], terms)
            sums[k] = total(terms[: high - low])
        return total(sums)

    @of_many(parallel)
    def gradient(S, K, T, sigma):
        n = S.size
        sums = np.empty((n + BLOCK - 1) // BLOCK)
        S_bar, K_bar, T_bar, sigma_bar = np.empty(n), np.empty(n), np.empty(n), np.empty(n)
        for k in numba.prange(sums.size):
            terms = np.empty(BLOCK)
            low, high = k * BLOCK, min(n, k * BLOCK + BLOCK)
            block(
                S[low:high],
                K[low:high],
                T[low:high],
                sigma[low:high],
                terms,
                S_bar[low:high],
                K_bar[low:high],
                T_bar[low:high],
                sigma_bar[low:high],
            )
            sums[k] = total(terms[: high - low])
        return total(sums), (S_bar, K_bar, T_bar, sigma_bar)

    return gradient, value


def sum_sq_chain(packed: bool, parallel: bool) -> Pair:
    """Value and gradient; value alone."""
    tanh, sin = (vectors.tanh, vectors.sin) if packed else (math.tanh, math.sin)
    both = vectors.sincos if packed else sine_and_cosine

    @numba.njit(inline="always", error_model="numpy")
    def layer(y, x):
        """The next y; its derivatives by the argument of the sine, and by y."""
        t = tanh(y)
        s, c = both(t * 1.1 + x)
        d = 2.0 * s * c
        return s * s, d, d * 1.1 * (1.0 - t * t)

    @compiled
    def value_block(x, terms):
        for i in range(x.size):
            y = x[i]
            for _ in range(4):
                y = sin(tanh(y) * 1.1 + x[i])
                y = y * y
            terms[i] = y * y

    @compiled
    def block(x, terms, x_bar):
        for i in range(x.size):
            y1, a1, b1 = layer(x[i], x[i])
            y2, a2, b2 = layer(y1, x[i])
            y3, a3, b3 = layer(y2, x[i])
            y4, a4, b4 = layer(y3, x[i])
            terms[i] = y4 * y4
            u4 = 2.0 * y4
            u3 = u4 * b4
            u2 = u3 * b3
            u1 = u2 * b2
            x_bar[i] = u4 * a4 + u3 * a3 + u2 * a2 + u1 * (a1 + b1)

    @of_many(parallel)
    def value(x):
        n = x.size
        sums = np.empty((n + BLOCK - 1) // BLOCK)
        for k in numba.prange(sums.size):
            terms = np.empty(BLOCK)
            low, high = k * BLOCK, min(n, k * BLOCK + BLOCK)
            value_block(x[low:high], terms)
            sums[k] = total(terms[: high - low])
        return total(sums)

    @of_many(parallel)
    def gradient(x):
        n = x.size
        sums = np.empty((n + BLOCK - 1) // BLOCK)
        x_bar = np.empty(n)
        for k in numba.prange(sums.size):
            terms = np.empty(BLOCK)
            low, high = k * BLOCK, min(n, k * BLOCK + BLOCK)
            block(x[low:high], terms, x_bar[low:high])
            sums[k] = total(terms[: high - low])
        return total(sums), x_bar

    return gradient, value


def logreg(packed: bool, parallel: bool) -> Pair:
    """Value and gradient; value alone."""
    source: Any = vectors if packed else math
    exp, log1p = source.exp, source.log1p

    @compiled
    def losses(z, y, terms):
        """The loss of each row, and in `z` its cotangent times the number of rows."""
        for i in range(z.size):
            e = exp(-y[i] * z[i])
            terms[i] = log1p(e)
            z[i] = -y[i] * e / (1.0 + e)

    @compiled
    def gradient(w, X, y):
        z = np.dot(X, w)
        terms = np.empty(z.size)
        losses(z, y, terms)
        n = z.size
        w_bar = np.dot(z, X)
        for i in range(w.size):
            w_bar[i] = w_bar[i] / n + 1e-3 * w[i]
        return total(terms) / n + 0.5e-3 * np.dot(w, w), w_bar

    @compiled
    def value(w, X, y):
        z = np.dot(X, w)
        terms = np.empty(z.size)
        losses(z, y, terms)
        return total(terms) / z.size + 0.5e-3 * np.dot(w, w)

    return gradient, value


def mlp(packed: bool, parallel: bool) -> Pair:
    """Value and gradient; value alone."""
    source: Any = vectors if packed else math
    tanh, exp, log = source.tanh, source.exp, source.log

    @compiled
    def bent(h, b):
        """h = tanh(h + b), row by row."""
        for i in range(h.shape[0]):
            row = h[i]
            for j in range(b.size):
                row[j] = tanh(row[j] + b[j])

    @compiled
    def straightened(h_bar, h, b_bar):
        """h_bar *= 1 - h * h, and its sums over the rows into b_bar."""
        for i in range(h.shape[0]):
            row, bar = h[i], h_bar[i]
            for j in range(b_bar.size):
                bar[j] *= 1 - row[j] * row[j]
                b_bar[j] += bar[j]

    @compiled
    def losses(z, b, labels, b_bar):
        """The mean loss; in `z` its cotangent."""
        n, s = z.shape[0], 0.0
        for i in range(n):
            row = z[i]
            most = row[0] + b[0]
            for j in range(b.size):
                row[j] += b[j]
                most = max(most, row[j])
            picked = row[labels[i]] - most
            together = 0.0
            for j in range(b.size):
                row[j] = exp(row[j] - most)
                together += row[j]
            s += log(together) - picked
            scale = 1.0 / (together * n)
            for j in range(b.size):
                row[j] *= scale
            row[labels[i]] -= 1.0 / n
            for j in range(b.size):
                b_bar[j] += row[j]
        return s / n

    @compiled
    def gradient(W1, b1, W2, b2, W3, b3, X, labels):
        h1 = np.dot(X, W1)
        bent(h1, b1)
        h2 = np.dot(h1, W2)
        bent(h2, b2)
        z = np.dot(h2, W3)
        b1_bar, b2_bar, b3_bar = np.zeros_like(b1), np.zeros_like(b2), np.zeros_like(b3)
        value = losses(z, b3, labels, b3_bar)
        W3_bar, h2_bar = np.dot(h2.T, z), np.dot(z, W3.T)
        straightened(h2_bar, h2, b2_bar)
        W2_bar, h1_bar = np.dot(h1.T, h2_bar), np.dot(h2_bar, W2.T)
        straightened(h1_bar, h1, b1_bar)
        return value, (np.dot(X.T, h1_bar), b1_bar, W2_bar, b2_bar, W3_bar, b3_bar)

    @compiled
    def value(W1, b1, W2, b2, W3, b3, X, labels):
        h = np.dot(X, W1)
        bent(h, b1)
        h = np.dot(h, W2)
        bent(h, b2)
        z = np.dot(h, W3)
        return losses(z, b3, labels, np.zeros_like(b3))

    return gradient, value
