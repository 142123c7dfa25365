"""Programs that work on rows: one loop over the rows, whatever the lengths, with short packed loops inside."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy.special import logsumexp

import tracegrad as tg
from tests.emit.kernel_patterns import assert_packed, compiled, numbers
from tracegrad.config import config


def softmax(x: Any) -> Any:
    e = np.exp(x - np.max(x, axis=1, keepdims=True))
    p = e / np.sum(e, axis=1, keepdims=True)
    return np.sum(p * p * x)


def log_softmax(x: Any) -> Any:
    z = x - np.max(x, axis=-1, keepdims=True)
    return np.sum((z - np.log(np.sum(np.exp(z), axis=-1, keepdims=True))) * x)


def logs_of_sums(x: Any) -> Any:
    return np.sum(logsumexp(x, axis=1) ** 2)


def one_column_apart(x: Any) -> Any:
    """What is kept with its axis is read without it."""
    top = np.max(x, axis=1, keepdims=True)
    return np.sum((np.log(np.sum(np.exp(x - top), axis=1)) + top[:, 0]) ** 2)


def layer_norm(x: Any) -> Any:
    scale = np.sqrt(x[0])
    y = scale * (x - np.mean(x, axis=1, keepdims=True)) / np.std(x, axis=1, keepdims=True) + x[-1]
    return np.sum(y * y * x)


def row_beside_vector(x: Any) -> Any:
    return np.sum(np.sum(x * x[0] - x[:, :1], axis=1) ** 2)


def least(x: Any) -> Any:
    return np.sum(np.min(x, axis=1) * np.max(x * x, axis=1)) + np.sum(np.max(x, axis=0)) * np.min(x)


def rows_and_columns(x: Any) -> Any:
    y = np.sqrt(x / np.sum(x, axis=1, keepdims=True))
    return np.sum(np.sum(y, axis=0) ** 2) + np.sum(y * x)


PROGRAMS = [
    softmax,
    log_softmax,
    logs_of_sums,
    one_column_apart,
    layer_norm,
    row_beside_vector,
    least,
    rows_and_columns,
]


def both(function: Callable[..., Any], x: Any) -> tuple[Any, Any]:
    """The function in machine code, after its value and gradient were found to be those of the readable program."""
    native, readable = compiled(function, x), tg.value_and_grad(function, jit="python")
    (value, bar), (wanted, wanted_bar) = native(x), readable(x)
    precise = x.dtype == np.float64
    assert np.asarray(value).dtype == x.dtype and bar.dtype == x.dtype
    np.testing.assert_allclose(value, wanted, rtol=1e-12 if precise else 1e-4)
    scale = max(1.0, np.max(np.abs(wanted_bar)))
    np.testing.assert_allclose(bar, wanted_bar, rtol=1e-12, atol=scale * (1e-12 if precise else 1e-4))
    return native, readable


@pytest.mark.parametrize("function", PROGRAMS)
@pytest.mark.parametrize("shape", [(1, 300), (3, 2500), (1030, 3)])
def test_value_and_gradient(function: Callable[..., Any], shape: tuple[int, int]) -> None:
    both(function, numbers(*shape))


@pytest.mark.parametrize("function", [log_softmax, layer_norm, rows_and_columns])
def test_single_precision(function: Callable[..., Any]) -> None:
    both(function, numbers(30, 200, dtype=np.float32))


@pytest.mark.parametrize("function", [softmax, log_softmax, logs_of_sums, one_column_apart])
def test_one_loop_over_the_rows(function: Callable[..., Any]) -> None:
    native, _ = both(function, numbers(40, 200))
    assert len(re.findall(r"in range\(40\)|in range\(0, 40", native.native_source)) <= 1
    assert_packed(native, 20)


@pytest.mark.parametrize(
    "axis, shape",
    [
        (0, (300, 2, 3)),
        (1, (2, 300, 3)),
        (1, (1, 3, 2000)),
        (2, (2, 3, 300)),
        (2, (3, 1, 20)),
        ((0, 1), (2, 3, 300)),
        ((0, 2), (20, 3, 300)),
        ((1, 2), (3, 40, 50)),
        ((0, 1, 2), (3, 2, 300)),
    ],
)
def test_every_axis(axis: Any, shape: tuple[int, ...]) -> None:
    def f(x: Any) -> Any:
        y = x / np.sum(x * x, axis=axis, keepdims=True) - np.max(x, axis=axis, keepdims=True)
        return np.sum(np.mean(y, axis=axis) ** 2) + np.sum(y * x)

    both(f, numbers(*shape))


@pytest.mark.parametrize("function", [softmax, rows_and_columns, least])
def test_every_number_of_threads_gives_the_same_bits(function: Callable[..., Any]) -> None:
    x = numbers(600, 301)
    native, _ = both(function, x)
    assert "in_threads(" in native.native_source
    found = []
    for count in (1, 2, 64):
        with config.using(threads=count):
            value, bar = native(x)
            found.append((np.asarray(value).tobytes(), bar.tobytes()))
    assert found[0] == found[1] == found[2]


def test_sums_of_columns_are_shared() -> None:
    x = numbers(20_000, 11)
    native, _ = both(lambda x: np.sum(np.sum(np.sqrt(x * x + x) / (x + 1.0), axis=0) ** 3), x)
    assert "in_threads(" in native.native_source
    alone = native(x)[1].tobytes()
    with config.using(threads=3):
        assert native(x)[1].tobytes() == alone


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int64, np.int32])
@pytest.mark.parametrize("axis", [None, 1])
def test_extremes_are_numpys(dtype: Any, axis: Any) -> None:
    x = (np.random.default_rng(3).normal(size=(7, 1500)) * 100).astype(dtype)
    given = [x, -abs(x)]
    if np.dtype(dtype).kind == "f":
        given.append(np.where(x > 200, np.nan, x).astype(dtype))
        given.append(np.where(x > 0, -np.inf, np.inf).astype(dtype) * np.ones_like(x))
    f = tg.jit(lambda x: (np.max(x, axis=axis), np.min(x, axis=axis, keepdims=True)), jit="native")
    for values in given:
        for found, wanted in zip(f(values), (values.max(axis), values.min(axis, keepdims=True)), strict=True):
            np.testing.assert_array_equal(found, wanted)
            assert np.asarray(found).dtype == dtype


def test_sums_of_long_rows_are_accurate() -> None:
    x = np.full((3, 3_000_000), 0.1, np.float32)
    found = compiled(lambda x: np.sum(x, axis=1), x, transform=tg.jit)(x)
    np.testing.assert_allclose(found, 300_000.0, rtol=1e-6)


def test_rows_in_a_loop_whose_memory_is_made_once() -> None:
    def f(x: Any) -> Any:
        for _ in range(20):
            x = np.exp(x - np.max(x, axis=1, keepdims=True))
            x = x / np.sum(x, axis=1, keepdims=True)
        return np.sum(x * x)

    both(f, numbers(300, 200))
    both(f, numbers(3, 200))
