"""How NumPy reaches a tensor: `__array_ufunc__`, `__array_function__`, and what Python asks of any array.

`ArrayProtocol` is the half that eager tensors and traced arrays share. It decides nothing itself: a NumPy callable
is looked up in the tables of `ops/functions.py`, and what a value has to say about itself (`bool`, `int`, an item
written) is answered by the recorder it belongs to. Begin with `ArrayProtocol`.
"""

from __future__ import annotations

import functools
import itertools
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from tracegrad.errors import UnsupportedError
from tracegrad.ops import arithmetic as a
from tracegrad.ops import compare as c
from tracegrad.ops import families, linalg
from tracegrad.ops.functions import FUNCTIONS, METHODS, SCIPY_FUNCTIONS, ufunc_method
from tracegrad.ops.numpy_forms import deliver
from tracegrad.ops.op import Op
from tracegrad.ops.operators import Operators
from tracegrad.record.frames import user_location
from tracegrad.tensor.item_loops import updated_at

_SPECIAL = "scipy.special."
_NAMELESS = {
    "SuperLU": "scipy.sparse.linalg"
}  # compiled classes of SciPy's that do not say where they are from


def find(function: Callable[..., Any]) -> Callable[..., Any] | None:
    """Our function for one of NumPy's or SciPy's; None if there is none."""
    found = FUNCTIONS.get(function)
    if found is not None:
        return found
    name = public_name(function)
    return SCIPY_FUNCTIONS.get(name) if name else None


@functools.lru_cache(maxsize=4096)
def public_name(function: Callable[..., Any]) -> str:
    """The name under which a function or class of SciPy's is imported, `scipy.linalg.solve`; empty for another."""
    name = getattr(function, "__name__", "")
    if isinstance(function, np.ufunc):
        special = sys.modules.get("scipy.special")
        return _SPECIAL + name if special is not None and getattr(special, name, None) is function else ""
    parts = (getattr(function, "__module__", None) or "").split(".")
    if parts[0] != "scipy":
        return ""
    cls, _, _ = getattr(function, "__qualname__", name).rpartition(".")  # of a static method
    name = f"{cls}.{name}" if cls else name
    while parts:
        package = ".".join(parts)
        holder = sys.modules.get(package)
        holder = getattr(holder, cls, None) if cls else holder
        if f"{package}.{name}" in SCIPY_FUNCTIONS and getattr(holder, function.__name__, None) is function:
            return f"{package}.{name}"
        parts.pop()
    return ""


def find_method(owner: Any, name: str) -> Callable[..., Any] | None:
    """Our function for a method of an object of SciPy's, `scipy.interpolate.PPoly.__call__`; None if there is none."""
    for cls in type(owner).__mro__:
        module = _NAMELESS.get(cls.__name__, "") if cls.__module__ == "builtins" else cls.__module__
        if module.partition(".")[0] != "scipy":
            return None
        public = ".".join(part for part in module.split(".") if not part.startswith("_"))
        found = SCIPY_FUNCTIONS.get(f"{public}.{cls.__name__}.{name}")
        if found is not None or name in vars(cls):
            return found
    return None


def lookup(function: Callable[..., Any]) -> Callable[..., Any]:
    """Our function for one of NumPy's or SciPy's.

    Raises
    ------
    UnsupportedError : there is none
    """
    found = find(function)
    if found is None:
        raise unsupported(spelling(function))
    return found


def spelling(function: Callable[..., Any]) -> str:
    """How the user most likely wrote it, `np.linalg.eigvals`."""
    if isinstance(function, np.ufunc):
        in_numpy = getattr(np, function.__name__, None) is function
        return f"np.{function.__name__}" if in_numpy else public_name(function) or "np.frompyfunc"
    module = getattr(function, "__module__", None) or "numpy"
    public = ".".join(itertools.takewhile(lambda part: part[:1] != "_", module.split(".")))
    if getattr(sys.modules.get(public), function.__name__, None) is function:
        module = public
    return f"{module.replace('numpy', 'np', 1)}.{function.__name__}"


def unsupported(name: str) -> UnsupportedError:
    """The error for a callable that has no op."""
    return UnsupportedError(
        f"`{name}` has no op yet, so its derivative is not known.",
        user_location(),
        "write it with functions that have one (arithmetic, np.where, np.sum, np.linalg.solve, ...); or, if no "
        "derivative has to pass through it, compute it outside",
    )


