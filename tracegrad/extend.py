"""Derivatives of one's own: `from tracegrad.extend import primitive, defvjp`."""

from __future__ import annotations

from tracegrad.api.extend import (
    def_linear,
    defjvp,
    defjvp_argnum,
    defjvp_argnums,
    defvjp,
    defvjp_argnum,
    defvjp_argnums,
    notrace_primitive,
    primitive,
)
from tracegrad.api.spaces import VSpace, vspace
from tracegrad.tensor.boxes import Box

__all__ = [
    "Box",
    "VSpace",
    "def_linear",
    "defjvp",
    "defjvp_argnum",
    "defjvp_argnums",
    "defvjp",
    "defvjp_argnum",
    "defvjp_argnums",
    "notrace_primitive",
    "primitive",
    "vspace",
]
