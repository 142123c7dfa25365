"""Loops that an earlier capture recorded: run once instead of twice, and only where they do the same."""

from __future__ import annotations

import sys

import numpy as np
import pytest

import tracegrad as tg
from tests.executed import Executed


def test_a_loop_that_was_captured_is_recorded_once():
    def program(x, positive):
        y = x
        while np.abs(y) < 100.0:
            y = y * 2.0
        return y * y if positive else 3.0 * y

    gradient = tg.value_and_grad(program, jit="python")
    runs = []
    for positive in (True, False):
        with Executed(program, "y = y * 2.0") as body:
            value, slope = gradient(1.5, positive)
        runs.append(body.times)
        y = 1.5 * 2.0**7
        assert value == (y * y if positive else 3.0 * y)
        assert slope == (2 * y * 2.0**7 if positive else 3.0 * 2.0**7)
    assert runs == [2, 1]


def switched(x):
    y = x
    for i in range(30):
        y = y * SWITCHES[i] if KIND else y + SWITCHES[i]
    return y * y


SWITCHES = [1.1] * 30
KIND = True


@pytest.mark.parametrize(
    "change", [{1: 0.5}, {0: 2.0, 7: -3.0}, {29: np.float32(0.5)}, {3: 2}, {4: np.float64(2)}], ids=str
)
def test_what_changes_outside_between_captures_is_seen(monkeypatch, change):
    gradient = tg.value_and_grad(switched, jit="python")
    for changes in ({}, change):
        monkeypatch.setattr(sys.modules[__name__], "SWITCHES", [changes.get(i, 1.1) for i in range(30)])
        for kind in (True, False):
            monkeypatch.setattr(sys.modules[__name__], "KIND", kind)
            value, slope = gradient(0.7)
            step = switched(0.7 + 1e-20j)
            np.testing.assert_allclose([value, slope], [step.real, step.imag / 1e-20], rtol=1e-6)


def grows(x, scale):
    y, seen = x, []
    for _ in range(24):
        y = np.sin(y) * scale[0] + 0.1
        seen.append(y)
    return sum(seen) if scale[1] else seen[3] * seen[-1]


def late(x, kind):
    """The second iteration is another one than the first."""
    y, before = x, None
    for i in range(20):
        y = y * 1.1 if before is None else y * 0.9 + i
        before = y
    return y if kind else y * y


def widened(x, kind):
    y = 0
    for i in range(20):
        y = y + x * i
    return y if kind else y * y


@pytest.mark.parametrize("kind", ["ab", "ba"])
@pytest.mark.parametrize("program", [late, widened, lambda x, k: grows(x, (0.8, k))])
def test_captures_after_others_are_right(program, kind):
    gradient = tg.value_and_grad(program, jit="python")
    for letter in kind * 2:
        value, slope = gradient(0.7, letter == "a")
        step = program(0.7 + 1e-20j, letter == "a")
        np.testing.assert_allclose([value, slope], [step.real, step.imag / 1e-20], rtol=1e-12)
