"""NEP 50 to the letter: the dtype and the value of every ufunc and operator on any two kinds of numbers are NumPy's.

What NumPy refuses is refused in its words. The gradient has its argument's dtype whatever was computed on the way.
"""

from __future__ import annotations

import operator
import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

import tracegrad as tg
from tests.drawing import one_of

DTYPES = [
    "bool",
    "int8",
    "int16",
    "int32",
    "int64",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "float16",
    "float32",
    "float64",
    "complex64",
    "complex128",
]
NUMBERS = [True, 2, 1.5, 1.5j]
SCALARS = [np.dtype(d).type(1) for d in DTYPES]
ARRAYS = [np.array([1, 1], d) for d in DTYPES]
UFUNCS = sorted(
    {v for v in vars(np).values() if isinstance(v, np.ufunc) and v not in (np.isnat, np.matvec, np.vecmat)},
    key=lambda ufunc: ufunc.__name__,
)
UNARY = [ufunc for ufunc in UFUNCS if ufunc.nin == 1]
BINARY = [ufunc for ufunc in UFUNCS if ufunc.nin == 2 and ufunc.signature is None]
OPERATORS = [
    operator.add, operator.sub, operator.mul, operator.truediv, operator.floordiv, operator.mod, operator.pow,
    operator.and_, operator.or_, operator.xor, operator.lshift, operator.rshift, operator.lt, operator.ge, operator.eq,
]  # fmt: skip
FLOATS = ["float16", "float32", "float64", "complex64", "complex128"]


def answer(call: Any) -> Any:
    try:
        return call()
    except (TypeError, ValueError, ZeroDivisionError) as error:
        return type(error), str(error)


def agrees(function: Any, *args: Any, jit: str = "python") -> None:
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wanted = answer(lambda: function(*args))
        found = answer(lambda: tg.jit(function, jit=jit)(*args))
    if not isinstance(wanted, tuple):
        wanted, found = (wanted,), (found,)
    for ours, theirs in zip(found, wanted, strict=True):
        assert type(ours) is type(theirs)
        if isinstance(theirs, (np.ndarray, np.generic)):
            assert ours.dtype == theirs.dtype
            assert np.array_equal(ours, theirs, equal_nan=theirs.dtype.kind in "fc")
        else:
            assert ours == theirs


@settings(max_examples=60, deadline=None, derandomize=True)
@given(one_of(UNARY), one_of([*ARRAYS, *SCALARS]))
def test_ufuncs_of_one_argument(ufunc, x):
    agrees(lambda x: ufunc(x), x)


@settings(max_examples=120, deadline=None, derandomize=True)
@given(one_of(BINARY), one_of([*ARRAYS, *NUMBERS]), one_of([*ARRAYS, *SCALARS]))
def test_ufuncs_of_two_arguments(ufunc, x, y):
    agrees(lambda x, y: ufunc(x, y), x, y)
    agrees(lambda x, y: ufunc(x, y), y, x)


@settings(max_examples=120, deadline=None, derandomize=True)
@given(
    one_of(OPERATORS),
    one_of([*ARRAYS, *SCALARS]),
    one_of([*ARRAYS, *SCALARS, *NUMBERS]),
)
def test_operators(symbol, x, y):
    if symbol is operator.pow and x.dtype == bool and type(y) is int:
        return  # NumPy answers a bool array ** 2 by another way than np.power
    agrees(lambda x, y: symbol(x, y), x, y)


@pytest.mark.parametrize("symbol", OPERATORS, ids=lambda f: f.__name__)
def test_operators_on_python_s_numbers_are_python_s(symbol):
    """Two truth values add up to 2, and a comparison gives Python's True: NumPy's would be another number."""
    for x in NUMBERS:
        for y in [*NUMBERS, np.float64(2)]:
            if 1.5j in (x, y) and symbol in (operator.lt, operator.ge):
                continue  # Python has no order of complex numbers, NumPy has
            agrees(lambda x, y: symbol(x, y), x, y)


@pytest.mark.parametrize(
    "count",
    [
        lambda x, y: ((x < y) + (x > 0)) * x,
        lambda x, y: -(x < y) * x,
        lambda x, y: ((x < y) - (y < x)) * x,
        lambda x, y: abs(x < y) * x / (1 + (x < y)),
    ],
)
def test_comparisons_of_python_s_numbers_count(count):
    for jit in ("python", "native"):
        function = tg.grad(count, jit=jit)
        for x, y in ((1.5, 2.5), (3.5, 2.5), (1.5, 2.5)):
            assert function(x, y) == pytest.approx((count(x + 1e-6, y) - count(x - 1e-6, y)) / 2e-6)


def test_ldexp_takes_its_arguments_in_types_of_their_own():
    for power in (np.array([1, 1], "int16"), np.array([1, 1]), np.int32(1), np.uint16(3)):
        agrees(lambda x, y: np.ldexp(x, y), 2, power)


