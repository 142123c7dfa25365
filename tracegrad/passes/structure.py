"""Rules about shapes and zeros: what only moves, repeats or adds nothing to items.

Like those of `simplify.py`, each makes the trace smaller or more canonical, and says before and after in its first
line. `STRUCTURE` is the table, at the end; begin there.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np

from tracegrad.errors import REFUSALS
from tracegrad.ir.trace import Atom, Const, Instr, Var
from tracegrad.ir.types import ArrayType, broadcast_shapes, is_weak
from tracegrad.ops.arithmetic import add, multiply, negative
from tracegrad.ops.compare import logical_and, logical_or
from tracegrad.ops.families import broadcast_to, sum_to
from tracegrad.ops.index import zeros
from tracegrad.ops.linalg import outer
from tracegrad.ops.shape import copy, transpose
from tracegrad.passes.rewrite import Made, Rule, Term, expression


def is_zeros(atom: Atom, made: Made) -> bool:
    """Whether the value is known to be an array of zeros."""
    if isinstance(atom, Const):
        return not atom.shape and atom.dtype.kind in "iufc" and bool(atom.value == 0)
    step = made.get(atom)
    return step is not None and step.op is zeros


def zeros_of(type: ArrayType) -> Term | None:
    """Zeros of a type as a term; None for a stack, whose length is not known."""
    if -1 in type.shape:
        return None
    return expression(zeros, shape=type.shape, dtype=type.dtype) if type.shape else Const(type.dtype.type(0))


def zeros_are_plain(step: Instr, made: Made, counts: Counter[Var]) -> Term | None:
    """zeros_like(x) -> zeros(...); zeros of no dimension -> 0"""
    if step.op is zeros and step.outputs[0].shape:
        return None
    return zeros_of(step.outputs[0].type)


def rearranged_zeros(step: Instr, made: Made, counts: Counter[Var]) -> Term | None:
    """reshape(zeros) -> zeros, and so for all that only moves, repeats or sums items"""
    (x, *_) = step.inputs
    signed = isinstance(x, Const) and x.dtype.kind == "f" and bool(np.signbit(x.value).any())
    return zeros_of(step.outputs[0].type) if is_zeros(x, made) and not signed else None


def add_zeros(step: Instr, made: Made, counts: Counter[Var]) -> Term | None:
    """x + zeros -> x; zeros + x -> x"""
    left, right = step.inputs
    return left if is_zeros(right, made) else right if is_zeros(left, made) else None


def subtract_zeros(step: Instr, made: Made, counts: Counter[Var]) -> Term | None:
    """x - zeros -> x"""
    left, right = step.inputs
    return left if is_zeros(right, made) else None


def of_truth(step: Instr, made: Made, counts: Counter[Var]) -> Term | None:
    """p + q -> p or q; p * q -> p and q, of truth values, which compiled code would count"""
    if step.outputs[0].dtype.kind != "b":
        return None
    return expression(logical_or if step.op is add else logical_and, *step.inputs)


def keeps_type(step: Instr, made: Made, counts: Counter[Var]) -> Term | None:
    """reshape, broadcast_to, sum_to, astype of x to the type it has -> x"""
    return step.inputs[0]


def identity_transpose(step: Instr, made: Made, counts: Counter[Var]) -> Term | None:
    """transpose(transpose(x)) -> x, or one transpose; transpose that moves nothing -> x"""
    source, axes = step.inputs[0], step.params.get("axes")
    order = tuple(range(source.type.ndim))
    outer = tuple(reversed(order)) if axes is None else tuple(a % source.type.ndim for a in axes)
    if outer == order:
        return source
    inner = made.get(source) if isinstance(source, Var) else None
    if inner is None or inner.op is not step.op:
        return None
    first = inner.params.get("axes")
    first = tuple(reversed(order)) if first is None else tuple(a % len(order) for a in first)
    both = tuple(first[a] for a in outer)
    return inner.inputs[0] if both == order else expression(step.op, inner.inputs[0], axes=both)


def transposed_product(step: Instr, made: Made, counts: Counter[Var]) -> Term | None:
    """transpose(transpose(x) @ y) -> transpose(y) @ x, and so for `x @ transpose(y)`, where nobody else reads it"""
    inner = made.get(step.inputs[0])  # type: ignore[arg-type]
    if inner is None or inner.op.name not in ("matmul", "dot") or counts[inner.outputs[0]] > 1:
        return None
    if not all(isinstance(a, Var) and a.type.ndim == 2 for a in inner.inputs):
        return None
    sources = [made.get(a) for a in inner.inputs]  # type: ignore[arg-type]
    if not any(s is not None and s.op is step.op for s in sources):
        return None
    left, right = (expression(step.op, a, axes=(1, 0)) for a in reversed(inner.inputs))
    return expression(inner.op, left, right)


def of_the_same(step: Instr, made: Made, counts: Counter[Var]) -> Term | None:
    """x @ copy(y) -> x @ y, and so for `transpose(copy(y))`: a product only reads them"""
    inputs = [_uncopied(a, made) for a in step.inputs]
    if len(inputs) < 2 or all(a is b for a, b in zip(inputs, step.inputs, strict=True)):
        return None
    return expression(step.op, *inputs, **step.params)


def _uncopied(atom: Atom, made: Made) -> Term:
    inner = made.get(atom) if isinstance(atom, Var) else None
    if inner is None or inner.op not in (copy, transpose):
        return atom
    if inner.op is copy:
        return inner.inputs[0]
    source = made.get(inner.inputs[0]) if isinstance(inner.inputs[0], Var) else None
    if source is None or source.op is not copy:
        return atom
    return expression(transpose, source.inputs[0], **inner.params)


def turned_outer(step: Instr, made: Made, counts: Counter[Var]) -> Term | None:
    """transpose(outer(u, v)) -> outer(v, u)"""
    inner = made.get(step.inputs[0])  # type: ignore[arg-type]
    if inner is None or inner.op is not outer or step.params.get("axes") not in (None, (1, 0)):
        return None
    return expression(outer, *reversed(inner.inputs))


def product_with_outer(step: Instr, made: Made, counts: Counter[Var]) -> Term | None:
    """outer(u, v) @ x -> outer(u, v @ x), or u * (v @ x) of a vector; and so on the left: vectors take its place"""
    x, y = step.inputs
    left, right = (made.get(a) if isinstance(a, Var) else None for a in (x, y))
    if left is not None and left.op is outer and y.type.ndim <= 2 and y.dtype.kind in "fc":
        u, v = left.inputs
        return expression(multiply if y.type.ndim == 1 else outer, u, expression(step.op, v, y))
    if right is not None and right.op is outer and x.type.ndim <= 2 and x.dtype.kind in "fc":
        u, v = right.inputs
        return expression(multiply if x.type.ndim == 1 else outer, expression(step.op, x, u), v)
    return None


LONG = 32  # a side of matrices from which on a product takes longer than a sum of what is multiplied


def products_with_both(step: Instr, made: Made, counts: Counter[Var]) -> Term | None:
    """x @ y + x @ transpose(y) -> x @ (y + transpose(y)), so on the left, and in a sum with something else"""
    for first, second in (step.inputs, step.inputs[::-1]):
        outer = _read_once(second, made, counts, ("add",))
        for third, other in (outer.inputs, outer.inputs[::-1]) if outer is not None else ((None, second),):
            products = [_read_once(a, made, counts, ("matmul", "dot")) for a in (first, other)]
            found = _product_with_both(products[0], products[1], made)
            if found is not None:
                return found if third is None else expression(step.op, third, found)
    return None


def _product_with_both(first: Instr | None, second: Instr | None, made: Made) -> Term | None:
    if first is None or second is None or first.op is not second.op:
        return None
    if any(not isinstance(a, Var) or a.type.ndim != 2 for a in (*first.inputs, *second.inputs)):
        return None
    for same in (0, 1):
        x, (y, other) = first.inputs[same], (step.inputs[1 - same] for step in (first, second))
        turned = any(_is_turned(a, b, made) for a, b in ((y, other), (other, y)))
        if x is second.inputs[same] and turned and min(*x.shape, *y.shape) >= LONG:
            both = expression(add, y, other)
            return expression(first.op, *((x, both) if same == 0 else (both, x)))
    return None


def _is_turned(atom: Atom, other: Atom, made: Made) -> bool:
    """Whether one matrix is the other, transposed."""
    step = made.get(other) if isinstance(other, Var) else None
    return step is not None and step.op is transpose and step.inputs[0] is atom


def _read_once(atom: Atom, made: Made, counts: Counter[Var], names: Sequence[str]) -> Instr | None:
    """The step of one of these ops that made an atom, where nobody else reads it."""
    step = made.get(atom) if isinstance(atom, Var) else None
    return step if step is not None and step.op.name in names and counts[step.outputs[0]] <= 1 else None


def same_again(step: Instr, made: Made, counts: Counter[Var]) -> Term | None:
    """sum_to(sum_to(x)) -> sum_to(x); so for reshape and broadcast_to: only the last shape counts"""
    inner = made.get(step.inputs[0])  # type: ignore[arg-type]
    if (
        inner is None
        or inner.op is not step.op
        or len(inner.inputs) != 1
        or inner.params.keys() != step.params.keys()
    ):
        return None
    return expression(step.op, inner.inputs[0], **step.params)


def sum_of_negative(step: Instr, made: Made, counts: Counter[Var]) -> Term | None:
    """sum(-x) -> -sum(x), where nobody else reads -x"""
    inner = made.get(step.inputs[0])  # type: ignore[arg-type]
    if inner is None or inner.op is not negative or counts[inner.outputs[0]] > 1:
        return None
    return expression(negative, expression(step.op, inner.inputs[0], **step.params))


def sum_of_repeated(step: Instr, made: Made, counts: Counter[Var]) -> Term | None:
    """sum_to(broadcast_to(x)) -> n * sum_to(x), n being how often each item is repeated"""
    inner = made.get(step.inputs[0])  # type: ignore[arg-type]
    if inner is None or inner.op is not broadcast_to:
        return None
    small, shape = inner.inputs[0], step.params["shape"]
    repeated = inner.outputs[0].shape
    if not _size(small) or -1 in repeated or small.dtype.kind not in "fc" or len(shape) > len(small.shape):
        return None
    if broadcast_shapes(shape, small.shape) != small.shape:
        return None
    total = small if shape == small.shape else expression(sum_to, small, shape=shape)
    return expression(multiply, total, Const(float(math.prod(repeated) // _size(small))))


def _size(atom: Atom) -> int:
    return atom.type.size


def unrepeated(step: Instr, made: Made, counts: Counter[Var]) -> Term | None:
    """broadcast_to(x) * y -> x * y, where y has the whole shape already; and so where x got leading dimensions of 1"""
    for place_of, atom in enumerate(step.inputs):
        inner = made.get(atom) if isinstance(atom, Var) else None
        if inner is not None and (inner.op is zeros or _is_repeat(inner)):
            repeated = Const(atom.type.dtype.type(0)) if inner.op is zeros else inner.inputs[0]
            inputs = (*step.inputs[:place_of], repeated, *step.inputs[place_of + 1 :])
            if _keeps_types(step, inputs):
                return expression(step.op, *inputs, **step.params)
    return None


def uncopied(step: Instr, made: Made, counts: Counter[Var]) -> Term | None:
    """copy(x) * y -> x * y: the result has memory of its own in any case"""
    inputs = [
        made[a].inputs[0] if isinstance(a, Var) and a in made and made[a].op is copy else a
        for a in step.inputs
    ]
    if step.op.view or all(a is b for a, b in zip(inputs, step.inputs, strict=True)):
        return None
    return expression(step.op, *inputs, **step.params)


def repeated_later(step: Instr, made: Made, counts: Counter[Var]) -> Term | None:
    """broadcast_to(x) * y -> broadcast_to(x * y), where nothing else gives the result its shape: less to compute"""
    inputs: list[Atom] = []
    for atom in step.inputs:
        inner = made.get(atom) if isinstance(atom, Var) else None
        inputs.append(inner.inputs[0] if inner is not None and inner.op is broadcast_to else atom)
    out = step.outputs[0]
    if all(a is b for a, b in zip(inputs, step.inputs, strict=True)):
        return None
    (found,) = step.op.result_types(inputs, step.params)
    if found.dtype != out.dtype or found.shape == out.shape:
        return None
    return expression(broadcast_to, expression(step.op, *inputs, **step.params), shape=out.shape)


def _is_repeat(step: Instr) -> bool:
    """Whether broadcasting the step's input does the same as the step."""
    if step.op.name in ("reshape", "expand_dims"):
        given, shape = step.inputs[0].shape, step.outputs[0].shape
        return shape == (*(1,) * (len(shape) - len(given)), *given)
    return step.op is broadcast_to


