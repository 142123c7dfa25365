"""Control flow that is odd: loops that never end, run never or once, or change what they carry; NaN in conditions;
recursion, generators, `try`. Python's meaning in every tier, or a clear refusal; and nothing is left behind.
"""

from __future__ import annotations

import pathlib
import subprocess
import sys

import numpy as np
import pytest

import tracegrad as tg
from tracegrad.tensor.captured import is_capturing

X = np.array([1.2, -0.7, 0.4])

TIERS = ("python", "native")


def twice(function, *args, native=False):
    """Value and gradient of a first and a second call, which are equal; compiled too where that is asked for."""
    program = tg.value_and_grad(function, jit="python")
    found = [program(*args), program(*args)]
    if native:
        found.append(tg.value_and_grad(function, jit="native")(*args))
    for value, bar in found[1:]:
        assert np.allclose(value, found[0][0], rtol=1e-13, equal_nan=True)
        assert np.allclose(bar, found[0][1], rtol=1e-13, equal_nan=True)
    return found[0]


def never_ends(x, limit):
    y = x
    while y < limit:
        y = y * 1.0
    return y * y


def never_ends_unmarked(x, limit):
    y, kept = x, []
    while y < limit:
        y = y * 1.0
        kept.append(1)
        kept.pop()
    return y * y


INTERRUPTED = """
import os, signal, sys, threading, time
sys.path.insert(0, {path!r})
import tracegrad as tg
from tracegrad.tensor.captured import is_capturing, under_way
from test_bad_control_flow import {name} as function

gradient = tg.value_and_grad(function, jit={jit!r})
for _ in range({known}):
    assert gradient(3.0, 2.0) == (9.0, 6.0)
before = gradient.stats
timer = threading.Timer({after}, os.kill, (os.getpid(), signal.SIGINT))
timer.start()
try:
    gradient(1.0, 2.0)
except KeyboardInterrupt:
    print("interrupted")
assert not is_capturing() and not under_way
assert gradient.stats.captures == before.captures
for _ in range(3):
    assert gradient(3.0, 2.0) == (9.0, 6.0)
print("goes on")
"""


@pytest.mark.parametrize("known", [0, 1])
@pytest.mark.parametrize("function", [never_ends, never_ends_unmarked], ids=lambda f: f.__name__)
def test_a_loop_that_never_ends_under_capture_is_interrupted(function, known, tmp_path):
    program = INTERRUPTED.format(
        path=str(pathlib.Path(__file__).parent), name=function.__name__, jit="python", known=known, after=1.5
    )
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False
    )
    assert run.stdout == "interrupted\ngoes on\n", run.stderr


def asks_less(x):
    if x < 1.0:
        y = 2.0 * x
    else:
        y = 3.0 * x
    return y


def asks_not_less(x):
    if not x < 1.0:
        y = 2.0 * x
    else:
        y = 3.0 * x
    return y


def asks_both(x):
    y = 5.0 * x
    if x < 1.0 or x >= 1.0:
        y = 2.0 * x
    return y


def asks_in_an_expression(x):
    return 2.0 * x if x > 0.0 else 3.0 * x


def asks_a_loop(x):
    y, n = x, 1.0
    while y < 10.0:
        y = 2.0 * y
        n = n + 1.0
    return y * n


def asks_a_break(x):
    y = 1.0 * x
    for _ in range(6):
        if y > 4.0:
            break
        y = y * 1.5
    return y


def asks_equal(x):
    if x == x:
        y = 2.0 * x
    else:
        y = 7.0
    return y + 0.0 * x


ASK = [asks_less, asks_not_less, asks_both, asks_in_an_expression, asks_a_loop, asks_a_break, asks_equal]


@pytest.mark.parametrize("function", ASK, ids=lambda f: f.__name__)
@pytest.mark.parametrize("jit", TIERS)
def test_a_nan_takes_pythons_arm(function, jit):
    program = tg.value_and_grad(function, jit=jit)
    gradients = {asks_less: 3.0, asks_not_less: 2.0, asks_both: 5.0, asks_in_an_expression: 3.0}
    for x in (0.5, 2.0, np.nan, 0.5, 2.0, np.nan, np.nan, np.inf, 3.0):
        value, bar = program(x)
        assert np.array_equal(value, function(x), equal_nan=True), x
        if np.isnan(x) and function in gradients:
            assert bar == gradients[function]


