"""Functions that catch errors: whatever was seen before, each point has its own value and slope, in every tier."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tracegrad as tg
from tests.programs.catching import CATCHING, an_exception_of_one_s_own, in_a_loop, not_positive_definite

STEP = 1e-6


@pytest.mark.parametrize("jit", ["native", "python", "auto"])
@pytest.mark.parametrize(("function", "points"), CATCHING, ids=lambda x: getattr(x, "__name__", ""))
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_each_point_has_its_own_value_and_slope(
    function: Callable[..., Any], points: tuple[float, ...], jit: str
) -> None:
    exact = {x: function(x) for x in points}
    slopes = {x: (function(x + STEP) - function(x - STEP)) / (2.0 * STEP) for x in points if x != 1.0}
    for order in itertools.permutations(points):
        gradient = tg.value_and_grad(function, jit=jit)
        for x in (*order, *order, *order[::-1]):
            value, slope = gradient(x)
            np.testing.assert_allclose(value, exact[x], rtol=1e-12, err_msg=f"{order}, {x}")
            np.testing.assert_allclose(slope, slopes.get(x, 100.0), rtol=1e-5, err_msg=f"{order}, {x}")


def test_points_that_do_not_raise_have_a_program() -> None:
    gradient = tg.value_and_grad(not_positive_definite, jit="native")
    for x in (2.0, 0.5, 3.0, 0.25, 0.5):
        gradient(x)
    assert gradient.stats.compiles == 1
    told = [event for event in gradient.events if event.kind == "tape"]
    assert [event.text.split(":")[0] for event in told] == ["catches an error of `cholesky`"] * 2
    assert all(event.where.text.strip().startswith("factor = ") for event in told)


def item_or_sum(x: Any, y: Any) -> Any:
    try:
        return np.sum(x * y) * x[3]
    except (IndexError, ValueError):
        return np.sum(x) ** 2


@pytest.mark.parametrize("lengths", [(3, 3), (4, 5)])
def test_what_shapes_alone_make_raise_is_part_of_the_program(lengths: tuple[int, int]) -> None:
    """An index that is not there, and shapes that do not fit."""
    gradient = tg.value_and_grad(item_or_sum, jit="native")
    for seed in range(3):
        x, y = (np.random.default_rng(seed).normal(size=n) for n in lengths)
        value, slope = gradient(x, y)
        assert value == pytest.approx(np.sum(x) ** 2)
        np.testing.assert_allclose(slope, np.full(lengths[0], 2.0 * np.sum(x)))
    assert (gradient.stats.captures, gradient.stats.compiles) == (1, 1)


def test_what_the_function_raises_itself_is_an_arm() -> None:
    gradient = tg.value_and_grad(an_exception_of_one_s_own, jit="python")
    for x in (2.0, 0.5, 3.0, 0.25):
        gradient(x)
    assert gradient.stats.captures == 2


def test_a_derivative_inside_that_catches_an_error_tells_the_one_around_it() -> None:
    def outer(x: float) -> Any:
        return tg.grad(in_a_loop)(x) * x

    for order in ((0.12, 2.0), (2.0, 0.12)):
        gradient = tg.value_and_grad(outer)
        for x in (*order, *order):
            value, _ = gradient(x)
            slope = (in_a_loop(x + STEP) - in_a_loop(x - STEP)) / (2.0 * STEP)
            np.testing.assert_allclose(value, slope * x, rtol=1e-5)
