"""Loops that only sum: their reverse counts upwards in every tier, and in native text it is part of the loop itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tracegrad as tg
from tests.passes.written import read
from tracegrad.ir.interpret import interpret
from tracegrad.ir.trace import Instr
from tracegrad.ir.verify import verify
from tracegrad.passes.cse import share
from tracegrad.passes.summing import forwards, together

rng = np.random.default_rng(20261123)


def likelihood(p: Any, x: Any, y: Any) -> Any:
    total = 0.0
    for k in range(len(y)):
        total += np.log1p(np.exp(-y[k] * (x[k] @ p)))
    return total / len(y)


def pairs(x: Any) -> Any:
    energy = 0.0
    for i in range(len(x)):
        for j in range(i + 1, len(x)):
            d = x[i] - x[j]
            r2 = d @ d + 0.5
            s = 1.0 / r2**3
            energy += 4.0 * (s * s - s)
    return energy


def several_sums(p: Any, x: Any) -> Any:
    total, rows, count = 0.0, np.zeros(3), 1
    for k in range(len(x)):
        row = np.sin(p * x[k])
        total = total - np.sum(row * row)
        rows = rows + row * count
        count = (count * 7) % 5 + 1
    return total + rows @ np.array([1.0, 2.0, 3.0])


def in_a_branch(p: Any, x: Any) -> Any:
    total = 0.0
    for k in range(len(x)):
        if x[k, 0] > 0.0:
            total += np.exp(p[0] * x[k, 1])
        else:
            total -= p[1] * p[2] * x[k, 2] ** 2
    return total


def in_two_loops(p: Any, x: Any) -> Any:
    total = 0.0
    for k in range(len(x)):
        total += np.cos(p[0] * x[k, 0])
    for k in range(len(x)):
        total += np.sin(p[1] * x[k, 1]) * p[0]
    return total


def root_of_a_sum(p: Any, x: Any) -> Any:
    """The cotangent of the sum is known when it is complete."""
    total = 1.0
    for k in range(len(x)):
        total += np.exp(p[0] * x[k, 0]) * p[1] ** 2
    return np.sqrt(total)


def with_what_follows(p: Any, x: Any) -> Any:
    """Something between the loop and its reverse reads what the loop makes, and decides."""
    total = 0.0
    for k in range(len(x)):
        total += np.exp(p[0] * x[k, 0])
    if total > 1.0:
        return total * 2.0 + p[1]
    return total - p[2]


def handed_on(p: Any, x: Any) -> Any:
    state = p[0]
    for k in range(len(x)):
        state = np.sin(state + x[k, 0] * p[1])
    return state


def kept_in_a_list(p: Any, x: Any) -> Any:
    terms = []
    for k in range(len(x)):
        terms.append(np.exp(p[0] * x[k, 0]) * p[1])
    return np.sum(np.array(terms) ** 2)


p, x, y = rng.normal(size=3), rng.normal(size=(6, 3)), rng.normal(size=6)
PROGRAMS = [
    (likelihood, (p, x, y)),
    (pairs, (x,)),
    (several_sums, (p, x)),
    (in_a_branch, (p, x)),
    (in_two_loops, (p, x)),
    (root_of_a_sum, (p, x)),
    (with_what_follows, (p, x)),
    (handed_on, (p, x)),
    (kept_in_a_list, (p, x)),
]
ONE_LOOP = [likelihood, several_sums, in_a_branch]
each_program = pytest.mark.parametrize(
    ("function", "args"), PROGRAMS, ids=lambda v: getattr(v, "__name__", "")
)


def differences(function: Any, args: Any) -> Any:
    """Central ones of fourth order, by the first argument."""
    out, first = np.zeros_like(args[0]), args[0]
    for place in np.ndindex(first.shape):
        h = np.zeros_like(first)
        h[place] = 1e-3
        near, far = (function(first + s * h, *args[1:]) - function(first - s * h, *args[1:]) for s in (1, 2))
        out[place] = (8 * near - far) / 12e-3
    return out


@each_program
def test_the_gradient_is_right_and_the_same_in_each_tier(function: Any, args: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(tg.config, "contract", False)
    by_hand = differences(function, args)
    found = {}
    for jit in ("python", "native"):
        g = tg.value_and_grad(function, jit=jit)
        for _ in range(2):
            value, gradient = g(*args)
            found[jit] = value, gradient
            np.testing.assert_allclose(value, function(*args), rtol=1e-13)
            np.testing.assert_allclose(gradient, by_hand, rtol=1e-7, atol=1e-8)
    alone = tg.grad(function, jit="native")(*args)
    np.testing.assert_allclose(alone, found["native"][1], rtol=1e-14, atol=1e-300)
    np.testing.assert_allclose(found["python"][1], found["native"][1], rtol=1e-13)


@pytest.mark.parametrize("function", ONE_LOOP)
def test_value_and_gradient_are_one_loop_that_keeps_nothing(function: Any) -> None:
    args = dict(PROGRAMS)[function]
    g = tg.value_and_grad(function, jit="native")
    g(*args)
    assert g.native_source.count("\n    for k in range(6):\n") == 1
    assert "_stack" not in g.native_source and "-1, -1" not in g.native_source
    assert "reversed" not in g.backward_source


def test_loops_in_loops_become_one_as_well() -> None:
    g = tg.value_and_grad(pairs, jit="native")
    g(x)
    assert g.native_source.count("** 3") == 1 and g.native_source.count("    for k in range(6):\n") == 1


def test_what_needs_the_complete_sum_stays_behind_it() -> None:
    for function in (root_of_a_sum, handed_on):
        g = tg.value_and_grad(function, jit="native")
        g(p, x)
        assert g.native_source.count("    for k in ") == 2
    assert "reversed" in g.backward_source  # each state needs the one before it


def test_both_sides_of_what_decides_behind_the_loop() -> None:
    g = tg.value_and_grad(with_what_follows, jit="native")
    for _ in range(2):
        for first in (0.3, -40.0):
            at = np.array([first, 0.5, 0.2])
            value, gradient = g(at, np.abs(x))
            np.testing.assert_allclose(value, with_what_follows(at, np.abs(x)), rtol=1e-13)
            np.testing.assert_allclose(
                gradient, differences(with_what_follows, (at, np.abs(x))), rtol=1e-7, atol=1e-8
            )


def test_second_derivatives() -> None:
    h = 1e-5
    for function, args in ((likelihood, (p, x, y)), (in_a_branch, (p, x))):
        found = tg.hessian(function)(*args)
        g = tg.grad(function)
        for k, e in enumerate(np.eye(3) * h):
            np.testing.assert_allclose(
                found[k], (g(p + e, *args[1:]) - g(p - e, *args[1:])) / (2 * h), rtol=1e-6, atol=1e-7
            )


def test_no_step_at_all() -> None:
    for jit in ("python", "native"):
        value, gradient = tg.value_and_grad(pairs, jit=jit)(np.zeros((1, 3)))
        assert value == 0.0 and np.array_equal(gradient, np.zeros((1, 3)))


# --- as traces

BOTH = """
trace(p: f8[], x: f8[4], q: f8[]):
  steps, s, kept = loop(4, 0.0, p, x, carried=1, sliced=1, reverse=False, names=('s',), {rest}):
    body = trace(k: i8[], s: f8[], p: f8[], x: f8[]):
      a = multiply(p, x)
      b = exp(a)
      t = {sum}
      return t, b
  {between}
  again, p_bar = loop(4, {start}, {given}, x, kept, carried=1, sliced=2, reverse=True, names=('p_bar',), {rest}):
    body = trace(k: i8[], p_bar: f8[], c: f8[], x: f8[], b: f8[]):
      d = multiply(b, x)
      e = multiply(c, d)
      u = {pulled}
      return u
  return s, p_bar
