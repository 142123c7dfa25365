"""SciPy's special functions in compiled programs: what the ufuncs give, to the last bit, found by name."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest
import scipy.special

import tracegrad as tg
from tracegrad.kernels import special
from tracegrad.ops.functions import FUNCTIONS as _  # noqa: F401  declares all ops
from tracegrad.ops.op import REGISTRY

generator = np.random.default_rng(0)
NUMBERS = np.concatenate(
    [generator.uniform(low, high, 40) for low, high in ((-30, 30), (0, 1), (0, 5))]
    + [[0.0, -0.0, 1.0, 2.0, -1.0, 0.5, 1e-9, np.nan]]
)
WITHOUT = ("airy", "fresnel", "shichi", "sici", "hyp0f1", "polygamma", "zeta", "digamma", "wofz")
UFUNCS = [
    name
    for name, op in sorted(REGISTRY.items())
    if op.callee.startswith("scipy.special.") and isinstance(getattr(scipy.special, name), np.ufunc)
]


def called(function, columns):
    """What the C function gives for each row."""
    kinds = [ctypes.c_double if letter == "d" else ctypes.c_long for letter in function.loop]
    kind = ctypes.CFUNCTYPE(ctypes.c_double, *kinds, ctypes.c_int)
    return np.array(
        [kind(function.address)(*(x.item() for x in row), 0) for row in zip(*columns, strict=True)]
    )


@pytest.mark.parametrize("name", UFUNCS)
def test_a_number_is_the_ufuncs_to_the_last_bit(name):
    ufunc = getattr(scipy.special, name)
    first = {np.dtype(np.float64), np.dtype(np.int64)} if ufunc.nin > 1 else {np.dtype(np.float64)}
    found = {
        special.number_function(name, (dtype, *[np.dtype(np.float64)] * (ufunc.nin - 1))) for dtype in first
    } - {None}
    assert found or name in WITHOUT
    for function in found:
        assert getattr(special, function.__name__) is function
        columns = [
            generator.integers(0, 9, NUMBERS.size) if letter == "l" else generator.permutation(NUMBERS)
            for letter in function.loop
        ]
        with np.errstate(all="ignore"):
            wanted, got = ufunc(*columns), called(function, columns)
        np.testing.assert_array_equal(wanted, got)
        np.testing.assert_array_equal(np.signbit(wanted), np.signbit(got))


def looped(x):
    total, y = 0.0, x
    for k in range(6):
        y = 0.5 * y + scipy.special.jv(1.5, y) * scipy.special.dawsn(y)
        total = total + scipy.special.kn(2, y) + scipy.special.eval_legendre(3, y) * scipy.special.j0(y * k)
    return total


def of_arrays(x):
    two = scipy.special.k0(x) * scipy.special.ellipk(0.1 * x) + scipy.special.betainc(1.5, 2.0, 0.2 * x)
    return np.sum(two * scipy.special.expn(2, x) + scipy.special.stdtr(3.0, x))


@pytest.mark.parametrize(("function", "x"), [(looped, np.float64(1.3)), (of_arrays, np.linspace(0.5, 2, 7))])
def test_programs_of_special_functions_are_compiled_whole(function, x):
    native, array = (tg.value_and_grad(function, jit=tier) for tier in ("native", "python"))
    (value, slope), (wanted, wanted_slope) = native(x), array(x)
    assert native.stats.compiles == 1, native.explain()
    assert "scipy_" in native.native_source and "called_out" not in native.native_source
    assert value == pytest.approx(wanted, rel=1e-14)
    np.testing.assert_allclose(slope, wanted_slope, rtol=1e-11)
    steps = np.eye(np.size(x)).reshape(np.size(x), *np.shape(x)) * 1e-6
    differences = [(function(x + s) - function(x - s)) / 2e-6 for s in steps]
    np.testing.assert_allclose(np.ravel(slope), np.ravel(differences), rtol=1e-6)


def test_single_precision_is_scipys_own():
    made = tg.jit(lambda x: scipy.special.k0(x) * scipy.special.j1(x), jit="native")
    x = np.linspace(0.5, 2, 7, dtype=np.float32)
    found = made(x)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, scipy.special.k0(x) * scipy.special.j1(x), rtol=1e-6)
