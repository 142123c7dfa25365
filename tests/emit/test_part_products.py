"""Products of stacks of matrices in native text: read as they lie, written where they are wanted, added up there."""

from __future__ import annotations

import re

import numpy as np
import pytest

import tracegrad as tg
from tests.emit.test_products import LAYOUTS
from tracegrad.kernels.products import add_product, put_product
from tracegrad.ops.contraction import as_products, einsum


def attention(x, w_q, w_k, w_v, w_o):
    b, t, c = x.shape
    h, d = 2, c // 2
    q, k, v = ((x @ w).reshape(b, t, h, d).transpose(0, 2, 1, 3) for w in (w_q, w_k, w_v))
    scores = q @ k.swapaxes(-1, -2) / np.sqrt(d)
    e = np.exp(scores - scores.max(-1, keepdims=True))
    out = (e / e.sum(-1, keepdims=True) @ v).transpose(0, 2, 1, 3).reshape(b, t, c) @ w_o
    return np.sum(out**2)


def by_letters(x, y, z):
    scores = np.einsum("bqhd,bkhd->bhqk", x, y)
    return np.sum(np.einsum("bhqk,bkhd->bqhd", np.tanh(scores), z) ** 2)


def swapped(x, y):
    return np.sum(np.sin(x @ y.swapaxes(-1, -2)))


def one_for_all(x, y):
    return np.sum(np.sin(x @ y))


def turned(x, y):
    return np.sum(np.sin(x.transpose(1, 0, 2) @ y).transpose(1, 0, 2) * 2.0)


def summed(x, y):
    return np.sum(np.sin(np.sum(x.swapaxes(-1, -2) @ y, axis=0)))


def inner(x, y):
    return np.sum(np.sin(np.inner(x, y)))


def contracted(x, y):
    return np.sum(np.sin(np.tensordot(x, y, axes=((1, 2), (2, 0)))))


PROGRAMS = {
    "attention": (attention, [(3, 17, 24)] + [(24, 24)] * 4),
    "by letters": (by_letters, [(2, 21, 3, 20), (2, 18, 3, 20), (2, 18, 3, 20)]),
    "swapped": (swapped, [(3, 17, 20), (3, 21, 20)]),
    "a stack of one": (swapped, [(1, 17, 20), (1, 21, 20)]),
    "broadcast": (swapped, [(2, 1, 17, 20), (3, 21, 20)]),
    "a stack that one of them has": (swapped, [(17, 20), (3, 2, 21, 20)]),
    "one matrix on the left": (one_for_all, [(17, 20), (4, 20, 18)]),
    "one matrix on the right": (one_for_all, [(4, 17, 20), (20, 18)]),
    "axes of a stack and rows": (turned, [(19, 3, 20), (20, 18)]),
    "summed over the stack": (summed, [(5, 18, 17), (5, 18, 20)]),
    "inner": (inner, [(4, 17, 20), (18, 20)]),
    "tensordot": (contracted, [(19, 3, 20), (20, 17, 3)]),
}
COPIES = re.compile(r"^ *\w+\[[^]]+\] = \w+\[[^]]+\]$")  # a loop that does nothing but move elements
COPIED = ("axes of a stack and rows", "tensordot")  # where one large product of what is copied is quicker


def heads(x, y):
    return np.sum(np.sin(np.einsum("bhid,hjd->bhij", x, y)))


def stack_last(x, y):
    return np.sum(np.sin(np.einsum("bij,bjk->ikb", x, y)))


def repeated(x, y):
    return np.sum(np.sin(np.einsum("abij,bjk->abik", np.broadcast_to(x, (3, 2, *x.shape[2:])), y)))


def drawn(shapes, dtype=np.float64):
    g = np.random.default_rng(11)
    return [g.uniform(-1, 1, shape).astype(dtype) for shape in shapes]


def both(function, arguments):
    wanted = tuple(range(len(arguments)))
    native = tg.value_and_grad(function, argnums=wanted, jit="native")
    python = tg.value_and_grad(function, argnums=wanted, jit="python")
    return native, native(*arguments), python(*arguments)


def agree(found, wanted, tolerance=1e-10):
    np.testing.assert_allclose(found[0], wanted[0], rtol=tolerance)
    for bar, wanted_bar in zip(found[1], wanted[1], strict=True):
        assert bar.dtype == wanted_bar.dtype and bar.shape == wanted_bar.shape
        assert bar.flags.c_contiguous and bar.flags.writeable
        np.testing.assert_allclose(bar, wanted_bar, rtol=tolerance, atol=tolerance)


