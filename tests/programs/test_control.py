"""Every program of the `control` files in the tiers, against plain Python and differences, and what it came to."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import tests.programs.control_branches
import tests.programs.control_helpers  # noqa: F401  (registers its programs, as the one above)
import tracegrad as tg
from tests.programs.control import CONTROLS
from tests.programs.program import Program
from tests.programs.test_programs import check_value, differentiated
from tracegrad import tree
from tracegrad.ir.interpret import interpret
from tracegrad.ir.text import text
from tracegrad.ir.verify import verify


def named(programs):
    return pytest.mark.parametrize("program", programs, ids=[p.name for p in programs])


def slope(function, at, h=3e-4):
    """The derivative of a function of a number by differences of fourth order."""
    near, far = (function(at + k * h) - function(at - k * h) for k in (1, 2))
    return (8 * near - far) / (12 * h)


def differences(program: Program, args):
    """The gradient's leaves by differences."""
    leaves, value = differentiated(program, args)
    found = []
    for place, leaf in enumerate(leaves):
        bar = np.zeros(np.shape(leaf))
        for index in np.ndindex(bar.shape):

            def moved(item, place=place, index=index):
                given = [np.array(x) for x in leaves]
                given[place][index] = item
                return value(given)

            bar[index] = slope(moved, np.asarray(leaf)[index])
        found.append(bar)
    return found


def check_leaves(found, wanted, tolerance=1e-8):
    for one, other in zip(tree.flatten(found)[0], wanted, strict=True):
        np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance)


def loops_of(transformed) -> int:
    """The loops of the program that has most of them, nested ones too."""
    traces = [text(path.captured.trace) for known in transformed.trees.values() for path in known.paths]
    return max((sum(" = loop(" in line for line in trace.splitlines()) for trace in traces), default=0)


@pytest.fixture(autouse=True)
def quiet():
    """Some programs run on the tape, which is said once; plain Python warns where it computes with NaN."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def seen_all(program: Program, **options):
    """The transform after every input, each checked, and all of them once more."""
    gradient = tg.value_and_grad(program.function, argnums=program.argnums, **options)
    for args in program.inputs:
        value, bar = gradient(*args)
        check_value(program, args, value)
        check_leaves(bar, differences(program, args))
    before = gradient.stats.captures
    for args in (*program.inputs, *program.inputs[::-1]):
        value, bar = gradient(*args)
        check_value(program, args, value)
        check_leaves(bar, differences(program, args))
    return gradient, before


@named(CONTROLS)
def test_every_path_is_right_and_captured_as_often_as_declared(program):
    gradient, before = seen_all(program, jit="python")
    assert gradient.stats.captures == before, "a path already seen was captured again"
    assert gradient.stats.captures <= program.captures
    assert loops_of(gradient) >= program.loops


@named([p for p in CONTROLS if p.native])
def test_the_native_tier_agrees(program):
    gradient, before = seen_all(program, jit="native")
    assert gradient.stats.captures == before
    assert gradient.stats.compiles <= gradient.stats.captures


@named(CONTROLS)
def test_the_captured_trace_computes_the_value(program):
    compiled = tg.jit(program.function, jit="python")
    for args in program.inputs:
        check_value(program, args, compiled(*args))
        if compiled.last is None:
            continue
        verify(compiled.last.built.trace)
        call = compiled.signature.flat_call(args, {})
        found = interpret(
            compiled.last.built.plan.joint, compiled.last.inputs([leaf.value for leaf in call.leaves])
        )
        check_value(program, args, found[0])


@named([p for p in CONTROLS if p.second])
def test_second_derivatives_are_those_of_differences(program):
    first = tg.grad(program.function, jit="python")
    along = tg.jit(lambda *args: summed(tg.grad(program.function)(*args)), jit="python")
    second = tg.grad(lambda *args: summed(tg.grad(program.function)(*args)), jit="python")
    for args in (*program.inputs, program.inputs[0]):
        plain = Program(lambda *given: summed(first(*given)), (), argnums=program.argnums)
        check_value(plain, args, along(*args))
        check_leaves(second(*args), differences(plain, args), 1e-7)


def summed(gradient):
    """A number in which every item of a gradient counts differently."""
    weights = np.cos(1.0 + np.arange(np.size(gradient))).reshape(np.shape(gradient))
    return np.sum(weights * gradient)
