"""Every op of complex numbers, from its own declaration: values and types, both modes against differences in real and
imaginary directions, the transpose under Re(g * t), second order; and what of a decomposition its phases leave alone.
"""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import tracegrad as tg
import tracegrad.ops.functions
from tracegrad.ir.interpret import interpret
from tracegrad.ir.types import type_of
from tracegrad.ops.op import REGISTRY
from tracegrad.testing.samples import Sample, jvp_trace, pushed_forward, samples, value_trace, vjp_trace

STEP = 1e-6
PHASES = ("eigh", "scipy_eigh", "svd", "generalised_eigh")
"""Their vectors are determined but for a phase, which LAPACK chooses: tested below by what does not depend on it."""
NO_DERIVATIVE = ("digamma", "gamma", "loggamma", "rgamma", "ive")
"""Functions whose first or second derivative is known for real numbers alone, and refused for others."""
WHOLE = ("solve_sylvester", "xlogy", "xlog1py")
"""SciPy is wrong, or wider than need be, where real and complex arguments are mixed: here all are of one type."""


def computes(sample):
    """Whether NumPy takes these numbers, and loses none of their parts."""
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("error")
            sample.op.evaluate(*sample.values, **sample.params)
    except (TypeError, np.exceptions.ComplexWarning):
        return False
    return True


def of(name, op):
    for k, sample in enumerate(samples(op)):
        count = len(sample.active)
        places = [None, *([j] for j in range(count) if count > 1 and name not in WHOLE)]
        for chosen in places if count else ():
            made = sample.made_complex(chosen)
            if computes(made):
                yield pytest.param(made, id=f"{name}-{k}-{'all' if chosen is None else chosen[0]}")


ALL = [
    param
    for name, op in sorted(REGISTRY.items())
    if op.family != "control" and op.sample is not None and name not in PHASES
    for param in of(name, op)
]
ACTIVE = [p for p in ALL if p.values[0].op.vjp is not None and p.values[0].op.name not in NO_DERIVATIVE]


def directions(values, seed=1):
    generator = np.random.default_rng(seed)
    drawn = []
    for v in map(np.asarray, values):
        found = generator.uniform(-1, 1, v.shape)
        if v.dtype.kind == "c":
            found = found + 1j * generator.uniform(-1, 1, v.shape)
        drawn.append(np.asarray(found)[()].astype(v.dtype))
    return drawn


def pairing(left, right):
    """Re(sum(g * t)): what a cotangent says of a tangent."""
    return sum(float(np.real(np.sum(a * b))) for a, b in zip(left, right, strict=True))


def differences(trace, values, along):
    above, below = (
        interpret(trace, [v + step * d for v, d in zip(values, along, strict=True)]) for step in (STEP, -STEP)
    )
    return [(a - b) / (2 * STEP) for a, b in zip(above, below, strict=True)]


def types(values):
    return [str(type_of(v)) for v in values]


QUADRANTS = np.array(
    [1.7 + 0.6j, -1.7 + 0.6j, -1.7 - 0.6j, 1.7 - 0.6j, 0.3 + 2j, -0.3 - 2j, 0.2 - 0.1j, 0.01j]
)
ELEMENTARY = (
    *(
        "exp",
        "exp2",
        "expm1",
        "log",
        "log2",
        "log10",
        "log1p",
        "sqrt",
        "square",
        "reciprocal",
        "absolute",
        "sinc",
    ),
    *(
        "sin",
        "cos",
        "tan",
        "arcsin",
        "arccos",
        "arctan",
        "sinh",
        "cosh",
        "tanh",
        "arcsinh",
        "arccosh",
        "arctanh",
    ),
)


@pytest.mark.parametrize("name", ELEMENTARY)
def test_elementary_functions_keep_to_their_branch_in_every_quadrant(name):
    sample = Sample(REGISTRY[name], (QUADRANTS,), {})
    along = directions([QUADRANTS])
    (found,) = interpret(jvp_trace(sample), (QUADRANTS, *along))
    (wanted,) = differences(value_trace(sample), [QUADRANTS], along)
    np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("function", [np.tanh, np.expm1, np.sinh, np.tan, np.log1p, np.arctan, np.sqrt])
def test_compiled_functions_keep_their_digits_near_0_and_far_away(function):
    z = np.array([1e-20 + 1e-20j, 1e-10 - 1e-5j, 1e-5 + 1e-10j, 30 + 1j, -400 + 2j, 1 + 400j, -3 - 4j])
    found = tg.jit(lambda z: function(z) * 2.0, jit="native")(z)
    wanted = function(z) * 2.0
    assert np.all(np.abs(found - wanted) <= 1e-13 * np.abs(wanted))


def test_most_ops_compute_with_complex_numbers():
    assert len({p.values[0].op.name for p in ACTIVE}) >= 95


@pytest.mark.parametrize("sample", ALL)
@pytest.mark.parametrize("narrow", [False, True])
def test_the_type_rule_says_what_numpy_gives(sample, narrow):
    if narrow and not sample.op.name.startswith("spherical"):  # SciPy computes those in double precision
        values = [np.asarray(v) for v in sample.active]
        sample = sample.with_active(
            [v.astype(np.complex64 if v.dtype.kind == "c" else np.float32)[()] for v in values]
        )
    trace = value_trace(sample)
    assert types(interpret(trace, sample.active)) == [str(v.type) for v in trace.outputs]
    if narrow and sample.op.vjp is not None and sample.op.name not in NO_DERIVATIVE:
        results = interpret(trace, sample.active)
        bars = interpret(vjp_trace(sample), (*sample.active, *directions(results)))
        assert types(bars) == types(sample.active)


@pytest.mark.parametrize("sample", ACTIVE)
def test_both_modes_are_what_differences_say(sample):
    along = directions(sample.active)
    trace = value_trace(sample)
    results = interpret(trace, sample.active)
    dots = interpret(jvp_trace(sample), (*sample.active, *along))
    assert types(dots) == types(results)
    for got, want in zip(dots, differences(trace, sample.active, along), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-6, atol=1e-7)
    g = directions(results, seed=2)
    bars = interpret(vjp_trace(sample), (*sample.active, *g))
    assert types(bars) == types(sample.active)
    np.testing.assert_allclose(pairing(bars, along), pairing(g, dots), rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("sample", ACTIVE)
def test_the_vjp_can_be_differentiated_again(sample):
    trace = vjp_trace(sample)
    values = (*sample.active, *directions(interpret(value_trace(sample), sample.active), seed=3))
    along = directions(values, seed=4)
    found = interpret(pushed_forward(trace), (*values, *along))
    for got, want in zip(found, differences(trace, values, along), strict=True):
        np.testing.assert_allclose(got, want, rtol=4e-6, atol=4e-7)
