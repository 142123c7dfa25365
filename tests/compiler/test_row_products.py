"""Products of a matrix and a vector, some rows at a time: right for every size, order, dtype, and in place."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.emit.kernel_patterns import numbers
from tracegrad.compiler import tiles
from tracegrad.compiler.numba_backend import compile_native
from tracegrad.config import config
from tracegrad.ir.source import Source

TEXT = """import numpy as np


def f(x, w, r, by_row, by_column):
    np.dot(x, w, by_row)
    by_row += np.dot(x, w)
    np.dot(r, x, by_column)
    by_column += np.dot(r, x)
    return -1, by_row[0]
"""
SIZES = [(1, 1), (3, 5), (4, 4), (5, 8), (8, 17), (9, 31), (66, 600), (700, 33)]


@pytest.fixture(autouse=True)
def nothing_is_kept(tmp_path: Path) -> Iterator[None]:
    with config.using(cache_dir=str(tmp_path / "cache")):
        yield


def compiled(dtype: Any, order: str) -> Any:
    x = np.asarray(numbers(2, 2).astype(dtype), order=order)
    row = x[0].copy()
    functions = compile_native(Source(TEXT, ("f",)), "row_products", (x, row, row, row, row))
    assert not isinstance(functions, str), functions
    return functions["f"]


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_sizes_and_orders(dtype: Any, order: str) -> None:
    f = compiled(dtype, order)
    for rows, columns in SIZES:
        x = np.asarray(numbers(rows, columns).astype(dtype), order=order)
        w, r = numbers(columns, seed=2).astype(dtype), numbers(rows, seed=3).astype(dtype)
        by_row, by_column = np.full(rows, np.nan, dtype), np.full(columns, np.nan, dtype)
        f(x, w, r, by_row, by_column)
        exact = x.astype(np.longdouble)
        for found, wanted, size in (
            (by_row, 2 * exact @ w, np.abs(exact) @ np.abs(w)),
            (by_column, 2 * r @ exact, np.abs(r) @ np.abs(exact)),
        ):
            bound = 2 * (rows + columns + 2) * np.finfo(dtype).eps * size
            assert np.all(np.abs(found - wanted) <= bound)


def test_what_is_not_finite_stays_in_its_row_or_column() -> None:
    f = compiled(np.float64, "C")
    x, by_row, by_column = np.ones((9, 21)), np.empty(9), np.empty(21)
    x[4, 18], x[7, 2] = np.nan, np.inf
    f(x, np.ones(21), np.ones(9), by_row, by_column)
    np.testing.assert_array_equal(np.flatnonzero(~np.isfinite(by_row)), [4, 7])
    np.testing.assert_array_equal(np.flatnonzero(~np.isfinite(by_column)), [2, 18])


def test_no_elements() -> None:
    f = compiled(np.float64, "C")
    by_row, by_column = np.full(3, np.nan), np.empty(0)
    f(np.empty((3, 0)), np.empty(0), np.ones(3), by_row, by_column)
    np.testing.assert_array_equal(by_row, np.zeros(3))
    by_row, by_column = np.empty(1), np.full(4, np.nan)
    f(np.empty((0, 4)), np.ones(4), np.empty(0), by_row, by_column)
    np.testing.assert_array_equal(by_column, np.zeros(4))


@pytest.mark.skipif(not tiles.register_bytes(), reason="left to BLAS without wide registers")
def test_the_machine_code_is_packed() -> None:
    code = "".join(compiled(np.float64, "C").inspect_asm().values())
    assert len(re.findall(r"vfmadd\w+\s.*[yz]mm", code)) >= 32
