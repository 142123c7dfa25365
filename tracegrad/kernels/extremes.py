"""The larger and the smaller of two numbers, as NumPy sees them: NaN where one of them is. Begin with `larger`."""

# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

from tracegrad.kernels.instructions import maximum, minimum, vector


@vector
def larger(x, y):
    """The larger of two numbers."""
    return maximum(x, y)


@vector
def smaller(x, y):
    """The smaller of two numbers."""
    return minimum(x, y)
