"""`python -m tests.benchmarks`: measure, print the tables, and write them with `--write`.

One thread for everybody unless `--threads` says otherwise; then only the large workloads are run. Every library works
in a process of its own (`worker.py`), asked in turn; gradients are compared before anything is timed. A library that
takes longer for a first gradient than `--limit`, or than the `--minutes` leave, has none: the table says so.
`--processes` adds the first gradient of a fresh process, `--capture` what a capture costs. Alone, `--control` prints
the figures of loops and branches, `--sizes` those of compiled programs beside their array text, `--memory` what large
arrays a call holds at most, `--growth` what each phase of a first call takes when programs get longer.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from . import capture, chart, control, floors, fresh, growth, measuring, memory, report, sizes
from .measuring import Measured
from .peers import ALONE, FLOOR, OURS, PEERS, load
from .processes import Process
from .workloads import LARGE, WORKLOADS

LAST = ("torch.compile", "torch.where")  # their compilers may use up the time of a workload
DOCS = Path(__file__).resolve().parents[2] / "docs" / "benchmarks"


PROCESSES = 7  # fresh ones, for the time of a warm start


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def chosen_ways(names: Sequence[str]) -> list[str]:
    """`peer.way` for each `peer` or `peer.way`; what cannot be imported is named and left out."""
    found = []
    for name in names:
        peer, _, only = name.partition(".")
        try:
            ways = load(peer).WAYS
        except ImportError as error:
            say(f"skipped {name}: {error}")
            continue
        found += [f"{peer}.{way}" for way in ways if only in ("", way)]
    return found


def warm(chosen: argparse.Namespace) -> list[Measured]:
    """Every workload by every peer."""
    peers = [OURS, *(p for p in chosen.peers.split(",") if p != OURS)]
    if any(WORKLOADS[name].moved for name in chosen.workloads):
        peers.append(FLOOR)
    processes = {}
    for name in sorted(chosen_ways(peers), key=lambda name: name in LAST):
        peer, way = name.split(".")
        processes[name] = Process(peer, way, chosen.threads, chosen.limit)
    if chosen.threads > 1:
        processes[f"{ALONE}.native"] = Process(OURS, "native", 1, chosen.limit)
    found = []
    began = time.monotonic()
    try:
        for k, name in enumerate(chosen.workloads, 1):
            say(f"timing {name}, {time.monotonic() - began:.0f} s after the beginning")
            deadline = began + 60 * chosen.minutes * k / len(chosen.workloads)
            measured = measuring.measure(WORKLOADS[name], processes, chosen.rounds, say, deadline)
            found.append(measured)
            say(floors.gaps([measured]).splitlines()[-1])
    finally:
        for process in processes.values():
            process.end()
    return found


def cold(peers: Sequence[str], rounds: int) -> str:
    """First Rosenbrock gradient of a process."""
    programs, titles = {}, {"numpy": "`import numpy` alone"}
    for peer in dict.fromkeys(way.split(".")[0] for way in chosen_ways(peers)):
        module = load(peer)
        if hasattr(module, "FRESH"):
            programs[peer] = module.FRESH
            titles[peer] = next(iter(module.WAYS.values()))
    figures = fresh.first_gradients({**programs, "numpy": fresh.NUMPY_ALONE}, rounds)
    return report.compared("First gradient in a fresh process, import included", figures, titles)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument(
        "--peers",
        default=",".join(PEERS),
        help="beside tracegrad, of " + ", ".join(PEERS) + "; or jax.jit, torch.eager, ...",
    )
    parser.add_argument("--workloads", default="all", help="of " + ", ".join(WORKLOADS) + "; all; or large")
    parser.add_argument("--threads", type=int, default=1, help="for everybody (default 1)")
    parser.add_argument("--rounds", type=int, default=11, help="samples of each warm call (default 11)")
    parser.add_argument(
        "--limit", type=float, default=45, help="seconds that one answer may take (default 45)"
    )
    parser.add_argument(
        "--minutes",
        type=float,
        default=10,
        help="when they are used up, slow libraries are left out and fewer samples taken (default 10)",
    )
    parser.add_argument("--processes", type=int, default=0, help="fresh processes a peer (default none)")
    parser.add_argument("--capture", action="store_true", help="also what a capture costs")
    parser.add_argument(
        "--control", nargs="?", const="", metavar="PART", help="the figures of loops and branches, alone"
    )
    parser.add_argument(
        "--sizes",
        nargs="?",
        const="",
        metavar="PARTS",
        help="compiled programs beside their array text, alone",
    )
    parser.add_argument(
        "--memory", nargs="?", const="", metavar="PARTS", help="large arrays at the peak of a call, alone"
    )
    parser.add_argument(
        "--growth", nargs="?", const="", metavar="PARTS", help="how first calls grow with programs, alone"
    )
    parser.add_argument("--write", metavar="NAME", help="also write docs/benchmarks/NAME.md and NAME.svg")
    chosen = parser.parse_args()
    if chosen.workloads == "all":
        chosen.workloads = list(WORKLOADS if chosen.threads == 1 else LARGE)
    else:
        chosen.workloads = list(LARGE) if chosen.workloads == "large" else chosen.workloads.split(",")
    if unknown := [name for name in chosen.workloads if name not in WORKLOADS]:
        parser.error(f"there is no workload {', '.join(unknown)}; there are {', '.join(WORKLOADS)}")
    if unknown := [name for name in chosen.peers.split(",") if name.split(".")[0] not in PEERS]:
        parser.error(f"there is no peer {', '.join(unknown)}; there are {', '.join(PEERS)}")
    return chosen


def parts_of(names: str) -> list[str]:
    return [part for part in names.split(",") if part]


def page(title: str, table: str, name: str | None) -> None:
    """Print one table, and write it where it has a name."""
    text = f"# {title}\n\n{report.machine()}\n{table}"
    if name:
        (DOCS / f"{name}.md").write_text(text, encoding="utf-8")
    print(text)


def main() -> None:
    chosen = arguments()
    head = f"# Benchmarks\n\n{report.machine()}"
    if chosen.control is not None:
        print(head, control.figures(chosen.rounds, say, chosen.control), sep="\n")
        return
    if chosen.sizes is not None:
        table = sizes.figures(chosen.rounds, say, parts_of(chosen.sizes))
        page("Compiled programs and array text", table, chosen.write)
        return
    if chosen.memory is not None:
        page("Memory", memory.figures(say, parts_of(chosen.memory)), chosen.write)
        return
    if chosen.growth is not None:
        page("First calls of longer programs", growth.figures(say, parts_of(chosen.growth)), chosen.write)
        return
    threads = "one thread" if chosen.threads == 1 else f"{chosen.threads} threads"
    command = " ".join(["python -m tests.benchmarks", *sys.argv[1:]])
    head += f"\nBy `{command}`; {threads} for everybody, medians, in brackets multiples of tracegrad's.\n"
    process = fresh.warm_process(PROCESSES)
    measured = warm(chosen)
    parts = [
        head,
        *report.tables(measured),
        floors.asked(measured, process),
        floors.gaps(measured),
        report.every_way(measured),
    ]
    if chosen.capture:
        say("timing capture")
        parts.append(capture.cost(chosen.rounds))
    if chosen.processes:
        say("timing fresh processes")
        parts.append(cold([OURS, *chosen.peers.split(",")], chosen.processes))
    if chosen.write:
        DOCS.mkdir(parents=True, exist_ok=True)
        chart.draw(measured, DOCS / f"{chosen.write}.svg")
        parts.insert(1, f"![bars relative to the fastest]({chosen.write}.svg)\n")
        (DOCS / f"{chosen.write}.md").write_text("\n".join(parts), encoding="utf-8")
    print("\n".join(parts))


if __name__ == "__main__":
    main()
