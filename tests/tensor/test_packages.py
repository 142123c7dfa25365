"""Functions of NumPy and SciPy that have no op, run by what they do with those that have one."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.integrate
import scipy.linalg
import scipy.optimize
import scipy.signal

import tracegrad as tg
from tracegrad import config
from tracegrad.errors import UnsupportedError

x = np.random.default_rng(0).uniform(0.2, 2.0, 6)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: np.polynomial.polynomial.polyval(1.5, x),
        lambda x: np.polynomial.polynomial.polyval2d(x[0], x[1], x.reshape(2, 3)),
        lambda x: np.polynomial.chebyshev.chebval(x, [1.0, 2.0, 3.0]),
        lambda x: np.sum(np.polynomial.chebyshev.chebder(x)),
        lambda x: np.polynomial.legendre.legval(0.3, x),
        lambda x: np.sum(np.polynomial.hermite.hermval(x, x[:3])),
        lambda x: np.polynomial.laguerre.lagval(x[0], x),
        lambda x: scipy.optimize.rosen(x),
        lambda x: scipy.linalg.solve_triangular(x[:4].reshape(2, 2), x[4:], lower=True),
        lambda x: scipy.linalg.solve_triangular(x[:4].reshape(2, 2), x[4:], trans=1, unit_diagonal=True),
        lambda x: np.sum(scipy.linalg.cholesky(np.diag(x) + 0.1) * np.arange(6.0)),
        lambda x: scipy.linalg.cho_solve(scipy.linalg.cho_factor(np.diag(x) + 0.1), x),
        lambda x: np.sum(scipy.linalg.expm(x[:4].reshape(2, 2)) * x[4:]),
        lambda x: np.sum(scipy.linalg.sqrtm(np.diag(x) + 0.1) * x),
        lambda x: np.sum(scipy.linalg.logm(np.diag(x) + 0.1) * x),
        lambda x: np.sum(scipy.linalg.block_diag(x[:4].reshape(2, 2), x[4:]) ** 2),
        lambda x: np.sum(scipy.linalg.toeplitz(x[:3], x[3:]) * x[:3]),
        lambda x: scipy.integrate.trapezoid(x * x, x),
        lambda x: np.sum(scipy.signal.convolve(x[:2], x, "same") * x[:2]),
        lambda x: np.sum(scipy.signal.fftconvolve(x, x[:3]) ** 2),
    ],
)
def test_code_of_a_package_is_differentiated_as_the_users_is(function):
    def loss(x):
        return np.sum(function(x) * 1.5)

    steps = 1e-6 * np.eye(6)
    wanted = [(loss(x + s) - loss(x - s)) / 2e-6 for s in steps]
    with config.using(jit="python"):
        gradient = tg.grad(loss)
        for _ in range(2):
            np.testing.assert_allclose(gradient(x), wanted, rtol=1e-6, atol=1e-7)


def test_an_error_that_plain_arrays_raise_too_is_its_own():
    with pytest.raises(ValueError, match="If given, length of x"), config.using(jit="python"):
        tg.grad(lambda x: scipy.integrate.simpson(x, x=np.arange(3.0)))(x)


def test_what_leaves_numpy_for_compiled_code_is_refused_by_name():
    with pytest.raises(UnsupportedError, match=r"np\.kaiser"), config.using(jit="python"):
        tg.grad(lambda x: np.sum(np.kaiser(4, x[0])))(x)


def test_ufuncs_with_where_write_what_is_chosen():
    def loss(x):
        out = np.zeros(6)
        return np.sum(np.divide(1.0, x - x[2], out=out, where=np.arange(6) != 2))

    with config.using(jit="python"):
        found = tg.grad(loss)(x)
    steps = 1e-6 * np.eye(6)
    np.testing.assert_allclose(found, [(loss(x + s) - loss(x - s)) / 2e-6 for s in steps], rtol=1e-5)
