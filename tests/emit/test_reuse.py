"""Arrays that a native loop replaces: in place, by turns, never where somebody else could see it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tracegrad as tg

X, V = np.array([0.6, -0.5, 0.4]), np.array([0.1, 1.0, 0.3])


def doubled(x: Any, v: Any) -> Any:
    y = x * 2.0
    while np.sum(y * y) < 100.0:
        y = y * 2.0
    return np.sum(y * v)


def argument(x: Any, v: Any) -> Any:
    y = x
    for _ in range(3):
        y = y * 1.5
    return np.sum(y * x) + np.sum(v)


def exchanged(x: Any, v: Any) -> Any:
    a, b = x * 1.0, v * 1.0
    for _ in range(5):
        a, b = b, a * 0.5 + b
    return np.sum(a * b)


def both_the_same(x: Any, v: Any) -> Any:
    a = x * 1.0
    b = a
    for _ in range(3):
        a = a * 2.0
        b = b + v
    return np.sum(a * b)


def neighbours(x: Any, v: Any) -> Any:
    y = x * 1.0
    for _ in range(4):
        y = y + 0.1 * y[::-1]
    return np.sum(y * v)


def previous(x: Any, v: Any) -> Any:
    old, y = v * 1.0, x * 1.0
    for _ in range(4):
        new = 0.5 * y - old
        old = y
        y = new
    return np.sum(y * old)


def kept_first(x: Any, v: Any) -> Any:
    y = x * 2.0
    first = y
    for _ in range(3):
        y = y * y
    return np.sum(y * v) + np.sum(first)


def seen_later(x: Any, v: Any) -> Any:
    y, last = x * 1.0, v * 1.0
    for k in range(4):
        last = y
        y = y * 1.1 + k
    return np.sum(last * v) + np.sum(y)


def sums(x: Any, v: Any) -> Any:
    y = x * 1.0
    for _ in range(4):
        y = np.sum(y[:, None] * v[None, :] + x[:, None], axis=0)
    return np.sum(y)


def in_an_arm(x: Any, v: Any) -> Any:
    y = x * 1.0
    for k in range(6):
        if np.sum(y) > 0.5:
            y = y * 0.5
        elif k > 3:
            y = y + v
    return np.sum(y * y)


def nested(x: Any, v: Any) -> Any:
    y = x * 1.0
    for _ in range(3):
        z = y
        for _ in range(2):
            z = z * 1.5 + v
        y = y + z
    return np.sum(y * z)


def written_after(x: Any, v: Any) -> Any:
    y = x * 1.0
    for k in range(3):
        y = y * 1.5
        y[k] = y[k] + v[0] * y[0]
    return np.sum(y)


def row(x: Any, v: Any) -> Any:
    y = x[:, None] * v[None, :]
    for _ in range(3):
        top = y[0]
        y = y * 0.5 + 1.0
        y = y * top
    return np.sum(y)


def collected(x: Any, v: Any) -> Any:
    y, all_of_them = x * 1.0, []
    for _ in range(3):
        y = y * 1.5 + v
        all_of_them.append(y)
    return np.sum(np.stack(all_of_them) * x)


def named_again(x: Any, v: Any) -> Any:
    """`b` is another array for a while, before it is replaced."""
    a, b = x * 1.0, v * 1.0
    for _ in range(3):
        total = np.sum(b * a)
        b = v if total > 0.2 else a
        total = total + np.sum(b)
        b = x * v + total
        a = v
    return np.sum(b) + np.sum(a)


PROGRAMS = [
    named_again,
    doubled,
    argument,
    exchanged,
    both_the_same,
    neighbours,
    previous,
    kept_first,
    seen_later,
    sums,
    in_an_arm,
    nested,
    written_after,
    row,
    collected,
]


def _flat(found: Any) -> list[Any]:
    value, gradients = found
    return [value, *gradients]


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda p: p.__name__)
def test_every_tier_computes_the_same_and_leaves_the_arguments(program: Callable[..., Any]) -> None:
    given = X.copy(), V.copy()
    wanted = _flat(tg.value_and_grad(program, argnums=(0, 1), jit="python")(*given))
    found = _flat(tg.value_and_grad(program, argnums=(0, 1), jit="native")(*given))
    assert np.array_equal(given[0], X) and np.array_equal(given[1], V)
    for a, b in zip(found, wanted, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-14)
    assert found[0] == pytest.approx(program(X.copy(), V.copy()), rel=1e-14)


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda p: p.__name__)
def test_the_values_of_all_steps_are_right(program: Callable[..., Any]) -> None:
    """The value alone, which keeps nothing for a reverse sweep."""
    found = tg.jit(program, jit="native")(X, V)
    assert found == pytest.approx(program(X.copy(), V.copy()), rel=1e-14)


def _inside_loops(text: str) -> str:
    """The lines of the loops over steps."""
    lines, found, depth = text.splitlines(), [], None
    for line in lines:
        indent = len(line) - len(line.lstrip())
        if depth is not None and indent > depth:
            found.append(line)
        elif line.strip():
            depth = indent if re.match(r"\s*(while|for (_|k) )", line) else None
    return "\n".join(found)


@pytest.mark.parametrize("program", [doubled, argument, neighbours, in_an_arm], ids=lambda p: p.__name__)
def test_no_step_allocates(program: Callable[..., Any]) -> None:
    function = tg.value_and_grad(program, argnums=(0, 1), jit="native")
    function(X, V)
    text = function.native_source
    assert not re.search(r"np\.(empty|zeros)\(|\.copy\(", _inside_loops(text)), text


def test_two_buffers_change_places_where_other_elements_are_read() -> None:
    function = tg.jit(neighbours, jit="native")
    function(X, V)
    assert "y, y_next = y_next, y" in function.native_source


def steered(x: Any, v: Any) -> Any:
    y = x
    for _ in range(100):
        y = y + 0.01 * np.sin(y) * v
    return np.sum(y * y)


def test_the_stacks_of_segments_get_their_memory_once() -> None:
    """The last segments are shorter than the others; nothing is read of what longer ones left there."""
    x, v = np.random.default_rng(3).uniform(-1.0, 1.0, (2, 10000))
    wanted = tg.value_and_grad(steered, argnums=(0, 1), jit="python")(x, v)
    function = tg.value_and_grad(steered, argnums=(0, 1), jit="native", memory=16 * x.nbytes)
    for _ in range(2):
        found = function(x, v)
        np.testing.assert_allclose(_flat(found)[0], _flat(wanted)[0], rtol=1e-13)
        for got, want in zip(_flat(found)[1:], _flat(wanted)[1:], strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-12)
    text = function.native_source
    assert text.count("_stack") and not re.search(r"_stack\w* = np\.empty", _inside_loops(text)), text
