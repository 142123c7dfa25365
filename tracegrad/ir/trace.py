"""The trace: straight-line steps over variables, with loops and branches as steps that hold traces. Frozen data only.

Begin with `Trace`. A `Var` is assigned once, by one step or as an input, and is equal to itself alone; its name is a
hint for the emitted text. An *atom* is a `Var` or a `Const`. Operations are seen here only as objects with a name: what
they mean is known one floor up, in `ops`.

A trace is closed: every variable it reads is an input or made by an earlier step. `Instr.params` of the ops `loop` and
`branch` (`ad/loop.py`, `ad/branch.py`) hold further traces, whose inputs are bound to the inputs of that step.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

from tracegrad.ir.location import Location
from tracegrad.ir.types import WEAK, ArrayType, Shape, type_of


class Var:
    """A value computed once. Equal to itself alone; `name` is what the user called it, or None."""

    __slots__ = ("name", "type")

    def __init__(self, type: ArrayType, name: str | None = None) -> None:
        self.type = type
        self.name = name

    @property
    def shape(self) -> Shape:
        return self.type.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.type.dtype

    @property
    def ndim(self) -> int:
        return len(self.type.shape)

    def __repr__(self) -> str:
        return f"Var({self.name or '_'}: {self.type})"


@dataclass(frozen=True, slots=True, eq=False)
class Const:
    """A value known when the trace was written: a Python number (weak), a NumPy scalar or an array."""

    value: Any

    @property
    def type(self) -> ArrayType:
        return type_of(self.value)

    @property
    def shape(self) -> Shape:
        return self.type.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.type.dtype

    @property
    def ndim(self) -> int:
        return len(self.type.shape)


Atom: TypeAlias = Var | Const


def dtype_token(atom: Atom) -> Any:
    """What promotion sees: the dtype, or the Python type of a weak constant."""
    if isinstance(atom, Const) and type(atom.value) in WEAK:
        return type(atom.value)
    return atom.type.dtype


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Instr:
    """One executed operation: `outputs = op(*inputs, **params)`."""

    op: Any
    inputs: tuple[Atom, ...]
    outputs: tuple[Var, ...]
    params: Mapping[str, Any] = field(default_factory=dict)
    location: Location | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Guard:
    """A check of what the trace assumed; the program is left through a side exit when it fails.

    `expected` is a bool for a condition, or the number or array whose very value was used (as a size, an index).
    """

    condition: Atom
    expected: Any
    location: Location | None = None

    @property
    def inputs(self) -> tuple[Atom, ...]:
        return (self.condition,)

    @property
    def outputs(self) -> tuple[Var, ...]:
        return ()


Step: TypeAlias = Instr | Guard


@dataclass(frozen=True, slots=True, eq=False)
class Trace:
    """What one run did: inputs, steps in order, outputs."""

    inputs: tuple[Var, ...]
    steps: tuple[Step, ...]
    outputs: tuple[Atom, ...]
    name: str = "f"
