"""Calls of C functions by their name in machine code: of Python, BLAS, LAPACK, SciPy.

A name, the type of what is answered and LLVM's values go in, the value of the call comes out. Where the function stands
is found when the machine code is loaded, so no address of this process is kept with it. Begin with `call`.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils


def call(builder: Any, name: str, result: Any, *given: Any) -> Any:
    """What the C function of this name answers."""
    kind = ir.FunctionType(result, [g.type for g in given])
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), given)
