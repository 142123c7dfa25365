"""Loops in segments: they compute what they did, to every order, and keep what they may."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

import tracegrad as tg
from tests.ad.test_keep import item, rk4
from tests.emit.programs import capture, if_, named, while_
from tests.emit.test_programs import run_alone
from tests.passes.random_traces import traces
from tests.passes.test_random import run
from tracegrad.emit.module import emit_array, emit_native
from tracegrad.errors import ArgumentError
from tracegrad.ir.interpret import interpret
from tracegrad.ir.source import Source
from tracegrad.ir.text import text
from tracegrad.ir.trace import Instr, Trace
from tracegrad.ir.verify import verify
from tracegrad.ir.walk import all_steps
from tracegrad.ops.elementary import sin
from tracegrad.passes.checkpoint import checkpointed
from tracegrad.passes.differentiate import reverse_mode
from tracegrad.passes.lower import lower_branches
from tracegrad.passes.pipeline import optimised, plan_gradient, prepared

X, Y, W = np.float64(0.4), np.float64(0.5), np.float64(1.1)


def fixed(x: Any, w: Any) -> Any:
    (x,) = while_(None, lambda k, x, w: sin(x * w) + 0.01 * k * x, {"x": x}, w, limit=57)
    return x


def counted(x: Any, w: Any, n: Any) -> Any:
    (x,) = while_(None, lambda k, x, w: sin(x * w) + 0.01 * k * x, {"x": x}, w, limit=n)
    return x * w


def until(x: Any, w: Any) -> Any:
    (x,) = while_(
        lambda k, x, w: (x < 9.0) & (k < 70),
        lambda k, x, w: x * (1.0 + 0.03 * w * sin(x) + 0.01),
        {"x": x},
        w,
    )
    return x * w


def until_or_limit(x: Any, w: Any, n: Any) -> Any:
    (x,) = while_(
        lambda k, x, w: x < 9.0, lambda k, x, w: x * (1.0 + 0.03 * w * sin(x) + 0.01), {"x": x}, w, limit=n
    )
    return x * w


def left(x: Any, w: Any, n: Any) -> Any:
    def step(k: Any, x: Any, stop: Any, w: Any) -> Any:
        x = named("x", x * (1.0 + 0.03 * w * sin(x) + 0.01))
        return x, x > 1.0

    x, _ = while_(None, step, {"x": x, "stop": x.recorder.constant(False)}, w, limit=n, stop=1)
    return x * w


def forever(x: Any, w: Any) -> Any:
    def step(k: Any, x: Any, stop: Any, w: Any) -> Any:
        x = named("x", x * (1.0 + 0.03 * w * sin(x) + 0.01))
        return x, (x > 1.0) | (k > 80)

    x, _ = while_(None, step, {"x": x, "stop": x.recorder.constant(False)}, w, stop=1)
    return x * w


def nested(x: Any, w: Any, n: Any) -> Any:
    def outer(k: Any, x: Any, w: Any) -> Any:
        (t,) = while_(None, lambda j, t, w: sin(t * w) + 0.01 * j, {"t": x}, w, limit=9)
        return if_(t > 0.5, lambda t, x: t * x + 0.1 * t, lambda t, x: t + 0.1 * x * x, "x", t, x)

    (x,) = while_(None, outer, {"x": x}, w, limit=n)
    return x


def items(v: Any, w: Any, n: Any) -> Any:
    (s,) = while_(None, lambda k, s, v, w: s + sin(s * item(v, k % 5)) * w, {"s": w}, v, w, limit=n)
    return s


PROGRAMS: dict[str, tuple[Callable[..., Any], list[Any]]] = {
    "fixed": (fixed, [X, W]),
    **{f"counted {n}": (counted, [X, W, np.int64(n)]) for n in (0, 1, 3, 4, 5, 30, 61)},
    "until": (until, [X, W]),
    "until at once": (until, [np.float64(10.0), W]),
    **{f"until or limit {n}": (until_or_limit, [X, W, np.int64(n)]) for n in (0, 2, 7, 200)},
    **{f"left {n}": (left, [X, W, np.int64(n)]) for n in (0, 1, 9, 200)},
    "forever": (forever, [X, W]),
    "forever, for one step": (forever, [np.float64(5.0), W]),
    **{f"nested {n}": (nested, [X, W, np.int64(n)]) for n in (1, 11)},
    "items": (items, [np.array([0.3, 0.1, 0.7, -0.2, 0.5]), W, np.int64(23)]),
}
LITTLE = 48  # bytes: every loop above is cut


def loops(trace: Trace) -> int:
    return sum(isinstance(step, Instr) and step.op.name == "loop" for step in all_steps(trace))


@pytest.mark.parametrize("memory", [LITTLE, 100, 250])
@pytest.mark.parametrize("name", PROGRAMS)
def test_value_and_gradient_stay(name: str, memory: int) -> None:
    program, values = PROGRAMS[name]
    trace = prepared(capture(program, values))
    cut = checkpointed(trace, memory)
    verify(cut)
    assert memory > LITTLE or loops(cut) > loops(trace)
    wrt = [k for k, v in enumerate(trace.inputs) if v.type.is_inexact]
    plain, again = (reverse_mode(t, wrt, [0], unit_seed=True) for t in (trace, cut))
    verify(again)
    wanted = interpret(plain, values)
    for found in (interpret(again, values), interpret(optimised(again), values)):
        assert found[0] == wanted[0]
        for a, b in zip(found[1:], wanted[1:], strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-12)


@pytest.mark.parametrize("name", ["fixed", "counted 61", "until", "left 200", "forever", "nested 11"])
def test_second_derivatives_stay(name: str) -> None:
    program, values = PROGRAMS[name]
    trace = prepared(capture(program, values))

    def second(trace: Trace) -> Any:
        first = optimised(reverse_mode(trace, [0, 1], [0], unit_seed=True))
        return interpret(optimised(reverse_mode(first, [0, 1], [1], unit_seed=True)), values)

    np.testing.assert_allclose(second(checkpointed(trace, LITTLE)), second(trace), rtol=1e-11)


@pytest.mark.parametrize(
    "name", ["fixed", "counted 61", "counted 3", "until", "left 200", "forever", "nested 11"]
)
def test_both_texts_compute_it(name: str) -> None:
    program, values = PROGRAMS[name]
    plan = plan_gradient(capture(program, values), [0, 1], [0], memory=100)
    wanted = interpret(reverse_mode(prepared(capture(program, values)), [0, 1], [0], unit_seed=True), values)
    functions = run_alone(emit_array(plan.forward, plan.backward, 1))
    value, residuals = functions[f"{program.__name__}_forward"](*values)
    found = [value, *functions[f"{program.__name__}_backward"](residuals)]
    np.testing.assert_allclose(found, wanted, rtol=1e-12)
    native = emit_native("gradient", plan.joint)
    assert isinstance(native, Source)
    code, *found = run_alone(native)[f"{program.__name__}_value_and_grad"](*values)
    assert code == -1
    np.testing.assert_allclose(found, wanted, rtol=1e-12)


@settings(max_examples=80, deadline=None)
@given(traces())
def test_random_traces_with_a_little_memory(drawn: Any) -> None:
    trace, values = drawn
    trace = lower_branches(trace)
    cut = checkpointed(trace, 64)
    verify(cut)
    seed = np.ones(trace.outputs[0].type.shape)[()]
    for before, after, given_values in (
        (trace, cut, values),
        (reverse_mode(trace, [0, 1, 2], [0]), reverse_mode(cut, [0, 1, 2], [0]), [*values, seed]),
    ):
        wanted, found = run(before, given_values), run(optimised(after), given_values)
        assert (wanted is None) == (found is None), text(before)
        for a, b in zip(found or (), wanted or (), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-9)


def test_what_fits_stays_as_it_is() -> None:
    trace = prepared(capture(fixed, [X, W]))
    assert checkpointed(trace, 57 * 16) is not trace  # two values a step: their bytes are counted
    assert loops(checkpointed(trace, 57 * 16)) == 1
    linear = prepared(
        capture(lambda x, n: while_(None, lambda k, x: x * 0.5, {"x": x}, limit=n)[0], [X, np.int64(3)])
    )
    assert checkpointed(linear, 1) is linear


@pytest.mark.parametrize("memory", [12_000, 3_000])
@pytest.mark.parametrize("known", [True, False])
def test_the_peak_is_held(memory: int, known: bool) -> None:
    """The stacks of native text, as NumPy allocates them."""

    def program(x: Any, y: Any, w: Any, n: Any) -> Any:
        x, y = while_(None, rk4, {"x": x, "y": y}, w, limit=2000 if known else n)
        return x * y

    values = [X, Y, W, np.int64(2000)]
    peaks = []
    for budget in (None, memory):
        plan = plan_gradient(capture(program, values), [0, 1, 2], [0], memory=budget)
        source = emit_native("gradient", plan.joint)
        assert isinstance(source, Source)
        function = run_alone(source)["program_value_and_grad"]
        tracemalloc.start()
        function(*values)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    overhead = 4_000  # numbers of the interpreter, heads of arrays
    assert peaks[0] >= 2000 * 16
    assert peaks[1] <= memory + overhead


def test_the_keyword_and_the_option() -> None:
    def function(x: float) -> Any:
        for _ in range(200):
            x = np.sin(x) * 1.1
        return x

    plain = tg.value_and_grad(function, jit="python")
    little = tg.value_and_grad(function, jit="python", memory="200B")
    assert little(0.3) == pytest.approx(plain(0.3), rel=1e-12)
    assert little.backward_source.count("for ") > plain.backward_source.count("for ")
    with tg.config.using(loop_memory=200):
        follows = tg.grad(function, jit="python")
        assert follows(0.3) == pytest.approx(plain(0.3)[1], rel=1e-12)
    assert follows.backward_source.count("for ") == little.backward_source.count("for ")
    _, pull = tg.vjp(function, 0.3, memory=200)
    assert pull(1.0) == pytest.approx(plain(0.3)[1], rel=1e-12)
    assert tg.grad(tg.grad(function, memory=200), jit="python", memory=200)(0.3) == pytest.approx(
        tg.grad(tg.grad(function), jit="python")(0.3), rel=1e-10
    )


@pytest.mark.parametrize("memory", ["lots", 0, -1, 2.5, "64 elephants"])
def test_a_budget_that_is_none_is_refused(memory: Any) -> None:
    with pytest.raises(ArgumentError, match="memory="):
        tg.grad(lambda x: x, memory=memory)
    with pytest.raises(ArgumentError, match="`vjp` got memory="):
        tg.vjp(lambda x: x, 1.0, memory=memory)
