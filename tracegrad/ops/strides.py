"""How a contiguous array lies in memory, as the kernels are told it.

A shape and axes go in, lengths and steps in elements come out. Begin with `memory_steps`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from tracegrad.kernels import shapes as kernels


def memory_blocks(shape: tuple[int, ...], axis: int) -> tuple[int, int, int]:
    """A shape seen as (rows, length along the axis, width) in memory."""
    return math.prod(shape[:axis]), shape[axis], math.prod(shape[axis + 1 :])


def memory_cut(shape: Sequence[int], axes: Sequence[int]) -> tuple[int, ...] | None:
    """How an array lies in memory when `axes` are reduced, as (outer, first, middle, second, inner).

    `first` and `second` are the lengths of at most two groups of neighbouring axes; None where there are more groups.
    """
    groups: list[list[int]] = []
    for k in sorted(axes):
        if groups and groups[-1][-1] == k - 1:
            groups[-1].append(k)
        else:
            groups.append([k])
    if not groups or len(groups) > 2:
        return None
    first, second = groups if len(groups) == 2 else (groups[0], [groups[0][-1] + 1])
    length = math.prod(shape[k] for k in second) if len(groups) == 2 else 1
    after = second[-1] + 1 if len(groups) == 2 else first[-1] + 1
    return (
        math.prod(shape[: first[0]]),
        math.prod(shape[k] for k in first),
        math.prod(shape[first[-1] + 1 : second[0]]),
        length,
        math.prod(shape[after:]),
    )


def memory_steps(shape: Sequence[int]) -> tuple[int, ...]:
    """How far apart neighbours along each axis lie in memory, 0 along an axis of length one."""
    return tuple(math.prod(shape[k + 1 :]) if n != 1 else 0 for k, n in enumerate(shape))


def memory_walk(
    x: Any, sizes: Sequence[int], steps: Sequence[int], out: Any, first: int = 0
) -> tuple[Any, ...]:
    """The kernel that reads `x`, from element `first`, along axes of these sizes by these steps, as the result `out`;
    and what it is given.

    Axes that one step leads through are one; at least two are left.
    """
    walk: list[tuple[int, int]] = []
    for n, step in zip(sizes, steps, strict=True):
        if walk and walk[-1][1] == step * n:
            walk[-1] = walk[-1][0] * n, step
        elif n != 1:
            walk.append((n, step))
    walk = [(1, 0)] * (2 - len(walk)) + walk
    return kernels.spread, first, *(tuple(part) for part in zip(*walk, strict=True)), tuple(out.shape)
