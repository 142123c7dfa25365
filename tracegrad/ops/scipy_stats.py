"""Distributions of `scipy.stats` under its signatures: densities, distribution functions, quantiles, moments.

`STATS` maps `scipy.stats.norm_gen.logpdf` and its kind to ours; the first argument is SciPy's object, which parses the
others: shapes, then `loc` and `scale`. What holds outside the support, and for shapes that are none, is SciPy's. Begin
with `Standard`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tracegrad.errors import UnsupportedError
from tracegrad.ops import linalg
from tracegrad.ops.compare import (
    absolute,
    equal,
    floor,
    greater,
    greater_equal,
    less,
    less_equal,
    logical_and,
    logical_or,
    where,
)
from tracegrad.ops.discrete_distributions import ALL
from tracegrad.ops.distributions import Distribution
from tracegrad.ops.elementary import exp, log, sqrt
from tracegrad.ops.families import astype
from tracegrad.ops.index import read
from tracegrad.ops.numpy_decompositions import eigvalsh, pinv
from tracegrad.ops.numpy_forms import is_traced, known, operand
from tracegrad.ops.numpy_linalg import matmul, slogdet
from tracegrad.ops.numpy_reduce import all as all_of
from tracegrad.ops.numpy_reduce import count_nonzero
from tracegrad.ops.numpy_reduce import max as largest
from tracegrad.ops.numpy_reduce import sum as sum_of
from tracegrad.ops.numpy_shape import diagonal, squeeze, swapaxes, tril
from tracegrad.ops.special import gammaln, xlogy

STATS: dict[str, Callable[..., Any]] = {}


def _wide(a: Any) -> Any:
    """An array of float64, as SciPy computes with."""
    a = operand(a)
    return a if a.dtype == np.float64 else astype(a, dtype=np.dtype(np.float64))


def _is_known(a: Any, number: float) -> bool:
    """Whether an argument is no more than this number."""
    return isinstance(a, (int, float)) and a == number


class Standard:
    """One distribution at a place and of a scale.

    Parameters
    ----------
    of : Distribution
    shapes, loc, scale : as SciPy has parsed them
    """

    def __init__(self, of: Any, shapes: tuple[Any, ...], loc: Any, scale: Any) -> None:
        self.of = of
        self.shapes = tuple(map(_wide, shapes))
        self.moved, self.scaled = not _is_known(loc, 0), not _is_known(scale, 1)
        self.loc, self.scale = _wide(loc), _wide(scale)
        self.low, self.high = (bound(*self.shapes) if callable(bound) else bound for bound in of.support)

    def standard(self, x: Any) -> Any:
        x = _wide(x)
        x = x - self.loc if self.moved else x
        return x / self.scale if self.scaled else x

    def back(self, y: Any) -> Any:
        y = y * self.scale if self.scaled else y
        return y + self.loc if self.moved else y

    def point(self) -> Any:
        return self.of.point(*self.shapes) if callable(self.of.point) else self.of.point

    def checked(self, found: Any) -> Any:
        """NaN where the shapes or the scale are none."""
        valid: Any = True
        if self.of.valid is not None:
            valid = self.of.valid(*self.shapes)
        else:
            for shape in self.shapes:
                valid = _both(valid, greater(shape, 0))
        if self.scaled:
            valid = _both(valid, greater(self.scale, 0))
        if valid is True or (not is_traced(valid) and np.all(valid) and np.ndim(valid) <= np.ndim(found)):
            return found
        return where(valid, found, np.nan)

    def log_density(self, x: Any) -> Any:
        y = self.standard(x)
        outside = _either(
            _unless(self.low, -math.inf, lambda: less(y, self.low)),
            _unless(self.high, math.inf, lambda: greater(y, self.high)),
        )
        if self.of.discrete:
            outside = _either(outside, logical_and(equal(y, y), _differ(y, floor(y))))
        found = self.of.logpdf(y if outside is None else where(outside, self.point(), y), *self.shapes)
        if self.scaled:
            found = found - log(self.scale)
        return found if outside is None else where(outside, -np.inf, found)

    def cumulative(self, x: Any, of: Callable[..., Any], below: float, above: float) -> Any:
        y = self.standard(x)
        if self.of.discrete:
            y = floor(y)
            under = _unless(self.low, -math.inf, lambda: less(y, self.low))
        else:
            under = _unless(self.low, None, lambda: less_equal(y, self.low))
        over = _unless(self.high, None, lambda: greater_equal(y, self.high))
        found = of(where(_either(under, over), self.point(), y), *self.shapes)
        return where(under, below, where(over, above, found))

    def quantile(self, q: Any, of: Callable[..., Any], ends: tuple[Any, Any]) -> Any:
        q = _wide(q)
        inside = logical_and(greater(q, 0), less(q, 1))
        found = of(where(inside, q, 0.5), *self.shapes)
        found = where(inside, found, where(equal(q, 0), ends[0], where(equal(q, 1), ends[1], np.nan)))
        return self.back(found)


def _both(a: Any, b: Any) -> Any:
    return b if a is True else logical_and(a, b)


def _either(a: Any, b: Any) -> Any:
    return b if a is None else a if b is None else logical_or(a, b)


def _unless(bound: Any, known: float | None, condition: Callable[[], Any]) -> Any:
    """The condition; None where the bound is one that nothing passes."""
    return None if isinstance(bound, float) and bound == known else condition()


def _differ(a: Any, b: Any) -> Any:
    return logical_or(less(a, b), greater(a, b))


def _missing(name: str, method: str, why: str) -> UnsupportedError:
    return UnsupportedError(
        f"`scipy.stats.{name}.{method}` is not recorded: {why}.", None, "integrate its density"
    )


# --- the methods ------------------------------------------------------------------------------------------------------


def _logpdf(at: Standard, x: Any) -> Any:
    return at.log_density(x)


def _pdf(at: Standard, x: Any) -> Any:
    return exp(at.log_density(x))


def _cdf_of(of: Distribution) -> Callable[..., Any] | None:
    return of.cdf or _complement(of.sf)


def _sf_of(of: Distribution) -> Callable[..., Any] | None:
    return of.sf or _complement(of.cdf)


def _complement(function: Callable[..., Any] | None) -> Callable[..., Any] | None:
    return None if function is None else lambda *args: 1 - function(*args)


def _log_of(function: Callable[..., Any] | None) -> Callable[..., Any] | None:
    return None if function is None else lambda *args: log(function(*args))


def _method(name: str, of: Distribution, method: str) -> Callable[..., Any] | None:
    """How a method is computed at a place and scale; None where the distribution does not say."""
    functions = {
        "cdf": (_cdf_of(of), 0.0, 1.0),
        "sf": (_sf_of(of), 1.0, 0.0),
        "logcdf": (of.logcdf or _log_of(_cdf_of(of)), -np.inf, 0.0),
        "logsf": (of.logsf or _log_of(_sf_of(of)), 0.0, -np.inf),
    }
    if method in ("logpdf", "logpmf"):
        return _logpdf
    if method in ("pdf", "pmf"):
        return _pdf
    if method in functions:
        function, below, above = functions[method]
        return None if function is None else lambda at, x: at.cumulative(x, function, below, above)
    if method in ("ppf", "isf"):
        function = getattr(of, method)
        if function is None:
            return None
        return lambda at, q: at.quantile(
            q, function, (at.low, at.high) if method == "ppf" else (at.high, at.low)
        )
    return None


def _of_argument(of: Distribution, compute: Callable[..., Any]) -> Callable[..., Any]:
    def function(self: Any, x: Any, *args: Any, **keywords: Any) -> Any:
        shapes, loc, scale = self.seen._parse_args(*args, **keywords)
        at = Standard(of, shapes, loc, scale)
        return at.checked(compute(at, x))

    return function


def _of_parameters(of: Distribution, compute: Callable[[Standard], Any]) -> Callable[..., Any]:
    def function(self: Any, *args: Any, **keywords: Any) -> Any:
        shapes, loc, scale = self.seen._parse_args(*args, **keywords)
        at = Standard(of, shapes, loc, scale)
        return at.checked(_wide(compute(at)))

    return function


class Frozen:
    """`scipy.stats.norm(loc, scale)` of traced parameters: its methods with the parameters given."""

    def __init__(self, name: str, dist: Any, args: tuple[Any, ...], keywords: dict[str, Any]) -> None:
        self._name, self.dist, self.args, self.kwds = name, dist, args, keywords
        self.seen = dist

    def __getattr__(self, method: str) -> Any:
        ours = STATS.get(f"scipy.stats.{self._name}_gen.{method}")
        if method.startswith("_") or ours is None:
            raise AttributeError(
                f"`scipy.stats.{self._name}` of traced parameters has no `{method}` that is recorded"
            )

        def bound(*args: Any, **keywords: Any) -> Any:
            return ours(self, *args, *self.args, **keywords, **self.kwds)

        return bound


def _frozen(name: str) -> Callable[..., Any]:
    return lambda self, *args, **keywords: Frozen(name, self.seen, args, keywords)


for _name, _of in ALL.items():
    _prefix = f"scipy.stats.{_name}_gen"
    _points = ("logpmf", "pmf") if _of.discrete else ("logpdf", "pdf")
    for _at in (*_points, "cdf", "sf", "logcdf", "logsf", "ppf", "isf"):
        _compute = _method(_name, _of, _at)
        if _compute is not None:
            STATS[f"{_prefix}.{_at}"] = _of_argument(_of, _compute)
    if _of.mean is not None:
        STATS[f"{_prefix}.mean"] = _of_parameters(_of, lambda at: at.back(_wide(at.of.mean(*at.shapes))))
    if _of.var is not None:
        STATS[f"{_prefix}.var"] = _of_parameters(
            _of, lambda at: _wide(at.of.var(*at.shapes)) * at.scale * at.scale
        )
        STATS[f"{_prefix}.std"] = _of_parameters(
            _of, lambda at: sqrt(_wide(at.of.var(*at.shapes))) * at.scale
        )
    if _of.entropy is not None:
        STATS[f"{_prefix}.entropy"] = _of_parameters(
            _of, lambda at: _wide(at.of.entropy(*at.shapes)) + log(at.scale)
        )
    if _of.median is not None:
        STATS[f"{_prefix}.median"] = _of_parameters(_of, lambda at: at.back(_wide(at.of.median(*at.shapes))))
    elif _of.ppf is not None:
        STATS[f"{_prefix}.median"] = _of_parameters(
            _of, lambda at: at.quantile(0.5, at.of.ppf, (at.low, at.high))
        )
    STATS[f"{_prefix}.__call__"] = _frozen(_name)


# --- of vectors -------------------------------------------------------------------------------------------------------


class _Regular:
    """A covariance with a Cholesky factor."""

    def __init__(self, cov: Any) -> None:
        try:
            self.factor = linalg.cholesky(cov)
        except np.linalg.LinAlgError as error:
            raise np.linalg.LinAlgError(
                "When `allow_singular is False`, the input matrix must be symmetric positive definite."
            ) from error
        self.rank = cov.shape[0]
        self.half_log_det = sum_of(log(diagonal(self.factor)))

    def squares(self, rows: Any) -> Any:
        """What stands in the exponent for each row, times -2."""
        columns = swapaxes(rows, -1, -2) if rows.ndim > 1 else rows
        white = linalg.solve_lower(self.factor, columns)
        return sum_of(white * white, axis=-2 if rows.ndim > 1 else 0)

    def supported(self, rows: Any, found: Any) -> Any:
        return found


class _Singular:
    """A covariance of a lower rank: it is given a full one on the vectors that it takes to 0.

    Its derivatives are those at constant rank. `small` is below what its eigenvalues count for, as SciPy has it.
    """

    def __init__(self, cov: Any, rank: int, small: Any) -> None:
        self.rank, self.small = rank, small
        self.inverse = pinv(cov, _EPS)
        onto = matmul(cov, self.inverse)
        self.missing = np.eye(cov.shape[0]) - onto
        self.half_log_det = 0.5 * slogdet(matmul(matmul(onto, cov), onto) + self.missing)[1]

    def squares(self, rows: Any) -> Any:
        return sum_of(matmul(rows, self.inverse) * rows, axis=-1)

    def supported(self, rows: Any, found: Any) -> Any:
        outside = matmul(rows, self.missing)
        return where(less(sum_of(outside * outside, axis=-1), (1e3 * self.small) ** 2), found, -np.inf)


_EPS = 1e6 * np.finfo(float).eps
"""The part of the largest eigenvalue that SciPy takes for 0."""


def _covariance(cov: Any, allow_singular: bool) -> _Regular | _Singular:
    """The rank of one that may be singular is guarded."""
    if not allow_singular:
        return _Regular(cov)
    cov = tril(cov) + swapaxes(tril(cov, -1), -1, -2)
    sizes = eigvalsh(cov)
    small = _EPS * largest(absolute(sizes))
    if not all_of(greater_equal(sizes, -small)):
        raise ValueError("The input matrix must be symmetric positive semidefinite.")
    rank = int(known(count_nonzero(greater(sizes, small))))
    return _Regular(cov) if rank == cov.shape[0] else _Singular(cov, rank, small)


class MultivariateNormal:
    """A normal distribution of vectors: its mean, and what is made of its covariance.

    Parameters are as SciPy takes them: a number, a vector (the diagonal) or a matrix for `cov`.
    """

    def __init__(self, mean: Any = None, cov: Any = 1, allow_singular: Any = False, **rest: Any) -> None:
        mean = None if mean is None else _wide(mean)
        cov = _wide(getattr(cov, "covariance", cov))
        n = mean.shape[0] if mean is not None and mean.ndim else cov.shape[0] if cov.ndim == 2 else 1
        self.mean = np.zeros(n) if mean is None else mean
        if cov.ndim < 2:
            cov = cov * np.eye(n)
        if cov.shape != (n, n):
            rows, columns = cov.shape
            raise ValueError(
                f"Array 'cov' must be square if it is two dimensional, but cov.shape = {cov.shape}."
                if rows != columns
                else f"Dimension mismatch: array 'cov' is of shape {cov.shape}, but 'mean' is a vector of length {n}."
            )
        if self.mean.ndim > 1:
            raise ValueError(f"Array 'mean' must be a vector of length {math.prod(self.mean.shape)}.")
        self.n = n
        self.of = _covariance(cov, bool(allow_singular))

    def logpdf(self, x: Any) -> Any:
        x = _wide(x)
        if x.ndim == 0 or (x.ndim == 1 and self.n == 1):
            x = read(x, (..., None))
        centred = x - self.mean
        exponent = -0.5 * (self.of.rank * math.log(2 * math.pi) + self.of.squares(centred))
        return squeeze(self.of.supported(centred, exponent - self.of.half_log_det))

    def pdf(self, x: Any) -> Any:
        return exp(self.logpdf(x))

    def entropy(self) -> Any:
        return 0.5 * self.of.rank * (math.log(2 * math.pi) + 1) + self.of.half_log_det

    def cdf(self, *args: Any, **keywords: Any) -> Any:
        raise _missing("multivariate_normal", "cdf", "SciPy integrates it with random points")

    logcdf = cdf


def _normal_of_vectors(method: str) -> Callable[..., Any]:
    if method == "entropy":
        return lambda self, mean=None, cov=1: MultivariateNormal(mean, cov, True).entropy()
    return lambda self, x, *args, **keywords: getattr(MultivariateNormal(*args, **keywords), method)(x)


def _frozen_normal(method: str) -> Callable[..., Any]:
    def function(self: Any, x: Any) -> Any:
        return getattr(
            MultivariateNormal(self.mean, self.cov_object.covariance, self.allow_singular), method
        )(x)

    return function


for _at in ("logpdf", "pdf", "entropy", "cdf", "logcdf"):
    STATS[f"scipy.stats.multivariate_normal_gen.{_at}"] = _normal_of_vectors(_at)
for _at in ("logpdf", "pdf"):
    STATS[f"scipy.stats.multivariate_normal_frozen.{_at}"] = _frozen_normal(_at)
STATS["scipy.stats.multivariate_normal_gen.__call__"] = lambda self, *args, **keywords: MultivariateNormal(
    *args, **keywords
)


def _multinomial_logpmf(self: Any, x: Any, n: Any, p: Any) -> Any:
    """The last probability is what the others leave, as SciPy has it."""
    x, n, p = _wide(x), _wide(n), _wide(p)
    last = 1.0 - sum_of(read(p, (..., slice(None, -1))), axis=-1)
    k = x.shape[-1]
    p = where(equal(np.arange(k), k - 1), read(last, (..., None)), p)
    found = gammaln(n + 1) + sum_of(xlogy(x, p) - gammaln(x + 1), axis=-1)
    whole = equal(x, floor(x))
    there = logical_and(equal(sum_of(x, axis=-1), n), _all(logical_and(whole, greater_equal(x, 0))))
    valid = _all(logical_and(greater_equal(p, 0), less_equal(p, 1)))
    return where(logical_and(valid, greater_equal(n, 0)), where(there, found, -np.inf), np.nan)


def _all(condition: Any) -> Any:
    return equal(sum_of(where(condition, 0.0, 1.0), axis=-1), 0)


STATS["scipy.stats.multinomial_gen.logpmf"] = _multinomial_logpmf
STATS["scipy.stats.multinomial_gen.pmf"] = lambda self, x, n, p: exp(_multinomial_logpmf(self, x, n, p))
