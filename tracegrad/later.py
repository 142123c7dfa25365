"""Files of ours that are imported when something of them is first used: one way to say so, beside a plain import.

A process that finds its programs on disk needs nothing that captures, differentiates or emits, and these rooms take
longer to import than NumPy. Where a file names one of them and may do without, it says

    if TYPE_CHECKING:
        from tracegrad.passes import pipeline
    else:
        pipeline = later("tracegrad.passes.pipeline")

and goes on with `pipeline.plan_value(...)`. The house counts that as the import that it is.
"""

from __future__ import annotations

import importlib
from typing import Any


class _Later:
    """Stands for a module until something of it is asked for."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> Any:
        return getattr(importlib.import_module(self._name), name)


def later(name: str) -> Any:
    """The module of this name, imported when something of it is first used."""
    return _Later(name)
