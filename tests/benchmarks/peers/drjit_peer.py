"""Dr.Jit on LLVM, where DRJIT_LIBLLVM_PATH names the library: the elementwise workloads.

It keeps its kernels, so calls after the first trace again but do not compile.
"""

from __future__ import annotations

import ctypes.util
import glob
import os
from typing import Any

if "DRJIT_LIBLLVM_PATH" not in os.environ and not ctypes.util.find_library("LLVM"):
    found = sorted(glob.glob("/usr/lib/*/libLLVM*[0-9].so*") + glob.glob("/usr/lib/*/libLLVM.so*"))
    if not found:
        raise ImportError("Dr.Jit needs LLVM's shared library, named by DRJIT_LIBLLVM_PATH")
    os.environ["DRJIT_LIBLLVM_PATH"] = found[-1]

import drjit
from drjit.llvm.ad import Float64, UInt32

from ..workloads import Workload
from .way import Way

WAYS = {"llvm": "Dr.Jit"}

drjit.set_thread_count(int(os.environ.get("OMP_NUM_THREADS", "1")))


def norm_cdf(x: Any) -> Any:
    return 0.5 * (1.0 + drjit.erf(x * 0.5**0.5))


def black_scholes(S: Any, K: Any, T: Any, sigma: Any) -> Any:
    r = 0.03
    vol = sigma * drjit.sqrt(T)
    d1 = (drjit.log(S / K) + (r + 0.5 * sigma * sigma) * T) / vol
    d2 = d1 - vol
    return drjit.sum(S * norm_cdf(d1) - K * drjit.exp(-r * T) * norm_cdf(d2))


def sum_sq_chain(x: Any) -> Any:
    y = x
    for _ in range(4):
        y = drjit.tanh(y)
        y = y * 1.1
        y = y + x
        y = drjit.sin(y)
        y = y * y
    return drjit.sum(y * y)


def rosen1k(x: Any) -> Any:
    low = drjit.arange(UInt32, drjit.width(x) - 1)
    a, b = drjit.gather(Float64, x, low), drjit.gather(Float64, x, low + 1)
    t, u = b - a * a, 1.0 - a
    return drjit.sum(100.0 * t * t + u * u)


IN_DRJIT = {f.__name__: f for f in (black_scholes, sum_sq_chain, rosen1k)}


def warm_up(way: str) -> None:
    x = Float64([1.0, 2.0])
    drjit.enable_grad(x)
    drjit.backward(drjit.sum(x * x))
    x.grad.numpy()


def build(workload: Workload, way: str) -> Way | None:
    function = IN_DRJIT.get(workload.function.__name__)
    if function is None:
        return None

    def call(*arguments: Any) -> Any:
        leaves = tuple(Float64(a) for a in arguments)
        drjit.enable_grad(*leaves)
        value = function(*leaves)
        drjit.backward(value)
        gradients = [a.grad for a in leaves]
        drjit.eval(value, *gradients)
        return value, gradients

    def value(*arguments: Any) -> Any:
        found = function(*arguments)
        drjit.eval(found)
        return found

    def wait(found: Any) -> Any:
        drjit.sync_thread()
        return found

    return Way(
        call,
        prepare=lambda arguments: tuple(Float64(x) for x in arguments),
        wait=wait,
        result=lambda found: (float(found[0].numpy()[0]), tuple(x.numpy() for x in found[1])),
        value=value,
    )
