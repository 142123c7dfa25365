"""What is computed of large arrays that are put together, or written in parts, is computed of their parts."""

from __future__ import annotations

import re
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
        (*WRITTEN, "s = multiply(z, y)", "t = sum(s, axis=(0, 1), keepdims=False)"),
        (
            *WRITTEN,
            "s = tanh(z)",
            "r = sum(s, axis=(0,), keepdims=False)",
            "t = sum(r, axis=(0,), keepdims=False)",
        ),
        (
            *WRITTEN,
            "w = index_add(z, v, index=(slice(2, None, None),))",  # written once more
            "s = multiply(w, w)",
            "t = sum(s, axis=(0, 1), keepdims=False)",
        ),
        (
            "v = getitem(y, index=(slice(1, -1, None), slice(1, -1, None)))",  # a frame around it
            "z = index_add(x, v, index=(slice(1, -1, None), slice(1, -1, None)))",
            *SUMMED,
        ),
        (
            *WRITTEN,
            "a = getitem(y, index=(0,))",
            "b = index_set(z, a, index=(-1,))",  # rows and columns, by their number
            "q = index_set(b, 2.0, index=(slice(None, None, None), 0))",
            "s = multiply(q, q)",
            SUMMED[1],
        ),
        (
            "a = getitem(y, index=(slice(None, 3, None),))",
            "p = concatenate(a, x, axis=0)",
            "q = concatenate(x, a, axis=0)",  # seams in other places
            "z = multiply(p, q)",
            *SUMMED,
        ),
        (
            "p = pad(x, widths=((1, 1), (0, 2)), value=0.5)",
            "q = getitem(p, index=(slice(1, None, None), slice(2, None, None)))",
            "a = getitem(p, index=(slice(None, -1, None), slice(None, -2, None)))",
            "z = subtract(q, a)",
            *SUMMED,
        ),
    ],
)
def test_what_is_summed_is_computed_of_parts(lines):
    found, before, trace = after(*lines, "return t")
    assert "concatenate" not in found and "index_" not in found and "pad" not in found
    x, y = rng.normal(size=(2, N, N))
    np.testing.assert_allclose(interpret(trace, [x, y]), interpret(before, [x, y]), rtol=1e-13)


