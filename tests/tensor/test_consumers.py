"""Array API consumers, which ask a value for its namespace; what computes by rules of its own."""

from __future__ import annotations

import collections
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import scipy.special

import tracegrad as tg
from tracegrad.errors import InPlaceError, UnsupportedError

X = np.array([0.5, 1.5, 2.5])


@pytest.fixture(autouse=True)
def readable_text() -> Iterator[None]:
    with tg.config.using(jit="python"):
        yield


def consumer(x: Any) -> Any:
    """Written against the standard, for any library's arrays."""
    xp = x.__array_namespace__()
    shifted = x - xp.max(x)
    return xp.sum(xp.exp(shifted) * xp.asarray([1.0, 2.0, 3.0])) / xp.sum(xp.exp(shifted))


def test_a_consumer_of_the_array_api_is_differentiated() -> None:
    weights = np.exp(X) / np.sum(np.exp(X))
    means = np.array([1.0, 2.0, 3.0])
    wanted = weights * (means - weights @ means)
    gradient = tg.grad(consumer)
    for _ in range(2):
        np.testing.assert_allclose(gradient(X), wanted, rtol=1e-12)
    x = tg.tensor(X, requires_grad=True)
    xp = x.__array_namespace__()
    assert xp is np
    xp.sum(xp.exp(x)).backward()
    np.testing.assert_allclose(x.grad, np.exp(X))


def test_scipy_s_ways_through_the_array_api_are_not_confused() -> None:
    found = tg.grad(lambda x: scipy.special.logsumexp(x) + np.sum(scipy.special.softmax(x) ** 2))(X)
    p = scipy.special.softmax(X)
    np.testing.assert_allclose(found, p + 2 * p * (p - p @ p), rtol=1e-12)


def test_values_of_series_and_frames_are_used() -> None:
    pandas = pytest.importorskip("pandas")
    series = pandas.Series(X.copy(), index=list("abc"))
    frame = pandas.DataFrame({"u": X, "v": X**2})

    def loss(x: Any, table: Any) -> Any:
        return np.sum(x * series.to_numpy()) + np.sum(x * np.log(series).values) + x @ table["v"].to_numpy()

    gradient = tg.grad(loss)
    np.testing.assert_allclose(gradient(X, frame), X + np.log(X) + X**2)
    series["b"] = 7.0
    changed = series.to_numpy()
    np.testing.assert_allclose(gradient(X, frame), changed + np.log(changed) + X**2)


@pytest.mark.parametrize("odd", [np.ma.array(X, mask=[True, False, False]), X.view(np.matrix)])
def test_arrays_with_rules_of_their_own_are_refused(odd: Any) -> None:
    with pytest.raises(UnsupportedError, match=r"(?s)rules of its own.*test_consumers\.py.*np\.asarray"):
        tg.grad(lambda x: np.sum(x * odd))(X)
    np.testing.assert_array_equal(tg.grad(lambda x: np.sum(x * np.asarray(odd)))(X), np.ravel(odd.data))


def test_what_numpy_makes_an_array_of_is_one_as_an_operand() -> None:
    queue = collections.deque([1.0, 2.0, 3.0])
    gradient = tg.grad(lambda x: x @ queue + np.sum(x**queue))
    for _ in range(2):  # the first run records, the second is on the tape
        np.testing.assert_allclose(gradient(X), np.array(queue) * (1 + X ** (np.array(queue) - 1)))


array_api_compat = pytest.importorskip("array_api_compat")


def of_softmax(x: Any) -> Any:
    xp = array_api_compat.array_namespace(x)
    e = xp.exp(x - xp.max(x, axis=-1, keepdims=True))
    return xp.sum((e / xp.sum(e, axis=-1, keepdims=True)) ** 2)


def of_log_sum(x: Any) -> Any:
    xp = array_api_compat.array_namespace(x, 1.0)
    top = xp.max(x)
    return xp.log(xp.sum(xp.exp(x - top))) + top


def of_moments(x: Any) -> Any:
    xp = array_api_compat.array_namespace(x)
    return xp.sum(xp.std(x, axis=0, correction=1)) + xp.var(x, correction=0) + xp.mean(x)


def of_joined(x: Any) -> Any:
    xp = array_api_compat.array_namespace(x)
    return xp.sum(xp.concat([x, xp.ones_like(x) * 2, xp.zeros((1, 3))], axis=0) ** 3)


def of_permuted(x: Any) -> Any:
    xp = array_api_compat.array_namespace(x)
    return xp.sum(xp.permute_dims(x, (1, 0)) @ x * xp.asarray([1.0, 2.0, 3.0], dtype=x.dtype))


def of_linear_algebra(x: Any) -> Any:
    xp = array_api_compat.array_namespace(x)
    a = xp.matmul(xp.matrix_transpose(x), x) + xp.eye(3)
    return xp.linalg.det(a) + xp.sum(xp.linalg.inv(a)) + xp.linalg.vector_norm(x) + xp.linalg.matrix_norm(x)


def of_taken(x: Any) -> Any:
    xp = array_api_compat.array_namespace(x)
    return xp.sum(xp.take(x, xp.asarray([0, 2]), axis=1) ** 2) + xp.sum(xp.sort(x, axis=1)[:, 0])


def of_choice(x: Any) -> Any:
    xp = array_api_compat.array_namespace(x)
    return xp.sum(xp.where(x > 1, x**2, xp.sin(x))) + xp.sum(xp.clip(x, 0.4, 1.2))


