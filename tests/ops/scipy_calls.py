"""A program for each function of SciPy that is asked for: `CALLS` maps its name to a function and its arguments.

The name begins with SciPy's, without `scipy.` in front; what follows a dash tells forms apart. Everything the arguments
hold is differentiated; what is whole, or decides on shapes, stands in the program. `test_scipy_coverage.py` runs them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
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
import scipy.spatial.transform
import scipy.special as sp
import scipy.stats

generator = np.random.default_rng(7)
V = np.array([0.3, 0.75, 1.4])
P = np.array([0.15, 0.4, 0.7])
A = generator.uniform(-1, 1, (3, 3)) + 3 * np.eye(3)
B = generator.uniform(-1, 1, (3, 2))
T = generator.uniform(-1, 1, (4, 3))
X = generator.uniform(-1, 1, 8)
K = generator.uniform(0.2, 1, 3)
IMAGE = generator.uniform(-1, 1, (4, 5))
PLACES = np.array([[0.4, 2.2, 1.7], [1.3, 3.2, 0.2]])
AB = np.array([[0.0, 0.3, 0.5], [4.0, 4.2, 3.9], [0.4, -0.3, 0.0]])
TIMES = np.array([0.0, 0.4, 0.7])
KNOTS = np.array([0.0, 0.7, 1.5, 2.9, 4.0])
HEIGHTS = np.array([0.3, -0.4, 0.8, 0.1, 0.5])
SPARSE = scipy.sparse.csc_array(np.array([[4.0, 1.0, 0.0], [0.0, 3.0, 0.5], [0.2, 0.0, 5.0]]))
FACTORS = scipy.sparse.linalg.splu(SPARSE)

CALLS: dict[str, Any] = {}


def upright(vectors: Any) -> Any:
    """Eigenvectors with a sign of their own: LAPACK's may change from a matrix to the next one."""
    return vectors * np.sign(vectors[0])


def special(names: str, *args: Any) -> None:
    """`scipy.special.name(*args)` for each name."""
    CALLS.update({f"special.{name}": (getattr(sp, name), *args) for name in names.split()})


def of_whole(names: str, n: int, *args: Any) -> None:
    """`scipy.special.name(n, *args)` for each name: of a whole order."""

    def program(function: Any) -> Any:
        return lambda *args: function(n, *args)

    CALLS.update({f"special.{name}": (program(getattr(sp, name)), *args) for name in names.split()})


