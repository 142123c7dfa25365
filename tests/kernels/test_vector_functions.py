"""Vector functions: right to the stated digits over the whole range, packed, the same in plain Python."""

from __future__ import annotations

import math
import platform
import re
from collections.abc import Callable
from typing import Any

import mpmath
import numba
import numpy as np
import pytest
from llvmlite import binding

from tests.kernels.samples import (
    EDGES,
    around,
    error_in_ulp,
    everywhere,
    everywhere_single,
    quarter_turns,
    within,
)
from tracegrad.compiler.instructions import register
from tracegrad.kernels import (
    arcs,
    exponential,
    extremes,
    instructions,
    logarithm,
    normal,
    powers,
    trigonometric,
)

PACKED = {
    numba.float64: re.compile(r"\tv(?:fn?m(?:add|sub)\d+|sqrt|max|min)pd\t.*%[yz]mm"),
    numba.float32: re.compile(r"\tv(?:fn?m(?:add|sub)\d+|sqrt|max|min)ps\t.*%[yz]mm"),
}


def bounded(function: Callable[..., Any]) -> Callable[..., Any]:
    """For mpmath, which would compute e**1e300: nothing changes beyond 2000."""
    return lambda x: function(min(max(x, mpmath.mpf(-2000)), mpmath.mpf(2000)))


def many_digits(function: Callable[..., Any]) -> Callable[..., Any]:
    """For the trigonometric functions of large numbers."""

    def computed(x: Any) -> Any:
        with mpmath.workprec(1200):
            return function(x) if mpmath.isfinite(x) else mpmath.nan

    return computed


def two_to(x: Any) -> Any:
    return mpmath.mpf(2) ** x


def log_to(base: int) -> Callable[..., Any]:
    return lambda x: mpmath.log(x) / mpmath.log(base)


def exact_sigmoid(x: Any) -> Any:
    return 1 / (1 + mpmath.exp(-x))


def exact_softplus(x: Any) -> Any:
    return x + mpmath.log1p(mpmath.exp(-x)) if x > 0 else mpmath.log1p(mpmath.exp(x))


def exact_cbrt(x: Any) -> Any:
    return mpmath.sign(x) * mpmath.cbrt(abs(x)) if mpmath.isfinite(x) else x


def exact_log_ndtr(x: Any) -> Any:
    if x < -1e9:
        return -x * x / 2 - mpmath.log(-x * mpmath.sqrt(2 * mpmath.pi))
    return mpmath.log(mpmath.ncdf(x)) if x < 0 else mpmath.log1p(-mpmath.ncdf(-min(x, mpmath.mpf(2000))))


def at_least_one(x: Any) -> Any:
    return mpmath.acosh(x) if x >= 1 else mpmath.nan


def inside_unit(x: Any) -> Any:
    return x * mpmath.inf if abs(x) == 1 else mpmath.atanh(x) if abs(x) < 1 else mpmath.nan


