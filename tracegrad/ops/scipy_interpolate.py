"""Interpolation: `scipy.interpolate` under its signatures, at traced points and of traced values.

An interpolator made outside is read; one made of traced values is one of the classes here. Cubic splines are made by
SciPy's own equations, so that they have derivatives in places and in values; B-splines are linear in the values. Begin
with `Pieces`.
"""

from __future__ import annotations

import functools
import importlib
import itertools
import math
from typing import Any

import numpy as np

from tracegrad.errors import UnsupportedError
from tracegrad.ops.compare import absolute, logical_and, logical_or, sign, where
from tracegrad.ops.compare import not_equal as differ
from tracegrad.ops.factorizations import solve_banded
from tracegrad.ops.index import read
from tracegrad.ops.numpy_forms import is_traced, operand
from tracegrad.ops.numpy_linalg import tensordot
from tracegrad.ops.numpy_order import searchsorted
from tracegrad.ops.numpy_reduce import any as any_of
from tracegrad.ops.numpy_reduce import argsort, cumsum
from tracegrad.ops.numpy_reduce import max as largest
from tracegrad.ops.numpy_sampled import real
from tracegrad.ops.numpy_shape import astype, concatenate, diff, moveaxis, reshape, stack, take
from tracegrad.ops.scipy_forms import SCIPY_FORMS, under


@functools.cache
def _scipy() -> Any:
    return importlib.import_module("scipy.interpolate")


def _needs_known(name: str, argument: str, value: Any) -> np.ndarray[Any, Any]:
    """A plain array; one from outside is guarded by its contents."""
    if is_traced(value) and getattr(value, "requires_grad", True):
        raise UnsupportedError(
            f"`scipy.interpolate.{name}` is recorded for a known `{argument}`: it decides which pieces there are.",
            None,
            f"make `{argument}` inside the function, or use CubicSpline, whose places may be traced",
        )
    return np.asarray(value)


class Pieces:
    """Polynomials between break points: `c[k, i]` times (x - breaks[i])**(degree - k), and axes behind."""

    def __init__(self, c: Any, x: Any, extrapolate: Any = True, axis: int = 0) -> None:
        self.c, self.x, self.extrapolate, self.axis = c, x, extrapolate, axis

    def __call__(self, x: Any, nu: int = 0, extrapolate: Any = None) -> Any:
        extrapolate = self.extrapolate if extrapolate is None else extrapolate
        x, c, breaks = real(x), self.c, self.x
        first, last = breaks[0], breaks[-1]
        if extrapolate == "periodic":
            x = first + (x - first) % (last - first)
        count, degree = breaks.shape[0] - 1, c.shape[0] - 1
        place = searchsorted(breaks, x, "right") - 1
        place = where(place < 0, 0, where(place > count - 1, count - 1, place))
        s = x - read(breaks, (place,))
        s = reshape(s, (*s.shape, *(1,) * (c.ndim - 2))) if c.ndim > 2 else s
        found: Any = 0.0 * s
        for k in range(degree + 1 - nu):
            power = degree - k
            factor = math.prod(range(power - nu + 1, power + 1))
            found = found * s + factor * read(c, (k, place))
        if extrapolate is False:
            outside = logical_or(x < first, x > last)
            outside = reshape(outside, (*outside.shape, *(1,) * (c.ndim - 2))) if c.ndim > 2 else outside
            found = where(outside, np.nan, found)
        if self.axis:
            found = moveaxis(found, tuple(range(x.ndim)), tuple(range(self.axis, self.axis + x.ndim)))
        return found

    def derivative(self, nu: int = 1) -> Pieces:
        return Pieces(_slopes(self.c, nu), self.x, self.extrapolate, self.axis)

    def antiderivative(self, nu: int = 1) -> Pieces:
        """Which is 0 at the first place."""
        if not nu:
            return self
        extra = (1,) * (self.c.ndim - 2)
        rows = self.c / np.arange(self.c.shape[0], 0, -1.0).reshape(-1, 1, *extra)
        step, total = reshape(diff(self.x), (-1, *extra)), 0.0 * rows[0]
        for k in range(rows.shape[0]):
            total = (total + rows[k]) * step
        start = concatenate([0.0 * total[:1], cumsum(total, 0)[:-1]], 0)
        found = Pieces(concatenate([rows, start[None]], 0), self.x, self.extrapolate, self.axis)
        return found.antiderivative(nu - 1)

    def integrate(self, a: Any, b: Any, extrapolate: Any = None) -> Any:
        extrapolate = self.extrapolate if extrapolate is None else extrapolate
        if extrapolate == "periodic":
            raise UnsupportedError(
                "`integrate` is recorded without extrapolate='periodic'.",
                None,
                "integrate one period and count",
            )
        area = self.antiderivative()
        return area(b, 0, extrapolate) - area(a, 0, extrapolate)


