"""Random traces with guards, branches and loops, and values they run on: what every pass is tried on.

Numbers are small halves and the ops keep them exact, so a pass that only reorders arithmetic changes no digit.
Begin with `traces`, a Hypothesis strategy.
"""

from __future__ import annotations

import contextlib
import random
from typing import Any

import numpy as np

from tests.drawing import bits
from tracegrad.ad.branch import branch
from tracegrad.ad.loop import loop
from tracegrad.ir.trace import Trace
from tracegrad.ir.types import ArrayType
from tracegrad.ops import arithmetic, compare
from tracegrad.ops.families import astype, broadcast_to, sum_to
from tracegrad.ops.index import getitem, index_add, index_set, zeros, zeros_like
from tracegrad.ops.shape import reshape, transpose
from tracegrad.ops.symbol import Builder, Symbol

SHAPES: tuple[tuple[int, ...], ...] = ((), (3,), (1, 3), (2, 3))
UNARY = (arithmetic.negative, compare.absolute, arithmetic.square, arithmetic.positive_)
BINARY = (
    arithmetic.add,
    arithmetic.subtract,
    arithmetic.multiply,
    arithmetic.add,
    arithmetic.subtract,
    compare.where,
)
COUNTER = ArrayType((), np.dtype(np.int64))
INDICES = ((0,), (1,), (slice(None),), (slice(0, 2),), (Ellipsis, 0), (-1,))


def traces(size: int = 12) -> Any:
    """A strategy for pairs: a trace of about `size` steps, and a list of values for its inputs."""
    return bits(32).map(lambda seed: random_trace(seed, size))


def random_trace(seed: int, size: int) -> tuple[Trace, list[Any]]:
    """The trace and inputs that a seed stands for."""
    rng = random.Random(seed)
    builder = Builder()
    shapes = [rng.choice(SHAPES) for _ in range(3)]
    inputs = [builder.input(ArrayType(s, np.dtype(float)), n) for s, n in zip(shapes, "xyz", strict=True)]
    count = builder.input(ArrayType((), np.dtype(np.int64)), "n")
    pool = _steps(rng, builder, list(inputs), size, depth=2, count=count)
    outputs = [rng.choice(pool) for _ in range(3)]
    if rng.random() < 0.2:
        outputs.append(builder.constant(2.5))
    values = [_halves(rng, s) for s in shapes]
    return builder.trace([*inputs, count], outputs), [*values, np.int64(rng.randrange(4))]


def _halves(rng: random.Random, shape: tuple[int, ...]) -> Any:
    size = int(np.prod(shape))
    array = np.array([rng.randrange(-4, 5) / 2 for _ in range(size)]).reshape(shape)
    return array if shape else np.float64(array[()])


def _number(rng: random.Random) -> Any:
    value = rng.choice([0.0, 1.0, -1.0, 2.0, 0.5, 1, 0, 2])
    return rng.choice([value, value, np.float64(value)])


def _steps(
    rng: random.Random, builder: Builder, pool: list[Symbol], size: int, depth: int, count: Symbol | None
) -> list[Symbol]:
    """Write steps; returns the floating values there are."""
    for _ in range(size):
        choice = rng.random()
        if choice < 0.08 and depth:
            pool += _branch(rng, builder, pool, depth)
        elif choice < 0.18 and depth:
            pool += _loop(rng, builder, pool, depth, count)
        elif choice < 0.24:
            builder.guard(_condition(rng, pool, 0.95), rng.random() < 0.95)
        else:
            made = None
            with contextlib.suppress(ValueError):  # shapes that do not fit, and no harm done
                made = _elementary(rng, pool)
            if isinstance(made, Symbol):
                if rng.random() < 0.4:
                    made.atom.name = rng.choice("abc")  # type: ignore[union-attr]
                pool.append(made)
    return pool


def _condition(rng: random.Random, pool: list[Symbol], holds: float = 0.5) -> Symbol:
    x = rng.choice(pool)
    return compare.less(sum_to(x, shape=()) if x.shape else x, _number(rng) + 1000.0 * (rng.random() < holds))


def _elementary(rng: random.Random, pool: list[Symbol]) -> Any:
    x, y = rng.choice(pool), rng.choice(pool)
    kind = rng.randrange(11)
    if kind < 2:
        return rng.choice(UNARY)(x)
    if kind < 6:
        op = rng.choice(BINARY)
        pair = [x, y if rng.random() < 0.5 else _number(rng)]
        rng.shuffle(pair)
        return compare.where(compare.greater(x, 0.0), *pair) if op is compare.where else op(*pair)
    if kind == 6:
        return rng.choice(
            [lambda: x ** rng.choice([1, 2, 1.0]), lambda: x / rng.choice([1, 2.0, -1]), lambda: 1 * x]
        )()
    if kind == 7:
        return rng.choice(
            [
                lambda: sum_to(x, shape=rng.choice([(), x.shape, x.shape[1:]])),
                lambda: broadcast_to(
                    x, shape=rng.choice([x.shape, (2, *x.shape[-1:])]) if x.shape != (2, 3) else x.shape
                ),
                lambda: astype(x, dtype=np.dtype(float)),
            ]
        )()
    if kind == 8:
        axes = list(range(x.ndim))
        rng.shuffle(axes)
        return rng.choice(
            [
                lambda: reshape(x, shape=x.shape),
                lambda: transpose(transpose(x, axes=tuple(axes)), axes=tuple(axes)),
            ]
        )()
    if kind == 9:
        return rng.choice(
            [lambda: zeros_like(x), lambda: x.recorder.apply(zeros, (), {"shape": x.shape, "dtype": x.dtype})]
        )()
    if not x.shape:
        return -x
    index = rng.choice([i for i in INDICES if x.shape[0] > 1 or i != (1,)])
    item = getitem(x, index=index)
    target = rng.choice([x, zeros_like(x)])
    if target.shape != x.shape:
        return item
    write = rng.choice([index_add, index_set])
    return rng.choice([item, write(target, item, index=index), write(target, 2.0, index=index)])


