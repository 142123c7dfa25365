"""The one forward sweep: tangents pushed forward beside executed steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tracegrad.errors import NotDifferentiableError
from tracegrad.ir.trace import Instr, Step, Var
from tracegrad.ops.symbol import Builder


def push_forward(
    steps: Sequence[Step], values: Mapping[Var, Any], tangents: Mapping[Var, Any], builder: Builder
) -> dict[Var, Any]:
    """Push tangents forward through executed steps.

    Parameters
    ----------
    steps : sequence of Instr and Guard, in execution order
    values : dict of Var to Symbol, the primal of every variable in `steps`
    tangents : dict of Var to Symbol, of the inputs; shape and dtype of their variable
    builder : Builder
        What the symbols write to.

    Returns
    -------
    dict of Var to Symbol, shape and dtype of the primal; absent means zero

    Raises
    ------
    NotDifferentiableError : an active path meets an op declared without a derivative

    References
    ----------
    Griewank and Walther, Evaluating Derivatives, 2nd ed., SIAM 2008, section 3.1.
    """
    dots: dict[Var, Any] = dict(tangents)

    def value(atom: Any) -> Any:
        return values[atom] if isinstance(atom, Var) else builder.symbol(atom)

    for step in steps:
        if not isinstance(step, Instr) or step.op.passes_zero:
            continue
        given = [dots.get(a) if isinstance(a, Var) else None for a in step.inputs]
        if all(dot is None for dot in given) or not any(v.type.is_inexact for v in step.outputs):
            continue
        if step.op.jvp is None:
            raise step.op.refuse(step.location)
        builder.location = step.location
        inputs = [value(a) for a in step.inputs]
        z = [values[v] for v in step.outputs]
        single = step.op.n_outputs == 1
        try:
            found = step.op.jvp(tuple(given), z[0] if single else tuple(z), *inputs, **step.params)
        except NotDifferentiableError as error:  # an argument of the op has no derivative
            error.where = error.where or step.location
            raise
        for variable, dot in zip(step.outputs, (found,) if single else found, strict=True):
            if dot is not None and variable.type.is_inexact:
                dots[variable] = dot
                if variable.name and isinstance(dot.atom, Var) and dot.atom.name is None:
                    dot.atom.name = f"{variable.name}_dot"
    builder.location = None
    return dots
