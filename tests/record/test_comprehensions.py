"""Comprehensions and generators under a capture: values and gradients of what plain Python computes."""

# ruff: noqa: C416

from __future__ import annotations

import numpy as np
import pytest

import tracegrad as tg


def squares(x):
    return sum(v * v for v in x)


def listed_then_summed(x):
    y = [v * v * (i + 1) for i, v in enumerate(x)]
    return sum(y) + y[0]


def in_a_loop(x):
    s = 0.0
    for i in range(3):
        w = [s + v * i for v in x]
        s = s + sum(w) / 7
    return s


def filtered(x):
    return sum(v * v for v in x if v > 0) + sum([v for v in x if v < 0])


def any_and_all(x):
    if any(v > 2 for v in x):
        return x.sum()
    if all(v > -2 for v in x):
        return (x * x).sum()
    return x[0] * x[1]


def stacked(x):
    return np.stack([np.sin(x[i]) * i for i in range(4)]).sum()


def nested(x):
    table = [[a * b for b in x] for a in x]
    return sum(sum(row) * (k + 1) for k, row in enumerate(table))


def names_and_dicts(x):
    names = [f"k{i}" for i in range(4)]
    found = {n: x[i] for i, n in enumerate(names)}
    return sum(found[n] * 2 for n in names)


def indices(x):
    z = np.zeros([k + 1 for k in range(2)])
    z[0, [i for i in range(2)]] = x[:2]
    return z.sum() + sum(x[i] for i in [j for j in range(4) if j % 2])


def largest(x):
    return max(v * v for v in x) - min((v for v in x), default=0.0) + tuple(v for v in x)[1]


def empty(x):
    return sum(v for v in x[:0]) + sum(x) + len([v for v in x[:0]])


FUNCTIONS = [
    squares, listed_then_summed, in_a_loop, filtered, any_and_all, stacked, nested, names_and_dicts, indices, largest,
    empty,
]  # fmt: skip


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda f: f.__name__)
def test_values_and_gradients_are_those_of_plain_python(function):
    made = tg.value_and_grad(function, jit="python")
    draws = np.random.default_rng(0)
    inputs = [draws.normal(size=4) * scale for scale in (1.0, 3.0, 0.3, 1.0, 2.0, 4.0)]
    for x in (*inputs, *inputs):
        value, gradient = made(x)
        assert value == pytest.approx(function(x), rel=1e-12)
        steps = 1e-6 * np.eye(4)
        differences = [(function(x + s) - function(x - s)) / 2e-6 for s in steps]
        np.testing.assert_allclose(gradient, differences, rtol=1e-6, atol=1e-7)


def test_another_sum_is_seen_when_it_comes():
    scope = {"sum": sum}
    exec("def f(x):\n    return sum(v * v for v in x)\n", scope)
    function = tg.value_and_grad(scope["f"], jit="python")
    x = np.array([1.0, 2.0])
    assert function(x)[0] == 5.0
    scope["sum"] = lambda items: 10 * max(items)
    assert function(x)[0] == 40.0
