"""What arguments may be, and what comes back: kinds, layouts, structures, ints, things that are not traced."""

from __future__ import annotations

import dataclasses
from collections import OrderedDict, namedtuple
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from scipy.optimize import minimize, rosen

import tracegrad as tg

Pair = namedtuple("Pair", "u v")


@dataclasses.dataclass
class Weights:
    w: Any
    b: Any
    label: str = "none"


@dataclasses.dataclass(frozen=True)
class Frozen:
    inner: Any


@pytest.fixture(autouse=True)
def readable_text() -> Iterator[None]:
    with tg.config.using(jit="python"):
        yield


def square(x: Any) -> Any:
    return np.sum(x * x)


# --- the type of a gradient


KINDS = [
    (3.0, float, None),
    (3, float, None),
    (np.float64(3.0), np.float64, np.float64),
    (np.float32(3.0), np.float32, np.float32),
    (np.int64(3), np.float64, np.float64),
    (np.array(3.0), np.ndarray, np.float64),
    (np.array(3.0, np.float32), np.ndarray, np.float32),
    (np.array([3.0]), np.ndarray, np.float64),
    (np.array([3.0], np.float32), np.ndarray, np.float32),
]


@pytest.mark.parametrize(
    ("given", "kind", "dtype", "jit"),
    [(*row, "python") for row in KINDS] + [(*row, "native") for row in KINDS[2:4] + KINDS[6:]],
)
def test_a_gradient_is_of_the_kind_of_its_argument(given: Any, kind: type, dtype: Any, jit: str) -> None:
    g = tg.grad(square, jit=jit)
    for _ in range(3):
        found = g(given)
        assert type(found) is kind
        assert np.shape(found) == np.shape(given)
        assert np.all(found == 6.0)
        if dtype is not None:
            assert found.dtype == dtype


def test_a_value_is_of_the_kind_the_function_returns() -> None:
    def f(x: Any) -> Any:
        return x[0] * x[0]

    vg = tg.value_and_grad(f)
    assert type(vg([3.0])[0]) is float
    assert type(vg(np.array([3.0]))[0]) is np.float64
    assert type(vg(np.array([3.0], np.float32))[0]) is np.float32


def test_float16_works_in_the_readable_text() -> None:
    x = np.array([1.0, 2.0], np.float16)
    for jit in ("python", "auto"):
        g = tg.grad(square, jit=jit)
        for _ in range(3):
            assert g(x).dtype == np.float16
            np.testing.assert_array_equal(g(x), [2.0, 4.0])


# --- layouts


def layouts() -> dict[str, np.ndarray]:
    base = np.arange(24.0).reshape(4, 6) / 7
    memory = np.zeros(8 * 12 + 1, np.uint8)[1:].view(np.float64).reshape(3, 4)
    memory[:] = base[:3, :4]
    read_only = base[:3, :4].copy()
    read_only.flags.writeable = False
    return {
        "contiguous": base[:3, :4].copy(),
        "fortran": np.asfortranarray(base[:3, :4]),
        "strided": base[:3, :4],
        "reversed": base[2::-1, 3::-1],
        "transposed": base[:4, :3].T,
        "broadcast": np.broadcast_to(base[0, :4], (3, 4)),
        "read-only": read_only,
        "unaligned": memory,
        "big-endian": base[:3, :4].astype(">f8"),
    }


@pytest.mark.parametrize("jit", ["python", "native"])
def test_any_layout(jit: str) -> None:
    vg = tg.value_and_grad(lambda x: np.sum(x * x) + x[0, 1], jit=jit)
    for _ in range(2):
        for name, x in layouts().items():
            before = x.copy()
            value, gradient = vg(x)
            expected = 2.0 * x.astype(float)
            expected[0, 1] += 1.0
            np.testing.assert_allclose(gradient, expected, err_msg=name)
            np.testing.assert_allclose(value, np.sum(before * before) + before[0, 1], err_msg=name)
            assert gradient.flags.forc and gradient.flags.writeable and gradient.flags.aligned, name
            assert gradient.dtype == np.float64, name
            assert not np.shares_memory(gradient, x), name
            np.testing.assert_array_equal(x, before)
    assert vg.stats.captures == 1
    assert vg.stats.compiles == (jit == "native")


