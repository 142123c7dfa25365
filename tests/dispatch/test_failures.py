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


V = np.cos(np.arange(12.0))


def by_gradient(jit: str) -> tuple[Any, Any]:
    g = tg.value_and_grad(loss, jit=jit)
    return g, lambda: (*g(X), slope(X))


def by_value(jit: str) -> tuple[Any, Any]:
    g = tg.jit(loss, jit=jit)
    return g, lambda: (g(X), 0.0, 0.0)


def by_jvp(jit: str) -> tuple[Any, Any]:
    g = tg.jvp(loss, jit=jit)
    return g, lambda: (*g((X,), (V,)), slope(X) @ V)


def by_vjp(jit: str) -> tuple[Any, Any]:
    g = tg.vjp(loss, jit=jit)

    def call() -> tuple[Any, Any, Any]:
        value, pull = g(X)
        np.testing.assert_allclose(pull(3.0), 3.0 * pull(1.0), rtol=1e-13)
        return value, pull(1.0), slope(X)

    return g, call


def fails_with(error: type[Exception]) -> Any:
    def fails(*args: Any, **keywords: Any) -> Any:
        raise error("what nobody expects")

    return fails


PLACES = [
    ("tracegrad.emit.module.emit_native", "native"),
    ("tracegrad.emit.module.emit_native", "auto"),
    ("tracegrad.passes.pipeline.for_loops", "native"),
    ("tracegrad.passes.pipeline.optimised", "auto"),
    ("tracegrad.passes.pipeline.own_outputs", "python"),
    ("tracegrad.passes.pipeline.drop_unused", "auto"),
    ("tracegrad.emit.module.emit_array", "python"),
    ("tracegrad.dispatch.build.compile_python", "python"),
    ("tracegrad.dispatch.build.machine_code", "native"),
    ("tracegrad.dispatch.build.Built.run_python", "auto"),
    ("tracegrad.dispatch.build.Built.run_native", "native"),
    ("tracegrad.dispatch.dispatcher.make_entry", "python"),
    ("tracegrad.dispatch.dispatcher.causes", "auto"),
]


@pytest.mark.parametrize("error", [TypeError, KeyError])
@pytest.mark.parametrize("transform", [by_gradient, by_value, by_jvp, by_vjp])
@pytest.mark.parametrize(("place", "jit"), PLACES)
def test_an_error_of_ours_costs_the_program_and_not_the_answer(
    monkeypatch: pytest.MonkeyPatch,
    reports_of_bugs: list[str],
    place: str,
    jit: str,
    transform: Any,
    error: type[Exception],
) -> None:
    if place.endswith("make_entry") and transform is by_jvp:
        pytest.skip("a jvp has no entry")
    module, name = place.rsplit(".", 1)
    holder: Any
    if module.endswith("Built"):
        from tracegrad.dispatch.build import Built as holder
    else:
        holder = importlib.import_module(module)
    monkeypatch.setattr(holder, name, fails_with(error))
    monkeypatch.setattr(disk_cache, "_said", set())
    g, call = transform(jit)
    for _ in range(4):
        value, found, expected = call()
        assert value == pytest.approx(loss(X), rel=1e-14)
        np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert "what nobody expects" in " ".join(g.explain().split())
    assert f"{error.__name__} at test_failures.py:" in reports_of_bugs[0]
    assert len(reports_of_bugs) == 1  # once, and not at each call
    reports_of_bugs.clear()


def test_a_known_program_that_fails_where_numpy_does_not_is_told(
    monkeypatch: pytest.MonkeyPatch, reports_of_bugs: list[str]
) -> None:
    """The capture that follows answers; without a word nobody would know why calls are captured."""
    g = tg.value_and_grad(loss, jit="auto")
    g(X)
    monkeypatch.setattr("tracegrad.dispatch.build.Built.run_native", fails_with(KeyError))
    value, gradient = g(X)
    assert value == pytest.approx(loss(X), rel=1e-14)
    np.testing.assert_allclose(gradient, slope(X), rtol=1e-7)
    assert "its program raised KeyError at test_failures.py:" in g.explain()
    reports_of_bugs.clear()


def test_a_pullback_whose_program_fails_is_answered_from_its_residuals(
    monkeypatch: pytest.MonkeyPatch, reports_of_bugs: list[str]
) -> None:
    g = tg.vjp(loss, jit="python")
    _, pull = g(X)
    monkeypatch.setattr("tracegrad.dispatch.build.Built.pull_python", fails_with(KeyError))
    np.testing.assert_allclose(pull(1.0), slope(X), rtol=1e-7)
    assert "pulled back without its program" in reports_of_bugs[0]
    reports_of_bugs.clear()


@pytest.mark.parametrize(
    ("shift", "place"), list(enumerate(["optimised", "own_outputs", "emit_array", "compile_python"]))
)
def test_a_backward_of_tensors_whose_program_fails_is_answered_step_by_step(
    monkeypatch: pytest.MonkeyPatch, reports_of_bugs: list[str], shift: int, place: str
) -> None:
    """Each with a structure of its own: their programs are kept."""
    monkeypatch.setattr(f"tracegrad.dispatch.backward_engine.{place}", fails_with(KeyError))
    monkeypatch.setattr(disk_cache, "_said", set())
    for _ in range(3):
        x = tg.tensor(X, requires_grad=True)
        np.sum(np.tanh(x) * x * np.roll(x, shift + 1)).backward()
        ones = np.tanh(X) * X * np.roll(X, shift + 1)
        expected = (ones / X) + np.roll(ones, -shift - 1) / X + (1 - np.tanh(X) ** 2) * ones / np.tanh(X)
        np.testing.assert_allclose(x.grad, expected, rtol=1e-12)
    assert "has no program" in reports_of_bugs[0]
    reports_of_bugs.clear()


def test_an_error_of_the_users_is_theirs_and_not_told(reports_of_bugs: list[str]) -> None:
    def solved(a: Any) -> Any:
        return np.sum(np.linalg.inv(a))

    for transform in (tg.value_and_grad, tg.jit, tg.vjp):
        for tier in ("python", "native"):
            g = transform(solved, jit=tier)
            for a in (np.eye(2), np.zeros((2, 2)), np.eye(2), np.zeros((2, 2))):
                if a.any():
                    g(a)
                    continue
                with pytest.raises(np.linalg.LinAlgError, match="Singular matrix"):
                    g(a)
            assert "tape" not in g.explain()
    assert not reports_of_bugs