LARGEST_EXPONENT, LEAST_NORMAL, LEAST = 709.782712893384, -708.3964185322641, -745.1332191019412
Case = tuple[Callable[..., Any], float, list[Any]]
UNARY: dict[Any, Case] = {  # the exact function, the units of the last place allowed, where to look closely
    exponential.exp: (
        bounded(mpmath.exp),
        1,
        [within(-746, 711), within(-1, 1), around(LARGEST_EXPONENT, LEAST_NORMAL, LEAST)],
    ),
    exponential.exp2: (
        bounded(two_to),
        2,
        [within(-1076, 1025), within(-1, 1), around(1024.0, -1022.0, -1074.0, 0.5)],
    ),
    exponential.expm1: (
        bounded(mpmath.expm1),
        2,
        [within(-40, 711), within(-1, 1), around(LARGEST_EXPONENT, 0.35, -0.35)],
    ),
    exponential.sinh: (
        bounded(mpmath.sinh),
        2,
        [within(-711, 711), within(-3, 3), around(710.4758600739439, 0.3466)],
    ),
    exponential.cosh: (
        bounded(mpmath.cosh),
        2,
        [within(-711, 711), within(-3, 3), around(710.4758600739439, 0.3466)],
    ),
    exponential.tanh: (bounded(mpmath.tanh), 2, [within(-20, 20), within(-1, 1), around(0.55, 19.06, 22.0)]),
    exponential.sigmoid: (
        bounded(exact_sigmoid),
        2,
        [within(-745, 40), within(-5, 5), around(LEAST_NORMAL, 36.7)],
    ),
    logarithm.log: (mpmath.log, 1, [within(0, 3), around(1.0, 2 / 3, 4 / 3, 1e-308)]),
    logarithm.log1p: (mpmath.log1p, 2, [within(-1, 3), around(-1.0, -1 / 3, 1 / 3, 1.0)]),
    logarithm.log2: (log_to(2), 2, [within(0, 3), around(1.0, 2 / 3, 4 / 3, 1024.0)]),
    logarithm.log10: (log_to(10), 2, [within(0, 3), around(1.0, 2 / 3, 4 / 3, 1000.0)]),
    logarithm.arcsinh: (mpmath.asinh, 2, [within(-3, 3), within(-1e5, 1e5), around(1.0, 2.0**28, 2.0**13)]),
    logarithm.arccosh: (at_least_one, 2, [within(1, 3), within(1, 1e5), around(1.0, 2.0, 2.0**28, 2.0**13)]),
    logarithm.arctanh: (inside_unit, 2, [within(-1, 1), around(0.5, -0.5, 1.0, -1.0)]),
    logarithm.softplus: (exact_softplus, 2, [within(-745, 40), within(-5, 5), around(LEAST_NORMAL, 36.7)]),
    trigonometric.sin: (many_digits(mpmath.sin), 2, [within(-10, 10), within(-1e9, 1e9), quarter_turns()]),
    trigonometric.cos: (many_digits(mpmath.cos), 2, [within(-10, 10), within(-1e9, 1e9), quarter_turns()]),
    trigonometric.tan: (many_digits(mpmath.tan), 2, [within(-10, 10), within(-1e9, 1e9), quarter_turns()]),
    arcs.arctan: (mpmath.atan, 2, [within(-2, 2), around(1.0, -1.0, 0.5)]),
    arcs.arcsin: (mpmath.asin, 2, [within(-1, 1), around(0.5, 1.0, -0.5, -1.0)]),
    arcs.arccos: (mpmath.acos, 2, [within(-1, 1), around(0.5, 1.0, -0.5, -1.0)]),
    powers.cbrt: (exact_cbrt, 2, [within(-30, 30), around(1.0, 8.0, 27.0, 2 / 3)]),
    normal.erf: (bounded(mpmath.erf), 2, [within(-6, 6), within(-1, 1), around(0.89, 5.9, 5.95)]),
    normal.ndtr: (bounded(mpmath.ncdf), 2, [within(-39, 9), within(-2, 2), around(-1.2, 1.2, -37.5, -14.2)]),
    normal.log_ndtr: (
        exact_log_ndtr,
        2,
        [within(-60, 40), within(-2, 2), around(-1.2, 1.2, -39.597, -14.566, 14.2)],
    ),
    normal.erfc: (bounded(mpmath.erfc), 2, [within(-6, 6), within(0, 28), around(0.85, 0.83, 26.54, 27.22)]),
}


def to_the(exponent: float) -> Callable[..., Any]:
    def computed(x: Any) -> Any:
        if x == 0:
            return mpmath.mpf(0) if exponent > 0 else mpmath.inf
        known = x > 0 or (x == -mpmath.inf and exponent != 0.5)  # which is the square root
        return abs(x) ** mpmath.mpf(exponent) if known else mpmath.nan

    return computed


UNARY.update(
    (function, (to_the(exponent), 2, [within(0, 10)])) for exponent, function in powers.HALVES.items()
)
BINARY = (
    powers.power,
    powers.hypot,
    powers.log_of_length,
    logarithm.logaddexp,
    arcs.arctan2,
    extremes.larger,
    extremes.smaller,
)
SOME_WHOLE = [powers.WHOLE[n] for n in (5, 16, -2, -7)]  # all of them: tests/programs/test_digits.py
each_dtype = pytest.mark.parametrize("dtype", [np.float64, np.float32])
each_unary = pytest.mark.parametrize("function", UNARY, ids=lambda f: f.__name__)