@pytest.mark.parametrize(
    "lines",
    [
        (*WRITTEN, *SUMMED, "return t, z"),  # a result is one array
        (*WRITTEN, "s = matmul(z, y)", "t = sum(s, axis=(0, 1), keepdims=False)", "return t"),
        (*WRITTEN, "t = sum(z, axis=(1,), keepdims=False)", "return t"),  # as many sums as rows
        (
            "v = getitem(y, index=(slice(None, None, 2),))",  # with gaps
            "z = index_add(x, v, index=(slice(None, None, 2),))",
            *SUMMED,
            "return t",
        ),
        (
            "q = zeros(shape=(100, 100), dtype=f8)",  # a derivative of a read, which is added up in another way
            "z = index_add(q, x, index=(slice(None, None, None),))",
            *SUMMED,
            "return t",
        ),
        (
            "p = concatenate(x, y, axis=0)",
            "s = multiply(p, p)",
            "t = sum(s, axis=(0, 1), keepdims=False)",
            "return t",
        ),
        (
            "r = getitem(x, index=(slice(None, None, 11), slice(None, None, 11)))",  # small
            "a = getitem(r, index=(slice(None, 1, None),))",
            "z = index_set(r, a, index=(slice(2, 3, None),))",
            *SUMMED,
            "return t",
        ),
        (
            "p = concatenate(x, y, x, y, x, y, x, y, x, y, axis=0)",  # very many parts
            "a = getitem(p, index=(slice(1, None, None),))",
            "b = getitem(p, index=(slice(None, -1, None),))",
            "s = multiply(a, b)",
            "t = sum(s, axis=(0, 1), keepdims=False)",
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


def ends_repeated(x):
    return np.sum(np.diff(np.concatenate([x[:1], x, x[-1:]]), 2) ** 2)


def around(x):
    p = np.concatenate([x[-2:], np.sin(x), x[:1]])
    return np.mean((p[2:] - 2.0 * p[1:-1] + p[:-2]) ** 2 * p[1:-1])


def appended(x):
    p = np.concatenate([np.append(np.exp(x), 2.0 * x[0]), np.zeros_like(x[:1])])
    return np.sum(p[1:] * p[:-1]) + np.linalg.norm(p)


def laplacian(u):
    return u[:-2, 1:-1] + u[2:, 1:-1] + u[1:-1, :-2] + u[1:-1, 2:] - 4.0 * u[1:-1, 1:-1]


def framed(x):
    return np.sum(laplacian(np.pad(np.tanh(x), 1, constant_values=0.3)) ** 2)


def inside_written(x):
    a = x.copy()
    a[1:-1, 1:-1] = x[1:-1, 1:-1] + 0.1 * laplacian(x)
    return np.sum(a * a)


def borders_written(x):
    a = x * np.cos(x)
    a[0] = 0.0
    a[-1] = x[0]
    a[:, 0] = 1.0
    a[:, -1] = x[:, 1] * 2.0
    return np.sum(laplacian(a) ** 2) + np.sum(a[3])


def slopes(x):
    down, across = np.gradient(x)
    return np.sum(np.sqrt(down * down + across * across + 1e-2))


def framed_and_a_column(x):
    p = np.zeros((x.shape[0], x.shape[1] + 5))
    p[:, 2:-3] = x
    return np.mean(p + np.sin(x[:, :1]))


def framed_and_a_row(x):
    p = np.exp(np.pad(x, ((2, 3), (0, 0)), constant_values=0.5) * x[0])
    return np.sum(p[1:] * p[:-1])


def block_written(x):
    a = x.copy()
    a[1:-1, 2:, 1:] += 0.1 * (x[2:, 2:, 1:] - x[:-2, :-2, :-1]) * x[1:-1, 2:, 1:]
    return np.sum(a * a * x)


def laplacian_of_frame(x):
    return np.sum(laplacian(np.pad(x, 1)) ** 2)


def slopes_squared(x):
    down, across = np.gradient(x)
    return np.sum(down * down * across)


PLANES = [(95, 101), (40, 5)]


@pytest.mark.parametrize(
    "function, shape",
    [
        *(
            (f, s)
            for f in (smoothed, with_an_edge, started, columns, ends_repeated, around)
            for s in [(9000,), (95, 101), (40, 3)]
            if f in (smoothed, with_an_edge, started, columns) or len(s) == 1 or f is around
        ),
        (appended, (9000,)),
        (borders_written, (260, 255)),
        *((f, s) for f in (framed, inside_written, borders_written, slopes) for s in PLANES),
        *((f, s) for f in (framed_and_a_column, framed_and_a_row) for s in PLANES),
        (block_written, (22, 23, 25)),
    ],
)
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


@pytest.mark.parametrize(
    "function, shape",
    [
        *((smoothed, s) for s in [(9000,), (300, 301)]),
        (ends_repeated, (9000,)),
        *((f, (300, 301)) for f in (inside_written, laplacian_of_frame, slopes_squared)),
    ],
)
def test_gradients_have_the_same_bits_in_all_texts_and_threads(function, shape, monkeypatch):
    monkeypatch.setattr(tg.config, "contract", False)
    x = rng.normal(size=shape)
    wanted = tg.grad(function, jit="python")(x)
    for threads in (1, 2):
        monkeypatch.setattr(tg.config, "threads", threads)
        np.testing.assert_array_equal(tg.grad(function, jit="native")(x), wanted)


@pytest.mark.parametrize("function", [smoothed, inside_written, framed, slopes])
def test_parts_take_no_memory(function):
    made = tg.grad(function, jit="native")
    made(rng.normal(size=(200, 200)))
    text = made.native_source
    large = [
        n for n in re.findall(r"np\.(?:empty|zeros)\(\((\d+), (\d+)\)", text) if int(n[0]) * int(n[1]) > 2000
    ]
    planned = [m for m in made.last.built.memory if m[2] is None]
    assert len(large) <= 1 and not planned, text  # the gradient
