"""TracedArray: what the user's function holds instead of an array while it is captured.

It has NumPy's methods and NumPy's meanings (an eager `Tensor` has PyTorch's), and answers for the array it
stands for: its type, its text when it is printed. All computing goes to its recording. Begin with
`TracedArray`.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tracegrad.errors import InPlaceError
from tracegrad.ir.trace import Atom
from tracegrad.labels import is_labelled
from tracegrad.ops.arithmetic import stop_gradient
from tracegrad.ops.functions import FUNCTIONS, METHODS
from tracegrad.tensor.methods import Methods
from tracegrad.tensor.numpy_protocol import ArrayProtocol, FlatItems

_SEQUENCES = (list, tuple, str, bytes)


class TracedArray(ArrayProtocol):
    """A value of a recording.

    Attributes
    ----------
    value : ndarray, NumPy scalar or Python number
        What NumPy computed.
    atom : Var or Const
        What it is called in the trace.
    weak : bool
        It stands for a Python number, which takes the dtype of the arrays beside it (NEP 50).
    requires_grad : bool
        It depends on something that is differentiated.
    """

    __module__ = "numpy"  # for libraries that look for functions where a class is from (opt_einsum)
    __slots__ = ("__weakref__", "atom", "recorder", "requires_grad", "twins", "value", "weak")

    def __init__(
        self, value: Any, *, recorder: Any, atom: Atom, weak: bool = False, requires_grad: bool = False
    ) -> None:
        self.value = value
        self.recorder = recorder
        self.atom = atom
        self.weak = weak
        self.requires_grad = requires_grad
        self.twins: list[Any] | None = None  # weak references to other objects that stand for the same array

    @property
    def size(self) -> int:
        return int(np.size(self.value))

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.atom.type.dtype

    @property
    def real(self) -> Any:
        """A view; of a Python number a Python number."""
        return self._as_weak(ArrayProtocol.real.fget(self))  # type: ignore[attr-defined]

    @real.setter
    def real(self, value: Any) -> None:
        ArrayProtocol.real.fset(self, value)  # type: ignore[attr-defined]

    @property
    def imag(self) -> Any:
        """A view; of a Python number a Python number."""
        return self._as_weak(ArrayProtocol.imag.fget(self))  # type: ignore[attr-defined]

    @imag.setter
    def imag(self, value: Any) -> None:
        ArrayProtocol.imag.fset(self, value)  # type: ignore[attr-defined]

    def _as_weak(self, part: Any) -> Any:
        return part.item() if self.weak else part

    @property
    def T(self) -> Any:
        return METHODS["transpose"](self)

    @property
    def _value(self) -> Any:
        """As HIPS autograd calls the value without its derivative."""
        return stop_gradient(self)

    @property
    def mT(self) -> Any:
        """With the last two dimensions exchanged."""
        return FUNCTIONS[np.matrix_transpose](self)

    @property
    def flat(self) -> Any:
        return Flat(self)

    @flat.setter
    def flat(self, value: Any) -> None:
        Flat(self)[:] = value

    @property
    def base(self) -> None:
        return None

    sort = ArrayProtocol._sort

    def view(self, dtype: Any = None, type: Any = None) -> Any:
        """Another name for the same memory; only in the same dtype."""
        if type is not None or (dtype is not None and np.dtype(dtype) != self.dtype):
            raise self._reinterpreted("view", "a.astype(dtype), or compute it from plain arrays")
        return self[...]

    @property
    def shape(self) -> tuple[int, ...]:
        return np.shape(self.value)

    @shape.setter
    def shape(self, shape: Any) -> None:
        raise self._reinterpreted("a.shape = ...", "a = a.reshape(shape)")

    def resize(self, *shape: Any, refcheck: bool = True) -> None:
        """Refused: the size of recorded memory does not change."""
        raise self._reinterpreted("resize", "a = np.resize(a, shape), or make an array of the new shape")

    def _reinterpreted(self, name: str, do: str) -> InPlaceError:
        return InPlaceError(
            f"`{name}` would give the memory of a recorded array another form.",
            self.recorder.location(),
            f"write {do}",
        )

    def nonzero(self) -> tuple[Any, ...]:
        """The places of true items, an array a dimension."""
        found: tuple[Any, ...] = FUNCTIONS[np.nonzero](self)
        return found

    def tolist(self) -> Any:
        """Nested lists of traced numbers."""
        return self.item() if not self.shape else [row.tolist() for row in self]

    def __getitem__(self, key: Any) -> Any:
        return super().__getitem__(self.recorder.plain_key(key, self.shape))

    def __len__(self) -> int:
        return len(self.value)

    def __iter__(self) -> Iterator[Any]:
        iter(self.value)
        return super().__iter__()

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if any(is_labelled(type(x)) for x in inputs):
            return NotImplemented
        return strong(super().__array_ufunc__(ufunc, method, *inputs, **kwargs))

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        return strong(super().__array_function__(function, types, args, kwargs))

    def __mul__(self, other: Any) -> Any:
        return self._repeated(other) if isinstance(other, _SEQUENCES) else super().__mul__(other)

    def __rmul__(self, other: Any) -> Any:
        return self._repeated(other) if isinstance(other, _SEQUENCES) else super().__rmul__(other)

    def _repeated(self, other: Any) -> Any:
        """`[0.0] * n` is a longer list; any other number makes an array of it."""
        if self.dtype.kind in "iu" and not self.shape:
            return other * self.__index__()
        return super().__mul__(other)

    def becomes_item(self, column: Any, number: int) -> None:
        """Stand for an item of a loop's stack, read where it is asked for."""
        self.__class__ = LoopItem
        _ATOM.__set__(self, (column, number, None, None))

    def __str__(self) -> str:
        return str(self.recorder.text(self))

    def __repr__(self) -> str:
        return repr(self.recorder.text(self))

    def __format__(self, spec: str) -> str:
        return format(self.recorder.text(self), spec)

    def __hash__(self) -> int:
        """As the key of a dict or in a set it is a plain number, with a guard on its value."""
        if self.shape:
            raise TypeError("unhashable type: 'numpy.ndarray'")
        return hash(self.recorder.text(self))

    def __reduce__(self) -> Any:
        return copy.copy, (self.recorder.array(self)[()],)

    def __copy__(self) -> Any:
        return METHODS["copy"](self) if self.shape else self

    def __deepcopy__(self, memo: Any) -> Any:
        return self.__copy__()


