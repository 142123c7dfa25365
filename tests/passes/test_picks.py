"""What arrays of indices pick of what is computed, computed of what they pick."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tracegrad as tg
from tests.passes.written import read
from tracegrad.ir.interpret import interpret
from tracegrad.ir.text import text
from tracegrad.ir.trace import Instr, Trace
from tracegrad.ir.verify import verify
from tracegrad.passes import picks
from tracegrad.passes.spell_out import spell_out

ROWS, COLUMNS = 12, 10


@pytest.fixture(autouse=True)
def small_arrays_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picks, "LARGE", 1)


def labels(x: Any, t: Any) -> Any:
    top = np.max(x, axis=1, keepdims=True)
    lp = x - top - np.log(np.sum(np.exp(x - top), axis=1, keepdims=True))
    return -np.mean(lp[np.arange(len(t)), t])


def columns(x: Any, t: Any) -> Any:
    return np.sum((np.tanh(x) * x[0] - x[:, :1])[t, t] ** 2)


def row(x: Any, t: Any) -> Any:
    return np.sum((x * x - x[:, :1] / (1 + x[3] ** 2))[t[:1]] ** 3)


def square(x: Any, t: Any) -> Any:
    a, b = t[:3, None], t[2:5]
    return np.sum((np.exp(x) - x[0] + x[:, 1:2])[a, b] * np.arange(3.0))


def before_the_first(x: Any, t: Any) -> Any:
    return np.sum(np.where(x > 0, x, x * x)[t - COLUMNS, -t - 1])


def repeated(x: Any, t: Any) -> Any:
    y = np.zeros((ROWS, COLUMNS)) + x
    y = y / np.sum(y * y, axis=1, keepdims=True)
    return np.sum(np.log(1 + y * y)[t // 3, t // 2]) + np.sum((y + 1)[t % 2, t % 3])


def a_block(x: Any, t: Any) -> Any:
    y = np.reshape(np.concatenate([x, x * x, -x]), (ROWS, 3, COLUMNS))
    return np.sum((y * y - np.sum(y, axis=1, keepdims=True) + y[0])[t[:1], t[:1] % 3] ** 2)


def no_pick(x: Any, t: Any) -> Any:
    """All the rows, and more."""
    return np.sum((x * x)[np.concatenate([t, t])] ** 2)


@pytest.mark.parametrize(
    "function", [labels, columns, row, square, before_the_first, repeated, a_block, no_pick]
)
def test_values_and_gradients_are_those_of_the_readable_program(function: Callable[..., Any]) -> None:
    rng = np.random.default_rng(3)
    x, t = rng.normal(size=(ROWS, COLUMNS)), rng.integers(0, COLUMNS, ROWS)
    native, readable = (tg.value_and_grad(function, jit=tier) for tier in ("native", "python"))
    (value, bar), (wanted, wanted_bar) = native(x, t), readable(x, t)
    np.testing.assert_allclose(value, wanted, rtol=1e-13)
    np.testing.assert_allclose(bar, wanted_bar, rtol=1e-12, atol=1e-14)
    assert value == pytest.approx(function(x, t), rel=1e-13)


def test_labels_outside_are_an_error_of_their_axis() -> None:
    x, t = np.ones((ROWS, COLUMNS)), np.full(ROWS, COLUMNS)
    native = tg.value_and_grad(labels, jit="native")
    native(x, t - 1)
    with pytest.raises(IndexError, match="index 10 is out of bounds for axis 1 with size 10"):
        native(x, t)


def names(trace: Trace) -> list[str]:
    return [step.op.name for step in trace.steps if isinstance(step, Instr)]


def rewritten(written: str, *values: Any) -> Trace:
    """The trace as native text has it, which computes the same."""
    trace = read(written)
    found = spell_out(trace)
    verify(found)
    for one, other in zip(interpret(found, values), interpret(trace, values), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-14)
    return found


def test_elements_are_read_before_the_steps_that_make_them() -> None:
    x, m, t = np.arange(120.0).reshape(12, 10), np.arange(12.0).reshape(12, 1), np.arange(9)
    found = rewritten(
        """
        trace(x: f8[12,10], m: f8[12,1], t: i8[9]):
          a: f8[12,10] = subtract(x, m)
          b: f8[12,10] = tanh(a)
          c: f8[9] = getitem(b, t, t, index=(Slot(0), Slot(1)))
          return c
        """,
        x,
        m,
        t,
    )
    shapes = {step.outputs[0].shape for step in found.steps[-4:] if isinstance(step, Instr)}
    assert names(found)[-4:] == ["getitem", "getitem", "subtract", "tanh"] and shapes == {(9,)}


def test_what_many_steps_make_is_made_once() -> None:
    lines = [f"a{k + 1}: f8[12,10] = tanh(a{k})" for k in range(picks.MOST + 1)]
    written = "\n  ".join(
        [
            "trace(a0: f8[12,10], t: i8[9]):",
            *lines,
            f"b: f8[9] = getitem(a{len(lines)}, t, t, index=(Slot(0), Slot(1)))",
            "return b",
        ]
    )
    assert names(rewritten(written, np.ones((12, 10)), np.arange(9)))[-1] == "getitem"


@pytest.mark.parametrize(
    ("step", "shape"),
    [
        ("sum(b, axis=(1,), keepdims=False)", "12,5"),
        ("sum(b, axis=(1,), keepdims=True)", "12,1,5"),
        ("sum(b, axis=(0,), keepdims=False)", "10,5"),
        ("sum_to(b, shape=(12, 1, 5))", "12,1,5"),
        ("sum_to(b, shape=(10, 5))", "10,5"),
        ("sum_to(b, shape=(1, 10, 5))", "1,10,5"),
    ],
)
@pytest.mark.parametrize("order", ["i, j, v, index=(Slot(0), Slot(1))", "j, i, v, index=(Slot(1), Slot(0))"])
def test_sums_of_what_is_added_to_zeros(step: str, shape: str, order: str) -> None:
    i, j = np.array([3, 3, 11, 0, 3]), np.array([2, 2, 9, 0, 1])
    found = rewritten(
        f"""
        trace(i: i8[5], j: i8[5], v: f8[5,5]):
          a: f8[12,10,5] = zeros(shape=(12, 10, 5), dtype=f8)
          b: f8[12,10,5] = index_add(a, {order})
          c: f8[{shape}] = {step}
          return c
        """,
        i,
        j,
        np.random.default_rng(0).normal(size=(5, 5)),
    )
    assert names(found)[-1] == "index_add" and "sum" not in text(found)


def test_sums_that_have_no_such_place_stay() -> None:
    found = rewritten(
        """
        trace(i: i8[5], v: f8[5,10]):
          a: f8[12,10] = zeros(shape=(12, 10), dtype=f8)
          b: f8[12,10] = index_add(a, i, v, index=(Slot(0),))
          c: f8[12] = sum(b, axis=(1,), keepdims=False)
          d: f8[] = sum(b, axis=(0, 1), keepdims=False)
          return c, d
        """,
        np.arange(5),
        np.arange(50.0).reshape(5, 10),
    )
    assert names(found).count("sum") == 2
