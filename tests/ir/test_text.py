"""Traces as text: what is written, and that reading it gives the same trace."""

from __future__ import annotations

import numpy as np
import pytest

from tests.passes.written import read
from tracegrad.errors import InternalError
from tracegrad.ir.location import Location
from tracegrad.ir.text import parse, text
from tracegrad.ir.trace import Const, Guard, Instr, Trace, Var
from tracegrad.ir.types import ArrayType, array_type
from tracegrad.ops.arithmetic import add, multiply
from tracegrad.ops.index import Slot
from tracegrad.ops.op import REGISTRY

EVERYTHING = """\
trace step(x: f8[], v: f8[3], i: i8[2]):
  p = greater(x, 0.0)
  guard p is True  # /home/a b/f.py:12, in step
  guard i == i8[2]([0, 2])
  guard x == f8(1.5)
  a = getitem(v, index=(slice(1, None, None), None, ...))
  _1 = getitem(v, i, index=(Slot(0),))
  a__2 = multiply(f4(0.5), _1)
  b = add(a__2, complex(nan, -inf))
  c = astype(a__2, dtype=f4)
  y, z = branch(p, x, names=('y', 'z')):
    true = trace(x: f8[]):
      return x, 1
    false = None
  n, q, s = loop(-1, a__2, carried=1, sliced=0, reverse=False, names=('q',), stop=None):
    condition = trace(i: i8[], q: f8[2]):
      _1 = sum_to(q, shape=())
      p = less(_1, 10.0)
      return p
    body = trace(i: i8[], q: f8[2]):
      m, r = loop(3, q, carried=1, sliced=0, reverse=False, names=('r',), stop=None, condition=None):
        body = trace(i: i8[], r: f8[2]):
          r__2 = multiply(r, 2.0)
          return r__2
      return r, q
  return y, s, f8[](1.0), -0.0, b1[2]([True, False]), f8[0,2]([])"""


def test_text_is_read_back_exactly() -> None:
    assert text(read(EVERYTHING), locations=True) == EVERYTHING


def test_locations_are_written_when_asked_for() -> None:
    trace = read(EVERYTHING)
    assert trace.steps[1].location == Location("/home/a b/f.py", 12, "step")
    assert "f.py" not in text(trace)


def test_names_are_the_users_and_unique() -> None:
    scalar = array_type((), float)
    x, same, none, odd = Var(scalar, "x"), Var(scalar, "x"), Var(scalar), Var(scalar, "x__2")
    steps = (Instr(add, (x, x), (same,)), Instr(add, (x, same), (none,)), Instr(add, (none, same), (odd,)))
    assert text(Trace((x,), steps, (odd,))).splitlines() == [
        "trace(x: f8[]):",
        "  x__2 = add(x, x)",
        "  _1 = add(x, x__2)",
        "  x__2__2 = add(_1, x__2)",
        "  return x__2__2",
    ]


def test_a_type_is_written_where_the_op_says_another() -> None:
    x, wrong = Var(array_type((), float), "x"), Var(array_type((2,), float), "y")
    written = text(Trace((x,), (Instr(add, (x, Const(1.0)), (wrong,)),), (wrong,)))
    assert "  y: f8[2] = add(x, 1.0)" in written
    assert parse(written, REGISTRY).steps[0].outputs[0].type == wrong.type


def test_a_large_array_is_written_by_its_shape() -> None:
    x = Var(ArrayType((2000,), np.dtype(float)), "x")
    y = Var(x.type, "y")
    written = text(Trace((x,), (Instr(multiply, (x, Const(np.ones(2000))), (y,)),), (y,)))
    assert "f8[2000](...)" in written


def test_a_guard_on_a_number() -> None:
    x = Var(array_type((), np.int64), "n")
    assert "  guard n == 3" in text(Trace((x,), (Guard(x, 3),), ()))


@pytest.mark.parametrize(
    "written, complaint",
    [
        ("trace(x: f8[]):\n  y = nothing(x)\n  return y", "no op 'nothing'"),
        ("trace(x: f8[]):\n  y = sin(z)\n  return y", "'z' is read before"),
        ("trace(x: f8[]):\n  x = sin(x)\n  return x", "'x' is assigned twice"),
        ("trace(x: f8[]):\n  y = sin(x", "cannot be read"),
        ("trace(x: f8[]):\n  y = sin(x)", "no return"),
        ("x = 1", "not the head"),
        ("trace(x: f8[]):\n  return x\n  return x", "goes on"),
        ("trace(x: f8[]):\n  y = sin(Nothing(x))\n  return y", "cannot be read as a value|read before"),
    ],
)
def test_what_is_no_trace_is_refused(written: str, complaint: str) -> None:
    with pytest.raises(InternalError, match=complaint):
        parse(written, REGISTRY, (Slot,))
