"""NumPy's loops in machine code: where they are, and how they are called.

Names of `kernels/ufunc_loops.py` go in. After `know`, machine code finds the loops that texts named by now, also such
code as was kept. Begin with `call_loop`.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tracegrad.kernels.ufunc_loops import LOOPS
from tracegrad.later import later

if TYPE_CHECKING:
    from tracegrad.compiler import c_functions
else:
    c_functions = later("tracegrad.compiler.c_functions")

DATA = "_data"  # the name of what a loop is told, behind its own


def know() -> None:
    """Tell LLVM where the loops are that texts named by now."""
    for name in tuple(LOOPS):
        _know(name)


@functools.cache
def _know(name: str) -> None:
    from llvmlite.binding import add_symbol

    address, data = LOOPS[name]
    add_symbol(name, address)
    if data:
        add_symbol(name + DATA, data)


def call_loop(
    builder: Any, name: str, addresses: Sequence[Any], sizes: Sequence[Any], steps: Sequence[Any]
) -> None:
    """The call: where operands and results begin, the sizes, and the steps in bytes, as NumPy tells its loops."""
    from llvmlite import ir
    from numba.core import cgutils

    word, pointer = ir.IntType(64), ir.IntType(8).as_pointer()
    given = []
    for kind, parts in ((pointer, addresses), (word, sizes), (word, steps)):
        packed = cgutils.pack_array(builder, [builder.bitcast(p, kind) for p in parts], kind)
        place = cgutils.alloca_once_value(builder, packed)
        given.append(builder.bitcast(place, kind.as_pointer()))
    told = ir.Constant(pointer, None)
    if LOOPS[name][1]:
        told = builder.module.globals.get(name + DATA)
        if told is None:
            told = ir.GlobalVariable(builder.module, pointer.pointee, name + DATA)
    c_functions.call(builder, name, ir.VoidType(), *given, told)
