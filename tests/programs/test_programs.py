"""Every program of the corpus in every tier, against plain Python and against differences."""

from __future__ import annotations

import contextlib
import dataclasses
import types
import warnings

import numpy as np
import pytest

import tests.programs.algorithms
import tests.programs.aliases
import tests.programs.arrays
import tests.programs.filled
import tests.programs.inplace
import tests.programs.lists_of_lists
import tests.programs.loops
import tests.programs.python  # noqa: F401  (registers its programs, as those above)
import tracegrad as tg
from tests.programs.program import PROGRAMS, Program
from tracegrad import tree
from tracegrad.errors import InPlaceError
from tracegrad.ir.interpret import interpret
from tracegrad.ir.verify import verify


def named(programs):
    return pytest.mark.parametrize("program", programs, ids=[p.name for p in programs])


def differentiated(program: Program, args):
    """The leaves of the differentiated argument as float64 arrays, and the function of them."""
    flat, structure = tree.flatten(args[program.argnums])

    def value(leaves):
        given = list(args)
        plain = [
            np.asarray(leaf, old.dtype) if isinstance(old, np.ndarray) else type(old)(leaf)
            for leaf, old in zip(leaves, kept, strict=True)
        ]
        given[program.argnums] = tree.unflatten(structure, plain)
        return float(program.function(*given))

    kept = [leaf.astype(float) if isinstance(leaf, np.ndarray) else float(leaf) for leaf in flat]
    return kept, value


def differences(program: Program, args):
    """The gradient's leaves by central differences in double precision."""
    leaves, value = differentiated(program, args)
    found = []
    for place, leaf in enumerate(leaves):
        bar = np.zeros(np.shape(leaf))
        for index in np.ndindex(bar.shape):
            sides = []
            for step in (1e-6, -1e-6):
                moved = [np.array(x) for x in leaves]
                moved[place][index] += step
                sides.append(value(moved))
            bar[index] = (sides[0] - sides[1]) / 2e-6
        found.append(bar)
    return found


class TensorNumPy:
    """NumPy, whose functions that make arrays make tensors."""

    def __getattr__(self, name):
        found = getattr(np, name)
        if name in ("array", "asarray", "fromiter", "vectorize", "full"):
            return getattr(tg, name)
        if name == "ascontiguousarray":
            return lambda x: x.contiguous()
        makes = name in ("zeros", "empty", "ones", "eye", "arange")
        return (lambda *a, **k: tg.tensor(found(*a, **k))) if makes else found


def on_tensors(function):
    """A program as one writes it for tensors."""
    scope = {**function.__globals__, "np": TensorNumPy()}
    return types.FunctionType(
        function.__code__, scope, function.__name__, function.__defaults__, function.__closure__
    )


def check_gradient(program: Program, args, gradient):
    flat, structure = tree.flatten(gradient)
    assert structure == tree.flatten(args[program.argnums])[1]
    for found, wanted in zip(flat, differences(program, args), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=program.tolerance, atol=program.tolerance)


def check_value(program: Program, args, value):
    wanted = program.function(*args)
    single = np.asarray(wanted).dtype == np.float32
    np.testing.assert_allclose(value, wanted, rtol=1e-5 if single else 1e-12, atol=1e-12)
    if not isinstance(wanted, int):
        assert np.asarray(value).dtype == np.asarray(wanted).dtype


@pytest.fixture(autouse=True)
def quiet():
    """Some programs run on the tape, which is said once; plain Python warns where a path divides by zero."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@named(PROGRAMS)
def test_reverse_mode_in_the_python_tier(program):
    gradient = tg.value_and_grad(program.function, argnums=program.argnums, jit="python")
    for args in (*program.inputs, program.inputs[0]):
        value, bar = gradient(*args)
        check_value(program, args, value)
        check_gradient(program, args, bar)
    if program.captures is not None:
        assert gradient.stats.captures <= program.captures


@named(PROGRAMS)
def test_a_run_on_the_tape(program):
    gradient = tg.value_and_grad(program.function, argnums=program.argnums)
    for args in program.inputs:
        value, bar = gradient._taped(gradient.signature.flat_call(args, {}))
        check_value(program, args, value)
        check_gradient(program, args, bar)


@named(PROGRAMS)
def test_forward_mode_agrees_with_reverse_mode(program):
    args = program.inputs[-1]
    rest = [a for i, a in enumerate(args) if i != program.argnums]

    def function(active):
        given = list(rest)
        given.insert(program.argnums, active)
        return program.function(*given)

    primal = args[program.argnums]
    flat, structure = tree.flatten(primal)
    primal = tree.unflatten(structure, [float(x) if isinstance(x, int) else x for x in flat])
    value, bar = tg.value_and_grad(function, jit="python")(primal)
    dots = [
        np.asarray(np.cos(1.0 + np.arange(np.size(b)))).reshape(np.shape(b)) for b in tree.flatten(bar)[0]
    ]
    found, dot = tg.jvp(function, (primal,), (tree.unflatten(structure, dots),))
    check_value(program, args, value)
    check_value(program, args, found)
    wanted = sum(float(np.sum(b * d)) for b, d in zip(tree.flatten(bar)[0], dots, strict=True))
    single = np.asarray(value).dtype == np.float32
    assert float(dot) == pytest.approx(wanted, rel=1e-4 if single else 1e-9, abs=1e-5 if single else 1e-9)


@named(PROGRAMS)
def test_the_captured_trace_computes_the_value(program):
    compiled = tg.jit(program.function, jit="python")
    for args in program.inputs:
        check_value(program, args, compiled(*args))
        if compiled.last is None or compiled.trees[compiled.signature.flat_call(args, {}).key].on_tape:
            continue
        path = compiled.last
        verify(path.built.trace)
        call = compiled.signature.flat_call(args, {})
        results = interpret(path.built.plan.joint, path.inputs([leaf.value for leaf in call.leaves]))
        if results:
            check_value(program, args, results[0])


@named([p for p in PROGRAMS if p.native])
def test_the_native_tier_agrees(program):
    gradient = tg.value_and_grad(program.function, argnums=program.argnums, jit="native")
    for args in (*program.inputs, program.inputs[0]):
        value, bar = gradient(*args)
        check_value(program, args, value)
        check_gradient(program, args, bar)
    assert gradient.stats.compiles == gradient.stats.captures


@named([p for p in PROGRAMS if p.eager])
def test_eager_tensors_agree(program):
    for args in program.inputs:
        given = list(args)
        leaf = given[program.argnums] = tg.tensor(given[program.argnums], requires_grad=True)
        if program.overwrites:
            with pytest.raises(InPlaceError, match="modified by an inplace operation"):
                on_tensors(program.function)(*given).backward()
        with contextlib.ExitStack() as stack:
            if program.overwrites:
                stack.enter_context(tg.autograd.allow_mutation_on_saved_tensors())
            result = on_tensors(program.function)(*given)
        result.backward()
        check_value(program, args, result.item())
        check_gradient(program, args, leaf.grad.numpy())


def test_gradients_of_a_dataclass_come_in_one():
    from tests.programs.python import Weights, dataclass_argument

    made = Weights(np.array([1.0, 2.0]), 0.5)
    bar = tg.grad(dataclass_argument)(made)
    assert isinstance(bar, Weights) and dataclasses.is_dataclass(bar)
