"""Elements picked, written and ordered by their place, under PyTorch's names: select, scatter, topk, diagonal.

As in `functions.py`, the first argument is `input`, so that a function is also the method of the same name; a name with
an underscore at its end writes into `input`. Begin with `select`.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tracegrad.ops.functions import FUNCTIONS
from tracegrad.tensor.arrangement import ValuesAndIndices, argsort, gather, labelled, sort, squeeze


def _along(input: Any, dim: int, part: Any) -> tuple[Any, ...]:
    """The index that takes `part` of one dimension, and all of the others."""
    return (*(slice(None),) * (dim % input.ndim), part)


def _plain(index: Any) -> Any:
    """Whole numbers as NumPy has them."""
    return index.value if hasattr(index, "value") else np.asarray(index)


# --- reading ----------------------------------------------------------------------------------------------------------


def select(input: Any, dim: int, index: int) -> Any:
    """The slice number `index` along `dim`."""
    return input[_along(input, dim, index)]


def narrow(input: Any, dim: int, start: int, length: int) -> Any:
    """`length` slices along `dim`, from number `start` on."""
    return input[_along(input, dim, slice(start, start + length))]


def take(input: Any, index: Any) -> Any:
    """The elements at these places of the flattened tensor."""
    return labelled(FUNCTIONS[np.take](input, index), "TakeBackward0")


def take_along_dim(input: Any, indices: Any, dim: int | None = None) -> Any:
    """The elements at `indices` along `dim`, with the other dimensions broadcast."""
    return FUNCTIONS[np.take_along_axis](input, indices, dim)


def masked_select(input: Any, mask: Any) -> Any:
    """The elements where `mask` holds, in a vector."""
    input, mask = FUNCTIONS[np.broadcast_arrays](input, mask)
    return labelled(input[mask], "MaskedSelectBackward0")


def nonzero(input: Any, *, as_tuple: bool = False) -> Any:
    """The places of what is not zero: a row each, or an index tensor for each dimension."""
    places = FUNCTIONS[np.nonzero](input)
    return places if as_tuple else FUNCTIONS[np.stack](places, axis=1)


def diagonal(input: Any, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Any:
    """A view of the elements whose places along two dimensions differ by `offset`, as the last dimension."""
    moved = FUNCTIONS[np.moveaxis](input, (dim1, dim2), (-2, -1))
    rows, columns = moved.shape[-2:]
    first, second = builtins.max(-offset, 0), builtins.max(offset, 0)
    length = builtins.max(builtins.min(rows - first, columns - second), 0)
    square = moved[..., first : first + length, second : second + length]
    return labelled(FUNCTIONS[np.einsum]("...ii->...i", square), "DiagonalBackward0")


def unfold(input: Any, dimension: int, size: int, step: int) -> Any:
    """Windows of `size` elements along a dimension, `step` apart; the window is the last dimension."""
    windows = FUNCTIONS[np.lib.stride_tricks.sliding_window_view](input, size, dimension % input.ndim)
    return windows[_along(input, dimension, slice(None, None, step))]


def unflatten(input: Any, dim: int, sizes: Sequence[int]) -> Any:
    """One dimension as several; one length may be -1."""
    dim = dim % input.ndim
    count = input.shape[dim] // -int(np.prod(sizes)) if -1 in sizes else 0
    sizes = tuple(count if n == -1 else n for n in sizes)
    return FUNCTIONS[np.reshape](input, (*input.shape[:dim], *sizes, *input.shape[dim + 1 :]))


def repeat_interleave(input: Any, repeats: Any, dim: int | None = None) -> Any:
    """Every element, or slice along `dim`, so many times after one another."""
    return FUNCTIONS[np.repeat](input, repeats, axis=dim)


def tensor_split(input: Any, indices_or_sections: Any, dim: int = 0) -> tuple[Any, ...]:
    """As `numpy.array_split`."""
    return tuple(FUNCTIONS[np.array_split](input, indices_or_sections, axis=dim))


# --- in order ---------------------------------------------------------------------------------------------------------


def topk(input: Any, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> Any:
    """The `k` largest elements along `dim`, the largest first, and where they were; or the smallest."""
    values, indices = sort(input, dim, largest)
    return ValuesAndIndices(narrow(values, dim, 0, k), narrow(indices, dim, 0, k))


def kthvalue(input: Any, k: int, dim: int = -1, keepdim: bool = False) -> Any:
    """The `k`-th smallest element along `dim`, and where it was."""
    indices = narrow(argsort(input, dim), dim, k - 1, 1)
    values = labelled(gather(input, dim, indices), "KthvalueBackward0")
    return ValuesAndIndices(values, indices) if keepdim else _without(values, indices, dim)


def median(input: Any, dim: int | None = None, keepdim: bool = False) -> Any:
    """The middle element, of two the smaller; with `dim`, along it, and where it was."""
    if dim is None:
        flat = FUNCTIONS[np.ravel](input)
        return kthvalue(flat, (flat.shape[0] + 1) // 2).values
    return kthvalue(input, (input.shape[dim] + 1) // 2, dim, keepdim)


def _without(values: Any, indices: Any, dim: int) -> ValuesAndIndices:
    return ValuesAndIndices(squeeze(values, dim), squeeze(indices, dim))


def _running(name: str, accumulate: Any) -> Callable[..., Any]:

    def function(input: Any, dim: int) -> Any:
        value = np.asarray(input.value)
        best = accumulate(value, axis=dim)
        places = np.arange(value.shape[dim]).reshape((-1,) + (1,) * (value.ndim - 1 - dim % value.ndim))
        indices = np.maximum.accumulate(np.where(value == best, places, 0), axis=dim)
        made = input.recorder.make(indices)
        return ValuesAndIndices(labelled(gather(input, dim, made), f"{name}Backward0"), made)

    function.__doc__ = (
        f"The {name[3:].lower()}imum of the first 1, 2, ... elements along `dim`, and where it is."
    )
    return function


cummax, cummin = _running("Cummax", np.maximum.accumulate), _running("Cummin", np.minimum.accumulate)


# --- writing ----------------------------------------------------------------------------------------------------------


def _open_grid(index: Any, dim: int) -> tuple[Any, ...]:
    """`index` along `dim`, and its own place along the others."""
    grid: list[Any] = list(np.ogrid[tuple(slice(0, n) for n in index.shape)])
    grid[dim % index.ndim] = index
    return tuple(grid)


def _fitted(src: Any, index: Any) -> Any:
    return src[tuple(slice(0, n) for n in index.shape)] if np.ndim(src) else src


def scatter_(input: Any, dim: int, index: Any, src: Any) -> Any:
    """Write the elements of `src` at the places that `index` names along `dim`."""
    index = _plain(index)
    input[_open_grid(index, dim)] = _fitted(src, index)
    return input


def scatter_add_(input: Any, dim: int, index: Any, src: Any) -> Any:
    """Add the elements of `src` at the places that `index` names along `dim`, as often as it names them."""
    index = _plain(index)
    return index_put_(input, _open_grid(index, dim), _fitted(src, index), accumulate=True)


def index_put_(input: Any, indices: Sequence[Any], values: Any, accumulate: bool = False) -> Any:
    """`input[indices] = values`; or add them, also where a place is named twice."""
    key = tuple(map(_plain, indices))
    if accumulate:
        np.add.at(input, key, values)
    else:
        input[key] = values
    return input


def index_add_(input: Any, dim: int, index: Any, source: Any, *, alpha: Any = 1) -> Any:
    """Add the slices of `source` to those that `index` names along `dim`."""
    np.add.at(input, _along(input, dim, _plain(index)), source if alpha == 1 else source * alpha)
    return input


def index_copy_(input: Any, dim: int, index: Any, source: Any) -> Any:
    """Write the slices of `source` to the places that `index` names along `dim`."""
    input[_along(input, dim, _plain(index))] = source
    return input


def index_fill_(input: Any, dim: int, index: Any, value: Any) -> Any:
    """Write one value into the slices that `index` names along `dim`."""
    return index_copy_(input, dim, index, value)


def fill_diagonal_(input: Any, fill_value: Any) -> Any:
    """Write one value on the main diagonal."""
    FUNCTIONS[np.fill_diagonal](input, fill_value)
    return input


def _on_a_copy(write: Callable[..., Any]) -> Callable[..., Any]:
    """The function that changes a copy, for the one that changes its argument."""

    def function(input: Any, *args: Any, **keywords: Any) -> Any:
        return write(FUNCTIONS[np.copy](input), *args, **keywords)

    function.__doc__ = f"A copy, changed. {write.__doc__}"
    return function


scatter, scatter_add = _on_a_copy(scatter_), _on_a_copy(scatter_add_)
index_put, index_add = _on_a_copy(index_put_), _on_a_copy(index_add_)
index_copy, index_fill = _on_a_copy(index_copy_), _on_a_copy(index_fill_)
