"""Indices known only at run time, in native text: which need a check, as compiled code does not check any.

Whole numbers that follow from counters, constants and remainders lie between known bounds. An index whose bounds are
inside the axis is written as it is (negative ones count from the end, in compiled code too), any other goes through
the kernel `checked`. Begin with `checked_slots`.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np

from tracegrad.emit.blocks import Compute, Operand, Repeat, Value
from tracegrad.ir.trace import Const, Instr
from tracegrad.ops.index import Slot, whole
from tracegrad.ops.op import call, literal

Bounds: TypeAlias = tuple[float, float]
"""Smallest and largest value; infinite where not known."""

CHECK = "checked"
_ANYTHING: Bounds = (-np.inf, np.inf)
_DEPTH = 8  # so many steps back the bounds are looked for


def checked_slots(
    instr: Instr, slots: Sequence[Operand], written: Sequence[ast.expr]
) -> tuple[list[ast.expr], bool]:
    """The numbers in the slots of an index as they stand in native text, and whether one of them is checked."""
    found, any_checked = list(written), False
    for part, length, axis in slot_axes(instr):
        k = part.number
        low, high = bounds(slots[k])
        if not slots[k].type.shape and not (-length <= low and high < length):
            found[k] = call(CHECK, written[k], literal(length), literal(axis))
            any_checked = True
    return found, any_checked


def slot_axes(instr: Instr) -> list[tuple[Slot, int, int]]:
    """The slots of a read or write, each with the length and the number of its axis."""
    shape = instr.inputs[0].shape
    parts = [part for part in whole(instr.params["index"], len(shape)) if part is not None]
    return [(part, shape[k], k) for k, part in enumerate(parts) if isinstance(part, Slot)]


def bounds(operand: Operand, depth: int = _DEPTH) -> Bounds:
    """What a whole number is surely between."""
    if isinstance(operand, Const):
        if operand.shape or operand.dtype.kind not in "iu":
            return _ANYTHING
        return (int(operand.value), int(operand.value))
    maker = operand.maker
    if isinstance(maker, Repeat) and operand is maker.counter:
        last = bounds(maker.limit, depth - 1)[1] if maker.limited else np.inf
        return 0, last - (not maker.counts)  # what a `while` counts is the number of steps afterwards
    if not isinstance(maker, Compute) or depth == 0 or operand.type.shape or operand.type.dtype != np.int64:
        return _ANYTHING
    rule = _RULES.get(maker.instr.op.name)
    if rule is None:
        return _ANYTHING
    low, high = rule(*(bounds(x, depth - 1) for x in maker.inputs))
    return (low, min(high, _before_end(maker, depth - 1))) if maker.instr.op.name == "add" else (low, high)


def _before_end(added: Compute, depth: int) -> float:
    """The last of `range(start, end)`, if this is the sum of `start` and the counter of a loop over it."""
    for counter, start in (added.inputs, added.inputs[::-1]):
        loop = counter.maker if isinstance(counter, Value) else None
        if isinstance(loop, Repeat) and counter is loop.counter and loop.limited:
            match _computed(loop.limit):
                case "maximum", (length, Const(value=0)):
                    match _computed(length):
                        case "subtract", (end, first) if first is start:
                            return bounds(end, depth)[1] - (not loop.counts)
    return np.inf


def _computed(operand: Operand) -> tuple[str, Sequence[Operand]] | None:
    maker = operand.maker if isinstance(operand, Value) else None
    return (maker.instr.op.name, maker.inputs) if isinstance(maker, Compute) else None


def _remainder(x: Bounds, y: Bounds) -> Bounds:
    return (0, y[1] - 1) if y[0] > 0 else _ANYTHING


def _floor_divide(x: Bounds, y: Bounds) -> Bounds:
    if y[0] != y[1] or y[0] <= 0 or not np.isfinite(x).all():
        return _ANYTHING
    return x[0] // y[0], x[1] // y[0]


def _multiply(x: Bounds, y: Bounds) -> Bounds:
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        return _ANYTHING
    products = [a * b for a in x for b in y]
    return min(products), max(products)


_RULES: dict[str, Callable[..., Bounds]] = {
    "add": lambda x, y: (x[0] + y[0], x[1] + y[1]),
    "subtract": lambda x, y: (x[0] - y[1], x[1] - y[0]),
    "negative": lambda x: (-x[1], -x[0]),
    "multiply": _multiply,
    "remainder": _remainder,
    "floor_divide": _floor_divide,
    "minimum": lambda x, y: (min(x[0], y[0]), min(x[1], y[1])),
    "maximum": lambda x, y: (max(x[0], y[0]), max(x[1], y[1])),
}
