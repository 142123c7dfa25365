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


# --- arrays that are there for a block of rows alone


def squares(x: Any, w: Any) -> Any:
    return np.sum(x**2, axis=1)[:, None] + np.sum(w**2, axis=1) - 2 * x @ w.T


def mixture(w: Any, x: Any) -> Any:
    logs = -0.5 * squares(x, w)
    top = np.max(logs, axis=1, keepdims=True)
    return -np.mean(np.squeeze(top, 1) + np.log(np.sum(np.exp(logs - top), axis=1)))


def soft_clusters(w: Any, x: Any) -> Any:
    weights = np.exp(-squares(x, w))
    weights = weights / np.sum(weights, axis=1, keepdims=True)
    return np.sum(weights * squares(x, w))


def nearest(w: Any, x: Any) -> Any:
    return np.sum(np.min(squares(x, w), axis=1))


def low_rank(w: Any, x: Any) -> Any:
    return np.sum((x @ w.T @ w - x) ** 2)


def network(w: Any, x: Any) -> Any:
    h = np.tanh(x @ w.T)
    h = np.tanh(h @ w[:, :5])
    return np.sum((h @ w[:5]) ** 2)


def distances(w: Any, x: Any) -> Any:
    difference = x - w[0]
    return np.sum(np.log1p(np.sum((difference @ (w.T @ w)) * difference, axis=1)))


IN_ROWS = [mixture, soft_clusters, nearest, low_rank, network, distances]


def check_both(function: Callable[..., Any], w: Any, x: Any) -> Any:
    """Both gradients in machine code, beside those of the readable program; what it makes is there in blocks."""
    native = tg.value_and_grad(function, argnums=(0, 1), jit="native")
    found = native(w, x)
    value, bars = tg.value_and_grad(function, argnums=(0, 1), jit="python")(w, x)
    np.testing.assert_allclose(found[0], value, rtol=1e-12)
    for mine, bar in zip(found[1], bars, strict=True):
        np.testing.assert_allclose(mine, bar, rtol=0, atol=1e-12 * np.max(np.abs(bar)))
    return native


def in_blocks(source: str) -> bool:
    """Whether a product is written to rows of a block, which are all there is of it."""
    return ":rest])" in source or ":rest].T" in source


@pytest.mark.parametrize("function", IN_ROWS)
@pytest.mark.parametrize("x", [LARGE, LARGE[:30_000], LARGE[:9_001]], ids=["shared", "even", "alone"])
def test_what_rows_alone_need(function: Callable[..., Any], x: Any) -> None:
    native = check_both(function, weights(x, 12).T.copy(), x)
    assert in_blocks(native.native_source)


@pytest.mark.parametrize("function", IN_ROWS)
def test_rows_in_threads_give_the_same_bits(function: Callable[..., Any]) -> None:
    native = tg.value_and_grad(function, argnums=(0, 1), jit="native")
    w = weights(LARGE, 12).T.copy()
    native(w, LARGE)
    assert "in_threads(" in native.native_source
    found = []
    for count in (1, 2, 5):
        with config.using(threads=count):
            value, bars = native(w, LARGE)
            found.append((value, *map(np.array, bars)))
    for other in found[1:]:
        for one, same in zip(found[0], other, strict=True):
            np.testing.assert_array_equal(one, same)


def test_no_memory_but_that_of_the_gradient() -> None:
    native = tg.value_and_grad(mixture, argnums=1, jit="native")
    w = weights(LARGE, 12).T.copy()
    native(w, LARGE)
    head = native.native_source.split("def mixture_value_and_grad(")[1].split("):")[0]
    assert head.split() == ["w,", "x,", "x_bar"]


def test_what_is_read_later_is_kept_whole() -> None:
    def spread_out(w: Any, x: Any) -> Any:
        z = np.tanh(x @ w.T)
        return np.sum((z - np.mean(z, axis=0)) ** 2) + np.sum(np.sin(z) @ w)

    check_both(spread_out, weights(LARGE, 12).T.copy(), LARGE)


def test_a_result_is_kept_whole() -> None:
    def responses(w: Any, x: Any) -> Any:
        z = np.exp(x @ w.T)
        return z / np.sum(z, axis=1, keepdims=True), np.sum(z @ w)

    native = tg.jit(responses, jit="native")
    w = weights(LARGE, 12).T.copy()
    for found, wanted in zip(native(w, LARGE), responses(w, LARGE), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-12)
    z = np.exp(LARGE @ w.T)
    np.testing.assert_allclose(native(w, LARGE)[0], z / np.sum(z, axis=1, keepdims=True), rtol=1e-12)


def test_rows_in_steps_of_a_loop() -> None:
    def descent(w: Any, x: Any) -> Any:
        for _ in range(3):
            h = np.tanh(x @ w.T)
            w = w - 1e-5 * ((h @ w - x).T @ h).T
        return np.sum(w * w)

    native = tg.value_and_grad(descent, jit="native")
    w = weights(LARGE, 12).T.copy()
    value, bar = native(w, LARGE)
    wanted, wanted_bar = tg.value_and_grad(descent, jit="python")(w, LARGE)
    np.testing.assert_allclose(value, wanted, rtol=1e-12)
    np.testing.assert_allclose(bar, wanted_bar, rtol=0, atol=1e-11 * np.max(np.abs(wanted_bar)))
    with config.using(threads=2):
        again = native(w, LARGE)
    with config.using(threads=1):
        np.testing.assert_array_equal(again[1], native(w, LARGE)[1])


def test_a_matrix_that_a_loop_replaces_by_rows() -> None:
    def smoothed(w: Any, x: Any) -> Any:
        for _ in range(3):
            z = np.sin(x @ w.T)
            x = 0.5 * x + 0.1 * (z @ w)
        return np.sum(x * x)

    check_both(smoothed, weights(LARGE, 12).T.copy(), LARGE)
