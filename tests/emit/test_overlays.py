"""Parts that are added to zeros at slices that overlap: one loop makes them and adds them, in every tier alike."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tracegrad as tg
from tests.drawing import bits, one_of
from tests.emit.kernel_patterns import assert_packed, compiled, numbers
from tracegrad.config import config
from tracegrad.ops import overlay

Function = Callable[..., Any]


def rosenbrock(x: Any) -> Any:
    return np.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)


def second_differences(x: Any) -> Any:
    return np.sum((x[2:] * x[:-2] - 2.0 * x[1:-1]) ** 2)


def rising_slices(x: Any) -> Any:
    return np.sum(np.sqrt(1.0 + x[:-2] ** 2) * x[1:-1] / (3.0 + x[2:] ** 2))


def inner_part(x: Any) -> Any:
    return np.sum(x[2:-3] ** 3)


def total_variation(x: Any) -> Any:
    across, down = x[:-1, 1:] - x[:-1, :-1], x[1:, :-1] - x[:-1, :-1]
    return np.sum(np.sqrt(down**2 + across**2 + 1e-3))


def five_points(u: Any) -> Any:
    sides = u[:-2, 1:-1] + u[2:, 1:-1] + u[1:-1, :-2] * u[1:-1, 2:]
    return np.sum((sides - 4.0 * u[1:-1, 1:-1]) ** 2)


def nine_points(u: Any) -> Any:
    found = 0.0
    for i in range(3):
        for j in range(3):
            found = found + (1.0 + i + 2.0 * j) * u[i : i + u.shape[0] - 2, j : j + u.shape[1] - 2] ** 2
    return np.sum(found**2)


def blurred(x: Any) -> Any:
    inner = (x[:-2] + 2.0 * x[1:-1] + x[2:]) / 4.0
    inner = (inner[:, :-2] + 2.0 * inner[:, 1:-1] + inner[:, 2:]) / 4.0
    return np.sum((x[1:-1, 1:-1] - inner) ** 2)


def within_rows(x: Any) -> Any:
    rows = x[:-2] * x[1:-1] + np.sin(x[2:])
    shorter = x[1:-1, 1:-2] * x[2:, 2:-1] - x[1:-1, :-3] ** 2
    return np.sum(rows[:, 1:-2] * shorter) + np.sum(x[:-2, 3:] ** 3)


def within_planes(x: Any) -> Any:
    planes = (x[1:] + 2.0 * x[:-1]) ** 2
    return np.sum(planes[:, :, 1:] * x[1:, :, :-1]) + np.sum(planes * x[:-1])


def far_apart(x: Any) -> Any:
    return np.sum(x[11:] * x[:-11]) + np.sum(x[11:] ** 2)


def moving_averages(x: Any) -> Any:
    return np.sum((x[40:] - x[:-40] / 3.0) ** 2)


def far_and_near(x: Any) -> Any:
    """Two parts far off, which follow each other, and three near, of rows as well."""
    near = x[..., 1:-38] - x[..., :-39] ** 2
    return np.sum(x[..., 39:] * x[..., 38:-1] * near * x[..., 2:-37])


def heated(u: Any) -> Any:
    for _ in range(5):
        inner = u[1:-1] + 0.1 * (u[2:] - 2.0 * u[1:-1] + u[:-2])
        u = np.concatenate([u[:1], inner, u[-1:]])
    return np.sum(u**2)


def edges_of_a_cube(x: Any) -> Any:
    a, b, c = x[1:, 1:, 1:], x[:-1, 1:, 1:], x[1:, :-1, 1:]
    return np.sum((a - b) ** 2 * (a - c) ** 2 * x[1:, 1:, :-1])


FUNCTIONS: list[tuple[Function, tuple[int, ...]]] = [
    (rosenbrock, (2,)),
    (rosenbrock, (37,)),
    (second_differences, (3,)),
    (second_differences, (4,)),
    (second_differences, (41,)),
    (rising_slices, (40,)),
    (inner_part, (12,)),
    (total_variation, (2, 2)),
    (total_variation, (9, 12)),
    (total_variation, (12, 2)),
    (five_points, (3, 3)),
    (five_points, (8, 11)),
    (nine_points, (3, 9)),
    (nine_points, (9, 4)),
    (blurred, (7, 10)),
    (blurred, (3, 3)),
    (within_rows, (8, 9)),
    (within_rows, (3, 4)),
    (within_planes, (4, 3, 5)),
    (within_planes, (2, 1, 2)),
    (far_apart, (30,)),
    (moving_averages, (41,)),
    (moving_averages, (150,)),
    (far_and_near, (40,)),
    (far_and_near, (90,)),
    (far_and_near, (3, 77)),
    (heated, (12,)),
    (edges_of_a_cube, (4, 5, 6)),
    (edges_of_a_cube, (2, 1, 3)),
]


def differences(function: Function, x: Any) -> Any:
    """The gradient by central differences along each axis of the argument."""
    found = np.empty_like(x)
    for place in np.ndindex(x.shape):
        step = np.zeros_like(x)
        step[place] = 1e-6
        found[place] = (function(x + step) - function(x - step)) / 2e-6
    return found


@pytest.mark.parametrize(
    ("function", "shape"), FUNCTIONS, ids=[f"{f.__name__}-{'x'.join(map(str, s))}" for f, s in FUNCTIONS]
)
def test_the_sum_is_the_same_in_every_tier(function: Function, shape: tuple[int, ...]) -> None:
    x = numbers(*shape)
    with config.using(contract=False):
        native, readable = (tg.grad(function, jit=tier) for tier in ("native", "python"))
        found = native(x)
        np.testing.assert_array_equal(found, readable(x))
        np.testing.assert_array_equal(np.signbit(found), np.signbit(readable(x)))
    np.testing.assert_allclose(found, differences(function, x), rtol=2e-6, atol=1e-6)
    assert native.stats.compiles == 1


@pytest.mark.parametrize("dtype", [np.float32, np.complex128])
def test_other_dtypes(dtype: Any) -> None:
    x = numbers(21).astype(dtype)

    def size(x: Any) -> Any:
        y = x[2:] * x[:-2] + x[1:-1]
        return np.sum(np.real(y) ** 2 + np.imag(y) ** 2)

    with config.using(contract=False):
        found = tg.grad(size, jit="native")(x)
        np.testing.assert_array_equal(found, tg.grad(size, jit="python")(x))
    assert found.dtype == dtype


def test_products_with_the_hessian() -> None:
    x, v = numbers(9, 8), numbers(9, 8)[::-1]
    gradient = tg.grad(total_variation, jit="python")
    found = tg.hessian_vector_product(total_variation)(x, v)
    wanted = (gradient(x + 1e-6 * v) - gradient(x - 1e-6 * v)) / 2e-6
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)


# --- what the text says


def text_of(function: Function, *shape: int) -> str:
    f = tg.value_and_grad(function, jit="native")
    f(numbers(*shape))
    return f.native_source[f.native_source.index(f"def {function.__name__}") :]


@pytest.mark.parametrize(
    ("function", "shape"),
    [
        (rosenbrock, (400,)),
        (second_differences, (400,)),
        (total_variation, (50, 60)),
        (five_points, (50, 60)),
        (moving_averages, (400,)),
    ],
)
def test_one_loop_makes_and_adds_the_parts(function: Function, shape: tuple[int, ...]) -> None:
    text = text_of(function, *shape)
    assert len(re.findall(r"np\.(?:empty|zeros)\(", text)) == 1  # the gradient
    rounds = "|".join(rf"in range\({shape[-1] - apart}\)" for apart in (1, 2, 40))
    assert len(re.findall(rounds, text)) == 1


def test_numbers_are_handed_on_along_the_last_axis() -> None:
    text = text_of(rosenbrock, 400)
    assert "x_bar = np.empty(400)" in text
    assert "x_bar[i] = x_bar_next + " in text
    assert "x_bar[399] = x_bar_next" in text


def test_parts_far_from_each_other_stay_loops_of_their_own() -> None:
    assert "_next" not in text_of(far_apart, 100)


def test_rows_of_a_sum_live_as_long_as_a_round() -> None:
    text = text_of(blurred, 50, 60)
    assert "inner_bar = np.empty(60)" in text
    assert (
        len(re.findall(r"np\.(?:empty|zeros)\(\(", text)) == 1
    )  # the gradient; what is added to rows is none


@pytest.mark.parametrize("function", [rosenbrock, moving_averages])
def test_the_loop_is_vectorised(function: Function) -> None:
    assert_packed(compiled(function, numbers(1000)))


def test_a_large_sum_is_the_same_in_blocks() -> None:
    x = numbers(300_000) / 7.0
    with config.using(contract=False):
        np.testing.assert_array_equal(
            tg.grad(second_differences, jit="native")(x), tg.grad(second_differences, jit="python")(x)
        )


# --- any slices


@st.composite
def slices(draw: Any) -> tuple[tuple[int, ...], list[tuple[slice, ...]]]:
    """A shape, and slices of one shape in it, or of two."""
    shape = tuple(draw(one_of((2, 3, 5, 8))) for _ in range(draw(one_of((1, 2, 3)))))
    parts = tuple(draw(one_of(range(1, n + 1))) for n in shape)
    found = []
    for _ in range(draw(one_of(range(2, 6)))):
        starts = [draw(bits(3)) % (n - k + 1) for n, k in zip(shape, parts, strict=True)]
        found.append(tuple(slice(a, a + k) for a, k in zip(starts, parts, strict=True)))
    return shape, found


def product_of_parts(x: Any, places: Any) -> Any:
    found = 1.0
    for k, place in enumerate(places):
        found = found * (x[place] + 0.25 * k)
    return np.sum(found)


@settings(max_examples=24)
@given(slices(), one_of((2, 3, overlay.FAR)))
def test_any_slices(drawn: tuple[tuple[int, ...], list[tuple[slice, ...]]], far: int) -> None:
    """`far` is what counts as far along the last axis."""
    shape, places = drawn
    x = numbers(*shape) / 3.0
    with config.using(contract=False), mock.patch.object(overlay, "FAR", far):
        native, readable = (tg.grad(product_of_parts, jit=tier)(x, places) for tier in ("native", "python"))
    np.testing.assert_array_equal(native, readable)
    wanted = differences(lambda x: product_of_parts(x, places), x)
    np.testing.assert_allclose(native, wanted, rtol=1e-5, atol=1e-5)


def cubed_differences(x: Any) -> Any:
    return np.sum(np.diff(x, axis=0) ** 3)


@pytest.mark.parametrize("function", [total_variation, five_points, cubed_differences])
@pytest.mark.parametrize("shape", [(5, 7), (70, 90)])
def test_gradients_that_are_multiplied_and_added_up(function: Function, shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(5)
    x, v = rng.normal(size=(2, *shape))

    def along(x, v):
        return np.sum(tg.grad(function)(x) * v)

    made, slope_at = tg.value_and_grad(along, jit="native"), tg.grad(function, jit="python")
    for _ in range(2):
        value, found = made(x, v)
        assert value == pytest.approx((function(x + 1e-5 * v) - function(x - 1e-5 * v)) / 2e-5, rel=1e-6)
        wanted = (slope_at(x + 1e-5 * v) - slope_at(x - 1e-5 * v)) / 2e-5
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6 * np.max(np.abs(wanted)))
    assert "data" not in made.native_source  # no zeros as an input


@pytest.mark.parametrize("n", [12, 40_000])
def test_parts_that_cancel_are_added_before_they_are_multiplied(n: int) -> None:
    """The gradient of `sum(x[1:] * w - x[:-1] * w)` in x."""
    rng = np.random.default_rng(8)
    w, v = 1e8 + rng.normal(size=n), rng.normal(size=n + 1)
    v[0] = v[-1] = 0.0  # nothing cancels there

    def along(w, v):
        return np.sum(tg.grad(lambda x: np.sum(np.diff(x) * w))(v) * v)

    terms = (np.concatenate([[0.0], w]) - np.concatenate([w, [0.0]])) * v
    found = tg.value_and_grad(along, jit="native")
    for _ in range(2):
        error = abs(found(w, v)[0] - math.fsum(terms))
        assert error <= 1e-14 * np.sum(np.abs(terms))


def test_what_no_part_covers_is_still_multiplied() -> None:
    x, v = np.ones((6, 6)), np.ones((6, 6))

    def along(x, v):
        return np.sum(tg.grad(total_variation)(x) * v)

    made = tg.value_and_grad(along, jit="native")
    made(x, v)
    v[-1, -1] = np.inf  # its gradient is 0
    with np.errstate(invalid="ignore"):
        assert np.isnan(made(x, v)[0]) and np.isnan(np.sum(tg.grad(total_variation)(x) * v))
