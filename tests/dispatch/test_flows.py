"""`solve_ivp` inside what is differentiated: SciPy's values by each method, every derivative, closed forms, odeint."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.integrate
import scipy.optimize

import tracegrad as tg
from tests.ops.derivatives import check
from tracegrad import config
from tracegrad.errors import UnsupportedError

T = np.array([0.0, 0.4, 1.0])
TIGHT = {"rtol": 1e-11, "atol": 1e-12}
STIFF = {"rtol": 1e-9, "atol": 1e-11}
solve_ivp = scipy.integrate.solve_ivp


def pendulum(t, y, a, b):
    return np.array([y[1], -a * np.sin(y[0]) - b * y[1] + 0.1 * t])


def swing(method, **options):
    def solution(y0, a, b):
        return solve_ivp(pendulum, (0.0, 1.0), y0, method, T, args=(a, b), **options).y

    return solution


def with_moving_ends(start, end, y0, k):
    found = solve_ivp(lambda t, y: -k * y * t, (start, end), y0, method="DOP853", **TIGHT)
    return found.y[:, -1] * found.t[-1] + found.y[:, 0]


START = np.array([0.4, 0.9])
CALLS = {
    **{method: (swing(method, **TIGHT), START, 1.3, 0.2) for method in ("RK45", "DOP853")},
    **{method: (swing(method, **STIFF), START, 1.3, 0.2) for method in ("LSODA", "Radau")},
    "backwards": (
        lambda y0, k: solve_ivp(lambda t, y: -k * t * y, (1.0, 0.2), y0, **TIGHT).y[:, -1],
        START,
        0.7,
    ),
    "at moving times": (
        lambda y0, t, k: solve_ivp(lambda t, y: -k * y * y * (1 + t), (0.0, 2.0), y0, "DOP853", t, **TIGHT).y,
        START[:1],
        T + 0.1,
        0.7,
    ),
    "moving ends": (with_moving_ends, 0.1, 1.2, START, 0.7),
}


@pytest.mark.parametrize("name", CALLS)
def test_value_and_derivatives(name):
    function, *args = CALLS[name]
    check(
        function, *args, rtol=3e-6, atol=3e-7, exact=1e-9, step=1e-3, second=name in ("DOP853", "moving ends")
    )


@pytest.mark.parametrize("method", ["RK23", "BDF"])
def test_methods_of_low_order(method):
    with config.using(jit="python"):
        options = {"rtol": 1e-6, "atol": 1e-8}
        found = tg.grad(
            lambda k: solve_ivp(lambda t, y: -k * y, (0.0, 2.0), np.ones(1), method, [0.5, 2.0], **options).y[
                0, 1
            ]
        )(0.7)
        assert found == pytest.approx(-2 * np.exp(-1.4), rel=1e-8)


def test_against_the_solution_and_the_program_is_kept():
    def decayed(k):
        found = solve_ivp(lambda t, y: -k * y, (0.0, 2.0), [1.0], t_eval=T, **TIGHT)
        assert found.success and found.status == 0 and found.t.shape == T.shape
        return found.y[0, -1] + 0.0 * found.nfev

    with config.using(jit="python"):
        gradient = tg.grad(decayed)
        for k in (0.7, 1.9, 2.6):
            assert gradient(k) == pytest.approx(-np.exp(-k), rel=1e-8)
        assert gradient.stats.captures == 1
        third = tg.grad(tg.grad(gradient))
        assert third(0.7) == pytest.approx(-np.exp(-0.7), rel=1e-6)


def test_as_odeint_has_it():
    def by_steps(y0, a):
        return np.sum(
            scipy.integrate.odeint(pendulum, y0, T, args=(a, 0.2), tfirst=True, rtol=1e-10, atol=1e-10)
        )

    def by_sensitivities(y0, a):
        return np.sum(swing("RK45", **TIGHT)(y0, a, 0.2))

    with config.using(jit="python"):
        for one, other in zip(
            tg.grad(by_steps, (0, 1))(START, 1.3), tg.grad(by_sensitivities, (0, 1))(START, 1.3), strict=True
        ):
            np.testing.assert_allclose(one, other, rtol=1e-7)


def test_a_stiff_equation():
    """Backward in time it would explode."""

    def end(k):
        return solve_ivp(lambda t, y: -k * (y - np.cos(t)), (0.0, 1.0), [0.0], "Radau", [1.0], **STIFF).y[
            0, 0
        ]

    def exact(k):
        return (k * k * np.cos(1.0) + k * np.sin(1.0) - k * k * np.exp(-k)) / (1 + k * k)

    with config.using(jit="python"):
        found = tg.grad(end)(1000.0)
        assert found == pytest.approx((exact(1000.5) - exact(999.5)), rel=1e-4)


def test_the_time_of_an_event():
    def falls(g):
        def height(t):
            return solve_ivp(lambda t, y: [y[1], -g], (0.0, t), [1.0, 0.0], t_eval=[t], **TIGHT).y[0, 0]

        return scipy.optimize.brentq(height, 0.1, 2.0, xtol=1e-13)

    with config.using(jit="python"):
        assert tg.grad(falls)(9.81) == pytest.approx(-0.5 * np.sqrt(2.0) * 9.81**-1.5, rel=1e-8)


def test_what_is_not_recorded_is_refused_with_advice():
    with config.using(jit="python"):
        for given in ({"events": lambda t, y: y[0]}, {"dense_output": True}):
            with pytest.raises(UnsupportedError, match=next(iter(given))) as caught:
                tg.grad(
                    lambda k, given=given: solve_ivp(lambda t, y: -k * y, (0, 1), [1.0], **given).y[0, -1]
                )(1.0)
            assert "do:" in str(caught.value)
        with pytest.raises(ValueError, match="t_eval"):
            tg.grad(lambda k: solve_ivp(lambda t, y: -k * y, (0, 1), [1.0], t_eval=[2.0]).y[0, -1])(1.0)
