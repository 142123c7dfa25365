"""Fourier transforms under the signatures of `numpy.fft` and `scipy.fft`.

`FOURIER_FORMS` maps SciPy's full names to ours. Begin with `fftn`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tracegrad.errors import UnsupportedError
from tracegrad.ops import fourier
from tracegrad.ops.families import conj
from tracegrad.ops.numpy_forms import answers, axis_number, operand, whole
from tracegrad.ops.numpy_shape import roll
from tracegrad.ops.op import Op

FOURIER_FORMS: dict[str, Callable[..., Any]] = {}


def under(numpy_function: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Declare the decorated function as NumPy's, and as SciPy's of the same name."""

    def decorate(ours: Callable[..., Any]) -> Callable[..., Any]:
        checked = answers(numpy_function)(ours)
        FOURIER_FORMS[f"scipy.fft.{numpy_function.__name__}"] = _at_any_speed(checked)
        return checked

    return decorate


def _at_any_speed(ours: Callable[..., Any]) -> Callable[..., Any]:
    """With SciPy's keywords that say how to compute a transform, and not which."""

    @functools.wraps(ours)
    def answer(x: Any, *args: Any, overwrite_x: bool = False, workers: Any = None, **keywords: Any) -> Any:
        return ours(x, *args, **keywords)

    return answer


def _norm(norm: Any) -> str:
    if norm not in (None, *fourier.OTHER_WAY):
        raise ValueError(f'Invalid norm value {norm}; should be "backward", "ortho" or "forward".')
    return norm or "backward"


def _axes(x: Any, s: Any, axes: Any) -> tuple[list[int], list[int]]:
    """Lengths and axes, both given; a length of -1 is that of the array."""
    if axes is None:
        axes = range(x.ndim) if s is None else range(x.ndim - len(whole(s)), x.ndim)
    places = [axis_number(k, x.ndim) for k in axes]
    lengths = [x.shape[k] for k in places] if s is None else list(whole(s))
    if len(lengths) != len(places):
        raise ValueError("Shape and axes have different lengths.")
    lengths = [x.shape[k] if n == -1 else n for n, k in zip(lengths, places, strict=True)]
    for n in lengths:
        _checked(n)
    return lengths, places


def _checked(n: int) -> int:
    if n < 1:
        raise ValueError(f"Invalid number of FFT data points ({n}) specified.")
    return n


def _complex_transform(op: Op, a: Any, s: Any, axes: Any, norm: Any) -> Any:
    a = operand(a)
    lengths, places = _axes(a, s, axes)
    if len(set(places)) == len(places):
        if not places:
            return a
        order = sorted(range(len(places)), key=places.__getitem__)
        n, axis = (tuple(of[k] for k in order) for of in (lengths, places))
        return op(a, n=n, axis=axis, norm=_norm(norm))
    for length, k in reversed(
        list(zip(lengths, places, strict=True))
    ):  # an axis named twice is transformed twice
        a = op(a, n=(length,), axis=(k,), norm=_norm(norm))
    return a


def _one(a: Any, n: Any, axis: Any) -> tuple[Any, Any, tuple[int]]:
    a = operand(a)
    return a, None if n is None else (n.__index__(),), (axis_number(axis, a.ndim),)


@under(np.fft.fft)
def fft(a: Any, n: Any = None, axis: int = -1, norm: Any = None) -> Any:
    return _complex_transform(fourier.fft, *_one(a, n, axis), norm)


@under(np.fft.ifft)
def ifft(a: Any, n: Any = None, axis: int = -1, norm: Any = None) -> Any:
    return _complex_transform(fourier.ifft, *_one(a, n, axis), norm)


@under(np.fft.fftn)
def fftn(a: Any, s: Any = None, axes: Any = None, norm: Any = None) -> Any:
    return _complex_transform(fourier.fft, a, s, axes, norm)


@under(np.fft.ifftn)
def ifftn(a: Any, s: Any = None, axes: Any = None, norm: Any = None) -> Any:
    return _complex_transform(fourier.ifft, a, s, axes, norm)


@under(np.fft.fft2)
def fft2(a: Any, s: Any = None, axes: Any = (-2, -1), norm: Any = None) -> Any:
    return fftn(a, s, axes, norm)


@under(np.fft.ifft2)
def ifft2(a: Any, s: Any = None, axes: Any = (-2, -1), norm: Any = None) -> Any:
    return ifftn(a, s, axes, norm)


@under(np.fft.rfft)
def rfft(a: Any, n: Any = None, axis: int = -1, norm: Any = None) -> Any:
    a = operand(a)
    k = axis_number(axis, a.ndim)
    length = a.shape[k] if n is None else n.__index__()
    return fourier.rfft(a, n=_checked(length), axis=k, norm=_norm(norm))


