"""Every program's texts run alone and compute what the trace means; both texts agree, and say where they come
from."""

from __future__ import annotations

import linecache
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.emit.programs import PROGRAMS, capture, joint, pair, simplified
from tracegrad.emit.module import emit_array, emit_native
from tracegrad.ir.interpret import interpret
from tracegrad.ir.source import Source
from tracegrad.ops.compare import absolute
from tracegrad.ops.elementary import hypot
from tracegrad.ops.reduce import sum_


def run_alone(source: Source) -> dict[str, Any]:
    """The functions of a text, in a namespace that has nothing else."""
    namespace: dict[str, Any] = {}
    exec(compile(source.text, "<emitted>", "exec"), namespace)
    found = {entry: namespace[entry] for entry in source.entries}
    return {entry: in_memory(f, source) for entry, f in found.items()} if source.memory else found


def in_memory(function: Callable[..., Any], source: Source) -> Callable[..., Any]:
    """A native function that is given the memory it asks for, with nothing of use in it."""

    def called(*inputs: Any) -> tuple[Any, ...]:
        rooms = [np.full(shape, 13, dtype) for dtype, shape, _ in source.memory]
        code, *results = function(*inputs, *rooms)
        outputs = {output: room for (*_, output), room in zip(source.memory, rooms, strict=True)}
        for output in sorted(k for k in outputs if k is not None and code == -1):
            results.insert(output, outputs[output])
        return code, *results

    return called


def array_results(name: str) -> list[Any]:
    function, values = PROGRAMS[name]
    forward, backward = pair(capture(function, values))
    functions = run_alone(emit_array(forward, backward, 1))
    value, residuals = functions[f"{name}_forward"](*values)
    gradients = functions[f"{name}_backward"](residuals)
    return [value, *(gradients if isinstance(gradients, tuple) else (gradients,))]


@pytest.mark.parametrize("name", PROGRAMS)
def test_array_text_computes_value_and_gradient(name: str) -> None:
    function, values = PROGRAMS[name]
    expected = interpret(joint(capture(function, values)), values)
    for got, want in zip(array_results(name), expected, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-12 if np.asarray(want).dtype == float else 1e-5)
        assert np.shape(got) == np.shape(want)


@pytest.mark.parametrize("name", PROGRAMS)
def test_native_text_is_python_too(name: str) -> None:
    function, values = PROGRAMS[name]
    trace = joint(capture(function, values))
    source = emit_native("gradient", trace)
    assert isinstance(source, Source)
    code, *results = run_alone(source)[f"{name}_value_and_grad"](*values)
    assert code == -1
    for got, want in zip(results, interpret(trace, values), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-12 if np.asarray(want).dtype == float else 1e-5)


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_forward_function_alone(name: str) -> None:
    function, values = PROGRAMS[name]
    trace = simplified(capture(function, values))
    source = emit_array(trace, None, 1)
    assert source.entries == (f"{name}_forward",)
    value, residuals = run_alone(source)[f"{name}_forward"](*values)
    assert residuals == ()
    np.testing.assert_allclose(value, interpret(trace, values)[0])


@pytest.mark.parametrize("name", PROGRAMS)
def test_native_pair_hands_residuals_over(name: str) -> None:
    function, values = PROGRAMS[name]
    forward, backward = pair(capture(function, values))
    source = emit_native("vjp", forward, backward)
    assert isinstance(source, Source)
    functions = run_alone(source)
    code, value, *residuals = functions[f"{name}_forward"](*values)
    assert code == -1
    gradients = functions[f"{name}_backward"](*residuals)
    assert isinstance(gradients, tuple)
    expected = interpret(joint(capture(function, values)), values)
    for got, want in zip((value, *gradients), expected, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-12 if np.asarray(want).dtype == float else 1e-5)


@pytest.mark.parametrize("name", PROGRAMS)
def test_text_is_narrow_and_knows_only_numpy(name: str) -> None:
    function, values = PROGRAMS[name]
    forward, backward = pair(capture(function, values))
    lines = emit_array(forward, backward, 1).text.splitlines()
    assert max(map(len, lines)) <= 88
    assert [line for line in lines if "import" in line] == ["import numpy as np"]


@pytest.mark.parametrize("name", PROGRAMS)
def test_every_comment_is_the_line_of_what_follows(name: str) -> None:
    function, values = PROGRAMS[name]
    forward, backward = pair(capture(function, values))
    source = emit_array(forward, backward, 1)
    lines = source.text.splitlines()
    origin = dict(source.line_map)
    assert origin
    for number, line in enumerate(lines, start=1):
        found = re.match(r" *# line (\d+): (.*)", line)
        if found is None:
            continue
        assert origin[number + 1] == int(found[1])
        users = linecache.getline(function.__code__.co_filename, int(found[1])).strip()
        assert users.startswith(found[2].removesuffix("..."))


def test_residuals_have_one_name_on_both_sides() -> None:
    function, values = PROGRAMS["pendulum"]
    text = emit_array(*pair(capture(function, values)), 1).text
    assert "return a * a + s * s, (a, s, n, a_mid_stack)" in text
    assert "a, s, n, a_mid_stack = residuals" in text


def test_side_exits_say_their_number() -> None:
    function, _ = PROGRAMS["guarded"]
    trace = capture(function, (np.float64(2.5),))
    array = run_alone(emit_array(trace, None, 1))["guarded_forward"]
    source = emit_native("value", trace)
    assert isinstance(source, Source)
    native = run_alone(source)["guarded"]
    for x, number in ((1.0, 0), (4.0, 1), (float("nan"), 0)):
        assert array(np.float64(x)) == (None, number)
        assert native(x)[0] == number
    assert native(2.5)[0] == -1


def test_a_function_is_imported_once() -> None:
    """`hypot` is called by the program itself, and by a kernel of it."""

    def lengths(x: Any, z: Any) -> Any:
        return sum_(hypot(x, 1.0) * absolute(z), axis=(0,), keepdims=False)

    source = emit_native("gradient", joint(capture(lengths, (np.ones(2), np.array([3.0 + 4.0j, 1.0j])))))
    assert isinstance(source, Source)
    assert "from tracegrad.kernels.powers import hypot\n" in source.text
