"""Primitives: functions that are one step, with derivatives of the user's own, in every mode and order."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import tracegrad as tg
from tracegrad.errors import LeakError, NotDifferentiableError, ShapeError
from tracegrad.extend import (
    def_linear,
    defjvp,
    defjvp_argnum,
    defjvp_argnums,
    defvjp,
    defvjp_argnum,
    defvjp_argnums,
    notrace_primitive,
    primitive,
)
from tracegrad.misc.fixed_points import fixed_point
from tracegrad.test_util import check_grads, combo_check

X = np.array([0.3, 1.2, 2.0])


@pytest.fixture(autouse=True)
def readable_text() -> Iterator[None]:
    with tg.config.using(jit="python"):
        yield


@primitive
def logsumexp(x: Any) -> Any:
    top = np.max(x)
    return top + np.log(np.sum(np.exp(x - top)))


defvjp(logsumexp, lambda ans, x: lambda g: g * np.exp(x - ans))


@primitive
def times(a: Any, b: Any) -> Any:
    return a * b


defjvp(times, lambda t, ans, a, b: t * b, lambda t, ans, a, b: a * t)


def with_primitive(x: Any) -> Any:
    return logsumexp(x * x) * np.sin(x[0])


def without(x: Any) -> Any:
    return np.log(np.sum(np.exp(x * x))) * np.sin(x[0])


def test_a_rule_backward_serves_every_mode_and_order() -> None:
    for derivative in (
        tg.grad,
        tg.hessian,
        tg.deriv,
        lambda f: tg.jacobian(tg.hessian(f)),
        lambda f: lambda at: tg.make_jvp(tg.grad(f))(at)(X)[1],
    ):
        found, expected = derivative(with_primitive), derivative(without)
        np.testing.assert_allclose(found(X), expected(X), rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(found(X[::-1]), expected(X[::-1]), rtol=1e-9, atol=1e-9)


def test_a_rule_forward_serves_both_modes_too() -> None:
    check_grads(lambda x: times(x, np.sin(x)), order=2)(X)
    np.testing.assert_allclose(tg.grad(lambda x: np.sum(times(x, np.sin(x))))(X), np.sin(X) + X * np.cos(X))


def test_programs_call_primitives_and_loops_stay_loops() -> None:
    def f(x: Any) -> Any:
        for _ in range(10):
            x = x * 0.5 + logsumexp(x)
        return np.sum(x)

    def plain(x: Any) -> Any:
        for _ in range(10):
            x = x * 0.5 + np.log(np.sum(np.exp(x)))
        return np.sum(x)

    gradient = tg.grad(f)
    for x in (X, X + 1.0):
        np.testing.assert_allclose(gradient(x), tg.grad(plain)(x), rtol=1e-12)
    assert gradient.stats.captures == 1
    assert "for _ in range(10)" in gradient.forward_source
    assert re.search(r"called\.logsumexp(_\d+)?\(x\)", gradient.forward_source)  # another may have the name
    assert re.search(r"called\.logsumexp_vjp_0(_\d+)?\(", gradient.backward_source)


def test_a_compiled_program_calls_a_primitive() -> None:
    gradient = tg.grad(with_primitive, jit="native")
    for _ in range(2):
        np.testing.assert_allclose(gradient(X), tg.grad(without)(X), rtol=1e-12)
    assert gradient.stats.compiles == 1
    assert "called." in gradient.native_source


def test_what_a_primitive_and_its_rule_read_is_read_at_each_call() -> None:
    scale = [2.0]
    scaled = primitive(lambda x: x * scale[0])
    defvjp(scaled, lambda ans, x: lambda g: g * scale[0])
    gradient = tg.value_and_grad(lambda x: np.sum(scaled(x)))
    assert gradient(X)[1][0] == 2.0
    scale[0] = 5.0
    value, bar = gradient(X)
    np.testing.assert_allclose(value, 5.0 * np.sum(X))
    np.testing.assert_allclose(bar, 5.0)
    assert gradient.stats.captures == 1


def test_eager_tensors_go_through_primitives() -> None:
    x = tg.tensor(X, requires_grad=True)
    logsumexp(x * x).backward()
    np.testing.assert_allclose(x.grad, tg.grad(lambda x: np.log(np.sum(np.exp(x * x))))(X), rtol=1e-12)


def test_rules_for_all_arguments_in_one_function() -> None:
    @primitive
    def weighted(a: Any, b: Any, power: int = 1) -> Any:
        return np.sum(a * b**power)

    def rule(argnum: int, ans: Any, args: Any, keywords: Any) -> Any:
        a, b = args
        n = keywords.get("power", 1)
        return lambda g: g * b**n if argnum == 0 else g * a * n * b ** (n - 1)

    defvjp_argnum(weighted, rule)
    check_grads(lambda a, b: weighted(a, b, power=2), (0, 1))(X, X[::-1].copy())
    defvjp_argnums(weighted, lambda nums, ans, args, kw: lambda g: [rule(k, ans, args, kw)(g) for k in nums])
    combo_check(weighted, (0, 1), modes=["rev"])([X], [X + 1.0], power=[1, 2, 3])

    tangents = primitive(lambda a, b: a * b)
    defjvp_argnum(tangents, lambda argnum, t, ans, args, kw: t * args[1 - argnum])
    check_grads(tangents, (0, 1))(X, X + 1.0)
    defjvp_argnums(tangents, lambda nums, ts, ans, args, kw: ts[0] * args[1 - nums[0]])
    check_grads(tangents, (0, 1))(X, X + 1.0)


def test_linear_primitives_are_their_own_tangents() -> None:
    linear = primitive(lambda x: 3.0 * np.flip(x))
    def_linear(linear)
    np.testing.assert_allclose(tg.make_jvp(linear)(X)(np.ones(3))[1], 3.0 * np.ones(3))
    with pytest.raises(NotDifferentiableError, match="argument 0, for which it has no derivative"):
        tg.grad(lambda x: np.sum(linear(x)))(X)
    same = primitive(lambda a, b: a + b)
    defjvp(same, "same", None)
    np.testing.assert_allclose(tg.make_jvp(lambda x: same(x, x))(X)(np.ones(3))[1], X + 1.0)


def test_an_argument_without_a_rule_and_one_that_does_not_matter() -> None:
    second = primitive(lambda a, b: a * 1.0 + b)
    defvjp(second, lambda ans, a, b: lambda g: g * 2.0, argnums=[1])
    np.testing.assert_allclose(tg.grad(lambda x: np.sum(second(1.0, x)))(X), 2.0)
    with pytest.raises(NotDifferentiableError, match=r"(?s)argument 0.*test_extend\.py.*defvjp"):
        tg.grad(lambda x: np.sum(second(x, x)))(X)
    defvjp(second, None, lambda ans, a, b: lambda g: g)
    np.testing.assert_allclose(tg.grad(lambda x: np.sum(second(x, x)))(X), 1.0)


def test_arguments_may_be_nested() -> None:
    affine = primitive(lambda p, x: p["w"] @ x + p["b"][0])
    defvjp(
        affine,
        lambda ans, p, x: lambda g: {"w": np.outer(g, x), "b": [np.sum(g)]},
        lambda ans, p, x: lambda g: p["w"].T @ g,
    )
    check_grads(affine, (0, 1), modes=["rev"])({"w": np.eye(2, 3), "b": [0.5]}, X)


def test_a_wrong_shape_is_said_with_the_place_of_the_primitive() -> None:
    short = primitive(lambda x: x * 2.0)
    defvjp(short, lambda ans, x: lambda g: g[:1])
    with pytest.raises(ShapeError, match=r"(?s)shape \(1,\), where float64 of shape \(3,\).*test_extend\.py"):
        tg.grad(lambda x: np.sum(short(x) * x))(X)


def test_an_error_in_a_rule_shows_the_rule_and_the_primitive() -> None:
    failing = primitive(lambda x: x * 2.0)
    defvjp(failing, lambda ans, x: lambda g: g @ np.ones(7))
    with pytest.raises(ValueError, match="mismatch") as caught:
        tg.grad(lambda x: np.sum(failing(x) * x))(X)
    assert any("the primitive `<lambda>_vjp_0`, test_extend.py" in note for note in caught.value.__notes__)


def test_a_differentiated_value_that_is_no_argument_is_refused() -> None:
    def f(x: Any) -> Any:
        inner = primitive(lambda y: y * x)
        defvjp(inner, lambda ans, y: lambda g: g)
        return np.sum(inner(x + 1.0))

    with pytest.raises(LeakError, match="no argument of it"):
        tg.grad(f)(X)


def test_a_primitive_gives_one_array() -> None:
    pair = primitive(lambda x: (x, x))
    defvjp(pair, lambda ans, x: lambda g: g)
    with pytest.raises(LeakError, match="returns a tuple"):
        tg.grad(lambda x: np.sum(pair(x)[0]))(X)


def test_functions_of_plain_values_carry_no_derivative() -> None:
    longest = notrace_primitive(lambda x: x.shape[0])
    largest = notrace_primitive(lambda x: np.max(x))
    shape = notrace_primitive(lambda x: x.shape)
    gradient = tg.grad(lambda x: np.sum(x) * longest(x) * largest(x) * shape(x)[0])
    np.testing.assert_allclose(gradient(X), 9.0 * np.max(X))


def test_checkpoints_give_the_same_derivatives() -> None:
    layer = tg.checkpoint(lambda x, w: np.tanh(w @ x))
    w = np.eye(3) + 0.1

    def loss(w: Any) -> Any:
        return np.sum(layer(layer(X, w), w))

    def plain(w: Any) -> Any:
        return np.sum(np.tanh(w @ np.tanh(w @ X)))

    np.testing.assert_allclose(tg.grad(loss)(w), tg.grad(plain)(w), rtol=1e-12)
    np.testing.assert_allclose(tg.hessian(loss)(w), tg.hessian(plain)(w), rtol=1e-9, atol=1e-12)


def newton(a: Any) -> Any:
    return lambda x: 0.5 * (x + a / x)


def distance(x: Any, y: Any) -> Any:
    return np.max(np.abs(x - y))


def test_fixed_points_are_differentiated_by_their_equation() -> None:
    root = lambda a: np.sum(fixed_point(newton, a, np.ones(2), distance, 1e-13))  # noqa: E731
    a = np.array([2.0, 9.0])
    np.testing.assert_allclose(tg.grad(root)(a), 0.5 / np.sqrt(a), rtol=1e-9)
    np.testing.assert_allclose(tg.hessian(root)(a), np.diag(-0.25 * a**-1.5), rtol=1e-6, atol=1e-9)


def test_two_primitives_of_one_name_keep_apart() -> None:
    def made(k: float) -> Any:
        f = primitive(lambda x: k * x)
        defvjp(f, lambda ans, x: lambda g: k * g)
        return f

    one, two = made(1.0), made(2.0)
    np.testing.assert_allclose(tg.grad(lambda x: np.sum(one(x) * two(x)))(X), 4.0 * X)
    np.testing.assert_allclose(tg.hessian(lambda x: np.sum(two(x) * one(x)))(X), 4.0 * np.eye(3))


def test_with_both_rules_each_direction_has_its_own():
    @primitive
    def f(x):
        return np.array([x[0] * x[1], x[0] ** 2])

    defvjp(f, lambda ans, x: lambda g: np.array([g[0] * x[1] + 2 * g[1] * x[0], g[0] * x[0]]))
    defjvp(f, lambda t, ans, x: np.array([t[0] * x[1] + x[0] * t[1], 2 * x[0] * t[0]]))
    x = np.array([2.0, 3.0])
    assert tg.jvp(lambda x: f(x), (x,), (np.array([1.0, 0.5]),))[1].tolist() == [4.0, 4.0]
    assert tg.vjp(lambda x: f(x), x)[1](np.array([1.0, 0.5])).tolist() == [5.0, 2.0]
