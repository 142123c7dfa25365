"""Derivatives of derivatives, and transforms inside what is recorded: no confusion between levels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import tracegrad as tg
from tracegrad.errors import ArgumentError


@pytest.fixture(autouse=True)
def readable_text() -> Iterator[None]:
    with tg.config.using(jit="python"):
        yield


def close(found: Any, expected: Any) -> None:
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


# --- orders


def test_grad_of_grad_of_grad() -> None:
    third = tg.grad(tg.grad(tg.grad(lambda x: x**4 * np.sin(x))))
    for x in (0.5, 1.5, 1.5):
        s, c = np.sin(x), np.cos(x)
        close(third(x), 24 * x * s + 36 * x**2 * c - 12 * x**3 * s - x**4 * c)
    assert third.stats.captures == 1


@pytest.mark.parametrize("order", [1, 2, 3, 4, 5, 6])
def test_any_order(order: int) -> None:
    f: Any = lambda x: np.exp(2.0 * x)  # noqa: E731
    for _ in range(order):
        f = tg.grad(f)
    close(f(0.3), 2.0**order * np.exp(0.6))


def test_orders_through_control_flow() -> None:
    def f(x: Any) -> Any:
        y = x
        while y < 100.0:
            y = y * y if y > 2.0 else y * 3.0
        return y

    second = tg.grad(tg.grad(f))
    for x in (1.0, 1.5, 5.0, 0.3, 1.0, 200.0):
        h = 1e-4
        close_enough = (f(x + h) - 2 * f(x) + f(x - h)) / h**2
        np.testing.assert_allclose(second(x), close_enough, rtol=1e-4, atol=1e-4)


def f(x: Any) -> Any:
    return np.sum(np.sin(x) * x[::-1] ** 2)


def hessian(x: Any) -> Any:
    n, h = len(x), 1e-4
    e = np.eye(n) * h
    return np.array(
        [[(f(x + a + b) - f(x + a - b) - f(x - a + b) + f(x - a - b)) / (4 * h * h) for a in e] for b in e]
    )


def squares_of_a_list(x: Any) -> Any:
    found = [np.exp(e) * x[0] for e in x]
    return np.sum(np.array(found) ** 2) + max(found)


def sum_of_what_was_appended(x: Any) -> Any:
    found = []
    for j in range(5):
        if np.sum(x) * j > 2.5:
            break
        found.append(np.cosh(x) * (j + 1))
    return np.sum(sum(found) ** 2) + np.sum(np.stack(found)[-1] ** 3)


@pytest.mark.parametrize("function", [squares_of_a_list, sum_of_what_was_appended])
def test_second_derivatives_of_lists_that_grow(function: Any) -> None:
    """Their stacks have a length that is known in one place and not in another."""
    first = tg.grad(function, jit="python")
    along = np.array([1.0, -0.5, 2.0])
    hessian = tg.hessian(function)
    native = tg.grad(lambda x: np.dot(tg.grad(function)(x), along), jit="native")
    points = [np.array(p) for p in ([0.1, 0.4, 0.7], [0.5, 0.6, 0.8], [0.5, 0.6, 0.9], [0.9, 0.3, 0.7])]
    for x in points:
        columns = [(first(x + 1e-5 * e) - first(x - 1e-5 * e)) / 2e-5 for e in np.eye(3)]
        with tg.config.using(jit="auto"):  # compiled at a call that began in the readable text
            found = hessian(x)
        np.testing.assert_allclose(found, np.stack(columns, -1), rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(native(x), along @ np.stack(columns, -1), rtol=1e-6, atol=1e-6)


def test_second_derivatives_in_every_mixture() -> None:
    x, v = np.array([0.3, -1.2, 2.0]), np.array([1.0, 2.0, -0.5])
    expected = hessian(x) @ v
    forward_over_reverse = tg.jvp(tg.grad(f), (x,), (v,))[1]
    np.testing.assert_allclose(forward_over_reverse, expected, rtol=1e-5, atol=1e-6)
    close(tg.vjp(tg.grad(f), x)[1](v), forward_over_reverse)
    close(tg.grad(lambda x: tg.jvp(f, (x,), (v,))[1])(x), forward_over_reverse)
    close(tg.grad(lambda x: np.sum(tg.grad(f)(x) * v))(x), forward_over_reverse)
    close(tg.grad(lambda x: np.sum(tg.vjp(f, x)[1](1.0) * v))(x), forward_over_reverse)
    close(tg.jvp(lambda x: tg.jvp(f, (x,), (v,))[1], (x,), (v,))[1], v @ forward_over_reverse)
    close(tg.jvp(lambda x: tg.vjp(f, x)[1](1.0), (x,), (v,))[1], forward_over_reverse)
    close(tg.vjp(lambda x: tg.vjp(f, x)[1](1.0), x)[1](v), forward_over_reverse)


def test_a_whole_hessian_by_a_loop_of_pullbacks() -> None:
    x = np.array([0.3, -1.2, 2.0])
    gradient, pullback = tg.vjp(tg.grad(f), x)
    close(gradient, tg.grad(f)(x))
    np.testing.assert_allclose([pullback(e) for e in np.eye(3)], hessian(x), rtol=1e-5, atol=1e-6)


# --- perturbation confusion


def test_an_inner_derivative_does_not_see_the_outer_variable() -> None:
    assert tg.grad(lambda x: x * tg.grad(lambda y: x + y)(1.0))(3.0) == 1.0
    assert tg.grad(lambda x: x * tg.grad(lambda y: x * y)(2.0))(3.0) == 6.0
    assert tg.grad(lambda x: tg.grad(lambda y: x * y * y)(x))(3.0) == 12.0
    assert tg.grad(lambda x: tg.grad(lambda y: y * y)(5.0) + x)(3.0) == 1.0
    assert tg.grad(lambda x: tg.grad(lambda x: x**3)(x))(2.0) == 12.0
    assert tg.grad(lambda x: tg.grad(lambda y: tg.grad(lambda z: x * y * z)(1.0) * y)(x))(3.0) == 12.0


def test_forward_mode_is_not_confused_either() -> None:
    def derivative(g: Any, at: Any) -> Any:
        return tg.jvp(g, (at,), (1.0,))[1]

    assert derivative(lambda x: x * derivative(lambda y: x + y, 1.0), 3.0) == 1.0
    assert derivative(lambda x: x * derivative(lambda y: x * y, 2.0), 3.0) == 6.0
    assert tg.grad(lambda x: x * derivative(lambda y: x + y, 1.0))(3.0) == 1.0
    assert derivative(lambda x: x * tg.grad(lambda y: x + y)(1.0), 3.0) == 1.0


def test_a_tangent_that_depends_on_the_outer_variable() -> None:
    found = tg.grad(lambda x: tg.jvp(np.sin, (x,), (x * x,))[1])(0.7)
    close(found, 2 * 0.7 * np.cos(0.7) - 0.49 * np.sin(0.7))
    assert tg.grad(lambda x: tg.jvp(lambda y: y * y, (3.0,), (x,))[1])(2.0) == 6.0


def test_a_cotangent_that_depends_on_the_outer_variable() -> None:
    found = tg.grad(lambda x: tg.vjp(np.sin, x)[1](x * x))(0.7)
    close(found, 2 * 0.7 * np.cos(0.7) - 0.49 * np.sin(0.7))
    _, pullback = tg.vjp(lambda y: np.sin(y) * y, np.array([1.0, 2.0]))
    close(tg.grad(lambda x: np.sum(pullback(x * np.ones(2))))(3.0), np.sum(pullback(np.ones(2))))
    _, looped = tg.vjp(_repeated, np.array([1.0, 2.0]))
    close(tg.grad(lambda x: np.sum(looped(x * np.ones(2))))(3.0), np.sum(looped(np.ones(2))))


def _repeated(y: Any) -> Any:
    while np.sum(y * y) < 100.0:
        y = np.sin(y) + y * 1.5
    return y


# --- transforms inside a captured function


def test_a_gradient_inside_reads_values_of_the_outer_function() -> None:
    scale = 2.0

    def outer(x: Any) -> Any:
        shift = x * scale

        def inner(y: Any) -> Any:
            return (y - shift) ** 2 * scale

        y = 0.0
        for _ in range(3):
            y = y - 0.1 * tg.grad(inner)(y)
        return y

    g = tg.value_and_grad(outer)
    k = 1 - (1 - 0.4) ** 3
    close(g(1.5), (1.5 * 2.0 * k, 2.0 * k))
    scale = 1.0
    k = 1 - (1 - 0.2) ** 3
    close(g(1.5), (1.5 * k, k))


def test_jit_inside_grad_is_part_of_it() -> None:
    @tg.jit
    def helper(x: Any) -> Any:
        return {"out": np.sin(x), "n": None}

    g = tg.grad(lambda x: helper(x)["out"] * x)
    close(g(0.5), np.cos(0.5) * 0.5 + np.sin(0.5))
    close(helper(0.5)["out"], np.sin(0.5))
    close(tg.grad(tg.jit(lambda x: x**3))(2.0), 12.0)
    close(tg.jit(tg.grad(lambda x: x**3))(2.0), 12.0)


def test_branches_of_an_inner_function_guard_the_outer_one() -> None:
    inner = tg.grad(lambda y: y**2 if y > 1.0 else y**3)
    outer = tg.grad(lambda x: inner(x) * 1.0)
    assert [outer(v) for v in (2.0, 0.5, 3.0, -1.0, 2.0)] == [2.0, 3.0, 2.0, -6.0, 2.0]


def test_value_and_grad_with_aux_inside() -> None:
    def outer(x: Any) -> Any:
        (value, aux), slope = tg.value_and_grad(lambda y: (y**3, {"square": y * y}), has_aux=True)(x)
        return value + aux["square"] + slope

    assert tg.grad(outer)(2.0) == 3 * 4.0 + 2 * 2.0 + 6 * 2.0


def test_structures_inside() -> None:
    def outer(p: Any) -> Any:
        found = tg.grad(lambda q: q["a"] ** 2 * q["b"][0])(p)
        return found["a"] + found["b"][0]

    assert tg.grad(outer)({"a": 3.0, "b": [2.0]}) == {"a": 2 * 2.0 + 2 * 3.0, "b": [2 * 3.0]}


def test_errors_of_an_inner_transform_leave_the_outer_one_usable() -> None:
    choice = {"shape": True}

    def outer(x: Any) -> Any:
        return np.sum(tg.grad(lambda y: y * np.ones(2) if choice["shape"] else y * y)(x))

    g = tg.grad(outer)
    with pytest.raises(ValueError, match="needs a scalar"):
        g(1.0)
    choice["shape"] = False
    assert g(1.0) == 2.0


def test_a_function_that_calls_its_own_derivative() -> None:
    @tg.grad
    def power(x: Any, n: Any = 3) -> Any:
        return x**2 if n == 0 else x * power(x, n - 1)

    # p0 = (x^2)' = 2x; p1 = (x * 2x)' = 4x; p2 = (x * 4x)' = 8x
    assert power(3.0, 0) == 6.0
    assert power(3.0, 1) == 12.0
    assert power(3.0, 2) == 24.0
    assert power(5.0, 2) == 40.0


# --- eager tensors


def test_gradients_flow_through_a_transform_of_eager_tensors() -> None:
    x = tg.tensor([1.0, 2.0], requires_grad=True)
    gradient = tg.grad(lambda v: np.sum(v**3))(x)
    assert isinstance(gradient, tg.Tensor)
    gradient.sum().backward()
    close(x.grad.numpy(), [6.0, 12.0])


def test_every_transform_takes_eager_tensors() -> None:
    x = tg.tensor([1.0, 2.0], requires_grad=True)
    value, gradient = tg.value_and_grad(lambda v: np.sum(v**3))(x)
    (value + gradient.sum()).backward()
    close(x.grad.numpy(), [3.0 + 6.0, 12.0 + 12.0])

    x = tg.tensor([1.0, 2.0], requires_grad=True)
    value, pullback = tg.vjp(lambda v: v**3, x)
    pullback(tg.tensor([1.0, 10.0])).sum().backward()
    close(x.grad.numpy(), [6.0, 120.0])

    x = tg.tensor([1.0, 2.0], requires_grad=True)
    value, tangent = tg.jvp(lambda v: v**3, (x,), (np.ones(2),))
    tangent.sum().backward()
    close(x.grad.numpy(), [6.0, 12.0])

    x = tg.tensor([1.0, 2.0], requires_grad=True)
    tg.jit(lambda v: np.sum(v**3))(x).backward()
    close(x.grad.numpy(), [3.0, 12.0])


def test_a_tensor_of_whole_numbers_is_refused() -> None:
    with pytest.raises(ArgumentError, match="a traced value of int64"):
        tg.grad(lambda v: np.sum(v))(tg.tensor([1, 2]))


def test_backward_inside_a_captured_function_is_not_needed_to_go_on() -> None:
    x = tg.tensor(3.0, requires_grad=True)
    for _ in range(2):
        y = tg.grad(lambda v: v**2)(x) * x
        y.backward()
    close(x.grad.numpy(), 24.0)


def test_types_inside_of_another_derivative_are_those_of_plain_calls() -> None:
    """What a NumPy function makes of a Python number is a NumPy number, which an array of float32 does not narrow."""
    single = np.array([1.0, 2.0, 3.0], np.float32)

    def inner(t):
        strong = np.tanh(t)
        return np.sum(strong[None] * single) * t

    def outer(t):
        value, slope = tg.value_and_grad(inner)(t)
        return np.sum(slope * single) + value

    value, slope = tg.value_and_grad(outer)(0.3)
    assert type(value) is type(outer(0.3)) is np.float64
    assert value == pytest.approx(outer(0.3), rel=1e-14)
    assert type(slope) is float
    tanh, square = np.tanh(0.3), 1 / np.cosh(0.3) ** 2
    by_hand = 36 * (2 * square - 2 * 0.3 * tanh * square) + 6 * (tanh + 0.3 * square)
    assert slope == pytest.approx(by_hand, rel=1e-6)  # sums of float32 are in it


def test_forward_over_reverse_of_items_of_a_matrix() -> None:
    function = tg.grad(lambda y: np.sum(np.vectorize(lambda q: q**3 if q > 0 else q)(y)))
    y = np.array([[0.5], [-1.5], [2.0]])
    _, dot = tg.jvp(function, (y,), (np.ones_like(y),))
    np.testing.assert_allclose(dot, np.where(y > 0, 6 * y, 0))
