"""Sums that products of matrices are added to where they stand, for the native text.

    add(x @ w, y @ v)  ->  index_add(x @ w, y @ v, index=())

A product that is added to an array needs no memory of its own and no loop: BLAS adds what it computes. Sums of products
come first, and then whatever else is added to them; what a loop carries from step to step, and an array that nobody
needs afterwards, are added to as well. A trace comes in, and one of the same values up to the rounding of products goes
out. Begin with `add_products`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from tracegrad.ir.trace import Atom, Instr, Step, Trace, Var
from tracegrad.ir.walk import map_control, use_counts
from tracegrad.ops.arithmetic import add
from tracegrad.ops.index import index_add
from tracegrad.ops.linalg import dot, matmul
from tracegrad.ops.op import Op
from tracegrad.ops.shape import reshape, transpose
from tracegrad.passes.rewrite import Heads, Made, Rule, Term, expression, rewrite

FEW = 4  # times as large as a product, both operands: it takes longer to read them than to add it


def add_products(trace: Trace) -> Trace:
    """Let products be added to what is there, in the trace and in those it holds."""
    trace = map_control(trace, add_products)
    steps = tuple(map(_carried, trace.steps))
    if any(a is not b for a, b in zip(steps, trace.steps, strict=True)):
        trace = replace(trace, steps=steps)
    return _added_last(rewrite(trace, _rules_for))


def _rules_for(op: Op, heads: Heads) -> Sequence[Rule]:
    return (_sum_of_products,) if op is add else ()


def _sum_of_products(step: Instr, made: Made, counts: Counter[Var]) -> Term | None:
    """x @ w + y @ v, (x @ w + b) + y @ v, reshape(x @ w) + reshape(y @ v) -> with the second added to the first"""
    if step.outputs[0].type.ndim < 2:
        return None
    for first, second in (step.inputs, step.inputs[::-1]):
        product = _product(second, made, counts)
        if product is None or first is second:
            continue
        total = _total(first, made, counts)
        if total is not None and total.type == product.type:
            return _shaped(_added(total, product), step)
        inner = made.get(first) if isinstance(first, Var) and counts[first] == 1 else None
        if inner is None or inner.op is not add or first.type != step.outputs[0].type:
            continue
        for left, right in (inner.inputs, inner.inputs[::-1]):
            total = _total(left, made, counts)
            if total is not None and total.type == product.type and left.type == second.type:
                return expression(add, _shaped(_added(total, product), step), right)
    return None


def _added(total: Any, product: Any) -> Term:
    return expression(index_add, total, product, index=())


def _shaped(total: Term, step: Instr) -> Term:
    shape = tuple(step.outputs[0].shape)
    return total if len(shape) == 2 else expression(reshape, total, shape=shape)


def _unshaped(atom: Atom, made: Made, counts: Counter[Var]) -> Var | None:
    """The matrix that a value is, or was before its shape was changed; None where it is read again."""
    if not isinstance(atom, Var) or counts[atom] != 1:
        return None
    maker = made.get(atom)
    if maker is None or maker.op is not reshape or atom.type.ndim == 2:
        return atom
    (source,) = maker.inputs
    return source if isinstance(source, Var) and counts[source] == 1 else None


def _product(atom: Atom, made: Made, counts: Counter[Var]) -> Var | None:
    """A product of two matrices that nobody else reads, and that is not quicker by itself."""
    value = _unshaped(atom, made, counts)
    return value if value is not None and _is_added(made.get(value), made) else None


def _is_added(step: Instr | None, made: Made) -> bool:
    """Whether BLAS adds a product; of one of a matrix and itself, transposed, half is enough by itself."""
    if step is None or not is_large_product(step):
        return False
    makers = [made.get(a) if isinstance(a, Var) else None for a in step.inputs]
    return not any(
        maker is not None and maker.op is transpose and maker.inputs[0] is other
        for maker, other in zip(makers, reversed(step.inputs), strict=True)
    )


def _total(atom: Atom, made: Made, counts: Counter[Var]) -> Var | None:
    """A product, or one that others are added to already."""
    value = _unshaped(atom, made, counts)
    maker = None if value is None else made.get(value)
    while maker is not None and maker.op is index_add and maker.params["index"] == ():
        maker = made.get(maker.inputs[0])  # type: ignore[arg-type]
    return value if is_large_product(maker) else None


def is_large_product(step: Step | None) -> bool:
    """Whether BLAS computes a step, a product of two matrices that is not small beside both."""
    if not isinstance(step, Instr) or step.op not in (matmul, dot) or len(step.outputs[0].shape) != 2:
        return False
    if any(-1 in a.shape for a in step.inputs) or step.op.native(step) is not True:
        return False
    return FEW * step.outputs[0].type.size >= min(a.type.size for a in step.inputs)


# --- what else is added to --------------------------------------------------------------------------------------------


def _carried(step: Step) -> Step:
    """A loop whose body adds products to what it carries: `g = g + x.T @ y`."""
    if not isinstance(step, Instr) or step.op.name != "loop":
        return step
    body = step.params["body"]
    counts, made = use_counts(body), _makers(body)
    found: dict[Instr, Instr] = {}
    for before, after in zip(body.inputs[1:], body.outputs[: step.params["carried"]], strict=False):
        summed = made.get(after) if isinstance(after, Var) and counts[after] == 1 else None
        if summed is not None and summed.op is add and counts[before] == 1 and before in summed.inputs:
            changed = _with_product(summed, before, made, counts)
            if changed is not None:
                found[summed] = changed
    if not found:
        return step
    steps = tuple(found.get(inner, inner) if isinstance(inner, Instr) else inner for inner in body.steps)
    return replace(step, params={**step.params, "body": replace(body, steps=steps)})


def _added_last(trace: Trace) -> Trace:
    """An array of the trace's own, and a product added to it that products alone read, or nobody in the trace: nothing
    else would make a loop of that sum; and nobody needs the array afterwards."""
    counts, made = use_counts(trace), _makers(trace)
    places = {step: k for k, step in enumerate(trace.steps)}
    readers: dict[Atom, list[Step]] = {}
    for step in trace.steps:
        for a in step.inputs:
            readers.setdefault(a, []).append(step)
    outputs = set(trace.outputs)
    found: dict[Step, Instr] = {}
    for step in reversed(trace.steps):  # a sum that is added to later is no loop either
        if not isinstance(step, Instr) or step.op is not add or not _are_products(step, readers, found):
            continue
        for array in step.inputs:
            maker = made.get(array) if isinstance(array, Var) else None
            if maker is None or array in outputs or maker.op.view or maker.op.family == "control":
                continue
            if max(places[reader] for reader in readers[array]) == places[step] and step not in found:
                changed = _with_product(step, array, made, counts)
                found.update({} if changed is None else {step: changed})
    if not found:
        return trace
    return replace(trace, steps=tuple(found.get(step, step) for step in trace.steps))


def _are_products(step: Instr, readers: Mapping[Atom, list[Step]], found: Collection[Step]) -> bool:
    """Whether all that read a result are products of matrices, or have those added to it."""
    for reader in readers.get(step.outputs[0], ()):
        if not isinstance(reader, Instr):
            return False
        turned = reader.op is transpose and _are_products(reader, readers, found)
        if not (turned or reader in found or is_large_product(reader)):
            return False
    return True


def _with_product(step: Instr, array: Atom, made: Made, counts: Counter[Var]) -> Instr | None:
    """`array + x @ y` with the product added to the array."""
    other = step.inputs[1] if step.inputs[0] is array else step.inputs[0]
    product = other if isinstance(other, Var) and counts[other] == 1 else None
    if product is None or not _is_added(made.get(product), made):
        return None
    if not array.type == product.type == step.outputs[0].type:
        return None
    return Instr(index_add, (array, product), step.outputs, {"index": ()}, step.location)


def _makers(trace: Trace) -> dict[Var, Instr]:
    return {v: step for step in trace.steps if isinstance(step, Instr) for v in step.outputs}
