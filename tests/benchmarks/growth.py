"""What each phase of a first call takes when a program gets longer, beside what four of a quarter of the length take.

`python -m tests.benchmarks --growth` prints the tables, `--growth scalars,layers` some of them; the programs are those
of `growing.py`. `python -m tests.benchmarks.growth FAMILY SIZE HOW` is one process: a small program of the family warms
up what is imported, then programs are called for the first time.

Growth is told from what else the machine does in two ways. Phases are timed in seconds of the processor, and a program
is compared with four of about a quarter of its steps, two before it and two after it in the same process: they take as
long, and see the same. The least of several processes counts. And the calls of functions in each phase are counted in
processes of their own, with the lines that LLVM reads: those numbers are the same in every run. Where programs from
some length on are made in another way, growth is between lengths made in one way, and what the step between costs once
is told beside it. Begin with `figures`.
"""

from __future__ import annotations

import contextlib
import cProfile
import gc
import json
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tracegrad.compiler import direct
from tracegrad.dispatch import build, dispatcher
from tracegrad.emit import module as emission
from tracegrad.passes import pipeline

from . import processes, report, timing
from .growing import FAMILIES, Family

LINEAR = 4.6  # for four times the steps, what is called linear: 4, and what caches and the machine do
COUNTED = 4.2  # the same for what is counted
SHORT = 0.03  # seconds: a phase that takes less at the largest size tells nothing
FEW = 10_000  # calls: a phase that makes fewer at the largest size tells nothing
LIMIT = 120.0  # seconds for one process: a family that takes longer has no larger sizes
FEWEST, ROUNDS = 3, 5  # processes that compare: of one alone, phases of a second were off by a third
PATIENCE = 20.0  # seconds of them, which no further one would keep to

PHASES = ("capture", "passes", "emission", "machine code", "entry", "the rest", "first call", "warm call")
EAGER = ("forward", "backward", "backward again")
LINES = "LLVM's lines"
Figures = dict[str, float]


class Phases:
    """What each phase takes, in what `read` reads, without phases inside of it."""

    def __init__(self, read: Callable[[], float]) -> None:
        self.read = read
        self.found: Figures = {}
        self._open: list[float] = []

    def counted(self, phase: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **keywords: Any) -> Any:
            self._open.append(0.0)
            began = self.read()
            try:
                return function(*args, **keywords)
            finally:
                took = self.read() - began
                inside = self._open.pop()
                self.found[phase] = self.found.get(phase, 0.0) + took - inside
                if self._open:
                    self._open[-1] += took

        return call

    def read_by_llvm(self, text_of: Callable[[Any], str]) -> Callable[[Any], str]:
        def printed(module: Any) -> str:
            text = text_of(module)
            self.found[LINES] = self.found.get(LINES, 0) + text.count("\n")
            return text

        return printed

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
        before, text_of = [getattr(where, name) for where, name, _ in places], direct.text_of
        for (where, name, phase), function in zip(places, before, strict=True):
            setattr(where, name, self.counted(phase, function))
        direct.text_of = self.read_by_llvm(text_of)
        try:
            yield
        finally:
            direct.text_of = text_of
            for (where, name, _), function in zip(places, before, strict=True):
                setattr(where, name, function)


def taken(read: Callable[[], float], call: Callable[..., Any], *args: Any) -> tuple[float, Any]:
    gc.collect()
    began = read()
    found = call(*args)
    return read() - began, found


def warm(call: Callable[..., Any], args: tuple[Any, ...]) -> float:
    """Seconds of a call once everything is there: the least of a few samples."""
    for _ in range(3):
        call(*args)
    return min(timing.once(call, [args]) for _ in range(9))


def compiled(family: Family, size: int, folder: Path, read: Callable[[], float]) -> Figures:
    call, args = family.make(size, folder)
    phases = Phases(read)
    with phases.watched():
        first, _ = taken(read, call, *args)
    found = {phase: phases.found.get(phase, 0.0) for phase in PHASES[:5]}
    found["the rest"] = first - sum(found.values())
    return {**found, "first call": first, "warm call": warm(call, args), LINES: phases.found.get(LINES, 0)}


def eager(family: Family, size: int, folder: Path, read: Callable[[], float]) -> Figures:
    forward, backward = family.make(size, folder)
    made, y = taken(read, forward)
    found = {"forward": made, "backward": taken(read, backward, y)[0]}
    backward(forward())
    return {**found, "backward again": taken(read, backward, forward())[0]}


