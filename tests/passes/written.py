"""Traces written down in tests, and read: `parse` with every op there is."""

from __future__ import annotations

import textwrap

import tracegrad.ad.branch
import tracegrad.ad.loop
import tracegrad.ops.linalg
import tracegrad.ops.reduce
import tracegrad.ops.shape  # noqa: F401 - the op tables fill on import
from tracegrad.ir.text import parse, text
from tracegrad.ir.trace import Trace
from tracegrad.ir.verify import verify
from tracegrad.ops.index import Slot
from tracegrad.ops.op import REGISTRY

LINE = "trace(x: f8[], y: f8[], v: f8[3], w: f8[3], m: f8[2,3], h: f4[3], k: i8[], p: b1[]):"
"""The head of a trace with inputs of every kind that short tests need."""


def read(written: str) -> Trace:
    """The trace of a text, which keeps the rules of a trace."""
    trace = parse(textwrap.dedent(written).strip("\n"), REGISTRY, (Slot,))
    verify(trace)
    return trace


def steps(written: str) -> Trace:
    """The trace with the inputs of `LINE` and these steps, parted by semicolons; the last part is what it returns."""
    *before, outputs = (part.strip() for part in written.split(";"))
    return read("\n".join([LINE, *(f"  {step}" for step in before), f"  return {outputs}"]))


def shown(trace: Trace) -> str:
    """The steps and results of a trace with the inputs of `LINE`, as `steps` takes them."""
    verify(trace)
    lines = [line.strip() for line in text(trace).splitlines()[1:]]
    return "; ".join(lines).replace("return ", "")
