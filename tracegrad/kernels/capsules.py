"""C functions of SciPy's Cython modules: their addresses, from the capsules these modules hand out.

A module's name and a function's go in, what the function takes and gives and where it stands comes out.
"""

from __future__ import annotations

import ctypes
import importlib
from typing import Any

_name_of = ctypes.PYFUNCTYPE(ctypes.c_char_p, ctypes.py_object)(("PyCapsule_GetName", ctypes.pythonapi))
_pointer_of = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)(
    ("PyCapsule_GetPointer", ctypes.pythonapi)
)


def capsules(module: str) -> dict[str, Any]:
    """The functions that a module hands out, by name."""
    found: dict[str, Any] = importlib.import_module(module).__pyx_capi__
    return found


def described(capsule: Any) -> str:
    """What a function takes and gives, as C has it: `double (double, int)`."""
    found: bytes = _name_of(capsule)
    return found.decode()


def address(capsule: Any) -> int:
    """Where the function stands."""
    found: int = _pointer_of(capsule, _name_of(capsule))
    return found
