"""Emitted text, on its way from `emit` to `compiler`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Source:
    """A module's text, the functions in it to call, and which user line each emitted line comes from."""

    text: str
    entries: tuple[str, ...]
    line_map: tuple[tuple[int, int], ...] = ()
    contract: bool = True  # native text: whether a multiplication and an addition may be fused
