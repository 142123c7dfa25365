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


def process_seconds(program: str, bytecode: str) -> float:
    """Seconds that one Python process takes for the program."""
    with tempfile.TemporaryDirectory() as cache:
        own = {"TRACEGRAD_CACHE_DIR": cache, "PYTHONPATH": str(ROOT), "PYTHONPYCACHEPREFIX": bytecode}
        environment = {
            name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"
        } | own
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", program], check=True, env=environment, cwd=cache, timeout=300)
        return time.perf_counter() - began


def first_gradients(programs: Mapping[str, str], rounds: int) -> dict[str, float]:
    """Median seconds of each program in a process of its own, samples taken in turn.

    Each runs once before, so that everybody's modules are there as bytecode, as they are once installed.
    """
    samples: dict[str, list[float]] = {name: [] for name in programs}
    with tempfile.TemporaryDirectory() as bytecode:
        for program in programs.values():
            process_seconds(program, bytecode)
        for _ in range(rounds):
            for name, program in programs.items():
                samples[name].append(process_seconds(program, bytecode))
    return {name: statistics.median(values) for name, values in samples.items()}
