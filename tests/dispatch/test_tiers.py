"""When a path is compiled: at once, when it is called again, or when waiting has cost as much as compiling would."""

from __future__ import annotations

import gc
import signal
import threading
from types import SimpleNamespace

import numpy as np
import pytest

import tracegrad as tg
from tracegrad.dispatch.tiers import wants_native
from tracegrad.tensor.captured import under_way


def path(calls: int, seconds: float, compile_seconds: float) -> SimpleNamespace:
    return SimpleNamespace(
        calls=calls,
        seconds=seconds,
        grown=0,
        ready=False,
        built=SimpleNamespace(outline=SimpleNamespace(seconds=compile_seconds)),
    )


@pytest.mark.parametrize(
    ("jit", "calls", "seconds", "compile_seconds", "wanted"),
    [
        ("auto", 0, 0.0, 0.5, False),
        ("auto", 1, 0.0, 0.5, True),
        ("auto", 1, 0.1, 20.0, False),
        ("auto", 900, 19.9, 20.0, False),
        ("auto", 901, 20.0, 20.0, True),
        ("native", 0, 0.0, 20.0, True),
        ("python", 900, 20.0, 0.5, False),
    ],
)
def test_a_long_compile_waits_until_the_numpy_program_ran_as_long(
    jit, calls, seconds, compile_seconds, wanted
):
    assert wants_native(path(calls, seconds, compile_seconds), jit) is wanted


def test_the_time_of_the_numpy_program_is_counted():
    @tg.grad(jit="python")
    def total(x):
        return np.sum(x * x)

    total(np.ones(3))
    assert total.last.seconds > 0.0
    assert 0.5 < total.last.built.outline.seconds < 1.0


def test_a_program_that_grows_is_not_compiled_each_time() -> None:
    def arms(x: float, k: float) -> float:
        s = x
        for _ in range(3):
            if k < 1.0:
                s = s * x
            elif k < 2.0:
                s = s + x * k
            elif k < 3.0:
                s = s * s
            elif k < 4.0:
                s = s - k
            else:
                s = s * k
        return s

    g = tg.value_and_grad(arms, jit="auto")
    for k in (0.5, 1.5, 1.5, 2.5, 2.5, 3.5, 3.5, 4.5):  # after each new arm, a call that fits
        assert g(0.7, k)[0] == pytest.approx(arms(0.7, k))
    assert g.stats.captures <= 5
    assert g.stats.compiles <= 1
    before = g.stats.captures
    for _ in range(3):
        for k in (0.5, 1.5, 2.5, 3.5, 4.5):
            value, gradient = g(0.7, k)
            assert value == pytest.approx(arms(0.7, k))
            assert gradient == pytest.approx((arms(0.7 + 1e-6, k) - arms(0.7 - 1e-6, k)) / 2e-6, rel=1e-6)
    assert (g.stats.captures, g.stats.compiles) <= (before, 2)


@pytest.mark.parametrize("during", ["capture", "compile"])
def test_ctrl_c_leaves_nothing_behind(during: str, monkeypatch: pytest.MonkeyPatch) -> None:
    stopping = [True]

    def function(x: float) -> float:
        s = x
        while s < 100.0:
            if during == "capture" and stopping:
                raise KeyboardInterrupt
            s = s * 2.0
        return s

    def interrupted(*given: object, **options: object) -> bool:
        raise KeyboardInterrupt

    g = tg.value_and_grad(function, jit="native")
    with monkeypatch.context() as inner, pytest.raises(KeyboardInterrupt):
        if during == "compile":
            inner.setattr("tracegrad.dispatch.build.compile_native", interrupted)
        g(3.0)
    stopping.clear()
    assert gc.isenabled()
    assert not under_way
    assert np.array([1.0]) @ np.array([2.0]) == 2.0
    assert [g(3.0) for _ in range(3)] == [(192.0, 64.0)] * 3
    assert g(40.0) == (160.0, 4.0)
    assert g._lock.acquire(blocking=False)
    g._lock.release()


def test_a_loop_that_never_ends_is_interrupted() -> None:
    def endless(x: float) -> float:
        while x > 0.0:
            x = x + 1.0
        return x

    g = tg.grad(endless)
    timer = threading.Timer(0.5, signal.raise_signal, [signal.SIGINT])
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        g(1.0)
    timer.join()
    assert not under_way
    assert g(-1.0) == 1.0