@pytest.mark.parametrize(("shape", "jit"), [((0,), "python"), ((3, 0), "python"), ((0, 3), "native")])
def test_nothing_in_it(shape: tuple[int, ...], jit: str) -> None:
    g = tg.grad(square, jit=jit)
    for _ in range(2):
        found = g(np.zeros(shape))
        assert found.shape == shape and found.dtype == np.float64


def test_a_memory_map_is_an_array(tmp_path: Any) -> None:
    x = np.memmap(tmp_path / "x", dtype=float, mode="w+", shape=(3,))
    x[:] = [1.0, 2.0, 3.0]
    found = tg.grad(square)(x)
    assert type(found) is np.ndarray
    np.testing.assert_array_equal(found, [2.0, 4.0, 6.0])


# --- results are fresh


@pytest.mark.parametrize("jit", ["python", "native"])
def test_gradients_share_no_memory(jit: str) -> None:
    scale = np.array([5.0, 6.0])
    programs = [lambda x, y: np.sum(x + y)]
    if jit == "python":
        programs.append(lambda x, y: x @ y)
        programs.append(lambda x, y: np.sum(x * scale))
        programs.append(lambda x, y: np.sum(x.reshape(2, 1) * 1.0) + np.sum(y[::-1]))
    for f in programs:
        vg = tg.value_and_grad(f, argnums=(0, 1), jit=jit)
        x, y = np.array([1.0, 2.0]), np.array([3.0, 4.0])
        _, first = vg(x, y)
        kept = [g.copy() for g in first]
        for g in first:
            assert g.flags.c_contiguous and g.flags.writeable
            assert not any(np.shares_memory(g, a) for a in (x, y, scale))
            g[:] = -1.0
        assert not np.shares_memory(*first)
        _, second = vg(x, y)
        for g, k in zip(second, kept, strict=True):
            np.testing.assert_array_equal(g, k)
        assert x.tolist() == [1.0, 2.0] and y.tolist() == [3.0, 4.0] and scale.tolist() == [5.0, 6.0]


@pytest.mark.parametrize("jit", ["python", "native"])
def test_results_of_jit_share_no_memory(jit: str) -> None:
    constant = np.arange(20.0)

    def f(x: Any) -> Any:
        return x, x, x[1:], x.reshape(1, 3), np.zeros(2), constant

    made = tg.jit(f, jit=jit)
    x = np.array([1.0, 2.0, 3.0])
    for _ in range(2):
        results = made(x)
        for k, result in enumerate(results):
            assert result.flags.writeable and result.flags.c_contiguous
            assert not np.shares_memory(result, x) and not np.shares_memory(result, constant)
            assert not any(np.shares_memory(result, other) for other in results[k + 1 :])
            result[...] = -1.0
    assert x.tolist() == [1.0, 2.0, 3.0]
    assert made(x)[2].tolist() == [2.0, 3.0]


@pytest.mark.parametrize("method", ["BFGS", "L-BFGS-B", "CG"])
def test_scipy_takes_value_and_gradient_as_they_are(method: str) -> None:
    found = minimize(tg.value_and_grad(rosen), np.array([-1.2, 1.0, 0.5]), jac=True, method=method)
    np.testing.assert_allclose(found.x, 1.0, atol=1e-4)


# --- structures


