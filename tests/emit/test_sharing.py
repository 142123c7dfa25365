"""Arrays in the same memory, one after the other: which may be, which not, and how much memory programs need."""

from __future__ import annotations

import ast
import gc
import re
from typing import Any

import numpy as np
import pytest

import tracegrad as tg
from tests.benchmarks.workloads import LARGE, WORKLOADS
from tests.emit.kernel_patterns import numbers
from tests.emit.test_rows import (
    layer_norm,
    least,
    log_softmax,
    logs_of_sums,
    row_beside_vector,
    rows_and_columns,
    softmax,
)
from tracegrad.compiler import pool
from tracegrad.emit.printer import Line
from tracegrad.emit.sharing import shared
from tracegrad.ir.types import ArrayType

SQUARE = ArrayType((200, 200), np.dtype(np.float64))


def lines(text: str) -> list[Line]:
    """Statements as the emitter has them: what a compound one holds stands beside it."""

    def made(statement: Any) -> Line:
        body = [made(s) for s in getattr(statement, "body", ())]
        return Line(statement, body=body, orelse=[made(s) for s in getattr(statement, "orelse", ())])

    return [made(s) for s in ast.parse(text).body]


def found(text: str, *names: str, part: str = "", **returned: int) -> dict[str, str]:
    parts = {"part": lines(part)} if part else {}
    rooms = shared(lines(text), dict.fromkeys(names or ("a", "b"), SQUARE), returned, parts)
    return {name: room.memory for room in rooms for name in room.names if name != room.memory}


LOOPS = "np.dot(x, w, a)\nfor i in range(200):\n    for j in range(200):\n        {}\nreturn_(b[0, 0])"


def test_a_loop_writes_where_it_read() -> None:
    assert found(LOOPS.format("b[i, j] = tanh(a[i, j] + w[j])")) == {"b": "a"}


@pytest.mark.parametrize(
    "statement",
    [
        "b[i, j] = a[j, i]",
        "b[i, j] = a[i, j - 1]",
        "b[i, 0] += a[i, j]",
        "b[i, j] = a[0, 0] + a[i, j]",
        "b[i, j] = x[i, j]\n        y[i, j] = a[i, j]",
        "b[j, 0] = a[j, 0]",
        "b[i, j] = a[i, j]\n        a[i, j] = 0.0",
        "b[i, j] = f(a)",
        "b[i, j] = np.sum(a[i])",
        "b[i, :] = a[i, :]",
        "if x[i] > 0:\n            b[i, j] = a[i, j]",
        "for k in range(3):\n            b[i, j] = a[i, j]",
        "b[i, j] = a[i, j]\n        np.dot(a[i:i + 1], w, z)",
        "b[i, j] = a[i, j]\n        z += np.dot(a[i, j], b)",
    ],
)
def test_a_loop_that_may_read_what_it_wrote_has_two_memories(statement: str) -> None:
    assert found(LOOPS.format(statement)) == {}


def test_blocks_of_a_loop_are_one_loop() -> None:
    head = "a[0, 0] = 1.0\nfor start in range(0, 200, 64):\n    for k in range(64):\n        "
    text = head + "i = start {} k\n        b[i, 0] = a[i, 0]"
    assert found(text.format("+")) == {"b": "a"}
    assert found(text.format("*")) == {}


SHARED = "np.dot(x, w, a)\nin_threads(13, part, (a, b))\nreturn_(b[0, 0])"
PART = """for block in range(13):
    if first <= block < last:
        row = 16 * block
        for l in range(min(16, 200 - row)):
            i = row + l
            for j in range(200):
                {}"""


def test_a_loop_that_threads_share_writes_where_it_read() -> None:
    assert found(SHARED, part=PART.format("b[i, j] = a[i, j] - w[j]")) == {"b": "a"}
    whole = PART.format("b[i, j] = a[i, j]").replace("range(min(16, 200 - row))", "range(16)")
    assert found(SHARED, part=whole) == {"b": "a"}


@pytest.mark.parametrize(
    "part",
    [
        PART.format("b[i, j] = a[j, i]"),
        PART.format("b[i, j] = x[i, j]\n                y[i, j] = a[i, j]"),
        PART.format("b[l, j] = a[l, j]"),
        PART.format("b[i, j] = a[i, j]").replace("min(16,", "min(17,"),
        PART.format("b[i, j] = a[i, j]").replace("first <= block < last", "first <= 2 * block < last"),
        PART.format("b[i, j] = a[i, j]").replace("first <= block < last", "x[block] > 0.0"),
        "s = np.sum(a)\n" + PART.format("b[i, j] = a[i, j] - s"),
    ],
)
def test_threads_do_not_write_what_another_may_read(part: str) -> None:
    assert found(SHARED, part=part) == {}


