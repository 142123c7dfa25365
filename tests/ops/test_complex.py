"""Every op of complex numbers, from its own declaration: values and types, both modes against differences in real and
imaginary directions, the transpose under Re(g * t), second order; and what of a decomposition its phases leave alone.
"""

from __future__ import annotations

import warnings

import mpmath
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


COMPILED = [
    *(
        np.sqrt,
        np.exp,
        np.exp2,
        np.expm1,
        np.log,
        np.log2,
        np.log10,
        np.log1p,
        np.sin,
        np.cos,
        np.tan,
        np.arcsin,
    ),
    *(np.arccos, np.arctan, np.sinh, np.cosh, np.tanh, np.arcsinh, np.arccosh, np.arctanh, np.reciprocal),
    *(np.sign, np.sinc, np.abs, np.angle),
]
POWERS = [0.5, -1, 3, -1.5, 2.5 - 1j]


def far_and_near(dtype):
    """Infinities, NaN, zeros with signs, the largest and the smallest numbers, in both parts."""
    info = np.finfo(dtype)
    parts = [0.0, 1.0, 0.3, 2.5, 1e3, 40.0, 1e-9, np.inf, float(info.max) / 1.8, float(info.tiny) * 3]
    parts += [float(info.smallest_subnormal) * 5, 1e9]
    parts = np.array([*parts, *np.negative(parts), np.nan], np.empty(0, dtype).real.dtype)
    z = np.empty((parts.size, parts.size), dtype)
    z.real, z.imag = parts[:, None], parts
    return z.ravel()


def is_computed_as(found, wanted, signs=True):
    """Each part to a few of its digits, with the same infinities and NaN, and zeros of the same sign."""
    with np.errstate(all="ignore"):
        info = np.finfo(wanted.dtype)
        for a, b in ((found.real, wanted.real), (found.imag, wanted.imag)):
            close = np.abs(a - b) <= 12 * info.eps * np.abs(b) + 4 * float(info.smallest_subnormal)
            same = np.isfinite(a) & close | (a == b) | (np.isnan(a) & np.isnan(b))
            if signs:
                same &= (b != 0) | (a != 0) | (np.signbit(a) == np.signbit(b))
            yield same


@pytest.mark.parametrize("dtype", [np.complex128, np.complex64])
@pytest.mark.parametrize("function", COMPILED, ids=lambda f: f.__name__)
def test_compiled_functions_are_numpys_at_the_ends_of_the_plane(function, dtype):
    z = far_and_near(dtype)
    z = z[~(np.isinf(z) & (z.real < 0) & np.isinf(z.imag))]  # of exp there, C leaves open the sign of a zero
    if dtype is np.complex64 and function in (
        np.sign,
        np.reciprocal,
    ):  # ours are rounded once, NumPy's lose digits
        size = np.abs(z.astype(complex))
        z = z[~((size < 1e-40) & (size > 0)) & ~((size > 1e37) & (size < np.inf))]
    with np.errstate(all="ignore"):
        wanted = function(z)
        found = tg.jit(lambda z: function(z), jit="native")(z)
    for same in is_computed_as(found, wanted):
        np.testing.assert_array_equal(z[~same], [])


@pytest.mark.parametrize("exponent", POWERS)
def test_compiled_powers_are_numpys_at_the_ends_of_the_plane(exponent):
    z = far_and_near(np.complex128)
    with np.errstate(all="ignore"):
        wanted = z**exponent
        found = tg.jit(lambda z: z**exponent, jit="native")(z)
    for same in is_computed_as(found, wanted, signs=exponent != 3):
        np.testing.assert_array_equal(z[~same], [])


@pytest.mark.parametrize("jit", ["python", "native"])
@pytest.mark.parametrize("function", [np.sign, np.abs])
def test_slopes_of_the_unit_vector_hold_for_tiny_and_for_huge_numbers(function, jit):
    z = np.array([0.3 - 2j, 1e-300 + 2e-300j, 1 + 0j, 1e300 - 1e299j, -2j])

    def loss(z):
        return np.sum((function(z) * (0.3 - 0.7j)).real)

    found = tg.grad(loss, jit=jit)(z)
    steps = 1e-6 * np.abs(z)
    along = [
        [(loss(p + h * d) - loss(p - h * d)) / (2 * h) for p, h in zip(z, steps, strict=True)]
        for d in (1, 1j)
    ]
    np.testing.assert_allclose(found, along[0] - 1j * np.array(along[1]), rtol=1e-6)
    at_ends = tg.grad(loss, jit=jit)(np.array([np.inf, -1j * np.inf, 0]))
    unit = np.array([1, -1j, 0])
    np.testing.assert_array_equal(at_ends, 0.3 * np.conj(unit) if function is np.abs else 0 * unit)


