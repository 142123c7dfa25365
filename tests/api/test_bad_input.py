"""Mistakes: what happened, where in the user's file and line, what to do; and nothing half-recorded."""

from __future__ import annotations

import copy
import logging
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.special

import tracegrad as tg
from tracegrad.errors import (
    ArgumentError,
    InPlaceError,
    LeakError,
    NotDifferentiableError,
    NotScalarError,
    UnsupportedError,
)

FILE = Path(__file__).name


@pytest.fixture(autouse=True)
def readable_text() -> Iterator[None]:
    with tg.config.using(jit="python"):
        yield


def mistake(call: Callable[[], Any], kind: type[Exception], *words: str) -> None:
    """The call raises this error, in three parts, and the line it names is one of this file that says `words[0]`."""
    with pytest.raises(kind) as caught:
        call()
    what, where, *rest = str(caught.value).split("\n")
    assert where.startswith(f"  where: {FILE}:"), where
    line = int(where.split(":")[2].split(",")[0])
    text = Path(__file__).read_text().splitlines()[line - 1]
    assert words[0] in text, f"{where} is {text!r}"
    assert text.strip() == rest[0].strip()
    assert rest[1].startswith("  do:    ")
    for word in words[1:]:
        assert word in str(caught.value), f"{word!r} is not in {caught.value}"
    assert what.rstrip()[-1] in ".`"


class Subclass(np.ndarray):
    """An array whose operators may mean something else."""


def square(x: Any) -> Any:
    return np.sum(x * x)


# --- results


def test_a_result_that_is_no_number() -> None:
    def vector(x: Any) -> Any:
        return x * 2.0

    def pair(x: Any) -> Any:
        return x[0], x[1]

    def text(x: Any) -> Any:
        return "text"

    def nothing(x: Any) -> Any:
        x * 2.0

    def truth(x: Any) -> Any:
        return x[0] > 1.0

    def whole(x: Any) -> Any:
        return len(x)

    x = np.ones(2)
    mistake(lambda: tg.grad(vector)(x), NotScalarError, "def vector", "shape (2,)", "np.sum")
    mistake(lambda: tg.value_and_grad(vector)(x), NotScalarError, "def vector", "value_and_grad")
    mistake(lambda: tg.grad(pair)(x), NotScalarError, "def pair", "tuple of 2 values", "has_aux")
    mistake(lambda: tg.grad(text)(x), NotScalarError, "def text", "'text'")
    mistake(lambda: tg.grad(nothing)(x), NotScalarError, "def nothing", "None")
    mistake(lambda: tg.grad(truth)(x), NotScalarError, "def truth", "bool")
    mistake(lambda: tg.grad(whole)(x), NotScalarError, "def whole", "int64", "return a float")
    mistake(lambda: tg.grad(vector, has_aux=True)(x), NotScalarError, "def vector", "(value, aux)")
    mistake(lambda: tg.grad(lambda v: tg.grad(vector)(v)[0])(x), NotScalarError, "def vector")


# --- functions


def test_a_function_whose_calls_run_later() -> None:
    async def later(x: Any) -> Any:
        return x * x

    def parts(x: Any) -> Iterator[Any]:
        yield x * x

    class Model:
        async def loss(self, x: Any) -> Any:
            return x

    for transform, name in ((tg.grad, "grad"), (tg.value_and_grad, "value_and_grad"), (tg.jit, "jit")):
        mistake(lambda t=transform: t(later), ArgumentError, "t(later)", f"`{name}` got `later`", "async")
        mistake(
            lambda t=transform: t(parts),
            ArgumentError,
            "t(parts)",
            f"`{name}` got `parts`",
            "generator",
            "list",
        )
    mistake(lambda: tg.vjp(Model().loss, 1.0), ArgumentError, "tg.vjp(Model().loss", "`loss`", "async")
    assert tg.grad(lambda x: sum(parts(x)))(3.0) == 6.0


# --- arguments