def _branch(rng: random.Random, builder: Builder, pool: list[Symbol], depth: int) -> list[Symbol]:
    operands = [rng.choice(pool) for _ in range(3)]
    arms = []
    for _ in range(2):
        inner = Builder(builder.level + 1)
        inputs = [inner.input(o.type, "a") for o in operands]
        made = _steps(rng, inner, list(inputs), 3, depth - 1, None)
        results = [
            made[-1] if made[-1].shape == inputs[0].shape else inputs[0],
            inputs[1],
            _any_scalar(rng, made),
        ]
        arms.append(inner.trace(inputs, results))
    condition = _condition(rng, pool)
    if rng.random() < 0.2:
        condition = builder.constant(rng.random() < 0.5)
    written = builder.apply(branch, [condition, *operands], {"arms": tuple(arms), "names": ("a", "b", "c")})
    return list(written)


def _any_scalar(rng: random.Random, pool: list[Symbol]) -> Any:
    scalars = [s for s in pool if not s.shape]
    return rng.choice(scalars) if scalars else 1.0


def _loop(
    rng: random.Random, builder: Builder, pool: list[Symbol], depth: int, count: Symbol | None
) -> list[Symbol]:
    """A loop that stacks and reads its counter, and sometimes one that reads its stacks backwards."""
    carried: list[Any] = [rng.choice(pool) for _ in range(2)]
    still: list[Any] = [rng.choice(pool), rng.choice([rng.choice(pool), builder.constant(0.5)])]
    names, stops, ends, test = ["a", "b"], rng.random() < 0.4, False, None
    if stops:
        carried.insert(1, builder.constant(False))
        names.insert(1, "stop")
    types = [COUNTER, *(s.type for s in (*carried, *still))]
    limit: Any = rng.choice(
        [builder.constant(rng.randrange(4)), builder.constant(2) if count is None else count]
    )
    if rng.random() < 0.5:
        tester = Builder(builder.level + 1)
        given = [tester.input(t, n) for t, n in zip(types, ["k", *names, "s", "t"], strict=True)]
        asked = _condition(rng, _floats(given))
        if rng.random() < 0.5:
            asked, ends = compare.logical_and(asked, compare.less(given[0], 2)), True
        test = tester.trace(given, [asked])
    inner = Builder(builder.level + 1)
    inputs = [
        inner.input(t, n) for t, n in zip(types, [rng.choice(["k", None]), *names, "s", "t"], strict=True)
    ]
    made = _steps(rng, inner, [*_floats(inputs), inputs[0] * rng.choice([1.0, 0.5])], 4, depth - 1, None)
    after = [_of_shape(rng, made, s) for s in _floats(inputs)[:2]]
    stacked = [rng.choice(made), inputs[1]]
    if stops:
        asked = _condition(rng, made)
        if rng.random() < 0.5:
            asked, ends = compare.logical_or(asked, compare.greater(inputs[0], 1)), True
        after.insert(1, asked)
    body = inner.trace(inputs, [*after, *stacked])
    if ends and rng.random() < 0.5:
        limit = builder.constant(-1)
    params = {
        "condition": test,
        "stop": 1 if stops else None,
        "body": body,
        "carried": len(carried),
        "sliced": 0,
        "reverse": False,
        "names": tuple(names),
    }
    steps, *finals, first, second = builder.apply(loop, [limit, *carried, *still], params)
    finals = _floats(finals)
    if rng.random() < 0.3:
        finals.append(steps * 0.5)
    if rng.random() < 0.5:
        return finals
    inner = Builder(builder.level + 1)
    counter = inner.input(COUNTER, "k")
    inputs = [inner.input(finals[0].type, "a_bar"), inner.input(still[0].type, "s")]
    inputs += [inner.input(ArrayType(s.shape[1:], s.dtype), "k") for s in (first, second)]
    made = _steps(rng, inner, [*inputs, counter * 1.0], 4, depth - 1, None)
    body = inner.trace([counter, *inputs], [_of_shape(rng, made, inputs[0])])
    params = {**params, "condition": None, "stop": None, "body": body, "carried": 1, "sliced": 2}
    params["reverse"] = True
    params["names"] = ("a_bar",)
    _, last = builder.apply(loop, [steps, finals[0], still[0], first, second], params)
    return [*finals, last]


def _floats(values: list[Symbol]) -> list[Symbol]:
    return [v for v in values if v.dtype.kind == "f"]


def _of_shape(rng: random.Random, pool: list[Symbol], like: Symbol) -> Symbol:
    return rng.choice([s for s in pool if s.type == like.type])
