"""Functions that are made of derivatives: what `jacobian(f)`, `make_vjp(f)` and their kind return.

In: the user's function, and what answers in its place. Out: a callable with the user's name, docstring and signature.
"""

from __future__ import annotations

import functools
import inspect
import types
from collections.abc import Callable
from typing import Any

from tracegrad.tensor.captured import called


class Derived:
    """A function with the arguments of another.

    Parameters
    ----------
    function : callable
        The user's.
    label : str
        The transform's name.
    answer : callable
        What is called, with the same arguments.
    """

    def __init__(self, function: Callable[..., Any], label: str, answer: Callable[..., Any]) -> None:
        functools.update_wrapper(self, function)
        self.function, self.label, self.answer = function, label, answer

    def __call__(self, /, *args: Any, **keywords: Any) -> Any:
        return self.answer(*args, **keywords)

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else types.MethodType(self, instance)

    def __repr__(self) -> str:
        return f"<tracegrad.{self.label} of {getattr(self.function, '__name__', self.function)}>"


def unary_to_nary(operator: Callable[..., Any]) -> Callable[..., Any]:
    """An operator on functions of one argument as one on functions of many.

    Parameters
    ----------
    operator : callable
        `operator(f, x, *options)`, of a function of one argument, and where.

    Returns
    -------
    callable
        `operator(f, argnum, *options)` gives a function with the arguments of `f`; `argnum` is an index, or a tuple of
        them, for which `x` is a tuple.
    """

    @functools.wraps(operator)
    def of_many(function: Callable[..., Any], argnum: Any = 0, *options: Any, **settings: Any) -> Derived:
        several = isinstance(argnum, (list, tuple))

        def answer(*args: Any, **keywords: Any) -> Any:
            def of_one(x: Any) -> Any:
                given = list(args)
                for place, value in zip(argnum, x, strict=True) if several else ((argnum, x),):
                    given[place] = value
                return called(function, *given, **keywords)

            of_one.__name__ = getattr(function, "__name__", "function")
            x = tuple(args[place] for place in argnum) if several else args[argnum]
            return operator(of_one, x, *options, **settings)

        return Derived(function, getattr(operator, "__name__", "operator"), answer)

    taken = inspect.signature(operator)
    f, x, *options = taken.parameters.values()
    argnum = x.replace(name="argnum", default=0, annotation="int | tuple[int, ...]")
    of_many.__signature__ = taken.replace(parameters=[f, argnum, *options])  # type: ignore[attr-defined]
    return of_many
