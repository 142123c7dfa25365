"""Derivatives of random traces, loops and branches included: both modes agree, and the passes preserve them."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings

from tests.passes.random_traces import traces
from tests.passes.test_random import all_passes, run
from tracegrad.ir.interpret import interpret
from tracegrad.ir.text import text
from tracegrad.ir.trace import Trace
from tracegrad.ir.verify import verify
from tracegrad.passes.differentiate import forward_mode, reverse_mode
from tracegrad.passes.lower import lower_branches
from tracegrad.passes.pipeline import optimised
from tracegrad.passes.residuals import split


def sample(shape: tuple[int, ...], seed: int) -> Any:
    """Small whole numbers, so that sums are exact."""
    return np.random.default_rng(seed).integers(-2, 3, shape).astype(float)[()]


def agree(found: Any, wanted: Any, trace: Trace) -> None:
    for a, b in zip(found, wanted, strict=True):
        assert np.allclose(a, b, rtol=1e-9, equal_nan=True), text(trace)


@settings(max_examples=60)
@given(traces())
def test_both_modes_are_each_others_transpose(drawn: Any) -> None:
    """⟨out_bar, J x_dot⟩ = ⟨Jᵀ out_bar, x_dot⟩"""
    trace, values = drawn
    count = len(trace.outputs)
    out_bar = sample(trace.outputs[0].type.shape, 1)
    dots = [sample(v.type.shape, 2 + k) for k, v in enumerate(trace.inputs[:3])]
    back = run(optimised(reverse_mode(trace, [0, 1, 2], [0])), [*values, out_bar])
    ahead = run(optimised(forward_mode(trace, [0, 1, 2])), [*values, *dots])
    if back is None or ahead is None:
        assert back is ahead is None
        return
    left = sum(np.sum(bar * dot) for bar, dot in zip(back[count:], dots, strict=True))
    assert np.allclose(left, np.sum(out_bar * ahead[count]), rtol=1e-9, equal_nan=True), text(trace)


@settings(max_examples=60)
@given(traces())
def test_passes_preserve_first_and_second_derivatives(drawn: Any) -> None:
    trace, values = drawn
    count = len(trace.outputs)
    first = reverse_mode(lower_branches(trace), [0, 1, 2], [0])
    values = [*values, sample(trace.outputs[0].type.shape, 1)]
    second = reverse_mode(optimised(first), [0, 1, 2], [count])
    more = [*values, sample(second.inputs[-1].type.shape, 2)]
    for before, given_values in ((first, values), (second, more)):
        verify(before)
        after = all_passes(before)
        verify(after)
        wanted, found = run(before, given_values), run(after, given_values)
        assert (wanted is None) == (found is None), text(before)
        agree(found or (), wanted or (), before)


@settings(max_examples=60)
@given(traces())
def test_forward_and_backward_halves_compute_what_the_whole_does(drawn: Any) -> None:
    trace, values = drawn
    count = len(trace.outputs)
    joint = optimised(reverse_mode(lower_branches(trace), [0, 1, 2], [0]))
    forward, backward = split(joint, count, 1)
    verify(forward)
    verify(backward)
    out_bar = sample(trace.outputs[0].type.shape, 1)
    whole, results = run(joint, [*values, out_bar]), run(forward, values)
    if results is None:
        assert whole is None
        return
    gradients = interpret(backward, [*results[count:], out_bar])
    agree([*results[:count], *gradients], whole, trace)
