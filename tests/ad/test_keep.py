"""What the reverse of a loop keeps: counted for a table of loops, and derivatives of what is computed again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.emit.programs import capture, if_, named, while_
from tracegrad.ir.interpret import interpret
from tracegrad.ir.trace import Instr, Trace
from tracegrad.ir.verify import verify
from tracegrad.ops.arithmetic import divide, power
from tracegrad.ops.elementary import cos, exp, sin, sqrt, tanh
from tracegrad.ops.index import Slot, getitem, index_add, index_set, zeros_like
from tracegrad.ops.linalg import dot
from tracegrad.ops.reduce import sum_
from tracegrad.passes.differentiate import reverse_mode
from tracegrad.passes.pipeline import optimised, prepared

SCALAR, INDEX = np.float64(0.4), (Slot(0),)
VECTOR = np.array([0.4, -0.3, 0.7, 0.2, 0.9])


def loop_over(body: Callable[..., Any], **carried: Any) -> Callable[..., Any]:
    """A program that runs a body five times; carried values start as inputs, the last input is an invariant."""

    def program(*inputs: Any) -> Any:
        starts = dict(zip(carried, inputs, strict=False))
        finals = while_(None, body, starts, *inputs[len(carried) :], limit=5)
        total = finals[0] if not finals[0].shape else sum_(finals[0], axis=(0,), keepdims=False)
        for value in finals[1:]:
            total = total + (value if not value.shape else sum_(value, axis=(0,), keepdims=False))
        return total

    names = [*carried, "w"]
    return eval(f"lambda {', '.join(names)}: program({', '.join(names)})", {"program": program})


def rk4(k: Any, x: Any, y: Any, w: Any) -> Any:
    def slope(x: Any, y: Any) -> Any:
        return w * x - 0.4 * x * y, 0.4 * x * y - y

    a, b = slope(x, y)
    c, d = slope(x + 0.05 * a, y + 0.05 * b)
    e, f = slope(x + 0.05 * c, y + 0.05 * d)
    g, h = slope(x + 0.1 * e, y + 0.1 * f)
    return x + 0.1 / 6 * (a + 2 * c + 2 * e + g), y + 0.1 / 6 * (b + 2 * d + 2 * f + h)


def item(array: Any, place: Any) -> Any:
    return getitem(array, place, index=INDEX)


def filled(k: Any, u: Any, w: Any) -> Any:
    before = item(u, (k + 4) % 5)
    return index_set(u, k, before + 0.1 * (w * before * (1 - before)), index=INDEX)


def filled_twice(k: Any, u: Any, v: Any, w: Any) -> Any:
    a, b = item(u, (k + 4) % 5), item(v, (k + 4) % 5)
    return index_add(u, k, 0.1 * a * b, index=INDEX), index_set(v, k, b - w * a * b, index=INDEX)


def inner_loop(k: Any, s: Any, w: Any) -> Any:
    (t,) = while_(None, lambda k, t, w: sin(t) * w, {"t": s}, w, limit=3)
    return t + s


def swept(k: Any, u: Any, w: Any) -> Any:
    """Each item is written again at each step, of itself and the one before it."""

    def cell(j: Any, u: Any, w: Any) -> Any:
        return index_set(u, j + 1, exp(-exp(w * item(u, j) * item(u, j + 1))), index=INDEX)

    return while_(None, cell, {"u": u}, w, limit=4)[0]


def three_deep(k: Any, s: Any, w: Any) -> Any:
    def middle(j: Any, s: Any, w: Any) -> Any:
        (t,) = while_(None, lambda i, t, w: exp(sin(t * w)), {"t": s}, w, limit=2)
        return if_(t > 0.2, lambda t, w: exp(t - w), lambda t, w: t * t, "t", t, w) + s

    return 0.1 * while_(None, middle, {"s": s}, w, limit=3)[0]


def inner_loop_of_any_length(k: Any, s: Any, w: Any) -> Any:
    (t,) = while_(None, lambda j, t, w: exp(sin(t)) * w, {"t": s}, w, limit=k + 1)
    return 0.1 * t + s


def chosen(k: Any, s: Any, w: Any) -> Any:
    return if_(s > 0.5, lambda s, w: s * s * w, lambda s, w: s + 0.1 * w, "s", s, w)


BODIES: dict[str, tuple[Callable[..., Any], dict[str, Any], list[str]]] = {
    "linear": (lambda k, s, w: 0.5 * s + w, {"s": SCALAR}, []),
    "linear in an array": (lambda k, s, w: s * 2.0, {"s": VECTOR}, []),
    "known factor": (lambda k, s, w: s * (k + 1), {"s": SCALAR}, []),
    "invariant factor": (lambda k, s, w: s * exp(w), {"s": SCALAR}, ["f8[]"]),
    "factor that follows the counter": (lambda k, s, w: s * exp(w * k), {"s": SCALAR}, ["f8[]", "f8[]"]),
    "sum of squares": (lambda k, s, w: s + w * w, {"s": SCALAR}, []),
    "logistic map": (lambda k, x, w: w * x * (1 - x), {"x": SCALAR}, ["f8[]"]),
    "power": (lambda k, x, w: power(x, 2) + w, {"x": SCALAR}, ["f8[]"]),
    "exponential": (lambda k, x, w: exp(x) - w, {"x": SCALAR}, ["f8[]"]),
    "two kept rather than one and tanh": (lambda k, x, w: tanh(w * x), {"x": SCALAR}, ["f8[]", "f8[]"]),
    "quotient": (lambda k, x, w: divide(w, x + 1.0), {"x": SCALAR}, ["f8[]"]),
    "Runge and Kutta": (rk4, {"x": SCALAR, "y": SCALAR}, ["f8[]", "f8[]"]),
    "recurrence in an array": (filled, {"u": VECTOR}, ["f8[]"]),
    "recurrence in two arrays": (filled_twice, {"u": VECTOR, "v": VECTOR}, ["f8[]", "f8[]"]),
    "norm": (lambda k, x, w: x / sqrt(dot(x, x) + w * w), {"x": VECTOR}, ["f8[5]"]),
    "loop in a loop": (inner_loop, {"s": SCALAR}, ["f8[]"]),
    "loop in a loop that writes items": (swept, {"u": VECTOR}, ["f8[4]"] * 4),
    "loops three deep": (three_deep, {"s": SCALAR}, ["f8[3,2]", "f8[3,2]", "f8[3]"]),
    "inner loop of any length": (inner_loop_of_any_length, {"s": SCALAR}, ["f8[]"]),
    "branch in a loop": (chosen, {"s": SCALAR}, ["f8[]"]),
}


def forward_loop(trace: Trace) -> Instr:
    return next(step for step in trace.steps if isinstance(step, Instr) and step.op.name == "loop")


@pytest.mark.parametrize("name", BODIES)
def test_what_is_kept(name: str) -> None:
    body, carried, kept = BODIES[name]
    values = [*carried.values(), np.float64(1.1)]
    trace = capture(loop_over(body, **carried), values)
    found = reverse_mode(prepared(trace), range(len(values)), [0], unit_seed=True)
    verify(found)
    step = forward_loop(optimised(found))
    stacks = [str(a.type) for a in step.params["body"].outputs[step.params["carried"] :]]
    assert sorted(stacks) == kept
    gradients = interpret(found, values)[1:]
    for place, gradient in enumerate(gradients):
        assert gradient == pytest.approx(differences(trace, values, place), rel=1e-5, abs=1e-7)


def differences(trace: Trace, values: list[Any], place: int) -> Any:
    """The gradient by one input from central differences."""
    slopes = np.zeros(np.shape(values[place]))
    for where in np.ndindex(slopes.shape):
        ends = []
        for step in (1e-6, -1e-6):
            moved = np.array(values[place], float)
            moved[where] += step
            ends.append(interpret(trace, [*values[:place], moved[()], *values[place + 1 :]])[0])
        slopes[where] = (ends[0] - ends[1]) / 2e-6
    return slopes


@pytest.mark.parametrize("name", BODIES)
def test_second_derivatives(name: str) -> None:
    """The reverse of the reverse: what the first kept is used again, what the second needs is kept too."""
    body, carried, _ = BODIES[name]
    values = [*carried.values(), np.float64(1.1)]
    trace = capture(loop_over(body, **carried), values)
    last = len(values) - 1
    first = prepared(reverse_mode(prepared(trace), [last], [0], unit_seed=True))
    second = reverse_mode(first, range(len(values)), [1], unit_seed=True)
    verify(second)
    gradients = interpret(optimised(second), values)[2:]
    slope = Trace(first.inputs, first.steps, first.outputs[1:])
    for place, gradient in enumerate(gradients):
        assert gradient == pytest.approx(differences(slope, values, place), rel=1e-5, abs=1e-7)


def test_a_stack_is_not_written_twice() -> None:
    """What the first reverse stacked is read by the second."""
    trace = capture(loop_over(lambda k, x, w: w * x * (1 - x), x=SCALAR), [SCALAR, np.float64(1.1)])
    first = reverse_mode(prepared(trace), [0, 1], [0], unit_seed=True)
    second = reverse_mode(optimised(first), [0, 1], [1], unit_seed=True)
    step = forward_loop(optimised(second))
    assert len(step.params["body"].outputs) == 2


def test_condition_and_step_of_a_loop_left_early() -> None:
    def program(x: Any, w: Any) -> Any:
        def step(k: Any, x: Any, stop: Any, w: Any) -> Any:
            x = named("x", cos(x) * w + x * 0.1)
            return x, x * x < 0.3

        x, _ = while_(None, step, {"x": x, "stop": x.recorder.constant(False)}, w, limit=9, stop=1)
        return x * zeros_like(x) + x

    values = [SCALAR, np.float64(1.1)]
    trace = capture(program, values)
    found = reverse_mode(prepared(trace), [0, 1], [0], unit_seed=True)
    step = forward_loop(optimised(found))
    assert len(step.params["body"].outputs) == step.params["carried"] + 2  # x and cos(x), no condition
    for place, gradient in enumerate(interpret(found, values)[1:]):
        assert gradient == pytest.approx(differences(trace, values, place), rel=1e-6)


def test_a_deep_nest_costs_much_and_not_everything() -> None:
    """What a nest of loops costs to repeat stays below what cannot be kept at all."""

    def program(x: Any, n: Any) -> Any:
        def level(depth: int) -> Any:
            if depth == 0:
                return lambda k, x, n: sin(x)
            return lambda k, x, n: while_(None, level(depth - 1), {"x": x}, n, limit=n)[0]

        return while_(None, level(9), {"x": x}, n, limit=n)[0]

    trace = capture(program, [SCALAR, np.int64(1)])
    found = reverse_mode(trace, [0], [0], unit_seed=True)
    assert interpret(found, [SCALAR, np.int64(1)])[1] == pytest.approx(np.cos(SCALAR))
