"""Files of programs: what a process makes of them; broken, or impossible to write, they cost a capture alone."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tracegrad as tg
from tracegrad.compiler import disk_cache
from tracegrad.config import config
from tracegrad.dispatch import shelf

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    place = tmp_path / "cache"
    monkeypatch.setattr(disk_cache, "_said", set())
    monkeypatch.setattr(shelf, "_behind", {})  # what other tests left to be written
    with config.using(cache_dir=str(place), cache="all"):
        yield place


SCALE = 3.0
COUNT = 4


def curve(x: float) -> float:
    if x > 0.0:
        y = SCALE * x * x
    else:
        y = -x
    for _ in range(COUNT):
        y = y * 1.5
    return y


def pair(x: Any, w: Any) -> Any:
    return {"loss": np.sum(x * w), "parts": (x * 2.0, [w, None])}


def forgotten() -> None:
    """Emitted modules are not known in this process any more."""
    for name in [n for n in sys.modules if n.startswith("tracegrad_curve")]:
        del sys.modules[name]


def again(function: Callable[..., Any] = curve, **options: Any) -> Any:
    """A transform as another process has it: what this one keeps is on disk first."""
    for waiting in list(shelf._behind):
        waiting.put_now()
    return tg.value_and_grad(function, **options)


def test_a_second_transform_captures_nothing(cache: Path) -> None:
    first = again()
    assert first(2.0) == (12.0 * 1.5**4, 12.0 * 1.5**4)
    second = again()
    assert second(2.0) == first(2.0)
    assert (second.stats.captures, second.stats.loads) == (0, 1)
    assert "kept by an earlier process" in second.explain()


def test_native_code_is_there_at_the_first_call(cache: Path) -> None:
    forgotten()
    first = again()
    for _ in range(3):
        first(2.0)
    assert first.stats.compiles == 1
    forgotten()
    second = again()
    assert second(2.0) == first(2.0)
    assert (second.stats.captures, second.stats.compiles) == (0, 0)
    assert "compiled" in second.paths


def test_a_kept_program_grows_by_an_arm_and_is_kept_again(cache: Path) -> None:
    again()(2.0)
    second = again()
    assert second(2.0)[1] == 12.0 * 1.5**4
    assert second(-2.0) == (2.0 * 1.5**4, -(1.5**4))
    assert second.stats.captures == 1
    third = again()
    assert third(-2.0) == second(-2.0)
    assert third(2.0) == second(2.0)
    assert (third.stats.captures, third.stats.loads) == (0, 1)
    (file,) = cache.glob("*.program")
    assert len(json.loads(disk_cache.read(file.name) or b"")) == 1


def test_everything_that_can_be_looked_at_is_there(cache: Path) -> None:
    first = again()
    first(2.0)
    second = again()
    second(2.0)
    assert second.trace == first.trace
    assert second.forward_source == first.forward_source
    assert second.backward_source == first.backward_source
    assert second.native_source == first.native_source
    assert second.paths == first.paths
    with second.counting():
        second(2.0)
    assert "counted in 1 call" in second.paths


def test_results_keep_their_structure(cache: Path) -> None:
    x, w = np.arange(3.0), np.ones(3)
    for _ in range(2):
        value, pull = tg.vjp(pair)(x, w)
        assert value["parts"][1][1] is None
        np.testing.assert_array_equal(value["parts"][0], 2 * x)
        bars = pull({"loss": 1.0, "parts": (np.ones(3), [np.zeros(3), None])})
        np.testing.assert_array_equal(bars[0], w + 2.0)
        for waiting in list(shelf._behind):
            waiting.put_now()
    loaded = tg.vjp(pair)
    loaded(x, w)
    assert (loaded.stats.captures, loaded.stats.loads) == (0, 1)


@pytest.mark.parametrize("options", [{}, {"argnums": 1}, {"argnums": (0, 1)}, {"argnums": (1, 0)}])
def test_other_arguments_are_another_program(cache: Path, options: Any) -> None:
    def product(x: Any, y: Any) -> Any:
        return np.sum(x * x * y)

    x, y = np.arange(3.0), np.ones(3)
    for choice in ({}, {"argnums": 1}, {"argnums": (0, 1)}, {"argnums": (1, 0)}):
        again(product, **choice)(x, y)
    found = again(product, **options)(x, y)[1]
    slopes = {0: 2 * x * y, 1: x * x}
    wanted = options.get("argnums", 0)
    if isinstance(wanted, int):
        np.testing.assert_array_equal(found, slopes[wanted])
    else:
        for got, place in zip(found, wanted, strict=True):
            np.testing.assert_array_equal(got, slopes[place])


@pytest.mark.parametrize("jit", ["python", "native"])
@pytest.mark.parametrize("mode", ["value", "jvp"])
def test_the_other_transforms_are_kept_too(cache: Path, mode: str, jit: str) -> None:
    for loads in (0, 1):
        if mode == "value":
            made = tg.jit(curve, jit=jit)
            assert made(2.0) == curve(2.0)
        else:
            made = tg.jvp(curve, jit=jit)
            assert made((2.0,), (1.0,))[1] == 12.0 * 1.5**4
        assert made.stats.loads == loads
        again()


def test_an_argument_that_is_an_object_is_bound_anew(cache: Path) -> None:
    for loads, scale, slope in ((0, 2, 4.0), (1, 2, 4.0), (0, 3, 12.0), (1, 3, 12.0)):
        made = again(scaled)
        assert made(2.0, Model(scale))[1] == slope
        assert made.stats.loads == loads
        again()


class Model:
    def __init__(self, power: int) -> None:
        self.power = power


def scaled(x: float, model: Model) -> float:
    return x**model.power


def broken(content: bytes) -> Iterator[bytes]:
    """Contents that are not what was written, each with a digest that fits."""
    records = json.loads(content)
    yield b""
    yield b"null"
    yield b"[1, 2]"
    yield b"\xff\xfe"
    yield json.dumps(["{}"]).encode()
    yield json.dumps(["not json"]).encode()
    record = json.loads(records[0])
    for name in record:
        for value in (None, 7, "other", []):
            yield json.dumps([json.dumps({**record, name: value})]).encode()
        yield json.dumps([json.dumps({k: v for k, v in record.items() if k != name})]).encode()


def test_records_that_make_no_sense_cost_a_capture(cache: Path) -> None:
    right = again(jit="python")(2.0)
    again()
    (file,) = cache.glob("*.program")
    content = disk_cache.read(file.name)
    assert content is not None
    # These say what is shown, and cannot be wrong where a digest is right.
    harmless = {
        "name",
        "notes",
        "split",
        "decided",
        "reasons",
        "native",
        "trace",
        "source",
        "weak",
        "outline",
        "outputs",
    }
    for changed in broken(content):
        try:
            records = json.loads(json.loads(changed)[0])
            whole = json.loads(json.loads(content)[0])
            if records.keys() == whole.keys() and all(
                records[k] == whole[k] for k in whole if k not in harmless
            ):
                continue
        except Exception:
            pass
        disk_cache.write(file.name, changed)
        made = tg.value_and_grad(curve, jit="python")
        assert made(2.0) == right
        again()


@pytest.mark.parametrize("end", [0, 1, 18, 30, 49, 50, 51, 200, -1])
def test_a_file_cut_off_costs_a_capture(cache: Path, end: int) -> None:
    right = again(jit="python")(2.0)
    again()
    (file,) = cache.glob("*.program")
    file.write_bytes(file.read_bytes()[:end])
    made = tg.value_and_grad(curve, jit="python")
    assert made(2.0) == right
    assert (made.stats.captures, made.stats.loads) == (1, 0)
    again()
    assert again(jit="python")(2.0) == right


def test_a_file_of_another_version_is_another_file(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    again(jit="python")(2.0)
    again()
    monkeypatch.setattr(shelf, "versions", lambda: "another")
    made = again(jit="python")
    made(2.0)
    assert (made.stats.captures, made.stats.loads) == (1, 0)


def test_what_is_wrong_with_the_files_is_said_once(cache: Path, caplog: pytest.LogCaptureFixture) -> None:
    right = again(jit="python")(2.0)
    again()
    (file,) = cache.glob("curve.*.program")
    with caplog.at_level(logging.WARNING, "tracegrad"):
        for _ in range(3):
            file.write_bytes(file.read_bytes()[:-7])
            assert again(jit="python")(2.0) == right
            again()
        assert [r.getMessage().partition(" is ")[2] for r in caplog.records] == [
            "broken, or not of this version, and is ignored"
        ]
        caplog.clear()
        os.chmod(cache, 0o777)
        for _ in range(3):
            assert again(jit="python")(2.0) == right
            again()
        assert len(caplog.records) == 1
        assert "others may write into it" in caplog.text


@pytest.mark.parametrize("mode", [0o777, 0o500])
def test_a_directory_that_cannot_be_used_costs_a_capture(cache: Path, mode: int) -> None:
    right = again(jit="python")(2.0)
    again()
    os.chmod(cache, mode)
    try:
        made = again(jit="python")
        assert made(2.0) == right
        assert again(jit="python")(3.0)[0] == curve(3.0)
    finally:
        os.chmod(cache, 0o700)


def test_a_disk_that_is_full_costs_only_the_next_process(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(name: str, content: bytes) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(disk_cache, "put", full)
    for _ in range(2):
        made = again(jit="python")
        assert made(2.0)[0] == curve(2.0)
        assert made.stats.captures == 1
        again()
    assert not list(cache.glob("*"))


def test_switched_off_nothing_is_kept(cache: Path) -> None:
    for choice in ("code", "none"):
        with config.using(cache=choice):
            again(jit="python")(2.0)
            again()
            assert not list(cache.glob("*.program"))


def test_another_option_is_another_program(cache: Path) -> None:
    again(jit="python")(2.0)
    again()
    with config.using(contract=not config.contract):
        made = again(jit="python")
        made(2.0)
        assert made.stats.captures == 1


SCRIPT = """
import numpy as np
import tracegrad as tg
tg.config.max_paths = 8

