"""Two captures of one function as one program, where they differ only in the arms of branches they took."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tracegrad.errors import Mismatch
from tracegrad.ir.trace import Atom, Trace, Var
from tracegrad.ir.unify import same_atom, unify
from tracegrad.ops.index import zeros


def merge(first: Trace, second: Trace, aligned: Sequence[Var]) -> Trace | Mismatch:
    """The trace that does what both do, in the variables of `first`; the mismatch if they are different programs.

    `aligned` says for each input of `second` which input of `first` it is.
    """
    names: dict[Var, Atom] = dict(zip(second.inputs, aligned, strict=True))
    try:
        steps = unify(first.steps, second.steps, names, zeros)
    except Mismatch as found:
        return found
    for a, b in zip(first.outputs, second.outputs, strict=True):
        if not same_atom(a, b, names):
            return Mismatch("they return different values")
    return replace(first, steps=tuple(steps))
