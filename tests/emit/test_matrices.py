"""Parts of arrays in products of native text: read as they lie, written and added to where they are wanted."""

from __future__ import annotations

import re

import numpy as np
import pytest

import tracegrad as tg
from tests.emit.test_part_products import COPIES, agree, body, both, drawn


def columns(x, w):
    return np.sum(np.sin(x[:, :13] @ w))


def other_rows(x, w):
    return np.sum(np.sin(x[::2] @ w))


def rows_turned(x, r):
    return np.sum(np.sin(x[3:20].T @ r))


def from_the_end(x, w):
    return np.sum(np.sin(x[..., -13:] @ w[-13:, 1:]))


def named(x, w):
    left, right = x[:, :13], x[:, 13:]
    return np.sum(np.sin(left @ w) + np.cos(right @ w[: x.shape[1] - 13]))


def with_offset(x, w):
    return np.sum(np.sin(x @ w[1:] + w[0]))


def of_a_stack(x, w):
    return np.sum(np.sin(x[1, 2:] @ w) * np.cos(x[0, :-2] @ w))


def backwards(x, w):
    return np.sum(np.sin(x[::-1] @ w))


def part_of_a_view(x, w):
    return np.sum(np.sin(x.T[:, 2:] @ w) + np.roll(x, 1, 0)[:21, :20] @ x[:20])


def two_products(x, w, y, v):
    return np.sum(np.sin(x @ w + y @ v))


def with_bias(x, w, y, v, b):
    return np.sum(np.sin(x @ w + b + y @ v) * 2.0)


def of_stacks(x, w, y, v):
    return np.sum(np.sin(x @ w + y @ v))


def one_twice(x, w):
    return np.sum(np.sin(x @ w + x @ w.T))


def residual(x, w, v):
    h = x + np.tanh(x @ w) @ v
    return np.sum((h + np.tanh(h @ w) @ v) ** 2)


def scores(x, q, k, v):
    return np.sum(np.tanh((x @ q) @ (x @ k).T) @ (x @ v))


def recurrent(xs, w, u, b):
    h = np.zeros((xs.shape[1], w.shape[0]), xs.dtype)
    for x in xs:
        h = np.tanh(h @ w + x @ u + b)
    return np.sum(h**2)


def onto_itself(z, w):
    for _ in range(3):
        z = z + z @ w
    return np.sum(np.sin(z))


def read_again(z, w):
    y = z + 1.0
    total = y + y @ w
    return np.sum(np.sin(total)) + np.sum(y**2)


def part_and_vector(x, v):
    return np.sum(np.sin(x[:, :67] @ v)) + np.sum(np.cos(v @ x[3:137:2, 3:]))


def part_turned(x, v):
    return np.sum(np.sin(x[:, 1:].T @ v)) + np.sum(np.cos(v @ x[:, 2:72].T))


def layers_between(w, v):
    for k in range(w.shape[1]):
        v = np.tanh(w[:, k] @ v)
    return v @ v


def layers_at_the_end(w, x):
    for k in range(w.shape[2]):
        x = np.tanh(x @ w[:, :, k])
    return np.sum(x**2)


def all_of_it(x, v):
    for _ in range(3):
        v = np.tanh(x[: v.size, : v.size] @ v[: v.size])
    return v @ v


def vector_backwards(x, v):
    return np.sum(np.sin(x[::-1] @ v)) + np.sum(np.cos(v @ x[:, ::-1]))


def rotated(x, v):
    return np.sum(np.sin(np.rot90(x) @ v))


def parts_backwards(x, v):
    return np.sum(np.sin(x[-2::-2, ::-1] @ v)) + np.sum(np.cos(v @ x[67::-1, 1::2]))


