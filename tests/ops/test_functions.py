"""Every function under a NumPy signature gives on traced values what NumPy gives on arrays: value, shape, dtype."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import special

import tracegrad as tg
from tracegrad.errors import NotDifferentiableError, UnsupportedError
from tracegrad.ir.interpret import interpret
from tracegrad.ir.types import type_of
from tracegrad.ops.functions import FUNCTIONS, METHODS, SCIPY_FUNCTIONS, ufunc_method
from tracegrad.ops.symbol import Builder, Symbol

generator = np.random.default_rng(0)
V = generator.uniform(0.2, 0.9, 4)
W = generator.uniform(0.2, 0.9, 3)
M = generator.uniform(0.2, 0.9, (3, 4))
S = generator.uniform(0.2, 0.9, (3, 3)) + 2 * np.eye(3)
T = generator.uniform(-0.9, 0.9, (2, 3, 4))
HOLED = np.where(np.arange(12).reshape(3, 4) % 5 == 2, np.nan, M)
SCALAR = np.float64(0.7)
POSITIVE = S @ S.T

CALLS = [
    (np.sum, (M,), {}),
    (np.sum, (M, 0), {}),
    (np.sum, (T, (0, -1)), {"keepdims": True}),
    (np.sum, (M > 0.5,), {}),
    (np.sum, (M,), {"dtype": np.float32}),
    (np.mean, (T,), {"axis": -1}),
    (np.mean, (SCALAR,), {}),
    (np.prod, (M,), {"axis": 1}),
    (np.max, (T,), {"axis": (0, 2)}),
    (np.min, (M,), {"axis": 0, "out": None}),
    (np.var, (M,), {"ddof": 1, "axis": 0}),
    (np.std, (M,), {}),
    (np.any, (M > 0.5,), {"axis": 0}),
    (np.all, (M > 0.5,), {}),
    (np.ptp, (M,), {"axis": 1}),
    (np.count_nonzero, (M > 0.5,), {}),
    (np.average, (M,), {"weights": V, "axis": 1}),
    (np.average, (M,), {"weights": M}),
    (np.argmax, (M,), {}),
    (np.argmin, (M,), {"axis": 1, "keepdims": True}),
    (np.cumsum, (M,), {}),
    (np.cumsum, (M, 1), {}),
    (np.cumprod, (M,), {"axis": -1}),
    (np.argsort, (M,), {"axis": 0}),
    (np.sort, (T,), {"axis": 1}),
    (np.sort, (V,), {}),
    (np.reshape, (M, (2, -1)), {}),
    (np.reshape, (M, -1), {"order": "C"}),
    (np.ravel, (M,), {}),
    (np.transpose, (T,), {}),
    (np.transpose, (T, (1, 0, 2)), {}),
    (np.matrix_transpose, (T,), {}),
    (np.swapaxes, (T, 0, -1), {}),
    (np.moveaxis, (T, 0, -1), {}),
    (np.moveaxis, (T, (0, 1), (-1, 0)), {}),
    (np.rollaxis, (T, 2), {}),
    # What ufuncs' reductions, and some others, take for the axis of a number.
    *((f, (SCALAR, axis), {}) for f in (np.sum, np.prod, np.max, np.ptp, np.argmax) for axis in (0, -1)),
    (np.max, (SCALAR, 0), {"initial": 0.1, "keepdims": True}),
    (np.any, (SCALAR > 0.5,), {"axis": 0}),
    (np.take, (SCALAR, [0, 0], 0), {}),
    (np.repeat, (SCALAR, 3, -1), {}),
    (np.squeeze, (SCALAR, 0), {}),
    (np.cumulative_prod, (SCALAR,), {"include_initial": True}),
    (np.take, (M, []), {}),
    (np.percentile, (M, 30.0), {"overwrite_input": True}),
    (np.lexsort, (V,), {}),
    (np.linalg.matrix_rank, (T, np.array([0.1, 2.0])), {}),
    (np.fft.fftn, (M,), {"axes": ()}),
    (np.squeeze, (M[None, :, None],), {}),
    (np.squeeze, (M[None, :, None],), {"axis": 2}),
    (np.expand_dims, (M, (0, 2)), {}),
    (np.expand_dims, (V, -1), {}),
    (np.broadcast_to, (V, (3, 4)), {}),
    (np.broadcast_arrays, (V, M), {}),
    (np.atleast_1d, (SCALAR,), {}),
    (np.atleast_2d, (V,), {}),
    (np.atleast_3d, (M,), {}),
    (np.concatenate, ([V, W],), {}),
    (np.concatenate, ((M, M),), {"axis": 1}),
    (np.concatenate, ([M, T[0]],), {"axis": None}),
    (np.stack, ([V, V],), {"axis": -1}),
    (np.vstack, ([V, M],), {}),
    (np.vstack, ([V, V],), {}),
    (np.hstack, ([V, W],), {}),
    (np.hstack, ([M, M],), {}),
    (np.dstack, ([M, M],), {}),
    (np.column_stack, ([W, M],), {}),
    (np.append, (V, 3.0), {}),
    (np.split, (V, 2), {}),
    (np.split, (M, [1, 2]), {"axis": 1}),
    (np.array_split, (V, 3), {}),
    (np.vsplit, (M, 3), {}),
    (np.hsplit, (M, 2), {}),
    (np.tile, (M, 2), {}),
    (np.tile, (V, (2, 1, 2)), {}),
    (np.repeat, (M, 2), {}),
    (np.repeat, (M, [1, 0, 2]), {"axis": 0}),
    (np.repeat, (M, 3), {"axis": 1}),
    (np.flip, (M,), {}),
    (np.flip, (T, (0, 2)), {}),
    (np.flipud, (M,), {}),
    (np.fliplr, (M,), {}),
    (np.rot90, (M,), {}),
    (np.rot90, (T,), {"k": 3, "axes": (1, 2)}),
    (np.roll, (M, 1), {}),
    (np.roll, (M, (1, -2)), {"axis": (0, 1)}),
    (np.pad, (M, 1), {}),
    (np.pad, (M, ((0, 1), (2, 0))), {"constant_values": 2.5}),
    (np.pad, (V, 2), {"mode": "reflect"}),
    (np.pad, (M, ((1, 1), (0, 2))), {"mode": "edge"}),
    (np.pad, (V, (1, 2)), {"mode": "wrap"}),
    (np.tril, (M,), {"k": 1}),
    (np.triu, (T,), {}),
    (np.diag, (V,), {"k": -1}),
    (np.diag, (M,), {}),
    (np.diagonal, (T,), {"offset": 1, "axis1": 0, "axis2": 2}),
    (np.trace, (M,), {}),
    (np.trace, (T,), {"axis1": 1, "axis2": 2}),
    (np.take, (M, [0, 5]), {}),
    (np.take, (M, np.array([[0, 1], [2, 0]])), {"axis": 0}),
    (np.take, (V, 2), {}),
    (np.take_along_axis, (M, np.argsort(M, 1), 1), {}),
    (np.diff, (M,), {}),
    (np.diff, (M,), {"n": 2, "axis": 0}),
    (np.copy, (M,), {}),
    (np.astype, (M, np.float32), {}),
    (np.zeros_like, (M,), {}),
    (np.ones_like, (M,), {"dtype": np.float32}),
    (np.full_like, (M, 3.0), {}),
    (np.full_like, (V, 2), {"shape": (2, 2)}),
    (np.where, (M > 0.5, M, 0.0), {}),
    (np.clip, (M, 0.3, 0.6), {}),
    (np.clip, (M, None, 0.6), {}),
    (np.clip, (M, 0.3), {"a_max": None}),
    (np.round, (M, 1), {}),
    (np.round, (M,), {}),
    (np.fix, (T,), {}),
    (np.sinc, (V,), {}),
    (np.nan_to_num, (np.array([np.nan, np.inf, -np.inf, 1.0]),), {}),
    (np.divmod, (V, 0.25), {}),
    (np.isclose, (V, V + 1e-9), {}),
    (np.real, (V,), {}),
    (np.matmul, (M, V), {}),
    (np.matmul, (T, M.T), {}),
    (np.dot, (M, V), {}),
    (np.dot, (T, V), {}),
    (np.dot, (T, T.transpose(0, 2, 1)), {}),
    (np.dot, (SCALAR, V), {}),
    (np.vdot, (M, M), {}),
    (np.vecdot, (M, V), {}),
    (np.inner, (M, V), {}),
    (np.inner, (V, V), {}),
    (np.outer, (M, V), {}),
    (np.tensordot, (T, M), {"axes": ((1, 2), (0, 1))}),
    (np.tensordot, (T, T), {"axes": 0}),
    (np.tensordot, (M, S), {"axes": ([0], [1])}),
    (np.kron, (M, S), {}),
    (np.kron, (V, M), {}),
    (np.cross, (W, W[::-1].copy()), {}),
    (np.cross, (S, W), {}),
    (np.linalg.cross, (S, S[::-1].copy()), {"axis": 0}),
    (np.unstack, (M,), {"axis": (1,)}),
    (np.conjugate, (M,), {"dtype": np.float32}),
    (np.sign, (M,), {"dtype": np.float32}),
    (np.nanvar, (HOLED + 1j * HOLED[::-1],), {"axis": 1, "where": M > 0.4}),
    (np.nanmax, (HOLED,), {"axis": 1, "initial": -1.0, "keepdims": True}),
    (np.median, (HOLED + 1j * M,), {"axis": 0}),
    (np.nanmedian, (HOLED + 1j * M,), {"axis": (0, 1)}),
    (np.einsum, ("ij,j", M, V), {}),
    (np.einsum, ("ii", S), {}),
    (np.einsum, ("...ij,...jk->...ik", T, M.T), {}),
    (np.einsum, ("ij, kj -> ik", M, M), {}),
    (np.einsum, ("...i->...", T), {}),
    (np.linalg.norm, (M,), {}),
    (np.linalg.norm, (V, 1), {}),
    (np.linalg.norm, (V, 3), {}),
    (np.linalg.norm, (V, np.inf), {}),
    (np.linalg.norm, (V, 0), {}),
    (np.linalg.norm, (M, 1), {}),
    (np.linalg.norm, (M, np.inf), {"keepdims": True}),
    (np.linalg.norm, (M, -1), {"axis": (1, 0)}),
    (np.linalg.norm, (T, "fro"), {"axis": (0, 1)}),
    (np.linalg.norm, (M,), {"axis": 1, "keepdims": True}),
    (np.linalg.det, (S,), {}),
    (np.linalg.slogdet, (S,), {}),
    (np.linalg.solve, (S, W), {}),
    (np.linalg.inv, (S,), {}),
    (np.linalg.cholesky, (POSITIVE,), {}),
    (np.linalg.cholesky, (POSITIVE,), {"upper": True}),
    (np.linalg.matrix_power, (S, 5), {}),
    (np.linalg.matrix_power, (S, -2), {}),
    (np.linalg.multi_dot, ([S, S, W],), {}),
    (np.linalg.multi_dot, ([V, M.T, M, M.T, M, V],), {}),
    (np.linalg.multi_dot, ([M, V],), {}),
    (np.add, (M, V), {}),
    (np.multiply, (M, 2), {"dtype": np.float32}),
    (np.exp, ([0.1, 0.2],), {}),
    (np.power, (V, 3), {}),
    (np.arctan2, (V, 1.0), {}),
    (np.isnan, (V,), {}),
    (np.greater, (V, 0.5), {}),
]


def traced(function, args, keywords):
    """The function on symbols in place of arrays; the trace run on the arrays. Lists of arrays are taken apart."""
    builder, inputs, arrays = Builder(), [], []

    def as_symbol(value):
        if isinstance(value, (list, tuple)) and any(isinstance(v, np.ndarray) for v in value):
            return [as_symbol(v) for v in value]
        if not isinstance(value, (np.ndarray, np.generic)) or value.dtype.kind != "f":
            return value
        inputs.append(builder.input(type_of(value)))
        arrays.append(value)
        return inputs[-1]

    result = function(*map(as_symbol, args), **keywords)
    found = list(result) if isinstance(result, (tuple, list)) else [result]
    outputs = [x if isinstance(x, Symbol) else builder.constant(x) for x in found]
    return interpret(builder.trace(inputs, outputs), arrays), outputs


def compare(found, outputs, wanted):
    wanted = list(wanted) if isinstance(wanted, (tuple, list)) else [wanted]
    assert len(found) == len(wanted)
    for got, symbol, want in zip(found, outputs, wanted, strict=True):
        assert str(symbol.type) == str(type_of(want))
        assert str(type_of(got)) == str(type_of(want))
        np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(
    ("function", "args", "keywords"),
    [pytest.param(*c, id=f"{c[0].__name__}-{k}") for k, c in enumerate(CALLS)],
)
def test_a_traced_call_gives_what_numpy_gives(function, args, keywords):
    found, outputs = traced(FUNCTIONS[function], args, keywords)
    compare(found, outputs, function(*args, **keywords))


@pytest.mark.parametrize(
    "sides", [(7, 5, 6, 1), (1, 5, 7, 1), (3, 40, 2, 50), (9, 2, 8, 3, 30, 1), (4, 4, 4, 4, 4)]
)
def test_several_matrices_are_multiplied_in_numpys_order(sides):
    generator = np.random.default_rng(0)
    matrices = [generator.standard_normal(shape) for shape in itertools.pairwise(sides)]
    builder = Builder()
    inputs = [builder.input(type_of(x)) for x in matrices]
    steps = builder.trace(inputs, [FUNCTIONS[np.linalg.multi_dot](inputs)]).steps
    work = sum(math.prod(step.inputs[0].shape) * step.inputs[1].shape[1] for step in steps)
    assert len(steps) == len(matrices) - 1
    assert work == min(_works(sides))


def _works(sides):
    """The multiplications of every order."""
    if len(sides) == 2:
        return [0]
    return [
        left + right + sides[0] * sides[k] * sides[-1]
        for k in range(1, len(sides) - 1)
        for left in _works(sides[: k + 1])
        for right in _works(sides[k:])
    ]


@pytest.mark.parametrize(
    ("name", "args", "keywords"),
    [
        ("sum", (0,), {}),
        ("mean", (), {"axis": 1, "keepdims": True}),
        ("max", (), {}),
        ("reshape", (4, 3), {}),
        ("reshape", ((2, -1),), {}),
        ("transpose", (), {}),
        ("transpose", (1, 0), {}),
        ("flatten", (), {}),
        ("ravel", (), {}),
        ("swapaxes", (0, 1), {}),
        ("astype", (np.float32,), {}),
        ("astype", (np.float64,), {"copy": False}),
        ("clip", (0.3, 0.5), {}),
        ("clip", (), {"max": 0.5}),
        ("dot", (V,), {}),
        ("cumsum", (), {"axis": 0}),
        ("argmax", (), {}),
        ("round", (1,), {}),
        ("take", ([0, 2],), {"axis": 1}),
        ("repeat", (2,), {}),
        ("trace", (), {}),
        ("diagonal", (), {}),
        ("conj", (), {}),
        ("copy", (), {}),
        ("squeeze", (), {}),
        ("var", (), {"ddof": 1}),
    ],
)
def test_a_method_gives_what_the_array_gives(name, args, keywords):
    found, outputs = traced(METHODS[name], (M, *args), keywords)
    compare(found, outputs, getattr(M, name)(*args, **keywords))


@pytest.mark.parametrize("method", ["reduce", "accumulate"])
@pytest.mark.parametrize(
    "ufunc",
    [
        np.add,
        np.multiply,
        np.maximum,
        np.minimum,
        np.logical_and,
        np.logical_or,
        np.logaddexp,
        np.subtract,
        np.hypot,
    ],
    ids=lambda ufunc: ufunc.__name__,
)
def test_a_method_of_a_ufunc(ufunc, method):
    if method == "accumulate" and ufunc.__name__.startswith("logical"):
        pytest.skip("running truth values are taken one by one, from a number that is no truth value")
    found, outputs = traced(ufunc_method(ufunc, method), (M,), {"axis": 0})
    compare(found, outputs, getattr(ufunc, method)(M, axis=0))


def test_running_extremes_keep_nan():
    holed = np.where(np.arange(12).reshape(3, 4) == 5, np.nan, M)
    for ufunc in (np.maximum, np.minimum):
        found, outputs = traced(ufunc_method(ufunc, "accumulate"), (holed,), {"axis": 1})
        compare(found, outputs, ufunc.accumulate(holed, axis=1))


_OF_ORDER = (
    *("polygamma", "jv", "jn", "yv", "yn", "iv", "ive", "kv", "kn", "expn", "zeta", "comb", "perm"),
    *("gammainc", "gammaincc", "gammaincinv", "eval_hermite", "eval_hermitenorm"),
    *("spherical_jn", "spherical_yn", "spherical_in", "spherical_kn"),
)
_OF_TWO = (
    "polygamma",
    "zeta",
    "comb",
    "perm",
    "spherical_jn",
    "spherical_yn",
    "spherical_in",
    "spherical_kn",
)


@pytest.mark.parametrize("name", [n for n in SCIPY_FUNCTIONS if n.startswith("scipy.special.")])
def test_scipy_functions_by_name(name):
    if name == "scipy.special.multigammaln":
        pytest.skip("takes a dimension: test_scipy_coverage.py")
    theirs = getattr(special, name.rpartition(".")[2])
    n = getattr(theirs, "nin", 2 if name.endswith(_OF_TWO) else 1)
    args = (*(2,) * (n - 1), V) if n > 2 or name.endswith(_OF_ORDER) else (V, V[::-1].copy())[:n]
    found, outputs = traced(SCIPY_FUNCTIONS[name], args, {})
    compare(found, outputs, theirs(*args))


@pytest.mark.parametrize(
    ("function", "args", "keywords", "word"),
    [
        (np.divmod, (M, 2.0), {"where": M > 0.5}, "where"),
        (np.ravel, (M,), {"order": "K"}, "order"),
        (np.pad, (V, 1), {"mode": lambda *_: None}, "mode"),
    ],
)
def test_what_is_not_recorded_is_refused_with_advice(function, args, keywords, word):
    with pytest.raises(UnsupportedError, match=word) as caught:
        traced(FUNCTIONS[function], args, keywords)
    assert "do:" in str(caught.value)


def test_lists_that_hold_traced_values_become_arrays():
    found, outputs = traced(
        lambda x, y: FUNCTIONS[np.dot]([x, y, 1.0], [1.0, 2.0, 3.0]), (SCALAR, SCALAR), {}
    )
    compare(found, outputs, SCALAR * 3 + 3)


@pytest.mark.parametrize(
    ("function", "args", "error"),
    [
        (np.reshape, (M, (5, 3)), ValueError),
        (np.sum, (M, 2), np.exceptions.AxisError),
        (np.concatenate, ([M, V],), ValueError),
        (np.matmul, (M, M), ValueError),
        (np.transpose, (M, (0, 0)), ValueError),
        (np.broadcast_to, (V, (3, 3)), ValueError),
        (np.linalg.solve, (S, V), ValueError),
        (np.linalg.inv, (M,), np.linalg.LinAlgError),
        (np.stack, ([V, W],), ValueError),
        (np.split, (V, 3), ValueError),
        (np.einsum, ("ij,jk", M, V), ValueError),
    ],
)
def test_shapes_that_do_not_fit_raise_what_numpy_raises(function, args, error):
    with pytest.raises(error):
        function(*args)
    with pytest.raises(error):
        traced(FUNCTIONS[function], args, {})


def test_an_argument_without_known_derivative_is_refused_by_name():
    with pytest.raises(NotDifferentiableError, match=r"`hyp1f1` has no known derivative .* `a`: no function"):
        tg.grad(lambda a: special.hyp1f1(a, 1.5, 0.5))(2.0)
    with pytest.raises(NotDifferentiableError, match=r"`jv` .* `v`"):
        tg.jvp(lambda v: special.jv(v, 0.5), (2.0,), (1.0,))


def test_static_parameters_may_be_traced_numbers():
    n, order, ddof = np.int64(2), 3.0, 1.0

    def loss(x, n, order, ddof):
        rolled = np.roll(np.tile(x, n), n) + np.repeat(x, n) + np.concatenate(np.split(np.tile(x, 2), n))
        return (
            np.linalg.norm(rolled, order)
            + np.std(x, ddof=ddof)
            + np.sum(np.tensordot(x, x, 0))
            + x.reshape(n, 2)[0, 1]
        )

    found = tg.grad(loss)(V, n, order, ddof)
    step = 1e-6 * np.eye(4)
    wanted = [(loss(V + s, n, order, ddof) - loss(V - s, n, order, ddof)) / 2e-6 for s in step]
    np.testing.assert_allclose(found, wanted, rtol=1e-6)


def test_positive_has_a_derivative():
    assert tg.grad(lambda x: np.sum(np.positive(x) * x), jit="python")(V).tolist() == (2 * V).tolist()
    assert tg.grad(lambda x: np.sum(+x * x), jit="python")(V).tolist() == (2 * V).tolist()


@pytest.mark.parametrize("order", ["K", "A"])
def test_an_order_that_depends_on_memory_is_refused(order):
    flat = tg.jit(lambda x: np.ravel(x, order=order), jit="python")
    assert flat(V).tolist() == V.tolist()
    with pytest.raises(UnsupportedError, match="how the array lies in memory"):
        flat(M)


@pytest.mark.filterwarnings("ignore:Mean of empty slice", "ignore:invalid value encountered")
@pytest.mark.parametrize("function", [np.median, np.nanmedian])
@pytest.mark.parametrize("keywords", [{}, {"axis": 0}, {"axis": 1, "keepdims": True}])
def test_the_median_of_nothing_is_that_of_numpy(function, keywords):
    found, outputs = traced(FUNCTIONS[function], (M[:0],), keywords)
    compare(found, outputs, function(M[:0], **keywords))


@pytest.mark.filterwarnings("ignore:Arrays of 2-dimensional vectors")
@pytest.mark.parametrize("n", [2, 3])
@pytest.mark.parametrize("m", [2, 3])
def test_products_of_vectors_along_any_axes(n, m):
    x, y = np.moveaxis(T[0, :, :n], -1, 0), T[1, :, :m]
    for given in ((0, 1, 0), (0, -1, -1)):
        found, outputs = traced(FUNCTIONS[np.cross], (x, y, *given), {})
        compare(found, outputs, np.cross(x, y, *given))


def test_nothing_is_resized_to_zeros():
    x = np.array([])
    np.testing.assert_array_equal(tg.jit(lambda x: np.resize(x, (2, 3)))(x), np.resize(x, (2, 3)))
    np.testing.assert_array_equal(tg.grad(lambda x: np.resize(x, 4).sum())(x), x)