def number_repeated(step: Instr, made: Made, counts: Counter[Var]) -> Term | None:
    """reshape(broadcast_to(x)) -> broadcast_to(x), where x is a number"""
    inner = made.get(step.inputs[0])  # type: ignore[arg-type]
    if inner is None or inner.op is not broadcast_to or inner.inputs[0].shape:
        return None
    return expression(broadcast_to, inner.inputs[0], shape=step.outputs[0].shape)


def python_numbers(step: Instr, made: Made, counts: Counter[Var]) -> Term | None:
    """x * f8(2.0) -> x * 2.0, where the dtype of the result is the same"""
    for place_of, atom in enumerate(step.inputs):
        if isinstance(atom, Const) and not atom.shape and not is_weak(atom.value):
            value = atom.value.item() if hasattr(atom.value, "item") else atom.value
            if not is_weak(value) or np.dtype(type(value)) != atom.dtype:
                continue
            inputs = (*step.inputs[:place_of], Const(value), *step.inputs[place_of + 1 :])
            if _keeps_types(step, inputs):
                return expression(step.op, *inputs, **step.params)
    return None


def _keeps_types(step: Instr, inputs: Sequence[Atom]) -> bool:
    try:
        return step.op.result_types(inputs, step.params) == tuple(o.type for o in step.outputs)
    except REFUSALS:
        return False