def loss(x, w):
    for k in range(3):
        x = np.tanh(x * w)
    return np.sum(x)

if __name__ == "__main__":
    x, w = np.linspace(0.0, 1.0, 5), np.ones(5)
    made = tg.value_and_grad(loss, jit="native")
    value, slope = made(x, w)
    value, slope = made(x, w)
    stats = made.stats
    print(value, slope.sum(), stats.captures, stats.compiles, stats.loads)
"""


def test_a_script_starts_warm_and_several_at_once_agree(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    environment = {
        **os.environ,
        "TRACEGRAD_CACHE": "all",
        "TRACEGRAD_CACHE_DIR": str(tmp_path / "cache"),
        "PYTHONPATH": str(ROOT),
    }

    def started() -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, str(script)],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def answers(running: list[subprocess.Popen[str]]) -> list[list[str]]:
        done = [process.communicate() for process in running]
        assert not [errors for _, errors in done if errors]
        return [printed.split() for printed, _ in done]

    first, second = answers([started(), started()])
    assert first[:2] == second[:2]
    (third,) = answers([started()])
    assert third[:2] == first[:2]
    assert third[2:5] == ["0", "0", "1"]
    script.write_text(SCRIPT.replace("np.tanh(x * w)", "np.sin(x * w)"))
    (changed,) = answers([started()])
    assert changed[2:5] == ["1", "1", "0"]
    assert changed[0] != first[0]
