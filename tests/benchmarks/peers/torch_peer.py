"""PyTorch: eager, and by `torch.compile` (inductor, C++)."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

os.environ.setdefault("TORCHINDUCTOR_FORCE_DISABLE_CACHES", "1")

import torch

from .. import workloads
from ..workloads import BODY_DT, BODY_EPS2, BODY_STEPS, Workload
from .rebind import rebind
from .way import Way

torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))

WAYS = {
    "eager": "PyTorch, eager",
    "compile": "torch.compile",
    "where": "torch.compile, choices by `where`",
}

FRESH = """
import torch

def f(x):
    return (1.0 - x[0]) ** 2 + 100.0 * (x[1] - x[0] ** 2) ** 2

x = torch.tensor([-1.2, 1.0], dtype=torch.float64, requires_grad=True)
torch.autograd.grad(f(x), x)[0].numpy()
"""


def while_norm(x: Any, v: Any) -> Any:
    y = x * 2
    while y.norm() < 1000:
        y = y * 2
    return torch.dot(y, v)


def branchy_where(x: Any, a: Any, b: Any) -> Any:
    s = 0.0
    for _ in range(50):
        high = torch.where(a * x > 2.6, 0.3 * x + 0.1 * b, a * x * (1.0 - x))
        low = torch.where(x < 0.2, x + 0.25 * torch.sin(a * x) + 0.1, b * x * x + 0.3)
        x = torch.where(x > 0.5, high, low)
        s = s + x * x
    return s


def norm_cdf(x: Any) -> Any:
    return 0.5 * (1.0 + torch.erf(x / 2.0**0.5))


def black_scholes(S: Any, K: Any, T: Any, sigma: Any) -> Any:
    r = 0.03
    vol = sigma * torch.sqrt(T)
    d1 = (torch.log(S / K) + (r + 0.5 * sigma * sigma) * T) / vol
    d2 = d1 - vol
    return torch.sum(S * norm_cdf(d1) - K * torch.exp(-r * T) * norm_cdf(d2))


def logreg(w: Any, X: Any, y: Any) -> Any:
    z = -y * (X @ w)
    return torch.mean(torch.log1p(torch.exp(z))) + 0.5e-3 * torch.dot(w, w)


def mlp(W1: Any, b1: Any, W2: Any, b2: Any, W3: Any, b3: Any, X: Any, labels: Any) -> Any:
    h = torch.tanh(torch.addmm(b1, X, W1))
    h = torch.tanh(torch.addmm(b2, h, W2))
    return torch.nn.functional.cross_entropy(torch.addmm(b3, h, W3), labels)


def acceleration(q: Any, m: Any) -> Any:
    d = q[None, :, :] - q[:, None, :]
    r2 = torch.sum(d * d, 2) + BODY_EPS2
    return torch.sum((m[None, :] * r2**-1.5)[:, :, None] * d, 1)


def nbody(q: Any, v: Any, m: Any) -> Any:
    a = acceleration(q, m)
    for _ in range(BODY_STEPS):
        v = v + 0.5 * BODY_DT * a
        q = q + BODY_DT * v
        a = acceleration(q, m)
        v = v + 0.5 * BODY_DT * a
    d = q[None, :, :] - q[:, None, :]
    r = torch.sqrt(torch.sum(d * d, 2) + BODY_EPS2)
    energy = 0.5 * torch.sum(m[:, None] * v * v) - 0.5 * torch.sum(m[:, None] * m[None, :] / r)
    return energy + 0.1 * torch.sum(q * q)


IN_TORCH = {f.__name__: f for f in (while_norm, black_scholes, logreg, mlp, nbody)}


def warm_up(way: str) -> None:
    x = torch.ones(3, dtype=torch.float64, requires_grad=True)
    torch.autograd.grad((x * x).sum(), x)
    if way != "eager":
        torch.autograd.grad(torch.compile(lambda x: torch.sin(x).sum())(x), x)


def written(workload: Workload, way: str) -> Callable[..., Any] | None:
    if way == "where":
        return branchy_where if workload.name == "branchy" else None
    name = workload.function.__name__
    return IN_TORCH.get(name) or rebind(getattr(workloads, name), np=torch)


def build(workload: Workload, way: str) -> Way | None:
    function = written(workload, way)
    if function is None:
        return None
    wanted = len(workload.argnums)
    computed = function if way == "eager" else torch.compile(function)

    def prepare(arguments: tuple[Any, ...]) -> tuple[Any, ...]:
        tensors = [
            torch.as_tensor(a, dtype=torch.float64) if isinstance(a, float) else torch.as_tensor(a)
            for a in arguments
        ]
        return tuple(
            x.detach().requires_grad_() if k < wanted else x for k, x in enumerate(tensors)
        )  # shares the memory of the NumPy array

    def call(*arguments: Any) -> Any:
        value = computed(*arguments)
        # a path may leave an argument unused
        return value, torch.autograd.grad(value, arguments[:wanted], materialize_grads=True)

    def value(*arguments: Any) -> Any:
        with torch.no_grad():
            return computed(*arguments)

    return Way(
        call,
        prepare=prepare,
        result=lambda found: (float(found[0].detach()), tuple(x.numpy() for x in found[1])),
        value=value,
    )
