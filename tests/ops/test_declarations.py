"""Every op from its own declaration: value, type, both derivatives, second order, float32, emitted text, kernel."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

import numpy as np
import pytest

import tracegrad.kernels
import tracegrad.ops.functions  # declares every op
from tracegrad.emit.elements import room_of
from tracegrad.ir.interpret import interpret
from tracegrad.ir.trace import Const
from tracegrad.ir.types import array_type, type_of
from tracegrad.ops.op import REGISTRY
from tracegrad.testing.samples import (
    instruction,
    jvp_trace,
    pushed_forward,
    samples,
    value_trace,
    vjp_trace,
)

STEP = 1e-6
ALL = [
    pytest.param(sample, id=f"{name}-{k}")
    for name, op in sorted(REGISTRY.items())
    if op.family not in ("control", "called") and op.sample is not None
    for k, sample in enumerate(samples(op))
]
WHOLE = (
    *("polygamma", "ldexp", "yn", "kn", "expn", "eval_hermite", "eval_hermitenorm"),
    *("spherical_jn", "spherical_yn", "spherical_in", "spherical_kn"),
)
"""Their first or second input is whole, or has no derivative that differences could be compared with."""
BINARY = [
    op
    for op in REGISTRY.values()
    if op.family == "elementwise" and len(samples(op)[0].values) == 2 and op.name not in WHOLE
]
ACTIVE = [p for p in ALL if p.values[0].op.vjp is not None and p.values[0].active]


def directions(values, seed=1):
    generator = np.random.default_rng(seed)
    return [np.asarray(generator.uniform(-1, 1, np.shape(v)))[()].astype(np.asarray(v).dtype) for v in values]


def moved(values, along, step):
    return [v + step * d for v, d in zip(values, along, strict=True)]


def dot(left, right):
    return sum(float(np.real(np.sum(a * b))) for a, b in zip(left, right, strict=True))


def differences(trace, values, along):
    above = interpret(trace, moved(values, along, STEP))
    below = interpret(trace, moved(values, along, -STEP))
    return [(a - b) / (2 * STEP) for a, b in zip(above, below, strict=True)]


def floats(arrays):
    return [a for a in arrays if np.asarray(a).dtype.kind == "f"]


def types(values):
    return [str(type_of(v)) for v in values]


def test_every_op_declares_samples():
    missing = [
        name for name, op in REGISTRY.items() if op.family not in ("control", "called") and op.sample is None
    ]
    assert not missing


@pytest.mark.parametrize("sample", ALL)
def test_the_type_rule_says_what_numpy_gives(sample):
    for dtype in (np.float64, np.float32):
        of_type = sample.cast(dtype)
        trace = value_trace(of_type)
        assert types(interpret(trace, of_type.active)) == [str(v.type) for v in trace.outputs]


def is_integral(op):
    return op.name.startswith("bitwise") or op.name in ("left_shift", "right_shift", "gcd", "lcm")


@pytest.mark.parametrize(
    ("op", "dtype"),
    [
        (op, d)
        for op in BINARY
        for d in (np.float32, np.float64, np.int64)
        if d is np.int64 or not is_integral(op)
    ],
    ids=lambda value: getattr(value, "name", None) or value.__name__,
)
def test_a_python_number_takes_the_dtype_beside_it(op, dtype):
    integral = is_integral(op)
    array = np.ones(3, dtype)
    for number in (2,) if integral else (2, 0.5):
        for inputs in ((array, number), (number, array)):
            found = op.result_type(*(Const(x) for x in inputs))
            assert str(found) == str(type_of(op.evaluate(*inputs)))


@pytest.mark.parametrize("sample", ACTIVE)
def test_the_jvp_is_what_differences_say_and_the_vjp_its_transpose_to_second_order(sample):
    along = directions(sample.active)
    dots = interpret(jvp_trace(sample), (*sample.active, *along))
    trace = value_trace(sample)
    assert types(dots) == types(interpret(trace, sample.active))
    for got, want in zip(dots, differences(trace, sample.active, along), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-6, atol=1e-7)
    g = directions(dots, seed=2)
    reverse = vjp_trace(sample)
    bars = interpret(reverse, (*sample.active, *g))
    assert types(bars) == types(sample.active)
    np.testing.assert_allclose(dot(bars, along), dot(g, dots), rtol=1e-10, atol=1e-12)
    values = (*sample.active, *directions(dots, seed=3))
    along = directions(values, seed=4)
    found = interpret(pushed_forward(reverse), (*values, *along))
    for got, want in zip(found, differences(reverse, values, along), strict=True):
        np.testing.assert_allclose(got, want, rtol=2e-6, atol=2e-7)


@pytest.mark.parametrize("sample", ACTIVE)
def test_gradients_of_float32_are_float32(sample):
    sample = sample.cast(np.float32)
    results = interpret(value_trace(sample), sample.active)
    g = directions(results, seed=2)
    assert types(interpret(vjp_trace(sample), (*sample.active, *g))) == types(sample.active)
    assert types(interpret(jvp_trace(sample), (*sample.active, *directions(sample.active)))) == types(results)


def same_values(found, wanted):
    found, wanted = (x if isinstance(x, tuple) else (x,) for x in (found, wanted))
    for got, want in zip(found, wanted, strict=True):
        assert np.shape(got) == np.shape(want)
        np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("sample", [p for p in ALL if p.values[0].op.name not in ("index_add", "index_set")])
def test_the_emitted_text_means_the_same(sample):
    names = [ast.Name(id=f"x{k}", ctx=ast.Load()) for k in range(len(sample.values))]
    tree = ast.fix_missing_locations(ast.Expression(sample.op.emit(names, instruction(sample))))
    scope = {"np": np, **{f"x{k}": v for k, v in enumerate(sample.values)}}
    if sample.op.imports:
        exec(sample.op.imports, scope)
    found = eval(compile(tree, "emitted", "eval"), scope)
    same_values(
        found if sample.op.n_outputs == 1 else tuple(found), sample.op(*sample.values, **sample.params)
    )


def kernel_of(sample):
    native = sample.op.native
    found = native(instruction(sample)) if callable(native) else native
    return found if isinstance(found, tuple) else None


@pytest.mark.parametrize("sample", [p for p in ALL if kernel_of(p.values[0])])
def test_the_kernel_means_the_same(sample):
    kernel, *static = kernel_of(sample)
    if list(inspect.signature(kernel).parameters)[-1] == "out":
        (type,) = (v.type for v in instruction(sample).outputs)
        room, found = room_of(instruction(sample)), np.empty(type.shape, type.dtype)
        memory = [found] if room is None else [np.empty(room.shape, room.dtype), found]
        assert kernel(*sample.values, *static, *memory) is None
    else:
        found = kernel(*sample.values, *static)
    same_values(
        found if sample.op.n_outputs == 1 else tuple(found), sample.op(*sample.values, **sample.params)
    )
    wanted = [str(v.type) for v in instruction(sample).outputs]
    assert types(found if isinstance(found, tuple) else (found,)) == wanted


def test_no_module_is_named_like_a_function_of_kernels():
    """Native text binds both in one module."""
    files = Path(tracegrad.kernels.__path__[0]).glob("*.py")
    bodies = [ast.parse(file.read_text()).body for file in files]
    functions = {step.name for body in bodies for step in body if isinstance(step, ast.FunctionDef)}
    lines = "\n".join(filter(None, (op.imports for op in REGISTRY.values())))
    names = {name.asname or name.name for line in ast.parse(lines).body for name in line.names}
    assert "determinants" in names
    assert not names & functions


def test_ops_without_inputs():
    op = REGISTRY["zeros"]
    assert op.result_type(shape=(2, 3), dtype=np.dtype(np.float32)) == array_type((2, 3), np.float32)
    assert op.evaluate((2, 3), np.float32).shape == (2, 3)
