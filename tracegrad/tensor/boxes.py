"""What HIPS autograd calls a box: a value that is recorded, as a class for `isinstance`. Begin with `Box`."""

from __future__ import annotations

from typing import Any

from tracegrad.ops.operators import Operators

__all__ = ["ArrayBox", "Box"]


class _Asked(type):
    def __instancecheck__(cls, value: Any) -> bool:
        return isinstance(value, Operators) and bool(getattr(value, "requires_grad", False))


class Box(metaclass=_Asked):
    """`isinstance(x, Box)`: x is recorded, and a derivative passes through it."""


ArrayBox = Box


def asks_for_boxes(classes: Any) -> bool:
    """Whether `isinstance` is asked for boxes, perhaps among other classes."""
    return classes is Box or (isinstance(classes, tuple) and any(map(asks_for_boxes, classes)))
