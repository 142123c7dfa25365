"""Discrete Fourier transforms: of complex numbers, of real ones and back; cosine and sine transforms.

The matrix of a Fourier transform is symmetric, so its transpose is the transform itself: with cotangents carried back
by plain transposes, nothing is conjugated. `n`, `axis` and `norm` are NumPy's, all given. Begin with `fft`.
"""

from __future__ import annotations

import ast
import functools
import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tracegrad.ir.trace import Instr
from tracegrad.ir.types import ArrayType
from tracegrad.kernels import numpy_fourier
from tracegrad.kernels.fourier import (
    fft_by_columns,
    ifft_by_columns,
    irfft_by_columns,
    is_by_columns,
    rfft_by_columns,
)
from tracegrad.ops.compare import greater, where
from tracegrad.ops.families import case, conj, linear
from tracegrad.ops.index import getitem, numbered
from tracegrad.ops.op import Op, call
from tracegrad.ops.shape import concatenate, reshape

Lengths = tuple[int, ...]
_COMPLEX = np.dtype(np.complex128)
OTHER_WAY = {"backward": "forward", "ortho": "ortho", "forward": "backward"}
"""The norm with which the inverse transform undoes one of this norm; also that of its transpose, in reverse."""


def along(x: Any, axis: int, part: slice) -> Any:
    """A part of `x` along one axis."""
    return getitem(x, index=(*(slice(None),) * axis, part))


def fitted(x: Any, axis: int, n: int) -> Any:
    """`x` cut off at length `n` along an axis, or filled up with zeros to it."""
    length = x.shape[axis]
    if length > n:
        return along(x, axis, slice(0, n))
    if length == n:
        return x
    missing = (*x.shape[:axis], n - length, *x.shape[axis + 1 :])
    return concatenate(x, np.zeros(missing, x.dtype), axis=axis)


