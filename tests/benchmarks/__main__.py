"""`python -m tests.benchmarks`: measure, print the tables, and write them with `--write`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from . import capture, control, fresh, report, timing
from .peers import PEERS, load
from .workloads import WORKLOADS, Workload

DOCS = Path(__file__).resolve().parents[2] / "docs" / "benchmarks"


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def available(names: Sequence[str]) -> dict[str, ModuleType]:
    """The peers that can be imported; the others are named and left out."""
    found = {}
    for name in names:
        try:
            found[name] = load(name)
        except ImportError as error:
            say(f"skipped {name}: {error}")
    return found


def agree(workload: Workload, calls: Mapping[str, Callable[..., Any]]) -> None:
    """Refuse to time anything before every peer gives the same value and gradient."""
    for arguments in workload.make():
        reference: list[Any] = []
        for name, call in calls.items():
            value, gradient = call(*arguments)
            parts = [value, *(gradient if isinstance(gradient, tuple) else (gradient,))]
            reference = reference or parts
            for got, wanted in zip(parts, reference, strict=True):
                np.testing.assert_allclose(got, wanted, rtol=workload.tolerance, atol=1e-12, err_msg=name)


def warm(workload: Workload, peers: Mapping[str, ModuleType], rounds: int) -> str:
    """Value and gradient once everything is compiled."""
    built = {name: peer.build(workload) for name, peer in peers.items()}
    calls = {name: call for name, call in built.items() if call is not None}
    agree(workload, calls)
    figures = timing.interleaved(calls, workload.make(), rounds)
    titles = {name: peers[name].TITLE for name in calls}
    return report.compared(f"Warm value and gradient: {workload.title}", figures, titles)


def cold(peers: Mapping[str, ModuleType], rounds: int) -> str:
    """First Rosenbrock gradient of a process."""
    programs = {name: peer.FRESH for name, peer in peers.items() if hasattr(peer, "FRESH")}
    figures = fresh.first_gradients({**programs, "numpy": fresh.NUMPY_ALONE}, rounds)
    titles = {"numpy": "`import numpy` alone", **{name: peers[name].TITLE for name in programs}}
    return report.compared("First gradient in a fresh process, import included", figures, titles)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--peers", default=",".join(PEERS), help="of " + ", ".join(PEERS))
    parser.add_argument("--workloads", default="rosenbrock", help="of " + ", ".join(WORKLOADS) + "; or all")
    parser.add_argument("--rounds", type=int, default=101, help="samples of each warm call (default 101)")
    parser.add_argument("--processes", type=int, default=5, help="fresh processes a peer; 0 for none")
    parser.add_argument(
        "--control", nargs="?", const="", metavar="PART", help="the figures of loops and branches, alone"
    )
    parser.add_argument("--write", metavar="NAME", help="also write docs/benchmarks/NAME.md")
    return parser.parse_args()


def main() -> None:
    chosen = arguments()
    names = list(WORKLOADS) if chosen.workloads == "all" else chosen.workloads.split(",")
    if unknown := [name for name in names if name not in WORKLOADS]:
        sys.exit(f"there is no workload {', '.join(unknown)}; there are {', '.join(WORKLOADS)}")
    if unknown := [name for name in chosen.peers.split(",") if name not in PEERS]:
        sys.exit(f"there is no peer {', '.join(unknown)}; there are {', '.join(PEERS)}")
    parts = [f"# Benchmarks\n\n{report.machine()}"]
    if chosen.control is not None:
        print(parts[0], control.figures(chosen.rounds, say, chosen.control), sep="\n")
        return
    peers = available(chosen.peers.split(","))
    for name in names:
        say(f"timing {name}")
        parts.append(warm(WORKLOADS[name], peers, chosen.rounds))
    if "tracegrad" in peers:
        say("timing capture")
        parts.append(capture.cost(chosen.rounds))
    if chosen.processes:
        say("timing fresh processes")
        parts.append(cold(peers, chosen.processes))
    text = "\n".join(parts)
    print(text)
    if chosen.write:
        DOCS.mkdir(parents=True, exist_ok=True)
        (DOCS / f"{chosen.write}.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
