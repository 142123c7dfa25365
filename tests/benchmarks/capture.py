"""What a capture costs for each operation that the function executes, beside the same function run by NumPy.

Straight code and a rolled loop, on an array of three: small enough that NumPy's own work hardly counts.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tracegrad.record.known import KnownLoops
from tracegrad.tensor.capture import capture
from tracegrad.tensor.captured import Leaf

from . import report

LOOP_STEPS = 50


def straight(x):
    a = np.sin(x) * 2.0 + x
    b = np.exp(-a) - a * x
    c = b / (1.0 + a * a)
    d = np.tanh(c) + np.sqrt(1.0 + b * b)
    e = d * c - a * b + x / 3.0
    f = np.cos(e) * d + np.log(2.0 + e * e)
    return np.sum(f * f - e * c)


def loop(x):
    y = x
    for _ in range(LOOP_STEPS):
        y = np.sin(y) * 0.5 + x
        y = y - 0.1 * y * y + np.cos(x)
    return np.sum(y)


EXECUTED = {straight: 30, loop: 8 * LOOP_STEPS + 1}


def rebuilt(leaves: Sequence[Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    return tuple(leaves), {}


def median_seconds(call: Callable[[], Any], rounds: int) -> float:
    samples = []
    for _ in range(rounds):
        began = time.perf_counter()
        call()
        samples.append(time.perf_counter() - began)
    return statistics.median(samples)


def cost(rounds: int) -> str:
    """The table; the first capture, which also makes the marked clone, is left out."""
    x = np.array([0.3, 0.7, 1.1])
    rows = []
    for function, executed in EXECUTED.items():

        def captured(function: Callable[..., Any] = function) -> Any:
            return capture(function, [Leaf(x, "x", "active")], rebuilt, function.__name__, KnownLoops())

        def plain(function: Callable[..., Any] = function) -> Any:
            return function(x)

        captured()
        ours, numpy = median_seconds(captured, rounds), median_seconds(plain, rounds)
        rows.append(
            (
                f"{function.__name__}, {executed} operations",
                report.seconds(ours / executed),
                report.seconds(numpy / executed),
            )
        )
    return report.table("Capture, for each operation executed", ("", "capture", "NumPy alone"), rows)
