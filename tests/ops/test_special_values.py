"""Zeros, infinities, NaN and numbers at the ends of the range: values as NumPy has them, in compiled code too.

Slopes at such points that are conventions stand on the page of edges; here is what follows from them in higher order.
"""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
import scipy.linalg
import scipy.special
import scipy.stats
from numpy.linalg import LinAlgError

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


A = np.array
PAIRS = A([1.0, 0.0, 1e300, 1.0]), A([1e-320, 1.0, 1e-300, 1.0])
AT_THE_EDGE = {
    "nanmedian": (lambda x: np.nanmedian(x, axis=1), [A([[0.0, 1, np.inf, np.nan], [1, 2, np.nan, np.nan]])]),
    "nanmedian of NaN": (lambda x: np.nanmedian(x, axis=1), [np.full((2, 3), np.nan)]),
    "nanmedian of huge": (np.nanmedian, [A([1e308, 1.1e308, 1.2e308])]),
    "nanmedian of ints": (np.nanmedian, [A([3, 1, 2, 7])]),
    "median of none": (np.median, [np.zeros(0)]),
    "medians of none": (lambda x: np.median(x, axis=1), [np.zeros((2, 0))]),
    "nanquantile of none": (lambda x: np.nanquantile(x, 0.3), [np.zeros(0)]),
    "last place twice": (lambda x: np.interp(x, [0.0, 3, 3], [1.0, 2, 5]), [A([2.0, 3, 4])]),
    "period": (lambda x, f: np.interp(x, [0.0, 4, 1, 3], f, period=4), [A([0.0, 0.5, 2, -0.5]), A([1.0, 2, 5, 7])]),
    "rel_entr": (scipy.special.rel_entr, list(PAIRS)),
    "gammaln": (scipy.special.gammaln, [np.float32([-np.inf, np.inf, 0, -2.5])]),
    "angle of truth": (np.angle, [A([True, False])]),
    "isclose of truth": (np.isclose, [A([True, False]), A([True, True])]),
    "norm": (lambda x: np.linalg.norm(x, 0.5), [A([4.0, 0, -1])]),
    "norm of order -1": (lambda x: np.linalg.norm(x, -1), [A([4.0, 0, -1])]),
    "softmax of infinity": (scipy.special.softmax, [A([np.inf, 1.0])]),
    "softmax in rows": (lambda x: scipy.special.softmax(x, axis=1), [A([[np.inf, 1], [-np.inf, 1], [1e308, 1e308]])]),
    "softmax of large": (scipy.special.softmax, [A([1e10, 1e10 + 1, 1e10 + 3])]),
    "log_softmax of infinity": (scipy.special.log_softmax, [A([np.inf, 1.0])]),
    "log_softmax of -infinity": (scipy.special.log_softmax, [A([-np.inf, -np.inf])]),
    "log_softmax of large": (lambda x: scipy.special.log_softmax(x, axis=0), [A([1e10, 1e10 + 1, 1e10 + 3])]),
    "vander": (np.vander, [A([np.inf, np.nan, 2.0])]),
    "norms of none": (lambda x: [np.linalg.norm(x, p) for p in (1, 2, np.inf, "nuc", "fro")], [np.zeros((0, 0))]),
    "norm of no vector": (lambda x: np.linalg.norm(x, np.inf), [np.zeros(0)]),
    "rank of none": (lambda x: np.linalg.matrix_rank(x) + x.sum(), [np.zeros((0, 3))]),
    "lstsq of none": (lambda x: np.linalg.lstsq(x, np.zeros(0), rcond=None)[0], [np.zeros((0, 3))]),
    "histogram of none": (lambda x: np.histogram(x)[0], [np.zeros(0)]),
    "one vector": (lambda x: scipy.stats.multivariate_normal.logpdf(x, np.zeros(1), 2.0), [A([0.3])]),
    "one vector in a matrix": (lambda x: scipy.stats.multivariate_normal.pdf(x, np.zeros(2)), [A([[0.3, 0.1]])]),
    "polar, wide": (lambda x: scipy.linalg.polar(x), [A([[1.0, 2, 3]])]),
    "polar, wide, left": (lambda x: scipy.linalg.polar(x, "left"), [A([[1.0, 2, 3], [0, 1, 1]])]),
    "polar, tall, left": (lambda x: scipy.linalg.polar(x, "left"), [A([[1.0, 2], [0, 1], [2, 0]])]),
}  # fmt: skip


@pytest.mark.parametrize("jit", ["python", "native"])
@pytest.mark.parametrize("name", AT_THE_EDGE)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_values_at_the_edge_are_numpy_s(name, jit):
    function, points = AT_THE_EDGE[name]
    compiled, wanted = tg.jit(function, jit=jit), function(*points)
    for _ in range(2):
        found = compiled(*points)
        for one, other in zip(
            *((r if type(r) in (tuple, list) else [r]) for r in (found, wanted)), strict=True
        ):
            assert np.shape(one) == np.shape(other)
            np.testing.assert_allclose(one, other, rtol=1e-6 if name == "gammaln" else 1e-14, atol=1e-15)


