"""The tape: a recording that no program will come of, and that keeps the values beside the steps.

Where every call takes another path there is nothing to merge and nothing to compile. Then no guard is written, no
loop or branch, nothing that was read outside; and the reverse sweep runs over the steps at once. Begin with
`Tape.apply`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tracegrad.ad.evaluate import Evaluated, Evaluator, in_type
from tracegrad.ad.reverse import pull_back
from tracegrad.ir.location import Location
from tracegrad.ir.trace import Atom, Const, Instr, Var
from tracegrad.ir.types import is_weak, type_of
from tracegrad.ops.op import Op
from tracegrad.record.pins import owner_of
from tracegrad.record.recording import Recording


class NotOnTape(Exception):
    """The run meets what only a trace can take: a value of another recorder, a loop that is one step."""


class Unstructured:
    """In place of `Structures`, where loops and branches are Python's own: nothing is open."""

    def __init__(self) -> None:
        self.frames: tuple[Any, ...] = ()

    def place(self) -> tuple[Any, ...]:
        return ()

    def fail(self, reason: str, depth: int = 0) -> None:
        """Nothing was going to be generalised."""

    def is_open(self) -> bool:
        return False

    def showing(self) -> None:
        """Python runs every step in any case."""

    def made(self, value: Any) -> Any:
        return value

    def crossed(self, value: Any) -> int:
        return 0

    def writing(self, array: Any, owner: int) -> None:
        """No name depends on an arm."""

    def changing(self, value: Any, reason: str) -> None:
        """No step is another's repetition."""

    appending = changing

    def lies_in(self, atom: Any, memory: Any) -> None:
        """No name depends on an arm."""

    def unwind(self, depth: int) -> None:
        """Nothing was left open."""

    def is_visible(self, atom: Any) -> bool:
        return True


class Tape(Recording):
    """Steps that depend on something differentiated, in order, and the value of each variable.

    Attributes
    ----------
    values : dict of Var to Evaluated
    active : set of Var
    """

    def __init__(self, make: Callable[..., Any], level: int) -> None:
        super().__init__(make, level)
        self.structures: Any = Unstructured()
        self.evaluator = Evaluator(level)
        self.values: dict[Var, Any] = {}
        self.active: set[Var] = set()
        self._in_memory: dict[int, list[Var]] = {}  # arrays, by whose memory they are in

    def input(self, data: Any, name: str | None = None, weak: bool = False, active: bool = False) -> Any:
        traced = super().input(data, name, weak, active)
        self._keep(traced.atom, traced.value, active)
        return traced

    def _keep(self, variable: Var, value: Any, active: bool) -> None:
        self.values[variable] = Evaluated(value, self.evaluator)
        if active:
            self.active.add(variable)
        if isinstance(value, np.ndarray):
            self._in_memory.setdefault(owner_of(value), []).append(variable)

    def lift(self, outer: Any) -> Any:
        if outer.recorder.level <= self.level:
            raise NotOnTape
        return super().lift(outer)

    def constant(self, value: Any) -> Atom:
        """A constant; of an array a copy, since it may be written into later."""
        if not isinstance(value, np.ndarray):
            return Const(value)
        found = self._snapshots.get(id(value))
        if found is None or not np.array_equal(found[1], value, equal_nan=value.dtype.kind in "fc"):
            copy = value.copy()
            found = self._snapshots[id(value)] = (value, copy, Const(copy))
        return found[2]

    def zeros(self, array: np.ndarray[Any, Any]) -> Any:
        return self._result(array, False, False)

    def apply(self, op: Op, args: Sequence[Any], params: Mapping[str, Any]) -> Any:
        """Compute `op(*args, **params)`, and write it down if a derivative goes through it."""
        if op.family == "control":
            raise NotOnTape
        values, atoms, weak, active = [], [], op.family == "elementwise", False
        for arg in args:
            if isinstance(arg, (list, tuple)):
                arg = self.as_array(arg)
            recorder = getattr(arg, "recorder", None)
            if recorder is None:
                arg = self.as_operand(arg)
                values.append(arg)
                atoms.append(self.constant(arg))
                weak = weak and is_weak(arg)
                continue
            if recorder is not self:
                raise NotOnTape
            values.append(arg.value)
            atoms.append(arg.atom)
            weak = weak and arg.weak
            active = active or arg.requires_grad
        if self.watchers and weak:
            self.as_python(op.name, values)
        result = op.evaluate(*values, **params)
        for found in result if isinstance(result, tuple) else (result,):
            self.check_number(op, found)
        active = active and not op.passes_zero
        results = (result,) if op.n_outputs == 1 else result
        made = [self._result(value, weak, active) for value in results]
        if active and any(traced.requires_grad for traced in made):
            outputs = tuple(traced.atom for traced in made)
            self.steps.append(Instr(op, tuple(atoms), outputs, params, self.location()))
        if op.n_outputs != 1:
            return tuple(made)
        if op.view and made[0].atom.type.shape and getattr(args[0], "recorder", None) is self:
            self.remember_view(made[0], args, op, params)
        return made[0]

    def _result(self, value: Any, weak: bool, active: bool) -> Any:
        if isinstance(value, np.ndarray) and not value.shape:
            value = value[()]
        if weak and isinstance(value, np.generic) and value.dtype.kind in "fic":
            value = value.item()
        elif weak and not isinstance(value, (int, float, complex)):
            weak = False
        type = type_of(value)
        active = active and type.is_inexact
        if not active and not type.shape:
            return self.wrap(value, Const(value), weak, False)
        variable = Var(type)
        self._keep(variable, value, active)
        return self.wrap(value, variable, weak, active)

    # --- what a trace would guard

    def truth(self, traced: Any) -> bool:
        return bool(traced.value)

    def _guard(self, traced: Any, expected: Any) -> None:
        """No other call will be answered by this run."""

    def not_repeatable(self, reason: str, where: Location | None = None) -> None:
        """Nothing is to be repeated."""

    def _writable(self, traced: Any) -> None:
        """Before an array is written, what earlier steps saw in its memory is put aside."""
        super()._writable(traced)
        for variable in self._in_memory.pop(owner_of(traced.value), ()):
            self.values[variable] = Evaluated(np.array(self.values[variable].value), self.evaluator)

    # --- the reverse sweep

    def pulled_back(self, cotangents: Mapping[Var, Any], wanted: Sequence[Var]) -> list[Any]:
        """Cotangents of the variables in `wanted`, in their types.

        Parameters
        ----------
        cotangents : dict of Var to array, seeds
        wanted : sequence of Var

        Raises
        ------
        NotDifferentiableError : an active path meets an op declared without a derivative
        """
        seeds = {v: Evaluated(g, self.evaluator) for v, g in cotangents.items()}
        found = pull_back(self.steps, self.values, seeds, self.evaluator, self.active)
        return [in_type(found.get(v), v) for v in wanted]
