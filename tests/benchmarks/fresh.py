"""Fresh processes: the first gradient of each library, `import` included, and ours with programs on disk.

Whole processes, timed in turn. For `first_gradients` tracegrad gets an empty cache directory for every process, so
nothing it wrote before helps it; `warm_process` is the process after that.
"""

from __future__ import annotations

import json
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

WARM = """
import time
began = time.perf_counter()
import numpy as np
import tracegrad as tg
imported = time.perf_counter()

@tg.value_and_grad
def f(x):
    return (1.0 - x[0]) ** 2 + 100.0 * (x[1] - x[0] ** 2) ** 2

x = np.array([-1.2, 1.0])
f(x)
seconds = time.perf_counter() - began
if TIMES > 1:
    f(x), f(x)
stats = f.stats
native = f.last.built.native is not None
print(__import__("json").dumps([seconds, stats.captures + stats.compiles, native]))
"""
IMPORTED = """
import time
began = time.perf_counter()
import {}
print(time.perf_counter() - began)
"""


def answer(program: str, cache: str, bytecode: str) -> str:
    """What a fresh process prints; programs that are kept have to come from a file."""
    file = Path(cache, f"program_{abs(hash(program)) % 10**8}.py")
    file.write_text(program)
    environment = {n: v for n, v in os.environ.items() if n != "PYTHONDONTWRITEBYTECODE"}
    environment |= {"TRACEGRAD_CACHE_DIR": f"{cache}/kept", "TRACEGRAD_CACHE": "all", "PYTHONPATH": str(ROOT)}
    environment |= {"PYTHONPYCACHEPREFIX": bytecode}
    done = subprocess.run(
        [sys.executable, str(file)],
        check=True,
        env=environment,
        cwd=cache,
        timeout=300,
        capture_output=True,
        text=True,
    )
    return done.stdout


def warm_process(rounds: int) -> dict[str, float]:
    """Medians over fresh processes, whose programs an earlier one kept.

    Returns
    -------
    dict : "seconds" from the first import to the first native gradient; "ratio" of that to importing NumPy and Numba;
        "work", the captures and compiles in it; "import", the milliseconds of `import tracegrad` after NumPy's
    """
    named = {"numpy": "numpy", "both": "numpy, numba", "ours": "numpy, tracegrad"}
    imports = {name: IMPORTED.format(modules) for name, modules in named.items()}
    found: dict[str, list[float]] = {name: [] for name in ("warm", "work", *imports)}
    with tempfile.TemporaryDirectory() as cache, tempfile.TemporaryDirectory() as bytecode:
        program = Path(cache, "seen.py")
        program.write_text("TIMES = 3\n")
        first = f"from seen import TIMES\n{WARM}"
        answer(first, cache, bytecode)  # keeps the program
        program.write_text("TIMES = 1\n")
        for k in range(rounds + 1):
            seconds, work, native = json.loads(answer(first, cache, bytecode))
            took = {name: float(answer(text, cache, bytecode)) for name, text in imports.items()}
            if k:  # the first wrote its modules as bytecode
                assert native, "the first gradient was not native"
                for name, value in {"warm": seconds, "work": work, **took}.items():
                    found[name].append(value)
    median = {name: statistics.median(values) for name, values in found.items()}
    return {
        "seconds": median["warm"],
        "ratio": median["warm"] / median["both"],
        "work": max(found["work"]),
        "import": 1e3 * (median["ours"] - median["numpy"]),
    }


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
