"""All figures of one workload: every library builds it, their gradients are compared, then they are timed in turn.

In goes a workload with the processes, out comes a `Measured`. Begin with `measure`.
"""

from __future__ import annotations

import math
import pickle
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from .peers import FLOOR, HAND, OURS
from .processes import Failed, Process
from .workloads import LARGE, Arguments, Workload

SAMPLE_SECONDS = 4e-3
WAYS_SECONDS = 2.0  # what the samples of one way of one kind may take
FEWEST = 5
AFTER_A_PAUSE = 2e-2  # of a sample behind it: the first calls, which wake threads, are a few of these
QUIET = 0.2  # seconds until the threads of the library asked before sleep: OpenBLAS's look for work for over 50 ms
SLOW, FEWEST_SLOW = 0.3, 2  # seconds of a call, and how many samples of one that takes longer
AT_LEAST = 5.0  # seconds for a first call, however late it is
DIFFERENCE = 1e-6
Results = list[tuple[Any, tuple[Any, ...]]]


@dataclass
class Figures:
    """Of one way, in seconds and bytes: `samples` by kind, as `worker.Worker` names them."""

    first: float
    compiling: float | None = None
    samples: dict[str, list[float]] = field(default_factory=dict)
    peak: int | None = None

    def of(self, kind: str) -> float | None:
        """The median."""
        found = self.samples.get(kind)
        return statistics.median(found) if found else None

    @property
    def warm(self) -> float:
        """Value and gradient: own arrays or NumPy's, the faster counts."""
        return min(x for x in (self.of("own"), self.of("numpy")) if x is not None)


@dataclass
class Measured:
    """A workload's figures by `peer.way`, and why some ways have none."""

    workload: Workload
    figures: dict[str, Figures] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)

    def best(self, peer: str) -> tuple[str, Figures] | None:
        """The fastest way of a peer."""
        ways = {name: f for name, f in self.figures.items() if name.split(".")[0] == peer}
        return min(ways.items(), key=lambda item: item[1].warm) if ways else None

    @property
    def peers(self) -> list[str]:
        """Those that have figures, floors left out."""
        return list(dict.fromkeys(p for n in self.figures if (p := n.split(".")[0]) != FLOOR))


def direction(arguments: Arguments, argnums: Sequence[int]) -> dict[int, Any]:
    draw = np.random.default_rng(1)
    return {k: draw.standard_normal(np.shape(arguments[k])) for k in argnums}


def differentiated(workload: Workload, results: Results) -> None:
    """Compare gradients with differences of the NumPy function along one direction, in float64.

    Raises
    ------
    AssertionError : they do not agree
    """
    for arguments, (value, gradients) in zip(workload.make(), results, strict=True):
        wide = [np.asarray(a, np.float64) if np.asarray(a).dtype.kind == "f" else a for a in arguments]
        along = direction(arguments, workload.argnums)

        def moved(step: float, wide: list[Any] = wide, along: dict[int, Any] = along) -> float:
            return float(
                workload.function(*(x + step * along[k] if k in along else x for k, x in enumerate(wide)))
            )

        slope = (moved(DIFFERENCE) - moved(-DIFFERENCE)) / (2 * DIFFERENCE)
        told = sum(float(np.sum(d * g)) for d, g in zip(along.values(), gradients, strict=True))
        tolerance = max(2e-4, workload.tolerance)
        np.testing.assert_allclose(told, slope, rtol=tolerance, atol=tolerance, err_msg=workload.name)
        np.testing.assert_allclose(value, moved(0.0), rtol=max(1e-9, workload.tolerance))


def compare(workload: Workload, results: Results, reference: Results) -> None:
    """Every gradient against the reference, by its largest element.

    Raises
    ------
    AssertionError : they do not agree
    """
    for (value, gradients), (wanted, wanted_gradients) in zip(results, reference, strict=True):
        np.testing.assert_allclose(value, wanted, rtol=workload.tolerance)
        for got, right in zip(gradients, wanted_gradients, strict=True):
            assert np.shape(got) == np.shape(right), f"shape {np.shape(got)}, not {np.shape(right)}"
            scale = max(float(np.max(np.abs(right))), 1e-300)
            np.testing.assert_allclose(got, right, rtol=0, atol=workload.tolerance * scale)


def measure(
    workload: Workload,
    processes: Mapping[str, Process],
    rounds: int,
    say: Callable[[str], None],
    deadline: float = math.inf,
) -> Measured:
    """Build, compare, time; tracegrad must be right, any other library that is not is named and left out.

    After the deadline (of `time.monotonic`) libraries have no time left for a first call, and few samples are enough.
    """
    found = Measured(workload)
    reference: Results | None = None
    with tempfile.TemporaryDirectory() as directory:
        for name, process in processes.items():
            results = Path(directory, name)
            try:
                limit = None if process.peer in (OURS, HAND) else max(AT_LEAST, deadline - time.monotonic())
                answer = process.ask("build", limit, workload=workload.name, results=str(results))
                if not answer["able"]:
                    continue
                if results.exists():
                    given: Results = pickle.loads(results.read_bytes())
                    if reference is None:
                        differentiated(workload, given)
                        reference = given
                    compare(workload, given, reference)
            except (Failed, AssertionError, TypeError, ValueError) as error:
                if process.peer == OURS:
                    raise
                told = " ".join(str(error).split())[:200]
                found.failed[name] = told
                say(f"  {name}: {told}")
                continue
            figures = Figures(answer["first"], answer.get("compiling"))
            figures.samples = {kind: [] for kind in answer["kinds"]}
            found.figures[name] = figures
    take(found, processes, rounds, say, deadline)
    return found


def take(
    found: Measured,
    processes: Mapping[str, Process],
    rounds: int,
    say: Callable[[str], None],
    deadline: float,
) -> None:
    """Samples of every way and kind in turn, until there are enough or their time is used up."""
    for k in range(rounds):
        for name, figures in list(found.figures.items()):
            seconds = SAMPLE_SECONDS
            if processes[name].threads > 1:
                time.sleep(QUIET)
                seconds = AFTER_A_PAUSE
            for kind, samples in figures.samples.items():
                late = time.monotonic() > deadline or sum(samples) > WAYS_SECONDS
                if late and k >= (FEWEST_SLOW if max(samples, default=0.0) > SLOW else FEWEST):
                    continue
                try:
                    samples.append(processes[name].ask("sample", kind=kind, seconds=seconds)["seconds"])
                except Failed as error:
                    if processes[name].peer == OURS:
                        raise
                    found.failed[name] = str(error)
                    say(f"  {name}: {error}")
                    del found.figures[name]
                    break
    if found.workload.name in LARGE:
        for name, figures in found.figures.items():
            if processes[name].peer != FLOOR:
                figures.peak = processes[name].ask("peak")["bytes"]
