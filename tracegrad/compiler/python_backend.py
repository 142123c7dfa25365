"""Runs emitted text as it is: the tier that needs nothing but NumPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tracegrad.compiler.source_file import load
from tracegrad.ir.source import Source


def compile_python(source: Source, name: str) -> dict[str, Callable[..., Any]]:
    """The entry functions of a module, by name."""
    module = load(source.text, name)
    return {entry: getattr(module, entry) for entry in source.entries}
