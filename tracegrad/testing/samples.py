"""Inputs for an op's tests, drawn from its declaration; and the traces of its value and of its derivatives.

An elementwise op says from where its inputs are drawn, and gets all shapes that broadcasting has; another op lists its
sample calls. A trace runs a rule on numbers: `interpret(vjp_trace(sample), (*sample.active, g))`. Begin with `samples`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tracegrad.ad.blocks import inline, results_of
from tracegrad.ad.forward import push_forward
from tracegrad.ir.trace import Instr, Trace
from tracegrad.ir.types import is_weak, type_of
from tracegrad.ops.families import Case
from tracegrad.ops.op import Op
from tracegrad.ops.symbol import Builder

_UNARY_SHAPES: tuple[Any, ...] = (((),), ((3,),), ((2, 3),), ((0,),))
_BINARY_SHAPES: tuple[Any, ...] = (
    ((), ()),
    ((3,), (3,)),
    ((), (3,)),
    ((2, 3), (3,)),
    ((2, 1), (1, 3)),
    ((0,), ()),
    ((0, 2), (2,)),
)


@dataclass(frozen=True)
class Sample:
    """One call of an op: `op(*values, **params)`. A Python number among the values is a weak constant."""

    op: Op
    values: tuple[Any, ...]
    params: dict[str, Any]

    @property
    def is_active(self) -> tuple[bool, ...]:
        """For each value whether it can carry a derivative."""
        return tuple(not is_weak(v) and type_of(v).dtype.kind in "fc" for v in self.values)

    @property
    def active(self) -> tuple[Any, ...]:
        """The values that can carry a derivative."""
        return tuple(v for v, active in zip(self.values, self.is_active, strict=True) if active)

    def with_active(self, values: Sequence[Any]) -> Sample:
        """The same call on other values in the places that can carry a derivative."""
        rest = iter(values)
        return replace(
            self,
            values=tuple(next(rest) if a else v for v, a in zip(self.values, self.is_active, strict=True)),
        )

    def cast(self, dtype: Any) -> Sample:
        """The same call with floats of another dtype."""
        return self.with_active([np.asarray(v).astype(dtype)[()] for v in self.active])

    def made_complex(self, places: Sequence[int] | None = None, size: float = 0.4) -> Sample:
        """The same call with imaginary parts of this size; `places` says which of the active values get one."""
        generator = np.random.default_rng(len(self.active))
        return self.with_active(
            [
                np.asarray(v + 1j * generator.uniform(-size, size, np.shape(v)))[()]
                if places is None or k in places
                else v
                for k, v in enumerate(self.active)
            ]
        )

    def __str__(self) -> str:
        shapes = ", ".join(repr(v) if is_weak(v) else str(type_of(v)) for v in self.values)
        return f"{self.op.name}({shapes}, {self.params})"


def _drawn(generator: np.random.Generator, low: float, high: float, shape: tuple[int, ...]) -> Any:
    if isinstance(low, int) and isinstance(high, int):
        return np.asarray(generator.integers(low, high, shape, endpoint=True))[()]
    return np.asarray(generator.uniform(low, high, shape))[()]


def _input(generator: np.random.Generator, given: Any) -> Any:
    if callable(given):
        return given(generator)
    return np.asarray(generator.uniform(-2.0, 2.0, given))[()] if isinstance(given, tuple) else given


def samples(op: Op, seed: int = 0) -> list[Sample]:
    """Sample calls of an op, the same for the same seed.

    Raises
    ------
    ValueError : the op's declaration gives no samples
    """
    generator = np.random.default_rng(seed)
    declared = op.sample
    if declared is None:
        raise ValueError(f"the op {op.name!r} declares no samples")
    if isinstance(declared, tuple) and all(isinstance(c, Case) for c in declared):
        return [Sample(op, tuple(_input(generator, x) for x in c.inputs), dict(c.params)) for c in declared]
    n_inputs = getattr(op.evaluate, "nin", None) or (
        op.partials.__code__.co_argcount - 1 if op.partials else op.evaluate.__code__.co_argcount
    )
    domains = declared if isinstance(declared[0], tuple) else (declared,) * n_inputs
    return [
        Sample(
            op,
            tuple(_drawn(generator, low, high, s) for (low, high), s in zip(domains, shapes, strict=True)),
            {},
        )
        for shapes in _shapes(n_inputs)
    ]


def _shapes(n_inputs: int) -> tuple[Any, ...]:
    """How the shapes of this many inputs broadcast; inputs beyond the first two alternate between the two."""
    if n_inputs == 1:
        return _UNARY_SHAPES
    return tuple(tuple(pair[k % 2] for k in range(n_inputs)) for pair in _BINARY_SHAPES)


# --- traces -----------------------------------------------------------------------------------------------------------


def _called(sample: Sample, builder: Builder) -> tuple[list[Any], list[Any], Any]:
    """Symbols of the active inputs, of all inputs, and the result."""
    inputs = [
        builder.input(type_of(v), f"x{k}") if active else builder.constant(v)
        for k, (v, active) in enumerate(zip(sample.values, sample.is_active, strict=True))
    ]
    outputs = builder.apply(sample.op, inputs, sample.params)
    return [x for x, active in zip(inputs, sample.is_active, strict=True) if active], inputs, outputs


def _as_tuple(outputs: Any) -> tuple[Any, ...]:
    return outputs if isinstance(outputs, tuple) else (outputs,)


def value_trace(sample: Sample) -> Trace:
    """From the active values to the results."""
    builder = Builder()
    active, _, outputs = _called(sample, builder)
    return builder.trace(active, _as_tuple(outputs))


def instruction(sample: Sample) -> Instr:
    """The call as an instruction."""
    found = value_trace(sample).steps[0]
    assert isinstance(found, Instr)
    return found


def vjp_trace(sample: Sample) -> Trace:
    """From the active values and a cotangent for each result to the cotangents of the active values."""
    builder = Builder()
    active, inputs, outputs = _called(sample, builder)
    results = _as_tuple(outputs)
    seeds = [builder.input(z.type, f"g{k}") for k, z in enumerate(results)]
    single = sample.op.n_outputs == 1
    g, z = (seeds[0], outputs) if single else (tuple(seeds), outputs)
    assert sample.op.vjp is not None
    found = sample.op.vjp(g, z, *inputs, **sample.params)
    bars = [
        builder.constant(np.zeros(x.shape, x.dtype)) if bar is None else bar
        for x, bar, a in zip(inputs, found, sample.is_active, strict=True)
        if a
    ]
    return builder.trace([*active, *seeds], bars)


def jvp_trace(sample: Sample) -> Trace:
    """From the active values and a tangent for each to the tangents of the results."""
    builder = Builder()
    active, inputs, outputs = _called(sample, builder)
    dots = [builder.input(x.type, f"x{k}_dot") for k, x in enumerate(active)]
    rest = iter(dots)
    tangents = tuple(next(rest) if a else None for a in sample.is_active)
    assert sample.op.jvp is not None
    found = sample.op.jvp(tangents, outputs, *inputs, **sample.params)
    results = [
        builder.constant(np.zeros(z.shape, z.dtype)) if dot is None else dot
        for z, dot in zip(_as_tuple(outputs), _as_tuple(found), strict=True)
    ]
    return builder.trace([*active, *dots], results)


def pushed_forward(trace: Trace) -> Trace:
    """The jvp of a whole trace: from its inputs and a tangent for each to the tangents of its outputs."""
    builder = Builder()
    inputs = [builder.input(v.type, v.name) for v in trace.inputs]
    values = inline(builder, trace, inputs)
    dots = [builder.input(v.type) for v in trace.inputs]
    found = push_forward(trace.steps, values, dict(zip(trace.inputs, dots, strict=True)), builder)
    outputs = []
    for atom, result in zip(trace.outputs, results_of(trace, values, builder), strict=True):
        dot = found.get(atom)  # type: ignore[arg-type]
        outputs.append(builder.constant(np.zeros(result.shape, result.dtype)) if dot is None else dot)
    return builder.trace([*inputs, *dots], outputs)
