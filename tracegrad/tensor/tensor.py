"""`Tensor`: an array that remembers how it was computed, in the manner of PyTorch.

A tensor is a NumPy array (`value`), and its place in the graph (`node`, `index`): none for a leaf. What happens to
it goes through the eager recorder (`eager.py`); `.backward()` is in `backward.py`; PyTorch's many methods in
`methods.py`. Begin with `Tensor`.
"""

from __future__ import annotations

import copy
import weakref
from collections.abc import Callable, Sequence
from typing import Any, Self

import numpy as np

from tracegrad.errors import ArgumentError, BackwardError, InPlaceError
from tracegrad.ops import families, shape
from tracegrad.ops.functions import METHODS
from tracegrad.ops.index import getitem
from tracegrad.record.frames import user_location
from tracegrad.record.node import AccumulateGrad, Node, Version
from tracegrad.tensor import backward
from tracegrad.tensor.arrangement import labelled, whole
from tracegrad.tensor.dtypes import bool as bool_dtype
from tracegrad.tensor.dtypes import double, float32, get_default_dtype, half, int32, int64
from tracegrad.tensor.eager import Eager
from tracegrad.tensor.formatting import tensor_text
from tracegrad.tensor.inplace import Window
from tracegrad.tensor.methods import Methods, either
from tracegrad.tensor.numpy_protocol import ArrayProtocol, FlatItems


class Size(tuple[int, ...]):
    """A shape, printed as PyTorch prints it."""

    __slots__ = ()

    def numel(self) -> int:
        """How many elements a tensor of this shape has."""
        return int(np.prod(self, dtype=int))

    def __repr__(self) -> str:
        return f"tracegrad.Size({list(self)})"


class Count(int):
    """How many elements: NumPy's `x.size`; called, it is PyTorch's `x.size()`, the shape."""

    shape: tuple[int, ...]

    def __call__(self, dim: int | None = None) -> Any:
        return Size(self.shape) if dim is None else self.shape[dim]


class RemovableHook:
    """A registered hook; `remove()`, or leaving a `with` block, takes it away."""

    def __init__(self, hooks: list[Callable[[Any], Any]], hook: Callable[[Any], Any]) -> None:
        self._hooks, self._hook = hooks, hook

    def remove(self) -> None:
        """Take the hook away; a second time does nothing."""
        if self._hook in self._hooks:
            self._hooks.remove(self._hook)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()


