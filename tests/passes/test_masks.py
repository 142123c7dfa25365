"""What is computed of the elements that a mask picks, computed where they lie."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tracegrad as tg
from tests.passes.written import read
from tracegrad.ir.text import text
from tracegrad.ir.verify import verify
from tracegrad.passes import masks
from tracegrad.passes.masks import at_their_places


@pytest.fixture(params=[True, False], ids=["there", "picked"])
def where_they_lie(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Small arrays count as large ones; or not, so that tests compare with something."""
    if request.param:
        monkeypatch.setattr(masks, "LARGE", 1)
    return request.param


def squares(x: Any) -> Any:
    return np.sum(x[x > 0.2] ** 2)


def functions(x: Any) -> Any:
    a = x[x > -0.5]
    return np.sum(np.exp(-a) * np.tanh(a) / (1 + a * a)) + np.mean(a) * a.sum()


def undefined_elsewhere(x: Any) -> Any:
    a = x[x > -0.3] + 0.32
    return np.sum(np.log(a) / np.sqrt(a))


def written(x: Any) -> Any:
    y = x * 1.0
    m = x > 0.0
    y[m] = 3.0 * x[m]
    y[m] += x[m] ** 2
    return np.sum(y * x)


def vector(x: Any) -> Any:
    a = x.ravel()
    b = a[a > -0.3]
    return np.sum(b * b * b) * np.sum(np.where(b > 0.5, b, 1.0))


def two_masks(x: Any) -> Any:
    return np.sum(x[x > 0.0] ** 3) * np.sum(np.abs(x[np.abs(x) < 0.7]))


def cube(x: Any) -> Any:
    y = x.reshape(4, -1, 2)
    return np.sum(y[y < 0.6] ** 2)


def in_a_loop(x: Any) -> Any:
    total = 0.0
    for k in range(3):
        total = total + np.sum(x[x > 0.1] ** 2) * (k + 1.0)
    return total


def kept(x: Any) -> Any:
    """The elements themselves are needed in their order."""
    a = x[x > 0.0]
    return np.sum(np.cumsum(a) ** 2)


def of_rows(x: Any) -> Any:
    return np.sum(x[x[:, 0] > 0.0] ** 2)


def few(x: Any) -> Any:
    return np.sum(x[x > 0.95] ** 2)


THERE = [squares, functions, undefined_elsewhere, written, vector, two_masks, cube]
STAY = [kept, of_rows, few]


@pytest.mark.parametrize("function", [*THERE, *STAY, in_a_loop])
def test_value_and_gradient(function: Callable[..., Any], where_they_lie: bool) -> None:
    x = np.random.default_rng(5).uniform(-1.0, 1.0, (12, 16))
    native, array = (tg.value_and_grad(function, jit=tier) for tier in ("native", "python"))
    value, x_bar = native(x)
    assert native.stats.compiles == 1
    np.testing.assert_allclose(value, function(x), rtol=1e-12)
    np.testing.assert_allclose(x_bar, array(x)[1], rtol=1e-12, atol=1e-14)
    v = np.random.default_rng(6).normal(size=x.shape)
    h = 1e-7
    along = (function(x + h * v) - function(x - h * v)) / (2 * h)
    np.testing.assert_allclose(np.sum(x_bar * v), along, rtol=1e-5)
    if function in THERE:
        assert ("true_places" not in str(native.native_source)) == where_they_lie
    elif function in STAY:
        assert "true_places" in str(native.native_source)


def test_another_number_of_elements_is_another_program(where_they_lie: bool) -> None:
    gradient = tg.value_and_grad(squares, jit="native")
    for seed in range(4):
        x = np.random.default_rng(seed).uniform(-1.0, 1.0, (6, 7))
        value, x_bar = gradient(x)
        np.testing.assert_allclose(value, squares(x), rtol=1e-13)
        np.testing.assert_array_equal(x_bar, np.where(x > 0.2, 2.0 * x, 0.0))


def test_large_masks_find_no_places() -> None:
    gradient = tg.value_and_grad(squares, jit="native")
    x = np.random.default_rng(7).uniform(-1.0, 1.0, (100, 100))
    value, x_bar = gradient(x)
    np.testing.assert_allclose(value, squares(x), rtol=1e-13)
    np.testing.assert_array_equal(x_bar, np.where(x > 0.2, 2.0 * x, 0.0))
    assert "true_places" not in str(gradient.native_source)


def test_signs_of_zero_and_what_is_no_number(where_they_lie: bool) -> None:
    def some(x: Any, w: Any) -> Any:
        return np.sum(x[x > -0.5] * w[x > -0.5])

    x, w = np.array([-1.0, 2.0, np.nan, np.inf, 0.5, 0.0]), np.array([np.nan, -0.0, np.inf, 1.0, -0.0, 2.0])
    with np.errstate(invalid="ignore"):
        native, array = (tg.grad(some, argnums=(0, 1), jit=tier)(x, w) for tier in ("native", "python"))
    assert [g.tobytes() for g in native] == [g.tobytes() for g in array]


def test_the_trace() -> None:
    before = read(
        "trace f(x: f8[100,100]):\n"
        "  a = greater(x, 0.2)\n"
        "  b = reshape(a, shape=(10000,))\n"
        "  i = flatnonzero(b, count=4000)\n"
        "  k = remainder(i, 100)\n"
        "  j = floor_divide(i, 100)\n"
        "  p = getitem(x, j, k, index=(Slot(0), Slot(1)))\n"
        "  q = multiply(p, 2.0)\n"
        "  s = sum(q, axis=(0,), keepdims=False)\n"
        "  z = zeros(shape=(100, 100), dtype=f8)\n"
        "  y = index_add(z, j, k, q, index=(Slot(0), Slot(1)))\n"
        "  return s, y\n"
    )
    after = at_their_places(before)
    verify(after)
    lines = text(after)
    assert "getitem" not in lines and "index_add" not in lines
    assert "where" in lines and "sum" in lines
