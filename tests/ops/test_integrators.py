"""`odeint` and `quad` of traced values: SciPy's values to their tolerance, and every derivative; what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.integrate

import tracegrad as tg
from tests.ops.derivatives import slope
from tracegrad import config
from tracegrad.errors import UnsupportedError

T = np.array([0.0, 0.4, 0.7])


def pendulum(y, t, a, b):
    return np.array([y[1], -a * np.sin(y[0]) - b * y[1] + 0.1 * t])


def oscillation(y0, a, b):
    return scipy.integrate.odeint(pendulum, y0, T, args=(a, b))


def at_times(y0, t):
    return scipy.integrate.odeint(lambda t, y: -y * y * (1 + t), y0, t, tfirst=True, rtol=1e-10, atol=1e-10)


CALLS = {
    "odeint": (oscillation, np.array([0.4, 0.9]), 1.3, 0.2),
    "odeint at times": (at_times, np.array([0.7]), T),
    "odeint backwards": (
        lambda y0: scipy.integrate.odeint(lambda y, t: -y * t, y0, T[::-1].copy()),
        np.array([0.7]),
    ),
    "quad": (
        lambda a, b, k: scipy.integrate.quad(lambda x: np.exp(-k * x) * np.sin(x), a, b)[0],
        0.2,
        1.4,
        0.8,
    ),
    "quad of complex numbers": (
        lambda k: sum(
            np.imag(scipy.integrate.quad(lambda x, c: np.exp(1j * x) * c, 0, 1, (c,), complex_func=True)[0])
            for c in (k, 2.0)
        ),
        0.7,
    ),
    "quad of arguments": (
        lambda k: scipy.integrate.quad(lambda x, k: 1 / (k + x**2), 0, 3, args=(k,))[0],
        0.1,
    ),
    "quad to infinity": (
        lambda k: scipy.integrate.quad(lambda x: np.exp(-k * x * x), -np.inf, np.inf)[0],
        0.7,
    ),
    "quad to a traced infinity": (
        lambda k: scipy.integrate.quad(lambda x: np.exp(-k * x * x), k - np.inf, k + np.inf)[0],
        0.7,
    ),
    "quad from infinity": (
        lambda k, b: scipy.integrate.quad(lambda x: np.exp(k * x), -np.inf, b)[0],
        0.7,
        0.3,
    ),
}


@pytest.mark.parametrize("name", CALLS)
def test_value_and_derivatives(name):
    function, *args = CALLS[name]
    args = [np.asarray(a, float) for a in args]
    generator = np.random.default_rng(0)
    along = [generator.uniform(-1, 1, a.shape) for a in args]
    if name == "odeint at times":
        along[1][0] = 0.0
    weights = generator.uniform(0.5, 1.5, np.shape(function(*args)))

    def loss(*given):
        return np.sum(function(*given) * weights)

    with config.using(jit="python"):
        wrt = tuple(range(len(args)))
        found, gradients = tg.value_and_grad(loss, argnums=wrt)(*args)
        assert found == pytest.approx(loss(*args), rel=3e-7)
        total = sum(np.sum(g * d) for g, d in zip(gradients, along, strict=True))
        assert total == pytest.approx(slope(loss, args, along), rel=2e-3 if "odeint" in name else 1e-5)
        exact = tg.jvp(loss, tuple(args), tuple(along))[1]
        assert total == pytest.approx(exact, rel=1e-9)
        if name not in ("odeint", "quad", "quad from infinity"):
            return

        def directional(*given):
            return tg.jvp(loss, given, tuple(along))[1]

        second = tg.jvp(directional, tuple(args), tuple(along))[1]
        wide = [(directional(*[a + s * 1e-3 * d for a, d in zip(args, along, strict=True)])) for s in (1, -1)]
        assert second == pytest.approx((wide[0] - wide[1]) / 2e-3, rel=1e-3, abs=1e-5)


def test_against_the_solution():
    with config.using(jit="python"):
        decay = tg.grad(
            lambda k: scipy.integrate.odeint(lambda y, t: -k * y, np.array([1.0]), np.array([0.0, 2.0]))[1, 0]
        )
        assert decay(0.7) == pytest.approx(-2 * np.exp(-1.4), rel=1e-7)
        assert decay(1.9) == pytest.approx(-2 * np.exp(-3.8), rel=1e-6)


def test_what_is_plain_is_left_to_scipy():
    with config.using(jit="python"):
        found = tg.value_and_grad(lambda x: x * scipy.integrate.quad(lambda t: t * t, 0.0, 1.0)[0])(2.0)
        assert found == pytest.approx((2 / 3, 1 / 3))


def test_what_is_not_recorded_says_which_argument_and_what_to_use():
    with config.using(jit="python"):
        with pytest.raises(UnsupportedError, match="full_output"):
            tg.grad(lambda y: np.sum(scipy.integrate.odeint(lambda y, t: -y, y, T, full_output=True)[0]))(
                np.ones(1)
            )
        with pytest.raises(UnsupportedError, match="weight"):
            tg.grad(lambda k: scipy.integrate.quad(lambda x: k * x, 0, 1, weight="cos", wvar=1.0)[0])(1.0)
