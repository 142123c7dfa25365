"""Emitted text, on its way from `emit` to `compiler`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

# An array that a function is given to write into: its dtype and shape, and which output it is, if it is one.
Memory = tuple[np.dtype[Any], tuple[int, ...], int | None]


@dataclass(frozen=True, slots=True)
class Source:
    """A module's text, the functions in it to call, and which user line each emitted line comes from.

    Attributes
    ----------
    memory : tuple of Memory
        The last parameters of the first function, and what becomes of them; it does not return those outputs.
    repeatable : bool
        Whether nobody notices that the program runs twice: it calls no function of the user's.
    """

    text: str
    entries: tuple[str, ...]
    line_map: tuple[tuple[int, int], ...] = ()
    parts: tuple[str, ...] = ()  # native text: functions that do some blocks of a loop
    contract: bool = True  # native text: whether a multiplication and an addition may be fused
    memory: tuple[Memory, ...] = ()
    repeatable: bool = True
