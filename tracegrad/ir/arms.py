"""Which arms of its branches and which bodies of its loops a block of steps knows.

The iterations of a loop are kept as one block that has every arm some iteration took. `known_arms` says what
one iteration took, `only_known` makes its block of the common one again. Begin with `known_arms`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

from tracegrad.ir.trace import Instr, Step, Trace

Known: TypeAlias = tuple[Any, ...]
"""For each branch and loop of a block, in order: for each of its traces None, or what is known inside."""


def known_arms(steps: Sequence[Step]) -> Known:
    """What a block knows."""
    return tuple(
        tuple(None if trace is None else known_arms(trace.steps) for trace in _traces(step))
        for step in steps
        if isinstance(step, Instr) and step.op.name in ("branch", "loop")
    )


def only_known(steps: Sequence[Step], known: Known | None) -> list[Step]:
    """The block without the arms and bodies that are not known; None: all of them are."""
    if not known:
        return list(steps)
    left: Iterator[Any] = iter(known)
    return [
        _without(step, next(left)) if isinstance(step, Instr) and step.op.name in ("branch", "loop") else step
        for step in steps
    ]


def _traces(step: Instr) -> tuple[Trace | None, ...]:
    if step.op.name == "branch":
        arms: tuple[Trace | None, ...] = step.params["arms"]
        return arms
    return step.params["condition"], step.params["body"]


def _without(step: Instr, known: Known) -> Instr:
    kept = tuple(
        None
        if inner is None or trace is None
        else replace(trace, steps=tuple(only_known(trace.steps, inner)))
        for trace, inner in zip(_traces(step), known, strict=True)
    )
    params = dict(step.params)
    if step.op.name == "branch":
        params["arms"] = kept
    else:
        params["condition"], params["body"] = kept
    return replace(step, params=params)
