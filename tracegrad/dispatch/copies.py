"""A transformed function is pickled and copied as functions are.

`Copied` is what a `Dispatcher` adds for it: pickled by its name where that finds it, else as the function it is made
of, and how; a copy is the function itself. Begin with `Copied.__reduce__`.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any, Self

from tracegrad.dispatch.signature import Signature


class Copied:
    """A function that other processes, and copies of what holds it, get as they get Python's own."""

    function: Callable[..., Any]
    mode: str
    signature: Signature
    with_value: bool
    has_aux: bool
    holomorphic: bool
    jit: str | None
    memory: int | None
    label: str

    def __reduce__(self) -> str | tuple[Any, ...]:
        name = str(vars(self).get("__qualname__", self.signature.name))
        found: Any = sys.modules.get(self.__module__)
        for part in name.split("."):
            found = getattr(found, part, None)
        if found is self:
            return name
        dispatcher: Any = type(self).__base__  # each has a class of its own
        make = functools.partial(
            dispatcher,
            argnums=self.signature.given,
            with_value=self.with_value,
            has_aux=self.has_aux,
            holomorphic=self.holomorphic,
            jit=self.jit,
            memory=self.memory,
            label=self.label,
        )
        return make, (self.function, self.mode)

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: Any) -> Self:
        return self
