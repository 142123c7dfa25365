"""What the vector functions are made of: each name here is one instruction of the processor, or a row of them.

Numbers go in and what the instruction says comes out, in plain Python. Where an operand carries a *writer*, the writer
puts the instruction down instead: so a vector function that runs once on such operands has written its machine code,
for one number or for a register full of them. Begin with `fused`.

An integer of 64 bits and a float64 are two views of one word: its lowest 52 bits are the fraction, the next 11 the
exponent plus 1023, the highest is the sign.
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

WORD = 0xFFFFFFFFFFFFFFFF

VECTOR_FUNCTIONS: list[Callable[..., Any]] = []
"""All functions that compiled loops may call."""

ROUNDED_NEVER: set[Callable[..., Any]] = set()
"""Those of them whose results are among their arguments: a float32 stays one."""


def vector(function):
    """Declare a function of numbers for compiled loops; float32 is computed in float64."""

    @functools.wraps(function)
    def of_numbers(*operands):
        if all(isinstance(x, np.float32) for x in operands):
            return np.float32(function(*map(float, operands)))
        return function(*operands)

    VECTOR_FUNCTIONS.append(of_numbers)
    return of_numbers


def writer_of(*operands):
    """Who writes down what these operands are given to; None where they are numbers."""
    return next((x.writer for x in operands if hasattr(x, "writer")), None)


def fused(x, y, z):
    """x y + z, rounded once."""
    if writer := writer_of(x, y, z):
        return writer.fused(x, y, z)
    if not (math.isfinite(x) and math.isfinite(y) and math.isfinite(z)):
        return x * y + z
    exact = Fraction(float(x)) * Fraction(float(y)) + Fraction(float(z))
    try:
        return float(exact) if exact else x * y + z
    except OverflowError:
        return math.inf if exact > 0 else -math.inf


def bits(x):
    """The word of a number, as an integer."""
    if writer := writer_of(x):
        return writer.bits(x)
    return struct.unpack("<q", struct.pack("<d", x))[0]


def number(word):
    """The number that has this word."""
    if writer := writer_of(word):
        return writer.number(word)
    return struct.unpack("<d", struct.pack("<Q", word & WORD))[0]


def shifted_down(word, places):
    """A word without its lowest bits; zeros come in from above."""
    if writer := writer_of(word):
        return writer.shifted_down(word, places)
    return (word & WORD) >> places


def choose(condition, x, y):
    """`x` where the condition holds, else `y`; both are there already."""
    if writer := writer_of(condition):
        return writer.choose(condition, x, y)
    return x if condition else y


def with_sign(x, y):
    """The size of `x` with the sign of `y`."""
    if writer := writer_of(x, y):
        return writer.with_sign(x, y)
    return math.copysign(x, y)


def root(x):
    """The square root."""
    if writer := writer_of(x):
        return writer.root(x)
    return math.sqrt(x) if x >= 0.0 else math.nan


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
    return float(math.floor(x)) if math.isfinite(x) else x


def product_of_words(x, y):
    """The product of two words without sign: its lower and its upper word."""
    if writer := writer_of(x, y):
        return writer.product_of_words(x, y)
    product = (x & WORD) * (y & WORD)
    return product & WORD, product >> 64


def entry(words, place):
    """One word of a tuple outside the function."""
    if writer := writer_of(place):
        return writer.entry(words, place)
    return words[place]


def unless_far(x, limit, found, function):
    """`found`; but where |x| is above `limit`, which is rare, what another function of this room says of `x`."""
    if writer := writer_of(x, found):
        return writer.unless_far(x, limit, found, function)
    return function(x) if limit < abs(x) < math.inf else found


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
