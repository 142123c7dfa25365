"""The text of whole programs, as it was when last read: `pytest tests/emit --refresh-golden` writes it anew."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.emit.programs import PROGRAMS, capture, joint, pair
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