def has_wide_registers() -> bool:
    return platform.machine().lower() in ("x86_64", "amd64") and bool(
        binding.get_host_cpu_features().get("avx2")
    )


class Loops:
    """`out[i] = f(x[i])`, compiled once for all tests."""

    def __init__(self) -> None:
        register()
        self.compiled: dict[Any, Any] = {}

    def __call__(self, function: Any) -> Any:
        def unary(x: Any, out: Any) -> None:
            for i in range(x.size):
                out[i] = function(x[i])

        def binary(x: Any, y: Any, out: Any) -> None:
            for i in range(x.size):
                out[i] = function(x[i], y[i])

        if function not in self.compiled:
            self.compiled[function] = numba.njit(error_model="numpy")(binary if function in BINARY else unary)
        return self.compiled[function]

    def values(self, function: Any, *arrays: Any) -> Any:
        out = np.empty_like(arrays[0])
        self(function)(*arrays, out)
        return out


@pytest.fixture(scope="module")
def loops() -> Loops:
    return Loops()


def test_every_vector_function_is_tested() -> None:
    assert set(instructions.VECTOR_FUNCTIONS) == {*UNARY, *BINARY, *powers.WHOLE.values()}


def worst_of(given: Any, found: Any, exact: Callable[..., Any], dtype: Any = np.float64) -> tuple[float, Any]:
    """The largest error in units of the last place, and where it is."""
    worst: tuple[float, Any] = (0.0, None)
    with mpmath.workprec(120), np.errstate(all="ignore"):
        for x, y in zip(given, found, strict=True):
            value = exact(*map(mpmath.mpf, x)) if isinstance(x, tuple) else exact(mpmath.mpf(float(x)))
            if math.isnan(x if not isinstance(x, tuple) else 0.0):
                value = mpmath.nan
            error = error_in_ulp(y, value if isinstance(value, mpmath.mpf) else mpmath.nan, dtype)
            if error > worst[0]:
                worst = (error, (x, y))
    return worst


@each_unary
def test_error_over_the_whole_range(function: Any, loops: Loops) -> None:
    exact, limit, places = UNARY[function]
    given = np.concatenate([everywhere(), *places])
    error, where = worst_of(given, loops.values(function, given), exact)
    assert error <= limit, f"{error:.3f} ulp at {where}"


@each_unary
def test_error_of_float32(function: Any, loops: Loops) -> None:
    """Here at some thousand places, after it was found for all of the 2**32 beside the float64 form."""
    exact, limit, places = UNARY[function]
    with np.errstate(all="ignore"):
        given = np.concatenate([everywhere_single(), *(p[::2] for p in places)]).astype(np.float32)
    error, where = worst_of(given, loops.values(function, given), exact, np.float32)
    assert error <= limit, f"{error:.3f} ulp at {where}"


@pytest.mark.parametrize("function", [*UNARY, *SOME_WHOLE], ids=lambda f: f.__name__)
def test_plain_python_says_the_same(function: Any, loops: Loops) -> None:
    given = np.concatenate([within(0.01, 3.0, 20), within(5.0, 25.0, 10)])
    np.testing.assert_array_equal([function(x) for x in given.tolist()], loops.values(function, given))
    with np.errstate(all="ignore"):
        single = np.concatenate([given, EDGES, [-1e10, 1e10, math.nan]]).astype(np.float32)
    found = [function(x) for x in single]
    np.testing.assert_array_equal(found, loops.values(function, single))
    assert {type(x) for x in found} == {np.float32}


ODD = (
    exponential.expm1,
    exponential.sinh,
    exponential.tanh,
    logarithm.log1p,
    logarithm.arcsinh,
    logarithm.arctanh,
    trigonometric.sin,
    trigonometric.tan,
)


@pytest.mark.parametrize(
    "function", [*ODD, normal.erf, arcs.arctan, arcs.arcsin, powers.cbrt], ids=lambda f: f.__name__
)
@each_dtype
def test_signs_of_zero(function: Any, dtype: Any, loops: Loops) -> None:
    zeros = np.array([0.0, -0.0], dtype)
    assert np.signbit(loops.values(function, zeros)).tolist() == [False, True]