def test_threads_may_share_a_loop_inside_of_one_that_is_looked_into() -> None:
    text = LOOPS.format("b[i, j] = a[i, j]").replace("    for j", "    if x[i]:\n        {}\n    for j")
    shared_loop, part = "in_threads(3, part, (c,))", "for k in range(3):\n    c[k] = 0.0"
    assert found(text.format(shared_loop), part=part) == {"b": "a"}
    assert found(text.format(shared_loop), part=part.replace("0.0", "a[k, k]")) == {}


def test_what_is_read_for_the_last_time_makes_room() -> None:
    assert found("np.dot(x, y, a)\nz[0] = a[3, 4]\nnp.dot(x, y, b)") == {"b": "a"}
    assert found("np.dot(x, y, a)\nnp.dot(a.T, y, b)") == {}
    assert found("np.dot(x, y, a)\nz += np.dot(a[0:8].T, y[0:8])\nnp.dot(x, y, b)") == {"b": "a"}
    assert found("np.dot(x, y, a)\nz = a[0:8].T\nnp.dot(x, y, b)") == {}
    assert found("np.dot(x, y, a)\nz = a.reshape(400)\nnp.dot(x, y, b)") == {}
    assert found("np.dot(x, y, a)\nz = kernel(a)\nnp.dot(x, y, b)\nz[0]") == {}


@pytest.mark.parametrize("part", ["0", "k", "..., 0", "0, None, 0", "0, :"])
def test_a_row_that_has_a_name_may_be_read_later(part: str) -> None:
    assert found(f"np.dot(x, y, a)\nz = a[{part}]\nnp.dot(x, z, b)") == {}


def test_a_row_of_a_large_array_beside_another_large_array() -> None:
    def f(x: Any, y: Any) -> Any:
        v = np.sort(x, axis=0)
        row = v[0]
        return np.sum(np.cumsum(x * y, axis=1)) + np.sum(np.sin(y @ row)) + np.sum(v * v)

    x, y = numbers(100, 100), numbers(100, 100, seed=2)
    native, readable = (tg.value_and_grad(f, (0, 1), jit=tier)(x, y) for tier in ("native", "python"))
    np.testing.assert_allclose(native[0], readable[0], rtol=1e-12)
    for got, want in zip(native[1], readable[1], strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-12)


def test_a_kernel_writes_where_it_reads_if_it_is_done_there() -> None:
    assert found("np.dot(x, y, a)\ncumsum_blocks(a, 1, 200, 200, True, 0.0, b)") == {"b": "a"}
    assert found("np.dot(x, y, a)\nargsort_floats(a, 1, 200, 200, b)") == {}
    assert found("np.dot(x, y, a)\nrecurrence_blocks(x, a, 200, 200, 1, True, 0.0, b)") == {}
    assert found("np.dot(x, y, a)\ncumsum_blocks(a.T, 1, 200, 200, True, 0.0, b)") == {}
    assert found("np.dot(x, y, a)\ncumsum_blocks(a, 1, 200, 200, True, 0.0, b)\nz[0] = a[0, 0]") == {}
    assert found(
        "cumsum_blocks(x, 1, 200, 200, True, 0.0, a)\nz[0] = a[0, 0]\nargsort_floats(y, 1, 4, 1, b)"
    ) == {"b": "a"}


def test_a_loop_that_reads_an_array_without_an_index_keeps_it() -> None:
    assert found("np.dot(x, y, a)\nfor i in range(200):\n    cumsum_blocks(a, 1, 9, 9, True, 0.0, b)") == {}


def test_a_result_keeps_its_memory_and_gives_its_name() -> None:
    text = "np.dot(x, y, a)\nz[0] = a[3, 4]\nnp.dot(x, y, b)\nz[0] = b[0, 0]\nnp.dot(x, y, c)"
    assert found(text, "a", "b", "c", b=1) == {"a": "b"}
    assert found(text, "a", "b", "c") == {"b": "a", "c": "a"}


