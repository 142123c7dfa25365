"""From a call to a program: what is captured, when a path is left, what is said, and what threads may do."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

import tracegrad as tg
from tracegrad.dispatch.entry import FILE
from tracegrad.dispatch.events import Stats
from tracegrad.errors import InPlaceError
from tracegrad.tensor import capture


@pytest.fixture(autouse=True)
def readable_text() -> Iterator[None]:
    with tg.config.using(jit="python"):
        yield


def split(x: Any) -> Any:
    kept = []
    if x[0] > 0.0:
        kept.append(x[0] * 2.0)
    else:
        kept.append(x[1] * 3.0)
        kept.append(x[0] * 5.0)
    return sum(kept)


RIGHT, LEFT = np.array([1.0, 2.0]), np.array([-1.0, 2.0])


# --- warm calls


@pytest.mark.parametrize("jit", ["python", "native"])
def test_a_warm_call_never_runs_the_users_body(jit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Square:
        """Its body is code that a profiler sees, whoever runs it."""

        def __call__(self, x: Any) -> Any:
            return np.sum(x * x)

    g = tg.grad(Square(), jit=jit)
    g(RIGHT)
    g(RIGHT)

    def forbidden(*args: Any, **keywords: Any) -> Any:
        raise AssertionError("captured again")

    monkeypatch.setattr(capture, "capture", forbidden)
    bodies: list[tuple[str, str]] = []
    sys.setprofile(lambda frame, *rest: bodies.append((frame.f_code.co_filename, frame.f_code.co_name)))
    try:
        found = [g(RIGHT * scale) for scale in (1.0, 2.0, 3.0, 4.0)]
    finally:
        sys.setprofile(None)
    for scale, gradient in zip((1.0, 2.0, 3.0, 4.0), found, strict=True):
        np.testing.assert_array_equal(gradient, 2 * RIGHT * scale)
    assert (FILE, "entry") in bodies
    assert (__file__, "__call__") not in bodies
    assert g.stats == Stats(calls=6, captures=1, compiles=int(jit == "native"), side_exits=0)


def test_counts_of_calls_captures_compiles_and_side_exits() -> None:
    g = tg.grad(split)
    assert g.stats == Stats(0, 0, 0, 0)
    g(RIGHT)
    assert g.stats == Stats(1, 1, 0, 0)
    g(RIGHT)
    assert g.stats == Stats(2, 1, 0, 0)
    g(LEFT)
    assert g.stats == Stats(3, 2, 0, 1)
    g(LEFT)
    assert g.stats == Stats(4, 2, 0, 1)
    g(RIGHT)
    assert g.stats == Stats(5, 2, 0, 2)
    g(np.ones(3))
    assert g.stats == Stats(6, 3, 0, 2)
    g(LEFT)
    assert g.stats == Stats(7, 3, 0, 3)


def test_a_program_is_compiled_when_it_is_used_again() -> None:
    g = tg.grad(lambda x: x * x, jit="auto")
    assert g(2.0) == 4.0
    assert g.stats.compiles == 0
    assert [g(2.0), g(3.0), g(4.0)] == [4.0, 6.0, 8.0]
    assert g.stats.compiles == 1


def test_the_option_of_the_configuration_is_followed_by_functions_without_their_own() -> None:
    g = tg.grad(lambda x: x * x * x)
    assert [g(2.0), g(2.0)] == [12.0, 12.0]
    with tg.config.using(jit="native"):
        assert g(2.0) == 12.0
    assert g.stats.compiles == 1


# --- paths


@pytest.mark.parametrize("jit", ["python", "native"])
def test_known_paths_are_revisited_without_a_capture(jit: str) -> None:
    g = tg.value_and_grad(split, jit=jit)
    for x in (RIGHT, LEFT, RIGHT, RIGHT, LEFT, LEFT * 2, RIGHT * 3, LEFT):
        value, gradient = g(x)
        assert value == split(x)
        assert gradient.tolist() == ([2.0, 0.0] if x[0] > 0 else [5.0, 3.0])
    assert g.stats.captures == 2
    assert g.stats.side_exits == 5


def test_values_are_right_on_every_path_of_many() -> None:
    def many(x: Any) -> Any:
        kept = []
        for i in range(4):
            if x[i] > 0.0:
                kept.append(x[i] ** 2)
            else:
                kept.insert(0, x[i])
        return sum((k + 1) * v for k, v in enumerate(kept))

    g = tg.value_and_grad(many)
    rng = np.random.default_rng(0)
    for _ in range(60):
        x = rng.standard_normal(4)
        value, gradient = g(x)
        assert value == pytest.approx(many(x), rel=1e-14)
        e = np.eye(4) * 1e-6
        np.testing.assert_allclose(
            gradient, [(many(x + d) - many(x - d)) / 2e-6 for d in e], rtol=1e-6, atol=1e-8
        )
    assert g.stats.captures <= 16


def test_paths_with_different_inputs_from_outside() -> None:
    scale, table = 2.0, {"left": np.array([3.0, 4.0])}

    def f(x: Any) -> Any:
        kept = []
        if x[0] > 0.0:
            kept.append(x[0] * scale)
        else:
            kept.append(np.sum(x * table["left"]))
        return kept[0]

    g = tg.grad(f)
    assert g(RIGHT).tolist() == [2.0, 0.0]
    assert g(LEFT).tolist() == [3.0, 4.0]
    scale, table["left"] = 7.0, np.array([5.0, 6.0])
    assert g(RIGHT).tolist() == [7.0, 0.0]
    assert g(LEFT).tolist() == [5.0, 6.0]
    assert g.stats.captures == 2
    table["left"] = np.array([[1.0, 2.0], [3.0, 4.0]])
    assert g(LEFT).tolist() == [4.0, 6.0]
    scale = 3  # type: ignore[assignment]  # an int now
    assert g(RIGHT).tolist() == [3.0, 0.0]


def test_what_was_read_outside_is_looked_up_at_each_call() -> None:
    class Settings:
        mode = "square"
        factor = 2.0

    settings = Settings()

    def f(x: Any) -> Any:
        return settings.factor * (x * x if settings.mode == "square" else x)

    g = tg.grad(f)
    assert [g(3.0), g(3.0)] == [12.0, 12.0]
    settings.factor = 10.0
    assert g(3.0) == 60.0
    settings.mode = "line"
    assert g(3.0) == 10.0
    settings.mode = "square"
    assert g(3.0) == 60.0
    assert g.stats.captures == 2


def test_a_helper_that_is_replaced() -> None:
    helper = np.square
    g = tg.grad(lambda x: helper(x))
    assert [g(3.0), g(3.0)] == [6.0, 6.0]
    helper = lambda x: x * 7.0  # noqa: E731
    assert [g(3.0), g(3.0)] == [7.0, 7.0]
    helper = np.square
    assert g(3.0) == 6.0
    assert g.stats.captures == 2


def test_an_object_is_never_printed() -> None:
    class Shy:
        scale = 3.0

        def __repr__(self) -> str:
            raise RuntimeError("not for printing")

    g = tg.grad(lambda x, shy: x * shy.scale)
    assert [g(1.0, Shy()) for _ in range(2)] == [3.0, 3.0]
    assert "shy: Shy" in g.explain()


# --- giving up


def test_too_many_paths_run_on_the_tape_and_say_so_once(caplog: pytest.LogCaptureFixture) -> None:
    def by_value(x: Any, n: Any) -> Any:
        return x * len(range(n)) * 1.0

    with tg.config.using(max_paths=3), caplog.at_level(logging.WARNING, logger="tracegrad"):
        g = tg.grad(by_value)
        for _ in range(2):
            assert [g(1.0, n) for n in range(8)] == [float(n) for n in range(8)]
    assert len(caplog.records) == 1
    assert "by_value" in caplog.text and "3 paths" in caplog.text and "test_dispatcher.py:" in caplog.text
    assert "on the tape" in g.paths
    assert g.stats.captures >= 8


def test_an_impure_function_runs_on_the_tape_and_says_so_once(caplog: pytest.LogCaptureFixture) -> None:
    seen: list[float] = []

    def impure(x: Any) -> Any:
        seen.append(1.0)
        return x * len(seen)

    with caplog.at_level(logging.WARNING, logger="tracegrad"):
        g = tg.grad(impure)
        assert [g(1.0) for _ in range(4)] == [1.0, 2.0, 3.0, 4.0]
    assert len(caplog.records) == 1
    assert g.stats.captures == 4


@pytest.mark.parametrize("mode", ["grad", "value_and_grad", "vjp", "jvp", "jit"])
def test_the_tape_serves_every_transform(mode: str) -> None:
    seen: list[float] = []

    def impure(x: Any) -> Any:
        seen.append(1.0)
        return np.sum(np.sin(x) * len(seen))

    x = np.array([0.3, 0.4])
    for times in (1, 2, 3):
        value, slope = np.sum(np.sin(x)) * times, np.cos(x) * times
        if mode == "grad":
            np.testing.assert_allclose(tg.grad(impure)(x), slope)
        elif mode == "value_and_grad":
            found = tg.value_and_grad(impure)(x)
            np.testing.assert_allclose(found[0], value)
            np.testing.assert_allclose(found[1], slope)
        elif mode == "vjp":
            found, pullback = tg.vjp(impure, x)
            np.testing.assert_allclose(found, value)
            np.testing.assert_allclose(pullback(2.0), 2.0 * slope)
        elif mode == "jvp":
            found = tg.jvp(impure, (x,), (np.array([1.0, 0.0]),))
            np.testing.assert_allclose(found, (value, slope[0]))
        else:
            np.testing.assert_allclose(tg.jit(impure)(x), value)


def test_many_kinds_of_arguments_do_not_fill_the_memory(caplog: pytest.LogCaptureFixture) -> None:
    g = tg.grad(lambda x, tag: x * 2.0)
    with caplog.at_level(logging.WARNING, logger="tracegrad"):
        for k in range(300):
            assert g(1.0, f"tag {k}") == 2.0
    assert len(g.trees) == 256
    assert len(caplog.records) == 1 and "256 kinds of arguments" in caplog.text


# --- threads


def test_two_threads_on_different_paths() -> None:
    g = tg.value_and_grad(split)

    def work(x: np.ndarray) -> bool:
        expected = [2.0, 0.0] if x[0] > 0 else [5.0, 3.0]
        return all(
            value == split(x) and gradient.tolist() == expected
            for value, gradient in (g(x) for _ in range(300))
        )

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, [RIGHT, LEFT, RIGHT * 2, LEFT * 2], timeout=60))


def test_a_capture_in_one_thread_does_not_stop_another() -> None:
    entered, leave = threading.Event(), threading.Event()

    def f(x: Any, wait: Any) -> Any:
        if wait:
            entered.set()
            assert leave.wait(30)
        return x * x

    g = tg.grad(f)
    assert g(2.0, False) == 4.0
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(g, 5.0, True)
        assert entered.wait(30)
        assert [g(3.0, False), g(4.0, False)] == [6.0, 8.0]  # warm, while the other captures
        assert tg.grad(lambda x: x**3)(2.0) == 12.0  # a capture of its own
        leave.set()
        assert slow.result(30) == 10.0


def test_functions_that_call_each_other_from_two_threads() -> None:
    first = tg.grad(lambda x: x * second(x))
    second = tg.grad(lambda x: x**3)
    third = tg.grad(lambda x: second(x) + first(x))

    def work(k: int) -> list[Any]:
        return [(first, second, third)[k % 3](float(k)) for _ in range(20)]

    with ThreadPoolExecutor(4) as pool:
        for k, found in enumerate(pool.map(work, range(6), timeout=60)):
            expected = (9.0 * k**2, 3.0 * k**2, 6.0 * k + 18.0 * k)[k % 3]
            assert found == [pytest.approx(expected)] * 20


def test_a_function_that_works_in_threads_of_its_own() -> None:
    def f(x: Any, depth: Any = 1) -> Any:
        if depth:
            with ThreadPoolExecutor(1) as pool:
                return x * pool.submit(g, 3.0, 0).result(30)
        return x * x

    g = tg.grad(f)
    assert g(2.0, 1) == 6.0


def test_a_ravel_that_is_a_copy_in_one_layout_is_none_in_another() -> None:
    def written(x: Any) -> Any:
        flat = np.ravel(x)
        flat[0] = 5.0
        return (flat * x).sum()

    gradient, x = tg.value_and_grad(written, jit="python"), np.arange(1.0, 7.0)
    value, bar = gradient(x[::2])
    assert value == 5 + 9 + 25 and bar.tolist() == [5.0, 6.0, 10.0] and x[0] == 1.0
    with pytest.raises(InPlaceError, match="caller"):
        gradient(x[::2].copy())


def test_two_layouts_that_are_both_not_the_usual_one_have_their_own_programs() -> None:
    def written(x: Any) -> Any:
        y = x * 1.0  # in Fortran's order where `x` is, and in C's where `x` is turned round
        y.reshape(-1)[::2] = 0.5
        return (y * y).sum()

    x = np.arange(1.0, 7.0).reshape(2, 3)
    gradient = tg.value_and_grad(written, jit="python")
    for given in (x, np.asfortranarray(x), x[::-1], x[:, ::-1], np.asfortranarray(x)[:, ::-1]):
        value, bar = gradient(given)
        y = given * 1.0
        kept = np.ones(y.shape)
        if y.flags.c_contiguous:
            kept.reshape(-1)[::2] = 0.0
        assert value == written(given.copy(order="K"))
        np.testing.assert_array_equal(bar, 2 * y * kept)
