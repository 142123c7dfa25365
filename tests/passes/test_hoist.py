"""What a loop does not change is computed before it, if it costs much and cannot raise; the rest stays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tracegrad as tg
from tests.emit.kernel_patterns import numbers
from tests.passes.written import read
from tracegrad.ir.interpret import interpret
from tracegrad.ir.trace import Instr
from tracegrad.ir.verify import verify
from tracegrad.passes.hoist import hoist

LOOP = """
trace(s: f8[3], x: f8[3,3], n: i8[]):
  _, t = loop({limit}, s, x, n, carried=1, sliced=0, reverse=False, names=('t',), condition=None, stop=None):
    body = trace(k: i8[], t: f8[3], x: f8[3,3], n: i8[]):
      {body}
      return u
  return t
"""
LEAVES = [
    ("a = matmul(x, x); b = matmul(t, a); u = add(b, t)", ["matmul"]),
    (
        "a = transpose(x, axes=(1, 0)); b = matmul(x, a); c = matmul(t, b); u = add(c, t)",
        ["transpose", "matmul"],
    ),
    ("a = getitem(x, index=(0,)); b = exp(a); u = multiply(b, t)", ["getitem", "exp"]),
    ("a = inv(x); b = matmul(t, a); u = add(b, t)", ["inv"]),
    ("a, b = slogdet(x); u = multiply(b, t)", ["slogdet"]),
]
STAYS = [
    "a = getitem(x, index=(0,)); b = multiply(a, 2.0); u = multiply(b, t)",  # costs no more than to be read
    "a = getitem(x, k, index=(Slot(0),)); b = exp(a); u = multiply(b, t)",  # another row at each step
    "a = multiply(t, t); b = exp(a); u = multiply(b, t)",  # of what the loop changes
]


def written(body: str, limit: str = "3") -> Any:
    return read(LOOP.format(limit=limit, body="\n      ".join(part.strip() for part in body.split(";"))))


@pytest.mark.parametrize(("body", "names"), LEAVES)
def test_leaves_the_loop(body: str, names: list[str]) -> None:
    trace = written(body)
    after = hoist(trace)
    verify(after)
    assert [step.op.name for step in after.steps if isinstance(step, Instr)] == [*names, "loop"]
    inputs = numbers(3), numbers(3, 3), np.int64(1)
    np.testing.assert_array_equal(interpret(after, inputs)[0], interpret(trace, inputs)[0])
    assert hoist(after) is after


@pytest.mark.parametrize("body", STAYS)
def test_stays_in_the_loop(body: str) -> None:
    trace = written(body)
    assert hoist(trace) is trace


@pytest.mark.parametrize("limit", ["0", "n"])
def test_stays_where_the_loop_may_make_no_step(limit: str) -> None:
    trace = written(LEAVES[0][0], limit)
    assert hoist(trace) is trace


def filtered(a: Any, q: Any) -> Any:
    p = np.eye(4)
    total = 0.0
    for k in range(6):
        p = a @ p @ a.T + q @ q.T
        total = total + np.sum(p) / (1.0 + k)
    return total


def halves(a: Any, q: Any) -> Any:
    p = a
    while np.sum(p * p) > 1.0:
        p = p * np.exp(-q * q) * 0.5
    return np.sum(p)


def nested(a: Any, q: Any) -> Any:
    s = a[0]
    for _ in range(3):
        for _ in range(4):
            s = np.tanh(s * np.sum(np.exp(q)) / 16.0)
            if s[0] > 0.2:
                s = s - np.cos(a[1]) * 0.1
        s = s + np.sqrt(np.sum(a * a, axis=0))
    return np.sum(s)


def solved(a: Any, q: Any) -> Any:
    x = q[0]
    for _ in range(5):
        x = np.linalg.solve(4.0 * np.eye(4) + a, x) + np.linalg.inv(a @ a.T + np.eye(4)) @ q[1]
    return np.sum(x * x)


@pytest.mark.parametrize("function", [filtered, halves, nested, solved])
@pytest.mark.parametrize("jit", ["python", "native"])
def test_gradients(function: Callable[..., Any], jit: str) -> None:
    a, q = numbers(4, 4) * 0.6, numbers(4, 4, seed=3) * 0.4
    value, gradients = tg.value_and_grad(function, argnums=(0, 1), jit=jit)(a, q)
    assert value == pytest.approx(function(a, q), rel=1e-13)
    direction = numbers(4, 4, seed=5), numbers(4, 4, seed=6)
    step = 1e-5
    ends = [function(a + e * direction[0], q + e * direction[1]) for e in (-2 * step, -step, step, 2 * step)]
    slope = (ends[0] - 8 * ends[1] + 8 * ends[2] - ends[3]) / (12 * step)
    assert sum(np.sum(g * d) for g, d in zip(gradients, direction, strict=True)) == pytest.approx(
        slope, rel=1e-8
    )


@pytest.mark.parametrize("jit", ["python", "native"])
def test_slopes_that_are_infinite_do_not_count_where_no_step_is_made(jit: str) -> None:
    def function(x: Any, y: float) -> Any:
        total = np.sum(x)
        while total < y:
            total = total + np.sum(np.sqrt(x))
        return total

    gradient = tg.grad(function, jit=jit)
    np.testing.assert_allclose(gradient(np.ones(2), 3.0), [1.5, 1.5])
    np.testing.assert_array_equal(gradient(np.zeros(2), -1.0), [1.0, 1.0])


def test_the_reverse_pulls_it_back_once() -> None:
    """Both products of the derivative of `q @ q.T` stand behind the loop."""
    derivative = tg.grad(filtered, argnums=1)
    derivative(numbers(4, 4), numbers(4, 4, seed=3))
    _, _, behind = derivative.backward_source.rpartition("for ")
    assert behind.splitlines()[-2].count("@ q") == 2
