"""No library: what value and gradient cannot do without, for workloads larger than the caches.

"memory" moves as many bytes as the workload must, as the STREAM triad does. The others do the workload's arithmetic on
data that stays in the cache, by the vector code of whoever writes it best: by hand in Numba, and tracegrad's own. The
faster of them is the floor of arithmetic; what a workload takes beyond it goes to memory, calls and threads. With
several threads it is what one of them has to do, alone: its share, by code that is not shared out once more.
"""

from __future__ import annotations

import os
from typing import Any

import numba
import numpy as np

from ..workloads import Workload
from . import hand_arrays, tracegrad_peer
from .way import Way

WAYS = {
    "memory": "memory floor",
    "hand": "arithmetic floor, by hand",
    "ours": "arithmetic floor, by tracegrad",
}


@numba.njit(parallel=True)
def triad(a, b, c):
    for i in numba.prange(a.size):
        a[i] = b[i] + 3.0 * c[i]


def warm_up(way: str) -> None:
    triad(*(np.ones(10) for _ in range(3)))


def build(workload: Workload, way: str) -> Way | None:
    if workload.tile is None:
        return None
    if way == "memory":
        a, b, c = (np.ones(workload.moved // 24) for _ in range(3))
        return Way(lambda *_: triad(a, b, c))
    (tile,), (whole,) = workload.tile(), workload.make()
    threads = int(os.environ.get("NUMBA_NUM_THREADS", "1"))
    times = -(-whole[0].size // (tile[0].size * threads))  # each thread does its share
    if way == "hand":
        compute, _ = getattr(hand_arrays, workload.function.__name__)(packed=True, parallel=False)
    else:
        compute = tracegrad_peer.build(workload, "native").call
    for _ in range(3):
        compute(*tile)

    def call(*_: Any) -> Any:
        for _ in range(times):
            compute(*tile)

    return Way(call)
