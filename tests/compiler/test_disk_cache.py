"""Files that outlive the process: whatever is wrong with one, it is not used, and nothing breaks."""

from __future__ import annotations

import importlib.util
import logging
import os
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tracegrad.compiler import disk_cache
from tracegrad.compiler.disk_cache import CODE, PROGRAM, clear, kept, put, read, shrink, write
from tracegrad.compiler.numba_backend import compile_native
from tracegrad.compiler.source_file import load
from tracegrad.config import config
from tracegrad.ir.source import Source


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    place = tmp_path / "cache"
    monkeypatch.setattr(disk_cache, "_said", set())
    with config.using(cache_dir=str(place), cache="all"):
        yield place


CONTENT = bytes(range(256)) * 3


def test_what_is_written_is_read(cache: Path) -> None:
    assert read("a.program") is None
    assert write("a.program", CONTENT)
    assert read("a.program") == CONTENT
    assert stat.S_IMODE(cache.stat().st_mode) == 0o700
    assert stat.S_IMODE((cache / "a.program").stat().st_mode) == 0o600
    assert [p.name for p in cache.iterdir()] == ["a.program"]


def test_a_file_cut_off_anywhere_is_never_used(cache: Path, caplog: pytest.LogCaptureFixture) -> None:
    write("a.program", CONTENT)
    whole = (cache / "a.program").read_bytes()
    with caplog.at_level(logging.WARNING, "tracegrad"):
        for end in range(len(whole)):
            (cache / "a.program").write_bytes(whole[:end])
            assert read("a.program") is None
            assert not (cache / "a.program").exists()
    assert len(caplog.records) == 1


def test_a_file_with_any_byte_changed_is_never_used(cache: Path) -> None:
    write("a.program", CONTENT)
    whole = (cache / "a.program").read_bytes()
    for place in range(len(whole)):
        changed = bytearray(whole)
        changed[place] ^= 1
        (cache / "a.program").write_bytes(changed)
        assert read("a.program") is None
    (cache / "a.program").write_bytes(whole)
    assert read("a.program") == CONTENT


def test_a_file_under_the_name_of_another_is_never_used(cache: Path) -> None:
    write("a.program", CONTENT)
    write("b.program", CONTENT[::-1])
    (cache / "a.program").write_bytes((cache / "b.program").read_bytes())
    assert read("a.program") is None
    assert read("b.program") == CONTENT[::-1]


def test_one_warning_says_that_nothing_can_be_written(
    tmp_path: Path, cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    for place, said in ((tmp_path / "file" / "cache", "stay in memory"), (tmp_path / "file", "no directory")):
        disk_cache._said.clear()
        caplog.clear()
        with config.using(cache_dir=str(place)), caplog.at_level(logging.WARNING, "tracegrad"):
            assert not write("a.program", CONTENT)
            assert load(f"written_in = {place.name!r}", "one_warning").written_in == place.name
        assert [said in r.getMessage() for r in caplog.records] == [True]


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o720, 0o702])
def test_a_directory_others_may_write_to_is_not_used(
    cache: Path, caplog: pytest.LogCaptureFixture, mode: int
) -> None:
    write("a.program", CONTENT)
    os.chmod(cache, mode)
    with caplog.at_level(logging.WARNING, "tracegrad"):
        assert read("a.program") is None
        assert not write("b.program", CONTENT)
        assert not write("b.program", CONTENT)
    assert len(caplog.records) == 1
    assert not (cache / "b.program").exists()
    os.chmod(cache, 0o700)
    assert read("a.program") == CONTENT


