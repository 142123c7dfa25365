"""Windows are read where they lie, and what is added up in them is added there: no text makes them.

Values are NumPy's, derivatives are compared with differences; native text and array text with each other.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tracegrad as tg
from tests.emit.kernel_patterns import compiled, numbers
from tracegrad.config import config

windows = np.lib.stride_tricks.sliding_window_view


def spread(x: Any, k: Any) -> Any:
    return np.sum(windows(x, 40).std(axis=-1) * k[0])


def filtered(x: Any, k: Any) -> Any:
    return np.sum((windows(x, 40)[::2] @ k) ** 2)


def largest(x: Any, k: Any) -> Any:
    return np.sum(windows(x, 20, axis=1).max(axis=-1) ** 2) + k[0]


def kernels(x: Any, k: Any) -> Any:
    return np.sum(np.exp(-((windows(x, 30, axis=0) - k[:30]) ** 2)).sum(axis=-1) ** 2)


def weighted(x: Any, k: Any) -> Any:
    w = windows(x, (3, 7))
    return np.sum(np.tanh(0.05 * (w * k[:21].reshape(3, 7)).sum(axis=(2, 3))))


def turned(x: Any, k: Any) -> Any:
    """Axes in another order, one of them twice, and single items of windows."""
    w = windows(x, (2, 3, 2), axis=(1, 0, 1))
    return np.sum(w[..., 1, 2, 0] * w[..., 0, :, 1].sum(-1)) * k[1] + np.sum(w[::2, 1:, 1] ** 3)


def blocks(x: Any, k: Any) -> Any:
    """Windows that lie side by side, and some that do not."""
    return np.sum(windows(x, (4, 4))[::4, 1::3].mean(axis=(2, 3)) ** 2) * k[0]


def of_windows(x: Any, k: Any) -> Any:
    return np.sum(np.abs(windows(windows(x, 5, axis=1).sum(-1) * k[2], 9, axis=0).min(-1)))


def repeatedly(x: Any, k: Any) -> Any:
    for _ in range(3):
        x = np.pad(x, 1, mode="wrap") * k[0]
        x = np.tanh(windows(x, (3, 3)).sum(axis=(2, 3)) - x[1:-1, 1:-1])
    return np.sum(x * x)


def products(x: Any, k: Any) -> Any:
    """With vectors, from either side, of some windows and of all."""
    w = windows(x, 25, axis=1)
    return (
        np.sum(np.tanh(0.05 * (w @ k[:25])))
        + np.sum((k[:30] @ w[5:35, 3]) ** 2)
        + np.sum(np.einsum("ija,a->ji", w[::3], k[:25]) ** 2)
        + np.sum(np.einsum("iab,ia->b", w[:, 1:8:2], x[:, :4]) ** 2)
    )


def pooled(x: Any, k: Any) -> Any:
    """The largest of blocks, and what a kernel makes of every other window of those that are left."""
    w = windows(x, (2, 2))[::2, ::2].max(axis=(2, 3))
    return np.sum(np.einsum("ijab,ab->ij", windows(w, (5, 4))[1:][::2], k[:20].reshape(5, 4)) ** 2)


ALL = [spread, largest, kernels, weighted, turned, blocks, of_windows, repeatedly, products, pooled, filtered]
OF_VECTORS = (spread, filtered)


@pytest.mark.parametrize("shape", [(60,), (45, 48), (128, 150)], ids=str)
@pytest.mark.parametrize("f", ALL)
def test_values_and_derivatives(f: Callable[[Any, Any], Any], shape: tuple[int, ...]) -> None:
    if (len(shape) == 1) != (f in OF_VECTORS):
        pytest.skip("of another number of axes")
    x, k = numbers(*shape), numbers(40, seed=2)
    u, v = numbers(*shape, seed=3), numbers(40, seed=4)
    h = 1e-6
    slope = (f(x + h * u, k + h * v) - f(x - h * u, k - h * v)) / (2 * h)
    found = {tier: tg.value_and_grad(f, (0, 1), jit=tier)(x, k) for tier in ("native", "python")}
    for value, (x_bar, k_bar) in found.values():
        assert value == pytest.approx(f(x, k), rel=1e-11)
        assert np.sum(x_bar * u) + np.sum(k_bar * v) == pytest.approx(slope, rel=2e-5)
    for bars in zip(*(bars for _, bars in found.values()), strict=True):
        np.testing.assert_allclose(*bars, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("f", [spread, largest, kernels, weighted, blocks, filtered])
def test_windows_are_not_made(f: Callable[[Any, Any], Any]) -> None:
    """Beside the gradient there are arrays of the size of a window alone, and no index is checked."""
    x, k = (numbers(20_000) if f in OF_VECTORS else numbers(150, 160)), numbers(40)
    gradient = compiled(f, x, k)
    assert "checked" not in gradient.native_source
    found = re.findall(r"np\.(?:empty|zeros)\(\(?([\d, ]+)\)", gradient.native_source)
    sizes = [math.prod(int(n) for n in shape.split(",") if n.strip()) for shape in found]
    assert max(sizes) == x.size and sum(size > 200 for size in sizes) == 1  # the gradient


def test_some_windows_are_a_step_in_every_text() -> None:
    gradient = tg.value_and_grad(lambda x: np.sum(windows(x, (2, 2))[1::2, 2:] ** 2), jit="python")
    x = numbers(7, 6)
    gradient(x)
    assert "sliding_window_view(x, (2, 2))[1:6:2, 2:5:1]" in gradient.source(x)
    assert "zeros" not in gradient.source(x)


def test_sums_where_windows_lie_have_the_same_bits() -> None:
    """The array text adds in the order in which a loop over places does."""
    for shape, length, axis in ([(70,), (7,), (0,)], [(11, 12), (2, 3), (0, 1)], [(9, 8), (3, 2), (0, 0)]):
        x = numbers(*shape)
        weights = numbers(windows(x, length, axis).size).reshape(windows(x, length, axis).shape)

        def f(x: Any, length: Any = length, axis: Any = axis, weights: Any = weights) -> Any:
            return np.sum(windows(x, length, axis) * weights)

        with config.using(contract=False):
            bits = [tg.grad(f, jit=tier)(x).tobytes() for tier in ("native", "python")]
        assert bits[0] == bits[1]


def test_names_that_texts_import_may_be_the_users() -> None:
    def f(x: Any) -> Any:
        add_windows = x * 2.0
        lapack = np.sum(windows(add_windows * add_windows, 3) ** 2)
        return lapack * np.sum(np.linalg.inv(np.diag(add_windows)))

    x, u = numbers(6), numbers(6, seed=2)
    slope = (f(x + 1e-6 * u) - f(x - 1e-6 * u)) / 2e-6
    assert np.sum(tg.grad(f, jit="python")(x) * u) == pytest.approx(slope, rel=1e-6)
