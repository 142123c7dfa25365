"""The first gradient in a fresh process, `import` included: whole processes, timed in turn.

tracegrad gets an empty cache directory for every process, so nothing it wrote before helps it.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NUMPY_ALONE = "import numpy"


def process_seconds(program: str) -> float:
    """Seconds that one Python process takes for the program."""
    with tempfile.TemporaryDirectory() as cache:
        environment = {**os.environ, "TRACEGRAD_CACHE_DIR": cache, "PYTHONPATH": str(ROOT)}
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", program], check=True, env=environment, cwd=cache, timeout=300)
        return time.perf_counter() - began


def first_gradients(programs: Mapping[str, str], rounds: int) -> dict[str, float]:
    """Median seconds of each program in a process of its own, samples taken in turn."""
    samples: dict[str, list[float]] = {name: [] for name in programs}
    for _ in range(rounds):
        for name, program in programs.items():
            samples[name].append(process_seconds(program))
    return {name: statistics.median(values) for name, values in samples.items()}
