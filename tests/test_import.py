"""What importing costs: `import tracegrad` loads next to nothing, and names come when they are asked for."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest

import tracegrad

ROOT = Path(__file__).resolve().parents[1]


def loaded(code: str, **options: str) -> set[str]:
    """The modules of a new process that runs this code."""
    script = f"{code}\nimport sys\nprint(' '.join(sys.modules))"
    environment = {**os.environ, "TRACEGRAD_CACHE": "none", **options}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


HEAVY = ("scipy", "numba", "llvmlite", "optree", "rich", "astor", "platformdirs")


def test_importing_loads_the_options_alone() -> None:
    modules = loaded("import tracegrad")
    assert {m for m in modules if m.startswith("tracegrad")} == {
        "tracegrad",
        "tracegrad.config",
        "tracegrad.tensor",
    }
    assert not modules.intersection((*HEAVY, "numpy"))


@pytest.mark.parametrize("name", ["grad", "jit", "tensor", "autograd"])
def test_a_name_loads_nothing_that_is_rarely_needed(name: str) -> None:
    assert not loaded(f"import tracegrad; tracegrad.{name}").intersection(HEAVY)


def test_transforms_do_without_what_only_tensors_need() -> None:
    assert "tracegrad.tensor.creation" not in loaded("import tracegrad; tracegrad.grad")


@pytest.mark.parametrize(
    "code",
    [
        "import tracegrad.tensor.capture, tracegrad as tg; assert callable(tg.tensor)",
        "from tracegrad.tensor.creation import ones; import tracegrad as tg; assert tg.ones is ones; tg.tensor(1.0)",
        "from tracegrad import tensor, grad; assert callable(tensor) and callable(grad)",
        "from tracegrad import tree, errors; tree.flatten",
        "from tracegrad import *; assert callable(grad) and callable(tensor)",
        "from tracegrad.autograd import Variable",
        "import tracegrad; tracegrad.autograd.grad",
        "import tracegrad as tg; x = tg.tensor(2.0, requires_grad=True); y = x * x; y.backward(); y.backward_source()",
    ],
)
def test_names_and_files_keep_apart(code: str) -> None:
    loaded(code)


def test_every_name_is_there() -> None:
    assert len(tracegrad.__all__) > 150
    for name in tracegrad.__all__:
        assert getattr(tracegrad, name) is not None
    assert set(tracegrad.__all__) <= set(dir(tracegrad))


def test_a_name_that_is_none_is_said() -> None:
    with pytest.raises(AttributeError, match="no attribute 'gard'"):
        tracegrad.gard


def test_only_names_that_anybody_asks_for_are_offered() -> None:
    offered = [name for name in dir(tracegrad) if name[:2] != "__"]
    assert len(offered) == len(set(offered))
    assert {*offered} - {*tracegrad.__all__} <= {*tracegrad._MODULES}


def test_the_version_is_the_one_of_the_package() -> None:
    written = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert tracegrad.__version__ == written == version("tracegrad")
    command = [sys.executable, "-m", "tracegrad", "--version"]
    said = subprocess.run(command, capture_output=True, text=True, check=True)
    assert said.stdout == f"tracegrad {written}\n"


# --- a process that finds its programs on disk

MODULE = """
import numpy as np
import tracegrad

@tracegrad.grad
def gradient(x):
    return (1.0 - x[0]) ** 2 + 100.0 * (x[1] - x[0] ** 2) ** 2

def called(times):
    for _ in range(times):
        assert gradient(np.array([1.5, 1.0])).tolist() == [751.0, -250.0]
    return gradient.stats
"""
NEEDED = {
    "tracegrad": {"config", "errors", "later", "tree"},
    "tracegrad.api": {"derivatives", "solving"},
    "tracegrad.compiler": {
        "blas_names", "blas_threads", "by_address", "disk_cache", "door", "forever", "instructions", "machine_code",
        "numba_backend", "passage", "pool", "python_backend", "source_file", "threads",
    },
    "tracegrad.ir": {"arms", "close", "interpret", "location", "source", "trace", "types", "unify", "walk"},
    "tracegrad.kernels": {"arithmetic", "capsules", "instructions"},
    "tracegrad.record": {"frames"},
    "tracegrad.tensor": {"captured", "reads", "redraw"},
}  # fmt: skip


def test_a_warm_start_loads_nothing_that_captures_differentiates_or_emits(tmp_path: Path) -> None:
    (tmp_path / "rosenbrock.py").write_text(MODULE)
    options = {
        "TRACEGRAD_CACHE": "all",
        "TRACEGRAD_CACHE_DIR": str(tmp_path / "c"),
        "PYTHONPATH": str(tmp_path),
    }
    loaded("import rosenbrock as r; assert r.called(3).compiles == 1", **options)
    warm = "import rosenbrock as r; s = r.called(2); assert (s.captures, s.compiles, s.loads) == (0, 0, 1)"
    modules = loaded(warm, **options)
    assert not modules & {
        "numpy.ma",
        "numba.np.arrayobj",
        "numba.cpython.unicode",
        "scipy.linalg",
        "astor",
        "optree",
    }
    ours = {m for m in modules if m.startswith("tracegrad.") and "." in m.partition(".")[2]}
    rooms = {room: {m.rpartition(".")[2] for m in ours if m.rpartition(".")[0] == room} for room in NEEDED}
    assert all(m.startswith(("tracegrad.dispatch.", *(f"{room}." for room in NEEDED))) for m in ours)
    assert {room: files - NEEDED[room] for room, files in rooms.items() if files - NEEDED[room]} == {}
    assert not ours & {
        f"tracegrad.dispatch.{name}" for name in ("inline", "taped", "traces", "paths", "explain")
    }
