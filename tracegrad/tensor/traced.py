"""`TracedArray`: what an array is while a function is captured; to the user's code it looks like an ndarray.

A recording (`record/recording.py`) makes these. It computes with NumPy at once and writes down each step, so a traced array
always has a value; what it may be asked for, and what that is guarded by, its recorder decides. Its methods are NumPy's; those
that only PyTorch has (`norm`, `sigmoid`) are there too, so that the tutorials' functions can be captured as they are.
Begin with `TracedArray`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tracegrad.errors import UnsupportedError
from tracegrad.ops.functions import FUNCTIONS, METHODS
from tracegrad.ops.index import getitem
from tracegrad.record.frames import user_location
from tracegrad.tensor.methods import Methods
from tracegrad.tensor.numpy_protocol import ArrayProtocol


class TracedArray(ArrayProtocol):
    """A value of a capture.

    Parameters
    ----------
    data : ndarray, NumPy scalar or Python number
        What NumPy computed.
    recorder : Recording
    atom : Var or Const
        What it is called in the recording.
    weak : bool
        It is a Python number, which takes the dtype of the arrays beside it.
    requires_grad : bool
        It depends on something that is differentiated.
    """

    __slots__ = ("__weakref__", "atom", "data", "recorder", "requires_grad", "weak")

    def __init__(self, data: Any, recorder: Any, atom: Any, weak: bool = False, requires_grad: bool = False) -> None:
        self.data = data
        self.recorder = recorder
        self.atom = atom
        self.weak = weak
        self.requires_grad = requires_grad

    @property
    def value(self) -> Any:
        """What it is now."""
        return self.data

    @property
    def shape(self) -> tuple[int, ...]:
        return self.atom.type.shape  # type: ignore[no-any-return]

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.atom.type.dtype  # type: ignore[no-any-return]

    @property
    def ndim(self) -> int:
        return len(self.atom.type.shape)

    @property
    def size(self) -> int:
        return math.prod(self.atom.type.shape)

    @property
    def T(self) -> Any:
        return FUNCTIONS[np.transpose](self)

    @property
    def real(self) -> Any:
        return FUNCTIONS[np.real](self) if self.dtype.kind == "c" else self

    @property
    def imag(self) -> Any:
        return FUNCTIONS[np.imag](self)

    @property
    def flat(self) -> Any:
        """The elements in order; to be iterated over."""
        return iter(METHODS["ravel"](self))

    def tolist(self) -> Any:
        """Nested lists of traced numbers."""
        return [row.tolist() for row in self] if self.shape else self.item()

    def fill(self, value: Any) -> None:
        self.recorder.assign(self, Ellipsis, value)

    def view(self, *dtype: Any) -> Any:
        """The array itself, seen through another object."""
        if dtype and not (len(dtype) == 1 and dtype[0] in (self.dtype, np.ndarray)):
            raise UnsupportedError(
                "`view` with another dtype has no op: it would look at the bytes of a traced array.",
                user_location(),
                "cast with .astype(dtype); for another shape write .reshape(shape)",
            )
        return getitem(self, index=(Ellipsis,)) if self.shape else self

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("__") and hasattr(np.ndarray, name):
            raise AttributeError(
                str(
                    UnsupportedError(
                        f"the array method `.{name}` has no op yet.",
                        user_location(),
                        "use a NumPy function that has one, or compute this from values that are not traced",
                    )
                )
            )
        raise AttributeError(f"a traced array has no attribute {name!r}")

    def __round__(self, digits: int = 0) -> Any:
        return FUNCTIONS[np.round](self, digits)

    def __str__(self) -> str:
        return str(self.data)

    def __repr__(self) -> str:
        return repr(self.data)


def _adopt_methods() -> None:
    """NumPy's methods, then those of PyTorch's that NumPy does not know."""
    for name, method in METHODS.items():
        setattr(TracedArray, name, method)
    for name in vars(Methods):
        if not name.startswith("_") and not name.endswith("_") and not hasattr(np.ndarray, name):
            setattr(TracedArray, name, getattr(Methods, name))


_adopt_methods()
