"""A large array of which a part is written once is put together of that part and what lies around it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tracegrad as tg
from tests.passes.written import read
from tracegrad.ir.interpret import interpret
from tracegrad.ir.text import text
from tracegrad.passes.put_together import put_together

rng = np.random.default_rng(11)
N = 100
HEAD = f"trace(x: f8[{N},{N}], y: f8[{N},{N}]):\n"


def after(*lines: str) -> tuple[str, Any, Any]:
    before = read(HEAD + "".join(f"  {line}\n" for line in lines))
    found = put_together(before)
    return text(found), before, found


WRITTEN = (
    "v = getitem(y, index=(slice(1, -1, None),))",
    "z = index_add(x, v, index=(slice(1, -1, None),))",
)
SUMMED = ("s = multiply(z, z)", "t = sum(s, axis=(0, 1), keepdims=False)")


@pytest.mark.parametrize(
    "lines",
    [
        (*WRITTEN, *SUMMED),
        (WRITTEN[0], WRITTEN[1].replace("index_add", "index_set"), *SUMMED),
        (
            "v = getitem(y, index=(slice(None), slice(None, -1, None)))",
            "z = index_add(x, v, index=(slice(None), slice(1, None, None)))",
            *SUMMED,
        ),
        (
            *WRITTEN,
            "s = tanh(z)",
            "w = multiply(s, z)",
            "r = mean(w, axis=(0,), keepdims=False)",
            "t = sum(r, axis=(0,), keepdims=False)",
        ),
    ],
)
def test_what_is_summed_is_put_together(lines):
    found, before, trace = after(*lines, "return t")
    assert "concatenate" in found and "index_" not in found
    x, y = rng.normal(size=(2, N, N))
    np.testing.assert_array_equal(interpret(trace, [x, y]), interpret(before, [x, y]))


@pytest.mark.parametrize(
    "lines",
    [
        (*WRITTEN, *SUMMED, "return t, z"),  # a result is one array
        (*WRITTEN, "s = matmul(z, y)", "t = sum(s, axis=(0, 1), keepdims=False)", "return t"),
        (*WRITTEN, "s = multiply(z, y)", "t = sum(s, axis=(0, 1), keepdims=False)", "return t"),
        (*WRITTEN, "t = sum(z, axis=(1,), keepdims=False)", "return t"),  # as many sums as rows
        (
            *WRITTEN,
            "w = index_add(z, v, index=(slice(2, None, None),))",  # written once more
            "s = multiply(w, w)",
            "t = sum(s, axis=(0, 1), keepdims=False)",
            "return t",
        ),
        (
            "v = getitem(y, index=(slice(1, -1, None), slice(1, -1, None)))",  # a frame around it
            "z = index_add(x, v, index=(slice(1, -1, None), slice(1, -1, None)))",
            *SUMMED,
            "return t",
        ),
        (
            "v = getitem(y, index=(slice(None, None, 2),))",  # with gaps
            "z = index_add(x, v, index=(slice(None, None, 2),))",
            *SUMMED,
            "return t",
        ),
        (
            "v = getitem(y, index=(slice(0, 50, None),))",  # small
            "z = index_add(x, v, index=(slice(0, 50, None),))",
            *SUMMED,
            "return t",
        ),
    ],
)
def test_others_stay(lines):
    found, before, _ = after(*lines)
    assert found == text(before)


def smoothed(x):
    a = x * 1.0
    a[1:-1] += 0.1 * (x[2:] - 2 * x[1:-1] + x[:-2])
    return np.sum(a * a)


def with_an_edge(x):
    a = np.tanh(x)
    a[:3] = x[-3:]
    return np.mean(np.exp(a) * a) + np.linalg.norm(x)


def started(x):
    a = x.copy()
    a[2:] = np.exp(a[:-2]) * a[2:]
    return np.sum(np.where(a > 0.5, a * a, a))


def columns(x):
    a = x.copy()
    a[..., 1:] -= 0.5 * x[..., :-1]
    return np.sum(np.sqrt(1.0 + a * a))


@pytest.mark.parametrize("function", [smoothed, with_an_edge, started, columns])
@pytest.mark.parametrize("shape", [(9000,), (95, 101), (40, 3)])
def test_programs_have_their_value_and_gradient(function, shape):
    x = rng.uniform(-1.0, 1.0, shape)
    before = x.copy()
    native, array = (tg.value_and_grad(function, jit=tier) for tier in ("native", "python"))
    (value, slope), (wanted, wanted_slope) = native(x), array(x)
    assert value == pytest.approx(wanted, rel=1e-13) == function(x)
    np.testing.assert_allclose(slope, wanted_slope, rtol=1e-12, atol=1e-14)
    np.testing.assert_array_equal(x, before)
    direction = rng.normal(size=shape)
    step = 1e-6
    change = (function(x + step * direction) - function(x - step * direction)) / (2 * step)
    assert np.sum(slope * direction) == pytest.approx(change, rel=1e-5, abs=1e-6)
    hessian = tg.grad(lambda x: np.sum(tg.grad(function)(x) * direction), jit="native")(x)
    ahead, behind = (array(x + s * direction)[1] for s in (1e-6, -1e-6))
    np.testing.assert_allclose(hessian, (ahead - behind) / 2e-6, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("shape", [(9000,), (300, 301)])
def test_gradients_have_the_same_bits_in_all_texts_and_threads(shape, monkeypatch):
    monkeypatch.setattr(tg.config, "contract", False)
    x = rng.normal(size=shape)
    wanted = tg.grad(smoothed, jit="python")(x)
    for threads in (1, 2):
        monkeypatch.setattr(tg.config, "threads", threads)
        np.testing.assert_array_equal(tg.grad(smoothed, jit="native")(x), wanted)


def test_a_written_part_takes_no_memory():
    made = tg.value_and_grad(smoothed, jit="native")
    made(rng.normal(size=(200, 200)))
    text = made.native_source
    assert "def smoothed_value_and_grad(x):" in text and text.count("((200, 200))") == 1, text  # the gradient
