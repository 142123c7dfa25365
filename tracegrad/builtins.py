"""Python's own types under the names HIPS autograd has for them: they know what a recorded value stands for."""

from __future__ import annotations

from builtins import dict, isinstance, list, tuple, type  # noqa: UP029 - for `from tracegrad.builtins import list`

__all__ = ["dict", "isinstance", "list", "tuple", "type"]
