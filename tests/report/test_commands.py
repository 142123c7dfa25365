"""`tracegrad demo`, `tracegrad show` and `tracegrad cache`, as somebody types them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tracegrad.__main__ import main
from tracegrad.compiler.disk_cache import write
from tracegrad.config import config

MODEL = """
import numpy as np

scale = 3.0

def loss(w, x, power):
    if w > 0.0:
        return np.sum(w * x) ** power
    return np.sum(x)

def fails(x):
    raise RuntimeError("no loss today")
"""


@pytest.fixture
def model(tmp_path: Path) -> Path:
    file = tmp_path / "a_model.py"
    file.write_text(MODEL, encoding="utf-8")
    return file


def test_show_prints_value_gradients_and_sources(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", f"{model}:loss", "--args", "3.0, [1, 2], 2"]) == 0
    printed = capsys.readouterr().out
    assert "value: 81.0" in printed
    assert "gradient of argument 0: 54.0" in printed
    assert "gradient of argument 1: [54. 54.]" in printed
    assert "w * x" in printed
    assert "x_bar" in printed


@pytest.mark.parametrize(
    ("target", "values", "message"),
    [
        ("{model}", "1.0", "does not name a function"),
        ("{model}.missing.py:loss", "1.0", "There is no file"),
        ("{model}:lost", "1.0", "has no function 'lost'"),
        ("{model}:scale", "1.0", "has no function 'scale'"),
        ("{model}:loss", "1.0, [1, 2", "cannot be read"),
        ("{model}:loss", "1.0, ['a'], 2", "not an array of numbers"),
        ("{model}:loss", "1, 2, 3", "No argument can be differentiated"),
        ("{model}:loss", "", "do not fit loss(w, x, power): missing a required argument: 'w'"),
    ],
)
def test_show_says_what_is_wrong(
    model: Path, capsys: pytest.CaptureFixture[str], target: str, values: str, message: str
) -> None:
    assert main(["show", target.format(model=model), "--args", values]) == 1
    said = capsys.readouterr().err
    assert message in said
    assert "do:" in said


def test_show_passes_on_what_the_function_raises(model: Path) -> None:
    with pytest.raises(RuntimeError, match="no loss today"):
        main(["show", f"{model}:fails", "--args", "1.0"])


def test_demo_runs_and_agrees_with_differences(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo"]) == 0
    printed = capsys.readouterr().out
    assert "while abs(error) > 1e-9" in printed
    assert "central differences" in printed
    assert "angle_bar" in printed
    assert "\x1b[" not in printed


def test_cache_says_what_is_kept_and_drops_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = tmp_path / "cache"
    with config.using(cache_dir=str(place), cache="all", cache_size="2MB"):
        write("a.program", b"x" * 2000)
        write("b.code", b"x" * 100)
        assert main(["cache", "path"]) == 0
        assert capsys.readouterr().out.strip() == str(place)
        assert main(["cache", "info"]) == 0
        said = capsys.readouterr().out
        assert "of at most 2.0 MB" in said
        assert "programs: 1 file, 2.0 kB" in said
        assert "machine code: 1 file, 150 bytes" in said
        assert main(["cache", "clear"]) == 0
        assert "2 files dropped" in capsys.readouterr().out
        assert main(["cache", "info"]) == 0
        assert "programs: 0 files" in capsys.readouterr().out
        place.chmod(0o777)
        assert main(["cache", "info"]) == 0
        assert "others may write into it" in capsys.readouterr().out


def test_cache_of_nothing_is_empty(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with config.using(cache_dir=str(tmp_path / "none")):
        assert main(["cache", "info"]) == 0
        assert main(["cache", "clear"]) == 0
    assert "0 files dropped" in capsys.readouterr().out
