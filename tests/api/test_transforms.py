"""grad, value_and_grad, vjp, jvp and jit as decorators: which argument, which manners, which results."""

from __future__ import annotations

import inspect
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


def product(x: Any, y: Any = 3.0, *, scale: Any = 1.0) -> Any:
    """x times y."""
    return scale * x * x * y


# --- which argument


@pytest.mark.parametrize(
    ("argnums", "expected"),
    [
        (0, 12.0),
        (1, 4.0),
        (-1, 4.0),
        (-2, 12.0),
        ("x", 12.0),
        ("y", 4.0),
        ("scale", 12.0),
        ((0, 1), (12.0, 4.0)),
        ((1, 0), (4.0, 12.0)),
        ((0,), (12.0,)),
        (("y", 0), (4.0, 12.0)),
        (("scale", "x"), (12.0, 12.0)),
        (np.int64(1), 4.0),
    ],
)
def test_argnums_by_index_and_by_name(argnums: Any, expected: Any) -> None:
    assert tg.grad(product, argnums=argnums)(2.0, 3.0, scale=1.0) == expected
    assert tg.value_and_grad(product, argnums=argnums)(2.0, 3.0, scale=1.0) == (12.0, expected)


def test_the_same_argument_may_be_asked_for_twice() -> None:
    assert tg.grad(product, argnums=(0, "x"))(2.0, 3.0) == (12.0, 12.0)


def test_arguments_may_be_passed_by_keyword() -> None:
    assert tg.grad(product)(x=2.0, y=3.0) == 12.0
    assert tg.grad(product, argnums="y")(2.0, y=3.0, scale=2.0) == 8.0
    assert tg.grad(product, argnums=1)(y=3.0, x=2.0) == 4.0


def test_a_differentiated_argument_may_be_left_to_its_default() -> None:
    assert tg.grad(product, argnums="y")(2.0) == 4.0
    assert tg.grad(product, argnums=("scale", 1))(2.0) == (12.0, 4.0)


def test_keywords_called_like_anything_inside() -> None:
    def f(self: Any, x0: Any, given: Any, args: Any, function: Any) -> Any:
        return self + 2 * x0 + 3 * given + 4 * args + 5 * function

    g = tg.grad(f, argnums=("x0", "function"))
    for _ in range(3):
        assert g(args=1.0, x0=1.0, self=1.0, function=1.0, given=1.0) == (2.0, 5.0)
        assert g(1.0, given=1.0, x0=1.0, args=1.0, function=1.0) == (2.0, 5.0)


def test_variadic_functions() -> None:
    def total(*args: Any, **named: Any) -> Any:
        return sum((k + 1) * a for k, a in enumerate(args)) + sum(named.values())

    assert tg.grad(total, argnums=1)(1.0, 2.0) == 2.0
    assert tg.grad(total, argnums=-1)(1.0, 2.0, 3.0) == 3.0
    assert tg.grad(total, argnums="b")(1.0, b=2.0) == 1.0


# --- aux


def test_has_aux() -> None:
    def f(x: Any) -> Any:
        return x**2, {"double": 2 * x, "text": "as it is", "none": None}

    aux = {"double": 6.0, "text": "as it is", "none": None}
    for _ in range(2):
        assert tg.grad(f, has_aux=True)(3.0) == (6.0, aux)
        assert tg.value_and_grad(f, has_aux=True)(3.0) == ((9.0, aux), 6.0)


def test_has_aux_again_by_the_entry() -> None:
    g = tg.grad(lambda x: (x**2, [2 * x, "text"]), has_aux=True)
    assert [g(v) for v in (1.0, 2.0, 3.0)] == [
        (2.0, [2.0, "text"]),
        (4.0, [4.0, "text"]),
        (6.0, [6.0, "text"]),
    ]


# --- decorators


