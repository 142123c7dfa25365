"""What HIPS autograd has in `autograd.tracer` for programs: `getval`, `isbox`, primitives. Begin with `getval`."""

from __future__ import annotations

from typing import Any

from tracegrad.api.extend import notrace_primitive, primitive, stop_gradient
from tracegrad.tensor.boxes import Box

__all__ = ["Box", "getval", "isbox", "notrace_primitive", "primitive"]


def isbox(x: Any) -> bool:
    """Whether x is recorded, and a derivative passes through it."""
    return isinstance(x, Box)


def getval(x: Any) -> Any:
    """The value without its derivative; what is no box is returned as it is."""
    return stop_gradient(x)
