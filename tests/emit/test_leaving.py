"""Loops left early: `break` where the flag was only that, and the same numbers as before."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.emit.programs import capture, if_, joint, named, pair, while_
from tests.emit.structured import STRUCTURED, constant
from tests.emit.test_programs import run_alone
from tracegrad.emit.module import emit_array, emit_native
from tracegrad.ir.interpret import interpret
from tracegrad.ir.source import Source


def in_two_arms(x: Any, a: Any) -> Any:
    """`break` in an arm of an arm, and something after it."""

    def deeper(x: Any, a: Any) -> Any:
        return if_(
            x > 9.0,
            lambda x, a: (named("x", x * 0.5), constant(np.True_, x)),
            lambda x, a: (named("x", x * a), constant(np.False_, x)),
            "x __tg_stop1",
            *(x, a),
        )

    def step(k: Any, x: Any, stop: Any, a: Any) -> Any:
        return if_(
            x > 2.0, deeper, lambda x, a: (named("x", x + a), constant(np.False_, x)), "x __tg_stop1", x, a
        )

    x, _ = while_(None, step, {"x": x, "__tg_stop1": constant(np.False_, x)}, a, limit=10**12, stop=1)
    return x * a


def flag_read_in_the_body(x: Any, a: Any) -> Any:
    """A flag that is also a number of the body stays one."""

    def step(k: Any, x: Any, stop: Any, a: Any) -> Any:
        x = named("x", if_(stop, lambda x, a: x, lambda x, a: x * a, "x", x, a))
        return x, named("stop", x > 50.0)

    x, _ = while_(None, step, {"x": x, "stop": constant(np.False_, x)}, a, limit=30, stop=1)
    return x * x


def last_condition(x: Any, a: Any) -> Any:
    """The flag is asked after the loop, too."""

    def step(k: Any, x: Any, stop: Any, a: Any) -> Any:
        x = named("x", x * a)
        return x, named("stop", x * x > 50.0)

    x, stop = while_(None, step, {"x": x, "stop": constant(np.False_, x)}, a, limit=5, stop=1)
    return if_(stop, lambda x: x * 3.0, lambda x: x * x, "y", x)


def swapped(x: Any, a: Any) -> Any:
    """What is carried changes places in the step in which the loop is left."""

    def step(k: Any, x: Any, y: Any, stop: Any, a: Any) -> Any:
        return y, x * a, named("stop", x > 4.0)

    carried = {"x": x, "y": a, "stop": constant(np.False_, x)}
    x, y, _ = while_(None, step, carried, a, limit=40, stop=2)
    return x * 2.0 + y


PROGRAMS: dict[str, tuple[Callable[..., Any], list[tuple[Any, ...]]]] = {
    "in_two_arms": (in_two_arms, [(0.5, 1.5), (3.0, 1.25), (20.0, 2.0), (0.5, 40.0)]),
    "flag_read_in_the_body": (flag_read_in_the_body, [(0.5, 1.5), (60.0, 2.0), (0.1, 1.01)]),
    "last_condition": (last_condition, [(0.5, 1.5), (9.0, 2.0), (0.5, 3.0)]),
    "swapped": (swapped, [(0.5, 1.5), (9.0, 2.0), (0.5, 1.001), (np.nan, 2.0)]),
    "square_root": (STRUCTURED["square_root"][0], [(2.0, 1.0), (9.0, 3.0), (np.nan, 1.0), (2.0, np.inf)]),
    "early": (STRUCTURED["early"][0], [(0.3, 3.0), (0.3, 1e9), (5.0, 1.0), (np.nan, 1.0)]),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_both_texts_compute_what_the_trace_computes(name: str) -> None:
    function, inputs = PROGRAMS[name]
    trace = capture(function, tuple(map(np.float64, inputs[0])))
    whole = joint(trace)
    native = emit_native("gradient", whole)
    assert isinstance(native, Source)
    halves = run_alone(emit_array(*pair(trace), 1))
    value_and_grad = run_alone(native)[native.entries[0]]
    for values in inputs:
        given = tuple(map(np.float64, values))
        with np.errstate(all="ignore"):
            wanted = interpret(whole, given)
            code, *found = value_and_grad(*given)
            result, residuals = halves[f"{name}_forward"](*given)
            gradients = halves[f"{name}_backward"](residuals)
        assert code == -1
        assert np.allclose(found, wanted, rtol=1e-12, equal_nan=True)
        assert np.allclose([result, *gradients], wanted, rtol=1e-12, equal_nan=True)


def forward(name: str) -> str:
    function, inputs = PROGRAMS[name]
    text = emit_array(*pair(capture(function, tuple(map(np.float64, inputs[0])))), 1).text
    return text[text.index("_forward(") : text.index("_backward(")]


@pytest.mark.parametrize("name", ["in_two_arms", "square_root", "swapped"])
def test_a_flag_that_only_leaves_is_a_break(name: str) -> None:
    assert "break" in forward(name) and "stop = " not in forward(name).replace("stop = x", "")


def test_a_flag_that_is_asked_later_is_set_where_the_loop_is_left() -> None:
    assert forward("early").count("returned = ") == 2
    assert "if stop:\n            break" in forward("flag_read_in_the_body")


@pytest.mark.parametrize("limit", [30, 10**12])
def test_a_buffer_has_its_length_or_grows(limit: int) -> None:
    def program(x: Any, a: Any) -> Any:
        def step(k: Any, x: Any, stop: Any, a: Any) -> Any:
            return named("x", x * x * a), named("stop", x > 1e6)

        x, _ = while_(None, step, {"x": x, "stop": constant(np.False_, x)}, a, limit=limit, stop=1)
        return x

    source = emit_native("gradient", joint(capture(program, (np.float64(1.1), np.float64(1.1)))))
    assert isinstance(source, Source)
    assert ("np.empty(30)" in source.text) == (limit == 30)
    assert ("np.concatenate" in source.text) == (limit != 30)
    code, *found = run_alone(source)[source.entries[0]](np.float64(1.1), np.float64(1.1))
    assert code == -1 and np.all(np.isfinite(found))
