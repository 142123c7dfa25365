"""tracegrad: the workload's function as it stands."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tracegrad as tg

from ..workloads import Workload

TITLE = "tracegrad"

FRESH = """
import numpy as np
import tracegrad as tg

def f(x):
    return (1.0 - x[0]) ** 2 + 100.0 * (x[1] - x[0] ** 2) ** 2

tg.value_and_grad(f)(np.array([-1.2, 1.0]))
"""


def build(workload: Workload) -> Callable[..., Any]:
    if len(workload.argnums) == 1:
        return tg.value_and_grad(workload.function, argnums=workload.argnums[0])
    return tg.value_and_grad(workload.function, argnums=workload.argnums)
