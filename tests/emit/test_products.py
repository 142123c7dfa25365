"""Products of matrices in native text: what goes to BLAS as it lies in memory, and the same values for every layout."""

from __future__ import annotations

import re

import numpy as np
import pytest

import tracegrad as tg
from tests.emit.kernel_patterns import machine_code

SIZES = [(1, 1, 1), (2, 3, 4), (1, 40, 50), (40, 1, 50), (40, 50, 1), (33, 40, 35), (0, 3, 4), (3, 0, 4)]
LAYOUTS = {
    "C": np.ascontiguousarray,
    "Fortran": np.asfortranarray,
    "reversed": lambda x: np.ascontiguousarray(x[::-1, ::-1])[::-1, ::-1],
    "every other": lambda x: np.repeat(np.repeat(x, 2, axis=0), 2, axis=1)[::2, ::2],
    "unaligned": lambda x: unaligned(x),
    "read-only": lambda x: read_only(x),
}


def unaligned(x):
    raw = np.zeros(x.nbytes + 1, np.uint8)
    found = raw[1:].view(x.dtype).reshape(x.shape)
    found[...] = x
    return found


def read_only(x):
    found = x.copy()
    found.flags.writeable = False
    return found


def plain(a, b):
    return np.sum(np.tanh(a @ b))


def flipped(a, b):
    return np.sum(np.sin(b.T @ a.T))


def named(a, b):
    a_flipped = a.T
    return np.sum((a_flipped @ a) ** 2) + np.sum(np.dot(a, b))


def with_vectors(a, b):
    return np.sum(np.cos((a @ b) @ np.ones(b.shape[1]))) + np.sum(np.tanh(a[:, 0] @ a))


def read_twice(a, b):
    c = b.T
    return np.sum(c * c + 1.0) + np.sum((c @ a.T) ** 2)


def drawn(sizes, dtype=np.float64):
    m, k, n = sizes
    g = np.random.default_rng(7)
    return g.uniform(-1, 1, (m, k)).astype(dtype), g.uniform(-1, 1, (k, n)).astype(dtype)


def agree(function, arguments, tolerance):
    native = tg.value_and_grad(function, argnums=(0, 1), jit="native")
    python = tg.value_and_grad(function, argnums=(0, 1), jit="python")
    (value, bars), (wanted, wanted_bars) = native(*arguments), python(*arguments)
    assert native.stats.compiles == 1, native.explain()
    np.testing.assert_allclose(value, function(*arguments), rtol=tolerance)
    np.testing.assert_allclose(value, wanted, rtol=tolerance)
    for bar, wanted_bar in zip(bars, wanted_bars, strict=True):
        assert bar.dtype == wanted_bar.dtype and bar.shape == wanted_bar.shape
        np.testing.assert_allclose(bar, wanted_bar, rtol=tolerance, atol=tolerance * 10)
    return native


@pytest.mark.parametrize(
    ("function", "sizes"),
    [(plain, s) for s in SIZES]
    + [(f, s) for f in (flipped, with_vectors, read_twice, named) for s in ((2, 3, 4), (33, 40, 35))]
    + [(flipped, (0, 3, 4)), (named, (3, 0, 4)), (with_vectors, (40, 40, 1))],
    ids=lambda x: x.__name__ if callable(x) else str(x),
)
def test_products_of_every_size_have_numpys_values_and_gradients(function, sizes):
    if function is with_vectors:
        sizes = (sizes[1], *sizes[1:])  # `a` is square
    agree(function, drawn(sizes), 1e-10)


@pytest.mark.parametrize("function", (plain, flipped, read_twice))
def test_products_of_float32_stay_float32(function):
    native = agree(function, drawn((33, 40, 35), np.float32), 1e-4)
    assert "float64" not in native.native_source


@pytest.mark.parametrize("layout", LAYOUTS)
def test_products_of_arrays_in_any_layout_have_numpys_values(layout):
    a, b = drawn((33, 40, 35))
    made = tg.value_and_grad(plain, argnums=(0, 1), jit="native")
    made(a, b)
    value, bars = made(LAYOUTS[layout](a), LAYOUTS[layout](b))
    wanted, wanted_bars = tg.value_and_grad(plain, argnums=(0, 1), jit="python")(a, b)
    np.testing.assert_allclose(value, wanted, rtol=1e-12)
    for bar, wanted_bar in zip(bars, wanted_bars, strict=True):
        np.testing.assert_allclose(bar, wanted_bar, rtol=1e-10)