@pytest.mark.parametrize(
    ("bad", "word"),
    [
        (np.arange(3), "astype(float)"),
        (np.array([True, False]), "bool"),
        (np.ones(2, np.clongdouble), "complex256"),
        (np.ones(2, np.longdouble), "float"),
        (np.array([1.0, None], object), "object"),
        (np.array(["a"]), "array of <U1"),
        (np.ma.array([1.0, 2.0], mask=[0, 1]), "filled"),
        (np.ones(2).view(Subclass), "np.asarray(x)"),
        ("text", "'text'"),
        (b"bytes", "bytes"),
        (None, "None"),
        (True, "bool"),
        (object(), "object"),
        (np.datetime64("2020-01-01"), "datetime64"),
        ([1.0, "two"], "x[1]"),
        ({"a": {"b": np.arange(2)}}, "x['a']['b']"),
    ],
    ids=lambda v: type(v).__name__ if not isinstance(v, str) else v,
)
def test_an_argument_that_cannot_be_differentiated(bad: Any, word: str) -> None:
    g = tg.grad(square)
    mistake(lambda: g(bad), ArgumentError, "mistake(lambda: g(bad)", "argument `x", "`square`", word)
    assert g.stats.captures == 0
    assert g(3.0) == 6.0


def test_an_argument_that_cannot_be_traced() -> None:
    g = tg.grad(lambda x, data: x * data[0])
    for bad in (np.ones(2, np.clongdouble), np.array([None, 1.0]), np.zeros(2, [("a", object)])):
        mistake(lambda bad=bad: g(1.0, bad), ArgumentError, "g(1.0, bad)", "`data`", "cannot be traced")
    masked = np.ma.array([1.0, 2.0], mask=[0, 1])
    mistake(lambda: g(1.0, masked), ArgumentError, "g(1.0, masked)", "data.filled(0.0)")


def test_an_argument_that_is_not_there() -> None:
    g = tg.grad(lambda x, y: x * y, argnums=1)
    mistake(lambda: g(1.0), ArgumentError, "g(1.0)", "`y`", "does not give")
    mistake(lambda: tg.grad(lambda *a: a[0], argnums=3)(1.0), ArgumentError, "argnums=3", "argument 3")
    with pytest.raises(TypeError, match="positional argument"):
        tg.grad(lambda x: x)(1.0, 2.0)
    with pytest.raises(TypeError, match="unexpected keyword"):
        tg.grad(lambda x: x)(1.0, z=2.0)


def test_cotangents_and_tangents_that_do_not_fit() -> None:
    _, pullback = tg.vjp(lambda x: [x * 2.0, np.sum(x)], np.ones(3))
    mistake(lambda: pullback(np.ones(3)), ArgumentError, "pullback(np.ones(3))", "structure")
    mistake(lambda: pullback([np.ones(2), 1.0]), ArgumentError, "np.ones(2)", "shape (2,)", "shape (3,)")
    mistake(lambda: pullback([np.ones(3)]), ArgumentError, "pullback([np.ones(3)])", "structure")
    push = tg.jvp(lambda x: x * 2.0)
    mistake(lambda: push((np.ones(3),), (np.ones(2),)), ArgumentError, "push(", "`x`", "(2,)", "(3,)")
    mistake(lambda: push((np.ones(3),), ([1.0],)), ArgumentError, "push(", "structure")
    mistake(lambda: push((1.0,), (1.0, 2.0)), ArgumentError, "push(", "1 primals and 2 tangents")
    mistake(lambda: push((1.0,), (1j,)), ArgumentError, "push(", "`x`", "complex128", "`.real`")
    mistake(lambda: push((1.0,), ("1",)), ArgumentError, "push(", "`x`", "pass a number")
    mistake(lambda: pullback([np.ones(3), 1j]), ArgumentError, "1j", "cotangent", "complex128", "`.real`")


# --- inside the function


def test_stores_into_an_array_of_somebody_else() -> None:
    buffer = np.zeros(3)

    def store(x: Any) -> Any:
        buffer[0] = x[0]
        return x[0]

    def into_argument(x: Any) -> Any:
        x[0] = 1.0
        return np.sum(x)

    mistake(lambda: tg.grad(store)(np.ones(3)), InPlaceError, "buffer[0] = x[0]", "`buffer`", "copy")
    mistake(lambda: tg.grad(into_argument)(np.ones(3)), InPlaceError, "x[0] = 1.0", "`x`")
    assert buffer.tolist() == [0.0, 0.0, 0.0]


