"""A call answered on the tape: the user's function runs, and its own steps are pulled back at once.

For calls that no program will be made of. Nothing is kept between calls, and none of the passes runs. Begin with
`taped_gradient`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tracegrad.dispatch.signature import Call
from tracegrad.ir.trace import Const
from tracegrad.tensor.capture import Captured, Taped, run_taped

Seeds = Callable[[Captured], Sequence[int]]


def taped_gradient(
    function: Callable[..., Any], call: Call, name: str, seeds: Seeds
) -> tuple[Captured, list[Any]]:
    """The results, and values and gradients flat, as a program gives them.

    Parameters
    ----------
    function, name : the user's function, and what it is called
    call : Call
    seeds : callable
        From the results to the places of the differentiated ones; none for a value alone.

    Raises
    ------
    NotOnTape : the run needs a trace
    NotScalarError : a gradient is asked of a result that is not one real number
    """
    taped = run_taped(function, call.leaves, call.rebuild, name)
    captured = taped.captured
    seeded = seeds(captured)
    return captured, [*captured.values, *(_gradients(taped, call, seeded) if seeded else ())]


def _gradients(taped: Taped, call: Call, seeded: Sequence[int]) -> list[Any]:
    outputs = taped.captured.trace.outputs
    cotangents = {
        atom: atom.dtype.type(1) for atom in (outputs[i] for i in seeded) if not isinstance(atom, Const)
    }
    wanted = [taped.inputs[place] for _, places in call.groups for place in places]
    with np.errstate(all="ignore"):
        return taped.tape.pulled_back(cotangents, wanted)
