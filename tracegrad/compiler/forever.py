"""What machine code reads by its address: memory and functions of ctypes, kept until the process ends.

A thread may run machine code while the interpreter ends, when Python has cleared all modules; and a program may
outlive the modules it was made by, which can be imported anew. So nothing that an address was taken of is ever given
back. Begin with `tell`.
"""

from __future__ import annotations

import ctypes
from typing import Any


def tell(name: str, cell: Any) -> None:
    """Let machine code find memory, or a function for callers in C, under this name."""
    from llvmlite.binding import add_symbol

    address = ctypes.cast(cell, ctypes.c_void_p).value if callable(cell) else ctypes.addressof(cell)
    keep(cell)
    add_symbol(name, address)


def keep(*values: Any) -> None:
    """Never give these back."""
    for value in values:
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(value))
