"""Arrays that are made again after a product of matrices, and not kept while it is computed."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tracegrad as tg

N = 400  # arrays of more than 1 MB
generator = np.random.default_rng(5)
A, B, X, Y, S = (generator.uniform(-1.0, 1.0, (N, N)) for _ in range(5))
A, B, S = A / 20.0, B / 20.0, np.abs(S) + 0.1


def attention(q, k, v):
    s = q @ k.T / np.sqrt(q.shape[1])
    e = np.exp(s - np.max(s, axis=1, keepdims=True))
    return np.sum((e / np.sum(e, axis=1, keepdims=True) @ v) ** 2)


def gelu(a, b, x):
    h = x @ a
    h = 0.5 * h * (1.0 + np.tanh(0.8 * (h + 0.0447 * h**3)))
    return np.sum((h @ b) ** 2)


def normed_rows(a, b, x):
    h = x @ a
    centred = h - np.mean(h, axis=1, keepdims=True)
    return np.sum((centred / np.sqrt(np.var(h, axis=1, keepdims=True) + 1e-5) @ b) ** 2)


def normed_columns(a, b, x):
    h = x @ a
    h = (h - np.mean(h, axis=0)) / np.sqrt(np.var(h, axis=0) + 1e-5)
    return np.sum((np.maximum(h, 0.0) @ b) ** 2)


def adam(w, x, y, s):
    g = x.T @ (x @ w - y) / N
    w = w - 0.01 * (0.1 * g) / (np.sqrt(0.999 * s + 0.001 * g * g) + 1e-8)
    return np.mean((x @ w - y) ** 2)


def dropped(a, b, x, mask):
    return np.sum((np.maximum(x @ a, 0.0) * mask / 0.5 @ b) ** 2)


def picked(a, b, i):
    return np.sum(np.tanh(a[i] @ b))


PROGRAMS: dict[str, tuple[Callable[..., Any], tuple[Any, ...], int, int]] = {
    "the exponentials, and the probabilities after the products": (attention, (X, Y, A), 3, 4),
    "tanh": (gelu, (A, B, X), 2, 4),
    "normed rows": (normed_rows, (A, B, X), 2, 4),
    "normed columns": (normed_columns, (A, B, X), 2, 4),
    "roots and quotients": (adam, (A, X, Y, S), 1, 3),
    "nothing, the products come in order": (dropped, (A, B, X, (Y > 0) * 1.0), 2, 4),
    "nothing, what indices pick ends with its product": (picked, (A, B, generator.integers(0, N, N)), 2, 3),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_what_is_quick_beside_a_product_is_not_kept(name):
    function, given, wrt, arrays = PROGRAMS[name]
    native, array = (
        tg.value_and_grad(function, argnums=tuple(range(wrt)), jit=tier) for tier in ("native", "python")
    )
    (value, gradients), (wanted, others) = native(*given), array(*given)
    np.testing.assert_allclose(value, wanted, rtol=1e-12)
    for found, other in zip(gradients, others, strict=True):
        np.testing.assert_allclose(found, other, rtol=1e-8, atol=1e-10 * np.max(np.abs(other)))
    direction = np.random.default_rng(6).uniform(-1.0, 1.0, given[0].shape)
    ahead, behind = (function(given[0] + step * direction, *given[1:]) for step in (1e-7, -1e-7))
    np.testing.assert_allclose(np.sum(gradients[0] * direction), (ahead - behind) / 2e-7, rtol=1e-3)
    head = re.search(rf"def {function.__name__}_value_and_grad\(([^)]*)\)", native.native_source)
    assert head is not None
    assert len(head[1].split(",")) - len(given) == arrays


def test_arrays_in_the_caches_are_kept():
    given = tuple(a[:150, :150].copy() for a in (A, B, X))
    native = tg.value_and_grad(gelu, argnums=(0, 1), jit="native")
    native(*given)
    assert native.native_source.count(" = tanh(") == 1


SIDE = 725  # two arrays of a step are more than 8 MB
COSTS = np.abs(generator.uniform(-1.0, 1.0, (SIDE, SIDE)))
BEGIN = generator.uniform(-1.0, 1.0, SIDE)


def alternating(costs, f):
    for _ in range(3):
        tops = (f[:, None] - costs) / 0.3
        tops = tops - np.max(tops, axis=0)
        g = np.log(np.sum(np.exp(tops), axis=0))
        f = np.log(np.sum(np.exp((g[None, :] - costs) / 0.7), axis=1))
    return np.sum(f * f)


def test_a_loop_that_carries_rows_keeps_no_matrix():
    gradient = tg.value_and_grad(alternating, argnums=(0, 1), jit="native")
    value, (by_costs, by_first) = gradient(COSTS, BEGIN)
    assert "_stack" in gradient.native_source  # of rows
    assert not re.search(r"_stack\w*\[\w+, i, j\]", gradient.native_source)
    array = tg.value_and_grad(alternating, argnums=(0, 1), jit="python")
    wanted, (wanted_costs, wanted_first) = array(COSTS, BEGIN)
    assert value == pytest.approx(wanted, rel=1e-12)
    np.testing.assert_allclose(by_costs, wanted_costs, rtol=1e-8, atol=1e-13)
    np.testing.assert_allclose(by_first, wanted_first, rtol=1e-8, atol=1e-13)
    step = 1e-6
    direction = generator.uniform(-1.0, 1.0, SIDE)
    ahead, behind = (alternating(COSTS, BEGIN + by * direction) for by in (step, -step))
    assert np.sum(by_first * direction) == pytest.approx((ahead - behind) / (2 * step), rel=1e-6)
