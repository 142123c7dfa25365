"""Stand-ins: what answers, under capture, for callables that NumPy's protocols do not reach.

`math.sin(x)` would ask `x` for a plain float, `np.array([x, 1.0])` would make a plain array, `np.zeros(3)`
makes an array that traced values shall be stored into later. Each has an answer here that keeps the trace.
Begin with `StandIns`.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tracegrad.errors import LeakError, UnsupportedError
from tracegrad.ir.types import is_number
from tracegrad.ops import elementary as e
from tracegrad.ops import special
from tracegrad.ops.families import astype, cast
from tracegrad.ops.functions import FUNCTIONS, SCIPY_FUNCTIONS
from tracegrad.ops.numpy_forms import refusing_as
from tracegrad.ops.operators import Operators
from tracegrad.tensor.boxes import Box, asks_for_boxes
from tracegrad.tensor.library import answer

_MATH: dict[Callable[..., Any], Callable[..., Any]] = {
    getattr(math, name): FUNCTIONS[getattr(np, numpy_name)]
    for name, numpy_name in {
        **{
            n: n
            for n in [
                "exp",
                "expm1",
                "exp2",
                "log1p",
                "log2",
                "log10",
                "sqrt",
                "cbrt",
                "sin",
                "cos",
                "tan",
                "sinh",
                "cosh",
                "tanh",
                "degrees",
                "radians",
                "fabs",
                "copysign",
                "floor",
                "ceil",
                "trunc",
                "fmod",
            ]
        },
        "asin": "arcsin",
        "acos": "arccos",
        "atan": "arctan",
        "atan2": "arctan2",
        "asinh": "arcsinh",
        "acosh": "arccosh",
        "atanh": "arctanh",
        "pow": "power",
        "isnan": "isnan",
        "isinf": "isinf",
        "isfinite": "isfinite",
    }.items()
    if hasattr(math, name) and getattr(np, numpy_name) in FUNCTIONS
}
_SCALARS = {np.dtype(code).type for code in "?bBhHiIlLqQefdFD"}
_TO_INTEGER = {math.floor, math.ceil, math.trunc}


def is_traced(value: Any) -> bool:
    return isinstance(value, Operators)  # never ask an object of the user's: it may answer to any name


def _as_double(x: Any) -> Any:
    """A number as the functions of `math` take it: in double precision."""
    narrow = is_traced(x) and x.dtype.kind == "f" and x.dtype.itemsize < 8
    return astype(x, dtype=np.dtype(np.float64)) if narrow else x


def _any_traced(values: Any) -> bool:
    if isinstance(values, (list, tuple)):
        return any(map(_any_traced, values))
    return is_traced(values)


class StandIns:
    """The stand-ins of one recording; `find(f)` gives the one for `f`, or None."""

    def __init__(self, recording: Any) -> None:
        self.recording = recording

    def find(self, function: Any) -> Callable[..., Any] | None:
        try:
            if self.recording.watchers and function in _RAISING:
                return functools.partial(self._raising, function)
            if function in _MATH:
                return refusing_as(function, functools.partial(self._math, function))
            if function in _SCALARS:
                return functools.partial(self._scalar, function)
            method = _BY_FUNCTION.get(function)
        except TypeError:  # not hashable
            return None
        if method is None and type(function).__module__ == "uarray":  # how `scipy.fft` chooses its backend
            return SCIPY_FUNCTIONS.get(f"scipy.fft.{function.__name__}")
        return answer(function, self) if method is None else refusing_as(function, getattr(self, method))

    # --- Python's own ----------------------------------------------------------------------------

    def any_traced(self, values: Any) -> bool:
        return _any_traced(values)

    def _raising(self, function: Any, *args: Any) -> Any:
        """A function of `math` where somebody may catch what it raises."""
        self.recording.calling(function, *map(self.values, args))
        method = _BY_FUNCTION.get(function)
        result = self._math(function, *args) if method is None else getattr(self, method)(*args)
        if is_traced(result):
            self.recording.sound(result)
        return result

    def _math(self, function: Any, *args: Any) -> Any:
        if not _any_traced(args):
            return function(*args)
        result = _MATH[function](*map(_as_double, args))
        if function in _TO_INTEGER:
            if not self._fits(result):
                return int(self.recording.text(result))
            result = astype(result, dtype=np.dtype(np.int64))
        return result.item()

    def math_log(self, x: Any, base: Any = None) -> Any:
        if not _any_traced((x, base)):
            return math.log(x) if base is None else math.log(x, base)
        x, base = _as_double(x), _as_double(base)
        return (e.log(x) if base is None else e.log(x) / e.log(base)).item()

    def math_erf(self, x: Any) -> Any:
        return special.erf(_as_double(x)).item() if is_traced(x) else math.erf(x)

    def math_erfc(self, x: Any) -> Any:
        return special.erfc(_as_double(x)).item() if is_traced(x) else math.erfc(x)

    def math_lgamma(self, x: Any) -> Any:
        return special.gammaln(_as_double(x)).item() if is_traced(x) else math.lgamma(x)

    def as_float(self, x: Any = 0.0) -> Any:
        if not is_traced(x):
            return float(x)
        x = self.recording.traced(x)
        if x.ndim or x.dtype.kind == "c":
            float(x.value)  # NumPy refuses it
        return (x if x.dtype == np.float64 else astype(x, dtype=np.dtype(np.float64))).item()

    def as_complex(self, real: Any = 0.0, imag: Any = 0.0) -> Any:
        if not _any_traced((real, imag)):
            return complex(real) if type(imag) is float and imag == 0.0 else complex(real, imag)
        complex(*map(self.values, (real, imag)))  # NumPy refuses arrays
        number = real + imag * 1j if is_traced(imag) or imag != 0 else real
        return astype(self.asarray(number), dtype=np.dtype(np.complex128)).item()

    def as_int(self, x: Any = 0, *base: Any) -> Any:
        if not is_traced(x):
            return int(x, *base)
        x = self.recording.traced(x)
        if x.ndim or base or x.dtype.kind in "fc":
            # NaN, infinities and whole arrays are refused as Python refuses them.
            self.recording.calling(int, x.value, *base)
        if not self._fits(x):
            return int(self.recording.text(x))
        return (x if x.dtype == np.int64 else astype(x, dtype=np.dtype(np.int64))).item()

    def _fits(self, x: Any) -> bool:
        """Whether a number is one of int64's, with a guard: NaN and infinities of a later call leave the program."""
        return x.dtype.kind != "f" or self.recording.truth(FUNCTIONS[np.abs](x) < 2.0**63)

    def is_instance(self, value: Any, classes: Any) -> bool:
        if asks_for_boxes(classes) and isinstance(value, Box):
            return True
        return isinstance(self.plain(value), classes)

    def type_of(self, value: Any, *rest: Any) -> Any:
        return type(self.plain(value), *rest)

    def plain(self, value: Any) -> Any:
        """What the user's code would hold here, for questions about its type."""
        if not is_traced(value):
            return value
        value = self.recording.traced(value)
        data = value.value
        if isinstance(data, np.ndarray):
            return np.broadcast_to(np.zeros((), data.dtype), data.shape)
        return data

    def values(self, given: Any) -> Any:
        """The same with plain arrays in place of traced values, in tuples and lists too."""
        if type(given) in (list, tuple):
            return type(given)(map(self.values, given))
        return np.array(self.recording.traced(given).value)[()] if is_traced(given) else given

    # --- arrays made inside ----------------------------------------------------------------------

    def fresh(self, array: np.ndarray[Any, Any]) -> Any:
        """An array made inside, as a traced value that can be written into."""
        if not is_number(array.dtype):  # of objects, records, texts: nothing traced is ever in it
            return array
        memory = array.copy(order="K")
        self.recording.made_inside(memory)
        return self.recording.wrap(memory, self.recording.constant(array))

    def zeros(self, shape: Any, dtype: Any = float, order: str = "C", **rest: Any) -> Any:
        make: Any = np.zeros
        return self._zeros(make(_plain_shape(shape), dtype, order, **rest))

    def _zeros(self, array: np.ndarray[Any, Any]) -> Any:
        if not is_number(array.dtype):
            return self.fresh(array)
        return self._as_memory(self.recording.zeros(array))

    def zeros_like(
        self, array: Any, dtype: Any = None, order: str = "K", subok: bool = True, shape: Any = None
    ) -> Any:
        plain = self.plain(array) if is_traced(array) else np.asarray(array)
        return self._zeros(
            np.zeros(plain.shape if shape is None else _plain_shape(shape), dtype or plain.dtype)
        )

    def ones_like(
        self, array: Any, dtype: Any = None, order: str = "K", subok: bool = True, shape: Any = None
    ) -> Any:
        plain = self.plain(array) if is_traced(array) else np.asarray(array)
        return self.fresh(
            np.ones(plain.shape if shape is None else _plain_shape(shape), dtype or plain.dtype)
        )

    def full(self, shape: Any, fill_value: Any, dtype: Any = None, order: str = "C", **rest: Any) -> Any:
        shape = _plain_shape(shape)
        if not _any_traced(fill_value):
            make: Any = np.full
            return self.fresh(make(shape, fill_value, dtype, order, **rest))
        value = self.recording.as_array(fill_value)
        repeated = FUNCTIONS[np.broadcast_to](self._as_dtype(value, dtype), np.empty(shape).shape)
        return self._as_memory(FUNCTIONS[np.copy](repeated, order))

    def full_like(
        self,
        array: Any,
        fill_value: Any,
        dtype: Any = None,
        order: str = "K",
        subok: bool = True,
        shape: Any = None,
    ) -> Any:
        plain = self.plain(array) if is_traced(array) else np.asarray(array)
        make: Any = np.empty_like
        like = make(plain, dtype, order, shape=None if shape is None else _plain_shape(shape))
        return self.full(like.shape, fill_value, like.dtype, "F" if like.flags.fnc else "C")

    def array(self, data: Any, dtype: Any = None, *, copy: Any = True, **rest: Any) -> Any:
        if not _any_traced(data):
            return self.fresh(np.array(data, dtype, copy=copy, **rest))
        made = self._as_dtype(self.recording.as_array(data), dtype)
        order = rest.get("order") or "K"
        if copy is True:
            made = FUNCTIONS[np.copy](made, "C" if order == "K" and not is_traced(data) else order)
        missing = rest.get("ndmin", 0) - made.ndim
        return made.reshape((1,) * missing + made.shape) if missing > 0 else self._as_memory(made)

    def _as_memory(self, made: Any) -> Any:
        """An array made inside; one number in an array is no number, as it can be written into."""
        if made.shape or isinstance(made.value, np.ndarray):
            return made
        return self.recording.wrap(np.array(made.value), made.atom, False, made.requires_grad)

    def asarray(self, data: Any, dtype: Any = None, order: Any = None, **rest: Any) -> Any:
        if not _any_traced(data):
            return (
                np.asarray(data, dtype, order, **rest)
                if isinstance(data, np.ndarray)
                else self.array(data, dtype)
            )
        if is_traced(data):
            traced = self.recording.traced(data)
            if traced.weak:
                traced = self.recording.wrap(
                    np.asarray(traced.value)[()], traced.atom, False, traced.requires_grad
                )
            return self._in_order(self._as_dtype(traced, dtype), order)
        return self._in_order(self._as_dtype(self.recording.as_array(data), dtype), order)

    def contiguous(self, data: Any, dtype: Any = None, **rest: Any) -> Any:
        made = self.asarray(data, dtype, "C")
        return made.reshape(1) if is_traced(made) and not made.shape else made

    def fortran(self, data: Any, dtype: Any = None, **rest: Any) -> Any:
        made = self.asarray(data, dtype, "F")
        return made.reshape(1) if is_traced(made) and not made.shape else made

    def require(self, a: Any, dtype: Any = None, requirements: Any = None, **rest: Any) -> Any:
        """An array that lies as it is required to: the given one, or a copy."""
        if not _any_traced(a):
            return np.require(a, dtype, requirements, **rest)
        asked = "".join(dict.fromkeys(str(r)[0].upper() for r in requirements or ()))
        if unknown := set(asked) - set("CFAWOE"):
            raise KeyError(unknown.pop())
        if "C" in asked and "F" in asked:
            raise ValueError('Cannot specify both "C" and "F" order')
        order = next((o for o in asked if o in "CF"), None)
        made = self.asarray(a, dtype, order)
        lies = not is_traced(made) or all(made.value.flags[r] for r in asked if r in "AWO")
        return made if lies else FUNCTIONS[np.copy](made, order or "A")

    def _in_order(self, made: Any, order: Any) -> Any:
        """The array itself where it lies in an order, "C" or "F", else a copy."""
        if not is_traced(made) or not made.shape or order not in ("C", "F"):
            return made
        lies = made.value.flags.c_contiguous if order == "C" else made.value.flags.f_contiguous
        found = made if lies else FUNCTIONS[np.copy](made, order)
        self.recording.reshaped(made.value, found.value)
        return found

    def _as_dtype(self, value: Any, dtype: Any) -> Any:
        if dtype is None:
            return value
        if not is_number(np.dtype(dtype)):
            raise self.recording.leak(f"a traced value is put into an array of {np.dtype(dtype)}")
        return cast(value, np.dtype(dtype))

    def fromiter(self, items: Any, dtype: Any, count: int = -1, **rest: Any) -> Any:
        items = list(items)
        return self.array(items if count < 0 else items[:count], dtype)

    def ndenumerate(self, arr: Any) -> Any:
        if not _any_traced(arr):
            return np.ndenumerate(arr)
        array = self.recording.as_array(arr)
        return ((index, array[index]) for index in np.ndindex(*array.shape))

    def nditer(self, op: Any, *args: Any, **keywords: Any) -> Any:
        if not _any_traced(op):
            return np.nditer(op, *args, **keywords)
        raise UnsupportedError(
            "np.nditer goes through the memory of an array, which a traced value does not have.",
            self.recording.location(),
            "go through its elements, `for v in x.flat`, or its indices, `for i in np.ndindex(x.shape)`",
        )

    def fsum(self, items: Any) -> Any:
        items = list(items)
        return (
            FUNCTIONS[np.sum](_as_double(self.recording.as_array(items))).item()
            if _any_traced(items)
            else math.fsum(items)
        )

    def _scalar(self, kind: Any, *args: Any) -> Any:
        """`np.float32(x)` and its kind, which make arrays of arrays."""
        if not _any_traced(args):
            return kind(*args)
        x, *imag = args
        return cast(self.asarray(x + imag[0] * 1j if imag else x), np.dtype(kind))

    def frompyfunc(self, *args: Any, **keywords: Any) -> Any:
        raise LeakError(
            "np.frompyfunc makes arrays of objects, where a derivative would be lost.",
            self.recording.location(),
            "use np.vectorize, which is recorded as a loop",
        )