SPECIAL = {
    np.float64: [0.0, 0.5, 1.0, 2.0, 2.5, 3.0, 5e-324, 1e-300, 1e300, 2.0**52 + 1, 2.0**53 + 2, math.inf],
    np.float32: [0.0, 0.5, 1.0, 2.0, 2.5, 3.0, 1e-45, 1e-37, 1e38, 2.0**23 + 1, 2.0**24 + 2, math.inf],
}


def special_pairs(dtype: Any, *more: float) -> tuple[Any, Any]:
    """Each of the special numbers of a dtype with each."""
    places = np.array([*SPECIAL[dtype], *(-x for x in SPECIAL[dtype]), math.nan, *more], dtype)
    x, y = np.meshgrid(places, places)
    return x.ravel(), y.ravel()


def close(found: Any, expected: Any, least: float = 0.0) -> None:
    """Within two units of the last place."""
    np.testing.assert_allclose(found, expected, rtol=2 * np.finfo(expected.dtype).eps, atol=least)


@each_dtype
def test_special_cases_of_power(loops: Loops, dtype: Any) -> None:
    x, y = special_pairs(dtype)
    with np.errstate(all="ignore"):
        expected = np.power(x, y)
    found = loops.values(powers.power, x, y)
    close(found, expected)
    zero = expected == 0
    np.testing.assert_array_equal(np.signbit(found[zero]), np.signbit(expected[zero]))


@each_dtype
def test_error_of_power(loops: Loops, dtype: Any) -> None:
    top = np.log(float(np.finfo(dtype).max))
    x = np.concatenate(
        [within(0.5, 2), np.exp(within(-0.8 * top, 0.8 * top)), 1 + within(-1e-4, 1e-4)]
    ).astype(dtype)
    with np.errstate(all="ignore"):
        y = np.concatenate([within(-20, 20), *(within(-1.04 * top, 0.999 * top) for _ in range(2))])
        y[600:] /= np.log(x[600:])
        y = y.astype(dtype)
    error, where = worst_of(
        list(zip(x.tolist(), y.tolist(), strict=True)), loops.values(powers.power, x, y), mpmath.power, dtype
    )
    assert error <= 2, f"{error:.3f} ulp at {where}"


@each_dtype
def test_logaddexp_is_numpys(loops: Loops, dtype: Any) -> None:
    x, y = special_pairs(dtype, 700.0, -745.0, 88.0, -103.0)
    with np.errstate(all="ignore"):
        expected = np.logaddexp(x.astype(float), y.astype(float)).astype(dtype)
    close(loops.values(logarithm.logaddexp, x, y), expected)


@each_dtype
@pytest.mark.parametrize(
    "function, of_numpy", [(extremes.larger, np.maximum), (extremes.smaller, np.minimum)]
)
def test_extremes(loops: Loops, function: Any, of_numpy: Any, dtype: Any) -> None:
    numbers = np.array([0.0, 1.0, -1.0, 0.1, np.inf, -np.inf, np.nan, np.finfo(dtype).tiny / 4], dtype)
    x, y = (a.ravel() for a in np.meshgrid(numbers, numbers))
    expected = of_numpy(x, y)
    np.testing.assert_array_equal(loops.values(function, x, y), expected)
    np.testing.assert_array_equal([function(*both) for both in zip(x, y, strict=True)], expected)


@each_dtype
def test_special_cases_of_arctan2(loops: Loops, dtype: Any) -> None:
    y, x = special_pairs(dtype)
    with np.errstate(all="ignore"):
        expected = np.arctan2(y.astype(float), x.astype(float)).astype(dtype)
    found = loops.values(arcs.arctan2, y, x)
    close(found, expected, float(np.finfo(dtype).smallest_subnormal))
    np.testing.assert_array_equal(np.signbit(found[expected == 0]), np.signbit(expected[expected == 0]))


@each_dtype
def test_error_of_arctan2(loops: Loops, dtype: Any) -> None:
    top = 0.8 * np.log(float(np.finfo(dtype).max))
    x = np.concatenate([within(-1, 1), np.exp(within(-top, top))]).astype(dtype)
    y = np.concatenate([within(-1, 1)[::-1], np.exp(within(-top, top)) * within(0.1, 20)]).astype(dtype)
    given = list(zip(y.tolist(), x.tolist(), strict=True))
    error, where = worst_of(given, loops.values(arcs.arctan2, y, x), mpmath.atan2, dtype)
    assert error <= 2, f"{error:.3f} ulp at {where}"