@pytest.mark.parametrize("jit", ["python", "native"])
def test_gradients_come_back_in_the_structure_of_the_argument(jit: str) -> None:
    def f(p: Any) -> Any:
        pair, rest = p["pair"], p["rest"]
        return pair.u * np.sum(rest[0].w) + pair.v[0] * rest[1][1] + rest[0].b

    g = tg.grad(f, jit=jit)
    for scale in (1.0, 2.0, 3.0):
        p = {
            "rest": (Weights(scale * np.array([1.0, 2.0], np.float32), 3.0, 2.0), [0.0, scale]),
            "pair": Pair(scale, [4.0]),
            "a": Frozen(1.0),
        }
        found = g(p)
        assert list(found) == ["rest", "pair", "a"]
        assert type(found["pair"]) is Pair and type(found["rest"]) is tuple
        weights, pair = found["rest"][0], found["pair"]
        assert type(weights) is Weights and weights.w.dtype == np.float32
        np.testing.assert_array_equal(weights.w, [scale, scale])
        assert (weights.b, weights.label) == (1.0, 0.0)
        assert pair == Pair(3.0 * scale, [scale])
        assert found["rest"][1] == [0.0, 4.0]
        assert found["a"] == Frozen(0.0)
    assert g.stats.captures == 1


def test_other_structures_of_arguments_and_results() -> None:
    assert tg.grad(lambda x: x[0] * x[1])([2.0, 3.0]) == [3.0, 2.0]
    assert tg.grad(lambda x: x[0] * x[1])((2.0, 3.0)) == (3.0, 2.0)
    found = tg.grad(lambda x: x["a"] * x["b"])(OrderedDict(b=2.0, a=3.0))
    assert type(found) is OrderedDict and list(found.items()) == [("b", 3.0), ("a", 2.0)]
    assert tg.grad(lambda x: 2.0)([]) == []
    assert tg.grad(lambda x, y: x, argnums=(0, 1))(1.0, {}) == (1.0, {})


def test_structures_that_are_not_differentiated() -> None:
    def f(x: Any, options: Any) -> Any:
        return x * options["scale"] if options["mode"] == "scaled" else x

    g = tg.grad(f)
    for _ in range(2):
        assert g(1.0, {"scale": 3.0, "mode": "scaled"}) == 3.0
        assert g(1.0, {"scale": 4.0, "mode": "scaled"}) == 4.0
        assert g(1.0, {"scale": 4.0, "mode": "other"}) == 1.0
    assert g.stats.captures == 2


def test_methods_of_a_dataclass() -> None:
    @dataclasses.dataclass
    class Model:
        w: float

        def __post_init__(self) -> None:
            self.scale = 2.0

        @tg.grad(argnums=1)
        def slope(self, x: Any) -> Any:
            return self.w * self.scale * x

        @tg.grad
        def by_all(self, x: Any) -> Any:
            return self.w * self.scale * x

    model = Model(3.0)
    for _ in range(2):
        assert model.slope(1.0) == 6.0
        assert Model(4.0).slope(1.0) == 8.0
        model.scale = 2.0
        found = model.by_all(1.0)
        assert (found.w, found.scale) == (2.0, 3.0)
    model.scale = 5.0
    assert model.slope(1.0) == 15.0
    assert Model.slope.stats.captures == 1


def test_another_structure_is_another_signature() -> None:
    g = tg.grad(lambda p: sum(p) if isinstance(p, list) else p["a"] * 3.0)
    for _ in range(2):
        assert g([1.0, 2.0]) == [1.0, 1.0]
        assert g([1.0, 2.0, 3.0]) == [1.0, 1.0, 1.0]
        assert g({"a": 1.0}) == {"a": 3.0}
    assert g.stats.captures == 3


# --- whole numbers


@pytest.mark.parametrize("jit", ["python", "native"])
def test_a_step_counter_does_not_retrace(jit: str) -> None:
    g = tg.grad(lambda x, step: x * x / (1.0 + 0.1 * step), jit=jit)
    for step in range(20):
        assert g(1.0, step) == pytest.approx(2.0 / (1.0 + 0.1 * step), rel=1e-15)
    assert g.stats.captures == 1