def _slopes(c: Any, nu: int) -> Any:
    for _ in range(nu):
        powers = np.arange(c.shape[0] - 1, 0, -1.0)
        c = c[:-1] * powers.reshape(-1, *(1,) * (c.ndim - 1))
    return c


def _of_pieces(self: Any, x: Any, nu: int = 0, extrapolate: Any = None) -> Any:
    return Pieces(self.c, self.x, self.extrapolate, self.axis)(x, nu, extrapolate)


SCIPY_FORMS["scipy.interpolate.PPoly.__call__"] = _of_pieces


@under("scipy.interpolate.PPoly")
def polynomials(c: Any, x: Any, extrapolate: Any = None) -> Pieces:
    return Pieces(real(c), real(x), True if extrapolate is None else extrapolate)


# --- splines through points -------------------------------------------------------------------------------------------


def _points(x: Any, y: Any, axis: int) -> tuple[Any, Any, Any]:
    """Places, values with the axis of the places in front, and steps that scale those."""
    x, y = real(x), moveaxis(real(y), axis, 0)
    if x.shape[0] != y.shape[0]:
        raise ValueError(f"The length of `y` along `axis`={axis} doesn't match the length of `x`")
    step = diff(x)
    if any_of(step <= 0):
        raise ValueError("`x` must be strictly increasing sequence.")
    return x, y, reshape(step, (step.shape[0], *(1,) * (y.ndim - 1)))


def _hermite(x: Any, y: Any, step: Any, slopes: Any, extrapolate: Any, axis: int) -> Pieces:
    secant = diff(y, axis=0) / step
    turn = (slopes[:-1] + slopes[1:] - 2 * secant) / step
    c = stack([turn / step, (secant - slopes[:-1]) / step - turn, slopes[:-1], y[:-1]], 0)
    return Pieces(c, x, True if extrapolate is None else extrapolate, axis)


@under("scipy.interpolate.CubicHermiteSpline")
def cubic_hermite_spline(x: Any, y: Any, dydx: Any, axis: int = 0, extrapolate: Any = None) -> Pieces:
    x, y, step = _points(x, y, axis)
    return _hermite(x, y, step, moveaxis(real(dydx), axis, 0), extrapolate, axis)


def _ends(bc_type: Any) -> tuple[Any, Any]:
    """What holds at each end: "not-a-knot", or the order of a derivative and its value."""
    both = (bc_type, bc_type) if isinstance(bc_type, str) else tuple(bc_type)
    if bc_type == "periodic" or len(both) != 2:
        raise UnsupportedError(
            "`scipy.interpolate.CubicSpline` of traced values is recorded without bc_type='periodic'.",
            None,
            "repeat the values beyond both ends",
        )
    names = {"clamped": (1, 0.0), "natural": (2, 0.0), "not-a-knot": "not-a-knot"}
    return tuple(names[end] if isinstance(end, str) else end for end in both)  # type: ignore[return-value]


