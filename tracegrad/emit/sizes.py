"""Which arrays are large enough for their memory to matter, and which so small that they may live in registers."""

from __future__ import annotations

from tracegrad.ir.types import ArrayType

LARGE = 1 << 16  # bytes of an array whose memory is worth a thought
SMALL = 32  # elements of an array that is in registers for the most part, if the text says its sizes


def is_large(type: ArrayType) -> bool:
    """Whether the memory of an array is worth a thought."""
    return bool(type.shape) and -1 not in type.shape and type.size * type.dtype.itemsize >= LARGE


def is_small(type: ArrayType) -> bool:
    """Whether an array of these sizes is in registers or on the stack, where only its elements are read."""
    return bool(type.shape) and -1 not in type.shape and 0 < type.size <= SMALL
