"""Emitted modules as files: named by content, shown in tracebacks, never trusted, never required."""

from __future__ import annotations

import importlib
import linecache
import logging
import os
import stat
import subprocess
import sys
import textwrap
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest

from tracegrad.compiler import disk_cache
from tracegrad.compiler.disk_cache import directory, is_private
from tracegrad.compiler.python_backend import compile_python
from tracegrad.compiler.source_file import load
from tracegrad.config import config
from tracegrad.ir.source import Source


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "cache"
    with config.using(cache_dir=str(place)):
        yield place


def test_a_module_is_a_private_file_named_by_its_content(cache: Path) -> None:
    module = load("def f(x):\n    return x + 1\n", "adder")
    assert module.f(1) == 2
    (file,) = cache.iterdir()
    assert file.name.startswith("tracegrad_adder_") and file.suffix == ".py"
    assert Path(str(module.__file__)) == file
    assert stat.S_IMODE(cache.stat().st_mode) == 0o700
    assert importlib.import_module(module.__name__) is module


def test_the_same_text_is_loaded_once(cache: Path) -> None:
    text = "def f():\n    return 'once'\n"
    assert load(text, "same") is load(text, "same")
    assert load(text + "# more\n", "same") is not load(text, "same")


def test_a_traceback_shows_the_emitted_line(cache: Path) -> None:
    module = load("def f(x):\n    return x / 0  # the line\n", "raising")
    with pytest.raises(ZeroDivisionError) as raised:
        module.f(1)
    assert "the line" in "".join(traceback.format_exception(raised.value))
    linecache.checkcache()
    assert "the line" in linecache.getline(str(module.__file__), 2)


def test_a_planted_file_is_written_anew(cache: Path) -> None:
    text = "def f():\n    return 'ours'\n"
    name = load(text, "planted").__name__
    file = cache / f"{name}.py"
    file.write_text("def f():\n    return 'theirs'\n")
    del sys.modules[name]
    assert load(text, "planted").f() == "ours"
    assert file.read_text() == text


def test_a_failing_text_leaves_no_module(cache: Path) -> None:
    before = set(sys.modules)
    with pytest.raises(NameError):
        load("missing\n", "failing")
    assert not {n for n in set(sys.modules) - before if n.startswith("tracegrad_failing")}


def test_without_a_place_for_files_the_module_lives_in_memory(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk_cache, "_said", set())
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where a directory should be")
    with config.using(cache_dir=str(blocked / "cache")), caplog.at_level(logging.WARNING, "tracegrad"):
        module = load("def f(x):\n    return 1 / x  # in memory\n", "memory")
        assert module.f(2) == 0.5
        assert load("def g(x):\n    return x\n", "memory").g(2) == 2
    assert len(caplog.records) == 1
    with pytest.raises(ZeroDivisionError) as raised:
        module.f(0)
    assert "in memory" in "".join(traceback.format_exception(raised.value))


def test_a_directory_that_others_may_write_to_gets_no_text(
    cache: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk_cache, "_said", set())
    cache.mkdir(mode=0o700)
    cache.chmod(0o777)
    with caplog.at_level(logging.WARNING, "tracegrad"):
        module = load("def f(x):\n    return x + 11\n", "among_others")
    assert module.f(1) == 12
    assert list(cache.iterdir()) == []
    assert ["others may write into it" in r.getMessage() for r in caplog.records] == [True]


def test_private_means_that_nobody_else_can_write(tmp_path: Path) -> None:
    os.chmod(tmp_path, 0o700)
    assert is_private(tmp_path)
    os.chmod(tmp_path, 0o777)
    assert not is_private(tmp_path)
    assert not is_private(tmp_path / "missing")


def test_the_user_cache_directory_by_default(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with config.using(cache_dir=""):
        assert "tracegrad" in directory().name


def test_python_functions_by_name(cache: Path) -> None:
    source = Source("def f(x):\n    return x\n\n\ndef g(x):\n    return -x\n", ("g",))
    functions = compile_python(source, "two")
    assert list(functions) == ["g"]
    assert functions["g"](1) == -1


def test_two_processes_write_the_same_file(cache: Path) -> None:
    script = textwrap.dedent("""
        from tracegrad.compiler.source_file import load
        for k in range(50):
            assert load(f"def f():\\n    return {k}\\n", "shared").f() == k
    """)
    environment = {**os.environ, "TRACEGRAD_CACHE_DIR": str(cache)}
    runs = [subprocess.Popen([sys.executable, "-c", script], env=environment) for _ in range(2)]
    assert [run.wait(timeout=60) for run in runs] == [0, 0]
    assert len(list(cache.iterdir())) == 50
