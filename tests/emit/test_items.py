"""Items read and written at the counter of a loop: value and gradient in every text, and what the text looks like."""

from __future__ import annotations

import ast
from typing import Any

import numpy as np
import pytest

import tracegrad as tg
from tests.emit.item_programs import PROGRAMS, item, put
from tests.emit.programs import Recorder, capture, joint, named, pair, while_
from tracegrad.ad.loop import loop
from tracegrad.compiler.numba_backend import compile_native
from tracegrad.emit.module import emit_array, emit_native
from tracegrad.ir.interpret import interpret
from tracegrad.ir.source import Source
from tracegrad.ir.trace import Trace
from tracegrad.ir.types import type_of


def run(source: Source) -> dict[str, Any]:
    namespace: dict[str, Any] = {}
    exec(compile(source.text, "<emitted>", "exec"), namespace)
    return namespace


def differences(function: Any, values: Any) -> list[Any]:
    """The gradient of a function of arrays by central differences."""
    found = []
    for place, value in enumerate(values):
        if np.asarray(value).dtype.kind != "f":
            continue
        slope = np.zeros(np.shape(value))
        for k in np.ndindex(slope.shape):
            ends = []
            for h in (1e-6, -1e-6):
                moved = [np.array(v) if np.ndim(v) else v for v in values]
                if np.ndim(value):
                    moved[place][k] += h
                else:
                    moved[place] = value + h
                ends.append(function(*moved))
            slope[k] = (ends[0] - ends[1]) / 2e-6
        found.append(slope)
    return found


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_trace_means_the_plain_function(name: str) -> None:
    function, plain, values = PROGRAMS[name]
    value, *gradients = interpret(joint(capture(function, values)), values)
    np.testing.assert_allclose(value, plain(*values), rtol=1e-13)
    for got, want in zip(gradients, differences(plain, values), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("name", PROGRAMS)
def test_every_text_computes_value_and_gradient(name: str) -> None:
    function, _, values = PROGRAMS[name]
    trace = capture(function, values)
    expected = interpret(joint(trace), values)
    kept = [np.array(v) for v in values]
    forward, backward = pair(trace)
    array = run(emit_array(forward, backward, 1))
    value, residuals = array[f"{name}_forward"](*values)
    gradients = array[f"{name}_backward"](residuals)
    found = [(value, *(gradients if isinstance(gradients, tuple) else (gradients,)))]
    native = emit_native("gradient", joint(trace))
    assert isinstance(native, Source), native
    found.append(run(native)[f"{name}_value_and_grad"](*values)[1:])
    compiled = compile_native(native, name, values)
    assert not isinstance(compiled, str), compiled
    found.append(compiled[f"{name}_value_and_grad"](*values)[1:])
    for results in found:
        for got, want in zip(results, expected, strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-12)
    for before, after in zip(kept, values, strict=True):
        np.testing.assert_array_equal(before, after)  # nothing was written into an argument


# --- in place ---------------------------------------------------------------------------------------------------------


def made_in_loops(text: str) -> list[str]:
    """The calls inside loops that make an array, or copy one: work that grows with the array at each step."""
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.For, ast.While)):
            calls = (ast.unparse(part) for part in ast.walk(node) if isinstance(part, ast.Call))
            found += [c for c in calls if c.endswith(".copy()") or c.startswith(("np.zeros", "np.empty"))]
    return found


def texts(name: str) -> list[str]:
    """Array text and native text."""
    function, _, values = PROGRAMS[name]
    trace = capture(function, values)
    native = emit_native("gradient", joint(trace))
    assert isinstance(native, Source), native
    return [emit_array(*pair(trace), 1).text, native.text]


@pytest.mark.parametrize(
    "name",
    [
        "squares",
        "neighbours",
        "recurrence",
        "doubled",
        "overwritten",
        "table_of_matrix",
        "histogram",
        "weights",
    ],
)
def test_items_are_written_in_place(name: str) -> None:
    for text in texts(name):
        assert made_in_loops(text) == []