special(
    "psi digamma gamma gammaln rgamma j0 y0 j1 y1 i0 i1 i0e i1e erf erfc expit erfcx dawsn entr exp1 expi log_ndtr "
    "loggamma ndtr sici spence",
    V,
)
special("beta betaln poch owens_t gammainc gammaincc kl_div rel_entr xlogy xlog1py", V, V[::-1] + 0.2)
special("erfinv logit ndtri", P)
special("betainc", V, V[::-1] + 0.2, P)
special("gammaincinv", V, P)
special("erfcinv", 2 * P)
special("logsumexp log_softmax softmax", IMAGE)
of_whole("polygamma jn yn expn", 2, V)
CALLS |= {
    "special.sici": (lambda x: np.stack(sp.sici(x)), V),
    "special.iv": (lambda x: sp.iv(0.5, x), V),
    "special.ive": (lambda x: sp.ive(0.5, x), V),
    "special.multigammaln": (lambda x: sp.multigammaln(x, 3), V + 2),
    "special.factorial": (sp.factorial, V),
    "special.hyp1f1": (lambda x: sp.hyp1f1(0.5, 1.5, x), V),
    "special.hyp2f1": (lambda x: sp.hyp2f1(0.5, 1.5, 2.5, x), P),
    "special.gammasgn": (lambda x: sp.gammasgn(x) * x, V - 0.5),
    "special.zeta": (lambda q: sp.zeta(2.5, q), V),
    # --- linear algebra
    "linalg.sqrtm": (lambda a: la.sqrtm(a @ a.T), A),
    "linalg.sqrtm-complex": (
        lambda a: np.stack([la.sqrtm(a + 1j * np.zeros((3, 3))).real, np.abs(la.sqrtm(a - 6 * np.eye(3)))]),
        A,
    ),
    "linalg.logm": (lambda a: la.logm(a @ a.T), A),
    "linalg.expm": (lambda a: la.expm(a / 4), A),
    "linalg.solve_triangular": (lambda a, b: la.solve_triangular(a, b, lower=True), A, B),
    "linalg.solve_banded": (lambda ab, b: la.solve_banded((1, 1), ab, b), AB, V),
    "linalg.solve_sylvester": (la.solve_sylvester, A, A[:2, :2] + 1, B),
    "linalg.block_diag": (lambda a, b: la.block_diag(a, b) ** 2, A, B),
    "linalg.cho_factor": (lambda a: np.triu(la.cho_factor(a @ a.T)[0]), A),
    "linalg.cho_solve": (lambda a, b: la.cho_solve(la.cho_factor(a @ a.T), b), A, V),
    "linalg.cholesky": (lambda a: la.cholesky(a @ a.T), A),
    "linalg.lu_factor": (lambda a: la.lu_factor(a)[0], A[::-1].copy()),
    "linalg.lu_solve": (lambda a, b: la.lu_solve(la.lu_factor(a), b), A[::-1].copy(), B),
    "linalg.polar": (lambda a: la.polar(a)[0] + 2 * la.polar(a)[1], A),
    "linalg.qr": (lambda a: np.concatenate(la.qr(a, mode="economic")), T),
    "linalg.qr-pivoting": (
        lambda a: np.concatenate(
            [*la.qr(a, mode="economic", pivoting=True)[:2], a[:, la.qr(a, mode="r", pivoting=True)[1]]]
        ),
        T,
    ),
    "linalg.solve": (la.solve, A, B),
    "linalg.toeplitz": (lambda c, r: la.toeplitz(c, r) ** 2, V, X),
    "linalg.eigh": (lambda a, b: la.eigh(a @ a.T, b @ b.T + np.eye(3))[1] ** 2, A, A + 1),
    "linalg.eigh-lower": (lambda a: upright(la.eigh(a)[1]) * la.eigh(a)[0], A),
    "linalg.eigh-upper": (lambda a: upright(la.eigh(a, lower=False, driver="evd")[1]), A),
    "linalg.eigh-generalised_upper": (
        lambda a, b: la.eigh(a, b @ b.T + np.eye(3), lower=False)[1] ** 2,
        A,
        A + 1,
    ),
    "linalg.eigvalsh-upper": (lambda a: la.eigvalsh(a, lower=False), A),
    # --- signals and images
    "signal.convolve": (lambda x, k: scipy.signal.convolve(x, k, "same"), X, K),
    "signal.convolve2d": (scipy.signal.convolve2d, IMAGE, B),
    "signal.correlate": (scipy.signal.correlate, X, K),
    "signal.fftconvolve": (scipy.signal.fftconvolve, X, K),
    "signal.detrend": (scipy.signal.detrend, X),
    "signal.lfilter": (lambda b, a, x: scipy.signal.lfilter(b, a + np.array([2.0, 0, 0]), x), K, K, X),
    "signal.filtfilt": (lambda x: scipy.signal.filtfilt([0.4, 0.3], [1.0, -0.2], x), X),
    "signal.stft": (lambda x: np.abs(scipy.signal.stft(x, nperseg=4)[2]) ** 2, X),
    "signal.istft": (lambda x: scipy.signal.istft(scipy.signal.stft(x, nperseg=4)[2] * 2, nperseg=4)[1], X),
    "signal.welch": (lambda x: scipy.signal.welch(x, nperseg=4)[1], X),
    "signal.welch-median": (
        lambda x: scipy.signal.welch(x, 2.0, nperseg=4, noverlap=1, average="median")[1],
        X,
    ),
    "signal.csd": (
        lambda x, y: np.abs(
            scipy.signal.csd(x, y, 3.0, nperseg=4, nfft=5, scaling="spectrum", detrend="linear")[1]
        ),
        X,
        X[::-1] ** 2,
    ),
    "ndimage.gaussian_filter": (lambda x, s: scipy.ndimage.gaussian_filter(x, s), IMAGE, 0.7),
    "ndimage.map_coordinates": (scipy.ndimage.map_coordinates, IMAGE, PLACES),
    "ndimage.map_coordinates-2": (
        lambda x, p: scipy.ndimage.map_coordinates(x, p, order=2, mode="mirror"),
        IMAGE,
        PLACES,
    ),
    "ndimage.shift": (lambda x: scipy.ndimage.shift(x, (0.3, -0.6)), IMAGE),
    "ndimage.zoom": (lambda x: scipy.ndimage.zoom(x, (2, 1.5)), IMAGE),
    # --- integrals, interpolants, equations
    "integrate.trapezoid": (lambda y, x: scipy.integrate.trapezoid(y, np.cumsum(x * x)), X, X),
    "integrate.simpson": (lambda y, x: scipy.integrate.simpson(y, x=np.cumsum(x * x)), X, X + 2),
    "integrate.cumulative_trapezoid": (lambda y: scipy.integrate.cumulative_trapezoid(y, dx=0.3), IMAGE),
    "interpolate.RegularGridInterpolator": (
        lambda v, p: scipy.interpolate.RegularGridInterpolator((KNOTS[:4], KNOTS), v)(p),
        IMAGE,
        PLACES.T / 2,
    ),
    "interpolate.CubicSpline": (lambda x, y, p: scipy.interpolate.CubicSpline(x, y)(p), KNOTS, HEIGHTS, V),
    "sparse.matmul": (lambda x: SPARSE @ x, B),
    "sparse.linalg.spsolve": (lambda b: scipy.sparse.linalg.spsolve(SPARSE, b), V),
    "sparse.linalg.splu": (lambda b: scipy.sparse.linalg.splu(SPARSE).solve(b), V),
    "sparse.linalg.splu-outside": (lambda b: FACTORS.solve(b) + FACTORS.solve(b, "T"), V),
    "sparse.linalg.factorized": (lambda b: scipy.sparse.linalg.factorized(SPARSE)(b), V),
}

