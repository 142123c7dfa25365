"""Threads that wait for work: whoever calls, whatever was forked, the numbers are one caller's."""

from __future__ import annotations

import ctypes
import os
import platform
import subprocess
import sys
import textwrap
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.emit.kernel_patterns import compiled, numbers
from tracegrad.config import config

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="loops are not shared there")
TASKS = Path("/proc/self/task")
UPWARD = {"x86_64": 0x800, "aarch64": 0x400000, "arm64": 0x400000}


def chain(x: Any) -> Any:
    for _ in range(4):
        x = np.sqrt(x * x + 0.5) / (1.0 + x)
    return np.sum(x * x)


LONG = numbers(200_001)


@pytest.fixture(scope="module")
def shared() -> Any:
    made = compiled(chain, LONG)
    assert "in_threads(" in made.native_source
    return made


def same(one: Any, other: Any) -> bool:
    return bool(one[0] == other[0]) and np.array_equal(one[1], other[1])


def test_more_callers_than_crews(shared: Any) -> None:
    wanted, wrong = shared(LONG), []

    def call_again_and_again() -> None:
        for _ in range(10):
            found = shared(LONG)
            if not same(found, wanted):
                wrong.append(found)

    with config.using(threads=3):
        callers = [threading.Thread(target=call_again_and_again) for _ in range(12)]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join()
    assert not wrong


@pytest.mark.skipif(
    not TASKS.exists(), reason="the threads of a process are counted where the system lists them"
)
def test_threads_are_there_for_the_next_call(shared: Any) -> None:
    """Threads of others may end meanwhile: those are counted that were not there before."""
    with config.using(threads=4):
        shared(LONG)
        before = set(TASKS.iterdir())
        for count in (4, 2, 3, 4):
            with config.using(threads=count):
                shared(LONG)
        assert not set(TASKS.iterdir()) - before
        with config.using(threads=9):
            shared(LONG)
        assert len(set(TASKS.iterdir()) - before) <= 5


@pytest.mark.skipif(platform.machine() not in UPWARD, reason="how to round upward is not known here")
def test_a_thread_rounds_as_its_caller_does(shared: Any) -> None:
    """The threads are there before the caller's mode changes."""
    system = ctypes.CDLL(None)
    nearest = shared(LONG)
    found = []
    for count in (1, 3, 64):
        with config.using(threads=count):
            assert same(shared(LONG), nearest)
            system.fesetround(UPWARD[platform.machine()])
            try:
                found.append(shared(LONG))
            finally:
                system.fesetround(0)
            assert same(shared(LONG), nearest)
    assert not same(found[0], nearest)
    assert same(found[0], found[1])
    assert same(found[0], found[2])


SCRIPT = """
    import os, sys, threading
    import numpy as np
    import tracegrad as tg

    def f(x):
        return np.sum(np.sqrt(x * x + 0.5) / (1.0 + x) * np.sqrt(x) * np.cbrt(x + 1.0))

    x = np.linspace(0.5, 1.5, 300_001)
    g = tg.value_and_grad(f, jit="native")
    alone = g(x)
    assert "in_threads(" in g.native_source
    tg.config.threads = 3

    def same(found):
        return found[0] == alone[0] and np.array_equal(found[1], alone[1])

"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are not forked here")
@pytest.mark.parametrize("at_work", [False, True], ids=["idle", "while another thread calls"])
def test_a_forked_process_has_threads_of_its_own(at_work: bool, tmp_path: Path) -> None:
    script = """
    stop = threading.Event()

    def call():
        while not stop.is_set():
            assert same(g(x))

    other = threading.Thread(target=call)
    if AT_WORK:
        other.start()
    assert same(g(x))
    for _ in range(5):
        child = os.fork()
        if not child:
            right = all(same(g(x)) for _ in range(5))
            if os.path.exists("/proc/self/task"):
                right = right and len(os.listdir("/proc/self/task")) == 3
            os._exit(0 if right else 1)
        assert os.waitpid(child, 0)[1] == 0
        assert same(g(x))
    stop.set()
    if AT_WORK:
        other.join()
    """
    _run(tmp_path, script.replace("AT_WORK", str(at_work)))


def test_the_interpreter_ends_while_threads_wait(tmp_path: Path) -> None:
    script = """
    import weakref
    from tracegrad.compiler import crew

    assert same(g(x))
    read_by_threads = weakref.ref(crew._crews)
    del crew._crews
    assert read_by_threads() is not None
    """
    _run(tmp_path, script, times=3)


def _run(folder: Path, script: str, times: int = 1) -> None:
    file = folder / "script.py"
    file.write_text(textwrap.dedent(SCRIPT + script))
    for _ in range(times):
        made = subprocess.run(
            [sys.executable, "-W", "ignore::DeprecationWarning", str(file)],
            env={**os.environ, "TRACEGRAD_CACHE_DIR": str(folder / "cache")},
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert made.returncode == 0, made.stderr
