"""Every rule of the table, by text: before on the left, after on the right, without what is then unused."""

from __future__ import annotations

import pytest

from tests.passes.written import read, shown, steps
from tracegrad.ir.dce import drop_unused
from tracegrad.ir.text import text
from tracegrad.ir.trace import Trace
from tracegrad.passes.simplify import simplify

ALGEBRA = [
    ("a = add(v, 0.0); a", "v"),
    ("a = add(0, v); a", "v"),
    ("a = add(v, -0.0); a", "v"),
    ("a = subtract(v, 0.0); a", "v"),
    ("a = subtract(0.0, v); a", "same"),  # -v is -0.0 at 0
    ("a = multiply(v, 1.0); a", "v"),
    ("a = multiply(f8(1.0), v); a", "v"),
    ("a = multiply(v, -1); a", "a = negative(v); a"),
    ("a = divide(v, 1.0); a", "v"),
    ("a = divide(v, -1); a", "a = negative(v); a"),
    ("a = power(v, 1); a", "v"),
    ("a = power(v, 2); a", "a = power(v, 2); a"),
    ("a = negative(v); b = negative(a); b", "v"),
    ("a = positive(v); a", "v"),
    ("a = negative(v); b = add(w, a); b", "b = subtract(w, v); b"),
    ("a = negative(v); b = add(a, w); b", "b = subtract(w, v); b"),
    ("a = negative(v); b = subtract(w, a); b", "b = add(w, v); b"),
    ("a = negative(v); b = negative(w); c = multiply(a, b); c", "c = multiply(v, w); c"),
    ("a = negative(v); b = negative(w); c = divide(a, b); c", "c = divide(v, w); c"),
    ("a = negative(v); c = multiply(a, w); c", "_1 = multiply(v, w); c = negative(_1); c"),
    ("a = negative(v); c = divide(a, w); c", "_1 = divide(v, w); c = negative(_1); c"),
    ("a = negative(v); c = divide(w, a); c", "_1 = divide(w, v); c = negative(_1); c"),
    ("a = subtract(v, w); b = negative(a); b", "b = subtract(w, v); b"),
    ("a = multiply(2.0, v); b = negative(a); b", "b = multiply(-2.0, v); b"),
    ("a = negative(v); b = multiply(a, 3); b", "b = multiply(-3, v); b"),
    ("a = divide(1.0, v); b = multiply(w, a); b", "b = divide(w, v); b"),
    ("a = multiply(0.5, v); b = multiply(a, 2.0); b", "v"),
    ("a = multiply(2.0, v); b = multiply(3.0, a); b", "b = multiply(6.0, v); b"),
    (
        "a = multiply(2.0, v); b = multiply(w, a); c = negative(b); c",
        "_1 = multiply(-2.0, v); c = multiply(w, _1); c",
    ),
    (
        "a = multiply(2.0, v); b = multiply(w, a); c = multiply(4.0, b); c",
        "_1 = multiply(8.0, v); c = multiply(w, _1); c",
    ),
    (
        "a = multiply(2, v); b = multiply(w, 3.0); c = multiply(a, b); c",
        "_1 = multiply(6.0, w); c = multiply(v, _1); c",
    ),
    ("a = add(x, v); b = add(a, v); b", "_1 = multiply(2.0, v); b = add(x, _1); b"),
    ("a = subtract(x, v); b = subtract(a, v); b", "_1 = multiply(2.0, v); b = subtract(x, _1); b"),
    ("a = add(2.0, v); b = add(3.0, a); b", "b = add(v, 5.0); b"),
    ("a = subtract(v, 2.0); b = add(3.0, a); b", "b = add(v, 1.0); b"),
    ("a = add(v, 2.0); b = subtract(a, 3.0); b", "b = add(v, -1.0); b"),
    ("a = subtract(v, 2.0); b = subtract(a, 3.0); b", "b = subtract(v, 5.0); b"),
    ("a = divide(v, 2.0); b = divide(a, 5.0); b", "b = divide(v, 10.0); b"),
    ("a = divide(v, 10); b = multiply(a, 2.0); b", "b = divide(v, 5.0); b"),
    (
        "a = divide(x, 10); b = multiply(a, v); c = multiply(b, 2.0); c",
        "_1 = divide(x, 5.0); c = multiply(_1, v); c",
    ),
    ("a = multiply(6.0, v); b = divide(a, 2.0); b", "b = multiply(3.0, v); b"),
    ("a = add(v, v); b = multiply(0.5, a); b", "v"),
    ("a = multiply(-2.0, v); b = add(a, w); b", "_1 = multiply(2.0, v); b = subtract(w, _1); b"),
    ("a = multiply(v, -2.0); b = subtract(w, a); b", "_1 = multiply(2.0, v); b = add(w, _1); b"),
    ("a = where(p, v, v); a", "v"),
    ("a = where(True, v, w); b = where(False, v, w); a, b", "v, w"),
    ("a = where(False, v, 2.0); b = power(w, a); b", "b = power(w, 2.0); b"),
    ("a = where(p, v, 0.0); b = where(p, 0.0, w); c = add(a, b); c", "c = where(p, v, w); c"),
    ("q = logical_not(p); r = logical_not(q); r", "p"),
    ("a = add(k, 1); b = subtract(a, 1); b", "k"),
    ("a = add(1, k); b = add(a, 2); b", "b = add(k, 3); b"),
    ("a = add(k, 1); b = subtract(a, 3); b", "b = subtract(k, 2); b"),
    ("a = subtract(k, 3); b = add(1, a); b", "b = subtract(k, 2); b"),
    ("a = subtract(k, 3); b = subtract(a, -5); b", "b = add(k, 2); b"),
]

