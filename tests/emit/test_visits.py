"""Products with the rows of a matrix and the loop between them, as one visit: the text, the numbers, and when not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tracegrad as tg
from tests.emit.kernel_patterns import numbers
from tracegrad.config import config

TALL = numbers(4001, 40) - 1.0
WIDE = numbers(200, 1200) - 1.0
LARGE = numbers(30_001, 20) - 1.0


def weights(x: Any, *more: int) -> Any:
    return 0.1 * (numbers(x.shape[1], *more) - 1.0)


def logistic(w: Any, x: Any) -> Any:
    return np.sum(np.log1p(np.exp(-x[:, 0] * (x @ w)))) + np.dot(w, w)


def least_squares(w: Any, x: Any) -> Any:
    difference = np.dot(x, w) - x[:, 1]
    return np.sum(difference * difference)


def two_weights(w: Any, x: Any) -> Any:
    return np.sum(np.exp(0.1 * (x @ w)) * np.sin(x @ w[::-1]))


def classes(w: Any, x: Any) -> Any:
    z = x @ w
    z = z - np.max(z, axis=1, keepdims=True)
    return np.sum(np.log(np.sum(np.exp(z), axis=1)) - np.sum(z * x[:, :12], axis=1))


def gradient_by_hand(w: Any, x: Any) -> Any:
    return np.sum(x.T @ np.tanh(x @ w) * w)


def check(function: Callable[..., Any], w: Any, x: Any, visits: bool) -> Any:
    """The function in machine code, with the numbers of the readable program."""
    native = tg.value_and_grad(function, jit="native")
    value, bar = native(w, x)
    wanted, wanted_bar = tg.value_and_grad(function, jit="python")(w, x)
    precise = w.dtype == np.float64
    np.testing.assert_allclose(value, wanted, rtol=1e-12 if precise else 1e-5)
    scale = np.max(np.abs(wanted_bar))
    np.testing.assert_allclose(bar, wanted_bar, rtol=0, atol=scale * (1e-12 if precise else 1e-4))
    assert ("np.dot(x[" in native.native_source) == visits
    return native


@pytest.mark.parametrize("function", [logistic, least_squares, two_weights, gradient_by_hand])
@pytest.mark.parametrize("x", [TALL, WIDE], ids=["tall", "wide"])
def test_a_vector(function: Callable[..., Any], x: Any) -> None:
    check(function, weights(x), x, True)


@pytest.mark.parametrize("x", [TALL, TALL.astype(np.float32)], ids=["double", "single"])
def test_a_matrix(x: Any) -> None:
    check(classes, weights(x, 12).astype(x.dtype), x, True)


def test_the_text() -> None:
    native = check(least_squares, weights(TALL), TALL, True)
    lines = [line.strip() for line in native.native_source.split("\n")]
    start = lines.index("for row in range(0, 4001, 816):")
    assert lines[start + 2] == "np.dot(x[row:row + 816], w, x_at_w[row:row + 816])"
    assert any("+= np.dot(" in line and "x[row:row + 816])" in line for line in lines[start:])


@pytest.mark.parametrize(("function", "more"), [(logistic, ()), (classes, (12,))])
def test_every_number_of_threads_gives_the_same_bits(
    function: Callable[..., Any], more: tuple[int, ...]
) -> None:
    w = weights(LARGE, *more)
    native = check(function, w, LARGE, True)
    assert "in_threads(" in native.native_source
    found = []
    for count in (1, 2, 5):
        with config.using(threads=count):
            value, bar = native(w, LARGE)
            found.append((value, np.array(bar)))
    for value, bar in found[1:]:
        assert value == found[0][0]
        np.testing.assert_array_equal(bar, found[0][1])


def test_inside_of_a_loop() -> None:
    def descent(w: Any, x: Any) -> Any:
        for _ in range(3):
            w = w - 1e-4 * (np.dot(x, w) - x[:, 1]) @ x
        return np.sum(w * w)

    check(descent, weights(TALL), TALL, True)


def test_second_derivatives() -> None:
    w, v = weights(TALL), weights(TALL)[::-1].copy()
    product = tg.jit(lambda w, x, v: tg.hessian_vector_product(logistic)(w, x, v), jit="native")
    found = product(w, TALL, v)
    assert product.native_source.count("np.dot(x[") == 2
    step = 1e-5
    slope = tg.grad(logistic, jit="python")
    wanted = (slope(w + step * v, TALL) - slope(w - step * v, TALL)) / (2 * step)
    np.testing.assert_allclose(found, wanted, rtol=1e-6)


def test_a_matrix_that_changes_between_is_visited_twice() -> None:
    def changed(w: Any, x: Any) -> Any:
        y = x * 1.5
        z = y @ w
        y[0] = 2.0
        return np.sum(np.sin(z)) + np.sum(y @ w)

    check(changed, weights(TALL), TALL, False)


def test_a_small_matrix_is_left_alone() -> None:
    x = TALL[:100].copy()
    check(least_squares, weights(x), x, False)
