"""Products that are added to what stands there: which sums are written so, and which are not."""

from __future__ import annotations

import numpy as np
import pytest

from tests.passes.written import read
from tracegrad.ir.dce import drop_unused
from tracegrad.ir.interpret import interpret
from tracegrad.ir.text import text
from tracegrad.ir.verify import verify
from tracegrad.passes.added_products import add_products

HEAD = "trace(x: f8[20,20], w: f8[20,20], y: f8[20,20], b: f8[20], s: f8[4,4]):\n  "
PRODUCTS = "p = matmul(x, w); q = matmul(y, w); "
ADDED = {
    "two": ("u = add(p, q); return u", "u = index_add(p, q, index=()); return u"),
    "a bias between": (
        "t = add(p, b); u = add(t, q); return u",
        "_1 = index_add(p, q, index=()); u = add(_1, b); return u",
    ),
    "three": (
        "r = matmul(w, w); t = add(p, q); u = add(r, t); return u",
        "r = matmul(w, w); t = index_add(p, q, index=()); u = index_add(t, r, index=()); return u",
    ),
    "to an array nobody needs": (
        "e = exp(y); t = add(p, q); u = add(e, t); return u",
        "e = exp(y); t = index_add(p, q, index=()); u = add(e, t); return u",
    ),
    "to one's own": (
        "e = exp(y); u = add(e, p); return u, q",
        "e = exp(y); u = index_add(e, p, index=()); return u, q",
    ),
}
LEFT = {
    "a product read again": "u = add(p, q); return u, q",
    "one read by a loop": "e = exp(y); t = add(e, p); u = sin(t); return u, q",
    "an input": "u = add(x, p); return u, q",
    "a matrix times itself": "e = exp(y); t = transpose(x, axes=(1, 0)); r = matmul(x, t); u = add(e, r); return u, q",
    "one needed afterwards": "e = exp(y); u = add(e, p); return u, e, q",
    "a small product": "p = matmul(s, s); q = matmul(p, s); u = add(p, q); return u",
    "twice the same": "u = add(p, p); return u, q",
}


def program(lines: str) -> str:
    lines = lines if "a small" in lines or "matmul(s" in lines else PRODUCTS + lines
    return HEAD + "\n  ".join(line.strip() for line in lines.split(";"))


def given() -> list[np.ndarray]:
    g = np.random.default_rng(0)
    return [g.uniform(-1, 1, shape) for shape in ((20, 20), (20, 20), (20, 20), (20,), (4, 4))]


@pytest.mark.parametrize("name", ADDED)
def test_products_are_added_to_what_is_there(name):
    before, after = (read(program(lines)) for lines in ADDED[name])
    found = drop_unused(add_products(before))
    verify(found)
    assert text(found) == text(after)
    for one, other in zip(interpret(found, given()), interpret(before, given()), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)


@pytest.mark.parametrize("name", LEFT)
def test_other_sums_stay(name):
    trace = read(program(LEFT[name]))
    assert add_products(trace) is trace


def test_what_a_loop_carries_is_added_to():
    body = """
trace(g: f8[20,20], x: f8[20,20], n: i8[]):
  _, h = loop(n, g, x, carried=1, sliced=0, reverse=False, names=('g',), condition=None, stop=None):
    body = trace(k: i8[], g: f8[20,20], x: f8[20,20]):
      p = matmul(x, x)
      u = {}
      return u
  return h
"""
    before, after = (read(body.format(sum)) for sum in ("add(g, p)", "index_add(g, p, index=())"))
    assert text(add_products(before)) == text(after)