STRUCTURE = [
    ("a = zeros_like(v); a", "a = zeros(shape=(3,), dtype=f8); a"),
    ("a = zeros_like(x); a", "f8(0.0)"),
    ("a = zeros(shape=(), dtype=f4); a", "f4(0.0)"),
    ("z = zeros_like(m); a = sum_to(z, shape=(3,)); a", "a = zeros(shape=(3,), dtype=f8); a"),
    ("z = zeros_like(m); a = transpose(z, axes=(1, 0)); a", "a = zeros(shape=(3, 2), dtype=f8); a"),
    ("z = zeros_like(m); a = getitem(z, index=(0,)); a", "a = zeros(shape=(3,), dtype=f8); a"),
    ("q = logical_not(p); a = add(p, q); a", "q = logical_not(p); a = logical_or(p, q); a"),
    ("q = logical_not(p); a = multiply(p, q); a", "q = logical_not(p); a = logical_and(p, q); a"),
    ("a = multiply(p, v); a", "a = multiply(p, v); a"),
    ("z = zeros_like(v); a = add(z, w); b = add(w, z); a, b", "w, w"),
    (
        "z = zeros_like(v); a = subtract(z, w); b = subtract(w, z); a, b",
        "a = subtract(0.0, w); a, w",
    ),
    (
        "a = sum_to(v, shape=(3,)); b = reshape(v, shape=(3,)); c = broadcast_to(v, shape=(3,)); a, b, c",
        "v, v, v",
    ),
    ("a = astype(v, dtype=f8); b = astype(h, dtype=f8); a, b", "b = astype(h, dtype=f8); v, b"),
    (
        "a = transpose(m, axes=(1, 0)); b = transpose(a, axes=(1, 0)); c = transpose(m, axes=(0, 1)); b, c",
        "m, m",
    ),
    (
        "t = transpose(m, axes=(1, 0)); a = matmul(t, m); b = transpose(a, axes=(1, 0)); b",
        "_1 = transpose(m, axes=(1, 0)); b = matmul(_1, m); b",
    ),
    (
        "a = matmul(m, v); o = outer(a, v); b = transpose(o, axes=(1, 0)); b",
        "a = matmul(m, v); b = outer(v, a); b",
    ),
    ("o = outer(w, v); a = matmul(m, o); a", "_1 = matmul(m, w); a = outer(_1, v); a"),
    (
        "o = outer(w, v); t = transpose(m, axes=(1, 0)); a = matmul(o, t); b = matmul(o, v); a, b",
        "t = transpose(m, axes=(1, 0)); _1 = matmul(v, t); a = outer(w, _1); _2 = matmul(v, v);"
        " b = multiply(w, _2); a, b",
    ),
    ("o = outer(v, w); a = matmul(v, o); a", "_1 = matmul(v, v); a = multiply(_1, w); a"),
    ("c = copy(v); a = matmul(m, c); a", "a = matmul(m, v); a"),
    ("c = copy(v); a = add(c, w); a, c", "c = copy(v); a = add(v, w); a, c"),
    ("c = copy(m); a = matmul(c, v); a, c", "c = copy(m); a = matmul(m, v); a, c"),
    (
        "c = copy(m); t = transpose(c, axes=(1, 0)); a = matmul(m, t); a",
        "_1 = transpose(m, axes=(1, 0)); a = matmul(m, _1); a",
    ),
    ("a = sum_to(m, shape=(3,)); b = sum_to(a, shape=()); b", "b = sum_to(m, shape=()); b"),
    ("a = reshape(m, shape=(6,)); b = reshape(a, shape=(3, 2)); b", "b = reshape(m, shape=(3, 2)); b"),
    (
        "a = broadcast_to(x, shape=(6,)); b = reshape(a, shape=(2, 3)); b",
        "b = broadcast_to(x, shape=(2, 3)); b",
    ),
    (
        "a = broadcast_to(x, shape=(3,)); b = broadcast_to(a, shape=(2, 3)); b",
        "b = broadcast_to(x, shape=(2, 3)); b",
    ),
    ("a = broadcast_to(v, shape=(2, 3)); b = sum_to(a, shape=(3,)); b", "b = multiply(v, 2.0); b"),
    (
        "a = negative(m); b = sum(a, axis=(0,), keepdims=False); c = add(b, v); c",
        "_1 = sum(m, axis=(0,), keepdims=False); c = subtract(v, _1); c",
    ),
    (
        "a = broadcast_to(v, shape=(2, 3)); b = sum_to(a, shape=()); b",
        "_1 = sum_to(v, shape=()); b = multiply(_1, 2.0); b",
    ),
    (
        "g = divide(x, 3); a = broadcast_to(g, shape=(3,)); b = multiply(a, v); b",
        "g = divide(x, 3); b = multiply(g, v); b",
    ),
    (
        "a = reshape(x, shape=(1, 1)); b = broadcast_to(a, shape=(2, 3)); c = multiply(b, m); c",
        "c = multiply(x, m); c",
    ),
    ("a = multiply(v, f8(2.0)); a", "a = multiply(v, 2.0); a"),
    ("a = multiply(h, f8(2.0)); a", "a = multiply(h, f8(2.0)); a"),
    ("a = getitem(v, index=(slice(None, None, None),)); b = getitem(m, index=(...,)); a, b", "v, m"),
    ("a = index_set(v, x, index=(1,)); b = getitem(a, index=(1,)); b", "x"),
    ("a = index_set(v, x, index=(1,)); b = getitem(a, index=(0,)); b", "b = getitem(v, index=(0,)); b"),
    ("a = index_set(v, x, index=(-1,)); b = getitem(a, index=(2,)); b", "same"),
    ("z = zeros_like(v); a = index_add(z, x, index=(1,)); b = getitem(a, index=(1,)); b", "x"),
    ("a = index_add(v, x, index=(1,)); b = getitem(a, index=(1,)); b", "same"),
    ("a = index_set(v, w, index=(slice(None, None, None),)); a", "w"),
    ("a = index_set(v, 2.0, index=(...,)); a", "a = broadcast_to(2.0, shape=(3,)); a"),
    ("a = index_add(v, w, index=(slice(None, None, None),)); a", "a = add(v, w); a"),
    ("z = zeros_like(v); a = index_add(z, w, index=(slice(None, None, None),)); a", "w"),
    (
        "a = index_add(v, x, index=(1,)); b = index_add(a, y, index=(0,)); c = index_add(b, y, index=(1,)); c",
        "_1 = add(x, y); _2 = index_add(v, _1, index=(1,)); c = index_add(_2, y, index=(0,)); c",
    ),
    (
        "a = index_set(v, x, index=(1,)); b = index_set(a, y, index=(1,)); b",
        "b = index_set(v, y, index=(1,)); b",
    ),
    (
        "z = zeros_like(v); a = index_add(z, x, index=(1,)); b = add(w, a); b",
        "b = index_add(w, x, index=(1,)); b",
    ),
]

