"""A Python function as one op: what it does inside nobody records, what it answers is what it answers when it runs.

In: a function of arrays, and how its derivatives are found: functions of the same kind. Out: steps `called(x, y,
key="softplus")`, which the array text writes as `called.softplus(x, y)`; they have no native form. Begin with
`Called`.
"""

from __future__ import annotations

import ast
import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tracegrad.errors import NotDifferentiableError, ShapeError
from tracegrad.ir.location import Location
from tracegrad.ir.trace import Instr
from tracegrad.ir.types import ArrayType, type_of
from tracegrad.ops.op import Op, dotted

_table: dict[str, Called] = {}


class Called:
    """A function that traces call.

    Parameters
    ----------
    name : str
        What it is called in texts; a number is added where another has the name.
    function : callable
        From arrays to an array or a number.
    pull, push : callable
        `pull(k)` is the `Called` that takes a cotangent, the result and the arguments to the cotangent of argument `k`;
        `push(k)` takes its tangent in place of the cotangent. None where the function does not depend on it.
    where : Location or None
        Where the function is written.
    """

    def __init__(
        self,
        name: str,
        function: Callable[..., Any],
        pull: Callable[[int], Called | None],
        push: Callable[[int], Called | None],
        where: Location | None,
    ) -> None:
        self.function, self.pull, self.push, self.where = function, pull, push, where
        self._results: dict[tuple[ArrayType, ...], ArrayType] = {}
        name = "".join(c if c.isalnum() else "_" for c in name)
        self.key, number = name, 1
        while self.key in _table or not self.key.isidentifier():
            number += 1
            self.key = f"{name or 'function'}_{number}"
        _table[self.key] = self

    def __call__(self, *inputs: Any) -> Any:
        """What the function gives, in the type that it has for such arguments.

        Raises
        ------
        ShapeError : another shape than it has for such arguments
        """
        return self.checked(self.function(*inputs), inputs)

    def checked(self, result: Any, inputs: Sequence[Any]) -> Any:
        """A result of the function in the type that it has for such arguments."""
        result = np.asarray(result)
        known = self._results.setdefault(_types(inputs), type_of(result))
        if result.shape != known.shape or not np.can_cast(result.dtype, known.dtype, "same_kind"):
            raise ShapeError(
                f"`{self.key}` gives {result.dtype} of shape {result.shape}, where {known.dtype} of shape "
                f"{known.shape} belongs.",
                self.where,
                "return a derivative with the shape of its argument, and results whose shape does not depend on values",
            )
        return result.astype(known.dtype, copy=False)[()]

    def step(self, result: Any, inputs: Sequence[Any]) -> Any:
        """A step that calls the function, which has just given this result."""
        known = type_of(self.checked(result, inputs))
        _just_now.found = self.key, result
        return called(*inputs, key=self.key, shape=known.shape, dtype=known.dtype)

    def on(self, type: ArrayType, *inputs: Any) -> Any:
        """A step that calls the function, whose result has this type for such arguments."""
        self._results.setdefault(_types(inputs), type)
        return called(*inputs, key=self.key, shape=type.shape, dtype=type.dtype)


class _JustNow(threading.local):
    """A result that a step is about to be recorded for: the function is not called a second time."""

    found: tuple[str, Any] | None = None


_just_now = _JustNow()


def _evaluate(*inputs: Any, key: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Any:
    found, _just_now.found = _just_now.found, None
    entry = _table[key]
    return entry.checked(found[1], inputs) if found is not None and found[0] == key else entry(*inputs)


def _types(inputs: Sequence[Any]) -> tuple[ArrayType, ...]:
    return tuple(ArrayType(x.shape, x.dtype) if hasattr(x, "dtype") else type_of(x) for x in inputs)


def __getattr__(name: str) -> Called:
    """The functions by name, for emitted text."""
    if name not in _table:
        raise AttributeError(name)
    return _table[name]


def _vjp(g: Any, z: Any, *inputs: Any, active: Sequence[bool], key: str, **type: Any) -> tuple[Any, ...]:
    found: list[Any] = []
    for k, (x, wanted) in enumerate(zip(inputs, active, strict=True)):
        entry = _table[key].pull(k) if wanted and x.dtype.kind in "fc" else None
        found.append(None if entry is None else entry.on(ArrayType(x.shape, x.dtype), g, z, *inputs))
    return tuple(found)


def _jvp(tangents: Sequence[Any], z: Any, *inputs: Any, key: str, **type: Any) -> Any:
    total = None
    for k, tangent in enumerate(tangents):
        entry = None if tangent is None else _table[key].push(k)
        if entry is not None:
            term = entry.on(ArrayType(z.shape, z.dtype), tangent, z, *inputs)
            total = term if total is None else total + term
    return total


def _emit(inputs: Sequence[ast.expr], instr: Instr) -> ast.expr:
    return ast.Call(func=dotted(f"called.{instr.params['key']}"), args=list(inputs), keywords=[])


def no_rule(name: str, argument: int | None, where: Location | None) -> NotDifferentiableError:
    """The error for a function that is differentiated by an argument for which nobody gave a derivative."""
    return NotDifferentiableError(
        f"the primitive `{name}`{'' if where is None else f' ({where})'} is differentiated by "
        f"{'a keyword' if argument is None else f'argument {argument}'}, for which it has no derivative.",
        None,
        f"give one, `defvjp({name}, ...)` or `defjvp({name}, ...)`; None says that there is no dependence",
    )


called = Op(
    "called",
    _evaluate,
    result_type=lambda *inputs, key, shape, dtype: ArrayType(tuple(shape), np.dtype(dtype)),
    vjp=_vjp,
    jvp=_jvp,
    emit=_emit,
    imports="from tracegrad.ops import called",
    native=False,
    family="called",
)
