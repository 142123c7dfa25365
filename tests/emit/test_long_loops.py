"""Loops with very many statements are several loops over a block, with the digits of the one."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import numpy as np
import pytest
from scipy.special import gammaln, jv

import tracegrad as tg
from tests.emit.kernel_patterns import PACKED, X86, assert_packed, compiled, machine_code, numbers
from tests.emit.test_random import check_native_text
from tests.passes.random_traces import traces
from tracegrad.config import config
from tracegrad.emit import long_loops
from tracegrad.emit.names import Unused
from tracegrad.emit.printer import Line
from tracegrad.ir.trace import Trace


@pytest.fixture(autouse=True)
def nothing_is_kept(tmp_path: Path) -> Iterator[None]:
    with config.using(cache_dir=str(tmp_path / "cache")):
        yield


@pytest.fixture
def cut_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("LONG", 0), ("PART", 1), ("BLOCK", 2)):
        monkeypatch.setattr(long_loops, name, value)


@pytest.mark.usefixtures("cut_everywhere")
@hypothesis.settings(max_examples=50, suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture])
@hypothesis.given(traces(18))
def test_cut_at_every_statement(case: tuple[Trace, list[Any]]) -> None:
    check_native_text(*case)


def steps(count: int) -> Callable[[Any, Any], Any]:
    """Elementwise steps; many results, numbers and comparisons, are needed again far away."""

    def step(a: Any, b: Any, k: int) -> Any:  # a recursion is no loop
        if k == 0:
            return np.sum(a * b)
        c = np.where(a > 0.5 * b, a - 0.25 * b, b) + 1 / (k + 2 + a * a)
        return step(c, a / 2 + np.sqrt(1 + b * b) / 4, k - 1)

    def f(x: Any, y: Any) -> Any:
        return step(x * y, x + y, count)

    return f


def innermost(text: str) -> list[int]:
    """The nodes of each loop inside of which there is none."""
    return [
        sum(1 for _ in ast.walk(node))
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.For)
        and not any(isinstance(n, ast.For) for n in ast.walk(node) if n is not node)
    ]


@pytest.mark.parametrize(
    "x",
    [numbers(1000), numbers(3, 70), numbers(20), numbers(1500, dtype=np.float32), numbers(50_001)],
    ids=["1000", "rows", "20", "single", "threads"],
)
def test_the_digits_are_those_of_one_loop(x: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    y = numbers(*x.shape, dtype=x.dtype, seed=2)
    found = []
    with config.using(contract=False):
        for long in (10**9, 300):
            monkeypatch.setattr(long_loops, "LONG", long)
            monkeypatch.setattr(long_loops, "PART", 300)
            found.append(compiled(steps(8), x, y))
    whole, cut = found
    assert "kept" not in whole.native_source and "kept[place] = " in cut.native_source
    assert len(innermost(cut.native_source)) >= len(innermost(whole.native_source)) + 3
    (value, bars), (wanted, wanted_bars) = cut(x, y), whole(x, y)
    np.testing.assert_allclose(value, wanted, rtol=1e-13 if x.dtype == np.float64 else 1e-6)
    for bar, wanted_bar in zip(bars, wanted_bars, strict=True):
        np.testing.assert_array_equal(bar, wanted_bar)
    assert_packed(cut)
    for threads in (2, 3):
        with config.using(threads=threads):
            again, again_bars = cut(x, y)
        assert again == value
        np.testing.assert_array_equal(again_bars, bars)


def test_loops_that_hand_on_very_much_are_vectorised(monkeypatch: pytest.MonkeyPatch) -> None:
    """The array between them is one that the function is given, and is known to be in rows all the same."""
    for name, value in (("LONG", 2000), ("PART", 600)):
        monkeypatch.setattr(long_loops, name, value)
    x, y = numbers(200), numbers(200, seed=2)
    cut = compiled(steps(40), x, y)
    assert "def f_value_and_grad(x, y, kept):" in cut.native_source
    assert_packed(cut, 2 * cut.native_source.count("np.sqrt("))


def test_no_loop_grows_with_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(long_loops, "LONG", 2000)
    x, y = numbers(200), numbers(200, seed=2)
    sizes = {}
    for count in (20, 40):
        program = tg.value_and_grad(steps(count), (0, 1), jit="native")
        program(x, y)
        sizes[count] = innermost(program.native_source)
    assert len(sizes[40]) > 1.7 * len(sizes[20])
    assert max(sizes[40]) < 2 * long_loops.PART


def lines(text: str) -> list[Line]:
    return [Line(statement) for statement in ast.parse(text).body]


@pytest.mark.parametrize(
    ("text", "loops"),
    [
        ("a = x[i] * 2.0\nb = a + 1.0\ny[i] = a * b", 3),
        ("s = s + x[i]\na = x[i] * 2.0\ns = s * a", 1),  # handed to the next round
        ("y[i] = x[i] * 2.0\na = 3.0\nz[i] = y[i + 1] + a", 1),  # another round's element
        ("y[i] = x[i] * 2.0\na = x[i]\nz[i] = y[i] + a", 3),
        ("y[k] += x[i]\na = x[i]\ny[k] += a", 1),  # one place, in each round
        ("y[0] = x[i]\na = x[i]\nz[i] = y[0] + a", 1),
        ("a = x[i]\ny[i] = a\na = y[i] + 1.0\nz[i] = a", 1),  # two numbers of one name
        ("y[i] += x[i]\na = s\nz[i] = y[i] + a", 3),
    ],
)
@pytest.mark.usefixtures("cut_everywhere")
def test_what_stays_in_one_loop(text: str, loops: int) -> None:
    long = long_loops.LongLoops(Unused("f", (), (), ()))
    long.numbers = dict.fromkeys("ab", np.dtype(np.float64))
    found = long.of("i", 9, ast.Constant(9), (), lines(text))
    assert (1 if found is None else len(found[-1].body)) == loops


@pytest.mark.usefixtures("cut_everywhere")
def test_blocks_of_a_rolled_sum_are_cut() -> None:
    """A block that begins where an index goes around, and a part of a loop that is cut, have names of their own."""

    def f(x: Any) -> Any:
        return np.sum(np.sin(np.roll(x, 3) * x + np.roll(x, -2)) * x)

    x = numbers(3000)
    native, readable = compiled(f, x)(x), tg.value_and_grad(f, jit="python")(x)
    np.testing.assert_allclose(native[0], readable[0], rtol=1e-12)
    np.testing.assert_allclose(native[1], readable[1], rtol=1e-12, atol=1e-12)


@pytest.mark.usefixtures("cut_everywhere")
def test_a_loop_without_rounds_is_not_cut() -> None:
    long = long_loops.LongLoops(Unused("f", (), (), ()))
    long.numbers = dict.fromkeys("ab", np.dtype(np.float64))
    assert long.of("i", 0, ast.Constant(0), (), lines("a = x[i]\nb = 2 * a\ny[i] = b")) is None


def cut_points(cuts: Any, e: Any, k: Any) -> Any:
    """An ordered choice: the table that the indices point into is made by the program."""
    c = np.concatenate([np.array([-20.0]), np.cumsum(np.exp(cuts)), np.array([20.0])])
    p = 1 / (1 + np.exp(e - c[k + 1])) - 1 / (1 + np.exp(e - c[k]))
    return -np.sum(np.log(p + 1e-12))


def responses(a: Any, theta: Any, item: Any, who: Any) -> Any:
    z = np.exp(a[item]) * theta[who]
    return np.sum(np.log1p(np.exp(-z)) + 0.1 * np.tanh(z))


def samples(a: Any, t: Any) -> Any:
    """Which items are read follows from what is computed."""
    where = 6.5 + 6 * np.sin(t)
    k = np.floor(where).astype(int)
    return np.sum(np.exp(-(where - k)) * a[k] + (where - k) * a[k + 1])


def chosen(n: int, count: int, seed: int) -> Any:
    return np.random.default_rng(seed).integers(-count, count, n)


def counts(b: Any, x: Any, y: Any) -> Any:
    """Numbers of events: the C library is asked for one logarithm of a factorial at a time."""
    rate = np.exp(b[0] + b[1] * x)
    return np.sum(np.where(y == 0, np.log1p(np.exp(-rate)), y * np.log(rate) - rate - gammaln(y + 1.0)))


def waves(b: Any, x: Any) -> Any:
    """SciPy's function takes what the program computed."""
    return np.sum(jv(1.5, np.exp(b[0] * x)) * np.tanh(x * b[1]) + np.exp(-x * x))


