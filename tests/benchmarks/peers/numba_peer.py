"""Value and gradient written by hand in Numba: what an expert would write, and about what the machine can do.

"plain" takes exp, log, ... from the C library; "packed" from `vectors.py`, in loops that LLVM vectorises; what has none
of them is under "plain" alone.
"""

from __future__ import annotations

import numba
import numpy as np

from ..workloads import Workload
from . import hand_arrays, hand_loops
from .way import Way

WAYS = {"plain": "by hand in Numba", "packed": "by hand in Numba, vector functions"}

LOOPS = ("rosen2", "rosen1k", "while_norm", "branchy", "ode_rk4", "nbody")
VALUES = ("rosen1k", "while_norm", "ode_rk4", "nbody")  # Numba compiles the NumPy source of the others


def warm_up(way: str) -> None:
    numba.njit(lambda x: x + 1.0)(np.ones(1))


def build(workload: Workload, way: str) -> Way | None:
    name = workload.function.__name__
    if name in LOOPS:
        if way == "packed":
            return None
        written = getattr(hand_loops, f"{name}_value") if name in VALUES else workload.function
        gradient, value = hand_loops.compiled(getattr(hand_loops, name)), hand_loops.compiled(written)
    else:
        parallel = numba.config.NUMBA_NUM_THREADS > 1
        gradient, value = getattr(hand_arrays, name)(way == "packed", parallel)
    return Way(gradient, value=value)
