"""Functions of SciPy's that are linear in samples at known places: interpolants, resampling.

SciPy itself is asked for the matrix, by applying it to the columns of the identity; its product with the traced samples
is the value, and has every derivative. What else these functions are given has to be known. Begin with `_mapped`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np

from tracegrad.errors import UnsupportedError
from tracegrad.ops.numpy_forms import operand
from tracegrad.ops.numpy_linalg import tensordot
from tracegrad.ops.numpy_reduce import prod
from tracegrad.ops.numpy_sampled import poly, polyder, polyint, polyval, real
from tracegrad.ops.numpy_shape import moveaxis
from tracegrad.ops.scipy_forms import is_active, refuse, under

LONGEST = 2048
"""Samples: their matrix has as many columns."""


def _mapped(name: str, function: Callable[[Any], Any], samples: Any, axis: int = 0, *rest: Any) -> Any:
    """`function(samples)`, linear in samples along `axis`, whose own axis 0 is theirs."""
    for other in rest:
        if is_active(other):
            raise UnsupportedError(
                f"`{name}` is recorded for traced samples alone: places and filters have to be known.",
                None,
                "use CubicSpline for traced places, np.convolve for a traced filter",
            )
    samples = moveaxis(real(samples), axis, 0)
    if samples.shape[0] > LONGEST:
        raise UnsupportedError(
            f"`{name}` of {samples.shape[0]} traced samples would need a matrix with as many columns.",
            None,
            f"cut the samples into parts of at most {LONGEST}",
        )
    matrix = np.asarray(function(np.eye(samples.shape[0])))
    found = tensordot(matrix, samples, 1)
    return moveaxis(found, 0, axis) if samples.ndim > 1 and axis and matrix.ndim > 1 else found


def _scipy(package: str) -> Any:
    return importlib.import_module(f"scipy.{package}")


@under("scipy.interpolate.krogh_interpolate")
def krogh_interpolate(xi: Any, yi: Any, x: Any, der: Any = 0, axis: int = 0) -> Any:
    def plain(unit: Any) -> Any:
        return _scipy("interpolate").krogh_interpolate(np.asarray(xi), unit, np.asarray(x), der)

    return _mapped("scipy.interpolate.krogh_interpolate", plain, yi, axis, xi, x)


class Coefficients:
    """What `lagrange` gives, a polynomial as `np.poly1d` has it: called, or read as its coefficients."""

    def __init__(self, c: Any) -> None:
        self.c = self.coef = self.coeffs = self.coefficients = c
        self.order = self.o = c.shape[0] - 1

    def __call__(self, x: Any) -> Any:
        return polyval(self.c, x)

    def deriv(self, m: int = 1) -> Coefficients:
        return Coefficients(polyder(self.c, m))

    def integ(self, m: int = 1, k: Any = 0) -> Coefficients:
        return Coefficients(polyint(self.c, m, k))


@under("scipy.interpolate.lagrange")
def lagrange(x: Any, w: Any) -> Coefficients:
    x, w = real(x), real(w)
    total: Any = np.zeros(x.shape[0])
    for j in range(x.shape[0]):
        others = [k for k in range(x.shape[0]) if k != j]
        total = total + w[j] / prod(x[j] - x[others]) * poly(x[others])
    return Coefficients(total)


class Krogh:
    """`scipy.interpolate.KroghInterpolator` of traced values at known places."""

    def __init__(self, xi: Any, yi: Any, axis: int = 0) -> None:
        self.xi, self.yi, self.axis = xi, yi, axis

    def __call__(self, x: Any) -> Any:
        return krogh_interpolate(self.xi, self.yi, x, 0, self.axis)

    def derivatives(self, x: Any, der: Any = None) -> Any:
        """Of every order below `der`, the first axis."""

        def plain(unit: Any) -> Any:
            return _scipy("interpolate").KroghInterpolator(np.asarray(self.xi), unit).derivatives(x, der)

        return _mapped("scipy.interpolate.KroghInterpolator", plain, self.yi, 0, self.xi, x)

    def derivative(self, x: Any, der: int = 1) -> Any:
        return self.derivatives(x, der + 1)[der]


@under("scipy.interpolate.KroghInterpolator")
def krogh(xi: Any, yi: Any, axis: int = 0) -> Krogh:
    if axis:
        raise UnsupportedError(
            "`scipy.interpolate.KroghInterpolator` is recorded with axis=0.", None, "turn the values around"
        )
    return Krogh(xi, yi)


@under("scipy.interpolate.griddata")
def griddata(
    points: Any,
    values: Any,
    xi: Any,
    method: str = "linear",
    fill_value: Any = np.nan,
    rescale: bool = False,
) -> Any:
    if method == "cubic" or not np.isnan(fill_value):
        raise UnsupportedError(
            "`scipy.interpolate.griddata` is recorded without method='cubic' and with the default `fill_value`.",
            None,
            "use method='linear', and np.where for what lies outside",
        )

    def plain(unit: Any) -> Any:
        return _scipy("interpolate").griddata(points, unit, xi, method, rescale=rescale)

    return _mapped("scipy.interpolate.griddata", plain, values, 0, points, xi)


class RadialBasis:
    """`scipy.interpolate.RBFInterpolator` of traced values at known places."""

    def __init__(self, y: Any, d: Any, options: dict[str, Any]) -> None:
        self.y, self.d, self.options = y, d, options

    def __call__(self, x: Any) -> Any:
        def plain(unit: Any) -> Any:
            return _scipy("interpolate").RBFInterpolator(self.y, unit, **self.options)(np.asarray(x))

        return _mapped("scipy.interpolate.RBFInterpolator", plain, self.d, 0, self.y, x)


@under("scipy.interpolate.RBFInterpolator")
def radial_basis(y: Any, d: Any, **options: Any) -> RadialBasis:
    return RadialBasis(y, d, options)


@under("scipy.signal.resample")
def resample(x: Any, num: int, t: Any = None, axis: int = 0, window: Any = None, domain: str = "time") -> Any:
    if t is not None or domain != "time":
        raise UnsupportedError(
            "`scipy.signal.resample` is recorded without `t` and `domain`.", None, "leave them out"
        )

    def plain(unit: Any) -> Any:
        return _scipy("signal").resample(unit, num, axis=0, window=window)

    return _mapped("scipy.signal.resample", plain, x, axis)


@under("scipy.signal.resample_poly")
def resample_poly(
    x: Any,
    up: int,
    down: int,
    axis: int = 0,
    window: Any = ("kaiser", 5.0),
    padtype: str = "constant",
    cval: Any = None,
) -> Any:
    if padtype not in ("constant", "line", "mean") or cval:
        raise UnsupportedError(
            f"`scipy.signal.resample_poly` is recorded without padtype={padtype!r} and `cval`.",
            None,
            "leave them out",
        )

    def plain(unit: Any) -> Any:
        return _scipy("signal").resample_poly(unit, up, down, axis=0, window=window, padtype=padtype)

    return _mapped("scipy.signal.resample_poly", plain, x, axis, window)


@under("scipy.signal.upfirdn")
def upfirdn(
    h: Any, x: Any, up: int = 1, down: int = 1, axis: int = -1, mode: str = "constant", cval: float = 0
) -> Any:
    if cval:
        raise UnsupportedError("`scipy.signal.upfirdn` is recorded without `cval`.", None, "leave it out")

    def plain(unit: Any) -> Any:
        return _scipy("signal").upfirdn(np.asarray(h), unit, up, down, axis=0, mode=mode)

    return _mapped("scipy.signal.upfirdn", plain, x, axis, h)


@under("scipy.linalg.fiedler_companion")
def fiedler_companion(a: Any) -> Any:
    """Linear in the coefficients behind the first, over the first."""
    a = operand(a)
    plain, count = _scipy("linalg").fiedler_companion, a.shape[0] - 1
    if a.ndim != 1 or count < 2:
        raise ValueError("Input 'a' must be a 1-D array of more than two coefficients.")
    still = plain(np.eye(1, count + 1)[0])
    parts = [plain(row) - still for row in np.eye(count + 1)[1:] + np.eye(1, count + 1)]
    return still + tensordot(a[1:] / a[0], np.stack(parts), 1)


refuse(
    "scipy.stats.spearmanr",
    "scipy.stats.kendalltau",
    "scipy.stats.weightedtau",
    "scipy.stats.somersd",
    why="computes with ranks, which do not change with the samples: it has no derivative.",
    do="use scipy.stats.pearsonr, or compute it of tracegrad.stop_gradient(x)",
)
refuse(
    "scipy.stats.siegelslopes",
    why="is made by compiled code that asks for plain arrays.",
    do="use scipy.stats.theilslopes or scipy.stats.linregress",
)
refuse(
    "scipy.stats.gaussian_kde",
    why="is recorded as it is evaluated, not as it is made of traced values.",
    do="write the mean of scipy.stats.norm.pdf over the samples",
)
refuse(
    "scipy.interpolate.UnivariateSpline",
    "scipy.interpolate.LSQUnivariateSpline",
    "scipy.interpolate.InterpolatedUnivariateSpline",
    "scipy.interpolate.splrep",
    "scipy.interpolate.splprep",
    "scipy.interpolate.make_smoothing_spline",
    "scipy.interpolate.make_lsq_spline",
    "scipy.interpolate.RectBivariateSpline",
    "scipy.interpolate.SmoothBivariateSpline",
    "scipy.interpolate.bisplrep",
    why="of traced values is made by compiled code that asks for plain arrays.",
    do="use CubicSpline, make_interp_spline, BarycentricInterpolator, RegularGridInterpolator or "
    "krogh_interpolate, which are recorded",
)
refuse(
    "scipy.interpolate.LinearNDInterpolator",
    "scipy.interpolate.NearestNDInterpolator",
    "scipy.interpolate.CloughTocher2DInterpolator",
    why="of traced values is made by compiled code that asks for plain arrays.",
    do="use scipy.interpolate.griddata, which is recorded at known points",
)
refuse(
    "scipy.interpolate.BPoly",
    why="of traced coefficients is not recorded.",
    do="use PPoly of the coefficients in powers",
)
refuse(
    "scipy.signal.find_peaks",
    "scipy.signal.peak_prominences",
    "scipy.signal.peak_widths",
    why="looks for places among the samples, which is not recorded.",
    do="find the places outside, or of tracegrad.stop_gradient(x) in plain code, and read the samples there",
)
refuse(
    "scipy.ndimage.median_filter",
    "scipy.ndimage.rank_filter",
    "scipy.ndimage.percentile_filter",
    why="orders its neighbours in compiled code.",
    do="use scipy.signal.medfilt, or np.median of np.lib.stride_tricks.sliding_window_view(x, n)",
)
