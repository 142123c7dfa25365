"""Very long runs without a loop that could be rolled: neither stack nor time grow beyond the number of steps."""

from __future__ import annotations

import logging
from typing import Any

import pytest

import tracegrad as tg
from tracegrad.dispatch.tiers import LONG

STEPS = 100_000  # three in each round of the loops below


def popped(x: Any) -> Any:
    todo, s = [0] * (STEPS // 3 + 1), x
    while todo:
        todo.pop()
        s = s * 0.5 + x * 0.25
    return s


def refused(x: Any) -> Any:
    s, seen = x, {}
    for i in range(STEPS // 3 + 1):
        seen[i] = s
        s = s * 0.5 + x * 0.25
    return s + 0.0 * seen[0]


@pytest.mark.parametrize("function", [popped, refused])
def test_a_hundred_thousand_steps(function: Any, caplog: pytest.LogCaptureFixture) -> None:
    g = tg.value_and_grad(function)
    with caplog.at_level(logging.WARNING, "tracegrad"):
        first = g(0.7)
    for value, gradient in (first, g(0.7)):
        assert value == pytest.approx(0.35, rel=1e-12)
        assert gradient == pytest.approx(0.5, rel=1e-12)
    assert "runs on the tape" in caplog.text and "steps" in caplog.text
    assert "steps" in g.explain()
    assert g.stats.compiles == 0


def test_shorter_ones_become_programs() -> None:
    def some(x: Any) -> Any:
        todo, s = [0] * (LONG // 100), x
        while todo:
            todo.pop()
            s = s * 0.5 + x * 0.25
        return s

    g = tg.value_and_grad(some, jit="python")
    assert g(0.7) == g(0.7)
    assert g.stats.captures == 1
