"""`import tracegrad.numpy as np`: NumPy itself, whose functions are recorded under their own names."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from tracegrad.namespaces import stand_for
from tracegrad.tensor import boxes

if TYPE_CHECKING:
    from numpy import *  # noqa: F403

# NumPy loads these when they are asked for: under our name they would be loaded a second time.
stand_for(__name__, "numpy", ("fft", "linalg", "polynomial", "random"))
sys.modules[f"{__name__}.numpy_boxes"] = boxes
