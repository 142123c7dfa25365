"""Integrals of samples: `scipy.integrate` under its signatures.

Each is linear in the samples. Where the places are known, the weights are SciPy's own. Begin with `simpson`.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from typing import Any

import numpy as np

from tracegrad.ops.index import read
from tracegrad.ops.numpy_forms import is_traced, operand
from tracegrad.ops.numpy_linalg import tensordot
from tracegrad.ops.numpy_reduce import cumsum
from tracegrad.ops.numpy_reduce import sum as sum_of
from tracegrad.ops.numpy_sampled import diff, real, trapezoid
from tracegrad.ops.numpy_shape import concatenate, moveaxis
from tracegrad.ops.scipy_forms import SCIPY_FORMS, under

SCIPY_FORMS["scipy.integrate.trapezoid"] = trapezoid


@functools.cache
def _scipy() -> Any:
    return importlib.import_module("scipy.integrate")


def _by_weights(y: Any, axis: int, integrate: Callable[..., Any]) -> Any:
    """`integrate(samples, axis)` of the unit samples gives the weights, those of a sample in the last axis."""
    last = moveaxis(y, axis, -1)
    weights = integrate(np.eye(last.shape[-1]), 0)
    found = tensordot(last, weights, ((-1,), (weights.ndim - 1,)))
    return moveaxis(found, -1, axis) if weights.ndim > 1 else found


@under("scipy.integrate.simpson")
def simpson(y: Any, x: Any = None, *, dx: Any = 1.0, axis: int = -1) -> Any:
    y = real(y)
    if not is_traced(x):
        scale = 1.0 if x is not None else dx
        return scale * _by_weights(y, axis, lambda samples, k: _scipy().simpson(samples, x=x, axis=k))
    x = operand(x)
    y = moveaxis(y, axis, -1)
    x = x if x.ndim == 1 else moveaxis(x, axis, -1)
    n = y.shape[-1]
    if x.shape[-1] != n:
        raise ValueError("If given, length of x along axis must be the same as y.")
    if n == 2:
        return 0.5 * (x[..., 1] - x[..., 0]) * (y[..., 0] + y[..., 1])
    h = diff(x)
    odd = n if n % 2 else n - 1
    h0, h1 = h[..., 0 : odd - 1 : 2], h[..., 1 : odd - 1 : 2]
    both, ratio = h0 + h1, h0 / h1
    parts = (
        y[..., 0 : odd - 2 : 2] * (2 - 1 / ratio)
        + y[..., 1 : odd - 1 : 2] * (both * both / (h0 * h1))
        + y[..., 2:odd:2] * (2 - ratio)
    )
    found = sum_of(both / 6 * parts, axis=-1)
    if odd == n:
        return found
    before, last = h[..., -2], h[..., -1]  # Cartwright's correction of an even number of samples
    return (
        found
        + (2 * last**2 + 3 * before * last) / (6 * (before + last)) * y[..., -1]
        + (last**2 + 3 * before * last) / (6 * before) * y[..., -2]
        - last**3 / (6 * before * (before + last)) * y[..., -3]
    )


@under("scipy.integrate.romb")
def romb(y: Any, dx: Any = 1.0, axis: int = -1, show: bool = False) -> Any:
    return dx * _by_weights(real(y), axis, lambda samples, k: _scipy().romb(samples, axis=k))


@under("scipy.integrate.cumulative_trapezoid")
def cumulative_trapezoid(y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1, initial: Any = None) -> Any:
    if initial is not None and initial != 0:
        raise ValueError("`initial` must be `None` or `0`.")
    y = moveaxis(real(y), axis, -1)
    width = dx
    if x is not None:
        x = operand(x)
        width = diff(x if x.ndim == 1 else moveaxis(x, axis, -1))
        if width.shape[-1] != y.shape[-1] - 1:
            raise ValueError("If given, length of x along axis must be the same as y.")
    found = cumsum(width * (y[..., 1:] + y[..., :-1]) / 2.0, -1)
    if initial is not None:
        found = concatenate([np.zeros((*found.shape[:-1], 1)), found], -1)
    return moveaxis(found, -1, axis)


@under("scipy.integrate.cumulative_simpson")
def cumulative_simpson(y: Any, *, x: Any = None, dx: Any = 1.0, axis: int = -1, initial: Any = None) -> Any:
    scale = 1.0 if x is not None else dx
    known = None if x is None else np.asarray(x)
    found = scale * _by_weights(
        real(y), axis, lambda samples, k: _scipy().cumulative_simpson(samples, x=known, axis=k)
    )
    if initial is None:
        return found
    first = read(real(y), tuple(slice(0, 1) if k == axis % y.ndim else slice(None) for k in range(y.ndim)))
    return concatenate([0.0 * first, found], axis) + initial