@under(np.fft.irfft)
def irfft(a: Any, n: Any = None, axis: int = -1, norm: Any = None) -> Any:
    a = operand(a)
    k = axis_number(axis, a.ndim)
    length = (a.shape[k] - 1) * 2 if n is None else n.__index__()
    return fourier.irfft(a, n=_checked(length), axis=k, norm=_norm(norm))


@under(np.fft.rfftn)
def rfftn(a: Any, s: Any = None, axes: Any = None, norm: Any = None) -> Any:
    a = operand(a)
    lengths, places = _axes(a, s, axes)
    found = rfft(a, lengths[-1], places[-1], norm)
    return fftn(found, lengths[:-1], places[:-1], norm) if len(places) > 1 else found


@under(np.fft.irfftn)
def irfftn(a: Any, s: Any = None, axes: Any = None, norm: Any = None) -> Any:
    a = operand(a)
    lengths, places = _axes(a, s, axes)
    if s is None or whole(s)[-1] == -1:
        lengths[-1] = (a.shape[places[-1]] - 1) * 2
    found = ifftn(a, lengths[:-1], places[:-1], norm) if len(places) > 1 else a
    return irfft(found, lengths[-1], places[-1], norm)


@under(np.fft.rfft2)
def rfft2(a: Any, s: Any = None, axes: Any = (-2, -1), norm: Any = None) -> Any:
    return rfftn(a, s, axes, norm)


@under(np.fft.irfft2)
def irfft2(a: Any, s: Any = None, axes: Any = (-2, -1), norm: Any = None) -> Any:
    return irfftn(a, s, axes, norm)


@under(np.fft.hfft)
def hfft(a: Any, n: Any = None, axis: int = -1, norm: Any = None) -> Any:
    return irfft(conj(operand(a)), n, axis, fourier.OTHER_WAY[_norm(norm)])


@under(np.fft.ihfft)
def ihfft(a: Any, n: Any = None, axis: int = -1, norm: Any = None) -> Any:
    return conj(rfft(a, n, axis, fourier.OTHER_WAY[_norm(norm)]))


def _shifted(x: Any, axes: Any, sign: int) -> Any:
    x = operand(x)
    places = tuple(range(x.ndim)) if axes is None else whole(axes)
    return roll(x, tuple(sign * (x.shape[k] // 2) for k in places), places)


@under(np.fft.fftshift)
def fftshift(x: Any, axes: Any = None) -> Any:
    return _shifted(x, axes, 1)


@under(np.fft.ifftshift)
def ifftshift(x: Any, axes: Any = None) -> Any:
    return _shifted(x, axes, -1)


# --- cosines and sines ------------------------------------------------------------------------------------------------

_INVERSE_TYPE = {1: 1, 2: 3, 3: 2, 4: 4}


def _trigonometric(op: Op, inverse: bool, several: bool) -> None:
    name = f"{'i' if inverse else ''}{op.name}{'n' if several else ''}"

    def transform(x: Any, type: int, lengths: Sequence[Any], places: Sequence[int], norm: Any) -> Any:
        if type not in _INVERSE_TYPE:
            raise ValueError(f"invalid normalization or type: {type}")
        norm = _norm(norm)
        if inverse:
            type, norm = _INVERSE_TYPE[type], fourier.OTHER_WAY[norm]
        for n, k in zip(lengths, places, strict=True):
            x = op(fourier.fitted(x, k, _checked(n)), type=type, axis=k, norm=norm)
        return x

    def one(x: Any, type: int = 2, n: Any = None, axis: int = -1, norm: Any = None) -> Any:
        x = operand(x)
        k = axis_number(axis, x.ndim)
        return transform(x, type, [x.shape[k] if n is None else n.__index__()], [k], norm)

    def all_axes(x: Any, type: int = 2, s: Any = None, axes: Any = None, norm: Any = None) -> Any:
        x = operand(x)
        lengths, places = _axes(x, s, axes)
        if len(set(places)) != len(places):
            raise UnsupportedError(
                f"`scipy.fft.{name}` is recorded for different axes.", None, "call it twice"
            )
        return transform(x, type, lengths, places, norm)

    ours = answers(name=f"scipy.fft.{name}")(all_axes if several else one)
    FOURIER_FORMS[f"scipy.fft.{name}"] = _at_any_speed(ours)


for _op in (fourier.dct, fourier.dst):
    for _inverse in (False, True):
        for _several in (False, True):
            _trigonometric(_op, _inverse, _several)
