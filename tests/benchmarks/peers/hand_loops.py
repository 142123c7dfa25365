"""Value and gradient of the small workloads and of those with loops, by hand, as plain functions for Numba.

Each returns the value, then the gradients. `numba_peer.py` compiles them. Begin with `rosen2`.
"""

from __future__ import annotations

import math

import numba
import numpy as np

from ..workloads import BODY_DT, BODY_EPS2, BODY_STEPS

inlined = numba.njit(inline="always", error_model="numpy")
compiled = numba.njit(error_model="numpy")


def rosen2(x):
    a, b = 1.0 - x[0], x[1] - x[0] * x[0]
    x_bar = np.empty(2)
    x_bar[0] = -2.0 * a - 400.0 * b * x[0]
    x_bar[1] = 200.0 * b
    return a * a + 100.0 * b * b, x_bar


def rosen1k(x):
    n = x.size
    x_bar = np.zeros(n)
    s = 0.0
    for i in range(n - 1):
        a, b = 1.0 - x[i], x[i + 1] - x[i] * x[i]
        s += a * a + 100.0 * b * b
        x_bar[i] += -2.0 * a - 400.0 * b * x[i]
        x_bar[i + 1] = 200.0 * b
    return s, x_bar


def rosen1k_value(x):
    s = 0.0
    for i in range(x.size - 1):
        a, b = 1.0 - x[i], x[i + 1] - x[i] * x[i]
        s += a * a + 100.0 * b * b
    return s


def while_norm(x, v):
    y, scale = x * 2.0, 2.0
    while True:
        s = 0.0
        for i in range(y.size):
            s += y[i] * y[i]
        if not math.sqrt(s) < 1000.0:
            break
        scale *= 2.0
        for i in range(y.size):
            y[i] *= 2.0
    x_bar = np.empty_like(x)
    s = 0.0
    for i in range(y.size):
        s += y[i] * v[i]
        x_bar[i] = v[i] * scale
    return s, x_bar


def while_norm_value(x, v):
    y = x * 2.0
    while True:
        s = 0.0
        for i in range(y.size):
            s += y[i] * y[i]
        if not math.sqrt(s) < 1000.0:
            break
        for i in range(y.size):
            y[i] *= 2.0
    s = 0.0
    for i in range(y.size):
        s += y[i] * v[i]
    return s


def branchy(x, a, b):
    xs, arms = np.empty(51), np.empty(50, np.int8)
    s = 0.0
    xs[0] = x
    for i in range(50):
        if x > 0.5:
            if a * x > 2.6:
                arms[i] = 0
                x = 0.3 * x + 0.1 * b
            else:
                arms[i] = 1
                x = a * x * (1.0 - x)
        elif x < 0.2:
            arms[i] = 2
            x = x + 0.25 * math.sin(a * x) + 0.1
        else:
            arms[i] = 3
            x = b * x * x + 0.3
        s += x * x
        xs[i + 1] = x
    x_bar = a_bar = b_bar = 0.0
    for i in range(49, -1, -1):
        x_bar += 2.0 * xs[i + 1]
        x = xs[i]
        if arms[i] == 0:
            b_bar += 0.1 * x_bar
            x_bar *= 0.3
        elif arms[i] == 1:
            a_bar += x_bar * x * (1.0 - x)
            x_bar *= a * (1.0 - 2.0 * x)
        elif arms[i] == 2:
            slope = 0.25 * math.cos(a * x) * x_bar
            a_bar += slope * x
            x_bar += slope * a
        else:
            b_bar += x_bar * x * x
            x_bar *= 2.0 * b * x
    return s, (x_bar, a_bar, b_bar)


# --- Runge-Kutta ---------------------------------------------------------------------------------------------------

STEP = 0.01


@inlined
def slope(a, b, c, d, x, y):
    return a * x - b * x * y, d * x * y - c * y


@inlined
def slope_bar(a, b, c, d, x, y, u, v):
    """Cotangents of x, y, a, b, c, d of a slope with cotangents u and v."""
    xy = x * y
    return u * (a - b * y) + v * d * y, v * (d * x - c) - u * b * x, u * x, -u * xy, -v * y, v * xy


