"""What is computed of arrays that are put together of large parts is computed of the parts."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tracegrad as tg
from tests.emit.kernel_patterns import compiled, numbers
from tests.passes.written import read
from tracegrad.ir.text import text
from tracegrad.ir.verify import verify
from tracegrad.passes import parts, windows
from tracegrad.passes.parts import in_parts


@pytest.fixture(params=[True, False], ids=["parts", "whole"])
def in_small_parts(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Small arrays count as large ones; or not, so that tests compare with something."""
    if request.param:
        monkeypatch.setattr(parts, "LARGE", 1)
        monkeypatch.setattr(windows, "LONG", 1)
    return request.param


def written_by(f: Callable[[Any, Any], Any], x: Any, y: Any) -> str:
    """The native text, without the user's lines in its comments."""
    return re.sub("#.*", "", compiled(f, x, y).native_source)


def joined(x: Any, y: Any) -> Any:
    return np.sum(np.concatenate([x, y * y]) ** 2)


def joined_beside(x: Any, y: Any) -> Any:
    return np.sum(np.tanh(np.concatenate([x, y * y], axis=1)) * np.concatenate([y, x - 1.0], axis=1))


def with_a_whole(x: Any, y: Any) -> Any:
    z = np.concatenate([x, y], axis=1)
    w = np.concatenate([y * x, x], axis=1).T @ np.ones(x.shape[0])
    return np.sum(z * np.outer(np.ones(x.shape[0]), w) / (1.0 + z**2))


def stacked(x: Any, y: Any) -> Any:
    z = np.stack([x, y * y, x + y], axis=1)
    return np.sum(z**2 / (1.0 + z)) + np.mean(z[:, 1] * z[:, 2])


def stacked_first(x: Any, y: Any) -> Any:
    return np.sum(np.sum(np.stack([x, y]) ** 3, axis=0) ** 2) + np.sum(
        np.sum(np.stack([x, y]) ** 3, axis=(0, 2)) ** 2
    )


def stacked_and_summed_beside(x: Any, y: Any) -> Any:
    return np.sum(np.sum(np.stack([x, y], axis=2) ** 2, axis=0) ** 2)


def padded(x: Any, y: Any) -> Any:
    p = np.pad(x, ((1, 2), (0, 3)))
    return np.sum(p**2) + np.mean(np.exp(p)) + np.sum(p[1:-1, :-3] ** 3 * p[:-2, 3:]) + np.sum(y)


def padded_with_numbers(x: Any, y: Any) -> Any:
    p = np.pad(x, 1, constant_values=2.5) * 2.0 + np.pad(y, 1, constant_values=1)
    return np.sum(p * p) + np.sum(p[1:-1, 1:-1] ** 3) + np.sum(p[0] ** 2)


def normed(x: Any, y: Any) -> Any:
    return np.linalg.norm(np.concatenate([x, y], axis=1)) * np.mean(np.vstack([x, y]) ** 2)


def multiplied(x: Any, y: Any) -> Any:
    """Matrices of few long columns or rows, times vectors from either side."""
    a, b = x.ravel(), y.ravel()
    v = np.stack([a, b * b, np.sin(a)], axis=1)
    w = np.stack([b, a * b])
    return np.sum((v @ y[0, :3] - b) ** 2) + np.sum((w @ a) ** 2) + np.sum((y[1, :2] @ w) ** 2) + (b @ v)[1]


def multiplied_by_numbers(x: Any, y: Any) -> Any:
    powers = np.stack([x.ravel() ** k for k in range(4)], axis=1)
    return np.sum((powers @ np.array([0.5, -1.0, 2.0, 0.1]) - y.ravel()) ** 2)


def windows_times_numbers(x: Any, y: Any) -> Any:
    w = np.lib.stride_tricks.sliding_window_view(x.ravel(), 6)
    k = y.ravel()[:6]
    return np.sum(np.sum(w * k, axis=-1) ** 2) + np.sum(np.tanh(w @ k)) + np.sum(np.cos(w * 0.5) @ np.sin(k))


def windows_of_rows(x: Any, y: Any) -> Any:
    w = np.lib.stride_tricks.sliding_window_view(x, 3, axis=0)
    v = np.lib.stride_tricks.sliding_window_view(y, 4, axis=1)
    return np.sum(w.mean(axis=-1, keepdims=True) * w * y[:1, :, None]) + np.sum(v.sum(axis=(0, 2)) ** 2)