class ArrayProtocol(Operators):
    """A value with a recorder, as NumPy and Python see it.

    Attributes
    ----------
    value : ndarray or NumPy scalar
        What it is now.
    recorder : object
        What computing with it goes through: the eager recorder, or a capture's.
    """

    __slots__ = ()
    value: Any
    recorder: Any

    # --- what it is -----------------------------------------------------------------------------------------

    @property
    def shape(self) -> tuple[int, ...]:
        return np.shape(self.value)

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.asarray(self.value).dtype if not hasattr(self.value, "dtype") else self.value.dtype

    @property
    def ndim(self) -> int:
        return np.ndim(self.value)

    @property
    def itemsize(self) -> int:
        return self.dtype.itemsize

    @property
    def nbytes(self) -> int:
        return int(np.size(self.value)) * self.dtype.itemsize

    @property
    def real(self) -> Any:
        """The real part: a view, as in NumPy; of a real value itself."""
        return families.real(self) if self.dtype.kind == "c" else self

    @real.setter
    def real(self, value: Any) -> None:
        self.recorder.assign(self.real, Ellipsis, value)

    @property
    def imag(self) -> Any:
        """The imaginary part: a view, as in NumPy."""
        return FUNCTIONS[np.imag](self)

    @imag.setter
    def imag(self, value: Any) -> None:
        if self.dtype.kind != "c":
            raise TypeError("array does not have imaginary part to set")
        self.recorder.assign(self.imag, Ellipsis, value)

    def __array_namespace__(self, /, *, api_version: Any = None) -> Any:
        """What functions of the Python array API standard compute with: NumPy, whose functions are recorded."""
        return np.empty(0).__array_namespace__(api_version=api_version)

    def __len__(self) -> int:
        shape = self.shape
        if not shape:
            raise TypeError("len() of a 0-d tensor")
        return shape[0]

    def __iter__(self) -> Iterator[Any]:
        shape = self.shape
        if not shape:
            raise TypeError("iteration over a 0-d tensor")
        return (self[i] for i in range(shape[0]))

    def __contains__(self, item: Any) -> bool:
        return bool(np.any(self == item))

    # --- what leaves the world of recorded values -----------------------------------------------------------

    def __bool__(self) -> bool:
        return self.recorder.truth(self)

    def __int__(self) -> int:
        return self.recorder.number(self, int)

    def __float__(self) -> float:
        return self.recorder.number(self, float)

    def __complex__(self) -> complex:
        return self.recorder.number(self, complex)

    def __index__(self) -> int:
        return self.recorder.number(self, "index")

    def item(self, *index: int) -> Any:
        """The one item as a Python number; with an index, that item."""
        if index:
            place = index[0] if len(index) == 1 else index
            return (self if isinstance(place, tuple) else METHODS["ravel"](self))[place].item()
        return self.recorder.number(self, "item")

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        found = self.recorder.array(self)
        if dtype is not None and found.dtype != dtype:
            return found.astype(dtype)
        return found.copy() if copy else found

    def __format__(self, spec: str) -> str:
        if self.shape or not spec:
            return object.__format__(self, spec)
        return format(np.asarray(self.value).item(), spec)

    # --- written in place -----------------------------------------------------------------------------------

    def __setitem__(self, key: Any, value: Any) -> None:
        self.recorder.assign(self, key, value)

    def fill(self, value: Any) -> None:
        """`a.fill(0)`: every item written."""
        self.recorder.assign(self, Ellipsis, value)

    def put(self, indices: Any, values: Any, mode: str = "raise") -> None:
        """`np.put` of this array."""
        FUNCTIONS[np.put](self, indices, values, mode=mode)

    def _sort(self, axis: int = -1, kind: Any = None, order: Any = None, *, stable: Any = None) -> Any:
        """The items along an axis in order, in place."""
        self.recorder.assign(
            self, Ellipsis, FUNCTIONS[np.sort](self, axis, kind=kind, order=order, stable=stable)
        )

    def partition(self, kth: Any, axis: int = -1, kind: str = "introselect", order: Any = None) -> None:
        """As `np.partition`, in place."""
        self.recorder.assign(self, Ellipsis, FUNCTIONS[np.partition](self, kth, axis, kind=kind, order=order))

    def _update(self, op: Op, other: Any) -> Any:
        return self.recorder.update(self, op, other)

    def __iadd__(self, other: Any) -> Any:
        return self._update(a.add, other)

    def __isub__(self, other: Any) -> Any:
        return self._update(a.subtract, other)

    def __imul__(self, other: Any) -> Any:
        return self._update(a.multiply, other)

    def __itruediv__(self, other: Any) -> Any:
        return self._update(a.divide, other)

    def __ifloordiv__(self, other: Any) -> Any:
        return self._update(a.floor_divide, other)

    def __imod__(self, other: Any) -> Any:
        return self._update(a.remainder, other)

    def __ipow__(self, other: Any) -> Any:
        return self._update(a.power, other)

    def __imatmul__(self, other: Any) -> Any:
        return self._update(linalg.matmul, other)

    def __iand__(self, other: Any) -> Any:
        return self._update(c.bitwise_and, other)

    def __ior__(self, other: Any) -> Any:
        return self._update(c.bitwise_or, other)

    def __ixor__(self, other: Any) -> Any:
        return self._update(c.bitwise_xor, other)

    def __ilshift__(self, other: Any) -> Any:
        return self._update(c.left_shift, other)

    def __irshift__(self, other: Any) -> Any:
        return self._update(c.right_shift, other)

    def __round__(self, digits: int | None = None) -> Any:
        return METHODS["round"](self, digits or 0)

    def __divmod__(self, other: Any) -> Any:
        return self // other, self % other

    # --- called by NumPy ------------------------------------------------------------------------------------

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if method == "__call__":
            return lookup(ufunc)(*inputs, **kwargs)
        if method == "at":
            return updated_at(_called, ufunc=ufunc, args=inputs)
        ours = ufunc_method(ufunc, method)
        if ours is None:
            raise unsupported(f"{spelling(ufunc)}.{method}")
        return ours(*inputs, **kwargs)

    def __array_function__(
        self,
        function: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
    ) -> Any:
        asked = _ABOUT.get(function)
        if asked is not None:
            return asked(*args, **kwargs)
        return lookup(function)(*args, **kwargs)


