"""`tracegrad demo` and `tracegrad show`, as somebody types them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tracegrad.__main__ import main

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
