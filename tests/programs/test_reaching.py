"""The programs of `reaching.py` on 200 random inputs each: values against plain Python, gradients along
random directions against complex steps through plain Python, and how many captures that took.
"""

from __future__ import annotations

import warnings

import numba
import numpy as np
import pytest

import tracegrad as tg
from tests.benchmarks.peers import hand, hand_loops
from tests.benchmarks.peers.rebind import rebind
from tests.programs.reaching import REACHING, Reaching

STEP = 1e-30

COMPILED = [name for name, program in REACHING.items() if program.captures is not None]


def inputs(program: Reaching, seed: int, many: int):
    """Random arguments; few for a program that captures most of them."""
    draws = np.random.default_rng(seed)
    return [program.draw(draws) for _ in range(many // 20 if program.captures is None else many)]


class ComplexZeros:
    """NumPy, whose `zeros` can hold complex numbers."""

    def __getattr__(self, name):
        return getattr(np, name)

    def zeros(self, shape):
        return np.zeros(shape, complex)


@pytest.fixture(autouse=True)
def quiet():
    """Some run on the tape, which is said once."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def complex_step(function, args, argnums, directions):
    """The derivative along a direction: f(x + ihv).imag / h has no cancellation."""
    given = list(args)
    for place, direction in zip(argnums, directions, strict=True):
        given[place] = np.add(args[place], STEP * 1j * direction)
    return np.imag(rebind(function, np=ComplexZeros())(*given)) / STEP


def check(program: Reaching, gradient, args, draws):
    """The value, and the gradient along a random direction."""
    value, bars = gradient(*args)
    where = f"{program.name}{args}"
    np.testing.assert_allclose(value, program.function(*args), rtol=1e-9, err_msg=where)
    for place, bar in zip(program.argnums, bars, strict=True):
        assert np.shape(bar) == np.shape(args[place])
    directions = [
        draws.uniform(0.5, 1.5, np.shape(bar)) * draws.choice([-1, 1], np.shape(bar)) for bar in bars
    ]
    found = [float(np.sum(bar * direction)) for bar, direction in zip(bars, directions, strict=True)]
    size = sum(float(np.sum(np.abs(bar))) for bar in bars)
    wanted = complex_step(program.function, args, program.argnums, directions)
    np.testing.assert_allclose(sum(found), wanted, rtol=0, atol=program.tolerance * (size + 1), err_msg=where)


@pytest.mark.parametrize("name", REACHING)
def test_random_inputs_are_right_and_captures_are_bounded(name):
    program = REACHING[name]
    gradient = tg.value_and_grad(program.function, argnums=program.argnums, jit="python")
    draws = np.random.default_rng(6)
    for args in inputs(program, 3, 200):
        check(program, gradient, args, draws)
    if program.captures is not None:
        assert gradient.stats.captures <= program.captures


@pytest.mark.parametrize("name", [name for name, r in REACHING.items() if r.captures is not None])
def test_nothing_is_captured_after_the_warm_up(name):
    program = REACHING[name]
    gradient = tg.value_and_grad(program.function, argnums=program.argnums, jit="python")
    drawn = inputs(program, 4, 50)
    for args in drawn:
        gradient(*args)
    before = gradient.stats.captures
    for args in drawn:
        gradient(*args)
    assert gradient.stats.captures == before


@pytest.mark.parametrize("name", COMPILED)
def test_compiled_programs_agree(name):
    program = REACHING[name]
    gradient = tg.value_and_grad(program.function, argnums=program.argnums, jit="native")
    draws = np.random.default_rng(7)
    for args in inputs(program, 5, 20):
        check(program, gradient, args, draws)


def test_the_references_written_by_hand_agree():
    for name, by_hand in (
        ("branchy", numba.njit(hand_loops.branchy)),
        ("lotka_volterra", hand.lotka_volterra),
    ):
        program, draws = REACHING[name], np.random.default_rng(8)
        for args in inputs(program, 8, 20):
            check(program, by_hand, args, draws)
