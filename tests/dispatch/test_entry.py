"""The warm call: whatever the entry of a path is called with, the answer is that of plain Python, or the same error."""

from __future__ import annotations

import builtins
import gc
import types
import weakref
from collections import namedtuple
from typing import Any

import numpy as np
import pytest

import tracegrad as tg
from tracegrad.dispatch import entry
from tracegrad.tensor import capture

SCALE = 2.0
POWER = 2
weight = np.array([1.0, 2.0])


def helper(x: Any) -> Any:
    return x * SCALE


def scaled(x: Any, y: Any = 3.0, *, z: Any = 1.0) -> Any:
    return helper(x) * y + z * x**POWER


def warmed(function: Any, *args: Any, jit: str = "native", **keywords: Any) -> Any:
    """Its value and gradient by the first argument, called until an entry answers."""
    g = tg.value_and_grad(function, jit=jit)
    for _ in range(3):
        g(*args, **keywords)
    return g


def no_capture(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*args: Any) -> Any:
        raise AssertionError("the entry did not answer")

    monkeypatch.setattr("tracegrad.dispatch.dispatcher.Dispatcher._general", forbidden)


@pytest.mark.parametrize("jit", ["python", "native"])
def test_an_argument_may_come_by_name_or_by_place(jit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    g = warmed(scaled, 2.0, 5.0, z=0.5, jit=jit)
    no_capture(monkeypatch)
    for found in (g(3.0, 7.0, z=0.25), g(3.0, z=0.25, y=7.0), g(z=0.25, y=7.0, x=3.0)):
        assert found == (3.0 * 2.0 * 7.0 + 0.25 * 9.0, 2.0 * 7.0 + 0.25 * 6.0)


def test_arguments_left_to_their_defaults_are_another_kind_of_call() -> None:
    g = warmed(scaled, 2.0, 5.0, z=0.5)
    assert g(3.0)[0] == scaled(3.0)
    assert g(3.0, z=2.0)[0] == scaled(3.0, z=2.0)
    assert g(3.0, 4.0)[0] == scaled(3.0, 4.0)
    assert g(y=4.0, x=3.0)[0] == scaled(3.0, 4.0)
    assert g(3.0, 7.0, z=0.25)[0] == scaled(3.0, 7.0, z=0.25)


@pytest.mark.parametrize(
    ("args", "keywords"),
    [((), {}), ((1.0, 2.0, 3.0), {}), ((1.0,), {"w": 2.0}), ((1.0,), {"x": 1.0}), ((), {"y": 2.0})],
)
def test_a_wrong_call_is_refused_as_it_is_when_cold(args: Any, keywords: Any) -> None:
    cold, warm = tg.value_and_grad(scaled), warmed(scaled, 2.0)
    with pytest.raises(TypeError) as expected:
        cold(*args, **keywords)
    with pytest.raises(TypeError) as found:
        warm(*args, **keywords)
    assert isinstance(found.value, TypeError) and type(expected.value).__mro__[-4:] == TypeError.__mro__[-4:]
    assert warm(2.0) == cold(2.0)


def test_positional_only_parameters_and_open_ones() -> None:
    def only(x: Any, /, y: Any) -> Any:
        return x * y

    def any_keywords(x: Any, **rest: Any) -> Any:
        return x * sum(rest.values()) * len(rest)

    def any_arguments(*parts: Any) -> Any:
        return parts[0] * sum(parts)

    g, h, k = warmed(only, 2.0, 3.0), warmed(any_keywords, 2.0, a=1.0, b=4.0), warmed(any_arguments, 2.0, 3.0)
    assert g(4.0, y=5.0) == (20.0, 5.0)
    with pytest.raises(TypeError):
        g(x=4.0, y=5.0)
    assert h(4.0, b=1.0, a=2.0) == (24.0, 6.0)
    assert h(4.0, b=1.0) == (4.0, 1.0)
    assert h(4.0, x2=1.0, a=2.0) == (24.0, 6.0)
    assert k(4.0, 5.0) == (36.0, 13.0)
    assert k(4.0, 5.0, 6.0) == (60.0, 19.0)


def test_a_decorated_function_hears_how_it_was_called() -> None:
    def counts(*args: Any, **keywords: Any) -> Any:
        return args[0] * (10.0 if keywords else 1.0)

    counts.__wrapped__ = scaled  # type: ignore[attr-defined]
    g = tg.value_and_grad(counts)
    for _ in range(3):
        assert g(2.0, 3.0)[0] == 2.0
    for _ in range(3):
        assert g(2.0, y=3.0)[0] == 20.0
    assert g(2.0, 3.0)[0] == 2.0


NUMBERS = [2, 2.5, np.float64(2.5), np.float32(2.5), np.int64(2), np.array(2.5), np.array(2.5, np.float32)]


@pytest.mark.parametrize("first", NUMBERS, ids=repr)
def test_each_kind_of_number_gets_the_answer_of_its_own_kind(first: Any) -> None:
    def function(x: Any) -> Any:
        return x * x * np.float32(3.0)

    g = warmed(function, first)
    for x in NUMBERS:
        fresh = tg.value_and_grad(function, jit="python")(x)
        found = g(x)
        assert [type(v) for v in found] == [type(v) for v in fresh]
        assert [np.asarray(v).dtype for v in found] == [np.asarray(v).dtype for v in fresh]
        np.testing.assert_array_equal(found, fresh)


class Special(float):
    pass


@pytest.mark.parametrize(
    "wrong", [True, "2", None, 2j, Special(2.0), [2.0], object()], ids=lambda v: type(v).__name__
)
def test_what_is_no_number_does_not_reach_the_machine_code(wrong: Any) -> None:
    def function(x: Any, y: Any) -> Any:
        return x * (y if isinstance(y, float) else 3.0)

    g, h = warmed(function, 2.0, 5.0), warmed(scaled, 2.0)
    assert g(2.0, wrong)[0] == function(2.0, wrong)
    try:
        fresh: Any = tg.value_and_grad(scaled, jit="python")(wrong)
    except Exception as error:
        with pytest.raises(type(error)):
            h(wrong)
    else:
        assert h(wrong) == fresh


def test_arrays_of_any_layout_and_of_other_types() -> None:
    def function(x: Any, k: Any) -> Any:
        return np.sum(x * x * k[0])

    base = np.arange(12.0).reshape(3, 4) + 1.0
    g = warmed(function, base.copy(), np.array([2.0]))
    locked = base.copy()
    locked.flags.writeable = False
    shifted = np.frombuffer(b"\0" + base.tobytes(), np.uint8)[1:].view(np.float64).reshape(3, 4)
    assert not shifted.flags.aligned
    layouts = {
        "fortran": np.asfortranarray(base),
        "strided": np.repeat(base, 2, axis=1)[:, ::2],
        "backwards": base[::-1, ::-1].copy()[::-1, ::-1],
        "locked": locked,
        "unaligned": shifted,
        "swapped": base.astype(">f8"),
        "single": base.astype(np.float32),
        "turned": base.T,
        "flat": base.ravel(),
        "more": np.ones((3, 5)),
        "none": np.ones((0, 4)),
    }
    for name, x in layouts.items():
        value, gradient = g(x, np.array([2.0]))
        assert value == pytest.approx(function(x, np.array([2.0])), rel=1e-6), name
        np.testing.assert_allclose(gradient, 4.0 * x, err_msg=name)
    assert g(base, np.array([3]))[0] == function(base, np.array([3]))
    with pytest.raises(TypeError):
        g(np.ma.masked_array(base), np.array([2.0]))


@pytest.mark.parametrize("kind", [np.float64, np.float32])
def test_numbers_come_back_bit_for_bit(kind: Any) -> None:
    g = warmed(lambda x: x + kind(0.0) if x > 7.0 else x * kind(1.0), kind(2.0))
    tiny = np.finfo(kind).smallest_subnormal
    for value in (0.0, -0.0, np.inf, -np.inf, np.nan, -np.nan, tiny, -tiny, np.finfo(kind).max, 0.1, 8.0):
        found, slope = g(kind(value))
        assert type(found) is type(slope) is kind
        assert found.tobytes() == kind(value).tobytes()
        assert slope == 1.0


def test_results_belong_to_the_caller() -> None:
    def function(x: Any) -> Any:
        return np.sum(x * weight)

    g = warmed(function, np.ones(2))
    first, second = g(np.ones(2))[1], g(np.ones(2))[1]
    first[0] = 99.0
    assert second.tolist() == [1.0, 2.0]
    assert weight.tolist() == [1.0, 2.0]


# --- what was read outside


def in_module(text: str, **names: Any) -> Any:
    module = types.ModuleType("a_module")
    vars(module).update(np=np, **names)
    exec(text, vars(module))
    return module


def test_names_of_the_module_are_looked_up_again() -> None:
    module = in_module("def f(x):\n    return helper(x) * factor + power * x", factor=2.0, power=3)
    module.helper = lambda x: x * x
    g = warmed(module.f, 2.0)
    assert g(3.0) == (27.0, 15.0)
    module.factor = 4.0
    assert g(3.0) == (45.0, 27.0)
    module.power = 5
    assert g(3.0) == (51.0, 29.0)
    module.helper = lambda x: x + 1.0
    assert g(3.0) == (31.0, 9.0)
    del module.helper
    with pytest.raises(NameError, match="helper"):
        g(3.0)
    module.helper = lambda x: x
    assert g(3.0) == (27.0, 9.0)


def test_a_builtin_that_is_hidden_later(monkeypatch: pytest.MonkeyPatch) -> None:
    module = in_module("def f(x):\n    for k in range(2):\n        x = x * abs(x)\n    return x")
    g = warmed(module.f, 2.0)
    assert g(3.0)[0] == module.f(3.0)
    module.range = lambda n: builtins.range(n + 1)
    assert g(3.0)[0] == module.f(3.0) == 3.0**8
    del module.range
    assert g(3.0)[0] == module.f(3.0) == 3.0**4


def test_names_that_the_entry_needs_itself_may_be_hidden() -> None:
    module = in_module("def f(x):\n    return x * type * len", type=2.0, len=3.0)
    module.float = module.int = module.MISSING = None
    g = warmed(module.f, np.float64(2.0))
    assert g(np.float64(2.0)) == (12.0, 6.0)
    assert g(2) == (12.0, 6.0)


def test_a_global_with_the_name_of_a_parameter() -> None:
    module = in_module("def h(x):\n    return x * y\ndef f(x, y):\n    return h(x) + y", y=5.0)
    g = warmed(module.f, 2.0, 7.0)
    assert g(3.0, 1.0) == (16.0, 5.0)
    module.y = 6.0
    assert g(3.0, 1.0) == (19.0, 6.0)


def test_an_error_with_a_name_in_the_users_function_is_not_taken_for_a_changed_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    module = in_module("def f(x):\n    if x > 0:\n        return x * x\n    return undefined")
    g = warmed(module.f, 2.0)
    runs: list[Any] = []
    original = capture.capture
    monkeypatch.setattr(capture, "capture", lambda *given: (runs.append(given), original(*given))[1])
    with pytest.raises(NameError, match="undefined"):
        g(-2.0)
    assert len(runs) == 1


# --- nested arguments and results

Pair = namedtuple("Pair", "left right")


def nested(p: Any) -> Any:
    return p["w"][0] * p["w"][1] + p["b"]


def test_nested_arguments_of_the_same_and_of_another_structure(monkeypatch: pytest.MonkeyPatch) -> None:
    g = warmed(nested, {"w": (2.0, 3.0), "b": 1.0})
    with monkeypatch.context() as inner:
        no_capture(inner)
        value, gradient = g({"b": 4.0, "w": (5.0, 6.0)})
    assert (value, gradient) == (34.0, {"w": (6.0, 5.0), "b": 1.0})
    others = [
        {"w": [5.0, 6.0], "b": 4.0},
        {"w": (5.0, 6.0, 7.0), "b": 4.0},
        {"w": (5.0, 6.0), "b": 4.0, "c": 8.0},
        {"w": Pair(5.0, 6.0), "b": 4.0},
        {"w": (5.0, (6.0,)[0]), "b": np.float64(4.0)},
    ]
    for p in others:
        value, gradient = g(p)
        assert value == 34.0
        assert type(gradient["w"]) is type(p["w"])
        assert len(gradient["w"]) == len(p["w"])
        assert sorted(gradient) == sorted(p)
    with pytest.raises(KeyError):
        g({"v": (5.0, 6.0), "b": 4.0})


def test_nested_results_and_named_tuples() -> None:
    def function(p: Any, q: Any) -> Any:
        return p.left * q[0] * q[1]["a"], {"aux": [p.right, "text"], "none": None}

    g = tg.value_and_grad(function, has_aux=True, jit="native")
    for _ in range(3):
        value, gradient = g(Pair(2.0, 3.0), [4.0, {"a": 5.0}])
    assert value == (40.0, {"aux": [3.0, "text"], "none": None})
    assert gradient == Pair(20.0, 0.0) and type(gradient) is Pair


# --- the object itself


def test_two_functions_do_not_share_an_entry() -> None:
    g, h = warmed(scaled, 2.0), warmed(nested, {"w": (2.0, 3.0), "b": 1.0})
    assert g(3.0)[0] == scaled(3.0)
    assert h({"w": (2.0, 4.0), "b": 1.0})[0] == 9.0
    assert type(g).__name__ == type(h).__name__ == "Dispatcher"


def test_methods_and_bound_methods_have_entries() -> None:
    class Model:
        rate = 3.0

        @tg.grad(argnums=1)
        def loss(self, x: Any) -> Any:
            return self.rate * x * x

        def energy(self, x: Any) -> Any:
            return self.rate * x

    model = Model()
    assert [model.loss(2.0) for _ in range(4)] == [12.0] * 4
    model.rate = 5.0
    assert [model.loss(2.0) for _ in range(2)] == [20.0] * 2
    g = warmed(model.energy, 2.0)
    assert g(x=3.0) == (15.0, 5.0)


def test_a_function_that_is_dropped_goes_with_its_entry() -> None:
    g = warmed(lambda x: x * x, 2.0)
    gone = weakref.ref(g)
    del g
    gc.collect()
    assert gone() is None


def test_the_text_of_an_entry_grows_as_its_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every argument has a line that leaves; none of them tells all the arguments."""
    texts: list[str] = []

    def compiled(text: str, file: str, mode: str) -> Any:
        texts.append(text)
        return compile(text, file, mode)

    monkeypatch.setattr(entry, "compile", compiled, raising=False)
    for n in (30, 120):
        names = [f"p{k}" for k in range(n)]
        made: dict[str, Any] = {}
        exec(f"def f({', '.join(names)}): return {' + '.join(f'{p} * {p}' for p in names)}", made)
        g = tg.grad(made["f"], argnums=tuple(range(n)), jit="python")
        for given in ([0.5 * k for k in range(n)], list(range(n)), [np.float64(k) for k in range(n)]):
            assert [2.0 * x for x in given] == list(g(*given))
    assert len(texts) == 4  # one for floats and ints of Python's, one for NumPy's
    assert len(texts[2]) < 4.4 * len(texts[0])
