"""What a peer offers for a workload: a `Way`, callables between NumPy values and the peer's own arrays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


def as_it_is(x: Any) -> Any:
    return x


def nothing() -> None:
    pass


def flat(found: Any) -> tuple[Any, tuple[Any, ...]]:
    """(value, gradient or tuple of gradients) with the gradients as a tuple."""
    value, gradients = found
    return value, gradients if isinstance(gradients, tuple) else (gradients,)


@dataclass(frozen=True)
class Way:
    """How a library computes value and gradient.

    Attributes
    ----------
    call : callable
        The library's own arguments -> its own result, perhaps not ready yet.
    prepare : callable or None
        A tuple of NumPy arguments -> the library's own; None where those are NumPy's.
    wait : callable
        A result -> the same, ready.
    result : callable
        A ready result -> value and tuple of gradients as NumPy's.
    value : callable or None
        The library's own arguments -> the value alone, by compiled code.
    compiling : callable or None
        Seconds that compilers have taken so far, where the library can tell.
    forget : callable
        Gives back the memory the library keeps between calls.
    """

    call: Callable[..., Any]
    prepare: Callable[[tuple[Any, ...]], tuple[Any, ...]] | None = None
    wait: Callable[[Any], Any] = as_it_is
    result: Callable[[Any], tuple[Any, tuple[Any, ...]]] = flat
    value: Callable[..., Any] | None = None
    compiling: Callable[[], float] | None = None
    forget: Callable[[], None] = nothing

    def from_numpy(self, *arguments: Any) -> Any:
        """NumPy arguments -> value and gradients as NumPy's."""
        if self.prepare is None:
            return self.call(*arguments)
        return self.result(self.wait(self.call(*self.prepare(arguments))))
