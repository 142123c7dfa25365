"""Sums that a loop collects from zero start as what they are added to, where nothing else reads them."""

from __future__ import annotations

import numpy as np
import pytest

from tests.passes.written import read
from tracegrad.ir.dce import drop_unused
from tracegrad.ir.interpret import interpret
from tracegrad.ir.text import text
from tracegrad.ir.verify import verify
from tracegrad.passes.accumulate import accumulate

INNER = """
trace(s: f8[3], x: f8[3], n: i8[]):
  {before}
  _, t = loop(n, {zero}, x, carried=1, sliced=0, reverse=False, names=('t',), condition=None, stop=None):
    body = trace(k: i8[], t: f8[3], x: f8[3]):
      a = getitem(x, k, index=(Slot(0),))
      {body}
      return {result}
  {after}
"""
ADDS = "u = index_add(t, k, a, index=(Slot(0),))"


def program(
    before: str = "z = zeros(shape=(3,), dtype=f8)",
    zero: str = "z",
    body: str = ADDS,
    result: str = "u",
    after: str = "",
) -> str:
    after = after or "y = add(s, t); return y"
    lines = {"before": before, "zero": zero, "body": body, "result": result, "after": after}
    for place, indent in (("before", "\n  "), ("body", "\n      "), ("after", "\n  ")):
        lines[place] = indent.join(part.strip() for part in lines[place].split(";"))
    return INNER.format(**lines)


JOINED = [
    program(),
    program(after="y = add(t, s); return y"),
    program(body=ADDS + "; v = add(x, u)", result="v"),
    program(after="w = index_add(t, 5.0, index=(1,)); y = add(s, w); return y"),
    program(after="late = multiply(x, 2.0); y = add(late, t); return y"),  # computed before the loop
]
APART = [
    program(after="y = add(s, t); return y, t"),  # t is needed as it is
    program(body="b = multiply(2.0, t); " + ADDS.replace("(t", "(b")),  # not only added to
    program(
        body=ADDS + "; c = getitem(u, index=(0,)); v = index_add(u, c, index=(1,))", result="v"
    ),  # read inside
    program(after="late = multiply(x, _); y = add(late, t); return y"),  # made of what the loop makes
    program(
        after="a = sin(x); b = sin(a); c = sin(b); d = sin(c); e = sin(d); y = add(e, t); return y"
    ),  # far
    program(before="z = multiply(s, 3.0)"),  # does not start from zero
]


def run(written: str, change: bool) -> list[object]:
    trace = read(written.replace("  \n", ""))
    if change:
        trace = drop_unused(accumulate(trace))
        verify(trace)
    values = [np.array([1.0, -2.0, 4.0]), np.array([0.5, 3.0, -1.0]), np.int64(3)]
    return [*interpret(trace, values), *interpret(trace, [*values[:2], np.int64(0)])]


@pytest.mark.parametrize("written", JOINED)
def test_the_sum_starts_as_what_it_is_added_to(written: str) -> None:
    after = text(drop_unused(accumulate(read(written))))
    assert "zeros" not in after
    assert "loop(n, s" in after or "loop(n, late" in after
    np.testing.assert_array_equal(run(written, True), run(written, False))


@pytest.mark.parametrize("written", APART)
def test_other_loops_stay(written: str) -> None:
    trace = read(written)
    assert accumulate(trace) is trace
    np.testing.assert_array_equal(np.hstack(run(written, True)), np.hstack(run(written, False)))


def test_a_loop_that_looks_at_its_sum_stays() -> None:
    trace = read("""
        trace(s: f8[3]):
          z = zeros(shape=(3,), dtype=f8)
          _, t = loop(-1, z, carried=1, sliced=0, reverse=False, names=('t',), stop=None):
            condition = trace(k: i8[], t: f8[3]):
              a = getitem(t, index=(0,))
              p = less(a, 3.0)
              return p
            body = trace(k: i8[], t: f8[3]):
              u = index_add(t, 1.0, index=(0,))
              return u
          y = add(s, t)
          return y
    """)
    assert accumulate(trace) is trace


def test_loops_in_loops_collect_into_one_array() -> None:
    kept = "carried=1, sliced=0, reverse=False, condition=None, stop=None"
    trace = read(f"""
        trace(x: f8[3], n: i8[]):
          z = zeros(shape=(3,), dtype=f8)
          _, t = loop(n, z, x, names=('t',), {kept}):
            body = trace(i: i8[], t: f8[3], x: f8[3]):
              o = zeros(shape=(3,), dtype=f8)
              _, r = loop(2, o, x, i, names=('r',), {kept}):
                body = trace(k: i8[], r: f8[3], x: f8[3], i: i8[]):
                  a = getitem(x, i, index=(Slot(0),))
                  u = index_add(r, k, a, index=(Slot(0),))
                  return u
              w = add(t, r)
              return w
          y = add(x, t)
          return y
    """)
    after = drop_unused(accumulate(trace))
    verify(after)
    assert "zeros" not in text(after)
    values = [np.array([0.5, 3.0, -1.0]), np.int64(3)]
    np.testing.assert_array_equal(interpret(after, values), interpret(trace, values))