NO_VALUE = {
    "softmax": (scipy.special.softmax, np.zeros(0), ValueError, "zero-size array to reduction"),
    "log_softmax": (lambda x: scipy.special.log_softmax(x, axis=1), np.zeros((2, 0)), ValueError, "zero-size array"),
    "histogram": (lambda x: np.histogram(x)[0], A([1.0, np.inf]), ValueError, r"range of \[1.0, inf\] is not finite"),
    "lstsq": (lambda x: np.linalg.lstsq(x, x[0], rcond=None)[0], A([[1.0, np.inf], [1, 2]]), LinAlgError, "converge"),
    "scipy's lstsq": (lambda x: scipy.linalg.lstsq(x, np.ones(2))[0], A([[1.0, np.inf], [1, 2]]), ValueError, "infs"),
    "toeplitz": (lambda x: scipy.linalg.solve_toeplitz(x, np.ones(2)), A([np.nan, 1.0]), ValueError, "infs or NaNs"),
    "polar": (lambda x: scipy.linalg.polar(x)[0], A([[np.nan, 1.0], [0, 1]]), ValueError, "infs or NaNs"),
    "lyapunov": (
        lambda x: scipy.linalg.solve_discrete_lyapunov(x, np.eye(1)), A([[np.nan]]), ValueError, "infs or NaNs",
    ),
}  # fmt: skip


@pytest.mark.parametrize("jit", ["python", "native"])
@pytest.mark.parametrize("name", NO_VALUE)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_where_numpy_has_no_value_the_error_is_numpy_s(name, jit):
    """At the first call, and at one whose program was made of numbers that have a value."""
    function, point, kind, words = NO_VALUE[name]
    with pytest.raises(kind, match=words):
        function(point)
    compiled = tg.jit(function, jit=jit)
    with pytest.raises(kind, match=words):
        compiled(point)
    if point.size:
        regular = 0.5 + np.arange(float(point.size)).reshape(point.shape) / 7
        np.testing.assert_allclose(compiled(regular), function(regular), rtol=1e-11)
        with pytest.raises(kind, match=words):
            compiled(point)


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("shape", [(2, 3), (3, 2), (3, 3)])
def test_slopes_of_the_polar_decomposition_of_any_shape(shape, side):
    draws = np.random.default_rng(3)
    a, weights = draws.normal(size=shape), draws.normal(size=shape)

    def f(a):
        u, p = scipy.linalg.polar(a, side)
        return np.sum(u * weights) + np.sum(p * np.arange(p.size).reshape(p.shape))

    steps = 1e-6 * np.eye(a.size).reshape(-1, *shape)
    wanted = np.reshape([(f(a + s) - f(a - s)) / 2e-6 for s in steps], shape)
    np.testing.assert_allclose(tg.grad(f, jit="python")(a), wanted, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("jit", ["python", "native"])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_the_slope_of_logsumexp_at_an_infinity_is_nan_there_alone(jit):
    """As JAX and PyTorch have it."""
    slope = tg.grad(scipy.special.logsumexp, jit=jit)
    np.testing.assert_array_equal(slope(A([np.inf, 1.0])), [np.nan, 0.0])
    np.testing.assert_array_equal(slope(A([np.inf, np.inf])), [np.nan, np.nan])


@pytest.mark.parametrize("jit", ["python", "native"])
def test_softmax_far_from_zero_is_as_precise_as_near_it(jit):
    """Numbers that differ by little, far out: their logarithm of the sum has lost what they differ by."""
    x, weights = A([1e10, 1e10 + 1, 1e10 + 3]), A([1.0, -2.0, 0.5])

    def f(x):
        return scipy.special.softmax(x) @ weights + scipy.special.log_softmax(x) @ weights

    value, slopes = tg.value_and_grad(f, jit=jit)(x)
    near, near_slopes = tg.value_and_grad(f, jit="python")(x - 1e10)
    np.testing.assert_allclose(value, near, rtol=1e-14)
    np.testing.assert_allclose(slopes, near_slopes, rtol=1e-12)


@pytest.mark.parametrize("jit", ["python", "native"])
def test_slopes_where_a_power_or_a_quotient_is_infinite_on_the_way(jit):
    def norms(x):
        return np.linalg.norm(x, 0.5) + np.linalg.norm(x, -1)

    np.testing.assert_array_equal(tg.grad(norms, jit=jit)(np.zeros(3)), np.zeros(3))
    found = tg.grad(norms, jit=jit)(A([4.0, 0.0, -1.0]))
    np.testing.assert_allclose(found, [1.5, 0.0, -3.0])  # root of sum over root of each; norm of order -1: 0
    function, (x, f) = AT_THE_EDGE["period"]
    found = tg.grad(lambda f: function(x, f) @ A([1.0, 2, 3, 4]), jit=jit)(f)
    wanted = [function(x, e) @ A([1.0, 2, 3, 4]) for e in np.eye(4)]  # it is linear
    np.testing.assert_allclose(found, wanted, atol=1e-15)


def test_digamma_is_right_to_a_few_units_and_near_its_root():
    draws = np.random.default_rng(5)
    x = np.concatenate(
        [draws.uniform(0, 12, 400), 10 ** draws.uniform(-8, 8, 100), [1.4616321449683623, 1.0, 2.0]]
    )
    below = draws.uniform(-20, 0, 300)
    compiled = tg.jit(lambda x: scipy.special.digamma(x), jit="native")
    with mpmath.workdps(40):
        exact, exact_below = ([float(mpmath.digamma(mpmath.mpf(v))) for v in given] for given in (x, below))
    np.testing.assert_allclose(compiled(x), exact, rtol=2e-15)
    np.testing.assert_allclose(compiled(below), exact_below, rtol=2e-15, atol=1e-15)
