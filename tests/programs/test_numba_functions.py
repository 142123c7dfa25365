"""Functions that the user compiled with Numba are recorded as the Python functions they are made of."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import pytest

import tracegrad as tg

SCALE = 0.5


@numba.njit
def smaller(a, b):
    return a if a < b else 0.5 * b


@numba.njit(parallel=False)
def energy(x, weights):
    total = 0.0
    for i in numba.prange(x.shape[0]):
        total += SCALE * weights[i] * np.sin(x[i]) ** 2
        if i > 0:
            total += smaller(x[i], x[i - 1])
    return total


@numba.vectorize
def bent(x, scale):
    return scale * x * x if x > 0.5 else np.sin(x)


def bent_sum(x: Any, weights: Any) -> Any:
    return np.sum(bent(x, 2.0) * weights)


def around(x: Any, weights: Any) -> Any:
    return np.exp(energy(2.0 * x, weights))


@pytest.mark.parametrize("jit", ["python", "native"])
@pytest.mark.parametrize("function", [energy, around, bent_sum])
def test_a_compiled_function_has_its_derivative(function: Any, jit: str) -> None:
    weights = np.array([0.3, 1.0, -0.4])
    gradient = tg.value_and_grad(function, jit=jit)
    for x in (np.array([0.2, 0.9, 0.4]), np.array([0.8, 0.1, 0.7]), np.array([0.2, 0.9, 0.4])):
        value, slope = gradient(x, weights)
        steps = 1e-6 * np.eye(3)
        differences = [(function(x + h, weights) - function(x - h, weights)) / 2e-6 for h in steps]
        np.testing.assert_allclose(value, function(x, weights), rtol=1e-12)
        np.testing.assert_allclose(slope, differences, rtol=1e-6)
    assert gradient.stats.captures <= 3
