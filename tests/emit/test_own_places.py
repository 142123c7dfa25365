"""What is added to a part of an array and made of that part alone is made where it is added; nothing else is."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tracegrad as tg
from tests.emit.kernel_patterns import numbers
from tracegrad.config import config

SIDE = 120


def inner(x: Any) -> Any:
    a = x * 1.0
    a[1:-1] += 0.25 * (x[2:] - 2 * x[1:-1] + x[:-2])
    return np.sum(a * a)


def relaxed(x: Any) -> Any:
    a = x.copy()
    for _ in range(3):
        a[1:-1, 1:-1] += 0.25 * (a[:-2, 1:-1] + a[2:, 1:-1] - 2.0 * a[1:-1, 1:-1])
    return np.sum(a * a)


def doubled(x: Any) -> Any:
    a = x * x
    a[1:-1] += 0.5 * a[1:-1]
    return np.sum(a * x)


def still_read(x: Any) -> Any:
    a = x * x
    b = a.copy()
    b[1:-1] += 0.5 * a[1:-1]
    return np.sum(b * a)


def beside(x: Any) -> Any:
    a = x * x
    a[1:-1] += 0.5 * a[2:]
    return np.sum(a * x)


def backwards(x: Any) -> Any:
    a = x * x
    a[1:-1] += 0.5 * a[-2:0:-1]
    return np.sum(a * x)


def one_row(x: Any) -> Any:
    a = x * x
    a[1:-1] += 0.5 * a[1]
    return np.sum(a * x)


def transposed(x: Any) -> Any:
    a = x * x
    a[1:-1, 1:-1] += 0.5 * a[1:-1, 1:-1].T
    return np.sum(a * x)


def after_another(x: Any) -> Any:
    a = x * x
    part = 0.5 * a[1:-1]
    a[2:] += 3.0 * x[2:]
    a[1:-1] += part
    return np.sum(a * x)


def set_instead(x: Any) -> Any:
    a = x * x
    a[1:-1] = 2.0 - 0.5 * a[1:-1] * a[1:-1]
    return np.sum(a * x)


FUNCTIONS = (
    inner,
    relaxed,
    doubled,
    still_read,
    beside,
    backwards,
    one_row,
    transposed,
    after_another,
    set_instead,
)


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("side", [5, SIDE])
def test_every_tier_and_differences(
    function: Callable[[Any], Any], side: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(config, "contract", False)
    x, v, h = numbers(side, side), numbers(side, side, seed=3), 1e-5
    _, bar = tg.value_and_grad(function, jit="native")(x)
    _, same = tg.value_and_grad(function, jit="python")(x)
    np.testing.assert_array_equal(bar, same)
    value, tangent = tg.jvp(function, jit="native")((x,), (v,))
    np.testing.assert_allclose(value, function(x), rtol=1e-12)
    difference = (function(x + h * v) - function(x - h * v)) / (2 * h)
    np.testing.assert_allclose(np.sum(bar * v), difference, rtol=1e-6)
    np.testing.assert_allclose(tangent, difference, rtol=1e-6)


def planned(function: Callable[[Any], Any]) -> tuple[str, int]:
    """The native text, and how many large arrays it is given."""
    run = tg.value_and_grad(function, jit="native")
    run(numbers(SIDE, SIDE))
    source = run.native_source
    head = re.search(rf"def {function.__name__}_value_and_grad\((.*?)\)", source, re.DOTALL)
    assert head is not None
    return source, head[1].count(",")


def test_multiples_of_a_part_need_no_memory() -> None:
    source, given = planned(relaxed)
    assert given == 2
    assert re.search(r"(a_bar\[i \+ 1, (j|j \+ 1)\]) \+= -0\.5 \* \1", source)


@pytest.mark.parametrize("function", [beside, backwards, one_row, transposed])
def test_other_places_are_read_before(function: Callable[[Any], Any]) -> None:
    run = tg.jit(function, jit="native")
    run(numbers(SIDE, SIDE))
    assert not re.search(r"^ *(\w+)\[[^]]*\] \+= [^\n]*\1\[", run.native_source, re.MULTILINE)
