"""The programs of the figures that control flow has to reach: plain functions, and random inputs for each.

`REACHING` holds them. `tests/programs/test_reaching.py` checks values and gradients, `tests/benchmarks/control.py`
counts and times.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tests.benchmarks.workloads import branchy

Arguments = tuple[Any, ...]


@dataclass(frozen=True)
class Reaching:
    """A function with random inputs.

    Attributes
    ----------
    draw : callable
        A random generator -> arguments.
    argnums : tuple of int
    captures : int or None
        How many captures any number of inputs may take; None where nothing bounds them.
    tolerance : float
        Of the gradient; more where the program is chaotic, and its order of operations counts.
    """

    function: Callable[..., Any]
    draw: Callable[[np.random.Generator], Arguments]
    argnums: tuple[int, ...]
    captures: int | None
    tolerance: float = 1e-9

    @property
    def name(self) -> str:
        return self.function.__name__


def tutorial(a):
    b = a * 2
    while np.linalg.norm(b) < 1000:
        b = b * 2
    if b.sum() > 0:
        c = b
    else:
        c = 100 * b
    return c.sum()


def lotka_volterra(x, y, alpha, beta, gamma, delta, steps):
    h = 0.001
    for _ in range(steps):
        k1x = alpha * x - beta * x * y
        k1y = delta * x * y - gamma * y
        x2 = x + 0.5 * h * k1x
        y2 = y + 0.5 * h * k1y
        k2x = alpha * x2 - beta * x2 * y2
        k2y = delta * x2 * y2 - gamma * y2
        x3 = x + 0.5 * h * k2x
        y3 = y + 0.5 * h * k2y
        k3x = alpha * x3 - beta * x3 * y3
        k3y = delta * x3 * y3 - gamma * y3
        x4 = x + h * k3x
        y4 = y + h * k3y
        k4x = alpha * x4 - beta * x4 * y4
        k4y = delta * x4 * y4 - gamma * y4
        x = x + h / 6 * (k1x + 2 * k2x + 2 * k3x + k4x)
        y = y + h / 6 * (k1y + 2 * k2y + 2 * k3y + k4y)
    return x + 2 * y


def newton_line_search(a, b, start):
    """A root of arctan(b (x - a)) + x / 10, where Newton's whole step often goes too far."""

    def residual(x):
        return np.arctan(b * (x - a)) + 0.1 * x

    x = start
    for _ in range(60):
        f = residual(x)
        step = f / (b / (1 + (b * (x - a)) ** 2) + 0.1)
        t = 1.0
        while abs(residual(x - t * step)) > (1 - 0.25 * t) * abs(f) and t > 1e-3:
            t = 0.5 * t
        x = x - t * step
        if abs(step) < 1e-13:
            break
    return x


def bisection(a, b):
    low, high = 0.0, 4.0
    while high - low > 1e-9:
        middle = 0.5 * (low + high)
        if middle**3 + b * middle < a:
            low = middle
        else:
            high = middle
    # A step of Newton's method: halves of an interval carry no derivative.
    return high - (high**3 + b * high - a) / (3 * high**2 + b)


def simpson(f, left, right, f_left, f_middle, f_right, whole, tolerance, depth):
    middle = 0.5 * (left + right)
    h = (right - left) / 12
    f_1, f_2 = f(0.5 * (left + middle)), f(0.5 * (middle + right))
    first = h * (f_left + 4 * f_1 + f_middle)
    second = h * (f_middle + 4 * f_2 + f_right)
    error = first + second - whole
    if depth == 0 or abs(error) < 15 * tolerance:
        return first + second + error / 15
    return simpson(f, left, middle, f_left, f_1, f_middle, first, tolerance / 2, depth - 1) + simpson(
        f, middle, right, f_middle, f_2, f_right, second, tolerance / 2, depth - 1
    )


def quadrature(p, q):
    """The integral of exp(-p t) sin(q t^2) from 0 to 2, by halving where it is needed."""

    def f(t):
        return np.exp(-p * t) * np.sin(q * t * t)

    ends = f(0.0), f(1.0), f(2.0)
    whole = (ends[0] + 4 * ends[1] + ends[2]) / 3
    return simpson(f, 0.0, 2.0, *ends, whole, 1e-3, 4)


def kalman(q, r, a, observations):
    m, p, likelihood = 0.0, 1.0, 0.0
    for z in observations:
        m, p = a * m, a * a * p + q
        s = p + r
        innovation = z - m
        gain = p / s
        likelihood = likelihood - 0.5 * (np.log(2 * math.pi * s) + innovation**2 / s)
        m = m + gain * innovation
        p = (1 - gain) * p
    return likelihood


MOVE = np.array([[1.0, 0.1], [0.0, 1.0]])
NOISE = np.array([[0.25e-4, 0.5e-3], [0.5e-3, 1e-2]])


def kalman_of_two(q, r, observations):
    """A position observed, a speed that is not."""
    state, spread, likelihood = np.zeros(2), np.eye(2), 0.0
    for z in observations:
        state = MOVE @ state
        spread = MOVE @ spread @ MOVE.T + q * NOISE
        s = spread[0, 0] + r
        gain = spread[:, 0] / s
        innovation = z - state[0]
        likelihood = likelihood - 0.5 * (np.log(s) + innovation**2 / s)
        state = state + gain * innovation
        spread = spread - np.outer(gain, spread[0])
    return likelihood


