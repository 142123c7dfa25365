"""Power spectra of signals: `scipy.signal.csd` and `welch` under their signatures.

SciPy's make a filter object on the way, whose windows are locked. Begin with `csd`.
"""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

from tracegrad.ops.families import conj
from tracegrad.ops.numpy_choosing import windows
from tracegrad.ops.numpy_forms import axis_number, known, operand
from tracegrad.ops.numpy_fourier import fft, rfft
from tracegrad.ops.numpy_order import median
from tracegrad.ops.numpy_reduce import mean
from tracegrad.ops.numpy_shape import concatenate, moveaxis
from tracegrad.ops.scipy_forms import under
from tracegrad.ops.scipy_samples import detrend as without_trend


def _segments(x: Any, n: int, window: Any, step: int, detrend: Any) -> Any:
    """Windows of a signal along its last axis, without their trend, weighed."""
    missing = n - x.shape[-1]
    if missing > 0:
        x = concatenate([x, np.zeros((*x.shape[:-1], missing))], -1)
    parts = windows(x, len(window), axis=-1)[..., ::step, :]
    if callable(detrend):
        parts = detrend(parts)
    elif detrend is not None and detrend is not False:
        parts = without_trend(parts, axis=-1, type=detrend)
    return parts * window


@under("scipy.signal.csd")
def csd(
    x: Any,
    y: Any,
    fs: Any = 1.0,
    window: Any = "hann_periodic",
    nperseg: Any = None,
    noverlap: Any = None,
    nfft: Any = None,
    detrend: Any = "constant",
    return_onesided: bool = True,
    scaling: str = "density",
    axis: int = -1,
    average: str = "mean",
) -> tuple[Any, Any]:
    x, y, fs = operand(x), operand(y), known(fs)
    axis = axis_number(axis, x.ndim)
    x, y = moveaxis(x, axis, -1), moveaxis(y, axis, -1)
    n = max(x.shape[-1], y.shape[-1])
    if isinstance(window, (str, tuple)):
        length = min(256 if nperseg is None else int(nperseg), n)
        if length < 1:
            raise ValueError(f"Parameter nperseg={nperseg} is not a positive integer!")
        weights = importlib.import_module("scipy.signal").get_window(window, length)
    else:
        weights = operand(window)
        length = len(weights)
        if nperseg not in (None, length):
            raise ValueError(f"nperseg={nperseg} does not equal len(win)={length}")
    nfft = length if nfft is None else int(nfft)
    if nfft < length:
        raise ValueError(f"nfft={nfft} must be greater than or equal to nperseg={length}!")
    noverlap = length // 2 if noverlap is None else int(noverlap)
    if noverlap >= length:
        raise ValueError(f"noverlap={noverlap} must be less than nperseg={length}!")
    if scaling not in ("density", "spectrum"):
        raise ValueError(
            f"Parameter scaling={scaling!r} not in {{'spectrum': 'magnitude', 'density': 'psd'}}!"
        )
    if average not in ("mean", "median"):
        raise ValueError(f"Parameter average={average!r} must be 'median' or 'mean'!")
    complex_signal = x.dtype.kind == "c" or y.dtype.kind == "c"
    one_sided = return_onesided and not complex_signal
    transform = rfft if one_sided else fft
    of_x, of_y = (transform(_segments(part, n, weights, length - noverlap, detrend), nfft) for part in (x, y))
    power = fs * (weights * weights).sum() if scaling == "density" else weights.sum() ** 2
    found = conj(of_x) * of_y / power
    if one_sided:
        twice = np.full(found.shape[-1], 2.0)
        twice[0] = 1.0
        twice[-1] = 1.0 if nfft % 2 == 0 else 2.0
        found = found * twice
    frequencies = (np.fft.rfftfreq if one_sided else np.fft.fftfreq)(nfft, 1 / fs)
    return frequencies, moveaxis(_averaged(found, average), -1, axis)


def _averaged(found: Any, average: str) -> Any:
    count = found.shape[-2]
    if average == "mean" or count < 2:
        return mean(found, -2)
    odd = np.arange(2, count, 2)
    bias = 1 + np.sum(1.0 / (odd + 1) - 1.0 / odd)
    return (median(found.real, -2) + 1j * median(found.imag, -2)) / bias


@under("scipy.signal.welch")
def welch(x: Any, *args: Any, **keywords: Any) -> tuple[Any, Any]:
    frequencies, found = csd(x, x, *args, **keywords)
    return frequencies, found.real
