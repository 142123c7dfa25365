"""Backward programs: what they are made from, who makes them, and how they are kept.

In: a segment of the graph. Out: a program that pulls cotangents back through it, and the numbers of the values it
reads. The *engine* that makes programs is dispatch's, put in by `use_engine`; `Interpreted` is the slower way that
needs none, the meaning of the other, and what runs where the backward itself is recorded. Begin with `Engine`.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np

from tracegrad.ad.activity import active_variables
from tracegrad.ad.reverse import pull_back
from tracegrad.ir.interpret import interpret
from tracegrad.ir.text import text
from tracegrad.ir.trace import Atom, Const, Instr, Trace, Var
from tracegrad.ops.index import full_like, zeros, zeros_like
from tracegrad.ops.operators import Operators
from tracegrad.ops.symbol import Builder
from tracegrad.record.frames import user_frame
from tracegrad.tensor.eager import accumulator
from tracegrad.tensor.graph import Segment

MOST = 1024  # programs; the one that was not used for longest goes first
VALUES = 2  # of a Python float, before it becomes an input of the program


class BackwardProgram(Protocol):
    """What an engine makes of a trace.

    Attributes
    ----------
    reads : tuple of Var
        Variables of the trace whose values `run` needs.
    source : str
        The program, to be read.
    """

    @property
    def reads(self) -> tuple[Var, ...]: ...

    @property
    def source(self) -> str: ...

    def run(self, values: Sequence[Any], cotangents: Sequence[Any]) -> tuple[Any, ...]:
        """The cotangents of the active inputs, None for zero, from the values of `reads` and the outputs'
        cotangents.
        """


Engine = Callable[[Trace, tuple[bool, ...]], BackwardProgram]


class Interpreted:
    """The backward of a trace, as a trace that is interpreted step by step.

    Parameters
    ----------
    trace : Trace
        Straight-line steps; all values are known when this runs.
    active : tuple of bool
        The inputs whose cotangents are wanted.
    """

    def __init__(self, trace: Trace, active: tuple[bool, ...]) -> None:
        builder = Builder()
        computed = [v for step in trace.steps for v in step.outputs]
        values = {v: builder.symbol(v) for v in (*trace.inputs, *computed)}
        wanted = [v for v, flag in zip(trace.inputs, active, strict=True) if flag]
        reached = active_variables(trace, wanted)
        seeds: dict[Var, Any] = {}
        results = [v for v in trace.outputs if isinstance(v, Var)]
        given = [builder.input(v.type, f"{v.name}_bar" if v.name else None) for v in results]
        for v, seed in zip(results, given, strict=True):
            seeds[v] = seeds[v] + seed if v in seeds else seed
        bars = pull_back(trace.steps, values, seeds, builder, reached)
        found = [builder.atom(bars[v]) if v in bars else None for v in wanted]
        needed: set[Any] = {atom for atom in found if atom is not None}
        steps = []
        for step in reversed(builder.steps):
            if isinstance(step, Instr) and needed.intersection(step.outputs):
                step = _of_its_type(step)
                steps.append(step)
                needed.update(step.inputs)
        self.reads = tuple(v for v in values if v in needed)
        inputs = (*self.reads, *(builder.atom(s) for s in given))
        outputs = tuple(atom for atom in found if atom is not None)
        self.present = [atom is not None for atom in found]
        self.trace = Trace(inputs, tuple(reversed(steps)), outputs, trace.name)  # type: ignore[arg-type]

    @property
    def source(self) -> str:
        return text(self.trace)

    def run(self, values: Sequence[Any], cotangents: Sequence[Any]) -> tuple[Any, ...]:
        found = iter(interpret(self.trace, (*values, *cotangents)))
        return tuple(next(found) if present else None for present in self.present)


def _of_its_type(step: Instr) -> Instr:
    """Zeros in the type of a value as zeros of that type: the value may have been overwritten."""
    made = step.outputs[0].type
    if step.op is zeros_like or (step.op is full_like and _is_zero(step.inputs[1])):
        return Instr(zeros, (), step.outputs, {"shape": made.shape, "dtype": made.dtype}, step.location)
    return step


def _is_zero(atom: Atom) -> bool:
    return isinstance(atom, Const) and not np.any(atom.value)


_engine: Engine = Interpreted


def use_engine(engine: Engine) -> None:
    """Let `engine` make the backward programs from now on."""
    global _engine
    _engine = engine
    _programs.clear()


class Kept:
    """A program, and the segment's numbers of the values it reads."""

    __slots__ = ("numbers", "program")

    def __init__(self, program: BackwardProgram, variables: list[Var]) -> None:
        where = {v: number for number, v in enumerate(variables)}
        self.program = program
        self.numbers = [where[v] for v in program.reads]


_programs: OrderedDict[Any, Kept] = OrderedDict()
_constants_seen: OrderedDict[Any, int] = OrderedDict()


def program_for(segment: Segment, recorded: bool) -> tuple[Segment, Kept]:
    """The program for a segment, made where there is none, and the segment as the program sees it.

    A Python float is a constant of the program, unless it has had several values (a step size that shrinks): then it
    is an input.

    Parameters
    ----------
    segment : Segment
    recorded : bool
        Whether the program is to run on tensors.
    """
    found = _find((recorded, segment.key))
    if found is not None:
        return segment, found
    loose = segment.without_floats()
    if loose != segment.key:
        times = _constants_seen.get(loose, 0) + 1
        _remember(_constants_seen, loose, times)
        if times > VALUES:
            segment = segment.generalised()
            found = _find((recorded, segment.key))
            if found is not None:
                return segment, found
    trace, variables = segment.trace(_names())
    kept = Kept((Interpreted if recorded else _engine)(trace, segment.flags), variables)
    _remember(_programs, (recorded, segment.key), kept)
    return segment, kept


def _find(key: Any) -> Kept | None:
    found = _programs.get(key)
    if found is not None:
        _programs.move_to_end(key)
    return found


def _remember(store: OrderedDict[Any, Any], key: Any, value: Any) -> None:
    store[key] = value
    store.move_to_end(key)
    if len(store) > MOST:
        store.popitem(last=False)


def _names() -> dict[Any, str]:
    """What the user's frame calls its tensors: from their place in the graph, or the identity of their array."""
    frame = user_frame()
    names: dict[Any, str] = {}
    while frame is not None and len(names) < 100:
        for name, value in frame.f_locals.items():
            if not name.isidentifier() or name.startswith("_") or not _is_tensor(value):
                continue
            place: Any = (value.node, value.index)
            if value.node is None:
                place = accumulator(value) if value.active else id(value.value)
            if name not in names.values():
                names.setdefault(place, name)
        frame = frame.f_back if frame.f_code.co_name != "<module>" else None
    return names


def _is_tensor(value: Any) -> bool:
    """Whether it is one of ours, and eager."""
    return isinstance(value, Operators) and hasattr(type(value), "is_leaf")