class Flat(FlatItems, TracedArray):
    """`a.flat` of a traced array."""

    __slots__ = ("array",)

    def __init__(self, array: Any) -> None:
        found = METHODS["ravel"](array)
        TracedArray.__init__(
            self, found.value, recorder=found.recorder, atom=found.atom, requires_grad=found.requires_grad
        )
        self.array = array


class LoopItem(TracedArray):
    """What a list holds after a loop that appended to it: an item of a stack, whose variable is made in the block
    that reads it.
    """

    __slots__ = ()

    @property
    def item_of(self) -> tuple[Any, int]:
        """The whole stack, as a traced array, and the number of this item."""
        column, number, _, _ = _ATOM.__get__(self)
        return column, number

    @property
    def atom(self) -> Atom:
        column, number, block, known = _ATOM.__get__(self)
        if block is not self.recorder.steps:
            known = column[number].atom
            _ATOM.__set__(self, (column, number, self.recorder.steps, known))
        found: Atom = known
        return found

    @atom.setter
    def atom(self, atom: Atom) -> None:
        self.__class__ = TracedArray  # type: ignore[assignment]
        self.atom = atom


_ATOM: Any = TracedArray.__dict__["atom"]


def _method(name: str, run: Callable[..., Any]) -> Callable[..., Any]:

    def method(self: Any, *args: Any, **keywords: Any) -> Any:
        return strong(run(self, *args, **keywords))

    method.__name__ = name
    method.__doc__ = run.__doc__
    return method


def _deferring(run: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """An operator that leaves containers with labels to answer."""

    @functools.wraps(run)
    def method(self: Any, other: Any) -> Any:
        return NotImplemented if is_labelled(type(other)) else run(self, other)

    return method


for _name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul", "and", "or", "xor"):
    for _side in (f"__{_name}__", f"__r{_name}__"):
        setattr(TracedArray, _side, _deferring(getattr(TracedArray, _side)))
for _name in ("lt", "le", "gt", "ge", "eq", "ne"):
    setattr(TracedArray, f"__{_name}__", _deferring(getattr(TracedArray, f"__{_name}__")))
for _name, _run in METHODS.items():
    setattr(TracedArray, _name, _method(_name, _run))
for _name, _run in vars(Methods).items():
    # What only PyTorch has (`b.norm()`), so that the function of a tutorial is captured as it is written.
    if not _name.startswith("_") and not _name.endswith("_") and not hasattr(np.ndarray, _name):
        setattr(TracedArray, _name, _method(_name, _run))


def strong(result: Any) -> Any:
    """What a NumPy function gives is a NumPy number, also for Python numbers."""
    if isinstance(result, TracedArray) and result.weak:
        return TracedArray(
            np.asarray(result.value)[()],
            recorder=result.recorder,
            atom=result.atom,
            requires_grad=result.requires_grad,
        )
    return result


def weak(result: Any) -> Any:
    """The Python number that a traced number stands for: the opposite of `strong`."""
    return result.item() if isinstance(result, TracedArray) else result
