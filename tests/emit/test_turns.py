"""Random loops whose arrays change places, are copied and written in, with every array counted as large.

Numbers are small halves and every program is of the second degree at most, so all sums are exact: native text that
Python runs in memory full of a number of its own gives the digits of the trace, and differences are derivatives.
"""

from __future__ import annotations

import copy
import random
import re
from collections.abc import Callable, Sequence
from typing import Any

import hypothesis
import numpy as np
import pytest

import tracegrad as tg
from tests.drawing import bits
from tests.emit.test_planned import everything_large, put_together
from tests.emit.test_programs import run_alone
from tests.emit.test_sharing import lines
from tests.passes.random_traces import COUNTER
from tracegrad.ad.loop import loop
from tracegrad.emit.module import emit_native
from tracegrad.emit.turns import after, cycles
from tracegrad.ir.interpret import interpret
from tracegrad.ir.source import Source
from tracegrad.ir.trace import Trace
from tracegrad.ir.types import ArrayType
from tracegrad.ops import arithmetic
from tracegrad.ops.families import sum_to
from tracegrad.ops.index import getitem, index_add, index_set, zeros_like
from tracegrad.ops.shape import copy as copied
from tracegrad.ops.shape import roll
from tracegrad.ops.symbol import Builder, Symbol
from tracegrad.passes.pipeline import Plan, for_loops, plan_gradient, plan_jvp, plan_value

SIDE = 4
MATRIX = ArrayType((SIDE, SIDE), np.dtype(float))
PLACES = ((slice(1, None),), (slice(None, -1),), (slice(1, -1), slice(1, -1)), (2,), (slice(None), 1))
WAYS = ("value", "gradient", "jvp", "hvp")


def program(seed: int) -> tuple[Trace, list[Any]]:
    """The trace of a program with loops, its first output a number, and values for its inputs."""
    rng = random.Random(seed)
    builder = Builder()
    inputs = [builder.input(MATRIX, n) for n in "xyz"]
    pool = list(inputs)
    for _ in range(rng.choice([1, 1, 2, 3])):
        pool += _loop(rng, builder, pool)
        if rng.random() < 0.5:
            pool.append(_step(rng, pool))
    total = sum_to(pool[-1] * rng.choice(pool), shape=())
    total = total + sum_to(rng.choice(pool) * rng.choice(pool), shape=())
    outputs = [total, *(v for v in rng.sample(pool, 3) if rng.random() < 0.5)]
    draw = np.random.default_rng(seed)
    return builder.trace(inputs, outputs), [draw.integers(-4, 5, (SIDE, SIDE)) / 2.0 for _ in inputs]


def _loop(rng: random.Random, builder: Builder, pool: Sequence[Symbol]) -> list[Symbol]:
    """What a loop of 0 to 4 steps makes of 2 to 4 arrays."""
    count = rng.randrange(2, 5)
    carried = [_step(rng, pool) if rng.random() < 0.5 else rng.choice(pool) for _ in range(count)]
    if rng.random() < 0.4:
        carried[1] = carried[0]
    inner = Builder(builder.level + 1)
    inputs = [inner.input(t, n) for t, n in zip([COUNTER, *[MATRIX] * (count + 1)], "kabcds", strict=False)]
    made = list(inputs[1:])
    for _ in range(rng.randrange(1, 4)):
        made.append(_step(rng, made))
    new = [rng.choice(made[:count] if rng.random() < 0.4 else made[count:]) for _ in range(count)]
    new[rng.randrange(count)] = made[-1]
    if rng.random() < 0.5:  # each the one before, and the last one new
        new = [*inputs[2 : count + 1], rng.choice(made[count + 1 :])]
    params = {
        "condition": None,
        "stop": None,
        "body": inner.trace(inputs, new),
        "carried": count,
        "sliced": 0,
        "reverse": rng.random() < 0.3,
        "names": tuple("abcd"[:count]) if rng.random() < 0.5 else (None,) * count,
    }
    still = rng.choice(pool)
    _, *finals = builder.apply(loop, [builder.constant(rng.randrange(5)), *carried, still], params)
    return finals