KEPT = [
    "a = multiply(v, 0.0); a",  # NaN and inf
    "a = subtract(v, v); a",
    "a = add(x, f8[3]([0.0, 0.0, 0.0])); a",  # has another shape
    "a = multiply(h, f8(1.0)); a",  # has another dtype
    "a = divide(k, 1); a",
    "z = zeros(shape=(3,), dtype=f8); a = index_add(z, x, index=(1,)); b = add(a, m); b",  # has another shape
    "a = multiply(0.1, v); b = multiply(3.0, a); b",  # 0.1 * 3.0 is not a decimal anybody wants to read
    "a = negative(v); b = multiply(a, w); a, b",  # -v is read elsewhere: nothing is saved
    "a = index_set(v, x, k, index=(Slot(0),)); b = getitem(a, index=(1,)); b",  # k may be 1
]


@pytest.mark.parametrize("before, after", [*ALGEBRA, *STRUCTURE])
def test_rule(before: str, after: str) -> None:
    trace = steps(before)
    wanted = before if after == "same" else after
    assert shown(drop_unused(simplify(trace))) == wanted


@pytest.mark.parametrize("before", KEPT)
def test_what_stays(before: str) -> None:
    assert shown(simplify(steps(before))) == before


HEAD = "trace(x: f8[{0},40], a: f8[40,40], b: f8[{0},40]):"
BOTH = "  t = transpose(a, axes=(1, 0))\n  "