def test_an_argument_is_copied_once_before_the_loop_that_writes_into_it() -> None:
    def shifted(x: Any) -> Any:
        (y,) = while_(None, lambda k, y: put(y, 2.0 * item(y, k - 1), k), {"y": x}, limit=x.shape[0])
        return y, x * 2.0

    trace = capture(shifted, (np.arange(3.0),))
    text = emit_array(trace, None, 2).text
    assert "y = x.copy()" in text
    assert made_in_loops(text) == []
    found, _ = run(emit_array(trace, None, 2))["shifted_forward"](np.array([1.0, 2.0, 3.0]))
    np.testing.assert_array_equal(found[0], [6.0, 12.0, 24.0])


def test_a_row_that_is_needed_after_the_write_is_copied_and_not_the_matrix() -> None:
    def swapped(A: Any) -> Any:
        def step(k: Any, A: Any) -> Any:
            row = named("row", item(A, k))
            return put(put(A, item(A, k + 1), k), row, k + 1)

        (B,) = while_(None, step, {"B": A}, limit=2)
        return B

    A = np.arange(12.0).reshape(3, 4)
    trace = capture(swapped, (A,))
    source = emit_array(trace, None, 1)
    assert "row = B[k].copy()" in source.text
    assert made_in_loops(source.text) == ["B[k].copy()"]
    native = emit_native("value", trace)
    assert isinstance(native, Source)
    compiled = compile_native(native, "swapped", (A,))
    assert not isinstance(compiled, str), compiled
    for found in (run(source)["swapped_forward"](A)[0], compiled["swapped"](A)[1]):
        np.testing.assert_array_equal(found, A[[1, 2, 0]])


def test_a_history_of_arrays_keeps_each_of_them() -> None:
    """What is stacked as a whole at each step must not be changed by the next step."""
    builder: Any = Recorder()
    x = builder.input(type_of(np.zeros(3)), "x")
    inner = Recorder(1)
    k, u = inner.input(type_of(0), "k"), inner.input(x.type, "u")
    changed = put(u, item(u, k - 1) + 1.0, k)
    params = {"condition": None, "stop": None, "body": inner.trace([k, u], [changed, changed]), "carried": 1}
    params |= {"sliced": 0, "reverse": False, "names": ("u",)}
    _, last, history = builder.apply(loop, [3, x], params)
    trace = builder.trace([x], [last, history])
    expected = interpret(trace, [np.zeros(3)])
    for source in (emit_array(trace, None, 2), emit_native("value", trace)):
        assert isinstance(source, Source)
        found = run(source)[source.entries[0]](np.zeros(3))
        results = found[0] if len(found) == 2 else found[1:]
        for got, want in zip(results, expected, strict=True):
            np.testing.assert_array_equal(got, want)


def test_arrays_of_one_step_get_their_memory_before_a_native_loop() -> None:
    native = texts("relaxed")[1]
    loops = "".join(
        ast.unparse(node) for node in ast.parse(native).body[-1].body if isinstance(node, ast.For)
    )  # type: ignore[attr-defined]
    for name in ("a", "b"):
        assert f"{name} = np.empty(3)" in native
        assert f"{name} = np.empty(3)" not in loops
    assert "np.empty(3)" not in loops  # nor is what is handed on to the next step, which takes turns


# --- indices outside --------------------------------------------------------------------------------------------------


def reading(x: Any, i: Any) -> Any:
    return item(x, i) * 2.0


def in_a_matrix(A: Any, i: Any) -> Any:
    return item(A, slice(None), i) * 2.0


def writing(x: Any, i: Any) -> Any:
    return put(x, 1.0, i)


def rows_written(A: Any, i: Any) -> Any:
    return put(A, 1.0, i, add=True)


VECTOR, MATRIX = np.arange(3.0), np.arange(6.0).reshape(2, 3)


@pytest.mark.parametrize("i", [-4, -3, -1, 0, 2, 3, 7])
@pytest.mark.parametrize(
    "function, x", [(reading, VECTOR), (in_a_matrix, MATRIX), (writing, VECTOR), (rows_written, MATRIX)]
)
def test_an_index_outside_is_numpys_error_in_every_text(function: Any, x: Any, i: int) -> None:
    trace = capture(function, (x, np.int64(i)))
    native = emit_native("value", trace)
    assert isinstance(native, Source)
    compiled = _compiled(native, trace, (x, np.int64(0)))
    outcomes = [
        _outcome(lambda: interpret(trace, (x, np.int64(i)))[0]),
        _outcome(lambda: run(emit_array(trace, None, 1))[f"{function.__name__}_forward"](x, np.int64(i))[0]),
        _outcome(lambda: run(native)[function.__name__](x, np.int64(i))[1]),
        _outcome(lambda: compiled(x, np.int64(i))[1]),
    ]
    for outcome in outcomes[1:]:
        np.testing.assert_array_equal(outcome, outcomes[0])


