"""Python's and SciPy's own functions that compute exactly or ask about types, and classes made inside."""

from __future__ import annotations

import abc
import cmath
import math
import statistics
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import scipy.optimize

import tracegrad as tg
from tracegrad import config

x = np.random.default_rng(0).uniform(0.3, 2.0, 6)


@pytest.fixture(autouse=True)
def readable_text() -> Iterator[None]:
    with config.using(jit="python"):
        yield


@pytest.mark.parametrize(
    "function",
    [
        lambda x: statistics.mean(x),
        lambda x: statistics.mean(list(x * x)),
        lambda x: statistics.variance(x) + statistics.pvariance(x) ** 2,
        lambda x: statistics.variance(list(x), x[0] * 1.5),
        lambda x: statistics.stdev(x) * statistics.pstdev(x),
        lambda x: statistics.harmonic_mean(list(x)),
        lambda x: statistics.harmonic_mean(list(x), weights=[1, 2, 3, 4, 5, 6]),
        lambda x: statistics.fmean(x),
        lambda x: statistics.median(list(x)),
        lambda x: statistics.NormalDist(x[0], x[1]).pdf(0.7),
        lambda x: math.dist(x[:3], x[3:]),
        lambda x: math.dist([x[0], 1.0], [x[1], x[2]]),
        lambda x: math.hypot(x[0], x[1], x[2], 2.0),
        lambda x: math.hypot(x[0], x[1]),
        lambda x: math.gamma(x[0] + 1.0),
        lambda x: math.ldexp(x[0], 3),
        lambda x: math.remainder(x[0], 0.21),
        lambda x: math.modf(x[0] * 1.7)[0] * math.modf(x[1])[1],
        lambda x: math.frexp(x[0])[0] * x[1],
        lambda x: abs(complex(x[0], x[1])) + complex(x[2]).real,
        lambda x: cmath.exp(x[0] * 1j + x[1]).imag + abs(cmath.sqrt(-x[2])),
        lambda x: cmath.phase(complex(x[0], 1.0)) * cmath.polar(x[1] + 2j)[0],
        lambda x: (cmath.rect(x[0], x[1]) * cmath.log(x[2] + 1j, 3)).real + cmath.asin(x[3] * 0.4).real,
        lambda x: x[0] if math.isclose(x[0], x[1]) else x[1] ** 2,
        lambda x: x[0] if math.isclose(x[0], x[0] + 1e-12) else x[1] ** 2,
    ],
)
def test_python_s_library_is_differentiated(function: Any) -> None:
    gradient = tg.value_and_grad(function)
    steps = 1e-6 * np.eye(6)
    for at in (x, x + 0.01):
        value, found = gradient(at)
        np.testing.assert_allclose(value, function(at), rtol=1e-14)
        wanted = [(function(at + s) - function(at - s)) / 2e-6 for s in steps]
        np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-8)


def test_scipy_asks_for_the_namespace_of_arrays_and_the_program_stays_one() -> None:
    gradient = tg.grad(scipy.optimize.rosen)
    for at in (x, x + 0.1):
        np.testing.assert_allclose(gradient(at), scipy.optimize.rosen_der(at), rtol=1e-10, atol=1e-9)
    assert gradient.stats.captures == 1


class Point(abc.ABC):  # noqa: B024 - what counts is the metaclass
    def __init__(self, at: Any) -> None:
        self.at = at

    def twice(self) -> Any:
        return self.__class__(self.at * 2.0)


class Plain:
    def __init__(self, at: Any) -> None:
        self.at = at

    def twice(self) -> Any:
        return self.__class__(self.at * 2.0)


@pytest.mark.parametrize("kind", [Point, Plain])
def test_an_object_made_inside_knows_its_class(kind: Any) -> None:
    def loss(x: Any) -> Any:
        made = kind(x).twice()
        assert type(made) is kind and made.__class__ is kind
        return np.sum(made.at**2)

    np.testing.assert_allclose(tg.grad(loss)(x), 8.0 * x)


def test_polynomials_of_numpy_are_objects_like_any_other() -> None:
    def loss(c: Any) -> Any:
        p = np.polynomial.Polynomial(c[:3]) * np.polynomial.Polynomial(c[3:])
        return p.deriv()(0.5) + p.integ()(1.5) + np.polynomial.Chebyshev(c)(0.3)

    steps = 1e-6 * np.eye(6)
    wanted = [(loss(x + s) - loss(x - s)) / 2e-6 for s in steps]
    np.testing.assert_allclose(tg.grad(loss)(x), wanted, rtol=1e-7)


def test_a_number_is_no_text() -> None:
    kinds = [2, "all"]

    def loss(x: Any, n: Any) -> Any:
        return np.sum(x) if n == "all" or n == "none" else np.sum(x[: kinds[0]]) * (n != "all")

    np.testing.assert_allclose(tg.grad(loss)(x, 3), [1.0, 1.0, 0.0, 0.0, 0.0, 0.0])
    np.testing.assert_allclose(tg.grad(loss)(x, "all"), 1.0)