@inlined
def stages(a, b, c, d, x, y):
    k1x, k1y = slope(a, b, c, d, x, y)
    x2, y2 = x + 0.5 * STEP * k1x, y + 0.5 * STEP * k1y
    k2x, k2y = slope(a, b, c, d, x2, y2)
    x3, y3 = x + 0.5 * STEP * k2x, y + 0.5 * STEP * k2y
    k3x, k3y = slope(a, b, c, d, x3, y3)
    x4, y4 = x + STEP * k3x, y + STEP * k3y
    k4x, k4y = slope(a, b, c, d, x4, y4)
    next_x = x + STEP / 6.0 * (k1x + 2.0 * k2x + 2.0 * k3x + k4x)
    next_y = y + STEP / 6.0 * (k1y + 2.0 * k2y + 2.0 * k3y + k4y)
    return next_x, next_y, x2, y2, x3, y3, x4, y4


def ode_rk4_value(theta, u0):
    a, b, c, d = theta[0], theta[1], theta[2], theta[3]
    x, y = u0[0], u0[1]
    for _ in range(1000):
        x, y, _, _, _, _, _, _ = stages(a, b, c, d, x, y)
    return (x - 1.0) ** 2 + (y - 2.0) ** 2


def ode_rk4(theta, u0):
    a, b, c, d = theta[0], theta[1], theta[2], theta[3]
    x, y = u0[0], u0[1]
    states = np.empty((1000, 2))
    for i in range(1000):
        states[i, 0] = x
        states[i, 1] = y
        x, y, _, _, _, _, _, _ = stages(a, b, c, d, x, y)
    value = (x - 1.0) ** 2 + (y - 2.0) ** 2
    x_bar, y_bar = 2.0 * (x - 1.0), 2.0 * (y - 2.0)
    a_bar = b_bar = c_bar = d_bar = 0.0
    for i in range(999, -1, -1):
        x, y = states[i, 0], states[i, 1]
        _, _, x2, y2, x3, y3, x4, y4 = stages(a, b, c, d, x, y)
        kx, ky = STEP / 6.0 * x_bar, STEP / 6.0 * y_bar
        s4, t4, a4, b4, c4, d4 = slope_bar(a, b, c, d, x4, y4, kx, ky)
        s3, t3, a3, b3, c3, d3 = slope_bar(a, b, c, d, x3, y3, 2.0 * kx + STEP * s4, 2.0 * ky + STEP * t4)
        s2, t2, a2, b2, c2, d2 = slope_bar(
            a, b, c, d, x2, y2, 2.0 * kx + 0.5 * STEP * s3, 2.0 * ky + 0.5 * STEP * t3
        )
        s1, t1, a1, b1, c1, d1 = slope_bar(a, b, c, d, x, y, kx + 0.5 * STEP * s2, ky + 0.5 * STEP * t2)
        a_bar += a4 + a3 + a2 + a1
        b_bar += b4 + b3 + b2 + b1
        c_bar += c4 + c3 + c2 + c1
        d_bar += d4 + d3 + d2 + d1
        x_bar += s4 + s3 + s2 + s1
        y_bar += t4 + t3 + t2 + t1
    return value, (np.array([a_bar, b_bar, c_bar, d_bar]), np.array([x_bar, y_bar]))


# --- five bodies -----------------------------------------------------------------------------------------------------


@compiled
def attract(q, m, a):
    n = q.shape[0]
    for i in range(n):
        a[i, 0] = a[i, 1] = a[i, 2] = 0.0
    for i in range(n):
        for j in range(i):
            dx = q[j, 0] - q[i, 0]
            dy = q[j, 1] - q[i, 1]
            dz = q[j, 2] - q[i, 2]
            r2 = dx * dx + dy * dy + dz * dz + BODY_EPS2
            inverse = 1.0 / (r2 * math.sqrt(r2))
            wi, wj = m[j] * inverse, m[i] * inverse
            a[i, 0] += wi * dx
            a[i, 1] += wi * dy
            a[i, 2] += wi * dz
            a[j, 0] -= wj * dx
            a[j, 1] -= wj * dy
            a[j, 2] -= wj * dz