def of_running(x: Any) -> Any:
    xp = array_api_compat.array_namespace(x)
    return xp.sum(xp.cumulative_sum(x, axis=1) ** 2) + xp.prod(x) + xp.sum(xp.diff(x, axis=1) ** 2)


def of_names(x: Any) -> Any:
    xp = array_api_compat.array_namespace(x)
    return xp.sum(xp.atan2(x, xp.asin(x / 3)) + xp.acosh(x + 1) + xp.atanh(x / 4) + xp.pow(x, 2.5))


def of_cast(x: Any) -> Any:
    xp = array_api_compat.array_namespace(x)
    return xp.sum(xp.abs(xp.astype(x, xp.complex128) * 1j) ** 2) + xp.sum(xp.astype(x > 1, xp.float64) * x)


def of_unstacked(x: Any) -> Any:
    xp = array_api_compat.array_namespace(x)
    a, b = xp.unstack(x, axis=0)
    return xp.vecdot(a, b) + xp.sum(xp.tensordot(a, b, axes=0))


def of_grid(x: Any) -> Any:
    xp = array_api_compat.array_namespace(x)
    a, b = xp.meshgrid(x[0, ...], x[1, ...], indexing="ij")
    return xp.sum(a * b**2)


def of_stacked(x: Any) -> Any:
    xp = array_api_compat.array_namespace(x)
    turned = xp.roll(x, 1, axis=0) * x + xp.flip(x) * x
    return xp.sum(xp.stack([x, x * 2], axis=0) ** 2) + xp.sum(turned) + xp.sum(xp.expand_dims(x, axis=0))


def of_spectrum(x: Any) -> Any:
    xp = array_api_compat.array_namespace(x)
    y = xp.fft.fft(xp.astype(x, xp.complex128))
    return xp.sum(xp.real(y) ** 2 + xp.imag(y) ** 3)


def of_repeated(x: Any) -> Any:
    xp = array_api_compat.array_namespace(x)
    return (
        xp.sum(xp.repeat(x, 2, axis=0) ** 2)
        + xp.sum(xp.tile(x, (2, 1)) ** 3)
        + xp.sum(xp.broadcast_to(x[0, :], (4, 3)) ** 2)
    )


def of_device(x: Any) -> Any:
    xp = array_api_compat.array_namespace(x)
    assert array_api_compat.is_array_api_obj(x) and array_api_compat.is_numpy_array(x)
    y = xp.zeros(x.shape, dtype=x.dtype, device=array_api_compat.device(x))
    y[0, :] = array_api_compat.to_device(x, "cpu")[1, :] ** 2
    return xp.sum(y) * array_api_compat.size(x)


def of_constants(x: Any) -> Any:
    xp = array_api_compat.array_namespace(x)
    return (
        xp.sum(xp.sqrt(x + xp.finfo(x.dtype).eps))
        + xp.sum(x) * xp.pi
        + xp.sum(xp.reshape(xp.linspace(0, 1, 6), (2, 3)) * x)
    )


def of_methods(x: Any) -> Any:
    xp = x.__array_namespace__()
    return xp.sum(x.mT @ x) + xp.mean(x) * x.ndim


def of_equations(x: Any) -> Any:
    xp = array_api_compat.array_namespace(x)
    a = x @ xp.matrix_transpose(x) + 3 * xp.eye(2, dtype=x.dtype)
    roots = xp.sum(xp.linalg.cholesky(a)) + xp.sum(xp.linalg.eigh(a)[0] ** 2)
    return xp.sum(xp.linalg.solve(a, xp.ones((2, 1)))) + xp.linalg.slogdet(a)[1] + roots


def of_places(x: Any) -> Any:
    xp = array_api_compat.array_namespace(x)
    top = xp.take_along_axis(x, xp.argmax(x, axis=1)[:, None], axis=1)
    return xp.sum(top**2) + xp.sum(x[xp.any(x > 2, axis=1), ...])


def of_pairs(x: Any) -> Any:
    xp = array_api_compat.array_namespace(x)
    return xp.sum(
        xp.maximum(x, 1.0) + xp.hypot(x, x) + xp.logaddexp(x, x) + xp.copysign(x, -1.0) + xp.sign(x) * x
    )


@pytest.mark.parametrize(
    "program",
    [of_softmax, of_log_sum, of_moments, of_joined, of_permuted, of_linear_algebra, of_taken, of_choice, of_running,
     of_names, of_cast, of_unstacked, of_grid, of_stacked, of_spectrum, of_repeated, of_device, of_constants,
     of_methods, of_equations, of_places, of_pairs],
)  # fmt: skip
def test_programs_through_array_api_compat(program: Any) -> None:
    x = np.array([[0.5, 1.5, 2.5], [1.1, 0.3, 0.7]])
    wanted = np.zeros_like(x)
    for index in np.ndindex(x.shape):
        ends = []
        for step in (1e-6, -1e-6):
            moved = x.copy()
            moved[index] += step
            ends.append(float(program(moved)))
        wanted[index] = (ends[0] - ends[1]) / 2e-6
    derivative = tg.value_and_grad(program)
    for _ in range(3):
        value, gradient = derivative(x)
        np.testing.assert_allclose(value, program(x), rtol=1e-12)
        np.testing.assert_allclose(gradient, wanted, rtol=2e-6, atol=1e-7)
    assert derivative.stats.captures == 1


def test_the_advice_to_copy_has_the_user_s_name() -> None:
    def shifted(scores: Any) -> Any:
        scores += 1.0
        return scores.sum()

    with pytest.raises(InPlaceError, match=r"`scores = scores\.copy\(\)`"):
        tg.grad(shifted)(X)
