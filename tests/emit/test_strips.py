"""Loops along columns of arrays read copies of columns: the same numbers, and only where that is right."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tracegrad as tg
from tests.emit.kernel_patterns import numbers
from tests.emit.test_sharing import lines
from tracegrad.config import config
from tracegrad.emit.printer import Page
from tracegrad.emit.strips import ROWS, in_strips

ROUNDS = {
    "plain": "for i in range(N):\n    for j in range(M):\n        {}",
    "threads": "for i in range(N):\n    if first <= i < last:\n        for j in range(M):\n            {}",
    "blocks": "for start in range(0, N, 7):\n    for k in range(min(7, N - start)):\n        i = start + k\n"
    "        for j in range(M):\n            {}",
    "shared blocks": "for block in range(-(-N // 7)):\n    if first <= block < last:\n        start = 7 * block\n"
    "        for k in range(min(7, N - start)):\n            i = start + k\n            for j in range(M):\n"
    "                {}",
    "parts of rows": "for i in range(N):\n    for start in range(0, M, 10):\n"
    "        for k in range(min(10, M - start)):\n            j = start + k\n            {}",
}


def written(text: str) -> str:
    page = Page(None)
    page.write(in_strips(lines(text), ("first", "last")))
    return "\n".join(page.lines)


@pytest.mark.parametrize("n", [24, ROWS, ROWS + 1, 3 * ROWS - 1, 70])
@pytest.mark.parametrize("rounds", ROUNDS)
def test_the_same_elements(rounds: str, n: int) -> None:
    """All of the text is run by Python, on NaN where nothing is written."""
    text = ROUNDS[rounds].replace("-(-N // 7)", str(-(-n // 7))).replace("N", str(n)).replace("M", "41")
    new = written(text.format("y[i, j] = x[j, i] * 2.0 + z[i, j] * x[j, i]"))
    assert "strip[row, j]" in new and "y[i, j] = strip" in new
    x, z = numbers(41, n), numbers(n, 41)
    size = 7 if "block in" in text else 1
    count = -(-n // size)
    for first, last in [(0, count // 3), (count // 3, count)] if "first" in text else [(0, count)]:
        y = np.full((n, 41), np.nan)
        exec(new, {"np": np, "x": x, "y": y, "z": z, "first": first, "last": last})
        mine = slice(first * size, last * size)
        assert np.array_equal(y[mine], (x.T * 2.0 + z * x.T)[mine])


PLAIN = ROUNDS["plain"].replace("N", "50").replace("M", "50")


@pytest.mark.parametrize(
    "text",
    [
        PLAIN.format("y[i, j] = x[j, i]"),  # a copy already
        PLAIN.format("y[i, j] = 2.0 * x[i, j]"),
        PLAIN.format("x[i, j] = 2.0 * x[j, i]"),  # written in the same loop
        PLAIN.format("y[i, j] = 2.0 * x[j, i]") + "\n    x[i, 0] = 1.0",
        PLAIN.format("y[i, j] = 2.0 * x[j, i]") + "\n    put_product(a[i], b, x[i])",
        PLAIN.format("y[i, j] = 2.0 * x[j, i]") + "\n    row = x[i]\n    row[0] = 1.0",
        PLAIN.format("y[i, j] = 2.0 * x[j, i]") + "\n    x = y",
        PLAIN.format("y[i, j] = 2.0 * x[m, j, i]") + "\n    m = k[i]",
        PLAIN.format("y[i, j] = 2.0 * x[j + 1, i]"),
        PLAIN.format("y[i, j] = 2.0 * x[j, j]"),
        PLAIN.format("y[i, j] = 2.0 * x[j, i]").replace("range(50)", "range(n)"),
        PLAIN.format("y[i, j] = 2.0 * x[j, i]").replace("j in range(50)", "j in range(20)"),
        PLAIN.format("if y[i, j]:\n            y[i, j] = 2.0 * x[j, i]"),
        PLAIN.format("i = k[j]; y[i, j] = 2.0 * x[j, i]"),
    ],
)
def test_other_loops_stay(text: str) -> None:
    page = Page(None)
    page.write(lines(text))
    assert written(text) == "\n".join(page.lines)


def test_names_are_new() -> None:
    text = written(PLAIN.format("row[i, j] = 2.0 * strip[j, i] + x[j, i]"))
    assert "row[i, j] = 2.0 * strip_1[row_1, j] + strip_2[row_1, j]" in text
    assert ast.parse(text)


def mirrored(x: Any) -> Any:
    return np.sum(np.tanh(x + x.T))


def products(x: Any, y: Any) -> Any:
    return np.sum(np.exp(-x * y.T) / (1.0 + y.T**2))


def softmax(x: Any, y: Any) -> Any:
    z = x * y.T
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return np.sum(e / e.sum(axis=1, keepdims=True) * np.log(1.0 + y.T**2))


def stacked(x: Any) -> Any:
    a = x.reshape(3, 40, 40)
    return np.sum(np.sin(a + a.transpose(0, 2, 1)) * a)


def stepped(x: Any) -> Any:
    y = x
    for _ in range(20):
        y = y + 0.01 * np.tanh(y.T - 0.5 * y)
    return np.sum(y * y)


def compiled(function: Callable[..., Any], *arrays: Any) -> Any:
    g = tg.value_and_grad(function, argnums=tuple(range(len(arrays))), jit="native")
    g(*arrays)
    return g


@pytest.mark.parametrize(
    ("function", "shapes"),
    [
        (mirrored, [(33, 33)]),
        (mirrored, [(900, 900)]),
        (products, [(70, 50), (50, 70)]),
        (products, [(1100, 1030), (1030, 1100)]),
        (softmax, [(64, 90), (90, 64)]),
        (stacked, [(4800,)]),
        (stepped, [(45, 45)]),
    ],
)
def test_gradients(function: Callable[..., Any], shapes: Any) -> None:
    arrays = [numbers(*shape) for shape in shapes]
    native = compiled(function, *arrays)
    assert "strip" in native.native_source
    value, gradients = native(*arrays)
    expected, others = tg.value_and_grad(function, argnums=tuple(range(len(arrays))), jit="python")(*arrays)
    assert np.isclose(value, function(*arrays), rtol=1e-11, atol=0)
    assert np.isclose(value, expected, rtol=1e-11, atol=0)
    for mine, other in zip(gradients, others, strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-10, atol=1e-13)
    for count in (1, 2, 3):
        with config.using(threads=count):
            again, same = native(*arrays)
        assert again == value and all(map(np.array_equal, same, gradients))


def elements(x: Any, y: Any) -> Any:
    return (x + y.T) * (x - 2.0) / (y.T * y.T + 1.0)


def test_the_same_bits() -> None:
    x, y = numbers(130, 70), numbers(70, 130)
    with config.using(contract=False):
        f = tg.jit(elements, jit="native")
        assert np.array_equal(f(x, y), elements(x, y))
        assert "strip" in f.native_source
