"""tracegrad: the workload's function as it stands."""

from __future__ import annotations

import time

import numpy as np

import tracegrad as tg
from tracegrad.compiler import pool
from tracegrad.dispatch.build import Built

from ..workloads import Workload
from .way import Way

WAYS = {"native": "tracegrad"}

FRESH = """
import numpy as np
import tracegrad as tg

def f(x):
    return (1.0 - x[0]) ** 2 + 100.0 * (x[1] - x[0] ** 2) ** 2

tg.value_and_grad(f)(np.array([-1.2, 1.0]))
"""

_compile = Built.compile
_seconds = 0.0


def _timed(built: Built) -> bool:
    global _seconds
    began = time.perf_counter()
    done = _compile(built)
    _seconds += time.perf_counter() - began
    return done


def warm_up(way: str) -> None:
    Built.compile = _timed  # type: ignore[method-assign]
    tg.value_and_grad(lambda x: np.sum(x * x), jit="native")(np.ones(3))


def build(workload: Workload, way: str) -> Way:
    argnums = workload.argnums if len(workload.argnums) > 1 else workload.argnums[0]
    return Way(
        tg.value_and_grad(workload.function, argnums=argnums, jit="native"),
        value=tg.jit(workload.function, jit="native"),
        compiling=lambda: _seconds,
        forget=pool.forget,
    )
