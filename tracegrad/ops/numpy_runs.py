"""Items along an axis at places that are known: an array and places go in, slices of it side by side come out.

`np.pad`, `np.insert` and `np.delete` take most items as they lie, and few others. Said by slices, what is computed of
the result can be computed of the array; an array of places says nothing of it before it is read. Begin with
`in_runs`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tracegrad.ops.index import getitem
from tracegrad.ops.numpy_forms import expand_to
from tracegrad.ops.numpy_shape import concatenate, copy

LARGE = 2**13  # items of an array: those of a smaller one are read at an array of places as quickly
FEW = 9  # slices


def in_runs(parts: Sequence[Any], places: Any, axis: int) -> Any | None:
    """Items along an axis of some arrays, counted as if these were side by side; None where slices are no way.

    They are of memory of their own, as what is read at an array of places.
    """
    runs = (
        _runs(places, [part.shape[axis] for part in parts]) if sum(p.size for p in parts) >= LARGE else None
    )
    if runs is None:
        return None
    before = (slice(None),) * axis
    slices = []
    for k, first, length, step in runs:
        last = first + length * step
        part = slice(first, last if last >= 0 else None, step) if step else slice(first, first + 1)
        found = getitem(parts[k], index=(*before, part)) if length < parts[k].shape[axis] else parts[k]
        slices.append(expand_to(found, (*found.shape[:axis], length, *found.shape[axis + 1 :])))
    return copy(slices[0]) if len(slices) == 1 else concatenate(slices, axis)


def _runs(places: Any, lengths: Sequence[int]) -> list[tuple[int, int, int, int]] | None:
    """Which array, where in it, how many items, and how far apart: 1, -1, or 0 for one item again and again.

    None where there are many runs. Those by which places rise come first; what is left between them has one item each.
    """
    ends = np.cumsum(lengths)
    of = np.searchsorted(ends, places, side="right")
    breaks = np.flatnonzero((np.diff(places) != 1) | (np.diff(of) != 0)) + 1
    if not len(places) or len(breaks) > places.size // 2:
        return None
    found: list[tuple[int, int, int, int]] = []
    for begin, end in zip([0, *breaks], [*breaks, len(places)], strict=True):
        k = int(of[begin])
        first, length = int(places[begin] - ends[k]) + lengths[k], int(end - begin)
        if length == 1 and found and found[-1][0] == k:
            _, start, count, step = found[-1]
            by = first - start if count == 1 else step
            if by in (0, -1) and first == start + count * by:
                found[-1] = (k, start, count + 1, by)
                continue
        found.append((k, first, length, 1))
    return found if len(found) <= FEW else None
