"""Traces of derivatives by text: seeds, zeros, types; random programs are checked in test_random_derivatives."""

from __future__ import annotations

import textwrap

import numpy as np
import pytest

from tests.passes.written import read
from tracegrad.ir.interpret import interpret
from tracegrad.ir.text import text
from tracegrad.ir.trace import Trace
from tracegrad.ir.verify import verify
from tracegrad.passes.differentiate import forward_mode, reverse_mode


def written(trace: Trace) -> str:
    verify(trace)
    return text(trace)


def expected(shown: str) -> str:
    return textwrap.dedent(shown).strip("\n")


PRODUCT = """
    trace(x: f8[], y: f8[]):
      a = sin(x)
      b = multiply(a, y)
      return b
"""


def test_reverse_mode_with_the_seed_one() -> None:
    assert written(reverse_mode(read(PRODUCT), [0, 1], [0], unit_seed=True)) == expected("""
        trace(x: f8[], y: f8[]):
          a = sin(x)
          b = multiply(a, y)
          a_bar = multiply(1.0, y)
          y_bar = multiply(1.0, a)
          _1 = cos(x)
          x_bar = multiply(a_bar, _1)
          return b, x_bar, y_bar
    """)


def test_reverse_mode_with_a_cotangent_as_input() -> None:
    found = reverse_mode(read(PRODUCT), [0], [0])
    assert [v.name for v in found.inputs] == ["x", "y", "out_bar"]
    assert len(found.outputs) == 2
    x, y = 0.3, 2.0
    np.testing.assert_allclose(interpret(found, [x, y, 3.0])[1], 3.0 * y * np.cos(x))


def test_several_cotangents_have_names_of_their_own() -> None:
    trace = read("""
        trace(x: f8[], y: f8[]):
          a = multiply(x, y)
          b = add(x, y)
          return a, b, a
    """)
    found = reverse_mode(trace, [0, 1], [0, 1, 2])
    assert [v.name for v in found.inputs[2:]] == ["out0_bar", "out1_bar", "out2_bar"]
    verify(found)
    bars = interpret(found, [2.0, 3.0, 1.0, 10.0, 100.0])[3:]
    assert bars == (101.0 * 3.0 + 10.0, 101.0 * 2.0 + 10.0)


def test_no_dependence_is_zero_of_the_right_type() -> None:
    trace = read("""
        trace(x: f8[], m: f4[2,3], y: f4[]):
          a = sin(x)
          return a
    """)
    found = reverse_mode(trace, [1, 2, 0], [0], unit_seed=True)
    verify(found)
    m_bar, y_bar, x_bar = interpret(found, [0.3, np.ones((2, 3), np.float32), np.float32(1.0)])[1:]
    assert m_bar.shape == (2, 3) and m_bar.dtype == np.float32 and not m_bar.any()
    assert y_bar == 0.0 and y_bar.dtype == np.float32
    np.testing.assert_allclose(x_bar, np.cos(0.3))


def test_an_input_that_is_the_result() -> None:
    trace = read("trace(x: f8[], y: f8[]):\n  return x")
    assert written(reverse_mode(trace, [0, 1], [0], unit_seed=True)) == expected("""
        trace(x: f8[], y: f8[]):
          return x, 1.0, f8(0.0)
    """)


def test_a_result_that_is_constant() -> None:
    trace = read("trace(x: f8[]):\n  return 2.0")
    found = reverse_mode(trace, [0], [0], unit_seed=True)
    verify(found)
    assert interpret(found, [1.0]) == (2.0, 0.0)


def test_float32_stays_float32() -> None:
    trace = read("""
        trace(x: f4[3]):
          a = multiply(x, 2.0)
          b = sum_to(a, shape=())
          return b
    """)
    found = reverse_mode(trace, [0], [0], unit_seed=True)
    verify(found)
    assert all(a.type.dtype == np.float32 for a in found.outputs)


def test_forward_mode() -> None:
    assert written(forward_mode(read(PRODUCT), [0])) == expected("""
        trace(x: f8[], y: f8[], x_dot: f8[]):
          a = sin(x)
          b = multiply(a, y)
          _1 = cos(x)
          a_dot = multiply(x_dot, _1)
          b_dot = multiply(a_dot, y)
          return b, b_dot
    """)


def test_forward_mode_of_results_without_dependence() -> None:
    trace = read("""
        trace(x: f8[], m: f8[2]):
          p = greater(x, 0.0)
          return m, p, x
    """)
    found = forward_mode(trace, [0])
    verify(found)
    m_dot, p_dot, x_dot = interpret(found, [1.0, np.ones(2), 5.0])[3:]
    assert m_dot.tolist() == [0.0, 0.0] and not p_dot and x_dot == 5.0


@pytest.mark.parametrize("x", [0.5, 3.0, -2.0])
def test_guards_keep_their_places(x: float) -> None:
    trace = read("""
        trace(x: f8[], p: b1[]):
          guard p is True
          a = multiply(x, x)
          q = greater(a, 100.0)
          guard q is False
          return a
    """)
    found = reverse_mode(trace, [0], [0], unit_seed=True)
    verify(found)
    assert written(found).count("guard") == 2
    assert interpret(found, [x, True]) == (x * x, 2 * x)


def test_derivatives_of_derivatives_are_traces_like_any_other() -> None:
    trace = read(PRODUCT)
    first = reverse_mode(trace, [0], [0], unit_seed=True)
    second = reverse_mode(first, [0], [1], unit_seed=True)
    third = forward_mode(second, [0])
    verify(third)
    x, y = 0.3, 2.0
    results = interpret(third, [x, y, 1.0])
    np.testing.assert_allclose(results[:3], [np.sin(x) * y, np.cos(x) * y, -np.sin(x) * y], rtol=1e-15)
    np.testing.assert_allclose(results[3:], [np.cos(x) * y, -np.sin(x) * y, -np.cos(x) * y], rtol=1e-15)


def test_a_loop_is_differentiated_as_a_loop() -> None:
    trace = read("""
        trace(x: f8[], y: f8[]):
          n, a = loop(-1, x, y, carried=1, sliced=0, reverse=False, names=('a',), stop=None):
            condition = trace(i: i8[], a: f8[], y: f8[]):
              p = less(a, 100.0)
              return p
            body = trace(i: i8[], a: f8[], y: f8[]):
              b = multiply(a, y)
              return b
          return a
    """)
    found = reverse_mode(trace, [0, 1], [0], unit_seed=True)
    verify(found)
    assert written(found).count("= loop(") == 2
    # x y^7 = 128 for x = 1, y = 2
    assert interpret(found, [1.0, 2.0]) == (128.0, 128.0, 7 * 64.0)
    assert interpret(found, [200.0, 2.0]) == (200.0, 1.0, 0.0)
