"""Zeros, infinities, NaN and numbers at the ends of the range: values as NumPy has them, in compiled code too.

Slopes at such points that are conventions stand on the page of edges; here is what follows from them in higher order.
"""

from __future__ import annotations

import numpy as np
import pytest
import scipy.special

import tracegrad as tg

ENDS = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1.0, -1.0, 2.5, -2.5, -3.0, 5.0, 1e9])
X, Y = (v.ravel() for v in np.meshgrid(ENDS, ENDS, indexing="ij"))
TINY = np.array([5e-324, -5e-324, 1e-200, 0.0, 1.0, -1.0, np.nan, np.inf, -np.inf, 1e308, -1e308, 0.5])


def of_two(x, y):
    s = scipy.special
    return s.betaln(x, y), s.xlogy(x, y), s.xlog1py(x, y), s.kl_div(x, y), s.rel_entr(x, y)


def of_one(x):
    s = scipy.special
    return s.erfinv(x), s.entr(x), s.log_expit(x), s.expit(x), s.i0(x), s.i1(x), s.logit(x), s.ndtr(x)


@pytest.mark.parametrize("jit", ["python", "native"])
@pytest.mark.parametrize("function, points", [(of_two, (X, Y)), (of_one, (TINY,))], ids=["two", "one"])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_values_at_the_ends_are_scipy_s(function, points, jit):
    for found, wanted in zip(tg.jit(function, jit=jit)(*points), function(*points), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-300)


def test_second_derivatives_of_powers_at_an_exponent_of_zero():
    """x**(y - 1) + y x**(y - 1) log(x) at y = 0, in both orders: one of them was x."""
    for x in (2.0, 0.5):
        hessian = tg.hessian(lambda v: v[0] ** v[1])(np.array([x, 0.0]))
        np.testing.assert_allclose(hessian, [[0.0, 1 / x], [1 / x, np.log(x) ** 2]])
    with np.errstate(all="ignore"):
        base = tg.grad(lambda x, y: x**y, jit="python")
        assert [base(x, 0.0) for x in (0.0, np.inf, 3.0)] == [0.0, 0.0, 0.0]


@pytest.mark.parametrize(
    "function, at",
    [
        (scipy.special.rgamma, [-1.5, -1.0, 0.0, 0.3, 0.5, 0.7, 2.0]),
        (scipy.special.spence, [0.9, 0.991, 1.0, 1.005, 1.2]),
        (lambda x: np.logaddexp(x, 1.0), [-3.0, 0.0, 1.0, 2.0, 40.0]),
    ],
    ids=["rgamma", "spence", "logaddexp"],
)
def test_first_and_second_derivatives_across_the_places_where_formulas_change(function, at):
    x, h = np.array(at), 1e-4
    first = tg.grad(lambda x: np.sum(function(x)), jit="python")
    second = tg.grad(lambda x: np.sum(first(x)), jit="python")
    np.testing.assert_allclose(first(x), (function(x + h) - function(x - h)) / (2 * h), rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(second(x), (first(x + h) - first(x - h)) / (2 * h), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("jit", ["python", "native"])
def test_nan_that_is_left_out_twice_stays_out(jit):
    c, x = np.array([1.0, np.nan, 2.0, 4.0]), np.array([0.3, 0.4, 0.5, 0.1])
    there = ~np.isnan(c)

    def left_out(x, c):
        y = c * x
        return np.nansum(y) * np.nanmean(y) + np.nanvar(y) + np.nanstd(x * c)

    found = tg.grad(left_out, jit=jit)(x, c)
    wanted = tg.grad(left_out, jit=jit)(x[there], c[there])
    np.testing.assert_allclose(found[there], wanted, rtol=1e-12)
    assert found[1] == 0.0
    step = 1e-6
    slopes = [(left_out(x + step * e, c) - left_out(x - step * e, c)) / (2 * step) for e in np.eye(4)]
    np.testing.assert_allclose(found, slopes, rtol=1e-6, atol=1e-9)
