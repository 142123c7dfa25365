"""Running traces, leaving them at guards, and asking them questions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.passes.written import read
from tracegrad.errors import SideExit
from tracegrad.ir.interpret import holds, interpret
from tracegrad.ir.trace import Guard, Instr
from tracegrad.ir.walk import (
    all_steps,
    guards,
    has_guard,
    map_nested,
    nested,
    use_counts,
    without_guards,
)

TRACE = read("""
    trace(x: f8[], p: b1[]):
      guard p is True
      n, a = loop(5, x, carried=1, sliced=0, reverse=False, names=('a',), stop=None):
        condition = trace(i: i8[], a: f8[]):
          q = less(a, 100.0)
          r = less(a, 1000.0)
          guard r is True
          return q
        body = trace(i: i8[], a: f8[]):
          b = multiply(a, 2.0)
          q = less(b, 50.0)
          c = branch(q, b, names=('c',)):
            true = trace(b: f8[]):
              q = greater(b, 0.0)
              guard q is True
              return b
            false = trace(b: f8[]):
              q = greater(b, 60.0)
              guard q is True
              return b
          return c
      q = less(x, 8.0)
      guard q is True
      return a, n, 1.0
""")


def test_a_trace_runs() -> None:
    assert interpret(TRACE, (np.float64(1.0), True)) == (32.0, 5, 1.0)
    assert interpret(TRACE, (np.float64(7.75), True)) == (124.0, 4, 1.0)


@pytest.mark.parametrize(
    "x, p, number", [(1.0, False, 0), (2000.0, True, 1), (-1.0, True, 2), (26.0, True, 3), (10.0, True, 4)]
)
def test_a_side_exit_says_which_guard(x: float, p: bool, number: int) -> None:
    with pytest.raises(SideExit) as left:
        interpret(TRACE, (np.float64(x), p))
    assert left.value.number == number
    assert left.value.guard is guards(TRACE)[number]


@pytest.mark.parametrize(
    "value, expected, result",
    [
        (np.bool_(True), True, True),
        (np.float64(0.5), True, True),
        (np.int64(3), 3, True),
        (np.int64(3), 4, False),
        (np.float32(0.5), 0.5, True),
        (float("nan"), float("nan"), True),
        (1 + 2j, 1 + 2j, True),
        (np.array([1, 2]), np.array([1, 2]), True),
        (np.array([1, 2]), np.array([1, 3]), False),
    ],
)
def test_when_a_guard_holds(value: Any, expected: Any, result: bool) -> None:
    assert holds(value, expected) is result


def test_guards_are_numbered_condition_body_true_false() -> None:
    assert [g.condition.name for g in guards(TRACE)] == ["p", "r", "q", "q", "q"]  # type: ignore[union-attr]
    assert sum(isinstance(step, Guard) for step in all_steps(TRACE)) == 5


def test_the_condition_comes_first_in_whatever_order_it_was_written() -> None:
    loop = TRACE.steps[1]
    assert isinstance(loop, Instr)
    turned = Instr(loop.op, loop.inputs, loop.outputs, dict(reversed(loop.params.items())), None)
    assert [t.outputs for t in nested(turned)] == [t.outputs for t in nested(loop)]
    assert nested(turned)[0] is loop.params["condition"]


def test_guards_are_left_out_everywhere() -> None:
    assert guards(without_guards(TRACE)) == []
    free = without_guards(TRACE)
    assert without_guards(free) is free


def test_how_often_a_variable_is_read() -> None:
    trace = read("trace(x: f8[]):\n  a = sin(x)\n  b = multiply(a, a)\n  guard True is True\n  return a, b")
    a, b = trace.outputs
    assert use_counts(trace) == {trace.inputs[0]: 1, a: 3, b: 1}


def test_nested_traces_are_changed_or_left() -> None:
    loop = TRACE.steps[1]
    assert (
        isinstance(loop, Instr)
        and has_guard(loop)
        and not has_guard(read("trace(x: f8[]):\n  a = sin(x)\n  return a").steps[0])
    )
    assert map_nested(loop, lambda trace: trace) is loop
    seen: list[Any] = []
    map_nested(loop, lambda trace: seen.append(trace) or trace)  # type: ignore[func-returns-value]
    assert seen == list(nested(loop))
