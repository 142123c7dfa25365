"""No library: what value and gradient cannot do without, for workloads larger than the caches.

"memory" moves as many bytes as the workload must, as the STREAM triad does; "arithmetic" does the workload's arithmetic
on data that stays in the cache, with the fastest code written by hand.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from ..workloads import Workload
from . import numba_peer
from .way import Way

WAYS = {"memory": "memory floor", "arithmetic": "arithmetic floor"}


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
    times = whole[0].size // tile[0].size
    by_hand = numba_peer.build(workload, "packed")
    assert by_hand is not None

    def call(*_: Any) -> Any:
        for _ in range(times):
            by_hand.call(*tile)

    return Way(call)
