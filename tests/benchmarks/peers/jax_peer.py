"""JAX: `jax.jit(jax.value_and_grad(f))` in 64 bits, given NumPy arrays and asked for NumPy arrays.

Python loops and branches over traced values are not JAX's idiom; they are written with `lax` here, as
its users must.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ..workloads import Workload
from .rebind import rebind

jax.config.update("jax_enable_x64", True)

TITLE = "jax.jit, NumPy to NumPy"

FRESH = """
import jax
import numpy as np

jax.config.update("jax_enable_x64", True)

def f(x):
    return (1.0 - x[0]) ** 2 + 100.0 * (x[1] - x[0] ** 2) ** 2

value, gradient = jax.jit(jax.value_and_grad(f))(np.array([-1.2, 1.0]))
np.asarray(gradient)
"""


def doubling(x: Any, v: Any) -> Any:
    """`lax.while_loop` has no reverse mode: a scan of the largest length, idle after the last trip."""

    def step(y: Any, _: Any) -> Any:
        return lax.cond(jnp.sqrt(jnp.sum(y * y)) < 1000.0, lambda y: y * 2.0, lambda y: y, y), None

    y, _ = lax.scan(step, x * 2.0, None, length=16)
    return jnp.dot(y, v)


def branchy(x: Any, a: Any, b: Any) -> Any:
    def high(x: Any) -> Any:
        return lax.cond(a * x > 2.6, lambda x: 0.3 * x + 0.1 * b, lambda x: a * x * (1.0 - x), x)

    def low(x: Any) -> Any:
        return lax.cond(x < 0.2, lambda x: x + 0.25 * jnp.sin(a * x) + 0.1, lambda x: b * x * x + 0.3, x)

    def step(carry: Any, _: Any) -> Any:
        x, s = carry
        x = lax.cond(x > 0.5, high, low, x)
        return (x, s + x * x), None

    return lax.scan(step, (x, 0.0), None, length=50)[0][1]


IN_LAX = {"doubling": doubling, "branchy": branchy}


def build(workload: Workload) -> Callable[..., Any]:
    function = IN_LAX.get(workload.name) or rebind(workload.function, np=jnp)
    single = len(workload.argnums) == 1
    compiled = jax.jit(jax.value_and_grad(function, workload.argnums[0] if single else workload.argnums))

    def call(*arguments: Any) -> Any:
        value, gradient = compiled(*arguments)
        if single:
            return float(value), np.asarray(gradient)
        return float(value), tuple(np.asarray(g) for g in gradient)

    return call