class FlatItems:
    """What `a.flat` reads is a copy; what it writes is written into the array, in C order."""

    __slots__ = ()
    array: Any

    def __getitem__(self, key: Any) -> Any:
        found = METHODS["ravel"](self.array)[key]
        return METHODS["copy"](found) if found.shape else found

    def __setitem__(self, key: Any, value: Any) -> None:
        flat, recorder = METHODS["flatten"](self.array), self.array.recorder
        wanted, given = flat[key].shape, recorder.as_array(value)
        if wanted and np.ndim(given) and np.shape(given) != wanted:
            given = FUNCTIONS[np.resize](given, wanted)  # repeated as often as needed
        flat[key] = given
        recorder.assign(self.array, Ellipsis, METHODS["reshape"](flat, self.array.shape))


def _called(function: Callable[..., Any], args: Sequence[Any], keywords: Mapping[str, Any]) -> Any:
    return function(*args, **keywords)


# --- NumPy's questions about a value, answered without an op ------------------------------------------------


def _size(x: Any, axis: int | None = None) -> int:
    return int(np.prod(np.shape(x), dtype=int)) if axis is None else int(np.shape(x)[axis])


def _result_type(*values: Any) -> np.dtype[Any]:
    return np.result_type(*(v.dtype if isinstance(v, ArrayProtocol) else v for v in values))


def _copyto(target: Any, source: Any, casting: str = "same_kind", where: Any = True) -> None:
    deliver(source if where is True else c.where(where, source, target), target)


def _shape(x: Any) -> tuple[int, ...]:
    return x.shape if isinstance(x, ArrayProtocol) else np.shape(np.asarray(x, dtype=object))


def _value_of(x: Any) -> Any:
    return x.value if isinstance(x, ArrayProtocol) else x


_ABOUT: dict[Any, Callable[..., Any]] = {
    np.shape: _shape,
    np.ndim: lambda x: len(_shape(x)),
    np.size: _size,
    np.result_type: _result_type,
    np.iscomplexobj: lambda x: x.dtype.kind == "c",
    np.isrealobj: lambda x: x.dtype.kind != "c",
    np.may_share_memory: lambda a, b, max_work=None: np.may_share_memory(_value_of(a), _value_of(b)),
    np.copyto: _copyto,
    np.array_repr: lambda x, *_, **__: repr(x),
    np.array_str: lambda x, *_, **__: str(x),
}
