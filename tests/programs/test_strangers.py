"""Code of strangers, unchanged: value and gradient in both modes against differences, first call and warm."""

from __future__ import annotations

import numpy as np
import pytest

import tracegrad as tg
from tests.programs import strangers, strangers_more
from tracegrad.ir.verify import verify

PROGRAMS = [*strangers.PROGRAMS, *strangers_more.PROGRAMS]
OF_NINE = {"ising_energy", "pagerank"}


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.__name__)
def test_value_and_derivatives(program):
    x = np.random.default_rng(5).uniform(0.3, 1.2, 9 if program.__name__ in OF_NINE else 8)
    direction = np.cos(np.arange(len(x)))
    steps = 1e-6 * np.eye(len(x))
    slopes = np.array([(program(x + s) - program(x - s)) / 2e-6 for s in steps])
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
