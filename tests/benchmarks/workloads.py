"""What is computed: plain NumPy functions and their inputs, as a NumPy user writes them.

A `Workload` knows nothing of any library. `make()` gives the list of argument tuples that the timed loop
cycles through, so a workload whose inputs take several paths pays for taking them. A new workload is one
function and one line in `WORKLOADS`; the peers that run NumPy source as it stands have it at once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
from scipy.special import erf

Arguments = tuple[Any, ...]


@dataclass(frozen=True)
class Workload:
    """A function of NumPy values, the arguments to differentiate, and inputs.

    Attributes
    ----------
    kind : str
        What its figures are compared with: "small", "loop", "chain" (elementwise) or "matrix".
    moved : int
        Bytes that value and gradient have to move through memory; 0 where they fit into a cache.
    tile : callable or None
        Inputs for the same function that stay in the cache, where `moved` is not 0.
    residuals : int
        Bytes that have to live from the value to the gradient; for large workloads.
    """

    name: str
    title: str
    function: Callable[..., Any]
    argnums: tuple[int, ...]
    make: Callable[[], list[Arguments]]
    kind: str
    tolerance: float = 1e-7
    moved: int = 0
    tile: Callable[[], list[Arguments]] | None = None
    residuals: int = 0


# --- a call costs more than the work -------------------------------------------------------------------


def rosen2(x):
    return (1.0 - x[0]) ** 2 + 100.0 * (x[1] - x[0] ** 2) ** 2


def rosen1k(x):
    return np.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)


# --- control flow ----------------------------------------------------------------------------------------


def while_norm(x, v):
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


def ode_rk4(theta, u0):
    a, b, c, d = theta[0], theta[1], theta[2], theta[3]
    x, y = u0[0], u0[1]
    h = 0.01
    for _ in range(1000):
        k1x = a * x - b * x * y
        k1y = d * x * y - c * y
        x2 = x + 0.5 * h * k1x
        y2 = y + 0.5 * h * k1y
        k2x = a * x2 - b * x2 * y2
        k2y = d * x2 * y2 - c * y2
        x3 = x + 0.5 * h * k2x
        y3 = y + 0.5 * h * k2y
        k3x = a * x3 - b * x3 * y3
        k3y = d * x3 * y3 - c * y3
        x4 = x + h * k3x
        y4 = y + h * k3y
        k4x = a * x4 - b * x4 * y4
        k4y = d * x4 * y4 - c * y4
        x = x + h / 6.0 * (k1x + 2.0 * k2x + 2.0 * k3x + k4x)
        y = y + h / 6.0 * (k1y + 2.0 * k2y + 2.0 * k3y + k4y)
    return (x - 1.0) ** 2 + (y - 2.0) ** 2


BODY_STEPS, BODY_DT, BODY_EPS2 = 200, 0.01, 0.05


def acceleration(q, m):
    d = q[None, :, :] - q[:, None, :]
    r2 = np.sum(d * d, axis=2) + BODY_EPS2
    w = m[None, :] * r2**-1.5
    return np.sum(w[:, :, None] * d, axis=1)


def nbody(q, v, m):
    a = acceleration(q, m)
    for _ in range(BODY_STEPS):
        v = v + 0.5 * BODY_DT * a
        q = q + BODY_DT * v
        a = acceleration(q, m)
        v = v + 0.5 * BODY_DT * a
    d = q[None, :, :] - q[:, None, :]
    r = np.sqrt(np.sum(d * d, axis=2) + BODY_EPS2)
    energy = 0.5 * np.sum(m[:, None] * v * v) - 0.5 * np.sum(m[:, None] * m[None, :] / r)
    return energy + 0.1 * np.sum(q * q)


# --- elementwise -------------------------------------------------------------------------------------------


def norm_cdf(x):
    return 0.5 * (1.0 + erf(x / np.sqrt(2.0)))


def black_scholes(S, K, T, sigma):
    r = 0.03
    vol = sigma * np.sqrt(T)
    d1 = (np.log(S / K) + (r + 0.5 * sigma * sigma) * T) / vol
    d2 = d1 - vol
    return np.sum(S * norm_cdf(d1) - K * np.exp(-r * T) * norm_cdf(d2))


def sum_sq_chain(x):
    y = x
    for _ in range(4):  # 4 x 5 = 20 elementwise operations
        y = np.tanh(y)
        y = y * 1.1
        y = y + x
        y = np.sin(y)
        y = y * y
    return np.sum(y * y)


# --- matrices ----------------------------------------------------------------------------------------------


def logreg(w, X, y):
    z = -y * np.dot(X, w)
    return np.mean(np.log1p(np.exp(z))) + 0.5e-3 * np.dot(w, w)


def mlp(W1, b1, W2, b2, W3, b3, X, labels):
    h = np.tanh(np.dot(X, W1) + b1)
    h = np.tanh(np.dot(h, W2) + b2)
    z = np.dot(h, W3) + b3
    z = z - np.max(z, axis=1, keepdims=True)
    logp = z - np.log(np.sum(np.exp(z), axis=1, keepdims=True))
    return -np.mean(logp[np.arange(len(labels)), labels])


# --- inputs ------------------------------------------------------------------------------------------------


def draws() -> np.random.Generator:
    return np.random.default_rng(20240607)


def two_points() -> list[Arguments]:
    return [(np.array([-1.2, 1.0]),), (np.array([0.7, 0.3]),)]


def vector(n: int, low: float = -2.0, high: float = 2.0) -> list[Arguments]:
    return [(draws().uniform(low, high, n),)]


def normal_vector(n: int) -> list[Arguments]:
    return [(draws().standard_normal(n),)]


def while_norm_inputs() -> list[Arguments]:
    x, v = np.array([0.6, -0.5, 0.4]), np.array([0.1, 1.0, 0.0001])
    length = np.sqrt(np.sum(x * x))
    return [(x * (1000.0 / length) * 0.75 / 2.0**trips, v) for trips in (3, 5, 6, 8, 9, 11)]


def branchy_inputs() -> list[Arguments]:
    rates = (3.2, 3.5, 3.7, 2.9, 3.9, 4.4, 5.0, 3.05)
    return [(0.155 + 0.05 * i, a, 1.1 + 0.1 * i) for i, a in enumerate(rates)]


def ode_rk4_inputs() -> list[Arguments]:
    return [
        (np.array([1.5, 1.0, 3.0, 1.0]), np.array([1.0, 1.0])),
        (np.array([1.4, 0.9, 2.8, 1.1]), np.array([1.2, 0.8])),
    ]


def five_bodies() -> list[Arguments]:
    g = draws()
    return [(g.standard_normal((5, 3)), 0.3 * g.standard_normal((5, 3)), g.uniform(0.5, 1.5, 5))]


def options(n: int) -> list[Arguments]:
    g = draws()
    prices, strikes = g.uniform(50, 150, n), g.uniform(50, 150, n)
    return [(prices, strikes, g.uniform(0.1, 2.0, n), g.uniform(0.1, 0.6, n))]


def logreg_inputs(rows: int = 10_000, columns: int = 100) -> list[Arguments]:
    g = draws()
    X = g.standard_normal((rows, columns))
    w = g.standard_normal(columns) * 0.1
    return [(w, X, np.sign(np.dot(X, w) + g.standard_normal(rows)))]


def mlp_inputs(dtype: Any, sizes: tuple[int, ...] = (784, 256, 128, 10), rows: int = 128) -> list[Arguments]:
    g = draws()
    parameters: list[Any] = []
    for a, b in pairwise(sizes):
        parameters.append((g.standard_normal((a, b)) / np.sqrt(a)).astype(dtype))
        parameters.append((0.1 * g.standard_normal(b)).astype(dtype))
    X = g.uniform(0, 1, (rows, sizes[0])).astype(dtype)
    return [(*parameters, X, g.integers(0, sizes[-1], rows))]


MILLION, TILE = 1_000_000, 2000
MLP = tuple(range(6))
OPTIONS = (0, 1, 2, 3)

WORKLOADS = {
    w.name: w
    for w in (
        Workload("rosen2", "Rosenbrock, 2 variables", rosen2, (0,), two_points, "small"),
        Workload("rosen1k", "Rosenbrock, 1,000 variables", rosen1k, (0,), partial(vector, 1000), "chain"),
        Workload(
            "while_norm",
            "the tutorial's `while`, 6 trip counts",
            while_norm,
            (0,),
            while_norm_inputs,
            "loop",
        ),
        Workload(
            "branchy", "50 steps of nested `if`, 8 inputs", branchy, (0, 1, 2), branchy_inputs, "loop", 1e-6
        ),
        Workload("ode_rk4", "Runge-Kutta, 1,000 steps", ode_rk4, (0, 1), ode_rk4_inputs, "loop"),
        Workload("nbody", "5 bodies, 200 steps", nbody, (0, 1), five_bodies, "loop"),
        Workload(
            "black_scholes_1k",
            "Black-Scholes, 1,000 options",
            black_scholes,
            OPTIONS,
            partial(options, 1000),
            "chain",
        ),
        Workload(
            "black_scholes_1m",
            "Black-Scholes, 1e6 options",
            black_scholes,
            OPTIONS,
            partial(options, MILLION),
            "chain",
            moved=8 * 8 * MILLION,
            tile=partial(options, TILE),
        ),
        Workload(
            "sum_sq_chain",
            "20 elementwise operations, 1e6 elements",
            sum_sq_chain,
            (0,),
            partial(normal_vector, MILLION),
            "chain",
            moved=2 * 8 * MILLION,
            tile=partial(normal_vector, TILE),
        ),
        Workload(
            "logreg",
            "logistic regression, 10,000 x 100",
            logreg,
            (0,),
            logreg_inputs,
            "matrix",
            residuals=8 * 10_000,
        ),
        Workload(
            "mlp_f64",
            "perceptron 784-256-128-10, batch 128, float64",
            mlp,
            MLP,
            partial(mlp_inputs, np.float64),
            "matrix",
            residuals=8 * 128 * (256 + 128),
        ),
        Workload(
            "mlp_f32",
            "perceptron 784-256-128-10, batch 128, float32",
            mlp,
            MLP,
            partial(mlp_inputs, np.float32),
            "matrix",
            residuals=4 * 128 * (256 + 128),
            tolerance=1e-3,
        ),
    )
}
LARGE = ("black_scholes_1m", "sum_sq_chain", "logreg", "mlp_f64", "mlp_f32")
