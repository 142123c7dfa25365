"""Cutting value and gradient in two, by text: what is kept, what is computed again, and that nothing is lost."""

from __future__ import annotations

import textwrap
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.drawing import one_of
from tests.passes.random_traces import traces
from tests.passes.test_random import run
from tests.passes.written import read
from tracegrad.ir.text import text
from tracegrad.ir.verify import verify
from tracegrad.passes.residuals import split


def halves(joint: str, outputs: int, cotangents: int) -> tuple[str, str]:
    found = split(read(joint), outputs, cotangents)
    for half in found:
        verify(half)
    return text(found[0]), text(found[1])


def expected(shown: str) -> str:
    return textwrap.dedent(shown).strip("\n")


def test_forward_is_what_the_results_need_and_backward_the_rest() -> None:
    forward, backward = halves(
        """
        trace(x: f8[], y: f8[], out_bar: f8[]):
          a = sin(x)
          b = multiply(a, y)
          a_bar = multiply(out_bar, y)
          y_bar = multiply(out_bar, a)
          _1 = cos(x)
          x_bar = multiply(a_bar, _1)
          return b, x_bar, y_bar
        """,
        1,
        1,
    )
    assert forward == expected("""
        trace(x: f8[], y: f8[]):
          a = sin(x)
          b = multiply(a, y)
          return b, y, a, x
    """)
    assert backward == expected("""
        trace(y: f8[], a: f8[], x: f8[], out_bar: f8[]):
          a_bar = multiply(out_bar, y)
          y_bar = multiply(out_bar, a)
          _1 = cos(x)
          x_bar = multiply(a_bar, _1)
          return x_bar, y_bar
    """)


def test_an_item_of_what_is_kept_is_read_again() -> None:
    forward, backward = halves(
        """
        trace(v: f8[3]):
          a = getitem(v, index=(0,))
          b = sin(a)
          c = sum_to(v, shape=())
          d = multiply(b, c)
          _1 = multiply(v, a)
          return d, _1
        """,
        1,
        0,
    )
    assert forward.endswith("return d, v")
    assert backward == expected("""
        trace(v: f8[3]):
          a = getitem(v, index=(0,))
          _1 = multiply(v, a)
          return _1
    """)


def test_a_chain_of_cheap_steps_is_computed_again_in_order() -> None:
    forward, backward = halves(
        """
        trace(m: f8[2,3]):
          t = transpose(m, axes=(1, 0))
          a = getitem(t, index=(0,))
          b = negative(a)
          s = sum_to(b, shape=())
          u = sum_to(m, shape=())
          _1 = multiply(m, u)
          _2 = sum_to(b, shape=())
          _3 = multiply(_1, _2)
          return s, _3
        """,
        1,
        0,
    )
    assert forward.endswith("return s, m")
    order = [line.strip().split(" = ")[0] for line in backward.splitlines()[1:-1]]
    assert order == ["t", "a", "b", "u", "_1", "_2", "_3"]
    assert backward.startswith("trace(m: f8[2,3]):")


def test_a_guard_and_what_it_needs_stay_in_the_forward_half() -> None:
    forward, backward = halves(
        """
        trace(x: f8[]):
          a = exp(x)
          p = less(a, 10.0)
          guard p is True
          b = sin(x)
          x_bar = multiply(a, b)
          return x, x_bar
        """,
        1,
        0,
    )
    assert forward == expected("""
        trace(x: f8[]):
          a = exp(x)
          p = less(a, 10.0)
          guard p is True
          return x, x, a
    """)
    assert "guard" not in backward and "sin(x)" in backward


def test_gradients_that_are_results_of_the_forward_half() -> None:
    forward, backward = halves("trace(x: f8[], y: f8[]):\n  a = exp(x)\n  return a, a, y, f8[](0.0)", 1, 0)
    assert forward.endswith("return a, a, y")
    assert backward == "trace(a: f8[], y: f8[]):\n  return a, y, f8[](0.0)"


@settings(max_examples=40)
@given(traces(), st.data())
def test_the_halves_together_are_the_whole(drawn: Any, data: st.DataObject) -> None:
    trace, values = drawn
    outputs = data.draw(one_of(range(len(trace.outputs) + 1)))
    forward, backward = split(trace, outputs, 0)
    verify(forward)
    verify(backward)
    whole, first = run(trace, values), run(forward, values)
    assert (whole is None) == (first is None)
    if whole is None:
        return
    second = run(backward, first[outputs:])
    for a, b in zip(whole, (*first[:outputs], *second), strict=True):
        np.testing.assert_array_equal(a, b)


def test_nothing_to_keep() -> None:
    forward, backward = halves("trace(x: f8[], out_bar: f8[]):\n  a = sin(x)\n  return a, out_bar", 1, 1)
    assert forward.endswith("return a")
    assert backward == "trace(out_bar: f8[]):\n  return out_bar"


@pytest.mark.parametrize("outputs", [0, 1, 2])
def test_any_number_of_results(outputs: int) -> None:
    forward, backward = split(read("trace(x: f8[]):\n  a = sin(x)\n  b = cos(x)\n  return a, b"), outputs, 0)
    assert len(backward.outputs) == 2 - outputs
    assert len(forward.outputs) == outputs + len(backward.inputs)
