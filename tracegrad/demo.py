"""`tracegrad demo`: a function with an `if` and a `while`, its gradient on two paths, and the source
that computed it.

The function solves Kepler's equation for the place of a planet on its orbit. Begin with `run`.
"""

from __future__ import annotations

import inspect
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import tracegrad as tg
from tracegrad.report.terminal import Screen

# Earth-like and comet-like: another start, another number of Newton's steps.
ORBITS = (("a planet", 1.0, 0.2), ("a comet", 0.3, 0.95))


def anomaly(mean: float, eccentricity: float) -> float:
    if eccentricity > 0.8:
        angle = np.pi
    else:
        angle = mean
    error = 1.0
    while abs(error) > 1e-9:
        error = angle - eccentricity * np.sin(angle) - mean
        angle = angle - error / (1.0 - eccentricity * np.cos(angle))
    return angle


def differences(mean: float, eccentricity: float) -> tuple[float, float]:
    """Both derivatives by central differences of the plain function."""
    h = 1e-6
    return (
        (anomaly(mean + h, eccentricity) - anomaly(mean - h, eccentricity)) / (2 * h),
        (anomaly(mean, eccentricity + h) - anomaly(mean, eccentricity - h)) / (2 * h),
    )


def microseconds(call: Callable[..., Any], *arguments: float) -> float:
    """Median time of a call."""
    samples = []
    for _ in range(200):
        began = time.perf_counter()
        for _ in range(20):
            call(*arguments)
        samples.append((time.perf_counter() - began) / 20)
    return statistics.median(samples) * 1e6


def run(screen: Screen) -> None:
    """Print the whole demonstration."""
    screen.heading("A plain NumPy function: where is a body on its orbit?")
    screen.code(inspect.getsource(anomaly))

    gradient = tg.value_and_grad(anomaly, argnums=(0, 1))
    screen.heading("tg.value_and_grad(anomaly, argnums=(0, 1)), on two paths")
    for body, mean, eccentricity in ORBITS:
        value, slopes = gradient(mean, eccentricity)
        screen.say(f"{body}: anomaly({mean}, {eccentricity}) = {value:.10f}")
        screen.say(f"    gradient              {slopes[0]:.8f} {slopes[1]:.8f}")
        checked = differences(mean, eccentricity)
        screen.say(f"    central differences   {checked[0]:.8f} {checked[1]:.8f}")
        if not np.allclose(slopes, checked, rtol=1e-5):
            raise AssertionError("the gradient and the differences disagree; please report this")

    screen.heading("The forward source that was written for it")
    screen.code(gradient.forward_source)
    screen.heading("The backward source")
    screen.code(gradient.backward_source)

    screen.heading("What it knows after two calls")
    screen.say(str(gradient.paths))

    screen.heading("Timing")
    _, mean, eccentricity = ORBITS[0]
    ours = microseconds(gradient, mean, eccentricity)
    plain = microseconds(anomaly, mean, eccentricity)
    screen.say(f"value and gradient, warm: {ours:.1f} µs; the plain function, value alone: {plain:.1f} µs")
    screen.say(f"{gradient.stats}")