@under("scipy.interpolate.CubicSpline")
def cubic_spline(
    x: Any, y: Any, axis: int = 0, bc_type: Any = "not-a-knot", extrapolate: Any = None
) -> Pieces:
    x, y, step = _points(x, y, axis)
    n, h = x.shape[0], diff(x)
    start, end = _ends(bc_type)
    secant = diff(y, axis=0) / step
    if n == 2:
        start, end = ((1, secant[0]) if e == "not-a-knot" else e for e in (start, end))
    if n == 3 and start == end == "not-a-knot":
        curve = (secant[1] - secant[0]) / (step[0] + step[1])
        slopes = stack(
            [secant[0] - step[0] * curve, secant[0] + step[0] * curve, secant[1] + step[1] * curve], 0
        )
        return _hermite(x, y, step, slopes, extrapolate, axis)
    first, above, right_first = _at_start(start, x, y, step, secant)
    last, below, right_last = _at_end(end, x, y, step, secant)
    middle = 3 * (step[1:] * secant[:-1] + step[:-1] * secant[1:])
    zero = np.zeros(1)
    band = stack(
        [
            concatenate([zero, reshape(above, (1,)), h[:-1]]),
            concatenate([reshape(first, (1,)), 2 * (h[:-1] + h[1:]), reshape(last, (1,))]),
            concatenate([h[1:], reshape(below, (1,)), zero]),
        ],
        0,
    )
    right = concatenate([right_first[None], middle, right_last[None]], 0)
    slopes = solve_banded(band, reshape(right, (n, -1)), low=1, up=1)
    return _hermite(x, y, step, reshape(slopes, y.shape), extrapolate, axis)


def _at_start(end: Any, x: Any, y: Any, step: Any, secant: Any) -> tuple[Any, Any, Any]:
    """The first equation for the slopes: its two coefficients, and the right side."""
    if end == "not-a-knot":
        d = x[2] - x[0]
        return x[2] - x[1], d, ((step[0] + 2 * d) * step[1] * secant[0] + step[0] ** 2 * secant[1]) / d
    order, value = end
    if order == 1:
        return np.float64(1.0), np.float64(0.0), value + 0.0 * y[0]
    h = x[1] - x[0]
    return 2 * h, h, -0.5 * value * h**2 + 3 * (y[1] - y[0])


def _at_end(end: Any, x: Any, y: Any, step: Any, secant: Any) -> tuple[Any, Any, Any]:
    """The last equation likewise."""
    if end == "not-a-knot":
        d = x[-1] - x[-3]
        return x[-2] - x[-3], d, (step[-1] ** 2 * secant[-2] + (2 * d + step[-1]) * step[-2] * secant[-1]) / d
    order, value = end
    if order == 1:
        return np.float64(1.0), np.float64(0.0), value + 0.0 * y[0]
    h = x[-1] - x[-2]
    return 2 * h, h, 0.5 * value * h**2 + 3 * (y[-1] - y[-2])


@under("scipy.interpolate.PchipInterpolator")
def pchip(x: Any, y: Any, axis: int = 0, extrapolate: Any = None) -> Pieces:
    """Fritsch and Carlson, SIAM J. Numer. Anal. 17, 1980, as SciPy has it."""
    x, y, h = _points(x, y, axis)
    m = diff(y, axis=0) / h
    if m.shape[0] == 1:
        return _hermite(x, y, h, concatenate([m, m], 0), extrapolate, axis)
    turns = logical_or(differ(sign(m[1:]), sign(m[:-1])), logical_or(m[1:] == 0, m[:-1] == 0))
    w1, w2 = 2 * h[1:] + h[:-1], h[1:] + 2 * h[:-1]
    before, after = where(turns, 1.0, m[:-1]), where(turns, 1.0, m[1:])
    inner = where(turns, 0.0, (w1 + w2) / (w1 / before + w2 / after))
    ends = [_pchip_end(h[0], h[1], m[0], m[1]), _pchip_end(h[-1], h[-2], m[-1], m[-2])]
    slopes = concatenate([ends[0][None], inner, ends[1][None]], 0)
    return _hermite(x, y, h, slopes, extrapolate, axis)


