"""Bad input: what SciPy raises, in SciPy's words and with the user's line, in every tier.

As `test_numpys_errors.py` for NumPy: each call is made on plain arrays first, and what SciPy raises there is what every
tier has to raise. A case of `WHATEVER` is wrong by its shapes or options; one of `BY_VALUE` is right at one point, so
that a program is there, and wrong at another, where that program runs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.fft
import scipy.integrate
import scipy.interpolate
import scipy.linalg as la
import scipy.ndimage
import scipy.optimize
import scipy.signal
import scipy.sparse
import scipy.sparse.linalg
import scipy.spatial.distance
import scipy.special
import scipy.stats
from scipy.spatial.transform import Rotation

from tests.programs.refusals import check_compiled, check_shapes, check_values, number_of

V = np.array([1.0, 2.0, 3.0])
M = np.arange(12.0).reshape(3, 4) + 1
S = np.array([[2.0, 1.0], [1.0, 3.0]])
C3 = np.ones((2, 3, 4))
Z = np.array(2.5)
T = np.array([0.0, 1.0, 2.5])
SINGULAR = np.array([[1.0, 2.0], [2.0, 4.0]])
INDEFINITE = np.array([[1.0, 2.0], [2.0, 1.0]])
NOT_FINITE = np.array([[np.nan, 1.0], [1.0, 2.0]])
SPARSE = scipy.sparse.csr_array(np.array([[4.0, 1.0, 0.0], [0.0, 3.0, 0.5], [0.2, 0.0, 5.0]]))
FACTORS = scipy.sparse.linalg.splu(SPARSE.tocsc())
SPLINE = scipy.interpolate.BSpline([0.0, 0.0, 1.0, 1.0], [1.0, 2.0], 1)
TURN = Rotation.from_rotvec([0.1, 0.2, 0.3])
GRID = scipy.interpolate.RegularGridInterpolator((T, T), np.ones((3, 3)))

# fmt: off
WHATEVER: list[tuple[Callable[..., Any], Any]] = [
    # --- linear algebra
    (lambda x: la.solve(x, np.ones(3)), S),
    (lambda x: la.solve(x, np.ones(3)), M),
    (lambda x: la.solve(x, np.ones(3)), V),
    (lambda x: la.solve(x, np.ones(2), assume_a="nonsense"), S),
    (lambda x: la.solve_triangular(x, np.ones(3)), S),
    (lambda x: la.solve_triangular(x, np.ones(3)), M),
    (lambda x: la.inv(x), M),
    (lambda x: la.inv(x), V),
    (lambda x: la.det(x), M),
    (lambda x: la.det(x), V),
    (lambda x: la.pinv(x), V),
    (lambda x: la.lstsq(x, np.ones(5))[0], M),
    (lambda x: la.lstsq(x, np.ones(3))[0], V),
    (lambda x: la.norm(x, axis=2), M),
    (lambda x: la.norm(x, "oops"), V),
    (lambda x: la.norm(x, "nuc"), V),
    (lambda x: la.norm(x, 3), M),
    (lambda x: la.cholesky(x), M),
    (lambda x: la.cholesky(x), V),
    (lambda x: la.cho_factor(x)[0], M),
    (lambda x: la.cho_solve(la.cho_factor(x), np.ones(3)), S),
    (lambda x: la.cho_solve((x, True), np.ones(3)), M),
    (lambda x: la.lu_solve(la.lu_factor(x), np.ones(3)), S),
    (lambda x: la.lu(x)[1], V),
    (lambda x: la.qr(x)[1], V),
    (lambda x: la.qr(x, mode="nonsense")[1], M),
    (lambda x: la.svd(x)[1], V),
    (lambda x: la.svdvals(x), V),
    (lambda x: la.svd(x, lapack_driver="none")[1], M),
    (lambda x: la.eigh(x)[0], M),
    (lambda x: la.eigh(x)[0], V),
    (lambda x: la.eigh(x, np.eye(3))[0], S),
    (lambda x: la.eigh(x, subset_by_index=[1, 5])[0], S),
    (lambda x: la.eigh(x, driver="none")[0], S),
    (lambda x: la.eigvalsh(x), M),
    (lambda x: la.polar(x)[0], V),
    (lambda x: la.polar(x, side="up")[0], S),
    (lambda x: la.expm(x), M),
    (lambda x: la.expm(x), V),
    (lambda x: la.logm(x), M),
    (lambda x: la.sqrtm(x), M),
    (lambda x: la.sqrtm(x), V),
    (lambda x: la.cosm(x), M),
    (lambda x: la.solve_sylvester(x, np.eye(3), np.ones((2, 2))), S),
    (lambda x: la.solve_sylvester(x, np.eye(3), np.ones((2, 3))), M),
    (lambda x: la.solve_continuous_lyapunov(x, np.ones((3, 3))), S),
    (lambda x: la.solve_continuous_lyapunov(x, np.ones((3, 3))), M),
    (lambda x: la.solve_discrete_lyapunov(x, np.ones((3, 3))), S),
    (lambda x: la.solve_discrete_lyapunov(x, np.ones((2, 2)), method="none"), S),
    (lambda x: la.solve_banded((1, 1), x, np.ones(3)), M),
    (lambda x: la.solve_banded((1, 0), x, np.ones(4)), M),
    (lambda x: la.solveh_banded(x, np.ones(3)), M),
    (lambda x: la.cho_solve_banded((x, True), np.ones(3)), M),
    (lambda x: la.solve_toeplitz(x, np.ones(4)), V),
    (lambda x: la.matmul_toeplitz(x, np.ones(4)), V),
    (lambda x: la.solve_circulant(x, np.ones(4)), V),
    # --- convolutions, filters, spectra
    (lambda x: scipy.signal.convolve(x, np.ones((2, 2))), V),
    (lambda x: scipy.signal.convolve(x, np.ones(2), mode="nowhere"), V),
    (lambda x: scipy.signal.convolve(x, np.ones(2), method="none"), V),
    (lambda x: scipy.signal.convolve(x, np.ones((2, 5)), mode="valid"), M),
    (lambda x: scipy.signal.fftconvolve(x, np.ones((2, 2))), V),
    (lambda x: scipy.signal.fftconvolve(x, np.ones(2), mode="nowhere"), V),
    (lambda x: scipy.signal.fftconvolve(x, np.ones((2, 5)), mode="valid"), M),
    (lambda x: scipy.signal.oaconvolve(x, np.ones((2, 2))), V),
    (lambda x: scipy.signal.correlate(x, np.ones((2, 2))), V),
    (lambda x: scipy.signal.correlate(x, np.ones(2), mode="nowhere"), V),
    (lambda x: scipy.signal.correlate(x, np.ones((2, 5)), mode="valid"), M),
    (lambda x: scipy.signal.convolve2d(x, np.ones(2)), V),
    (lambda x: scipy.signal.convolve2d(x, np.ones((2, 2)), boundary="none"), M),
    (lambda x: scipy.signal.convolve2d(x, np.ones((2, 2)), mode="none"), M),
    (lambda x: scipy.signal.convolve2d(x, np.ones((2, 5)), mode="valid"), M),
    (lambda x: scipy.signal.correlate2d(x, np.ones(2)), V),
    (lambda x: scipy.signal.correlate2d(x, np.ones((3, 3)), boundary="none"), M),
    (lambda x: scipy.signal.lfilter(x, np.ones(2), np.ones((2, 3)), zi=np.ones(7)), V),
    (lambda x: scipy.signal.lfilter([1.0], [0.0, 1.0], x), V),
    (lambda x: scipy.signal.lfilter([1.0], [1.0, 0.5], x, axis=3), V),
    (lambda x: scipy.signal.lfilter([1.0], [], x), V),
    (lambda x: scipy.signal.lfilter(np.ones((2, 2)), [1.0], x), V),
    (lambda x: scipy.signal.sosfilt(np.ones((1, 5)), x), V),
    (lambda x: scipy.signal.sosfilt(np.ones((1, 6)), x, zi=np.ones((3, 3)))[0], V),
    (lambda x: scipy.signal.filtfilt([1.0, 0.3], [1.0, 0.5], x), V),
    (lambda x: scipy.signal.detrend(x, type="square"), V),
    (lambda x: scipy.signal.detrend(x, bp=9), V),
    (lambda x: scipy.signal.detrend(x, axis=4), V),
    (lambda x: scipy.signal.medfilt(x, 2), V),
    (lambda x: scipy.signal.medfilt(x, (3, 3, 3)), V),
    (lambda x: scipy.signal.resample(x, 0), V),
    (lambda x: scipy.signal.resample_poly(x, 0, 1), V),
    (lambda x: scipy.signal.resample_poly(x, 1, 2, padtype="none"), V),
    (lambda x: scipy.signal.upfirdn(np.ones((2, 2)), x), V),
    (lambda x: scipy.signal.upfirdn([1.0], x, 0), V),
    (lambda x: scipy.signal.upfirdn([1.0], x, mode="none"), V),
    (lambda x: scipy.signal.welch(x, nperseg=2, noverlap=5)[1], M),
    (lambda x: scipy.signal.welch(x, nperseg=0)[1], M),
    (lambda x: scipy.signal.welch(x, nperseg=4, nfft=2)[1], M),
    (lambda x: scipy.signal.welch(x, nperseg=2, scaling="none")[1], M),
    (lambda x: scipy.signal.welch(x, nperseg=2, average="none")[1], M),
    (lambda x: scipy.signal.welch(x, nperseg=2, window="none")[1], M),
    (lambda x: scipy.signal.csd(x, np.ones((5, 7)), nperseg=2)[1], M),
    # --- images
    (lambda x: scipy.ndimage.convolve(x, np.ones(2)), M),
    (lambda x: scipy.ndimage.correlate(x, np.ones(2)), M),
    (lambda x: scipy.ndimage.correlate(x, np.ones((2, 2)), mode="none"), M),
    (lambda x: scipy.ndimage.correlate(x, np.ones((2, 2)), origin=5), M),
    (lambda x: scipy.ndimage.convolve(x, np.ones((2, 2)), origin=5), M),
    (lambda x: scipy.ndimage.correlate1d(x, np.ones(2), axis=4), M),
    (lambda x: scipy.ndimage.correlate1d(x, np.ones((2, 2))), M),
    (lambda x: scipy.ndimage.correlate1d(x, np.ones(2), origin=7), M),
    (lambda x: scipy.ndimage.gaussian_filter(x, 1.0, mode="none"), M),
    (lambda x: scipy.ndimage.gaussian_filter(x, [1.0, 2.0, 3.0]), M),
    (lambda x: scipy.ndimage.gaussian_filter(x, 1.0, order=-1), M),
    (lambda x: scipy.ndimage.gaussian_filter1d(x, 1.0, axis=5), M),
    (lambda x: scipy.ndimage.gaussian_filter1d(x, 1.0, radius=-1), M),
    (lambda x: scipy.ndimage.map_coordinates(x, np.ones((3, 2))), M),
    (lambda x: scipy.ndimage.map_coordinates(x, np.ones((2, 2)), order=7), M),
    (lambda x: scipy.ndimage.map_coordinates(x, np.ones((2, 2)), mode="none"), M),
    (lambda x: scipy.ndimage.shift(x, [1.0, 2.0, 3.0]), M),
    (lambda x: scipy.ndimage.shift(x, 1.0, order=9), M),
    (lambda x: scipy.ndimage.zoom(x, [1.0, 2.0, 3.0]), M),
    (lambda x: scipy.ndimage.zoom(x, 2.0, mode="none"), M),
    (lambda x: scipy.ndimage.affine_transform(x, np.ones((5, 5))), M),
    (lambda x: scipy.ndimage.affine_transform(x, np.eye(2), order=-1), M),
    # --- integrals
    (lambda x: scipy.integrate.trapezoid(x, np.ones(5)), V),
    (lambda x: scipy.integrate.trapezoid(x, axis=3), V),
    (lambda x: scipy.integrate.simpson(x, x=np.ones(5)), V),
    (lambda x: scipy.integrate.simpson(np.ones(5), x=x), V),
    (lambda x: scipy.integrate.simpson(x, axis=3), V),
    (lambda x: scipy.integrate.romb(x), M),
    (lambda x: scipy.integrate.romb(x, axis=4), V),
    (lambda x: scipy.integrate.cumulative_trapezoid(x, np.ones(5)), V),
    (lambda x: scipy.integrate.cumulative_trapezoid(x, initial=3.0), V),
    (lambda x: scipy.integrate.cumulative_trapezoid(x, axis=3), V),
    (lambda x: scipy.integrate.cumulative_trapezoid(x[:0]), V),
    (lambda x: scipy.integrate.cumulative_simpson(x, x=np.ones(5)), V),
    (lambda x: scipy.integrate.cumulative_simpson(x[:0]), V),
    (lambda x: scipy.integrate.cumulative_simpson(x, axis=3), V),
    (lambda x: scipy.integrate.odeint(lambda y, t: -x[0] * y, 1.0, np.ones((2, 2))), V),
    (lambda x: scipy.integrate.solve_ivp(lambda t, y: -x[0] * y, (0, 1), [1.0], t_eval=[0, 2]).y, V),
    (lambda x: scipy.optimize.brentq(lambda z: z * z + x[0], 0.0, 2.0), V),
    (lambda x: scipy.optimize.newton(lambda z: z * z + x[0], 1.0, maxiter=3), V),
    (lambda x: scipy.optimize.root(lambda z: z * x[0] - 1, [1.0], method="none").x, V),
    (lambda x: scipy.optimize.minimize(lambda z: (z[0] - x[0]) ** 2, [1.0], method="none").x, V),
    (lambda x: scipy.optimize.curve_fit(lambda t, a: a * t, V, np.ones(4) * x[0])[0], V),
    # --- interpolation
    (lambda x: scipy.interpolate.CubicSpline(x, np.ones(4))(0.5), V),
    (lambda x: scipy.interpolate.CubicSpline(x[:1], np.ones(1))(0.5), V),
    (lambda x: scipy.interpolate.CubicSpline(M, x)(0.5), V),
    (lambda x: scipy.interpolate.CubicSpline(T, x, bc_type="none")(0.5), V),
    (lambda x: scipy.interpolate.CubicSpline(T, x, bc_type=((3, 0.0), (1, 0.0)))(0.5), V),
    (lambda x: scipy.interpolate.CubicSpline(T[::-1], x)(0.5), V),
    (lambda x: scipy.interpolate.CubicHermiteSpline(T, x, np.ones(4))(0.5), V),
    (lambda x: scipy.interpolate.PchipInterpolator(T, x[:2])(0.5), V),
    (lambda x: scipy.interpolate.PchipInterpolator(T[::-1], x)(0.5), V),
    (lambda x: scipy.interpolate.Akima1DInterpolator(T, x, method="none")(0.5), V),
    (lambda x: scipy.interpolate.Akima1DInterpolator(T[::-1], x)(0.5), V),
    (lambda x: scipy.interpolate.PPoly(x, T)(0.5), V),
    (lambda x: scipy.interpolate.PPoly(x, T)(0.5), M),
    (lambda x: scipy.interpolate.PPoly(x, [0.0, 1.0, 0.5, 2.0, 3.0])(0.5), M),
    (lambda x: scipy.interpolate.BSpline(T, x, 3)(0.5), V),
    (lambda x: scipy.interpolate.BSpline(T, x, -1)(0.5), V),
    (lambda x: scipy.interpolate.BSpline(T[::-1], x, 1)(0.5), V),
    (lambda x: scipy.interpolate.make_interp_spline(T, x, k=3)(0.5), V),
    (lambda x: scipy.interpolate.make_interp_spline(T, x, k=-1)(0.5), V),
    (lambda x: scipy.interpolate.make_interp_spline(np.zeros(3), x, k=1)(0.5), V),
    (lambda x: scipy.interpolate.interp1d(T, x, kind="none")(0.5), V),
    (lambda x: scipy.interpolate.interp1d(T, x[:2])(0.5), V),
    (lambda x: scipy.interpolate.interp1d(T, x)(9.0), V),
    (lambda x: scipy.interpolate.interp1d(T, x)(-9.0), V),
    (lambda x: scipy.interpolate.interp1d(M, x)(0.5), V),
    (lambda x: scipy.interpolate.interp1d(T, x, axis=3)(0.5), V),
    (lambda x: scipy.interpolate.splev(x, SPLINE.tck, ext=2), V),
    (lambda x: scipy.interpolate.splev(x, SPLINE.tck, der=-1), V),
    (lambda x: scipy.interpolate.RegularGridInterpolator((T, T), x)(np.ones((1, 2))), M),
    (lambda x: scipy.interpolate.RegularGridInterpolator((T,), x, method="none")(np.ones((1, 1))), V),
    (lambda x: scipy.interpolate.RegularGridInterpolator((T[::-1] % 2,), x)(np.ones((1, 1))), V),
    (lambda x: scipy.interpolate.RegularGridInterpolator((T, T, T), x)(np.ones((1, 2))), S),
    (lambda x: GRID(x), V),
    (lambda x: GRID(x, method="none"), S),
    (lambda x: GRID(9 * x), S),
    (lambda x: scipy.interpolate.krogh_interpolate(T, x[:2], 0.5), V),
    (lambda x: scipy.interpolate.griddata(T, x[:2], 0.5), V),
    (lambda x: scipy.interpolate.griddata(T, x, 0.5, "none"), V),
    (lambda x: scipy.interpolate.RBFInterpolator(M, x[:2])(M), V),
    (lambda x: scipy.interpolate.RBFInterpolator(M, x, kernel="none")(M), V),
    (lambda x: scipy.interpolate.RBFInterpolator(M[:, :1], x)(M), V),
    # --- special functions
    (lambda x: scipy.special.gammainc(x, np.ones(4)), V),
    (lambda x: scipy.special.xlogy(x, np.ones(4)), V),
    (lambda x: scipy.special.erf(x, x, x), V),
    (lambda x: scipy.special.erf(), V),
    (lambda x: scipy.special.betainc(x, 1.0), V),
    (lambda x: scipy.special.logsumexp(x, axis=3), V),
    (lambda x: scipy.special.logsumexp(x, b=np.ones(4)), V),
    (lambda x: scipy.special.softmax(x, axis=3), V),
    (lambda x: scipy.special.log_softmax(x, axis=3), V),
    (lambda x: scipy.special.multigammaln(x, 2.5), V),
    (lambda x: scipy.special.multigammaln(x, 9), V),
    (lambda x: scipy.special.polygamma(2, x, 3), V),
    (lambda x: scipy.special.comb(x, np.ones(4)), V),
    (lambda x: scipy.special.spherical_jn(2, x, foo=1), V),
    # --- distributions and tests
    (lambda x: scipy.stats.norm.logpdf(x, np.ones(4)), V),
    (lambda x: scipy.stats.norm.logpdf(np.ones(4), x), V),
    (lambda x: scipy.stats.gamma.logpdf(x), V),
    (lambda x: scipy.stats.gamma.logpdf(x, 1.0, 2.0, 3.0, 4.0), V),
    (lambda x: scipy.stats.norm.cdf(x, foo=1), V),
    (lambda x: scipy.stats.poisson.logpmf([1, 2, 3, 4], x), V),
    (lambda x: scipy.stats.beta.cdf(x, np.ones(4), 1.0), V),
    (lambda x: scipy.stats.norm(x).logpdf(np.ones(4)), V),
    (lambda x: scipy.stats.multivariate_normal.logpdf(x, np.zeros(2), np.eye(3)), V),
    (lambda x: scipy.stats.multivariate_normal.logpdf(x, np.zeros(3), np.ones((2, 3))), V),
    (lambda x: scipy.stats.multivariate_normal.logpdf(x, np.zeros(2), np.eye(2)), V),
    (lambda x: scipy.stats.multivariate_normal.logpdf(np.ones(2), np.zeros(2), x), INDEFINITE),
    (lambda x: scipy.stats.multivariate_normal.logpdf(np.ones(2), np.zeros((2, 2)), x), S),
    (lambda x: scipy.stats.multivariate_normal.logpdf(np.ones(2), x, np.eye(2)), V),
    (lambda x: scipy.stats.multinomial.logpmf([1, 2], 3, x), V / 6),
    (lambda x: scipy.stats.ttest_1samp(x, 0.0, axis=3)[0], V),
    (lambda x: scipy.stats.ttest_1samp(x, 0.0, alternative="none")[0], V),
    (lambda x: scipy.stats.ttest_ind(x, np.ones(4), axis=3)[0], V),
    (lambda x: scipy.stats.ttest_rel(x, np.ones(4))[0], V),
    (lambda x: scipy.stats.pearsonr(x, np.ones(4))[0], V),
    (lambda x: scipy.stats.pearsonr(x[:1], np.ones(1))[0], V),
    # --- sparse matrices
    (lambda x: SPARSE @ x, M[:2]),
    (lambda x: SPARSE @ x, Z),
    (lambda x: SPARSE.dot(x), np.ones(4)),
    (lambda x: x @ SPARSE, np.ones(4)),
    (lambda x: x @ SPARSE, M),
    (lambda x: scipy.sparse.linalg.spsolve(SPARSE, x), np.ones(4)),
    (lambda x: scipy.sparse.linalg.spsolve(SPARSE[:2], x), np.ones(3)),
    (lambda x: FACTORS.solve(x), np.ones(4)),
    (lambda x: FACTORS.solve(x, "Q"), V),
    # --- distances
    (lambda x: scipy.spatial.distance.cdist(x, np.ones((2, 3))), M),
    (lambda x: scipy.spatial.distance.cdist(x, M), V),
    (lambda x: scipy.spatial.distance.cdist(x, M, "none"), M),
    (lambda x: scipy.spatial.distance.pdist(x), V),
    (lambda x: scipy.spatial.distance.pdist(x, "none"), M),
    (lambda x: scipy.spatial.distance.squareform(x), np.ones(4)),
    (lambda x: scipy.spatial.distance.squareform(x), M),
    (lambda x: scipy.spatial.distance.squareform(x), C3),
    (lambda x: scipy.spatial.distance.squareform(x), S),
    (lambda x: scipy.spatial.distance.squareform(x, force="tovector"), V),
    (lambda x: Rotation.from_quat(x).as_matrix(), V),
    (lambda x: Rotation.from_euler("qqq", x).as_matrix(), V),
    (lambda x: Rotation.from_rotvec(x).as_matrix(), S),
    (lambda x: TURN.apply(x), S),
    # --- transforms
    (lambda x: scipy.fft.fft(x, n=0).real, V),
    (lambda x: scipy.fft.fft(x, axis=3).real, V),
    (lambda x: scipy.fft.fft(x, norm="bad").real, V),
    (lambda x: scipy.fft.fft(x, n=2.5).real, V),
    (lambda x: scipy.fft.fft2(x).real, V),
    (lambda x: scipy.fft.fftn(x, s=(2, 2)).real, V),
    (lambda x: scipy.fft.fftn(x, s=(2, 2), axes=(0,)).real, M),
    (lambda x: scipy.fft.rfft(x, n=-1).real, V),
    (lambda x: scipy.fft.irfft(x, norm="bad"), V),
    (lambda x: scipy.fft.rfftn(x, axes=(0, 5)).real, M),
    (lambda x: scipy.fft.rfft(x + 1j).real, V),
    (lambda x: scipy.fft.dct(x, type=7), V),
    (lambda x: scipy.fft.dct(x, type=1), V[:1]),
    (lambda x: scipy.fft.dct(x, axis=3), V),
    (lambda x: scipy.fft.dct(x, norm="bad"), V),
    (lambda x: scipy.fft.dctn(x, axes=(0, 0)), M),
    (lambda x: scipy.fft.dctn(x, s=(2, 2, 2)), M),
    (lambda x: scipy.fft.idst(x, n=0), V),
    (lambda x: scipy.fft.fftshift(x, axes=4), V),
]

NATIVELY = 4  # so many of the next are compiled as well
BY_VALUE: list[tuple[Callable[..., Any], Any, Any]] = [
    (lambda x: la.inv(x), S, SINGULAR),
    (lambda x: la.cholesky(x), S, INDEFINITE),
    (lambda x: la.solve(x, np.ones(2)), S, SINGULAR),
    (lambda x: la.solve_triangular(x, np.ones(2)), S, np.diag([1.0, 0.0])),
    (lambda x: la.cholesky(x, lower=True), S, INDEFINITE),
    (lambda x: la.cho_factor(x)[0], S, INDEFINITE),
    (lambda x: la.cho_solve(la.cho_factor(x), np.ones(2)), S, INDEFINITE),
    (lambda x: la.solve(x, np.ones((2, 3))), S, SINGULAR),
    (lambda x: la.solve_banded((1, 0), x, np.ones(2)), S, np.zeros((2, 2))),
    (lambda x: la.cholesky_banded(x, lower=True), S, np.array([[1.0, 1.0], [2.0, 0.0]])),
    (lambda x: la.solve_toeplitz(x, np.ones(3)), V, np.ones(3)),
    (lambda x: la.solve_circulant(x, np.ones(3)), V, np.ones(3)),
    (lambda x: la.eigh(np.eye(2), x)[0], S, INDEFINITE),
    (lambda x: la.svd(x)[1], S, NOT_FINITE),
    (lambda x: la.eigvalsh(x), S, NOT_FINITE),
    (lambda x: la.det(x), S, NOT_FINITE),
    (lambda x: la.solve(S, x), V[:2], NOT_FINITE[0]),
    (lambda x: la.lu_factor(x)[0], S, NOT_FINITE),
    (lambda x: la.cho_solve((S, True), x), V[:2], NOT_FINITE[0]),
    (lambda x: scipy.special.multigammaln(x[0], 2), V, -V),
    (lambda x: scipy.interpolate.CubicSpline(x, [1.0, 2.0, 0.5])(1.5), V, V[::-1].copy()),
    (lambda x: scipy.interpolate.interp1d(V, [1.0, 2.0, 0.5])(x), V, 9 * V),
    (lambda x: scipy.interpolate.splev(x, SPLINE.tck, ext=2), V / 3, 9 * V),
    (lambda x: GRID(x), S / 2, 9 * S),
    (lambda x: scipy.stats.multivariate_normal.logpdf(np.ones(2), np.zeros(2), x), S, INDEFINITE),
    (lambda x: scipy.stats.dirichlet.logpdf([0.2, 0.3, 0.5], x), V, -V),
    (lambda x: Rotation.from_quat(x).as_matrix(), np.array([1.0, 2.0, 0.0, 1.0]), np.zeros(4)),
]
# fmt: on


@pytest.mark.parametrize("case", WHATEVER, ids=number_of)
def test_what_is_wrong_by_its_shapes(case):
    check_shapes(*case)


@pytest.mark.parametrize("case", BY_VALUE, ids=number_of)
def test_what_is_wrong_by_its_values(case):
    check_values(*case)


@pytest.mark.parametrize("case", BY_VALUE[:NATIVELY], ids=number_of)
def test_what_is_wrong_by_its_values_in_compiled_code(case):
    check_compiled(*case)