def test_bare_and_with_options() -> None:
    @tg.grad
    def bare(x: Any) -> Any:
        return x * x

    @tg.grad(argnums=1)
    def second(x: Any, y: Any) -> Any:
        return x * y * y

    @tg.value_and_grad(argnums="y", has_aux=True, jit="python")
    def third(x: Any, y: Any) -> Any:
        return x * y * y, x

    @tg.jit
    def plain(x: Any) -> Any:
        return x * x

    @tg.jit(jit="python")
    def chosen(x: Any) -> Any:
        return x * x

    @tg.vjp
    def pulled(x: Any) -> Any:
        return x * x

    @tg.jvp
    def pushed(x: Any) -> Any:
        return x * x

    assert bare(3.0) == 6.0
    assert second(2.0, 3.0) == 12.0
    assert third(2.0, 3.0) == ((18.0, 2.0), 12.0)
    assert plain(3.0) == chosen(3.0) == 9.0
    assert pulled(3.0)[1](1.0) == 6.0
    assert pushed((3.0,), (1.0,)) == (9.0, 6.0)
    assert tg.vjp(jit="python")(lambda x: x * x)(3.0)[1](1.0) == 6.0
    assert tg.jvp(jit="python")(lambda x: x * x)((3.0,), (1.0,)) == (9.0, 6.0)


@pytest.mark.parametrize("transform", [tg.grad, tg.value_and_grad, tg.vjp, tg.jvp, tg.jit])
def test_the_manners_of_functools_wraps(transform: Any) -> None:
    made = transform(product)
    assert made.__name__ == "product"
    assert made.__qualname__ == "product"
    assert made.__module__ == product.__module__
    assert made.__doc__ == "x times y."
    assert made.__wrapped__ is product
    assert inspect.signature(made) == inspect.signature(product)
    assert "product" in repr(made)


def test_a_transform_of_a_transform_is_its_own() -> None:
    inner = tg.grad(product)
    inner(2.0)
    outer = tg.grad(inner)
    assert outer.stats.calls == 0
    assert outer.__wrapped__ is inner
    assert outer(2.0) == 6.0
    assert inner(2.0) == 12.0


# --- methods


class Model:
    def __init__(self, weight: float) -> None:
        self.weight = weight

    @tg.grad(argnums=1)
    def slope(self, x: Any) -> Any:
        return self.weight * x * x

    @tg.grad(argnums="x")
    def named(self, x: Any) -> Any:
        return self.weight * x * x

    @staticmethod
    @tg.grad
    def inside(x: Any) -> Any:
        return x * x

    @tg.grad
    @staticmethod
    def outside(x: Any) -> Any:
        return x * x

    @classmethod
    @tg.grad(argnums=1)
    def class_inside(cls, x: Any) -> Any:
        return cls.factor * x * x

    @tg.grad(argnums=1)
    @classmethod
    def class_outside(cls, x: Any) -> Any:
        return cls.factor * x * x

    @tg.jit
    @staticmethod
    def value(x: Any) -> Any:
        return x * x

    factor = 5.0

    def plain(self, x: Any) -> Any:
        return self.weight * x * x


def test_methods() -> None:
    first, second = Model(1.0), Model(2.0)
    for _ in range(2):
        assert first.slope(3.0) == 6.0
        assert second.slope(3.0) == 12.0
        assert second.named(3.0) == 12.0
        assert Model.slope(second, 3.0) == 12.0
    first.weight = 10.0
    assert first.slope(3.0) == 60.0
    assert second.slope(3.0) == 12.0


def test_static_and_class_methods_in_either_order() -> None:
    model = Model(1.0)
    for owner in (Model, model):
        assert owner.inside(3.0) == owner.outside(3.0) == 6.0
        assert owner.class_inside(3.0) == owner.class_outside(3.0) == 30.0
        assert owner.value(3.0) == 9.0


def test_a_bound_method() -> None:
    model = Model(2.0)
    assert tg.grad(model.plain)(3.0) == 12.0
    assert tg.vjp(model.plain, 3.0)[1](1.0) == 12.0


def test_callables_that_are_no_functions() -> None:
    class Square:
        __hash__ = None  # type: ignore[assignment]

        def __call__(self, x: Any) -> Any:
            return x * x

    assert tg.grad(Square())(3.0) == 6.0
    assert tg.vjp(Square(), 3.0)[1](1.0) == 6.0
    assert tg.grad(np.sin)(0.0) == 1.0
    np.testing.assert_allclose(tg.grad(np.linalg.norm)(np.array([3.0, 4.0])), [0.6, 0.8])


