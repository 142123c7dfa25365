"""Loops over an element and its mirror image, which write where they read: in tiles, and only where that is right."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tracegrad as tg
from tests.emit.kernel_patterns import numbers
from tests.emit.test_sharing import lines
from tracegrad.config import config
from tracegrad.emit.mirrors import is_mirrored, tiles

LOOP = "for i in range(300):\n    for j in range(300):\n        {}"
SHARED = """for i in range(300):
    if first <= i < last:
        for j in range(300):
            {}"""


@pytest.mark.parametrize(
    "element",
    [
        "b[i, j] = a[i, j] + a[j, i]",
        "b[i, j] = a[j, i]",
        "b[i, j] = x[i, j] * tanh(a[j, i]) - w[j]",
        "s = a[i, j] - x[j, i]; t = s * s; b[i, j] = t + s",
    ],
)
@pytest.mark.parametrize("loop", [LOOP, SHARED])
def test_pairs_of_elements(loop: str, element: str) -> None:
    (found,) = lines(loop.format(element))
    assert is_mirrored(found, "a", "b")


@pytest.mark.parametrize(
    "text",
    [
        LOOP.format("b[j, i] = a[i, j]"),
        LOOP.format("b[i, j] = a[i, j] + a[j, 0]"),
        LOOP.format("b[i, j] = a[i, j] + a[i, i]"),
        LOOP.format("b[i, j] = a[j, i] + b[i, j]"),
        LOOP.format("b[i, j] = f(a) + a[j, i]"),
        LOOP.format("b[i, j] += a[j, i]"),
        LOOP.format("total = added(total, a[j, i]); b[i, j] = a[j, i]"),
        LOOP.format("total += a[j, i]; b[i, j] = a[j, i]"),
        LOOP.format("b[i, j] = t + a[j, i]; t = x[i, j]"),
        LOOP.format("s = t + a[j, i]; t = x[i, j]; b[i, j] = s"),
        LOOP.format("b[i, j] = a[j, i]; s = a[j, i]"),
        LOOP.format("c[i, j] = a[j, i]; b[i, j] = a[j, i]"),
        LOOP.format("i = 0; b[i, j] = a[j, i]"),
        LOOP.format("b[i, j] = a[j, i]").replace("j in range(300)", "j in range(299)"),
        LOOP.format("b[i, j] = a[j, i]").replace("300", "100"),
        LOOP.format("b[i, j] = a[j, i]") + "\n    z[i] = a[i, 0]",
        SHARED.format("b[i, j] = a[j, i]").replace("first <= i < last", "x[i] > 0"),
    ],
)
def test_other_loops_have_two_memories(text: str) -> None:
    (found,) = lines(text)
    assert not is_mirrored(found, "a", "b")


@pytest.mark.parametrize("length", [*range(1, 130), 256, 257, 1000, 1023, 1024, 1025])
def test_each_pair_of_tiles_meets_once(length: int) -> None:
    number, side = tiles(length)
    assert number % 2 and number * side >= length
    pairs = [(b, (b + turn) % number) for b in range(number) for turn in range(number // 2 + 1)]
    met = {tuple(sorted(pair)) for pair in pairs}
    assert len(pairs) == len(met) == number * (number + 1) // 2


def symmetric(x: Any) -> Any:
    return np.sum(np.tanh((x + x.T) / 2) ** 2)


def skew(x: Any) -> Any:
    """So little that it is made again, on both sides."""
    a = x - x.T
    return np.sum(a * a)


def read_across(x: Any) -> Any:
    return np.sum(np.tanh(x.T) * x)


def kept_once(x: Any) -> Any:
    """What the gradient reads on both sides is made of one array where it reads it."""
    a = x - x.T
    return np.sum(a * a * (1.0 + a))


def transposed(x: Any) -> Any:
    return np.sum(np.exp(-x) * np.arange(len(x))) + np.sum((x * x * x).T * x)


@pytest.mark.parametrize("function", [symmetric, skew, read_across, kept_once, transposed])
@pytest.mark.parametrize("dtype, precision", [(np.float64, 1e-12), (np.float32, 1e-5)])
def test_gradients_are_those_of_the_readable_program(
    function: Callable[..., Any], dtype: Any, precision: float
) -> None:
    x = numbers(301, 301).astype(dtype)
    native, readable = (tg.value_and_grad(function, jit=tier) for tier in ("native", "python"))
    (value, bar), (wanted, wanted_bar) = native(x), readable(x)
    np.testing.assert_allclose(value, wanted, rtol=precision)
    np.testing.assert_allclose(bar, wanted_bar, rtol=precision, atol=precision * np.abs(wanted_bar).max())


@pytest.mark.parametrize("function", [symmetric, skew, read_across, kept_once])
def test_the_gradient_is_all_the_memory(function: Callable[..., Any]) -> None:
    x = numbers(301, 301)
    native = tg.value_and_grad(function, jit="native")
    native(x)
    assert (" kept = np.empty((34, 34))" in native.native_source) == (function is not skew)
    assert [np.dtype(dtype).itemsize * np.prod(shape) for dtype, shape, _ in native.last.built.memory] == [
        x.nbytes
    ]


def test_every_number_of_threads_and_every_tier_give_the_same_bits() -> None:
    x = numbers(800, 800)
    native = tg.value_and_grad(kept_once, jit="native")
    with config.using(contract=False):
        wanted = tg.value_and_grad(kept_once, jit="python")(x)[1]
        for count in (1, 2, 7):
            with config.using(threads=count):
                bar = native(x)[1]
            assert "in_threads(25, " in native.native_source
            np.testing.assert_array_equal(bar, wanted)
