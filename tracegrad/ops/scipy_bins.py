"""Statistics of samples in bins under SciPy's signatures.

In: known places, and the traced samples there; SciPy itself says which of them is in which bin. Out: `Binned`, read by
the names that SciPy's has, or unpacked. Begin with `binned_statistic`.
"""

from __future__ import annotations

import importlib
from typing import Any, NamedTuple

import numpy as np

from tracegrad.errors import UnsupportedError
from tracegrad.ops.index import read
from tracegrad.ops.numpy_order import bincount, median
from tracegrad.ops.numpy_reduce import max as largest
from tracegrad.ops.numpy_reduce import min as smallest
from tracegrad.ops.numpy_reduce import root
from tracegrad.ops.numpy_sampled import real
from tracegrad.ops.numpy_shape import stack
from tracegrad.ops.scipy_forms import guarded, is_active, under


class Binned(NamedTuple):
    """A number for each bin, the ends of the bins, and the bin of each sample."""

    statistic: Any
    bin_edges: Any
    binnumber: Any


_OF_EACH = {"median": median, "min": smallest, "max": largest}


@under("scipy.stats.binned_statistic")
def binned_statistic(
    x: Any, values: Any, statistic: Any = "mean", bins: Any = 10, range: Any = None
) -> Binned:
    values = real(values)
    if is_active(x) or is_active(bins) or callable(statistic) or values.ndim != 1:
        raise UnsupportedError(
            "`scipy.stats.binned_statistic` is recorded for one row of traced samples at known places, and for "
            "statistics by their names.",
            None,
            "choose the samples of each bin by a mask, and compute with them",
        )
    known = importlib.import_module("scipy.stats").binned_statistic
    counts, edges, number = known(guarded(x), np.zeros(values.shape[0]), "count", guarded(bins), range)
    n = len(edges) - 1
    if statistic in _OF_EACH:
        places = [np.flatnonzero(number == k + 1) for k in np.arange(n)]
        found = stack(
            [_OF_EACH[statistic](read(values, (p,))) if p.size else np.float64(np.nan) for p in places]
        )
        return Binned(found, edges, number)
    if statistic not in ("count", "sum", "mean", "std"):
        raise ValueError(f"invalid statistic {statistic!r}")
    if statistic == "count":
        return Binned(counts, edges, number)
    total = bincount(number, values, n + 2)
    if statistic == "sum":
        return Binned(total[1:-1], edges, number)
    counts = np.bincount(number, minlength=n + 2).astype(float)
    counts[counts == 0] = np.nan
    mean = total / counts
    if statistic == "std":
        away = values - read(mean, (number,))
        return Binned(root(bincount(number, away * away, n + 2) / counts)[1:-1], edges, number)
    return Binned(mean[1:-1], edges, number)
