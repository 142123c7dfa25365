"""What a function keeps outside of itself (a history, a counter, the best so far) is plain numbers afterwards."""

from __future__ import annotations

import copy
import math
import pickle
from typing import Any

import numpy as np
import pytest
import scipy.optimize

import tracegrad as tg


class Fit:
    """As people write it: the loss keeps what it saw."""

    def __init__(self) -> None:
        self.calls = 0
        self.best: Any = None
        self.history: list[Any] = []

    def loss(self, x: Any) -> Any:
        self.calls += 1
        y = np.sum((x - 1.0) ** 2)
        if self.best is None or y < self.best:
            self.best = y
        self.history.append((self.calls, y, x * 2.0))
        return y


@pytest.fixture
def fit() -> Fit:
    fit = Fit()
    gradient = tg.value_and_grad(fit.loss)
    for x in (3.0, 2.0, 5.0):
        value, slope = gradient(np.full(2, x))
        assert value == 2.0 * (x - 1.0) ** 2
        np.testing.assert_array_equal(slope, np.full(2, 2.0 * (x - 1.0)))
    return fit


def test_a_history_is_computed_with(fit: Fit) -> None:
    seen = [y for _, y, _ in fit.history]
    assert fit.calls == 3
    assert np.array(seen).tolist() == [8.0, 2.0, 32.0]
    assert np.mean(seen) == 14.0
    assert (min(seen), max(seen), sum(seen), sorted(seen)[0]) == (2.0, 32.0, 42.0, 2.0)
    assert abs(seen[0] - seen[1]) < 7.0
    assert (float(fit.best), int(seen[2]), math.sqrt(seen[1])) == (2.0, 32, math.sqrt(2.0))
    assert f"{seen[0]:.2f}" == "8.00"
    assert [2.0 * y for y in seen] == [16.0, 4.0, 64.0]
    assert pickle.loads(pickle.dumps(seen)) == copy.deepcopy(seen) == [8.0, 2.0, 32.0]


def test_arrays_of_a_history_are_arrays(fit: Fit) -> None:
    points = [x for _, _, x in fit.history]
    assert np.stack(points).tolist() == [[6.0, 6.0], [4.0, 4.0], [10.0, 10.0]]
    assert type(points[0] + points[1]) is np.ndarray
    assert np.linalg.norm(points[0] - points[1]) == math.sqrt(8.0)
    assert points[2][1] == 10.0
    assert points[0].mean() == 6.0
    points[0][0] = 1.0
    points[1] += 1.0
    assert (points[0].tolist(), points[1].tolist()) == ([1.0, 6.0], [5.0, 5.0])


def test_they_are_constants_of_the_next_run() -> None:
    kept: list[Any] = []

    def loss(x: float) -> Any:
        y = x * kept[-1] if kept else x * x
        kept.append(x)
        return y

    gradient = tg.value_and_grad(loss)
    assert [gradient(x) for x in (2.0, 3.0, 4.0)] == [(4.0, 4.0), (6.0, 2.0), (12.0, 3.0)]


def test_they_are_inputs_of_another_function() -> None:
    kept: list[Any] = []

    def first(x: Any) -> Any:
        kept[:] = [x * x, np.sum(x)]
        return np.sum(x)

    def second(x: Any) -> Any:
        return np.sum(kept[0] * x) * kept[1]

    gradient, another = tg.grad(first), tg.value_and_grad(second)
    for x in (np.array([1.0, 2.0]), np.array([3.0, 1.0])):
        gradient(x)
        for _ in range(3):
            value, slope = another(np.ones(2))
            assert value == np.sum(x * x) * np.sum(x)
            np.testing.assert_array_equal(slope, x * x * np.sum(x))


def test_a_function_that_counts_is_called_as_often_as_it_is_called() -> None:
    fit = Fit()
    found = scipy.optimize.minimize(tg.value_and_grad(fit.loss), np.zeros(3), jac=True)
    assert fit.calls == found.nfev == len(fit.history)
    assert float(fit.best) == found.fun


def test_inside_of_another_derivative_they_still_lead_somewhere() -> None:
    kept: list[Any] = []

    def inner(x: Any) -> Any:
        kept.append(x * x)
        return x * x * x

    def outer(x: Any) -> Any:
        slope = tg.grad(inner)(x)
        return slope * float(kept[-1])

    with pytest.raises(tg.errors.LeakError):
        tg.grad(outer)(2.0)