@pytest.mark.parametrize(
    "used",
    [
        lambda x, n: np.sum(x[:n]),
        lambda x, n: np.sum(np.zeros(n) + x[0]),
        lambda x, n: sum([x[i] for i in range(n)]),
        lambda x, n: x[0] * len([1] * n),
    ],
)
def test_a_whole_number_used_as_a_size_or_an_index_is_guarded_by_value(used: Any) -> None:
    g = tg.grad(used)
    x = np.array([1.0, 2.0, 3.0, 4.0])
    eye = np.eye(4)
    for n in (1, 2, 1, 3, 2):
        expected = [(used(x + 1e-6 * e, n) - used(x - 1e-6 * e, n)) / 2e-6 for e in eye]
        np.testing.assert_allclose(g(x, n), expected, atol=1e-8)
    assert g.stats.captures == 3


def test_a_whole_number_used_as_an_index_of_an_array_is_a_value() -> None:
    g = tg.grad(lambda x, n: x[n] ** 2)
    x = np.array([1.0, 2.0, 3.0, 4.0])
    for n in (1, 2, -1, 3, 0):
        expected = np.zeros(4)
        expected[n] = 2 * x[n]
        np.testing.assert_allclose(g(x, n), expected)
    assert g.stats.captures == 1
    with pytest.raises(IndexError, match="out of bounds"):
        g(x, 4)


def test_a_whole_number_in_a_condition_is_guarded_by_the_outcome() -> None:
    g = tg.grad(lambda x, n: x * 3.0 if n > 10 else x * n)
    assert [g(1.0, n) for n in (1, 5, 11, 100, 3)] == [1.0, 5.0, 3.0, 3.0, 3.0]
    assert g.stats.captures == 2


@pytest.mark.parametrize("jit", ["python", "native"])
def test_whole_numbers_of_any_size(jit: str) -> None:
    g = tg.grad(lambda x, n: x * n, jit=jit)
    for n in (2, 3, 2**31, 2**40, 2**63, -(2**63), 2**70, -(2**70), 7):
        assert g(1.0, n) == float(n)
    assert tg.grad(lambda n: n * 2.0, jit=jit)(2**70) == 2.0


def test_arithmetic_of_whole_numbers_is_pythons() -> None:
    for f in (
        lambda n: n * n,
        lambda n: n**3,
        lambda n: 3 * n * n * n + n,
        lambda n: n**20,
        lambda n: 2 ** (n % 80),
        lambda n: 2**-n if abs(n) < 100 else n,
        lambda n: 2**62 + n + n + 2**62,
    ):
        g = tg.grad(lambda x, n, f=f: x * f(n), jit="python")
        for n in (2, 3, 10**10, 2**31 - 1, 7, -(2**40), -5):
            assert g(1.0, n) == pytest.approx(float(f(n)), rel=1e-15)


# --- things that are not traced


def test_other_values_are_part_of_the_signature() -> None:
    def f(x: Any, how: Any) -> Any:
        if callable(how):
            return how(x)
        if how is None:
            return x
        return x * len(how) if isinstance(how, str) else x * (2.0 if how else 3.0)

    def triple(x: Any) -> Any:
        return 3.0 * x

    g = tg.grad(f)
    for _ in range(2):
        assert g(1.0, None) == 1.0
        assert g(1.0, "ab") == 2.0
        assert g(1.0, "abcd") == 4.0
        assert g(1.0, True) == 2.0
        assert g(1.0, False) == 3.0
        assert g(1.0, triple) == 3.0
        assert g(1.0, np.sin) == pytest.approx(np.cos(1.0))
    assert g.stats.captures == 7


def test_equal_strings_are_the_same_signature() -> None:
    g = tg.grad(lambda x, how: x * len(how))
    for _ in range(3):
        assert g(1.0, "".join(["a", "b"])) == 2.0
    assert g.stats.captures == 1


def test_true_is_not_one() -> None:
    g = tg.grad(lambda x, flag: x * 2.0 if flag is True else x * flag)
    assert [g(1.0, v) for v in (True, 1, 3, np.True_, 1.0)] == [2.0, 1.0, 3.0, 1.0, 1.0]


