"""Interpolants and sparse matrices of SciPy's: values and derivatives at traced points, of traced values."""

from __future__ import annotations

import collections

import numpy as np
import pytest
import scipy.interpolate as ip
import scipy.sparse
import scipy.sparse.linalg

import tracegrad as tg
from tests.ops.derivatives import check
from tracegrad import config
from tracegrad.errors import UnsupportedError

generator = np.random.default_rng(1)
X = np.array([0.0, 0.7, 1.5, 2.9, 4.0, 5.2])
Y = generator.uniform(-1, 1, 6)
YY = generator.uniform(-1, 1, (6, 2))
P = np.array([[0.3, 1.1, 2.2], [3.3, 4.9, 0.9]])
OUT = np.array([-0.4, 0.3, 5.9])
GRID = (np.arange(4.0), np.array([0.0, 0.5, 2.0]))
V = generator.uniform(-1, 1, (4, 3))
XI = np.array([[0.3, 0.2], [2.6, 1.1], [1.2, 0.9]])

CUBIC = ip.CubicSpline(X, Y)
PCHIP = ip.PchipInterpolator(X, YY)
AKIMA = ip.Akima1DInterpolator(X, Y)
B_SPLINE = ip.make_interp_spline(X, Y, k=3)
UNIVARIATE = ip.UnivariateSpline(X, Y, s=0.1)
LINEAR = ip.interp1d(X, Y)
FILLED = ip.interp1d(X, YY, axis=0, bounds_error=False, fill_value=(1.0, 2.0))
CUBIC_1D = ip.interp1d(X, Y, kind="cubic", fill_value="extrapolate")
REGULAR = ip.RegularGridInterpolator(GRID, V)
OPEN = ip.RegularGridInterpolator(GRID, V, bounds_error=False, fill_value=None)
TCK = ip.splrep(X, Y)

CALLS = {
    "CubicSpline": (lambda p: CUBIC(p), P),
    "CubicSpline slope": (lambda p: CUBIC(p, 1), P),
    "CubicSpline derivative": (lambda p: CUBIC.derivative()(p), P),
    "PchipInterpolator": (lambda p: PCHIP(p), P),
    "Akima1DInterpolator": (lambda p: AKIMA(p), P),
    "BSpline": (lambda p: B_SPLINE(p), P),
    "UnivariateSpline": (lambda p: UNIVARIATE(p), P[0]),
    "interp1d": (lambda p: LINEAR(p), P),
    "interp1d filled": (lambda p: FILLED(p), OUT),
    "interp1d cubic": (lambda p: CUBIC_1D(p), OUT),
    "splev": (lambda p: ip.splev(p, TCK), P[0]),
    "RegularGridInterpolator": (lambda p: REGULAR(p), XI),
    "RegularGridInterpolator outside": (lambda p: OPEN(p), XI - 0.45),
    "of values CubicSpline": (lambda x, y, p: ip.CubicSpline(x, y)(p), X, Y, P),
    "of values natural": (lambda x, y, p: ip.CubicSpline(x, y, bc_type="natural")(p), X, YY, P),
    "of values clamped": (lambda x, y: ip.CubicSpline(x, y, bc_type=("clamped", (2, 0.3)))(P), X, Y),
    "of three values": (lambda x, y: ip.CubicSpline(x, y)(P), X[:3], Y[:3]),
    "of two values": (lambda x, y: ip.CubicSpline(x, y)(P), X[:2], Y[:2]),
    "of values along an axis": (lambda y: ip.CubicSpline(X, y, axis=1)(P), YY.T.copy()),
    "of values pchip": (lambda x, y, p: ip.PchipInterpolator(x, y)(p), X, YY, P),
    "of values akima": (lambda x, y, p: ip.Akima1DInterpolator(x, y)(p), X, Y, P),
    "of values hermite": (lambda x, y, d: ip.CubicHermiteSpline(x, y, d)(P), X, Y, Y[::-1].copy()),
    "of values make_interp_spline": (lambda y, p: ip.make_interp_spline(X, y)(p), YY, P),
    "of coefficients BSpline": (lambda c, p: ip.BSpline(B_SPLINE.t, c, 3)(p), Y, P),
    "of coefficients BSpline periodic": (
        lambda c, p: ip.BSpline(np.arange(10.0), c, 3, extrapolate="periodic")(3 * p),
        Y,
        P,
    ),
    "of coefficients BSpline nowhere else": (
        lambda c: np.nan_to_num(ip.BSpline(np.arange(10.0), c, 3, extrapolate=False)(np.arange(0.1, 9))),
        Y,
    ),
    "of coefficients splev": (lambda c: ip.splev(np.arange(0.1, 9), (np.arange(10.0), c, 3), ext=3), Y),
    "of values interp1d": (lambda x, y, p: ip.interp1d(x, y)(p), X, Y, P),
    "of values interp1d unordered": (lambda y, p: ip.interp1d(X[::-1], y, axis=0)(p), YY, P),
    "of values interp1d quadratic": (lambda y, p: ip.interp1d(X, y, kind="quadratic")(p), Y, P + 0.05),
    "of values grid": (lambda v, p: ip.RegularGridInterpolator(GRID, v)(p), V, XI),
}


@pytest.mark.parametrize("name", CALLS)
def test_value_and_derivatives(name):
    function, *args = CALLS[name]
    check(function, *args, rtol=1e-6, atol=1e-7)


