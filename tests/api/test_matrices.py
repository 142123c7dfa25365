"""Jacobians, Hessians, and the names of HIPS autograd: each against differences, and against that library itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import autograd
import autograd.numpy as anp
import numpy as np
import pytest

import tracegrad as tg
from tracegrad.dispatch import pullback
from tracegrad.dispatch.tree import as_native
from tracegrad.errors import ArgumentError
from tracegrad.extend import defvjp, primitive
from tracegrad.test_util import make_numerical_jvp
from tracegrad.wrap_util import unary_to_nary

X = np.array([0.3, 1.2, -0.7])
V = np.array([1.0, 2.0, -1.0])


@pytest.fixture(autouse=True)
def readable_text() -> Iterator[None]:
    with tg.config.using(jit="python"):
        yield


def functions(np: Any) -> dict[str, Any]:
    """The same functions, of either library's NumPy."""

    def scalar(x: Any) -> Any:
        return np.sum(np.sin(x) * x[::-1] ** 2)

    def matrix(x: Any) -> Any:
        return np.stack([x * x, np.exp(x)])[:, ::-1] * x[0]

    def second(a: Any, x: Any) -> Any:
        return a * np.sum(np.tanh(x) ** 3)

    return {"scalar": scalar, "matrix": matrix, "second": second}


OURS, THEIRS = functions(np), functions(anp)

CALLS = {
    "jacobian": lambda lib, f: lib.jacobian(f["matrix"])(X),
    "jacobian of a number": lambda lib, f: lib.jacobian(f["scalar"])(X),
    "jacobian by the second": lambda lib, f: lib.jacobian(f["second"], 1)(2.0, X),
    "hessian": lambda lib, f: lib.hessian(f["scalar"])(X),
    "hessian of a matrix": lambda lib, f: lib.hessian(f["matrix"])(X),
    "hessian_tensor_product": lambda lib, f: lib.hessian_tensor_product(f["scalar"])(X, V),
    "hessian_vector_product": lambda lib, f: lib.hessian_vector_product(f["second"], 1)(2.0, X, V),
    "tensor_jacobian_product": lambda lib, f: lib.tensor_jacobian_product(f["matrix"])(X, V[:2]),
    "vector_jacobian_product": lambda lib, f: lib.vector_jacobian_product(f["matrix"])(X, np.ones((2, 3))),
    "make_vjp": lambda lib, f: lib.make_vjp(f["matrix"])(X)[0](np.arange(6.0).reshape(2, 3)),
    "make_vjp, value": lambda lib, f: lib.make_vjp(f["matrix"])(X)[1],
    "make_jvp": lambda lib, f: lib.make_jvp(f["matrix"])(X)(V)[1],
    "make_jvp, value": lambda lib, f: lib.make_jvp(f["matrix"])(X)(V)[0],
    "make_hvp": lambda lib, f: lib.make_hvp(f["scalar"])(X)[0](V),
    "make_hvp, gradient": lambda lib, f: lib.make_hvp(f["scalar"])(X)[1],
    "make_ggnvp": lambda lib, f: lib.make_ggnvp(lambda x: f["matrix"](x)[0])(X)(V),
    "elementwise_grad": lambda lib, f: lib.elementwise_grad(f["matrix"])(X),
    "deriv": lambda lib, f: lib.deriv(lambda x: f["matrix"](x * X)[1])(0.4),
    "grad by number": lambda lib, f: lib.grad(f["second"], 1)(2.0, X),
    "grad by keyword": lambda lib, f: lib.grad(f["second"], argnum=1)(2.0, X),
    "grad_named": lambda lib, f: lib.grad_named(f["second"], "x")(2.0, X),
    "grad_and_aux": lambda lib, f: lib.grad_and_aux(lambda x: (f["scalar"](x), x * 2.0))(X)[0],
    "value_and_grad": lambda lib, f: lib.value_and_grad(f["second"], 1)(2.0, X)[1],
    "grad of a jacobian": lambda lib, f: lib.grad(lambda x: (lib.jacobian(f["matrix"])(x) ** 2).sum())(X),
    "jacobian of a hessian": lambda lib, f: lib.jacobian(lib.hessian(f["scalar"]))(X),
    "one number in an array": lambda lib, f: lib.grad(lambda x: x[None] @ np.eye(3) @ x[:, None])(X),
}