@compiled
def attract_bar(q, m, a_bar, q_bar):
    n = q.shape[0]
    for i in range(n):
        for j in range(i):
            dx = q[j, 0] - q[i, 0]
            dy = q[j, 1] - q[i, 1]
            dz = q[j, 2] - q[i, 2]
            r2 = dx * dx + dy * dy + dz * dz + BODY_EPS2
            inverse2 = 1.0 / r2
            inverse = inverse2 / math.sqrt(r2)
            ux = m[j] * a_bar[i, 0] - m[i] * a_bar[j, 0]
            uy = m[j] * a_bar[i, 1] - m[i] * a_bar[j, 1]
            uz = m[j] * a_bar[i, 2] - m[i] * a_bar[j, 2]
            t = -3.0 * inverse2 * (dx * ux + dy * uy + dz * uz)
            bx, by, bz = inverse * (ux + t * dx), inverse * (uy + t * dy), inverse * (uz + t * dz)
            q_bar[j, 0] += bx
            q_bar[j, 1] += by
            q_bar[j, 2] += bz
            q_bar[i, 0] -= bx
            q_bar[i, 1] -= by
            q_bar[i, 2] -= bz


@compiled
def energy(q, v, m):
    e = 0.0
    n = q.shape[0]
    for i in range(n):
        for c in range(3):
            e += 0.5 * m[i] * v[i, c] * v[i, c] + 0.1 * q[i, c] * q[i, c]
        for j in range(n):
            r2 = BODY_EPS2
            for c in range(3):
                r2 += (q[j, c] - q[i, c]) ** 2
            e -= 0.5 * m[i] * m[j] / math.sqrt(r2)
    return e


@compiled
def leapfrog(q, v, m, states):
    """The last positions and velocities; where `states` has more than one row, the positions of every step in it."""
    q, v, a = q.copy(), v.copy(), np.empty_like(q)
    attract(q, m, a)
    for s in range(BODY_STEPS):
        for i in range(q.shape[0]):
            for c in range(3):
                v[i, c] += 0.5 * BODY_DT * a[i, c]
                q[i, c] += BODY_DT * v[i, c]
                if states.shape[0] > 1:
                    states[s + 1, i, c] = q[i, c]
        attract(q, m, a)
        for i in range(q.shape[0]):
            for c in range(3):
                v[i, c] += 0.5 * BODY_DT * a[i, c]
    return q, v


def nbody_value(q, v, m):
    q, v = leapfrog(q, v, m, np.empty((1, 1, 1)))
    return energy(q, v, m)


def nbody(q, v, m):
    n = q.shape[0]
    states = np.empty((BODY_STEPS + 1, n, 3))
    states[0] = q
    last_q, last_v = leapfrog(q, v, m, states)
    value = energy(last_q, last_v, m)
    q_bar, v_bar, a_bar = np.empty((n, 3)), np.empty((n, 3)), np.zeros((n, 3))
    for i in range(n):
        for c in range(3):
            v_bar[i, c] = m[i] * last_v[i, c]
            q_bar[i, c] = 0.2 * last_q[i, c]
        for j in range(n):
            r2 = BODY_EPS2
            for c in range(3):
                r2 += (last_q[j, c] - last_q[i, c]) ** 2
            k = m[i] * m[j] / (r2 * math.sqrt(r2))
            for c in range(3):
                q_bar[i, c] -= k * (last_q[j, c] - last_q[i, c])
    for s in range(BODY_STEPS, 0, -1):
        for i in range(n):
            for c in range(3):
                a_bar[i, c] = a_bar[i, c] + 0.5 * BODY_DT * v_bar[i, c]
        attract_bar(states[s], m, a_bar, q_bar)
        for i in range(n):
            for c in range(3):
                v_bar[i, c] += BODY_DT * q_bar[i, c]
                a_bar[i, c] = 0.5 * BODY_DT * v_bar[i, c]
    attract_bar(states[0], m, a_bar, q_bar)
    return value, (q_bar, v_bar)
