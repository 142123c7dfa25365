"""Derivatives of loops and branches: both modes, to second order, and of what they do not change."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.special

import tracegrad as tg
from tracegrad.errors import NotDifferentiableError


def rolled(x):
    y = x
    for _ in range(6):
        y = np.sin(y) * 0.9 + x * y
    return y


def until(x):
    y = x
    while y < 3.0:
        y = y * y + 0.7
    return y * x


def chosen(x):
    if x > 0:
        y = x**3
    else:
        y = np.exp(x) * x
    return y * y


def chosen_in_a_loop(x):
    y, total = x, 0.0
    for _ in range(8):
        if y > 0.5:
            y = y * 0.6 - 0.2 * x
        else:
            y = np.cos(y * x)
        total = total + y * x
    return total


def nested(x):
    total = x
    for _ in range(3):
        y = total
        while y > 0.4:
            y = y * 0.5
        total = total + np.sin(y)
    return total * x


PROGRAMS = [rolled, until, chosen, chosen_in_a_loop, nested]
POINTS = [0.31, 0.83]


def slope(function, x, step=1e-5):
    return (function(x + step) - function(x - step)) / (2 * step)


@pytest.mark.parametrize("function", PROGRAMS)
@pytest.mark.parametrize("x", POINTS)
def test_second_derivatives(function, x):
    first = tg.grad(function, jit="python")
    second = tg.grad(tg.grad(function), jit="python")
    assert first(x) == pytest.approx(slope(function, x), rel=1e-6, abs=1e-8)
    assert second(x) == pytest.approx(slope(first, x), rel=1e-5, abs=1e-7)


@pytest.mark.parametrize("function", PROGRAMS)
@pytest.mark.parametrize("x", POINTS)
def test_forward_over_reverse_is_reverse_over_forward(function, x):
    def pushed(t):
        return tg.jvp(function, (t,), (1.0,))[1]

    _, forward_over_reverse = tg.jvp(tg.grad(function), (x,), (1.0,))
    reverse_over_forward = tg.grad(pushed, jit="python")(x)
    assert forward_over_reverse == pytest.approx(reverse_over_forward, rel=1e-9, abs=1e-10)
    assert reverse_over_forward == pytest.approx(
        tg.grad(tg.grad(function), jit="python")(x), rel=1e-9, abs=1e-10
    )


def test_a_hessian_of_a_loop_is_symmetric():
    def function(x):
        y = x
        for _ in range(4):
            y = np.sin(y) * x[::-1]
        return np.sum(y)

    point = np.array([0.3, 0.7, 1.1])

    def row(v):
        return tg.grad(lambda x: np.dot(tg.grad(function)(x), v), jit="python")(point)

    hessian = np.array([row(v) for v in np.eye(3)])
    assert hessian == pytest.approx(hessian.T, rel=1e-9, abs=1e-10)


def test_an_invariant_of_a_loop_gets_the_sum_of_all_steps():
    def function(w):
        y = 1.0
        for _ in range(5):
            y = y * w
        return y

    assert tg.grad(function, jit="python")(1.2) == pytest.approx(5 * 1.2**4)


def test_what_a_loop_hands_on_unchanged_keeps_its_cotangent():
    def function(x, z):
        y = z
        for _ in range(4):
            x = x * 1.5
            y = y + 0.0
        return x + y

    assert tg.grad(function, argnums=(0, 1), jit="python")(1.0, 2.0) == pytest.approx((1.5**4, 1.0))


def test_a_loop_that_did_not_run_is_the_identity():
    assert tg.value_and_grad(until, jit="python")(4.0) == pytest.approx((16.0, 8.0))


def test_an_op_without_a_derivative_inside_a_loop_is_refused_with_its_line():
    def function(x):
        for _ in range(3):
            x = x * scipy.special.hyp1f1(x, 2.0, 0.5)
        return x

    with pytest.raises((NotDifferentiableError, TypeError)) as found:
        tg.grad(function, jit="python")(0.5)
    assert "hyp1f1" in str(found.value)
    assert found.value.where.file == __file__
    with pytest.raises(NotDifferentiableError) as found:
        tg.jvp(function, (0.5,), (1.0,))
    assert found.value.where.file == __file__
