"""Cotangents while a reverse sweep runs: absent means zero, contributions are summed when the variable's turn comes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tracegrad.ir.location import Location
from tracegrad.ir.trace import Instr, Var
from tracegrad.ops.symbol import Builder


def _added(x: Any, y: Any) -> Any:
    """`x + y`; what the same condition selected stays selected."""
    if x.selection is not None and x.selection.is_alike(y.selection):
        return x.selection.with_part(x.selection.part + y.selection.part)
    return x + y


class Cotangents:
    """Contributions to the cotangent of each variable.

    Summing waits until the sum is asked for, so that the emitted text has one line, `x_bar = a + b + c`. It belongs
    to the user's line that gave the last contribution.
    """

    def __init__(self, seeds: Mapping[Var, Any], builder: Builder) -> None:
        self._terms: dict[Var, list[Any]] = {v: [g] for v, g in seeds.items()}
        self._builder = builder
        self._last: dict[Var, Location | None] = {}

    def add(self, variable: Var, term: Any) -> None:
        self._terms.setdefault(variable, []).append(term)
        self._last[variable] = self._builder.location

    def sum(self, variable: Var) -> Any:
        """The cotangent, or None for zero; named after the variable where it was made for it alone."""
        terms = self._terms.get(variable)
        if terms is None:
            return None
        here, self._builder.location = self._builder.location, self._last.get(variable)
        while len(terms) > 1:
            terms[:2] = [_added(terms[0], terms[1])]
        self._builder.location = here
        self._name(terms[0], variable)
        return terms[0]

    def _name(self, total: Any, variable: Var) -> None:
        atom = total.atom
        steps = self._builder.steps
        if variable.name and isinstance(atom, Var) and atom.name is None and steps:
            made_last = isinstance(steps[-1], Instr) and atom in steps[-1].outputs
            if made_last or len(self._terms[variable]) == 1:
                atom.name = f"{variable.name}_bar"

    def all(self) -> dict[Var, Any]:
        """Every cotangent there is."""
        return {v: self.sum(v) for v in list(self._terms)}
