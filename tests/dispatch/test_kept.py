"""Programs that outlive the process: an unchanged world finds them, a changed world gets plain Python's answer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.dispatch.changes import CHANGES, HEAD, Change

ROOT = Path(__file__).resolve().parents[2]


def written(place: Path, changed: bool) -> None:
    """The modules of all functions."""
    place.mkdir(exist_ok=True)
    for change in CHANGES:
        text, helper = HEAD + change.text.replace("HELPER", f"helper_{change.name}"), change.helper
        if changed and change.old:
            assert change.old in (helper or text), change.name
            text, helper = (
                (text, helper.replace(change.old, change.new))
                if helper
                else (text.replace(change.old, change.new), "")
            )
        (place / f"{change.name}.py").write_text(text)
        if helper:
            (place / f"helper_{change.name}.py").write_text(helper)


def process(place: Path, jit: str, *changed: str) -> dict[str, Any]:
    """What one process answers."""
    environment = {
        **os.environ,
        "TRACEGRAD_CACHE": "all",
        "TRACEGRAD_CACHE_DIR": str(place / "cache"),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    done = subprocess.run(
        [sys.executable, "-m", "tests.dispatch.run_changes", str(place), jit, *changed],
        env=environment,
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
    unexpected = [line for line in done.stderr.splitlines() if "runs on the tape" not in line]
    assert not unexpected, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """The first process, a second in the same world, a third in the changed one, and a fourth in that."""
    place = tmp_path_factory.mktemp("world")
    written(place, False)
    found = {"first": process(place, "python"), "same": process(place, "python")}
    written(place, True)
    found["changed"] = process(place, "python", "changed")
    found["again"] = process(place, "python", "changed")
    return found


def agrees(found: dict[str, Any]) -> None:
    assert "error" not in found, found
    for value, slope in found["answers"]:
        assert value == pytest.approx(found["plain"][0], rel=1e-12)
        assert slope == pytest.approx(found["plain"][1], rel=1e-6, abs=1e-8)


@pytest.mark.parametrize("change", CHANGES, ids=lambda c: c.name)
def test_every_process_gives_pythons_answer(runs: dict[str, dict[str, Any]], change: Change) -> None:
    for run in ("first", "same", "changed", "again"):
        agrees(runs[run][change.name])
    assert runs["first"][change.name]["loads"] == 0


@pytest.mark.parametrize("change", CHANGES, ids=lambda c: c.name)
def test_an_unchanged_world_captures_nothing(runs: dict[str, dict[str, Any]], change: Change) -> None:
    found = runs["same"][change.name]
    if change.kept:
        assert (found["loads"], found["captures"]) == (1, 0), found["events"]
    else:
        assert found["loads"] == 0
        assert found["captures"] > 0


@pytest.mark.parametrize("change", CHANGES, ids=lambda c: c.name)
def test_a_changed_world_is_captured_once(runs: dict[str, dict[str, Any]], change: Change) -> None:
    if change.reads:
        assert runs["changed"][change.name]["captures"] == 0
    else:
        assert runs["changed"][change.name]["captures"] > 0
        if change.kept:
            assert runs["again"][change.name]["loads"] > 0


@pytest.mark.parametrize("change", [c for c in CHANGES if not c.kept], ids=lambda c: c.name)
def test_what_is_not_kept_says_why(runs: dict[str, dict[str, Any]], change: Change) -> None:
    events = dict(runs["first"][change.name]["events"])
    assert "not kept" in events or "tape" in events