def _plain_shape(shape: Any) -> Any:
    """A shape with plain sizes: a traced size is a guard on its value."""
    if is_traced(shape) and not shape.shape:
        return shape.__index__()
    if isinstance(shape, (list, tuple)):
        return tuple(n.__index__() if is_traced(n) else n for n in shape)
    return shape


_BY_FUNCTION: dict[Any, str] = {
    math.log: "math_log",
    math.fsum: "fsum",
    np.fromiter: "fromiter",
    np.ndenumerate: "ndenumerate",
    np.nditer: "nditer",
    math.erf: "math_erf",
    math.erfc: "math_erfc",
    math.lgamma: "math_lgamma",
    float: "as_float",
    int: "as_int",
    complex: "as_complex",
    isinstance: "is_instance",
    type: "type_of",
    np.zeros: "zeros",
    np.empty: "zeros",
    np.zeros_like: "zeros_like",
    np.empty_like: "zeros_like",
    np.ones_like: "ones_like",
    np.full: "full",
    np.full_like: "full_like",
    np.array: "array",
    np.asarray: "asarray",
    np.asanyarray: "asarray",
    np.ascontiguousarray: "contiguous",
    np.asfortranarray: "fortran",
    np.require: "require",
    np.asarray_chkfinite: "asarray",
    np.frompyfunc: "frompyfunc",
}
_RAISING = {*_MATH, math.log, math.lgamma}
