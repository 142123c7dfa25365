"""Products that stand where their left operand stood: when, what they need, and that they are the same products."""

from __future__ import annotations

import ast
from typing import Any

import numpy as np
import pytest

import tracegrad as tg
from tests.emit.test_sharing import lines
from tracegrad.emit.products_over import standing_over
from tracegrad.emit.sharing import shared
from tracegrad.ir.types import ArrayType
from tracegrad.kernels.products import product_over

LARGE = ArrayType((1000, 700), np.dtype(np.float64))


def rooms(text: str, type: ArrayType = LARGE) -> int:
    return len(shared(lines(text), {"a": type, "b": type}, {"b": 0}, {}))


def test_a_large_product_stands_over_its_left_operand() -> None:
    text = "f(x, a)\nnp.dot(a, w.T, b)\nreturn_(b[0, 0])"
    assert rooms(text) == 1
    over = standing_over(lines(text)[1], LARGE)
    assert over is not None and ast.unparse(over.statement) == "product_over(a, w.T, 144)"
    assert standing_over(lines(text)[0], LARGE) is None


@pytest.mark.parametrize(
    "text",
    [
        "f(x, a)\nnp.dot(w, a, b)\nreturn_(b[0, 0])",
        "f(x, a)\nnp.dot(a, a.T, b)\nreturn_(b[0, 0])",
        "f(x, a)\nnp.dot(a.T, w, b)\nreturn_(b[0, 0])",
        "f(x, a)\nnp.dot(a, w, b)\nreturn_(a[0, 0])",
        "f(x, a)\nnp.dot(a, f(b), b)\nreturn_(b[0, 0])",
    ],
)
def test_what_is_read_in_another_order_or_later_has_its_own_memory(text: str) -> None:
    assert rooms(text) == 2


def test_small_matrices_are_not_worth_the_blocks() -> None:
    text = "f(x, a)\nnp.dot(a, w, b)\nreturn_(b[0, 0])"
    assert [rooms(text, ArrayType(s, LARGE.dtype)) for s in ((500, 2000), (1000, 500))] == [2, 2]
    assert rooms(text, ArrayType((2000, 500), np.dtype(np.float32))) == 2


@pytest.mark.parametrize("rows", [1, 3, 7, 20])
def test_the_kernel_is_a_product(rows: int) -> None:
    x, y = np.random.default_rng(0).normal(size=(7, 4)), np.random.default_rng(1).normal(size=(4, 4))
    wanted = x @ y
    product_over(x, y, rows)
    np.testing.assert_allclose(x, wanted, rtol=1e-14)


def covariance(x: Any) -> Any:
    return np.sum(np.cov(x, rowvar=False) ** 2)


@pytest.mark.parametrize("function", [covariance])
def test_gradients_of_programs_with_such_products(function: Any) -> None:
    x = np.random.default_rng(2).normal(size=(900, 900))
    gradient = tg.value_and_grad(function, jit="native")
    value, found = gradient(x)
    assert "product_over(" in gradient.native_source.rpartition("def ")[2]
    other, wanted = tg.value_and_grad(function, jit="python")(x)
    np.testing.assert_allclose([value, function(x)], [other] * 2, rtol=1e-11)
    np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-11 * np.max(np.abs(wanted)))
    v = np.random.default_rng(3).normal(size=x.shape)
    difference = (function(x + 1e-5 * v) - function(x - 1e-5 * v)) / 2e-5
    np.testing.assert_allclose(np.sum(found * v), difference, rtol=1e-6, atol=1e-6 * np.linalg.norm(found))


def test_a_covariance_takes_two_matrices_and_a_buffer() -> None:
    gradient = tg.value_and_grad(covariance, jit="native")
    gradient(np.random.default_rng(4).normal(size=(900, 900)))
    assert len(gradient.last.built.memory) == 2
