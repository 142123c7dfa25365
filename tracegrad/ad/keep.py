"""Which values of a loop's body are stacked for the reverse loop, and which are computed again there.

A reverse body that computes the whole step again from the carried values at its entry goes in. Out comes one that
reads some values from stacks instead and computes the others from those, and the list of what to stack. The
choice is a minimum cut of the body's graph: what must be known is the sink; the source is what nobody knows without a
stack, the carried values; cutting at a value means to stack it, at the cost of its bytes, and each step on the
sink's side is computed again, at the cost of its work. The counter, invariants and slices are known anyway. So a
body that is linear keeps nothing, `u[i] = f(u[i - 1])` keeps one item and not the array, and equal costs are
settled near the reader, where least is computed again. In a loop that carries rows and sums functions of a large
matrix, matrices would be stacked for the work of those functions alone: there it does not count.

What must be known is what the live steps of the reverse body read (the to-be-recorded analysis of Hascoet, Naumann and
Pascual, Future Generation Computer Systems 21, 2005). Storing against recomputing: Griewank and Walther, Evaluating
Derivatives, 2nd ed., SIAM 2008, chapter 12. Begin with `with_stacks`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from tracegrad.ad.cut import INFINITE, Network
from tracegrad.ad.work import bytes_of, keeping, quick_work, work
from tracegrad.errors import InternalError
from tracegrad.ir.close import substitute, substituted
from tracegrad.ir.dce import drop_unused
from tracegrad.ir.trace import Atom, Const, Instr, Step, Trace, Var
from tracegrad.ops.index import zeros, zeros_like

FAR = 8 << 20  # bytes stacked at a step: to read them again takes as long as to compute functions
LESS = 8  # times less, which is worth computing these again


def with_stacks(
    trace: Trace,
    primal: Mapping[Var, Var],
    entries: Sequence[Var],
    still: Collection[Var],
    stacked: Collection[Var],
) -> tuple[Trace, list[Var]]:
    """The reverse body reading stacks, and what they hold.

    Parameters
    ----------
    trace : Trace
        The reverse body, which computes the step again; `entries` are among its inputs.
    primal : mapping of Var to Var
        For each value of the forward body that is computed again: the variable there.
    entries : the carried values at the entry of a step
    still : the invariants; what depends on them alone is never stacked
    stacked : those variables of the forward body that have a stack already

    Returns
    -------
    Trace
        With `entries` left out of its inputs, and a slice of each stack as a further input at the end.
    list of Var
        The variables of the forward body to stack, in the same order.
    """
    trace = drop_unused(replace(trace, steps=tuple(map(_without_example, trace.steps))))
    again = [
        step for step in trace.steps if isinstance(step, Instr) and any(v in primal for v in step.outputs)
    ]
    wanted = _wanted(trace, again, entries)
    kept = _cut(again, wanted, primal, entries, still, stacked, work)
    if _bytes(kept) >= FAR:
        least = _cut(again, wanted, primal, entries, still, stacked, quick_work)
        kept = least if LESS * _bytes(least) <= _bytes(kept) else kept
    slices = {v: Var(v.type, v.name) for v in kept}
    steps = tuple(substitute(step, slices) for step in trace.steps)
    outputs = tuple(substituted(a, slices) for a in trace.outputs)
    inputs = (*(v for v in trace.inputs if v not in set(entries)), *slices.values())
    found = drop_unused(Trace(inputs, steps, outputs, trace.name))
    unknown = set(entries).intersection(a for step in found.steps for a in step.inputs)
    if unknown:
        raise InternalError(f"a reverse loop reads {unknown}, which nobody stacked")
    return found, [primal[v] for v in kept]


def _without_example(step: Step) -> Step:
    """Zeros that only take their shape from a value, which would else have to be known."""
    if isinstance(step, Instr) and step.op is zeros_like and -1 not in step.outputs[0].shape:
        type = step.outputs[0].type
        return replace(step, op=zeros, inputs=(), params={"shape": type.shape, "dtype": type.dtype})
    return step


def _wanted(trace: Trace, again: Sequence[Step], entries: Iterable[Var]) -> set[Atom]:
    """The primal values that the other steps read."""
    made = {v for step in again for v in step.outputs}.union(entries)
    steps = set(again)
    read: set[Atom] = {a for step in trace.steps if step not in steps for a in step.inputs}
    return read.union(trace.outputs).intersection(made)


def _cut(
    again: Sequence[Instr],
    wanted: Collection[Atom],
    primal: Mapping[Var, Var],
    entries: Iterable[Var],
    still: Collection[Var],
    stacked: Collection[Var],
    work: Callable[[Instr], int],
) -> list[Var]:
    """The values to read from stacks."""
    network = Network()
    nodes: dict[Atom, int] = {}
    makers: dict[Var, int] = {}
    unchanging: set[Atom] = set(still)

    def value(variable: Var, maker: int) -> None:
        nodes[variable], makers[variable] = network.node(), maker
        network.edge(maker, nodes[variable], _cost(variable, primal, stacked))
        if variable in wanted:
            network.edge(nodes[variable], network.sink, INFINITE)

    for variable in entries:
        value(variable, network.source)
    for step in again:
        if all(a in unchanging or isinstance(a, Const) for a in step.inputs):
            unchanging.update(step.outputs)
            continue
        computed = network.node()
        network.edge(network.source, computed, work(step))
        for atom in dict.fromkeys(step.inputs):
            if atom in nodes:
                network.edge(nodes[atom], computed, INFINITE)
        for variable in step.outputs:
            value(variable, computed)
    known = network.cut()
    return [v for v, maker in makers.items() if nodes[v] in known and maker not in known]


def _bytes(values: Iterable[Var]) -> int:
    return sum(bytes_of(v.type) for v in values)


def _cost(variable: Var, primal: Mapping[Var, Var], stacked: Collection[Var]) -> int:
    """What a value costs to be kept: nothing where it is stacked already; the stacks of a nested loop cannot be."""
    inside = primal.get(variable)
    if inside is None:
        return INFINITE
    return 0 if inside in stacked else keeping(variable.type)
