"""The text of whole programs, as it was when last read: `pytest tests/emit --refresh-golden` writes it anew."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.emit.programs import PROGRAMS, capture, joint, pair
from tracegrad.emit.module import emit_array, emit_native
from tracegrad.ir.source import Source
from tracegrad.testing.golden import compare

GOLDEN = Path(__file__).parent.parent / "golden"


@pytest.mark.parametrize("name", PROGRAMS)
def test_array_text(name: str, refresh_golden: bool) -> None:
    function, values = PROGRAMS[name]
    forward, backward = pair(capture(function, values))
    compare(emit_array(forward, backward, 1).text, GOLDEN / f"{name}.array.txt", refresh_golden)


@pytest.mark.parametrize("name", ["rosenbrock", "tutorial", "pendulum", "newton", "single"])
def test_native_text(name: str, refresh_golden: bool) -> None:
    function, values = PROGRAMS[name]
    source = emit_native("gradient", joint(capture(function, values)))
    assert isinstance(source, Source)
    own = source.text[source.text.index(f"def {name}_value_and_grad") :]
    compare(own, GOLDEN / f"{name}.native.txt", refresh_golden)


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
