"""One module a library: how it computes value and gradient of a workload, from NumPy values to NumPy
values.

Each module has `TITLE` and `build(workload)`, which returns a callable giving (value, tuple of
gradients), or None where the library has no idiom for this workload. Importing a module raises
ImportError where its library is not installed. `FRESH`, where there is one, is a program that computes
the first Rosenbrock gradient in a process of its own.
"""

from __future__ import annotations

import importlib
from types import ModuleType

PEERS = ("tracegrad", "autograd", "jax", "numba")


def load(name: str) -> ModuleType:
    """The peer's module; ImportError where its library is missing."""
    return importlib.import_module(f"{__name__}.{name}_peer")
