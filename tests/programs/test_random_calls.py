"""Random programs of NumPy calls: value and gradient against the plain function and its differences, in every mode."""

from __future__ import annotations

import functools
import random
import re
import warnings

import numpy as np
import pytest

import tracegrad as tg
from tests.programs.random_calls import write
from tests.record.test_random_programs import made, on_tape
from tracegrad.errors import InPlaceError

STEP = 2e-4
UNLIKE = r"sort\(|float\(|math|max\(t|vectorize|np\.full|\.fill|running|halved|any\(|np\.array\("
"""What tensors do in PyTorch's way, or cannot."""


@pytest.fixture(autouse=True)
def quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@functools.cache
def drawn(seed):
    """A program and the points it is run at: the first twice, so that a known program runs again."""
    text, shapes = write(random.Random(seed), 3 + seed % 5)
    draws = np.random.default_rng(seed)
    points = [(*(draws.uniform(-1.5, 1.5, s) for s in shapes), float(draws.uniform(-1, 1))) for _ in range(2)]
    return made(text, f"calls {seed}"), text, (*points, points[0])


def vector(parts):
    return np.concatenate([np.ravel(p) for p in parts])


def apart(v, like):
    """A vector as two arrays and a number."""
    x, y, _ = like
    cut = x.size, x.size + y.size
    return v[: cut[0]].reshape(x.shape), v[cut[0] : cut[1]].reshape(y.shape), float(v[cut[1]])


def slopes(value, start):
    """Differences of fourth order by each number of a vector, NaN where those of two steps disagree: a kink."""
    found = []
    for e in np.eye(len(start)) * STEP:
        near, far = ((value(start + k * e) - value(start - k * e)) / (2 * k * STEP) for k in (1, 2))
        bends = [
            (value(start + k * e) + value(start - k * e) - 2 * value(start)) / (k * STEP) for k in (1, 2)
        ]
        scale = 1e-5 * (1 + np.max(np.abs(near)))
        smooth = np.all(np.abs(near - far) < scale) and np.all(np.abs(bends[0] - bends[1] / 2) < scale)
        found.append((4 * near - far) / 3 if smooth else near * np.nan)
    return np.array(found)


def plainly(function, point):
    """The value, or the class of what plain Python raises."""
    try:
        return function(*(np.array(p) for p in point[:2]), point[2])
    except (IndexError, ValueError, TypeError, np.linalg.LinAlgError) as error:
        return type(error)


def check(seed, gradient, points):
    """Values and gradients, and how many partials had differences to be compared with."""
    function, text, _ = drawn(seed)
    compared = 0
    for point in points:
        wanted, where = plainly(function, point), f"seed {seed} at {point}\n{text[text.index('def f(') :]}"
        if isinstance(wanted, type):
            with pytest.raises(wanted):
                gradient(*point)
            continue
        try:
            value, bars = gradient(*point)
        except InPlaceError:  # an argument, or a view that came out of a loop: refused, not guessed
            continue
        assert value == pytest.approx(wanted, rel=1e-9, abs=1e-9), where
        slope = slopes(lambda v, like=point: plainly(function, apart(v, like)), vector(point))
        for bar, given in zip(bars, point, strict=True):
            assert np.shape(bar) == np.shape(given), where
        known = np.isfinite(slope)
        bound = 2e-6 * (1 + np.max(np.abs(slope[known]), initial=0))
        np.testing.assert_allclose(vector(bars)[known], slope[known], rtol=2e-6, atol=bound, err_msg=where)
        compared += known.sum()
    return compared


@pytest.mark.parametrize("seed", range(30))
def test_reverse_mode_and_the_tape_are_as_differences(seed):
    function, _, points = drawn(seed)
    gradient = tg.value_and_grad(function, argnums=(0, 1, 2), jit="python")
    check(seed, gradient, points)
    check(seed, on_tape(gradient), points[:1])


