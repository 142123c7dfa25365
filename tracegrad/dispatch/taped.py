"""A call answered on the tape: the user's function runs, and its own steps are pulled back at once.

For calls that no program will be made of. Nothing is kept between calls, and none of the passes runs. Begin with
`taped_gradient`; where the run was captured before that was known, `answered_once` does the same over its trace.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tracegrad.ad.activity import active_variables
from tracegrad.ad.evaluate import Evaluated, Evaluator, in_type
from tracegrad.ad.reverse import pull_back
from tracegrad.dispatch.build import FITS, Built
from tracegrad.dispatch.signature import Call
from tracegrad.dispatch.tree import Path
from tracegrad.ir.trace import Const, Instr, Trace, Var
from tracegrad.ir.walk import has_control
from tracegrad.record.past import end
from tracegrad.tensor.capture import Taped, run_taped
from tracegrad.tensor.captured import Captured
from tracegrad.tensor.reads import Read

Seeds = Callable[[Captured], Sequence[int]]


def taped_gradient(
    function: Callable[..., Any], call: Call, name: str, seeds: Seeds
) -> tuple[Captured, list[Any]]:
    """The results, and values and gradients flat, as a program gives them.

    Parameters
    ----------
    function : the user's
    call : Call
    name : what the function is called
    seeds : callable
        From the results to the places of the differentiated ones; none for a value alone.

    Raises
    ------
    NotOnTape : the run needs a trace
    NotScalarError : a gradient is asked of a result that is not one real number
    """
    taped = run_taped(function, call.leaves, call.rebuild, name)
    captured = taped.captured
    try:
        seeded = seeds(captured)
        return captured, [*captured.values, *(_gradients(taped, call, seeded) if seeded else ())]
    finally:
        end(taped.tape)


def answered_once(
    captured: Captured,
    call: Call,
    mode: str,
    places: Sequence[int],
    seeded: Sequence[int],
    memory: int | None,
) -> tuple[Path, list[Any], Exception | None]:
    """One capture's own derivative, step by step: no slower than define-by-run.

    Where a pass fails, the derivative is what the calculus writes, without passes, and the error is returned.

    Returns
    -------
    path : Path that is in no tree
    flat : list, what its program would give
    error : Exception or None

    Raises
    ------
    What the steps raise, with the user's line.
    """

    def once(passes: str) -> Path:
        return Path(captured, lambda c: Built(mode, c.trace, places, seeded, passes, memory))

    path = once("few")
    values = [leaf.value for leaf in call.leaves]
    inputs = [
        values[s] if isinstance(s, int) else s.found if isinstance(s, Read) else s for s in captured.sources
    ]
    path.fill(inputs, captured.drawn)
    inputs.extend(call.tangents)
    found = replayed(captured.trace, inputs, places, seeded) if mode == "gradient" else None
    if found is not None:
        return path, [FITS, *found], None
    try:
        return path, path.built.interpreted(inputs), None
    except Exception as error:
        failed = error
    path = once("none")
    return path, path.built.interpreted(inputs), failed


def _gradients(taped: Taped, call: Call, seeded: Sequence[int]) -> list[Any]:
    outputs = taped.captured.trace.outputs
    cotangents = {
        atom: np.ones(atom.shape, atom.dtype)[()]
        for atom in (outputs[i] for i in seeded)
        if not isinstance(atom, Const)
    }
    wanted = [taped.inputs[place] for _, places in call.groups for place in places]
    with np.errstate(all="ignore"):
        return taped.tape.pulled_back(cotangents, wanted)


def replayed(
    trace: Trace, inputs: Sequence[Any], wrt: Sequence[int], seeded: Sequence[int]
) -> list[Any] | None:
    """Values and gradients of a straight trace, step by step; None for one with loops or branches.

    Parameters
    ----------
    trace : Trace, on inputs for which its guards hold
    inputs : sequence, values of the trace's inputs
    wrt : places of the differentiated inputs
    seeded : places of the differentiated outputs
    """
    if has_control(trace):
        return None
    evaluator = Evaluator()
    values = {v: Evaluated(x, evaluator) for v, x in zip(trace.inputs, inputs, strict=True)}
    with np.errstate(all="ignore"):
        for step in trace.steps:
            if isinstance(step, Instr):
                given = [values[a].value if isinstance(a, Var) else a.value for a in step.inputs]
                found = step.op.evaluate(*given, **step.params)
                results = (found,) if step.op.n_outputs == 1 else found
                values.update(
                    (v, Evaluated(x, evaluator)) for v, x in zip(step.outputs, results, strict=True)
                )
        outputs = [values[a].value if isinstance(a, Var) else a.value for a in trace.outputs]
        wanted = [trace.inputs[i] for i in wrt]
        ones = [a for a in (trace.outputs[i] for i in seeded) if isinstance(a, Var)]
        seeds = {v: Evaluated(np.ones(v.shape, v.dtype)[()], evaluator) for v in ones}
        bars = pull_back(trace.steps, values, seeds, evaluator, active_variables(trace, wanted))
        return [*outputs, *(in_type(bars.get(v), v) for v in wanted)]
