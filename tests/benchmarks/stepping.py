"""Loops that put arrays together at each step, for the table of memory.

The linear ones need the step before and the new one; of the others the reverse reads what each step made.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

STEPS = 6


def padded(u: Any) -> Any:
    for _ in range(STEPS):
        p = np.pad(u, 1)
        u = u + 0.1 * (p[2:, 1:-1] + p[:-2, 1:-1] + p[1:-1, 2:] + p[1:-1, :-2] - 4.0 * u)
    return np.sum(u**2)


def padded_in_one_axis(u: Any) -> Any:
    for _ in range(STEPS):
        p = np.pad(u, ((1, 1), (0, 0)), mode="edge")
        u = u + 0.1 * (p[2:] - 2.0 * u + p[:-2])
    return np.sum(u**2)


def with_ends(u: Any) -> Any:
    for _ in range(STEPS):
        inner = u[1:-1] + 0.1 * (u[2:] - 2.0 * u[1:-1] + u[:-2])
        u = np.concatenate([u[:1], inner, u[-1:]])
    return np.sum(u**2)


def bent(u: Any) -> Any:
    for _ in range(STEPS):
        p = np.pad(u, 1)
        u = np.tanh(p[2:, 1:-1] + p[:-2, 1:-1] + p[1:-1, 2:] + p[1:-1, :-2] - 4.0 * u)
    return np.sum(u**2)


LINEAR = "the step before: linear, no residuals"
BENT = f"what {STEPS} steps make, and the step before"
FUNCTIONS: dict[str, tuple[Callable[[Any], Any], float, str]] = {
    "padded, in a loop": (padded, 2, LINEAR),
    "padded with its edge, in a loop": (padded_in_one_axis, 2, LINEAR),
    "concatenated, in a loop": (with_ends, 2, LINEAR),
    "padded and bent, in a loop": (bent, 2 + STEPS, BENT),
}
