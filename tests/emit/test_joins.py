"""Arrays put together of parts in native text: each part computed in its place, in memory that is there before."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tracegrad as tg

SIDE = 120  # a matrix of so many rows is large
MORE = 600  # of so many, too large to be handed from loop to loop where it may be made again
STEPS = 4


def beside(x: Any) -> Any:
    return np.concatenate([x[:3], 2 * x, x[5:6]])


def beside_along_rows(x: Any) -> Any:
    return np.concatenate([x[:, -1:], x, x[:, :1], x], axis=1)


def around(x: Any) -> Any:
    return np.pad(x, ((1, 2), (0, 3)), constant_values=3)


def on_one_side(x: Any) -> Any:
    return np.pad(x, ((0, 0), (2, 0)))


@pytest.mark.parametrize("dtype", ["float64", "float32", "complex128", "int64"])
@pytest.mark.parametrize("function", [beside, beside_along_rows, around, on_one_side])
def test_values(function: Callable[..., Any], dtype: str) -> None:
    x = np.random.default_rng(0).integers(-9, 9, (SIDE, SIDE)).astype(dtype)
    found = tg.jit(function, jit="native")(x)
    assert found.dtype == function(x).dtype
    np.testing.assert_array_equal(found, function(x))


def diffused(u: Any) -> Any:
    for _ in range(STEPS):
        p = np.pad(u, 1)
        u = u + 0.125 * (p[2:, 1:-1] + p[:-2, 1:-1] + p[1:-1, 2:] + p[1:-1, :-2] - 4 * u)
    return np.sum(u**2)


def diffused_edges(u: Any) -> Any:
    for _ in range(STEPS):
        p = np.concatenate([u[:1], u, u[-1:]])
        u = u + 0.125 * (p[2:] - 2 * u + p[:-2])
    return np.sum(u**2)


def diffused_inside(u: Any) -> Any:
    for _ in range(STEPS):
        inner = u[1:-1] + 0.125 * (u[2:] - 2 * u[1:-1] + u[:-2])
        u = np.concatenate([u[:1], inner, u[-1:]])
    return np.sum(u**2)


@pytest.mark.parametrize("function", [diffused, diffused_edges, diffused_inside])
def test_a_loop_needs_the_step_before_and_this_one(function: Callable[..., Any]) -> None:
    draw = np.random.default_rng(1)
    x, direction = draw.integers(-4, 5, (2, MORE, MORE)) / 2.0
    run = tg.value_and_grad(function, jit="native")
    value, gradient = run(x)
    assert value == function(x)
    assert np.sum(gradient * direction) == (function(x + direction) - function(x - direction)) / 2
    text = run.native_source
    (entry,) = [line for line in text.splitlines() if f"def {function.__name__}_value_and_grad(" in line]
    assert entry.count(",") == 2, "the argument and two arrays"
    assert f"np.empty(({MORE}" not in text


def replaced_and_written(u: Any, v: Any) -> Any:
    """The old content is read after the new one is written in."""
    for _ in range(STEPS):
        new = np.concatenate([v[1:], u[:1]])
        new[0] += u[0]
        new[-1] -= u[-1]
        v = 0.5 * u - v
        u = new
    return np.sum(u**2) + np.sum(u * v)


def test_what_a_step_made_before_is_not_what_is_written_in() -> None:
    draw = np.random.default_rng(2)
    u, v, up, vp = draw.integers(-4, 5, (4, SIDE, SIDE)) / 2.0
    value, gradients = tg.value_and_grad(replaced_and_written, argnums=(0, 1), jit="native")(u, v)
    assert value == replaced_and_written(u, v)
    slope = (replaced_and_written(u + up, v + vp) - replaced_and_written(u - up, v - vp)) / 2
    assert np.sum(gradients[0] * up) + np.sum(gradients[1] * vp) == slope
