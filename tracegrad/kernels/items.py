"""Indices known only at run time, for compiled programs, which do not check indices themselves."""

# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

import numpy as np


class OutOfBounds(IndexError):
    """NumPy's error, with its message; compiled code hands over the numbers alone."""

    def __str__(self):
        return "index {} is out of bounds for axis {} with size {}".format(*self.args)


def checked(k, length, axis):
    """The index counted from the start; an error where the axis ends before it."""
    if k < -length or k >= length:
        raise OutOfBounds(k, axis, length)
    return k + length if k < 0 else k


def true_places(mask, out):
    """Where a flattened mask is true, as often as there is room; zeros where it is not so often.

    Each place is written, and counts where it is true: nobody can foretell which way an `if` would go.
    """
    flat = np.ascontiguousarray(mask).reshape(mask.size)
    k = 0
    for i in range(flat.size):
        if k == out.size:
            break
        out[k] = i
        k += flat[i]
    for i in range(k, out.size):
        out[i] = 0