def _step(rng: random.Random, pool: Sequence[Symbol]) -> Symbol:
    """Something linear."""
    x, y = rng.choice(pool), rng.choice(pool)
    kind = rng.randrange(13)
    if kind < 2:
        return rng.choice([x * 0.5, -x, 2.0 * x])
    if kind < 4:
        return rng.choice([arithmetic.add, arithmetic.subtract])(x, y)
    if kind < 7:
        moved = roll(x, shift=rng.choice([1, -1]), axis=rng.randrange(2))
        return rng.choice([moved + y, moved - x, 2.0 * x - y + 0.5 * moved])
    if kind < 8:
        return copied(x)
    if kind < 11:
        return put_together(rng, [x, y, 0.5 * y, x - y])
    target = rng.choice([x, x * 2.0, zeros_like(x)])
    place = rng.choice(PLACES)
    part = getitem(rng.choice([x, y]), index=place)
    return rng.choice([index_set, index_add])(target, rng.choice([part, 0.5 * part]), index=place)


def planned(trace: Trace, way: str) -> Plan:
    if way == "value":
        return plan_value(trace)
    if way == "gradient":
        return plan_gradient(trace, (0, 1, 2), (0,))
    return plan_jvp(trace if way == "jvp" else plan_gradient(trace, (0, 1, 2), (0,)).joint, (0, 1, 2))


def native_results(plan: Plan, values: Sequence[Any]) -> list[Any]:
    """What the native text gives where every array counts as large."""
    with everything_large():
        source = emit_native(plan.kind, for_loops(plan.joint))
    assert isinstance(source, Source)
    given = copy.deepcopy(list(values))
    (entry,) = run_alone(source).values()
    code, *found = entry(*given)
    assert code == -1
    for argument, same in zip(given, values, strict=True):
        np.testing.assert_array_equal(argument, same)
    arrays = [f for f in found if np.ndim(f)]
    for k, array in enumerate(arrays):
        assert not any(np.shares_memory(array, other) for other in (*given, *arrays[:k]))
    return found


@hypothesis.settings(max_examples=60)
@hypothesis.given(bits(32), bits(2))
def test_every_way(seed: int, way: int) -> None:
    trace, values = program(seed)
    plan = planned(trace, WAYS[way])
    given = values if way < 2 else [*values, *np.roll(values, 1, axis=0)]
    expected = interpret(plan.joint, copy.deepcopy(given))
    for got, want in zip(native_results(plan, given), expected, strict=True):
        np.testing.assert_array_equal(got, want)


@hypothesis.settings(max_examples=20)
@hypothesis.given(bits(32))
def test_differences(seed: int) -> None:
    trace, values = program(seed)
    moved = list(np.roll(values, 1, axis=0))
    further, back = (
        interpret(trace, [v + sign * m for v, m in zip(values, moved, strict=True)])[0]
        for sign in (1.0, -1.0)
    )
    gradients = native_results(planned(trace, "gradient"), values)[-3:]
    assert sum(np.sum(g * m) for g, m in zip(gradients, moved, strict=True)) == (further - back) / 2.0


# --- results of compiled programs


def turned(x: Any, n: int) -> Any:
    a, b = x * 1.0, np.roll(x, 1, axis=0)
    for _ in range(n):
        a, b = b, a
    return a + 0.0, b + 0.0


def spread(x: Any, n: int) -> Any:
    u = x.copy()
    for _ in range(n):
        u = 0.5 * u + 0.25 * np.roll(u, 1, axis=1)
    return u


def swung(x: Any, n: int) -> Any:
    old, u = x, x * 0.5
    for _ in range(n):
        old, u = u, 0.5 * u - old + 0.25 * np.roll(u, 1, axis=0)
    return old, u


def swung_until(x: Any, n: int) -> Any:
    old, u = x, x * 0.5
    for k in range(10):
        old, u = u, 0.5 * u - old + 0.25 * np.roll(u, 1, axis=0)
        if np.sum(u * u) < -1.0 or k + 1 >= n:
            break
    return old, u


def relaxed(x: Any, n: int) -> Any:
    a = x.copy()
    for _ in range(n):
        a[1:-1] += 0.25 * (a[:-2] - 2.0 * a[1:-1] + a[2:])
    return a


def total(function: Callable[..., Any]) -> Callable[..., Any]:
    def added_up(x: Any, n: int) -> Any:
        results = function(x, n)
        return sum(np.sum(r * r) for r in (results if isinstance(results, tuple) else (results,)))

    return added_up