def windows_at_most(x: Any, y: Any) -> Any:
    """Also where several elements are the largest."""
    w = np.lib.stride_tricks.sliding_window_view(np.stack([x, x, y]).ravel(), 5)
    return np.sum(w.max(axis=1) ** 3) + np.sum(w.min(axis=-1, keepdims=True) * w)


def windows_apart(x: Any, y: Any) -> Any:
    w = np.lib.stride_tricks.sliding_window_view(x.ravel(), 4)
    z = (w - w.mean(axis=1)[:, None]) / (0.1 + w.std(axis=1, keepdims=True))
    return np.sum(z**3 * y[0, :4]) + np.sum(w.var(axis=1, ddof=1) ** 2)


def parts_and_what_repeats(x: Any, y: Any) -> Any:
    z = np.stack([x, y, x * y], axis=1) * y[:3] + y[3] - np.stack([y, x, x], axis=1) * x[:, :1, None]
    counted = np.sum(np.sum(z > 0.3, axis=1) * np.sum(z, axis=1, keepdims=True)[:, 0])
    return counted + np.sum(np.concatenate([x, y]) * y[2]) + np.sum(np.hstack([x, y]) ** 2 / x[:, :1])


def read_again(x: Any, y: Any) -> Any:
    z = np.concatenate([x, 2.0 * y])
    n = x.shape[0]
    return (
        np.sum(z[1 : n - 1] ** 2)
        + np.sum(z[n:, ::2] ** 3)
        + np.sum(z[n - 1 : n + 1] ** 2)
        + np.sum(z[-1] * z[0])
    )


def grown_in_a_loop(x: Any, y: Any) -> Any:
    for _ in range(3):
        z = np.concatenate([x, y], axis=1) * 0.9
        x, y = z[:, : x.shape[1]] + y, z[:, x.shape[1] :] * y
    return np.sum(x * y)


PROGRAMS: list[Callable[[Any, Any], Any]] = [
    joined,
    joined_beside,
    with_a_whole,
    stacked,
    stacked_first,
    stacked_and_summed_beside,
    padded,
    padded_with_numbers,
    normed,
    multiplied,
    multiplied_by_numbers,
    windows_times_numbers,
    windows_of_rows,
    windows_at_most,
    windows_apart,
    parts_and_what_repeats,
    read_again,
    grown_in_a_loop,
]


@pytest.mark.parametrize("f", PROGRAMS)
def test_values_and_gradients(f: Callable[[Any, Any], Any], in_small_parts: bool) -> None:
    x, y = numbers(5, 6), numbers(5, 6, seed=2)
    u, v = numbers(5, 6, seed=3), numbers(5, 6, seed=4)
    with tg.config.using(cache="none"):
        value, (x_bar, y_bar) = tg.value_and_grad(f, argnums=(0, 1), jit="native")(x, y)
    np.testing.assert_allclose(value, f(x, y), rtol=1e-13)
    h = 1e-6
    difference = (f(x + h * u, y + h * v) - f(x - h * u, y - h * v)) / (2 * h)
    np.testing.assert_allclose(np.sum(x_bar * u) + np.sum(y_bar * v), difference, rtol=1e-7)
    _, wanted = tg.value_and_grad(f, argnums=(0, 1), jit="python")(x, y)
    np.testing.assert_allclose((x_bar, y_bar), wanted, rtol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex128, np.int64])
def test_elements_are_the_same_bits(dtype: Any, in_small_parts: bool) -> None:
    x, y = (10 * numbers(4, 5)).astype(dtype), (10 * numbers(2, 5, seed=2)).astype(dtype)

    def f(x: Any, y: Any) -> Any:
        z = np.concatenate([x, y])
        return z * z - 3, np.stack([x, 2 * x], axis=2) * 5, np.pad(x, 1, constant_values=3) * 7 - 2

    with tg.config.using(cache="none", contract=False):
        found = tg.jit(f, jit="native")(x, y)
    for one, wanted in zip(found, f(x, y), strict=True):
        assert one.dtype == wanted.dtype
        np.testing.assert_array_equal(one, wanted)


