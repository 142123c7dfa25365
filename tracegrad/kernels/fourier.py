"""Fourier transforms of long vectors, by way of transforms of the columns of a matrix, in the memory of the result.

NumPy's transform of a long vector goes through all of it several times, and takes as much memory for itself as two
such vectors. Here the vector is a matrix of about as many rows as columns; some columns at a time are transformed,
multiplied by roots of one, and stored so that the second transforms find what they need where their results belong:

    x[columns * a + b] -> z[k + rows * m]:  sum over a for each b, times exp(-2j pi b k / n), sum over b for each k

Vectors go in, and `out`, which is filled. Begin with `fft_by_columns`; `is_by_columns` says for which lengths.

Bailey, "FFTs in external or hierarchical memory", Journal of Supercomputing 4 (1990), without its transposed copies.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

SHORTEST = 1_000_000  # with what NumPy takes for itself, more than most last caches hold
FACTOR = 13  # the largest prime; NumPy takes other ways for large ones
LONGER = 4  # times as many columns as rows, at most
BLOCK = 24  # columns at a time, which stay near


def is_by_columns(length: int, halved: bool = False) -> bool:
    """Whether a vector is long, and a matrix; with an even number of rows and columns, if half its spectrum is kept."""
    return _sides(length, halved) is not None


def fft_by_columns(x: Any, out: Any, norm: str = "backward") -> None:
    """`np.fft.fft(x, norm=norm, out=out)`"""
    _whole(np.fft.fft, -1, x, out, _scale(x.size, norm, "backward"))


def ifft_by_columns(x: Any, out: Any, norm: str = "backward") -> None:
    """`np.fft.ifft(x, norm=norm, out=out)`"""
    _whole(functools.partial(np.fft.ifft, norm="forward"), 1, x, out, _scale(x.size, norm, "forward"))


def _whole(transform: Any, sign: int, x: Any, out: Any, scale: float) -> None:
    """All of a complex spectrum, or back."""
    rows, columns = _sides(x.size, False) or (1, x.size)
    given = (x.copy() if np.may_share_memory(x, out) else x).reshape(rows, columns)
    found = out.reshape(columns, rows)
    for first, last in _blocks(columns):
        part = transform(given[:, first:last].copy(), axis=0)
        _turn(part, first, x.size, sign)
        _scaled(part, scale)
        found[first:last] = part.T
    for first, last in _blocks(rows):
        found[:, first:last] = transform(found[:, first:last].copy(), axis=0)


def rfft_by_columns(x: Any, out: Any, norm: str = "backward") -> None:
    """`np.fft.rfft(x, norm=norm, out=out)`

    Of a real column, half the spectrum is enough: row `k` of all is the mirrored image of row `rows - k`. The rows 0
    and `rows / 2` have real numbers, and are kept beside the result.
    """
    rows, columns = _sides(x.size, True) or (2, x.size // 2)
    half, middle = rows // 2, columns // 2
    given, found = x.reshape(rows, columns), out[:-1].reshape(middle, rows)
    ends = np.empty((2, columns))
    for first, last in _blocks(columns):
        part = np.fft.rfft(given[:, first:last].copy(), axis=0)
        _scaled(part, _scale(x.size, norm, "backward"))
        ends[:, first:last] = part[::half].real
        part = part[:half]
        _turn(part, first, x.size, -1)
        left = max(min(middle, last), first) - first  # as many columns become rows on the left of `found`
        found[first : first + left, :half] = part[:, :left].T
        found[max(first - middle, 0) : max(last - middle, 0), :half:-1] = part[1:, left:].T
    for first, last in _blocks(half, 1):
        mirrored = slice(rows - first, rows - last, -1)
        part = np.concatenate([found[:, first:last], found[:, mirrored]])
        np.fft.fft(part, axis=0, out=part)
        found[:, first:last] = part[:middle]
        np.conjugate(part[: middle - 1 : -1], out=found[:, mirrored])
    found[:, half] = np.fft.fft(ends[1] * _roots_of_row(half, columns, x.size, -1))[:middle]
    spectrum = np.fft.rfft(ends[0])
    found[:, 0], out[-1] = spectrum[:-1], spectrum[-1]


def irfft_by_columns(x: Any, out: Any, norm: str = "backward") -> None:
    """`np.fft.irfft(x, norm=norm, out=out)`

    The steps of `rfft_by_columns`, from the last to the first. Between the transforms the real and the imaginary
    numbers of a row are two rows of `out`.
    """
    rows, columns = _sides(out.size, True) or (2, out.size // 2)
    half, middle = rows // 2, columns // 2
    given, found = x[:-1].reshape(middle, rows), out.reshape(rows, columns)
    for first, last in _blocks(half, 1):
        mirrored = slice(rows - first, rows - last, -1)
        part = np.empty((columns, last - first), np.complex128)
        part[:middle] = given[:, first:last]
        np.conjugate(given[::-1, mirrored], out=part[middle:])
        np.fft.ifft(part, axis=0, norm="forward", out=part)
        _turn(part, first, out.size, 1)
        found[2 * first : 2 * last : 2], found[2 * first + 1 : 2 * last : 2] = part.real.T, part.imag.T
    found[0] = np.fft.irfft(np.append(given[:, 0], x[-1]), norm="forward")
    found[1] = 0.0
    last_row = np.fft.ifft(np.append(given[:, half], np.conjugate(given[::-1, half])), norm="forward")
    last_row *= _roots_of_row(half, columns, out.size, 1)
    for first, last in _blocks(columns):
        part = np.empty((half + 1, last - first), np.complex128)
        part[:half].real, part[:half].imag = found[::2, first:last], found[1::2, first:last]
        part[half] = last_row[first:last]
        _scaled(part, _scale(out.size, norm, "forward"))
        found[:, first:last] = np.fft.irfft(part, axis=0, norm="forward")


@functools.lru_cache(maxsize=64)
def _sides(length: int, even: bool) -> tuple[int, int] | None:
    """The rows and columns of the matrix that a vector is."""
    left = length
    for factor in range(2, FACTOR + 1):
        while left % factor == 0:
            left //= factor
    if length < SHORTEST or left > 1:
        return None
    for rows in range(math.isqrt(length), math.isqrt(length // LONGER), -1):
        columns, rest = divmod(length, rows)
        if not rest and not (even and (rows % 2 or columns % 2)):
            return rows, columns
    return None


def _blocks(count: int, start: int = 0) -> Iterator[tuple[int, int]]:
    """Where blocks begin and end; the first may begin later."""
    return ((max(first, start), min(first + BLOCK, count)) for first in range(0, count, BLOCK))


def _scale(length: int, norm: str, plain: str) -> float:
    """What a norm multiplies sums by, of which one norm says that they are plain."""
    return 1.0 if norm == plain else 1.0 / math.sqrt(length) if norm == "ortho" else 1.0 / length


def _scaled(part: Any, scale: float) -> None:
    if scale != 1.0:
        part *= scale


def _turn(part: Any, first: int, length: int, sign: int) -> None:
    """Multiply row `k` and column `b` of a block, counted from its first, by `exp(sign * 2j pi k b / length)`."""
    count, here = len(part), first - first % BLOCK
    part *= _first_roots(count, length, sign)[:, first - here : first - here + part.shape[1]]
    if here:
        part *= _roots_of_row(here, count, length, sign)[:, None]


@functools.lru_cache(maxsize=4)
def _first_roots(count: int, length: int, sign: int) -> Any:
    return np.stack([_roots_of_row(b, count, length, sign) for b in range(BLOCK)], axis=1)


def _roots_of_row(b: int, count: int, length: int, sign: int) -> Any:
    """`exp(sign * 2j pi k b / length)` for k up to a count; whole turns are left out while they are whole numbers."""
    turns = np.arange(count) * b % length
    turns -= length * (2 * turns > length)
    return np.exp(turns * (sign * 2j * np.pi / length))
