"""Functions of SciPy's BLAS and LAPACK that Numba has no name for: machine code asks for their addresses as it runs.

Nothing goes in; after `know`, machine code finds a function under `FINDER` that takes a name and gives an address. So a
program that was kept need not load SciPy before it calls BLAS.
"""

from __future__ import annotations

import ctypes
import functools
import re

from tracegrad.compiler import forever
from tracegrad.kernels import capsules

FINDER = "tracegrad_blas_function"
_SUBROUTINE = re.compile(r"void \((char|int|\w+_[sd]) \*(, (char|int|\w+_[sd]) \*)*\)")


@functools.cache
def know() -> None:
    """Tell LLVM where the function stands."""
    forever.tell(FINDER, _address_of)


@ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_char_p)
def _address_of(name: bytes) -> int:
    """Zero where there is no such function, or one with longer whole numbers than machine code gives it."""
    for module in ("scipy.linalg.cython_blas", "scipy.linalg.cython_lapack"):
        capsule = capsules.capsules(module).get(name.decode())
        if capsule is not None and _SUBROUTINE.fullmatch(capsules.described(capsule)):
            return capsules.address(capsule)
    return 0