# --- vjp and jvp


def test_vjp_of_structures() -> None:
    def f(x: Any, p: Any) -> Any:
        return {"sum": x * p["w"], "list": [np.sum(x), "text"]}

    x, w = np.array([1.0, 2.0]), np.array([3.0, 4.0])
    value, pullback = tg.vjp(f, x, {"w": w})
    np.testing.assert_array_equal(value["sum"], [3.0, 8.0])
    assert value["list"] == [3.0, "text"]
    for _ in range(2):
        x_bar, p_bar = pullback({"sum": np.ones(2), "list": [10.0, None]})
        np.testing.assert_array_equal(x_bar, [13.0, 14.0])
        np.testing.assert_array_equal(p_bar["w"], [1.0, 2.0])


def test_jvp_of_structures() -> None:
    value, tangent = tg.jvp(
        lambda x, p: [x * p["w"], np.sum(x)], (np.ones(2), {"w": 2.0}), (np.array([1.0, 0.0]), {"w": 1.0})
    )
    np.testing.assert_array_equal(value[0], [2.0, 2.0])
    np.testing.assert_array_equal(tangent[0], [3.0, 1.0])
    assert tangent[1] == 1.0


def test_a_pullback_of_a_vjp_is_not_disturbed_by_writes() -> None:
    def f(x: Any) -> Any:
        return np.exp(x), x.T * 2.0, x[::-1] * x

    x = np.array([1.0, 2.0])
    value, pullback = tg.vjp(f, x)
    cotangent = (np.ones(2), np.ones(2), np.ones(2))
    before = pullback(cotangent)
    x[:] = 0.0
    value[0][:] = value[1][:] = value[2][:] = 0.0
    before_again = before.copy()
    np.testing.assert_array_equal(pullback(cotangent), before)
    before[:] = 0.0
    np.testing.assert_array_equal(pullback(cotangent), before_again)


def test_residuals_of_rows_are_not_disturbed_by_writes() -> None:
    def f(rows: Any) -> Any:
        total = np.zeros(2)
        for i in range(3):
            total = np.sin(rows[i]) * total + rows[i] * rows[i]
        return total

    rows = np.arange(6.0).reshape(3, 2)
    _, pullback = tg.vjp(f, rows)
    before = pullback(np.ones(2))
    rows[:] = 7.0
    np.testing.assert_array_equal(pullback(np.ones(2)), before)


# --- jit


def test_jit_returns_what_the_function_returns() -> None:
    @tg.jit
    def f(x: Any, n: Any) -> Any:
        return {"array": x * 2, "number": np.sum(x), "none": None, "int": n + 1, "flag": x > 1}

    for _ in range(3):
        got = f(np.array([1.0, 2.0]), 3)
        assert got["array"].tolist() == [2.0, 4.0]
        assert type(got["number"]) is np.float64
        assert type(got["int"]) is int and got["int"] == 4
        assert got["none"] is None
        assert got["flag"].tolist() == [False, True]


def test_jit_of_a_function_that_returns_nothing_is_captured_once() -> None:
    f = tg.jit(lambda x: None)
    assert [f(1.0) for _ in range(3)] == [None] * 3
    assert f.stats.captures == 1


# --- bad options


def test_options_that_do_not_fit() -> None:
    for make in (
        lambda: tg.grad(3.0),
        lambda: tg.grad(product, argnums=5),
        lambda: tg.grad(product, argnums=-3),
        lambda: tg.grad(product, argnums="z"),
        lambda: tg.grad(product, argnums=1.0),
        lambda: tg.grad(product, argnums=True),
        lambda: tg.grad(product, argnums=(0, None)),
        lambda: tg.grad(product, jit="fast"),
        lambda: tg.jvp(product, (1.0,)),
        lambda: tg.jvp(product, (1.0,), (1.0, 2.0)),
        lambda: tg.jvp(product, 1.0, 1.0),
        lambda: tg.vjp(None, 1.0),
    ):
        with pytest.raises(ArgumentError) as caught:
            make()
        said = str(caught.value)
        assert "\n  where: test_transforms.py:" in said
        assert "\n  do:    " in said
