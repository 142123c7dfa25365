"""Products that follow one another: which comes first, and that nothing else moves."""

from __future__ import annotations

import numpy as np
import pytest

from tests.passes.written import read
from tracegrad.ir.interpret import interpret
from tracegrad.ir.text import text
from tracegrad.ir.verify import verify
from tracegrad.passes.product_order import least_memory_first

N = 100
HEAD = f"trace(x: f8[{N},{N}], w: f8[{N},{N}], s: f8[4,4], i: i8[{N}]):\n  "
LAYER = "z = matmul(x, w); h = sin(z); y = matmul(h, w); g = cos(y); "
TURNED = "v = transpose(w, axes=(1, 0)); p = matmul(g, v); t = transpose(h, axes=(1, 0)); q = matmul(t, g); "
ORDERED = "v = transpose(w, axes=(1, 0)); t = transpose(h, axes=(1, 0)); q = matmul(t, g); p = matmul(g, v); "
CHANGED = {
    "what nobody reads later ends first": (
        LAYER + TURNED + "r = multiply(p, z); return q, r",
        LAYER + ORDERED + "r = multiply(p, z); return q, r",
    ),
    "what may be made again is read first": (
        LAYER + TURNED + "r = multiply(p, h); return q, r",
        LAYER + ORDERED + "r = multiply(p, h); return q, r",
    ),
    "a view that both read stays before both": (
        LAYER
        + "p = matmul(g, w); v = transpose(h, axes=(1, 0)); q = matmul(v, g); r = add(p, z); return q, r",
        LAYER
        + "v = transpose(h, axes=(1, 0)); q = matmul(v, g); p = matmul(g, w); r = add(p, z); return q, r",
    ),
    "a multiple of the first waits": (
        LAYER + "p = matmul(g, w); e = multiply(p, 2.0); q = matmul(h, g); r = add(e, z); return q, r",
        LAYER + "q = matmul(h, g); p = matmul(g, w); e = multiply(p, 2.0); r = add(e, z); return q, r",
    ),
    "what indices pick is an array of its own": (
        "h = getitem(x, i, index=(Slot(0),)); g = sin(x); p = matmul(g, w); q = matmul(h, g); "
        "r = add(p, w); return q, r",
        "h = getitem(x, i, index=(Slot(0),)); g = sin(x); q = matmul(h, g); p = matmul(g, w); "
        "r = add(p, w); return q, r",
    ),
}
LEFT = {
    "one product of the other": LAYER
    + "p = matmul(g, w); t = transpose(h, axes=(1, 0)); q = matmul(t, p); return p, q",
    "inputs alone": "p = matmul(x, w); q = matmul(w, x); return p, q",
    "a sum between": LAYER
    + "p = matmul(g, w); e = sum(p, axis=(0,), keepdims=False); q = matmul(h, g); return p, e, q",
    "made of elements between": LAYER + "p = matmul(g, w); e = exp(g); q = matmul(h, e); return p, q",
    "the first ends more": LAYER + "p = matmul(h, w); q = matmul(x, g); return p, q",
    "small ones": "h = sin(s); g = cos(s); p = matmul(g, s); q = matmul(h, g); return p, q",
}


def program(lines: str) -> str:
    return HEAD + "\n  ".join(line.strip() for line in lines.split(";"))


def given() -> list[np.ndarray]:
    g = np.random.default_rng(0)
    matrices = [g.uniform(-1, 1, shape) for shape in ((N, N), (N, N), (4, 4))]
    return [*matrices, g.integers(0, N, N)]


@pytest.mark.parametrize("name", CHANGED)
def test_what_ends_with_a_product_lets_it_come_first(name):
    before, after = (read(program(lines)) for lines in CHANGED[name])
    found = least_memory_first(before)
    verify(found)
    assert text(found) == text(after)
    for one, other in zip(interpret(found, given()), interpret(before, given()), strict=True):
        np.testing.assert_array_equal(one, other)
    assert least_memory_first(found) is found


@pytest.mark.parametrize("name", LEFT)
def test_other_products_stay(name):
    trace = read(program(LEFT[name]))
    assert least_memory_first(trace) is trace


def test_products_in_a_loop_are_ordered():
    body = """
trace(a: f8[{N},{N}], n: i8[]):
  _, b = loop(n, a, carried=1, sliced=0, reverse=False, names=('a',), condition=None, stop=None):
    body = trace(k: i8[], a: f8[{N},{N}]):
      h = sin(a)
      g = cos(a)
      {products}
      r = add(p, q)
      return r
  return b
"""
    before, after = (
        read(body.format(N=N, products="\n      ".join(order)))
        for order in (("p = matmul(g, a)", "q = matmul(h, g)"), ("q = matmul(h, g)", "p = matmul(g, a)"))
    )
    assert text(least_memory_first(before)) == text(after)
