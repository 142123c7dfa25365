"""What a loop carries as a multiple of what it carries anyway is made of that: when, and the same bits."""

from __future__ import annotations

import numpy as np
import pytest

from tests.passes.written import read
from tracegrad.ir.interpret import interpret
from tracegrad.ir.text import text
from tracegrad.ir.verify import verify
from tracegrad.passes.multiples import carry_multiplied

WAVE = """
trace(x: f8[3], steps: i8[]):
  z = zeros(shape=(3,), dtype=f8)
  n, c, d = loop(steps, {first}, x, condition=None, stop=None, carried=2, sliced=0, reverse=False, names=('a', 'b')):
    body = trace(k: i8[], a: f8[3], b: f8[3]):
      p = multiply(b, 2.0)
      q = add(p, a)
      r = {made}
      return r, q
  y = add(c, d)
  return y, c, d
"""


@pytest.mark.parametrize("steps", range(5))
@pytest.mark.parametrize(
    ("first", "made"),
    [
        ("x", "negative(b)"),
        ("z", "negative(b)"),
        ("z", "multiply(b, -0.5)"),
        ("z", "multiply(0.3, b)"),
    ],
)
def test_the_other_array_is_carried(first: str, made: str, steps: int) -> None:
    before = read(WAVE.format(first=first, made=made))
    after = carry_multiplied(before)
    verify(after)
    (loop,) = (s for s in after.steps if s.op.name == "loop")
    body = loop.params["body"]
    assert body.outputs[0] is body.inputs[2]
    for x in (np.array([0.0, -0.0, 1.5]), np.array([1e300, -2.0, 1e-310])):
        given = [x, np.int64(steps)]
        for got, want in zip(interpret(after, given), interpret(before, given), strict=True):
            np.testing.assert_array_equal(got, want)
            np.testing.assert_array_equal(np.signbit(got), np.signbit(want))


@pytest.mark.parametrize(
    ("first", "made"),
    [
        ("x", "multiply(b, -0.5)"),  # what x is half of may not be a number of this precision
        ("z", "multiply(b, 0.0)"),
        ("z", "multiply(b, inf)"),
        ("z", "multiply(b, b)"),
        ("z", "negative(a)"),
        ("z", "negative(q)"),
    ],
)
def test_what_stays(first: str, made: str) -> None:
    before = read(WAVE.format(first=first, made=made))
    assert carry_multiplied(before) is before


def test_signs_that_go_around_stay() -> None:
    turned = read(WAVE.format(first="z", made="negative(b)").replace("q = add(p, a)", "q = negative(a)"))
    assert text(carry_multiplied(turned)) == text(turned)