@pytest.mark.parametrize("symbol", [operator.mod, operator.floordiv], ids=lambda f: f.__name__)
def test_what_complex_numbers_do_not_have_is_refused_in_the_words_of_operators(symbol):
    for x in (1j, np.complex64(1), np.array([1j, 2])):
        for y in (2, np.float64(2), np.int8(1), np.array([1.0, 2]), 1j, np.complex128(1)):
            agrees(lambda x, y: symbol(x, y), x, y)
            agrees(lambda x, y: symbol(y, x), x, y)


@pytest.mark.parametrize("symbol", [operator.add, operator.truediv, operator.lt], ids=lambda f: f.__name__)
def test_operators_in_compiled_code(symbol):
    rows = [np.array([1, 2], d) for d in ("int8", "int64", "uint8", "float32", "float64", "complex64")]

    def table(a: Any, b: Any, c: Any, d: Any, e: Any, f: Any) -> Any:
        given = (a, b, c, d, e, f)
        return tuple(symbol(x, y) for x in given for y in (*given, 2, 1.5))

    agrees(table, *rows, jit="native")


def stored(x: Any, dtype: Any) -> Any:
    a = np.zeros(2, dtype)
    a[:] = x.real
    return np.sum(a * 2)


PROGRAMS = {
    "sin": lambda x: np.sum(np.sin(x) * x),
    "number": lambda x: np.sum(2.5 * x + 1),
    "float32 scalar": lambda x: np.sum(x * np.float32(2)),
    "float64 array": lambda x: np.sum(x * np.ones(2)),
    "int array": lambda x: np.sum(x * np.arange(2)),
    "astype chain": lambda x: np.sum(x.real.astype(np.float64).astype(np.float16).astype(np.float32) * 2),
    "sum dtype": lambda x: np.sum(x, dtype=np.complex128 if x.dtype.kind == "c" else np.float64),
    "mean dtype": lambda x: np.mean(x.real, dtype=np.float64),
    "add dtype": lambda x: np.sum(np.add(x, x, dtype=np.complex128)).real,
    "multiply dtype": lambda x: np.sum(np.multiply(x.real.astype(np.float16), 2, dtype=np.float32)),
    "dot": lambda x: x @ x,
    "power": lambda x: np.sum(x**2),
    "where": lambda x: np.sum(np.where(np.array([True, False]), x, 1.0)),
    "concatenate": lambda x: np.sum(np.concatenate([x, np.ones(1, np.float32)])),
    "loop": lambda x: sum(v * v for v in x),
    "store in float32": lambda x: stored(x, np.float32),
    "store in float16": lambda x: stored(x, np.float16),
    "norm": lambda x: np.linalg.norm(x),
    "var": lambda x: np.var(x) + np.std(x),
    "cumsum": lambda x: np.cumsum(x)[-1] * np.prod(x),
    "order": lambda x: np.sort(x.real)[0] + np.max(x.real),
    "item": lambda x: (x[0] * x[1].item().real).real,
    "complex": lambda x: np.sum(np.ones(2, np.float32) * complex(x[0]).real),
    "einsum": lambda x: np.einsum("i,i", x, x),
    "linspace": lambda x: np.sum(np.linspace(0, x[1].real, 4)),
}


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", PROGRAMS)
def test_the_gradient_has_its_argument_s_dtype_and_the_value_numpy_s(name, dtype):
    function, x = PROGRAMS[name], np.array([0.5, 0.25], dtype)
    wanted = function(x)
    value, gradient = tg.value_and_grad(lambda x: function(x).real, jit="python")(x)
    assert gradient.dtype == dtype
    assert value == wanted.real
    assert value.dtype == wanted.real.dtype
    pushed, tangent = tg.jvp(function, jit="python")((x,), (np.ones_like(x),))
    assert pushed.dtype == tangent.dtype == wanted.dtype
    assert pushed == wanted


@pytest.mark.parametrize("dtype", ["float32", "complex64"])
@pytest.mark.parametrize("name", ["sin", "float32 scalar", "float64 array", "store in float32"])
def test_dtypes_in_compiled_code(name, dtype):
    function, x = PROGRAMS[name], np.array([0.5, 0.25], dtype)
    value, gradient = tg.value_and_grad(lambda x: function(x).real, jit="native")(x)
    assert gradient.dtype == dtype
    assert value.dtype == function(x).real.dtype
    assert value == pytest.approx(function(x).real, rel=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])
@pytest.mark.parametrize(
    "name", ["sin", "number", "float64 array", "sum dtype", "dot", "power", "concatenate", "norm"]
)
def test_dtypes_of_tensors(name, dtype):
    function, x = PROGRAMS[name], np.array([0.5, 0.25], dtype)
    tensor = tg.tensor(x, requires_grad=True)
    value = function(tensor)
    (value.real if value.dtype.kind == "c" else value).backward()
    assert value.dtype == function(x).dtype
    assert tensor.grad.dtype == dtype
