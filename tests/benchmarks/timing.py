"""How it is timed: medians of interleaved samples, so that what else the machine does falls on everybody
alike.

`interleaved` takes named callables and returns the median seconds of one call of each.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

SAMPLE_SECONDS = 2e-3


def once(call: Callable[..., Any], inputs: Sequence[tuple[Any, ...]]) -> float:
    """Seconds for one call with each of the inputs."""
    began = time.perf_counter()
    for arguments in inputs:
        call(*arguments)
    return time.perf_counter() - began


def cycles_for(call: Callable[..., Any], inputs: Sequence[tuple[Any, ...]]) -> int:
    """How many rounds through the inputs make a sample long enough for the clock; warms the callable up."""
    for _ in range(3):
        seconds = once(call, inputs)
    return max(1, round(SAMPLE_SECONDS / max(seconds, 1e-7)))


def interleaved(
    calls: Mapping[str, Callable[..., Any]], inputs: Sequence[tuple[Any, ...]], rounds: int
) -> dict[str, float]:
    """Median seconds a call, for each callable, from samples taken in turn.

    Parameters
    ----------
    calls : the callables by name; each takes every tuple of `inputs`
    inputs : argument tuples, cycled through in every sample
    rounds : samples of each callable
    """
    repeats = {name: list(inputs) * cycles_for(call, inputs) for name, call in calls.items()}
    samples: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            samples[name].append(once(call, repeats[name]) / len(repeats[name]))
    return {name: statistics.median(seconds) for name, seconds in samples.items()}
