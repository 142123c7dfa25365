"""The text of whole programs, as it was when last read: `pytest tests/emit --refresh-golden` writes it anew."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.emit.programs import PROGRAMS, capture, joint, pair
from tests.emit.structured import STRUCTURED
from tracegrad.emit.module import emit_array, emit_native
from tracegrad.ir.source import Source
from tracegrad.testing.golden import compare

GOLDEN = Path(__file__).parent.parent / "golden"


def counted(text: str, function: Callable[..., Any]) -> str:
    """The text with the user's lines counted from the head of the function, wherever that stands in its file."""
    first = function.__code__.co_firstlineno
    return re.sub(r"# line (\d+)", lambda found: f"# line {int(found[1]) - first}", text)


@pytest.mark.parametrize("name", PROGRAMS)
def test_array_text(name: str, refresh_golden: bool) -> None:
    function, values = PROGRAMS[name]
    forward, backward = pair(capture(function, values))
    text = counted(emit_array(forward, backward, 1).text, function)
    compare(text, GOLDEN / f"{name}.array.txt", refresh_golden)


@pytest.mark.parametrize("name", ["rosenbrock", "tutorial", "pendulum", "newton", "single"])
def test_native_text(name: str, refresh_golden: bool) -> None:
    function, values = PROGRAMS[name]
    source = emit_native("gradient", joint(capture(function, values)))
    assert isinstance(source, Source)
    own = source.text[source.text.index(f"def {name}_value_and_grad") :]
    compare(counted(own, function), GOLDEN / f"{name}.native.txt", refresh_golden)


@pytest.mark.parametrize("name", STRUCTURED)
@pytest.mark.parametrize("native", [False, True])
def test_structured_text(name: str, native: bool, refresh_golden: bool) -> None:
    function, values = STRUCTURED[name]
    trace = capture(function, values)
    source = emit_native("gradient", joint(trace)) if native else emit_array(*pair(trace), 1)
    assert isinstance(source, Source)
    text = source.text[source.text.index("def ") :]
    file = f"{name}.{'native' if native else 'array'}.txt"
    compare(counted(text, function), GOLDEN / "structured" / file, refresh_golden)


LINES = {"tutorial": 20, "branchy": 60, "rk4": 90, "square_root": 20, "early": 20, "bounded": 20}


@pytest.mark.parametrize("name", LINES)
def test_backward_text_has_no_more_lines_than(name: str) -> None:
    function, values = {**PROGRAMS, **STRUCTURED}[name]
    text = emit_array(*pair(capture(function, values)), 1).text
    lines = [line.strip() for line in text[text.index("_backward(") :].splitlines()[1:]]
    assert len([line for line in lines if line and not line.startswith("#")]) <= LINES[name]


@pytest.mark.parametrize(("native", "few"), [(False, 10), (True, 10_000)])
def test_the_text_does_not_grow_with_the_steps(native: bool, few: int) -> None:
    function, values = STRUCTURED["rk4"]

    def program(n: int) -> Callable[..., Any]:
        return lambda x, y, a, b, c, d, h: function(x, y, a, b, c, d, h, n)

    lengths = set()
    for steps in (few, 100_000):  # what native text is given memory for is large in both
        trace = capture(program(steps), values[:7])
        source = emit_native("gradient", joint(trace)) if native else emit_array(*pair(trace), 1)
        assert isinstance(source, Source)
        lengths.add(source.text.count("\n"))
    assert len(lengths) == 1


@pytest.mark.parametrize("name", ["rosenbrock", "logistic"])
def test_backward_is_short(name: str) -> None:
    function, values = PROGRAMS[name]
    forward, backward = pair(capture(function, values))
    text = emit_array(forward, backward, 1).text
    backward_lines = text[text.index(f"def {name}_backward") :].splitlines()[1:]
    assert len([line for line in backward_lines if line.strip() and not line.strip().startswith("#")]) <= 15


def test_the_same_trace_gives_the_same_text() -> None:
    function, values = PROGRAMS["nested_loops"]
    texts = set()
    for _ in range(3):
        forward, backward = pair(capture(function, values))
        texts.add(emit_array(forward, backward, 1).text)
    assert len(texts) == 1
