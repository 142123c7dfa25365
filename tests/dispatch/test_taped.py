"""Calls answered on the tape: functions whose paths never end get the derivative of plain Python, and no programs."""

from __future__ import annotations

import math
import random
from typing import Any

import numpy as np
import pytest

import tracegrad as tg
from tracegrad.dispatch.tiers import IN_A_ROW, LONGEST, another_path, found_again, stays_on_tape
from tracegrad.dispatch.tree import TraceTree
from tracegrad.errors import LeakError, NotDifferentiableError
from tracegrad.tensor import capture
from tracegrad.tensor.captured import under_way

X = np.array([0.3, -0.4, 0.5])


def slope(function: Any, x: Any) -> Any:
    steps = np.eye(np.size(x)).reshape(np.size(x), *np.shape(x)) * 1e-6
    found = [(function(x + e) - function(x - e)) / 2e-6 for e in steps]
    return np.reshape(found, np.shape(x))


def on_tape(function: Any, *args: Any) -> Any:
    g = tg.value_and_grad(function)
    return g._taped(g.signature.flat_call(args, {}))


def popped(x: Any, choices: Any) -> Any:
    """Nothing that could be rolled or merged: a list used up, an exception, a dictionary."""
    todo, seen, s = list(choices), {}, 0.0
    while todo:
        c = todo.pop()
        try:
            if c == 3:
                raise ValueError
            x = np.sin(x) + 0.1 * x if c == 0 else x * x - 0.5 * x
        except ValueError:
            todo = todo[: len(todo) // 2]
        seen[c] = x
        s = s + np.sum(x * x) * len(seen)
    return s


def test_new_paths_in_every_call_end_on_the_tape(monkeypatch: pytest.MonkeyPatch) -> None:
    g = tg.value_and_grad(popped, jit="python")
    captures: list[Any] = []
    original = capture.capture
    monkeypatch.setattr(capture, "capture", lambda *given: (captures.append(given), original(*given))[1])
    draws = np.random.default_rng(3)
    for k in range(60):
        choices = tuple(int(c) for c in draws.integers(0, 4, 12))
        value, gradient = g(X, choices)
        assert value == pytest.approx(popped(X, choices), rel=1e-12), k
        np.testing.assert_allclose(
            gradient, slope(lambda x, c=choices: popped(x, c), X), rtol=1e-5, atol=1e-7
        )
    assert IN_A_ROW <= len(captures) < IN_A_ROW + 6
    assert g.stats.calls == 60


def test_paths_that_are_met_again_are_programs() -> None:
    def steps(x: Any, word: str) -> Any:
        for letter in list(word):
            x = np.sin(x) if letter == "s" else x * x
        return x

    g = tg.grad(steps, jit="python")
    words = ["s", "d", "sd", "ds", "ss", "dd"]
    for _ in range(8):
        for word in words:
            assert g(0.7, word) == pytest.approx(slope(lambda x, w=word: steps(x, w), 0.7), rel=1e-6)
    assert g.stats.captures == len(words)


def test_the_tape_is_left_now_and_then_to_see_whether_paths_repeat() -> None:
    known, runs = TraceTree({}), []
    for _ in range(IN_A_ROW + 12):
        another_path(known)
        count = 0
        while stays_on_tape(known):
            count += 1
        runs.append(count)
    assert runs[: IN_A_ROW - 1] == [0] * (IN_A_ROW - 1)
    assert runs[IN_A_ROW - 1 : IN_A_ROW + 2] == [8, 16, 32]
    assert runs[-1] == LONGEST
    another_path(known)
    found_again(known)
    assert not stays_on_tape(known)


def test_a_function_with_effects_outside_runs_on_the_tape_each_time() -> None:
    kept: list[float] = []

    def remembers(x: Any) -> Any:
        kept.append(float(len(kept)))
        return x * x * (1.0 + kept[-1])

    g = tg.value_and_grad(remembers)
    assert [g(3.0) for _ in range(4)] == [(9.0 * k, 6.0 * k) for k in (1.0, 2.0, 3.0, 4.0)]


def test_arrays_written_after_they_were_read() -> None:
    buffer = np.array([1.0, 2.0, 3.0])

    def function(x: Any) -> Any:
        a = x * 2.0
        view = a[1:]
        s = np.sum(a * a) + np.sum(np.exp(view))
        a[1] = x[0] * x[2]
        s = s + np.sum(view * x[1:])
        view += 1.0
        out = np.zeros(3)
        out[0] = s
        t = np.sum(x * buffer)
        return np.sum(out) + np.sum(a**2) * t

    value, gradient = on_tape(function, X)
    assert value == pytest.approx(function(X))
    np.testing.assert_allclose(gradient, slope(function, X), rtol=1e-6, atol=1e-7)


def test_a_plain_array_written_after_it_was_used_as_a_constant() -> None:
    def function(x: Any, k: Any) -> Any:
        local = [1.0, 2.0, 3.0]
        table = tg_free(local)
        y = x * table
        table[0] = 100.0
        return np.sum(y * x)

    def tg_free(values: Any) -> Any:
        return values.copy() if isinstance(values, np.ndarray) else np.array(values)

    value, gradient = on_tape(function, X, 2)
    assert value == pytest.approx(float(np.sum(X * X * [1.0, 2.0, 3.0])))
    np.testing.assert_allclose(gradient, 2 * X * [1.0, 2.0, 3.0])


def test_dtypes_are_those_of_programs() -> None:
    def function(x: Any, y: Any) -> Any:
        return np.sum(x * y * 2.0 + x.astype(np.float64) ** 2)

    for x in (X, X.astype(np.float32)):
        for y in (2.0, np.float32(2.0), np.float64(2.0), 3, np.ones(3, np.float32)):
            for wrt in (0, 1) if not isinstance(y, int) else (0,):
                g = tg.value_and_grad(function, argnums=wrt, jit="python")
                wanted, found = g(x, y), g._taped(g.signature.flat_call((x, y), {}))
                for a, b in zip(wanted, found, strict=True):
                    assert type(a) is type(b) and np.asarray(a).dtype == np.asarray(b).dtype
                    np.testing.assert_allclose(b, a, rtol=1e-6)


def test_a_result_that_does_not_depend_on_the_argument() -> None:
    assert on_tape(lambda x: 3.0, 2.0) == (3.0, 0.0)
    value, gradient = on_tape(lambda x: np.sum(np.floor(x)) + 1.0, X)
    assert (value, gradient.tolist()) == (0.0, [0.0, 0.0, 0.0])
    assert on_tape(lambda x: x, 2.0) == (2.0, 1.0)


def test_the_gradient_belongs_to_the_caller() -> None:
    weights = np.array([1.0, 2.0, 3.0])
    gradient = on_tape(lambda x: np.sum(x * weights), X)[1]
    gradient[0] = 9.0
    assert weights.tolist() == [1.0, 2.0, 3.0]
    gradient = on_tape(np.sum, X)[1]
    gradient[0] = 9.0
    assert gradient.tolist() == [9.0, 1.0, 1.0]


def test_math_helpers_closures_properties_and_special_methods() -> None:
    class Angle:
        def __init__(self, of: Any) -> None:
            self.of = of

        @property
        def cosine(self) -> Any:
            return math.cos(self.of)

        def __mul__(self, other: Any) -> Any:
            return math.sin(self.of) * other

        __rmul__ = __mul__

    k = 0.5

    def helper(x: Any, power: int = 2) -> Any:
        def inner(z: Any) -> Any:
            return math.exp(z * k) ** power

        return inner(x)

    def function(x: Any) -> Any:
        angle = Angle(x)
        return helper(x) + angle.cosine * 2.0 + 3.0 * angle + float(x) * int(2.5) + sum([x, x * x])

    value, gradient = on_tape(function, 0.7)
    assert value == pytest.approx(function(0.7))
    assert gradient == pytest.approx(float(slope(function, 0.7)), rel=1e-7)


def test_derivatives_inside() -> None:
    def function(x: Any) -> Any:
        inner = tg.grad(lambda y: y * y * x)(3.0)
        return inner * x

    g = tg.value_and_grad(function)
    g._tree(g.signature.flat_call((2.0,), {})).on_tape = "for the test"
    assert g(2.0) == (24.0, 24.0)
    second = tg.grad(tg.grad(popped_scalar))
    for known in second.trees.values():
        known.on_tape = "for the test"
    assert second(0.7) == pytest.approx(6 * 0.7)


def popped_scalar(x: Any) -> Any:
    todo = [1, 2, 3]
    y = 1.0
    while todo:
        todo.pop()
        y = y * x
    return y


def test_a_tensor_of_the_eager_graph_found_on_the_tape() -> None:
    w = tg.tensor(2.0, requires_grad=True)

    def function(x: Any) -> Any:
        return x * w * w

    g = tg.grad(function)
    g._tree(g.signature.flat_call((3.0,), {})).on_tape = "for the test"
    found = g(3.0)
    assert float(getattr(found, "item", lambda: found)()) == 4.0


def test_random_numbers_are_drawn_as_plain_python_draws_them() -> None:
    made: dict[str, Any] = {}

    def function(x: Any, k: int) -> Any:
        rng, todo, s = made["rng"], list(range(k)), 0.0
        while todo:
            i = todo.pop(rng.integers(len(todo)))
            s = s + np.sum(x * rng.normal()) + rng.normal(size=3) @ x + rng.choice(x) * np.random.rand()
            s = s + random.random() * i + np.random.default_rng(i).normal()
        rng.shuffle(todo)
        return s

    def seeded() -> None:
        made["rng"] = np.random.default_rng(7)
        np.random.seed(3)
        random.seed(4)

    seeded()
    wanted = [function(X, 5) for _ in range(4)]
    state = made["rng"].bit_generator.state
    seeded()
    found = [on_tape(function, X, 5) for _ in range(4)]
    assert made["rng"].bit_generator.state == state
    np.testing.assert_allclose([value for value, _ in found], wanted, rtol=1e-12)
    seeded()
    slopes = []
    for e in np.eye(3) * 1e-6:
        seeded()
        up = function(X + e, 5)
        seeded()
        slopes.append((up - function(X - e, 5)) / 2e-6)
    np.testing.assert_allclose(found[0][1], slopes, rtol=1e-6)


def test_errors_name_the_users_line() -> None:
    def leaks(x: Any) -> Any:
        return np.random.default_rng(0).normal(x)

    with pytest.raises((LeakError, TypeError, NotDifferentiableError)):
        on_tape(leaks, 2.0)
    with pytest.raises(ZeroDivisionError):
        on_tape(lambda x: x * (1 / 0), 2.0)


def test_nothing_is_left_of_a_run_that_failed() -> None:
    def fails(x: Any, stop: bool) -> Any:
        y = x * x
        if stop:
            raise KeyboardInterrupt
        return y

    g = tg.value_and_grad(fails)
    known = g._tree(g.signature.flat_call((2.0, True), {}))
    known.on_tape = "for the test"
    with pytest.raises(KeyboardInterrupt):
        g(2.0, True)
    assert not under_way
    assert g(2.0, False) == (4.0, 4.0)
