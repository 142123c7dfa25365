"""The figures as Markdown, for the terminal and for `docs/benchmarks/`."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata

from .measuring import Figures, Measured
from .peers import OURS, PEERS
from .workloads import LARGE

PACKAGES = ("numpy", "numba", "jax", "torch", "autograd", "casadi", "drjit", "warp-lang", "mygrad")
MEGABYTE = 1e6
LATE = "no answer "  # what a process says that took too long


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
    base = figures.get(OURS)
    rows = []
    for name, value in sorted(figures.items(), key=lambda item: item[1]):
        ratio = f"{value / base:.2f}" if base else "-"
        rows.append((titles[name], seconds(value), ratio))
    return table(title, ("", "median", "relative to tracegrad"), rows)


def matrix(
    title: str,
    all_measured: Sequence[Measured],
    figure: Callable[[Figures], float | None],
    told: Callable[[float], str],
) -> str:
    """One figure of every peer at every workload: of its fastest way, and as a multiple of tracegrad's."""
    there = {p for m in all_measured for p in (*m.peers, *(name.split(".")[0] for name in m.failed))}
    peers = [p for p in PEERS if p in there]
    rows = []
    for measured in all_measured:
        mine = measured.best(OURS)
        base = figure(mine[1]) if mine else None
        cells = []
        for peer in peers:
            best = measured.best(peer)
            value = figure(best[1]) if best else None
            if value is None:
                late = [
                    w for n, w in measured.failed.items() if n.split(".")[0] == peer and w.startswith(LATE)
                ]
                cells.append(f"none {late[0].removeprefix(LATE)}" if late and best is None else "-")
            else:
                cells.append(told(value) + (f" ({value / base:.2f})" if base and peer != OURS else ""))
        rows.append((measured.workload.name, *cells))
    return table(title, ("", *peers), rows)


def every_way(all_measured: Sequence[Measured]) -> str:
    """All ways of all peers: own arrays, from NumPy to NumPy, the value alone; and why some have no figures."""
    rows = []
    for measured in all_measured:
        for name, found in measured.figures.items():
            cells = (
                "-" if (t := found.of(kind)) is None else seconds(t) for kind in ("own", "numpy", "value")
            )
            rows.append((f"{measured.workload.name}, {name}", *cells, seconds(found.first)))
        for name, why in measured.failed.items():
            rows.append(
                (f"{measured.workload.name}, {name}: {why.replace('|', '/')[:80]}", "-", "-", "-", "-")
            )
    columns = ("", "own arrays", "NumPy to NumPy", "value alone", "first call")
    return table("Every way", columns, rows)


def tables(all_measured: Sequence[Measured]) -> list[str]:
    """What was measured, one table a figure; in brackets multiples of tracegrad's."""
    parts = [
        matrix("Value and gradient, warm", all_measured, lambda f: f.warm, seconds),
        matrix("First call, from definition to gradient", all_measured, lambda f: f.first, seconds),
        matrix("Value alone, compiled, warm", all_measured, lambda f: f.of("value"), seconds),
    ]
    large = [m for m in all_measured if m.workload.name in LARGE]
    if large:
        parts.append(
            matrix(
                "Memory at the peak of a call, MB above what the process held, buffers kept between calls given back",
                large,
                lambda f: None if f.peak is None else f.peak / MEGABYTE,
                lambda megabytes: f"{megabytes:.1f}",
            )
        )
    return parts


def machine() -> str:
    """What it ran on; figures without this mean nothing."""
    versions = []
    for package in PACKAGES:
        try:
            versions.append(f"{package} {metadata.version(package)}")
        except metadata.PackageNotFoundError:
            continue
    where = f"{platform.machine()}, {os.cpu_count()} cores"
    return f"Python {platform.python_version()}, {', '.join(versions)}; {where}.\n"