for _name in ("dct", "idct", "dst", "idst", "dctn", "idctn"):
    CALLS[f"fft.{_name}"] = (getattr(scipy.fft, _name), IMAGE)


def of_numbers(name: str, methods: str, x: Any, *shapes: Any, place: bool = True) -> None:
    """Methods of a continuous distribution: in the number, in its parameters, and in place and scale."""

    def program(method: str) -> Any:
        function = getattr(getattr(scipy.stats, name), method)
        if not place:
            return function
        return lambda x, *given: function(x, *given[:-2], loc=given[-2], scale=given[-1])

    for method in methods.split():
        given = x if method != "ppf" else P
        CALLS[f"stats.{name}.{method}"] = (program(method), given, *shapes, *((0.1, 1.3) if place else ()))


def of_counts(name: str, methods: str, *shapes: Any, whole: tuple[int, ...] = ()) -> None:
    """Methods of a distribution of whole numbers: in its parameters; `whole` are those that count."""
    k = np.array([0, 1]) if name == "bernoulli" else np.array([1, 2, 4])

    def program(method: str) -> Any:
        function = getattr(getattr(scipy.stats, name), method)
        return lambda *given: function(k, *whole, *given)

    CALLS.update({f"stats.{name}.{method}": (program(method), *shapes) for method in methods.split()})


_ALL = "pdf logpdf cdf logcdf sf logsf ppf"
for _name, *_shapes in (
    *(("beta", 1.7, 2.4), ("chi2", 3.1), ("gamma", 2.3), ("t", 3.3), ("norm",), ("cauchy",), ("expon",)),
    *(("gennorm", 1.4), ("gumbel_l",), ("gumbel_r",), ("laplace",), ("logistic",), ("lognorm", 0.7)),
    *(("uniform",), ("weibull_min", 1.6)),
):
    of_numbers(_name, _ALL, np.array([0.4, 0.7, 1.1]), *_shapes)
of_numbers("pareto", _ALL, np.array([1.9, 2.3, 3.1]), 2.2)
of_numbers("truncnorm", _ALL, np.array([0.4, 0.7, 1.1]), -1.2, 1.9)
of_numbers("vonmises", "pdf logpdf cdf", np.array([0.4, 0.7, 1.1]), 1.3)
for _name, _shapes, _whole in (
    ("poisson", [2.4], ()),
    ("bernoulli", [0.3], ()),
    ("binom", [0.3], (5,)),
    ("geom", [0.3], ()),
    ("nbinom", [3.2, 0.4], ()),
    ("betabinom", [1.3, 2.2], (5,)),
):
    of_counts(_name, "pmf logpmf cdf", *_shapes, whole=_whole)
