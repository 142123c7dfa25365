"""The door of a native program: what is not as it was goes another way, results are the caller's, nothing leaks."""

from __future__ import annotations

import contextlib
import gc
import pickle
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import tracegrad as tg
from tracegrad.compiler.door_code import DoorLibrary
from tracegrad.dispatch.dispatcher import Dispatcher

SCALE = 2.0
VECTOR = np.array([1.0, 2.0, 3.0])


def rosenbrock(x: Any) -> Any:
    return (1.0 - x[0]) ** 2 + 100.0 * (x[1] - x[0] ** 2) ** 2


def weighted(x: Any, k: Any) -> Any:
    return np.sum(x * VECTOR) * k * SCALE


def warmed(function: Any, *args: Any, argnums: Any = 0, **options: Any) -> Any:
    g = tg.value_and_grad(function, argnums=argnums, jit="native", **options)
    for _ in range(3):
        g(*args)
    assert type(type(g).__call__).__name__ == "builtin_function_or_method"
    return g


@pytest.fixture
def left(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """The calls that a door did not answer."""
    seen: list[Any] = []
    general = Dispatcher._general

    def noted(self: Any, args: Any, keywords: Any, left: Any) -> Any:
        seen.append((args, keywords))
        return general(self, args, keywords, left)

    monkeypatch.setattr(Dispatcher, "_general", noted)
    yield seen


class Marked(np.ndarray):
    pass


def unaligned(x: Any) -> Any:
    return np.frombuffer(b"\0" + x.tobytes(), np.uint8)[1:].view(x.dtype)


def locked(x: Any) -> Any:
    x = x.copy()
    x.flags.writeable = False
    return x


FITTING: dict[str, Callable[[Any], Any]] = {
    "as it is": lambda x: x,
    "reversed": lambda x: x[::-1].copy()[::-1],
    "strided": lambda x: np.repeat(x, 3)[::3],
    "read-only": locked,
    "unaligned": unaligned,
    "an equal dtype": lambda x: pickle.loads(pickle.dumps(x)),
    "broadcast": lambda x: np.broadcast_to(x[:1], x.shape),
    "overlapping": lambda x: np.lib.stride_tricks.as_strided(x, x.shape, (0,)),
    "a view": lambda x: np.stack([x, x + 1.0])[0],
}


@pytest.mark.parametrize("kind", FITTING)
def test_an_array_of_any_layout_is_answered_by_the_door(kind: str, left: list[Any]) -> None:
    x = np.array([-1.2, 1.0])
    g, plain = warmed(rosenbrock, x), tg.value_and_grad(rosenbrock, jit="python")
    given = FITTING[kind](x)
    left.clear()
    value, gradient = g(given)
    assert not left
    expected_value, expected = plain(given.copy())
    np.testing.assert_allclose(value, expected_value, rtol=1e-14)
    np.testing.assert_allclose(gradient, expected, rtol=1e-13)
    assert gradient.flags.owndata and gradient.flags.writeable and gradient.base is None


def test_arguments_that_overlap_and_arrays_of_no_size() -> None:
    def mixed(x: Any, y: Any) -> Any:
        return np.sum(np.tanh(x) * y + x * y * y)

    for memory in (np.linspace(0.0, 1.0, 9), np.zeros(1)):
        given = memory[:-1], memory[1:]
        native = tg.value_and_grad(mixed, argnums=(0, 1), jit="native")
        plain = tg.value_and_grad(mixed, argnums=(0, 1), jit="python")
        for x, y in (given, (memory[:-1], memory[:-1]), (memory[:-1][::-1], memory[1:])):
            for _ in range(2):
                value, slopes = native(x, y)
            expected, right = plain(x.copy(), y.copy())
            np.testing.assert_allclose(value, expected, rtol=1e-14)
            np.testing.assert_allclose(slopes, right, rtol=1e-13)
            assert not any(np.shares_memory(s, memory) for s in slopes)
            assert not np.shares_memory(*slopes)


OTHER: dict[str, Any] = {
    "another dtype": np.array([-1.2, 1.0], np.float32),
    "another byte order": np.array([-1.2, 1.0], ">f8"),
    "another size": np.array([-1.2, 1.0, 3.0]),
    "more dimensions": np.array([[-1.2], [1.0]]),
    "integers": np.array([1, 2]),
    "truth values": np.array([True, False]),
    "a subclass": np.array([-1.2, 1.0]).view(Marked),
    "a masked array": np.ma.masked_array([-1.2, 1.0]),
    "a list": [-1.2, 1.0],
    "a tuple": (-1.2, 1.0),
    "a number": 1.0,
    "nothing": None,
    "objects": np.array([-1.2, 1.0], object),
}


@pytest.mark.parametrize("kind", OTHER)
def test_anything_else_goes_another_way(kind: str, left: list[Any]) -> None:
    g = warmed(rosenbrock, np.array([-1.2, 1.0]))
    left.clear()
    given = OTHER[kind]
    try:
        expected = tg.value_and_grad(rosenbrock, jit="python")(given)
    except Exception as error:
        with pytest.raises(type(error)):
            g(given)
    else:
        found = g(given)
        np.testing.assert_allclose(found[0], expected[0], rtol=1e-6)
        np.testing.assert_allclose(np.asarray(found[1]), np.asarray(expected[1]), rtol=1e-5)
        assert type(found[1]) is type(expected[1])
    assert left
    assert g(np.array([-1.2, 1.0]))[0] == pytest.approx(24.2)


NUMBERS: list[Any] = [
    2.5,
    2,
    np.float64(2.5),
    np.float32(2.5),
    np.int64(2),
    True,
    2**40,
    np.array(2.5),
    10**400,
]


@pytest.mark.parametrize("first", NUMBERS[:6], ids=repr)
@pytest.mark.parametrize("given", NUMBERS, ids=lambda v: repr(v)[:20])
def test_numbers_are_told_apart(first: Any, given: Any) -> None:
    def function(x: Any, k: Any) -> Any:
        return x * k * k

    g = tg.value_and_grad(function, jit="native")
    for _ in range(3):
        g(2.0, first)
    try:
        expected = tg.value_and_grad(function, jit="python")(2.0, given)
    except Exception as error:
        with pytest.raises(type(error)):
            g(2.0, given)
    else:
        found = g(2.0, given)
        assert [type(v) for v in found] == [type(v) for v in expected]
        np.testing.assert_array_equal(found, expected)


def test_an_int_for_a_float_stays_on_the_door(left: list[Any]) -> None:
    g = warmed(lambda x: x * x, 2.0)
    left.clear()
    assert g(3) == (9.0, 6.0)
    assert not left
    with pytest.raises(OverflowError):
        g(10**400)
    assert g(3) == (9.0, 6.0)


def test_names_of_the_module_are_looked_up_by_the_door(
    left: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    x = np.ones(3)
    g = warmed(weighted, x, 2.0)
    left.clear()
    monkeypatch.setitem(globals(), "SCALE", 3.0)
    monkeypatch.setitem(globals(), "VECTOR", np.array([1.0, 1.0, 5.0])[::1])
    value, gradient = g(x, 2.0)
    assert value == 42.0
    np.testing.assert_array_equal(gradient, [6.0, 6.0, 30.0])
    assert not left
    monkeypatch.setitem(globals(), "VECTOR", np.array([2, 2, 2]))
    assert g(x, 2.0)[0] == 36.0
    assert left


def test_a_closure_is_looked_up_by_the_door(left: list[Any]) -> None:
    factor = 2.0

    def function(x: Any) -> Any:
        return x * x * factor

    g = warmed(function, 3.0)
    left.clear()
    factor = 5.0
    assert g(3.0) == (45.0, 30.0)
    assert not left


def test_the_code_of_the_function_is_looked_at_by_the_door(left: list[Any]) -> None:
    """`%autoreload` gives a function that others hold the code of its successor."""

    def function(x: Any) -> Any:
        return x * 2.0

    def successor(x: Any) -> Any:
        return x * x

    g = warmed(function, 3.0)
    left.clear()
    assert g(4.0) == (8.0, 2.0)
    assert not left
    function.__code__ = successor.__code__
    assert g(4.0) == (16.0, 8.0)
    assert left


def test_the_state_of_errors_is_seen_at_each_call(left: list[Any]) -> None:
    def function(x: Any) -> Any:
        return np.log(x)

    g = warmed(function, np.float64(2.0))
    left.clear()
    with np.errstate(divide="ignore"):
        assert g(np.float64(0.0))[0] == -np.inf
    assert not left
    with np.errstate(divide="raise"), pytest.raises(FloatingPointError):
        g(np.float64(0.0))
    assert left
    left.clear()
    assert g(np.float64(1.0)) == (0.0, 1.0)
    assert not left


def test_structures_of_arguments_and_results(left: list[Any]) -> None:
    def function(p: Any, q: Any) -> Any:
        return p["w"][0] @ p["w"][1] * p["b"] + q[0], {
            "aux": [p["b"], "text"],
            "none": None,
            "ok": q[0] > 0.0,
        }

    g = tg.value_and_grad(function, has_aux=True, argnums=(0, 1), jit="native")
    w, v = np.array([1.0, 2.0]), np.array([3.0, 4.0])
    for _ in range(3):
        g({"w": (w, v), "b": 2.0}, [5.0])
    left.clear()
    (value, aux), (p_bar, q_bar) = g({"b": 3.0, "w": (v, w)}, [6.0])
    assert not left
    assert value == 39.0 and aux == {"aux": [3.0, "text"], "none": None, "ok": True}
    assert list(p_bar) == ["w", "b"] and type(p_bar["w"]) is tuple and q_bar == [1.0]
    np.testing.assert_array_equal(p_bar["w"][0], 3.0 * w)
    np.testing.assert_array_equal(p_bar["w"][1], 3.0 * v)
    assert p_bar["b"] == 11.0
    for other in ({"w": [w, v], "b": 2.0}, {"w": (w,), "b": 2.0}, {"w": (w, v)}, {"w": (w, v), "c": 2.0}):
        left.clear()
        with contextlib.suppress(KeyError, IndexError):
            g(other, [5.0])
        assert left


@pytest.mark.parametrize("shape", [(0,), (1,), (0, 3), (2, 3), ()])
@pytest.mark.parametrize("kind", [np.float64, np.float32])
def test_results_of_every_size(shape: tuple[int, ...], kind: Any) -> None:
    def function(x: Any) -> Any:
        return np.sum(x * x) * kind(2.0), (x + kind(1.0), x > 0)

    x = np.ones(shape, kind)
    g = tg.value_and_grad(function, has_aux=True, jit="native")
    plain = tg.value_and_grad(function, has_aux=True, jit="python")
    for _ in range(3):
        found = g(x)
    for one, other in zip(_flat(found), _flat(plain(x)), strict=True):
        assert type(one) is type(other)
        assert one.dtype == other.dtype and one.shape == other.shape
        np.testing.assert_array_equal(one, other)
        if isinstance(one, np.ndarray):
            assert one.flags.owndata and one.flags.writeable and one.base is None


def _flat(found: Any) -> list[Any]:
    (value, aux), gradient = found
    return [value, *aux, gradient]


def test_nothing_leaks() -> None:
    x, k = np.ones(3), 2.0
    g = warmed(weighted, x, k)
    h = warmed(lambda p: np.sum(p["x"]) * p["k"][0], {"x": x, "k": [k]})
    watched = [x, VECTOR, x.dtype, np.float64, type(g).__call__]
    nested = {"x": x, "k": [k]}
    reversed_x = x[::-1]

    def run(times: int) -> None:
        for _ in range(times):
            g(x, k)
            g(reversed_x, k)
            h(nested)
            g(x, k=k)

    run(10)
    gc.collect()
    before, blocks = [sys.getrefcount(o) for o in watched], sys.getallocatedblocks()
    run(5000)
    gc.collect()
    assert max(abs(sys.getrefcount(o) - b) for o, b in zip(watched, before, strict=True)) < 10
    assert sys.getallocatedblocks() - blocks < 500


def test_what_a_door_leaves_does_not_leak() -> None:
    def function(x: Any) -> Any:
        return np.sum(x) if x[0] > 0 else np.sum(x * x)

    x = np.ones(3)
    g = tg.value_and_grad(function, jit="native")
    for sign in (1.0, -1.0) * 3:
        g(sign * x)
    with pytest.raises(TypeError):
        g(None)
    before = sys.getrefcount(None), sys.getrefcount(x)
    for _ in range(200):
        with pytest.raises(TypeError):
            g("no")
        g(-x)
        g(x)
    assert sys.getrefcount(x) == before[1]


def counted_up(x: Any, limit: Any) -> Any:
    while x < limit:
        x = x + 1.0
    return x


def test_other_threads_run_while_a_long_program_does() -> None:
    f = tg.jit(counted_up)
    for limit in (3.0, 2e5, 2e5, 2e5, 2e5):
        f(0.0, limit)
    assert f.last.built.releases
    running, seen = threading.Event(), []
    state = {"done": False}

    def work() -> None:
        running.set()
        f(0.0, 5e8)
        state["done"] = True

    before = sys.getswitchinterval()
    sys.setswitchinterval(1000.0)  # nobody is asked to make room: who holds the lock keeps it
    try:
        thread = threading.Thread(target=work)
        thread.start()
        running.wait()
        seen.append(state["done"])
        thread.join()
    finally:
        sys.setswitchinterval(before)
    assert seen == [False]


def test_threads_share_a_program() -> None:
    draw = np.random.default_rng(5)
    inputs = [draw.normal(size=2) for _ in range(50)]
    g = warmed(rosenbrock, inputs[0])
    expected = [tg.value_and_grad(rosenbrock, jit="python")(x) for x in inputs]
    failed: list[Any] = []

    def work() -> None:
        for _ in range(40):
            for x, (value, gradient) in zip(inputs, expected, strict=True):
                found = g(x)
                if abs(found[0] - value) > 1e-9 * value or not np.allclose(found[1], gradient, rtol=1e-9):
                    failed.append(x)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed


def test_calls_are_counted_however_they_come() -> None:
    g = warmed(weighted, np.ones(3), 2.0)
    before = g.stats.calls
    g(np.ones(3), 2.0)
    g(np.ones(3), k=2.0)
    g(x=np.ones(3), k=2.0)
    g(np.ones(4)[:3], 3)
    assert g.stats.calls == before + 4


def test_the_machine_code_of_a_door_grows_less_than_its_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    """References that the call gives back stay in memory: in registers, each had a value for each way out. What is
    asked of an array is written once for all of a kind."""
    lengths: list[int] = []
    tidied = DoorLibrary._optimize_final_module

    def counted(library: DoorLibrary) -> None:
        tidied(library)
        lengths.append(len(str(library._final_module)))

    monkeypatch.setattr(DoorLibrary, "_optimize_final_module", counted)
    for n in (6, 24):
        doubled = tg.jit(lambda arrays: [2.0 * a for a in arrays], jit="native")
        given = [np.full(k + 2, 1.0 * k) for k in range(n)]
        with tg.config.using(cache="none"):
            for _ in range(2):
                for found, a in zip(doubled(given), given, strict=True):
                    np.testing.assert_array_equal(found, 2.0 * a)
    assert len(lengths) == 2
    assert lengths[1] < 2.6 * lengths[0], lengths
