"""Rules about shapes, zeros and items: what only moves, repeats, reads or writes array items.

Like those of `simplify.py`, each makes the trace smaller or more canonical, and says before and after in its first
line. `STRUCTURE` is the table, at the end; begin there.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from tracegrad.ir.trace import Atom, Const, Instr, Var
from tracegrad.ir.types import ArrayType, broadcast_shapes, is_weak
from tracegrad.ops.arithmetic import add, multiply, negative
from tracegrad.ops.families import broadcast_to, sum_to
from tracegrad.ops.index import Slot, getitem, index_add, index_set, zeros
from tracegrad.passes.rewrite import Made, Rule, Term, expression


def _is_zeros(atom: Atom, made: Made) -> bool:
    """Whether the value is known to be an array of zeros."""
    if isinstance(atom, Const):
        return not atom.shape and atom.dtype.kind in "iufc" and bool(atom.value == 0)
    step = made.get(atom)
    return step is not None and step.op is zeros


def _zeros(type: ArrayType) -> Term | None:
    """Zeros of a type as a term; None for a stack, whose length is not known."""
    if -1 in type.shape:
        return None
    return expression(zeros, shape=type.shape, dtype=type.dtype) if type.shape else Const(type.dtype.type(0))


def zeros_are_plain(step: Instr, made: Made, counts: Counter[Var]) -> Term | None:
    """zeros_like(x) -> zeros(...); zeros of no dimension -> 0"""
    if step.op is zeros and step.outputs[0].shape:
        return None
    return _zeros(step.outputs[0].type)


def rearranged_zeros(step: Instr, made: Made, counts: Counter[Var]) -> Term | None:
    """reshape(zeros) -> zeros, and so for all that only moves, repeats or sums items"""
    return _zeros(step.outputs[0].type) if _is_zeros(step.inputs[0], made) else None


def add_zeros(step: Instr, made: Made, counts: Counter[Var]) -> Term | None:
    """x + zeros -> x; zeros + x -> x"""
    left, right = step.inputs
    return left if _is_zeros(right, made) else right if _is_zeros(left, made) else None


def subtract_zeros(step: Instr, made: Made, counts: Counter[Var]) -> Term | None:
    """x - zeros -> x; zeros - x -> -x"""
    left, right = step.inputs
    return left if _is_zeros(right, made) else expression(negative, right) if _is_zeros(left, made) else None


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
        if inner is not None and _is_repeat(inner):
            inputs = (*step.inputs[:place_of], inner.inputs[0], *step.inputs[place_of + 1 :])
            if _keeps_types(step, inputs):
                return expression(step.op, *inputs, **step.params)
    return None


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
    except Exception:
        return False


# An index of items: static positions only, so that two of them can be compared.


def _is_static(index: Sequence[Any]) -> bool:
    return not any(isinstance(part, Slot) for part in index)


def _is_everything(index: Sequence[Any]) -> bool:
    return all(part is Ellipsis or part == slice(None) for part in index)


def _apart(first: Sequence[Any], second: Sequence[Any], shape: Sequence[int]) -> bool:
    """Whether two static indices surely touch different items: they differ in an integer."""
    for a, b, n in zip(first, second, shape, strict=False):
        if isinstance(a, int) and isinstance(b, int):
            if a % n != b % n:
                return True
        elif not (isinstance(a, slice) and isinstance(b, slice)):
            return False
    return False


def read_everything(step: Instr, made: Made, counts: Counter[Var]) -> Term | None:
    """x[:] -> x"""
    return step.inputs[0] if _is_everything(step.params["index"]) else None


def read_after_write(step: Instr, made: Made, counts: Counter[Var]) -> Term | None:
    """index_set(a, v, i)[i] -> v; index_set(a, v, i)[j] -> a[j] where i and j are apart"""
    index, writer = step.params["index"], made.get(step.inputs[0])  # type: ignore[arg-type]
    if writer is None or writer.op not in (index_set, index_add) or not _is_static(index):
        return None
    written = writer.params["index"]
    if not _is_static(written):
        return None
    if written == index:
        is_set = writer.op is index_set or _is_zeros(writer.inputs[0], made)
        return writer.inputs[-1] if is_set else None
    if _apart(index, written, writer.inputs[0].type.shape):
        return expression(getitem, writer.inputs[0], index=index)
    return None


def write_everything(step: Instr, made: Made, counts: Counter[Var]) -> Term | None:
    """index_set(a, v, [:]) -> v; index_add(a, v, [:]) -> a + v; and so where v is one number for all of zeros"""
    target, value = step.inputs[0], step.inputs[-1]
    if not _is_everything(step.params["index"]):
        return None
    if step.op is index_add and not _is_zeros(target, made):
        return expression(add, target, value)
    return value if value.type == target.type else expression(broadcast_to, value, shape=target.type.shape)


def write_twice(step: Instr, made: Made, counts: Counter[Var]) -> Term | None:
    """index_set(index_set(a, v, i), w, i) -> index_set(a, w, i); the first write may also be an index_add"""
    target, index = step.inputs[0], step.params["index"]
    inner = made.get(target) if isinstance(target, Var) else None
    if inner is None or inner.op not in (index_set, index_add) or inner.params["index"] != index:
        return None
    if not _is_static(index) or counts[target] > 1:  # type: ignore[index]
        return None
    return expression(index_set, inner.inputs[0], step.inputs[-1], index=index)


def add_together(step: Instr, made: Made, counts: Counter[Var]) -> Term | None:
    """index_add(index_add(a, v, i), w, i) -> index_add(a, v + w, i), also with other index_adds between the two"""
    index, value = step.params["index"], step.inputs[-1]
    between: list[Instr] = []
    inner = made.get(step.inputs[0])  # type: ignore[arg-type]
    while (
        inner is not None and inner.op is index_add and counts[inner.outputs[0]] == 1 and len(between) < _FAR
    ):
        if inner.params["index"] == index and _is_static(index) and inner.inputs[-1].type == value.type:
            total = expression(add, inner.inputs[-1], value)
            term = expression(index_add, inner.inputs[0], total, index=index)
            for other in reversed(between):
                term = expression(index_add, term, *other.inputs[1:], **other.params)
            return term
        between.append(inner)
        inner = made.get(inner.inputs[0])  # type: ignore[arg-type]
    return None


def add_into_place(step: Instr, made: Made, counts: Counter[Var]) -> Term | None:
    """acc + index_add(zeros, v, i) -> index_add(acc, v, i)"""
    for part, rest in (step.inputs, step.inputs[::-1]):
        inner = made.get(part) if isinstance(part, Var) and part.type == rest.type else None
        if inner is not None and inner.op is index_add and _is_zeros(inner.inputs[0], made):
            return expression(index_add, rest, *inner.inputs[1:], **inner.params)
    return None


_FAR = 8
"""How many steps back a rule looks, so that the passes stay linear."""

FAMILIES: dict[str, tuple[Rule, ...]] = {
    "elementwise": (unrepeated, repeated_later, python_numbers),
    "linear": (rearranged_zeros,),
}

STRUCTURE: tuple[tuple[str, Rule], ...] = (
    ("zeros_like", zeros_are_plain),
    ("zeros", zeros_are_plain),
    *((name, rearranged_zeros) for name in ("getitem", "negative")),
    ("add", add_zeros),
    ("add", add_into_place),
    ("subtract", subtract_zeros),
    *((name, keeps_type) for name in ("sum_to", "broadcast_to", "reshape", "astype")),
    ("transpose", identity_transpose),
    *((name, same_again) for name in ("sum_to", "broadcast_to", "reshape")),
    ("sum_to", sum_of_repeated),
    *((name, sum_of_negative) for name in ("sum_to", "sum", "mean")),
    ("getitem", read_everything),
    ("getitem", read_after_write),
    ("index_set", write_everything),
    ("index_add", write_everything),
    ("index_set", write_twice),
    ("index_add", add_together),
)