@pytest.mark.parametrize("call", CALLS)
def test_what_hips_autograd_gives(call: str) -> None:
    for _ in range(2):
        found = CALLS[call](tg, OURS)
        np.testing.assert_allclose(found, CALLS[call](autograd, THEIRS), rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("name", ["scalar", "matrix"])
def test_a_jacobian_and_a_hessian_are_what_differences_say(name: str) -> None:
    f = OURS[name]
    jacobian = tg.jacobian(f)
    np.testing.assert_allclose(jacobian(X) @ V, make_numerical_jvp(f, X)(V), rtol=1e-7)
    np.testing.assert_allclose(tg.hessian(f)(X) @ V, make_numerical_jvp(jacobian, X)(V), rtol=1e-7)


def test_derivatives_of_tanh_up_to_order_six() -> None:
    ours, theirs = np.tanh, anp.tanh
    x = np.linspace(-2.0, 2.0, 5)
    for _ in range(6):
        ours, theirs = tg.elementwise_grad(ours), autograd.elementwise_grad(theirs)
        np.testing.assert_allclose(ours(x), theirs(x), rtol=1e-9, atol=1e-11)


def test_pullbacks_of_one_call_share_what_is_made_of_the_residuals(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []

    def counted(value: Any, dtype: Any) -> Any:
        made.append(dtype)
        return as_native(value, dtype)

    def curve(x: Any) -> Any:
        found = []
        s = x[0]
        for k in range(12):
            s = np.sin(s) * x[1] + 1 / (k + 1)
            found.append(s)
        return np.stack(found)

    x = np.array([0.3, 0.8])
    expected = tg.jacobian(curve)(x)
    rows = len(expected)
    with tg.config.using(jit="native"):
        tg.vjp(curve, x)[1](np.eye(rows)[0])
        monkeypatch.setattr(pullback, "as_native", counted)
        pull = tg.vjp(curve, x)[1]
        found = [pull(unit) for unit in np.eye(rows)]
    np.testing.assert_allclose(found, expected, rtol=1e-13)
    assert rows < len(made) < 4 * rows  # a cotangent for each row, and the residuals once


ROUND = np.linspace(0.1, 1.2, 7)


def tall(p: Any) -> Any:
    return p[0] * np.exp(-p[1] * ROUND) + np.cos(ROUND * p[2])


def wide(p: Any) -> Any:
    s, found = 0.0, []
    for k in range(2):
        s = np.sum(np.sin(p) * p[k]) + s * p[0]
        found.append(s)
    return np.array(found)


def repeated(p: Any) -> Any:
    for k in range(20):
        p = p + 0.1 * np.sin(p[::-1]) * (k + 1)
    return p


@pytest.mark.parametrize("jit", ["python", "native"])
@pytest.mark.parametrize(
    "function", [tall, wide, repeated, lambda p: np.outer(p, p[:2]), lambda p: p[0] ** 3]
)
def test_columns_or_rows_whichever_are_fewer_are_what_differences_say(function: Any, jit: str) -> None:
    with tg.config.using(jit=jit):
        jacobian = tg.jacobian(function)
        for scale in (1.0, -0.6, 0.3):
            found = jacobian(X * scale)
            for column, unit in enumerate(np.eye(3)):
                expected = make_numerical_jvp(function, X * scale)(unit)
                np.testing.assert_allclose(found[..., column], expected, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("jit", ["python", "native"])
def test_a_jacobian_is_an_array_of_the_dtype_of_its_argument(jit: str) -> None:
    with tg.config.using(jit=jit):
        for x in (2.0, np.float32(2), np.array(2.0), np.ones(2, np.float32), np.array([1j, 2])):
            square = tg.jacobian(lambda x: x * x)
            for _ in range(3):
                found = square(x)
                assert type(found) is np.ndarray and found.dtype == np.asarray(x).dtype
                np.testing.assert_allclose(found, np.diag(2 * x) if np.ndim(x) else 2 * x)
        for constant in (lambda x: 3.0, lambda x: np.ones(2), lambda x: np.argmax(x), lambda x: x > 0):
            assert not tg.jacobian(constant)(X).any()


def test_what_has_a_pullback_alone_has_a_jacobian_of_rows() -> None:
    doubled = primitive(lambda x: 2 * x)
    defvjp(doubled, lambda ans, x: lambda g: 2 * g)
    np.testing.assert_allclose(
        tg.jacobian(lambda x: np.outer(doubled(x), np.ones(2)))(X)[:, 0], 2 * np.eye(3)
    )


def test_a_derivative_of_a_loop_is_part_of_a_graph_of_tensors() -> None:
    for inner in (tg.jacobian(lambda x: x**3), tg.grad(lambda x: np.sum(repeated(x)))):
        x = tg.tensor(X, requires_grad=True)
        ((y := inner(x)) * y).sum().backward()

        def along(x: Any, inner: Any = inner) -> Any:
            return np.sum(inner(x) ** 2)

        np.testing.assert_allclose(x.grad.numpy() @ V, make_numerical_jvp(along, X)(V), rtol=1e-6, atol=1e-9)


def test_a_hessian_times_a_tensor_is_called_as_any_compiled_function() -> None:
    product = tg.hessian_tensor_product(OURS["scalar"])
    with tg.config.using(jit="native"):
        for x in (X, X * 2, X - 1):
            np.testing.assert_allclose(product(x, V), tg.hessian(OURS["scalar"])(x) @ V, rtol=1e-12)
    assert product.answer.last.entry is not None


def test_several_arguments_at_once() -> None:
    f = OURS["second"]
    for argnums in ([0, 1], (0, 1), ("a", "x")):
        by_a, by_x = tg.grad(f, argnums)(2.0, X)
        np.testing.assert_allclose(by_a, f(1.0, X))
        np.testing.assert_allclose(by_x, tg.grad(f, 1)(2.0, X))
    pull, _ = tg.make_vjp(f, (0, 1))(2.0, X)
    np.testing.assert_allclose(pull(1.0)[1], by_x)
    np.testing.assert_allclose(tg.make_jvp(f, (0, 1))(2.0, X)((1.0, V))[1], by_a + by_x @ V)


def test_a_jacobian_by_a_structure_has_its_structure() -> None:
    found = tg.jacobian(lambda p: p["w"] @ p["b"])({"w": np.eye(2, 3), "b": X})
    np.testing.assert_allclose(found["b"], np.eye(2, 3))
    np.testing.assert_allclose(found["w"][1, 1], X)


def test_of_no_numbers_there_is_an_empty_jacobian() -> None:
    assert tg.jacobian(lambda x: x[:0])(X).shape == (0, 3)


def test_what_has_no_jacobian_is_said() -> None:
    with pytest.raises(ArgumentError, match=r"(?s)`jacobian` needs a number or an array.*np\.stack"):
        tg.jacobian(lambda x: (x, x))(X)


def test_multigrad_dict_names_each_argument() -> None:
    def f(a: Any, b: Any = 2.0, *c: Any, k: Any, **more: Any) -> Any:
        return a * b * c[0] * k * more["z"]

    found = tg.multigrad_dict(f)(1.0, 3.0, 4.0, k=5.0, z=6.0)
    assert list(found) == ["a", "b", "c", "k", "more"]
    assert found == {"a": 360.0, "b": 120.0, "c": (90.0,), "k": 72.0, "more": {"z": 60.0}}
    assert tg.multigrad_dict(lambda a, b=2.0: a * b)(3.0) == {"a": 2.0, "b": 3.0}


def test_keyword_arguments_go_to_the_function() -> None:
    def f(x: Any, *, power: Any) -> Any:
        return np.sum(x**power)

    np.testing.assert_allclose(tg.jacobian(f)(X, power=2), 2 * X)
    np.testing.assert_allclose(tg.make_jvp(f)(X, power=2)(V)[1], 2 * X @ V)
    np.testing.assert_allclose(tg.hessian_vector_product(f)(X, V, power=2), 2 * V)


def test_they_are_functions_with_a_name_and_methods_of_a_class() -> None:
    class Model:
        scale = 3.0

        def loss(self, x: Any) -> Any:
            """The loss."""
            return self.scale * np.sum(x**2)

        curvature = tg.hessian(loss, 1)

    np.testing.assert_allclose(Model().curvature(X), 6.0 * np.eye(3))
    assert Model.curvature.__name__ == "loss" and Model.curvature.__doc__ == "The loss."
    assert repr(tg.jacobian(Model.loss)) == "<tracegrad.jacobian of loss>"


def test_they_are_part_of_the_program_that_calls_them() -> None:
    scale = [2.0]

    def f(x: Any) -> Any:
        return scale[0] * np.sum(x**3)

    hessian = tg.hessian(f)
    g = tg.grad(lambda x: np.sum(hessian(x)))
    np.testing.assert_allclose(g(X), 12.0 * np.ones(3))
    scale[0] = 1.0
    np.testing.assert_allclose(g(X), 6.0 * np.ones(3))
    assert g.stats.captures == 1


def test_an_operator_on_functions_of_one_argument() -> None:
    @unary_to_nary
    def total(f: Any, x: Any) -> Any:
        pull, value = tg.make_vjp(f)(x)
        return pull(np.ones(np.shape(value)))

    np.testing.assert_allclose(total(lambda a, x: np.sin(a * x), 1)(2.0, X), 2.0 * np.cos(2.0 * X))
    by_both = total(lambda a, x: a * x, (0, 1))(2.0, X)
    np.testing.assert_allclose(by_both[0], np.sum(X))
    np.testing.assert_allclose(by_both[1], 2.0)
