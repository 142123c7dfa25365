"""Large arrays with items put in, taken out, or borders of their own items are read by slices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tracegrad as tg
from tracegrad.ops.numpy_runs import LARGE

rng = np.random.default_rng(5)
SIDE = 100
CALLS: dict[str, Callable[[Any], Any]] = {
    **{
        f"{mode}, {width}": lambda x, mode=mode, width=width: np.pad(x, width, mode=mode)
        for mode in ("edge", "reflect", "symmetric", "wrap")
        for width in (1, 4, (0, 3), ((2, 0), (0, 0)), ((0, 0), (1, 5)))
    },
    "a row put in": lambda x: np.insert(x, 7, 0.5, axis=0),
    "a column put in": lambda x: np.insert(x, -1, x[3], axis=1),
    "put in at the end": lambda x: np.insert(x, SIDE, x[0], axis=0),
    "some put in": lambda x: np.insert(x, [3, 50], x[:2], axis=0),
    "one put in": lambda x: np.insert(x, 7, x[0, 0]),
    "a row taken out": lambda x: np.delete(x, 7, axis=0),
    "a column taken out": lambda x: np.delete(x, -1, axis=1),
    "the first row taken out": lambda x: np.delete(x, 0, axis=0),
    "columns taken out": lambda x: np.delete(x, slice(3, 30), axis=1),
    "some taken out": lambda x: np.delete(x, [3, 50], axis=1),
    "items taken out": lambda x: np.delete(x, [3, 50, 51]),
    "every second row taken out": lambda x: np.delete(x, slice(None, None, 2), axis=0),
    "tiled": lambda x: np.tile(x, (2, 3)),
    "tiled in one axis": lambda x: np.tile(x, 2),
}


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("order", "CF")
def test_values_and_memory_are_numpys(name: str, order: Any) -> None:
    x = np.asarray(rng.uniform(-1, 1, (SIDE, SIDE)), order=order)
    assert x.size >= LARGE
    wanted = CALLS[name](x)
    found = []
    tg.grad(lambda a: found.append(CALLS[name](a)) or np.sum(found[0]))(tg.tensor(x))
    np.testing.assert_array_equal(found[0].value, wanted)
    assert found[0].value.strides == wanted.strides
    assert not np.shares_memory(found[0].value, x)


@pytest.mark.parametrize("name", CALLS)
def test_the_gradient_is_the_slope(name: str) -> None:
    def rough(a: Any) -> Any:
        made = CALLS[name](a)
        return np.sum((made[1:] - made[:-1]) ** 2)

    x, direction = rng.uniform(-1, 1, (2, SIDE, SIDE))
    slope = (rough(x + direction) - rough(x - direction)) / 2  # exact: the function is a square
    for tier in ("native", "python"):
        found = np.sum(tg.grad(rough, jit=tier)(x) * direction)
        np.testing.assert_allclose(found, slope, rtol=1e-9)


@pytest.mark.parametrize("call", [CALLS["edge, 1"], CALLS["a row put in"], CALLS["a column taken out"]])
def test_native_text_reads_no_places(call: Callable[[Any], Any]) -> None:
    native = tg.grad(lambda x: np.sum(np.diff(call(x), axis=0) ** 2), jit="native")
    native(rng.uniform(-1, 1, (SIDE, SIDE)))
    assert "checked(" not in native.native_source
    assert "x_bar" in native.native_source
