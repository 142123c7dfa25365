"""What the figures have to reach, and whether they do: asked, measured, met.

Everything is computed from the figures of one run. Begin with `asked`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from .measuring import Figures, Measured
from .peers import ALONE, FLOOR, HAND, OURS
from .report import seconds, table
from .workloads import WORKLOADS, Workload

AHEAD = 3.0  # geometric mean of the best peers' times, as multiples of ours
BY_HAND = 1.15
FLOORS = 1.5
GRADIENT = {"loop": 3.0, "chain": 2.5}
ONE_CALL = 1.5e-6
COMPILE = {"small": 0.6, "loop": 0.6, "chain": 0.6, "matrix": 2.5}
WARM_PROCESS, IMPORT = 0.6, 30.0  # seconds, milliseconds
Row = tuple[str, str, str, str]


def row(what: str, most: float, found: float, told: str, sign: str = "at most") -> Row:
    met = found <= most if sign == "at most" else found >= most
    return what, f"{sign} {most:.3g}", told, "yes" if met else "**no**"


def ours(measured: Measured) -> Figures | None:
    best = measured.best(OURS)
    return best and best[1]


def best_peer(measured: Measured) -> tuple[str, Figures] | None:
    """The fastest of the libraries, hand-written code left out."""
    found = [b for p in measured.peers if p not in (OURS, HAND, ALONE) and (b := measured.best(p))]
    return min(found, key=lambda item: item[1].warm, default=None)


def gap(measured: Measured) -> float:
    """Our time as a multiple of what it has to stay within: by hand, the best peer or the floor, whichever is worst."""
    mine = ours(measured)
    ratios = [0.0]
    if mine is None:
        return 0.0
    if by_hand := measured.best(HAND):
        ratios.append(mine.warm / by_hand[1].warm / BY_HAND)
    if peer := best_peer(measured):
        ratios.append(mine.warm / peer[1].warm)
    if floor := lowest(measured):
        ratios.append(mine.warm / floor[1] / FLOORS)
    return max(ratios)


def lowest(measured: Measured) -> tuple[str, float] | None:
    """What the workload cannot do without: memory or arithmetic, the higher one."""
    floors = {n.split(".")[1]: f.warm for n, f in measured.figures.items() if n.startswith(f"{FLOOR}.")}
    arithmetic = [warm for name, warm in floors.items() if name != "memory"]
    found = {"memory": floors["memory"]} if "memory" in floors else {}
    found |= {"arithmetic": min(arithmetic)} if arithmetic else {}
    return max(found.items(), key=lambda item: item[1], default=None)


def allowed(workload: Workload) -> float:
    """Bytes beside the inputs: gradients, residuals, and a tenth of them and of the inputs."""
    (given, *_) = workload.make()
    inputs = sum(np.asarray(a).nbytes for a in given)
    gradients = sum(np.asarray(given[k]).nbytes for k in workload.argnums)
    return 0.1 * inputs + 1.1 * (gradients + workload.residuals)


def asked(all_measured: Sequence[Measured], process: Mapping[str, float] | None = None) -> str:
    """The table, one line for each figure that is asked for and was measured.

    Parameters
    ----------
    process : what `fresh.warm_process` found, if that was asked for
    """
    rows: list[Row] = []
    ahead: list[float] = []
    for measured in all_measured:
        mine = ours(measured)
        if mine is None:
            continue
        name = measured.workload.name
        if peer := best_peer(measured):
            ratio = peer[1].warm / mine.warm
            ahead.append(ratio)
            rows.append(
                row(
                    f"{name}: times ahead of the best peer, {peer[0]}", 1.0, ratio, f"{ratio:.2f}", "at least"
                )
            )
    if ahead:
        mean = math.exp(sum(map(math.log, ahead)) / len(ahead))
        told = f"{mean:.2f}"
        if len(ahead) == len(WORKLOADS):
            rows.append(row("the same, geometric mean", AHEAD, mean, told, "at least"))
        else:  # asked of all workloads together
            rows.append((f"the same, geometric mean of {len(ahead)} of the {len(WORKLOADS)}", "", told, ""))
    for measured in all_measured:
        if mine := ours(measured):
            rows.extend(of_one(measured, mine))
            if single := measured.best(ALONE):
                ratio = single[1].warm / mine.warm
                rows.append(
                    (f"{measured.workload.name}: times faster than one thread", "", f"{ratio:.2f}", "")
                )
    if process is not None:
        told = f"{process['seconds']:.3f} ({process['ratio']:.2f} of `import numpy, numba` alone)"
        what = "fresh process, warm cache: import to first native gradient, seconds"
        rows.append(row(what, WARM_PROCESS, process["seconds"], told))
        rows.append(row("the same: captures and compiles", 0, process["work"], f"{process['work']:.0f}"))
        rows.append(
            row(
                "`import tracegrad` beyond `import numpy`, ms",
                IMPORT,
                process["import"],
                f"{process['import']:.1f}",
            )
        )
    return table("What is asked", ("", "asked", "measured", "met"), rows)


def of_one(measured: Measured, mine: Figures) -> list[Row]:
    """The lines of one workload, beside those that compare it with other libraries."""
    name, kind = measured.workload.name, measured.workload.kind
    rows: list[Row] = []
    by_hand = measured.best(HAND)
    if by_hand:
        ratio = mine.warm / by_hand[1].warm
        rows.append(row(f"{name}: to hand-written Numba", BY_HAND, ratio, f"{ratio:.2f}"))
    if floor := lowest(measured):
        ratio = mine.warm / floor[1]
        told = f"{ratio:.2f} (of {seconds(floor[1])})"
        rows.append(row(f"{name}: to the floor of {floor[0]}", FLOORS, ratio, told))
    values = [v for f in (mine, by_hand[1] if by_hand else None) if f and (v := f.of("value"))]
    if kind in GRADIENT and values:
        ratio = mine.warm / min(values)
        told = f"{ratio:.2f} (to our own {mine.warm / values[0]:.2f})"
        rows.append(row(f"{name}: gradient to the fastest compiled value", GRADIENT[kind], ratio, told))
    if name == "rosen2":
        rows.append(
            (
                f"{name}: a call",
                f"at most {seconds(ONE_CALL)}",
                seconds(mine.warm),
                "yes" if mine.warm <= ONE_CALL else "**no**",
            )
        )
    if mine.peak is not None:
        most = allowed(measured.workload)
        told = f"{mine.peak / 1e6:.2f} MB"
        met = "yes" if mine.peak <= most else "**no**"
        rows.append(
            (f"{name}: memory at the peak, beside the inputs", f"at most {most / 1e6:.2f} MB", told, met)
        )
    if mine.compiling is not None:
        most = COMPILE[kind]
        rows.append(row(f"{name}: first compile, seconds", most, mine.compiling, f"{mine.compiling:.2f}"))
    return rows


def gaps(all_measured: Sequence[Measured]) -> str:
    """Workloads by how far they are from what is asked of their warm time, farthest first."""
    rows = []
    for measured in sorted(all_measured, key=gap, reverse=True):
        if mine := ours(measured):
            by_hand, peer, floor = measured.best(HAND), best_peer(measured), lowest(measured)
            rows.append(
                (
                    measured.workload.name,
                    f"{gap(measured):.2f}",
                    seconds(mine.warm),
                    f"{mine.warm / by_hand[1].warm:.2f}" if by_hand else "-",
                    f"{mine.warm / peer[1].warm:.2f} ({peer[0]})" if peer else "-",
                    f"{mine.warm / floor[1]:.2f} ({floor[0]})" if floor else "-",
                )
            )
    columns = ("", "worst, of what is allowed", "tracegrad", "to hand", "to the best peer", "to the floor")
    return table("Gaps, largest first", columns, rows)
