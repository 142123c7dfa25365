"""Ops whose native form is a kernel, compiled by Numba: value and gradient are those of the array text."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special

import tracegrad as tg
from tracegrad import config

generator = np.random.default_rng(0)


def reductions(x):
    weights = special.expit(x) + np.where(x > 0, x, 0.1 * x)
    spread = np.std(x, axis=0) + np.max(x, axis=0) + np.linalg.norm(x, axis=0)
    return (
        np.mean(weights, axis=1) @ np.cumsum(x[:, 0]) + np.sum(spread) + special.logsumexp(x) + np.prod(x[0])
    )


def shapes(x):
    picked = x[np.array([2, 0, 2])].T
    joined = np.concatenate([picked, np.roll(x, 1, axis=0)[:3].reshape(4, 3)], axis=1)
    return np.sum(np.sort(joined[1]) * np.arange(6.0)) + np.trace(np.tril(joined)) + np.pad(x[1], 1)[1]


def matrices(x):
    a = x @ x.T + 3 * np.eye(3)
    factor = np.linalg.cholesky(a)
    return np.sum(np.linalg.solve(a, x)) + np.linalg.slogdet(a)[1] + np.einsum("ij,kj->", factor, x[:, :3])


@pytest.mark.parametrize("function", [reductions, shapes, matrices])
def test_compiled_programs_give_what_the_array_text_gives(function):
    x = generator.uniform(-1, 1, (3, 4))
    results = {}
    for tier in ("native", "python"):
        with config.using(jit=tier):
            derivative = tg.value_and_grad(function)
            results[tier] = derivative(x)
            assert derivative.stats.compiles == (tier == "native"), derivative.explain()
    np.testing.assert_allclose(results["native"][0], function(x), rtol=1e-12)
    np.testing.assert_allclose(results["native"][0], results["python"][0], rtol=1e-12)
    np.testing.assert_allclose(results["native"][1], results["python"][1], rtol=1e-10, atol=1e-12)