def _pchip_end(h0: Any, h1: Any, m0: Any, m1: Any) -> Any:
    d = ((2 * h0 + h1) * m0 - h0 * m1) / (h0 + h1)
    too_steep = logical_and(differ(sign(m0), sign(m1)), absolute(d) > 3 * absolute(m0))
    return where(differ(sign(d), sign(m0)), 0.0, where(too_steep, 3 * m0, d))


@under("scipy.interpolate.Akima1DInterpolator")
def akima(x: Any, y: Any, axis: int = 0, *, method: str = "akima", extrapolate: Any = None) -> Pieces:
    """Akima, J. ACM 17, 1970."""
    if method != "akima":
        raise UnsupportedError(
            "`scipy.interpolate.Akima1DInterpolator` of traced values is recorded with method='akima'.",
            None,
            "leave `method` out",
        )
    x, y, step = _points(x, y, axis)
    m = diff(y, axis=0) / step
    second, before_last = 2 * m[0] - m[1], 2 * m[-1] - m[-2]
    ends = [2 * second - m[0], second], [before_last, 2 * before_last - m[-1]]
    m = concatenate([stack(ends[0], 0), m, stack(ends[1], 0)], 0)
    change = absolute(diff(m, axis=0))
    f1, f2 = change[2:], change[:-2]
    both = f1 + f2
    curved = both > 1e-9 * largest(both, 0, keepdims=True)
    slopes = where(
        curved,
        (f1 * m[1:-2] + f2 * m[2:-1]) / where(curved, both, 1.0),
        0.5 * (m[3:] + m[:-3]),
    )
    return _hermite(x, y, step, slopes, False if extrapolate is None else extrapolate, axis)


# --- B-splines --------------------------------------------------------------------------------------------------------


def _from_basis(t: Any, c: Any, k: int, extrapolate: Any, axis: int = 0) -> Pieces:
    """A B-spline as pieces: SciPy's pieces of each basis function, times the coefficients.

    The first and last `k` knots lie outside of where it is defined, and give no pieces.
    """
    count = len(t) - k - 1
    pieces = [_scipy().PPoly.from_spline((t, np.pad(unit, (0, k + 1)), k)) for unit in np.eye(count)]
    basis, breaks = np.stack([p.c for p in pieces], -1), pieces[0].x
    keep = k + np.flatnonzero(np.diff(breaks[k : count + 1]) > 0)
    c = moveaxis(c, axis, 0)[:count]
    found = tensordot(basis[:, keep], c, 1)
    return Pieces(found, np.append(breaks[keep], breaks[keep[-1] + 1]), extrapolate, axis)


def _of_b_spline(self: Any, x: Any, nu: int = 0, extrapolate: Any = None) -> Any:
    spline = self.seen
    return _from_basis(spline.t, real(self.c), spline.k, spline.extrapolate, spline.axis)(x, nu, extrapolate)


SCIPY_FORMS["scipy.interpolate.BSpline.__call__"] = _of_b_spline


@under("scipy.interpolate.BSpline")
def b_spline(t: Any, c: Any, k: int, extrapolate: Any = True, axis: int = 0) -> Pieces:
    return _from_basis(_needs_known("BSpline", "t", t).astype(float), real(c), k, extrapolate, axis)


@under("scipy.interpolate.make_interp_spline")
def make_interp_spline(
    x: Any, y: Any, k: int = 3, t: Any = None, bc_type: Any = None, axis: int = 0, check_finite: bool = True
) -> Pieces:
    x = _needs_known("make_interp_spline", "x", x)
    y = moveaxis(real(y), axis, 0)
    spline = _scipy().make_interp_spline(x, np.eye(len(x)), k, t, bc_type)
    return _from_basis(spline.t, tensordot(spline.c, y, 1), spline.k, True, axis)


@under("scipy.interpolate.splev")
def splev(x: Any, tck: Any, der: int = 0, ext: int = 0) -> Any:
    t, c, k = tck
    return _beyond(_from_basis(_needs_known("splev", "t", t), real(c), k, True), x, der, ext)


