"""What programs around derivatives need: vectors of nested values, optimisers, fixed points."""

from __future__ import annotations

from tracegrad.misc.flatten import flatten
from tracegrad.misc.tracers import const_graph

__all__ = ["const_graph", "flatten"]
