"""One figure of a long loop in a process of its own: its time to compile, or the memory it takes at its peak.

`python -m tests.benchmarks.apart compile|memory STEPS` prints it, in seconds or megabytes; `figure` asks for it. Each
process begins with an empty cache directory.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import tracegrad as tg
from tests.programs.reaching import lotka_volterra
from tracegrad.dispatch.build import Built

ROOT = Path(__file__).resolve().parents[2]
START = (1.0, 0.8, 1.1, 0.4, 0.4, 0.1)
WRT = (0, 1, 2, 3, 4, 5)
BUDGET = 64  # megabytes of residuals


def bounded() -> dict[str, str]:
    """The option that holds the residuals of loops within the budget, where there is one."""
    return {"memory": f"{BUDGET}MB"} if hasattr(tg.config, "loop_memory") else {}


def compiling(steps: int) -> float:
    """Seconds the compiler takes for the program first captured with so many steps."""
    seconds = []
    compile_built = Built.compile

    def timed(built: Built) -> bool:
        began = time.perf_counter()
        done = compile_built(built)
        seconds.append(time.perf_counter() - began)
        return done

    tg.value_and_grad(lambda x: x * x, jit="native")(1.0)  # the compiler itself is loaded
    Built.compile = timed  # type: ignore[method-assign]
    tg.value_and_grad(lotka_volterra, argnums=WRT, jit="native")(*START, steps)
    return seconds[0]


def peak() -> float:
    """Megabytes that this process has held at most since `forget_peak`."""
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) / 1024


def remembering(steps: int) -> float:
    """Megabytes at the peak of a warm call, above what the process held before."""
    gradient = tg.value_and_grad(lotka_volterra, argnums=WRT, jit="native", **bounded())
    for few in (10, 11):
        gradient(*START, few)
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before = peak()
    gradient(*START, steps)
    return peak() - before


def figure(kind: str, steps: int, seconds: float = 120) -> float | None:
    """The figure from a fresh process; None where it took too long."""
    with tempfile.TemporaryDirectory() as cache:
        environment = os.environ | {"TRACEGRAD_CACHE_DIR": cache, "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-m", "tests.benchmarks.apart", kind, str(steps)]
        try:
            done = subprocess.run(
                command,
                check=True,
                env=environment,
                cwd=ROOT,
                timeout=seconds,
                capture_output=True,
                text=True,
            )
        except subprocess.TimeoutExpired:
            return None
    return float(done.stdout)


if __name__ == "__main__":
    print({"compile": compiling, "memory": remembering}[sys.argv[1]](int(sys.argv[2])))
