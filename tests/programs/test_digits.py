"""Functions of arrays and of numbers in compiled programs: right to the stated units of the last place, against mpmath.

`tests/kernels/test_vector_functions.py` looks at each over its whole range; here it is what a program calls.
"""

from __future__ import annotations

import math
from typing import Any

import mpmath
import numpy as np
import pytest
import scipy.special

import tracegrad as tg
from tests.kernels.samples import error_in_ulp, everywhere, everywhere_single, within
from tests.kernels.test_vector_functions import UNARY
from tracegrad.kernels.powers import HALVES

EXACT = {function.__name__: (exact, limit) for function, (exact, limit, _) in UNARY.items()}
NAMES = [
    *(
        "exp",
        "expm1",
        "exp2",
        "log",
        "log1p",
        "log2",
        "log10",
        "sin",
        "cos",
        "tan",
        "tanh",
        "sinh",
        "cosh",
        "arcsinh",
    ),
    *("arctan", "arcsin", "arccos", "cbrt", "sigmoid", "erf", "erfc", "ndtr", "log_ndtr"),
]
EXPONENTS = (
    *(-1000, -310, -40, -17, -16, -13, -7, -6, -5, -4, -3, -2, -1, 3, 4, 5, 6, 7, 8, 12, 15, 16, 17, 64, 1000, 70000),
    *sorted(HALVES.keys() - {0.5}),  # which is the square root, bit for bit
    *(3.25, -0.125),
)  # fmt: skip
pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")


def functions(x):
    s = scipy.special
    return (
        np.exp(x), np.expm1(x), np.exp2(x), np.log(x), np.log1p(x), np.log2(x), np.log10(x), np.sin(x), np.cos(x),
        np.tan(x), np.tanh(x), np.sinh(x), np.cosh(x), np.arcsinh(x), np.arctan(x), np.arcsin(x), np.arccos(x),
        np.cbrt(x), s.expit(x), s.erf(x), s.erfc(x), s.ndtr(x), s.log_ndtr(x),
    )  # fmt: skip


def powers(x):
    return tuple(np.power(x, n) for n in EXPONENTS)


def exact_power(exponent: float) -> Any:
    def computed(x: Any) -> Any:
        if mpmath.isfinite(x) and (x > 0 or (x < 0 and exponent == int(exponent))):
            return x ** mpmath.mpf(exponent)
        with np.errstate(all="ignore"):
            return mpmath.mpf(float(np.power(float(x), exponent)))  # zeros, infinities, NaN

    return computed


def compiled(function: Any, x: Any, how: str) -> list[Any]:
    """What a compiled program finds, each result as an array."""
    program = tg.jit(function, jit="native")
    if how == "of arrays":
        found = [np.asarray(y) for y in program(x)]
    else:
        found = [np.array(column) for column in zip(*map(program, x), strict=True)]
    assert program.stats.compiles == 1
    assert {y.dtype for y in found} == {x.dtype}
    return found


def check(x: Any, found: Any, exact: Any, limit: float, what: str) -> None:
    with mpmath.workprec(120):
        for one, y in zip(x, found, strict=True):
            value = exact(mpmath.mpf(float(one))) if not math.isnan(one) else mpmath.nan
            error = error_in_ulp(y, value if isinstance(value, mpmath.mpf) else mpmath.nan, x.dtype.type)
            assert error <= limit, f"{what} of {one}: {y}, {error:.3f} ulp"


each_dtype = pytest.mark.parametrize("dtype", [np.float64, np.float32])
each_way = pytest.mark.parametrize("how", ["of arrays", "of numbers"])


@each_dtype
@each_way
def test_functions(dtype: Any, how: str) -> None:
    every = everywhere() if dtype is np.float64 else everywhere_single()
    x = np.concatenate([every[::37], within(-3, 3, 60), within(-1, 1, 40), within(-45, 45, 40)]).astype(dtype)
    for name, found in zip(NAMES, compiled(functions, x, how), strict=True):
        check(x, found, *EXACT[name], name)


@each_dtype
@each_way
def test_powers(dtype: Any, how: str) -> None:
    """Each exponent near 1, and where the power nearly overflows or is subnormal."""
    info = np.finfo(dtype)
    high, low = np.log(float(info.max)) - 1e-3, np.log(float(info.smallest_subnormal))
    edges = [
        e for n in EXPONENTS for e in np.exp(np.array([high, low, low + 30]) / n) if 0 < e < float(info.max)
    ]
    x = np.concatenate(
        [within(0.5, 2, 40), edges, [0.0, 1.0, np.inf, np.nan, info.smallest_subnormal]]
    ).astype(dtype)
    x = np.concatenate([x, -x[x != 0]])  # mpmath has no -0.0
    for exponent, found in zip(EXPONENTS, compiled(powers, x, how), strict=True):
        check(x, found, exact_power(exponent), 2, f"x**{exponent}")


def of_narrow(x, y):
    s = scipy.special
    return (
        s.expit(x), s.erf(x), s.ndtr(x), s.gammaln(x), s.xlogy(x, y), s.erfinv(x / 9), np.power(x, 2), x**3, np.tanh(x),
        np.hypot(x, y), np.arctan2(y, x), np.float_power(y, 0.1), np.float_power(0.1, y), np.ldexp(y, 2), x**y, y**x,
    )  # fmt: skip


@pytest.mark.parametrize("tier", ["python", "native"])
@pytest.mark.parametrize("dtypes", ["i2 f4", "u2 f4", "i4 f4", "f4 f4", "i2 f8"])
def test_functions_of_narrow_numbers_have_the_dtypes_of_numpy(dtypes: str, tier: str) -> None:
    """With the digits of the wider one: a number beside float32 is not rounded where the result is float64."""
    one, other = dtypes.split()
    x, y = np.array([1, 2, 3, 5]).astype(one), np.array([0.5, 1.25, 3, 2]).astype(other)
    program = tg.jit(of_narrow, jit=tier)
    for found, wanted in zip(program(x, y), of_narrow(x, y), strict=True):
        assert found.dtype == wanted.dtype
        np.testing.assert_allclose(found, wanted, rtol=4 * float(np.finfo(np.result_type(wanted, 1e-9)).eps))
    assert program.stats.compiles == (tier == "native")


def test_a_power_of_truth_values_has_one_dtype_in_all_tiers() -> None:
    mask = np.array([True, False])
    for tier in ("python", "native"):
        (found,) = tg.jit(lambda mask: (np.power(mask, 2),), jit=tier)(mask)
        assert found.dtype == np.power(mask, 2).dtype


@each_dtype
def test_powers_with_an_exponent_known_only_when_it_runs(dtype: Any) -> None:
    """Of an array of whole numbers, and of the number of a loop's step."""

    def of_both(x, n):
        total = np.zeros(len(x), x.dtype)
        for k in range(40):
            total = np.where(n == k, x**k, total)
        return x**n, total

    x = np.repeat(within(0.6, 1.7, 30), 40).astype(dtype)
    n = np.tile(np.arange(40, dtype=np.int16), 30)
    program = tg.jit(of_both, jit="native")
    with mpmath.workprec(120):
        wanted = [mpmath.mpf(float(a)) ** int(b) for a, b in zip(x, n, strict=True)]
    for found in program(x, n):
        for y, value in zip(found, wanted, strict=True):
            assert error_in_ulp(y, value, dtype) <= 2
    assert program.stats.compiles == 1
