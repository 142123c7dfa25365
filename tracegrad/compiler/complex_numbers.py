"""The functions of `kernels/complex_numbers.py` as calls of NumPy's loops in machine code, for Numba.

Nothing goes in; after `register`, code that Numba compiles may call them as the Python functions they are.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.typing.templates import ConcreteTemplate, infer_global, signature
from numba.extending import lower_builtin

from tracegrad.compiler.ufunc_loops import call_loop
from tracegrad.kernels import complex_numbers

POINTER, WORD = ir.IntType(8).as_pointer(), ir.IntType(64)


def register() -> None:
    """Teach Numba the functions that texts named by now."""
    for name in tuple(complex_numbers.FUNCTIONS):
        _register(name)


@functools.cache
def _register(name: str) -> None:
    function = complex_numbers.FUNCTIONS[name]
    number = types.complex128 if function.letter == "D" else types.complex64

    class Typed(ConcreteTemplate):
        """Numbers of other types are cast."""

        cases = [signature(number, *[number] * function.nin)]  # noqa: RUF012

    def written(context: Any, builder: Any, sig: Any, args: Sequence[Any]) -> Any:
        out = cgutils.alloca_once(builder, context.get_value_type(number))
        places = [*(cgutils.alloca_once_value(builder, arg) for arg in args), out]
        call_loop(
            builder, name, [builder.bitcast(p, POINTER) for p in places], [WORD(1)], [WORD(0)] * len(places)
        )
        return builder.load(out)

    infer_global(function)(Typed)
    lower_builtin(function, *[number] * function.nin)(written)