_PROGRAMS: dict[str, Any] = {}


def _compiled(source: Source, trace: Trace, values: Any) -> Any:
    if source.text not in _PROGRAMS:
        made = compile_native(source, trace.name, values)
        assert not isinstance(made, str), made
        _PROGRAMS[source.text] = made[trace.name]
    return _PROGRAMS[source.text]


def _outcome(call: Any) -> Any:
    try:
        return call()
    except IndexError as error:
        return str(error)


def test_an_index_that_is_surely_inside_is_not_checked() -> None:
    def text_of(index: Any, limit: Any) -> str:
        builder: Any = Recorder()
        x, n = builder.input(type_of(VECTOR), "x"), builder.input(type_of(0), "n")
        (s,) = while_(
            None,
            lambda k, s, x: s + item(x, index(k)),
            {"s": 0.0 * item(x, 0)},
            x,
            limit=n if limit is None else limit,
        )
        made = emit_native("value", builder.trace([x, n], [s]))
        assert isinstance(made, Source)
        return made.text

    for index in (
        lambda k: k,
        lambda k: k - 1,
        lambda k: -1 - k,
        lambda k: -k,
        lambda k: (k * 7 + 2) % 3,
        lambda k: k // 2,
    ):
        assert "checked" not in text_of(index, 3)
    for index, limit in [(lambda k: k, 4), (lambda k: k + 1, 3), (lambda k: -2 - k, 3), (lambda k: k, None)]:
        assert "checked(" in text_of(index, limit)


def test_the_second_of_a_pair_is_checked_where_it_may_lie_outside() -> None:
    def gradient_of(pairs: Any, size: int) -> str:
        x = np.random.default_rng(5).uniform(1.0, 2.0, size)
        g = tg.value_and_grad(pairs, jit="native")
        value, x_bar = g(x)
        assert np.isclose(value, pairs(x), rtol=1e-13)
        h = np.eye(size) * 1e-5
        np.testing.assert_allclose(
            x_bar, [(pairs(x + e) - pairs(x - e)) / 2e-5 for e in h], rtol=1e-7, atol=1e-9
        )
        return str(g.native_source)

    def each_with_those_behind(x: Any) -> Any:
        total = 0.0
        for i in range(5):
            for j in range(i + 1, 5):
                total += np.sin(x[i] * x[j])
        return total

    def each_with_some(x: Any) -> Any:
        total = 0.0
        for i in range(5):
            for j in range(i - 2, 6):
                total += np.sin(x[i] * x[j])
        return total

    assert "checked(" not in gradient_of(each_with_those_behind, 5)
    assert "checked(" not in gradient_of(each_with_some, 6)
    for function, size in ((each_with_those_behind, 4), (each_with_some, 5)):
        with pytest.raises(IndexError):
            function(np.ones(size))
        with pytest.raises(IndexError):
            tg.grad(function, jit="native")(np.ones(size))


@pytest.mark.parametrize("share", [0.0, 0.4, 1.0])
def test_a_mask_is_read_and_written_without_checks(share: float) -> None:
    def masked(x: Any) -> Any:
        y = x * 1.0
        chosen = y > 1.0 - share
        y[chosen] *= 3.0
        return np.sum(x[chosen] ** 2 * y[chosen]) + np.sum(y)

    x = np.random.default_rng(4).uniform(0.0, 1.0, (3, 50))
    native = tg.value_and_grad(masked, jit="native")
    value, x_bar = native(x)
    assert native.stats.compiles == 1
    assert "checked" not in str(native.native_source)
    true = x > 1.0 - share
    np.testing.assert_allclose(value, masked(x), rtol=1e-13)
    np.testing.assert_allclose(x_bar, np.where(true, 9.0 * x * x + 3.0, 1.0), rtol=1e-13)
