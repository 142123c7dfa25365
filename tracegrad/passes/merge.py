"""Two captures of one function as one program, where they differ only in the arms of branches they took."""

from __future__ import annotations

from tracegrad.errors import Mismatch
from tracegrad.ir.trace import Atom, Trace, Var
from tracegrad.ir.unify import same_atom, unify
from tracegrad.ops.index import zeros


def merge(first: Trace, second: Trace) -> Trace | Mismatch:
    """The trace that does what both do, in the variables of `first`; the mismatch if they are different programs."""
    if len(first.inputs) != len(second.inputs) or any(
        a.type != b.type for a, b in zip(first.inputs, second.inputs, strict=True)
    ):
        return Mismatch("they read other values from outside")
    names: dict[Var, Atom] = dict(zip(second.inputs, first.inputs, strict=True))
    try:
        steps = unify(first.steps, second.steps, names, zeros)
    except Mismatch as found:
        return found
    if len(first.outputs) != len(second.outputs):
        return Mismatch("they return different structures")
    for a, b in zip(first.outputs, second.outputs, strict=True):
        if not same_atom(a, b, names):
            return Mismatch("they return different values")
    return Trace(first.inputs, tuple(steps), first.outputs, first.name)
