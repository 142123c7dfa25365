"""A program: emitted text that can be called."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from tracegrad.ir.source import Source

Functions = Mapping[str, Callable[..., Any]]


@dataclass(frozen=True, slots=True)
class Program:
    """What `dispatch` calls.

    `kind` is "value", "gradient" or "vjp"; `functions` has a callable for each of the entries of `source`.
    """

    kind: str
    source: Source
    functions: Functions
    tier: Literal["python", "native"]
