"""HIPS autograd: the workload's source with `np` rebound to `autograd.numpy`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import autograd
import autograd.numpy

from ..workloads import Workload
from .rebind import rebind

TITLE = "HIPS autograd"

FRESH = """
import autograd
import autograd.numpy as np

def f(x):
    return (1.0 - x[0]) ** 2 + 100.0 * (x[1] - x[0] ** 2) ** 2

autograd.value_and_grad(f)(np.array([-1.2, 1.0]))
"""


def build(workload: Workload) -> Callable[..., Any]:
    function = rebind(workload.function, np=autograd.numpy)
    argnum = workload.argnums[0] if len(workload.argnums) == 1 else workload.argnums
    return autograd.value_and_grad(function, argnum)
