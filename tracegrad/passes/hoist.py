"""Loop-invariant code motion: what a loop computes anew at each step of what it does not change, computed before it.

    for ...:                            m = q @ q.T
        p = a @ p @ a.T + q @ q.T   ->  for ...:
                                            p = a @ p @ a.T + m

The reverse of such a loop then sums the cotangents of `m`, and pulls them back once. Only steps that cost more than
their results do to be read move, with the steps these need, and only out of loops that make a step whatever comes:
otherwise one might raise, or pull a zero back through an infinite slope, that is not there. A trace comes in, and one
of the same values goes out. Begin with `hoist`.

Aho, Lam, Sethi, Ullman, "Compilers", 2nd ed., 9.1.
"""

from __future__ import annotations

from dataclasses import replace

from tracegrad.ad.blocks import Loop, with_invariants
from tracegrad.ad.work import bytes_of, work
from tracegrad.ir.close import substituted
from tracegrad.ir.trace import Atom, Const, Instr, Step, Trace, Var
from tracegrad.ir.walk import has_control, map_control

_FUNCTION = 150  # work for each byte of the result: exp, sin, x**y
_SUM = 8  # sums, of so many terms that they cost more than to read an array
_SUMMING = "prod norm var std logsumexp cumprod einsum"
_SOLVING = "cholesky det eig eigh expm inv pinv qr slogdet solve solve_lower solve_upper sqrtm svd"
_GENERAL = frozenset(f"{_SUMMING} {_SOLVING}".split())
_TURNING = "transpose reshape expand_dims broadcast_to astype flip diag diagonal tril triu getitem"
_MOVING = frozenset(_TURNING.split())


def hoist(trace: Trace) -> Trace:
    """Compute before each loop what costs much and is the same at each of its steps."""
    if not has_control(trace):
        return trace
    trace = map_control(trace, hoist)
    steps: list[Step] = []
    for step in trace.steps:
        if isinstance(step, Instr) and step.op.name == "loop" and _makes_a_step(step):
            steps.extend(_apart(step))
        else:
            steps.append(step)
    return trace if len(steps) == len(trace.steps) else replace(trace, steps=tuple(steps))


def _makes_a_step(loop: Instr) -> bool:
    limit = loop.inputs[0]
    return loop.params["condition"] is None and isinstance(limit, Const) and int(limit.value) > 0


def _apart(loop: Instr) -> tuple[Instr, ...]:
    """The steps that leave a loop, and the loop without them."""
    moved = _invariant(loop)
    if not moved:
        return (loop,)
    body = loop.params["body"]
    stands: dict[Var, Atom] = dict(zip(body.inputs, loop.inputs, strict=True))
    before: list[Instr] = []
    for step in moved:
        fresh = {v: Var(v.type, v.name or _said(step)) for v in step.outputs}
        inputs = tuple(substituted(a, stands) for a in step.inputs)
        before.append(replace(step, inputs=inputs, outputs=tuple(fresh.values())))
        stands.update(fresh)
    gone = set(moved)
    left = tuple(step for step in body.steps if step not in gone)
    read = {a for step in left for a in step.inputs}.union(body.outputs)
    inside = [v for step in moved for v in step.outputs if v in read]
    loop = replace(loop, params={**loop.params, "body": replace(body, steps=left)})
    return *before, with_invariants(loop, inside, [stands[v] for v in inside])


def _said(step: Instr) -> str | None:
    """`sin_x`: a name for what a function makes of one named value, after which its cotangent is named too."""
    (first, *others) = step.inputs
    return f"{step.op.name}_{first.name}" if not others and isinstance(first, Var) and first.name else None


def _invariant(loop: Instr) -> list[Instr]:
    """The steps of its body that are the same at each step and worth it, and those that they need."""
    body = loop.params["body"]
    same = set(Loop.of(body.inputs, loop.params).invariants)
    able: dict[Var, Instr] = {}
    for step in body.steps:
        if isinstance(step, Instr) and _may_leave(step) and _is_made_of(same, step):
            able.update(dict.fromkeys(step.outputs, step))
            same.update(step.outputs)
    wanted = {step for step in able.values() if _is_costly(step)}
    for step in reversed(able.values()):
        if step in wanted:
            wanted.update(able[a] for a in step.inputs if a in able)
    return [step for step in dict.fromkeys(able.values()) if step in wanted]


def _is_made_of(same: set[Var], step: Instr) -> bool:
    """Whether a step reads some values, and constants, alone."""
    read = [a for a in step.inputs if isinstance(a, Var)]
    return bool(read) and same.issuperset(read)


def _may_leave(step: Instr) -> bool:
    """Whether it is a function of its inputs, none of which runs the user's code, with results of known shape."""
    if any(-1 in a.type.shape for a in (*step.inputs, *step.outputs)):
        return False
    alone = step.op.name == "getitem" and len(step.inputs) == 1
    return alone or step.op.family in ("elementwise", "linear", "bilinear") or step.op.name in _GENERAL


def _is_costly(step: Instr) -> bool:
    if step.op.name in _MOVING:
        return False
    least = _FUNCTION if step.op.family == "elementwise" else _SUM
    return work(step) >= least * max(1, sum(bytes_of(v.type) for v in step.outputs))
