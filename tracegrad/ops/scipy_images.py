"""Images read between their samples: `scipy.ndimage.map_coordinates`, `shift`, `zoom`, `affine_transform`.

An image is the sum of B-splines whose coefficients a filter finds; the filter is linear, so it is a matrix along each
axis. In: samples and places, both may be traced. Out: the image there. Thévenaz, Blu and Unser, Interpolation
revisited, IEEE Trans. Medical Imaging 19, 2000. Begin with `Axis`.
"""

from __future__ import annotations

import functools
import importlib
import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from tracegrad.errors import UnsupportedError
from tracegrad.ops.arithmetic import stop_gradient
from tracegrad.ops.compare import equal, floor, greater, greater_equal, less, logical_or, where
from tracegrad.ops.index import read
from tracegrad.ops.numpy_forms import known, operand
from tracegrad.ops.numpy_linalg import tensordot
from tracegrad.ops.numpy_padding import pad
from tracegrad.ops.numpy_sampled import real
from tracegrad.ops.numpy_shape import astype, moveaxis, reshape
from tracegrad.ops.scipy_forms import under

_MODES = ("constant", "nearest", "mirror", "reflect", "wrap", "grid-constant", "grid-mirror", "grid-wrap")
_PADDING = 12  # SciPy's, for modes without a filter of their own


@functools.cache
def _weights(order: int) -> list[np.ndarray[Any, Any]]:
    """Of each neighbour, first to last, the polynomial in the distance from the middle one."""
    middle, found = 0.5 if order % 2 else 0.0, []
    for k in range(order + 1):
        total = np.poly1d([0.0])
        for j in range(order + 2):
            from_knot = order // 2 - k + 0.5 * (order + 1) - j
            if middle + from_knot > 0:
                total = total + (-1) ** j * math.comb(order + 1, j) * np.poly1d([1.0, from_knot]) ** order
        found.append(np.asarray(total.coeffs) / math.factorial(order))
    return found


@functools.lru_cache(maxsize=64)
def _filter(n: int, order: int, mode: str) -> np.ndarray[Any, Any]:
    """The matrix from samples to coefficients."""
    found = importlib.import_module("scipy.ndimage").spline_filter1d(np.eye(n), order, axis=0, mode=mode)
    return np.asarray(found)


def _inside(c: Any, n: int, mode: str) -> Any:
    """A place, or an index, where it is found in an image of `n` samples."""
    if mode in ("constant", "nearest"):
        return where(less(c, 0), 0, where(greater(c, n - 1), n - 1, c))
    if n == 1 and mode in ("mirror", "wrap"):
        return 0 * c
    if mode == "mirror":
        turned = c % (2 * n - 2)
        return where(greater(turned, n - 1), 2 * n - 2 - turned, turned)
    if mode == "reflect":
        turned = c % (2 * n)
        return where(greater_equal(turned, n), 2 * n - 1 - turned, turned)
    if mode == "wrap":
        behind = c + (n - 1) * (floor(-c / (n - 1)) + 1)
        return where(less(c, 0), behind, where(greater(c, n - 1), c % (n - 1), c))
    return c % n if mode == "grid-wrap" else c


class Axis:
    """What places along one axis read: `index` and `weight` of each neighbour, and where nothing is read.

    Parameters
    ----------
    c : traced or plain array
    n : int
        How many samples there are.
    order : int
    mode : str
    """

    def __init__(self, c: Any, n: int, order: int, mode: str) -> None:
        self.outside = logical_or(less(c, 0), greater(c, n - 1)) if mode == "constant" else None
        c = _inside(c, n, mode)
        if order % 2:
            last = equal(c, n - 1) if n > 1 else False  # the piece before it ends there
            start = floor(where(last, n - 2.0, c)) if n > 1 else floor(c)
        else:
            start = floor(c + 0.5)
        from_middle = c - stop_gradient(operand(start))
        first = astype(start, np.int64) - order // 2
        self.index: list[Any] = []
        self.weight: list[Any] = []
        for k, coefficients in enumerate(_weights(order)):
            index = first + k
            weight: Any = 0.0 * from_middle
            for a in coefficients:
                weight = weight * from_middle + a
            if mode == "grid-constant":
                self.index.append(_inside(index, n, "nearest"))
                self.weight.append((weight, logical_or(less(index, 0), greater(index, n - 1))))
            else:
                ends = "mirror" if mode in ("constant", "wrap") else mode
                self.index.append(_inside(index, n, ends))
                self.weight.append((weight, None))


def _image(x: Any, order: Any, mode: str, cval: float, prefilter: bool) -> tuple[Any, int, str, int]:
    """Coefficients, the order, the mode, and by how much they are padded."""
    order = known(order)
    if order < 0 or order > 5:
        raise RuntimeError("spline order not supported")
    if mode not in _MODES:
        raise RuntimeError("boundary mode not supported")
    mode = "reflect" if mode == "grid-mirror" else mode
    padding = 0
    if prefilter and order > 1:
        if mode in ("nearest", "grid-constant"):
            padding = _PADDING
            x = pad(x, padding, mode="edge") if mode == "nearest" else pad(x, padding, constant_values=cval)
        for axis in range(x.ndim):
            x = moveaxis(tensordot(_filter(x.shape[axis], order, mode), x, ((1,), (axis,))), 0, axis)
    return x, order, mode, padding


