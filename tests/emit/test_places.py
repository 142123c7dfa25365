"""Places known only at run time, in compiled code: found again where they are read, and not kept."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tracegrad as tg
from tracegrad.emit.sizes import LARGE

COUNT = LARGE // 8  # elements of an array that is worth a thought


def gathered(x: Any, i: Any) -> Any:
    return np.sum(x[i] * x)


def rows(x: Any, i: Any) -> Any:
    return np.sum(x[i] * np.sin(x))


def added(x: Any, i: Any) -> Any:
    a = np.zeros_like(x)
    np.add.at(a, i, x * x)
    return np.sum(a * x)


def in_a_table(x: Any) -> Any:
    return np.sum(np.interp(x, TABLE, TABLE**2))


def in_a_made_table(x: Any) -> Any:
    table = np.cumsum(np.abs(x[:40]) + 0.01)
    return np.sum(np.interp(x, table, np.sin(table), left=-1.0) ** 2)


TABLE = np.linspace(-1.0, 1.0, 17)


def vector(count: int = COUNT, seed: int = 0) -> Any:
    return np.random.default_rng(seed).uniform(-1.3, 1.3, count)


def apart(count: int) -> Any:
    """Numbers that are not near each other."""
    return np.random.default_rng(3).permutation(np.linspace(-1.3, 1.2, count))


def slope(function: Callable[..., Any], x: Any, *rest: Any) -> tuple[float, Any]:
    """The derivative along a direction, by differences, and the direction."""
    v = vector(x.size, 9).reshape(x.shape)
    h = 1e-7
    return (function(x + h * v, *rest) - function(x - h * v, *rest)) / (2 * h), v


def check(function: Callable[..., Any], x: Any, *rest: Any) -> str:
    """Value and gradient in the native text against NumPy's, differences and array text; that text."""
    native, array = (tg.value_and_grad(function, jit=tier) for tier in ("native", "python"))
    value, x_bar = native(x, *rest)
    assert native.stats.compiles == 1
    np.testing.assert_allclose(value, function(x, *rest), rtol=1e-12)
    along, v = slope(function, x, *rest)
    np.testing.assert_allclose(np.sum(x_bar * v), along, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(x_bar, array(x, *rest)[1], rtol=1e-12, atol=1e-14)
    return str(native.native_source)


@pytest.mark.parametrize("kind", ["once", "repeated", "one place", "negative", "int32", "uint8"])
def test_indices_are_checked_again_and_not_kept(kind: str) -> None:
    draw = np.random.default_rng(1)
    indices = {
        "once": draw.permutation(COUNT),
        "repeated": draw.integers(0, COUNT, COUNT),
        "one place": np.full(COUNT, -1),
        "negative": draw.integers(-COUNT, COUNT, COUNT),
        "int32": draw.integers(-COUNT, COUNT, COUNT, np.int32),
        "uint8": draw.integers(0, 256, COUNT, np.uint8),
    }[kind]
    for function in (gathered, added):
        text = check(function, vector(), indices)
        assert "checked(" in text and "inside_i[" not in text


def test_rows_and_short_vectors() -> None:
    for count in (3, 20):
        assert "checked(" in check(gathered, vector(count), np.random.default_rng(2).integers(-3, 3, count))
    x = vector(6000).reshape(2000, 3)
    check(rows, x, np.random.default_rng(2).integers(-2000, 2000, 2000))


def test_no_indices() -> None:
    gradient = tg.value_and_grad(lambda x, i: np.sum(x[i] ** 2), jit="native")
    value, x_bar = gradient(vector(), np.zeros(0, np.intp))
    assert value == 0.0 and not x_bar.any()
    value, x_bar = tg.value_and_grad(in_a_table, jit="native")(np.zeros(0))
    assert value == 0.0 and x_bar.shape == (0,)


@pytest.mark.parametrize("wrong", [COUNT, -COUNT - 1, 2**40])
def test_an_index_outside_is_an_error_of_the_users_line(wrong: int) -> None:
    x, i = vector(), np.random.default_rng(1).integers(-COUNT, COUNT, COUNT)
    bad = i.copy()
    bad[COUNT // 2] = wrong
    for function in (gathered, added):
        gradient = tg.value_and_grad(function, jit="native")
        gradient(x, i)
        with pytest.raises(IndexError) as theirs:
            function(x, bad)
        with pytest.raises(IndexError) as ours:
            gradient(x, bad)
        assert str(ours.value) == str(theirs.value)
        first = function.__code__.co_firstlineno
        said = "".join(getattr(ours.value, "__notes__", ())) + "".join(
            traceback.format_tb(ours.value.__traceback__)
        )
        assert any(
            f"test_places.py:{n}," in said or f'test_places.py", line {n},' in said
            for n in range(first + 1, first + 4)
        )


@pytest.mark.parametrize("function", [in_a_table, in_a_made_table])
@pytest.mark.parametrize("count", [50, COUNT])
def test_places_in_a_table_are_numbers(function: Callable[..., Any], count: int) -> None:
    text = check(function, vector(count))
    assert "place_in(" in text and "checked" not in text
    assert "searchsorted_data[" not in text


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("length", [0, 1, 2, 3, 4, 7, 16, 17, 100])
def test_places_among_ties_infinities_and_nan(side: Any, length: int) -> None:
    draw = np.random.default_rng(length)
    table = np.sort(np.round(draw.uniform(-1, 1, length), 1))
    numbers = np.round(draw.uniform(-1.3, 1.3, 300), 1)
    numbers[:4] = np.nan, np.inf, -np.inf, -0.0
    for row in (
        table,
        np.where(np.arange(length) >= length - 2, np.nan, table),
        np.round(10 * table).astype(int),
    ):

        def places(x: Any, row: Any = row) -> Any:
            return np.searchsorted(row, x, side)

        found = tg.jit(places, jit="native")(numbers)
        np.testing.assert_array_equal(found, places(numbers))
        one = tg.jit(places, jit="native")
        for number in numbers[:8]:
            assert one(number) == places(number)


def test_a_table_that_is_a_part_is_not_made_in_each_round() -> None:
    def strided(x: Any) -> Any:
        table = np.cumsum(np.abs(x) + 0.1)
        return np.sum(x * np.searchsorted(table[::2] * 2.0, 30.0 * x)) + np.sum(
            np.searchsorted(table[1::3], 9.0 * x) * x**2
        )

    check(strided, vector(200))


def ordered(x: Any) -> Any:
    return np.sum(np.sort(x) * x)


def ordered_rows(x: Any) -> Any:
    y = x.reshape(-1, 128)
    return np.sum(np.sort(y, axis=0) * y) + np.sum(np.sort(y, axis=1) ** 2 * y)


@pytest.mark.parametrize("function", [ordered, ordered_rows])
@pytest.mark.parametrize("count", [128, COUNT])
def test_the_gradient_stands_where_there_was_room_to_sort(function: Callable[..., Any], count: int) -> None:
    text = check(function, apart(count))
    assert ("argsort_x_room = x_bar" in text) == (function is ordered and count == COUNT)


def test_what_is_sorted_twice_has_room_of_its_own() -> None:
    def twice(x: Any) -> Any:
        y = np.sort(np.tanh(x))
        return np.sum(y * x) + np.sum(np.sort(-2.0 * x) * np.cos(y)) + np.sum(np.argsort(-x) * x)

    check(twice, apart(COUNT))
