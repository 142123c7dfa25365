"""The functions of `kernels/complex_numbers.py` as calls of NumPy's loops in machine code, for Numba.

Nothing goes in; after `register`, code that Numba compiles may call them as the Python functions they are; after
`know`, machine code that was kept finds them, by name.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tracegrad.kernels import complex_numbers
from tracegrad.later import later

if TYPE_CHECKING:
    from tracegrad.compiler import c_functions
else:
    c_functions = later("tracegrad.compiler.c_functions")

DATA = "_data"  # the name of what a loop is told, behind its own


def know() -> None:
    """Tell LLVM where the loops are that texts named by now."""
    for name in tuple(complex_numbers.FUNCTIONS):
        _know(name)


def register() -> None:
    """Teach Numba the functions that texts named by now."""
    know()
    for name in tuple(complex_numbers.FUNCTIONS):
        _register(name)


@functools.cache
def _know(name: str) -> None:
    from llvmlite.binding import add_symbol

    function = complex_numbers.FUNCTIONS[name]
    add_symbol(name, function.loop)
    if function.data:
        add_symbol(name + DATA, function.data)


@functools.cache
def _register(name: str) -> None:
    from llvmlite import ir
    from numba.core import cgutils, types
    from numba.core.typing.templates import ConcreteTemplate, infer_global, signature
    from numba.extending import lower_builtin

    function = complex_numbers.FUNCTIONS[name]
    number = types.complex128 if function.letter == "D" else types.complex64
    word, pointer = ir.IntType(64), ir.IntType(8).as_pointer()

    class Typed(ConcreteTemplate):
        """Numbers of other types are cast."""

        cases = [signature(number, *[number] * function.nin)]  # noqa: RUF012

    def written(context: Any, builder: Any, sig: Any, args: Sequence[Any]) -> Any:
        kind = context.get_value_type(number)
        places = [cgutils.alloca_once_value(builder, arg) for arg in args]
        out = cgutils.alloca_once(builder, kind)
        given = [builder.bitcast(place, pointer) for place in (*places, out)]
        arrays = cgutils.alloca_once_value(builder, cgutils.pack_array(builder, given))
        once = cgutils.alloca_once_value(builder, word(1))
        steps = cgutils.alloca_once_value(builder, cgutils.pack_array(builder, [word(0)] * len(given)))
        told = _told(builder.module, pointer) if function.data else ir.Constant(pointer, None)
        first = [builder.bitcast(p, kind.as_pointer()) for p, kind in ((arrays, pointer), (steps, word))]
        c_functions.call(builder, name, ir.VoidType(), first[0], once, first[1], told)
        return builder.load(out)

    def _told(module: Any, pointer: Any) -> Any:
        found = module.globals.get(name + DATA)
        if found is None:
            found = ir.GlobalVariable(module, pointer.pointee, name + DATA)
        return found

    infer_global(function)(Typed)
    lower_builtin(function, *[number] * function.nin)(written)