def test_only_arrays_of_one_size_and_kind() -> None:
    text = "np.dot(x, y, a)\nz[0] = a[3, 4]\nnp.dot(x, y, b)"
    for other in (ArrayType((200, 201), np.dtype(np.float64)), ArrayType((200, 200), np.dtype(np.float32))):
        assert len(shared(lines(text), {"a": SQUARE, "b": other}, {}, {})) == 2


# --- programs


def layers(w: Any, v: Any, x: Any) -> Any:
    h = np.tanh(np.dot(x, w) + 1.0)
    return np.sum(np.tanh(np.dot(h, v)) ** 2)


def test_programs_that_share_give_the_same_derivatives() -> None:
    draw = np.random.default_rng(4)
    given = [draw.standard_normal((96, 96)) / 10 for _ in range(3)]
    native = tg.value_and_grad(layers, argnums=(0, 1, 2), jit="native")
    python = tg.value_and_grad(layers, argnums=(0, 1, 2), jit="python")
    native(*given)
    assert native.native_source.count(" = x_bar\n") == 2
    for factor in (1.0, -0.5):
        x = [factor * a for a in given]
        (value, gradients), (wanted, right) = native(*x), python(*x)
        np.testing.assert_allclose(value, wanted, rtol=1e-13)
        for got, other in zip(gradients, right, strict=True):
            np.testing.assert_allclose(got, other, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("name", LARGE)
def test_value_and_gradient_need_no_more_memory_than_they_must(name: str) -> None:
    """Inputs, gradients, residuals, and a tenth: everything that the native text makes, counted."""
    workload = WORKLOADS[name]
    (given,) = workload.make()
    function = tg.value_and_grad(workload.function, argnums=workload.argnums, jit="python")
    _, gradients = function(*given)
    planned = sum(_bytes(*m[:2]) for m in function.last.built.memory)
    planned += sum(_made_inside(function.native_source))
    gradients = gradients if isinstance(gradients, tuple) else (gradients,)
    inputs, wanted = (sum(np.asarray(a).nbytes for a in arrays) for arrays in (given, gradients))
    assert wanted <= planned + 65536 * len(gradients)
    assert inputs + planned <= 1.1 * (inputs + wanted + workload.residuals)


def named_again(u: Any, w: Any) -> Any:
    v = np.tanh(np.dot(u, w))
    u = np.dot(v, w)
    total = np.sum(u)
    u = np.dot(v.T, w)
    return total * u


def named_as_an_argument(u: Any, w: Any) -> Any:
    v = np.dot(u, w)
    v = np.dot(v, w) * np.sum(v)
    u = np.dot(v.T, w)
    return np.tanh(u)


@pytest.mark.parametrize("function, arrays", [(named_again, 2), (named_as_an_argument, 2)])
def test_arrays_of_one_name_are_planned_apart(function: Any, arrays: int) -> None:
    given = [numbers(100, 100, seed=k) - 1.0 for k in range(2)]
    native = tg.jit(function, jit="native")
    wanted = function(*given)
    np.testing.assert_allclose(native(*given), wanted, rtol=0, atol=1e-11 * np.max(np.abs(wanted)))
    assert "np.empty" not in native.native_source
    assert len(native.last.built.memory) == arrays


def test_products_are_not_gathered_beside_a_result_as_large() -> None:
    """Three gradients, and the first product, in whose memory the others stand."""

    def f(x: Any, y: Any, z: Any) -> Any:
        return np.sum((x @ y @ z) ** 2)

    given = [numbers(800, 800, seed=k) - 1.0 for k in range(3)]
    native = tg.value_and_grad(f, argnums=(0, 1, 2), jit="native")
    value, bars = native(*given)
    wanted, wanted_bars = tg.value_and_grad(f, argnums=(0, 1, 2), jit="python")(*given)
    np.testing.assert_allclose(value, wanted, rtol=1e-12)
    for bar, other in zip(bars, wanted_bars, strict=True):
        np.testing.assert_allclose(bar, other, rtol=0, atol=1e-12 * np.max(np.abs(other)))
    planned = sum(_bytes(*m[:2]) for m in native.last.built.memory)
    assert planned + sum(_made_inside(native.native_source)) <= 4.1 * given[0].nbytes


def losses(x: Any, t: Any) -> Any:
    largest = np.max(x, axis=1, keepdims=True)
    return np.mean(np.log(np.sum(np.exp(x - largest), axis=1)) + largest[:, 0]) + np.sum(t * x)


def centred(x: Any, t: Any) -> Any:
    return np.sum((x - np.mean(x, axis=0)) ** 2 * t)


@pytest.mark.parametrize(
    "function, argnums",
    [
        *((f, (0,)) for f in (softmax, log_softmax, logs_of_sums, layer_norm)),
        *((f, (0,)) for f in (row_beside_vector, least, rows_and_columns)),
        *((f, wrt) for f in (losses, centred) for wrt in ((0,), (0, 1))),
    ],
)
def test_programs_on_rows_need_the_gradients_alone(function: Any, argnums: tuple[int, ...]) -> None:
    given = [numbers(600, 500, seed=k) for k in range(2 if function in (losses, centred) else 1)]
    native = tg.value_and_grad(function, argnums=argnums, jit="native")
    value, bars = native(*given)
    wanted, wanted_bars = tg.value_and_grad(function, argnums=argnums, jit="python")(*given)
    np.testing.assert_allclose(value, wanted, rtol=1e-12)
    for bar, other in zip(bars, wanted_bars, strict=True):
        np.testing.assert_allclose(bar, other, rtol=1e-11, atol=1e-12)
    planned = sum(_bytes(*m[:2]) for m in native.last.built.memory)
    planned += sum(_made_inside(native.native_source))
    large = given[0].nbytes
    assert planned <= (len(given) + len(argnums)) * 1.1 * large - len(given) * large


def five_points(x: Any) -> Any:
    y = x[2:, 1:-1] + x[:-2, 1:-1] + x[1:-1, 2:] + x[1:-1, :-2] - 4.0 * x[1:-1, 1:-1]
    return np.sum(y * y)


def total_variation(x: Any) -> Any:
    across, down = x[:-1, 1:] - x[:-1, :-1], x[1:, :-1] - x[:-1, :-1]
    return np.sum(np.sqrt(across * across + down * down + 1e-6))


def written_where_it_is_read(x: Any) -> Any:
    y = np.tanh(x)
    z = 2.0 * y[1:, 1:] - y[:-1, 1:]
    y[1:, 1:] += z
    y[1:, :-1] -= z
    return np.sum(y * x) + np.sum(z[0])


def relaxed(x: Any) -> Any:
    a = x.copy()
    for _ in range(6):
        a[1:-1] += 0.1 * (a[2:] - 2.0 * a[1:-1] + a[:-2])
    return np.sum(a * a)


@pytest.mark.parametrize(
    "function, arrays",
    [(five_points, 1.0), (total_variation, 2.0), (written_where_it_is_read, 6.0), (relaxed, 3.0)],
)
def test_what_is_added_at_several_places_is_made_again_there(function: Any, arrays: float) -> None:
    """One array is the gradient; total variation keeps a root for each element beside it, not two ratios."""
    x = numbers(300, 500)
    native = tg.value_and_grad(function, jit="native")
    value, bar = native(x)
    wanted, wanted_bar = tg.value_and_grad(function, jit="python")(x)
    np.testing.assert_allclose(value, wanted, rtol=1e-12)
    np.testing.assert_allclose(bar, wanted_bar, rtol=1e-11, atol=1e-12)
    step = 1e-6 * numbers(300, 500, seed=9)
    slope = (function(x + step) - function(x - step)) / 2
    np.testing.assert_allclose(np.sum(bar * step), slope, rtol=1e-5)
    planned = sum(_bytes(*m[:2]) for m in native.last.built.memory)
    planned += sum(_made_inside(native.native_source))
    assert planned <= 1.1 * arrays * x.nbytes


def test_a_product_in_a_sum_is_not_made_again_where_it_is_compared() -> None:
    """A machine may round the two at once in one loop and not in the next: no element would be the largest."""

    def f(x: Any, y: Any) -> Any:
        z = x * y + x
        return np.sum(np.max(z, axis=0)) + np.sum(np.max(z, axis=1) ** 2) + np.max(z)

    given = [numbers(300, 200, seed=k) for k in range(2)]
    native = tg.value_and_grad(f, argnums=(0, 1), jit="native")
    for bar, wanted in zip(
        native(*given)[1], tg.value_and_grad(f, (0, 1), jit="python")(*given)[1], strict=True
    ):
        np.testing.assert_allclose(bar, wanted, rtol=1e-12)
    assert native.native_source.count("z[i, j] = ") == 1
    assert not re.search(r"\bz(_\d)? = x\[", native.native_source)


def test_what_a_result_needs_is_not_made_again() -> None:
    def f(x: Any) -> Any:
        y = x * x
        return y, np.sum(np.max(y, axis=0)) * np.sum(np.sqrt(y))

    x = numbers(300, 200)
    native, python = (tg.vjp(f, jit=tier) for tier in ("native", "python"))
    seeds = (np.ones_like(x), 2.0)
    (y, total), back = native(x)
    (wanted, wanted_total), wanted_back = python(x)
    np.testing.assert_array_equal(y, wanted)
    np.testing.assert_allclose(total, wanted_total, rtol=1e-13)
    np.testing.assert_allclose(back(seeds), wanted_back(seeds), rtol=1e-12)


def _bytes(dtype: Any, shape: Any) -> int:
    return int(np.prod(shape)) * np.dtype(dtype).itemsize


def _made_inside(text: str) -> list[int]:
    """Bytes of the arrays that the program itself makes, kernels left out, as if all lived to the end."""
    entry = ast.parse(text).body[-1]
    sizes = []
    for call in ast.walk(entry):
        if isinstance(call, ast.Call) and ast.unparse(call.func) in ("np.empty", "np.zeros"):
            kind = ast.unparse(call.args[1]).removeprefix("np.") if len(call.args) > 1 else "float64"
            sizes.append(_bytes(kind.rstrip("_"), ast.literal_eval(call.args[0])))
    return sizes


def test_what_is_planned_is_what_a_call_takes() -> None:
    def chain(x: Any, y: Any) -> Any:
        return np.sum(x * y * y)

    x, y = np.ones(100_000), np.ones(100_000)
    function = tg.value_and_grad(chain, argnums=(0, 1), jit="native")
    function(x, y)
    gc.collect()
    pool.forget()
    result = function(x, y)
    assert pool.remembered() == sum(_bytes(*m[:2]) for m in function.last.built.memory) == x.nbytes + y.nbytes
    assert result[1][0][0] == 1.0


@pytest.mark.parametrize("axis", [0, 1])
def test_running_sums_and_those_back_stand_in_one_array(axis: int) -> None:
    def squares(x: Any) -> Any:
        return np.sum(np.cumsum(x, axis=axis) ** 2)

    x = np.random.default_rng(7).normal(size=(130, 90))
    gradient = tg.value_and_grad(squares, jit="native")
    value, found = gradient(x)
    sums = np.cumsum(x, axis=axis)
    back = np.flip(np.cumsum(np.flip(2.0 * sums, axis), axis=axis), axis)
    np.testing.assert_allclose(value, np.sum(sums**2), rtol=1e-12)
    np.testing.assert_array_equal(found, back)
    source = gradient.native_source
    assert "cumsum_blocks(twice_cumsum_x" in source and "twice_cumsum_x = x_bar" in source
    assert "np.empty((130, 90))" not in source and "[::-1]" not in source and ".copy()" not in source


KNOTS, VALUES = np.linspace(-2.0, 2.0, 9), np.linspace(-2.0, 2.0, 9) ** 3
WEIGHTS = np.array([0.5, 2.0, -1.0])


def test_what_kernels_make_is_planned_memory() -> None:
    x = np.random.default_rng(8).uniform(-1.9, 1.9, 20_000)
    slopes = np.diff(VALUES) / np.diff(KNOTS)
    smooth = np.convolve(x, WEIGHTS, mode="valid")
    cases: tuple[Any, ...] = (
        (lambda x: np.sum(np.interp(x, KNOTS, VALUES)), slopes[np.searchsorted(KNOTS, x) - 1]),
        (lambda x: np.sum(x[x > 0.2] ** 2), np.where(x > 0.2, 2.0 * x, 0.0)),
        (
            lambda x: np.sum(np.convolve(x, WEIGHTS, mode="valid") ** 2),
            np.convolve(2.0 * smooth, WEIGHTS[::-1], mode="full"),
        ),
        (lambda x: np.sum(np.sort(x) ** 2 * np.arange(20_000.0)), 2.0 * x * np.argsort(np.argsort(x))),
    )
    for function, wanted in cases:
        gradient = tg.value_and_grad(function, jit="native")
        value, found = gradient(x)
        np.testing.assert_allclose(value, function(x), rtol=1e-12)
        np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-12)
        made = re.findall(r"np\.empty\((\d+)(?:, np\.int64)?\)", gradient.native_source.rpartition("def ")[2])
        assert max(map(int, made), default=0) < 1000, gradient.native_source


