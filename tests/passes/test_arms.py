"""What a branch tells its arms, by text: the trace before, the trace after."""

from __future__ import annotations

import numpy as np
import pytest

from tests.passes.written import read
from tracegrad.ir.dce import drop_unused
from tracegrad.ir.interpret import interpret
from tracegrad.ir.text import text
from tracegrad.ir.trace import Trace
from tracegrad.ir.verify import verify
from tracegrad.passes.arms import settle_sums
from tracegrad.passes.fold import fold
from tracegrad.passes.pipeline import optimised
from tracegrad.passes.simplify import simplify


def same(found: Trace, wanted: str) -> None:
    verify(found)
    assert text(found) == text(read(wanted))


BOTH = """
    trace(x: f8[], p: b1[]):
      q = branch(p, p, x, names=('q',)):
        true = trace(p: b1[], x: f8[]):
          q = less(x, 1.0)
          return q
        false = trace(p: b1[], x: f8[]):
          return p
      return q
"""


def test_an_arm_knows_its_condition() -> None:
    same(
        drop_unused(simplify(read(BOTH))),
        """
        trace(x: f8[], p: b1[]):
          q = branch(p, x, names=('q',)):
            true = trace(x: f8[]):
              q = less(x, 1.0)
              return q
            false = trace(x: f8[]):
              return b1(False)
          return q
        """,
    )


def test_a_branch_on_the_same_condition_inside_an_arm_is_decided() -> None:
    before = read("""
        trace(x: f8[], p: b1[]):
          y = branch(p, p, x, names=('y',)):
            true = trace(p: b1[], x: f8[]):
              y = branch(p, x, names=('y',)):
                true = trace(x: f8[]):
                  y = exp(x)
                  return y
                false = trace(x: f8[]):
                  y = log(x)
                  return y
              return y
            false = trace(p: b1[], x: f8[]):
              return x
          return y
    """)
    same(
        drop_unused(fold(simplify(before))),
        """
        trace(x: f8[], p: b1[]):
          y = branch(p, x, names=('y',)):
            true = trace(x: f8[]):
              y = exp(x)
              return y
            false = trace(x: f8[]):
              return x
          return y
        """,
    )


SUM = """
    trace(x: f8[], t: f8[], p: b1[]):
      b = branch(p, x, names=('b',)):
        true = trace(x: f8[]):
          a = multiply(x, x)
          return a
        false = trace(x: f8[]):
          return f8(0.0)
      {steps}
"""


def test_a_sum_goes_into_the_arm_where_something_is_added() -> None:
    same(
        drop_unused(settle_sums(read(SUM.format(steps="s = add(t, b)\n      return s")))),
        """
        trace(x: f8[], t: f8[], p: b1[]):
          s = branch(p, x, t, names=('s',)):
            true = trace(x: f8[], t: f8[]):
              a = multiply(x, x)
              s = add(t, a)
              return s
            false = trace(x: f8[], t: f8[]):
              return t
          return s
        """,
    )


def test_a_difference_goes_too_and_keeps_its_sides() -> None:
    found = settle_sums(read(SUM.format(steps="s = subtract(t, b)\n      return s")))
    assert [step.op.name for step in found.steps] == ["branch"]
    for p in (True, False):
        assert interpret(found, (np.float64(3.0), np.float64(5.0), np.bool_(p))) == (5.0 - 9.0 * p,)


@pytest.mark.parametrize(
    "steps",
    [
        "s = subtract(b, t)\n      return s",  # would be a sign in the arm of zero
        "s = add(t, b)\n      return s, b",  # somebody else reads the result
        "u = exp(t)\n      s = add(u, b)\n      return s",  # not known before the branch
        "s = add(b, b)\n      return s",
        "s = multiply(t, b)\n      return s",
    ],
)
def test_other_sums_stay(steps: str) -> None:
    before = read(SUM.format(steps=steps))
    assert settle_sums(before) is before


def test_sums_of_several_branches_go_one_after_the_other() -> None:
    again = """c = branch(p, x, names=('c',)):
        true = trace(x: f8[]):
          return f8(0.0)
        false = trace(x: f8[]):
          a = exp(x)
          return a
      s = add(t, b)
      r = add(s, c)
      return r"""
    before = read(SUM.format(steps=again))
    found = optimised(before)
    assert [step.op.name for step in found.steps] == ["branch", "branch"]
    for p in (True, False):
        values = (np.float64(0.5), np.float64(5.0), np.bool_(p))
        assert interpret(found, values) == interpret(before, values)


def test_a_sum_reaches_the_arm_of_an_inner_branch() -> None:
    before = read("""
        trace(x: f8[], t: f8[], p: b1[], q: b1[]):
          b = branch(p, x, q, names=('b',)):
            true = trace(x: f8[], q: b1[]):
              b = branch(q, x, names=('b',)):
                true = trace(x: f8[]):
                  a = exp(x)
                  return a
                false = trace(x: f8[]):
                  return f8(0.0)
              return b
            false = trace(x: f8[], q: b1[]):
              a = log(x)
              return a
          s = add(t, b)
          return s
    """)
    found = settle_sums(before)
    verify(found)
    inner = found.steps[0].params["arms"][0]
    assert [step.op.name for step in inner.steps] == ["branch"]
    assert [step.op.name for step in inner.steps[0].params["arms"][0].steps] == ["exp", "add"]
    for p in (True, False):
        for q in (True, False):
            values = (np.float64(0.5), np.float64(5.0), np.bool_(p), np.bool_(q))
            assert interpret(found, values) == interpret(before, values)


def test_an_array_of_zeros_is_not_made() -> None:
    before = read("""
        trace(x: f8[3], t: f8[3], p: b1[]):
          b = branch(p, x, names=('b',)):
            true = trace(x: f8[3]):
              return x
            false = trace(x: f8[3]):
              z = zeros(shape=(3,), dtype=f8)
              return z
          s = add(t, b)
          return s
    """)
    found = drop_unused(settle_sums(before))
    assert [len(arm.steps) for arm in found.steps[0].params["arms"]] == [1, 0]