FAMILIES: dict[str, tuple[Rule, ...]] = {
    "elementwise": (uncopied, unrepeated, repeated_later, python_numbers),
    "linear": (rearranged_zeros,),
}

STRUCTURE: tuple[tuple[str, Rule], ...] = (
    ("zeros_like", zeros_are_plain),
    ("zeros", zeros_are_plain),
    *((name, rearranged_zeros) for name in ("getitem", "negative")),
    ("add", of_truth),
    ("multiply", of_truth),
    ("add", add_zeros),
    ("subtract", subtract_zeros),
    *((name, keeps_type) for name in ("sum_to", "broadcast_to", "reshape", "astype")),
    ("transpose", identity_transpose),
    ("transpose", transposed_product),
    ("transpose", turned_outer),
    *((name, of_the_same) for name in ("matmul", "dot", "einsum")),
    *((name, same_again) for name in ("sum_to", "broadcast_to", "reshape")),
    ("reshape", number_repeated),
    *((name, sum_of_negative) for name in ("sum_to", "sum", "mean")),
)
ROUNDING: tuple[tuple[str, Rule], ...] = (
    *((name, product_with_outer) for name in ("matmul", "dot")),
    ("add", products_with_both),
    ("sum_to", sum_of_repeated),
)
"""Those that leave the last digit open, as `simplify.ALGEBRA` does."""