def test_a_directory_of_another_user_is_not_used(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write("a.program", CONTENT)
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    assert read("a.program") is None
    assert not write("b.program", CONTENT)


def test_a_file_others_may_write_to_or_a_link_is_not_used(cache: Path, tmp_path: Path) -> None:
    write("a.program", CONTENT)
    os.chmod(cache / "a.program", 0o622)
    assert read("a.program") is None
    write("a.program", CONTENT)
    os.rename(cache / "a.program", tmp_path / "elsewhere")
    os.symlink(tmp_path / "elsewhere", cache / "a.program")
    assert read("a.program") is None


def test_a_full_disk_costs_only_the_next_process(
    cache: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Full:
        """A file on a disk with no space left."""

        def __init__(self, descriptor: int) -> None:
            self.descriptor = descriptor

        def __enter__(self) -> Full:
            return self

        def __exit__(self, *_: object) -> None:
            os.close(self.descriptor)

        def write(self, content: bytes) -> None:
            os.write(self.descriptor, content[: len(content) // 2])
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(disk_cache, "open", lambda descriptor, mode: Full(descriptor), raising=False)
    with caplog.at_level(logging.WARNING, "tracegrad"):
        assert not write("a.program", CONTENT)
        assert not write("a.program", CONTENT)
    assert len(caplog.records) == 1
    assert list(cache.iterdir()) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_the_error_of_a_full_disk_is_the_one_simulated() -> None:
    with pytest.raises(OSError) as raised, open("/dev/full", "wb") as stream:
        stream.write(CONTENT)
        stream.flush()
    assert raised.value.errno == 28


def test_a_place_where_nothing_can_be_written_costs_only_the_next_process(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with config.using(cache_dir=str(tmp_path / "file" / "cache"), cache="all"):
        assert not write("a.program", CONTENT)
        assert read("a.program") is None


def test_switched_off_nothing_is_written_or_read(cache: Path) -> None:
    write("a.program", CONTENT)
    with config.using(cache="none"):
        assert read("a.program") is None
        assert not write("b.program", CONTENT)
    assert [p.name for p in cache.iterdir()] == ["a.program"]


def test_processes_that_write_at_once_leave_one_whole_file(cache: Path) -> None:
    script = (
        "import sys\n"
        "from tracegrad.compiler.disk_cache import read, write\n"
        "content = sys.argv[1].encode() * 50_000\n"
        "for _ in range(200):\n"
        "    assert write('a.program', content)\n"
        "    found = read('a.program')\n"
        "    assert found is not None and len(set(found)) == 1 and len(found) == 50_000\n"
    )
    environment = {**os.environ, "TRACEGRAD_CACHE_DIR": str(cache), "TRACEGRAD_CACHE": "code"}
    running = [subprocess.Popen([sys.executable, "-c", script, letter], env=environment) for letter in "ab"]
    assert [process.wait() for process in running] == [0, 0]
    assert [p.name for p in cache.iterdir()] == ["a.program"]


def test_what_was_not_used_for_longest_is_dropped_first(cache: Path) -> None:
    for age, name in enumerate(["new", "old", "older"]):
        put(f"{name}.program", b"x" * 1000)
        then = time.time() - 10_000 * age
        os.utime(cache / f"{name}.program", (then, then))
    write("old.program", CONTENT)  # used again
    assert shrink(2000) == 1
    assert sorted(p.name for p in cache.iterdir()) == ["new.program", "old.program"]


def test_reading_a_file_makes_it_one_that_was_used(cache: Path) -> None:
    write("a.program", CONTENT)
    then = time.time() - 100_000
    os.utime(cache / "a.program", (then, then))
    read("a.program")
    assert time.time() - (cache / "a.program").stat().st_mtime < 1000


def test_the_directory_stays_within_its_size(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk_cache, "_written", 0)
    with config.using(cache_size=20_000):
        for number in range(3 * 64 + 1):
            write(f"{number}.program", b"x" * 1000)
    assert sum(status.st_size for _, status in kept()) <= 20_000


def test_clearing_leaves_what_is_not_ours(cache: Path) -> None:
    write(f"a{PROGRAM}", CONTENT)
    write(f"b{CODE}", CONTENT)
    (cache / "letter.txt").write_text("mine")
    (cache / "mine.py").write_text("mine")
    assert clear() == 2
    assert sorted(p.name for p in cache.iterdir()) == ["letter.txt", "mine.py"]


# --- machine code


def compiled(text: str, name: str) -> Any:
    """The function `f` of a text, as a process that has not met the text yet compiles or loads it."""
    for known in [n for n in sys.modules if n.startswith(f"tracegrad_{name}_")]:
        del sys.modules[known]
    functions = compile_native(Source(text, ("f",)), name, (1.0,))
    assert not isinstance(functions, str)
    return functions["f"]


def was_loaded(function: Any) -> bool:
    return bool(function.stats.cache_hits)


def test_machine_code_is_loaded_again(cache: Path) -> None:
    text = "def f(x):\n    return x + 1.0\n"
    assert not was_loaded(compiled(text, "kept"))
    again = compiled(text, "kept")
    assert was_loaded(again)
    assert again(1.0) == 2.0
    assert not was_loaded(compiled("def f(x):\n    return x + 2.0\n", "kept"))


def test_machine_code_is_kept_in_a_private_directory_alone(cache: Path) -> None:
    text = "def f(x):\n    return x + 3.0\n"
    compiled(text, "open")
    os.chmod(cache, 0o777)
    assert not was_loaded(compiled(text, "open"))
    assert len(list(cache.glob("*.code"))) == 1


@pytest.mark.parametrize("keep", [0, 1, 20, 50, 60, 1000, -1])
def test_broken_machine_code_is_compiled_again(cache: Path, keep: int) -> None:
    text = "def f(x):\n    return x + 4.0\n"
    compiled(text, "broken")
    (file,) = cache.glob("*.code")
    file.write_bytes(file.read_bytes()[:keep])
    again = compiled(text, "broken")
    assert not was_loaded(again)
    assert again(1.0) == 5.0
    assert was_loaded(compiled(text, "broken"))


def test_machine_code_that_does_not_unpickle_is_compiled_again(cache: Path) -> None:
    text = "def f(x):\n    return x + 5.0\n"
    compiled(text, "odd")
    (file,) = cache.glob("*.code")
    write(file.name, b"not a pickle")
    again = compiled(text, "odd")
    assert not was_loaded(again)
    assert again(1.0) == 6.0


def test_machine_code_of_another_version_or_option_is_another_file(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "def f(x):\n    return x + 6.0\n"
    compiled(text, "other")
    monkeypatch.setattr("tracegrad.compiler.machine_code.versions", lambda: "another")
    assert not was_loaded(compiled(text, "other"))
    assert was_loaded(compiled(text, "other"))
    assert len(list(cache.glob("*.code"))) == 2
    monkeypatch.setattr(type(config), "shaping", lambda self: "other options")
    assert not was_loaded(compiled(text, "other"))


def test_a_process_that_loaded_machine_code_can_still_compile(cache: Path) -> None:
    script = (
        "import numpy as np\n"
        "from tracegrad.compiler.numba_backend import compile_native\n"
        "from tracegrad.ir.source import Source\n"
        "def made(text):\n"
        "    f = compile_native(Source('import numpy as np\\n' + text, ('f',)), 'both', (np.ones(3),))['f']\n"
        "    return bool(f.stats.cache_hits), f(np.ones(3)).tolist()\n"
        "print(made('def f(x):\\n    return np.exp(x) * 0.0 + x\\n'),"
        " made('def f(x):\\n    return np.dot(x, x) * x\\n'))\n"
    )
    environment = {**os.environ, "TRACEGRAD_CACHE_DIR": str(cache), "TRACEGRAD_CACHE": "code"}
    ones = "[1.0, 1.0, 1.0]"
    for loaded in (False, True):
        if loaded:  # the second text has to be compiled again
            for file in sorted(cache.glob("f.*.code"), key=lambda p: p.stat().st_mtime_ns)[1:]:
                file.unlink()
        done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True)
        assert done.stdout.strip() == f"({loaded}, {ones}) (False, [3.0, 3.0, 3.0])", done.stderr


def test_versions_are_known_where_numba_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name in ("numba", "llvmlite") else found(name)
    )
    assert disk_cache.versions.__wrapped__() not in ("", disk_cache.versions())
