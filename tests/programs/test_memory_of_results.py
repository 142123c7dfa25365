"""What NumPy's functions return lies in memory as NumPy has it: whose memory it is, and in which order, decides whether
a change of its shape is a view, and what a write shows in."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

import tracegrad as tg
from tracegrad.errors import InPlaceError

FUNCTIONS = [
    lambda a: np.pad(a, 1),
    lambda a: np.pad(a, 1, mode="wrap"),
    lambda a: np.pad(a, 1, mode="mean"),
    lambda a: np.pad(a, 0, mode="edge"),
    lambda a: np.take(a, [0, 1], axis=1),
    lambda a: np.take(a, [2, 0], axis=0),
    lambda a: np.take(a, 0, axis=0),
    lambda a: a.take([0, 1], axis=1),
    lambda a: np.compress([True, False, True], a, axis=1),
    lambda a: np.delete(a, 0, axis=1),
    lambda a: np.delete(a, 0, axis=0),
    lambda a: np.delete(a, [0, 2], axis=1),
    lambda a: np.delete(a, [], axis=0),
    lambda a: np.insert(a, 1, a[:, 0], axis=1),
    lambda a: np.insert(a, 1, 5.0, axis=0),
    lambda a: a[:, [0, 1]],
    lambda a: a[[1, 0]],
    lambda a: np.select([a > 0], [a]),
    lambda a: np.where(a > 0, a, 0.0),
    lambda a: np.sort(a, axis=0),
    lambda a: np.sort(a),
    lambda a: np.gradient(a)[1],
    lambda a: np.cumsum(a, axis=0),
    lambda a: np.einsum("ij,kj,lj->lki", a, a, a),
    lambda a: np.einsum("ij->ji", a),
    lambda a: np.conj(a),
    lambda a: np.meshgrid(a[0], a[1])[0],
    lambda a: np.meshgrid(a[0], a[1], indexing="ij")[1],
    lambda a: np.block(a),
    lambda a: np.block([[a]]),
    lambda a: np.array([a, a]),
    lambda a: np.array(a),
    lambda a: np.array(a, order="F"),
    lambda a: np.asarray(a),
    lambda a: np.asarray(a, order="F"),
    lambda a: np.ascontiguousarray(a),
    lambda a: np.asfortranarray(a),
    lambda a: np.asfortranarray(a.T),
    lambda a: np.float64(a),
    lambda a: np.copy(a),
    lambda a: np.copy(a.T),
    lambda a: np.copy(a, order="C"),
    lambda a: a.copy(),
    lambda a: a.copy(order="K"),
    lambda a: a.astype(float),
    lambda a: a.astype(float, order="C"),
    lambda a: a.astype(float, copy=False),
    lambda a: np.nan_to_num(a),
    lambda a: np.nan_to_num(a, copy=False),
    lambda a: np.full(a.shape, a[0]),
    lambda a: np.zeros_like(a),
    lambda a: np.zeros_like(a, order="F"),
    lambda a: np.ones_like(a.T, order="C"),
    lambda a: np.full_like(A.T, a[0, 0]),
    lambda a: np.full_like(A.T, a[0, 0], order="C"),
    lambda a: np.full_like(A, a[0, 0], shape=(2, 5)),
    lambda a: np.full((3, 4), a[0, 0], order="F"),
    lambda a: np.real(a),
    lambda a: np.tile(a, 1),
    lambda a: np.roll(a, 0),
    lambda a: np.concatenate([a]),
    lambda a: np.require(a, requirements="F"),
    lambda a: np.require(a, None, ["C", "W"]),
    lambda a: np.require(a, float, ["O", "A"]),
    lambda a: np.median(a, axis=0, keepdims=True),
]

A = np.random.default_rng(0).uniform(-1.0, 1.0, (4, 3))


@pytest.mark.parametrize("function", FUNCTIONS, ids=range(len(FUNCTIONS)))
def test_writes_show_where_numpy_shows_them(function):
    def written(a):
        b = a * 1.0
        made = function(b)
        flat = made.reshape(-1)
        squares = made * made
        row = squares.reshape(-1)
        b[0] = 7.0
        made[..., 0] += 3.0
        flat[1:] *= 4.0
        row[:2] = 5.0
        return b, made, flat, squares, row

    for a in (A, np.asfortranarray(A), A[::-1]):
        for got, want in zip(tg.jit(written, jit="python")(a), written(a), strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-12)


def shown_after_a_write(x):
    b = x * 1.0
    windows = sliding_window_view(b, 2)
    later = windows[1:]
    b[0] = 7.0
    b[2] *= 3.0
    return windows * 1.0, later * windows[:-1]


def shown_in_rows(x):
    b = x.reshape(2, 3) * 1.0
    windows = sliding_window_view(b, (2, 2))
    along = sliding_window_view(b.T, 2, axis=1)
    b[1, 1] = 7.0
    return windows * 1.0, along * 2.0


def written_between_the_steps_of_a_loop(x):
    b, total = x * 1.0, 0.0
    windows, same = sliding_window_view(b, 3), np.broadcast_to(b, b.shape)
    for k in range(4):
        b[k] = total
        total = total + np.sum(windows[k] ** 2) * 0.1 + same[k + 1]
    return total, same * 1.0


@pytest.mark.parametrize("jit", ["python", "native"])
@pytest.mark.parametrize(
    "function", [shown_after_a_write, shown_in_rows, written_between_the_steps_of_a_loop]
)
def test_windows_are_views(function, jit):
    x = np.linspace(0.3, 1.7, 6)
    for got, want in zip(tg.jit(function, jit=jit)(x), function(x), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-14)

    def loss(x):
        one, other = function(x)
        return np.sum(one * one) + np.sum(np.sin(other))

    differences = [(loss(x + step) - loss(x - step)) / 2e-6 for step in 1e-6 * np.eye(6)]
    np.testing.assert_allclose(tg.grad(loss, jit=jit)(x), differences, rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize(
    "view",
    [
        lambda b: sliding_window_view(b, 2),
        lambda b: np.broadcast_to(b, b.shape),
        lambda b: b.imag,
        lambda b: np.imag(b),
    ],
    ids=range(4),
)
def test_what_numpy_lets_nobody_write_into_is_refused(view):
    def written(x):
        b = x * 1.0
        view(b)[0] = 7.0
        return b

    for function in (written, tg.jit(written)):
        with pytest.raises(ValueError, match="read-only"):
            function(np.ones(4))


def test_windows_that_may_be_written_into_are_refused():
    def written(x):
        b = x * 1.0
        sliding_window_view(b, 2, writeable=True)[0] = 7.0
        return b

    for function, x in ((tg.jit(written), np.ones(4)), (written, tg.tensor(np.ones(4)))):
        with pytest.raises((ValueError, InPlaceError), match="read-only"):
            function(x)