@each_dtype
def test_special_cases_of_hypot(loops: Loops, dtype: Any) -> None:
    x, y = special_pairs(dtype)
    with np.errstate(all="ignore"):
        expected = np.hypot(x, y)
    close(loops.values(powers.hypot, x, y), expected, float(np.finfo(dtype).smallest_subnormal))


@each_dtype
def test_error_of_hypot(loops: Loops, dtype: Any) -> None:
    info = np.finfo(dtype)
    low, high = np.log(float(info.smallest_subnormal)), np.log(float(info.max)) - 1.0
    x = np.concatenate([within(-1, 1), np.exp(within(low, high))]).astype(dtype)
    y = np.concatenate([within(-1, 1)[::-1], x[len(x) // 2 :] * within(0.01, 1.5)]).astype(dtype)
    given = list(zip(x.tolist(), y.tolist(), strict=True))
    error, where = worst_of(given, loops.values(powers.hypot, x, y), mpmath.hypot, dtype)
    assert error <= 2, f"{error:.3f} ulp at {where}"


@each_dtype
def test_special_cases_of_the_logarithm_of_a_length(loops: Loops, dtype: Any) -> None:
    x, y = special_pairs(dtype)
    with np.errstate(all="ignore"):
        expected = np.log(x + 1j * y).real
        infinite = np.isinf(x) | np.isinf(y)
    expected[infinite] = np.inf  # x + 1j * y made NaN of some
    close(loops.values(powers.log_of_length, x, y), expected, float(np.finfo(dtype).smallest_subnormal))


@each_dtype
def test_error_of_the_logarithm_of_a_length(loops: Loops, dtype: Any) -> None:
    info = np.finfo(dtype)
    angle = within(-3, 3)
    low, high = np.log(float(info.smallest_normal)), np.log(float(info.max)) - 1.0
    size = np.concatenate([np.ones(angle.size), np.exp(within(low, high))])
    x, y = (size * np.tile(turn(angle), 2) for turn in (np.cos, np.sin))
    x, y = np.append(x, [1, 0.6, -1, 0]).astype(dtype), np.append(y, [1e-9, 0.8, 1e-30, 1]).astype(dtype)
    found = loops.values(powers.log_of_length, x, y).astype(float)
    with mpmath.workdps(80):
        wanted = np.array(
            [float(mpmath.log(mpmath.hypot(*p))) for p in zip(x.tolist(), y.tolist(), strict=True)]
        )
    error = np.abs(found - wanted)
    assert np.all(error <= 2 * info.eps * np.abs(wanted) + 2 * float(info.eps) ** 2)


@each_dtype
def test_far_arguments_beside_others_in_one_register(loops: Loops, dtype: Any) -> None:
    given = np.tile([0.5, 1e22, -2.0, math.inf, 3.0, -1e38, 7.0], 9).astype(dtype)
    with np.errstate(all="ignore"):
        expected = np.sin(given.astype(float)).astype(dtype)
    close(loops.values(trigonometric.sin, given), expected)


def test_contraction_of_the_caller_changes_nothing(loops: Loops) -> None:
    function = exponential.expm1

    @numba.njit(error_model="numpy", fastmath={"contract"})
    def contracted(x: Any, out: Any) -> None:
        for i in range(x.size):
            out[i] = function(x[i])

    given = within(-3, 3)
    out = np.empty_like(given)
    contracted(given, out)
    np.testing.assert_array_equal(out, loops.values(function, given))


@pytest.mark.parametrize("kind", PACKED, ids=str)
@pytest.mark.parametrize("function", [*UNARY, *BINARY, *SOME_WHOLE], ids=lambda f: f.__name__)
def test_loops_are_in_packed_instructions(function: Any, kind: Any, loops: Loops) -> None:
    if not has_wide_registers():
        pytest.skip("the processor has no AVX2, or is none of x86-64")
    loop = loops(function)
    types = (kind[::1],) * (len(loop.py_func.__code__.co_varnames) - 1)
    loop.compile(types)
    assert PACKED[kind].search(loop.inspect_asm(types))
