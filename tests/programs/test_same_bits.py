"""Without fused multiply-add the tiers agree bit for bit in `+ - * /`, roots, comparisons and what picks or moves
items: plain NumPy, the text in NumPy and compiled code, in both floats, on whole numbers, at zeros of both signs,
subnormal numbers, infinities and NaN. The gradient is compared between the text in NumPy and compiled code.

`minimum` and `maximum` of a zero and one of the other sign may be either, as in NumPy.
"""

from __future__ import annotations

import numpy as np
import pytest

import tracegrad as tg
from tracegrad.compiler import direct

FLOATS = [
    0.0,
    -0.0,
    1.0,
    -2.5,
    0.1,
    np.inf,
    -np.inf,
    np.nan,
    5e-324,
    1e-310,
    1e-45,
    3e38,
    1.7e308,
    2.0**53 + 2,
    7.0,
]
WHOLE = [0, 1, -1, 3, -7, 2**31 - 1, -(2**31), 5]


@pytest.fixture(autouse=True)
def as_written():
    with tg.config.using(contract=False), np.errstate(all="ignore"):
        yield


def pairs(numbers, one, other):
    """Every number of one dtype beside every one of another."""
    x, y = np.meshgrid(np.array(numbers), np.array(numbers))
    with np.errstate(all="ignore"):
        return x.ravel().astype(one), y.ravel().astype(other)


def same(found, wanted):
    found, wanted = np.asarray(found), np.asarray(wanted)
    assert (found.dtype, found.shape) == (wanted.dtype, wanted.shape)
    np.testing.assert_array_equal(found, wanted)
    if wanted.dtype.kind == "f":
        known = ~np.isnan(wanted)
        np.testing.assert_array_equal(np.signbit(found)[known], np.signbit(wanted)[known])


def compare(function, *args):
    """The value in all tiers."""
    wanted = function(*args)
    native = tg.jit(function, jit="native")
    for tier in (tg.jit(function, jit="python"), native):
        for a, b in zip(tier(*args), wanted, strict=True):
            same(a, b)
    assert native.stats.compiles == 1


def compare_gradients(function, *args):
    """Gradients in the text in NumPy and compiled."""
    places = tuple(k for k, a in enumerate(args) if a.dtype.kind == "f")
    tiers = [tg.value_and_grad(function, places, jit=tier) for tier in ("python", "native")]
    for a, b in zip(*(tier(*args)[1] for tier in tiers), strict=True):
        same(b, a)
    assert tiers[1].stats.compiles == 1


def of_two(x, y):
    return (
        x + y, x - y, x * y, x / y, x // y, x % y, np.fmod(x, y), np.copysign(x, y), x * 0.1 + y / 3, x / y * 2 - 1,
        np.where(x > y, x, y), (x < y) * x, np.clip(x, -1, 2), 1.0 - np.negative(y), 0 - x, 1 / (0 - x),
        np.heaviside(x, 0.5),
    )  # fmt: skip


def of_one(x, y):
    z = x * 1.0
    z[1:] += y[:-1]
    z[::2] /= 3
    total = x * y
    for k in range(3):
        total = total * 0.3 + x * k
    return (
        -x, abs(x), np.sqrt(x), np.sign(x), np.floor(x), np.rint(y), x**2, x**-1, x**0.5, 1 / x, np.square(y), z, total,
        np.reciprocal(y), x[::-1] * y, np.concatenate([x, y])[1:], np.roll(x, 1) - x,
    )  # fmt: skip


@pytest.mark.parametrize(
    "function, dtypes",
    [(of_two, "f8 f8"), (of_two, "f4 f4"), (of_two, "f4 f8"), (of_one, "f8 f8"), (of_one, "f4 f4")],
)
def test_floats(function, dtypes):
    compare(function, *pairs(FLOATS, *dtypes.split()))