CHECKED: dict[str, Any] = {
    "table": (cut_points, lambda n: (numbers(3), numbers(n), chosen(n, 4, 1) % 4)),
    "kept": (responses, lambda n: (numbers(20), numbers(30, seed=3), chosen(n, 20, 1), chosen(n, 30, 2))),
    "computed": (samples, lambda n: (numbers(20), numbers(n, seed=3))),
}
CALLED: dict[str, Any] = {
    "counts": (counts, lambda n: (numbers(2), numbers(n, seed=3), 1.0 * (abs(chosen(n, 4, 1)) % 4))),
    "waves": (waves, lambda n: (numbers(2), numbers(n, seed=3))),
}


@pytest.mark.parametrize("n", [100, 9001])
@pytest.mark.parametrize("name", [*CHECKED, *CALLED])
def test_what_keeps_vectors_away_is_done_ahead_of_what_becomes_vectors(
    name: str, n: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    function, make = (CHECKED | CALLED)[name]
    args = make(n)
    found = []
    for rounds in (10**9, 64):
        monkeypatch.setattr(long_loops, "ROUNDS", rounds)
        with config.using(contract=False):
            program = tg.value_and_grad(function, (0, 1), jit="native")
            program(*args)
            found.append((program, *program(*args)))
    (whole, value, bars), (cut, again, bars_again) = found
    assert "for place in" not in whole.native_source and "for place in" in cut.native_source
    assert again == pytest.approx(value, rel=1e-13)
    for bar, wanted in zip(bars_again, bars, strict=True):
        np.testing.assert_allclose(bar, wanted, rtol=1e-12, atol=1e-12)
    python = tg.value_and_grad(function, (0, 1), jit="python")(*args)
    assert again == pytest.approx(python[0], rel=1e-12)
    for bar, wanted in zip(bars_again, python[1], strict=True):
        np.testing.assert_allclose(bar, wanted, rtol=1e-10, atol=1e-12)
    if X86 and n > 1024:  # few numbers lie in memory that LLVM does not know to be apart from a table's
        assert len(PACKED.findall(machine_code(cut))) > len(PACKED.findall(machine_code(whole))) + 10


@pytest.mark.parametrize("wrong", [20, -21])
def test_the_index_that_is_outside_is_named(wrong: int) -> None:
    a, theta, item, who = CHECKED["kept"][1](1000)
    program = tg.value_and_grad(responses, (0, 1), jit="native")
    program(a, theta, item, who)
    item = item.copy()
    item[777], item[778] = wrong, 55
    with pytest.raises(IndexError, match=f"index {wrong} is out of bounds for axis 0 with size 20"):
        program(a, theta, item, who)


@pytest.mark.parametrize(
    ("text", "ahead"),
    [
        ("a = checked(k[i], 5, 0)\nb = exp(x[a])\ny[i] = b", [0]),
        ("b = exp(x[i])\na = checked(k[i] + 1, 5, 0)\ny[i] = b * x[a]", [1]),
        ("c = exp(x[i])\na = checked(int(c), 5, 0)\ny[i] = exp(c) * x[a]", [0, 1]),
        ("a = checked(k[i], 5, 0)\ny[i] = x[a] + 1.0", []),  # nothing to gain
        ("y[i] = x[i]\nb = exp(x[i])\na = checked(y[i], 5, 0)\nz[i] = b * x[a]", [0, 2]),
        ("b = exp(x[i])\ny[i] = x[i]\na = checked(y[i], 5, 0)\nz[i] = b * x[a]", []),  # may lie where x was
        ("a = checked(y[i], 5, 0)\nb = exp(x[a])\ny[i] = b", [0]),
        ("b = exp(x[i])\na = checked(y[i + 1], 5, 0)\ny[i] = b * x[a]", []),  # another round's element
        ("b = exp(x[i])\nz[i] = checked(k[i], 5, 0)\ny[i] = b * x[z[i]]", []),  # may lie where x was
        ("b = exp(x[i])\nn[i] = checked(k[i], 5, 0)\ny[i] = b * x[n[i]]", [1]),
        ("a = checked(s, 5, 0)\ns = s + 1\nb = exp(x[a])\ny[i] = b", [0, 1]),
        ("a = checked(s, 5, 0)\nb = exp(x[a])\ns = s + b", []),  # a round needs the one before it
        ("a = checked(k[i], 5, 0)\ns += exp(x[a])", [0]),
        ("b = exp(x[i])\na = gammaln_of(x[i])\ny[i] = a * b", [1]),
        ("b = exp(x[i])\na = scipy_jv(c, b)\ny[i] = a * exp(b)", [0, 1]),
        ("b = x[i] + 1.0\na = gammaln_of(b)\ny[i] = a * b", []),  # nothing to gain
        ("b = x[i] + 1.0\na = gammaln_of(b)\ny[i] = a * added(s, b)", []),
    ],
)
def test_what_goes_ahead_of_a_block(text: str, ahead: list[int]) -> None:
    long = long_loops.LongLoops(Unused("f", (), (), ()))
    long.numbers = dict.fromkeys("abc", np.dtype(np.float64))
    long.new = {"n"}
    found = lines(text)
    assert long._ahead(found, [list(ast.walk(line.statement)) for line in found], {"i"}) == ahead
