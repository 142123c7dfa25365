"""The table of algebraic rules: one a line, each makes the trace smaller or more canonical, never the reverse.

A trace goes in, one that computes the same with fewer steps comes out; the last digit may differ. Begin with
`ALGEBRA`, then `STRUCTURE` for rules about shapes and items. `rewrite` sees to it that no rule changes a shape or
a dtype, so `x + 0` is `x` only where nothing is broadcast or promoted. `x * 0` is not 0, and `x - x` is not
either: NaN and inf would be lost.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

from tracegrad.ir.close import substitute, substituted
from tracegrad.ir.trace import Atom, Const, Guard, Instr, Step, Trace, Var
from tracegrad.ir.types import ArrayType, broadcast_shapes, is_weak
from tracegrad.ir.walk import map_nested
from tracegrad.ops.arithmetic import add, divide, multiply, negative, positive_, subtract
from tracegrad.ops.compare import logical_not, where
from tracegrad.ops.families import broadcast_to, sum_to
from tracegrad.ops.index import Slot, getitem, index_add, index_set, zeros
from tracegrad.ops.op import Op
from tracegrad.passes.rewrite import (
    Made,
    Rule,
    Term,
    anything,
    exact,
    expression,
    inexact,
    number,
    once,
    pattern_rule,
    place_all,
    rewrite,
    same_constant,
    strong,
)


def simplify(trace: Trace) -> Trace:
    """Apply the rules to every step of the trace and of the traces it holds.

    Constants and unchanging carried values first move into loops and branches, so that rules can use them there.
    Preserves the types and values of outputs up to the last digit, and all guards.
    """
    return rewrite(_settle_control(trace), _rules_for)


# --- algebra: pattern, what is written instead ------------------------------------------------------------------------

x, y, z = anything("x"), anything("y"), anything("z")
u, v = inexact("u"), inexact("v")
c, d = number("c"), number("d")


def _joined(op: Op, outer: Callable[..., Term]) -> Callable[..., Term | None]:
    """Two constants become one, where that is exact: `outer(op(c, d), u)`."""

    def right(c: Const, d: Const, u: Var) -> Term | None:
        joined = exact(op, c, d)
        return None if joined is None else outer(joined, u)

    return right


def _negated(c: Const, u: Var) -> Term | None:
    joined = exact(multiply, c, Const(-1))
    return None if joined is None else expression(multiply, joined, u)


def _negated_inside(c: Const, u: Var, x: Atom) -> Term | None:
    joined = exact(multiply, c, Const(-1))
    return None if joined is None else expression(multiply, x, expression(multiply, joined, u))


def _joined_inside(c: Const, d: Const, u: Var, x: Atom) -> Term | None:
    joined = exact(multiply, c, d)
    return None if joined is None else expression(multiply, x, expression(multiply, joined, u))


def _scaled_quotient(c: Const, d: Const, u: Var) -> Term | None:
    """u / c * d -> u / (c / d), where that is exact"""
    joined = exact(divide, c, d)
    return None if joined is None else expression(divide, u, joined)


def _scaled_inside(c: Const, d: Const, u: Var, x: Atom) -> Term | None:
    quotient = _scaled_quotient(c, d, u)
    return None if quotient is None else expression(multiply, quotient, x)


def _chosen(c: Const, x: Atom, y: Atom) -> Term:
    return strong(x if c.value else y, x.type)


ALGEBRA: tuple[tuple[Any, Any], ...] = (
    (x + 0, x),
    (x - 0, x),
    (0 - x, -x),
    (x * 1, x),
    (x * -1, -x),
    (x / 1, x),
    (x / -1, -x),
    (x**1, x),
    (-(-x), x),  # noqa: B002 - the rule is about just that
    (positive_(x), x),
    (x + -u, x - u),
    (x - -u, x + u),
    (-u * -v, u * v),
    (-u / -v, u / v),
    (once(-u) * x, -(u * x)),
    (once(-u) / x, -(u / x)),
    (x / once(-u), -(x / u)),
    (-once(u - v), v - u),
    (-once(c * u), _negated),
    (c * once(-u), _negated),
    (x * (1 / u), x / u),
    (c * (d * u), _joined(multiply, lambda c, u: expression(multiply, c, u))),
    (-once(x * once(c * u)), _negated_inside),
    (d * once(x * once(c * u)), _joined_inside),
    (once(d * x) * once(c * u), _joined_inside),
    (d * once(u / c), _scaled_quotient),
    (d * once(x * once(u / c)), _scaled_inside),
    (once(c * u) / d, _joined(divide, lambda c, u: expression(multiply, c, u))),
    (u + u, 2.0 * u),
    (c + (d + u), _joined(add, lambda c, u: expression(add, u, c))),
    (c + (u - d), _joined(subtract, lambda c, u: expression(add, u, c))),
    ((c + u) - d, _joined(subtract, lambda c, u: expression(add, u, c))),
    ((u - c) - d, _joined(add, lambda c, u: expression(subtract, u, c))),
    ((u / c) / d, _joined(multiply, lambda c, u: expression(divide, u, c))),
    (where(x, y, y), y),
    (where(c, x, y), _chosen),
    (where(x, u, 0) + where(x, 0, v), where(x, u, v)),
    (logical_not(logical_not(x)), x),
)


# --- structure: shapes, zeros and items -------------------------------------------------------------------------------


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


def add_into_place(step: Instr, made: Made, counts: Counter[Var]) -> Term | None:
    """acc + index_add(zeros, v, i) -> index_add(acc, v, i)"""
    for part, rest in (step.inputs, step.inputs[::-1]):
        inner = made.get(part) if isinstance(part, Var) else None
        if inner is not None and inner.op is index_add and _is_zeros(inner.inputs[0], made):
            return expression(index_add, rest, *inner.inputs[1:], **inner.params)
    return None


_MOVES = (
    "sum_to",
    "broadcast_to",
    "astype",
    "reshape",
    "transpose",
    "swapaxes",
    "moveaxis",
    "squeeze",
    "getitem",
    "negative",
)

STRUCTURE: tuple[tuple[str, Rule], ...] = (
    ("zeros_like", zeros_are_plain),
    ("zeros", zeros_are_plain),
    *((name, rearranged_zeros) for name in _MOVES),
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
)


@cache
def _rules_for(op: Op) -> tuple[Rule, ...]:
    """All rules for an op: what holds for its family, algebra, structure."""
    family = (unrepeated, python_numbers) if op.family == "elementwise" else ()
    pairs = (pattern_rule(left, right) for left, right in ALGEBRA)
    algebra = (rule for of, variants in pairs if of is op for rule in variants)
    return (*family, *algebra, *(rule for name, rule in STRUCTURE if name == op.name))


# --- loops and branches -----------------------------------------------------------------------------------------------


def _settle_control(trace: Trace) -> Trace:
    """Nested traces simplified, constants and unchanging carried values moved into them; in one forward walk."""
    if not any(isinstance(step, Instr) and step.op.family == "control" for step in trace.steps):
        return trace
    stands: dict[Var, Atom] = {}
    steps: list[Step] = []
    for step in trace.steps:
        step = substitute(step, stands)
        if not isinstance(step, Guard) and step.op.family == "control":
            if step.op.name == "loop":
                step = _still_values_out(step, stands)
            step = map_nested(_constants_in(step), simplify)
            if step.op.name == "branch":
                step = _same_in_both_arms(step, stands)
        steps.append(step)
    outputs = tuple(substituted(a, stands) for a in trace.outputs)
    return replace(trace, steps=tuple(steps), outputs=outputs)


def _constants_in(step: Instr) -> Instr:
    """Operands of a branch and invariants of a loop that are constants become constants of the nested traces."""
    if step.op.name == "loop":
        first, end = 1 + step.params["carried"], len(step.inputs) - step.params["sliced"]
    else:
        first, end = 1, len(step.inputs)
    still = {k: step.inputs[k] for k in range(first, end) if isinstance(step.inputs[k], Const)}
    if not still:
        return step

    def closed(inner: Trace) -> Trace:
        stands = {inner.inputs[k - 1]: strong(atom, atom.type) for k, atom in still.items()}
        inputs = tuple(v for v in inner.inputs if v not in stands)
        return replace(place_all(inner, stands), inputs=inputs)

    inputs = tuple(a for k, a in enumerate(step.inputs) if k not in still)
    return replace(map_nested(step, closed), inputs=inputs)


def _still_values_out(step: Instr, stands: dict[Var, Atom]) -> Instr:
    """A carried value that no iteration changes becomes an invariant, and its final value is its first."""
    params = dict(step.params)
    body, n = params["body"], params["carried"]
    if body is None:
        return step
    still = [k for k in range(n) if body.outputs[k] is body.inputs[k]]
    if not still:
        return step
    for k in still:
        stands[step.outputs[1 + k]] = strong(step.inputs[1 + k], step.outputs[1 + k].type)
    moving = [k for k in range(n) if k not in still]

    def moved(items: Sequence[Any]) -> tuple[Any, ...]:
        """Carried values and invariants in their new order; what follows them stays."""
        return (*(items[k] for k in moving), *(items[k] for k in still), *items[n:])

    def kept(items: Sequence[Any]) -> tuple[Any, ...]:
        return tuple(items[k] for k in moving)

    if params["condition"] is not None:
        params["condition"] = replace(params["condition"], inputs=moved(params["condition"].inputs))
    params["body"] = replace(
        body, inputs=moved(body.inputs), outputs=(*kept(body.outputs), *body.outputs[n:])
    )
    params["carried"], params["names"] = len(moving), kept(params["names"])
    params["entries"] = None if params["entries"] is None else kept(params["entries"])
    inputs = (step.inputs[0], *moved(step.inputs[1:]))
    outputs = (step.outputs[0], *kept(step.outputs[1:]), *step.outputs[1 + n :])
    return Instr(step.op, inputs, outputs, params, step.location)


def _same_in_both_arms(step: Instr, stands: dict[Var, Atom]) -> Instr:
    """A result that is the same operand in both arms, or the same constant, needs no branch."""
    arms = step.params["arms"]
    if None in arms:
        return step
    outside = [dict(zip(arm.inputs, step.inputs[1:], strict=True)) for arm in arms]
    for k, variable in enumerate(step.outputs):
        left, right = (
            known.get(arm.outputs[k], arm.outputs[k]) for arm, known in zip(arms, outside, strict=True)
        )
        if same_constant(left, right) or (left is right and left in step.inputs):
            stands[variable] = strong(left, variable.type)
    return step
