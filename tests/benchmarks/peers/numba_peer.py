"""Value and gradient written by hand in Numba: what an expert would write, and about what the machine
can do.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numba
import numpy as np

from ..workloads import Workload

TITLE = "by hand in Numba"


def rosenbrock(x):
    a, b = 1.0 - x[0], x[1] - x[0] * x[0]
    gradient = np.empty(2)
    gradient[0] = -2.0 * a - 400.0 * b * x[0]
    gradient[1] = 200.0 * b
    return a * a + 100.0 * b * b, gradient


def rosenbrock_many(x):
    gradient = np.zeros(x.size)
    s = 0.0
    for i in range(x.size - 1):
        a, b = 1.0 - x[i], x[i + 1] - x[i] * x[i]
        s += a * a + 100.0 * b * b
        gradient[i] += -2.0 * a - 400.0 * b * x[i]
        gradient[i + 1] = 200.0 * b
    return s, gradient


def doubling(x, v):
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
    gradient = np.empty_like(x)
    s = 0.0
    for i in range(y.size):
        s += y[i] * v[i]
        gradient[i] = v[i] * scale
    return s, gradient


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


def logistic(w, x, y):
    z = -y * np.dot(x, w)
    n = z.size
    s = 0.0
    for i in range(n):
        e = math.exp(z[i])
        s += math.log1p(e)
        z[i] = -y[i] * e / (1.0 + e)
    return s / n + 0.5e-3 * np.dot(w, w), np.dot(z, x) / n + 1e-3 * w


BY_HAND = {f.__name__: f for f in (rosenbrock, rosenbrock_many, doubling, branchy, logistic)}


def build(workload: Workload) -> Callable[..., Any] | None:
    function = BY_HAND.get(workload.name)
    return function and numba.njit(function)
