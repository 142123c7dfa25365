"""Running products and what they are differentiated with: zeros anywhere, every axis, as many steps as elements."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.signal

import tracegrad as tg
from tracegrad import config
from tracegrad.ops.recurrences import recurrence

from .derivatives import check

generator = np.random.default_rng(8)
ROW = np.array([1.5, -0.7, 2.0, 0.4, 1.2, -1.1, 0.9])
TABLE = generator.uniform(0.5, 1.5, (4, 3, 2))


def with_zeros(x, *places):
    x = x.copy()
    x.flat[list(places)] = 0.0
    return x


RUNNING = {
    "cumprod": lambda x: np.cumprod(x),
    "axis 0": lambda x: np.cumprod(x, axis=0),
    "last axis": lambda x: x.cumprod(axis=-1),
    "accumulate": lambda x: np.multiply.accumulate(x),
    "cumulative_prod": lambda x: np.cumulative_prod(x, axis=0, include_initial=True),
    "nancumprod": lambda x: np.nancumprod(np.where(x > 1.4, np.nan, x), axis=0),
    "prod": lambda x: np.prod(x, axis=0),
    "of what it gives": lambda x: np.cumprod(np.cumprod(x, axis=0) + x, axis=-1),
}


@pytest.mark.parametrize("name", RUNNING)
@pytest.mark.parametrize("places", [(), (0,), (6,), (2, 3), tuple(range(7))], ids=str)
def test_running_products_have_every_derivative_whatever_is_zero(name, places):
    function = RUNNING[name]
    if name != "cumulative_prod":
        check(function, with_zeros(TABLE, *places))
    check(function, with_zeros(ROW, *places))


@pytest.mark.parametrize("jit", ["python", "native"])
def test_the_gradient_of_a_long_running_product_takes_no_matrix(jit):
    n, zero = 100_000, 40_000
    x = np.ones(n)
    x[zero] = 0.0
    place = np.arange(n)
    found = tg.grad(lambda x: np.sum(np.cumprod(x)), jit=jit)(x)
    np.testing.assert_array_equal(
        found, np.where(place < zero, zero - place, np.where(place > zero, 0, n - zero))
    )


@pytest.mark.parametrize(("dtype", "axis"), [(np.float64, 0), (np.float32, 1), (np.complex128, 1)])
def test_programs_agree_in_every_tier(dtype, axis):
    x = with_zeros(generator.uniform(0.5, 1.5, (5, 9)), 3, 12, 30).astype(dtype)
    if dtype == np.complex128:
        x += 0.3j * generator.normal(size=x.shape)

    def loss(x):
        return np.sum((np.cumprod(x, axis=axis) * x).real)

    native, text = (tg.grad(loss, jit=jit)(x) for jit in ("native", "python"))
    assert native.dtype == text.dtype == dtype
    np.testing.assert_allclose(native, text, rtol=1e-5 if dtype == np.float32 else 1e-13, atol=1e-12)
    torch = pytest.importorskip("torch")
    given = torch.tensor(x, requires_grad=True)
    (torch.cumprod(given, axis) * given).real.sum().backward()
    np.testing.assert_allclose(
        native.conj(), given.grad.numpy(), rtol=1e-4 if dtype == np.float32 else 1e-10, atol=1e-6
    )


@pytest.mark.parametrize("shape", [(6,), (6, 2), (6, 9)])
@pytest.mark.parametrize("backwards", [False, True])
def test_a_recurrence_is_its_definition_and_forgets_an_infinity_that_is_not_read(shape, backwards):
    x, b = generator.normal(size=shape), generator.normal(size=shape)
    x[0] = np.inf
    found = recurrence(x, b, axis=0, backwards=backwards)
    order = range(len(b) - 1, -1, -1) if backwards else range(len(b))
    last = None
    for k in order:
        last = b[k] if last is None else x[k + 1 if backwards else k] * last + b[k]
        np.testing.assert_allclose(found[k], last)


def test_nothing_is_differentiated_in_nothing():
    with config.using(jit="python"):
        assert tg.grad(lambda x: np.sum(np.cumprod(x)))(np.empty(0)).shape == (0,)


def second_order(x):
    return scipy.signal.lfilter([1.0, 0.5], [2.0, -3.0, 0.4], x)


@pytest.mark.parametrize("jit", ["python", "native"])
def test_a_filter_of_many_samples_takes_no_matrix_and_agrees_with_a_closed_form(jit):
    n, pole = 100_000, 0.999
    found = tg.grad(lambda x: np.sum(scipy.signal.lfilter([1.0], [1.0, -pole], x)), jit=jit)(np.ones(n))
    np.testing.assert_allclose(found, (1 - pole ** np.arange(n, 0, -1)) / (1 - pole), rtol=1e-9)


@pytest.mark.parametrize("jit", ["python", "native"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_reaches_what_a_filter_gives_later_alone(jit, value):
    x = generator.uniform(-1, 1, 30)
    x[20] = value
    found = tg.value_and_grad(lambda x: np.sum(second_order(x)[:20]), jit=jit)(x)
    wanted = tg.value_and_grad(lambda x: np.sum(second_order(x)), jit="python")(x[:20])
    np.testing.assert_allclose(found[0], wanted[0], rtol=1e-12)
    np.testing.assert_allclose(found[1], [*wanted[1], *np.zeros(10)], rtol=1e-12)
    if np.isnan(value):  # of infinities SciPy makes NaN one sample earlier, as it multiplies them by 0
        np.testing.assert_allclose(tg.jit(second_order)(x), second_order(x), rtol=1e-12)
