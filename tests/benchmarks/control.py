"""Control flow: every figure it has to reach, as a ratio or a count, in one run.

`python -m tests.benchmarks --control` prints the table. The programs are those of `tests/programs/reaching.py`; what
is written by hand is in `peers/hand.py` and `peers/hand_loops.py`. Begin with `figures`.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numba
import numpy as np

import tracegrad as tg
from tests.executed import Executed
from tests.programs.reaching import REACHING, lotka_volterra, tutorial, wandering
from tracegrad.config import config

from . import apart, report, timing
from .peers import hand, hand_loops
from .peers.rebind import rebind
from .workloads import branchy

SEED = 20261122
FIRST = 1000  # steps that are captured, each of them run by Python
UNROLLED = 300  # lines that nobody waits for the compiler to read
Row = tuple[str, str, str]


def ours(name: str, **options: Any) -> Any:
    program = REACHING[name]
    return tg.value_and_grad(program.function, argnums=program.argnums, **options)


def drawn(name: str, many: int, seed: int = SEED) -> list[tuple[Any, ...]]:
    draws = np.random.default_rng(seed)
    return [REACHING[name].draw(draws) for _ in range(many)]


def lines(text: str) -> int:
    """Lines that are neither comments nor empty."""
    return sum(bool(line.strip()) and not line.strip().startswith("#") for line in text.splitlines())


def ratio(of: Callable[..., Any], to: Callable[..., Any], inputs: Sequence[Any], rounds: int) -> str:
    """Warm time of one callable as a multiple of another's."""
    for call in (of, to):
        for arguments in (*inputs, *inputs):
            call(*arguments)
    found = timing.interleaved({"of": of, "to": to}, inputs, rounds)
    return f"{found['of'] / found['to']:.2f} ({report.seconds(found['of'])})"


def agree(of: Callable[..., Any], to: Callable[..., Any], inputs: Iterable[Any]) -> None:
    """Nothing is timed that is not right."""
    for arguments in inputs:
        (value, bars), (wanted, wanted_bars) = of(*arguments), to(*arguments)
        np.testing.assert_allclose(value, wanted, rtol=1e-9)
        for bar, wanted_bar in zip(bars, wanted_bars, strict=True):
            np.testing.assert_allclose(bar, wanted_bar, rtol=1e-6, atol=1e-12)


def counted(made: Any) -> str:
    return f"{made.stats.captures} captures, {made.stats.compiles} compiles"


# --- the figures


def tutorial_rows() -> list[Row]:
    gradient, inputs = ours("tutorial"), drawn("tutorial", 1000)
    with Executed(tutorial, "b = b * 2") as body:
        for arguments in inputs:
            gradient(*arguments)
    trips = len({math.ceil(math.log2(1000 / np.linalg.norm(2 * a))) for (a,) in inputs})
    return [
        (
            f"tutorial's `while`, 1,000 inputs, {trips} trip counts",
            "3 captures, 2 compiles, body run 3 times",
            f"{counted(gradient)}, body run {body.times} times",
        ),
        ("its backward text", "20 lines", f"{lines(gradient.backward_source)} lines"),
    ]


def branchy_rows(rounds: int) -> list[Row]:
    gradient, inputs = ours("branchy"), drawn("branchy", 1000)
    by_hand = numba.njit(hand_loops.branchy)
    agree(gradient, by_hand, inputs)
    return [
        ("50 steps, four arms, 1,000 inputs", "4 captures", counted(gradient)),
        ("its warm time to hand-written Numba", "1.3", ratio(gradient, by_hand, inputs[:20], rounds)),
        ("its backward text", "60 lines", f"{lines(gradient.backward_source)} lines"),
    ]


