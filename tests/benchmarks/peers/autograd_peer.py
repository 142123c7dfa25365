"""HIPS autograd: the workload's source with `np` rebound to `autograd.numpy`."""

from __future__ import annotations

import autograd
import autograd.numpy
import autograd.scipy.special

from ..workloads import Workload
from .rebind import rebind
from .way import Way

WAYS = {"tape": "HIPS autograd"}

FRESH = """
import autograd
import autograd.numpy as np

def f(x):
    return (1.0 - x[0]) ** 2 + 100.0 * (x[1] - x[0] ** 2) ** 2

autograd.value_and_grad(f)(np.array([-1.2, 1.0]))
"""


def warm_up(way: str) -> None:
    autograd.value_and_grad(lambda x: autograd.numpy.sum(x * x))(autograd.numpy.ones(3))


def build(workload: Workload, way: str) -> Way:
    function = rebind(workload.function, np=autograd.numpy, erf=autograd.scipy.special.erf)
    argnum = workload.argnums[0] if len(workload.argnums) == 1 else workload.argnums
    return Way(autograd.value_and_grad(function, argnum))
