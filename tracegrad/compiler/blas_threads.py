"""How many threads BLAS takes for a large product: a function of OpenBLAS's that machine code asks at each call.

Nothing goes in; after `know`, machine code finds the address of that function, or zero, under `NAME`. It is the
OpenBLAS that NumPy came with; SciPy's, which compiled programs call, counts the same way.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import sys

from tracegrad.compiler import forever

NAME = "tracegrad_blas_threads"
_MODULES = ("numpy._core._multiarray_umath", "numpy.core._multiarray_umath")
_NAMES = tuple(f"{p}openblas_get_num_threads{s}" for p in ("scipy_", "") for s in ("64_", ""))
_asked = ctypes.c_void_p(None)


@functools.cache
def know() -> None:
    """Find the function, and tell LLVM where its address is kept."""
    module = next(sys.modules[name] for name in _MODULES if name in sys.modules)
    if module.__file__ is not None:
        library = ctypes.CDLL(module.__file__)
        for name in _NAMES:
            with contextlib.suppress(AttributeError):
                _asked.value = ctypes.cast(getattr(library, name), ctypes.c_void_p).value
                break
    forever.tell(NAME, _asked)