def body(native):
    """What the emitted functions do, without the kernels they call."""
    entry = native.native_source.index("_value_and_grad")
    return native.native_source[entry:]


@pytest.mark.parametrize("name", PROGRAMS)
def test_products_of_stacks_are_read_as_they_lie_and_written_where_they_are_wanted(name):
    function, shapes = PROGRAMS[name]
    arguments = drawn(shapes)
    native, found, wanted = both(function, arguments)
    assert native.stats.compiles == 1, native.explain()
    agree(found, wanted)
    text = body(native)
    assert not re.search(r"batched_|contract\(|spread_product\(", text)
    if name not in COPIED:
        assert [line for line in text.splitlines() if COPIES.search(line)] == []
    g = np.random.default_rng(1)
    direction = [g.uniform(-1, 1, shape) for shape in shapes]
    ends = [function(*(a + s * 1e-5 * d for a, d in zip(arguments, direction, strict=True))) for s in (1, -1)]
    slope = sum(np.sum(bar * d) for bar, d in zip(found[1], direction, strict=True))
    np.testing.assert_allclose(slope, (ends[0] - ends[1]) / 2e-5, rtol=1e-6)


@pytest.mark.parametrize(
    ("function", "shapes"),
    [
        (heads, [(3, 2, 40, 3), (2, 50, 3)]),
        (heads, [(3, 2, 10, 2), (2, 9, 2)]),
        (stack_last, [(7, 9, 11), (7, 11, 10)]),
        (repeated, [(3, 1, 9, 10), (2, 10, 11)]),
        (one_for_all, [(3, 1, 9, 11), (4, 11, 10)]),
        (one_for_all, [(2, 3, 9, 11), (3, 11, 10)]),
        (one_for_all, [(2, 1, 4, 9, 11), (3, 1, 11, 10)]),
        (one_for_all, [(11,), (2, 1, 3, 11, 10)]),
    ],
)
def test_narrow_and_small_products_of_stacks_that_broadcast_are_products_of_matrices(function, shapes):
    arguments = drawn(shapes)
    native, found, wanted = both(function, arguments)
    assert native.stats.compiles == 1, native.explain()
    agree(found, wanted)
    assert "contract(" not in body(native)
    g = np.random.default_rng(1)
    direction = [g.uniform(-1, 1, shape) for shape in shapes]
    ends = [function(*(a + s * 1e-5 * d for a, d in zip(arguments, direction, strict=True))) for s in (1, -1)]
    slope = sum(np.sum(bar * d) for bar, d in zip(found[1], direction, strict=True))
    np.testing.assert_allclose(slope, (ends[0] - ends[1]) / 2e-5, rtol=1e-6)


@pytest.mark.parametrize("name", ("attention", "by letters", "one matrix on the left"))
def test_products_of_stacks_of_float32_stay_float32(name):
    function, shapes = PROGRAMS[name]
    native, found, wanted = both(function, drawn(shapes, np.float32))
    agree(found, wanted, 2e-4)
    assert "np.empty" in native.native_source and "float64" not in native.native_source


@pytest.mark.parametrize("layout", LAYOUTS)
def test_stacks_in_any_layout_have_numpys_values(layout):
    arguments = drawn(PROGRAMS["by letters"][1])
    native, _, wanted = both(by_letters, arguments)
    given = [LAYOUTS[layout](a) for a in arguments]
    for _ in range(3):
        agree(native(*given), wanted)
    for x, y in ((arguments[0], given[1]), (given[0], arguments[1])):
        agree(native(x, y, arguments[2]), wanted)


@pytest.mark.parametrize(
    "shapes", [[(0, 17, 20), (0, 21, 20)], [(3, 0, 20), (3, 21, 20)], [(3, 17, 0), (3, 21, 0)]]
)
def test_empty_stacks_have_empty_or_zero_gradients(shapes):
    _, found, wanted = both(swapped, drawn(shapes))
    agree(found, wanted)


