"""Counts of arms and steps: what a trace with counts returns is what a run of the trace went through."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import given, settings

from tests.passes.random_traces import traces
from tests.passes.test_random import run
from tests.passes.written import read
from tracegrad.ad.blocks import Loop
from tracegrad.ir.interpret import interpret
from tracegrad.ir.text import text
from tracegrad.ir.trace import Guard, Trace, Var
from tracegrad.ir.verify import verify
from tracegrad.passes.count import Place, counted
from tracegrad.passes.pipeline import optimised


def counted_by_hand(trace: Trace, values: Any, place: Place, seen: Counter[Place]) -> list[Any]:
    """Run a trace step by step, and note each arm and each step of a loop at its place."""
    known = dict(zip(trace.inputs, values, strict=True))
    number = 0
    for step in trace.steps:
        if isinstance(step, Guard):
            continue
        given = [known[a] if isinstance(a, Var) else a.value for a in step.inputs]
        if step.op.family == "control":
            results = structure_by_hand(step, given, (*place, number), seen)
            number += 1
        else:
            made = step.op(*given, **step.params)
            results = made if isinstance(made, tuple) else (made,)
        known.update(zip(step.outputs, results, strict=True))
    return [known[a] if isinstance(a, Var) else a.value for a in trace.outputs]


def structure_by_hand(step: Any, given: list[Any], place: Place, seen: Counter[Place]) -> Any:
    if step.op.name == "branch":
        true, false = step.params["arms"]
        seen[*place, "true"] += bool(given[0])
        if given[0]:
            return counted_by_hand(true, given[1:], (*place, "true"), seen)
        return counted_by_hand(false, given[1:], (*place, "false"), seen)
    parts = Loop.of(given, step.params)
    made = step.op(*given, **step.params)
    steps, carried, n = int(made[0]), list(parts.carried), step.params["carried"]
    seen[*place, "body"] += steps
    for i in range(steps):
        k = int(parts.limit) - 1 - i if step.params["reverse"] else i
        inputs = [np.int64(k), *carried, *parts.invariants, *(s[k] for s in parts.sliced)]
        carried = counted_by_hand(step.params["body"], inputs, (*place, "body"), seen)[:n]
    return made


@settings(max_examples=150, deadline=None)
@given(traces(size=16))
def test_counts_are_those_of_a_run(drawn: Any) -> None:
    trace, values = drawn
    if run(trace, values) is None:
        return
    counts, places = counted(trace)
    verify(counts)
    assert len(set(places)) == len(places) == len(counts.outputs)
    seen: Counter[Place] = Counter()
    with np.errstate(all="ignore"):
        counted_by_hand(trace, values, (), seen)
        found = interpret(counts, values)
        smaller = interpret(optimised(counts), values)
    assert {p: int(v) for p, v in zip(places, found, strict=True) if v} == {
        p: v for p, v in seen.items() if v
    }
    assert [int(v) for v in smaller] == [int(v) for v in found]
    # The results the function itself had are computed as before.
    both = replace(counts, outputs=(*trace.outputs, *counts.outputs))
    for a, b in zip(interpret_quietly(both, values), interpret_quietly(trace, values), strict=False):
        assert np.array_equal(a, b, equal_nan=True)


def interpret_quietly(trace: Trace, values: Any) -> Any:
    with np.errstate(all="ignore"):
        return interpret(trace, values)


def test_the_arms_say_which_ran() -> None:
    before = read("""
        trace(x: f8[], p: b1[]):
          a = branch(p, x, names=('a',)):
            true = trace(x: f8[]):
              b = sin(x)
              return b
            false = None
          return a
    """)
    after = read("""
        trace(x: f8[], p: b1[]):
          a, t = branch(p, x, names=('a', 'count_0')):
            true = trace(x: f8[]):
              b = sin(x)
              return b, i8(1)
            false = None
          return t
    """)
    found, places = counted(before)
    assert text(found) == text(after).replace("a, t =", "a, _1 =").replace("return t", "return _1")
    assert places == [(0, "true")]


def test_without_loops_and_branches_there_is_nothing_to_count() -> None:
    trace = read("trace(x: f8[]):\n  a = sin(x)\n  return a")
    found, places = counted(trace)
    assert (found.outputs, places) == ((), [])
