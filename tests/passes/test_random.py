"""Every pass on random traces: the rules of a trace hold, and it computes what it computed before."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

from tests.passes.random_traces import traces
from tracegrad.errors import SideExit
from tracegrad.ir.dce import drop_unused
from tracegrad.ir.interpret import interpret
from tracegrad.ir.text import parse, text
from tracegrad.ir.trace import Trace
from tracegrad.ir.verify import verify
from tracegrad.ops.index import Slot
from tracegrad.ops.op import REGISTRY
from tracegrad.passes.accumulate import accumulate
from tracegrad.passes.arms import settle_sums
from tracegrad.passes.cse import share
from tracegrad.passes.fold import fold
from tracegrad.passes.lower import lower_branches, own_outputs
from tracegrad.passes.simplify import simplify


def all_passes(trace: Trace) -> Trace:
    for change in (
        fold,
        simplify,
        share,
        settle_sums,
        accumulate,
        drop_unused,
        simplify,
        drop_unused,
        lower_branches,
    ):
        trace = change(trace)
    return own_outputs(trace, 2)


def run(trace: Trace, values: list[Any]) -> Any:
    """The results, or None where the trace is left by a side exit."""
    try:
        with np.errstate(all="ignore"):
            return interpret(trace, values)
    except SideExit:
        return None


@pytest.mark.parametrize(
    "change", [fold, simplify, share, settle_sums, accumulate, drop_unused, lower_branches, all_passes]
)
@settings(max_examples=100, deadline=None)
@given(traces())
def test_a_pass_preserves_types_and_values(change: Any, drawn: Any) -> None:
    before, values = drawn
    verify(before)
    after = change(before)
    verify(after)
    assert after.inputs == before.inputs
    assert [a.type for a in after.outputs] == [a.type for a in before.outputs]
    wanted, found = run(before, values), run(after, values)
    assert (wanted is None) == (found is None), text(before)
    for a, b in zip(wanted or (), found or (), strict=True):
        assert np.allclose(a, b, rtol=1e-9, equal_nan=True), text(before) + "\n" + text(after)


@settings(max_examples=100, deadline=None)
@given(traces())
def test_text_is_exact(drawn: Any) -> None:
    trace, _ = drawn
    written = text(trace)
    again = parse(written, REGISTRY, (Slot,))
    verify(again)
    assert text(again) == written


@settings(max_examples=50, deadline=None)
@given(traces())
def test_a_second_run_finds_nothing(drawn: Any) -> None:
    trace, _ = drawn
    for change in (fold, share, drop_unused):
        once = change(trace)
        assert text(change(once)) == text(once)
