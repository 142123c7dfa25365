"""What HIPS autograd has in `autograd.core` for programs: both modes at one point, and the older ways to give
derivatives.

`make_vjp(f, x)` and `make_jvp(f, x)` take the point together with the function. A `primitive` from here has the methods
`defvjp`, `defgrad` and `defvjp_is_zero` of autograd 1.1. Begin with `primitive`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tracegrad.api import extend, makers
from tracegrad.api.extend import (
    defjvp,
    defjvp_argnum,
    defjvp_argnums,
    defvjp,
    defvjp_argnum,
    defvjp_argnums,
)
from tracegrad.api.spaces import VSpace, vspace
from tracegrad.tensor.boxes import Box
from tracegrad.tracer import getval, isbox

__all__ = [
    "Box",
    "VSpace",
    "defjvp",
    "defjvp_argnum",
    "defjvp_argnums",
    "defvjp",
    "defvjp_argnum",
    "defvjp_argnums",
    "getval",
    "isbox",
    "make_jvp",
    "make_vjp",
    "primitive",
    "vspace",
]


def make_vjp(fun: Callable[[Any], Any], x: Any) -> tuple[Callable[[Any], Any], Any]:
    """`(pullback, fun(x))`."""
    pullback, value = makers.make_vjp(fun)(x)
    return pullback, value


def make_jvp(fun: Callable[[Any], Any], x: Any) -> Callable[[Any], tuple[Any, Any]]:
    """`make_jvp(fun, x)(v)` is `(fun(x), tangent)`."""
    along: Callable[[Any], tuple[Any, Any]] = makers.make_jvp(fun)(x)
    return along


class primitive(extend.Primitive):
    """A primitive whose derivatives are given by its own methods, one argument at a time."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)
        self._makers: dict[int, Callable[..., Any] | None] = {}

    def _given(self, makers: dict[int, Callable[..., Any] | None]) -> None:
        self._makers |= makers
        defvjp(self, *self._makers.values(), argnums=tuple(self._makers))

    def defgrad(self, gradfun: Callable[..., Any], argnum: int = 0) -> None:
        """`gradfun(ans, *args)` returns a function of the cotangent."""
        self._given({argnum: gradfun})

    def defvjp(self, vjpmaker: Callable[..., Any], argnum: int = 0) -> None:
        """`vjpmaker(g, ans, vs, gvs, *args)` is the cotangent; `vs` and `gvs` are the spaces of argument and result."""

        def maker(ans: Any, *args: Any, **keywords: Any) -> Callable[[Any], Any]:
            return lambda g: vjpmaker(g, ans, vspace(args[argnum]), vspace(g), *args, **keywords)

        self._given({argnum: maker})

    def defvjp_is_zero(self, argnums: Sequence[int] = (0,)) -> None:
        """The result does not depend on these arguments."""
        self._given(dict.fromkeys(argnums))