def test_tangents_and_pullbacks_take_the_same_products():
    function, shapes = PROGRAMS["swapped"]
    x, y = drawn(shapes)
    dx, dy = drawn(shapes[::-1])[::-1]
    value, tangent = tg.jvp(function, (x, y), (dx, dy))
    value_again, pull = tg.vjp(function, x, y)
    np.testing.assert_allclose(value, value_again)
    bars = pull(1.0)
    np.testing.assert_allclose(tangent, np.sum(bars[0] * dx) + np.sum(bars[1] * dy), rtol=1e-10)


def in_a_loop(x, w):
    for _ in range(5):
        x = np.tanh(x @ w.swapaxes(-1, -2)) + 0.1 * x
    return np.sum(x**2)


def test_in_a_loop_they_have_their_memory_from_before():
    arguments = drawn([(3, 17, 20), (3, 20, 20)])
    native, found, wanted = both(in_a_loop, arguments)
    agree(found, wanted)
    assert "put_product" in body(native) and "batched" not in body(native)


def test_sums_of_products_are_added_where_they_stand():
    native, found, wanted = both(*(PROGRAMS["summed over the stack"][0], drawn([(5, 18, 17), (5, 18, 20)])))
    agree(found, wanted)
    assert re.search(r"np\.dot\(\w+\.T, |add_product\(", body(native))


@pytest.mark.parametrize(
    ("subscripts", "shapes", "wanted"),
    [
        ("bij,bjk->bik", [(9, 20, 30), (9, 30, 40)], ("i", "j", "k", "b", "", False)),
        ("bqhd,bkhd->bhqk", [(2, 20, 3, 30), (2, 25, 3, 30)], ("q", "d", "k", "bh", "", False)),
        ("bqhd,bkhd->bhkq", [(2, 20, 3, 30), (2, 25, 3, 30)], ("k", "d", "q", "bh", "", True)),
        ("bij,bkj->ik", [(5, 20, 30), (5, 25, 30)], ("i", "j", "k", "", "b", False)),
        ("ijb,jkb->ikb", [(20, 30, 9), (30, 25, 9)], None),  # no axis of a matrix lies side by side
        ("bij,bjk->bik", [(9, 8, 8), (9, 8, 8)], None),  # too small for a call
        ("bij,bj->bi", [(9, 40, 50), (9, 50)], None),
        ("bii,bij->bij", [(2, 30, 30), (2, 30, 30)], None),
        ("ijk,kjl->il", [(20, 90, 5), (5, 90, 25)], None),  # many slim products
        ("bij,bjk->bik", [(1, 20, 30), (9, 30, 40)], None),  # an axis that is repeated
    ],
)
def test_the_products_that_make_up_a_contraction(subscripts, shapes, wanted):
    arrays = [np.zeros(shape) for shape in shapes]
    assert as_products(subscripts, arrays, np.dtype(float)) == wanted


def test_narrow_products_are_those_that_make_up_a_contraction_where_there_are_no_others():
    x, y = np.zeros((4, 6, 90, 3)), np.zeros((6, 80, 3))
    assert as_products("bhid,hjd->bhij", [x, y], np.dtype(float)) is None
    found = as_products("bhid,hjd->bhij", [x, y], np.dtype(float), narrow=True)
    assert found == ("i", "d", "j", "bh", "", False)


def test_the_kernels_themselves_compute_products_of_parts():
    x, y = drawn([(4, 3, 5), (6, 3, 5)])
    out = np.full((2, 4, 6), np.nan)
    put_product(x[:, 1], y[:, 1].T, out[0])
    put_product(x[:, 0], y[:, 0].T, out[1])
    add_product(x[:, 2], y[:, 2].T, out[1])
    np.testing.assert_allclose(out[0], x[:, 1] @ y[:, 1].T, rtol=1e-12)
    np.testing.assert_allclose(out[1], x[:, 0] @ y[:, 0].T + x[:, 2] @ y[:, 2].T, rtol=1e-12)


def test_einsum_is_the_same_when_numba_compiles_the_text_itself(monkeypatch):
    from tracegrad.compiler import direct
    from tracegrad.compiler.values import Unknown

    def refused(*args, **keywords):
        raise Unknown("asked not to")

    monkeypatch.setattr(direct, "translate", refused)
    function, shapes = PROGRAMS["one matrix on the left"]
    native, found, wanted = both(function, drawn(shapes))
    assert native.stats.compiles == 1, native.explain()
    agree(found, wanted)
    assert einsum.name == "einsum"