def test_the_steps_of_a_nan_are_pythons():
    def function(x, y):
        n = 0.0
        while x < 10.0:
            x = 2.0 * x
            n = n + y
        return n

    for jit in TIERS:
        program = tg.value_and_grad(function, argnums=1, jit=jit)
        for x, steps in ((1.0, 4.0), (np.nan, 0.0), (3.0, 2.0), (np.nan, 0.0), (50.0, 0.0), (9.9, 1.0)):
            assert program(x, 0.5) == (0.5 * steps, steps)


@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_loops_of_few_steps(count):
    def fixed(x):
        s = 0.0
        for i in range(count):
            s = s + x[i] * x[i]
        return s + x[5]

    def given(x, n):
        s = 0.0
        for i in range(n):
            s = s + x[i] * x[i]
        return s + x[5]

    x = np.arange(1.0, 7.0)
    wanted = np.where(np.arange(6) < count, 2 * x, 0.0) + (np.arange(6) == 5)
    for function, args in ((fixed, ()), (given, (count,))):
        value, bar = twice(function, x, *args, native=count < 2)
        assert value == np.sum(x[:count] ** 2) + 6.0
        assert np.array_equal(bar, wanted)


def test_a_loop_that_first_runs_never_or_once_and_often_later():
    def function(x, n):
        y = x
        for i in range(n):
            y = y * x + i
        return y

    def plain(x, n):
        y, bar = x, 1.0
        for i in range(n):
            y, bar = y * x + i, bar * x + y
        return y, bar

    for order in ((0, 1, 2, 3, 0, 7), (1, 0, 5, 2), (4, 0, 1)):
        program = tg.value_and_grad(function, jit="python")
        for n in order:
            assert program(1.5, n) == pytest.approx(plain(1.5, n), rel=1e-13)


@pytest.mark.parametrize(
    "items",
    [
        [],
        (),
        {},
        range(0),
        np.zeros(0),
        np.zeros((0, 3)),
        "",
        iter(()),
        zip([], [1.0], strict=False),
        enumerate([]),
    ],
    ids=lambda v: type(v).__name__,
)
def test_nothing_to_iterate_over(items):
    def function(x):
        last = x
        for item in items:
            last = last * item
        else:
            last = last * 3.0
        return last * x + sum(v for v in items)

    assert twice(function, 2.0) == (12.0, 12.0)


def test_an_empty_argument_is_iterated_over():
    def function(x, rows):
        s = x * 1.0
        for row in rows:
            s = s + row.sum() * x
        for a, b in zip(rows, rows, strict=True):
            s = s + (a * b).sum()
        return s

    assert twice(function, 2.0, np.zeros((0, 3))) == (2.0, 1.0)
    assert twice(function, 2.0, np.ones((1, 3))) == (11.0, 4.0)


def test_a_strict_zip_of_unequal_lengths_raises_what_python_raises():
    def function(x, y):
        s = 0.0
        for a, b in zip(x, y, strict=True):
            s = s + a * b
        return s

    compiled = tg.value_and_grad(function)
    for _ in range(2):
        with pytest.raises(ValueError, match=r"zip\(\) argument 2 is shorter than argument 1"):
            compiled(np.ones(4), np.ones(3))
    assert compiled(np.ones(3), np.full(3, 2.0))[0] == 6.0


# A carried value that becomes something else in the third step.


def grows(x):
    y = x
    for i in range(5):
        if i == 2:
            y = np.concatenate([y, y])
        y = y * 1.5
    return y.sum()


def gets_a_number_of_rows(x):
    y = x.sum()
    for i in range(5):
        y = y * x if i == 2 else y * 1.5
    return np.sum(y)


def becomes_single(x):
    y = x
    for i in range(5):
        if i == 2:
            y = y.astype(np.float32)
        y = y * np.float32(1.5)
    return y.sum()


def becomes_an_integer(x):
    n, s = 1.0, 0.0
    for i in range(5):
        if i == 2:
            n = 3
        s = s + x[0] * n
    return s


def becomes_none(x):
    y, last = x[0], 1.0
    for i in range(5):
        if i == 2:
            last = None
        y = y * (2.0 if last is None else last * x[1])
    return y


def becomes_text(x):
    kind, y = "a", x[0]
    for i in range(5):
        y = y * (x[1] if kind == "a" else x[2])
        if i == 2:
            kind = "b"
    return y


def becomes_a_list(x):
    y = x[0]
    for i in range(5):
        if i == 2:
            y = [x[0], x[1]]
        y = y[0] * 2.0 if isinstance(y, list) else y * 1.5
    return y


CHANGES = [
    grows,
    gets_a_number_of_rows,
    becomes_single,
    becomes_an_integer,
    becomes_none,
    becomes_text,
    becomes_a_list,
]