def test_an_inverse_at_zero_is_infinite_where_numbas_own_passes_compile_it(monkeypatch):
    """Their `x ** -1` raises; the call was answered otherwise, and nobody was told."""
    monkeypatch.setattr(direct, "functions_of", lambda text: {})
    for dtype in ("f4", "f8"):
        compare(lambda x: (x**-1, x * 0.5), np.array([0.0, -0.0, 2.0, np.inf, 7.0], dtype))


def of_whole(x, y):
    return (
        x + y, x - y, x * y, x / y, x // y, x % y, np.maximum(x, y), np.minimum(y, x), np.hypot(x, y) > 3,
        1.0 - np.negative(x), 0.5 + -y, np.abs(x), np.sign(y), np.where(x > y, x, y), np.fmod(x, y),
    )  # fmt: skip


@pytest.mark.parametrize("dtypes", ["i4 f4", "f4 u4", "i8 i4", "u8 i8"])
def test_whole_numbers(dtypes):
    compare(of_whole, *pairs(WHOLE, *dtypes.split()))


def test_a_negated_number_without_sign_stays_what_it_is():
    compare(lambda x: (1.0 - -x, -x + 0.5, -x - 0.5), np.array([0, 3, 255], np.uint8))


def test_a_loop_that_is_written_out_rounds_as_it_did():
    def loop(x):
        y = (x + x) * 1.0
        for _ in range(3):
            y = y * 0.3 - np.floor(x)
        z = x * 1.0
        for _ in range(4):
            z = z * 0.3
        for _ in range(3):
            z = z + 0.7
        return y, z

    compare(loop, np.linspace(-2.0, 2.0, 1000) * np.where(np.arange(1000) % 2, 1.0, 8e307))


def test_a_narrow_number_on_the_way_to_a_wide_one_stays_narrow():
    compare(lambda x, y: (y * (1 / x), (x * 3 + 0.1) * 0.3 + y), *pairs([0.3, 0.7, 3.0], "f4", "f8"))


def test_the_sign_of_a_zero_that_fills_an_array_stays():
    compare(
        lambda x: (np.full_like(x, -0.0), np.full(3, -0.0) * x, np.broadcast_to(-0.0, 3) + -0.0),
        np.arange(3.0),
    )


def test_the_largest_with_a_first_one_has_the_dtype_of_the_array():
    compare(
        lambda x: (np.max(x, initial=np.float64(0.1)), np.min(x, axis=0, initial=2.5)),
        np.eye(3, dtype=np.float32),
    )
    compare(lambda x: (np.max(x, axis=0, initial=0.5), np.min(x, initial=2.0)), np.zeros((0, 3), np.float32))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_variances_of_too_few_items():
    """Divided by 0, never by less; of one item too, where a quotient of Python's own numbers is an error."""

    def variances(x):
        return np.var(x, ddof=2), np.var(x, ddof=5), np.std(x, ddof=5), np.var(x, axis=0, ddof=2)

    for x in (np.array([1.0, 3.0]), np.array([2.0, 2.0])):
        compare(variances, x)
    for function in (
        lambda x: np.var(x, ddof=1),
        lambda x: np.var(x[:1], ddof=5),
        lambda x: np.std(x, ddof=1),
    ):
        for tier in ("python", "native"):
            assert np.isnan(tg.grad(function, jit=tier)(np.array([2.0]))).all()


def weighed(x, y):
    """No sum but the last, whose cotangents are the weights."""
    z = np.sqrt(abs(x)) * y - x / y
    z = np.where(z > x, z * 0.3, z / 7) + np.maximum(x, y * y)
    for k in range(3):
        z = z * 0.7 + x * k - y**2
    return np.sum(z[::-1] * np.arange(len(z)) + z**-1 * 0.1)


@pytest.mark.parametrize("dtypes", ["f8 f8", "f4 f4", "f4 f8"])
def test_gradients(dtypes):
    x, y = pairs([0.3, -0.7, 3.0, -1.5, 0.1], *dtypes.split())
    compare_gradients(weighed, x, y)
