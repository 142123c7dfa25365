"""When a path is compiled: at once, when it is called again, or when waiting has cost as much as compiling would."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

import tracegrad as tg
from tracegrad.dispatch.tiers import wants_native


def path(calls: int, seconds: float, compile_seconds: float) -> SimpleNamespace:
    return SimpleNamespace(
        calls=calls, seconds=seconds, built=SimpleNamespace(compile_seconds=compile_seconds)
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
    assert 0.5 < total.last.built.compile_seconds < 1.0
