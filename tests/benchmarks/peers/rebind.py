"""The same source run by another library: a copy of a function that sees other globals."""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType
from typing import Any


def rebind(function: Callable[..., Any], **names: Any) -> Callable[..., Any]:
    """`function`, and the functions of its module, with `names` in place of its own globals."""
    own = function.__globals__
    scope = {**own, **names}
    for name, value in own.items():
        if isinstance(value, FunctionType) and value.__globals__ is own and name not in names:
            scope[name] = FunctionType(value.__code__, scope, name, value.__defaults__)
    return scope[function.__name__]