@pytest.mark.parametrize("function", (plain, named))
def test_no_transpose_is_copied_for_a_product(function):
    native = agree(function, drawn((33, 40, 35)), 1e-10)
    lines = native.native_source.splitlines()
    assert sum(".T" in line for line in lines) >= 1
    assert not any(re.search(r"\[(\w+), (\w+)\] = \w+\[\2, \1\]$", line) for line in lines)


@pytest.mark.parametrize("shape", [(40, 90), (90, 40)])
def test_a_covariance_is_a_product_of_a_matrix_and_itself(shape):
    x = np.random.default_rng(3).uniform(-1, 1, shape)
    made = {
        tier: tg.value_and_grad(lambda x: np.sum(np.cov(x) ** 2), jit=tier) for tier in ("native", "python")
    }
    (value, bar), (wanted, wanted_bar) = made["native"](x), made["python"](x)
    np.testing.assert_allclose(value, wanted, rtol=1e-12)
    np.testing.assert_allclose(bar, wanted_bar, rtol=1e-10, atol=1e-13)
    for text in (made["native"].native_source, made["python"].forward_source):
        assert "copy" not in text.replace("a copy", "") and re.search(r"\b(\w+)(, | @ )\1\.T\b", text)


def recurrent(w, x):
    h = np.zeros((30, 20))
    for k in range(12):
        h = np.tanh(h @ w + x[k])
        w = w * 0.9 + w.T @ w * 0.01
    return np.sum(h * h)


def test_products_in_loops_have_their_memory_from_before():
    g = np.random.default_rng(3)
    native = agree(recurrent, (g.uniform(-0.3, 0.3, (20, 20)), g.uniform(-1, 1, (12, 30, 20))), 1e-9)
    lines = native.native_source.split("def recurrent")[1].splitlines()
    products = [k for k, line in enumerate(lines) if "np.dot(" in line]
    assert products and all(lines[k].startswith("        ") for k in products)
    written = [re.search(r"(\w+)\)$", lines[k]).group(1) for k in products]
    made = [line for name in written for line in lines if line.strip().startswith(f"{name} = np.empty(")]
    assert sum(not line.startswith("        ") for line in made) >= 2


def test_a_product_of_a_carried_matrix_does_not_write_over_it():
    def powers(a, b):
        for _ in range(4):
            a = a @ b
        return np.sum(a)

    agree(powers, drawn((20, 20, 20)), 1e-10)


def of_itself(a, b):
    flipped = a.T
    return np.dot(flipped, a) * b.sum(), a @ flipped * b.sum()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("sizes", [(150, 130), (128, 200), (300, 128)], ids=str)
def test_half_of_a_product_with_the_same_matrix_is_computed(sizes, dtype):
    native = tg.jit(of_itself, jit="native")
    for layout in LAYOUTS.values():
        a = layout(drawn((*sizes, 1), dtype)[0])
        with tg.config.using(cache="none"):
            found = native(a, np.ones(1, dtype))
        for product, wanted in zip(found, (a.astype(float).T @ a, a.astype(float) @ a.T), strict=True):
            assert product.dtype == dtype
            np.testing.assert_array_equal(product, product.T)
            np.testing.assert_allclose(
                product, wanted, rtol=50 * np.finfo(dtype).eps, atol=300 * np.finfo(dtype).eps
            )
    assert native.stats.compiles == 1
    assert ("ssyrk" if dtype == np.float32 else "dsyrk") in machine_code(native)


def test_a_product_with_another_matrix_of_the_same_sizes_is_whole():
    g = np.random.default_rng(9)
    a, b = g.uniform(-1, 1, (2, 140, 150))
    native = tg.jit(lambda a, b: a @ b.T, jit="native")
    np.testing.assert_allclose(native(a, b), np.einsum("ij,kj->ik", a, b), atol=1e-12)
    np.testing.assert_allclose(native(a, a.copy()), np.einsum("ij,kj->ik", a, a), atol=1e-12)
    same = native(a, a)
    np.testing.assert_array_equal(same, same.T)
    np.testing.assert_allclose(same, np.einsum("ij,kj->ik", a, a), atol=1e-12)


def test_the_gradient_of_a_product_with_the_same_matrix_is_one_product():
    def squares(a, b):
        return np.sum(np.tanh(0.05 * (a.T @ a)) ** 2) + np.sum(b)

    a, b = drawn((140, 130, 2))
    native = agree(squares, (a, b), 1e-9)
    assert native.native_source.count("np.dot(") == 2
    _, (a_bar, _) = native(a, b)
    direction = np.random.default_rng(2).uniform(-1, 1, a.shape)
    step = 1e-6
    sides = [squares(a + s * direction, b) for s in (step, -step)]
    np.testing.assert_allclose((sides[0] - sides[1]) / (2 * step), np.sum(a_bar * direction), rtol=1e-6)
