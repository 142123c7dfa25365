"""`grad` computes what the gradient needs: where nobody asks for the value, the native program leaves it out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tracegrad as tg


def log_likelihood(x: Any, scale: Any = 1.0) -> Any:
    return np.sum(np.log(x) / scale)


def given_up_early(x: Any) -> Any:
    """The value decides which way is taken, so it is computed."""
    total = np.sum(np.log(x))
    return total * total if total > 1.0 else total


def of_a_pair(x: Any, y: Any) -> Any:
    return np.sum(np.sqrt(x) * y) + 3.0


def with_what_was_found(x: Any) -> Any:
    total = np.sum(np.log(x))
    return total, {"total": total, "count": x.size}


def steps(x: Any) -> Any:
    total, a = 0.0, x
    for _ in range(5):
        a = np.sin(a)
        total = total + np.cos(a) * 2.0
    return total


@pytest.mark.parametrize(
    "size", [3, 40_000]
)  # results of the larger ones are in memory that the program is given
@pytest.mark.parametrize("jit", ["python", "native"])
def test_the_gradient_is_that_of_value_and_gradient(size: int, jit: str) -> None:
    x = np.linspace(0.5, 2.0, size)
    for function, args in (
        (log_likelihood, (x,)),
        (log_likelihood, (x, 2.0)),
        (given_up_early, (x,)),
        (given_up_early, (x / 4,)),
        (of_a_pair, (x, x + 1)),
    ):
        places = tuple(range(len(args)))
        alone = tg.grad(function, places, jit=jit)
        both = tg.value_and_grad(function, places, jit=jit)
        for _ in range(3):  # the general way, an entry, a warm entry
            found, (value, expected) = alone(*args), both(*args)
            assert len(found) == len(args)
            for a, b in zip(found, expected, strict=True):
                assert type(a) is type(b) and np.array_equal(a, b)
            assert np.isclose(value, function(*args), rtol=1e-14)


def test_numbers_and_names() -> None:
    g = tg.grad(steps, jit="native")
    expected = (steps(0.3 + 1e-6) - steps(0.3 - 1e-6)) / 2e-6
    for _ in range(3):
        assert type(g(0.3)) is float and np.isclose(g(0.3), expected, rtol=1e-8)
    named = tg.grad(log_likelihood, "scale", jit="native")
    for _ in range(3):
        assert np.isclose(named(scale=2.0, x=np.array([2.0, 3.0])), -np.log(6.0) / 4)


def test_what_only_the_value_needs_is_not_in_the_native_program() -> None:
    x = np.linspace(0.5, 2.0, 7)
    alone, both = tg.grad(log_likelihood, jit="native"), tg.value_and_grad(log_likelihood, jit="native")
    alone(x), both(x)
    assert (
        "log(" in both.native_source and "log(" not in alone.native_source.split("def ")[1].split("\n", 2)[2]
    )
    assert "def log_likelihood_grad(" in alone.native_source
    assert "np.log(" in alone.forward_source  # a person reads there what the value is


def test_what_else_the_function_returns_is_there() -> None:
    x = np.array([2.0, 3.0])
    g = tg.grad(with_what_was_found, has_aux=True, jit="native")
    for _ in range(3):
        gradient, found = g(x)
        assert np.array_equal(gradient, 1 / x) and found["count"] == 2
        assert np.isclose(found["total"], np.log(6.0), rtol=1e-15)


def test_a_guard_on_the_value_takes_the_other_path() -> None:
    g = tg.grad(given_up_early, jit="native")
    large, small = np.array([2.0, 3.0]), np.array([0.5, 1.0])
    for _ in range(2):
        for x in (large, small):
            total = np.sum(np.log(x))
            assert np.allclose(g(x), (2 * total if total > 1.0 else 1.0) / x, rtol=1e-14)
