"""Ops whose native form is a kernel, compiled by Numba, give what the array text gives."""

from __future__ import annotations

import numpy as np
import pytest

import tracegrad as tg
from tracegrad import config

x = np.random.default_rng(0).uniform(-1, 1, (3, 4))


def reductions(x):
    weights = np.where(x > 0, x, 0.1 * x)
    return np.mean(weights, axis=1) @ np.cumsum(x[:, 0]) + np.sum(np.max(x, axis=0)) + np.std(x)


def shapes(x):
    joined = np.concatenate([x[np.array([2, 0, 2])].T, np.roll(x, 1, axis=0).reshape(4, 3)], axis=1)
    return np.sum(np.sort(joined[1]) * np.arange(6.0)) + np.trace(np.tril(joined))


def matrices(x):
    a = x @ x.T + 3 * np.eye(3)
    return np.sum(np.linalg.solve(a, x)) + np.einsum("ij,kj->", np.linalg.cholesky(a), x[:, :3])


@pytest.mark.parametrize(
    ("transform", "function"), [(tg.value_and_grad, reductions), (tg.jit, shapes), (tg.jit, matrices)]
)
def test_compiled_programs_give_what_the_array_text_gives(transform, function):
    results = {}
    for tier in ("native", "python"):
        with config.using(jit=tier):
            made = transform(function)
            results[tier] = made(x)
            assert made.stats.compiles == (tier == "native"), made.explain()
    if transform is tg.jit:
        results = {tier: (value, 0.0) for tier, value in results.items()}
    for found in results.values():
        np.testing.assert_allclose(found[0], function(x), rtol=1e-12)
    np.testing.assert_allclose(results["native"][1], results["python"][1], rtol=1e-10, atol=1e-12)