def quarters(size: int) -> list[int]:
    """Four sizes that make up this one; no program is one that was made before."""
    return [size // 4 + k for k in (-2, -1, 1, 2)]


def total(several: Sequence[Figures]) -> Figures:
    return {phase: sum(found[phase] for found in several) for phase in several[0]}


def calls(profile: cProfile.Profile) -> float:
    """The calls so far. While they are added up no garbage is collected: what is called then moves the entries of the
    profile about, and up to half of the calls were not found."""
    collected = gc.isenabled()
    gc.disable()
    try:
        return sum(entry.callcount for entry in profile.getstats())
    finally:
        if collected:
            gc.enable()


def one(name: str, size: int, how: str = "alone") -> list[Figures]:
    """What programs take in this process: one alone, its seconds or its calls; or beside one the sum of four smaller
    ones."""
    family = FAMILIES[name]
    measure = eager if family.kind == "eager" else compiled
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")

        def seconds(n: int) -> Figures:
            return measure(family, n, Path(folder), time.process_time)

        seconds(min(8, family.sizes[0] - 1))  # a program that is not made again
        if how == "alone":
            return [seconds(size)]
        if how == "beside":
            *before, after, last = quarters(size)
            smaller = [seconds(n) for n in before]
            whole = seconds(size)
            return [total([*smaller, seconds(after), seconds(last)]), whole]
        profile = cProfile.Profile()
        with profile:
            found = measure(family, size, Path(folder), lambda: calls(profile))
        return [{phase: count for phase, count in found.items() if phase != "warm call"}]


def started(name: str, size: int, how: str) -> subprocess.Popen[str]:
    environment = processes.environment(1, "") | {"TRACEGRAD_CACHE": "none", "PYTHONHASHSEED": "0"}
    command = [sys.executable, "-m", "tests.benchmarks.growth", name, str(size), how]
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def answer(process: subprocess.Popen[str], limit: float = LIMIT) -> list[Figures] | None:
    """What a process says; None where it takes longer than the limit."""
    try:
        said, errors = process.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return None
    if process.returncode:
        raise RuntimeError(errors)
    found: list[Figures] = json.loads(said.splitlines()[-1])
    return found


@dataclass(slots=True)
class Measured:
    """What was found of one family.

    Attributes
    ----------
    alone : seconds of each size, but the largest
    smaller, whole : seconds of four programs, and of one with as many steps; empty where that took too long
    calls : calls of functions of two sizes, of which one is a quarter of the other
    step : calls of the two sizes between which a program is made in another way
    """

    alone: dict[int, Figures] = field(default_factory=dict)
    smaller: Figures = field(default_factory=dict)
    whole: Figures = field(default_factory=dict)
    calls: list[Figures] = field(default_factory=list)
    step: list[Figures] = field(default_factory=list)

    @property
    def growth(self) -> dict[str, float]:
        """By phase of the first call, what the whole takes, if what one of the four takes is 1: of phases that tell
        something. What a call does, once it is compiled, may be the square of the steps: a row of a matrix for each."""
        return {
            phase: 4 * took / self.smaller[phase]
            for phase, took in self.whole.items()
            if took >= SHORT and phase not in (LINES, "warm call")
        }

    @property
    def counted(self) -> dict[str, float]:
        """The same of calls, and of the lines for LLVM."""
        return _factors(self.calls)

    @property
    def stepped(self) -> dict[str, float]:
        """The same across the step."""
        return _factors(self.step)


def _factors(counts: Sequence[Figures]) -> dict[str, float]:
    if len(counts) < 2:
        return {}
    fewer, more = counts
    return {
        phase: count / fewer[phase]
        for phase, count in more.items()
        if count >= (100 if phase == LINES else FEW)
    }


def measured(name: str, say: Callable[[str], None]) -> Measured:
    """All of one family, from a few processes."""
    found, sizes = Measured(), FAMILIES[name].sizes
    for size in sizes[:-1]:
        if (seconds := answer(started(name, size, "alone"))) is None:
            say(f"{name} {size}: no answer in {LIMIT:.0f} s")
            return found
        (found.alone[size],) = seconds
    began = time.monotonic()
    for done in range(1, ROUNDS + 1):
        if (both := answer(started(name, sizes[-1], "beside"), 2 * LIMIT)) is None:
            say(f"{name} {sizes[-1]}: no answer in {2 * LIMIT:.0f} s")
            break
        found.smaller, found.whole = (
            least(had, now) for had, now in zip((found.smaller, found.whole), both, strict=True)
        )
        taken = time.monotonic() - began
        if done >= FEWEST and taken * (done + 1) / done > PATIENCE:
            break
    found.calls = calls_of(name, counted_sizes(FAMILIES[name]))
    found.step = calls_of(name, FAMILIES[name].step)
    said = ", ".join(f"{phase} {times:.1f}" for phase, times in found.growth.items())
    say(f"{name}: {said}, from {done} in {time.monotonic() - began:.0f} s")
    return found


def calls_of(name: str, sizes: Sequence[int]) -> list[Figures]:
    counting = [started(name, size, "calls") for size in sizes]
    return [calls for process in counting for calls in answer(process, 2 * LIMIT) or ()]


def least(had: Figures, now: Figures) -> Figures:
    return {phase: min(took, had.get(phase, took)) for phase, took in now.items()}


def counted_sizes(family: Family) -> tuple[int, int]:
    """The sizes of which calls are counted: not the largest where there are others, as counting takes long; made in one
    way."""
    pairs = [(size // 4, size) for size in family.sizes if size // 4 in family.sizes]
    return [(few, many) for few, many in pairs if not few < family.turns <= many][-2:][0]


def table(family: Family, found: Measured) -> str:
    phases = EAGER if family.kind == "eager" else PHASES

    def times(title: str, took: Figures) -> list[str]:
        return [title, *(report.seconds(max(0.0, took[phase])) for phase in phases)]

    def factors(title: str, growth: Figures) -> list[str]:
        return [title, *(f"{growth[p]:.1f}" if p in growth else "" for p in phases)]

    rows = [times(f"{size:,}", took) for size, took in found.alone.items()]
    if found.whole:
        most = family.sizes[-1]
        rows += [times(f"4 of about {most // 4:,}", found.smaller), times(f"{most:,}", found.whole)]
    rows.append(factors("for 4 times as many", found.growth))
    fewer, more = counted_sizes(family)
    rows.append(factors(f"calls, {more:,} beside {fewer:,}", found.counted))
    if family.step:
        before, beyond = family.step
        rows.append(factors(f"calls across the step, {beyond:,} beside {before:,}", found.stepped))
    return report.table(family.title, ("", *phases), rows)


def worst(growth: Figures, most: float, nothing: str) -> tuple[str, bool]:
    """What grows faster than it may, or else the most; whether all is well."""
    ordered = sorted(growth.items(), key=lambda found: -found[1])
    over = [found for found in ordered if found[1] > most]
    said = ", ".join(f"{phase} {times:.1f}" for phase, times in over or ordered[:1])
    return said or nothing, not over


def asked(families: dict[str, Measured]) -> str:
    """Each family beside what is asked of it: no phase grows faster than the steps."""
    rows = []
    for name, found in families.items():
        family = FAMILIES[name]
        said, well = worst(found.growth, LINEAR, f"nothing takes {report.seconds(SHORT)}")
        calls, few = worst(found.counted, COUNTED, f"less than {FEW:,}")
        if not found.whole:
            late = next(size for size in family.sizes if size not in found.alone)
            said = f"{late:,} take longer than {LIMIT:.0f} s"
        if len(found.calls) < 2:
            calls, few = f"more than can be counted in {2 * LIMIT:.0f} s", False
        met = "yes" if well and few and found.whole else "**no**"
        rows.append((family.title, f"at most {LINEAR}", said, f"at most {COUNTED}", calls, met))
    table = report.table(
        "Growth for four times the steps: of the time of each phase, and of the calls of functions in it",
        ("", "asked", "time", "asked", "calls", "met"),
        rows,
    )
    return "\n".join(
        [table, *(across(FAMILIES[name], families[name]) for name in families if FAMILIES[name].step)]
    )


def across(family: Family, found: Measured) -> str:
    """What it costs once that longer programs are made in another way, in words."""
    shorter, longer = family.step
    said = ", ".join(f"{phase} {times:.1f}" for phase, times in found.stepped.items())
    return (
        f"{family.title[:3]}: {family.way}. The growth above is between lengths that are made in one way;\n"
        f"across this step, {longer:,} beside {shorter:,}, calls grow more, once: {said or 'not counted'}.\n"
    )


def figures(say: Callable[[str], None], only: Sequence[str] = ()) -> str:
    """The tables; phases that take at least `SHORT`, or make `FEW` calls, are judged."""
    families = {name: measured(name, say) for name in only or FAMILIES}
    tables = [table(FAMILIES[name], found) for name, found in families.items()]
    return "\n".join([asked(families), *tables])


if __name__ == "__main__":
    print(json.dumps(one(sys.argv[1], int(sys.argv[2]), sys.argv[3])))
