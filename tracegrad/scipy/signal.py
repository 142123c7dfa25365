"""`tracegrad.scipy.signal` is `scipy.signal`, but for `convolve`, which is that of HIPS autograd: along chosen axes."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.signal

from tracegrad.namespaces import stand_for
from tracegrad.tensor.captured import called

if TYPE_CHECKING:
    from scipy.signal import *  # noqa: F403

Axes = Sequence[Sequence[int]]


def convolve(A: Any, B: Any, axes: Axes | None = None, dot_axes: Axes = ((), ()), mode: str = "full") -> Any:
    """The convolution of two arrays along some axes, with a product of all others or a sum over them.

    Parameters
    ----------
    A, B : arrays
    axes : two sequences of int, optional
        The axes of `A` and of `B` along which they are convolved; all of them without it, as `scipy.signal.convolve`.
    dot_axes : two sequences of int, default none
        Axes of `A` and of `B` of the same lengths, over which products are summed.
    mode : "full", "valid" or "same", default "full"
        Which part of the convolution, as in SciPy.

    Returns
    -------
    array : the other axes of `A`, the other axes of `B`, then those of the convolution

    Raises
    ------
    ValueError : another mode, or with "valid" neither array is the longer one along all axes
    """
    if axes is None and not dot_axes[0]:
        return called(scipy.signal.convolve, A, B, mode=mode)
    if mode not in ("full", "valid", "same"):
        raise ValueError("acceptable mode flags are 'valid', 'same', or 'full'")
    along_a, along_b = (tuple(range(np.ndim(A))),) * 2 if axes is None else axes
    x, n = _arranged(A, along_a, dot_axes[0])
    y, m = _arranged(B, along_b, dot_axes[1])
    count, dots = len(n), len(dot_axes[0])
    swapped = mode != "same" and any(a < b for a, b in zip(n, m, strict=True))
    if swapped:  # the longer one is padded, and windows of it are what the other one weighs
        x, n, y, m = y, m, x, n
    if mode == "valid" and any(a < b for a, b in zip(n, m, strict=True)):
        raise ValueError("For 'valid' mode, one must be at least as large as the other in every dimension")
    if mode != "valid":
        before = [k - 1 if mode == "full" else k // 2 for k in m]
        after = [k - 1 if mode == "full" else (k - 1) // 2 for k in m]
        x = np.pad(x, [(0, 0)] * (np.ndim(x) - count) + list(zip(before, after, strict=True)))
    last = tuple(range(-count, 0))
    windows = np.lib.stride_tricks.sliding_window_view(x, tuple(m), axis=last)
    kept_x, kept_y = np.ndim(x) - count - dots, np.ndim(y) - count - dots
    summed = [*range(kept_x, kept_x + dots), *last], [*range(kept_y, kept_y + dots), *last]
    found = np.tensordot(windows, np.flip(y, last), summed)
    of_x, places, of_y = np.split(np.arange(found.ndim), [kept_x, kept_x + count])
    return np.transpose(found, [*of_y, *of_x, *places] if swapped else [*of_x, *of_y, *places])


def _arranged(x: Any, along: Sequence[int], dotted: Sequence[int]) -> tuple[Any, list[int]]:
    """An array with the axes that are summed over and those of the convolution last, and how long the latter are."""
    last = [axis % np.ndim(x) for axis in (*dotted, *along)]
    first = [axis for axis in range(np.ndim(x)) if axis not in last]
    return np.transpose(x, [*first, *last]), [np.shape(x)[axis] for axis in along]


def __getattr__(name: str) -> Any:
    """What is SciPy's."""
    return getattr(scipy.signal, name)


_own = sys.modules[__name__]
stand_for(__name__, "scipy.signal")
sys.modules[__name__] = _own
