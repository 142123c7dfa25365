"""What is computed of repeated arrays: as NumPy computes it, and nothing is repeated in native text."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tracegrad as tg
from tests.passes.written import read
from tracegrad.ir.text import text
from tracegrad.ir.verify import verify
from tracegrad.passes import repeats
from tracegrad.passes.repeats import without_repeats


def numbers(*shape: int, seed: int = 1) -> Any:
    return np.random.default_rng(seed).uniform(0.5, 1.5, shape)


X, M, K, ROW = numbers(6), numbers(3, 4), numbers(2, 3, seed=2), numbers(1, 5)
W24, W68, W612 = numbers(24, seed=3), numbers(6, 8, seed=4), numbers(6, 12, seed=5)


def squares(x: Any) -> Any:
    return np.sum(np.repeat(x, 2) ** 2)


def weighted(x: Any) -> Any:
    return np.sum(np.repeat(x, 4) * W24)


def functions_of_what_is_there(x: Any) -> Any:
    w = np.sin(np.outer(x, x)[:, :4].reshape(24) + W24)
    return np.sum(np.exp(-np.repeat(x, 4) * w) + w)


def upsampled(m: Any) -> Any:
    return np.sum((np.repeat(np.repeat(m, 2, 0), 2, 1) - W68) ** 2)


def functions_of_repeats(m: Any) -> Any:
    return np.sum(np.tanh(np.repeat(np.repeat(m, 2, axis=1), 2, axis=0)))


def rows_of_repeats(m: Any) -> Any:
    y = np.repeat(m, 2, axis=0) * np.sum(W68, axis=1)[:, None]
    return np.sum(np.exp(y - np.mean(y, axis=1, keepdims=True)) ** 2)


def kronecker(m: Any) -> Any:
    return np.sum(np.kron(m, K) ** 2)


def kronecker_right(k: Any) -> Any:
    return np.sum(np.kron(M[:, :2], k) ** 3)


def kronecker_of_ones(m: Any) -> Any:
    return np.sum(np.sin(np.kron(m, np.ones((2, 3)))) * W612)


def raveled(x: Any) -> Any:
    return np.sum((x[:, None] * np.ones((1, 4))).ravel() * W24)


def tiled(x: Any) -> Any:
    return np.sum(np.sin(np.tile(x, 4)) * W24)


def tiled_rows(row: Any) -> Any:
    return np.sum(np.tile(row, (7, 1)) ** 2 * np.arange(35.0).reshape(7, 5))


def tiled_and_repeated(x: Any) -> Any:
    return np.sum(np.repeat(x, 4) * np.tile(x, 4) ** 2)  # no axes in common


def also_returned(x: Any) -> Any:
    y = np.repeat(x, 4) * W24
    return np.sum(y**2) + np.cumsum(y)[5]  # it has to be there


def sorted_repeats(x: Any) -> Any:
    return np.sum(np.sort(np.repeat(x, 2)) * np.arange(12.0))


def branches(x: Any) -> Any:
    y = np.repeat(x, 4)
    return np.sum(np.where(y > W24, y * W24, 2.0 * y))


GONE = [
    (squares, X),
    (weighted, X),
    (functions_of_what_is_there, X),
    (upsampled, M),
    (functions_of_repeats, M),
    (rows_of_repeats, M),
    (kronecker, M),
    (kronecker_right, K),
    (kronecker_of_ones, M),
    (raveled, X),
    (tiled, X),
    (tiled_rows, ROW),
    (branches, X),
]
STAY = [(tiled_and_repeated, X), (also_returned, X), (sorted_repeats, X)]


@pytest.fixture(autouse=True)
def small_ones_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repeats, "LARGE", 1)
    monkeypatch.setattr(repeats, "FAR", 1)


@pytest.mark.parametrize(("function", "x"), [*GONE, *STAY])
def test_values_and_gradients(function: Callable[..., Any], x: Any) -> None:
    native, array = (tg.value_and_grad(function, jit=tier) for tier in ("native", "python"))
    for _ in range(2):
        value, x_bar = native(x)
    np.testing.assert_allclose(value, function(x), rtol=1e-12)
    np.testing.assert_allclose(x_bar, array(x)[1], rtol=1e-12, atol=1e-13)
    v, h = numbers(*x.shape, seed=9), 1e-6
    along = (function(x + h * v) - function(x - h * v)) / (2 * h)
    np.testing.assert_allclose(np.sum(x_bar * v), along, rtol=1e-7)
    assert native.native_source is not None
    if function not in (f for f, _ in STAY):
        assert "spread(" not in native.native_source


@pytest.mark.parametrize(("function", "x"), [(squares, X), (upsampled, M), (weighted, X)])
def test_second_derivatives(function: Callable[..., Any], x: Any) -> None:
    v = numbers(*x.shape, seed=8)

    def along(x: Any) -> Any:
        return np.sum(tg.grad(function)(x) * v)

    native, array = (tg.grad(along, jit=tier) for tier in ("native", "python"))
    np.testing.assert_allclose(native(x), array(x), rtol=1e-12)


def test_what_is_made_elementwise_is_the_same_to_the_bit() -> None:
    def scaled(x: Any) -> Any:
        return np.repeat(x, 4) * W24 + W24 / np.tile(X[:3], 8)

    with tg.config.using(contract=False):
        assert tg.jit(scaled, jit="native")(X).tobytes() == scaled(X).tobytes()


def test_signs_of_zero_and_what_is_no_number() -> None:
    x = np.array([np.nan, np.inf, -0.0, 0.0, 1.0, -np.inf])
    with np.errstate(invalid="ignore"):
        native, array = (tg.grad(weighted, jit=tier)(x) for tier in ("native", "python"))
    np.testing.assert_allclose(native, array, rtol=1e-14)


def test_the_trace() -> None:
    before = read(
        "trace f(x: f8[6], w: f8[24]):\n"
        "  a = repeat(x, repeats=4, axis=0)\n"
        "  b = multiply(a, w)\n"
        "  c = sum(b, axis=(0,), keepdims=False)\n"
        "  d = exp(a)\n"
        "  e = reshape(d, shape=(6, 4))\n"
        "  g = sum_to(e, shape=(6, 1))\n"
        "  h = reshape(g, shape=(6,))\n"
        "  return c, h\n"
    )
    after = without_repeats(before)
    verify(after)
    assert text(after).strip() == (
        "trace(x: f8[6], w: f8[24]):\n"
        "  _1 = reshape(x, shape=(6, 1))\n"
        "  _2 = reshape(w, shape=(6, 4))\n"
        "  b = multiply(_1, _2)\n"
        "  _3 = sum(b, axis=(0, 1), keepdims=False)\n"
        "  d = exp(_1)\n"
        "  _4 = multiply(d, f8(4.0))\n"
        "  h = reshape(_4, shape=(6,))\n"
        "  return _3, h"
    )


def test_what_has_to_be_there_stays() -> None:
    before = read(
        "trace f(x: f8[6]):\n"
        "  a = repeat(x, repeats=4, axis=0)\n"
        "  b = exp(a)\n"
        "  c = flip(b, axis=(0,))\n"
        "  return c\n"
    )
    assert without_repeats(before) is before
