"""A sum of multiples of another sum of parts is one sum of their parts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tracegrad as tg
from tests.passes.written import read
from tracegrad.ir.interpret import interpret
from tracegrad.ir.text import text
from tracegrad.passes.overlays import in_falling_order

rng = np.random.default_rng(3)
SECOND = """trace(g: f8[8], h: f8[10]):
  a = zeros(shape=(9,), dtype=f8)
  b = index_add(a, g, index=(slice(1, None, None),))
  n = negative(g)
  y = index_add(b, n, index=(slice(None, -1, None),))
  m = negative(y)
  c = zeros(shape=(10,), dtype=f8)
  d = index_add(c, y, index=(slice(1, None, None),))
  z = index_add(d, m, index=(slice(None, -1, None),))
  return z
"""


def agree(before: str) -> str:
    trace = read(before)
    found = in_falling_order(trace)
    given = [rng.integers(-9, 9, v.shape).astype(float) for v in trace.inputs]  # exact in any order
    for one, other in zip(interpret(found, given), interpret(trace, given), strict=True):
        np.testing.assert_array_equal(one, other)
    return text(found)


def test_the_sum_between_is_not_made() -> None:
    found = agree(SECOND)
    assert found.count("zeros(") == 1 and found.count("index_add(") == 3
    assert "f8(-2.0)" in found


def test_what_else_is_added_stays() -> None:
    more = ("q = getitem(h, index=(slice(2),))", "w = index_add(z, q, index=(slice(4, 6),))", "return w")
    found = agree(SECOND.replace("return z", "\n  ".join(more)))
    assert found.count("zeros(") == 1 and found.count("index_add(") == 4


@pytest.mark.parametrize(
    "more",
    [
        "return z, y",
        "return z, m",
        "s = sum(y, axis=(0,), keepdims=False)\n  return z, s",
    ],
)
def test_a_sum_that_is_read_elsewhere_is_made(more: str) -> None:
    assert agree(SECOND.replace("return z", more)).count("zeros(") == 2


FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "second": lambda x: np.sum(np.diff(x, 2, axis=0) ** 2),
    "third": lambda x: np.sum(np.diff(x, 3, axis=0) ** 2),
    "fifth": lambda x: np.sum(np.diff(x.ravel(), 5) ** 2),
    "second, along rows": lambda x: np.sum(np.diff(x, 2, axis=1) ** 2),
    "along both axes": lambda x: np.sum(np.diff(np.diff(x, axis=0), axis=1) ** 2),
    "smoothed twice": lambda x: np.sum(np.diff(x[:-2] + 2.0 * x[1:-1] + x[2:], 2, axis=0) ** 2 * 0.25),
    "with the ends again": lambda x: np.sum(np.diff(np.concatenate([x[:1], x, x[-1:]]), 2, axis=0) ** 2),
}


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("side", [7, 120])
def test_differences_of_differences(name: str, side: int) -> None:
    function = FUNCTIONS[name]
    x, direction = rng.uniform(-1, 1, (2, side, side))
    slope = (function(x + direction) - function(x - direction)) / 2  # exact: the function is a square
    with tg.config.using(contract=False):
        native, array = (tg.grad(function, jit=tier)(x) for tier in ("native", "python"))
    np.testing.assert_array_equal(native, array)
    np.testing.assert_allclose(np.sum(native * direction), slope, rtol=1e-9)
