"""Stacks of matrices times vectors in native text: one pass over the matrices, for every layout."""

from __future__ import annotations

import re

import numpy as np
import pytest

import tracegrad as tg
from tests.emit.kernel_patterns import X86, compiled, machine_code
from tests.emit.test_part_products import agree, body, both, drawn
from tests.emit.test_products import LAYOUTS


def by_letters(a, v):
    return np.sum(np.sin(np.einsum("bij,bj->bi", a, v)))


def turned(a, v):
    return np.sum(np.sin(np.einsum("bij,bi->bj", a, v)))


def columns(a, v):
    return np.sum(np.sin(a @ v[:, :, None]))


def turned_columns(a, v):
    return np.sum(np.sin(np.swapaxes(a, 1, 2) @ v[..., None])[..., 0])


def rows(a, v):
    return np.sum(np.sin(v[:, None, :] @ a))


def one_vector(a, v):
    return np.sum(np.sin(a @ v[0]))


def one_vector_first(a, v):
    return np.sum(np.sin(v[0] @ a))


def quadratic_forms(a, v):
    return np.sum(np.sin(np.einsum("bi,bij,bj->b", v, a, v)))


def outer_products(a, v):
    return np.sum(np.sin(v[:, :, None] @ v[:, None, :]) * a)


PROGRAMS = (
    by_letters,
    turned,
    columns,
    turned_columns,
    rows,
    one_vector,
    one_vector_first,
    quadratic_forms,
    outer_products,
)
SIZES = [(40, 5, 5), (300, 8, 8), (30, 20, 20), (7, 48, 48), (3, 130, 130), (1, 20, 20), (0, 5, 5), (5, 0, 0)]


@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("program", PROGRAMS)
def test_they_have_numpys_values(program, sizes):
    a, v = drawn([sizes, sizes[:2]])
    if program in (one_vector, one_vector_first) and not len(v):
        pytest.skip("there is no vector")
    _, found, wanted = both(program, (a, v))
    agree(found, wanted)
    np.testing.assert_allclose(found[0], program(a, v), rtol=1e-10)


@pytest.mark.parametrize("program", PROGRAMS)
def test_nothing_is_copied_and_no_kernel_is_called(program):
    native, found, _ = both(program, drawn([(30, 20, 20), (30, 20)]))
    text = body(native)
    assert not re.search(r"batched_|contract\(|spread_product\(", text)
    g = np.random.default_rng(1)
    arguments = drawn([(30, 20, 20), (30, 20)])
    direction = [g.uniform(-1, 1, a.shape) for a in arguments]
    ends = [program(*(a + s * 1e-5 * d for a, d in zip(arguments, direction, strict=True))) for s in (1, -1)]
    slope = sum(np.sum(bar * d) for bar, d in zip(found[1], direction, strict=True))
    np.testing.assert_allclose(slope, (ends[0] - ends[1]) / 2e-5, rtol=1e-6)


def test_products_with_what_is_not_a_number_are_none_where_numpy_has_none():
    a, v = drawn([(30, 20, 20), (30, 20)])
    a[3, 4, 5], a[6, 7, 8], v[9, 2] = np.nan, np.inf, -np.inf
    a[9, :, 2] = 0.0
    native = tg.value_and_grad(by_letters, argnums=(0, 1), jit="native")
    with np.errstate(invalid="ignore"):
        wanted = tg.value_and_grad(by_letters, argnums=(0, 1), jit="python")(a, v)
        agree(native(a, v), wanted)


def test_they_stay_float32():
    _, found, wanted = both(by_letters, drawn([(30, 20, 20), (30, 20)], np.float32))
    agree(found, wanted, 2e-4)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_arrays_in_any_layout(layout):
    a, v = drawn([(12, 20, 20), (12, 20)])
    native, _, wanted = both(by_letters, (a, v))
    for given in ((LAYOUTS[layout](a), LAYOUTS[layout](v)), (a, LAYOUTS[layout](v))):
        agree(native(*given), wanted)


def row_sums(a, b):
    return np.sum(a * b, axis=1)


@pytest.mark.parametrize("length", [20, 32, 33, 48, 63])
def test_sums_of_rows_of_middle_length_take_several_elements_at_once(length):
    """Written out, as LLVM does with loops of so few rounds, the terms were added one after the other."""
    a, b = drawn([(200, length), (200, length)])
    native = compiled(row_sums, a, b, transform=tg.jit)
    np.testing.assert_allclose(native(a, b), np.sum(a * b, axis=1), rtol=1e-12, atol=1e-12)
    if not X86:
        pytest.skip("reads machine code of x86")
    code = machine_code(native)
    packed, single = (len(re.findall(rf"\tv?f?m?add\w*{kind}\b", code)) for kind in ("pd", "sd"))
    assert packed and single <= 4, (packed, single)