def _beyond(pieces: Pieces, x: Any, der: int, ext: Any) -> Any:
    """What FITPACK gives outside: extrapolation, zeros, an error, or the value at the end."""
    x = real(x)
    first, last = pieces.x[0], pieces.x[-1]
    ext = {"extrapolate": 0, "zeros": 1, "raise": 2, "const": 3}.get(ext, ext)
    outside = logical_or(x < first, x > last)
    if ext == 2 and any_of(outside):
        raise ValueError("A value in x is outside of the interpolation interval")
    if ext == 3:
        x = where(x < first, first, where(x > last, last, x))
    found = pieces(x, der)
    return where(outside, 0.0, found) if ext == 1 else found


def _of_univariate(self: Any, x: Any, nu: int = 0, ext: Any = None) -> Any:
    t, c, k = self.seen._eval_args
    return _beyond(_from_basis(t, np.asarray(c), k, True), x, nu, self.seen.ext if ext is None else ext)


SCIPY_FORMS["scipy.interpolate.UnivariateSpline.__call__"] = _of_univariate


# --- along one axis, on a grid ----------------------------------------------------------------------------------------


class Interpolant:
    """`scipy.interpolate.interp1d`: pieces, and what holds outside."""

    def __init__(self, pieces: Any, low: Any, high: Any, bounds_error: bool, fill: Any) -> None:
        self.pieces, self.low, self.high = pieces, low, high
        self.bounds_error, self.fill = bounds_error, fill

    def __call__(self, x: Any) -> Any:
        x = real(x)
        below, above = x < self.low, x > self.high
        found = self.pieces(x)
        if self.fill is None:
            return found
        if self.bounds_error:
            for beyond, end, name, how in (
                (below, self.low, "minimum", "below"),
                (above, self.high, "maximum", "above"),
            ):
                if any_of(beyond):
                    first = np.ravel(getattr(x, "value", x))[
                        np.argmax(np.ravel(getattr(beyond, "value", beyond)))
                    ]
                    limit = getattr(end, "value", end)
                    raise ValueError(
                        f"A value ({first}) in x_new is {how} the interpolation range's {name} value ({limit})."
                    )
        under_it, over_it = self.fill
        spread = (*x.shape, *(1,) * (found.ndim - x.ndim))
        return where(reshape(below, spread), under_it, where(reshape(above, spread), over_it, found))


def _kind_of(kind: Any, x: Any, y: Any, axis: int) -> Any:
    if kind == "linear" or kind == 1 or kind == "slinear":
        x, y, step = _points(x, y, axis)
        return Pieces(stack([diff(y, axis=0) / step, y[:-1]], 0), x, True, axis)
    order = {"zero": 0, "quadratic": 2, "cubic": 3}.get(kind, kind)
    if not isinstance(order, int):
        raise UnsupportedError(
            f"`scipy.interpolate.interp1d` is recorded without kind={kind!r}.",
            None,
            "use kind='linear' or 'cubic'",
        )
    return make_interp_spline(x, y, order, axis=axis)


@under("scipy.interpolate.interp1d")
def interp1d(
    x: Any,
    y: Any,
    kind: Any = "linear",
    axis: int = -1,
    copy: bool = True,
    bounds_error: Any = None,
    fill_value: Any = np.nan,
    assume_sorted: bool = False,
) -> Interpolant:
    x, y = operand(x), operand(y)
    axis = axis % y.ndim
    if not assume_sorted and x.ndim == 1 and any_of(x[1:] < x[:-1]):
        order = argsort(x)
        x, y = take(x, order), take(y, order, axis)
    both = fill_value if isinstance(fill_value, tuple) else (fill_value, fill_value)
    fill = None if isinstance(fill_value, str) else both
    strict = bounds_error if bounds_error is not None else fill is not None and _is_default(fill_value)
    return Interpolant(_kind_of(kind, x, y, axis), x[0], x[-1], strict, fill)