@pytest.mark.parametrize(
    "before, after",
    [
        ("p = matmul(x, a); q = matmul(x, t); z = add(p, q)", "_1 = add(a, t); z = matmul(x, _1)"),
        ("p = matmul(x, t); q = matmul(x, a); z = add(p, q)", "_1 = add(t, a); z = matmul(x, _1)"),
        (
            "y = transpose(x, axes=(1, 0)); p = dot(a, y); q = dot(t, y); z = add(p, q)",
            "y = transpose(x, axes=(1, 0)); _1 = add(a, t); z = dot(_1, y)",
        ),
        (
            "p = matmul(x, a); s = add(b, p); q = matmul(x, t); z = add(s, q)",
            "_1 = add(t, a); _2 = matmul(x, _1); z = add(b, _2)",
        ),
    ],
)
def test_products_with_a_matrix_and_the_same_transposed_are_one(before: str, after: str) -> None:
    def written(steps: str, rows: int) -> Trace:
        lines = steps.replace("; ", "\n  ")
        return read(f"{HEAD.format(rows)}\n{BOTH}{lines}\n  return z")

    found = drop_unused(simplify(written(before, 50)))
    assert text(found) == text(written(after, 50))
    few = written(before, 20)
    assert text(simplify(few)) == text(few)


def test_a_product_with_a_transposed_matrix_that_is_read_elsewhere_stays() -> None:
    before = read(
        f"{HEAD.format(50)}\n{BOTH}p = matmul(x, a)\n  q = matmul(x, t)\n  z = add(p, q)\n  return z, p"
    )
    assert text(simplify(before)) == text(before)


def test_the_users_name_survives() -> None:
    trace = steps("_1 = add(v, w); total = multiply(_1, 1.0); total")
    assert shown(simplify(trace)) == "total = add(v, w); total"


def test_constants_and_still_values_move_into_a_loop() -> None:
    before = read("""
        trace(x: f8[], n: i8[]):
          steps, a, b = loop(n, x, x, 2.0, carried=2, sliced=0, reverse=False, names=('a', 'b'), stop=None, condition=None):
            body = trace(i: i8[], a: f8[], b: f8[], c: f8[]):
              d = multiply(a, c)
              e = add(d, b)
              return e, b
          return a, b
    """)  # noqa: E501
    after = read("""
        trace(x: f8[], n: i8[]):
          steps, a = loop(n, x, x, carried=1, sliced=0, reverse=False, names=('a',), stop=None, condition=None):
            body = trace(i: i8[], a: f8[], b: f8[]):
              d = multiply(a, 2.0)
              e = add(d, b)
              return e
          return a, x
    """)
    assert text(simplify(before)) == text(after)


def test_a_result_equal_in_both_arms_leaves_the_branch() -> None:
    before = read("""
        trace(x: f8[], p: b1[]):
          a, b, c = branch(p, x, names=('a', 'b', 'c')):
            true = trace(x: f8[]):
              d = multiply(x, 2.0)
              return d, x, 1.0
            false = trace(x: f8[]):
              return x, x, 1.0
          return a, b, c
    """)
    after = read("""
        trace(x: f8[], p: b1[]):
          a = branch(p, x, names=('a',)):
            true = trace(x: f8[]):
              d = multiply(x, 2.0)
              return d
            false = trace(x: f8[]):
              return x
          return a, x, f8(1.0)
    """)
    assert text(drop_unused(simplify(before))) == text(after)
