"""Errors of tracegrad's own while a program is made or run: the call is answered, and the error is told."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import pytest

import tracegrad as tg
from tracegrad.compiler import disk_cache

X = np.linspace(0.1, 1.0, 12)


def loss(x: Any) -> Any:
    y = np.tanh(x) * x
    for _ in range(3):
        y = y * 0.5 + np.roll(y, 1)
    return np.sum(y * y)


def slope(x: Any) -> Any:
    """Central differences."""
    steps = 1e-6 * np.eye(x.size)
    return np.array([(loss(x + s) - loss(x - s)) / 2e-6 for s in steps])


@pytest.mark.parametrize("error", [TypeError, ValueError, KeyError])
@pytest.mark.parametrize(
    ("place", "jit"),
    [
        ("tracegrad.emit.module.emit_native", "native"),
        ("tracegrad.emit.module.emit_native", "auto"),
        ("tracegrad.emit.given._may_be_given", "native"),
        ("tracegrad.passes.pipeline.for_loops", "native"),
        ("tracegrad.emit.module.emit_array", "python"),
        ("tracegrad.dispatch.build.compile_python", "python"),
    ],
)
def test_an_error_while_a_program_is_made_is_told_and_the_call_answered(
    monkeypatch: pytest.MonkeyPatch, reports_of_bugs: list[str], place: str, jit: str, error: type[Exception]
) -> None:
    def fails(*args: Any, **keywords: Any) -> Any:
        raise error("what nobody expects")

    module, name = place.rsplit(".", 1)
    monkeypatch.setattr(importlib.import_module(module), name, fails)
    monkeypatch.setattr(disk_cache, "_said", set())
    g = tg.value_and_grad(loss, jit=jit)
    if jit == "python" and error is KeyError:  # of a known program it is raised, as NumPy never raises it
        value, gradient = g(X)
    else:
        value, gradient = [g(X) for _ in range(3)][-1]
    assert value == pytest.approx(loss(X), rel=1e-14)
    np.testing.assert_allclose(gradient, slope(X), rtol=1e-7)
    assert "what nobody expects" in g.explain()
    assert f"{error.__name__} at test_failures.py:" in reports_of_bugs[0]
    reports_of_bugs.clear()


def test_a_known_program_that_fails_where_numpy_does_not_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """The capture that follows answers; without a word nobody would know why each call is captured."""
    g = tg.value_and_grad(loss, jit="auto")
    g(X)

    def fails(*args: Any) -> Any:
        raise TypeError("what nobody expects")

    monkeypatch.setattr("tracegrad.dispatch.build.machine_code", fails)
    value, gradient = g(X)
    assert value == pytest.approx(loss(X), rel=1e-14)
    np.testing.assert_allclose(gradient, slope(X), rtol=1e-7)
    assert "its program raised TypeError at test_failures.py:" in g.explain()