def _is_default(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _of_interp1d(self: Any, x: Any) -> Any:
    made = self.seen
    fill = None if made._extrapolate else (made._fill_value_below, made._fill_value_above)
    axis = made._y_axis % made.y.ndim
    pieces = _kind_of(made._kind if made._kind != "spline" else made._spline.k, made.x, self.y, axis)
    return Interpolant(pieces, made.x[0], made.x[-1], bool(made.bounds_error), fill)(x)


SCIPY_FORMS["scipy.interpolate.interp1d.__call__"] = _of_interp1d


class Grid:
    """`scipy.interpolate.RegularGridInterpolator`, linear or nearest."""

    def __init__(self, points: Any, values: Any, method: str, bounds_error: bool, fill_value: Any) -> None:
        if method not in ("linear", "nearest"):
            raise UnsupportedError(
                f"`scipy.interpolate.RegularGridInterpolator` is recorded without method={method!r}.",
                None,
                "use method='linear'",
            )
        self.points = [_needs_known("RegularGridInterpolator", "points", p).astype(float) for p in points]
        self.values, self.method = real(values), method
        self.bounds_error, self.fill_value = bounds_error, fill_value

    def __call__(self, xi: Any, method: str | None = None, **options: Any) -> Any:
        if method not in (None, self.method) or options.get("nu") is not None:
            return Grid(self.points, self.values, str(method), self.bounds_error, self.fill_value)(xi)
        places = list(xi) if isinstance(xi, tuple) else None
        if places is None:
            xi = real(xi)
            xi = xi[None] if xi.ndim == 1 and len(self.points) > 1 else xi[..., None] if xi.ndim < 2 else xi
            places = [xi[..., k] for k in range(xi.shape[-1])]
        if len(places) != len(self.points):
            raise ValueError(
                f"The requested sample points xi have dimension {len(places)} but this RegularGridInterpolator has "
                f"dimension {len(self.points)}"
            )
        corners: list[list[tuple[Any, Any]]] = []
        outside: Any = None
        for k, (x, grid) in enumerate(zip(map(real, places), self.points, strict=True)):
            beyond = logical_or(x < grid[0], x > grid[-1])
            if self.bounds_error and any_of(beyond):
                raise ValueError(f"One of the requested xi is out of bounds in dimension {k}")
            outside = beyond if outside is None else logical_or(outside, beyond)
            low = searchsorted(grid, x, "right") - 1
            low = where(low < 0, 0, where(low > len(grid) - 2, len(grid) - 2, low))
            part = (x - read(grid, (low,))) / read(np.diff(grid), (low,))
            if self.method == "nearest":
                corners.append([(low + astype(where(part <= 0.5, 0.0, 1.0), np.int64), 1.0)])
            else:
                corners.append([(low, 1 - part), (low + 1, part)])
        total: Any = 0.0
        extra = self.values.ndim - len(self.points)
        for corner in itertools.product(*corners):
            weight: Any = 1.0
            for _, w in corner:
                weight = weight * w
            if extra and not isinstance(weight, float):
                weight = reshape(weight, (*weight.shape, *(1,) * extra))
            total = total + weight * read(self.values, tuple(k for k, _ in corner))
        if self.fill_value is None or self.bounds_error:
            return total
        if extra:
            outside = reshape(outside, (*outside.shape, *(1,) * extra))
        return where(outside, self.fill_value, total)


@under("scipy.interpolate.RegularGridInterpolator")
def regular_grid(
    points: Any,
    values: Any,
    method: str = "linear",
    bounds_error: bool = True,
    fill_value: Any = np.nan,
    **options: Any,
) -> Grid:
    return Grid(points, values, method, bounds_error, fill_value)


def _of_grid(self: Any, xi: Any, method: str | None = None, **options: Any) -> Any:
    made = self.seen
    grid = Grid(made.grid, self.values, method or made.method, made.bounds_error, made.fill_value)
    return grid(xi, **options)


SCIPY_FORMS["scipy.interpolate.RegularGridInterpolator.__call__"] = _of_grid
