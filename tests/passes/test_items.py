"""The rules about items: by text, and on random reads and writes with static and traced indices."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

from tests.passes.written import shown, steps
from tracegrad.ir.dce import drop_unused
from tracegrad.ir.interpret import interpret
from tracegrad.ir.text import text
from tracegrad.ir.types import array_type
from tracegrad.ir.verify import verify
from tracegrad.ops.index import Slot, getitem, index_add, index_set, zeros_like
from tracegrad.ops.shape import stack
from tracegrad.ops.symbol import Builder
from tracegrad.passes.cse import share
from tracegrad.passes.simplify import simplify

RULES = [
    (
        "a = index_add(v, k, x, index=(Slot(0),)); b = index_add(a, y, index=(1,)); c = add(w, b); c",
        "_1 = add(w, v); _2 = index_add(_1, k, x, index=(Slot(0),)); c = index_add(_2, y, index=(1,)); c",
    ),
    (
        "a = index_add(v, x, index=(1,)); b = subtract(a, w); b",
        "_1 = subtract(v, w); b = index_add(_1, x, index=(1,)); b",
    ),
    (
        "a = index_add(v, x, index=(1,)); b = subtract(w, a); b",
        "a = index_add(v, x, index=(1,)); b = subtract(w, a); b",
    ),
    ("a = getitem(v, i8(1), index=(Slot(0),)); a", "a = getitem(v, index=(1,)); a"),
    ("a = getitem(m, k, 2, index=(Slot(0), Slot(1))); a", "a = getitem(m, k, index=(Slot(0), 2)); a"),
    ("a = getitem(m, 1, k, index=(Slot(0), Slot(1))); a", "a = getitem(m, k, index=(1, Slot(0))); a"),
    ("a = index_set(v, 2, x, index=(Slot(0),)); a", "a = index_set(v, x, index=(2,)); a"),
    (
        "a = getitem(m, k, index=(Slot(0),)); b = getitem(a, index=(1,)); b",
        "b = getitem(m, k, index=(Slot(0), 1)); b",
    ),
    (
        "a = getitem(m, index=(slice(None, None, None), 1)); b = getitem(a, k, index=(Slot(0),)); b",
        "b = getitem(m, k, index=(Slot(0), 1)); b",
    ),
    (
        "a = getitem(m, k, index=(Slot(0),)); b = getitem(a, k, index=(Slot(0),)); b",
        "b = getitem(m, k, k, index=(Slot(0), Slot(1))); b",
    ),
    (
        "a = getitem(m, index=(slice(None, None, None), slice(2, None, -1))); b = getitem(a, index=(0, -1)); b",
        "b = getitem(m, index=(0, 0)); b",
    ),
    ("a = index_set(v, k, x, index=(Slot(0),)); b = getitem(a, k, index=(Slot(0),)); b", "x"),
    ("a = getitem(v, index=(slice(None, 3, None),)); a", "v"),
    ("a = getitem(v, index=(slice(-3, 9, 1),)); a", "v"),
    ("a = index_set(v, w, index=(slice(0, 3, None),)); a", "w"),
    ("a = stack(x, y, axis=0); b = getitem(a, index=(-1,)); b", "y"),
    (
        "a = stack(v, w, axis=1); b = getitem(a, k, index=(Slot(0), 0)); b",
        "b = getitem(v, k, index=(Slot(0),)); b",
    ),
    ("a = broadcast_to(x, shape=(3,)); b = getitem(a, index=(1,)); b", "x"),
    ("a = getitem(v, k, index=(Slot(0),)); b = index_set(v, k, a, index=(Slot(0),)); b", "v"),
    (
        "a = getitem(v, k, index=(Slot(0),)); b = add(x, a); c = index_set(v, k, b, index=(Slot(0),)); c",
        "c = index_add(v, k, x, index=(Slot(0),)); c",
    ),
    (
        "a = index_set(v, k, 0.0, index=(Slot(0),)); b = index_add(a, k, x, index=(Slot(0),)); b",
        "b = index_set(v, k, x, index=(Slot(0),)); b",
    ),
    (
        "a = index_set(v, k, x, index=(Slot(0),)); b = index_set(a, k, y, index=(Slot(0),)); b",
        "b = index_set(v, k, y, index=(Slot(0),)); b",
    ),
    (
        "a = index_add(v, k, x, index=(Slot(0),)); b = index_add(a, k, y, index=(Slot(0),)); b",
        "_1 = add(x, y); b = index_add(v, k, _1, index=(Slot(0),)); b",
    ),
    (
        "z = zeros_like(v); a = index_add(z, k, x, index=(Slot(0),)); b = add(w, a); b",
        "b = index_add(w, k, x, index=(Slot(0),)); b",
    ),
    (
        "z = zeros_like(v); a = index_add(z, k, x, index=(Slot(0),)); "
        "b = index_add(a, y, index=(1,)); c = add(w, b); c",
        "_1 = index_add(w, k, x, index=(Slot(0),)); c = index_add(_1, y, index=(1,)); c",
    ),
    (
        "z = zeros_like(v); a = index_add(z, x, index=(1,)); b = index_add(m, k, a, index=(Slot(0),)); b",
        "b = index_add(m, k, x, index=(Slot(0), 1)); b",
    ),
    (
        "s = sum_to(m, shape=(1, 3)); b = index_add(w, s, index=(None,)); b",
        "_1 = sum(m, axis=(0,), keepdims=False); b = add(w, _1); b",
    ),
    (
        "s = sum_to(m, shape=(1, 3)); b = index_set(w, s, index=(None,)); b",
        "b = sum(m, axis=(0,), keepdims=False); b",
    ),
    (
        "s = sum_to(m, shape=(2, 1)); b = getitem(s, index=(slice(None, None, None), 0)); b",
        "b = sum(m, axis=(1,), keepdims=False); b",
    ),
    ("s = broadcast_to(v, shape=(1, 3)); b = getitem(s, index=(0,)); b", "v"),
    (
        "b = index_set(v, x, index=(1,)); c = getitem(b, index=(2,)); b, c",
        "b = index_set(v, x, index=(1,)); c = getitem(v, index=(2,)); b, c",
    ),
    (
        "z = zeros_like(v); a = index_add(z, x, index=(0,)); b = index_add(a, y, index=(1,)); "
        "c = index_add(b, x, index=(2,)); d = getitem(c, index=(1,)); c, d",
        "z = zeros(shape=(3,), dtype=f8); a = index_add(z, x, index=(0,)); b = index_add(a, y, index=(1,)); "
        "c = index_add(b, x, index=(2,)); c, y",
    ),
]

STAYS = [
    "a = index_add(v, x, index=(0,)); b = index_add(a, y, index=(1,)); c = getitem(b, index=(1,)); b, c",
    "a = negative(v); b = index_set(a, x, index=(1,)); c = getitem(b, index=(2,)); b, c",
    "s = sum_to(m, shape=(2, 1)); b = getitem(s, index=(slice(None, None, None), 0)); b, s",
    "b = index_add(w, x, index=(None,)); b",
    "a = getitem(v, index=(slice(None, None, None), None)); a",
    "a = getitem(v, index=(slice(None, 2, None),)); b = getitem(v, index=(slice(None, None, -1),)); a, b",
    "a = getitem(v, 7, index=(Slot(0),)); a",  # out of bounds: an error when it runs
    "a = index_set(v, k, x, index=(Slot(0),)); b = getitem(a, index=(1,)); b",  # k may be 1
    "row = getitem(m, k, index=(Slot(0),)); a = getitem(row, index=(slice(1, None, None),)); row, a",
    "a = getitem(v, index=(slice(1, None, None),)); b = getitem(a, k, index=(Slot(0),)); b",  # k may be -1
    "a = getitem(v, k, index=(Slot(0),)); b = add(x, a); c = index_set(v, k, b, index=(Slot(0),)); c, a",
    "a = getitem(h, k, index=(Slot(0),)); b = add(x, a); c = index_set(h, k, b, index=(Slot(0),)); c",
    "a = broadcast_to(x, shape=(3,)); b = getitem(a, k, index=(Slot(0),)); b",  # k may be outside
]


@pytest.mark.parametrize("before, after", RULES)
def test_rule(before: str, after: str) -> None:
    assert shown(drop_unused(simplify(steps(before)))) == after


@pytest.mark.parametrize("before", STAYS)
def test_what_stays(before: str) -> None:
    assert shown(simplify(steps(before))) == before


@pytest.mark.parametrize("seed", range(150))
def test_random_reads_and_writes_keep_their_meaning(seed: int) -> None:
    rng = random.Random(seed)
    builder = Builder()
    shapes = [(3,), (1,), (3, 2), (2, 1, 3)]
    inputs = [builder.input(array_type(s, "f8"), None) for s in shapes]
    numbers = [builder.input(array_type((), "i8"), n) for n in "ij"]
    pool: list[Any] = [*inputs]
    for _ in range(14):
        x = rng.choice([y for y in pool if 0 not in y.shape])
        index, slots = _random_index(rng, x.shape, numbers)
        item = getitem(x, *slots, index=index)
        value: Any = rng.choice([item, item, 2.0, item * 0.5, item + 1.0, 0.0])
        target = rng.choice([x, x, zeros_like(x)])
        write = rng.choice([index_set, index_add])
        made = rng.choice([item, write(target, *slots, value, index=index), stack(x, x * 2.0, axis=0)])
        if rng.random() < 0.3:
            made = made + rng.choice([y for y in (*pool, made) if y.shape == made.shape])
        if made.shape and rng.random() < 0.7:
            pool.append(made)
        if made.shape and rng.random() < 0.3:
            made.atom.name = "a"
    trace = builder.trace([*inputs, *numbers], [pool[-1], rng.choice(pool), rng.choice(pool)])
    after = drop_unused(share(simplify(simplify(trace))))
    verify(after)
    for i, j in [(0, 0), (0, -1), (-1, 0)]:
        drawn = np.random.default_rng(seed)
        values = [drawn.integers(-4, 5, s) / 2 for s in shapes] + [np.int64(i), np.int64(j)]
        for got, want in zip(interpret(after, values), interpret(trace, values), strict=True):
            np.testing.assert_array_equal(got, want, err_msg=text(trace) + "\n" + text(after))


def _random_index(rng: random.Random, shape: tuple[int, ...], numbers: list[Any]) -> tuple[Any, list[Any]]:
    """An index of single items and slices, and the traced numbers of its slots."""
    index: list[Any] = []
    slots: list[Any] = []
    for n in shape[: rng.randrange(1, len(shape) + 1)]:
        if rng.random() < 0.4:
            index.append(Slot(len(slots)))
            slots.append(rng.choice(numbers))
        else:
            index.append(rng.choice([0, -1, n - 1, slice(None), slice(1, None), slice(None, None, -1)]))
    if rng.random() < 0.1:
        index.append(Ellipsis)
    return tuple(index), slots
