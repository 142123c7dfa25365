"""The loops of compiled programs work on several elements at once: their machine code says so."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tracegrad as tg
from tests.emit.kernel_patterns import X86, assert_packed, compiled, machine_code, numbers

MATRIX = numbers(40, 300)
ROW = numbers(300, seed=2)
LONG = numbers(5000, seed=3)


def chain(x: Any) -> Any:
    for _ in range(5):
        x = np.sqrt(x * x + 1.0) / (x + 2.0)
    return x


PATTERNS: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    "chain": (lambda x: np.sum(chain(x)), (LONG,)),
    "chain of a matrix": (lambda x: np.sum(chain(x)), (MATRIX,)),
    "single precision": (lambda x: np.sum(chain(x)), (LONG.astype(np.float32),)),
    "a row for every row": (lambda x, y: np.sum(np.sqrt(x * y + x)), (MATRIX, ROW)),
    "sums of columns": (lambda x, y: np.sum(np.sum(x * x, axis=0) * y), (MATRIX, ROW)),
    "slices": (lambda x: np.sum((x[1:] - x[:-1]) ** 2), (LONG,)),
    "mean": (lambda x, y: np.mean((x - y) ** 2), (LONG, LONG[::-1].copy())),
    "variance": (lambda x: np.var(x), (LONG,)),
    "inner product": (lambda x, y: np.dot(x * x, y), (LONG, LONG[::-1].copy())),
    "norm": (lambda x: np.linalg.norm(x / (1.0 + x)), (LONG,)),
    "lengths": (lambda x: np.sum(np.abs(x + 1j * x * x)), (LONG,)),
}


@pytest.mark.parametrize("name", PATTERNS)
def test_value_and_gradient(name: str) -> None:
    function, values = PATTERNS[name]
    native = compiled(function, *values)
    wrt = {} if len(values) == 1 else {"argnums": tuple(range(len(values)))}
    readable = tg.value_and_grad(function, jit="python", **wrt)
    (value, bars), (wanted, wanted_bars) = native(*values), readable(*values)
    precise = values[0].dtype == np.float64
    np.testing.assert_allclose(value, wanted, rtol=1e-13 if precise else 1e-5)
    for bar, other in zip(*(b if isinstance(b, tuple) else (b,) for b in (bars, wanted_bars)), strict=True):
        scale = np.max(np.abs(other))
        np.testing.assert_allclose(bar / scale, other / scale, atol=1e-13 if precise else 1e-4)
    assert_packed(native, 4)


def test_loops_over_known_sizes_are_not_written_out() -> None:
    """LLVM would: six times as many instructions here, thirty times in a longer one, in as many times the seconds."""

    def smoothed(u: Any) -> Any:
        u = u.copy()
        for _ in range(20):
            u[1:-1, 1:-1] += 0.1 * (u[2:, 1:-1] + u[:-2, 1:-1] + u[1:-1, 2:] - 3.0 * u[1:-1, 1:-1])
        return np.sum(u * u)

    f = compiled(smoothed, numbers(100, 100))
    assert_packed(f, 4)
    assert len(machine_code(f).splitlines()) < 1200


def edges(u: Any) -> Any:
    across, down = np.gradient(u)
    return np.sum(np.sqrt(across * across + down * down + 0.001))


def products_with_itself_later(x: Any) -> Any:
    return np.sum(np.array([np.sum(x[k:] * x[:-k]) for k in range(1, 9)]) ** 2)


@pytest.mark.parametrize(
    ("function", "x"), [(edges, numbers(40, 40)), (products_with_itself_later, numbers(50))]
)
def test_short_loops_that_are_no_vectors_are_not_written_out(function: Callable[..., Any], x: Any) -> None:
    """LLVM would: three and four times as many instructions, in as many times the seconds, and they run longer."""
    f = compiled(function, x)
    assert len(machine_code(f).splitlines()) < 1200


def test_a_result_that_is_no_sum() -> None:
    f = compiled(chain, LONG, transform=tg.jit)
    np.testing.assert_allclose(f(LONG), chain(LONG), rtol=1e-14)
    assert_packed(f, 10)


def test_many_inputs_and_results_in_one_loop() -> None:
    given = [numbers(5000, seed=k) for k in range(4)]
    f = compiled(lambda a, b, c, d: np.sum(np.sqrt(a * b + c / d) * (a + d)), *given)
    assert f.native_source.count("range(0, 5000") == 1
    assert_packed(f, 20)


def test_loops_with_other_statements_between_them_are_one() -> None:
    matrix, x = numbers(30, 30), numbers(30)

    def f(matrix: Any, x: Any) -> Any:
        y = np.sqrt(x) + x
        z = np.dot(matrix, x)
        return np.sum(y * z)

    made = compiled(f, matrix, x, transform=tg.jit)
    assert made.native_source[made.native_source.index("def f(") :].count("for i in") == 1
    np.testing.assert_allclose(made(matrix, x), f(matrix, x), rtol=1e-13)


def test_a_loop_stays_before_what_reads_its_result() -> None:
    matrix, x = numbers(30, 30), numbers(30)

    def f(matrix: Any, x: Any) -> Any:
        y = np.sqrt(x) + x
        z = np.dot(matrix, y)
        return np.sum(y * z)

    made = compiled(f, matrix, x, transform=tg.jit)
    np.testing.assert_allclose(made(matrix, x), f(matrix, x), rtol=1e-13)


def multiply_and_add(x: Any, y: Any, z: Any) -> Any:
    return (x * y + z) * x - y * z


FUSED = re.compile(r"\tvfn?m(?:add|sub)\d+[sp][sd]\b")


@pytest.mark.parametrize("contract", [True, False])
def test_multiply_and_add_are_fused_only_where_that_is_allowed(contract: bool) -> None:
    x, y, z = (numbers(3000, seed=k) for k in range(3))
    with tg.config.using(contract=contract):
        f = compiled(multiply_and_add, x, y, z, transform=tg.jit)
    found, wanted = f(x, y, z), multiply_and_add(x, y, z)
    np.testing.assert_allclose(found, wanted, atol=1e-15)
    if not contract:
        np.testing.assert_array_equal(found, wanted)
        assert "without fused multiply-add" in f.native_source
    if X86:
        assert bool(FUSED.search(machine_code(f))) <= contract
        if "vfmadd" in machine_code(compiled(lambda x: np.sum(x * x), LONG, transform=tg.jit)):
            assert bool(FUSED.search(machine_code(f))) == contract
