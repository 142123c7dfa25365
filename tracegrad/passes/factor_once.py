"""Matrices that several steps solve, invert or take the determinant of: their factors are found once.

    z = solve(a, b); g = solve(transpose(a), z)
    ->  f, p = factors(a); z = solution_by_factors(f, p, b); g = solution_by_factors(f, p, z, across=True)

A matrix that a loop reads in each step and does not change has its factors before the loop: finding them raises
nothing, so that where a matrix is singular the step raises that raised before, or none where no step is made. A
Cholesky factor needs no factors: solutions with it are triangular. Triangles are read where they stand, in the whole
matrix, transposed or not. A pseudoinverse is made of the singular vectors where those are wanted as well, as `lstsq`
wants the singular values. For the native text: a trace comes in, and one of the same values up to rounding goes out.
Begin with `factor_once`.
"""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from tracegrad.ad.blocks import Loop, with_invariants
from tracegrad.ir.trace import Atom, Const, Instr, Step, Trace, Var
from tracegrad.ir.walk import map_nested
from tracegrad.ops.decompositions import pinv, svd
from tracegrad.ops.determinants import adjugate, det
from tracegrad.ops.factored import (
    adjugate_by_factors,
    det_by_factors,
    factors,
    inverse_by_factors,
    pinv_by_vectors,
    slogdet_by_factors,
    solution_by_factors,
    solution_by_triangle,
)
from tracegrad.ops.linalg import cholesky, inv, slogdet, solve, solve_lower, solve_upper
from tracegrad.ops.op import Op
from tracegrad.ops.shape import transpose, tril, triu
from tracegrad.passes.cse import share

_BY_FACTORS = {
    solve: solution_by_factors,
    inv: inverse_by_factors,
    det: det_by_factors,
    slogdet: slogdet_by_factors,
    adjugate: adjugate_by_factors,
}


def factor_once(trace: Trace) -> Trace:
    """Find the factors of each matrix once, in the trace and, unless a loop keeps it, separately in each it holds."""
    return _factored(trace, ())


def _factored(trace: Trace, kept: Collection[Var]) -> Trace:
    """The trace with factors, also of matrices that are read once, if they are `kept` by a loop around it."""
    trace = _inverted_by_vectors(_solved_by_triangles(_before_loops(trace)))
    made: dict[Var, Instr] = {}
    counts: Counter[Atom] = Counter(kept)
    for step in trace.steps:
        if isinstance(step, Instr):
            made.update(dict.fromkeys(step.outputs, step))
            if step.op is factors or _has_factors(step):
                counts[_upright(step.inputs[0], made)[0]] += 1
    if not counts or max(counts.values()) == 1:
        return trace
    found: dict[Atom, Instr] = {}
    steps: list[Step] = []
    for step in trace.steps:
        if isinstance(step, Instr) and _has_factors(step):
            matrix, is_turned = _upright(step.inputs[0], made)
            if counts[matrix] > 1:
                if matrix not in found:
                    found[matrix] = _step(factors, (matrix,), step)
                    steps.append(found[matrix])
                steps.extend(_by_factors(step, found[matrix], is_turned))
                continue
        elif isinstance(step, Instr) and step.op is factors:
            found.setdefault(step.inputs[0], step)
        steps.append(step)
    return share(replace(trace, steps=tuple(steps)))


def _before_loops(trace: Trace) -> Trace:
    """The trace with factors in the traces it holds; those of what a loop does not change stand before the loop."""
    steps: list[Step] = []
    for step in trace.steps:
        if isinstance(step, Instr) and step.op.name == "loop":
            steps.extend(_with_factors_before(step))
        elif isinstance(step, Instr) and step.op.family == "control":
            steps.append(map_nested(step, factor_once))
        else:
            steps.append(step)
    return _with_steps(trace, steps)


def _with_factors_before(loop: Instr) -> tuple[Instr, ...]:
    """The loop, and before it the factors of the matrices that its body is given anew at each step."""
    params = loop.params
    pairs = zip(*(Loop.of(x.inputs, params).invariants for x in (params["body"], loop)), strict=True)
    given = {inside: outside for inside, outside in pairs if isinstance(outside, Var)}
    body = _factored(params["body"], tuple(given))
    test = params["condition"] and factor_once(params["condition"])
    moved = [s for s in body.steps if isinstance(s, Instr) and s.op is factors and s.inputs[0] in given]
    if body is params["body"] and test is params["condition"]:
        return (loop,)
    before = tuple(_step(factors, (given[s.inputs[0]],), s) for s in moved)
    body = _with_steps(body, [s for s in body.steps if s not in moved])
    loop = replace(loop, params={**params, "body": body, "condition": test})
    inside, outside = ([v for s in steps for v in s.outputs] for steps in (moved, before))
    return *before, with_invariants(loop, inside, outside)


