"""NumPy's functions of complex numbers, which compiled code calls by the address of the ufunc's loop.

The name of a ufunc and a dtype go in, a function of numbers comes out: `numpy_sqrt`, or `numpy_sqrt_F` of single
precision. It is the loop that the ufunc runs over arrays, here over one element: what overflows, branch cuts, signed
zeros, NaN and the last digit are NumPy's. In compiled code it is a call (`compiler/complex_numbers.py`); here is what
it means. Six functions are short where nothing overflows or cancels; they leave only the rest to NumPy. Begin with
`complex_function`.
"""

# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from tracegrad.kernels.arcs import arctan2
from tracegrad.kernels.exponential import exp
from tracegrad.kernels.powers import hypot, log_of_length
from tracegrad.kernels.trigonometric import cos, sin
from tracegrad.kernels.ufunc_loops import learn

PREFIX = "numpy_"

FUNCTIONS: dict[str, Any] = {}
"""All made so far, by the name of their loop; each has the `letter` of its dtype, and `nin`."""


def complex_function(name, dtype):
    """The function for numbers of this complex dtype."""
    letter = np.dtype(dtype).char
    return _SHORT[name][letter] if name in _SHORT else _made(name, letter)


@functools.cache
def _made(name, letter):
    ufunc = getattr(np, name)

    def function(*numbers):
        return ufunc(*numbers)

    function.__name__ = PREFIX + name + ("" if letter == "D" else f"_{letter}")
    vars(function).update(letter=letter, nin=ufunc.nin)
    learn(function.__name__, ufunc, letter * ufunc.nin + "->" + letter)
    FUNCTIONS[function.__name__] = function
    return function


def __getattr__(name):
    """The functions, for emitted text."""
    if name.startswith(PREFIX):
        base, _, letter = name.removeprefix(PREFIX).rpartition("_")
        if letter != "F":
            base, letter = name.removeprefix(PREFIX), "D"
        if isinstance(getattr(np, base, None), np.ufunc):
            return _made(base, letter)
    raise AttributeError(name)


numpy_sqrt = _made("sqrt", "D")
numpy_power = _made("power", "D")
numpy_power_F = _made("power", "F")


def complex_exp(z):
    """`np.exp`; e**700 apart, since e**x may overflow where its product with a cosine does not."""
    x, y = z.real, z.imag
    large, far, bent = x > 700.0, x == -math.inf, y != 0.0
    size, more = exp(x - 700.0 if large else x), 1.0142320547350045e304 if large else 1.0
    across, up = size * (cos(y) if bent else 1.0) * more, size * sin(y) * more
    turns = abs(y) < math.inf
    endless = x == math.inf and not turns
    across = math.inf if endless else across if turns or not far else 0.0
    return complex(across, (up if turns or not far else 0.0) if bent else y)


def complex_log(z):
    """`np.log`."""
    return complex(log_of_length(z.real, z.imag), arctan2(z.imag, z.real))


def complex_sqrt(z):
    """`np.sqrt`: the larger part from the length, the other from their product, so nothing cancels."""
    x, y = z.real, z.imag
    across, up = abs(x), abs(y)
    if not 1e-140 < across + up < 1e150:
        return numpy_sqrt(z)
    larger = math.sqrt(0.5 * (across + math.sqrt(x * x + y * y)))
    other = up / (2.0 * larger)
    return complex(larger, math.copysign(other, y)) if x >= 0.0 else complex(other, math.copysign(larger, y))


def complex_reciprocal(z):
    """`np.reciprocal`, as NumPy's loop has it."""
    x, y = z.real, z.imag
    if abs(y) <= abs(x):
        ratio = y / x
        size = x + y * ratio
        return complex(1.0 / size, -ratio / size)
    ratio = x / y
    size = x * ratio + y
    return complex(ratio / size, -1.0 / size)


def complex_sign(z):
    """`np.sign`."""
    x, y = z.real, z.imag
    size = hypot(x, y)
    if size == 0.0:
        return complex(0.0, 0.0)
    if size < math.inf or size != size:
        return complex(x / size, y / size)
    if abs(x) < math.inf or x != x:
        return complex(0.0, math.copysign(1.0, y))
    return complex(math.copysign(1.0, x), 0.0) if abs(y) < math.inf or y != y else complex(math.nan, math.nan)


def complex_power(x, y):
    """`np.power`, and of the exponents for which NumPy's operator has a shorter way, that."""
    z, exponent = np.complex128(x), np.complex128(y)
    if exponent == 2.0:
        return z * z
    if exponent == 3.0:
        return z * (z * z)
    if exponent == 0.5:
        return complex_sqrt(z)
    return complex_reciprocal(z) if exponent == -1.0 else numpy_power(z, exponent)


def narrow_exp(z):
    """`np.exp` of a complex64, rounded once."""
    return np.complex64(complex_exp(np.complex128(z)))


def narrow_log(z):
    """`np.log` of a complex64, rounded once."""
    return np.complex64(complex_log(np.complex128(z)))


def narrow_sqrt(z):
    """`np.sqrt` of a complex64, rounded once."""
    return np.complex64(complex_sqrt(np.complex128(z)))


def narrow_reciprocal(z):
    """`np.reciprocal` of a complex64, rounded once."""
    return np.complex64(complex_reciprocal(np.complex128(z)))


def narrow_sign(z):
    """`np.sign` of a complex64, rounded once."""
    return np.complex64(complex_sign(np.complex128(z)))


def narrow_power(x, y):
    """`np.power` of a complex64; a root and a quotient are rounded once."""
    z, exponent = np.complex64(x), np.complex64(y)
    if exponent == 2.0:
        return z * z
    if exponent == 3.0:
        return z * (z * z)
    short = exponent == 0.5 or exponent == -1.0
    return np.complex64(complex_power(z, exponent)) if short else numpy_power_F(z, exponent)


_SHORT: dict[str, dict[str, Any]] = {
    "exp": {"D": complex_exp, "F": narrow_exp},
    "log": {"D": complex_log, "F": narrow_log},
    "sqrt": {"D": complex_sqrt, "F": narrow_sqrt},
    "reciprocal": {"D": complex_reciprocal, "F": narrow_reciprocal},
    "power": {"D": complex_power, "F": narrow_power},
    "sign": {"D": complex_sign, "F": narrow_sign},
}
