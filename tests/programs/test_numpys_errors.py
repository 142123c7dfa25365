"""Bad input: what NumPy raises, in NumPy's words and with the user's line, in every tier.

Each call of the table is made on plain arrays first; what NumPy raises there is what every tier has to raise. A case of
`WHATEVER` is wrong by its shapes; one of `BY_VALUE` is right at one point, so that a program is there, and wrong at
another, where that program runs.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tracegrad as tg
from tests.programs.refusals import check, check_compiled, check_shapes, check_values, number_of, raised

V = np.array([1.0, 2.0, 3.0])
M = np.arange(12.0).reshape(3, 4) + 1
S = np.array([[2.0, 1.0], [1.0, 3.0]])
C3 = np.ones((2, 3, 4))
Z = np.array(2.5)
SINGULAR = np.array([[1.0, 2.0], [2.0, 4.0]])
INDEFINITE = np.array([[1.0, 2.0], [2.0, 1.0]])
NOT_FINITE = np.array([[np.nan, 1.0], [1.0, 2.0]])

# fmt: off
WHATEVER: list[tuple[Callable[..., Any], Any]] = [
    (lambda x: x + np.ones(4), V),
    (lambda x: np.add(x, np.ones(4)), V),
    (lambda x: np.ones(4) - x, V),
    (lambda x: np.power(x, np.ones((2, 2))), V),
    (lambda x: x < np.ones(4), V),
    (lambda x: np.maximum(x, np.ones(4)), V),
    (lambda x: np.where(x > 1, x, np.ones(4)), V),
    (lambda x: x @ np.ones(4), V),
    (lambda x: np.matmul(x, np.ones((4, 2))), V),
    (lambda x: np.matmul(x, 2.0), V),
    (lambda x: np.dot(x, np.ones(4)), V),
    (lambda x: x.dot(np.ones((2, 2))), V),
    (lambda x: np.inner(x, np.ones(4)), V),
    (lambda x: np.vdot(x, np.ones(4)), V),
    (lambda x: np.tensordot(x, np.ones((2, 2)), axes=1), V),
    (lambda x: np.einsum("i,j->ij", x), V),
    (lambda x: np.einsum("ij->i", x), V),
    (lambda x: np.einsum("i,i->", x, np.ones(4)), V),
    (lambda x: np.einsum("i->j", x), V),
    (lambda x: np.cross(x, np.ones(4)), V),
    (lambda x: np.kron(x, "a"), V),
    (lambda x: np.sum(x, axis=1), V),
    (lambda x: np.sum(x, axis=(0, 0)), M),
    (lambda x: x.sum(axis=-3), M),
    (lambda x: np.mean(x, axis=2), M),
    (lambda x: np.max(x, axis=2), M),
    (lambda x: np.var(x, axis=2), M),
    (lambda x: np.std(x, axis=2), M),
    (lambda x: np.prod(x, axis=2), M),
    (lambda x: np.cumsum(x, axis=2), M),
    (lambda x: np.cumprod(x, axis=2), M),
    (lambda x: np.argmax(x, axis=2), M),
    (lambda x: np.sort(x, axis=2), M),
    (lambda x: np.argsort(x, axis=2), M),
    (lambda x: np.median(x, axis=2), M),
    (lambda x: np.quantile(x, 0.5, axis=2), M),
    (lambda x: np.quantile(x, 1.5), M),
    (lambda x: np.percentile(x, 200), M),
    (lambda x: np.max(x[:0]), V),
    (lambda x: np.argmax(x[:0]), V),
    (lambda x: np.flip(x, axis=2), M),
    (lambda x: np.roll(x, 1, axis=2), M),
    (lambda x: np.diff(x, axis=2), M),
    (lambda x: np.diff(x, n=-1), M),
    (lambda x: np.gradient(x[:1]), V),
    (lambda x: np.reshape(x, (5,)), V),
    (lambda x: x.reshape(2, -1), V),
    (lambda x: x.reshape(-1, -1), V),
    (lambda x: np.transpose(x, (0, 0)), M),
    (lambda x: np.transpose(x, (0, 1, 2)), M),
    (lambda x: np.swapaxes(x, 0, 2), M),
    (lambda x: np.moveaxis(x, 0, 2), M),
    (lambda x: np.rollaxis(x, 3), M),
    (lambda x: np.squeeze(x, axis=0), M),
    (lambda x: np.expand_dims(x, 4), M),
    (lambda x: np.broadcast_to(x, (2, 2)), V),
    (lambda x: np.broadcast_arrays(x, np.ones(4))[0], V),
    (lambda x: np.concatenate([x, np.ones((2, 2))]), V),
    (lambda x: np.concatenate([x, x], axis=1), V),
    (lambda x: np.concatenate([]) + x, V),
    (lambda x: np.stack([x, np.ones(4)]), V),
    (lambda x: np.stack([x, x], axis=3), V),
    (lambda x: np.vstack([x, np.ones(4)]), V),
    (lambda x: np.hstack([x, np.ones((2, 2))]), V),
    (lambda x: np.column_stack([x, np.ones(4)]), V),
    (lambda x: np.split(x, 2)[0], V),
    (lambda x: np.split(x, 2, axis=3)[0], V),
    (lambda x: np.hsplit(x, 2)[0], V),
    (lambda x: np.vsplit(x, 2)[0], V),
    (lambda x: np.tile(x, -1), V),
    (lambda x: np.repeat(x, [1, 2]), V),
    (lambda x: np.repeat(x, -1), V),
    (lambda x: np.pad(x, (1, 2, 3)), V),
    (lambda x: np.pad(x, 1, mode="nowhere"), V),
    (lambda x: np.diagonal(x), V),
    (lambda x: np.diagonal(x, axis1=0, axis2=0), M),
    (lambda x: np.trace(x), V),
    (lambda x: x.trace(), V),
    (lambda x: np.diag(x), C3),
    (lambda x: np.tril(x[0, 0, 0]), C3),
    (lambda x: np.outer(x, "a"), V),
    (lambda x: x[5], V),
    (lambda x: x[0, 0], V),
    (lambda x: x[-4], V),
    (lambda x: x[[0, 7]], V),
    (lambda x: x[np.array([True, False])], V),
    (lambda x: x[1.0], V),
    (lambda x: x["a"], V),
    (lambda x: np.take(x, 7), V),
    (lambda x: np.take(x, [0], axis=4), V),
    (lambda x: np.take_along_axis(x, np.array([0.5]), 0), V),
    (lambda x: np.compress([True], x, axis=2), V),
    (lambda x: np.choose([0, 5, 1], [x, x]), V),
    (lambda x: np.insert(x, 9, 1.0), V),
    (lambda x: np.delete(x, 9), V),
    (lambda x: np.linalg.inv(x), M),
    (lambda x: np.linalg.inv(x), V),
    (lambda x: np.linalg.det(x), M),
    (lambda x: np.linalg.solve(x, np.ones(3)), S),
    (lambda x: np.linalg.solve(x, np.ones(3)), M),
    (lambda x: np.linalg.cholesky(x), M),
    (lambda x: np.linalg.eigh(x)[0], M),
    (lambda x: np.linalg.eigvals(x).real, M),
    (lambda x: np.linalg.svd(x)[1], V),
    (lambda x: np.linalg.qr(x)[1], V),
    (lambda x: np.linalg.norm(x, 3), M),
    (lambda x: np.linalg.norm(x, "nuc"), V),
    (lambda x: np.linalg.norm(x, "oops"), V),
    (lambda x: np.linalg.norm(x, axis=2), M),
    (lambda x: np.linalg.norm(x, axis=(0, 0)), M),
    (lambda x: np.linalg.matrix_power(x, 2), M),
    (lambda x: np.linalg.matrix_power(x, 1.5), S),
    (lambda x: np.linalg.slogdet(x)[1], V),
    (lambda x: np.linalg.lstsq(x, np.ones(5))[0], M),
    (lambda x: np.linalg.multi_dot([x, x]), M),
    (lambda x: np.linalg.multi_dot([x]), M),
    (lambda x: np.linalg.tensorsolve(x, np.ones(5)), M),
    (lambda x: np.linalg.pinv(x), V),
    (lambda x: np.fft.fft(x, n=0).real, V),
    (lambda x: np.fft.fft(x, axis=3).real, V),
    (lambda x: np.fft.fft(x, norm="bad").real, V),
    (lambda x: np.interp(x, [0.0, 1.0], [0.0]), V),
    (lambda x: np.convolve(x, []), V),
    (lambda x: np.convolve(x, np.ones((2, 2))), V),
    (lambda x: np.polyfit([0.0, 1.0], x, 1), V),
    (lambda x: np.polyval(x, "a"), V),
    (lambda x: np.trapezoid(x, np.ones(5)), V),
    (lambda x: np.average(x, weights=[1.0, 2.0]), V),
    (lambda x: np.cov(x, ddof=0.5), V),
    (lambda x: np.histogram(x, bins=-1)[0], V),
    (lambda x: np.bincount([0, 1], weights=x), V),
    (lambda x: np.searchsorted(M, x), V),
    (lambda x: np.select([x > 0], [x, x]), V),
    (lambda x: np.piecewise(x, [x > 0], []), V),
    (lambda x: np.meshgrid(x, indexing="no")[0], V),
    (lambda x: np.linspace(0.0, x[0], -1), V),
    (lambda x: np.logspace(0.0, x, 3, axis=4), V),
    (lambda x: float(x), V),
    (lambda x: int(x), V),
    (lambda x: complex(x), V),
    (lambda x: math.sin(x), V),
    (lambda x: x * (float(x) * 1j < 2.0), Z),
    (lambda x: x * (float(x) * 1j >= True), Z),
    (lambda x: x if x > 0 else -x, V),
    (lambda x: x if x[:0] else -x, V),
    (lambda x: not x, V),
    (lambda x: x and x, V),
    (lambda x: len(x), Z),
    (lambda x: [2 * v for v in x], Z),
    (lambda x: x[0], Z),
    (lambda x: x.item(), V),
    (lambda x: range(x), V),
    (lambda x: [1, 2, 3][x], V),
    (lambda x: x.foo, V),
    (lambda x: np.sum(x, foo=1), V),
    (lambda x: np.sin(x, x, x), V),
    (lambda x: np.sin(), V),
    (lambda x: x + "a", V),
    (lambda x: x + None, V),
    (lambda x: np.add(x, None), V),
    (lambda x: np.sin(None) + x, V),
    (lambda x: x @ x, Z),
    (lambda x: x & 1, V),
    (lambda x: ~x, V),
    (lambda x: np.bitwise_and(x, 1), V),
    (lambda x: np.array([x, [1.0]]), V),
    (lambda x: np.zeros(3) + np.array([x, x, 1.0]), V),
    (lambda x: np.full((2, 2), x), V),
    (lambda x: np.zeros((2, -1)) + x, V),
    (lambda x: np.eye(2)[x], V),
    (lambda x: np.add.reduce(x, axis=3), V),
    (lambda x: np.add.accumulate(x, axis=3), V),
    (lambda x: np.add.reduceat(x, [7]), V),
    (lambda x: np.arctan2.reduce(M * x[0], axis=5), V),
    (lambda x: np.sum(x, out=np.zeros(4)), V),
    (lambda x: x.astype("nonsense"), V),
    (lambda x: np.unravel_index(99, (2, 2)) + x, V),
    (lambda x: np.apply_along_axis(np.sum, 5, x), V),
    (lambda x: np.ix_(M, x), V),
    (lambda x: np.nansum(x, axis=4), V),
    (lambda x: np.nanmax(x, axis=4), V),
    (lambda x: np.ediff1d(x, to_end="a"), V),
    (lambda x: np.rot90(x), V),
    (lambda x: np.fliplr(x), V),
    (lambda x: np.block([[x], [np.ones(4)]]), V),
    (lambda x: np.unwrap(x, axis=3), V),
    (lambda x: np.vander(M * x[0]), V),
    (lambda x: np.digitize(x, [1, 3, 2]), V),
    (lambda x: np.resize(x, (-1,)), V),
    (lambda x: np.put_along_axis(x * 1, np.array([5]), 1.0, 0), V),
    (lambda x: np.lexsort(x, axis=4), M),
    (lambda x: np.partition(x, 7), V),
    (lambda x: np.argpartition(x, 7), V),
    (lambda x: np.unstack(x, axis=3)[0], V),
    (lambda x: np.matrix_transpose(x), V),
    (lambda x: np.vecdot(x, np.ones(4)), V),
    (lambda x: np.atleast_2d(x)[3], V),
    (lambda x: np.array_split(x, 0)[0], V),
    (lambda x: np.dsplit(x, 2)[0], M),
    (lambda x: np.linalg.cond(x, 5), S),
    (lambda x: np.linalg.matrix_norm(x), V),
    (lambda x: np.linalg.vector_norm(x, axis=3), V),
    (lambda x: np.linalg.eig(x)[0].real, M),
    (lambda x: np.linalg.eigvalsh(x, UPLO="Q"), S),
]


def stores_outside(x):
    a = np.zeros(3)
    a[5] = x[0]
    return a


def stores_another_length(x):
    a = np.zeros(3)
    a[:] = np.concatenate([x, x])
    return a


def adds_another_length(x):
    a = x * 1
    a += np.ones(4)
    return a


def adds_complex_numbers(x):
    a = x * 1
    a += 1j
    return a


def stores_at_indices_outside(x):
    a = x * 1
    a[[0, 9]] = 2.0
    return a


def adds_at_indices_outside(x):
    a = np.zeros(3)
    np.add.at(a, [9], x[0])
    return a


def stores_by_a_short_mask(x):
    a = x * 1
    a[np.array([True, False])] = 0
    return a


def gives_an_out_of_another_shape(x):
    a = np.zeros(3)
    np.add(x, np.ones((2, 3)), out=a)
    return a


def sorts_an_axis_that_is_not_there(x):
    a = x * 1
    a.sort(axis=4)
    return a


def stores_a_row_of_another_length(x):
    a = np.zeros((2, 2))
    a[0] = x
    return a


def unpacks_too_few(x):
    a, b = x
    return a + b


def fills_the_diagonal_of_a_vector(x):
    a = x * 1
    np.fill_diagonal(a, 1.0)
    return a


def stores_an_array_as_an_item(x):
    a = np.zeros(3)
    a[0] = x
    return a


def puts_outside(x):
    a = np.zeros(3)
    np.put(a, [9], x)
    return a


def copies_another_length(x):
    a = np.zeros(3)
    np.copyto(a, np.concatenate([x, x]))
    return a


WHATEVER += [
    (stores_outside, V), (stores_another_length, V), (adds_another_length, V), (adds_complex_numbers, V),
    (stores_at_indices_outside, V), (adds_at_indices_outside, V), (stores_by_a_short_mask, V),
    (gives_an_out_of_another_shape, V), (sorts_an_axis_that_is_not_there, V), (stores_a_row_of_another_length, V),
    (unpacks_too_few, V), (fills_the_diagonal_of_a_vector, V), (stores_an_array_as_an_item, V), (puts_outside, V),
    (copies_another_length, V),
]


def stores_one(x):
    a = np.zeros(4)
    a[x[0].astype(int)] = x[1]
    return a


def adds_in_a_loop(x):
    a = np.zeros(4)
    for i in range(3):
        a[x[i].astype(int)] += x[i]
    return a


def reads_in_a_loop(x):
    s = 0.0
    for i in range(3):
        s = s + x[x[i].astype(int) - 1]
    return s


def stores_many(x):
    a = np.zeros(4)
    a[x.astype(int)] = x
    return a


def adds_many(x):
    a = np.zeros(4)
    np.add.at(a, x.astype(int), x)
    return a


def stores_pairs(x):
    a = np.zeros((4, 4))
    i = x.astype(int)
    a[i, i] = x
    return a


NATIVELY = 6  # so many of the next are compiled as well
BY_VALUE: list[tuple[Callable[..., Any], Any, Any]] = [
    (adds_in_a_loop, V, 9 * V), (stores_one, V, 9 * V),
    (lambda x: np.linalg.inv(x), S, SINGULAR),
    (lambda x: np.linalg.cholesky(x), S, INDEFINITE),
    (lambda x: x[x.astype(int) - 1], V, 7 * V),
    (lambda x: int(x[0]) * x, V, V * np.nan),
    (lambda x: np.linalg.solve(x, np.ones(2)), S, SINGULAR),
    (lambda x: np.linalg.solve(x, np.ones((2, 3))), S, SINGULAR),
    (lambda x: np.linalg.inv(np.stack([x, x])), S, SINGULAR),
    (lambda x: np.linalg.cholesky(np.stack([x, x])), S, INDEFINITE),
    (lambda x: np.linalg.svd(x)[1], S, NOT_FINITE),
    (lambda x: np.linalg.eigvals(x).real, S, NOT_FINITE),
    (lambda x: np.linalg.matrix_power(x, -1), S, SINGULAR),
    (lambda x: np.linalg.tensorinv(x, 1), S, SINGULAR),
    (lambda x: np.arange(3.0)[np.array(x, int)[0]] * x, V, 7 * V),
    (lambda x: x[int(x[0])], V, 7 * V),
    (lambda x: x * x[x[0].astype(int)], V, 7 * V),
    (lambda x: np.take(x, x.astype(int) - 1), V, 7 * V),
    (lambda x: np.take_along_axis(x, x.astype(int) - 1, 0), V, 7 * V),
    (lambda x: math.floor(x[0]) * x, V, V * np.inf),
    (lambda x: np.quantile(x, x[0] / 2), V, V * 5),
    (lambda x: [1.0, 2.0, 3.0, 5.0][int(x[0])] * x, V, V * 9),
    (lambda x: {1: 2.0}[int(x[0])] * x, V, V * 9),
    (reads_in_a_loop, V, 9 * V), (stores_many, V, 9 * V),
    (adds_many, V, 9 * V), (stores_pairs, V, 9 * V),
]
# fmt: on


@pytest.mark.parametrize("case", WHATEVER, ids=number_of)
def test_what_is_wrong_by_its_shapes(case):
    check_shapes(*case)


@pytest.mark.parametrize("case", BY_VALUE, ids=number_of)
def test_what_is_wrong_by_its_values(case):
    check_values(*case)


@pytest.mark.parametrize("case", BY_VALUE[:NATIVELY], ids=number_of)
def test_what_is_wrong_by_its_values_in_compiled_code(case):
    check_compiled(*case)


def test_what_runs_on_the_tape():
    def strange(x, kept=[]):  # noqa: B006
        kept.append(1)
        return np.sum(np.linalg.inv(x))

    gradient = tg.grad(strange)
    for _ in range(3):
        gradient(S)
    check(raised(strange, SINGULAR), raised(gradient, SINGULAR), strange)
