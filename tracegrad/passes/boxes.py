"""Parts of arrays without gaps, and where their elements lie.

For `put_together`: regions have parts in common, and lie around others; a box is a region and the array in which its
elements are. Begin with `Box`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from tracegrad.ir.trace import Atom, Instr
from tracegrad.ops.index import whole


class Whole(Exception):
    """An array that is needed whole."""


@dataclass(frozen=True, slots=True)
class Region:
    """A part of an array without gaps."""

    start: tuple[int, ...]
    shape: tuple[int, ...]

    def within(self, other: Region) -> Region | None:
        """What both have in common."""
        ends = zip(self.start, self.shape, other.start, other.shape, strict=True)
        both = [(max(a, b), min(a + n, b + m)) for a, n, b, m in ends]
        if any(first >= last for first, last in both):
            return None
        return Region(tuple(first for first, _ in both), tuple(last - first for first, last in both))

    def without(self, other: Region) -> Iterator[Region]:
        """What lies around another that is part of it: along the first axes, then between those along the next."""
        start, shape = list(self.start), list(self.shape)
        for axis, (first, length) in enumerate(zip(other.start, other.shape, strict=True)):
            for begin, end in ((start[axis], first), (first + length, start[axis] + shape[axis])):
                if begin < end:
                    yield Region(
                        (*start[:axis], begin, *start[axis + 1 :]),
                        (*shape[:axis], end - begin, *shape[axis + 1 :]),
                    )
            start[axis], shape[axis] = first, length


@dataclass(frozen=True, slots=True)
class Box:
    """A part of an array whose elements lie in another, from `place` on; those of a number are all the same."""

    region: Region
    source: Atom
    place: tuple[int, ...]

    def cut(self, region: Region) -> Box | None:
        """Its part in a region."""
        both = self.region.within(region)
        if both is None:
            return None
        ends = zip(self.place, both.start, self.region.start, strict=False)
        return Box(both, self.source, tuple(p + a - b for p, a, b in ends))

    def moved(self, by: Sequence[int]) -> Box:
        start = tuple(a + b for a, b in zip(self.region.start, by, strict=True))
        return replace(self, region=Region(start, self.region.shape))


Boxes: TypeAlias = tuple[Box, ...]


def all_of(shape: Sequence[int]) -> Region:
    return Region((0,) * len(shape), tuple(shape))


def is_number(boxes: Boxes) -> bool:
    """Whether an array is one number, as the zeros are to which a derivative is added."""
    return len(boxes) == 1 and not boxes[0].source.shape


def outside(box: Box, region: Region) -> Iterator[Region]:
    """What of a box does not lie in a region."""
    both = box.region.within(region)
    return iter([box.region]) if both is None else box.region.without(both)


def common(regions: Sequence[Region], boxes: Sequence[Box]) -> list[Region]:
    """The parts of regions in each box."""
    return [both for region in regions for box in boxes if (both := region.within(box.region))]


def place(step: Instr) -> tuple[Region, list[int]]:
    """The region that an index of slices without gaps and numbers is about, and the axes of the numbers."""
    shape = step.inputs[0].shape
    index = whole(step.params["index"], len(shape))
    if len(index) != len(shape) or not all(isinstance(part, (slice, int)) for part in index):
        raise Whole
    numbers = [k for k, part in enumerate(index) if not isinstance(part, slice)]
    ends = [
        part.indices(n) if isinstance(part, slice) else (part % n, part % n + 1, 1)
        for part, n in zip(index, shape, strict=True)
    ]
    if any(step != 1 for _, _, step in ends) or any(first >= last for first, last, _ in ends):
        raise Whole
    return Region(tuple(e[0] for e in ends), tuple(e[1] - e[0] for e in ends)), numbers
