"""Short loops over large arrays, written out, compute what the loops compute; other loops stay."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tracegrad as tg
from tests.emit.kernel_patterns import assert_packed, compiled, numbers

LONG = numbers(3000)
TABLE = numbers(4, 3000, seed=2)


def damped(x: Any) -> Any:
    y = x
    for _ in range(4):
        y = np.sqrt(y * y + x) / (1.0 + y)
    return np.sum(y * y)


def counted(x: Any) -> Any:
    y = x
    for k in range(5):
        y = y / (1.0 + k) + x
    return np.sum(y * y)


def rows_of_a_table(x: Any) -> Any:
    y = x
    for k in range(4):
        y = y * TABLE[k] + x
    return np.sum(y * y)


def two_loops(x: Any) -> Any:
    y = x
    for _ in range(3):
        y = np.sqrt(y + x)
    for _ in range(2):
        y = y * y + x
    return np.mean(y)


@pytest.mark.parametrize("function", [damped, counted, rows_of_a_table, two_loops])
def test_value_and_gradient(function: Callable[..., Any]) -> None:
    native = compiled(function, LONG)
    assert not re.search(r"^ *for k in", native.native_source, re.MULTILINE)
    assert native.native_source.count("range(0, 3000") == 1
    assert_packed(native, 8)
    (value, bar), (wanted, wanted_bar) = native(LONG), tg.value_and_grad(function, jit="python")(LONG)
    np.testing.assert_allclose(value, wanted, rtol=1e-13)
    np.testing.assert_allclose(bar, wanted_bar, rtol=1e-12)


@pytest.mark.parametrize("n, times", [(200, 0), (32, 2)])
def test_small_arrays_alone_are_left_in_their_loop(n: int, times: int) -> None:
    x = numbers(n)
    f = tg.value_and_grad(damped, jit="python")
    f(x)
    assert len(re.findall(r"^ *for k in ", f.native_source, re.MULTILINE)) == times


def test_a_second_derivative() -> None:
    def f(x: Any) -> Any:
        return np.sum(tg.grad(damped)(x) ** 2)

    native, readable = tg.grad(f, jit="native")(LONG), tg.grad(f, jit="python")(LONG)
    np.testing.assert_allclose(native, readable, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("steps", [17, 100])
def test_long_loops_stay(steps: int) -> None:
    def f(x: Any) -> Any:
        for _ in range(steps):
            x = np.sqrt(x + 1.0)
        return np.sum(x)

    native = compiled(f, LONG)
    assert f"range({steps})" in native.native_source
    np.testing.assert_allclose(native(LONG)[1], tg.grad(f, jit="python")(LONG), rtol=1e-12)


def test_small_arrays_stay_in_their_loop() -> None:
    native = compiled(damped, LONG[:5].copy())
    assert "range(4)" in native.native_source


def test_products_of_matrices_stay_in_their_loop() -> None:
    matrix = numbers(40, 40) / 40

    def f(x: Any) -> Any:
        y = x
        for _ in range(3):
            y = np.dot(matrix, y) + x
        return np.sum(y * y)

    x = numbers(40, 40, seed=3)
    native = compiled(f, x)
    assert "range(3)" in native.native_source
    np.testing.assert_allclose(native(x)[1], tg.grad(f, jit="python")(x), rtol=1e-12)


def test_a_loop_whose_reverse_alone_is_of_elementwise_steps() -> None:
    """The number written in place has no derivative: the reverse could be written out, and its stacks not."""

    def f(x: Any) -> Any:
        y = x
        for k in range(3):
            y = np.tanh(np.exp(-y * y))
            y[2:4] -= 0.3 * k
        return np.sum(y * x)

    native, readable = compiled(f, LONG)(LONG), tg.value_and_grad(f, jit="python")(LONG)
    np.testing.assert_allclose(native[1], readable[1], rtol=1e-12)


def test_a_loop_whose_entries_are_a_result() -> None:
    def f(x: Any) -> Any:
        kept = []
        for _ in range(3):
            x = np.sqrt(x + 1.0)
            kept.append(x)
        return np.stack(kept)

    native = compiled(f, LONG, transform=tg.jit)
    np.testing.assert_allclose(native(LONG), f(LONG), rtol=1e-14)


def test_what_the_iterations_made_is_read_as_an_array() -> None:
    def f(x: Any) -> Any:
        kept, total = [], 0.0
        for k in range(5):
            x = np.sqrt(x + 1.0 + k)
            kept.append(x)
        for y in kept:
            total = total + np.sum(y * y)
        return total + np.sum(np.cumsum(np.stack(kept), axis=0) ** 2)

    native = compiled(f, LONG)
    (value, bar), (wanted, wanted_bar) = native(LONG), tg.value_and_grad(f, jit="python")(LONG)
    np.testing.assert_allclose(value, wanted, rtol=1e-13)
    np.testing.assert_allclose(bar, wanted_bar, rtol=1e-12)


def test_a_branch_without_results_stays() -> None:
    def checked(x: Any, limit: float) -> Any:
        if x[0] > 1:
            assert limit < 5.0, "too large"
        y = x
        for _ in range(4):
            y = np.sqrt(y * y + x)
        return np.sum(y) * limit

    native = tg.value_and_grad(checked, jit="native")
    plain = tg.value_and_grad(checked, jit="python")
    for arguments in ((1 + LONG, 2.0), (LONG / 9, 2.0), (1 + LONG, 3.0)):
        np.testing.assert_allclose(native(*arguments)[1], plain(*arguments)[1], rtol=1e-12)
    with pytest.raises(AssertionError, match="too large"):
        native(1 + LONG, 7.0)
