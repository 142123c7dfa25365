"""Lotka-Volterra by Runge-Kutta, value and gradient by hand: what an expert would write for Numba.

Forward keeps the state before each step; backward computes the four stages of a step again. Begin with
`lotka_volterra`; `tests/programs/test_reaching.py` checks it.
"""

from __future__ import annotations

import numba
import numpy as np


@numba.njit(inline="always")
def slope(x, y, alpha, beta, gamma, delta):
    xy = x * y
    return alpha * x - beta * xy, delta * xy - gamma * y


@numba.njit(inline="always")
def slope_bar(x, y, beta, delta, alpha, gamma, u, v):
    """Cotangents of x and y, of a slope with cotangents u and v."""
    return u * (alpha - beta * y) + v * delta * y, v * (delta * x - gamma) - u * beta * x


@numba.njit
def lotka_volterra(x, y, alpha, beta, gamma, delta, steps):
    h = 0.001
    half, sixth = 0.5 * h, h / 6
    xs, ys = np.empty(steps), np.empty(steps)
    for i in range(steps):
        xs[i], ys[i] = x, y
        k1x, k1y = slope(x, y, alpha, beta, gamma, delta)
        k2x, k2y = slope(x + half * k1x, y + half * k1y, alpha, beta, gamma, delta)
        k3x, k3y = slope(x + half * k2x, y + half * k2y, alpha, beta, gamma, delta)
        k4x, k4y = slope(x + h * k3x, y + h * k3y, alpha, beta, gamma, delta)
        x += sixth * (k1x + 2 * k2x + 2 * k3x + k4x)
        y += sixth * (k1y + 2 * k2y + 2 * k3y + k4y)
    value = x + 2 * y
    x_bar, y_bar = 1.0, 2.0
    alpha_bar = beta_bar = gamma_bar = delta_bar = 0.0
    for i in range(steps - 1, -1, -1):
        x1, y1 = xs[i], ys[i]
        kx, ky = slope(x1, y1, alpha, beta, gamma, delta)
        x2, y2 = x1 + half * kx, y1 + half * ky
        kx, ky = slope(x2, y2, alpha, beta, gamma, delta)
        x3, y3 = x1 + half * kx, y1 + half * ky
        kx, ky = slope(x3, y3, alpha, beta, gamma, delta)
        x4, y4 = x1 + h * kx, y1 + h * ky
        u4, v4 = sixth * x_bar, sixth * y_bar
        a4, b4 = slope_bar(x4, y4, beta, delta, alpha, gamma, u4, v4)
        u3, v3 = 2 * u4 + h * a4, 2 * v4 + h * b4
        a3, b3 = slope_bar(x3, y3, beta, delta, alpha, gamma, u3, v3)
        u2, v2 = 2 * u4 + half * a3, 2 * v4 + half * b3
        a2, b2 = slope_bar(x2, y2, beta, delta, alpha, gamma, u2, v2)
        u1, v1 = u4 + half * a2, v4 + half * b2
        a1, b1 = slope_bar(x1, y1, beta, delta, alpha, gamma, u1, v1)
        x_bar += a1 + a2 + a3 + a4
        y_bar += b1 + b2 + b3 + b4
        alpha_bar += u1 * x1 + u2 * x2 + u3 * x3 + u4 * x4
        gamma_bar -= v1 * y1 + v2 * y2 + v3 * y3 + v4 * y4
        xy1, xy2, xy3, xy4 = x1 * y1, x2 * y2, x3 * y3, x4 * y4
        beta_bar -= u1 * xy1 + u2 * xy2 + u3 * xy3 + u4 * xy4
        delta_bar += v1 * xy1 + v2 * xy2 + v3 * xy3 + v4 * xy4
    return value, (x_bar, y_bar, alpha_bar, beta_bar, gamma_bar, delta_bar)
