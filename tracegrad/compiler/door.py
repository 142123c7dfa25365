"""A compiled program as a function of Python's: the door that a warm call goes through.

A `Passage` and a `Table` go in, a builtin function comes out. It checks its arguments, calls the program, and makes
the objects the user gets, all in machine code (`door_code.py`), which is made once for each passage and kept on disk by
Numba. Begin with `open_door`.
"""

from __future__ import annotations

import builtins
import ctypes
import functools
import importlib
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from tracegrad.compiler import forever
from tracegrad.compiler import passage as words
from tracegrad.compiler.machine_code import MachineCode
from tracegrad.compiler.passage import Passage
from tracegrad.compiler.pool import take
from tracegrad.compiler.source_file import load
from tracegrad.later import later

if TYPE_CHECKING:
    from tracegrad.compiler import door_code
else:
    door_code = later("tracegrad.compiler.door_code")

_NEW_FROM_DESCR, _NEW_COPY = 94, 85  # places in the table of NumPy's C functions
_ALLOCATE = 47  # `Py_tp_alloc`, the slot of a type
_KEYWORDS = 0x0003  # a C function with positional arguments and keywords


class Table:
    """The words a door reads, and the objects they are addresses of."""

    def __init__(self, program: int, exits: tuple[Any, ...], miss: Any, unasked: Any, holds: Any) -> None:
        self._words = [0] * words.FIRST
        self._objects: list[Any] = []
        self._words[words.PROGRAM] = program
        functions = _numpy_functions()
        self._words[words.NEW_ARRAY] = functions[_NEW_FROM_DESCR]
        self._words[words.NEW_COPY] = functions[_NEW_COPY]
        for slot, value in (
            (words.EXITS, exits),
            (words.MISS, miss),
            (words.UNASKED, unasked),
            (words.BUILTINS, vars(builtins)),
            (words.HOLDS, holds),
            (words.FLOAT, float),
            (words.INT, int),
            (words.TUPLE, tuple),
            (words.LIST, list),
            (words.DICT, dict),
            (words.NDARRAY, np.ndarray),
            (words.TAKE, take),
        ):
            self.put(slot, value)

    def put(self, slot: int, value: Any) -> None:
        """This object at this place."""
        self._objects.append(value)
        self._words[slot] = id(value)

    def numbers(self, *values: int) -> int:
        """Further words, in a row; returns the first place."""
        first = len(self._words)
        self._words.extend(values)
        return first

    def objects(self, *values: Any) -> int:
        """Further objects, in a row; returns the first place."""
        first = self.numbers(*map(id, values))
        self._objects.extend(values)
        return first

    def array(self, value: np.ndarray[Any, Any]) -> int:
        """A constant: the address of its memory, and its sizes."""
        self._objects.append(value)
        return self.numbers(value.ctypes.data, *value.shape)

    def allocator(self, kind: type[np.generic]) -> int:
        """A type of NumPy's numbers, and what makes one."""
        get = ctypes.pythonapi.PyType_GetSlot
        get.restype, get.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_int]
        first = self.objects(kind)
        self.numbers(int(get(kind, _ALLOCATE)))
        return first

    def guard(self, where: Any, key: Any, found: Any, read: Any) -> None:
        """What must be found there at each call; after all other words.

        Parameters
        ----------
        where : dict, cell, context variable or function
        key : str, or `CELL`, `VARIABLE` or `CODE`
        found : object that is enough by itself; `MISSING` where none is
        read : what `holds` is asked with the object that is there instead, or None
        """
        first = self.objects(where)
        self.numbers(key) if type(key) is int else self.objects(key)
        self.objects(found)
        self.numbers(0) if read is None else self.objects(read)
        if not self._words[words.GUARDS]:
            self._words[words.FIRST_GUARD] = first
        self._words[words.GUARDS] += 1

    def release(self) -> None:
        """Other threads may run while the program does."""
        self._words[words.RELEASES] = 1

    def answering(
        self, left: Any = None, by_name: Any = None, under_way: Any = None, calls: Any = None
    ) -> Table:
        """The same for a door that goes on by itself where it does not answer.

        Parameters
        ----------
        left : callable, `left(exit, args, keywords)`
        by_name : callable that takes a call with keywords
        under_way : list; while it holds anything, nothing is answered
        calls : array of one int64, counted up
        """
        made = Table.__new__(Table)
        made._words, made._objects = self._words[:], self._objects[:]
        for slot, value in ((words.LEFT, left), (words.BY_NAME, by_name), (words.UNDER_WAY, under_way)):
            if value is not None:
                made.put(slot, value)
        if calls is not None:
            made._objects.append(calls)
            made._words[words.CALLS] = calls.ctypes.data
        return made

    def keeper(self) -> tuple[Any, ...]:
        """The object that a door holds."""
        return (np.array(self._words, np.int64), *self._objects)


def open_door(passage: Passage, table: Table) -> Callable[..., Any]:
    """The function that goes through this door."""
    definition = _definition(passage)
    make = ctypes.pythonapi.PyCFunction_NewEx
    make.restype, make.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.py_object, ctypes.c_void_p]
    door: Callable[..., Any] = make(ctypes.addressof(definition), table.keeper(), None)
    return door


class _Definition(ctypes.Structure):
    """`PyMethodDef`."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("function", ctypes.c_void_p),
        ("flags", ctypes.c_int),
        ("documentation", ctypes.c_char_p),
    )


_TEXT = '''"""A door for {passage}."""


def door(table, args, keywords):
    ...
'''
_definitions: dict[Passage, _Definition] = {}
_lock = threading.Lock()


def _definition(passage: Passage) -> _Definition:
    """The machine code for a passage; it lives as long as the process."""
    with _lock:
        found = _definitions.get(passage)
        if found is None:
            found = _definitions[passage] = _Definition(b"call", _machine_code(passage), _KEYWORDS, b"")
            forever.keep(found)
        return found


def _machine_code(passage: Passage) -> int:
    """Where it stands."""
    import numba
    from numba.core.registry import cpu_target

    text = _TEXT.format(passage=passage)
    module = load(text, "door")
    pointer = numba.types.voidptr
    signature = pointer(pointer, pointer, pointer)
    options: dict[str, Any] = {"no_cpython_wrapper": True}
    kept = MachineCode(module.door, text, options)
    compiled = kept.load_overload(signature, cpu_target.target_context)
    if compiled is None:
        module.__dict__[words.PASSAGE] = passage
        function = numba.njit(**{**options, "pipeline_class": _compiler})(module.door)
        function._cache = kept
        function.compile(signature)
        (compiled,) = function.overloads.values()
    forever.keep(compiled)
    address: int = compiled.library.get_pointer_to_function(compiled.fndesc.llvm_cfunc_wrapper_name)
    return address


def _compiler(*args: Any) -> Any:
    """What writes machine code is loaded where there is some to write alone."""
    return door_code.DoorCompiler(*args)


@functools.cache
def _numpy_functions() -> Any:
    """The addresses of NumPy's C functions."""
    capsule = importlib.import_module("numpy._core._multiarray_umath")._ARRAY_API
    get = ctypes.pythonapi.PyCapsule_GetPointer
    get.restype, get.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    return (ctypes.c_void_p * (_NEW_FROM_DESCR + 1)).from_address(get(capsule, None))
