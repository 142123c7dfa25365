"""Symbol and Builder: computing with symbols writes a trace.

The derivative rules run on symbols, so differentiating a trace is a matter of calling them. Begin with `Builder.apply`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tracegrad.ir.location import Location
from tracegrad.ir.trace import Atom, Const, Guard, Instr, Step, Trace, Var
from tracegrad.ir.types import ArrayType, is_weak
from tracegrad.ops.op import Op, Selection, selection_of
from tracegrad.ops.operators import Operators


class Symbol(Operators):
    """A variable or constant of a trace being built; behaves like an array in derivative rules."""

    __slots__ = ("atom", "recorder", "selection")

    def __init__(self, atom: Atom, recorder: Builder, selection: Selection | None = None) -> None:
        self.atom = atom
        self.recorder = recorder
        self.selection = selection

    @property
    def type(self) -> ArrayType:
        return self.atom.type

    @property
    def shape(self) -> tuple[int, ...]:
        return self.atom.type.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.atom.type.dtype

    @property
    def ndim(self) -> int:
        return len(self.atom.type.shape)

    @property
    def size(self) -> int:
        return self.atom.type.size

    def __len__(self) -> int:
        return self.shape[0]

    def __bool__(self) -> bool:
        raise TypeError("a rule asked for the truth of a Symbol; rules may look at shapes and dtypes only")

    def __repr__(self) -> str:
        return f"Symbol({self.atom!r})"


class Builder:
    """Collects steps while rules compute on its symbols.

    Parameters
    ----------
    level : int
        Higher than that of any value the symbols meet.
    """

    def __init__(self, level: int = 1_000_000) -> None:
        self.level = level
        self.steps: list[Step] = []
        self.location: Location | None = None
        self._places: dict[Var, int] = {}
        self._placed = 0

    def symbol(self, atom: Atom) -> Symbol:
        """A symbol that stands for an existing variable or constant."""
        return Symbol(atom, self)

    def constant(self, value: Any) -> Symbol:
        return Symbol(Const(value), self)

    def input(self, type: ArrayType, name: str | None = None) -> Symbol:
        return Symbol(Var(type, name), self)

    def atom(self, value: Any) -> Atom:
        """The atom of a symbol; any other value becomes a constant."""
        return value.atom if isinstance(value, Symbol) else Const(value)

    def apply(self, op: Op, args: Sequence[Any], params: Mapping[str, Any]) -> Any:
        """Write `op(*args, **params)` as a step; returns its results as symbols."""
        inputs = tuple(self.atom(a) for a in args)
        number = _python_number(op, inputs)
        if number is not None:
            return self.constant(number)
        outputs = tuple(Var(t) for t in op.result_types(inputs, params))
        self.steps.append(Instr(op, inputs, outputs, dict(params), self.location))
        if op.n_outputs == 1:
            return Symbol(outputs[0], self, selection_of(op, args))
        return tuple(Symbol(v, self) for v in outputs)

    def place(self, variable: Var) -> int:
        """Where among the steps written so far a variable is made; steps may be replaced, but not moved."""
        assert self.has_made(variable)
        return self._places[variable]

    def has_made(self, variable: Var) -> bool:
        """Whether a variable is made by a step written so far."""
        for place in range(self._placed, len(self.steps)):
            self._places.update((v, place) for v in self.steps[place].outputs)
        self._placed = len(self.steps)
        return variable in self._places

    def guard(self, condition: Any, expected: Any) -> None:
        self.steps.append(Guard(self.atom(condition), expected, self.location))

    def trace(self, inputs: Sequence[Any], outputs: Sequence[Any], name: str = "f") -> Trace:
        """The trace written so far."""
        variables = tuple(self.atom(v) for v in inputs)
        assert all(isinstance(v, Var) for v in variables)
        return Trace(variables, tuple(self.steps), tuple(self.atom(v) for v in outputs), name)  # type: ignore[arg-type]


def _python_number(op: Op, inputs: Sequence[Atom]) -> Any:
    """What elementwise arithmetic on Python numbers gives: a Python number again, as weak as they are; else None."""
    if op.family != "elementwise" or not all(isinstance(a, Const) and is_weak(a.value) for a in inputs):
        return None
    with np.errstate(all="ignore"):
        found = op.evaluate(*(np.asarray(a.value) for a in inputs if isinstance(a, Const)))
    return found.item() if found.dtype.kind in "fic" else None
