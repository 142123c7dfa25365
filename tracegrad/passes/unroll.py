"""Loops of few iterations over arrays, written out: their steps become one loop over the elements.

`for _ in range(4): y = np.tanh(y)` passes four times over `y`, and its derivative keeps every `y`. Written out, the
four steps of one element follow each other in registers, and so do those of its derivative. For native text alone. A
trace comes in, and one with the same values goes out. Begin with `unroll`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from tracegrad.ir.close import substitute, substituted
from tracegrad.ir.trace import Atom, Const, Instr, Step, Trace, Var
from tracegrad.ir.types import ArrayType
from tracegrad.ops.index import getitem
from tracegrad.ops.shape import stack
from tracegrad.passes.rewrite import inlined

ROUNDS = 16  # iterations at most
STEPS = 256  # steps at most, when written out
SMALL = 32  # elements of an array for which a loop does as well
_SUMS = ("sum", "sum_to", "broadcast_to", "expand_dims", "reshape", "astype", "getitem")


def unroll(trace: Trace) -> Trace:
    """Write out the loops over elementwise steps of arrays that are not small.

    What such a loop stacks, and another one takes slice by slice, goes there directly; others read it as an array put
    together of what the iterations made. Preserves every value.
    """
    chosen = _chosen(trace)
    if not chosen:
        return trace
    read = _read_whole(trace)
    stands: dict[Var, Atom] = {}
    entries: dict[Var, list[Atom]] = {}
    steps: list[Step] = []
    for step in trace.steps:
        step = substitute(step, stands)
        if not isinstance(step, Instr) or chosen.isdisjoint(step.outputs[:1]):
            steps.append(step)
            continue
        written, finals, stacked = _written_out(step, entries)
        steps.extend(written)
        n = step.params["carried"]
        stands[step.outputs[0]] = Const(np.int64(_rounds(step)))
        stands.update(zip(step.outputs[1 : 1 + n], finals, strict=True))
        entries.update(zip(step.outputs[1 + n :], stacked, strict=True))
        for whole in (v for v in _stacks(step) if v in read):
            array = Var(ArrayType((_rounds(step), *whole.shape[1:]), whole.type.dtype), whole.name)
            steps.append(Instr(stack, tuple(entries[whole]), (array,), {"axis": 0}, step.location))
            stands[whole] = array
    outputs = tuple(substituted(a, stands) for a in trace.outputs)
    return replace(trace, steps=tuple(steps), outputs=outputs)


def _rounds(step: Instr) -> int:
    limit = step.inputs[0]
    assert isinstance(limit, Const)
    return int(limit.value)


def _chosen(trace: Trace) -> set[Var]:
    """The loops to write out, by their first outputs.

    What one of them stacks, no loop that stays takes slice by slice, and they take no slices of stacks whose length is
    not known but each other's.
    """
    everyone = [step for step in trace.steps if isinstance(step, Instr) and step.op.name == "loop"]
    loops = {step.outputs[0]: step for step in everyone if _is_short(step)}
    while True:
        rounds = {stack: _rounds(step) for step in loops.values() for stack in _stacks(step)}
        wrong = {
            source
            for step in everyone
            for source in _sliced(step)
            if source in rounds and (step.outputs[0] not in loops or rounds[source] != _rounds(step))
        }
        kept = {
            key: step
            for key, step in loops.items()
            if wrong.isdisjoint((*_stacks(step), *_sliced(step)))
            and all(-1 not in source.shape or source in rounds for source in _sliced(step))
        }
        if len(kept) == len(loops):
            return set(kept)
        loops = kept


def _read_whole(trace: Trace) -> set[Atom]:
    """What is read by others than loops that take it slice by slice."""
    read: set[Atom] = set(trace.outputs)
    for step in trace.steps:
        sliced = len(_sliced(step)) if isinstance(step, Instr) and step.op.name == "loop" else 0
        read.update(step.inputs[: len(step.inputs) - sliced])
    return read


def _stacks(step: Instr) -> Sequence[Var]:
    return step.outputs[1 + step.params["carried"] :]


def _sliced(step: Instr) -> Sequence[Atom]:
    return step.inputs[len(step.inputs) - step.params["sliced"] :]


def _is_short(step: Instr) -> bool:
    """Whether it is a loop of few elementwise steps, a known number, over arrays that are not small."""
    params, limit = step.params, step.inputs[0] if step.inputs else None
    if step.op.name != "loop" or params["condition"] is not None or params["stop"] is not None:
        return False
    if not isinstance(limit, Const) or not 0 < int(limit.value) <= ROUNDS:
        return False
    body = params["body"].steps
    if len(body) * int(limit.value) > STEPS or not all(isinstance(s, Instr) for s in body):
        return False
    large = any(v.type.shape and -1 not in v.shape and v.type.size > SMALL for s in body for v in s.outputs)
    return large and all(s.op.family == "elementwise" or s.op.name in _SUMS for s in body)


def _written_out(
    step: Instr, entries: Mapping[Var, Sequence[Atom]]
) -> tuple[list[Step], Sequence[Atom], list[list[Atom]]]:
    """The steps of all iterations, the final carried values, and what would have been stacked."""
    params = step.params
    n, sliced = params["carried"], _sliced(step)
    end = len(step.inputs) - len(sliced)
    rounds = _rounds(step)
    carried: Sequence[Atom] = step.inputs[1 : 1 + n]
    invariants = step.inputs[1 + n : end]
    steps: list[Step] = []
    stacked: list[list[Atom]] = [[Const(0)] * rounds for _ in _stacks(step)]
    for k in reversed(range(rounds)) if params["reverse"] else range(rounds):
        slices = []
        for place, source in enumerate(sliced):
            if isinstance(source, Var) and source in entries:
                slices.append(entries[source][k])
                continue
            item = Var(params["body"].inputs[end - len(step.inputs) + place].type)
            index = {"index": (k,)}
            steps.append(Instr(getitem, (source,), (item,), index, step.location))
            slices.append(item)
        inner, outputs = inlined(params["body"], (Const(np.int64(k)), *carried, *invariants, *slices))
        steps.extend(inner)
        carried = outputs[:n]
        for made, value in zip(stacked, outputs[n:], strict=True):
            made[k] = value
    return steps, carried, stacked
