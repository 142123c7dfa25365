"""A second process finds programs that call LAPACK, BLAS, loops of NumPy, SciPy or Python: nothing is made again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


def process(cache: Path, threads: str) -> dict[str, Any]:
    """What one process answers."""
    environment = {
        **os.environ,
        "TRACEGRAD_CACHE": "all",
        "TRACEGRAD_CACHE_DIR": str(cache),
        "OPENBLAS_NUM_THREADS": threads,
    }
    done = subprocess.run(
        [sys.executable, "-m", "tests.dispatch.run_families"],
        env=environment,
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """Three processes, the last with two threads for BLAS."""
    cache = tmp_path_factory.mktemp("families")
    return [process(cache, threads) for threads in ("1", "1", "2")]


@pytest.mark.parametrize(
    "name", ["solve", "cholesky", "product", "special", "called_out", "transforms", "matrices", "vectors"]
)
def test_a_second_process_makes_nothing_again(runs: list[dict[str, Any]], name: str) -> None:
    first, second, third = (run[name] for run in runs)
    assert first["counts"] == [0, 1, 1]
    assert second["counts"] == third["counts"] == [1, 0, 0]
    assert second["digits"] == first["digits"]
