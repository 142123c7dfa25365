"""Random programs of matrices, with every array counted as large: whatever shares memory keeps its numbers.

The native text is run by Python, in memory that is full of a number of its own.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import hypothesis
import numpy as np
import pytest

from tests.drawing import bits
from tests.emit.test_programs import run_alone
from tests.emit.test_random import agree, check_native_text
from tests.passes.random_traces import COUNTER, traces
from tracegrad.ad.loop import loop
from tracegrad.emit import mirrors, sizes
from tracegrad.emit.module import emit_native
from tracegrad.ir.interpret import interpret
from tracegrad.ir.source import Source
from tracegrad.ir.trace import Trace
from tracegrad.ir.types import ArrayType
from tracegrad.ops import arithmetic, compare, elementary
from tracegrad.ops.families import sum_to
from tracegrad.ops.index import getitem, index_add, index_set, zeros_like
from tracegrad.ops.linalg import matmul
from tracegrad.ops.shape import concatenate, pad, transpose
from tracegrad.ops.symbol import Builder, Symbol
from tracegrad.passes.pipeline import for_loops, plan_gradient, plan_value

SIDE = 4
MATRIX = ArrayType((SIDE, SIDE), np.dtype(float))
UNARY = (elementary.tanh, elementary.tanh, arithmetic.negative, arithmetic.square, compare.absolute)
BINARY = (arithmetic.add, arithmetic.subtract, arithmetic.multiply)
PLACES = (
    (slice(1, None),),
    (slice(None, -1),),
    (slice(None), slice(1, None)),
    (slice(1, -1), slice(1, -1)),
    (slice(None, None, -1),),
    (2,),
    (slice(None), 1),
)


@contextmanager
def everything_large() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sizes, "LARGE", 1)
        patch.setattr(mirrors, "LEAST", 1)
        patch.setattr(mirrors, "SIDE", 2)
        yield


def program(seed: int) -> tuple[Trace, list[Any]]:
    """The trace of a program of matrices, its first output a number, and values for its inputs."""
    rng = random.Random(seed)
    builder = Builder()
    inputs = [builder.input(MATRIX, n) for n in "xyz"]
    pool = _steps(rng, builder, list(inputs), 9, 1)
    total = sum_to(arithmetic.square(pool[-1]), shape=())
    for value in rng.sample(pool, 2):
        total = total + sum_to(value * rng.choice([0.5, 2.0]), shape=())
    outputs = [total, *(v for v in rng.sample(pool, 2) if rng.random() < 0.4)]
    draw = np.random.default_rng(seed)
    return builder.trace(inputs, outputs), [draw.uniform(-1.0, 1.0, (SIDE, SIDE)) for _ in inputs]


def _steps(rng: random.Random, builder: Builder, pool: list[Symbol], size: int, depth: int) -> list[Symbol]:
    for _ in range(size):
        recent = pool[-4:] if rng.random() < 0.7 else pool
        x, y = rng.choice(recent), rng.choice(pool)
        kind = rng.randrange(14)
        if kind < 2:
            made = rng.choice(UNARY)(x)
        elif kind < 5:
            made = rng.choice(BINARY)(x, rng.choice([y, y, 0.5]))
        elif kind < 8:
            made = elementary.tanh(0.25 * matmul(x, y)) if rng.random() < 0.5 else matmul(x, 0.3 * y)
        elif kind < 9:
            made = transpose(x, axes=(1, 0))
            made = made if rng.random() < 0.5 else made * y
        elif kind < 11:
            made = _written(rng, x, y)
        elif kind < 13 or not depth:
            made = put_together(rng, [x, y, elementary.tanh(x), 0.5 * y])
        else:
            pool += _loop(rng, builder, rng.sample(pool, 2), rng.choice(pool), depth)
            continue
        if rng.random() < 0.4:
            made.atom.name = rng.choice("abc")  # type: ignore[union-attr]
        pool.append(made)
    return pool


def put_together(rng: random.Random, pool: Sequence[Symbol]) -> Symbol:
    """Parts of arrays side by side, or one with a number around it; as large as they are."""
    if rng.random() < 0.3:
        sides = [rng.choice([(1, 1), (0, 2), (1, 0), (0, 0)]) for _ in range(2)]
        inner = tuple(slice(0, SIDE - before - after) for before, after in sides)
        return pad(getitem(rng.choice(pool), index=inner), widths=tuple(sides), value=rng.choice([0.0, 0.5]))
    axis, first, last = rng.randrange(2), rng.randrange(1, 3), rng.randrange(3)
    lengths = (first, SIDE - first - last, last)
    parts = []
    for length in filter(None, lengths):
        start = rng.randrange(SIDE - length + 1)
        index = (*(slice(None),) * axis, slice(start, start + length))
        parts.append(getitem(rng.choice(pool), index=index))
    return concatenate(*(rng.choice([part, 0.5 * part]) for part in parts), axis=axis)


def _written(rng: random.Random, x: Symbol, y: Symbol) -> Symbol:
    """An array with something written in: a part of another, or of itself."""
    target = rng.choice([x, x * 2.0, zeros_like(x)])
    place = rng.choice(PLACES)
    part = getitem(rng.choice([x, y]), index=place)
    part = rng.choice([part, elementary.tanh(part), 0.5 * part])
    return rng.choice([index_set, index_add])(target, part, index=place)


def _loop(
    rng: random.Random, builder: Builder, carried: list[Symbol], still: Symbol, depth: int
) -> list[Symbol]:
    inner = Builder(builder.level + 1)
    types = [COUNTER, *(s.type for s in (*carried, still))]
    inputs = [inner.input(t, n) for t, n in zip(types, "kabs", strict=True)]
    made = _steps(rng, inner, list(inputs[1:]), 4, depth - 1)
    last = 0.5 * rng.choice(made[3:]) if rng.random() < 0.5 else made[-1]
    body = inner.trace(inputs, [last, rng.choice(made)])
    params = {
        "condition": None,
        "stop": None,
        "body": body,
        "carried": 2,
        "sliced": 0,
        "reverse": False,
        "names": ("a", "b"),
    }
    _, *finals = builder.apply(loop, [builder.constant(rng.randrange(1, 4)), *carried, still], params)
    return [f for f in finals if f.shape == MATRIX.shape]


@hypothesis.settings(max_examples=100)
@hypothesis.given(bits(32), bits(1))
def test_value_and_gradient(seed: int, differentiated: int) -> None:
    trace, values = program(seed)
    plan = plan_gradient(trace, (0, 1, 2), (0,)) if differentiated else plan_value(trace)
    joint = for_loops(plan.joint)
    expected = interpret(joint, copy.deepcopy(values))
    hypothesis.assume(all(np.all(np.abs(e) < 1e6) for e in expected))
    with everything_large():
        source = emit_native(plan.kind, joint)
    assert isinstance(source, Source)
    given_values = copy.deepcopy(values)
    (entry,) = run_alone(source).values()
    code, *found = entry(*given_values)
    assert code == -1
    assert all(map(agree, given_values, values)), "an argument was written into"
    for got, want in zip(found, expected, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-9 * (1 + np.max(np.abs(want))))


@hypothesis.settings(max_examples=60)
@hypothesis.given(traces(18))
def test_loops_branches_and_guards(case: tuple[Trace, list[Any]]) -> None:
    with everything_large():
        check_native_text(*case)


def test_everything_large_is_planned() -> None:
    planned = []
    for seed in range(8):
        with everything_large():
            source = emit_native("value", for_loops(plan_value(program(seed)[0]).joint))
        planned.append(isinstance(source, Source) and len(source.memory))
    assert sum(planned) >= len(planned)