@pytest.mark.parametrize("side", [3, 100])
@pytest.mark.parametrize("function", [turned, spread, swung, swung_until, relaxed])
@pytest.mark.parametrize("steps", range(1, 5))
def test_results_stay_as_they_are(function: Callable[..., Any], steps: int, side: int) -> None:
    run = tg.value_and_grad(total(function), jit="native")
    draw = np.random.default_rng(steps)
    kept = []
    for _ in range(4):
        x = draw.integers(-4, 5, (side, side)) / 2.0
        value, gradient = run(x, steps)
        kept.append((x, gradient, gradient.copy()))
        step = draw.integers(-1, 2, x.shape) * 1.0
        further, back = (total(function)(x + sign * step, steps) for sign in (1.0, -1.0))
        assert value == total(function)(x, steps)
        assert np.sum(gradient * step) == (further - back) / 2.0
    for k, (_, gradient, same) in enumerate(kept):
        np.testing.assert_array_equal(gradient, same)
        assert not any(np.shares_memory(gradient, other) for x, g, _ in kept[:k] for other in (x, g))


# --- how much memory, and where a result is


def diffused(x: Any) -> Any:
    for _ in range(5):
        x = 0.5 * x + 0.25 * np.roll(x, 1, axis=0)
    return np.sum(x * x)


def waved(x: Any) -> Any:
    old = x
    for _ in range(5):
        old, x = x, 0.5 * x - old + 0.25 * np.roll(x, 1, axis=0)
    return np.sum(x * x)


def damped(x: Any) -> Any:
    old = x
    for _ in range(4):
        old, x = x, 1.5 * x - 0.75 * old + 0.25 * np.roll(x, 1, axis=0)
    return np.sum(x * x)


def of_three_steps(x: Any) -> Any:
    oldest, old = x, x
    for _ in range(4):
        oldest, old, x = old, x, x - 0.5 * oldest + 0.25 * np.roll(x, 1, axis=0)
    return np.sum(x * x)


@pytest.mark.parametrize(
    ("function", "arrays"), [(diffused, 2), (waved, 2), (damped, 2), (of_three_steps, 4)]
)
def test_arrays_that_are_needed(function: Callable[[Any], Any], arrays: int) -> None:
    run = tg.value_and_grad(function, jit="native")
    run(np.zeros((150, 150)))
    (head,) = re.findall(rf"def {function.__name__}_value_and_grad\((.*?)\)", run.native_source, re.DOTALL)
    assert head.count(",") == arrays
    assert "np.empty((" not in run.native_source and ".copy()" not in run.native_source


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("for _ in range({}):\n    u, v = v, u", {0: "uv", 1: "vu", 2: "uv", 7: "vu"}),
        ("for k in range({}, -1, -1):\n    u, v, w = v, w, u", {0: "vwu", 1: "wuv", 2: "uvw", -1: "uvw"}),
        ("for _ in range({}):\n    u, v, k = v, u, k + 1", {3: "vu"}),
        ("for _ in range({}):\n    if u[0] > v[0]:\n        break\n    u, v = v, u", {3: ""}),
        ("for _ in range({}):\n    if u[0] > v[0]:\n        u, v = v, u", {3: ""}),
        ("for _ in range(n + {}):\n    u, v = v, u", {3: ""}),
        ("for _ in range({}):\n    for _ in range(3):\n        u, v = v, u", {3: ""}),
        ("for _ in range({}):\n    u, v = v, u\n    u, v = v, u", {3: ""}),
        ("while n < {}:\n    u, v = v, u", {3: ""}),
    ],
)
def test_where_arrays_are_after_a_loop(text: str, places: dict[int, str]) -> None:
    for count, wanted in places.items():
        (loop,) = lines(text.format(count))
        assert after(loop) == (dict(zip("uvw", wanted, strict=False)) if wanted else None)


@pytest.mark.parametrize("text", ["u, v = v, v", "u, v = v + 1, u", "u, v = w, u", "u, v = f(u, v)", "u = v"])
def test_what_is_no_change_of_places(text: str) -> None:
    (line,) = lines(text)
    assert cycles(line.statement) == {}
