"""All windows of an array, which lie in its memory, and what is added up where windows lie.

The two are each other's transpose. `lengths` and `axes` have an entry for each axis of a window, which stand behind
those of the places, as in `np.lib.stride_tricks.sliding_window_view`. Where not all windows are meant, `places` has a
(start, stop, step) for each axis of the array. Begin with `windows`.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import Any

import numpy as np

from tracegrad.ir.trace import Instr
from tracegrad.ir.types import ArrayType
from tracegrad.ops.families import case, linear
from tracegrad.ops.index import index_text
from tracegrad.ops.op import Op, call, literal, read_only


def starts(
    lengths: Sequence[int], axes: Sequence[int], ndim: int
) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    """The places in a window, and where in the array the first window has them, from the last one to the first."""
    found = []
    for place in np.ndindex(*lengths):
        start = [0] * ndim
        for axis, k in zip(axes, place, strict=True):
            start[axis] += k
        found.append((place, tuple(start)))
    return sorted(found, key=lambda one: [-k for k in one[1]])


def counts(shape: Sequence[int], lengths: Sequence[int], axes: Sequence[int]) -> tuple[int, ...]:
    """How many windows there are along each axis."""
    found = list(shape)
    for axis, length in zip(axes, lengths, strict=True):
        found[axis] -= length - 1
    return tuple(found)


def ranges(
    shape: Sequence[int], lengths: Sequence[int], axes: Sequence[int], places: Sequence[Sequence[int]]
) -> list[range]:
    """Where windows begin, along each axis."""
    return [range(*ends) for ends in places or zip(counts(shape, lengths, axes))]


def _evaluate(x: Any, lengths: Any, axes: Any, places: Any = ()) -> Any:
    found = np.lib.stride_tricks.sliding_window_view(x, lengths, axes)
    return found[tuple(slice(*ends) for ends in places)] if places else found


def _type(x: Any, lengths: Any, axes: Any, places: Any = ()) -> ArrayType:
    return ArrayType((*map(len, ranges(x.shape, lengths, axes, places)), *lengths), x.dtype)


def _added(g: Any, shape: Any, lengths: Any, axes: Any, places: Any = ()) -> Any:
    """The items of windows, each added where it lies."""
    out, along = np.zeros(shape, g.dtype), ranges(shape, lengths, axes, places)
    for place, start in starts(lengths, axes, len(shape)):
        there = tuple(
            slice(k + r.start, k + r.start + r.step * len(r), r.step)
            for k, r in zip(start, along, strict=True)
        )
        out[there] += g[(..., *place)]
    return out


def _emit(inputs: Sequence[ast.expr], instr: Instr) -> ast.expr:
    (x,), (lengths, axes) = instr.inputs, (instr.params["lengths"], instr.params["axes"])
    along = {} if axes == tuple(range(len(x.shape))) else {"axis": axes}
    found = call("np.lib.stride_tricks.sliding_window_view", inputs[0], literal(lengths), **along)
    if not instr.params.get("places"):
        return found
    index = [slice(*ends) for ends in instr.params["places"]]
    return ast.Subscript(value=found, slice=index_text([], index), ctx=ast.Load())


windows: Op = linear(
    _evaluate,
    transpose=lambda g, x, **where: add_windows(g, shape=x.shape, **where),
    result_type=_type,
    name="windows",
    emit=_emit,
    native=lambda instr: False,
    view=read_only,
    sample=(
        case((6,), lengths=(3,), axes=(0,)),
        case((4, 5), lengths=(2, 3), axes=(0, 1)),
        case((4, 5), lengths=(2,), axes=(1,)),
        case((3, 4, 2), lengths=(2, 3), axes=(2, 0)),
        case((5, 2), lengths=(2, 3), axes=(0, 0)),
        case((7, 2), lengths=(2,), axes=(0,), places=((1, 6, 2), (0, 2, 1))),
    ),
)
"""All windows of these lengths, each item of an array as often as there are windows around it."""

add_windows: Op = linear(
    _added,
    transpose=lambda g, x, shape, **where: windows(g, **where),
    result_type=lambda g, shape, **where: ArrayType(tuple(shape), g.dtype),
    name="add_windows",
    callee="add_windows",
    imports="from tracegrad.ops.windows import add_windows",
    native=lambda instr: False,
    sample=(
        case((4, 3), shape=(6,), lengths=(3,), axes=(0,)),
        case((3, 3, 2, 3), shape=(4, 5), lengths=(2, 3), axes=(0, 1)),
        case((4, 4, 2), shape=(4, 5), lengths=(2,), axes=(1,)),
        case((2, 4, 1, 2, 3), shape=(4, 4, 2), lengths=(2, 3), axes=(2, 0)),
        case((2, 2, 2, 3), shape=(5, 2), lengths=(2, 3), axes=(0, 0)),
        case((3, 2, 2), shape=(7, 2), lengths=(2,), axes=(0,), places=((1, 6, 2), (0, 2, 1))),
    ),
)
"""What lies in windows, added up where they lie: from the items that begin last to those that begin first."""
