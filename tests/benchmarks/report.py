"""The figures as Markdown, for the terminal and for `docs/benchmarks/`."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from importlib import metadata

BASE = "tracegrad"


def seconds(value: float) -> str:
    """A duration in the unit a reader expects."""
    for factor, unit in ((1.0, "s"), (1e3, "ms")):
        if value * factor >= 1.0:
            return f"{value * factor:.3g} {unit}"
    return f"{value * 1e6:.3g} µs"


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table with numbers to the right."""
    lines = [f"### {title}", "", f"| {' | '.join(columns)} |", "|---" + "|--:" * (len(columns) - 1) + "|"]
    lines += [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join(lines) + "\n"


def compared(title: str, figures: Mapping[str, float], titles: Mapping[str, str]) -> str:
    """Time of each peer, and as a multiple of tracegrad's where tracegrad was measured."""
    base = figures.get(BASE)
    rows = []
    for name, value in sorted(figures.items(), key=lambda item: item[1]):
        ratio = f"{value / base:.2f}" if base else "-"
        rows.append((titles[name], seconds(value), ratio))
    return table(title, ("", "median", "relative to tracegrad"), rows)


def machine() -> str:
    """What it ran on; figures without this mean nothing."""
    versions = []
    for package in ("numpy", "numba", "autograd", "jax"):
        try:
            versions.append(f"{package} {metadata.version(package)}")
        except metadata.PackageNotFoundError:
            continue
    where = f"{platform.machine()}, {os.cpu_count()} cores"
    return f"Python {platform.python_version()}, {', '.join(versions)}; {where}.\n"