def test_results_of_a_gradient_are_their_own(in_small_parts: bool) -> None:
    """What is read of a part may be an argument, or one array twice."""
    x, y = numbers(3, 4), numbers(3, 4, seed=2)

    def f(x: Any, y: Any) -> Any:
        z = np.concatenate([x, y])
        return z[:3], z[:3], z[3:], np.pad(x, 1)[1:-1, 1:-1]

    with tg.config.using(cache="none"):
        found = tg.jit(f, jit="native")(x, y)
    for one, wanted in zip(found, f(x, y), strict=True):
        np.testing.assert_array_equal(one, wanted)
        one += 1.0  # nobody else sees it
    np.testing.assert_array_equal(x, numbers(3, 4))
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[3], x + 1.0)


def test_the_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "LARGE", 1)
    before = read(
        """
        trace(x: f8[3], y: f8[2]):
          z = concatenate(x, y, axis=0)
          w = multiply(z, 2.0)
          s = sum(w, axis=(0,), keepdims=False)
          a = getitem(w, index=(slice(0, 3),))
          return s, a
        """
    )
    after = in_parts(before)
    verify(after)
    assert "sum(" in text(after)
    assert text(after).count("concatenate") == 2  # that nobody reads any more
    assert "getitem" not in text(after)


@pytest.mark.parametrize(
    "f",
    [
        lambda x, y: np.sum(np.concatenate([x, y * y], axis=0) ** 2),
        lambda x, y: np.sum(np.stack([x, y * y], axis=1) ** 2),
        lambda x, y: np.sum(np.pad(x, 1) ** 2 * 2.0) + np.sum(y),
    ],
)
def test_large_arrays_are_not_put_together(f: Callable[[Any, Any], Any]) -> None:
    source = written_by(f, numbers(100, 100), numbers(100, 100))
    assert not any(word in source for word in ("concatenate", "padded", "zeros", "copy"))


def test_a_matrix_of_large_columns_is_not_made() -> None:
    def f(x: Any, c: Any) -> Any:
        return np.sum((np.stack([x**k for k in range(6)], axis=1) @ c - np.sin(x)) ** 2)

    x, c = numbers(10_000), numbers(6)
    source = written_by(f, x, c)
    assert not any(word in source for word in ("stack", "zeros", "np.dot", "copy"))
    assert source.count("range(min(1024") == 1
    found, wanted = (tg.grad(f, (0, 1), jit=jit)(x, c) for jit in ("native", "python"))
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-11, atol=1e-9)


@pytest.mark.parametrize(
    "f",
    [
        lambda w, k: np.sum(np.tanh(w @ k) ** 2),
        lambda w, k: np.sum(np.sum(w * k, axis=-1) ** 2),
        lambda w, k: np.sum(np.max(w, axis=-1) ** 2) + k[0],
        lambda w, k: np.sum(np.mean(w, axis=-1) * np.std(w, axis=-1)) + k[0],
    ],
)
def test_narrow_windows_are_not_made(f: Callable[[Any, Any], Any]) -> None:
    """Nor what is computed of them: there is one loop, which adds to the gradient."""

    def of_windows(x: Any, k: Any) -> Any:
        return f(np.lib.stride_tricks.sliding_window_view(x, 5), k)

    x, k = numbers(10_000), numbers(5)
    source = written_by(of_windows, x, k)
    assert source.count("range(min(1024") == 1 and "range(9996)" not in source and "checked" not in source
    (x_bar, k_bar) = tg.grad(of_windows, (0, 1), jit="native")(x, k)
    u, h = numbers(10_000, seed=3), 1e-7
    difference = (of_windows(x + h * u, k * (1 + h)) - of_windows(x - h * u, k * (1 - h))) / (2 * h)
    np.testing.assert_allclose(np.sum(x_bar * u) + np.sum(k_bar * k), difference, rtol=1e-5)


def test_truths_are_counted_and_whole_numbers_do_not_overflow(in_small_parts: bool) -> None:
    x = np.full((4, 5), 2**30, np.int32)

    def f(x: Any) -> Any:
        z = np.stack([x, x, x], axis=1)
        return np.sum(z, axis=1), np.sum(z > 3, axis=1), np.mean(z, axis=1)

    with tg.config.using(cache="none"):
        found = tg.jit(f, jit="native")(x)
    for one, wanted in zip(found, f(x), strict=True):
        assert one.dtype == wanted.dtype
        np.testing.assert_array_equal(one, wanted)


def test_small_arrays_stay_as_they_are() -> None:
    x = numbers(10)
    assert "concatenate" in written_by(lambda x, y: np.sum(np.concatenate([x, y]) ** 2), x, x)