_PARTS = np.array([0.2, 0.3, 0.5])
CALLS |= {
    "stats.dirichlet.logpdf": (lambda a: scipy.stats.dirichlet.logpdf(_PARTS, a), V + 1),
    "stats.dirichlet.pdf": (lambda a: scipy.stats.dirichlet.pdf(_PARTS, a), V + 1),
    "stats.multinomial.logpmf": (
        lambda p: scipy.stats.multinomial.logpmf([1, 2, 3], 6, np.exp(p) / np.sum(np.exp(p))),
        V,
    ),
    "stats.multinomial.pmf": (
        lambda p: scipy.stats.multinomial.pmf([1, 2, 3], 6, np.exp(p) / np.sum(np.exp(p))),
        V,
    ),
    **{
        f"stats.multivariate_normal.{_method}": (
            lambda x, m, h, method=_method: getattr(scipy.stats.multivariate_normal, method)(
                x, m, h @ h.T + np.eye(3)
            ),
            T,
            V,
            A / 2,
        )
        for _method in ("logpdf", "pdf")
    },
    "stats.multivariate_normal.entropy": (
        lambda h: scipy.stats.multivariate_normal.entropy(None, h @ h.T + np.eye(3)),
        A,
    ),
    # Covariances of rank two, at points they reach and, the last row, at one that they do not.
    **{
        f"stats.multivariate_normal.{_method}-singular": (
            lambda z, m, h, method=_method: getattr(scipy.stats.multivariate_normal, method)(
                np.vstack([m + z @ h.T, m + np.array([0.0, 0.0, 9.0])]), m, h @ h.T, allow_singular=True
            )[:3],
            T[:3, :2],
            V,
            B,
        )
        for _method in ("logpdf", "pdf")
    },
    "stats.multivariate_normal.entropy-singular": (
        lambda h: scipy.stats.multivariate_normal.entropy(None, h @ h.T),
        B,
    ),
    "stats.multivariate_normal.logpdf-may_be_singular": (
        lambda x, h: scipy.stats.multivariate_normal.logpdf(x, None, h @ h.T + np.eye(3), True),
        V,
        A,
    ),
}


# --- samples at known places, distances, tests ------------------------------------------------------------------------

SPOTS = generator.uniform(-1, 1, (8, 2))
CALLS.update(
    {
        "special.powm1": (sp.powm1, V, P),
        "linalg.fiedler_companion": (la.fiedler_companion, np.array([2.0, 0.3, -0.5, 0.7, 1.1])),
        "signal.medfilt": (lambda x: scipy.signal.medfilt(x, 3), X),
        "signal.medfilt-2": (lambda x: scipy.signal.medfilt(x, (1, 3)), IMAGE),
        "signal.upfirdn": (lambda x: scipy.signal.upfirdn([1.0, 2.0, 0.5], x, 2, 3), IMAGE),
        "signal.resample": (lambda x: scipy.signal.resample(x, 11), X),
        "signal.resample-axis": (lambda x: scipy.signal.resample(x, 4, axis=1), IMAGE),
        "signal.resample_poly": (lambda x: scipy.signal.resample_poly(x, 3, 2), X),
        "interpolate.krogh_interpolate": (
            lambda y: scipy.interpolate.krogh_interpolate(KNOTS, y, [0.3, 2.0]),
            HEIGHTS,
        ),
        "interpolate.griddata": (
            lambda y: scipy.interpolate.griddata(SPOTS, y, ([0.1, 0.2], [0.0, -0.1])),
            X,
        ),
        "interpolate.RBFInterpolator": (
            lambda y: scipy.interpolate.RBFInterpolator(SPOTS, y)(SPOTS[:3] * 0.5),
            X,
        ),
        "interpolate.PPoly": (lambda c, x: scipy.interpolate.PPoly(c, [0.0, 0.5, 1.0])(x), B, P),
        "interpolate.PPoly-antiderivative": (
            lambda c, x: scipy.interpolate.PPoly(c, [0.0, 0.5, 1.0]).antiderivative(2)(x),
            B,
            P,
        ),
        "interpolate.CubicSpline-integrate": (
            lambda y, a: scipy.interpolate.CubicSpline(KNOTS, y).integrate(a, 3.1),
            HEIGHTS,
            np.float64(0.2),
        ),
        "spatial.distance.cdist": (scipy.spatial.distance.cdist, T, A),
        **{
            f"spatial.distance.pdist-{metric}": (
                lambda x, metric=metric: scipy.spatial.distance.pdist(x, metric),
                T,
            )
            for metric in ("euclidean", "sqeuclidean", "cityblock", "chebyshev")
        },
        "spatial.distance.pdist-minkowski": (lambda x: scipy.spatial.distance.pdist(x, "minkowski", p=3), T),
        "spatial.distance.squareform": (scipy.spatial.distance.squareform, X[:6]),
        **{
            f"stats.binned_statistic-{statistic}": (
                lambda y, statistic=statistic: scipy.stats.binned_statistic(
                    np.array([0.1, 0.9, 0.2, 0.7, 0.95, 0.05, 0.15, 1.3]), y, statistic, 4, (0.0, 1.0)
                ).statistic[[0, 2, 3]],
                X,
            )
            for statistic in ("mean", "sum", "median", "min", "max")
        },
        "stats.binned_statistic-std": (
            lambda y: scipy.stats.binned_statistic(np.arange(8.0), y, "std", [0.0, 3.5, 7.0]).statistic,
            X,
        ),
        "stats.ttest_1samp": (lambda x, m: tuple(scipy.stats.ttest_1samp(x, m)), X, np.float64(0.1)),
        "stats.ttest_rel": (lambda x, y: tuple(scipy.stats.ttest_rel(x, y, alternative="less")), V, K),
        "stats.ttest_ind": (lambda x, y: tuple(scipy.stats.ttest_ind(x, y)), X, V),
        "stats.ttest_ind-columns": (
            lambda x, y: tuple(scipy.stats.ttest_ind(x, y, alternative="greater")),
            T,
            A[:, :3],
        ),
        "stats.ttest_ind-welch": (lambda x, y: tuple(scipy.stats.ttest_ind(x, y, equal_var=False)), X, V),
    }
)