def full(x: Any, k: Any) -> Any:
    return np.sum(np.tanh(np.convolve(x, k)))


def same(x: Any, k: Any) -> Any:
    return np.sum(np.tanh(np.convolve(x, k, mode="same")))


def valid(x: Any, k: Any) -> Any:
    return np.sum(np.tanh(np.convolve(x, k, mode="valid")))


@pytest.mark.parametrize("function", [full, same, valid])
@pytest.mark.parametrize("width", [7, 20])
def test_a_convolution_takes_its_own_memory_and_that_of_the_gradient(function: Any, width: int) -> None:
    x, k = (np.random.default_rng(seed).normal(size=n) for seed, n in ((9, 20_000), (10, width)))
    gradient = tg.value_and_grad(function, argnums=(0, 1), jit="native")
    value, found = gradient(x, k)
    np.testing.assert_allclose(value, function(x, k), rtol=1e-12)
    wanted = tg.grad(function, argnums=(0, 1), jit="python")(x, k)
    for a, b in zip(found, wanted, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-11)
    steps = [np.random.default_rng(11 + seed).normal(size=a.size) for seed, a in enumerate((x, k))]
    up, down = (function(x + h * steps[0], k + h * steps[1]) for h in (1e-6, -1e-6))
    slope = sum(np.sum(a * b) for a, b in zip(found, steps, strict=True))
    np.testing.assert_allclose(slope, (up - down) / 2e-6, rtol=1e-6, atol=1e-5)
    assert sum(_bytes(*m[:2]) for m in gradient.last.built.memory) < 2.02 * x.nbytes
    source = gradient.native_source
    assert "np.zeros(2" not in source and "np.ascontiguousarray(y)" not in source


