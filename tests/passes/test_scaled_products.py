"""Multiples of products instead of products of multiples: when, that values are the same, and what programs need."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tracegrad as tg
from tests.passes.written import read
from tracegrad.ir.interpret import interpret
from tracegrad.ir.text import text
from tracegrad.ir.verify import verify
from tracegrad.passes.scaled_products import scale_products

N = 100
HEAD = f"trace(x: f8[{N},{N}], w: f8[{N},{N}]):\n  "
CHANGED = {
    "a multiple": (
        "a = multiply(2.0, x); p = matmul(a, w); return p",
        "p = matmul(x, w); q = multiply(p, f8(2.0)); return q",
    ),
    "both, turned": (
        "a = multiply(x, 0.5); t = transpose(a, axes=(1, 0)); b = negative(w); p = matmul(t, b); return p",
        "t = transpose(x, axes=(1, 0)); p = matmul(t, w); q = multiply(p, f8(-0.5)); return q",
    ),
    "a multiple of it": (
        "a = negative(x); p = matmul(w, a); q = multiply(p, 4.0); return q",
        "p = matmul(w, x); q = multiply(p, f8(-4.0)); return q",
    ),
    "a sum of two": (
        "a = multiply(2.0, x); p = matmul(a, w); q = matmul(w, a); s = add(p, q); return s",
        "p = matmul(x, w); q = matmul(w, x); s = add(p, q); r = multiply(s, f8(2.0)); return r",
    ),
}
LEFT = {
    "another factor": "a = multiply(0.1, x); p = matmul(a, w); return p",
    "read elsewhere": "a = multiply(2.0, x); p = matmul(a, w); e = exp(a); return p, e",
    "turned and returned": "a = negative(x); t = transpose(a, axes=(1, 0)); p = matmul(t, w); return p, t",
    "no number": "a = multiply(w, x); p = matmul(a, w); return p",
    "an infinity": "a = multiply(inf, x); p = matmul(a, w); return p",
}


@pytest.mark.parametrize("name", CHANGED)
def test_what_is_read_by_products_alone_is_multiplied_later(name: str) -> None:
    before, after = (read(HEAD + source.replace("; ", "\n  ")) for source in CHANGED[name])
    found = scale_products(before)
    verify(found)
    assert [str(s.op.name) for s in found.steps] == [str(s.op.name) for s in after.steps]
    x, w = (np.random.default_rng(seed).normal(size=(N, N)) for seed in (1, 2))
    values = [interpret(trace, [x, w])[0] for trace in (before, after, found)]
    np.testing.assert_array_equal(values[2], values[1])
    np.testing.assert_array_equal(values[2], values[0])


@pytest.mark.parametrize("name", LEFT)
def test_all_else_is_left(name: str) -> None:
    before = read(HEAD + LEFT[name].replace("; ", "\n  "))
    assert scale_products(before) is before or text(scale_products(before)) == text(before)


def test_small_matrices_are_left() -> None:
    source = "trace(x: f8[20,20]):\n  a = multiply(2.0, x)\n  p = matmul(a, x)\n  return p"
    assert text(scale_products(read(source))) == text(read(source))


def between(x: Any, y: Any) -> Any:
    squares = np.sum(x * x, axis=1)[:, None] + np.sum(y * y, axis=1)[None, :] - 2 * x @ y.T
    return np.sum(np.sqrt(np.maximum(squares, 0) + 1e-3))


def among(x: Any) -> Any:
    s = np.sum(x * x, 1)
    return np.sum(np.sqrt(np.maximum(s[:, None] + s[None] - 2 * x @ x.T, 0) + 1e-3))


@pytest.mark.parametrize(("function", "count", "matrices"), [(between, 2, 3), (among, 1, 2)])
def test_distances_take_the_gradients_and_one_matrix(function: Any, count: int, matrices: int) -> None:
    points = [np.random.default_rng(seed).normal(size=(200, 200)) for seed in range(count)]
    gradient = tg.value_and_grad(function, argnums=tuple(range(count)), jit="native")
    value, found = gradient(*points)
    other, wanted = tg.value_and_grad(function, argnums=tuple(range(count)), jit="python")(*points)
    np.testing.assert_allclose([value, function(*points)], [other] * 2, rtol=1e-12)
    for a, b in zip(found, wanted, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9)
    steps = [np.random.default_rng(9 + seed).normal(size=(200, 200)) for seed in range(count)]
    up, down = (function(*(p + h * s for p, s in zip(points, steps, strict=True))) for h in (1e-5, -1e-5))
    slope = sum(np.sum(a * b) for a, b in zip(found, steps, strict=True))
    np.testing.assert_allclose(slope, (up - down) / 2e-5, rtol=1e-5, atol=1e-4)
    assert len(gradient.last.built.memory) == matrices
