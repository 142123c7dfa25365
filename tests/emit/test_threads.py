"""Large loops are shared by threads: every number of them gives the same bits, also for callers side by side."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tracegrad as tg
from tests.emit.kernel_patterns import assert_packed, compiled, numbers
from tracegrad.config import config

LONG = numbers(200_001)
MATRIX = numbers(300, 700)
NARROW = numbers(100_001, 3)


def chain(x: Any) -> Any:
    for _ in range(4):
        x = np.sqrt(x * x + 0.5) / (1.0 + x)
    return np.sum(x * x)


def two_sums(x: Any) -> Any:
    y = np.sqrt(x + 1.0) * x
    return np.sum(y * y * x) / np.mean(y / (x + 1.0))


@pytest.mark.parametrize("function", [chain, two_sums])
@pytest.mark.parametrize(
    "x", [LONG, MATRIX, NARROW, LONG.astype(np.float32)], ids=["1", "2", "narrow", "single"]
)
def test_every_number_of_threads_gives_the_same_bits(function: Callable[..., Any], x: Any) -> None:
    f = compiled(function, x)
    assert "in_threads(" in f.native_source
    if x is not NARROW:
        assert_packed(f, 1)
    found = []
    for count in (1, 2, 3, 64):
        with config.using(threads=count):
            value, bar = f(x)
        found.append((np.asarray(value).tobytes(), np.array(bar)))
    wanted, wanted_bar = tg.value_and_grad(function, jit="python")(x)
    precise = x.dtype == np.float64
    np.testing.assert_allclose(np.frombuffer(found[0][0], x.dtype), wanted, rtol=1e-12 if precise else 1e-5)
    np.testing.assert_allclose(
        found[0][1], wanted_bar, rtol=1e-10 if precise else 1e-3, atol=1e-12 if precise else 1e-6
    )
    for value, bar in found[1:]:
        assert value == found[0][0]
        np.testing.assert_array_equal(bar, found[0][1])


def test_callers_side_by_side() -> None:
    f = compiled(chain, LONG)
    wanted = f(LONG)
    wrong = []

    def call_again_and_again() -> None:
        for _ in range(20):
            value, bar = f(LONG)
            if value != wanted[0] or not np.array_equal(bar, wanted[1]):
                wrong.append(value)

    with config.using(threads=3):
        callers = [threading.Thread(target=call_again_and_again) for _ in range(4)]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join()
    assert not wrong


def test_small_loops_are_not_shared() -> None:
    assert "in_threads(" not in compiled(chain, LONG[:2000].copy()).native_source


def test_names_of_the_user_that_a_part_needs_itself() -> None:
    def f(first: Any, last: Any, block: Any, start: Any) -> Any:
        i = first * last + block
        return np.sum(np.sqrt(i * start) / (first + last) * block + start)

    given = [numbers(100_000, seed=k) for k in range(4)]
    native = compiled(f, *given)
    readable = tg.value_and_grad(f, argnums=(0, 1, 2, 3), jit="python")
    with config.using(threads=2):
        value, bars = native(*given)
    wanted, wanted_bars = readable(*given)
    np.testing.assert_allclose(value, wanted, rtol=1e-12)
    for bar, other in zip(bars, wanted_bars, strict=True):
        np.testing.assert_allclose(bar, other, rtol=1e-10)


def test_the_two_halves_of_a_pullback() -> None:
    f = tg.vjp(lambda x: np.sqrt(x * x + 0.5) / (1.0 + x) + np.sum(x), jit="native")
    readable = tg.vjp(lambda x: np.sqrt(x * x + 0.5) / (1.0 + x) + np.sum(x), jit="python")
    with config.using(threads=2):
        value, pull = f(LONG)
        bar = pull(LONG)
    wanted, pull = readable(LONG)
    np.testing.assert_allclose(value, wanted, rtol=1e-12)
    np.testing.assert_allclose(bar, pull(LONG), rtol=1e-10)


def test_an_index_that_is_checked_stays_with_the_caller() -> None:
    def f(x: Any, k: Any) -> Any:
        return np.sum(x * x[k] * np.sqrt(x) / (x + 1.0) + x * x * x)

    native = compiled(f, LONG, np.int64(3), transform=tg.jit)
    with config.using(threads=2):
        np.testing.assert_allclose(native(LONG, np.int64(3)), f(LONG, 3), rtol=1e-12)
        with pytest.raises(IndexError):
            native(LONG, np.int64(10**7))


@pytest.mark.parametrize("count", [0, 257, "many"])
def test_numbers_of_threads_that_do_not_fit(count: Any) -> None:
    with pytest.raises(ValueError, match=r"config\.threads"), config.using(threads=count):
        pass
    assert config.threads == 1


def test_the_environment_says_how_many() -> None:
    code = "from tracegrad.config import config, threads; print(config.threads, threads.value)"
    environment = {**os.environ, "TRACEGRAD_THREADS": "5"}
    found = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert found.stdout.split() == ["5", "5"]
