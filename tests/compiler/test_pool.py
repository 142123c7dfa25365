"""Memory of large arrays is handed out again, and never while anybody can see it."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import tracegrad as tg
from tracegrad.compiler.pool import ALIKE, forget, remembered, take
from tracegrad.config import config
from tracegrad.extend import defvjp, primitive

FLOAT = np.dtype(np.float64)
SHAPE = (100, 200)
MANY = 20_000  # numbers that are large enough to be given


@pytest.fixture(autouse=True)
def empty() -> Iterator[None]:
    forget()
    yield
    forget()


def address(array: np.ndarray[Any, Any]) -> int:
    return int(array.ctypes.data)


def test_what_was_dropped_is_handed_out_again() -> None:
    first = take(FLOAT, SHAPE)
    where = address(first)
    del first
    assert address(take(FLOAT, SHAPE)) == where


HOLDERS = {
    "a name": lambda a: a,
    "a view": lambda a: a[10:20, ::3],
    "a transpose": lambda a: a.T,
    "a buffer": memoryview,
    "an element of a list": lambda a: [a],
    "an interface": lambda a: a.ctypes,
    "an iterator": np.nditer,
}


@pytest.mark.parametrize("holder", HOLDERS)
def test_what_anybody_can_see_is_not(holder: str) -> None:
    first = take(FLOAT, SHAPE)
    where, held = address(first), HOLDERS[holder](first)
    del first
    others = [take(FLOAT, SHAPE) for _ in range(3)]
    assert where not in map(address, others)
    del held, others


def test_a_weak_reference_ends_with_what_its_owner_dropped() -> None:
    first = take(FLOAT, SHAPE)
    seen = weakref.ref(first)
    del first
    again = take(FLOAT, SHAPE)
    assert seen() is None
    assert again.shape == SHAPE


CHANGES = {
    "locked": lambda a: a.setflags(write=False),
    "another shape": lambda a: setattr(a, "shape", (200, 100)),
    "another type": lambda a: setattr(a, "dtype", np.int64),
}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("change", CHANGES)
def test_an_array_that_was_changed_is_forgotten(change: str) -> None:
    first = take(FLOAT, SHAPE)
    CHANGES[change](first)
    del first
    again = take(FLOAT, SHAPE)
    assert again.flags.writeable and again.shape == SHAPE and again.dtype == FLOAT


def test_other_sizes_and_types_get_memory_of_their_own() -> None:
    take(FLOAT, SHAPE)
    assert take(FLOAT, (200, 100)).shape == (200, 100)
    assert take(np.dtype(np.float32), SHAPE).dtype == np.float32


def test_no_more_is_remembered_than_the_option_says() -> None:
    size = take(FLOAT, SHAPE).nbytes
    kept = [take(FLOAT, SHAPE) for _ in range(3 * ALIKE)]
    assert remembered() == ALIKE * size
    with config.using(reuse_memory=2 * size):
        kept.append(take(FLOAT, SHAPE))
        assert remembered() <= 2 * size
    assert len({address(a) for a in kept}) == len(kept)


def test_threads_never_get_the_same_memory() -> None:
    failed: list[int] = []

    def work(mine: int) -> None:
        for _ in range(300):
            array = take(FLOAT, SHAPE)
            array.fill(mine)
            if not (array == mine).all():
                failed.append(mine)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed


# --- programs


def product(x: Any, y: Any) -> Any:
    return np.sum(x * y * x)


def stacked(x: Any) -> Any:
    y = x
    for _ in range(3):
        y = np.sin(y) * x
    return np.sum(y)


def warmed(function: Any, *args: Any, argnums: Any = 0) -> Any:
    g = tg.value_and_grad(function, argnums=argnums, jit="native")
    for _ in range(3):
        g(*args)
    assert g.last.built.memory
    return g


def test_large_results_belong_to_the_caller() -> None:
    draw = np.random.default_rng(7)
    x, y = draw.normal(size=(2, MANY))
    g = warmed(product, x, y, argnums=(0, 1))
    held = []
    for k in range(5):
        value, bars = g(x + k, y)
        assert value == pytest.approx(product(x + k, y))
        held.append(bars)
    for k, (x_bar, y_bar) in enumerate(held):
        np.testing.assert_allclose(x_bar, 2 * (x + k) * y)
        np.testing.assert_allclose(y_bar, (x + k) ** 2)
        for bar in (x_bar, y_bar):
            assert bar.flags.owndata and bar.flags.writeable and bar.base is None
    where = {address(bar) for bars in held for bar in bars}
    assert len(where) == 10
    del bars, bar, x_bar, y_bar
    held.clear()
    assert address(g(x, y)[1][0]) in where


def test_room_to_work_in_is_never_seen() -> None:
    draw = np.random.default_rng(8)
    x = draw.normal(size=MANY)
    g, plain = warmed(stacked, x), tg.value_and_grad(stacked, jit="python")
    first, before = g(x)[1], plain(x)[1]
    g(2.0 * x)
    np.testing.assert_allclose(first, before, rtol=1e-12)


@pytest.mark.parametrize("mode", ["value", "grad", "jvp", "vjp", "aux"])
def test_every_transform_of_a_large_program(mode: str) -> None:
    draw = np.random.default_rng(9)
    x, v = draw.normal(size=(2, MANY))

    def mapped(x: Any) -> Any:
        return np.exp(-x) * x

    def with_aux(x: Any) -> Any:
        y = mapped(x)
        return np.sum(y * y), {"y": y}

    def ask(jit: str) -> Any:
        if mode == "value":
            f = tg.jit(mapped, jit=jit)
            return [f(x) for _ in range(3)]
        if mode == "jvp":
            return [tg.jvp(mapped, (x,), (v,))[1] for _ in range(3)]
        if mode == "vjp":
            pulled = [tg.vjp(mapped, x)[1] for _ in range(3)]
            return [p(v) for p in pulled]
        g = tg.grad(with_aux if mode == "aux" else lambda x: with_aux(x)[0], has_aux=mode == "aux", jit=jit)
        return [g(x) for _ in range(3)]

    for found, expected in zip(ask("native"), ask("python"), strict=True):
        found, expected = ((f if isinstance(f, tuple) else (f, {"y": f})) for f in (found, expected))
        np.testing.assert_allclose(found[0], expected[0], rtol=1e-12, atol=1e-15)
        np.testing.assert_allclose(found[1]["y"], expected[1]["y"], rtol=1e-12, atol=1e-15)


def test_an_error_amid_a_call_leaves_nothing_behind() -> None:
    """A primitive that raises while the program works in planned memory: later results, and those kept, are right."""
    fails = False

    @primitive
    def doubled(u: Any) -> Any:
        if fails:
            raise RuntimeError("the user's own")
        return u * 2.0

    defvjp(doubled, lambda z, u: lambda g: g * 2.0)

    def loss(x: Any, y: Any, double: Any = doubled) -> Any:
        u = np.tanh(x) * y
        for _ in range(3):
            u = np.roll(u, 1) * 0.5 + u * y
        v = double(u)
        w = np.roll(v, 2) + v * x
        return np.sum(w * w)

    x, y = np.random.default_rng(0).normal(size=(2, 20_000))
    want, slopes = tg.value_and_grad(lambda x, y: loss(x, y, lambda u: u * 2.0), (0, 1), jit="python")(x, y)
    native, kept = tg.value_and_grad(loss, (0, 1), jit="native"), []
    for k in range(9):
        fails = k % 3 == 1
        if fails:
            with pytest.raises(RuntimeError, match="the user's own"):
                native(x, y)
        else:
            kept.append(native(x, y))
    for value, gradients in kept:
        assert value == pytest.approx(want, rel=1e-12)
        for found, known in zip(gradients, slopes, strict=True):
            np.testing.assert_allclose(found, known, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("kind", ["overlap", "same", "reversed", "unaligned", "read only", "all one element"])
def test_arguments_may_lie_as_they_like(kind: str) -> None:
    """A program that works in planned memory, and overwrites what it made, leaves the arguments alone."""

    def loss(x: Any, y: Any) -> Any:
        u = x * 1.0
        for _ in range(3):
            u = np.roll(u, 1) * 0.5 + np.tanh(y) * u
        return np.sum(u * u)

    n = 20_000
    base = np.random.default_rng(0).normal(size=2 * n)
    x, y = base[:n], base[100 : n + 100]
    if kind == "same":
        y = x
    elif kind == "reversed":
        y = x[::-1]
    elif kind == "unaligned":
        x = np.zeros(8 * n + 1, np.uint8)[1:].view(np.float64)
        x[:] = base[:n]
    elif kind == "read only":
        x = x.copy()
        x.flags.writeable = False
    elif kind == "all one element":
        x = np.broadcast_to(np.float64(2.0), n)
    before = base.copy(), x.copy()
    found = tg.value_and_grad(loss, (0, 1), jit="native")
    value, gradients = [found(x, y) for _ in range(3)][-1]
    want, slopes = tg.value_and_grad(loss, (0, 1), jit="python")(x.copy(), y.copy())
    assert value == pytest.approx(want, rel=1e-12)
    for one, other in zip(gradients, slopes, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12)
    np.testing.assert_array_equal(base, before[0])
    np.testing.assert_array_equal(x, before[1])
