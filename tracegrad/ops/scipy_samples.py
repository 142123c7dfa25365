"""Convolutions and filters of signals and images: `scipy.signal` and `scipy.ndimage` under their signatures.

A filter is linear in its samples, and a recursive one a linear recurrence. Begin with `convolve`.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np

from tracegrad.errors import UnsupportedError
from tracegrad.ops.arithmetic import stop_gradient
from tracegrad.ops.compare import floor
from tracegrad.ops.elementary import exp
from tracegrad.ops.families import broadcast_to
from tracegrad.ops.index import read
from tracegrad.ops.numpy_choosing import windows
from tracegrad.ops.numpy_forms import axis_number, operand
from tracegrad.ops.numpy_linalg import tensordot
from tracegrad.ops.numpy_order import median
from tracegrad.ops.numpy_padding import pad
from tracegrad.ops.numpy_sampled import convolve as convolve_vectors
from tracegrad.ops.numpy_sampled import real
from tracegrad.ops.numpy_shape import concatenate, flip, moveaxis, reshape, stack
from tracegrad.ops.recurrences import fed_back
from tracegrad.ops.scipy_forms import under

# --- convolutions -----------------------------------------------------------------------------------------------------


def _valid(x: Any, kernel: Any) -> Any:
    """Every place at which the kernel, turned around, lies inside."""
    ndim = x.ndim
    return tensordot(
        windows(x, kernel.shape), flip(kernel), (tuple(range(ndim, 2 * ndim)), tuple(range(ndim)))
    )


def _same_dimensions(x: Any, y: Any, names: str = "in1 and in2") -> None:
    if x.ndim != y.ndim:
        raise ValueError(f"{names} should have the same dimensionality")


def _convolved(x: Any, y: Any, mode: str) -> Any:
    """The result of mode `same` has the shape of the first, whichever is larger."""
    if mode not in ("full", "same", "valid"):
        raise ValueError("acceptable mode flags are 'valid', 'same', or 'full'")
    if not x.ndim:
        return x * y
    if mode == "valid":
        if all(a >= b for a, b in zip(x.shape, y.shape, strict=True)):
            return _valid(x, y)
        if all(a <= b for a, b in zip(x.shape, y.shape, strict=True)):
            return _valid(y, x)
        raise ValueError("For 'valid' mode, one must be at least as large as the other in every dimension")
    if x.ndim == 1:
        if mode == "same" and x.shape[0] >= y.shape[0] > 0:
            return convolve_vectors(x, y, mode)
        full = convolve_vectors(x, y)
    else:
        long, short = (x, y) if math.prod(x.shape) >= math.prod(y.shape) else (y, x)
        full = _valid(pad(long, [(k - 1, k - 1) for k in short.shape]), short)
    if mode == "full":
        return full
    starts = [(k - 1) // 2 for k in y.shape]
    return read(full, tuple(slice(s, s + n) for s, n in zip(starts, x.shape, strict=True)))


@under("scipy.signal.convolve")
def convolve(in1: Any, in2: Any, mode: str = "full", method: str = "auto") -> Any:
    x, y = operand(in1), operand(in2)
    _same_dimensions(x, y, "volume and kernel")
    return _convolved(x, y, mode)


@under("scipy.signal.fftconvolve", "scipy.signal.oaconvolve")
def fftconvolve(in1: Any, in2: Any, mode: str = "full", axes: Any = None) -> Any:
    if axes is not None:
        raise UnsupportedError(
            "`scipy.signal.fftconvolve` is recorded without its argument `axes`.", None, "convolve row by row"
        )
    x, y = operand(in1), operand(in2)
    _same_dimensions(x, y)
    return _convolved(x, y, mode)


@under("scipy.signal.correlate")
def correlate(in1: Any, in2: Any, mode: str = "full", method: str = "auto") -> Any:
    x, y = operand(in1), operand(in2)
    _same_dimensions(x, y)
    if mode == "valid" and any(a < b for a, b in zip(x.shape, y.shape, strict=True)):
        return flip(_convolved(flip(x), y, mode))
    return _convolved(x, flip(y), mode)


def _bordered(x: Any, y: Any, mode: str, boundary: str, fillvalue: Any) -> Any:
    modes = {"fill": "constant", "wrap": "wrap", "symm": "symmetric"}
    if boundary not in modes:
        raise ValueError(
            "Acceptable boundary flags are 'fill', 'circular' (or 'wrap'), and 'symmetric' (or 'symm')."
        )
    if boundary == "fill" and not fillvalue:
        return _convolved(x, y, mode)
    if mode == "valid":
        return _convolved(x, y, mode)
    widths = [(k - 1, k - 1) for k in y.shape]
    padded = (
        pad(x, widths, constant_values=fillvalue)
        if boundary == "fill"
        else pad(x, widths, mode=modes[boundary])
    )
    full = _valid(padded, y)
    if mode == "full":
        return full
    return read(
        full, tuple(slice((k - 1) // 2, (k - 1) // 2 + n) for n, k in zip(x.shape, y.shape, strict=True))
    )


@under("scipy.signal.convolve2d")
def convolve2d(in1: Any, in2: Any, mode: str = "full", boundary: str = "fill", fillvalue: Any = 0) -> Any:
    x, y = operand(in1), operand(in2)
    if x.ndim != 2 or y.ndim != 2:
        raise ValueError("convolve2d inputs must both be 2-D arrays")
    return _bordered(x, y, mode, boundary, fillvalue)


@under("scipy.signal.correlate2d")
def correlate2d(in1: Any, in2: Any, mode: str = "full", boundary: str = "fill", fillvalue: Any = 0) -> Any:
    x, y = operand(in1), operand(in2)
    if x.ndim != 2 or y.ndim != 2:
        raise ValueError("correlate2d inputs must both be 2-D arrays")
    if mode == "same" and any(not k % 2 for k in y.shape):
        raise UnsupportedError(
            "`scipy.signal.correlate2d` with mode='same' is recorded for kernels of odd size.",
            None,
            "pad the kernel",
        )
    return _bordered(x, flip(y), mode, boundary, fillvalue)


# --- recursive filters ------------------------------------------------------------------------------------------------


def _filtered(b: Any, a: Any, x: Any, zi: Any = None) -> tuple[Any, Any]:
    """Along the last axis: `b` applied, what that gives fed back by `a`. And what the filter holds then.

    `zi` is what it holds before the first sample: of shape (order, ...), the axes behind those of the samples before.
    """
    n, axes = x.shape[-1], x.shape[:-1]
    if a.shape[0] > 1 and a[0] == 0:
        raise ValueError("filter coefficient a[0] == 0 not supported yet")
    b, a = b / a[0], a / a[0]
    columns = reshape(x, (-1, n)).T
    order = max(b.shape[0], a.shape[0]) - 1
    past = None if zi is None else reshape(broadcast_to(zi, shape=(order, *axes)), (order, -1))
    driven = b[0] * columns
    for k in range(1, min(b.shape[0], n)):
        driven = driven + b[k] * concatenate([np.zeros((k, columns.shape[1])), columns[: n - k]], 0)
    if past is not None:
        held = past[:n]
        driven = driven + concatenate([held, np.zeros((n - held.shape[0], columns.shape[1]))], 0)
    found = driven
    if a.shape[0] > 1:
        found = fed_back(a, driven)
    y = reshape(found.T, x.shape)
    return y, None if past is None else reshape(_held(b, a, columns, found, past), (order, *axes))


def _held(b: Any, a: Any, x: Any, y: Any, past: Any) -> Any:
    """What the filter holds after the last sample: what these samples will add to later ones."""
    n, rows = x.shape[0], []
    for i in range(past.shape[0]):
        total = past[i + n] if i + n < past.shape[0] else 0.0 * past[0]
        for k in range(i + 1, min(i + n, past.shape[0]) + 1):
            total = total + b[k] * x[n - k + i] if k < b.shape[0] else total
            total = total - a[k] * y[n - k + i] if k < a.shape[0] else total
        rows.append(total)
    return stack(rows, 0) if rows else past


@under("scipy.signal.lfilter")
def lfilter(b: Any, a: Any, x: Any, axis: int = -1, zi: Any = None) -> Any:
    x = moveaxis(real(x), axis, -1)
    b, a = (reshape(real(c), (-1,)) for c in (b, a))
    if zi is None:
        return moveaxis(_filtered(b, a, x)[0], -1, axis)
    zi = moveaxis(real(zi), axis, 0)
    order = max(b.shape[0], a.shape[0]) - 1
    if zi.ndim != x.ndim or zi.shape[0] != order:
        raise ValueError(
            f"Unexpected shape for zi: expected {(*x.shape[:-1], order)}, found {(*zi.shape[1:], zi.shape[0])}."
        )
    y, held = _filtered(b, a, x, zi)
    return moveaxis(y, -1, axis), moveaxis(held, 0, axis)


@under("scipy.signal.sosfilt")
def sosfilt(sos: Any, x: Any, axis: int = -1, zi: Any = None) -> Any:
    sos, x = real(sos), moveaxis(real(x), axis, -1)
    held = []
    for k in range(sos.shape[0]):
        past = None if zi is None else moveaxis(real(zi)[k], axis, 0)
        x, after = _filtered(sos[k, :3], sos[k, 3:], x, past)
        held.append(after)
    y = moveaxis(x, -1, axis)
    return y if zi is None else (y, stack([moveaxis(h, 0, axis) for h in held], 0))


@under("scipy.signal.detrend")
def detrend(
    data: Any, axis: int = -1, type: str = "linear", bp: Any = 0, overwrite_data: bool = False
) -> Any:
    x = moveaxis(real(data), axis, -1)
    if type not in ("linear", "constant", "l", "c"):
        raise ValueError("Trend type must be 'linear' or 'constant'.")
    n = x.shape[-1]
    breaks = np.unique([0, *np.atleast_1d(bp), n]) if type.startswith("l") else np.array([0, n])
    if np.any(breaks > n):
        raise ValueError("Breakpoints must be less than length of data along given axis.")
    rest = np.eye(n)
    for start, stop in itertools.pairwise(int(k) for k in breaks):
        m = stop - start
        basis = (
            np.ones((m, 1)) if type.startswith("c") else np.stack([np.arange(1, m + 1) / m, np.ones(m)], 1)
        )
        q = np.linalg.qr(basis)[0]
        rest[start:stop, start:stop] -= q @ q.T
    return moveaxis(tensordot(x, rest, 1), -1, axis)


# --- images -----------------------------------------------------------------------------------------------------------

_EDGES = {
    "reflect": "symmetric",
    "grid-mirror": "symmetric",
    "mirror": "reflect",
    "nearest": "edge",
    "wrap": "wrap",
    "grid-wrap": "wrap",
    "constant": "constant",
    "grid-constant": "constant",
}


def _edged(x: Any, widths: list[tuple[int, int]], mode: str, cval: float) -> Any:
    if mode not in _EDGES:
        raise RuntimeError("boundary mode not supported")
    if mode in ("constant", "grid-constant"):
        return pad(x, widths, constant_values=cval)
    return pad(x, widths, mode=_EDGES[mode])


def _weighed(x: Any, weights: Any, mode: str, cval: float, origin: Any) -> Any:
    """Correlation of an image with weights."""
    shifts = [int(o) for o in (origin if isinstance(origin, (tuple, list)) else (origin,) * x.ndim)]
    if weights.ndim != x.ndim:
        raise RuntimeError("filter weights array has incorrect shape.")
    widths = []
    for k, shift in zip(weights.shape, shifts, strict=True):
        before = k // 2 + shift
        if not 0 <= before < k:
            raise ValueError("invalid origin")
        widths.append((before, k - 1 - before))
    return _valid(_edged(x, widths, mode, cval), flip(weights))


def _without_output(name: str, output: Any) -> None:
    if output is not None:
        raise UnsupportedError(
            f"`scipy.ndimage.{name}` is recorded without its argument `output`.", None, "use what it returns"
        )


@under("scipy.ndimage.correlate")
def correlate_image(
    input: Any, weights: Any, output: Any = None, mode: str = "reflect", cval: float = 0.0, origin: Any = 0
) -> Any:
    _without_output("correlate", output)
    return _weighed(real(input), real(weights), mode, cval, origin)


@under("scipy.ndimage.convolve")
def convolve_image(
    input: Any, weights: Any, output: Any = None, mode: str = "reflect", cval: float = 0.0, origin: Any = 0
) -> Any:
    _without_output("convolve", output)
    weights = real(weights)
    origins = origin if isinstance(origin, (tuple, list)) else (origin,) * weights.ndim
    turned = tuple(-int(o) - (0 if k % 2 else 1) for o, k in zip(origins, weights.shape, strict=True))
    return _weighed(real(input), flip(weights), mode, cval, turned)


def _along(x: Any, weights: Any, axis: int, mode: str, cval: float, origin: int = 0) -> Any:
    shape = [1] * x.ndim
    shape[axis] = weights.shape[0]
    shifts = [0] * x.ndim
    shifts[axis] = origin
    return _weighed(x, reshape(weights, tuple(shape)), mode, cval, tuple(shifts))


@under("scipy.ndimage.correlate1d")
def correlate1d(
    input: Any,
    weights: Any,
    axis: int = -1,
    output: Any = None,
    mode: str = "reflect",
    cval: float = 0.0,
    origin: int = 0,
) -> Any:
    _without_output("correlate1d", output)
    x = real(input)
    return _along(x, real(weights), axis_number(axis, x.ndim), mode, cval, origin)


def _gaussian(sigma: Any, order: int, radius: int) -> Any:
    """Weights of a Gaussian, or of its derivative of this order; `sigma` may be traced."""
    from_middle = np.arange(-radius, radius + 1)
    weights = exp(-0.5 * from_middle**2 / (sigma * sigma))
    weights = weights / weights.sum()
    factor: Any = 1.0
    before: Any = 0.0
    for k in range(order):  # Hermite's recurrence for the factor of the k-th derivative
        factor, before = -(from_middle * factor + k * before) / (sigma * sigma), factor
    return flip(weights * factor)


@under("scipy.ndimage.gaussian_filter")
def gaussian_filter(
    input: Any,
    sigma: Any,
    order: Any = 0,
    output: Any = None,
    mode: Any = "reflect",
    cval: float = 0.0,
    truncate: float = 4.0,
    *,
    radius: Any = None,
    axes: Any = None,
) -> Any:
    _without_output("gaussian_filter", output)
    x = real(input)
    wanted = (
        tuple(range(x.ndim)) if axes is None else tuple(axis_number(k, x.ndim) for k in np.atleast_1d(axes))
    )

    def each(value: Any) -> list[Any]:
        many = isinstance(value, (tuple, list)) or bool(getattr(value, "ndim", False))
        return [value[k] for k in range(len(wanted))] if many else [value] * len(wanted)

    for axis, s, o, m, r in zip(wanted, each(sigma), each(order), each(mode), each(radius), strict=True):
        if s > 1e-15:
            width = int(floor(stop_gradient(operand(truncate * s + 0.5)))) if r is None else r
            x = _along(x, _gaussian(s, o, width), axis, m, cval)
    return x


@under("scipy.ndimage.gaussian_filter1d")
def gaussian_filter1d(
    input: Any,
    sigma: Any,
    axis: int = -1,
    order: int = 0,
    output: Any = None,
    mode: str = "reflect",
    cval: float = 0.0,
    truncate: float = 4.0,
    *,
    radius: Any = None,
) -> Any:
    return gaussian_filter(input, sigma, order, output, mode, cval, truncate, radius=radius, axes=(axis,))


@under("scipy.signal.medfilt")
def medfilt(volume: Any, kernel_size: Any = None) -> Any:
    x = real(volume)
    sizes = np.broadcast_to(3 if kernel_size is None else np.asarray(kernel_size), x.ndim)
    if any(n % 2 == 0 for n in sizes):
        raise ValueError("Each element of kernel_size should be odd.")
    around = windows(pad(x, [(int(n) // 2, int(n) // 2) for n in sizes]), tuple(map(int, sizes)))
    return median(around, tuple(range(x.ndim, 2 * x.ndim)))
