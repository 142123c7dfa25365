"""Arrays in the same memory, one after the other: which may be, which not, and how much memory programs need."""

from __future__ import annotations

import ast
import gc
from typing import Any

import numpy as np
import pytest

import tracegrad as tg
from tests.benchmarks.workloads import LARGE, WORKLOADS
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


def found(text: str, *names: str, **returned: int) -> dict[str, str]:
    return shared(lines(text), dict.fromkeys(names or ("a", "b"), SQUARE), returned)


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
    ],
)
def test_a_loop_that_may_read_what_it_wrote_has_two_memories(statement: str) -> None:
    assert found(LOOPS.format(statement)) == {}


def test_blocks_of_a_loop_are_one_loop() -> None:
    head = "a[0] = 1.0\nfor start in range(0, 200, 64):\n    for k in range(64):\n        "
    text = head + "i = start {} k\n        b[i] = a[i]"
    assert found(text.format("+")) == {"b": "a"}
    assert found(text.format("*")) == {}


def test_what_is_read_for_the_last_time_makes_room() -> None:
    assert found("np.dot(x, y, a)\nz[0] = a[3, 4]\nnp.dot(x, y, b)") == {"b": "a"}
    assert found("np.dot(x, y, a)\nnp.dot(a.T, y, b)") == {}
    assert found("np.dot(x, y, a)\nz = a.reshape(400)\nnp.dot(x, y, b)") == {}
    assert found("np.dot(x, y, a)\nz = kernel(a)\nnp.dot(x, y, b)\nz[0]") == {}


def test_a_result_keeps_its_memory_and_gives_its_name() -> None:
    text = "np.dot(x, y, a)\nz[0] = a[3, 4]\nnp.dot(x, y, b)\nz[0] = b[0, 0]\nnp.dot(x, y, c)"
    assert found(text, "a", "b", "c", b=1) == {"a": "b"}
    assert found(text, "a", "b", "c") == {"b": "a", "c": "a"}


def test_only_arrays_of_one_size_and_kind() -> None:
    text = "np.dot(x, y, a)\nz[0] = a[3, 4]\nnp.dot(x, y, b)"
    for other in (ArrayType((200, 201), np.dtype(np.float64)), ArrayType((200, 200), np.dtype(np.float32))):
        assert shared(lines(text), {"a": SQUARE, "b": other}, {}) == {}


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
