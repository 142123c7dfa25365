"""MyGrad: NumPy's functions on its tensors, on a tape."""

from __future__ import annotations

from typing import Any

import mygrad
import numpy as np

from ..workloads import Workload
from .way import Way

WAYS = {"tape": "MyGrad"}
ABLE = ("rosen2", "rosen1k", "branchy", "nbody")  # it has neither `np.dot` nor `erf`


def warm_up(way: str) -> None:
    x = mygrad.tensor([1.0])
    (x * x).sum().backward()


def build(workload: Workload, way: str) -> Way | None:
    if workload.name not in ABLE:
        return None
    wanted = len(workload.argnums)

    def call(*arguments: Any) -> Any:
        leaves = [mygrad.tensor(a) for a in arguments[:wanted]]
        value = workload.function(*leaves, *arguments[wanted:])
        value.backward()
        return value, tuple(
            np.zeros(x.shape) if x.grad is None else x.grad for x in leaves
        )  # of a path without it

    return Way(call, result=lambda found: (found[0].item(), tuple(np.asarray(g) for g in found[1])))
