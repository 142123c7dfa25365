"""A trace as plain data, and back: its text, and the arrays that stand in it.

In: a trace. Out: texts and numbers. Reading one needs every op there is, so this is loaded when somebody asks for the
trace of a program that was kept: to look at it, or because another arm is to join it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tracegrad.ad import branch, loop  # noqa: F401 - ops as well
from tracegrad.dispatch.fingerprints import Unstorable
from tracegrad.dispatch.plain_data import Data, array_as_data, array_from
from tracegrad.ir.text import parse, text
from tracegrad.ir.trace import Instr, Trace
from tracegrad.ir.walk import all_steps
from tracegrad.ops import functions  # noqa: F401 - all the others
from tracegrad.ops.index import Slot
from tracegrad.ops.op import REGISTRY


def trace_as_data(trace: Trace) -> Data:
    """All of a trace.

    Raises
    ------
    Unstorable : another process cannot find what it calls
    """
    if any(isinstance(step, Instr) and step.op.family == "called" for step in all_steps(trace)):
        raise Unstorable("a primitive, which only this process has")
    arrays: list[np.ndarray[Any, Any]] = []
    written = text(trace, True, arrays)
    return [written, [array_as_data(a) for a in arrays]]


def trace_from(data: Data) -> Trace:
    """The trace."""
    written, arrays = data
    return parse(written, REGISTRY, (Slot,), [array_from(a) for a in arrays])
