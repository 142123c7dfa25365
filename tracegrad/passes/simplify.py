"""The table of algebraic rules: one a line, each makes the trace smaller or more canonical, never the reverse.

A trace goes in, one that computes the same with fewer steps comes out; the last digit may differ. Begin with
`EXACT` and `ALGEBRA`, then see `structure.py` for rules about shapes and items. `rewrite` sees to it that no rule
changes a shape or a dtype, so `x + 0` is `x` only where nothing is broadcast or promoted. `x * 0` is not 0, and `x - x`
is not either: NaN and inf would be lost. `0 - x` is not `-x`: 1 divided by it would have another sign at 0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

from tracegrad.ir.close import substitute, substituted
from tracegrad.ir.trace import Atom, Const, Guard, Instr, Step, Trace, Var
from tracegrad.ir.walk import has_control, map_nested
from tracegrad.ops.arithmetic import add, divide, multiply, positive_, subtract
from tracegrad.ops.compare import logical_not, where
from tracegrad.ops.families import broadcast_to
from tracegrad.ops.op import Op
from tracegrad.passes.arms import condition_known
from tracegrad.passes.items import ITEMS
from tracegrad.passes.rewrite import (
    Heads,
    Rule,
    Term,
    anything,
    exact,
    expression,
    inexact,
    may_match,
    number,
    once,
    pattern_rules,
    place_all,
    rewrite,
    same_constant,
    strong,
    whole,
)
from tracegrad.passes.structure import FAMILIES, ROUNDING, STRUCTURE

_FAR = 2**31


def simplify(trace: Trace) -> Trace:
    """Apply the rules to every step of the trace and of the traces it holds.

    Constants and unchanging carried values first move into loops and branches, so that rules can use them there.
    Preserves the types and values of outputs up to the last digit, and all guards.
    """
    return rewrite(_settle_control(trace, simplify), _rules_for)


def simplify_exactly(trace: Trace) -> Trace:
    """As `simplify`, without the rules that round in another way: for what the native text alone is made of."""
    return rewrite(_settle_control(trace, simplify_exactly), _exact_rules_for)


# --- algebra: pattern, what is written instead ------------------------------------------------------------------------

x, y = anything("x"), anything("y")
u, v = inexact("u"), inexact("v")
c, d = number("c"), number("d")
n = whole("n")


def _joined(op: Op, outer: Callable[..., Term]) -> Callable[..., Term | None]:
    """Two constants become one, where that is exact: `outer(op(c, d), u)`."""

    def right(c: Const, d: Const, u: Var) -> Term | None:
        joined = exact(op, c, d)
        return None if joined is None else outer(joined, u)

    return right


def _negated(c: Const, u: Var) -> Term | None:
    joined = exact(multiply, c, Const(-1))
    return None if joined is None else expression(multiply, joined, u)


def _other_sign(op: Op) -> Callable[..., Term | None]:
    """A negative constant in a sum turns the sum into a difference, and a difference into a sum: `op(x, -c * u)`."""

    def right(c: Const, u: Var, x: Atom) -> Term | None:
        term = _negated(c, u) if c.value < 0 else None
        return None if term is None else expression(op, x, term)

    return right


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


def _chosen(c: Const, x: Atom, y: Atom) -> Term | None:
    """where(True, x, y) -> x, in the dtype and the shape that both have together"""
    (type,) = where.result_types((c, x, y), {})
    chosen = x if c.value else y
    if isinstance(chosen, Const) and not chosen.shape:
        chosen = Const(type.dtype.type(chosen.value))
    if chosen.type.dtype != type.dtype:
        return None
    return chosen if chosen.shape == type.shape else expression(broadcast_to, chosen, shape=type.shape)


def _moved(op: Op, outer: Op = add) -> Callable[..., Term | None]:
    """An index that is moved twice is moved once: `outer(n, op(c, d))`, a difference where that is negative."""

    def right(c: Const, d: Const, n: Var) -> Term | None:
        joined = exact(op, c, d)
        if joined is None or abs(joined.value) > _FAR:
            return None
        if joined.value < 0:
            return expression(subtract if outer is add else add, n, Const(-joined.value))
        return expression(outer, n, joined)

    return right


EXACT: tuple[tuple[Any, Any], ...] = (
    (x + 0, x),
    (x - 0, x),
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
    (x + once(c * u), _other_sign(subtract)),
    (x - once(c * u), _other_sign(add)),
    (-once(x * once(c * u)), _negated_inside),
    (u + u, 2.0 * u),
    (where(x, y, y), y),
    (where(c, x, y), _chosen),
    (where(x, u, 0) + where(x, 0, v), where(x, u, v)),
    (logical_not(logical_not(x)), x),
    (c + (d + n), _moved(add)),
    (c + (n - d), _moved(subtract)),
    ((c + n) - d, _moved(subtract)),
    ((n - c) - d, _moved(add, subtract)),
)
"""Not a bit is another, but for the signs of zeros."""
ALGEBRA: tuple[tuple[Any, Any], ...] = (
    (x * (1 / u), x / u),
    (c * (d * u), _joined(multiply, lambda c, u: expression(multiply, c, u))),
    (d * once(x * once(c * u)), _joined_inside),
    (once(d * x) * once(c * u), _joined_inside),
    (d * once(u / c), _scaled_quotient),
    (d * once(x * once(u / c)), _scaled_inside),
    (once(c * u) / d, _joined(divide, lambda c, u: expression(multiply, c, u))),
    (once(x + u) + u, x + 2.0 * u),
    (once(x - u) - u, x - 2.0 * u),
    (c + (d + u), _joined(add, lambda c, u: expression(add, u, c))),
    (c + (u - d), _joined(subtract, lambda c, u: expression(add, u, c))),
    ((c + u) - d, _joined(subtract, lambda c, u: expression(add, u, c))),
    ((u - c) - d, _joined(add, lambda c, u: expression(subtract, u, c))),
    ((u / c) / d, _joined(multiply, lambda c, u: expression(divide, u, c))),
)
"""The last digit may be another: one rounding takes the place of two."""


_ALL = [rule for left, right in (*EXACT, *ALGEBRA) for rule in pattern_rules(left, right)]
_ALL_EXACT = [rule for left, right in EXACT for rule in pattern_rules(left, right)]


@lru_cache(maxsize=8192)
def _rules_for(op: Op, heads: Heads) -> tuple[Rule, ...]:
    """The rules that may apply to an op with such inputs: those of its family, algebra, structure."""
    return (
        *FAMILIES.get(op.family, ()),
        *_matching(_ALL, op, heads),
        *_of_tables(op, STRUCTURE, ROUNDING, ITEMS),
    )


@lru_cache(maxsize=8192)
def _exact_rules_for(op: Op, heads: Heads) -> tuple[Rule, ...]:
    return (
        *FAMILIES.get(op.family, ()),
        *_matching(_ALL_EXACT, op, heads),
        *_of_tables(op, STRUCTURE, ITEMS),
    )


def _matching(rules: Sequence[tuple[Op, Heads, Rule]], op: Op, heads: Heads) -> Iterator[Rule]:
    return (rule for of, wanted, rule in rules if of is op and may_match(wanted, heads))


def _of_tables(op: Op, *tables: Sequence[tuple[str, Rule]]) -> Iterator[Rule]:
    return (rule for table in tables for name, rule in table if name == op.name)


# --- loops and branches -----------------------------------------------------------------------------------------------


def _settle_control(trace: Trace, inside: Callable[[Trace], Trace]) -> Trace:
    """Nested traces simplified, constants and unchanging carried values moved into them; in one forward walk."""
    if not has_control(trace):
        return trace
    stands: dict[Var, Atom] = {}
    steps: list[Step] = []
    for step in trace.steps:
        step = substitute(step, stands)
        if not isinstance(step, Guard) and step.op.family == "control":
            if step.op.name == "loop":
                step = _still_values_out(step, stands)
            else:
                step = condition_known(step)
            step = map_nested(_constants_in(step), inside)
            if step.op.name == "branch":
                step = _same_in_both_arms(step, stands)
        steps.append(step)
    if not stands and all(a is b for a, b in zip(steps, trace.steps, strict=True)):
        return trace
    outputs = tuple(substituted(a, stands) for a in trace.outputs)
    return replace(trace, steps=tuple(steps), outputs=outputs)


def _constants_in(step: Instr) -> Instr:
    """Operands of a branch and invariants of a loop that are constants become constants of the nested traces."""
    shift = 0  # a loop's traces have the counter where it has its limit, an arm has nothing for the condition
    if step.op.name == "loop":
        first, end = 1 + step.params["carried"], len(step.inputs) - step.params["sliced"]
    else:
        first, end, shift = 1, len(step.inputs), 1
    still = {k: step.inputs[k] for k in range(first, end) if isinstance(step.inputs[k], Const)}
    if not still:
        return step

    def closed(inner: Trace) -> Trace:
        stands = {inner.inputs[k - shift]: strong(atom, atom.type) for k, atom in still.items()}
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
    still = [k for k in range(n) if body.outputs[k] is body.inputs[1 + k] and k != params["stop"]]
    if not still:
        return step
    for k in still:
        stands[step.outputs[1 + k]] = strong(step.inputs[1 + k], step.outputs[1 + k].type)
    moving = [k for k in range(n) if k not in still]

    def moved(items: Sequence[Any]) -> tuple[Any, ...]:
        """The first, carried values and invariants in their new order, what follows them."""
        first, *rest = items
        return (first, *(rest[k] for k in moving), *(rest[k] for k in still), *rest[n:])

    def kept(items: Sequence[Any]) -> tuple[Any, ...]:
        return tuple(items[k] for k in moving)

    if params["condition"] is not None:
        params["condition"] = replace(params["condition"], inputs=moved(params["condition"].inputs))
    params["body"] = replace(
        body, inputs=moved(body.inputs), outputs=(*kept(body.outputs), *body.outputs[n:])
    )
    params["carried"], params["names"] = len(moving), kept(params["names"])
    if params["stop"] is not None:
        params["stop"] = moving.index(params["stop"])
    inputs = moved(step.inputs)
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
