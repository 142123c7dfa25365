"""Branches that are written as expressions: their text, and that Python evaluates no more than the branch does."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.emit.programs import Recorder, bool_of, both, choose, either, if_, named
from tests.emit.test_programs import run_alone
from tests.emit.test_statements import body, scalar
from tracegrad.emit.module import emit_array, emit_native
from tracegrad.ir.interpret import interpret
from tracegrad.ir.source import Source
from tracegrad.ir.trace import Trace
from tracegrad.ops.compare import logical_not

CONDITIONS: dict[str, tuple[Callable[..., Any], str]] = {
    "and": (lambda x, y: both(x > 0.0, lambda y: y > 1.0, y), "if x > 0.0 and y > 1.0:"),
    "or": (lambda x, y: either(x > 0.0, lambda y: y > 1.0, y), "if x > 0.0 or y > 1.0:"),
    "chained": (lambda x, y: both(x > 0.0, lambda x, y: x < y, x, y), "if 0.0 < x < y:"),
    "chained upwards": (lambda x, y: both(y < x, lambda x: x <= 2.0, x), "if y < x <= 2.0:"),
    "not": (lambda x, y: logical_not(x > 0.0), "if not x > 0.0:"),
    "not equal": (lambda x, y: logical_not(x == y), "if x != y:"),
    "three": (
        lambda x, y: both(both(x > 0.0, lambda y: y > 0.0, y), lambda x, y: x * y < 2.0, x, y),
        "if x > 0.0 and y > 0.0 and x * y < 2.0:",
    ),
    "mixed": (
        lambda x, y: both(x > 0.0, lambda x, y: either(y < 0.0, lambda x: logical_not(x > 5.0), x), x, y),
        "if x > 0.0 and (y < 0.0 or not x > 5.0):",
    ),
    "negated first": (
        lambda x, y: choose(x > 0.0, bool_of(False), lambda y: y > 0.0, y),
        "if not x > 0.0 and y > 0.0:",
    ),
    "negated or": (
        lambda x, y: choose(x > 0.0, lambda y: y > 0.0, bool_of(True), y),
        "if not x > 0.0 or y > 0.0:",
    ),
}
VALUES = (-1.0, 0.0, 0.5, 1.5, 6.0, np.nan, np.inf)


def program(condition: Callable[..., Any], native: bool) -> tuple[Trace, Source]:
    builder = Recorder()
    x, y = scalar(builder, "x"), scalar(builder, "y")
    z = if_(condition(x, y), lambda x: named("z", x * 2.0), lambda x: named("z", x - 7.0), "z", x)
    trace = builder.trace([x, y], (z,))
    source = emit_native("value", trace) if native else emit_array(trace, None, 1)
    assert isinstance(source, Source)
    return trace, source


@pytest.mark.parametrize("name", CONDITIONS)
@pytest.mark.parametrize("native", [False, True])
def test_a_condition_reads_as_the_user_wrote_it(name: str, native: bool) -> None:
    condition, line = CONDITIONS[name]
    trace, source = program(condition, native)
    lines = [text.strip() for text in source.text.splitlines()]
    assert line in lines or line.replace("if ", "z = x * 2.0 if ", 1).replace(":", " else x - 7.0") in lines
    function = run_alone(source)["f" if native else "f_forward"]
    for values in itertools.product(map(np.float64, VALUES), repeat=2):
        found = function(*values)
        (wanted,) = interpret(trace, values)
        assert np.array_equal(found[1] if native else found[0], wanted, equal_nan=True), values


def test_what_the_branch_does_not_reach_is_not_evaluated() -> None:
    builder = Recorder()
    x, y = scalar(builder, "x"), scalar(builder, "y")
    p = both(x > 0.0, lambda x, y: y / x > 1.0, x, y)
    z = if_(p, lambda x: named("z", x * 2.0), lambda x: named("z", x - 7.0), "z", x)
    function = run_alone(emit_array(builder.trace([x, y], (z,)), None, 1))["f_forward"]
    with np.errstate(all="raise"):
        assert function(np.float64(0.0), np.float64(1.0))[0] == -7.0


def test_a_bool_that_is_more_than_asked_stays_one_of_numpys() -> None:
    builder = Recorder()
    x, y = scalar(builder, "x"), scalar(builder, "y")
    p = named("p", both(x > 0.0, lambda y: y > 1.0, y))
    q = named("q", choose(x > 0.0, bool_of(False), lambda y: y > 1.0, y))
    trace = builder.trace([x, y], (p, ~p, ~q))
    function = run_alone(emit_array(trace, None, 3))["f_forward"]
    for values in itertools.product(map(np.float64, VALUES), repeat=2):
        assert function(*values)[0] == interpret(trace, values)


def test_a_number_chosen_in_one_line_is_one_expression() -> None:
    builder = Recorder()
    x, y = scalar(builder, "x"), scalar(builder, "y")
    z = named("z", choose(x > y, lambda x, y: x - y, lambda x, y: y * y, x, y))
    assert body(builder, [x, y], z + z) == ["z = x - y if x > y else y * y", "return z + z, ()"]


def test_arms_on_lines_of_their_own_stay_statements() -> None:
    builder = Recorder()
    x, y = scalar(builder, "x"), scalar(builder, "y")
    z = if_(
        x > y,
        lambda x, y: named("z", x - y),
        lambda x, y: named("z", y * y),
        "z",
        x,
        y,
    )
    lines = body(builder, [x, y], z + z)
    assert lines == ["if x > y:", "    z = x - y", "else:", "    z = y * y", "return z + z, ()"]


def test_an_arm_that_leaves_the_variable_as_it_is_stays_a_statement() -> None:
    builder = Recorder()
    x = scalar(builder, "x")
    given = x
    x = if_(x > 1.0, lambda x: x.recorder.constant(np.float64(1.0)), lambda x: x, "x", x)
    assert body(builder, [given], x * x)[:2] == ["if x > 1.0:", "    x = 1.0"]


def test_a_condition_that_decides_twice_is_asked_twice() -> None:
    builder = Recorder()
    x, y = scalar(builder, "x"), scalar(builder, "y")
    p = x > y
    a = if_(p, lambda x, y: (x * y, named("c", x + y)), lambda x, y: (x / y, named("c", x - y)), "a c", x, y)
    b = if_(p, lambda x, y: (x * 3.0, named("d", y)), lambda x, y: (x, named("d", x)), "b d", x, y)
    lines = body(builder, [x, y], *a, *b)
    assert lines.count("if x > y:") == 2
