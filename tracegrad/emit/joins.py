"""Large arrays that are put together of parts, as one loop for each part, which computes what it puts there.

`concatenate(x[:1], 2 * x)` sets the first element and then, one by one, the others; `pad(x, 1)` sets what is around
`x` and then `x`. So the memory may be there before, and no part is an array of its own. A step goes in, its parts come
out. Begin with `parts_of`.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tracegrad.emit.loops import moved
from tracegrad.emit.sizes import is_large
from tracegrad.ir.trace import Instr

MANY = 32  # arrays beside each other that are a loop each


@dataclass(frozen=True)
class Part:
    """A part without gaps: where it begins, its shape, and the number of the input that stands there, None for the
    number around an array."""

    start: tuple[int, ...]
    shape: tuple[int, ...]
    number: int | None

    def place(self, index: Sequence[ast.expr]) -> list[ast.expr]:
        """Where the element at an index of the part stands in the whole."""
        return [moved(place, first) for place, first in zip(index, self.start, strict=True)]


def is_join(instr: Instr) -> bool:
    """Whether arrays of one dtype are put side by side, or one has a number around it: something large."""
    if instr.op.name not in ("concatenate", "pad") or not is_large(instr.outputs[0].type):
        return False
    if len(instr.inputs) > MANY:
        return False
    return all(a.dtype == instr.outputs[0].dtype and -1 not in a.shape for a in instr.inputs)


def parts_of(instr: Instr) -> Iterator[Part]:
    """The parts of a join that have elements; each element lies in one of them."""
    shape = tuple(instr.outputs[0].shape)
    found = _inside(instr, shape) if instr.op.name == "pad" else _side_by_side(instr, shape)
    return (part for part in found if all(n > 0 for n in part.shape))


def _side_by_side(instr: Instr, shape: tuple[int, ...]) -> Iterator[Part]:
    axis, at = instr.params["axis"], 0
    for number, array in enumerate(instr.inputs):
        yield Part(tuple(at if k == axis else 0 for k in range(len(shape))), tuple(array.shape), number)
        at += array.shape[axis]


def _inside(instr: Instr, shape: tuple[int, ...]) -> Iterator[Part]:
    """What is before and after along an axis reaches all along those behind it, and along those in front only as far as
    the array does."""
    inner, widths = tuple(instr.inputs[0].shape), instr.params["widths"]
    start = tuple(before for before, _ in widths)
    for axis, (before, after) in enumerate(widths):
        behind = len(shape) - axis - 1
        for first, length in ((0, before), (before + inner[axis], after)):
            yield Part(
                (*start[:axis], first, *(0,) * behind), (*inner[:axis], length, *shape[axis + 1 :]), None
            )
    yield Part(start, inner, 0)
