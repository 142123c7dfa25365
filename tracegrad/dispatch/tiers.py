"""When to compile, and when to stop: decisions that weigh speed against waiting, in one place."""

from __future__ import annotations

from tracegrad.config import config
from tracegrad.dispatch.tree import Path, TraceTree

SIGNATURES = 256  # kinds of arguments one function keeps programs for


PATIENCE = 3.0  # seconds of compiling that a second call may have to wait for


def wants_native(path: Path, jit: str | None) -> bool:
    """Whether the native program should be there for this call. `jit` is the function's own option, or None.

    "auto": the readable text answers the first call, without loading Numba; a path that is used again is compiled.
    Where compiling would take long, it waits until the readable text has run for as long: then, whatever comes, no
    more than twice the best choice was paid (the ski-rental rule).
    """
    choice = jit or config.jit
    if choice != "auto" or path.calls < 1:
        return choice == "native"
    expected = path.built.compile_seconds
    return expected <= PATIENCE or path.seconds >= expected


def is_decided(path: Path, jit: str | None) -> bool:
    """Whether the path has the tier it will keep, so that an entry can be made for it; never so on the tape."""
    return path.born >= 0 and (path.tier_decided or (jit or config.jit) == "python")


def gives_up(tree: TraceTree) -> bool:
    """Whether a signature has so many paths that one more program would not help."""
    return len(tree.paths) >= config.max_paths
