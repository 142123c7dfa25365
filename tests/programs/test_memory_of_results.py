"""What NumPy's functions return lies in memory as NumPy has it: whose memory it is, and in which order, decides whether
a change of its shape is a view, and what a write shows in."""

from __future__ import annotations

import numpy as np
import pytest

import tracegrad as tg

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
    lambda a: np.real(a),
    lambda a: np.tile(a, 1),
    lambda a: np.roll(a, 0),
    lambda a: np.concatenate([a]),
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
