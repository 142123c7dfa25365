"""The work of making a program grows with the number of its steps, and no faster: counted in calls."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest

from tests.passes.written import read
from tracegrad.emit import memory
from tracegrad.emit.module import emit_array, emit_native
from tracegrad.passes.pipeline import for_loops, plan_gradient


def elementwise(steps: int) -> list[str]:
    return [f"a{k + 1} = {'sin' if k % 2 else 'exp'}(a{k})" for k in range(steps)]


def writes(steps: int) -> list[str]:
    return [f"a{k + 1} = index_set(a{k}, s{k}, index=({k % 40},))" for k in range(steps)]


def reads_and_writes(steps: int) -> list[str]:
    return [
        line
        for k in range(steps // 3)
        for line in (
            f"g{k} = getitem(a{k}, index=({(7 * k + 3) % 40},))",
            f"p{k} = sin(g{k})",
            f"a{k + 1} = index_set(a{k}, p{k}, index=({k % 40},))",
        )
    ]


def rows_of_rows(steps: int) -> list[str]:
    return [
        line
        for k in range(steps // 3)
        for line in (
            f"g{k} = getitem(a{k}, index=({(7 * k + 3) % 20},))",
            f"p{k} = add(g{k}, w{k % 3})",
            f"a{k + 1} = index_set(a{k}, p{k}, index=({3 * k % 20},))",
        )
    ]


def calls_of(make: Callable[[], Any]) -> int:
    """How many of our functions are called."""
    count = 0

    def seen(frame: Any, event: str, _: Any) -> None:
        nonlocal count
        count += event == "call"

    before = sys.getprofile()
    sys.setprofile(seen)
    try:
        make()
    finally:
        sys.setprofile(before)
    return count


@pytest.mark.parametrize("kind", [elementwise, writes, reads_and_writes])
def test_twice_the_steps_are_twice_the_work(kind: Callable[[int], list[str]]) -> None:
    found = []
    for steps in (60, 120, 240):
        lines = kind(steps)
        if kind is writes:
            lines = [f"s{k} = sin(x{k % 3})" for k in range(steps)] + lines
        last = f"a{steps if kind in (elementwise, writes) else steps // 3}"
        head = "trace(a0: f8[40], w: f8[40,40], x0: f8[], x1: f8[], x2: f8[]):"
        trace = read(
            "\n".join(
                [
                    head,
                    *(f"  {line}" for line in lines),
                    f"  r = sum({last}, axis=(0,), keepdims=False)",
                    "  return r",
                ]
            )
        )

        def make(trace: Any = trace) -> None:
            assert not isinstance(
                emit_native("gradient", for_loops(plan_gradient(trace, (0,), (0,)).joint)), list
            )

        found.append(calls_of(make))
    assert found[2] - found[1] <= 2.3 * (found[1] - found[0])


def lines_of(make: Callable[[], Any], module: Any) -> int:
    """How many lines of a module are run."""
    count = 0

    def line(frame: Any, event: str, _: Any) -> Any:
        nonlocal count
        count += event == "line"
        return line

    before = sys.gettrace()
    sys.settrace(lambda frame, event, _: line if frame.f_code.co_filename == module.__file__ else None)
    try:
        make()
    finally:
        sys.settrace(before)
    return count


def test_rows_that_read_other_rows_are_found_owners_for_once() -> None:
    found = []
    for steps in (60, 120, 240):
        trace = read(
            "\n".join(
                [
                    "trace(a0: f8[20,5], w0: f8[5], w1: f8[5], w2: f8[5]):",
                    *(f"  {line}" for line in rows_of_rows(3 * steps)),
                    f"  r = sum(a{steps}, axis=(0, 1), keepdims=False)",
                    "  return r",
                ]
            )
        )
        plan = plan_gradient(trace, (0, 1, 2, 3), (0,))

        def make(plan: Any = plan) -> None:
            emit_array(plan.forward, plan.backward, plan.outputs)

        found.append(lines_of(make, memory))
    assert found[2] - found[1] <= 2.2 * (found[1] - found[0])