"""
USUAL = {
    "sum": "add(s, b)",
    "start": "0.0",
    "given": "q",
    "pulled": "add(p_bar, e)",
    "rest": "condition=None, stop=None",
}


def both(**other: str) -> Any:
    parts = {**USUAL, "between": "r = add(q, 1.0)", **other}
    return read(BOTH.format(**parts))


def loops(trace: Any) -> list[Instr]:
    return [step for step in trace.steps if isinstance(step, Instr) and step.op.name == "loop"]


INPUTS = np.float64(0.25), np.array([1.0, -2.0, 0.5, 3.0]), np.float64(1.5)


@pytest.mark.parametrize(
    "other",
    [
        {},
        {"pulled": "subtract(p_bar, e)"},
        {"given": "r"},  # made between the two, of nothing that the first makes
        {"sum": "multiply(s, b)"},  # of the first loop nothing is asked
        {"between": "r = multiply(s, 2.0)"},  # comes after the loop that is made
    ],
)
def test_one_loop_computes_what_two_do(other: dict[str, str]) -> None:
    trace = both(**other)
    turned = forwards(trace)
    assert not any(step.params["reverse"] for step in loops(turned))
    np.testing.assert_allclose(interpret(turned, INPUTS), interpret(trace, INPUTS), rtol=1e-15)
    joined = together(turned)
    verify(joined)
    assert len(loops(joined)) == 1
    assert [v.tobytes() for v in interpret(joined, INPUTS)] == [
        v.tobytes() for v in interpret(turned, INPUTS)
    ]
    assert together(share(joined)) is share(joined)


@pytest.mark.parametrize("pulled", ["multiply(p_bar, e)", "subtract(e, p_bar)"])
def test_what_does_not_sum_runs_backwards(pulled: str) -> None:
    trace = both(pulled=pulled)
    assert forwards(trace) is trace and together(trace) is trace


@pytest.mark.parametrize("other", [{"given": "s"}, {"start": "s"}, {"between": "r = sin(s)", "given": "r"}])
def test_what_needs_the_sum_stays_two_loops(other: dict[str, str]) -> None:
    turned = forwards(both(**other))
    assert together(turned) is turned
