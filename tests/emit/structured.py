"""Programs of rolled loops and merged branches, as a capture leaves them: for golden files and for figures.

Begin with the `STRUCTURED` table: name, function, inputs. `programs` has the recorder.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.emit.programs import both, choose, if_, named, while_
from tracegrad.ops.compare import absolute
from tracegrad.ops.elementary import sin


def constant(value: Any, like: Any) -> Any:
    return like.recorder.constant(value)


def branchy(x: Any, a: Any, b: Any) -> Any:
    """50 steps through four arms."""

    def high(x: Any, a: Any, b: Any) -> Any:
        return if_(
            a * x > 2.6,
            lambda x, a, b: named("x", 0.3 * x + 0.1 * b),
            lambda x, a, b: named("x", a * x * (1.0 - x)),
            "x",
            *(x, a, b),
        )

    def low(x: Any, a: Any, b: Any) -> Any:
        return if_(
            x < 0.2,
            lambda x, a, b: named("x", x + 0.25 * sin(a * x) + 0.1),
            lambda x, a, b: named("x", b * x * x + 0.3),
            "x",
            *(x, a, b),
        )

    def step(k: Any, x: Any, s: Any, a: Any, b: Any) -> Any:
        x = if_(x > 0.5, high, low, "x", x, a, b)
        return x, named("s", s + x * x)

    _, s = while_(None, step, {"x": x, "s": constant(np.float64(0.0), x)}, a, b, limit=50)
    return s


def rk4(x: Any, y: Any, a: Any, b: Any, c: Any, d: Any, h: Any, n: Any) -> Any:
    """Lotka-Volterra by Runge-Kutta, over scalars."""

    def step(k: Any, x: Any, y: Any, a: Any, b: Any, c: Any, d: Any, h: Any) -> Any:
        k1x = named("k1x", a * x - b * x * y)
        k1y = named("k1y", c * x * y - d * y)
        x1 = named("x1", x + 0.5 * h * k1x)
        y1 = named("y1", y + 0.5 * h * k1y)
        k2x = named("k2x", a * x1 - b * x1 * y1)
        k2y = named("k2y", c * x1 * y1 - d * y1)
        x2 = named("x2", x + 0.5 * h * k2x)
        y2 = named("y2", y + 0.5 * h * k2y)
        k3x = named("k3x", a * x2 - b * x2 * y2)
        k3y = named("k3y", c * x2 * y2 - d * y2)
        x3 = named("x3", x + h * k3x)
        y3 = named("y3", y + h * k3y)
        k4x = named("k4x", a * x3 - b * x3 * y3)
        k4y = named("k4y", c * x3 * y3 - d * y3)
        x = named("x", x + h / 6.0 * (k1x + 2.0 * k2x + 2.0 * k3x + k4x))
        y = named("y", y + h / 6.0 * (k1y + 2.0 * k2y + 2.0 * k3y + k4y))
        return x, y

    x, y = while_(None, step, {"x": x, "y": y}, a, b, c, d, h, limit=n)
    return x * x + y * y


def square_root(a: Any, x: Any) -> Any:
    """A `for` with a `break` in an arm: Newton's method."""

    def step(k: Any, x: Any, stop: Any, a: Any) -> Any:
        f = named("f", x * x - a)
        return if_(
            absolute(f) < 1e-12,
            lambda x, f: (x, constant(np.True_, x)),
            lambda x, f: (named("x", x - f / (2.0 * x)), constant(np.False_, x)),
            "x __tg_stop1",
            *(x, f),
        )

    x, _ = while_(None, step, {"x": x, "__tg_stop1": constant(np.False_, x)}, a, limit=30, stop=1)
    return x * a


def early(x: Any, bound: Any) -> Any:
    """A `return` inside a loop, and one after it."""

    def step(k: Any, y: Any, value: Any, returned: Any, stop: Any, x: Any, bound: Any) -> Any:
        y = named("y", y * 1.5 + sin(x))
        value, returned, stop = if_(
            y > bound,
            lambda y, value: (named("__tg_value", y * 2.0), constant(np.True_, y), constant(np.True_, y)),
            lambda y, value: (value, constant(np.False_, y), constant(np.False_, y)),
            "__tg_value __tg_returned __tg_stop1",
            *(y, value),
        )
        return y, value, returned, stop

    carried = {
        "y": x,
        "__tg_value": constant(np.float64(0.0), x),
        "__tg_returned": constant(np.False_, x),
        "__tg_stop1": constant(np.False_, x),
    }
    y, value, returned, _ = while_(None, step, carried, x, bound, limit=20, stop=3)
    return if_(returned, lambda value, y: value, lambda value, y: y, "__tg_value", value, y)


def bounded(x: Any, y: Any, n: Any) -> Any:
    """Conditions of several parts, and a number chosen in one line."""

    def step(k: Any, s: Any, x: Any, y: Any) -> Any:
        s = if_(
            both(x > 0.0, lambda s, y: both(y > 0.0, lambda s: s < 9.0, s), s, y),
            lambda s, x, y: named("s", s + x * y),
            lambda s, x, y: named("s", s - x),
            "s",
            *(s, x, y),
        )
        inside = both(y > 0.0, lambda y: y < 1.0, y)
        return named("s", s + choose(inside, lambda x, y: x * 2.0, lambda x, y: y, x, y))

    (s,) = while_(None, step, {"s": x}, x, y, limit=n)
    return s * s


STRUCTURED: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    "branchy": (branchy, tuple(map(np.float64, (0.155, 3.2, 1.1)))),
    "rk4": (rk4, (*map(np.float64, (1.0, 0.5, 1.1, 0.4, 0.1, 0.4, 0.01)), np.int64(10))),
    "square_root": (square_root, (np.float64(2.0), np.float64(1.0))),
    "early": (early, (np.float64(0.3), np.float64(3.0))),
    "bounded": (bounded, (np.float64(0.7), np.float64(0.4), np.int64(5))),
}
