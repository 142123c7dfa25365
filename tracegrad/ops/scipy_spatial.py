"""Distances between points under SciPy's signatures.

In: points as rows. Out: their distances, as a table (`cdist`), as the upper triangle of one (`pdist`), and one form
from the other (`squareform`). A distance of 0 has derivative 0, as a norm has. Begin with `cdist`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tracegrad.errors import UnsupportedError
from tracegrad.ops.compare import absolute
from tracegrad.ops.index import read
from tracegrad.ops.numpy_forms import operand
from tracegrad.ops.numpy_linalg import linalg_norm
from tracegrad.ops.numpy_reduce import max as largest
from tracegrad.ops.numpy_reduce import sum as total_of
from tracegrad.ops.numpy_sampled import real
from tracegrad.ops.numpy_shape import concatenate
from tracegrad.ops.scipy_forms import under


def _minkowski(apart: Any, p: Any = 2) -> Any:
    return total_of(absolute(apart) ** p, -1) ** (1 / p)


_EUCLIDEAN: Callable[..., Any] = lambda apart: linalg_norm(apart, axis=-1)  # noqa: E731
_METRICS: dict[str, Callable[..., Any]] = {
    **dict.fromkeys(("euclidean", "euclid", "eu", "e"), _EUCLIDEAN),
    **dict.fromkeys(("sqeuclidean", "sqe", "sqeuclid"), lambda apart: total_of(apart * apart, -1)),
    **dict.fromkeys(("cityblock", "cblock", "cb", "c"), lambda apart: total_of(absolute(apart), -1)),
    **dict.fromkeys(
        ("chebyshev", "chebychev", "cheby", "cheb", "ch"), lambda apart: largest(absolute(apart), -1)
    ),
    **dict.fromkeys(("minkowski", "mi", "m", "pnorm"), _minkowski),
}


def _metric(name: str, metric: Any, options: dict[str, Any]) -> Callable[[Any], Any]:
    found = _METRICS.get(metric) if isinstance(metric, str) else None
    if found is None or not options.keys() <= ({"p"} if found is _minkowski else set()):
        raise UnsupportedError(
            f"`scipy.spatial.distance.{name}` is recorded with the metrics euclidean, sqeuclidean, cityblock, "
            "chebyshev and minkowski, without weights.",
            None,
            "compute another one from `a[:, None] - b[None]`",
        )
    return lambda apart: found(apart, **options)


@under("scipy.spatial.distance.cdist")
def cdist(XA: Any, XB: Any, metric: Any = "euclidean", **options: Any) -> Any:
    measure = _metric("cdist", metric, options)
    first, second = real(XA), real(XB)
    for name, points in (("XA", first), ("XB", second)):
        if points.ndim != 2:
            raise ValueError(f"{name} must be a 2-dimensional array.")
    if first.shape[1] != second.shape[1]:
        raise ValueError("XA and XB must have the same number of columns (i.e. feature dimension.)")
    return measure(first[:, None] - second[None])


@under("scipy.spatial.distance.pdist")
def pdist(X: Any, metric: Any = "euclidean", **options: Any) -> Any:
    measure = _metric("pdist", metric, options)
    points = real(X)
    if points.ndim != 2:
        raise ValueError("A 2-dimensional array must be passed.")
    first, second = np.triu_indices(points.shape[0], 1)
    return measure(read(points, (first,)) - read(points, (second,)))


@under("scipy.spatial.distance.squareform")
def squareform(X: Any, force: str = "no", checks: bool = True) -> Any:
    """Of a table its upper triangle; that it is symmetric, which SciPy asks, is not asked."""
    found = operand(X)
    if found.ndim == 2 and force.lower() != "tomatrix":
        return read(found, np.triu_indices(found.shape[0], 1))
    if found.ndim != 1 or force.lower() == "tovector":
        raise ValueError(
            "The first argument must be one or two dimensional array. "
            f"A {found.ndim}-dimensional array is not permitted"
        )
    n = int(np.ceil(np.sqrt(found.shape[0] * 2)))
    if n * (n - 1) != found.shape[0] * 2:
        raise ValueError(
            "Incompatible vector size. It must be a binomial coefficient n choose 2 for some integer n >= 2."
        )
    place = np.zeros((n, n), int)
    place[np.triu_indices(n, 1)] = np.arange(1, found.shape[0] + 1)
    return read(concatenate([np.zeros(1, found.dtype), found]), (place + place.T,))