S = scipy.sparse.random_array((4, 4), density=0.5, rng=np.random.default_rng(0)) + 2 * scipy.sparse.eye_array(
    4
)
KINDS = {
    kind: getattr(scipy.sparse, f"{kind}_array")(S) for kind in ("csr", "csc", "coo", "dia", "bsr", "lil")
}
OLD = scipy.sparse.csr_matrix(S)
X4, X42 = generator.uniform(-1, 1, 4), generator.uniform(-1, 1, (4, 2))


@pytest.mark.parametrize("kind", KINDS)
def test_products_with_sparse_matrices(kind):
    matrix = KINDS[kind]
    check(lambda x: matrix @ x, X4)
    check(lambda x: matrix @ x + matrix.dot(x), X42)
    check(lambda x: x @ matrix, X4)
    check(lambda x: x.T @ matrix, X42)


def test_matrices_of_the_old_kind_and_transposed_ones():
    check(lambda x: OLD * x, X4)
    check(lambda x: OLD.T @ x, X4)


def test_sparse_equations():
    csc = KINDS["csc"]
    check(lambda b: scipy.sparse.linalg.spsolve(csc, b), X4)
    check(lambda b: scipy.sparse.linalg.spsolve(csc, b), X42)


def test_another_matrix_under_the_same_name_is_used():
    holder = {"matrix": scipy.sparse.csr_array(np.array([[1.0, 2.0], [0.0, 3.0]]))}

    def loss(x):
        return np.sum(holder["matrix"] @ x)

    gradient = tg.grad(loss, jit="python")
    np.testing.assert_allclose(gradient(np.ones(2)), [1.0, 5.0])
    holder["matrix"] = scipy.sparse.csr_array(np.array([[1.0, 0.0], [2.0, 3.0]]))
    np.testing.assert_allclose(gradient(np.ones(2)), [3.0, 3.0])


def changed_in_place(kind):
    """A matrix before and after other numbers and, where it has them, other indices are written into it."""
    matrix = getattr(scipy.sparse, f"{kind}_array")(
        np.array([[1.0, 2.0, 0.0], [0.0, 3.0, 4.0], [5.0, 0.0, 6.0]])
    )
    yield matrix
    matrix.data[...] *= np.linspace(1.0, 2.0, matrix.data.size).reshape(matrix.data.shape)
    yield matrix
    if hasattr(matrix, "indices"):
        matrix.indices[...] = (matrix.indices + 1) % (3 if kind != "bsr" else matrix.indices.max() + 1)
        matrix.has_sorted_indices = False
    elif kind == "coo":
        matrix.col[...] = (matrix.col + 1) % 3
    else:
        matrix.offsets[...] = matrix.offsets[::-1].copy()
    yield matrix


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "lil"])
def test_a_matrix_that_is_changed_in_place_is_never_stale(kind):
    weights = np.array([1.0, 2.0, 3.0])
    matrices = changed_in_place(kind)
    matrix = next(matrices)
    gradient = tg.grad(lambda x: np.sum(weights * (matrix @ x) + x @ matrix + matrix.dot(x)), jit="python")
    before = None
    for _ in range(3):
        found = gradient(np.ones(3))
        dense = matrix.toarray()
        np.testing.assert_allclose(found, weights @ dense + dense.sum(1) + dense.sum(0))
        assert before is None or not np.allclose(found, before)
        before = found
        next(matrices, None)
    assert gradient.stats.captures == 1


def test_methods_in_python_of_a_container_from_outside_are_not_repeated_blindly():
    counts = collections.Counter("aab")
    matrix = scipy.sparse.dok_array(np.array([[1.0, 2.0], [0.0, 3.0]]))
    with config.using(jit="python"):
        gradient = tg.grad(lambda x: x * counts.total() + np.sum(matrix.toarray() @ np.array([x, x])))
        assert gradient(1.0) == 9.0
        counts["a"] += 5
        matrix[0, 0] = 2.0
        assert gradient(1.0) == 15.0
        lists = matrix.tolil()
        product = tg.grad(lambda x: np.sum(lists @ x))
        assert product(np.ones(2)).tolist() == [2.0, 5.0]
        lists[1, 0] = 7.0
        assert product(np.ones(2)).tolist() == [9.0, 5.0]
        with pytest.raises(UnsupportedError, match=r"tocsr"):
            tg.grad(lambda x: np.sum(matrix @ x))(np.ones(2))


def test_what_is_not_recorded_is_refused_and_bad_input_as_scipy_does():
    with config.using(jit="python"):
        with pytest.raises(UnsupportedError, match="`x`"):
            tg.grad(lambda x: ip.make_interp_spline(x, Y)(1.0))(X)
        with pytest.raises(UnsupportedError, match="periodic"):
            tg.grad(lambda y: ip.CubicSpline(X, y, bc_type="periodic")(1.0))(np.ones(6))
        with pytest.raises(UnsupportedError, match="slinear"):
            tg.grad(lambda v: np.sum(ip.RegularGridInterpolator(GRID, v, method="slinear")(XI)))(V)
        with pytest.raises(UnsupportedError, match="`points`"):
            tg.grad(lambda p: np.sum(ip.RegularGridInterpolator((p, GRID[1]), V)(XI)))(GRID[0])
        for function, at in (
            (LINEAR, OUT),
            (REGULAR, XI + 9),
            (REGULAR, XI[:, :1]),
            (lambda x: KINDS["csr"] @ x, X),
        ):
            with pytest.raises(ValueError) as wanted:
                function(at)
            with pytest.raises(ValueError) as found:
                tg.grad(lambda x, function=function: np.sum(function(x)))(at)
            assert str(wanted.value)[:24] == str(found.value)[:24]
