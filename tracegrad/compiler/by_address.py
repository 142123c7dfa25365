"""A compiled program called by its address: for the calls that no door takes.

Where machine code stands, what it takes and what it returns go in; a callable on NumPy arrays and numbers comes out.
Numba can write such a function too, as machine code beside each program, which takes a third of the time of compiling a
small one; a program is called in this way once or twice, before there is a door. Begin with `Program`.
"""

from __future__ import annotations

import ctypes
import functools
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NoReturn

import numpy as np

from tracegrad.ir.types import ArrayType

MOST_WORDS = 1024  # that ctypes passes to a function
Output = tuple[str, int | None, str]  # dtype, dimensions or None of a number, layout
NUMBERS: dict[str, tuple[Any, ...]] = {
    "bool": (ctypes.c_uint8,),
    "float32": (ctypes.c_float,),
    "float64": (ctypes.c_double,),
    "complex64": (ctypes.c_float, ctypes.c_float),
    "complex128": (ctypes.c_double, ctypes.c_double),
    **{f"{u}int{n}": (getattr(ctypes, f"c_{u}int{n}"),) for u in ("", "u") for n in (8, 16, 32, 64)},
}


def words_of(parameters: Sequence[ArrayType]) -> int:
    """How many words a call passes: what is returned, the error, numbers, and what describes each array."""
    return 2 + sum(5 + 2 * len(p.shape) if p.shape else len(NUMBERS[p.dtype.name]) for p in parameters)


class Program:
    """A function of Numba's as one of Python's. Other threads may run while it does.

    Parameters
    ----------
    address : int
    parameters : types of what it is called with, of at most `MOST_WORDS` words; arrays are contiguous
    outputs : what it returns
    keeper : object that the machine code lives as long as

    Attributes
    ----------
    seconds : float
        What the last call took in the machine code.
    """

    def __init__(
        self, address: int, parameters: Sequence[ArrayType], outputs: Sequence[Output], keeper: Any
    ) -> None:
        kinds: list[Any] = [ctypes.c_void_p, ctypes.c_void_p]
        self._parts: list[
            Any
        ] = []  # of an array what comes before and behind its address; of a number its class
        for parameter in parameters:
            if parameter.shape:
                words = _description(parameter)
                kinds += [ctypes.c_void_p, ctypes.c_void_p, *[ctypes.c_int64] * 2, ctypes.c_void_p]
                kinds += [ctypes.c_int64] * (len(words) - 4)
                self._parts.append((words[:4], words[4:]))
            else:
                kinds += NUMBERS[parameter.dtype.name]
                self._parts.append({"f": float, "c": complex}.get(parameter.dtype.kind, int))
        self._function = ctypes.CFUNCTYPE(ctypes.c_int32, *kinds)(address)
        self._outputs = [
            (f"f{k}", None if ndim is None else (ndim, np.dtype(name)))
            for k, (name, ndim, _) in enumerate(outputs)
        ]
        fields = [
            (f"f{k}", name if ndim is None else (np.int64, 5 + 2 * ndim))
            for k, (name, ndim, _) in enumerate(outputs)
        ]
        self._returns = np.dtype(fields, align=True)
        self._keeper = keeper
        self.seconds = 0.0

    def __call__(self, *given: Any) -> tuple[Any, ...]:
        returned = np.zeros((), self._returns)
        error = ctypes.c_void_p()
        words: list[Any] = [returned.ctypes.data, ctypes.addressof(error)]
        for value, part in zip(given, self._parts, strict=True):
            if isinstance(part, tuple):
                before, behind = part
                words += (*before, value.ctypes.data, *behind)
            elif part is complex:
                words += (value.real, value.imag)
            else:
                words.append(part(value))
        raised: BaseException | None = None
        start = time.perf_counter()
        try:
            self._function(*words)
        except SystemError as unexpected:  # ctypes does not look whether an error is set, but CPython does
            raised, unexpected.__cause__ = unexpected.__cause__, None
            if raised is None:
                raise
        self.seconds = time.perf_counter() - start
        if error.value:  # the program's own, which says what LAPACK's message meant
            _raise(error.value)
        if raised is not None:
            try:
                raise raised
            finally:
                del raised  # its traceback holds this frame
        return tuple(self._results(returned))

    def _results(self, returned: Any) -> Iterator[Any]:
        place, made = returned.ctypes.data, self._returns.fields
        assert made is not None
        adapt, release = _runtime()
        for name, array in self._outputs:
            if array is None:
                yield returned[name].item()
                continue
            found = adapt(place + made[name][1], np.ndarray, array[0], 1, array[1])
            if owner := int(returned[name][0]):
                release(owner)  # the array holds a reference of its own
            yield found


def _description(parameter: ArrayType) -> tuple[int | None, ...]:
    """Numba's description of a contiguous array whose memory is others', without its address."""
    size = itemsize = parameter.dtype.itemsize
    strides: list[int] = []
    for extent in reversed(parameter.shape):
        strides.insert(0, size)
        size *= extent
    return (None, None, size // itemsize, itemsize, *parameter.shape, *strides)


@functools.cache
def _runtime() -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Functions of Numba's memory of arrays: an array of NumPy's around it; a reference given back."""
    from numba.core.runtime._nrt_python import c_helpers

    kinds = (ctypes.c_void_p, ctypes.py_object, ctypes.c_int, ctypes.c_int, ctypes.py_object)
    adapt = ctypes.PYFUNCTYPE(ctypes.py_object, *kinds)(c_helpers["adapt_ndarray_to_python_acqref"])
    return adapt, ctypes.PYFUNCTYPE(None, ctypes.c_void_p)(c_helpers["MemInfo_release"])


class _Error(ctypes.Structure):
    """Numba's description of an error: class and arguments as a pickle; those known at run time apart."""

    _fields_ = (
        ("pickled", ctypes.c_void_p),
        ("size", ctypes.c_int32),
        ("given", ctypes.c_void_p),
        ("take", ctypes.c_void_p),
        ("known_late", ctypes.c_int32),
    )


def _raise(address: int) -> NoReturn:
    """The error that a program ended with."""
    from numba.core.runtime._nrt_python import c_helpers
    from numba.core.serialize import loads, runtime_build_excinfo_struct

    error = _Error.from_address(address)
    pickled = ctypes.string_at(error.pickled, error.size)
    if error.known_late:
        taken = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.c_void_p)(error.take)(error.given)
        kind, arguments, _ = runtime_build_excinfo_struct(pickled, taken)
        ctypes.PYFUNCTYPE(None, ctypes.c_void_p)(c_helpers["Free"])(address)
    else:
        kind, arguments, _ = loads(pickled)
    raise kind(*arguments)
