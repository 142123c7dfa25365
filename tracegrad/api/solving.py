"""The other wire: what SciPy solves inside a captured function is dispatch's. It is drawn when this is imported."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracegrad.later import later
from tracegrad.tensor.captured import use_solvers

if TYPE_CHECKING:
    from tracegrad.dispatch import solvers
else:
    solvers = later("tracegrad.dispatch.solvers")

use_solvers(solvers)
