"""Functions that are recorded once and run from the record: `const_graph`."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from tracegrad.api.jit import jit


def const_graph(function: Callable[..., Any], *args: Any, **keywords: Any) -> Any:
    """The function of the arguments that are still missing, as a compiled program: `jit` of a partial."""
    return jit(functools.partial(function, *args, **keywords) if args or keywords else function)
