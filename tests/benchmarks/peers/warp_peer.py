"""NVIDIA Warp on the CPU, where it has one thread: a kernel a workload, and `wp.Tape` for the gradient."""

# no `from __future__ import annotations`: Warp reads the types of a kernel's parameters
import os
import tempfile
from typing import Any

import warp as wp

from ..workloads import Workload
from .way import Way

WAYS = {"tape": "Warp"}

wp.config.quiet = True
wp.config.verify_autograd_array_access = False
wp.config.kernel_cache_dir = os.path.join(tempfile.gettempdir(), f"warp-cache-{os.getpid()}")
wp.init()

F = wp.float64


@wp.func
def norm_cdf(x: F):
    return F(0.5) * (F(1.0) + wp.erf(x / wp.sqrt(F(2.0))))


@wp.kernel(module="unique")
def black_scholes(
    S: wp.array(dtype=F),
    K: wp.array(dtype=F),
    T: wp.array(dtype=F),
    sigma: wp.array(dtype=F),
    out: wp.array(dtype=F),
):
    i = wp.tid()
    vol = sigma[i] * wp.sqrt(T[i])
    d1 = (wp.log(S[i] / K[i]) + (F(0.03) + F(0.5) * sigma[i] * sigma[i]) * T[i]) / vol
    d2 = d1 - vol
    wp.atomic_add(out, 0, S[i] * norm_cdf(d1) - K[i] * wp.exp(-F(0.03) * T[i]) * norm_cdf(d2))


@wp.kernel(module="unique")
def sum_sq_chain(x: wp.array(dtype=F), out: wp.array(dtype=F)):
    i = wp.tid()
    y0 = x[i]
    s1 = wp.sin(wp.tanh(y0) * F(1.1) + x[i])
    y1 = s1 * s1
    s2 = wp.sin(wp.tanh(y1) * F(1.1) + x[i])
    y2 = s2 * s2
    s3 = wp.sin(wp.tanh(y2) * F(1.1) + x[i])
    y3 = s3 * s3
    s4 = wp.sin(wp.tanh(y3) * F(1.1) + x[i])
    y4 = s4 * s4
    wp.atomic_add(out, 0, y4 * y4)


KERNELS = {"black_scholes": black_scholes, "sum_sq_chain": sum_sq_chain}


def warm_up(way: str) -> None:
    wp.empty(1, dtype=F, device="cpu")


def build(workload: Workload, way: str) -> Way | None:
    kernel = KERNELS.get(workload.function.__name__)
    if kernel is None:
        return None

    def call(*arrays: Any) -> Any:
        for a in arrays:
            a.grad.zero_()
        out = wp.zeros(1, dtype=F, device="cpu", requires_grad=True)
        tape = wp.Tape()
        with tape:
            wp.launch(kernel, dim=arrays[0].shape[0], inputs=[*arrays, out], device="cpu")
        tape.backward(out)
        return out, [a.grad for a in arrays]

    def value(*arrays: Any) -> Any:
        out = wp.zeros(1, dtype=F, device="cpu")
        wp.launch(kernel, dim=arrays[0].shape[0], inputs=[*arrays, out], device="cpu")
        return out

    return Way(
        call,
        prepare=lambda arguments: tuple(
            wp.array(x, dtype=F, device="cpu", requires_grad=True) for x in arguments
        ),
        result=lambda found: (float(found[0].numpy()[0]), tuple(g.numpy() for g in found[1])),
        value=value,
    )
