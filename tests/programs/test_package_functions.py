"""Functions of packages that never heard of us, as they are: gradients against differences, at two points.

One a line, so that each has its source. What does not work yet is named in `NOT_YET`: refused, never wrong.
"""

from __future__ import annotations

import colorsys
import statistics
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import scipy.integrate
import scipy.interpolate
import scipy.linalg
import scipy.optimize
import scipy.signal
import scipy.spatial.distance as distance
import scipy.special
import scipy.stats
from numpy.polynomial import (
    Chebyshev,
    Polynomial,
    chebyshev,
    hermite,
    hermite_e,
    laguerre,
    legendre,
    polynomial,
)
from scipy.signal import windows

from tracegrad import config, grad
from tracegrad.errors import TracegradError

X = np.random.default_rng(0).uniform(0.2, 2.0, 6)
WEIGHTS = np.random.default_rng(1).uniform(0.5, 1.5, 64)
COUNT = np.arange(6.0)

FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "rosen": lambda x: scipy.optimize.rosen(x),
    "rosen_der": lambda x: scipy.optimize.rosen_der(x),
    "rosen_hess": lambda x: scipy.optimize.rosen_hess(x),
    "euclidean": lambda x: distance.euclidean(x, x[::-1] * 2),
    "minkowski": lambda x: distance.minkowski(x, x[::-1] * 2, 3),
    "skew": lambda x: scipy.stats.skew(x),
    "kurtosis": lambda x: scipy.stats.kurtosis(x),
    "moment": lambda x: scipy.stats.moment(x, 3),
    "variation": lambda x: scipy.stats.variation(x),
    "circvar": lambda x: scipy.stats.circvar(x),
    "tmean": lambda x: scipy.stats.tmean(x, (0.3, 1.9)),
    "tstd": lambda x: scipy.stats.tstd(x, (0.3, 1.9)),
    "describe": lambda x: scipy.stats.describe(x).kurtosis,
    "gstd": lambda x: scipy.stats.gstd(x),
    "yeojohnson": lambda x: scipy.stats.yeojohnson(x, 0.5),
    "skewtest": lambda x: scipy.stats.skewtest(np.concatenate([x, x**2])).statistic,
    "normaltest": lambda x: scipy.stats.normaltest(np.concatenate([x, x**2])).statistic,
    "jarque_bera": lambda x: scipy.stats.jarque_bera(x).statistic,
    "f_oneway": lambda x: scipy.stats.f_oneway(x[:3], x[3:]).statistic,
    "pearsonr": lambda x: scipy.stats.pearsonr(x, COUNT).statistic,
    "wasserstein": lambda x: scipy.stats.wasserstein_distance(x[:3], x[3:]),
    "bartlett": lambda x: scipy.stats.bartlett(x[:3], x[3:]).statistic,
    "lmoment": lambda x: scipy.stats.lmoment(x),
    "hilbert": lambda x: np.abs(scipy.signal.hilbert(x)),
    "savgol_filter": lambda x: scipy.signal.savgol_filter(x, 5, 2),
    "rosen_hess_prod": lambda x: scipy.optimize.rosen_hess_prod(x, x),
    "polyval": lambda x: polynomial.polyval(x[:3], x),
    "polyval2d": lambda x: polynomial.polyval2d(x[:3], x[3:], x.reshape(2, 3)),
    "polyder": lambda x: polynomial.polyder(x),
    "polyint": lambda x: polynomial.polyint(x),
    "polymul": lambda x: polynomial.polymul(x[:3], x[2:]),
    "polydiv": lambda x: polynomial.polydiv(x, x[:3])[0],
    "polypow": lambda x: polynomial.polypow(x[:3], 3),
    "polyvander": lambda x: polynomial.polyvander(x, 3),
    "polyfit": lambda x: polynomial.polyfit(COUNT, x, 2),
    "chebval": lambda x: chebyshev.chebval(x / 3, x),
    "chebmul": lambda x: chebyshev.chebmul(x[:3], x[3:]),
    "cheb2poly": lambda x: chebyshev.cheb2poly(x),
    "legval": lambda x: legendre.legval(x / 3, x),
    "legint": lambda x: legendre.legint(x),
    "hermval": lambda x: hermite.hermval(x / 3, x),
    "hermder": lambda x: hermite.hermder(x),
    "hermeval": lambda x: hermite_e.hermeval(x / 3, x),
    "lagval": lambda x: laguerre.lagval(x, x),
    "lagvander": lambda x: laguerre.lagvander(x, 3),
    "Polynomial": lambda x: Polynomial(x)(x[0]),
    "Polynomial.deriv": lambda x: Polynomial(x).deriv()(0.5),
    "Chebyshev.integ": lambda x: Chebyshev(x).integ()(0.5),
    "poly1d": lambda x: np.poly1d(x)(0.7),
    "poly1d of a list": lambda x: np.poly1d([x[0], 2.0 * x[1], x[2]])(x),
    "poly1d, operators": lambda x: ((np.poly1d([x[0], 1.0]) * np.poly1d(x) - x[1]) ** 2).deriv().coeffs,
    "poly1d.integ": lambda x: np.poly1d([x[0], x[1]], True).integ(k=x[2])(0.3) / x[3],
    "sqeuclidean": lambda x: distance.sqeuclidean(x[:3], x[3:]),
    "cosine": lambda x: distance.cosine(x[:3], x[3:]),
    "correlation": lambda x: distance.correlation(x[:3], x[3:]),
    "braycurtis": lambda x: distance.braycurtis(x[:3], x[3:]),
    "canberra": lambda x: distance.canberra(x[:3], x[3:]),
    "chebyshev": lambda x: distance.chebyshev(x[:3], x[3:]),
    "cityblock": lambda x: distance.cityblock(x[:3], x[3:]),
    "jensenshannon": lambda x: distance.jensenshannon(x[:3], x[3:]),
    "mahalanobis": lambda x: distance.mahalanobis(x[:3], x[3:], np.eye(3) + 0.1),
    "kstat": lambda x: scipy.stats.kstat(x, 3),
    "zmap": lambda x: scipy.stats.zmap(x[:2], x),
    "circmean": lambda x: scipy.stats.circmean(x),
    "boxcox": lambda x: scipy.stats.boxcox(x, 0.4),
    "obrientransform": lambda x: scipy.stats.obrientransform(x[:3], x[3:]),
    "scoreatpercentile": lambda x: scipy.stats.scoreatpercentile(x, 30),
    "kaiser": lambda x: windows.kaiser(8, x[0]) * np.arange(8),
    "gaussian": lambda x: windows.gaussian(8, x[0]),
    "general_gaussian": lambda x: windows.general_gaussian(8, x[0] + 1, x[1]),
    "exponential": lambda x: windows.exponential(8, tau=x[0]),
    "general_cosine": lambda x: windows.general_cosine(8, x[:3]),
    "tukey": lambda x: windows.tukey(8, x[0] / 3),
    "companion": lambda x: scipy.linalg.companion(x),
    "leslie": lambda x: scipy.linalg.leslie(x[:3], x[3:5]),
    "fiedler": lambda x: scipy.linalg.fiedler(x),
    "convolution_matrix": lambda x: scipy.linalg.convolution_matrix(x, 3),
    "helmert": lambda x: scipy.linalg.helmert(6) @ x,
    "khatri_rao": lambda x: scipy.linalg.khatri_rao(x.reshape(2, 3), x.reshape(2, 3)),
    "multigammaln": lambda x: scipy.special.multigammaln(x[0] + 2, 2),
    "factorial": lambda x: scipy.special.factorial(x),
    "perm": lambda x: scipy.special.perm(x[0] + 5, 2),
    "diric": lambda x: scipy.special.diric(x, 4),
    "jvp": lambda x: scipy.special.jvp(0, x),
    "cumulative_trapezoid": lambda x: scipy.integrate.cumulative_trapezoid(x, np.cumsum(x)),
    "fixed_quad": lambda x: scipy.integrate.fixed_quad(lambda t: np.sin(x[0] * t), 0.0, 1.0)[0],
    "barycentric_interpolate": lambda x: scipy.interpolate.barycentric_interpolate(COUNT, x, 2.3),
    "detrend": lambda x: scipy.signal.detrend(x, type="constant"),
    "gausspulse": lambda x: scipy.signal.gausspulse(x),
    "chirp": lambda x: scipy.signal.chirp(x, 1.0, 2.0, 3.0),
    "sawtooth": lambda x: scipy.signal.sawtooth(x, 0.3),
    "sweep_poly": lambda x: scipy.signal.sweep_poly(x, np.poly1d([1.0, 2.0])),
    "savgol_coeffs": lambda x: scipy.signal.savgol_coeffs(5, 2) @ x[:5],
    "wiener": lambda x: scipy.signal.wiener(x),
    "lp2lp": lambda x: scipy.signal.lp2lp(x[:2], x[2:5], x[5])[0],
    "geometric_mean": lambda x: statistics.geometric_mean(list(x)),
    "median_grouped": lambda x: statistics.median_grouped(list(x)),
    "linear_regression": lambda x: statistics.linear_regression(list(COUNT), list(x)).slope,
    "statistics.correlation": lambda x: statistics.correlation(list(x), list(np.sin(x) + COUNT)),
    "statistics.covariance": lambda x: statistics.covariance(list(x), list(x)[::-1]),
    "quantiles": lambda x: sum(statistics.quantiles(list(x))),
    "NormalDist.cdf": lambda x: statistics.NormalDist(x[0], x[1]).cdf(0.7),
    "rgb_to_yiq": lambda x: np.array(colorsys.rgb_to_yiq(*x[:3])),
    "yiq_to_rgb": lambda x: np.array(colorsys.yiq_to_rgb(*x[:3] / 5)),
    "rgb_to_hls": lambda x: np.array(colorsys.rgb_to_hls(*x[:3] / 3)),
    "hls_to_rgb": lambda x: np.array(colorsys.hls_to_rgb(*x[:3] / 3)),
    "rgb_to_hsv": lambda x: np.array(colorsys.rgb_to_hsv(*x[:3] / 3)),
    "hsv_to_rgb": lambda x: np.array(colorsys.hsv_to_rgb(*x[:3] / 3)),
}

