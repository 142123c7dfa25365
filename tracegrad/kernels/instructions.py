"""What the vector functions are made of: each name here is one instruction of the processor, or a row of them.

Numbers go in and what the instruction says comes out, in plain Python. Where an operand carries a *writer*, the writer
puts the instruction down instead: so a vector function that runs once on such operands has written its machine code,
for one number or for a register full of them. Begin with `fused`.

A float64 and an integer of 64 bits are two views of one word: its lowest 52 bits are the fraction, the next 11 the
exponent plus 1023, the highest is the sign. A float32 is one with an integer of 32 bits: 23, 8 and 1. The vector
functions are written once for both; what differs is in tables by width, 64 or 32, and `width_of` says which it is.
"""

# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

import functools
import math
import struct
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np

WORD = {64: 0xFFFFFFFFFFFFFFFF, 32: 0xFFFFFFFF}
FRACTION = {64: 52, 32: 23}
PACKING = {64: ("<Q", "<d"), 32: ("<I", "<f")}

VECTOR_FUNCTIONS: list[Callable[..., Any]] = []
"""All functions that compiled loops may call."""


def vector(function):
    """Declare a function of numbers for compiled loops: of float32 where all are, else of float64."""

    @functools.wraps(function)
    def of_numbers(*operands):
        if all(isinstance(x, np.float32) for x in operands):
            with np.errstate(all="ignore"):
                return function(*operands)
        return function(*operands)

    VECTOR_FUNCTIONS.append(of_numbers)
    return of_numbers


def writer_of(*operands):
    """Who writes down what these operands are given to; None where they are numbers."""
    return next((x.writer for x in operands if hasattr(x, "writer")), None)


def width_of(*operands):
    """The bits of a number: 32 where one of these is a float32."""
    if writer := writer_of(*operands):
        return writer.width
    return 32 if any(isinstance(x, np.float32) for x in operands) else 64


def fused(x, y, z):
    """x y + z, rounded once."""
    if writer := writer_of(x, y, z):
        return writer.fused(x, y, z)
    if not (math.isfinite(x) and math.isfinite(y) and math.isfinite(z)):
        return x * y + z
    single = width_of(x, y, z) == 32
    factor, other, term = (Fraction(float(np.float32(v) if single else v)) for v in (x, y, z))
    exact = factor * other + term
    if not exact:
        return x * y + z
    try:
        found = float(exact)
    except OverflowError:
        found = math.inf if exact > 0 else -math.inf
    return closest_single(found, exact) if single else found


def closest_single(found, exact):
    """The float32 closest to an exact number, of which the closest float64 is known: that may round to another."""
    first = np.float32(found)
    if not np.isfinite(first):
        return first
    near = [first, *(np.nextafter(first, np.float32(end)) for end in (-math.inf, math.inf))]
    return min(filter(np.isfinite, near), key=lambda x: (abs(Fraction(float(x)) - exact), bits(x) & 1))


def bits(x):
    """The word of a number, as an integer."""
    if writer := writer_of(x):
        return writer.bits(x)
    whole, part = PACKING[width_of(x)]
    return struct.unpack(whole.lower(), struct.pack(part, x))[0]


def number(word, width):
    """The number that has this word."""
    if writer := writer_of(word):
        return writer.number(word)
    whole, part = PACKING[width]
    found = struct.unpack(part, struct.pack(whole, word & WORD[width]))[0]
    return found if width == 64 else np.float32(found)


def shifted_down(word, places, width):
    """A word without its lowest bits; zeros come in from above."""
    if writer := writer_of(word):
        return writer.shifted_down(word, places)
    return (word & WORD[width]) >> places


def like(found, *operands):
    """A number with the width of the operands."""
    return np.float32(found) if width_of(*operands) == 32 else float(found)


def choose(condition, x, y):
    """`x` where the condition holds, else `y`; both are there already."""
    if writer := writer_of(condition):
        return writer.choose(condition, x, y)
    return like(x if condition else y, x, y)


def with_sign(x, y):
    """The size of `x` with the sign of `y`."""
    if writer := writer_of(x, y):
        return writer.with_sign(x, y)
    return like(math.copysign(x, y), x)


def root(x):
    """The square root."""
    if writer := writer_of(x):
        return writer.root(x)
    return like(math.sqrt(x) if x >= 0.0 else math.nan, x)


def maximum(x, y):
    """The larger number; NaN where one of them is. Which of two zeros it is, the processor says."""
    if writer := writer_of(x, y):
        return writer.extreme("llvm.maximum", x, y)
    return x if x >= y or x != x else y


def minimum(x, y):
    """The smaller number; NaN where one of them is. Which of two zeros it is, the processor says."""
    if writer := writer_of(x, y):
        return writer.extreme("llvm.minimum", x, y)
    return x if x <= y or x != x else y


def floor(x):
    """The largest whole number that is not above `x`."""
    if writer := writer_of(x):
        return writer.floor(x)
    return like(math.floor(x), x) if math.isfinite(x) else x


def product_of_words(x, y):
    """The product of two words of 64 bits without sign: its lower and its upper word."""
    if writer := writer_of(x, y):
        return writer.product_of_words(x, y)
    product = (x & WORD[64]) * (y & WORD[64])
    return product & WORD[64], product >> 64


def entry(words, place):
    """One word of a tuple outside the function."""
    if writer := writer_of(place):
        return writer.entry(words, place)
    return words[place]


def unless_far(x, limit, found, function):
    """`found`; but where |x| is above `limit`, which is rare, what another function of this room says of `x`.

    That one is always computed in float64.
    """
    if writer := writer_of(x, found):
        return writer.unless_far(x, limit, found, function)
    return like(function(float(x)), x) if limit < abs(x) < math.inf else found


def polynomial(x, coefficients):
    """The sum of coefficients[k] x**k: even and odd powers side by side, each by Horner's rule."""
    if len(coefficients) < 4:
        return horner(x, coefficients)
    square = x * x
    return fused(horner(square, coefficients[1::2]), x, horner(square, coefficients[::2]))


def horner(x, coefficients):
    """The sum of coefficients[k] x**k."""
    total = coefficients[-1]
    for coefficient in coefficients[-2::-1]:
        total = fused(total, x, coefficient)
    return total