def _solved_by_triangles(trace: Trace) -> Trace:
    """Solutions with triangles, and with Cholesky factors, of the matrices as they lie.

    solve_upper(transpose(tril(a)), b)  ->  solution_by_triangle(a, b, is_lower=True, across=True)
    """
    made: dict[Var, Instr] = {}
    steps: list[Step] = []
    for step in trace.steps:
        if isinstance(step, Instr):
            if (found := _triangle(step, made)) is not None:
                matrix, is_lower, across = found
                params = {"is_lower": is_lower, "across": across}
                inputs = (matrix, step.inputs[1])
                step = replace(step, op=solution_by_triangle, inputs=inputs, params=params)
            made.update(dict.fromkeys(step.outputs, step))
        steps.append(step)
    return _with_steps(trace, steps)


def _triangle(step: Instr, made: Mapping[Var, Instr]) -> tuple[Atom, bool, bool] | None:
    """The matrix of which a step reads one triangle, whether that is the lower one, and whether it is transposed."""
    if step.op not in (solve, solve_lower, solve_upper) or not _is_native(step):
        return None
    matrix, is_turned = _upright(step.inputs[0], made)
    if step.op is solve:
        is_root = isinstance(matrix, Var) and matrix in made and made[matrix].op is cholesky
        return (matrix, True, is_turned) if is_root else None
    is_lower = (step.op is solve_lower) != is_turned
    while isinstance(matrix, Var) and (maker := made.get(matrix)) is not None:
        if (
            maker.op is not (tril if is_lower else triu)
            or maker.params["k"]
            or isinstance(maker.inputs[0], Const)
        ):
            break
        matrix, turned = _upright(maker.inputs[0], made)
        is_lower, is_turned = is_lower != turned, is_turned != turned
    return matrix, is_lower, is_turned


def _with_steps(trace: Trace, steps: Sequence[Step]) -> Trace:
    """The trace with other steps; itself, if these are its own."""
    unchanged = len(steps) == len(trace.steps) and all(map(operator.is_, steps, trace.steps))
    return trace if unchanged else replace(trace, steps=tuple(steps))


def _inverted_by_vectors(trace: Trace) -> Trace:
    """pinv(a); u, s, vh = svd(a)  ->  u, s, vh = svd(a); pinv_by_vectors(u, s, vh)"""
    wanted = {step.inputs[0] for step in trace.steps if isinstance(step, Instr) and step.op is svd}
    steps: list[Step] = []
    for step in trace.steps:
        if isinstance(step, Instr) and step.op is pinv and step.inputs[0] in wanted and step.op.native(step):
            vectors = _step(svd, step.inputs, step)
            step = replace(step, op=pinv_by_vectors, inputs=vectors.outputs)
            steps.append(vectors)
        steps.append(step)
    return trace if len(steps) == len(trace.steps) else share(replace(trace, steps=tuple(steps)))


def _has_factors(step: Instr) -> bool:
    """Whether a step is computed by LAPACK of the factors of a matrix, or of a stack of them."""
    return step.op in _BY_FACTORS and _is_native(step)


def _is_native(step: Instr) -> bool:
    """Whether a step is computed by LAPACK or BLAS."""
    is_known = not any(isinstance(a, Const) or -1 in a.shape for a in step.inputs)
    return is_known and isinstance(step.op.native(step), tuple)


def _upright(matrix: Atom, made: Mapping[Var, Instr]) -> tuple[Atom, bool]:
    """What was transposed an even or, then True, an odd number of times."""
    is_turned = False
    while isinstance(matrix, Var) and (maker := made.get(matrix)) is not None and _turns(maker):
        (matrix,), is_turned = maker.inputs, not is_turned
    return matrix, is_turned


def _turns(step: Instr) -> bool:
    return step.op is transpose and step.params["axes"] == _turned_axes(step.inputs[0])


def _turned_axes(x: Atom) -> tuple[int, ...]:
    *lead, rows, columns = range(x.type.ndim)
    return (*lead, columns, rows)


def _by_factors(step: Instr, of: Instr, across: bool) -> tuple[Instr, ...]:
    """A step by the factors of its matrix or, `across`, of the transposed one."""
    op, rest = _BY_FACTORS[step.op], step.inputs[1:]
    if step.op is solve:
        return (replace(step, op=op, inputs=(*of.outputs, *rest), params={"across": across}),)
    inputs = (*of.outputs, *of.inputs) if step.op is adjugate else of.outputs
    if step.op not in (inv, adjugate) or not across:
        return (replace(step, op=op, inputs=inputs),)
    inner = _step(op, inputs, step)
    return inner, replace(
        step, op=transpose, inputs=inner.outputs, params={"axes": _turned_axes(inner.outputs[0])}
    )


def _step(op: Op, inputs: tuple[Atom, ...], of: Instr) -> Instr:
    """A step that another needs, of the same line."""
    types = op.result_type(*inputs)
    outputs = tuple(Var(t) for t in (types if isinstance(types, tuple) else (types,)))
    return Instr(op, inputs, outputs, {}, of.location)
