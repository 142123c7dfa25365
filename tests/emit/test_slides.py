"""What loops read some rows away is made a block of rows at a time: same digits, no array beside the gradient."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import hypothesis
import numpy as np
import pytest

import tracegrad as tg
from tests.drawing import bits
from tests.emit.kernel_patterns import assert_packed, compiled, numbers
from tests.emit.test_programs import run_alone
from tracegrad.config import config
from tracegrad.emit import element_loops, rounds, sizes, slides
from tracegrad.emit.module import emit_native
from tracegrad.ir.interpret import interpret
from tracegrad.ir.source import Source
from tracegrad.ir.trace import Trace
from tracegrad.ir.types import ArrayType
from tracegrad.ops import arithmetic
from tracegrad.ops.families import sum_to
from tracegrad.ops.index import getitem
from tracegrad.ops.shape import roll
from tracegrad.ops.symbol import Builder, Symbol
from tracegrad.passes.pipeline import for_loops, plan_gradient, plan_value

LONG = numbers(150_001)
FLAT = numbers(400, 390)
DEEP = numbers(300, 20, 31)


def five_points(u: Any) -> Any:
    rows = np.roll(u, 1, 0) + np.roll(u, -1, 0) - 2.0 * u
    return np.sum((rows + np.roll(u, 1, -1) - np.roll(u, -1, -1)) ** 2)


def differences(u: Any) -> Any:
    return np.sum(np.diff(u * np.sqrt(u), axis=0) ** 2)


def stages(u: Any) -> Any:
    """Each is read some rows away by the next; a name is given again and again."""
    s = np.sqrt(u)
    u = 1.0 / (s + np.roll(s, 3, 0))
    u = np.roll(u, -2, 0) * s - u
    u = u[2:] * u[:-2]
    return np.sum(u * u)


def fluxes(u: Any) -> Any:
    flux = u * u / (1.0 + u)
    u = u[1:-1] - 0.1 * (flux[2:] - flux[:-2])
    return np.sum(u * u)


def gathered(u: Any) -> Any:
    """The loop that makes what is read nearby has a sum of its own, and another program follows."""
    d = np.roll(u, 1, 0) - u
    total = np.sum(d * d)
    e = np.roll(d, 1, 0) * d
    return np.sum(e * e) / total + np.mean(np.roll(e, 2, 0) * u)


PROGRAMS = [five_points, differences, stages, fluxes, gathered]


@pytest.mark.parametrize("u", [LONG, FLAT, DEEP], ids=["vector", "matrix", "deep"])
@pytest.mark.parametrize("function", PROGRAMS)
def test_every_digit_stays(function: Callable[[Any], Any], u: Any) -> None:
    wanted, wanted_bar = tg.value_and_grad(function, jit="python")(u)
    found = []
    for count in (1, 2, 3):
        with config.using(contract=False, threads=count):
            native = tg.value_and_grad(function, jit="native")
            found.append(native(u))
        assert found[-1][0] == found[0][0]
        np.testing.assert_array_equal(found[-1][1], found[0][1])
    np.testing.assert_allclose(found[0][0], wanted, rtol=1e-12)
    if function is gathered:  # sums are parts of its gradient
        np.testing.assert_allclose(
            found[0][1], wanted_bar, rtol=1e-9, atol=1e-12 * np.max(np.abs(wanted_bar))
        )
    else:
        np.testing.assert_array_equal(found[0][1], wanted_bar)


@pytest.mark.parametrize("u", [LONG, FLAT], ids=["vector", "matrix"])
def test_only_the_gradient_is_in_memory(u: Any) -> None:
    native = compiled(five_points, u)
    assert "five_points_value_and_grad(u, u_bar)" in native.native_source
    window = "1026" if u is LONG else "(18, 390)"
    assert f"np.empty({window})" in native.native_source
    assert_packed(native, 8)


def test_small_arrays_are_kept() -> None:
    assert "difference[i, j]" in compiled(five_points, numbers(30, 40)).native_source


def variation(x: Any) -> Any:
    across, down = x[:-1, 1:] - x[:-1, :-1], x[1:, :-1] - x[:-1, :-1]
    return np.sum(np.sqrt(down**2 + across**2 + 0.1))


def second_differences(x: Any) -> Any:
    d = x[2:] - 2.0 * x[1:-1] + x[:-2]
    return np.sum(d * d * d)


@pytest.mark.parametrize("u", [FLAT, DEEP], ids=["matrix", "deep"])
@pytest.mark.parametrize("function", [variation, second_differences])
def test_sums_of_parts_are_read_as_soon_as_a_row_is_there(function: Callable[[Any], Any], u: Any) -> None:
    if function is variation and u is DEEP:
        u = numbers(300, 620)
    v = numbers(*np.shape(u), seed=7)

    def along(x, v):
        return np.sum((tg.grad(function)(x) * v) ** 2)

    def taken(x, v):
        return np.sum(tg.grad(function)(x) * v)

    for outer in (along, taken):
        wanted = tg.value_and_grad(outer, jit="python")(u, v)
        with config.using(contract=False):
            native = tg.value_and_grad(outer, jit="native")
            value, bar = native(u, v)
        np.testing.assert_allclose(value, wanted[0], rtol=1e-11)
        np.testing.assert_array_equal(bar, wanted[1])
    rows = 17 if function is variation else 18
    assert f"np.zeros({(rows, *np.shape(u)[1:])})" in native.native_source


# --- random programs --------------------------------------------------------------------------------------------


@contextmanager
def everything_slides(rng: random.Random) -> Iterator[list[Any]]:
    """Small arrays in small blocks; the loops that are written as slides."""
    seen: list[Any] = []
    windows = element_loops.Windows

    def noticed(slide: Any, *others: Any) -> Any:
        seen.append(slide)
        return windows(slide, *others)

    with pytest.MonkeyPatch.context() as patch:
        for name, value in (("LARGE", 1), ("PARTS", 1), ("REACH", 0)):
            patch.setattr(slides, name, value)
        patch.setattr(slides, "ROWS", rng.choice([1, 2, 3, 5]))
        patch.setattr(slides, "BLOCK", rng.choice([1, 4, 8]))
        patch.setattr(sizes, "LARGE", rng.choice([1, 1 << 16]))
        patch.setattr(element_loops, "LARGE", rng.choice([1, 1 << 19]))
        patch.setattr(element_loops, "BLOCK", 1)
        patch.setattr(rounds, "BLOCK", rng.choice([4, 1024]))
        patch.setattr(element_loops, "Windows", noticed)
        yield seen


def program(seed: int) -> tuple[Trace, list[Any]]:
    """A program that reads arrays at other rows, its first output a number, and values for its inputs."""
    rng = random.Random(seed)
    shape = (rng.randint(9, 30), *([rng.choice([1, 2, 5])] if rng.random() < 0.5 else []))
    type = ArrayType(shape, np.dtype(float))
    builder = Builder()
    inputs = [builder.input(type, n) for n in "xy"]
    pool = list(inputs)
    for _ in range(rng.randint(3, 9)):
        x, y = rng.choice(pool[-3:]), rng.choice(pool)
        by = rng.randint(1, 2)
        kind = rng.randrange(6)
        if kind < 2:
            made = roll(x, shift=rng.choice([by, -by]), axis=0) * rng.choice([0.5, 1.0]) - x
        elif kind < 4 and x.shape[0] > 2 * by + 2:
            made = rows(x, by, 0) * rows(x, 0, by) - rng.choice([0.5, 2.0]) * rows(x, 0, by)
        elif kind < 5:
            made = arithmetic.square(x) * 0.5 - x
        else:
            longer = max(x.shape[0], y.shape[0])
            x, y = (
                rows(v, longer - w.shape[0], 0) if v.shape[0] > w.shape[0] else v for v, w in ((x, y), (y, x))
            )
            made = x * y + x
        if rng.random() < 0.5:
            made.atom.name = rng.choice("abc")  # type: ignore[union-attr]
        pool.append(made)
    total = sum_to(arithmetic.square(pool[-1]), shape=())
    for value in rng.sample(pool, 2):
        total = total + sum_to(value * 0.5, shape=())
    draw = np.random.default_rng(seed)
    outputs = [total, *(v for v in rng.sample(pool, 2) if rng.random() < 0.2)]
    return builder.trace(inputs, outputs), [draw.uniform(-1.0, 1.0, shape) for _ in inputs]


def rows(x: Symbol, first: int, left: int) -> Symbol:
    return getitem(x, index=(slice(first, x.shape[0] - left),))


@hypothesis.settings(max_examples=150)
@hypothesis.given(bits(32), bits(1))
def test_random_programs(seed: int, differentiated: int) -> None:
    compare(seed, bool(differentiated))


def compare(seed: int, differentiated: bool) -> list[Any]:
    """Run the native text by Python, where a row that is not there is an error; returns what slides."""
    trace, values = program(seed)
    plan = plan_gradient(trace, (0, 1), (0,)) if differentiated else plan_value(trace)
    joint = for_loops(plan.joint)
    expected = interpret(joint, copy.deepcopy(values))
    with everything_slides(random.Random(seed)) as seen:
        source = emit_native(plan.kind, joint, contract=False)
    assert isinstance(source, Source)
    given = copy.deepcopy(values)
    code, *results = run_alone(source)[source.entries[0]](*given)
    assert code == -1
    np.testing.assert_array_equal(given, values)
    for found, wanted in zip(results, expected, strict=True):
        if np.shape(wanted):
            np.testing.assert_array_equal(found, wanted, err_msg=source.text)
        else:
            np.testing.assert_allclose(found, wanted, rtol=1e-10, atol=1e-10, err_msg=source.text)
    return seen


def test_random_programs_slide() -> None:
    slid = [loop for seed in range(60) for slide in compare(seed, seed % 2 == 1) for loop in slide.ahead]
    assert len(slid) > 30 and any(loop.wraps for loop in slid) and any(loop.first > 0 for loop in slid)
