"""Nested values as one vector, and back: `vector, unflatten = flatten(params)`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tracegrad.tensor.captured import called
from tracegrad.tree import as_vector as flatten

__all__ = ["flatten", "flatten_func"]


def flatten_func(
    function: Callable[..., Any], example: Any
) -> tuple[Callable[..., Any], Callable[[Any], Any], Any]:
    """A function of a nested value, whose result is nested, as one from vector to vector; `unflatten`, the vector."""
    vector, unflatten = flatten(example)

    def flattened(x: Any, *args: Any) -> Any:
        return flatten(called(function, unflatten(x), *args))[0]

    return flattened, unflatten, vector
