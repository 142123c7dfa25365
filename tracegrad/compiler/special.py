"""The functions of `kernels/special.py` as calls of SciPy's C functions in machine code, for Numba.

Nothing goes in; after `register`, code that Numba compiles may call them as the Python functions they are; after
`know`, machine code that was kept finds them, by name.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tracegrad.kernels import special
from tracegrad.later import later

if TYPE_CHECKING:
    from tracegrad.compiler import c_functions
else:
    c_functions = later("tracegrad.compiler.c_functions")


def know() -> None:
    """Tell LLVM where the functions are that texts named by now."""
    for name in tuple(special.FUNCTIONS):
        _know(name)


def register() -> None:
    """Teach Numba the functions that texts named by now."""
    know()
    for name in tuple(special.FUNCTIONS):
        _register(name)


@functools.cache
def _know(name: str) -> None:
    from llvmlite.binding import add_symbol

    add_symbol(name, special.FUNCTIONS[name].address)


@functools.cache
def _register(name: str) -> None:
    from llvmlite import ir
    from numba.core import types
    from numba.core.typing.templates import ConcreteTemplate, infer_global, signature
    from numba.extending import lower_builtin

    function = special.FUNCTIONS[name]
    given = [types.int64 if letter == "l" else types.float64 for letter in function.loop]

    class Typed(ConcreteTemplate):
        """Numbers of other types are cast."""

        cases = [signature(types.float64, *given)]  # noqa: RUF012

    def written(context: Any, builder: Any, sig: Any, args: Sequence[Any]) -> Any:
        return c_functions.call(builder, name, ir.DoubleType(), *args, ir.IntType(32)(0))

    infer_global(function)(Typed)
    lower_builtin(function, *given)(written)
