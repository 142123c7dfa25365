"""JAX: `jax.jit(jax.value_and_grad(f))` in 64 bits.

Array workloads run the NumPy source with `np` rebound to `jax.numpy`. Python loops and branches over traced values
are not JAX's idiom; they are written with `lax.scan`, and `lax.cond` or `jnp.where`, as its users must.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.scipy.special import erf

from .. import workloads
from ..workloads import BODY_DT, BODY_EPS2, BODY_STEPS, Workload
from .rebind import rebind
from .way import Way

jax.config.update("jax_enable_x64", True)

WAYS = {"jit": "jax.jit", "where": "jax.jit, choices by `where`"}

FRESH = """
import jax
import numpy as np

jax.config.update("jax_enable_x64", True)

def f(x):
    return (1.0 - x[0]) ** 2 + 100.0 * (x[1] - x[0] ** 2) ** 2

value, gradient = jax.jit(jax.value_and_grad(f))(np.array([-1.2, 1.0]))
np.asarray(gradient)
"""


def while_norm(x: Any, v: Any) -> Any:
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


def branchy_where(x: Any, a: Any, b: Any) -> Any:
    def step(carry: Any, _: Any) -> Any:
        x, s = carry
        high = jnp.where(a * x > 2.6, 0.3 * x + 0.1 * b, a * x * (1.0 - x))
        low = jnp.where(x < 0.2, x + 0.25 * jnp.sin(a * x) + 0.1, b * x * x + 0.3)
        x = jnp.where(x > 0.5, high, low)
        return (x, s + x * x), None

    return lax.scan(step, (x, 0.0), None, length=50)[0][1]


def ode_rk4(theta: Any, u0: Any) -> Any:
    a, b, c, d = theta
    h = 0.01

    def slope(x: Any, y: Any) -> Any:
        return a * x - b * x * y, d * x * y - c * y

    def step(u: Any, _: Any) -> Any:
        x, y = u
        k1x, k1y = slope(x, y)
        k2x, k2y = slope(x + 0.5 * h * k1x, y + 0.5 * h * k1y)
        k3x, k3y = slope(x + 0.5 * h * k2x, y + 0.5 * h * k2y)
        k4x, k4y = slope(x + h * k3x, y + h * k3y)
        x = x + h / 6.0 * (k1x + 2.0 * k2x + 2.0 * k3x + k4x)
        return (x, y + h / 6.0 * (k1y + 2.0 * k2y + 2.0 * k3y + k4y)), None

    (x, y), _ = lax.scan(step, (u0[0], u0[1]), None, length=1000)
    return (x - 1.0) ** 2 + (y - 2.0) ** 2


def nbody(q: Any, v: Any, m: Any) -> Any:
    acceleration = rebind(workloads.acceleration, np=jnp)

    def step(carry: Any, _: Any) -> Any:
        q, v, a = carry
        v = v + 0.5 * BODY_DT * a
        q = q + BODY_DT * v
        a = acceleration(q, m)
        return (q, v + 0.5 * BODY_DT * a, a), None

    (q, v, _), _ = lax.scan(step, (q, v, acceleration(q, m)), None, length=BODY_STEPS)
    d = q[None, :, :] - q[:, None, :]
    r = jnp.sqrt(jnp.sum(d * d, axis=2) + BODY_EPS2)
    energy = 0.5 * jnp.sum(m[:, None] * v * v) - 0.5 * jnp.sum(m[:, None] * m[None, :] / r)
    return energy + 0.1 * jnp.sum(q * q)


IN_LAX = {f.__name__: f for f in (while_norm, branchy, ode_rk4, nbody)}


def warm_up(way: str) -> None:
    gradient = jax.jit(jax.value_and_grad(lambda x: jnp.sum(jnp.sin(x))))
    jax.block_until_ready(gradient(jnp.ones(3)))


def written(workload: Workload, way: str) -> Callable[..., Any] | None:
    if way == "where":
        return branchy_where if workload.name == "branchy" else None
    return IN_LAX.get(workload.name) or rebind(workload.function, np=jnp, erf=erf)


def build(workload: Workload, way: str) -> Way | None:
    function = written(workload, way)
    if function is None:
        return None
    return Way(
        jax.jit(jax.value_and_grad(function, workload.argnums)),
        prepare=lambda arguments: tuple(jnp.asarray(x) for x in arguments),
        wait=jax.block_until_ready,
        result=lambda found: (float(found[0]), tuple(np.asarray(g) for g in found[1])),
        value=jax.jit(function),
    )