def _result_type(function: Callable[..., Any]) -> Callable[..., ArrayType]:
    @functools.lru_cache(maxsize=64)
    def dtype(given: np.dtype[Any]) -> np.dtype[Any]:
        found: np.dtype[Any] = function(np.ones(2, given)).dtype
        return found

    def result_type(x: Any, n: Any, axis: Any, norm: str) -> ArrayType:
        lengths = dict(zip(axis, n, strict=True)) if isinstance(axis, tuple) else {axis: n}
        if function is np.fft.rfft:
            lengths = {axis: n // 2 + 1}
        return ArrayType(tuple(lengths.get(k, m) for k, m in enumerate(x.shape)), dtype(x.dtype))

    return result_type


def _takes_out(instr: Instr) -> bool:
    """Whether NumPy's function fills an array: over several axes it does only where no length changes."""
    axis, x, z = instr.params["axis"], instr.inputs[0], instr.outputs[0]
    return not isinstance(axis, tuple) or len(axis) == 1 or x.shape == z.shape


def taken_as(op: Op, given: np.dtype[Any], n: int, norm: str) -> tuple[np.dtype[Any], np.dtype[Any]] | None:
    """The dtypes that native text casts an array of this one to, and gets; None where it calls NumPy."""
    found: tuple[np.dtype[Any], np.dtype[Any]] | None
    found = numpy_fourier.taken_as(op.name, n, given, norm == _plain(op.name))
    return found


def _native(fills: Callable[[Instr], Any]) -> Callable[[Instr], Any]:
    """NumPy's loop along one axis, of what it need not cast; a long vector is filled in another way, by Python."""

    def native(instr: Instr) -> Any:
        (x,), (z,), norm = instr.inputs, instr.outputs, instr.params["norm"]
        (n, axis), *more = along_axes(instr)
        if more or min(x.shape) < 1 or fills(instr) is not None:
            return False
        if taken_as(instr.op, x.dtype, n, norm) != (x.dtype, z.dtype):
            return False
        return numpy_fourier.transform(instr.op.name, n), axis, _factor(instr.op.name, n, norm, z.dtype)

    return native


def along_axes(step: Instr) -> list[tuple[int, int]]:
    """The length and the axis of each transform that a step is made of."""
    n, axis = step.params["n"], step.params["axis"]
    return list(zip(n, axis, strict=True)) if isinstance(axis, tuple) else [(n, axis)]


def _plain(name: str) -> str:
    """The norm with which a transform is nothing but sums."""
    return "forward" if name in ("ifft", "irfft") else "backward"


def _factor(name: str, n: int, norm: str, dtype: np.dtype[Any]) -> float:
    """What NumPy multiplies sums by, in its precision."""
    if norm == _plain(name):
        return 1.0
    real = dtype.type(0).real.dtype
    return float(np.reciprocal(np.sqrt(n, dtype=real) if norm == "ortho" else n, dtype=real))


def _by_columns(kernel: Callable[..., None], halved: bool) -> Callable[[Instr], Any]:
    """The kernel, where it transforms a long vector of the largest precision, all of it and no more."""

    def fills(instr: Instr) -> Callable[..., None] | None:
        (x,), (z,) = instr.inputs, instr.outputs
        if x.ndim != 1 or _COMPLEX not in (x.dtype, z.dtype) or (halved and x.dtype == z.dtype):
            return None
        short, length = sorted((x.shape[0], z.shape[0]))
        is_whole = instr.params["n"] in (length, (length,)) and short == (
            length // 2 + 1 if halved else length
        )
        return kernel if is_whole and is_by_columns(length, halved) else None

    return fills


def _keywords(instr: Instr, n: int, axis: int, usual: int) -> dict[str, Any]:
    """The parameters that are not NumPy's defaults."""
    found: dict[str, Any] = {} if n == usual else {"n": n}
    if axis != instr.inputs[0].ndim - 1:
        found["axis"] = axis
    return found | _norm(instr.params)


def _norm(params: Mapping[str, Any]) -> dict[str, Any]:
    return {} if params["norm"] == "backward" else {"norm": params["norm"]}


def _transform(name: str, kernel: Callable[..., None]) -> Op:
    """Declare `np.fft.<name>` over several axes at once."""
    one, several = getattr(np.fft, name), getattr(np.fft, f"{name}n")

    def evaluate(x: Any, n: Lengths, axis: Lengths, norm: str) -> Any:
        return one(x, n[0], axis[0], norm) if len(axis) == 1 else several(x, n, axis, norm)

    def emit(inputs: Sequence[ast.expr], instr: Instr) -> ast.expr:
        n, axis, shape = instr.params["n"], instr.params["axis"], instr.inputs[0].shape
        if len(axis) == 1:
            keywords = _keywords(instr, n[0], axis[0], shape[axis[0]])
            return call(f"np.fft.{name}", inputs[0], **keywords)
        keywords = {} if n == tuple(shape[k] for k in axis) else {"s": n}
        if axis != tuple(range(len(shape))) or keywords:
            keywords["axes"] = axis
        return call(f"np.fft.{name}n", inputs[0], **keywords, **_norm(instr.params))

    def transpose(g: Any, x: Any, n: Lengths, axis: Lengths, norm: str) -> Any:
        found = op(g, n=n, axis=axis, norm=norm)
        for k in axis:
            found = fitted(found, k, x.shape[k])
        return found

    fills = _by_columns(kernel, False)
    op = linear(
        evaluate,
        transpose,
        result_type=_result_type(one),
        name=name,
        emit=emit,
        native=_native(fills),
        takes_out=_takes_out,
        fills=fills,
        sample=(
            case((4,), n=(4,), axis=(0,), norm="backward"),
            case((3,), n=(5,), axis=(0,), norm="ortho"),
            case((5, 2), n=(3,), axis=(0,), norm="forward"),
            case((2, 3), n=(2, 3), axis=(0, 1), norm="backward"),
            case((2, 3, 4), n=(4, 3), axis=(1, 2), norm="ortho"),
        ),
    )
    return op


fft: Op = _transform("fft", fft_by_columns)
ifft: Op = _transform("ifft", ifft_by_columns)


def _rfft_transpose(g: Any, x: Any, n: int, axis: int, norm: str) -> Any:
    """What is left out of the spectrum has cotangent 0; the real part of the whole transform is that of half the mirror
    images, in half the time."""
    spectrum = conj(g)
    halved = where(_is_mirrored(g, n, axis), 0.5 * spectrum, spectrum)
    return fitted(irfft(halved, n=n, axis=axis, norm=OTHER_WAY[norm]), axis, x.shape[axis])


def _is_mirrored(spectrum: Any, n: int, axis: int) -> Any:
    """Where half a spectrum stands for its mirror image, too: all but the first, and of even lengths the last."""
    k = numbered(
        getitem(spectrum, index=tuple(slice(None) if a == axis else 0 for a in range(spectrum.ndim)))
    )
    k = reshape(k, shape=(spectrum.shape[axis], *(1 for _ in range(axis + 1, spectrum.ndim))))
    return greater(k * (n - 2 * k), 0)


_REAL = (
    case((4,), n=4, axis=0, norm="backward"),
    case((5,), n=5, axis=0, norm="backward"),
    case((3,), n=6, axis=0, norm="ortho"),
    case((6, 2), n=3, axis=0, norm="forward"),
    case((2, 4), n=4, axis=1, norm="backward"),
)

rfft: Op = linear(
    np.fft.rfft,
    _rfft_transpose,
    result_type=_result_type(np.fft.rfft),
    emit=lambda inputs, instr: call(
        "np.fft.rfft",
        inputs[0],
        **_keywords(
            instr, instr.params["n"], instr.params["axis"], instr.inputs[0].shape[instr.params["axis"]]
        ),
    ),
    native=_native(_by_columns(rfft_by_columns, True)),
    takes_out=_takes_out,
    fills=_by_columns(rfft_by_columns, True),
    sample=_REAL,
)


def _irfft_transpose(g: Any, x: Any, n: int, axis: int, norm: str) -> Any:
    spectrum = conj(rfft(g, n=n, axis=axis, norm=OTHER_WAY[norm]))
    return fitted(where(_is_mirrored(spectrum, n, axis), 2.0 * spectrum, spectrum), axis, x.shape[axis])


def _lying(weights: Any, axis: int, ndim: int) -> Any:
    return weights.reshape(tuple(-1 if k == axis else 1 for k in range(ndim)))


irfft: Op = linear(
    np.fft.irfft,
    _irfft_transpose,
    result_type=_result_type(np.fft.irfft),
    emit=lambda inputs, instr: call(
        "np.fft.irfft",
        inputs[0],
        **_keywords(
            instr,
            instr.params["n"],
            instr.params["axis"],
            2 * (instr.inputs[0].shape[instr.params["axis"]] - 1),
        ),
    ),
    native=_native(_by_columns(irfft_by_columns, True)),
    takes_out=_takes_out,
    fills=_by_columns(irfft_by_columns, True),
    sample=_REAL,
)


# --- cosines and sines ------------------------------------------------------------------------------------------------


@functools.cache
def _scipy_fft() -> Any:
    return importlib.import_module("scipy.fft")


_TRANSPOSED_TYPE = {1: 1, 2: 3, 3: 2, 4: 4}


def _trigonometric(name: str, ends: Callable[[int, int], Any]) -> Op:
    """Declare `scipy.fft.<name>`; `ends(type, n)` are the weights by which its matrix is not that of its transpose.

    With norm "ortho" it is. Otherwise the transpose of type 2 is type 3 of the weighted cotangent, that of type 3 is
    type 2 divided by the weights, and that of type 1 has both.
    """

    def transpose(g: Any, x: Any, type: int, axis: int, norm: str) -> Any:
        weights = None if norm == "ortho" else ends(type, x.shape[axis])
        if weights is None:
            return op(g, type=_TRANSPOSED_TYPE[type], axis=axis, norm=norm)
        weights = _lying(weights.astype(g.real.dtype if isinstance(g, np.ndarray) else g.dtype), axis, x.ndim)
        if type == 2:
            return op(g * weights, type=3, axis=axis, norm=norm)
        if type == 3:
            return op(g, type=2, axis=axis, norm=norm) / weights
        return op(g / weights, type=1, axis=axis, norm=norm) * weights

    op = linear(
        lambda x, type, axis, norm: getattr(_scipy_fft(), name)(x, type=type, axis=axis, norm=norm),
        transpose,
        result_type=lambda x, type, axis, norm: ArrayType(
            x.shape, x.dtype if x.dtype.kind in "fc" and x.dtype.itemsize > 2 else np.dtype(np.float64)
        ),
        name=name,
        callee=f"scipy.fft.{name}",
        imports="import scipy.fft",
        native=False,
        sample=(
            *(case((4,), type=type, axis=0, norm="backward") for type in (1, 2, 3, 4)),
            *(case((3, 2), type=type, axis=0, norm="forward") for type in (1, 2, 3, 4)),
            *(case((2, 3), type=type, axis=1, norm="ortho") for type in (1, 2, 3, 4)),
        ),
    )
    return op


def _of_cosines(type: int, n: int) -> Any:
    """Type 1 has 1 at both ends and 2 between, types 2 and 3 have 2 at the start and 1 after it."""
    if type == 4:
        return None
    weights = np.full(n, 2.0 if type == 1 else 1.0)
    weights[[0, -1] if type == 1 else 0] = 1.0 if type == 1 else 2.0
    return weights


def _of_sines(type: int, n: int) -> Any:
    if type in (1, 4):
        return None
    weights = np.ones(n)
    weights[-1] = 2.0
    return weights


dct: Op = _trigonometric("dct", _of_cosines)
dst: Op = _trigonometric("dst", _of_sines)
