"""Multiples of large products instead of products of multiples, for the native text.

    (2 * x) @ y   ->   2 * (x @ y)

A matrix that is multiplied only to be read by products stands in memory beside the one it is a multiple of; a multiple
of the product is part of a loop over its elements, which mostly is there anyway. The factors are powers of two and -1,
for which both are the same, rounded alike. Equal factors of two products that are added become one, so that the second
product can be added to the first where it stands (`added_products`). A trace comes in, and one of the same values goes
out. Begin with `scale_products`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from tracegrad.ad.work import bytes_of
from tracegrad.ir.dce import drop_unused
from tracegrad.ir.trace import Atom, Const, Step, Trace, Var
from tracegrad.ir.walk import map_control
from tracegrad.ops.arithmetic import add, multiply, negative
from tracegrad.ops.linalg import dot, matmul
from tracegrad.ops.op import Op
from tracegrad.ops.shape import transpose
from tracegrad.passes.added_products import is_large_product
from tracegrad.passes.rewrite import Made, Rule, Term, expression, rewrite

LARGE = 1 << 16  # bytes of an array whose memory is worth a thought
FURTHEST = 32  # powers of two: larger ones could leave the range of numbers, together or alone


def scale_products(trace: Trace) -> Trace:
    """Multiply products, not what they are made of, in the trace and in those it holds."""
    trace = map_control(trace, scale_products)
    multiples = _read_by_products(trace)
    if not multiples:
        return trace

    def product(step: Any, made: Made, counts: Counter[Var]) -> Term | None:
        """(c * x) @ (d * y) -> (c * d) * (x @ y)"""
        if not is_large_product(step):
            return None
        factors, operands = zip(*(_without_factor(a, made, multiples) for a in step.inputs), strict=True)
        factor = math.prod(factors)
        return None if factor == 1.0 else _times(expression(step.op, *operands), factor, step)

    first: dict[Op, Sequence[Rule]] = {
        matmul: (product,),
        dot: (product,),
        multiply: (_factor_of_multiple,),
        negative: (_factor_of_multiple,),
    }
    trace = drop_unused(rewrite(trace, lambda op, heads: first.get(op, ())))
    return drop_unused(rewrite(trace, lambda op, heads: (_sum_of_multiples,) if op is add else ()))


def _read_by_products(trace: Trace) -> set[Var]:
    """The large multiples that nobody reads but products of matrices, and transposes that they alone read."""
    others = {a for a in trace.outputs if isinstance(a, Var)}
    found: set[Var] = set()
    for step in reversed(trace.steps):
        own = not others.intersection(step.outputs)
        if own and (_is(step, multiply) or _is(step, negative)):
            (out,) = step.outputs
            if _factor(step) is not None and bytes_of(out.type) >= LARGE:
                found.add(out)
        if not is_large_product(step) and not (own and _is(step, transpose)):
            others.update(a for a in step.inputs if isinstance(a, Var))
    return found


def _is(step: Step, op: Op) -> bool:
    return getattr(step, "op", None) is op


def _factor(step: Any) -> tuple[float, Atom] | None:
    """The factor of a multiple, a power of two or one with a minus, and of what it is one."""
    if step.op is negative:
        return -1.0, step.inputs[0]
    for number, other in (step.inputs, step.inputs[::-1]):
        if not isinstance(number, Const) or number.shape or number.dtype.kind not in "iuf":
            continue
        value = float(number.value)
        mantissa, exponent = math.frexp(value)
        if abs(mantissa) == 0.5 and abs(exponent) <= FURTHEST and other.type == step.outputs[0].type:
            return value, other
    return None


def _without_factor(a: Atom, made: Made, multiples: Collection[Var]) -> tuple[float, Any]:
    maker = made.get(a) if isinstance(a, Var) else None
    if maker is not None and maker.op is transpose:
        factor, source = _without_factor(maker.inputs[0], made, multiples)
        return factor, a if factor == 1.0 else expression(transpose, source, **maker.params)
    found = _factor(maker) if maker is not None and a in multiples else None
    if found is None:
        return 1.0, a
    factor, source = _without_factor(found[1], made, multiples)
    return factor * found[0], source


def _times(x: Any, factor: float, step: Any) -> Term:
    return expression(multiply, x, Const(np.asarray(factor, step.outputs[0].dtype)[()]))


def _multiple(a: Atom, made: Made, counts: Counter[Var]) -> tuple[float, Atom] | None:
    """The factor and the product of a multiple of a large product that is read once."""
    maker = made.get(a) if isinstance(a, Var) and counts[a] == 1 else None
    found = _factor(maker) if maker is not None and maker.op is multiply else None
    if found is None or not isinstance(found[1], Var) or counts[found[1]] != 1:
        return None
    return found if is_large_product(made.get(found[1])) else None


def _factor_of_multiple(step: Any, made: Made, counts: Counter[Var]) -> Term | None:
    """(c * (x @ y)) * d -> (c * d) * (x @ y)"""
    own = _factor(step)
    inner = None if own is None else _multiple(own[1], made, counts)
    return None if own is None or inner is None else _times(inner[1], own[0] * inner[0], step)


def _sum_of_multiples(step: Any, made: Made, counts: Counter[Var]) -> Term | None:
    """c * (x @ y) + c * (u @ v) -> c * (x @ y + u @ v)"""
    first, second = (_multiple(a, made, counts) for a in step.inputs)
    if first is None or second is None or first[0] != second[0]:
        return None
    return _times(expression(add, first[1], second[1]), first[0], step)
