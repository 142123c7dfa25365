"""The warm call of `jvp`: whatever primals and tangents are, it gives what the first call gives, or the same error."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tracegrad as tg
from tracegrad.errors import ArgumentError


def nested(p: Any, q: Any) -> Any:
    return {"a": p["u"] * q, "b": (np.sin(q), 3)}


def of_arrays(w: Any, x: Any) -> Any:
    return np.tanh(x @ w), np.sum(w * w)


def by_sign(x: Any, n: Any) -> Any:
    s = x
    for _ in range(3):
        s = s * np.sin(x) + n
    return s if x > 0 else -s * 2


each_tier = pytest.mark.parametrize("jit", ["python", "native"])


def no_general_way(monkeypatch: pytest.MonkeyPatch, g: Any) -> None:
    def refused(*given: Any) -> Any:
        raise AssertionError("the call went the general way")

    monkeypatch.setattr(type(g), "_general", refused)


@each_tier
def test_arrays_in_tuples_and_in_lists(jit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    w, x, w_dot, x_dot = (rng.normal(size=s) for s in (5, (4, 5), 5, (4, 5)))
    h = 1e-6
    far, near = of_arrays(w + h * w_dot, x + h * x_dot), of_arrays(w - h * w_dot, x - h * x_dot)
    for kind in (tuple, list):
        g = tg.jvp(of_arrays, jit=jit)
        first = g(kind((w, x)), kind((w_dot, x_dot)))
        with monkeypatch.context() as patched:
            no_general_way(patched, g)
            warm = g(kind((w, x)), kind((w_dot, x_dot)))
            other = g(kind((w, x[::-1])), kind((2 * w_dot, np.asfortranarray(x_dot))))
        assert type(warm) is tuple and type(warm[1]) is tuple and type(warm[1][1]) is np.float64
        for found in (first, warm):
            for k in range(2):
                np.testing.assert_allclose(found[0][k], of_arrays(w, x)[k], rtol=1e-13)
                np.testing.assert_allclose(found[1][k], (far[k] - near[k]) / (2 * h), rtol=1e-7, atol=1e-9)
        np.testing.assert_allclose(other[1][1], 2 * warm[1][1], rtol=1e-14)
        np.testing.assert_array_equal(warm[0][0], first[0][0])


@each_tier
def test_nested_arguments_and_results(jit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    g = tg.jvp(nested, jit=jit)
    g(({"u": 2.0}, 3.0), ({"u": 1.0}, 0.5))
    no_general_way(monkeypatch, g)
    for tangent in (0.5, 2):  # a whole number is one as well
        value, change = g(({"u": 2.0}, 3.0), ({"u": 1.0}, tangent))
        assert value == nested({"u": 2.0}, 3.0) and type(value["a"]) is float
        assert change["a"] == 3.0 + 2.0 * tangent and type(change["a"]) is float
        np.testing.assert_allclose(change["b"][0], np.cos(3.0) * tangent, rtol=1e-15)


@each_tier
def test_both_sides_of_a_branch_and_other_kinds(jit: str) -> None:
    g = tg.jvp(by_sign, jit=jit)
    for x in (1.0, -1.0, 1, np.float64(2.0), 0.5, np.array(0.5), -2.0):
        slope = (by_sign(x + 1e-6, 2.0) - by_sign(x - 1e-6, 2.0)) / 2e-6
        for _ in range(2):
            value, change = g((x, 2.0), (3.0, 0.0))
            np.testing.assert_allclose(value, by_sign(x, 2.0), rtol=1e-14)
            np.testing.assert_allclose(change, 3.0 * slope, rtol=1e-7)


@each_tier
def test_what_does_not_fit_is_refused_warm_as_cold(jit: str) -> None:
    w, x = np.ones(5), np.ones((4, 5))
    g = tg.jvp(of_arrays, jit=jit)
    wrong = [
        ((w, x), (w,)),
        ((w, x), (w, x[:3])),
        ((w, x), (w, x * 1j)),
        ((w, x), {"w": w}),
        ((w, x), (w, [x])),
        ((w, x),),
    ]
    told = []
    for _ in range(2):
        found = []
        for args in wrong:
            with pytest.raises(ArgumentError) as error:
                g(*args)
            found.append(str(error.value).split("\n")[0])
        told.append(found)
        g((w, x), (w, x)), g((w, x), (w, x))
    assert told[0] == told[1]
    single = x.astype(np.float32)
    np.testing.assert_allclose(g((w, x), (w, single))[1][0], g((w, x), (w, x))[1][0])


def test_inside_of_another_derivative() -> None:
    g = tg.jvp(by_sign, jit="native")
    for _ in range(3):
        g((0.5, 2.0), (1.0, 0.0))

    def change(x: Any) -> Any:
        return g((x, 2.0), (1.0, 0.0))[1]

    second = tg.grad(change)(0.5)
    np.testing.assert_allclose(second, (change(0.5 + 1e-6) - change(0.5 - 1e-6)) / 2e-6, rtol=1e-7)
