"""Branch: `branch(condition, *operands)` runs one of two arms, each a closed trace.

Its derivative is a branch on the same condition, whose arms are the derivatives of the arms; an arm's primal steps are
repeated there. So the sweep differentiates its own result, to any order.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tracegrad.ad.blocks import inline, name_of, pull, typed, write, zero_of
from tracegrad.ad.forward import push_forward
from tracegrad.ir.interpret import interpret
from tracegrad.ir.trace import Var
from tracegrad.ir.types import ArrayType
from tracegrad.ir.walk import without_guards
from tracegrad.ops.op import Op
from tracegrad.ops.symbol import Builder


def _evaluate_branch(condition: Any, *operands: Any, arms: Any, names: Any) -> Any:
    results = interpret(arms[0] if bool(condition) else arms[1], operands)
    return results[0] if len(results) == 1 else results


def _branch_types(condition: Any, *operands: Any, arms: Any, names: Any) -> tuple[ArrayType, ...]:
    arm = arms[0] or arms[1]
    return tuple(atom.type for atom in arm.outputs)


def _branch_vjp(
    g: Sequence[Any], z: Any, condition: Any, *operands: Any, active: Sequence[bool], arms: Any, names: Any
) -> tuple[Any, ...]:
    outer: Builder = condition.recorder
    cotangents = [x for x in g if x is not None]
    pulled = []
    for arm in arms:
        builder = Builder(outer.level + 1)
        inputs = [builder.input(v.type, v.name) for v in arm.inputs]
        bars = [None if x is None else builder.input(x.type, name_of(x)) for x in g]
        values = inline(builder, arm, inputs, guards=True)
        found = pull(
            builder, arm, values, bars, [a for a, flag in zip(arm.inputs, active[1:], strict=True) if flag]
        )
        pulled.append(
            (builder, inputs, [b for b in bars if b is not None], [found.get(v) for v in arm.inputs])
        )
    wanted = [i for i in range(len(operands)) if any(bars[i] is not None for *_, bars in pulled)]
    if not wanted:
        return (None,) * (1 + len(operands))
    arms_bar = tuple(
        without_guards(
            builder.trace(
                [*inputs, *bars],
                [
                    zero_of(builder, operands[i].type)
                    if found[i] is None
                    else typed(found[i], operands[i].type)
                    for i in wanted
                ],
            )
        )
        for builder, inputs, bars, found in pulled
    )
    bar_names = tuple(
        f"{name_of(operands[i]) or arms_bar[0].inputs[i].name or 'operand'}_bar" for i in wanted
    )
    results = write(
        outer, branch, [condition, *operands, *cotangents], {"arms": arms_bar, "names": bar_names}
    )
    bars_out: list[Any] = [None] * (1 + len(operands))
    for i, result in zip(wanted, results, strict=True):
        bars_out[1 + i] = result
    return tuple(bars_out)


def _branch_jvp(tangents: Any, z: Any, condition: Any, *operands: Any, arms: Any, names: Any) -> Any:
    outer: Builder = condition.recorder
    given = [t for t in tangents[1:] if t is not None]
    pushed = []
    for arm in arms:
        builder = Builder(outer.level + 1)
        inputs = [builder.input(v.type, v.name) for v in arm.inputs]
        dots = [None if t is None else builder.input(t.type, name_of(t)) for t in tangents[1:]]
        values = inline(builder, arm, inputs)
        found = push_forward(
            arm.steps, values, {v: d for v, d in zip(arm.inputs, dots, strict=True) if d is not None}, builder
        )
        pushed.append(
            (
                builder,
                [*inputs, *(d for d in dots if d is not None)],
                [found.get(a) if isinstance(a, Var) else None for a in arm.outputs],
            )
        )
    wanted = [i for i in range(len(names)) if any(dots[i] is not None for *_, dots in pushed)]
    results: list[Any] = [None] * len(names)
    if wanted:
        types = [a.type for a in arms[0].outputs]
        arms_dot = tuple(
            b.trace(
                ins, [zero_of(b, types[i]) if dots[i] is None else typed(dots[i], types[i]) for i in wanted]
            )
            for b, ins, dots in pushed
        )
        written = write(
            outer,
            branch,
            [condition, *operands, *given],
            {"arms": arms_dot, "names": tuple(f"{names[i]}_dot" for i in wanted)},
        )
        for i, result in zip(wanted, written, strict=True):
            results[i] = result
    return tuple(results)


branch: Op = Op(
    "branch",
    _evaluate_branch,
    result_type=_branch_types,
    vjp=_branch_vjp,
    jvp=_branch_jvp,
    n_outputs=-1,
    family="control",
)
