"""CasADi for scalar code: SX graphs, run by its virtual machine or as the C code it writes, compiled by gcc.

A data-dependent `while` has no SX form; an `if` becomes `if_else`, both sides computed. One function returns the value
and all gradients. The way "buffers" calls the compiled function on memory that stays in place, as CasADi advises
where a call costs more than the work.
"""

from __future__ import annotations

from typing import Any

import casadi
import numpy as np

from .. import workloads
from ..workloads import BODY_DT, BODY_EPS2, BODY_STEPS, Workload
from .way import Way

WAYS = {
    "machine": "CasADi, virtual machine",
    "gcc": "CasADi, compiled",
    "buffers": "CasADi, compiled, memory in place",
}

COMPILED = {
    "jit": True,
    "compiler": "shell",
    "jit_options": {"flags": ["-O2", "-march=native"], "verbose": False},
}


def rosen1k(x: Any) -> Any:
    return casadi.sum1(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)


def branchy(x: Any, a: Any, b: Any) -> Any:
    s = 0.0
    for _ in range(50):
        high = casadi.if_else(a * x > 2.6, 0.3 * x + 0.1 * b, a * x * (1.0 - x))
        low = casadi.if_else(x < 0.2, x + 0.25 * casadi.sin(a * x) + 0.1, b * x * x + 0.3)
        x = casadi.if_else(x > 0.5, high, low)
        s = s + x * x
    return s


def acceleration(q: Any, m: Any) -> Any:
    rows = []
    for i in range(5):
        a = casadi.SX.zeros(1, 3)
        for j in range(5):
            if i != j:
                d = q[j, :] - q[i, :]
                r2 = casadi.sum2(d * d) + BODY_EPS2
                a = a + m[j] * d / (r2 * casadi.sqrt(r2))
        rows.append(a)
    return casadi.vertcat(*rows)


def nbody(q: Any, v: Any, m: Any) -> Any:
    a = acceleration(q, m)
    for _ in range(BODY_STEPS):
        v = v + 0.5 * BODY_DT * a
        q = q + BODY_DT * v
        a = acceleration(q, m)
        v = v + 0.5 * BODY_DT * a
    energy = 0.1 * casadi.sum1(casadi.sum2(q * q))
    for i in range(5):
        energy = energy + 0.5 * m[i] * casadi.sum2(v[i, :] ** 2)
        for j in range(5):
            d = q[j, :] - q[i, :]
            energy = energy - 0.5 * m[i] * m[j] / casadi.sqrt(casadi.sum2(d * d) + BODY_EPS2)
    return energy


IN_CASADI = {
    "rosen2": workloads.rosen2,
    "rosen1k": rosen1k,
    "branchy": branchy,
    "ode_rk4": workloads.ode_rk4,
    "nbody": nbody,
}
GCC = ("rosen2", "branchy", "ode_rk4")  # it takes minutes for the others


def warm_up(way: str) -> None:
    x = casadi.SX.sym("x")
    casadi.Function("f", [x], [casadi.gradient(x * x, x)])(1.0)


def build(workload: Workload, way: str) -> Way | None:
    function = IN_CASADI.get(workload.name)
    if function is None or (way != "machine" and workload.name not in GCC):
        return None
    example = workload.make()[0]
    wanted = len(workload.argnums)
    shapes = [np.shape(a) for a in example]
    symbols = [
        casadi.SX.sym(f"x{k}", *shape, *(1 for _ in range(2 - len(shape)))) for k, shape in enumerate(shapes)
    ]
    value = function(*symbols)
    gradients = [casadi.gradient(value, s) for s in symbols[:wanted]]
    options = {} if way == "machine" else COMPILED
    both = casadi.Function("both", symbols, [value, *gradients], options)
    if way == "buffers":
        return Way(in_place(both, shapes, wanted))
    alone = casadi.Function("alone", symbols, [value], options)

    def result(found: Any) -> tuple[Any, tuple[Any, ...]]:
        bars = zip(found[1:], shapes[:wanted], strict=True)
        return float(found[0]), tuple(np.asarray(g.full()).reshape(s) for g, s in bars)

    return Way(
        both,
        prepare=lambda arguments: tuple(casadi.DM(x) for x in arguments),
        result=result,
        value=alone,
    )


def in_place(function: Any, shapes: list[tuple[int, ...]], wanted: int) -> Any:
    """A call by the function's own memory: arguments are copied in, gradients are copied out."""
    buffer, run = function.buffer()
    inputs = [np.zeros(shape or (1,)) for shape in shapes]
    outputs = [np.zeros(1), *(np.zeros(shape or (1,)) for shape in shapes[:wanted])]
    for k, x in enumerate(inputs):
        buffer.set_arg(k, memoryview(x))
    for k, x in enumerate(outputs):
        buffer.set_res(k, memoryview(x))
    value, *gradients = outputs

    def call(*arguments: Any, _alive: Any = (function, buffer)) -> Any:
        for x, given in zip(inputs, arguments, strict=True):
            x[...] = given
        run()  # holds neither of them
        return float(value[0]), tuple(
            g.copy() if s else g[0] for g, s in zip(gradients, shapes, strict=False)
        )

    return call
