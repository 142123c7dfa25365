"""Narrow windows of large arrays as slices side by side, for native text: loops read the items of each as they lie.

    w = windows(x, lengths=(3,))                          w = stack(x[:-2], x[1:-1], x[2:])
    x_bar = add_windows(g, lengths=(3,))    ->    x_bar = zeros; x_bar[2:] += g[:, 2]; x_bar[1:-1] += g[:, 1]; ...

What is computed of the columns of such a stack is the work of `parts.py`, and of `overlays.py` what is added. Wider
windows are loops of their own, inside of those over their places. A step comes in, a term goes out.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

from tracegrad.ir.trace import Instr, Var
from tracegrad.ops.index import getitem, index_add, zeros
from tracegrad.ops.overlay import place_of
from tracegrad.ops.shape import stack
from tracegrad.ops.windows import starts
from tracegrad.passes.rewrite import Made, Rule, Term, expression

NARROW = 16  # items of a window
LONG = 2**13  # windows


def _as_slices(step: Instr, made: Made, counts: Counter[Var]) -> Term | None:
    """windows(x) -> stack(x[:-2], x[1:-1], x[2:])"""
    (x,), (out,) = step.inputs, step.outputs
    if not _is_narrow(step, out.shape):
        return None
    shape = out.shape[: len(x.shape)]
    places = reversed(starts(step.params["lengths"], step.params["axes"], len(x.shape)))
    slices = [expression(getitem, x, index=place_of(start, shape)) for _, start in places]
    return expression(stack, *slices, axis=len(shape))


def _added_slices(step: Instr, made: Made, counts: Counter[Var]) -> Term | None:
    """add_windows(g) -> zeros with g[:, 2], g[:, 1] and g[:, 0] added where they lie"""
    (g,), (out,) = step.inputs, step.outputs
    if not _is_narrow(step, g.shape):
        return None
    shape = g.shape[: len(out.shape)]
    found: Any = expression(zeros, shape=tuple(out.shape), dtype=out.dtype)
    for place, start in starts(step.params["lengths"], step.params["axes"], len(shape)):
        item = expression(getitem, g, index=(*[slice(None)] * len(shape), *place))
        found = expression(index_add, found, item, index=place_of(start, shape))
    return found


def _is_narrow(step: Instr, shape: Any) -> bool:
    """Whether these are many windows along one axis, of few items."""
    *places, length = shape
    single = len(step.params["axes"]) == 1 and not step.params.get("places") and -1 not in shape
    return single and 0 < length <= NARROW and math.prod(places) >= LONG


WINDOWS: dict[str, tuple[Rule, ...]] = {"windows": (_as_slices,), "add_windows": (_added_slices,)}
