"""How functions are declared under SciPy's signatures.

`SCIPY_FORMS` maps their full names to ours; the files `scipy_*.py` fill it. Begin with `under`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tracegrad.ops.numpy_forms import answers

SCIPY_FORMS: dict[str, Callable[..., Any]] = {}


def under(*names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Declare the decorated function as what SciPy's functions of these names are when an argument is traced."""

    def decorate(ours: Callable[..., Any]) -> Callable[..., Any]:
        for name in names:
            SCIPY_FORMS[name] = answers(name=name)(ours)
        return SCIPY_FORMS[names[-1]]

    return decorate
