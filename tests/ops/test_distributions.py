"""Distributions of `scipy.stats`: values inside and outside the support, every derivative, frozen ones, bad input."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

import tracegrad as tg
from tests.ops.derivatives import check
from tracegrad import config
from tracegrad.errors import UnsupportedError
from tracegrad.ops.discrete_distributions import ALL
from tracegrad.ops.functions import SCIPY_FUNCTIONS

SHAPES = {
    "gamma": (2.3,),
    "invgamma": (2.3,),
    "chi2": (3.1,),
    "beta": (1.7, 2.4),
    "t": (3.3,),
    "f": (3.2, 4.1),
    "lognorm": (0.7,),
    "weibull_min": (1.6,),
    "pareto": (2.2,),
    "gennorm": (1.4,),
    "truncnorm": (-1.2, 1.9),
    "vonmises": (1.3,),
    "poisson": (2.4,),
    "binom": (5, 0.3),
    "bernoulli": (0.3,),
    "geom": (0.3,),
    "nbinom": (3.2, 0.4),
    "betabinom": (5, 1.3, 2.2),
}
OF_NUMBERS = ("logpdf", "pdf", "logpmf", "pmf", "cdf", "sf", "logcdf", "logsf")
OF_PROBABILITIES = ("ppf", "isf")
OF_NOTHING = ("mean", "var", "std", "entropy", "median")
METHODS = [
    (name, method)
    for name in ALL
    for method in (*OF_NUMBERS, *OF_PROBABILITIES, *OF_NOTHING)
    if f"scipy.stats.{name}_gen.{method}" in SCIPY_FUNCTIONS
]
NUMBERS = np.array([-np.inf, -3, -1, -0.5, 0, 0.3, 0.7, 1, 1.5, 2, 3, 5, 6, np.inf, np.nan])
PROBABILITIES = np.array([0, 0.1, 0.5, 0.9, 1, -0.2, np.nan])


class Seen:
    """SciPy's object as our functions get it."""

    def __init__(self, seen):
        self.seen = seen


def arguments(method):
    if method in OF_NOTHING:
        return ()
    return (PROBABILITIES,) if method in OF_PROBABILITIES else (NUMBERS,)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize(("name", "method"), METHODS)
def test_values_are_scipys_outside_the_support_and_for_bad_parameters_too(name, method):
    distribution = getattr(scipy.stats, name)
    shapes, ours = SHAPES.get(name, ()), SCIPY_FUNCTIONS[f"scipy.stats.{name}_gen.{method}"]
    places = ({}, {"loc": 1}) if ALL[name].discrete else ({}, {"loc": 0.5, "scale": 2.0}, {"scale": -1.0})
    for place in places:
        for given in (shapes, tuple(-s for s in shapes)):
            if ALL[name].discrete and given != shapes and method == "logcdf":
                continue  # SciPy gives log 1 for parameters that are none
            wanted = getattr(distribution, method)(*arguments(method), *given, **place)
            found = ours(Seen(distribution), *arguments(method), *given, **place)
            assert np.shape(found) == np.shape(wanted)
            np.testing.assert_allclose(found, wanted, rtol=1e-10, atol=1e-12)


def inside(name, method):
    """Numbers at which the method has every derivative, and the parameters that have one."""
    of, shapes = ALL[name], [float(s) for s in SHAPES.get(name, ())]
    if method in OF_NOTHING:
        numbers = []
    elif method in OF_PROBABILITIES:
        numbers = [np.array([0.2, 0.35, 0.8])]
    elif of.discrete:
        numbers = []
    else:
        numbers = [np.array([1.9, 2.4, 3.0]) if name == "pareto" else np.array([0.8, 0.9, 1.2])]
    return numbers, shapes


@pytest.mark.parametrize(("name", "method"), METHODS)
def test_derivatives_in_every_argument(name, method):
    of, distribution = ALL[name], getattr(scipy.stats, name)
    numbers, shapes = inside(name, method)
    counts = name in ("binom", "betabinom")
    n = shapes.pop(0) if counts else None
    whole = np.zeros(3) if name == "bernoulli" else np.array([1.0, 2.0, 4.0])

    def function(*args):
        x, rest = (args[:1], args[1:]) if numbers else ((), args)
        if of.discrete:
            x = () if method in OF_NOTHING else (whole,)
            return getattr(distribution, method)(*x, *(() if n is None else (n,)), *rest)
        return getattr(distribution, method)(*x, *rest[:-2], loc=rest[-2], scale=rest[-1])

    place = () if of.discrete else (0.3, 1.4)
    check(function, *numbers, *shapes, *place, second=method in ("logpdf", "logpmf", "cdf", "ppf"))


def test_of_a_number():
    with config.using(jit="python"):
        slope = tg.grad(lambda x: scipy.stats.norm.logpdf(x))(0.4)
        assert slope == pytest.approx(-0.4)
        assert tg.grad(lambda m: scipy.stats.poisson.logpmf(3, m))(2.0) == pytest.approx(0.5)


