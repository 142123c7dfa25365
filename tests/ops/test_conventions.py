"""Where a derivative does not exist, or a formula would divide zero by zero: what is promised."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest

import tracegrad as tg
import tracegrad.ops.functions
from tracegrad.ir.interpret import interpret
from tracegrad.ops.op import REGISTRY
from tracegrad.testing.samples import Sample, pushed_forward, vjp_trace


def gradients(name, *values, g=None, **params):
    """Cotangents of an op's float inputs; `g` is the cotangent of its result, ones if not given."""
    sample = Sample(REGISTRY[name], values, params)
    result = sample.op(*values, **params)
    seed = np.ones(np.shape(result))[()] if g is None else g
    return interpret(vjp_trace(sample), (*sample.active, seed))


def second(name, value, along, *others, **params):
    """The derivative of the gradient along a direction."""
    sample = Sample(REGISTRY[name], (value, *others), params)
    g = np.ones(np.shape(sample.op(value, *others, **params)))[()]
    return interpret(pushed_forward(vjp_trace(sample)), (value, g, along, np.zeros_like(g)))[0]


def test_abs_has_derivative_zero_at_zero():
    assert gradients("absolute", np.float64(0.0))[0] == 0


@pytest.mark.parametrize("name", ["maximum", "minimum", "fmax", "fmin"])
def test_two_that_tie_share_equally(name):
    x_bar, y_bar = gradients(name, np.array([1.0, 2.0]), np.array([1.0, 2.0]))
    assert x_bar.tolist() == y_bar.tolist() == [0.5, 0.5]


@pytest.mark.parametrize("name", ["max", "min"])
def test_elements_that_tie_share_equally(name):
    (x_bar,) = gradients(name, np.array([1.0, 1.0, 1.0]), axis=(0,), keepdims=False)
    np.testing.assert_allclose(x_bar, 1 / 3)


def test_clip_passes_the_derivative_on_at_its_bounds():
    (x_bar,) = gradients("clip", np.array([-1.0, 0.0, 0.5, 1.0, 2.0]), 0.0, 1.0)
    assert x_bar.tolist() == [0, 1, 1, 1, 0]


def test_an_infinite_cotangent_stays_in_the_arm_that_was_taken():
    g = np.array([np.inf, 1.0])
    x_bar, y_bar = gradients("where", np.array([True, False]), np.ones(2), np.ones(2), g=g)
    assert x_bar.tolist() == [np.inf, 0.0]
    assert y_bar.tolist() == [0.0, 1.0]
    x_bar, y_bar = gradients("maximum", np.array([1.0, 0.0]), np.array([0.0, 1.0]), g=g)
    assert x_bar.tolist() == [np.inf, 0.0]
    assert y_bar.tolist() == [0.0, 1.0]


@pytest.mark.filterwarnings("ignore:divide by zero")
def test_the_root_is_infinitely_steep_at_zero():
    assert gradients("sqrt", np.float64(0.0))[0] == np.inf


def test_the_norm_has_derivative_zero_at_zero():
    assert gradients("norm", np.zeros(3), axis=(0,), keepdims=False)[0].tolist() == [0, 0, 0]
    assert gradients("hypot", np.float64(0.0), np.float64(0.0)) == (0.0, 0.0)
    assert gradients("std", np.ones(3), axis=(0,), keepdims=False, ddof=0)[0].tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("exponent", "wanted"),
    [(0, [0, 0, 0]), (1, [1, 1, 1]), (2, [-4, 0, 2]), (3, [12, 0, 3]), (2.0, [-4, 0, 2]), (3.0, [12, 0, 3])],
)
def test_a_known_whole_exponent_is_right_at_zero_and_below(exponent, wanted):
    (x_bar,) = gradients("power", np.array([-2.0, 0.0, 1.0]), exponent)
    assert x_bar.tolist() == wanted


@pytest.mark.filterwarnings("ignore:divide by zero", "ignore:overflow", "ignore:invalid value")
@pytest.mark.parametrize("exponent", [-0.3, -0.5, -1.5, -2.5, -40.5])
def test_negative_powers_are_differentiated_from_themselves(exponent):
    """z / x instead of another power: as exact, also where z is 0 or infinite."""
    x = np.array([1e-3, 0.7, 1.0, 3.5, 1e5, 1e200, 0.0, np.inf, -1.0])
    (x_bar,) = gradients("power", x, exponent)
    along = second("power", x, np.ones_like(x), exponent)
    with mpmath.workdps(30):
        n, values = mpmath.mpf(exponent), [mpmath.mpf(v) for v in x[:6]]
        once = [float(n * v ** (n - 1)) for v in values]
        twice = [float(n * (n - 1) * v ** (n - 2)) for v in values]
    np.testing.assert_allclose(x_bar[:6], once, rtol=1e-15, atol=5e-324)
    np.testing.assert_allclose(along[:6], twice, rtol=2e-15, atol=5e-324)
    np.testing.assert_array_equal(x_bar[6:], [-np.inf, 0, np.nan])
    assert along[7] == 0


def test_power_of_two_variables_is_finite_at_zero():
    x_bar, y_bar = gradients("power", np.array([0.0, 0.0, 2.0]), np.array([0.0, 2.0, 3.0]))
    assert x_bar.tolist() == [0, 0, 12]
    np.testing.assert_allclose(y_bar, [0, 0, 8 * np.log(2)])


