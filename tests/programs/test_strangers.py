"""Code of strangers, unchanged: value and gradient in both modes against differences, first call and warm."""

from __future__ import annotations

import numpy as np
import pytest

import tracegrad as tg
from tests.programs import strangers, strangers_more
from tracegrad.ir.verify import verify

PROGRAMS = [*strangers.PROGRAMS, *strangers_more.PROGRAMS]
OF_NINE = {"ising_energy", "pagerank"}
COMPILED = {  # of all that compile, those that take a tenth or two of a second
    "arma",
    "edit_like",
    "fdtd",
    "garch",
    "horner_dict",
    "monte_carlo",
    "newton_sqrt",
    "pagerank",
    "power_iteration",
    "quaternion",
    "ray_sphere",
    "sinkhorn",
    "soft_viterbi",
}


def drawn(program):
    """A point, and the slopes there by central differences."""
    x = np.random.default_rng(5).uniform(0.3, 1.2, 9 if program.__name__ in OF_NINE else 8)
    steps = 1e-6 * np.eye(len(x))
    return x, np.array([(program(x + s) - program(x - s)) / 2e-6 for s in steps])


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.__name__)
def test_value_and_derivatives(program):
    x, slopes = drawn(program)
    direction = np.cos(np.arange(len(x)))
    scale = max(1.0, np.abs(slopes).max())
    gradient = tg.value_and_grad(program, jit="python")
    for _ in range(2):
        value, found = gradient(x)
        assert value == pytest.approx(program(x), rel=1e-12)
        assert found == pytest.approx(slopes, rel=1e-5, abs=2e-6 * scale)
    if gradient.last is not None:  # else it runs on the tape
        verify(gradient.last.built.trace)
    value, slope = tg.jvp(program, jit="python")((x,), (direction,))
    assert value == pytest.approx(program(x), rel=1e-12)
    assert slope == pytest.approx(slopes @ direction, rel=1e-5, abs=5e-6 * scale)


@pytest.mark.parametrize(
    "program", [p for p in PROGRAMS if p.__name__ in COMPILED], ids=lambda program: program.__name__
)
def test_compiled_value_and_gradient(program):
    x, slopes = drawn(program)
    gradient = tg.value_and_grad(program, jit="native")
    value, found = gradient(x)
    assert gradient.stats.compiles == 1
    assert value == pytest.approx(program(x), rel=1e-11)
    assert found == pytest.approx(slopes, rel=1e-5, abs=2e-6 * max(1.0, np.abs(slopes).max()))
    for layout in (np.repeat(x, 2)[::2], x[::-1].copy()[::-1]):
        assert gradient(layout)[1] == pytest.approx(found, rel=1e-12)
