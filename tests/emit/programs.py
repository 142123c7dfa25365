"""Programs to emit, captured by a small recorder of symbols: straight lines, loops, branches, in each kind of
type.

A program is a Python function whose operators write a trace; each step has the line of the tests it comes
from. Begin with `capture` and the `PROGRAMS` table: name, function, inputs.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tracegrad.ad.branch import branch
from tracegrad.ad.loop import loop
from tracegrad.ir.location import Location
from tracegrad.ir.trace import Trace
from tracegrad.ir.types import ArrayType, type_of
from tracegrad.ops.arithmetic import subtract
from tracegrad.ops.compare import where
from tracegrad.ops.elementary import cos, exp, log1p, sin, sqrt
from tracegrad.ops.families import astype
from tracegrad.ops.index import index_add, index_set, zeros_like
from tracegrad.ops.linalg import dot
from tracegrad.ops.reduce import mean, sum_
from tracegrad.ops.symbol import Builder, Symbol
from tracegrad.passes.differentiate import reverse_mode
from tracegrad.passes.pipeline import optimised
from tracegrad.passes.residuals import split


class Recorder(Builder):
    """A Builder that notes which line of the tests each step comes from."""

    def apply(self, op: Any, args: Sequence[Any], params: Any) -> Any:
        self.location = _here()
        return super().apply(op, args, params)


def _here() -> Location:
    frame = sys._getframe(2)
    while "tests" not in frame.f_code.co_filename or frame.f_code.co_name in _HELPERS:
        assert frame.f_back is not None
        frame = frame.f_back
    return Location(frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name)


def named(name: str, value: Any) -> Any:
    """Give a value the name of the local it is assigned to, as the marks do."""
    value.atom.name = name
    return value


def guard(condition: Symbol, expected: Any) -> None:
    """Record a guard."""
    builder: Any = condition.recorder
    builder.location = _here()
    builder.guard(condition, expected)


def while_(
    test: Callable[..., Any] | None,
    body: Callable[..., Any],
    carried: dict[str, Symbol],
    *invariants: Symbol,
    limit: Any = -1,
    stop: int | None = None,
) -> list[Symbol]:
    """A loop over named carried values; `test` and `body` take the counter, them and the invariants, `body` returns
    the next ones."""
    builder: Any = next(iter(carried.values())).recorder
    types = [v.type for v in (*carried.values(), *invariants)]
    names = [*carried, *(v.atom.name for v in invariants)]
    types, names = [type_of(0), *types], ["k", *names]
    condition = None if test is None else _inner(builder, test, types, names)
    inner = _inner(builder, body, types, names)
    params = {
        "condition": condition,
        "stop": stop,
        "body": inner,
        "carried": len(carried),
        "sliced": 0,
        "reverse": False,
        "names": tuple(carried),
    }
    results = builder.apply(loop, [limit, *carried.values(), *invariants], params)
    for name, result in zip(carried, results[1:], strict=True):
        named(name, result)
    return list(results[1:])


def if_(
    condition: Symbol, true: Callable[..., Any], false: Callable[..., Any], names: str, *operands: Symbol
) -> Any:
    """A branch whose arms take the operands and return the values called `names`."""
    builder: Any = condition.recorder
    types, given = [v.type for v in operands], [v.atom.name for v in operands]
    arms = tuple(_inner(builder, arm, types, given) for arm in (true, false))
    results = builder.apply(branch, [condition, *operands], {"arms": arms, "names": tuple(names.split())})
    results = results if isinstance(results, tuple) else (results,)
    for name, result in zip(names.split(), results, strict=True):
        named(name, result)
    return results[0] if len(results) == 1 else results


def choose(condition: Symbol, true: Callable[..., Any], false: Callable[..., Any], *operands: Symbol) -> Any:
    """A branch with one result that has no name, as `x if c else y` and `and` record it."""
    found = if_(condition, true, false, "chosen", *operands)
    builder: Any = condition.recorder
    builder.steps[-1].params["names"] = ("",)
    found.atom.name = None
    return found


def bool_of(answer: bool) -> Callable[..., Any]:
    """An arm that gives a constant."""
    return lambda x, *rest: x.recorder.constant(np.bool_(answer))


def both(a: Symbol, b: Callable[..., Any], *operands: Symbol) -> Any:
    """`a and b(*operands)`."""
    return choose(a, b, bool_of(False), *operands)


def either(a: Symbol, b: Callable[..., Any], *operands: Symbol) -> Any:
    """`a or b(*operands)`."""
    return choose(a, bool_of(True), b, *operands)


def _inner(
    outer: Recorder, function: Callable[..., Any], types: Sequence[ArrayType], names: Sequence[Any]
) -> Trace:
    builder = Recorder(outer.level + 1)
    inputs = [builder.input(t, n) for t, n in zip(types, names, strict=True)]
    found = function(*inputs)
    return builder.trace(inputs, found if isinstance(found, tuple) else (found,))


_HELPERS = (
    "choose",
    "both",
    "either",
    "apply",
    "guard",
    "while_",
    "if_",
    "_inner",
    "named",
    "_here",
    "item",
    "put",
    "total",
    "empty",
)


def capture(function: Callable[..., Any], values: Sequence[Any]) -> Trace:
    """The trace of a program."""
    builder = Recorder()
    names = list(inspect.signature(function).parameters)
    inputs = [builder.input(type_of(v), n) for v, n in zip(values, names, strict=True)]
    found = function(*inputs)
    return builder.trace(inputs, found if isinstance(found, tuple) else (found,), function.__name__)


def simplified(trace: Trace) -> Trace:
    """The passes that make a derivative readable."""
    return optimised(trace)


def joint(trace: Trace) -> Trace:
    """Value and gradient by all inexact inputs."""
    wrt = [i for i, v in enumerate(trace.inputs) if v.type.is_inexact]
    return simplified(reverse_mode(simplified(trace), wrt, (0,), unit_seed=True))


def pair(trace: Trace) -> tuple[Trace, Trace]:
    """Forward and backward."""
    forward, backward = split(joint(trace), 1, 0)
    return forward, backward


# --- the programs -----------------------------------------------------------------------------------------------------


def rosenbrock(x: Any) -> Any:
    return (1.0 - x[0]) ** 2 + 100.0 * (x[1] - x[0] ** 2) ** 2


def logistic(w: Any, X: Any, y: Any) -> Any:
    z = named("z", -y * dot(X, w))
    return mean(log1p(exp(z)), axis=(0,), keepdims=False) + 0.5e-3 * dot(w, w)


def tutorial(x: Any, v: Any) -> Any:
    y = named("y", x * 2.0)
    (y,) = while_(lambda k, y: sqrt(dot(y, y)) < 1000.0, lambda k, y: named("y", y * 2.0), {"y": y})
    return dot(y, v)


def pendulum(angle: Any, speed: Any, n: Any) -> Any:
    def step(k: Any, a: Any, s: Any) -> Any:
        a_mid = named("a_mid", a + 0.05 * s)
        s_next = s - 0.1 * sin(a_mid)
        return a + 0.1 * s_next, s_next

    a, s = while_(None, step, {"a": angle, "s": speed}, limit=n)
    return a * a + s * s


def fibonacci(x: Any, y: Any, n: Any) -> Any:
    a, b = while_(None, lambda k, a, b: (b, sin(a) + b), {"a": x, "b": y}, limit=n)
    return a * b


def chosen(x: Any) -> Any:
    total = named("total", sum_(x, axis=(0,), keepdims=False))
    y = if_(
        total > 0.0,
        lambda x, total: named("y", x * total),
        lambda x, total: named("y", 100.0 * sin(x)),
        "y",
        x,
        total,
    )
    return sum_(y * y, axis=(0,), keepdims=False)


def guarded(x: Any) -> Any:
    y = named("y", x * x)
    guard(y > 4.0, True)
    guard(y > 9.0, False)
    return exp(y / 10.0)


def newton(a: Any, x: Any) -> Any:
    def test(k: Any, r: Any, a: Any) -> Any:
        error = named("error", r * r - a)
        return error * error > 1e-20 * error * error + 1e-18

    (r,) = while_(test, lambda k, r, a: named("r", 0.5 * (r + a / r)), {"r": x}, a, limit=40)
    return r * a


def nested_loops(x: Any, n: Any) -> Any:
    def outer(k: Any, s: Any, x: Any, n: Any) -> Any:
        (t,) = while_(None, lambda k, t, x: sin(t) * x, {"t": s}, x, limit=3)
        return if_(t > 0.1, lambda s, t: s + t, lambda s, t: s - t * t, "s", s, t)

    (s,) = while_(None, outer, {"s": x}, x, n, limit=n)
    return s


def scattered(x: Any) -> Any:
    a = named("a", index_set(zeros_like(x), x[1] * x[2], index=(0,)))
    b = named("b", index_add(a, x[0], index=(0,)))
    c = named("c", index_set(a, 3.0, index=(slice(1, 3),)))
    return dot(b * c, x) + a[0]


def filled(x: Any) -> Any:
    def step(k: Any, a: Any, s: Any, x: Any) -> Any:
        return index_add(a, s, index=(0,)), s * x[1]

    a, s = while_(None, step, {"a": zeros_like(x), "s": x[0]}, x, limit=4)
    return dot(a, x) + s


def single(x: Any, w: Any) -> Any:
    z = named("z", 2.0 * x + w[0] * 3)
    y = named("y", where(z > 0, cos(z), z / 3.0))
    return mean(y * z, axis=(0,), keepdims=False) * 0.1 + astype(
        sum_(x, axis=(0,), keepdims=False), dtype=np.dtype("f4")
    )


def drifting(x: Any) -> Any:
    (s,) = while_(None, lambda k, s, x: subtract(s * 0.5, x / 3), {"s": x}, x, limit=5)
    return s * s


def left_early(x: Any, n: Any) -> Any:
    """A `for` with a `break`, whose number of steps is read, and whose counter computes."""

    def step(k: Any, s: Any, stop: Any, x: Any) -> Any:
        s = named("s", s * 0.5 + x / (k + 1))
        return s, named("stop", s * s < 0.5)

    builder: Any = x.recorder
    s, _ = while_(None, step, {"s": x, "stop": builder.constant(False)}, x, limit=n, stop=1)
    return s * x


def forever(x: Any) -> Any:
    """`while True` with a `break` alone."""

    def step(k: Any, s: Any, stop: Any, x: Any) -> Any:
        s = named("s", sin(s) * x + 1.0 / (k + 1))
        return s, named("stop", (s < 0.3) | (k > 5))

    builder: Any = x.recorder
    s, _ = while_(None, step, {"s": x, "stop": builder.constant(False)}, x, stop=1)
    return s * s


_rng = np.random.default_rng(7)
VECTOR = np.array([0.4, -1.2, 0.7])
PROGRAMS: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    "rosenbrock": (rosenbrock, (np.array([-1.2, 1.0]),)),
    "logistic": (logistic, (VECTOR, _rng.normal(size=(20, 3)), np.sign(_rng.normal(size=20)))),
    "tutorial": (tutorial, (VECTOR, np.array([0.1, 1.0, 0.001]))),
    "pendulum": (pendulum, (np.float64(1.0), np.float64(0.2), np.int64(10))),
    "fibonacci": (fibonacci, (np.float64(0.3), np.float64(0.2), np.int64(7))),
    "chosen": (chosen, (VECTOR,)),
    "guarded": (guarded, (np.float64(2.5),)),
    "newton": (newton, (np.float64(2.0), np.float64(1.0))),
    "nested_loops": (nested_loops, (np.float64(0.8), np.int64(4))),
    "scattered": (scattered, (VECTOR,)),
    "filled": (filled, (VECTOR,)),
    "single": (single, (VECTOR.astype("f4"), np.array([0.5, 1.5], "f4"))),
    "left_early": (left_early, (np.float64(1.3), np.int64(9))),
    "forever": (forever, (np.float64(1.1),)),
    "drifting": (drifting, (np.float32(0.7),)),
}
