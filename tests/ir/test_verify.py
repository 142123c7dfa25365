"""Each rule of a trace, broken."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.passes.written import read
from tracegrad.errors import InternalError
from tracegrad.ir.trace import Const, Guard, Instr, Trace, Var
from tracegrad.ir.types import array_type
from tracegrad.ir.verify import verify
from tracegrad.ops.elementary import sin
from tracegrad.ops.index import getitem

SCALAR, VECTOR = array_type((), float), array_type((3,), float)
X, Y, V = Var(SCALAR, "x"), Var(SCALAR, "y"), Var(VECTOR, "v")


@pytest.mark.parametrize(
    "trace, complaint",
    [
        (Trace((X, X), (), ()), "assigned twice"),
        (Trace((X,), (Instr(sin, (X,), (X,)),), ()), "assigned twice"),
        (Trace((), (Instr(sin, (X,), (Y,)),), ()), "read before"),
        (Trace((), (), (X,)), "read before"),
        (Trace((), (), (1.0,)), "neither variable nor constant"),  # type: ignore[arg-type]
        (Trace((X,), (Instr(sin, (X,), (V,)),), ()), "results have the types"),
        (Trace((V,), (Instr(getitem, (V,), (X,), {"index": [0]}),), ()), "can change"),
        (Trace((V,), (Instr(getitem, (V,), (X,), {"index": (7,)}),), ()), "refuses its inputs"),
        (Trace((X,), (Guard(X, True),), ()), "a condition has the type"),
        (Trace((V,), (Guard(V, 1.0),), ()), "a guard compares"),
    ],
)
def test_a_broken_trace_is_refused(trace: Trace, complaint: str) -> None:
    with pytest.raises(InternalError, match=complaint):
        verify(trace)


LOOP = read("""
    trace(x: f8[], s: f8[-1]):
      n, a, t = loop(5, x, x, s, carried=1, sliced=1, reverse=False, names=('a',), stop=None):
        condition = trace(i: i8[], a: f8[], b: f8[]):
          p = less(a, b)
          return p
        body = trace(i: i8[], a: f8[], b: f8[], k: f8[]):
          c = add(a, k)
          return c, a
      return a
""")

ENDLESS = read("""
    trace(x: f8[]):
      n, a = loop(-1, x, carried=1, sliced=0, reverse=False, names=('a',), stop=None):
        condition = trace(i: i8[], a: f8[]):
          p = less(i, 3)
          return p
        body = trace(i: i8[], a: f8[]):
          return a
      return a
""")

BRANCH = read("""
    trace(x: f8[], p: b1[]):
      a = branch(p, x, names=('a',)):
        true = trace(x: f8[]):
          return x
        false = trace(x: f8[]):
          return 0.0
      return a
""")


def changed(trace: Trace, **params: Any) -> Trace:
    """The trace with other parameters of its one step."""
    (step,) = trace.steps
    assert isinstance(step, Instr)
    return replace(trace, steps=(replace(step, params={**step.params, **params}),))


def body(**changes: Any) -> Trace:
    (step,) = LOOP.steps
    return replace(step.params["body"], **changes)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "trace, complaint",
    [
        (changed(LOOP, condition=None, body=None), "without a body"),
        (changed(LOOP, reverse=True), "a reverse loop has a limit and a body"),
        (changed(LOOP, reverse=True, condition=None, stop=0), "a reverse loop has a limit and a body"),
        (changed(ENDLESS, condition=None), "neither limit, condition nor stop"),
        (changed(LOOP, stop=1), "stopped by value 1 of 1"),
        (changed(LOOP, stop=0), "the stops have the types"),
        (changed(LOOP, names=()), "carried values have the names"),
        (changed(LOOP, body=body(outputs=(X, X))), "read before"),
        (changed(LOOP, body=body(outputs=(Const(1), Const(1.0)))), "body's carried outputs"),
        (changed(LOOP, condition=body()), "condition's inputs"),
        (changed(BRANCH, arms=(None, None)), "a branch has two arms"),
        (changed(BRANCH, names=()), "results have the names"),
        (changed(BRANCH, arms=(body(), None)), "arm's inputs"),
        (changed(BRANCH, arms=(Trace((Y,), (), (Const(1),)), None)), "arm's outputs"),
    ],
)
def test_a_broken_loop_or_branch_is_refused(trace: Trace, complaint: str) -> None:
    with pytest.raises(InternalError, match=complaint):
        verify(trace)


def test_arms_and_bodies_nobody_has_seen_are_allowed() -> None:
    verify(changed(BRANCH, arms=(None, Trace((Y,), (), (Y,)))))
    verify(changed(ENDLESS, body=None))
    verify(
        read("""
            trace(x: f8[], n: i8[]):
              m, a = loop(n, x, carried=1, sliced=0, reverse=False, names=('a',), stop=None, condition=None):
                body = None
              return a
        """)
    )


def test_a_weak_constant_stands_for_a_result_of_its_dtype() -> None:
    verify(Trace((), (), (Const(1.0), Const(np.float32(1.0)))))
