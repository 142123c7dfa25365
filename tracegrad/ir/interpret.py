"""Running a trace step by step: the reference meaning of every program, on any kind of values.

A trace and one value an input go in, a tuple with the values of its outputs comes out. On NumPy arrays this
computes; on values that carry a recorder each step is recorded anew. Loops and branches are ops like any other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tracegrad.errors import REFUSALS, SideExit, add_line
from tracegrad.ir.trace import Atom, Guard, Trace, Var
from tracegrad.ir.walk import guards


def interpret(trace: Trace, values: Sequence[Any]) -> tuple[Any, ...]:
    """Run a trace.

    Parameters
    ----------
    trace : Trace
    values : sequence
        One an input: arrays, or anything the ops compute with.

    Returns
    -------
    tuple
        The values of the outputs.

    Raises
    ------
    SideExit : a guard fails; its `number` counts the guards of `trace`, those of nested traces included
    """
    known: dict[Var, Any] = dict(zip(trace.inputs, values, strict=True))

    def value(atom: Atom) -> Any:
        return known[atom] if isinstance(atom, Var) else atom.value

    try:
        for step in trace.steps:
            if isinstance(step, Guard):
                if not holds(value(step.condition), step.expected):
                    raise SideExit(None, step)
                continue
            try:
                result = step.op(*map(value, step.inputs), **step.params)
            except REFUSALS as error:
                add_line(error, step.location)
                raise
            results = result if isinstance(result, tuple) else (result,)
            known.update(zip(step.outputs, results, strict=True))
    except SideExit as left:
        number = next((k for k, guard in enumerate(guards(trace)) if guard is left.guard), None)
        raise SideExit(number, left.guard) from None
    return tuple(value(atom) for atom in trace.outputs)


def holds(value: Any, expected: Any) -> bool:
    """Whether a guard is satisfied. A traced value is asked in the way that makes it record a guard of its own."""
    if isinstance(expected, np.ndarray):
        return np.array_equal(value, expected, equal_nan=expected.dtype.kind in "fc")
    if isinstance(expected, (bool, np.bool_)):
        return bool(value) is bool(expected)
    if isinstance(expected, (int, np.integer)):
        return int(value) == expected
    if isinstance(expected, (float, np.floating)):
        found = float(value)
        return found == expected or (found != found and expected != expected)
    return bool(complex(value) == expected)
