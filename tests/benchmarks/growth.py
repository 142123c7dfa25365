"""What each phase of a first call takes when a program gets longer: sizes n, 2n, 4n, each in a process of its own.

`python -m tests.benchmarks --growth` prints the tables, `--growth scalars,layers` some of them; the programs are those
of `growing.py`. `python -m tests.benchmarks.growth FAMILY SIZE` is one process: a small program of the family warms up
what is imported, then one of that size is called for the first time. Phases are counted in time of the processor, which
other processes change least. Begin with `figures`.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from tracegrad.dispatch import build, dispatcher
from tracegrad.emit import module as emission
from tracegrad.passes import pipeline

from . import processes, report, timing
from .growing import FAMILIES, Family

LINEAR = 4.6  # for four times the steps, what is called linear: 4, and what the machine does meanwhile
SHORT = 0.03  # seconds: a phase that takes less at the largest size tells nothing
LIMIT = 120.0  # seconds for one process: a family that takes longer has no larger sizes
SAMPLES = 3  # processes of each size; the fastest of them counts
QUIET = 2.0  # seconds of a process, above which one of them is enough

PHASES = ("capture", "passes", "emission", "machine code", "entry", "the rest", "first call", "warm call")
EAGER = ("forward", "backward", "backward again")
Seconds = dict[str, float]


class Phases:
    """Seconds of the processor in each phase, without those of phases inside of it."""

    def __init__(self) -> None:
        self.seconds: Seconds = {}
        self._open: list[float] = []

    def counted(self, phase: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **keywords: Any) -> Any:
            self._open.append(0.0)
            began = time.process_time()
            try:
                return function(*args, **keywords)
            finally:
                took = time.process_time() - began
                inside = self._open.pop()
                self.seconds[phase] = self.seconds.get(phase, 0.0) + took - inside
                if self._open:
                    self._open[-1] += took

        return call

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """Whoever calls one of the phases meanwhile is timed."""
        places = (
            (dispatcher.Dispatcher, "_captured", "capture"),
            (build, "_plan", "passes"),
            (pipeline, "for_loops", "passes"),
            (emission, "emit_native", "emission"),
            (emission, "emit_array", "emission"),
            (build.Built, "compile", "machine code"),
            (dispatcher, "make_entry", "entry"),
        )
        before = [getattr(where, name) for where, name, _ in places]
        for (where, name, phase), function in zip(places, before, strict=True):
            setattr(where, name, self.counted(phase, function))
        try:
            yield
        finally:
            for (where, name, _), function in zip(places, before, strict=True):
                setattr(where, name, function)


def timed(call: Callable[..., Any], *args: Any) -> tuple[float, Any]:
    began = time.process_time()
    found = call(*args)
    return time.process_time() - began, found


def warm(call: Callable[..., Any], args: tuple[Any, ...]) -> float:
    """Seconds of a call once everything is there: the least of a few samples."""
    for _ in range(3):
        call(*args)
    return min(timing.once(call, [args]) for _ in range(9))


def compiled(family: Family, size: int, folder: Path) -> Seconds:
    call, args = family.make(size, folder)
    phases = Phases()
    with phases.watched():
        first, _ = timed(call, *args)
    found = {phase: phases.seconds.get(phase, 0.0) for phase in PHASES[:5]}
    found["the rest"] = first - sum(found.values())
    return {**found, "first call": first, "warm call": warm(call, args)}


def eager(family: Family, size: int, folder: Path) -> Seconds:
    forward, backward = family.make(size, folder)
    seconds, y = timed(forward)
    found = {"forward": seconds, "backward": timed(backward, y)[0]}
    backward(forward())
    return {**found, "backward again": timed(backward, forward())[0]}


def one(name: str, size: int) -> Seconds:
    """What one size takes in this process."""
    family = FAMILIES[name]
    measure = eager if family.kind == "eager" else compiled
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        measure(family, min(8, family.sizes[0]), Path(folder))
        return measure(family, size, Path(folder))


def sampled(name: str, size: int, samples: int) -> Seconds | None:
    """The same of fresh processes: of each phase the shortest; None where one takes longer than `LIMIT`."""
    found: Seconds = {}
    for _ in range(samples):
        with tempfile.TemporaryDirectory() as cache:
            environment = processes.environment(1, cache) | {"TRACEGRAD_CACHE": "none"}
            command = [sys.executable, "-m", "tests.benchmarks.growth", name, str(size)]
            try:
                done = subprocess.run(
                    command, env=environment, check=True, timeout=LIMIT, capture_output=True, text=True
                )
            except subprocess.TimeoutExpired:
                return None
        seconds = json.loads(done.stdout.splitlines()[-1])
        found = {phase: min(took, found.get(phase, took)) for phase, took in seconds.items()}
        if sum(seconds.values()) > QUIET:
            break
    return found


def growths(family: Family, measured: dict[int, Seconds]) -> dict[str, float]:
    """By phase, how often what a quarter of the steps takes fits into what the most of them take."""
    pairs = [(measured[size], measured[size // 4]) for size in measured if size // 4 in measured]
    if not pairs:
        return {}
    most, quarter = pairs[-1]
    return {phase: took / quarter[phase] for phase, took in most.items() if took >= SHORT}


def table(family: Family, measured: dict[int, Seconds]) -> str:
    phases = EAGER if family.kind == "eager" else PHASES
    rows = [
        [f"{size:,}", *(report.seconds(max(0.0, seconds[phase])) for phase in phases)]
        for size, seconds in measured.items()
    ]
    growth = growths(family, measured)
    rows.append(["4 times as many", *(f"{growth[p]:.1f}" if p in growth else "" for p in phases)])
    return report.table(family.title, ("", *phases), rows)


def asked(measured: dict[str, dict[int, Seconds]]) -> str:
    """Each family beside what is asked of it: no phase grows faster than the steps."""
    rows = []
    for name, sizes in measured.items():
        growth = growths(FAMILIES[name], sizes)
        over = {phase: times for phase, times in growth.items() if times > LINEAR}
        late = next((size for size in FAMILIES[name].sizes if size not in sizes), None)
        said = ", ".join(f"{phase} {times:.1f}" for phase, times in sorted(over.items(), key=lambda p: -p[1]))
        if not said:
            most = max(growth.items(), key=lambda p: p[1], default=None)
            said = f"nothing takes {report.seconds(SHORT)}" if most is None else f"{most[0]} {most[1]:.1f}"
        if late is not None:
            said += f"; {late:,} take longer than {LIMIT:.0f} s"
        met = "**no**" if over or late is not None else "yes"
        rows.append((FAMILIES[name].title, f"at most {LINEAR}", said, met))
    return report.table(
        "Growth of the time of each phase for four times the steps", ("", "asked", "measured", "met"), rows
    )


def figures(say: Callable[[str], None], only: Sequence[str] = (), samples: int = SAMPLES) -> str:
    """The tables; of a family's phases those that take at least `SHORT` are judged."""
    measured: dict[str, dict[int, Seconds]] = {}
    for name in only or FAMILIES:
        measured[name] = {}
        for size in FAMILIES[name].sizes:
            seconds = sampled(name, size, samples)
            if seconds is None:
                say(f"{name} {size}: no answer in {LIMIT:.0f} s")
                break
            measured[name][size] = seconds
            say(
                f"{name} {size}: "
                + ", ".join(f"{p} {report.seconds(max(0.0, s))}" for p, s in seconds.items())
            )
    tables = [table(FAMILIES[name], sizes) for name, sizes in measured.items()]
    return "\n".join([asked(measured), *tables])


if __name__ == "__main__":
    print(json.dumps(one(sys.argv[1], int(sys.argv[2]))))
