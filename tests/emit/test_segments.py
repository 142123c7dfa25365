"""What goes around the end of an axis is read where it lies, by loops over parts of the axis."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest

import tracegrad as tg
from tests.emit.kernel_patterns import assert_packed, compiled, numbers
from tracegrad.config import config
from tracegrad.emit.printer import Line
from tracegrad.emit.segments import pieces_of


def rounds_done(letter: str, rounds: int, statement: str) -> tuple[list[Any], list[Any]]:
    """What a statement appends to `found` in a loop, and in the pieces of that loop."""
    whole = f"for {letter} in range({rounds}): {statement}"
    text = ""
    for piece in pieces_of(letter, rounds, [Line(ast.parse(statement).body[0])]):
        inside = "\n".join(ast.unparse(line.statement) for line in piece.lines)
        head = "" if piece.is_one else f"for {letter} in range({piece.first}, {piece.last}): "
        text += f"{head}{inside}\n"
    done: list[list[Any]] = []
    for lines in (whole, text):
        done.append([])
        exec(lines, {"found": done[-1], "k": 3})
    return done[0], done[1]


PLACES = [
    "(j + 1) % 40",
    "(j + 39) % 40",
    "(39 - j + 7) % 40",
    "((j + 11) % 40 + 20) % 40",
    "(2 * j + 5) % 40",
    "(3 * j + 5) % 7",
    "(j + k) % 40",
    "(j + 1) % 40, (j + 20) % 40, (j + 38) % 40, j",
    "(j + 5) % 40, (j + 6) % 40, (j + 12) % 40, (j + 30) % 40",
]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("rounds", [2, 3, 20, 40])
def test_the_pieces_of_a_loop_do_its_rounds_in_order(place: str, rounds: int) -> None:
    once, in_pieces = rounds_done("j", rounds, f"found.append(({place}))")
    assert once == in_pieces


@hypothesis.given(
    st.integers(2, 60), st.integers(-3, 3), st.integers(0, 90), st.integers(1, 70), st.integers(0, 70)
)
def test_any_remainder(rounds: int, step: int, start: int, length: int, more: int) -> None:
    statement = f"found.append((({step} * j + {start}) % {length}, (j + {more}) % {length}))"
    once, in_pieces = rounds_done("j", rounds, statement)
    assert once == in_pieces


def test_remainders_are_left_in_short_pieces_alone_and_the_text_stays_short() -> None:
    def pieces(shifts: Any) -> list[Any]:
        many = ", ".join(f"u[(j + {k}) % 1000]" for k in shifts)
        return pieces_of("j", 1000, [Line(ast.parse(f"x = ({many})").body[0])])

    assert [p.last - p.first for p in pieces((1, 2, 5, 995, 999))] == [5, 990, 5]
    assert all(
        "%" in ast.unparse(p.lines[0].statement) for p in pieces(range(1, 30)) if p.last - p.first < 16
    )
    assert [p.last - p.first for p in pieces((300,))] == [700, 300]
    assert sum(p.last - p.first for p in pieces(range(1000))) == 1000
    assert len(pieces(range(1, 1000, 30))) < 40
    assert len(pieces(range(1, 1000, 2))) < 20


def five_points(u: Any) -> Any:
    return np.roll(u, 1, 0) + np.roll(u, -1, 0) + np.roll(u, 1, 1) + np.roll(u, -1, 1) - 4.0 * u


def named(u: Any) -> Any:
    left, right = np.roll(u, 1, axis=-1), np.roll(u, -1, axis=-1)
    return np.sum(left * right * u)


def diffused(u: Any) -> Any:
    for _ in range(5):
        u = u + 0.1 * five_points(u)
    return np.sum(u**3)


def waves(u: Any) -> Any:
    old = u
    for _ in range(5):
        old, u = u, 2.0 * u - old + 0.1 * five_points(u)
    return np.sum(u**3)


def again(u: Any) -> Any:
    return np.sum(np.roll(np.roll(u, 2, 1), -1, 1) * np.roll(np.roll(u, 1, 0), 3, 1) * u)


def parts(u: Any) -> Any:
    inner = np.roll(u, 2, 1)[1:, ::-2] * np.roll(u[1:, ::-2], 1, 0) + np.roll(u.T, 1, 1).T[1:, ::-2]
    return np.sum(inner**2)


def flat(u: Any) -> Any:
    return np.sum(np.roll(u, 3) ** 2 * u)


def both(u: Any) -> Any:
    return np.sum(np.roll(u, (1, -2), (0, 1)) ** 3 * u)


def sums(u: Any) -> Any:
    return np.sum(np.max(np.roll(u, 1, 1) * u, axis=1) ** 2) + np.sum(
        np.sum(np.roll(u, 1, 0) * u, axis=0) ** 2
    )


def written(u: Any) -> Any:
    a = u * 1.0
    before = np.roll(a, 1, 0)
    a[1:-1] += before[1:-1]
    return np.sum(a * before * np.roll(a, 1, 1))


def runge_kutta(x: Any) -> Any:
    """Lorenz' model of 1996: the text of one loop knows some two hundred values."""
    for _ in range(3):
        k1 = slope(x)
        k2 = slope(x + 0.005 * k1)
        k3 = slope(x + 0.005 * k2)
        k4 = slope(x + 0.01 * k3)
        x = x + 0.01 / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    return np.sum(x**2)