NOT_YET: dict[str, Callable[[Any], Any]] = {
    "cdist": lambda x: distance.cdist(x.reshape(2, 3), x.reshape(2, 3)),
    "pdist": lambda x: distance.pdist(x.reshape(3, 2)),
    "siegelslopes": lambda x: scipy.stats.siegelslopes(x)[0],
    "spearmanr": lambda x: scipy.stats.spearmanr(x, x[::-1]).statistic,
    "Rotation": lambda x: scipy.spatial.transform.Rotation.from_rotvec(x[:3]).apply(x[3:]),
    "RBFInterpolator": lambda x: scipy.interpolate.RBFInterpolator(COUNT[:, None], x)(np.array([[2.3]])),
}


def scalar(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def loss(x: Any) -> Any:
        found = np.ravel(function(x))
        return np.sum(found * WEIGHTS[: found.size])

    return loss


@pytest.fixture(autouse=True)
def readable_text() -> Iterator[None]:
    with config.using(jit="python"):
        yield


def test_there_are_many() -> None:
    assert len(FUNCTIONS) >= 80


def differences(loss: Callable[[Any], Any], at: Any) -> list[Any]:
    return [(loss(at + step) - loss(at - step)) / 2e-6 for step in 1e-6 * np.eye(6)]


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.filterwarnings("ignore")
def test_a_function_of_a_package_is_differentiated_as_it_is(name: str) -> None:
    loss = scalar(FUNCTIONS[name])
    gradient = grad(loss)
    for at in (X, X * 1.01):
        np.testing.assert_allclose(gradient(at), differences(loss, at), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", NOT_YET)
@pytest.mark.filterwarnings("ignore")
def test_what_may_not_work_yet_is_refused_or_right(name: str) -> None:
    loss = scalar(NOT_YET[name])
    wanted = differences(loss, X)
    try:
        found = grad(loss)(X)
    except (TracegradError, TypeError):
        return
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)
