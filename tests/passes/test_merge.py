"""Two captures of one function as one program, by text; what is another program is said, and why."""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import tracegrad as tg
from tests.passes.written import read
from tracegrad.errors import Mismatch
from tracegrad.ir.text import text
from tracegrad.ir.trace import Trace
from tracegrad.ir.verify import verify
from tracegrad.passes.merge import merge


@pytest.fixture(autouse=True)
def readable_text() -> Iterator[None]:
    with tg.config.using(jit="python"):
        yield


def arm(taken: bool, steps: str) -> str:
    """A function with one branch, of which one arm was seen."""
    seen = f"trace(x: f8[]):\n                {steps}\n                return b"
    true, false = (seen, "None") if taken else ("None", seen)
    return f"""
        trace(x: f8[]):
          p = greater(x, 0.0)
          a = branch(p, x, names=('a',)):
            true = {true}
            false = {false}
          c = exp(a)
          return c
    """


def shown(trace: Trace) -> str:
    """The text, whatever an arm is called."""
    return text(trace).replace("trace arm(", "trace(")


def merged(first: str, second: str) -> Trace | Mismatch:
    one, other = read(first), read(second)
    return merge(one, other, one.inputs)


def test_two_arms_join() -> None:
    found = merged(arm(True, "b = sin(x)"), arm(False, "b = cos(x)"))
    assert isinstance(found, Trace)
    verify(found)
    assert shown(found) == textwrap.dedent("""\
        trace(x: f8[]):
          p = greater(x, 0.0)
          a = branch(p, x, names=('a',)):
            true = trace(x: f8[]):
              b = sin(x)
              return b
            false = trace(x: f8[]):
              b = cos(x)
              return b
          c = exp(a)
          return c""")


def test_the_same_capture_twice_is_itself() -> None:
    found = merged(arm(True, "b = sin(x)"), arm(True, "b = sin(x)"))
    assert isinstance(found, Trace)
    assert shown(found) == shown(read(arm(True, "b = sin(x)")))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda t: t.replace("exp(a)", "tanh(a)"), "exp"),
        (lambda t: t.replace("greater(x, 0.0)", "greater(x, 1.0)"), ""),
        (lambda t: t.replace("return c\n    ", "return a\n    "), "different values"),
        (lambda t: t.replace("c = exp(a)", "b = exp(a)\n          c = exp(b)"), "in one alone"),
        (lambda t: t.replace("sin(x)", "cos(x)"), "sin"),
    ],
)
def test_other_programs_do_not_join(change: Callable[[str], str], why: str) -> None:
    first = arm(True, "b = sin(x)")
    assert change(first) != first
    found = merged(first, change(first))
    assert isinstance(found, Mismatch)
    assert why in found.reason


def test_a_guard_that_went_another_way_does_not_join() -> None:
    steps = "trace(x: f8[]):\n  p = greater(x, 0.0)\n  guard p is {}\n  return x"
    found = merged(steps.format(True), steps.format(False))
    assert isinstance(found, Mismatch) and "guard" in found.reason


# --- whole functions: the number of captures is bounded by the number of arms


def three_branches(x: Any) -> Any:
    y = x * 1.0
    if x > 0.0:
        y = y * 2.0
    if x > 1.0:
        y = np.sin(y)
    else:
        y = y + 1.0
    if x < -1.0 or x > 3.0:
        z = y * y
    else:
        z = y
    return z


def test_every_arm_is_captured_once() -> None:
    g = tg.value_and_grad(three_branches)
    rng = np.random.default_rng(0)
    for x in rng.uniform(-3.0, 5.0, 100):
        value, slope = g(x)
        np.testing.assert_allclose(value, three_branches(x), rtol=1e-14)
        h = 1e-7
        np.testing.assert_allclose(
            slope, (three_branches(x + h) - three_branches(x - h)) / (2 * h), rtol=1e-4, atol=1e-5
        )
    assert g.stats.captures <= 5
    assert "both arms" in g.paths


def test_the_order_of_captures_does_not_matter() -> None:
    points = (-2.0, 0.5, 2.0, 4.0)
    expected = [tg.grad(three_branches)(x) for x in points]
    for order in itertools.permutations(range(4)):
        g = tg.grad(three_branches)
        for k in order:
            g(points[k])
        assert [g(x) for x in points] == expected


def test_arms_that_read_different_things_outside() -> None:
    left, right = 2.0, 3.0

    def f(x: Any) -> Any:
        y = x
        if x > 0.0:
            y = y * right
        else:
            y = y * left
        return y

    g = tg.grad(f)
    assert [g(1.0), g(-1.0), g(1.0)] == [3.0, 2.0, 3.0]
    left, right = 20.0, 30.0
    assert [g(1.0), g(-1.0)] == [30.0, 20.0]
    assert g.stats.captures == 2