@pytest.mark.parametrize("seed", range(0, 30, 2))
def test_forward_mode_and_forward_over_reverse(seed):
    function, text, points = drawn(seed)
    gradient = tg.value_and_grad(function, argnums=(0, 1, 2), jit="python")
    point, where = points[0], f"seed {seed} at {points[0]}\n{text[text.index('def f(') :]}"
    if isinstance(plainly(function, point), type):
        return
    try:
        value, bars = gradient(*point)
    except InPlaceError:
        return
    along = np.cos(np.arange(len(vector(point))) * 1.7)
    found, dot = tg.jvp(function, point, apart(along, point))
    assert found == pytest.approx(value, rel=1e-9), where
    assert dot == pytest.approx(vector(bars) @ along, rel=1e-9, abs=1e-8), where
    slope = slopes(lambda v: vector(gradient(*apart(vector(point) + v[0] * along, point))[1]), np.zeros(1))[0]
    if np.all(np.isfinite(slope)):
        second = tg.jvp(tg.grad(function, argnums=(0, 1, 2), jit="python"), point, apart(along, point))[1]
        bound = 1e-5 * (1 + np.max(np.abs(slope)))
        np.testing.assert_allclose(vector(second), slope, rtol=1e-5, atol=bound, err_msg=where)


@pytest.mark.parametrize("seed", [*range(1, 30, 2), 2039, 2076, 2177, 2192])
def test_reverse_over_reverse(seed):
    function, text, points = drawn(seed)
    point, where = points[0], f"seed {seed} at {points[0]}\n{text[text.index('def f(') :]}"
    if isinstance(plainly(function, point), type):
        return
    first = tg.grad(function, argnums=(0, 1, 2), jit="python")
    along = np.cos(np.arange(len(vector(point))) * 1.7)
    weights = apart(along, point)

    def weighted(x, y, t):
        a, b, c = first(x, y, t)
        return np.sum(a * weights[0]) + np.sum(b * weights[1]) + c * weights[2]

    try:
        slope = slopes(lambda v: vector(first(*apart(v, point))) @ along, vector(point))
        second = vector(tg.grad(weighted, argnums=(0, 1, 2), jit="python")(*point))
    except InPlaceError:
        return
    known = np.isfinite(slope)
    bound = 1e-5 * (1 + np.max(np.abs(slope[known]), initial=0))
    np.testing.assert_allclose(second[known], slope[known], rtol=1e-5, atol=bound, err_msg=where)


EAGER = [k for k in range(30) if not re.search(UNLIKE, drawn(k)[1].partition("def f(")[2])]


@pytest.mark.parametrize("seed", EAGER)
def test_eager_tensors(seed):
    function, _, points = drawn(seed)

    def gradient(*point):
        leaves = [tg.tensor(np.array(p), requires_grad=True) for p in point]
        with tg.autograd.allow_mutation_on_saved_tensors():
            value = function(*leaves)
        value.backward()
        bars = [
            np.zeros(np.shape(p)) if a.grad is None else a.grad.numpy()
            for a, p in zip(leaves, point, strict=True)
        ]
        return value.item(), bars

    check(seed, gradient, points[:1])


def test_compiled_programs():
    """Five programs in one, so that they are compiled at once."""
    seeds = (2, 3, 6, 9, 11)
    texts = [drawn(k)[1].replace("def f(", f"def f{k}(") for k in seeds]
    calls = " + ".join(f"f{k}(*points[{place}])" for place, k in enumerate(seeds))
    together = made("\n\n".join([*texts, f"def f(*points):\n    return {calls}\n"]), "calls together")
    gradient = tg.value_and_grad(together, argnums=tuple(range(len(seeds))), jit="native")
    plain = [tg.value_and_grad(drawn(k)[0], argnums=(0, 1, 2), jit="python") for k in seeds]
    for place in range(2):
        given = [drawn(k)[2][place] for k in seeds]
        value, bars = gradient(*given)
        wanted = [one(*point) for one, point in zip(plain, given, strict=True)]
        assert value == pytest.approx(sum(v for v, _ in wanted), rel=1e-10)
        for found, (_, expected) in zip(bars, wanted, strict=True):
            np.testing.assert_allclose(vector(found), vector(expected), rtol=1e-9, atol=1e-9)
    assert gradient.stats.compiles


def test_most_partials_have_differences_to_compare_with():
    function, _, points = drawn(3)
    gradient = tg.value_and_grad(function, argnums=(0, 1, 2), jit="python")
    assert check(3, gradient, points) > 0.8 * len(points) * len(vector(points[0]))
