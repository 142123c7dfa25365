"""On random traces, with guards, loops and branches, the emitted text does what `interpret` does."""

from __future__ import annotations

import copy
from typing import Any

import hypothesis
import numpy as np

from tests.emit.test_programs import run_alone
from tests.passes.random_traces import traces
from tracegrad.emit.module import emit_array, emit_native
from tracegrad.errors import SideExit
from tracegrad.ir.interpret import interpret
from tracegrad.ir.source import Source
from tracegrad.ir.trace import Trace


def outcome(trace: Trace, values: Any) -> tuple[int, tuple[Any, ...]]:
    """The number of the side exit, or -1, and the results."""
    try:
        return -1, interpret(trace, copy.deepcopy(values))
    except SideExit as left:
        assert left.number is not None
        return left.number, ()


def agree(got: Any, want: Any) -> bool:
    got, want = np.asarray(got), np.asarray(want)
    return got.shape == want.shape and np.array_equal(got, want, equal_nan=True)


@hypothesis.settings(max_examples=150)
@hypothesis.given(traces(18))
def test_array_text(case: tuple[Trace, list[Any]]) -> None:
    trace, values = case
    with np.errstate(all="ignore"):
        code, expected = outcome(trace, values)
        given = copy.deepcopy(values)
        found, number = run_alone(emit_array(trace, None, len(trace.outputs)))["f_forward"](*given)
    assert all(map(agree, given, values)), "an argument was written into"
    if code >= 0:
        assert (found, number) == (None, code)
    else:
        results = found if len(trace.outputs) != 1 else (found,)
        assert all(agree(a, b) for a, b in zip(results, expected, strict=True))


def check_native_text(trace: Trace, values: list[Any]) -> None:
    """The native text, run by Python, leaves where `interpret` does, or has its results; arguments stay as they are."""
    source = emit_native("value", trace, contract=False)
    hypothesis.assume(isinstance(source, Source))
    assert isinstance(source, Source)
    with np.errstate(all="ignore"):
        code, expected = outcome(trace, values)
        given = copy.deepcopy(values)
        number, *results = run_alone(source)["f"](*given)
    assert all(map(agree, given, values)), "an argument was written into"
    assert number == code
    if code < 0:
        assert all(agree(a, b) for a, b in zip(results, expected, strict=True))


@hypothesis.settings(max_examples=150)
@hypothesis.given(traces(18))
def test_native_text_as_python(case: tuple[Trace, list[Any]]) -> None:
    check_native_text(*case)