@pytest.mark.parametrize("x", [[2.0, 0.0, 3.0], [0.0, 0.0, 3.0], [0.0, 0.0, 0.0], [5.0, 1.0, 3.0, 0.0, 7.0]])
def test_products_are_right_at_zeros_to_second_order(x):
    x = np.array(x)
    others = [np.prod(np.delete(x, i)) for i in range(x.size)]
    np.testing.assert_allclose(gradients("prod", x, axis=(0,), keepdims=False)[0], others)
    along = np.arange(1.0, x.size + 1)
    hessian = [
        [0.0 if i == j else np.prod(np.delete(x, [i, j])) for j in range(x.size)] for i in range(x.size)
    ]
    np.testing.assert_allclose(second("prod", x, along, axis=(0,), keepdims=False), hessian @ along)


def test_sinc_is_smooth_at_zero():
    assert gradients("sinc", np.float64(0.0))[0] == 0
    np.testing.assert_allclose(second("sinc", np.float64(0.0), np.float64(1.0)), -(np.pi**2) / 3)
    below, above = (gradients("sinc", np.float64(np.sqrt(1e-3) * k))[0] for k in (1 - 1e-9, 1 + 1e-9))
    np.testing.assert_allclose(below, above, rtol=1e-8)


def test_cholesky_has_no_derivative_above_the_diagonal():
    a = np.array([[4.0, 1.0], [1.0, 3.0]])
    (a_bar,) = gradients("cholesky", a, g=np.array([[1.0, 0.0], [1.0, 1.0]]))
    assert a_bar[0, 1] == 0


@pytest.mark.parametrize(
    "x",
    [
        np.zeros((3, 3)),
        np.arange(9.0).reshape(3, 3),
        np.diag([0.0, 2.0, 0.0]),
        np.diag([1.0, 2.0, 3.0, 0.0]),
        np.eye(3),
    ],
)
def test_the_second_derivative_of_a_determinant_is_that_of_its_cofactors(x):
    def cofactors(x):
        n = len(x)
        minors = [[np.delete(np.delete(x, i, 0), j, 1) for j in range(n)] for i in range(n)]
        return np.array([[(-1) ** (i + j) * np.linalg.det(minors[i][j]) for j in range(n)] for i in range(n)])

    along = np.cos(np.arange(x.size)).reshape(x.shape)
    assert gradients("det", x)[0] == pytest.approx(cofactors(x), abs=1e-12)
    slope = (cofactors(x + 1e-4 * along) - cofactors(x - 1e-4 * along)) / 2e-4
    assert second("det", x, along) == pytest.approx(slope, abs=1e-7)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_the_third_derivative_of_a_small_determinant_exists_at_singular_matrices(n):
    """Coefficients of a polynomial in one number, from its values at roots of unity."""
    generator = np.random.default_rng(n)
    a, b = generator.uniform(-1, 1, (2, n, n))
    for x in (np.zeros((n, n)), np.outer(a[0], b[0]) * (n > 1), a + b):

        def along(s, x=x):
            return np.linalg.det(x + s * a + s * s * b)

        values = [along(s) for s in np.exp(2j * np.pi * np.arange(8) / 8)]
        wanted = 6 * np.fft.fft(values)[3].real / 8
        with tg.config.using(jit="python"):
            assert tg.grad(tg.grad(tg.grad(along)))(0.0) == pytest.approx(wanted, abs=1e-12)

            def pushed(s, along=along):
                return tg.jvp(lambda s: tg.jvp(along, (s,), (1.0,))[1], (s,), (1.0,))[1]

            assert tg.jvp(pushed, (0.0,), (1.0,))[1] == pytest.approx(wanted, abs=1e-12)


WEIGHTS = np.array([[0.3, -0.4, 0.7], [-0.4, 0.9, 0.2], [0.7, 0.2, -0.6]])


def by_eigh(a):
    w, v = np.linalg.eigh(a)
    return np.sum(WEIGHTS * ((v * np.sqrt(w)) @ v.T))


def by_svd(a):
    u, _, vh = np.linalg.svd(a)
    return np.sum(WEIGHTS[0][:, None] * (u @ vh))


def by_eig(a):
    w, v = np.linalg.eig(a)
    return np.sum(WEIGHTS * ((v * np.sqrt(w)) @ np.linalg.inv(v)).real)


@pytest.mark.parametrize("function", [by_eigh, by_svd, by_eig])
def test_vectors_of_equal_values_have_no_derivative_and_give_no_number(function):
    """The functions have one at the unit matrix, which those of vectors do not add up to: 0 for them was wrong."""
    lower = np.array([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.5, 0.0]])
    with tg.config.using(jit="python"):
        assert np.isnan(tg.grad(function)(np.eye(3))).any()
        assert np.isnan(tg.jvp(function, (np.eye(3),), (lower,))[1])
        apart = np.diag([1.0, 1.5, 2.0])
        slope = (function(apart + 1e-6 * lower) - function(apart - 1e-6 * lower)) / 2e-6
        assert np.sum(tg.grad(function)(apart) * lower) == pytest.approx(slope, abs=1e-8)
