"""Solutions of equations inside what is differentiated: SciPy's values, every derivative, second order, staleness."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
import pytest
import scipy.optimize as so

import tracegrad as tg
from tests.ops.derivatives import check
from tracegrad import config
from tracegrad.errors import UnsupportedError

TIGHT = {"xtol": 1e-14, "rtol": 1e-14}
A = np.array([[4.0, 1.0, 0.3], [1.0, 3.0, 0.2], [0.3, 0.2, 5.0]])
B = np.array([0.5, -0.3, 1.1])
T = np.linspace(0.0, 2.0, 9)
Y = 2.1 * np.exp(-0.8 * T) + 0.05 * np.cos(9 * T)


def cubic(x, k, c):
    return x**3 - k * x - c


def circle(x, r, c):
    return np.array([x[0] ** 2 + x[1] ** 2 - r, x[1] - np.sin(c * x[0])])


def bowl(x, a, b):
    return 0.5 * x @ a @ x - b @ x + 0.1 * np.sum(x**4)


def bowl_slope(x, a, b):
    return 0.5 * (a + a.T) @ x - b + 0.4 * x**3


def decay(t, a, k):
    return a * np.exp(-k * t)


def decay_slope(t, a, k):
    return np.stack([np.exp(-k * t), -a * t * np.exp(-k * t)], 1)


@dataclass
class Spring:
    stiffness: object
    cubic: object

    def force(self, x, load):
        return self.stiffness * x + self.cubic * x**3 - load

    def rest(self, load):
        return so.brentq(self.force, -10, 10, args=(load,), **TIGHT)


def helper(x, parameters):
    return parameters["k"] * np.cos(x) - x * parameters["list"][1]


def with_structures(k, m):
    parameters = {"k": k, "list": [1.0, m]}
    return so.newton(functools.partial(helper, parameters=parameters), 0.5, tol=1e-15)


def through_helpers(k):
    def inner(x):
        return x * x - k

    def outer(x):
        return inner(x) * 2.0

    return so.root_scalar(outer, bracket=(0, 9), **TIGHT).root


def in_a_loop(k):
    total = 0.0
    for power in (2, 3, 4):
        total = total + so.brentq(lambda x: x**power - k, 0.5, 9, **TIGHT)  # noqa: B023
    return total


CALLS = {
    **{
        name: (
            lambda k, c, name=name: getattr(so, name)(cubic, 0.5, 5.0, args=(k, c), xtol=1e-14, rtol=1e-14),
            1.3,
            0.7,
        )
        for name in ("brentq", "brenth", "bisect", "ridder", "toms748")
    },
    "closure": (lambda k, c: so.brentq(lambda x: cubic(x, k, c), 0.5, 5.0, **TIGHT), 1.3, 0.7),
    "newton": (lambda k, c: so.newton(lambda x: cubic(x, k, c), 2.0, tol=1e-14), 1.3, 0.7),
    "newton with slope": (
        lambda k, c: so.newton(cubic, 2.0, lambda x, k, c: 3 * x**2 - k, args=(k, c), tol=1e-14),
        1.3,
        0.7,
    ),
    "newton of many": (lambda k, c: so.newton(cubic, np.full(3, 2.0), args=(k, c), tol=1e-14), B + 2, 0.7),
    "root_scalar": (
        lambda k, c: so.root_scalar(cubic, args=(k, c), x0=2.0, x1=1.5, xtol=1e-15).root,
        1.3,
        0.7,
    ),
    "structures": (with_structures, 1.2, 0.9),
    "helpers": (through_helpers, 2.3),
    "loop": (in_a_loop, 2.3),
    "method": (lambda s, c, load: Spring(s, c).rest(load), 2.0, 0.3, 1.7),
    "fixed_point": (
        lambda a, b: so.fixed_point(
            lambda x: np.cos(a * x) * b, np.array([0.5, 0.6]), xtol=1e-14, maxiter=900
        ),
        np.array([0.7, 0.9]),
        0.8,
    ),
    **{
        f"root {method}": (
            lambda r, c, method=method: so.root(circle, [1.0, 0.5], args=(r, c), method=method, tol=1e-13).x,
            2.0,
            0.7,
        )
        for method in ("hybr", "lm", "krylov")
    },
    "root value": (lambda r: so.root(lambda x: circle(x, r, r), [1.0, 0.5], tol=1e-13).fun + r, 2.0),
    "fsolve": (lambda r, c: so.fsolve(circle, np.ones(2), args=(r, c), xtol=1e-14), 2.0, 0.7),
    "minimize": (
        lambda a, b: so.minimize(bowl, np.zeros(3), args=(a + a.T, b), jac=bowl_slope, tol=1e-12).x,
        A,
        B,
    ),
    "minimize value": (
        lambda b: (
            so.minimize(
                lambda x: bowl(x, A, b), np.zeros(3), jac=lambda x: A @ x - b + 0.4 * x**3, tol=1e-13
            ).fun
        ),
        B,
    ),
    "minimize with slope": (
        lambda b: (
            so.minimize(lambda x: (bowl(x, A, b), A @ x - b + 0.4 * x**3), np.zeros(3), jac=True, tol=1e-13).x
        ),
        B,
    ),
    "minimize bounded": (
        lambda b: (
            so.minimize(
                bowl,
                np.full(3, 0.02),
                (A, b),
                jac=bowl_slope,
                bounds=[(0, 1)] * 3,
                options={"ftol": 0, "gtol": 1e-13},
            ).x
        ),
        B,
    ),
    "golden": (lambda k: so.golden(lambda x, c: (x - c) ** 4 + (x - 1) ** 2, (k,), tol=1e-12), 1.7),
    "brent": (lambda k: so.brent(lambda x: (x - k) ** 4 + (x - 1) ** 2, brack=(0.0, 2.0), tol=1e-12), 1.7),
    "golden in full": (lambda k: so.golden(lambda x: (x - k) ** 4 + (x - 1) ** 2, full_output=True)[1], 1.7),
    "minimize_scalar": (
        lambda k: so.minimize_scalar(lambda x: (x - k) ** 4 + (x - 1) ** 2, tol=1e-12).x,
        2.0,
    ),
    "least_squares": (
        lambda y, s: (
            so.least_squares(
                lambda p: decay(T, *p) - y * s, [1.0, 1.0], "3-point", xtol=1e-15, ftol=1e-15, gtol=1e-15
            ).x
        ),
        Y,
        1.1,
    ),
    "least_squares robust": (
        lambda y: (
            so.least_squares(
                lambda p: decay(T, p[0], p[1]) - y,
                [1.0, 1.0],
                "3-point",
                xtol=1e-15,
                ftol=1e-15,
                gtol=1e-15,
                loss="soft_l1",
                f_scale=0.1,
            ).x
        ),
        Y,
    ),
    "curve_fit": (lambda y: so.curve_fit(decay, T, y, jac=decay_slope, ftol=1e-15, xtol=1e-15)[0], Y),
    "curve_fit errors": (
        lambda t, y, s: so.curve_fit(
            decay, t, y, p0=(2.0, 1.0), sigma=s, absolute_sigma=True, jac=decay_slope, ftol=1e-15, xtol=1e-15
        )[0],
        T,
        Y,
        0.1 + 0.05 * T,
    ),
    "curve_fit covariance": (
        lambda y: so.curve_fit(decay, T, y, jac=decay_slope, ftol=1e-15, xtol=1e-15)[1],
        Y,
    ),
}
STEPS = {
    **dict.fromkeys(("minimize_scalar", "golden", "golden in full", "brent", "root krylov"), 1e-2),
    **dict.fromkeys((name for name in CALLS if name.startswith(("least_squares", "curve_fit"))), 1e-3),
    **dict.fromkeys((name for name in CALLS if name.startswith("minimize")), 1e-2),
}
"""Of differences, for solvers that stop further away from the solution."""


@pytest.mark.parametrize("name", CALLS)
def test_value_and_derivatives(name):
    function, *args = CALLS[name]
    exact = 1e-7 if name == "curve_fit covariance" else 1e-10  # SciPy has it from the last step but one
    check(function, *args, rtol=3e-6, atol=3e-7, exact=exact, step=STEPS.get(name, 1e-5))


def test_against_the_solution_in_every_tier():
    def root(k):
        return so.brentq(lambda x: x * x - k, 0, 99, **TIGHT)

    for tier in ("python", "native"):
        gradient = tg.grad(root, jit=tier)
        for k in (2.0, 3.0, 9.0):
            assert gradient(k) == pytest.approx(0.5 / np.sqrt(k), rel=1e-12)
        assert gradient.stats.captures == 1
    third = tg.grad(tg.grad(tg.grad(root, jit="python"), jit="python"), jit="python")
    assert third(2.0) == pytest.approx(3 / 8 * 2.0**-2.5, rel=1e-9)


def test_a_solution_inside_a_loop_whose_counter_the_equation_reads():
    gradient = tg.grad(in_a_loop, jit="python")
    for k in (2.0, 3.0):
        assert gradient(k) == pytest.approx(sum(k ** (1 / n - 1) / n for n in (2, 3, 4)), rel=1e-10)


def test_what_the_equation_reads_from_outside_is_never_stale():
    weights = np.array([1.0, 2.0])
    holder = {"shift": 1.0}
    with config.using(jit="python"):
        gradient = tg.grad(
            lambda k: np.sum(so.root(lambda x: weights * x - k * holder["shift"], np.ones(2)).x)
        )
        assert gradient(2.0) == pytest.approx(1.5)
        weights[1] = 4.0
        assert gradient(2.0) == pytest.approx(1.25)
        holder["shift"] = 3.0
        assert gradient(2.0) == pytest.approx(3.75)


def test_outcomes_tell_what_scipys_tell():
    def solved(r):
        found = so.root(lambda x: circle(x, r, 0.7), [1.0, 0.5])
        assert found.success and found.status == 1 and "converged" in found.message
        x, report = so.brentq(lambda x: x * x - r, 0, 9, full_output=True)
        assert report.converged and report.iterations > 3
        return found.x[0] + x + report.root

    def failing(r):
        found = so.root(lambda x: x * x + r, 1.0)
        return found.x * 0.0 if not found.success else found.x

    with config.using(jit="python"):
        check(solved, 2.0, second=False, rtol=1e-5)
        assert tg.jit(failing)(1.0) == 0.0
        assert tg.jit(failing)(-4.0) == pytest.approx(2.0)
        assert tg.grad(lambda r: np.sum(failing(-r)))(4.0) == pytest.approx(0.25)


def test_a_solution_with_nothing_traced_is_scipys():
    with config.using(jit="python"):
        found = tg.value_and_grad(lambda x: x * so.brentq(lambda t: t * t - 4.0, 0, 9))(3.0)
        assert found == pytest.approx((6.0, 2.0))


def test_what_has_no_derivative_is_refused_and_errors_are_scipys():
    with config.using(jit="python"):
        with pytest.raises(ValueError, match="different signs"):
            tg.grad(lambda k: so.brentq(lambda x: x * x + k, 0, 1))(1.0)
        with pytest.raises(UnsupportedError, match="constraints"):
            tg.grad(
                lambda k: so.minimize(
                    lambda x: np.sum((x - k) ** 2),
                    np.zeros(2),
                    constraints={"type": "eq", "fun": lambda x: x[0]},
                ).x[1]
            )(1.0)
        with pytest.raises(UnsupportedError, match="bounds"):
            tg.grad(lambda k: so.minimize(lambda x: np.sum(x * x), np.ones(2), bounds=[(k, None)] * 2).x[0])(
                1.0
            )
        with pytest.raises(np.linalg.LinAlgError):
            tg.grad(lambda k: so.newton(lambda x: (x - k) ** 3, 1.0, tol=1e-30, maxiter=500, disp=False))(1.0)
        with pytest.raises(TypeError):
            tg.grad(lambda k: so.brentq(lambda x: x - k, 0))(1.0)