# --- values that are complex, rotations, polynomials through points ---------------------------------------------------

_TURN = scipy.spatial.transform.Rotation.from_rotvec([0.1, -0.2, 0.3])
Rotation = scipy.spatial.transform.Rotation
CALLS.update(
    {
        "special.lambertw": (lambda x: sp.lambertw(x).real, V),
        "special.lambertw-branch": (lambda x: sp.lambertw(-x / 5, -1).real, V),
        "special.wofz": (lambda x: sp.wofz(x + 0.4j).imag, V),
        "special.voigt_profile": (sp.voigt_profile, V - 0.5, V, V[::-1]),
        "interpolate.lagrange": (lambda x, y: scipy.interpolate.lagrange(x, y)(0.4), V, P),
        "interpolate.lagrange-coefficients": (lambda x, y: scipy.interpolate.lagrange(x, y).coef, V, P),
        "interpolate.KroghInterpolator": (
            lambda y: scipy.interpolate.KroghInterpolator(KNOTS, y).derivatives(P, 2),
            HEIGHTS,
        ),
        "signal.ss2tf": (
            lambda a, b: np.concatenate(
                [np.ravel(c) for c in scipy.signal.ss2tf(a, b, np.ones((1, 3)), np.zeros((1, 1)))]
            ),
            A,
            B[:, :1],
        ),
        "spatial.transform.Rotation.from_rotvec": (
            lambda v, x: Rotation.from_rotvec(v).apply(x, inverse=True),
            V,
            T,
        ),
        "spatial.transform.Rotation.from_rotvec-still": (
            lambda v: Rotation.from_rotvec(v).as_rotvec(),
            0 * V,
        ),
        "spatial.transform.Rotation.from_quat": (lambda q: Rotation.from_quat(q[:4]).as_matrix(), X),
        "spatial.transform.Rotation.from_euler": (
            lambda a: Rotation.from_euler("ZYX", a, degrees=True).as_quat(),
            30 * T,
        ),
        "spatial.transform.Rotation.from_euler-product": (
            lambda a, v: (Rotation.from_euler("xy", a[:2]) * Rotation.from_rotvec(v).inv()).as_quat(True),
            V,
            P,
        ),
        "spatial.transform.Rotation.apply": (lambda x: _TURN.apply(x), T),
        "spatial.transform.Rotation.from_matrix": (
            lambda a: Rotation.from_matrix(a + 3 * _TURN.as_matrix()).as_quat(),
            A / 4,
        ),
        "spatial.transform.Rotation.from_matrix-rotations": (
            lambda v: Rotation.from_matrix(Rotation.from_rotvec(3 * v).as_matrix()).as_quat(),
            T,
        ),
        "spatial.transform.Rotation.from_matrix-valid": (
            lambda v: Rotation.from_matrix(Rotation.from_rotvec(v).as_matrix(), assume_valid=True).as_mrp(),
            V,
        ),
        "spatial.transform.Rotation.from_mrp": (
            lambda v: (Rotation.from_mrp(v) ** v[0, 0]).as_rotvec(),
            T / 2,
        ),
        "spatial.transform.Rotation.from_mrp-power": (
            lambda v: np.stack([(Rotation.from_mrp(v) ** k).as_quat() for k in (-1, 0, 1, 2)]),
            V,
        ),
        **{
            f"spatial.transform.Rotation.from_quat-{_seq}": (
                lambda q, seq=_seq: Rotation.from_quat(q).as_euler(seq, degrees=seq == "zyx"),
                X[:4],
            )
            for _seq in ("xyz", "XYZ", "zyx", "ZXY", "zxz", "YXY")
        },
    }
)
