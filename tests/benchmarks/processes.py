"""The libraries as processes: started with as many threads as everybody gets, asked one at a time.

Each has its own allocator, thread pool and caches, so none disturbs another; and as they answer in turn, what else
the machine does falls on all alike. Begin with `Process`.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

START = 300.0  # seconds for an import and a trivial gradient, by a cold compiler at worst
ROOT = Path(__file__).resolve().parents[2]
THREADS = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "TRACEGRAD_THREADS",
    "NPROC",  # read by JAX
)


class Failed(Exception):
    """A library gave no answer: it raised, ended, or took too long."""


def environment(threads: int, cache: str) -> dict[str, str]:
    found = os.environ | {name: str(threads) for name in THREADS}
    found |= {"TRACEGRAD_CACHE_DIR": cache, "PYTHONPATH": str(ROOT)}
    found.pop("TRACEGRAD_JIT", None)
    if threads == 1:
        flags = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
        found["XLA_FLAGS"] = f"{found.get('XLA_FLAGS', '')} {flags}".strip()
    return found


class Process:
    """One way of one library; started when it is first asked, and again after it failed.

    Parameters
    ----------
    peer, way : names
    threads : int
    limit : seconds it may take for an answer
    """

    def __init__(self, peer: str, way: str, threads: int, limit: float) -> None:
        self.peer, self.way, self.threads, self.limit = peer, way, threads, limit
        self.name = f"{peer}.{way}"
        self._running: subprocess.Popen[bytes] | None = None
        self._directory = tempfile.TemporaryDirectory()
        self._waiting = b""

    def _start(self) -> None:
        cache = tempfile.mkdtemp(dir=self._directory.name)
        self._errors = Path(cache, "errors").open("w+b")  # noqa: SIM115
        self._waiting = b""
        self._running = subprocess.Popen(
            [sys.executable, "-m", "tests.benchmarks.worker", self.peer, self.way],
            env=environment(self.threads, cache),
            cwd=cache,  # compilers litter
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            start_new_session=True,
        )
        self._answer(max(self.limit, START))

    def _answer(self, limit: float) -> dict[str, Any]:
        assert self._running is not None and self._running.stdout is not None
        stream = self._running.stdout
        end = time.monotonic() + limit
        with selectors.DefaultSelector() as selector:
            selector.register(stream, selectors.EVENT_READ)
            while b"\n" not in self._waiting:
                if not selector.select(max(0.0, end - time.monotonic())):
                    self.close()
                    raise Failed(f"no answer in {limit:.0f} s")
                if not (read := os.read(stream.fileno(), 1 << 16)):
                    self._errors.seek(0)
                    said = self._errors.read().decode(errors="replace").strip().splitlines()
                    self.close()
                    raise Failed(said[-1][:300] if said else "it ended without a word")
                self._waiting += read
        line, _, self._waiting = self._waiting.partition(b"\n")
        answer = json.loads(line)
        if "error" in answer:
            raise Failed(answer["error"].splitlines()[0][:300])
        return answer

    def ask(self, what: str, limit: float | None = None, **given: Any) -> dict[str, Any]:
        """Its answer, within so many seconds; `Failed` where there is none."""
        if self._running is None:
            self._start()
        assert self._running is not None and self._running.stdin is not None
        self._running.stdin.write(json.dumps({"ask": what, **given}).encode() + b"\n")
        self._running.stdin.flush()
        return self._answer(self.limit if limit is None else min(limit, self.limit))

    def close(self) -> None:
        """End the process and the compilers it started."""
        if self._running is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._running.pid, signal.SIGKILL)
        self._running.communicate()
        self._errors.close()
        self._running = None

    def end(self) -> None:
        self.close()
        self._directory.cleanup()