@pytest.mark.parametrize("function", CHANGES, ids=lambda f: f.__name__)
def test_a_carried_value_becomes_something_else(function):
    x = np.array([0.5, -1.25, 2.0])
    value, bar = twice(function, x)
    assert value == pytest.approx(function(x), rel=1e-6)
    step = 1e-3 if function is becomes_single else 1e-6
    for i in range(3):
        h = step * (np.arange(3) == i)
        assert bar[i] == pytest.approx((function(x + h) - function(x - h)) / (2 * step), rel=1e-3, abs=1e-5)
    assert bar.dtype == x.dtype


# Recursion.


def power(x, n):
    if n == 0:
        return 1.0
    return x * power(x, n - 1)


def halved(x):
    if x > 1.0:
        return 2.0 * halved(x / 2.0) + x
    return x * x


def test_recursion_within_the_bound():
    assert twice(power, 2.0, 10) == (1024.0, 5120.0)
    program = tg.value_and_grad(halved, jit="python")
    for x in (0.5, 3.0, 20.0, 0.25, 5.0):
        value, bar = program(x)
        assert value == halved(x)
        assert bar == pytest.approx((halved(x + 1e-6) - halved(x - 1e-6)) / 2e-6, rel=1e-6)


def test_recursion_past_the_bound_names_the_line():
    program = tg.value_and_grad(power, jit="python")
    with tg.config.using(max_recursion=20):
        with pytest.raises(RecursionError, match=r"`power` calls itself more than 20 deep") as found:
            program(2.0, 30)
        assert found.value.where.text == "return x * power(x, n - 1)"
        assert found.value.where.file == __file__
        assert "max_recursion" in found.value.do
        assert not is_capturing()
        assert program(2.0, 10) == (1024.0, 5120.0)
    assert program(2.0, 30) == (2.0**30, 30 * 2.0**29)


def test_python_has_frames_for_all_the_recursion_that_the_option_allows():
    program = tg.value_and_grad(power, jit="python")
    assert program(1.0, tg.config.max_recursion - 40) == (1.0, tg.config.max_recursion - 40.0)


# Generators, `try` and `with` in the body.


def sums_a_generator(x):
    return sum(x[i] * x[i] for i in range(3))


def draws_from_a_generator(x):
    def squares():
        y = 1.0
        for v in x:
            y = y * v
            yield y * y

    s = 0.0
    for square in squares():
        s = s + square
    return s


def sends_to_a_generator(x):
    def running():
        total = 0.0
        while True:
            total = total + (yield total)

    run = running()
    next(run)
    for v in x:
        last = run.send(v * v)
    return last * x[0]


def leaves_a_generator(x):
    def counting():
        y = x[0]
        while True:
            y = y * x[1]
            yield y

    for y in counting():
        if y * y > 3.0 or y * y < 0.1:
            break
    return y


def catches_in_the_body(x):
    s = 0.0
    for i in range(5):
        try:
            s = s + x[i] * x[i]
        except IndexError:
            s = s * 2.0
    return s


def catches_what_a_helper_raises(x):
    def checked(v):
        if v < 0:
            raise ValueError("negative")
        return v * v

    s = 0.0
    for v in x:
        try:
            s = s + checked(v)
        except ValueError:
            s = s - v
        else:
            s = s * 1.5
        finally:
            s = s + 0.25 * v
    return s


def breaks_out_of_a_try(x):
    s = 0.0
    for v in x:
        try:
            if v > 1.0:
                break
            s = s + v * v
        finally:
            s = s * 3.0
    return s


def enters_a_with(x):
    s = 0.0
    for v in x:
        with np.errstate(all="ignore"):
            s = s + v * v
    return s


BODIES = [
    sums_a_generator,
    draws_from_a_generator,
    sends_to_a_generator,
    leaves_a_generator,
    catches_in_the_body,
    catches_what_a_helper_raises,
    breaks_out_of_a_try,
    enters_a_with,
]


@pytest.mark.parametrize("function", BODIES, ids=lambda f: f.__name__)
def test_generators_and_try_in_the_body(function):
    program = tg.value_and_grad(function, jit="python")
    for x in (X, np.array([0.5, 2.0, 0.75]), X, np.array([-1.5, 1.25, -0.25]), np.array([0.5, 2.0, 0.75])):
        value, bar = program(x)
        assert value == pytest.approx(function(x), rel=1e-13)
        for i in range(3):
            h = 1e-6 * (np.arange(3) == i)
            assert bar[i] == pytest.approx((function(x + h) - function(x - h)) / 2e-6, rel=1e-5, abs=1e-8)
    assert not is_capturing()
