"""Reductions written as sums give what NumPy's give."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

from tracegrad.ir.interpret import interpret
from tracegrad.ir.trace import Instr, Trace
from tracegrad.ir.types import array_type
from tracegrad.ir.verify import verify
from tracegrad.ops.compare import absolute
from tracegrad.ops.families import real
from tracegrad.ops.linalg import dot, matmul
from tracegrad.ops.op import Op
from tracegrad.ops.reduce import logsumexp, mean, norm, std, var
from tracegrad.ops.shape import copy, diag
from tracegrad.ops.symbol import Builder
from tracegrad.passes.spell_out import spell_out


def one_step(op: Op, *values: Any, **params: Any) -> Trace:
    builder = Builder()
    inputs = [builder.input(array_type(v.shape, v.dtype), f"x{k}") for k, v in enumerate(values)]
    return builder.trace(inputs, [op(*inputs, **params)])


def names(trace: Trace) -> list[str]:
    return [step.op.name for step in trace.steps if isinstance(step, Instr)]


def both(trace: Trace, *values: Any) -> tuple[Any, Any]:
    spelled = spell_out(trace)
    verify(spelled)
    assert [v.type for v in spelled.outputs] == [v.type for v in trace.outputs]
    assert "sum" in names(spelled)
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return interpret(spelled, values)[0], interpret(trace, values)[0]


@pytest.mark.parametrize("op", [mean, norm, var, std, logsumexp])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("shape", [(5,), (3, 4), (1,)])
@pytest.mark.parametrize("keepdims", [False, True])
def test_over_all_axes(op: Op, dtype: Any, shape: tuple[int, ...], keepdims: bool) -> None:
    x = np.random.default_rng(0).normal(size=shape).astype(dtype)
    more = {"ddof": 0} if op in (var, std) else {}
    trace = one_step(op, x, axis=tuple(range(len(shape))), keepdims=keepdims, **more)
    found, wanted = both(trace, x)
    np.testing.assert_allclose(found, wanted, rtol=1e-5 if dtype == np.float32 else 1e-14, atol=1e-7)


@pytest.mark.parametrize("op", [mean, var])
def test_over_few_elements_of_one_axis(op: Op) -> None:
    x = np.random.default_rng(0).normal(size=(3, 7))
    more = {"ddof": 1} if op is var else {}
    np.testing.assert_allclose(*both(one_step(op, x, axis=(1,), keepdims=True, **more), x), rtol=1e-14)


@pytest.mark.parametrize(
    "values",
    [[np.inf, 1.0], [-np.inf, -np.inf], [-np.inf, 2.0], [np.nan, 1.0], [1e308, 1e308], [-1e308, 0.0]],
)
def test_logsumexp_of_extremes(values: list[float]) -> None:
    x = np.array(values)
    np.testing.assert_allclose(*both(one_step(logsumexp, x, axis=(0,), keepdims=False), x), rtol=1e-15)


@pytest.mark.parametrize("op", [dot, matmul])
def test_inner_products(op: Op) -> None:
    x, y = np.random.default_rng(0).normal(size=(2, 9))
    np.testing.assert_allclose(*both(one_step(op, x, y), x, y), rtol=1e-14)


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("axis", [(0,), (1,), (0, 2), (1, 2)])
def test_rows_and_columns_of_any_length(axis: tuple[int, ...], keepdims: bool) -> None:
    x = np.random.default_rng(0).normal(size=(3, 200, 5)) * 300.0
    x[0, 7, 3] = np.inf
    for op, values, more in ((logsumexp, x, {}), (var, x[1:], {"ddof": 1})):
        given = one_step(op, values, axis=axis, keepdims=keepdims, **more)
        assert op.name not in names(spell_out(given))
        np.testing.assert_allclose(*both(given, values), rtol=1e-13)


def test_what_is_no_loop_stays() -> None:
    whole = one_step(mean, np.ones(4, np.int64), axis=(0,), keepdims=False)
    assert names(spell_out(whole)) == ["mean"]


@pytest.mark.parametrize("dtype", [np.complex128, np.complex64])
def test_the_absolute_value_of_complex_numbers_is_a_length(dtype: Any) -> None:
    x = np.array([3 + 4j, -2j, 0, 1e-30 + 1e-30j, np.inf + 1j, complex(np.nan, np.inf)]).astype(dtype)
    found = spell_out(one_step(absolute, x))
    verify(found)
    assert "hypot" in names(found) and "absolute" not in names(found)
    wanted = np.abs(x)
    assert found.outputs[0].dtype == wanted.dtype
    np.testing.assert_allclose(interpret(found, [x])[0], wanted, rtol=4 * np.finfo(dtype).eps)


def test_a_real_part_that_nobody_else_reads_is_not_copied() -> None:
    builder = Builder()
    z = builder.input(array_type((5,), np.complex128), "z")
    assert names(spell_out(builder.trace([z], [copy(real(z * 2.0))]))) == ["multiply", "real"]


def test_a_long_diagonal_is_no_matrix() -> None:
    v, x = np.arange(-200.0, 200.0), np.random.default_rng(3).normal(size=(400, 400))
    trace = one_step(diag, v, k=0)
    spelled = spell_out(trace)
    verify(spelled)
    assert "diag" not in names(spelled)
    np.testing.assert_array_equal(interpret(spelled, [v])[0], np.diag(v))
    assert spell_out(one_step(diag, v, k=1)).steps[-1].op is diag  # type: ignore[union-attr]
    builder = Builder()
    a, b = builder.input(array_type(v.shape, v.dtype), "v"), builder.input(array_type(x.shape, x.dtype), "x")
    trace = builder.trace([a, b], [diag(a, k=0) + b])
    np.testing.assert_array_equal(interpret(spell_out(trace), [v, x])[0], np.diag(v) + x)
