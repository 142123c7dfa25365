"""Functions of a matrix that take it to pieces and put others together, for the table of memory.

Nothing but the gradient must live: each item of it is a sum of terms that are computed of a few items nearby.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np


def laplacian(u: Any) -> Any:
    return u[:-2, 1:-1] + u[2:, 1:-1] + u[1:-1, :-2] + u[1:-1, 2:] - 4.0 * u[1:-1, 1:-1]


def reflected(x: Any) -> Any:
    return np.sum(np.diff(np.pad(x.ravel(), 20, mode="reflect")) ** 2)


def inserted(x: Any) -> Any:
    return np.sum(np.diff(np.insert(x.ravel(), 1000, 0.5)) ** 2)


def deleted(x: Any) -> Any:
    return np.sum(np.diff(np.delete(x, 100, axis=0), axis=0) ** 2)


FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "second differences": lambda x: np.sum(np.diff(x.ravel(), 2) ** 2),
    "differences along both axes": lambda x: np.sum(np.diff(np.diff(x, axis=0), axis=1) ** 2),
    "padded with its edge": lambda x: np.sum(laplacian(np.pad(x, 1, mode="edge")) ** 2),
    "padded around": lambda x: np.sum(laplacian(np.pad(x, 1, mode="wrap")) ** 2),
    "padded by reflection": reflected,
    "inserted": inserted,
    "deleted": deleted,
}
