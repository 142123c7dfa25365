"""Whether eager tensors record what is done with them: `no_grad`, `enable_grad`, `set_grad_enabled`; and whether they
keep what a write replaces: `allow_mutation_on_saved_tensors`.

The modes belong to a thread. Begin with `is_grad_enabled`.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import Any, Self, TypeVar

F = TypeVar("F", bound=Callable[..., Any])


class _Mode(threading.local):
    enabled = True
    keeps = False


_mode = _Mode()


def is_grad_enabled() -> bool:
    """Whether operations on tensors that require a gradient are recorded in this thread."""
    return _mode.enabled


def keeps_overwritten() -> bool:
    """Whether a write first copies what a backward may still read, in this thread."""
    return _mode.keeps


class allow_mutation_on_saved_tensors:
    """Let values that a backward reads be overwritten: `with allow_mutation_on_saved_tensors(): ...`.

    A write then copies first what operations inside the block have read from that memory, so that programs which work
    in place all along, an elimination or a stencil, have the derivative of what they computed. Outside, such a backward
    raises `InPlaceError`, as in PyTorch.
    """

    def __enter__(self) -> None:
        self._before = _mode.keeps
        _mode.keeps = True

    def __exit__(self, *_: object) -> None:
        _mode.keeps = self._before


class _Switch:
    """Sets the mode for a `with` block, or for the calls of a decorated function; re-entrant."""

    _wanted = True

    def __init__(self) -> None:
        self._before: list[bool] = []

    def __enter__(self) -> Self:
        self._before.append(_mode.enabled)
        _mode.enabled = self._wanted
        return self

    def __exit__(self, *_: object) -> None:
        _mode.enabled = self._before.pop()

    def __call__(self, function: F) -> F:
        wanted = self._wanted

        @functools.wraps(function)
        def run(*args: Any, **kwargs: Any) -> Any:
            before, _mode.enabled = _mode.enabled, wanted
            try:
                return function(*args, **kwargs)
            finally:
                _mode.enabled = before

        return run  # type: ignore[return-value]


class no_grad(_Switch):
    """Do not record: `with no_grad(): ...`, `@no_grad()`, or `@no_grad`."""

    _wanted = False

    def __new__(cls, function: Callable[..., Any] | None = None) -> Any:
        made = super().__new__(cls)
        if function is None:
            return made
        _Switch.__init__(made)
        return made(function)


class enable_grad(no_grad):
    """Record, also inside `no_grad`."""

    _wanted = True


class set_grad_enabled(_Switch):
    """Record or not, from this line on; used with `with`, for the block alone; as a decorator, for the function."""

    def __init__(self, mode: bool) -> None:
        super().__init__()
        self._first = _mode.enabled
        self._wanted = _mode.enabled = bool(mode)

    def __enter__(self) -> Self:
        _mode.enabled = self._wanted
        return self

    def __exit__(self, *_: object) -> None:
        _mode.enabled = self._first

    def __call__(self, function: F) -> F:
        _mode.enabled = self._first
        return super().__call__(function)
