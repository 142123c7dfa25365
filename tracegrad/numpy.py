"""`import tracegrad.numpy as np`: NumPy itself, whose functions are recorded under their own names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracegrad.namespaces import stand_for

if TYPE_CHECKING:
    from numpy import *  # noqa: F403

stand_for(__name__, "numpy")