class Tensor(Methods, ArrayProtocol):
    """A multi-dimensional array whose history can be differentiated.

    Parameters
    ----------
    value : array_like
        Kept as it is where it is an ndarray; memory is shared.
    requires_grad : bool, default False
        Record what is done with it.

    Attributes
    ----------
    value : ndarray
    active : bool
        What `requires_grad` says.
    node, index : Node or None, int
        The node whose result number `index` this is.
    version : Version
        Counts the writes into this memory.
    base : Tensor or None
        What this tensor is a view of.
    window : Window or None
        How it looks at that memory; `born` is the count of recorded writes its history knows of.
    end : weak reference to AccumulateGrad, or None
    hooks : list of callable or None
        Of a leaf.
    """

    __slots__ = (
        "__weakref__",
        "_grad",
        "active",
        "base",
        "born",
        "end",
        "hooks",
        "index",
        "node",
        "recorder",
        "value",
        "version",
        "window",
    )

    def __init__(self, value: Any, requires_grad: bool = False) -> None:
        self.value: np.ndarray[Any, Any] = value if type(value) is np.ndarray else np.asarray(value)
        self.recorder = EAGER
        self.active = False
        self.node: Node | None = None
        self.index = 0
        self.version = Version()
        self.base: Tensor | None = None
        self.window: Window | None = None
        self.born = 0
        self.end: Callable[[], AccumulateGrad | None] | None = None
        self.hooks: list[Callable[[Any], Any]] | None = None
        self._grad: Tensor | None = None
        if requires_grad:
            self.requires_grad_()

    # --- the array ------------------------------------------------------------------------------------------

    @property
    def shape(self) -> Size:
        return Size(self.value.shape)

    @property
    def size(self) -> Count:
        """The number of elements; `x.size()` and `x.size(dim)` give the shape."""
        count = Count(self.value.size)
        count.shape = self.value.shape
        return count

    def dim(self) -> int:
        """The number of dimensions."""
        return self.value.ndim

    ndimension = dim

    def numel(self) -> int:
        """The number of elements."""
        return self.value.size

    nelement = numel

    @property
    def T(self) -> Any:
        """With the dimensions in reverse order."""
        return self.permute(*range(self.value.ndim)[::-1]) if self.value.ndim > 1 else self

    @property
    def flat(self) -> Any:
        """The elements in C order, to be read and written one by one."""
        return Flat(self)

    @flat.setter
    def flat(self, value: Any) -> None:
        Flat(self)[:] = value

    mT = property(lambda self: self.transpose(-2, -1), doc="With the last two dimensions exchanged.")

    def __getitem__(self, key: Any) -> Any:
        template, arrays = self.recorder.split_key(self.recorder.plain_key(key, self.shape))
        return getitem(self, *arrays, index=template)

    def numpy(self, *, force: bool = False) -> np.ndarray[Any, Any]:
        """The array, sharing memory; refused where a gradient is required, unless `force`."""
        return self.value if force else self.recorder.array(self)

    def tolist(self) -> Any:
        """Nested lists of Python numbers."""
        return self.value.tolist()

    def clone(self) -> Any:
        """A copy, through which derivatives pass."""
        return labelled(shape.copy(self), "CloneBackward0")

    def is_contiguous(self) -> Any:
        """Whether the elements lie in C order, without gaps."""
        return self.value.flags.c_contiguous

    def contiguous(self) -> Any:
        """This tensor, or a copy of it in C order."""
        if self.value.flags.c_contiguous:
            return self
        out = self.clone()
        out.value = np.ascontiguousarray(out.value)
        return out

    def stride(self, dim: int | None = None) -> Any:
        """How many elements neighbours along each dimension, or along `dim`, are apart in memory."""
        steps = tuple(step // self.value.itemsize for step in self.value.strides)
        return steps if dim is None else steps[dim]

    def element_size(self) -> Any:
        """The bytes of one element."""
        return self.value.itemsize

    def cpu(self) -> Self:
        """This tensor: there are no devices."""
        return self

    def new_tensor(self, data: Any, *, dtype: Any = None, requires_grad: Any = False) -> Tensor:
        """A tensor of this data, in the dtype of this one."""
        return Tensor(np.array(data, dtype or self.value.dtype), requires_grad)

    def new_full(
        self, size: Any, fill_value: Any, *, dtype: Any = None, requires_grad: Any = False
    ) -> Tensor:
        """One value everywhere, in the dtype of this tensor."""
        return Tensor(np.full(size, fill_value, dtype or self.value.dtype), requires_grad)

    def new_zeros(self, *size: Any, dtype: Any = None, requires_grad: Any = False) -> Tensor:
        """Zeros, in the dtype of this tensor."""
        return self.new_full(whole(size), 0, dtype=dtype, requires_grad=requires_grad)

    def new_ones(self, *size: Any, dtype: Any = None, requires_grad: Any = False) -> Tensor:
        """Ones, in the dtype of this tensor."""
        return self.new_full(whole(size), 1, dtype=dtype, requires_grad=requires_grad)

    new_empty = new_zeros

    # --- dtypes ---------------------------------------------------------------------------------------------

    def to(self, dtype: Any) -> Any:
        """In another dtype, or as another tensor's; this tensor where it has it, and for the device "cpu"."""
        if isinstance(dtype, str) and dtype.partition(":")[0] == "cpu":
            return self
        dtype = np.dtype(getattr(dtype, "dtype", dtype))
        return self if self.value.dtype == dtype else families.astype(self, dtype=dtype)

    def type(self, dtype: Any = None) -> Any:
        """In another dtype; without one, the name of this one."""
        return f"tracegrad.{self.value.dtype.name}" if dtype is None else self.to(dtype)

    def type_as(self, other: Any) -> Any:
        return self.to(other.dtype)

    astype = to

    def double(self) -> Any:
        return self.to(double)

    def float(self) -> Any:
        return self.to(float32)

    def half(self) -> Any:
        return self.to(half)

    def long(self) -> Any:
        return self.to(int64)

    def int(self) -> Any:
        return self.to(int32)

    def bool(self) -> Any:
        return self.to(bool_dtype)

    def is_floating_point(self) -> Any:
        return self.value.dtype.kind == "f"

    def is_complex(self) -> Any:
        return self.value.dtype.kind == "c"

    # --- the graph ------------------------------------------------------------------------------------------

    def _current(self) -> Self:
        """This tensor, with the history that writes through other views have given it."""
        if self.born != self.version.recorded:
            self.recorder.catch_up(self)
        return self

    @property
    def requires_grad(self) -> Any:
        """Whether what is done with this tensor is recorded."""
        return self._current().active

    @requires_grad.setter
    def requires_grad(self, wanted: Any) -> None:
        self.requires_grad_(wanted)

    def requires_grad_(self, requires_grad: Any = True) -> Self:
        """Change `requires_grad` of a leaf."""
        if self._current().node is not None and not requires_grad:
            raise BackwardError(
                "you can only change requires_grad flags of leaf variables.",
                user_location(),
                "use y.detach(), which gives a tensor without history",
            )
        if requires_grad and self.value.dtype.kind not in "fc":
            raise ArgumentError(
                f"only Tensors of floating point and complex dtype can require gradients, not {self.value.dtype}.",
                user_location(),
                "make it a floating point tensor: x.double(), or write 1.0 instead of 1",
            )
        self.active = self.node is not None or requires_grad is True or bool(requires_grad)
        return self

    @property
    def is_leaf(self) -> Any:
        """Whether the tensor was not computed from others that require a gradient."""
        return self._current().node is None

    @property
    def grad_fn(self) -> Node | None:
        """The node that computed this tensor; None for a leaf."""
        return self._current().node

    creator = grad_fn

    @property
    def output_nr(self) -> Any:
        return self._current().index

    @property
    def grad(self) -> Any:
        """The gradient that arrived here: of a leaf, or after `retain_grad()`; else None."""
        return self._grad

    @grad.setter
    def grad(self, gradient: Any) -> None:
        if gradient is not None and (not isinstance(gradient, Tensor) or gradient.shape != self.shape):
            raise ArgumentError(
                f"the gradient assigned to .grad has to be a Tensor of shape {tuple(self.shape)}, or None.",
                user_location(),
                "assign None to start anew, or tracegrad.zeros_like(x)",
            )
        self._grad = gradient

    def detach(self) -> Tensor:
        """A tensor that shares memory and has no history."""
        out = Tensor(self.value)
        out.version = self.version
        out.born = self.version.recorded
        return out

    @property
    def data(self) -> Tensor:
        """As `detach()`; assigning gives the tensor other contents."""
        return self.detach()

    @data.setter
    def data(self, new: Any) -> None:
        given = new if isinstance(new, Tensor) else Tensor(new)
        self.value, self.version, self.born = given.value, given.version, given.version.recorded
        self.base = self.window = None

    def detach_(self) -> Self:
        """Forget the history."""
        if self.window is not None:
            raise InPlaceError("Can't detach views in-place.", user_location(), "use detach() instead")
        self.node, self.index, self.active = None, 0, False
        return self

    @property
    def _version(self) -> Any:
        return self.version.count

    def backward(
        self,
        gradient: Any = None,
        retain_graph: Any = None,
        create_graph: Any = False,
        inputs: Sequence[Tensor] | None = None,
    ) -> None:
        """Add the gradient of this tensor to `.grad` of every leaf below it.

        Parameters
        ----------
        gradient : Tensor or array_like, the shape of this tensor, optional
            The cotangent to start from; 1 where this is a scalar.
        retain_graph : bool, optional
            Keep the values that the backward reads for another backward; default `create_graph`.
        create_graph : bool, default False
            Record the backward itself, so that `.grad` can be differentiated.
        inputs : sequence of Tensor, optional
            The leaves to reach; default: all.

        Raises
        ------
        NotScalarError : not a scalar, and no gradient
        BackwardError : nothing here requires a gradient, or an earlier backward let the values go
        InPlaceError : a value that is needed was overwritten
        """
        seeds = backward.seeds([self], [gradient], Tensor, create_graph)
        keep = create_graph if retain_graph is None else retain_graph
        targets = [inputs] if isinstance(inputs, Tensor) else inputs
        found = backward.run_backward(seeds, targets, Tensor, keep, create_graph)
        backward.accumulate(found, Tensor, create_graph)

    def backward_source(self) -> str:
        """The text of the program that `backward()` runs."""
        return backward.backward_source(self)

    def register_hook(self, hook: Callable[[Any], Any]) -> RemovableHook:
        """Call `hook(gradient)` when the gradient of this tensor is known; what it returns, if anything, replaces
        it.

        Returns
        -------
        RemovableHook
            Its `remove()` takes the hook away.
        """
        if not self._current().active:
            raise BackwardError(
                "cannot register a hook on a tensor that doesn't require gradient.",
                user_location(),
                "make the tensor with requires_grad=True",
            )
        if self.node is None:
            self.hooks = self.hooks or []
            hooks = self.hooks
        else:
            self.node.hooks = self.node.hooks or {}
            hooks = self.node.hooks.setdefault(self.index, [])
        hooks.append(hook)
        return RemovableHook(hooks, hook)

    def retain_grad(self) -> None:
        """Keep the gradient of a tensor that is not a leaf in its `.grad`."""
        if not self._current().active:
            raise BackwardError(
                "can't retain_grad on Tensor that has requires_grad=False.",
                user_location(),
                "make a tensor it is computed from with requires_grad=True",
            )
        if self.node is not None:
            self.node.retained = self.node.retained or {}
            self.node.retained[self.index] = weakref.ref(self)

    @property
    def retains_grad(self) -> Any:
        """Whether `.grad` is kept though this is no leaf."""
        node = self._current().node
        return node is not None and self.index in (node.retained or {})

    # --- copies and text ------------------------------------------------------------------------------------

    def __deepcopy__(self, memo: dict[Any, Any]) -> Tensor:
        if self._current().node is not None:
            raise BackwardError(
                "only Tensors created explicitly by the user (graph leaves) support the deepcopy protocol.",
                user_location(),
                "copy y.detach() instead",
            )
        out = memo[id(self)] = Tensor(self.value.copy(), self.active)
        out._grad = copy.deepcopy(self._grad, memo)
        return out

    def __reduce__(self) -> Any:
        return Tensor, (np.array(self.value), self.active)

    def __repr__(self) -> str:
        self._current()
        dtype = self.value.dtype
        default = get_default_dtype()
        usual = (default, np.result_type(default, np.complex64), np.int64, np.bool_)
        suffixes = []
        if dtype != default if self.value.size == 0 else all(dtype != d for d in usual):
            suffixes.append(f"dtype=tracegrad.{dtype.name}")
        if self.node is not None:
            suffixes.append(f"grad_fn=<{self.node.name()}>")
        elif self.active:
            suffixes.append("requires_grad=True")
        return tensor_text(self.value, suffixes)


class Flat(FlatItems, Tensor):
    """`a.flat` of a tensor."""

    __slots__ = ("array",)

    def __init__(self, array: Any) -> None:
        found = METHODS["flatten"](array)
        Tensor.__init__(self, found.value)
        self.version, self.node, self.index, self.active = found.version, found.node, 0, found.active
        self.array = array


for _name, _run in {**METHODS, "sort": ArrayProtocol._sort}.items():
    setattr(Tensor, _name, either(getattr(Tensor, _name, None), _run))

EAGER = Eager(Tensor)
