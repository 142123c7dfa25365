"""Python functions as steps that are differentiated as any other: each derivative is a function again, and a step.

In: a function of arrays. Out: a `Called`, whose derivatives are found by a dispatcher, to any order. Begin with
`differentiable`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tracegrad.dispatch.dispatcher import Dispatcher
from tracegrad.errors import LeakError
from tracegrad.ir.location import Location
from tracegrad.ops.called import Called
from tracegrad.tensor.captured import suspended
from tracegrad.tensor.numpy_protocol import ArrayProtocol

Rule = Callable[..., Any]


def differentiable(name: str, function: Rule, where: Location | None) -> Called:
    def pull(k: int) -> Called:
        pulled = Dispatcher(function, "vjp", argnums=k, label="vjp")
        return differentiable(f"{name}_vjp_{k}", lambda g, z, *inputs: pulled(*inputs)[1](g), where)

    def push(k: int) -> Called:
        pushed = Dispatcher(function, "jvp", argnums=k, label="jvp")
        return differentiable(f"{name}_jvp_{k}", lambda t, z, *inputs: pushed(inputs, (t,))[1], where)

    return Called(name, aside(function, name, where), functools.cache(pull), functools.cache(push), where)


def transposed(function: Rule, like: Callable[[Any, Sequence[Any]], Any]) -> Rule:
    """Of a function that is linear in its first argument, which is like `like(z, inputs)`, the transpose."""
    pulled = Dispatcher(function, "vjp", argnums=0, label="vjp")

    def transpose(g: Any, z: Any, *inputs: Any) -> Any:
        model = like(z, inputs)
        zeros = np.zeros(np.shape(model), getattr(model, "dtype", float))[()]
        return pulled(zeros, z, *inputs)[1](g)

    return transpose


def aside(function: Rule, name: str, where: Location | None) -> Rule:
    """The function on plain values, unseen by a capture that may be under way; an error says whose it is."""

    def plain(*args: Any, **keywords: Any) -> Any:
        try:
            with suspended():
                result = function(*args, **keywords)
        except Exception as error:
            error.add_note(
                f"  in:    `{name}`" if where is None else f"  in:    the primitive `{name}`, {where}"
            )
            raise
        if not isinstance(result, ArrayProtocol):
            return result
        if getattr(result, "requires_grad", False):
            raise LeakError(
                f"`{name}` uses a value that is differentiated and no argument of it.",
                where,
                "pass it as an argument",
            )
        return result.value  # of a function that was made inside what is captured, with marks in it

    return plain
