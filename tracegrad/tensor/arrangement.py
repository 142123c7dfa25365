"""Functions that arrange a tensor's elements, under PyTorch's names: reshape, permute, cat, split, gather, sort.

As in `functions.py`, the first argument is `input`, so that a function is also the method of the same name. Begin with
`reshape`.
"""

from __future__ import annotations

import builtins
import itertools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from tracegrad.ops.arithmetic import negative
from tracegrad.ops.functions import FUNCTIONS
from tracegrad.ops.index import getitem

Dims: TypeAlias = int | Sequence[int] | None


class ValuesAndIndices(NamedTuple):
    """What `max(dim)`, `min(dim)` and `sort` return."""

    values: Any
    indices: Any


def labelled(result: Any, label: str) -> Any:
    """Name the node of a composed result as PyTorch names its own."""
    node = getattr(result, "node", None)
    if node is not None:
        node.label = label
    return result


def _seen(result: Any, input: Any, label: str) -> Any:
    """A view, a tensor of its own also where nothing was to be done."""
    return labelled(getitem(input, index=(Ellipsis,)) if result is input else result, label)


# --- shapes -----------------------------------------------------------------------------------------------------------


def whole(size: Sequence[Any]) -> tuple[Any, ...]:
    """Lengths given one by one or as one sequence."""
    if len(size) == 1 and isinstance(size[0], (tuple, list)):
        size = size[0]
    return tuple(size)


def reshape(input: Any, *shape: Any) -> Any:
    """The same elements in another shape; one length may be -1."""
    return _seen(FUNCTIONS[np.reshape](input, whole(shape)), input, "ViewBackward0")


def flatten(input: Any, start_dim: Any = 0, end_dim: int = -1) -> Any:
    """Dimensions `start_dim` to `end_dim` made one; as NumPy has it where an order, "F", is given."""
    if isinstance(start_dim, str):
        return FUNCTIONS[np.ravel](input, start_dim)
    shape = tuple(input.shape)
    if not shape:
        return reshape(input, 1)
    first, last = start_dim % len(shape), end_dim % len(shape)
    return reshape(input, (*shape[:first], math.prod(shape[first : last + 1]), *shape[last + 1 :]))


def squeeze(input: Any, dim: Dims = None) -> Any:
    """Without the dimensions of length 1, or those of `dim` that are."""
    if dim is None:
        return _seen(FUNCTIONS[np.squeeze](input), input, "SqueezeBackward0")
    dims = (dim,) if isinstance(dim, builtins.int) else tuple(dim)
    dims = tuple(d % builtins.max(input.ndim, 1) for d in dims)
    dims = tuple(d for d in dims if input.ndim and input.shape[d] == 1)
    return _seen(FUNCTIONS[np.squeeze](input, axis=dims) if dims else input, input, "SqueezeBackward1")


def unsqueeze(input: Any, dim: int) -> Any:
    """With a new dimension of length 1 before `dim`."""
    return labelled(FUNCTIONS[np.expand_dims](input, dim), "UnsqueezeBackward0")


def transpose(input: Any, dim0: int, dim1: int) -> Any:
    """Two dimensions exchanged."""
    return _seen(FUNCTIONS[np.swapaxes](input, dim0, dim1), input, "TransposeBackward0")


swapaxes = transpose


def t(input: Any) -> Any:
    """The transpose of a matrix."""
    if input.ndim > 2:
        raise ValueError(f"t() expects a tensor with <= 2 dimensions, but self is {input.ndim}D")
    return _seen(FUNCTIONS[np.transpose](input), input, "TBackward0")


def permute(input: Any, *dims: Any) -> Any:
    """The dimensions in this order."""
    return _seen(FUNCTIONS[np.transpose](input, whole(dims)), input, "PermuteBackward0")


def movedim(input: Any, source: Any, destination: Any) -> Any:
    """A dimension moved to another place."""
    return FUNCTIONS[np.moveaxis](input, source, destination)