def hidden_markov(transition, emission, start, symbols):
    """Minus the logarithm of the probability of the symbols; rows are made to sum to one."""
    transition = transition / transition.sum(axis=1, keepdims=True)
    emission = emission / emission.sum(axis=1, keepdims=True)
    forward = start / start.sum() * emission[:, symbols[0]]
    likelihood = 0.0
    for symbol in symbols[1:]:
        total = forward.sum()
        likelihood = likelihood - np.log(total)
        forward = (forward / total) @ transition * emission[:, symbol]
    return likelihood - np.log(forward.sum())


def five_bodies(positions, speeds, masses):
    """Leapfrog with the attraction of every pair, body by body; the distances at the end."""

    def pull(x):
        out = np.zeros((5, 2))
        for i in range(5):
            for j in range(5):
                if i != j:
                    d = x[j] - x[i]
                    out[i] += masses[j] * d / (d @ d + 0.01) ** 1.5
        return out

    x, v, h = positions, speeds, 0.02
    acceleration = pull(x)
    for _ in range(10):
        v = v + 0.5 * h * acceleration
        x = x + h * v
        acceleration = pull(x)
        v = v + 0.5 * h * acceleration
    return np.sum(x * x) + np.sum(v[:, 0] * x[:, 1])


def five_bodies_at_once(positions, speeds, masses):
    """The same with all pairs in one array."""

    def pull(x):
        d = x[None, :, :] - x[:, None, :]
        return np.sum(masses[None, :, None] * d / (np.sum(d * d, axis=2) + 0.01)[:, :, None] ** 1.5, axis=1)

    x, v, h = positions, speeds, 0.02
    acceleration = pull(x)
    for _ in range(10):
        v = v + 0.5 * h * acceleration
        x = x + h * v
        acceleration = pull(x)
        v = v + 0.5 * h * acceleration
    return np.sum(x * x) + np.sum(v[:, 0] * x[:, 1])


class Ledger:
    def __init__(self):
        self.total = 0.0


def wandering(x, a):
    """No certificate: every step writes an attribute; and a new path every time, for it is chaotic."""
    ledger = Ledger()
    for _ in range(40):
        if x > 0.5:
            ledger.total = ledger.total + np.sin(a * x)
            x = a * x * (1.0 - x)
        else:
            ledger.total = ledger.total - x * x
            x = a * x * (1.0 - x) + 0.01 * np.cos(x)
    return ledger.total


# --- inputs


def tutorial_arguments(draws):
    return (draws.normal(size=3) * 10 ** draws.uniform(-3, 2),)


def branchy_arguments(draws):
    return draws.uniform(0.1, 0.7), draws.uniform(2.9, 5.0), draws.uniform(1.0, 1.8)


def lotka_volterra_arguments(draws):
    x, y = draws.uniform(0.5, 1.5, 2)
    return x, y, *draws.uniform((1.0, 0.3, 0.3, 0.1), (1.2, 0.5, 0.5, 0.2)), 50


def newton_arguments(draws):
    return draws.uniform(-2, 2), draws.uniform(1, 6), draws.uniform(-4, 4)


def bisection_arguments(draws):
    return draws.uniform(1, 20), draws.uniform(0.5, 4)


def quadrature_arguments(draws):
    return draws.uniform(0.2, 1), draws.uniform(1, 4)


def kalman_arguments(draws):
    q, r, a = draws.uniform((0.1, 0.1, 0.7), (1, 1, 1))
    return q, r, a, [float(z) for z in draws.normal(size=30)]


def kalman_of_two_arguments(draws):
    return *draws.uniform(0.1, 1, 2), [float(z) for z in draws.normal(size=20)]


def hidden_markov_arguments(draws):
    symbols = draws.integers(0, 4, 25)
    return draws.uniform(0.2, 1, (3, 3)), draws.uniform(0.2, 1, (3, 4)), draws.uniform(0.2, 1, 3), symbols


def bodies_arguments(draws):
    return draws.normal(size=(5, 2)), 0.3 * draws.normal(size=(5, 2)), draws.uniform(0.2, 1, 5)


def wandering_arguments(draws):
    return draws.uniform(0.1, 0.9), draws.uniform(3.7, 3.95)


REACHING = {
    r.name: r
    for r in (
        Reaching(tutorial, tutorial_arguments, (0,), 3),
        Reaching(branchy, branchy_arguments, (0, 1, 2), 4, tolerance=1e-6),
        Reaching(lotka_volterra, lotka_volterra_arguments, (0, 1, 2, 3, 4, 5), 1),
        Reaching(newton_line_search, newton_arguments, (0, 1), 4),
        Reaching(bisection, bisection_arguments, (0, 1), 2),
        Reaching(quadrature, quadrature_arguments, (0, 1), None),
        Reaching(kalman, kalman_arguments, (0, 1, 2), 1),
        Reaching(kalman_of_two, kalman_of_two_arguments, (0, 1), 1),
        Reaching(hidden_markov, hidden_markov_arguments, (0, 1, 2), 1),
        Reaching(five_bodies, bodies_arguments, (0, 1, 2), 1),
        Reaching(five_bodies_at_once, bodies_arguments, (0, 1, 2), 1),
        Reaching(wandering, wandering_arguments, (0, 1), None, tolerance=1e-6),
    )
}
