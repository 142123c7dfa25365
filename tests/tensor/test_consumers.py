"""Array API consumers, which ask a value for its namespace; what computes by rules of its own."""

from __future__ import annotations

import collections
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import scipy.special

import tracegrad as tg
from tracegrad.errors import UnsupportedError

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
