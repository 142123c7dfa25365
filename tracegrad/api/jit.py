"""jit: the function itself as a compiled program, without its derivative."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tracegrad.api import solving  # noqa: F401 - the wire has to be there before the first capture
from tracegrad.dispatch.dispatcher import Dispatcher


def jit(function: Callable[..., Any] | None = None, *, jit: str | None = None) -> Any:
    """Trace and compile a function of plain NumPy code.

    Parameters
    ----------
    function : callable, optional
        Left out, `jit` is a decorator with options.
    jit : "auto", "native" or "python", optional
        When to compile; default `tracegrad.config.jit`.

    Returns
    -------
    callable
        With the arguments and results of `function`. Inside a function that is differentiated it is part of it.
    """

    def transform(f: Callable[..., Any]) -> Any:
        if isinstance(f, (staticmethod, classmethod)):
            return type(f)(transform(f.__func__))
        return Dispatcher(f, "value", jit=jit, label="jit")

    return transform if function is None else transform(function)
