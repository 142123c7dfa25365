"""The loops that NumPy's ufuncs run over arrays, which compiled code calls by their address.

A ufunc and the types of its operands go in; the name by which compiled code calls the loop is remembered with where it
is. Such names, and no address of this process, stand in machine code that is kept. Begin with `learn`.
"""

# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

import ctypes

LOOPS: dict[str, tuple[int, int]] = {}
"""By name: the address of the loop, and of what it is told, 0 for nothing."""


class _Loops(ctypes.Structure):
    """What a `PyUFuncObject` has behind its head, as NumPy's C interface declares it."""

    _fields_ = (
        ("nin", ctypes.c_int),
        ("nout", ctypes.c_int),
        ("nargs", ctypes.c_int),
        ("identity", ctypes.c_int),
        ("functions", ctypes.POINTER(ctypes.c_void_p)),
        ("data", ctypes.POINTER(ctypes.c_void_p)),
    )


def learn(name, ufunc, types):
    """Remember the loop for these types, as `ufunc.types` has them, by a name."""
    place = ufunc.types.index(types)
    loops = _Loops.from_address(id(ufunc) + object.__basicsize__)
    data = loops.data[place] if loops.data else None
    LOOPS[name] = loops.functions[place], data or 0
