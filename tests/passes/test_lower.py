"""lower_branches by text; own_outputs by text, and by asking NumPy whose memory the results are in."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings

from tests.passes.random_traces import traces
from tests.passes.test_random import run
from tests.passes.written import read, shown, steps
from tracegrad.ir.text import text
from tracegrad.ir.walk import guards
from tracegrad.passes.lower import lower_branches, own_outputs


def test_an_arm_never_taken_is_a_guard() -> None:
    before = read("""
        trace(x: f8[], p: b1[], q: b1[]):
          a = branch(p, x, q, names=('a',)):  # /u.py:3, in f
            true = trace(x: f8[], q: b1[]):
              b = branch(q, x, names=('b',)):
                true = None
                false = trace(x: f8[]):
                  c = sin(x)
                  return c
              return b
            false = None
          d = exp(a)
          return d
    """)
    after = read("""
        trace(x: f8[], p: b1[], q: b1[]):
          guard p is True
          guard q is False
          c = sin(x)
          d = exp(c)
          return d
    """)
    found = lower_branches(before)
    assert text(found) == text(after)
    assert guards(found)[0].location is not None


def test_a_guard_stays_inside_the_loop_it_came_from() -> None:
    before = read("""
        trace(x: f8[]):
          n, a = loop(3, x, carried=1, sliced=0, reverse=False, names=('a',), stop=None, condition=None):
            body = trace(i: i8[], a: f8[]):
              p = less(a, 0.0)
              b = branch(p, a, names=('b',)):
                true = None
                false = trace(a: f8[]):
                  return a
              c = sin(b)
              return c
          return a
    """)
    after = read("""
        trace(x: f8[]):
          n, a = loop(3, x, carried=1, sliced=0, reverse=False, names=('a',), stop=None, condition=None):
            body = trace(i: i8[], a: f8[]):
              p = less(a, 0.0)
              guard p is False
              c = sin(a)
              return c
          return a
    """)
    assert text(lower_branches(before)) == text(after)


def test_a_loop_never_entered_is_a_guard() -> None:
    before = read(
        """
        trace(x: f8[], y: f8[]):
          n, a = loop(-1, x, y, carried=1, sliced=0, reverse=False, names=('a',), stop=None):
            condition = trace(i: i8[], a: f8[], y: f8[]):
              p = less(a, y)
              return p
            body = None
          return a, n
    """.replace("body = None", "body = None")
    )
    after = read("""
        trace(x: f8[], y: f8[]):
          p = less(x, y)
          guard p is False
          return x, i8(0)
    """)
    assert text(lower_branches(before)) == text(after)


def test_two_arms_and_a_body_stay() -> None:
    written = """
        trace(x: f8[], p: b1[]):
          a = branch(p, x, names=('a',)):
            true = trace(x: f8[]):
              return x
            false = trace(x: f8[]):
              return 0.0
          return a
    """
    assert text(lower_branches(read(written))) == text(read(written))


def test_inputs_constants_and_views_are_copied() -> None:
    for before, after in (
        ("v", "v__2 = copy(v); v__2"),
        ("f8[2]([1.0, 2.0])", "_1 = copy(f8[2]([1.0, 2.0])); _1"),
        ("a = reshape(v, shape=(1, 3)); a", "a = reshape(v, shape=(1, 3)); a__2 = copy(a); a__2"),
        ("a = broadcast_to(x, shape=(3,)); a", "a = broadcast_to(x, shape=(3,)); a__2 = copy(a); a__2"),
        (
            "a = sin(m); b = transpose(a, axes=(1, 0)); b",
            "a = sin(m); b = transpose(a, axes=(1, 0)); b__2 = copy(b); b__2",
        ),
        ("a = sin(v); a, a", "a = sin(v); a__2 = copy(a); a, a__2"),
    ):
        assert shown(own_outputs(steps(before), 2)) == after


def test_what_has_its_own_memory_is_left_alone() -> None:
    for before in ("x", "2.0", "a = sin(v); a", "a = sin(m); b = reshape(a, shape=(6,)); b"):
        assert shown(own_outputs(steps(before), 1)) == before


def test_a_result_that_the_backward_program_reads_is_copied() -> None:
    before = steps("a = exp(v); a, a")
    assert shown(own_outputs(before, 1)) == "a = exp(v); a__2 = copy(a); a__2, a"


def test_an_arm_may_hand_an_operand_through() -> None:
    before = read("""
        trace(x: f8[3], p: b1[]):
          a = branch(p, x, names=('a',)):
            true = trace(x: f8[3]):
              return x
            false = trace(x: f8[3]):
              b = sin(x)
              return b
          return a
    """)
    assert "copy" in text(own_outputs(before, 1))


@settings(max_examples=100)
@given(traces())
def test_results_share_no_memory(drawn: object) -> None:
    trace, values = drawn  # type: ignore[misc]
    results = run(own_outputs(trace, 4), values) or ()
    arrays = [r for r in results if np.ndim(r)]
    for k, result in enumerate(arrays):
        assert result.flags.writeable
        assert not any(np.shares_memory(result, other) for other in [*values, *arrays[:k]])
