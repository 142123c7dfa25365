"""Sums in compiled programs: of any size, in blocks, accurate, the same whatever the array beside them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import tracegrad as tg
from tests.emit.kernel_patterns import assert_packed, compiled, numbers

SIZES = (0, 1, 2, 7, 8, 9, 15, 16, 17, 127, 128, 129, 1023, 1024, 1025, 2048, 3000)


def sum_of_squares(x: Any) -> Any:
    return np.sum(x * x)


@pytest.mark.parametrize("n", SIZES)
def test_value_and_gradient_around_the_edges_of_blocks(n: int) -> None:
    x = numbers(n)
    value, x_bar = compiled(sum_of_squares, x)(x)
    np.testing.assert_allclose(value, math.fsum(x * x), rtol=4e-16 * max(4, math.log2(n + 1)))
    np.testing.assert_array_equal(x_bar, 2 * x)


@pytest.mark.parametrize(
    "shape", [(3, 5), (1, 5000), (5000, 1), (2, 1024), (2, 1025), (1025, 3), (7, 1, 300), (3, 40, 41), (1, 1)]
)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_sums_over_all_axes(shape: tuple[int, ...], dtype: Any) -> None:
    x = numbers(*shape, dtype=dtype)
    found = compiled(lambda x: np.sum(x * x + x), x, transform=tg.jit)(x)
    assert np.asarray(found).dtype == dtype
    np.testing.assert_allclose(
        found, np.sum((x * x + x).astype(float)), rtol=1e-6 if dtype == np.float32 else 1e-14
    )


@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.bool_])
def test_whole_numbers_are_summed_exactly(dtype: Any) -> None:
    x = (np.arange(5000) % 3).astype(dtype)
    found = compiled(lambda x: np.sum(x), x, transform=tg.jit)(x)
    assert found == np.sum(x) and np.asarray(found).dtype == np.sum(x).dtype


def test_many_single_precision_numbers_do_not_stop_growing() -> None:
    x = np.ones(20_000_000, np.float32)
    assert compiled(lambda x: np.sum(x), x, transform=tg.jit)(x) == np.float32(20_000_000)


def test_two_sums_in_one_loop_have_each_their_parts() -> None:
    x, y = numbers(3000), numbers(3000, seed=2)
    f = compiled(lambda x, y: np.sum(x * y) * np.sum(x / y), x, y)
    value, (x_bar, _) = f(x, y)
    np.testing.assert_allclose(value, np.sum(x * y) * np.sum(x / y), rtol=1e-14)
    np.testing.assert_allclose(x_bar, np.sum(x / y) * y + np.sum(x * y) / y, rtol=1e-13)


def test_a_sum_does_not_depend_on_where_its_array_lies() -> None:
    f = None
    room = numbers(4000)
    found = set()
    for shift in range(9):
        x = np.empty(3012, np.float64)[shift : shift + 3000]
        x[:] = room[:3000]
        f = f or compiled(sum_of_squares, x, transform=tg.jit)
        found.add(float(f(x)))
    assert len(found) == 1


def test_the_loop_of_a_sum_is_vectorised() -> None:
    x, y, z = numbers(5000), numbers(5000, seed=2), numbers(5000, seed=3)
    f = compiled(lambda x, y, z: np.sum(np.sqrt(x * y) / z + x * z), x, y, z)
    assert f.native_source.count("range(0, 5000") == 1  # value and gradients take one pass
    assert_packed(f, 12)


def test_an_argument_given_twice() -> None:
    x = numbers(3000)
    f = compiled(lambda x, y: np.sum(x * y * y), x, x)
    value, (x_bar, y_bar) = f(x, x)
    np.testing.assert_allclose(value, np.sum(x**3), rtol=1e-14)
    np.testing.assert_allclose(x_bar, x * x, rtol=1e-15)
    np.testing.assert_allclose(y_bar, 2 * x * x, rtol=1e-15)
    assert not np.shares_memory(x_bar, y_bar) and not np.shares_memory(x_bar, x)


def test_arguments_that_overlap() -> None:
    room = numbers(3001)
    x, y = room[1:], room[:-1]
    f = compiled(lambda x, y: (np.sum(x * y), x + y)[0], x, y)
    value, (x_bar, y_bar) = f(x, y)
    np.testing.assert_allclose(value, np.sum(x * y), rtol=1e-14)
    np.testing.assert_array_equal(x_bar, y)
    np.testing.assert_array_equal(y_bar, x)
