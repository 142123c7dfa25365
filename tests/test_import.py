"""What importing costs: `import tracegrad` loads next to nothing, and names come when they are asked for."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

import tracegrad


def loaded(code: str) -> set[str]:
    """The modules of a new process that runs this code."""
    script = f"{code}\nimport sys\nprint(' '.join(sys.modules))"
    environment = {**os.environ, "TRACEGRAD_CACHE": "none"}
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