def test_frozen_inside_and_outside():
    x = np.array([0.3, 1.2])
    outside = scipy.stats.gamma(2.5, scale=1.5)
    vectors = scipy.stats.multivariate_normal(np.zeros(2), np.array([[2.0, 0.3], [0.3, 1.0]]))
    check(lambda m, s: scipy.stats.norm(m, s).logpdf(np.array([0.1, 0.7])), 0.3, 1.2)
    check(lambda x: outside.logpdf(x) + outside.cdf(x), x)
    check(lambda x: vectors.logpdf(x), x)
    check(lambda x, m: scipy.stats.multivariate_normal(m, 2.0).pdf(x), x, np.array([0.1, 0.2]))
    with pytest.raises(AttributeError, match="rvs"), config.using(jit="python"):
        tg.grad(lambda m: scipy.stats.norm(m, 1.0).rvs())(0.3)


def test_normal_distribution_of_vectors():
    generator = np.random.default_rng(0)
    half = generator.uniform(-1, 1, (3, 3))
    points, mean = generator.uniform(-1, 1, (4, 3)), generator.uniform(-1, 1, 3)
    normal = scipy.stats.multivariate_normal
    for method in ("logpdf", "pdf"):
        check(
            lambda x, m, h, method=method: getattr(normal, method)(x, m, h @ h.T + np.eye(3)),
            points,
            mean,
            half,
        )
    check(lambda x, v: normal.logpdf(x, np.zeros(3), v), points[0], np.array([0.5, 1.0, 2.0]))
    check(lambda x, v: normal.logpdf(x, 0.5, v), points[0], 1.3)
    check(lambda h: normal.entropy(None, h @ h.T + np.eye(3)), half)
    flat = np.outer([1.0, 2.0, -1.0], [1.0, 2.0, -1.0])
    for where in (points, points[0], np.outer([0.3, -0.4], [1.0, 2.0, -1.0])):
        for method in ("logpdf", "pdf"):
            frozen = normal(np.zeros(3), flat, allow_singular=True)
            with config.using(jit="python"):
                found = tg.jit(lambda x, m=method: getattr(normal, m)(x, None, flat, True))(where)
                again = tg.jit(lambda x, f=frozen, m=method: getattr(f, m)(x))(where)
            expected = getattr(normal, method)(where, None, flat, allow_singular=True)
            np.testing.assert_allclose(found, expected, rtol=1e-9)
            np.testing.assert_allclose(again, expected, rtol=1e-9)
    with config.using(jit="python"):
        with pytest.raises(ValueError, match="positive semidefinite"):
            tg.grad(lambda c: normal.logpdf(points[0], mean, c, True))(-np.eye(3))
        with pytest.raises(ValueError, match="positive semidefinite"):
            tg.grad(lambda m: normal.logpdf(points[0], m, -np.eye(3)))(mean)
        with pytest.raises(ValueError, match="Dimension mismatch"):
            tg.grad(lambda m: normal.logpdf(points[0], m, np.eye(2)))(mean)
        with pytest.raises(UnsupportedError, match="random points"):
            tg.grad(lambda m: normal.cdf(points[0], m))(mean)


def test_dirichlet_and_multinomial():
    x, alpha = np.array([0.2, 0.3, 0.5]), np.array([1.2, 2.0, 0.7])
    for method in ("logpdf", "pdf"):
        check(lambda a, method=method: getattr(scipy.stats.dirichlet, method)(x, a), alpha)
        check(
            lambda u, a, method=method: getattr(scipy.stats.dirichlet, method)(
                np.exp(u) / np.sum(np.exp(u)), a
            ),
            np.log(x),
            alpha,
        )
    counts = np.array([[1, 2, 3], [0, 6, 0], [1, 1, 1]])
    for method in ("logpmf", "pmf"):
        check(
            lambda u, method=method: getattr(scipy.stats.multinomial, method)(
                counts[:1], 6, np.exp(u) / np.sum(np.exp(u))
            ),
            np.log(x),
        )
    ours = tg.jit(lambda x: scipy.stats.multinomial.logpmf(counts, 6, x), jit="python")
    np.testing.assert_allclose(ours(x), scipy.stats.multinomial.logpmf(counts, 6, x))


def test_bad_input_is_refused_as_scipy_refuses_it():
    for function in (
        lambda x: scipy.stats.gamma.logpdf(x),
        lambda x: scipy.stats.norm.logpdf(x, 1, 2, 3),
        lambda x: scipy.stats.norm.logpdf(x, mean=1),
    ):
        with pytest.raises(TypeError) as wanted:
            function(np.ones(2))
        with pytest.raises(TypeError) as found, config.using(jit="python"):
            tg.grad(lambda x, function=function: np.sum(function(x)))(np.ones(2))
        assert str(wanted.value).split("(")[0] in str(found.value)