def _at(image: tuple[Any, int, str, int], places: Sequence[Any], cval: float) -> Any:
    """The image at places that are broadcast against each other."""
    x, order, mode, padding = image
    axes = [Axis(c + padding if padding else c, n, order, mode) for c, n in zip(places, x.shape, strict=True)]
    total: Any = 0.0
    for corner in itertools.product(range(order + 1), repeat=len(axes)):
        value = read(x, tuple(axis.index[k] for axis, k in zip(axes, corner, strict=True)))
        weight: Any = 1.0
        for axis, k in zip(axes, corner, strict=True):
            w, outside = axis.weight[k]
            weight = weight * w
            value = value if outside is None else where(outside, cval, value)
        total = total + weight * value
    for axis in axes:
        total = total if axis.outside is None else where(axis.outside, cval, total)
    return total


def _plain_output(name: str, output: Any) -> None:
    if output is not None:
        raise UnsupportedError(
            f"`scipy.ndimage.{name}` is recorded without its argument `output`.", None, "use what it returns"
        )


@under("scipy.ndimage.map_coordinates")
def map_coordinates(
    input: Any,
    coordinates: Any,
    output: Any = None,
    order: int = 3,
    mode: str = "constant",
    cval: float = 0.0,
    prefilter: bool = True,
) -> Any:
    """The derivative of order 1 at a sample is that towards the next one."""
    _plain_output("map_coordinates", output)
    x, places = real(input), [real(c) for c in coordinates]
    if x.ndim < 1 or places[0].ndim < 1:
        raise RuntimeError("input and output rank must be > 0")
    if len(places) != x.ndim:
        raise RuntimeError("invalid shape for coordinate array")
    return _at(_image(x, order, mode, cval, prefilter), places, cval)


def _each(value: Any, ndim: int) -> list[Any]:
    many = isinstance(value, (tuple, list)) or bool(getattr(value, "ndim", 0))
    if many and len(value) != ndim:
        raise RuntimeError("sequence argument must have length equal to input rank")
    return [value[k] if many else value for k in range(ndim)]


def _along(k: int, places: Any, ndim: int) -> Any:
    return reshape(places, tuple(-1 if j == k else 1 for j in range(ndim)))


@under("scipy.ndimage.shift")
def shift(
    input: Any,
    shift: Any,
    output: Any = None,
    order: int = 3,
    mode: str = "constant",
    cval: float = 0.0,
    prefilter: bool = True,
) -> Any:
    _plain_output("shift", output)
    x = real(input)
    by = _each(shift, x.ndim)
    places = [_along(k, np.arange(n) - by[k], x.ndim) for k, n in enumerate(x.shape)]
    return _at(_image(x, order, mode, cval, prefilter), places, cval)


@under("scipy.ndimage.zoom")
def zoom(
    input: Any,
    zoom: Any,
    output: Any = None,
    order: int = 3,
    mode: str = "constant",
    cval: float = 0.0,
    prefilter: bool = True,
    *,
    grid_mode: bool = False,
) -> Any:
    _plain_output("zoom", output)
    x = real(input)
    factors = [known(z) for z in _each(zoom, x.ndim)]
    if prefilter and all(z == 1 for z in factors):
        return 1.0 * x
    places = []
    for k, n in enumerate(x.shape):
        count = round(float(n * factors[k]))
        above, below = (n, count) if grid_mode else (n - 1, count - 1)
        step = above / below if below else 1.0
        grid = np.arange(count)
        places.append(_along(k, step * (grid + 0.5) - 0.5 if grid_mode else step * grid, x.ndim))
    return _at(_image(x, order, mode, cval, prefilter), places, cval)


@under("scipy.ndimage.affine_transform")
def affine_transform(
    input: Any,
    matrix: Any,
    offset: Any = 0.0,
    output_shape: Any = None,
    output: Any = None,
    order: int = 3,
    mode: str = "constant",
    cval: float = 0.0,
    prefilter: bool = True,
) -> Any:
    _plain_output("affine_transform", output)
    x, matrix = real(input), real(matrix)
    if matrix.ndim not in (1, 2):
        raise RuntimeError("no proper affine matrix provided")
    if matrix.ndim == 2 and matrix.shape[1] == x.ndim + 1:
        offset, matrix = matrix[: x.ndim, x.ndim], matrix[: x.ndim, : x.ndim]
    if matrix.shape[0] != x.ndim:
        raise RuntimeError("affine matrix has wrong number of rows")
    shape = x.shape if output_shape is None else tuple(known(n) for n in output_shape)
    moved = _each(offset, x.ndim)
    if matrix.ndim == 1:
        places = [_along(k, np.arange(n) * matrix[k] + moved[k], x.ndim) for k, n in enumerate(shape)]
    else:
        grid = np.indices(shape).astype(float)
        turned = tensordot(matrix, grid, 1)
        places = [turned[k] + moved[k] for k in range(x.ndim)]
    return _at(_image(x, order, mode, cval, prefilter), places, cval)