def test_results_that_are_not_small_are_written_where_the_caller_wants_them() -> None:
    def scaled(x: Any) -> Any:
        return 3.0 * x

    f = tg.jit(scaled, jit="native")
    results = [f(numbers(600)), f(numbers(600))]
    assert "def scaled(x, value):" in f.native_source
    assert not np.shares_memory(results[0], results[1])
    for found in results:
        np.testing.assert_array_equal(found, 3.0 * numbers(found.size))
        assert found.flags.owndata and found.flags.writeable


def halved(x: Any) -> Any:
    return np.mean(x.reshape(x.shape[0] // 2, 2, x.shape[1] // 2, 2), axis=(1, 3))


def two_shapes_of_one(x: Any) -> Any:
    y = np.sin(x)
    return y.reshape(-1), y.reshape(-1, 2)


def both(x: Any) -> Any:
    y = np.sin(x)
    return y, y.reshape(-1)


@pytest.mark.parametrize(
    "function, largest",
    [
        (lambda x: np.sum(halved(x) ** 2), 1.0),
        (lambda x: np.sum(np.sum(x.reshape(-1, 10), axis=1) ** 3), 1.1),
    ],
)
def test_a_gradient_that_is_reshaped_has_no_memory_beside_it(function: Any, largest: float) -> None:
    given = [numbers(120, 100, seed=k) for k in range(2)]
    gradient = tg.grad(function, jit="native")
    bars = [gradient(x) for x in given]
    planned = sum(_bytes(*m[:2]) for m in gradient.last.built.memory)
    assert planned <= largest * given[0].nbytes
    assert not np.shares_memory(*bars)
    for bar, x in zip(bars, given, strict=True):
        assert bar.flags.owndata and bar.flags.writeable
        np.testing.assert_allclose(bar, tg.grad(function, jit="python")(x), rtol=1e-12, atol=1e-13)
        step = np.zeros_like(x)
        step[7, 31] = 1e-6
        slope = (function(x + step) - function(x - step)) / 2e-6
        np.testing.assert_allclose(bar[7, 31], slope, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("function", [two_shapes_of_one, both])
def test_results_that_are_shapes_of_one_array_are_apart(function: Any) -> None:
    x = numbers(120, 100)
    native = tg.jit(function, jit="native")
    for found in (native(x), native(x)):
        assert not np.shares_memory(*found)
        for one, wanted in zip(found, function(x), strict=True):
            np.testing.assert_allclose(one, wanted, rtol=1e-14)
