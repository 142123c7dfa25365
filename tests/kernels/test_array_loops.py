"""Kernels that loop over arrays, run as Python: long vectors, where they take a stretch at a time."""

from __future__ import annotations

import numpy as np
import pytest

import tracegrad as tg
from tracegrad.kernels import reductions, sorting, vectors

generator = np.random.default_rng(2)


@pytest.mark.parametrize(("n", "m"), [(4090, 3), (4100, 4), (8200, 6), (5, 5), (9, 1)])
def test_long_convolutions_are_those_of_numpy(n, m):
    x, y = generator.normal(size=n), generator.normal(size=m)
    full = np.convolve(x, y)
    inside = full[m - 1 : n]
    for kernel, given, wanted in (
        (vectors.convolved, (x, y, 0, 0.0), full),
        (vectors.convolved_by_longer, (y, x, 0, 0.0), full),
        (vectors.convolved_in_full, (x, y, 0.0), full),
        (vectors.convolved_inside, (x, y, 0.0), inside),
        (vectors.convolved, (x, y, m - 1, 0.0), inside),
        (vectors.convolved, (x, y[::-1][::-1], 1, 0.0), full[1:-2]),
        (vectors.convolved_between, (x, y, m // 2, 0.0), full[m // 2 : m // 2 + n]),
        (vectors.convolved_at_few, (x, y, m // 2, 0.0), full[m // 2 : m // 2 + n]),
        (vectors.convolved_at_few, (x, y, m - 1, 0.0), inside),
        (vectors.convolved_at_few, (x, x[::-1], n - 2, 0.0), np.convolve(x, x[::-1])[n - 2 : n + 1]),
    ):
        found = np.full(wanted.size, np.nan)  # what stands there is of no account
        kernel(*given, found)
        np.testing.assert_allclose(found, wanted, rtol=1e-10, atol=1e-13)


def test_an_infinity_reaches_only_what_it_meets():
    x, y = np.arange(1.0, 9.0), np.array([1.0, np.inf, 1.0, 2.0, 1.0])
    found = np.empty(12)
    vectors.convolved(x, y, 0, 0.0, found)
    np.testing.assert_array_equal(found, np.convolve(x, y))


SORTED = {
    "drawn": generator.normal(size=300) * np.exp(generator.normal(size=300) * 50),
    "few values": generator.integers(-2, 3, 200) * 0.5,
    "every kind": np.resize([np.nan, 0.0, -0.0, np.inf, -np.inf, 5e-324, -5e-324, -np.nan, 1.0, -1.0], 160),
    "short": np.array([2.0, np.nan, -1.0, 2.0, -0.0, 0.0, -np.inf, np.nan, -1.0]),
    "single": generator.normal(size=164).astype(np.float32),
    "small integers": generator.integers(-100, 100, 190).astype(np.int16),
    "truth": generator.integers(0, 2, 140).astype(bool),
    "one": np.ones(1),
    "none": np.ones(0),
}


@pytest.mark.parametrize("name", SORTED)
def test_the_order_is_the_stable_one_with_nan_last(name):
    row = SORTED[name]
    found = np.empty(row.shape, np.int64)
    kernel = sorting.argsort_floats if row.dtype == np.float64 else sorting.argsort_blocks
    kernel(row, 1, row.size, 1, np.empty(row.size), found)
    np.testing.assert_array_equal(found, np.argsort(row, kind="stable"))


@pytest.mark.parametrize("dtype", [np.int64, np.uint64])
@pytest.mark.parametrize("size", [9, 180])
def test_integers_are_sorted_to_the_last_bit(dtype, size):
    given = np.iinfo(dtype)
    row = generator.integers(given.min, given.max, size, dtype=dtype, endpoint=True)
    row[:4] = given.max, given.min, given.max, given.max - 1
    turned = 0 if dtype is np.int64 else -(2**63)
    found = np.empty(size, np.int64)
    sorting.argsort_integers(row, 1, size, 1, turned, np.empty(size), found)
    np.testing.assert_array_equal(found, np.argsort(row, kind="stable"))


def test_compiled_orders_are_those_of_numpy_for_every_dtype():
    table = np.resize(SORTED["every kind"], (140, 3)) * np.arange(1.0, 4)
    wide = generator.integers(0, 2**64 - 1, 50, dtype=np.uint64)
    single, signed = table.astype(np.float32), wide.astype(np.int64)

    def orders(table, single, wide, signed):
        return (
            np.argsort(table, axis=0, kind="stable"),
            np.argsort(table, axis=1, kind="stable"),
            np.argsort(table.T, axis=1, kind="stable"),
            np.argsort(single, axis=None, kind="stable"),
            np.argsort(wide, kind="stable"),
            np.argsort(signed, kind="stable"),
        )

    given = table, single, wide, signed
    made = tg.jit(orders, jit="native")
    found = made(*given)
    assert made.stats.compiles == 1, made.explain()
    for order, wanted in zip(found, orders(*given), strict=True):
        np.testing.assert_array_equal(order, wanted)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_the_first_of_equal_extremes_is_found_along_every_axis_and_the_first_nan_before_them(axis):
    cube = generator.integers(-3, 4, (4, 5, 6)).astype(float)
    cube[1, :, 2] = cube[3, 2] = cube[:, 4, 5] = np.nan
    cut = int(np.prod(cube.shape[:axis])), cube.shape[axis], 1, 1, int(np.prod(cube.shape[axis + 1 :]))
    shape = cube.shape[:axis] + cube.shape[axis + 1 :]
    for given in (cube, np.nan_to_num(cube)):
        np.testing.assert_array_equal(reductions.argmax_rows(given, cut, shape), np.argmax(given, axis=axis))
        np.testing.assert_array_equal(reductions.argmin_rows(given, cut, shape), np.argmin(given, axis=axis))