@pytest.mark.parametrize("jit", ["python", "native"])
@pytest.mark.parametrize(
    ("function", "slope"),
    [
        (np.arcsin, lambda z: 1 / (mpmath.sqrt(1 - z) * mpmath.sqrt(1 + z))),
        (np.arccos, lambda z: -1 / (mpmath.sqrt(1 - z) * mpmath.sqrt(1 + z))),
        (np.arctan, lambda z: 1 / (1 + z * z)),
        (np.arcsinh, lambda z: 1 / (mpmath.sqrt(1 - 1j * z) * mpmath.sqrt(1 + 1j * z))),
        (np.arccosh, lambda z: 1 / (mpmath.sqrt(z - 1) * mpmath.sqrt(z + 1))),
        (np.arctanh, lambda z: 1 / (1 - z * z)),
        (lambda z: z**-1, lambda z: -1 / z**2),
    ],
)
def test_slopes_hold_where_squares_overflow(function, slope, jit):
    parts = (0.3, -2.5, 1e-9, 1e9, -1e120, 1e160, -1e200)
    z = np.array([complex(a, b) for a in parts for b in parts])
    found = tg.grad(lambda z: np.sum(function(z).real), jit=jit)(z)
    with mpmath.workdps(450):
        wanted = np.array([complex(slope(mpmath.mpc(p))) for p in z])
    assert np.all(np.abs(found - wanted) <= 1e-13 * np.abs(wanted) + 1e-300)


@pytest.mark.parametrize("jit", ["python", "native"])
@pytest.mark.parametrize(
    "function", [np.arcsin, np.arccos, np.arcsinh, np.arccosh, np.arctanh, np.sqrt, np.log]
)
def test_slopes_on_a_cut_are_those_of_the_side_that_the_sign_of_zero_says(function, jit):
    slope = tg.grad(lambda z: function(z), holomorphic=True, jit=jit)
    for z in (2 + 0j, -2 + 0j, 2j, -2j):
        for side in (1, -1):
            at = complex(z.real or side * 0.0, z.imag or side * 0.0)
            step = 1e-6 * complex(np.copysign(1, at.real), np.copysign(1, at.imag))
            wanted = (4 * function(at + step / 2) - 3 * function(at) - function(at + step)) / step
            assert slope(at) == pytest.approx(wanted, rel=1e-5)


def test_most_ops_compute_with_complex_numbers():
    assert len({p.values[0].op.name for p in ACTIVE}) >= 95


@pytest.mark.parametrize("sample", ALL)
def test_the_type_rule_says_what_numpy_gives(sample):
    trace = value_trace(sample)
    assert types(interpret(trace, sample.active)) == [str(v.type) for v in trace.outputs]
    if sample.op.name.startswith("spherical"):  # SciPy computes those in double precision
        return
    values = [np.asarray(v) for v in sample.active]
    narrow = sample.with_active(
        [v.astype(np.complex64 if v.dtype.kind == "c" else np.float32)[()] for v in values]
    )
    trace = value_trace(narrow)
    results = interpret(trace, narrow.active)
    assert types(results) == [str(v.type) for v in trace.outputs]
    if narrow.op.vjp is not None and narrow.op.name not in NO_DERIVATIVE:
        bars = interpret(vjp_trace(narrow), (*narrow.active, *directions(results)))
        assert types(bars) == types(narrow.active)


@pytest.mark.parametrize("sample", ACTIVE)
def test_both_modes_are_what_differences_say_to_second_order(sample):
    along = directions(sample.active)
    trace = value_trace(sample)
    results = interpret(trace, sample.active)
    dots = interpret(jvp_trace(sample), (*sample.active, *along))
    assert types(dots) == types(results)
    for got, want in zip(dots, differences(trace, sample.active, along), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-6, atol=1e-7)
    g = directions(results, seed=2)
    reverse = vjp_trace(sample)
    bars = interpret(reverse, (*sample.active, *g))
    assert types(bars) == types(sample.active)
    np.testing.assert_allclose(pairing(bars, along), pairing(g, dots), rtol=1e-9, atol=1e-11)
    values = (*sample.active, *directions(results, seed=3))
    along = directions(values, seed=4)
    found = interpret(pushed_forward(reverse), (*values, *along))
    for got, want in zip(found, differences(reverse, values, along), strict=True):
        np.testing.assert_allclose(got, want, rtol=4e-6, atol=4e-7)