def test_objects_are_followed_to_what_is_read_of_them() -> None:
    class Model:
        def __init__(self, rate: float, deep: bool) -> None:
            self.rate, self.deep = rate, deep

    g = tg.grad(lambda x, model: x * model.rate * (2.0 if model.deep else 1.0))
    model = Model(3.0, False)
    assert g(1.0, model) == 3.0
    model.rate = 4.0
    assert g(1.0, model) == 4.0
    model.deep = True
    assert g(1.0, model) == 8.0
    model.deep = False
    assert g(1.0, model) == 4.0
    assert g.stats.captures == 2


# --- numbers that are none


@pytest.mark.parametrize("jit", ["python", "native"])
def test_nan_and_infinity_go_through(jit: str) -> None:
    vg = tg.value_and_grad(lambda x: np.sum(x * x), jit=jit)
    for v in (np.nan, np.inf, -np.inf):
        value, gradient = vg(np.array([v, 1.0]))
        np.testing.assert_array_equal(value, v * v + 1.0)
        np.testing.assert_array_equal(gradient, [2 * v, 2.0])


@pytest.mark.parametrize("jit", ["python", "native"])
def test_nan_takes_the_other_arm(jit: str) -> None:
    g = tg.grad(lambda x: x * 2.0 if x > 0 else x * 3.0, jit=jit)
    assert [g(v) for v in (1.0, np.nan, 1.0, -1.0, np.nan)] == [2.0, 3.0, 2.0, 3.0, 3.0]


# --- arrays of what is no number

WORDS = np.array(["a", "b", "a"])
DAYS = np.array(["2020-01-01", "2020-01-03", "2020-02-01"], "datetime64[D]")
ROWS = np.array([(1.0, 2), (2.0, 3), (3.0, 4)], [("w", float), ("n", int)])


def by_words(x: Any, words: Any) -> Any:
    total = np.sum(x[words == "a"] ** 2)
    for k, word in enumerate(words):
        if word == "b":
            total = total + 3 * x[k]
    return total


def by_days(x: Any, days: Any) -> Any:
    return np.sum(x * (days - days[0]).astype(float)) + x[np.argmax(days)] ** 2


def by_rows(x: Any, rows: Any) -> Any:
    return np.sum(np.sin(x) * rows["w"]) + sum(row["n"] * x[k] for k, row in enumerate(rows))


@pytest.mark.parametrize("jit", ["python", "native"])
@pytest.mark.parametrize(
    ("function", "data", "other"),
    [(by_words, WORDS, "c"), (by_days, DAYS, "2021-05-01"), (by_rows, ROWS, (7.0, 8))],
    ids=["words", "days", "rows"],
)
def test_texts_dates_and_records_are_compared_by_what_is_in_them(
    function: Any, data: Any, other: Any, jit: str
) -> None:
    x = np.array([0.5, -1.0, 2.0])
    g = tg.grad(function, jit=jit)
    changing = data.copy()

    def check(given: Any) -> None:
        steps = 1e-6 * np.eye(3)
        expected = [(function(x + h, given) - function(x - h, given)) / 2e-6 for h in steps]
        np.testing.assert_allclose(g(x, given), expected, rtol=1e-7, atol=1e-7)

    check(changing)
    check(data.copy())
    check(data)
    assert g.stats.captures == 1
    changing[1] = other
    check(changing)
    check(data)
    check(data[::-1])
    captures = g.stats.captures
    check(changing)
    check(data[::-1].copy())
    assert g.stats.captures == captures


def test_records_among_the_arguments_are_not_written() -> None:
    def writes(x: Any, rows: Any) -> Any:
        rows["w"][0] = 5.0
        return np.sum(x * rows["w"])

    rows = ROWS.copy()
    for _ in range(2):
        with pytest.raises(ValueError, match="read-only"):
            tg.grad(writes)(np.ones(3), rows)
    np.testing.assert_array_equal(rows, ROWS)
