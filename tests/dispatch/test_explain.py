"""The story of a dispatcher's log, to the letter; and for each kind of retrace what was and what is."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pytest

import tracegrad as tg
from tracegrad.dispatch.causes import shown
from tracegrad.dispatch.events import Event, Log, Stats
from tracegrad.dispatch.explain import story
from tracegrad.ir.location import Location

HERE = Location(__file__, 4, "loss")


def place(where: Location) -> str:
    return f"line {where.line}"


def test_a_story_has_counts_programs_reasons_and_calls_in_order() -> None:
    events = [
        Event("capture", "a new program, for x: f8[2]", 1, program=1),
        Event("side exit", "`if x > 0:` was True, is False", 7, HERE, "True", "False", 1),
        Event("merge", "the new arm joins its program", 7, program=1),
        Event("compile", "the native program is ready", 8, program=1),
    ]
    told = story(
        "loss",
        Stats(calls=1009, captures=2, compiles=1, side_exits=1),
        "program 1 (x: f8[2]), compiled\n  line 4  if x > 0:  both arms known",
        ["line 9: `kept.append(x)`: a list that outlives the block"],
        events,
        place,
    )
    assert told == (
        "`loss`: 1,009 calls, 2 captures, 1 compile, 1 side exit.\n"
        "\n"
        "program 1 (x: f8[2]), compiled\n"
        "  line 4  if x > 0:  both arms known\n"
        "\n"
        "Not generalised, so each way through is a program of its own:\n"
        "  line 9: `kept.append(x)`: a list that outlives the block\n"
        "\n"
        "What happened:\n"
        "  call 1  captured: program 1, for x: f8[2]\n"
        "  call 7  line 4: `if x > 0:` was True, is False -> captured: the new arm joins program 1\n"
        "  call 8  compiled program 1"
    )


def test_before_the_first_call_it_says_so() -> None:
    told = story("loss", Stats(0, 0, 0, 0), "", [], [], place)
    assert told.endswith("Nothing was captured yet: it has not been called.")


def test_of_many_captures_the_first_and_the_last_are_told() -> None:
    events = [Event("capture", "word " * 40, n + 1, program=n + 1) for n in range(99)]
    lines = story("loss", Stats(99, 99, 0, 0), "", [], events, place).splitlines()
    assert max(map(len, lines)) <= 100
    assert "79 more" in "".join(lines)
    assert any(line.startswith("  call   1  captured") for line in lines)
    assert any(line.startswith("  call  99  captured") for line in lines)
    assert len(lines) < 100


def test_a_log_keeps_the_last_events_and_counts_the_others() -> None:
    log = Log("loss")
    for n in range(300):
        log.add(Event("capture", str(n), n))
    assert [e.call for e in log.events] == list(range(100, 300))
    assert log.forgotten == 100


# --- the causes of a retrace


def last_cause(f: Any) -> Event:
    """What the program used last assumed, for the last call that fitted none."""
    return next(e for e in f.events if e.call == f.events[-1].call)


N = 3
W = np.ones(2)
TABLE = {"a": 2, "b": 3}


class Model:
    def __init__(self) -> None:
        self.power = 2
        self.layers = [1, 2]


def test_a_global_that_changed_is_told_with_both_values(monkeypatch: pytest.MonkeyPatch) -> None:
    @tg.grad(jit="python")
    def f(x: Any) -> Any:
        return x**N

    f(2.0)
    monkeypatch.setitem(globals(), "N", 4)
    f(2.0)
    event = last_cause(f)
    assert (event.kind, event.text, event.old, event.new) == ("changed", "global `N` was 3, is 4", "3", "4")
    assert (event.call, event.program) == (2, 1)
    assert "call 2  global `N` was 3, is 4 -> captured: program 2" in f.explain()


def test_what_else_outside_may_change() -> None:
    model = Model()
    size, kind = 2, "sin"

    def helper(x: Any) -> Any:
        return x * 2.0

    @tg.grad(jit="python")
    def f(x: Any) -> Any:
        y = helper(x) ** model.power
        for k in model.layers:
            y = y * k
        return y * size * TABLE["a"] if kind == "sin" else y

    def told() -> str:
        f(2.0)
        return last_cause(f).text

    f(2.0)
    model.power = 3
    assert told() == "`model.power` was 2, is 3"
    model.layers = [1, 3]
    assert told() == "`model.layers[1]` was 2, is 3"
    model.layers = [1, 3, 5]
    assert told() == "`model.layers` was 2 items long, is 3"
    size = 7
    assert told() == "`size` was 2, is 7"
    kind = "cos"
    assert told() == "`kind` was 'sin', is 'cos'"
    helper = np.sin  # noqa: F811
    assert told() == "`helper` was `helper`, is `sin`"


def test_a_default_and_a_shape_of_something_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    def f(x: Any, k: int = 2) -> Any:
        return x**k * np.sum(W)

    g = tg.grad(f, jit="python")
    g(2.0)
    monkeypatch.setitem(globals(), "W", np.ones(3))
    g(2.0)
    assert last_cause(g).text == "global `W` was f8[2], is f8[3]"


def test_other_arguments_are_told_by_name() -> None:
    @tg.grad(jit="python")
    def f(x: Any, mode: Any = "a") -> Any:
        return np.sum(x) if mode == "a" else np.sum(x * x)

    f(np.ones(3))
    f(np.ones(4))
    event = last_cause(f)
    assert (event.kind, event.text) == ("arguments", "`x` was f8[3], is f8[4]")
    f(np.ones(4), "a")
    assert last_cause(f).text == "`mode` was not given, is 'a'"
    f(np.ones(4), "b")
    assert last_cause(f).text == "`mode` was 'a', is 'b'"
    f(np.ones(4, np.float32), "b")
    assert last_cause(f).text == "`x` was f8[4], is f4[4]"


def test_a_condition_is_told_with_its_line_and_what_joined() -> None:
    @tg.grad(jit="python")
    def f(x: Any) -> Any:
        if x > 0:
            y = np.sin(x)
        else:
            y = np.cos(x)
        return y

    f(1.0)
    f(-1.0)
    cause, effect = f.events[-2:]
    assert (cause.kind, cause.text) == ("side exit", "`if x > 0:` was True, is False")
    assert cause.where is not None and cause.where.text == "if x > 0:"
    assert (effect.kind, effect.program) == ("merge", 1)
    assert "joins program 1" in f.explain()
    assert "both arms known" in f.explain()


def test_the_value_of_a_size_is_told() -> None:
    @tg.grad(jit="python")
    def f(x: Any) -> Any:
        return np.sum(x[: int(x[0])])

    f(np.array([2.0, 1.0, 1.0]))
    f(np.array([3.0, 1.0, 1.0]))
    event = last_cause(f)
    assert (event.old, event.new) == ("2", "3")


def test_values_are_shown_without_running_code_of_the_user() -> None:
    class Loud:
        def __repr__(self) -> str:
            raise AssertionError("the user's code")

    assert shown(Loud()) == "a Loud"
    assert shown((1, Loud())) == "(1, a Loud)"
    assert shown(np.float32(2.5)) == "2.5"
    assert shown(np.True_) == "True"
    assert shown("x" * 99).endswith("...")
    assert shown(np.sin) == "`sin`"
    assert shown(np) == "`numpy`"


# --- the logger


def test_every_event_reaches_the_logger_as_an_object(caplog: pytest.LogCaptureFixture) -> None:
    @tg.grad(jit="python")
    def loss(x: Any) -> Any:
        if x > 0:
            y = x
        else:
            y = 2 * x
        return y

    with caplog.at_level(logging.DEBUG, logger="tracegrad"):
        loss(1.0)
        loss(-1.0)
    records = [r for r in caplog.records if hasattr(r, "event")]
    assert [r.event for r in records] == list(loss.events)
    assert {r.function_name for r in records} == {"loss"}
    assert [r.event.kind for r in records] == ["capture", "side exit", "merge"]
    assert "was True, is False (test_explain.py:" in records[1].getMessage()


def test_what_costs_speed_is_a_warning_said_once(caplog: pytest.LogCaptureFixture) -> None:
    @tg.grad(jit="python")
    def branching(x: Any) -> Any:
        kept = []
        for k in range(6):
            if x > k:
                kept.append(x)
        return sum(kept) + x

    with tg.config.using(max_paths=3), caplog.at_level(logging.INFO, logger="tracegrad"):
        for k in range(6):
            branching(k + 0.5)
            branching(k + 0.5)
    (record,) = caplog.records
    assert record.levelno == logging.WARNING and record.event.kind == "tape"
    assert "`if x > k:`" in record.getMessage()
    assert record.event.where.text == "if x > k:"
    assert "`if x > k:`: 3 programs were not enough" in branching.explain()


def test_a_function_on_the_tape_says_why_once(caplog: pytest.LogCaptureFixture) -> None:
    history = []

    @tg.grad(jit="python")
    def remembering(x: Any) -> Any:
        history.append(1.0)
        return x * x

    with caplog.at_level(logging.INFO, logger="tracegrad"):
        for k in range(4):
            assert remembering(float(k)) == 2.0 * k
    assert len(history) == 4 and len(caplog.records) == 1
    assert [e.kind for e in remembering.events] == ["tape"]
    assert "on the tape, as line" in remembering.explain()
    assert "`history.append(1.0)`" in remembering.explain()


# --- why a loop was not generalised


def straight(f: Any, *args: Any) -> str:
    """What `explain()` says about loops and branches that stay paths."""
    f(*args)
    return str(f.explain()).split("Not generalised, so each way through is a program of its own:\n")[1]


def test_the_step_that_differs_is_told_with_its_line() -> None:
    @tg.grad(jit="python")
    def grows(x: Any) -> Any:
        s = x
        for i in range(5):
            if i == 3:
                s = np.concatenate([s, s])
            s = s * 2.0
        return s.sum()

    told = " ".join(straight(grows, np.ones(2)).split())
    assert "`for i in range(5):`: its step 4 differs from those before:" in told
    assert "`if i == 3:`" in told


def test_what_outlives_the_loop_is_told_with_its_line() -> None:
    class State:
        p: Any = None

    @tg.grad(jit="python")
    def stores(x: Any) -> Any:
        state = State()
        state.p = x
        for _ in range(3):
            state.p = state.p * 2.0
        return state.p

    assert "`state.p = state.p * 2.0`: stores into `.p` of a State" in straight(stores, 1.0)