SQUARE = [(21, 21)] * 4
PROGRAMS = {
    "columns": (columns, [(19, 21), (13, 17)]),
    "other rows": (other_rows, [(37, 21), (21, 17)]),
    "rows, turned": (rows_turned, [(25, 21), (17, 18)]),
    "from the end": (from_the_end, [(19, 21), (21, 18)]),
    "parts with names": (named, [(19, 26), (13, 17)]),
    "a row beside the others": (with_offset, [(19, 21), (22, 17)]),
    "parts of a stack": (of_a_stack, [(2, 21, 22), (22, 17)]),
    "backwards": (backwards, [(19, 21), (21, 17)]),
    "part of a view": (part_of_a_view, [(22, 21), (20, 21)]),
    "two products": (two_products, [(19, 21), (21, 17), (19, 25), (25, 17)]),
    "with a bias between": (with_bias, [(19, 21), (21, 17), (19, 25), (25, 17), (17,)]),
    "of stacks": (of_stacks, [(3, 19, 21), (21, 17), (3, 19, 25), (25, 17)]),
    "one matrix twice": (one_twice, [(21, 21), (21, 21)]),
    "residual": (residual, [(19, 21), (21, 23), (23, 21)]),
    "scores": (scores, SQUARE),
    "recurrent": (recurrent, [(5, 19, 21), (17, 17), (21, 17), (17,)]),
    "onto itself": (onto_itself, [(21, 21), (21, 21)]),
    "read again": (read_again, [(21, 21), (21, 21)]),
    "a part and a vector": (part_and_vector, [(137, 70), (67,)]),
    "a part, turned, and a vector": (part_turned, [(70, 80), (70,)]),
    "layers between others": (layers_between, [(66, 3, 66), (66,)]),
    "layers at the end": (layers_at_the_end, [(17, 17, 3), (19, 17)]),
    "all of it": (all_of_it, [(70, 70), (70,)]),
    "a vector, backwards": (vector_backwards, [(70, 70), (70,)]),
    "rotated": (rotated, [(70, 70), (70,)]),
    "parts and a vector, backwards": (parts_backwards, [(136, 68), (68,)]),
}
COPIED = (
    "backwards",
    "part of a view",
    "layers at the end",
)  # BLAS takes no rows from the last to the first, parts of what is no array, rows with gaps
KEPT = (
    "recurrent",
    "onto itself",
    "layers between others",
    "all of it",
)  # for the reverse: looks like a copy
TURNED = ("a vector, backwards", "rotated", "parts and a vector, backwards")  # the vector, not the matrix
ITSELF = ("onto itself",)  # a product is not added to what is multiplied
SUMS = re.compile(
    r"^ *\w+_bar\[i, j\] = \w+\[i, j\]( \+ \w+\[i, j\])+$", re.M
)  # a loop that does nothing but add arrays


@pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["f8", "f4"])
@pytest.mark.parametrize("name", PROGRAMS)
def test_values_and_gradients_are_those_of_the_array_text(name, dtype):
    function, shapes = PROGRAMS[name]
    native, found, wanted = both(function, drawn(shapes, dtype))
    assert native.stats.compiles == 1, native.explain()
    agree(found, wanted, 1e-10 if dtype is np.float64 else 1e-3)


@pytest.mark.parametrize("name", PROGRAMS)
def test_nothing_is_copied_and_no_loop_adds_products(name):
    function, shapes = PROGRAMS[name]
    given = drawn(shapes)
    native = tg.value_and_grad(function, argnums=tuple(range(len(given))), jit="native")
    native(*given)
    text = body(native)
    copies = list(filter(COPIES.match, text.split("\n")))
    assert bool(copies) == (name in (*COPIED, *KEPT, *TURNED))
    assert name not in TURNED or not any("," in line for line in copies)
    assert (SUMS.search(text) is not None) == (name in ITSELF)


def test_a_gradient_agrees_with_differences():
    for name in ("columns", "with a bias between", "recurrent", "read again", *TURNED):
        function, shapes = PROGRAMS[name]
        given = drawn(shapes)
        value, gradients = tg.value_and_grad(function, argnums=tuple(range(len(given))), jit="native")(*given)
        generator = np.random.default_rng(3)
        along = [generator.uniform(-1, 1, x.shape) for x in given]
        step = 1e-6
        ahead, behind = (
            function(*(x + s * d for x, d in zip(given, along, strict=True))) for s in (step, -step)
        )
        slope = sum(np.sum(g * d) for g, d in zip(gradients, along, strict=True))
        np.testing.assert_allclose(slope, (ahead - behind) / (2 * step), rtol=1e-6)
        np.testing.assert_allclose(value, function(*given), rtol=1e-12)


def test_a_result_that_is_small_beside_what_is_multiplied_is_computed_for_itself():
    def summed(x, w):
        return np.sum(np.sin(x @ w[1:] + w[0]))

    given = drawn([(400, 20), (21, 18)])
    native = tg.value_and_grad(summed, argnums=1, jit="native")
    native(*given)
    assert "w_bar[1:]" not in native.native_source


def test_what_has_gaps_in_its_rows_is_copied_as_it_lies_and_turned_by_its_product():
    function, shapes = PROGRAMS["layers at the end"]
    given = drawn(shapes)
    native = tg.value_and_grad(function, argnums=(0, 1), jit="native")
    native(*given)
    assert re.search(r"np\.dot\(\w+, w_part\w*\.T, \w+\)", native.native_source)
    assert "w[j, i, k]" not in native.native_source
