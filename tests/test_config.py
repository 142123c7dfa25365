"""Options: set from the environment, set in a program, refused where they do not fit."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tracegrad.config import Config, config

ROOT = Path(__file__).resolve().parents[1]


def test_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TRACEGRAD_JIT", "TRACEGRAD_MAX_PATHS", "TRACEGRAD_MAX_RECURSION", "TRACEGRAD_CACHE_DIR"):
        monkeypatch.delenv(name, raising=False)
    fresh = Config()
    assert (fresh.jit, fresh.max_paths, fresh.cache_dir) == ("auto", 32, "")


def test_the_environment_sets_options(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACEGRAD_JIT", "python")
    monkeypatch.setenv("TRACEGRAD_MAX_PATHS", "5")
    fresh = Config()
    assert (fresh.jit, fresh.max_paths) == ("python", 5)


@pytest.mark.parametrize(
    ("variable", "value", "word"),
    [("TRACEGRAD_JIT", "fast", "auto, native, python"), ("TRACEGRAD_MAX_PATHS", "none", "max_paths")],
)
def test_an_environment_that_does_not_fit_is_refused(
    variable: str, value: str, word: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(ValueError, match=word) as caught:
        Config()
    assert variable in str(caught.value) and repr(value) in str(caught.value)


def test_an_option_is_set_for_the_length_of_a_block() -> None:
    before = config.max_paths
    with pytest.raises(RuntimeError), config.using(max_paths=3, jit="python"):
        assert (config.max_paths, config.jit) == (3, "python")
        raise RuntimeError
    assert config.max_paths == before


def test_a_block_with_one_bad_option_changes_none() -> None:
    before = (config.max_paths, config.jit)
    with pytest.raises(ValueError, match=r"config\.jit"), config.using(max_paths=3, jit="fast"):
        pass
    assert (config.max_paths, config.jit) == before


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("64MB", 64_000_000),
        ("1 GB", 10**9),
        ("2KiB", 2048),
        ("1.5kB", 1500),
        ("17", 17),
        (4096, 4096),
        ("", None),
        (None, None),
    ],
)
def test_sizes(text: str | int | None, size: int | None) -> None:
    with config.using(loop_memory=text):
        assert config.loop_memory == size


@pytest.mark.parametrize("size", ["64 megabytes", "MB", "-1MB", 0, -5, 1.5, True, "0.1B", [3]])
def test_a_size_that_is_none_is_refused(size: object) -> None:
    with pytest.raises(ValueError, match="loop_memory"):
        config.loop_memory = size
    assert config.loop_memory is None


@pytest.mark.parametrize(("name", "value"), [("jit", "fast"), ("max_paths", 0), ("max_paths", "many")])
def test_a_value_that_does_not_fit_is_refused_where_it_is_set(name: str, value: object) -> None:
    before = getattr(config, name)
    with pytest.raises(ValueError, match=name):
        setattr(config, name, value)
    assert getattr(config, name) == before


def test_an_option_that_is_not_there() -> None:
    with pytest.raises(AttributeError, match=r"no option 'jitt'.*jit, max_paths"):
        _ = config.jitt
    with pytest.raises(AttributeError, match="no option"):
        config.jitt = "auto"
    with pytest.raises(AttributeError, match="no option"), config.using(jitt="auto"):
        pass


def test_printing_lists_every_option_with_its_meaning() -> None:
    shown = repr(config)
    for word in ("jit = ", "max_paths = ", "TRACEGRAD_MAX_PATHS", "cache_dir", "python never"):
        assert word in shown


def test_the_environment_reaches_a_program() -> None:
    run = subprocess.run(
        [sys.executable, "-c", "import tracegrad; print(tracegrad.config.jit)"],
        cwd=ROOT,
        env={"TRACEGRAD_JIT": "native", "PATH": ""},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert run.stdout.strip() == "native"
