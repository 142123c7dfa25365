"""What is computed: plain NumPy functions and their inputs, as a NumPy user writes them.

A `Workload` knows nothing of any library. `make()` gives the list of argument tuples that the timed loop
cycles through, so a workload whose inputs take several paths pays for taking them. A new workload is one
function and one line in `WORKLOADS`; the peers that run NumPy source as it stands have it at once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

Arguments = tuple[Any, ...]


@dataclass(frozen=True)
class Workload:
    """A function of NumPy values, the arguments to differentiate, and inputs."""

    name: str
    title: str
    function: Callable[..., Any]
    argnums: tuple[int, ...]
    make: Callable[[], list[Arguments]]
    tolerance: float = 1e-9


def rosenbrock(x):
    return (1.0 - x[0]) ** 2 + 100.0 * (x[1] - x[0] ** 2) ** 2


def rosenbrock_many(x):
    return np.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)


def doubling(x, v):
    y = x * 2.0
    while np.sqrt(np.sum(y * y)) < 1000.0:
        y = y * 2.0
    return np.dot(y, v)


def branchy(x, a, b):
    s = 0.0
    for _ in range(50):
        if x > 0.5:
            if a * x > 2.6:
                x = 0.3 * x + 0.1 * b
            else:
                x = a * x * (1.0 - x)
        else:
            if x < 0.2:
                x = x + 0.25 * np.sin(a * x) + 0.1
            else:
                x = b * x * x + 0.3
        s = s + x * x
    return s


def logistic(w, x, y):
    z = -y * np.dot(x, w)
    return np.mean(np.log1p(np.exp(z))) + 0.5e-3 * np.dot(w, w)


def doubling_inputs() -> list[Arguments]:
    x, v = np.array([0.6, -0.5, 0.4]), np.array([0.1, 1.0, 0.0001])
    length = np.sqrt(np.sum(x * x))
    return [(x * (1000.0 / length) * 0.75 / 2.0**trips, v) for trips in (3, 5, 6, 8, 9, 11)]


def branchy_inputs() -> list[Arguments]:
    rates = (3.2, 3.5, 3.7, 2.9, 3.9, 4.4, 5.0, 3.05)
    return [(0.155 + 0.05 * i, a, 1.1 + 0.1 * i) for i, a in enumerate(rates)]


def logistic_inputs() -> list[Arguments]:
    draw = np.random.default_rng(20240607)
    x = draw.standard_normal((1000, 20))
    w = 0.1 * draw.standard_normal(20)
    return [(w, x, np.sign(np.dot(x, w) + draw.standard_normal(1000)))]


WORKLOADS = {
    w.name: w
    for w in (
        Workload(
            "rosenbrock",
            "Rosenbrock, 2 variables",
            rosenbrock,
            (0,),
            lambda: [(np.array([-1.2, 1.0]),), (np.array([0.7, 0.3]),)],
        ),
        Workload(
            "rosenbrock_many",
            "Rosenbrock, 1000 variables",
            rosenbrock_many,
            (0,),
            lambda: [(np.random.default_rng(20240607).uniform(-2, 2, 1000),)],
        ),
        Workload("doubling", "the tutorial's `while`, 6 trip counts", doubling, (0,), doubling_inputs),
        Workload("branchy", "50 steps of nested `if`, 8 inputs", branchy, (0, 1, 2), branchy_inputs),
        Workload("logistic", "logistic regression, 1000 x 20", logistic, (0,), logistic_inputs),
    )
}
