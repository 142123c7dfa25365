"""Student's tests under SciPy's signatures: the statistic and its probability, both differentiated.

In: samples along an axis. Out: `Outcome`, read by the names that SciPy's has, or unpacked. Begin with `ttest_1samp`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from tracegrad.ops.compare import absolute
from tracegrad.ops.elementary import sqrt
from tracegrad.ops.incomplete import stdtr
from tracegrad.ops.numpy_forms import operand
from tracegrad.ops.numpy_reduce import mean, var
from tracegrad.ops.numpy_sampled import real
from tracegrad.ops.numpy_shape import ravel
from tracegrad.ops.scipy_forms import under


class Outcome(NamedTuple):
    """The statistic, and how likely one as far out is."""

    statistic: Any
    pvalue: Any


def _outcome(statistic: Any, df: Any, alternative: str) -> Outcome:
    if alternative not in ("two-sided", "less", "greater"):
        raise ValueError("`alternative` must be 'less', 'greater', or 'two-sided'.")
    if alternative == "two-sided":
        return Outcome(statistic, 2 * stdtr(df, -absolute(statistic)))
    return Outcome(statistic, stdtr(df, statistic if alternative == "less" else -statistic))


def _samples(a: Any, axis: int | None) -> tuple[Any, int]:
    a = real(a)
    return (ravel(a), 0) if axis is None else (a, axis)


@under("scipy.stats.ttest_1samp")
def ttest_1samp(a: Any, popmean: Any, axis: int | None = 0, alternative: str = "two-sided") -> Outcome:
    a, axis = _samples(a, axis)
    n = a.shape[axis]
    error = sqrt(var(a, axis, ddof=1) / n)
    return _outcome((mean(a, axis) - operand(popmean)) / error, n - 1.0, alternative)


@under("scipy.stats.ttest_rel")
def ttest_rel(a: Any, b: Any, axis: int | None = 0, alternative: str = "two-sided") -> Outcome:
    (a, along), (b, _) = _samples(a, axis), _samples(b, axis)
    if a.shape[along] != b.shape[along]:
        raise ValueError("Array shapes are incompatible for broadcasting.")
    return ttest_1samp(a - b, 0.0, along, alternative)


@under("scipy.stats.ttest_ind")
def ttest_ind(
    a: Any, b: Any, axis: int | None = 0, equal_var: bool = True, alternative: str = "two-sided"
) -> Outcome:
    """Of equal variances, or Welch's."""
    (a, along), (b, _) = _samples(a, axis), _samples(b, axis)
    n, m = a.shape[along], b.shape[along]
    first, second = var(a, along, ddof=1), var(b, along, ddof=1)
    if equal_var:
        df: Any = n + m - 2.0
        error = sqrt(((n - 1) * first + (m - 1) * second) / df * (1 / n + 1 / m))
    else:
        first, second = first / n, second / m
        df = (first + second) ** 2 / (first**2 / (n - 1) + second**2 / (m - 1))
        error = sqrt(first + second)
    return _outcome((mean(a, along) - mean(b, along)) / error, df, alternative)