def expand(input: Any, *size: Any) -> Any:
    """Dimensions of length 1 repeated, without copying; -1 leaves a length as it is."""
    wanted = whole(size)
    lead = len(wanted) - input.ndim
    shape = tuple(input.shape[i - lead] if n == -1 else n for i, n in enumerate(wanted))
    return _seen(FUNCTIONS[np.broadcast_to](input, shape), input, "ExpandBackward0")


def broadcast_to(input: Any, size: Any) -> Any:
    """As `expand`."""
    return expand(input, size)


def repeat(input: Any, *sizes: Any) -> Any:
    """The tensor so many times along each dimension."""
    return FUNCTIONS[np.tile](input, whole(sizes))


def tile(input: Any, *dims: Any) -> Any:
    """As `repeat`."""
    return FUNCTIONS[np.tile](input, whole(dims))


def flip(input: Any, *dims: Any) -> Any:
    """The order of the elements along `dims` reversed."""
    return FUNCTIONS[np.flip](input, whole(dims))


def roll(input: Any, shifts: Any, dims: Any = None) -> Any:
    """Elements moved along `dims`; what leaves at one end comes in at the other."""
    return FUNCTIONS[np.roll](input, shifts, dims)


def cat(tensors: Sequence[Any], dim: int = 0) -> Any:
    """Tensors one after the other along `dim`."""
    return FUNCTIONS[np.concatenate](tuple(tensors), axis=dim)


concat = concatenate = cat


def stack(tensors: Sequence[Any], dim: int = 0) -> Any:
    """Tensors side by side along a new dimension."""
    return FUNCTIONS[np.stack](tuple(tensors), axis=dim)


def split(tensor: Any, split_size_or_sections: Any, dim: int = 0) -> tuple[Any, ...]:
    """Pieces of this length, the last one perhaps shorter; or of these lengths."""
    length, dim = tensor.shape[dim], dim % tensor.ndim
    if isinstance(split_size_or_sections, builtins.int):
        edges = [*range(0, length, split_size_or_sections), length]
    else:
        edges = [0, *np.cumsum(split_size_or_sections).tolist()]
    lead = (slice(None),) * dim
    return tuple(
        labelled(tensor[(*lead, slice(a, b))], "SplitBackward0") for a, b in itertools.pairwise(edges)
    )


def chunk(input: Any, chunks: int, dim: int = 0) -> tuple[Any, ...]:
    """So many pieces of about the same length."""
    return split(input, -(-input.shape[dim] // chunks), dim)


def unbind(input: Any, dim: int = 0) -> tuple[Any, ...]:
    """The slices along a dimension."""
    lead = (slice(None),) * (dim % input.ndim)
    return tuple(labelled(input[(*lead, k)], "UnbindBackward0") for k in range(input.shape[dim]))


# --- selection --------------------------------------------------------------------------------------------------------


def gather(input: Any, dim: int, index: Any) -> Any:
    """The elements at `index` along `dim`."""
    return labelled(FUNCTIONS[np.take_along_axis](input, index, dim), "GatherBackward0")


def index_select(input: Any, dim: int, index: Any) -> Any:
    """The slices at these indices along `dim`."""
    return labelled(FUNCTIONS[np.take](input, index, axis=dim), "IndexSelectBackward0")


def argsort(input: Any, dim: int = -1, descending: bool = False, stable: bool = False) -> Any:
    """The indices that sort along `dim`; equal elements keep their order, also where that is not asked for."""
    if descending:  # of whole numbers `~x`: `-x` has another order where there is no sign
        input = FUNCTIONS[np.invert](input) if input.dtype.kind in "biu" else negative(input)
    return FUNCTIONS[np.argsort](input, axis=dim)


def sort(input: Any, dim: int = -1, descending: bool = False, stable: bool = False) -> Any:
    """The elements in order along `dim`, and where they were."""
    indices = argsort(input, dim, descending)
    return ValuesAndIndices(labelled(gather(input, dim, indices), "SortBackward0"), indices)