def long_rows(rounds: int) -> list[Row]:
    gradient = ours("lotka_volterra")
    starts = [tuple(map(float, arguments[:6])) for arguments in drawn("lotka_volterra", 5)]
    for steps in (10, 10, 11, 12):
        gradient(*apart.START, steps)
    short, before = lines(gradient.backward_source), gradient.stats.captures
    gradient(*apart.START, 13)
    bounded = gradient.stats.captures == before
    many = 100_000 if bounded else 200  # a capture that runs every step takes minutes for more
    agree(gradient, hand.lotka_volterra, [(*s, 100) for s in starts])
    gradient(*apart.START, many)
    rows = [
        (
            "RK4, text for 10 and for many steps",
            "same length",
            f"{short} and {lines(gradient.backward_source)}",
        ),
        ("its backward text", "90 lines", f"{short} lines"),
        ("RK4, other numbers of steps", "1 capture", counted(gradient)),
    ]
    first = min(many, FIRST)
    few, most = apart.figure("compile", 10), apart.figure("compile", first)
    told = "took too long" if few is None or most is None else f"{most / few:.2f} ({report.seconds(few)})"
    rows.append((f"RK4, compile time of a capture of {first:,} steps to that of 10", "0.8 to 1.2", told))
    for steps, asked in ((1000, "1.3"), (100_000, "1.5")):
        steps = min(steps, 1000 if not bounded else steps)
        ours_bounded = ours("lotka_volterra", **(apart.bounded() if steps > 1000 else {}))
        ours_bounded(*apart.START, 10)  # a capture runs every step
        inputs = [(*s, steps) for s in starts]
        agree(ours_bounded, hand.lotka_volterra, inputs[:2])
        told = ratio(ours_bounded, hand.lotka_volterra, inputs, max(5, rounds * 1000 // steps))
        rows.append((f"RK4, {steps:,} steps, warm time to hand-written Numba", asked, told))
    held = "holding" if apart.bounded() else "without a budget"
    megabytes = apart.figure("memory", many)
    told = "took too long" if megabytes is None else f"{megabytes:.1f} MB"
    rows.append((f"RK4, {many:,} steps, memory at the peak, {held}", f"{apart.BUDGET} MB", told))
    return rows


def rolled_rows(rounds: int) -> list[Row]:
    """The other programs: captures of 200 inputs, and of 200 more, and the gradient beside the plain function."""
    rows = []
    for name, program in REACHING.items():
        if program.function in (tutorial, branchy, lotka_volterra, wandering):
            continue
        gradient = ours(name, jit="python")
        for arguments in drawn(name, 200):
            gradient(*arguments)
        before = gradient.stats.captures
        for arguments in drawn(name, 200):
            gradient(*arguments)
        again = gradient.stats.captures - before
        for arguments in drawn(name, 200, SEED + 1):
            gradient(*arguments)
        other = gradient.stats.captures - before - again
        asked = "any" if program.captures is None else f"{program.captures}, 0, 0"
        title = f"{name}: captures in 200 inputs, the same again, 200 others"
        rows.append((title, asked, f"{before}, {again}, {other}"))
        if before <= 4 and lines(gradient.forward_source) <= UNROLLED:
            compiled = ours(name, jit="native")
            inputs = drawn(name, 5)
            told = ratio(compiled, program.function, inputs, max(5, rounds // 10))
            rows.append((f"{name}: warm gradient to plain Python's value", "-", told))
    return rows


def path_rows() -> list[Row]:
    """Every call a new path, so every input is used once."""
    try:
        import autograd
        import autograd.numpy
    except ImportError:
        return [
            ("no certificate, a new path each call, to HIPS autograd", "1.3", "autograd is not installed")
        ]
    argnums = REACHING["wandering"].argnums
    theirs = autograd.value_and_grad(rebind(wandering, np=autograd.numpy), argnums)
    gradient = ours("wandering")
    for arguments in drawn("wandering", config.max_paths + 10):
        gradient(*arguments)
        theirs(*arguments)
    fresh = drawn("wandering", 100, SEED + 1)
    agree(gradient, theirs, fresh[:10])
    fresh = drawn("wandering", 100, SEED + 2)
    samples: dict[str, list[float]] = {"ours": [], "theirs": []}
    for arguments in fresh:
        samples["ours"].append(timing.once(gradient, [arguments]))
        samples["theirs"].append(timing.once(theirs, [arguments]))
    one, other = (float(np.median(s)) for s in samples.values())
    told = f"{one / other:.2f} ({report.seconds(one)})"
    return [("no certificate, a new path each call, to HIPS autograd", "1.3", told)]


def figures(rounds: int, say: Callable[[str], None], only: str = "") -> str:
    """The table: what is measured, what is asked for at most, what was found. `only` picks parts by their title."""
    os.environ.pop("TRACEGRAD_JIT", None)
    rows: list[Row] = []
    parts: dict[str, Callable[[], list[Row]]] = {
        "the tutorial's loop": tutorial_rows,
        "50 steps": lambda: branchy_rows(rounds),
        "long loops": lambda: long_rows(rounds),
        "the other programs": lambda: rolled_rows(rounds),
        "paths": path_rows,
    }
    for title, part in parts.items():
        if only not in title:
            continue
        say(f"control flow: {title}")
        rows.extend(part())
    return report.table("Control flow", ("", "asked, at most", "found"), rows)