def slope(x: Any) -> Any:
    return (np.roll(x, -1) - np.roll(x, 2)) * np.roll(x, 1) - x + 8.0


PROGRAMS: list[Callable[[Any], Any]] = [
    runge_kutta,
    lambda u: np.sum(five_points(u) ** 3),
    named,
    diffused,
    waves,
    again,
    parts,
    flat,
    both,
    sums,
    written,
]


@pytest.mark.parametrize("shape", [(3, 3), (4, 10), (10, 33), (33, 40), (2, 5)])
@pytest.mark.parametrize("f", PROGRAMS)
def test_rolled_arrays(f: Callable[[Any], Any], shape: tuple[int, int]) -> None:
    u, v = numbers(*shape), numbers(*shape, seed=5)
    native = tg.value_and_grad(f, jit="native")
    value, bar = native(u)
    np.testing.assert_allclose(value, f(u), rtol=1e-12, atol=1e-12)
    h = 1e-6
    difference = (f(u + h * v) - f(u - h * v)) / (2 * h)
    np.testing.assert_allclose(np.sum(bar * v), difference, rtol=1e-6, atol=1e-6)
    _, wanted = tg.value_and_grad(f, jit="python")(u)
    np.testing.assert_allclose(bar, wanted, rtol=1e-12, atol=1e-13 * np.max(np.abs(wanted)))


def compared(u: Any) -> Any:
    twice = 2.0 * u
    largest = np.maximum(np.roll(twice, 1, 0) - np.roll(twice, -1, 1), 0.1 * twice)
    return np.sum(largest**2)


def scaled_and_written(u: Any) -> Any:
    a = u * u
    b = np.roll(-3.0 * a, 1, 1) * np.roll(-3.0 * a, 2, 0)
    a[1:] += b[1:]
    return np.sum(a * b) + np.sum(np.roll(a, 1, 0) ** 2)


@pytest.mark.parametrize(
    "f", [lambda u: np.sum(five_points(u) ** 3), named, diffused, waves, compared, scaled_and_written]
)
def test_large_arrays(f: Callable[[Any], Any]) -> None:
    """What is rolled is not even multiplied before."""
    u, v = numbers(90, 101), numbers(90, 101, seed=5)
    value, bar = tg.value_and_grad(f, jit="native")(u)
    np.testing.assert_allclose(value, f(u), rtol=1e-11)
    h = 1e-6
    difference = (f(u + h * v) - f(u - h * v)) / (2 * h)
    np.testing.assert_allclose(np.sum(bar * v), difference, rtol=1e-6)
    _, wanted = tg.value_and_grad(f, jit="python")(u)
    np.testing.assert_allclose(bar, wanted, rtol=1e-11, atol=1e-12 * np.max(np.abs(wanted)))


def test_a_multiple_is_not_kept_beside_what_it_is_a_multiple_of() -> None:
    u = numbers(100, 200)
    source = compiled(lambda u: np.sum(five_points(u) ** 2), u).native_source
    assert "2.0 * difference[" in source and "difference_times_8[" not in source
    source = compiled(diffused, u).native_source
    assert "u_bar_next[" in source and "scaled_u_bar" not in source
    assert ".copy()" not in source and source.count("= u[i, j]\n") == 1


@pytest.mark.parametrize("n", [1, 2, 5, 20, 1000, 1025, 3000, 40_000])
def test_vectors_in_blocks(n: int) -> None:
    def f(u: Any) -> Any:
        return np.sum((np.roll(u, 1) - 2 * u + np.roll(u, -1)) ** 2 * np.roll(u, n // 2))

    u = numbers(n)
    value, bar = tg.value_and_grad(f, jit="native")(u)
    wanted, wanted_bar = tg.value_and_grad(f, jit="python")(u)
    np.testing.assert_allclose(value, wanted, rtol=1e-11, atol=1e-11)
    np.testing.assert_allclose(bar, wanted_bar, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex128, np.int64])
def test_any_dtype_as_a_result(dtype: Any) -> None:
    u = (10 * numbers(4, 20)).astype(dtype)

    def f(u: Any) -> Any:
        return np.roll(u, 5, 1), np.roll(u, -1, 0)[1:] + u[1:]

    for found, wanted in zip(tg.jit(f, jit="native")(u), f(u), strict=True):
        assert found.dtype == wanted.dtype
        np.testing.assert_array_equal(found, wanted)


def test_a_rolled_array_is_not_made_and_its_loops_are_vectors() -> None:
    f = compiled(lambda u: np.sum(five_points(u) ** 2), numbers(40, 300))
    assert "rolled" not in f.native_source
    assert_packed(f, 4)


def test_vectors_of_rolled_vectors() -> None:
    f = compiled(lambda u: np.sum(np.roll(u, 1) * np.roll(u, -1) * u), numbers(5000))
    assert "rolled" not in f.native_source
    assert_packed(f, 4)


def test_any_number_of_threads_gives_the_same_bits() -> None:
    u = numbers(300, 400)
    with config.using(threads=1):
        value, bar = tg.value_and_grad(diffused, jit="native")(u)
    with config.using(threads=3):
        again_value, again_bar = tg.value_and_grad(diffused, jit="native")(u)
    assert value == again_value
    np.testing.assert_array_equal(bar, again_bar)