def test_a_derivative_that_would_be_lost() -> None:
    def lost(x: Any) -> Any:
        return np.sum(np.asarray(x.tobytes()))

    def whole(x: Any) -> Any:
        out = np.zeros(2, int)
        out[0] = x[0]
        return np.sum(out) * x[1]

    with pytest.raises((LeakError, UnsupportedError, AttributeError, TypeError)):
        tg.grad(lost)(np.ones(2))
    mistake(lambda: tg.grad(whole)(np.ones(2)), LeakError, "out[0] = x[0]", "int")


def test_an_op_without_a_derivative() -> None:
    def rounded(x: Any) -> Any:
        return np.sum(scipy.special.hyp1f1(x, 2.0, 0.5) * x)

    with pytest.raises((NotDifferentiableError, UnsupportedError)) as caught:
        tg.grad(rounded)(np.ones(2))
    assert f"where: {FILE}:" in str(caught.value) and "do:    " in str(caught.value)


def test_an_unknown_function_is_named() -> None:
    def unknown(x: Any) -> Any:
        return np.sum(np.packbits(x > 0))

    mistake(lambda: tg.grad(unknown)(np.ones(3)), UnsupportedError, "np.packbits(x > 0)", "`np.packbits`")


def test_shapes_that_do_not_fit_have_numpys_message_and_the_users_line() -> None:
    def clash(x: Any) -> Any:
        return np.sum(x + np.ones(4))

    with pytest.raises(
        ValueError, match=r"could not be broadcast together with shapes \(3,\) \(4,\)"
    ) as caught:
        tg.grad(clash)(np.ones(3))
    notes = "\n".join(caught.value.__notes__)
    assert f"where: {FILE}:" in notes and "x + np.ones(4)" in notes


def test_a_function_that_raises() -> None:
    class Custom(Exception):
        pass

    def fails(x: Any, how: Any) -> Any:
        y = x * 2.0
        if how:
            raise Custom("mine")
        return y

    g = tg.grad(fails)
    for _ in range(2):
        with pytest.raises(Custom, match="mine") as caught:
            g(1.0, True)
        frames = [entry.name for entry in caught.traceback]
        assert frames[-1] == "fails"
        assert 'raise Custom("mine")' in str(caught.traceback[-1].statement)
    assert g.stats.captures == 0
    assert g.paths == ""
    assert g(1.0, False) == 2.0
    assert g.stats.captures == 1


def test_an_interrupt_leaves_nothing_behind() -> None:
    stop = [True]

    def slow(x: Any) -> Any:
        for _ in range(3):
            x = x * 2.0
            if stop[0]:
                raise KeyboardInterrupt
        return x

    g = tg.grad(slow)
    with pytest.raises(KeyboardInterrupt):
        g(1.0)
    stop[0] = False
    assert g(1.0) == 8.0
    assert tg.tensor([1.0, 2.0], requires_grad=True).sum().item() == 3.0
    assert g.stats.captures == 1


def test_a_type_error_of_the_users_is_never_swallowed() -> None:
    def f(x: Any, how: Any) -> Any:
        if x > 5.0:
            raise TypeError("mine")
        return x * how

    g = tg.grad(f)
    for _ in range(3):
        assert g(1.0, 2.0) == 2.0
    with pytest.raises(TypeError, match="mine"):
        g(6.0, 2.0)
    with pytest.raises(TypeError, match="missing 1 required positional argument"):
        g(1.0)
    assert g(1.0, 2.0) == 2.0


def test_a_value_that_leaks_out_is_said(caplog: pytest.LogCaptureFixture) -> None:
    kept: list[Any] = []

    def leak(x: Any) -> Any:
        kept.append(x)
        return x[0]

    with caplog.at_level(logging.WARNING, logger="tracegrad"):
        g = tg.grad(leak)
        for _ in range(3):
            assert g(np.ones(2)).tolist() == [1.0, 0.0]
    assert len(caplog.records) == 1
    assert "append" in caplog.text and f"{FILE}:" in caplog.text
    assert len(kept) == 3


@pytest.mark.parametrize("jit", ["python", "native"])
def test_a_pullback_is_copied_and_not_pickled(jit: str) -> None:
    """It said which object inside cannot be pickled."""
    _, pull = tg.vjp(lambda x: np.sum(x**2), jit=jit)(np.ones(3))
    with pytest.raises(UnsupportedError, match="belongs to a program of this process"):
        pickle.dumps(pull)
    for made in (copy.copy(pull), copy.deepcopy({"pull": pull})["pull"]):
        np.testing.assert_array_equal(made(1.0), 2 * np.ones(3))
