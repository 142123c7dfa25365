"""One module a library: how it computes value and gradient of a workload.

Each module has

- `WAYS`: the names of its ways to do it (compiled or not, one formulation or another) -> their titles;
- `build(workload, way)`: a `Way` (`way.py`), or None where the library has no idiom for this workload that way;
- `warm_up(way)`: one trivial gradient, so that what the library does once a process is not charged to a workload;
- `FRESH`, if it likes: a program that computes the first Rosenbrock gradient in a process of its own.

Importing a module raises ImportError where its library is not installed. `floor_peer` is no library: it moves as
many bytes as a workload must, and does as much arithmetic.
"""

from __future__ import annotations

import importlib
from types import ModuleType

OURS, HAND = "tracegrad", "numba"
ALONE = "alone"  # tracegrad with one thread, where everybody has more
PEERS = (OURS, HAND, "jax", "torch", "autograd", "casadi", "drjit", "warp", "mygrad")
FLOOR = "floor"


def load(name: str) -> ModuleType:
    """The peer's module; ImportError where its library is missing."""
    return importlib.import_module(f"{__name__}.{name}_peer")
