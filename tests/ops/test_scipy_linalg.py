"""Functions of `scipy.linalg` under its signatures: values, every derivative, bad input."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.linalg as la

import tracegrad as tg
from tests.ops.derivatives import check
from tracegrad import config
from tracegrad.errors import UnsupportedError

generator = np.random.default_rng(0)
A = generator.uniform(-1, 1, (3, 3)) + 3 * np.eye(3)
B = generator.uniform(-1, 1, (3, 2))
S = A @ A.T
V = generator.uniform(0.5, 1.5, 3)
T = generator.uniform(-1, 1, (4, 3))
AB = np.array([[0.0, 0.3, 0.5, -0.2], [4.0, 4.2, 3.9, 4.1], [0.4, -0.3, 0.2, 0.0]])
W = generator.uniform(0.5, 1.5, 4)


def symmetric(x):
    return x @ x.T + np.eye(x.shape[0])


CALLS = {
    "solve": (lambda a, b: la.solve(a, b), A, B),
    "solve pos": (lambda a, b: la.solve(symmetric(a), b, assume_a="pos"), A, V),
    "solve sym lower": (lambda a, b: la.solve(symmetric(a), b, assume_a="sym", lower=True), A, V),
    "solve transposed": (lambda a, b: la.solve(a, b, transposed=True), A, V),
    "inv det": (lambda a: la.inv(a) * la.det(a), A),
    "inv sym lower": (lambda a: la.inv(a + 3 * np.eye(3), assume_a="sym", lower=True), A),
    "inv upper": (lambda a: la.inv(a + 3 * np.eye(3), assume_a="upper triangular"), A),
    "pinv": (lambda a: la.pinv(a), T),
    "norm": (lambda a: la.norm(a), A),
    "lstsq": (lambda a, b: la.lstsq(a, b)[0], T, W),
    "lu": (lambda a: la.lu(a)[1] + 2 * la.lu(a)[2] + la.lu(a)[0], A[::-1].copy()),
    "lu permuted": (lambda a: la.lu(a, permute_l=True)[0], A[::-1].copy()),
    "lu_solve": (lambda a, b: la.lu_solve(la.lu_factor(a), b), A[::-1].copy(), B),
    "lu_solve transposed": (lambda a, b: la.lu_solve(la.lu_factor(a), b, trans=1), A[::-1].copy(), V),
    "qr": (lambda a: la.qr(a)[0] + la.qr(a)[1], A),
    "qr economic": (lambda a: la.qr(a, mode="economic")[0], T),
    "qr wide": (lambda a: la.qr(a)[1], T.T.copy()),
    "qr r": (lambda a: la.qr(a, mode="r")[0], T),
    "svd": (lambda a: la.svd(a, full_matrices=False)[1] + la.svdvals(a), T),
    "eigh": (lambda a: la.eigh(symmetric(a))[0] + la.eigvalsh(symmetric(a)), A),
    "eigh vectors": (lambda a: la.eigh(symmetric(a))[1] ** 2, A),
    "eigh generalised": (lambda a, b: la.eigh(symmetric(a), symmetric(b))[1] ** 2, A, A + 1),
    "eigh generalised values": (
        lambda a, b: la.eigh(symmetric(a), symmetric(b), eigvals_only=True),
        A,
        A + 1,
    ),
    "eigh subset": (lambda a: la.eigh(symmetric(a), subset_by_index=[0, 1])[0], A),
    "polar": (lambda a: la.polar(a)[0] + 2 * la.polar(a)[1], A),
    "polar left": (lambda a: la.polar(a, side="left")[1], A),
    "polar equal": (lambda a: la.polar(a)[0], np.eye(3)),
    "cholesky": (lambda a: la.cholesky(symmetric(a)), A),
    "cho_solve": (lambda a, b: la.cho_solve(la.cho_factor(symmetric(a)), b), A, V),
    "solve_banded": (lambda ab, b: la.solve_banded((1, 1), ab, b), AB, W),
    "solveh_banded": (lambda ab, b: la.solveh_banded(ab, b), AB[:2], W),
    "solveh_banded lower": (lambda ab, b: la.solveh_banded(ab, b, lower=True), AB[1:], W),
    "cholesky_banded": (lambda ab: la.cholesky_banded(ab)[:, 1:], AB[:2]),
    "cholesky_banded lower": (lambda ab: la.cholesky_banded(ab, lower=True)[:, :-1], AB[1:]),
    "cho_solve_banded": (lambda ab, b: la.cho_solve_banded((la.cholesky_banded(ab), False), b), AB[:2], W),
    "expm": (lambda a: la.expm(a / 4), A),
    "expm of a stack": (lambda a: la.expm(a.reshape(1, *a.shape) / np.array([3.0, 4.0])[:, None, None]), A),
    "sqrtm logm": (lambda a: la.sqrtm(a) + la.logm(a), S),
    "cosm sinm": (lambda a: la.cosm(a) + la.sinm(a), A / 4),
    "coshm tanhm": (lambda a: la.coshm(a) + la.tanhm(a) + la.sinhm(a) + la.tanm(a), A / 6),
    "sylvester": (lambda a, b, q: la.solve_sylvester(a, b, q), A, A[:2, :2] + 1, B),
    "lyapunov": (lambda a, q: la.solve_continuous_lyapunov(a, q), A, S),
    "discrete lyapunov": (lambda a, q: la.solve_discrete_lyapunov(a, q), A / 8, S),
    "block_diag": (lambda a, b: la.block_diag(a, b) ** 2, A, B),
    "toeplitz": (lambda c, r: la.toeplitz(c, r) ** 2, V, W),
    "hankel": (lambda c, r: la.hankel(c, r) ** 2, V, W),
    "circulant": (lambda c: la.circulant(c) ** 2, V),
    "companion": (lambda c: la.companion(c) ** 2, V),
    "solve_toeplitz": (lambda c, b: la.solve_toeplitz(c + np.array([3.0, 0, 0]), b), V, B),
    "solve_circulant": (lambda c, b: la.solve_circulant(c + np.array([3.0, 0, 0]), b), V, V),
    "matmul_toeplitz": (lambda c, b: la.matmul_toeplitz(c, b), V, B),
}


@pytest.mark.parametrize("name", CALLS)
def test_value_and_derivatives(name):
    function, *args = CALLS[name]
    check(function, *args, rtol=1e-5, atol=1e-7)


def test_bases_and_bad_input_are_refused():
    with config.using(jit="python"):
        for name in ("null_space", "orth"):
            with pytest.raises(UnsupportedError, match="one basis of many"):
                tg.grad(lambda a, name=name: np.sum(getattr(la, name)(a)))(A)
        with pytest.raises(UnsupportedError, match="raw"):
            tg.grad(lambda a: np.sum(la.qr(a, mode="raw")[1]))(A)
        for unknown in (
            lambda a: la.eigvalsh(symmetric(a), np.eye(3), type=2),
            lambda a: la.eigvalsh(symmetric(a), subset_by_value=[0.0, 1.0]),
            lambda a: la.solve_circulant(a, V, caxis=0),
            lambda a: la.solve_circulant(a[0], V, "lstsq"),
        ):
            with pytest.raises(UnsupportedError, match="is recorded"):
                tg.grad(lambda a, unknown=unknown: np.sum(unknown(a)))(A)
        for function, wanted in (
            (lambda a: la.solve_banded((1, 1), a, W[:3]), ValueError),
            (lambda a: la.solve_banded((2, 1), a, W), ValueError),
            (lambda a: la.cholesky(-a[:3, :3]), np.linalg.LinAlgError),
        ):
            with pytest.raises(wanted):
                function(AB)
            with pytest.raises(wanted):
                tg.grad(lambda a, function=function: np.sum(function(a)))(AB)


@pytest.mark.parametrize("kinds", ["rcc", "rcr", "rrc", "ccc"])
def test_sylvesters_equation_of_real_and_complex_matrices(kinds):
    """As one system of equations has it, in both modes."""
    numbers = np.random.default_rng(4)
    shapes = ((3, 3), (2, 2), (3, 2))
    args = [
        numbers.normal(size=s) + (1j * numbers.normal(size=s) if kind == "c" else 0.0)
        for s, kind in zip(shapes, kinds, strict=True)
    ]
    args[0], args[1] = args[0] + 4 * np.eye(3), args[1] + 4 * np.eye(2)
    weights = numbers.normal(size=(3, 2)) + 1j * numbers.normal(size=(3, 2))

    def at_once(a, b, q):
        return np.sum(np.abs(la.solve_sylvester(a, b, q) * weights + 1) ** 2)

    def spelled_out(a, b, q):
        system = np.kron(a, np.eye(2)) + np.kron(np.eye(3), b.T)
        return np.sum(np.abs(np.linalg.solve(system, q.ravel()).reshape(3, 2) * weights + 1) ** 2)

    along = tuple(np.ones_like(x) for x in args)
    with config.using(jit="python"):
        found, wanted = (tg.value_and_grad(f, (0, 1, 2))(*args) for f in (at_once, spelled_out))
        assert found[0] == pytest.approx(wanted[0])  # which SciPy itself misses where the kinds are mixed
        for one, other, x in zip(found[1], wanted[1], args, strict=True):
            assert one.dtype == x.dtype
            np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-12)
        pushed = [tg.jvp(f, tuple(args), along)[1] for f in (at_once, spelled_out)]
        assert pushed[0] == pytest.approx(pushed[1])


def test_what_a_matrix_looks_like_is_asked_at_each_call():
    def function(a):
        low, up = la.bandwidth(a)
        total = np.sum(a) if la.issymmetric(a) else np.sum(a * a)
        return total * (1 + low + 2 * up) + la.ishermitian(a, atol=0.5)

    gradient = tg.grad(function, jit="python")
    for a in (np.diag(V), np.tril(S), S, A, np.diag(W), S + 0.1 * np.triu(A)):
        step = 1e-6
        slopes = np.zeros_like(a)
        for at in zip(*np.nonzero(a), strict=True):
            along = np.zeros_like(a)
            along[at] = step
            if la.issymmetric(a) and at[0] != at[1]:
                continue  # moved alone, it is not symmetric any more
            slopes[at] = (function(a + along) - function(a - along)) / (2 * step)
        there = slopes != 0
        assert there.any()
        np.testing.assert_allclose(gradient(a)[there], slopes[there], rtol=1e-6)


@pytest.mark.parametrize("lower", [True, False])
@pytest.mark.parametrize("driver", ["ev", "evd", "evr"])
def test_eigenvectors_have_the_signs_of_scipy(driver: str, lower: bool) -> None:
    def vectors(a: Any) -> Any:
        return la.eigh(a, lower=lower, driver=driver)[1]

    np.testing.assert_allclose(tg.jit(vectors, jit="python")(A), vectors(A), rtol=1e-12)


@pytest.mark.parametrize("jit", ["python", "native"])
def test_triangles_are_solved_as_they_stand(jit: Any) -> None:
    """By substitution, both ways and both kinds of right sides; what is on the other side is not looked at."""

    def f(a: Any, b: Any) -> Any:
        low = la.solve_triangular(a, b, lower=True)
        up = la.solve_triangular(a, b[:, 0], trans=1, lower=True)
        unit = la.solve_triangular(a, b, unit_diagonal=True)
        return np.sum(low * b) + np.sum(up * up) + np.sum(unit)

    value, gradients = tg.value_and_grad(f, argnums=(0, 1), jit=jit)(A, B)
    np.testing.assert_allclose(value, f(A, B), rtol=1e-12)
    for gradient, x, place in zip(gradients, (A, B), (0, 1), strict=True):
        for i in np.ndindex(x.shape):
            change = [np.zeros(A.shape), np.zeros(B.shape)]
            change[place][i] = 1e-6
            ahead, behind = (f(A + s * change[0], B + s * change[1]) for s in (1, -1))
            np.testing.assert_allclose(gradient[i], (ahead - behind) / 2e-6, rtol=1e-6, atol=1e-8)


def test_a_triangle_without_an_inverse_is_refused_by_compiled_code() -> None:
    f = tg.value_and_grad(lambda a, b: np.sum(la.solve_triangular(a, b, check_finite=False)), jit="native")
    f(A, B)
    with pytest.raises(np.linalg.LinAlgError):
        f(A * (1 - np.eye(3)), B)


@pytest.mark.parametrize("n", [31, 40])
def test_the_derivative_of_expm_is_that_of_its_series(n):
    g = np.random.default_rng(3)
    a, direction, weights = (g.uniform(-1, 1, (n, n)) / 8 for _ in range(3))
    bar = tg.grad(lambda a: np.sum(la.expm(a) * weights))(a)
    term, change, total = np.eye(n), np.zeros((n, n)), np.zeros((n, n))
    for k in range(1, 40):  # the term a**k / k!, and its change
        term, change = term @ a / k, (change @ a + term @ direction) / k
        total += change
    np.testing.assert_allclose(np.sum(bar * direction), np.sum(total * weights), rtol=1e-12)
    second = tg.jvp(tg.grad(lambda a: np.sum(la.expm(a) * weights)), (a,), (direction,))[1]
    gradient = tg.grad(lambda a: np.sum(la.expm(a) * weights))
    wanted = (gradient(a + 1e-5 * direction) - gradient(a - 1e-5 * direction)) / 2e-5
    np.testing.assert_allclose(second, wanted, atol=1e-8)


def rotated(sizes):
    """A matrix with these singular values, and its singular vectors."""
    g = np.random.default_rng(4)
    left, right = (np.linalg.qr(g.uniform(-1, 1, (len(sizes),) * 2))[0] for _ in range(2))
    return left * sizes @ right.T, left, right


def test_polar_factors_of_an_ill_conditioned_matrix_and_their_derivatives_keep_their_digits():
    sizes = np.geomspace(1.0, 1e-8, 5)
    a, left, right = rotated(sizes)
    change = np.random.default_rng(5).uniform(-1, 1, a.shape)
    found, found_dot = tg.jvp(lambda a: la.polar(a)[0], (a,), (change,))
    np.testing.assert_allclose(found, la.polar(a)[0], atol=1e-14)
    inner = left.T @ change @ right
    wanted = left @ ((inner - inner.T) / (sizes[:, None] + sizes)) @ right.T
    np.testing.assert_allclose(found_dot, wanted, atol=1e-6 * np.abs(wanted).max())


@pytest.mark.parametrize("jit", ["python", "native"])
@pytest.mark.parametrize("a", [np.zeros((2, 2)), np.ones((3, 3)), np.ones((4, 2)), np.ones((2, 4))], ids=str)
def test_polar_of_a_singular_matrix_has_scipys_value_and_no_derivative(a, jit):
    found, bar = tg.value_and_grad(lambda a: np.sum(la.polar(a)[1]), jit=jit)(a)
    np.testing.assert_allclose(found, np.sum(la.polar(a)[1]), atol=1e-12)
    assert np.isnan(bar).all()


@pytest.mark.parametrize("jit", ["python", "native"])
@pytest.mark.parametrize(("low", "up", "n"), [(2, 1, 2), (1, 3, 6), (0, 2, 5)])
def test_band_matrices_agree_with_dense_ones_whatever_stands_outside(low, up, n, jit):
    g = np.random.default_rng(6)
    ab, b = g.uniform(-1, 1, (low + up + 1, n)), g.uniform(-1, 1, (n, 2))
    ab[up] += 5
    row = np.arange(n) + np.arange(low + up + 1)[:, None] - up
    inside = (row >= 0) & (row < n)
    ab[~inside] = 1e300

    def by_band(ab, b):
        return np.sum(la.solve_banded((low, up), ab, b) ** 2)

    dense = np.zeros((n, n))
    dense[row[inside], np.nonzero(inside)[1]] = ab[inside]
    z = np.linalg.solve(dense, b)
    bar = np.linalg.solve(dense.T, 2 * z)
    of_dense = -(bar @ z.T)
    of_ab, of_b = tg.grad(by_band, argnums=(0, 1), jit=jit)(ab, b)
    np.testing.assert_allclose(of_b, bar, rtol=1e-12)
    np.testing.assert_allclose(of_ab[inside], of_dense[row[inside], np.nonzero(inside)[1]], rtol=1e-11)
    assert not of_ab[~inside].any()
    direction = np.where(inside, g.uniform(-1, 1, ab.shape), 1e300)
    found = tg.jvp(lambda ab: by_band(ab, b), (ab,), (direction,))[1]
    np.testing.assert_allclose(found, np.sum(of_ab[inside] * direction[inside]), rtol=1e-11)


def test_equations_with_a_long_band_matrix_compile_in_no_more_text_than_a_short_one():
    texts = []
    for n in (50, 5000):
        native = tg.grad(lambda ab, b: np.sum(la.solve_banded((1, 1), ab, b) ** 2), jit="native")
        native(np.ones((3, n)) + 4 * np.array([[0.0], [1.0], [0.0]]), np.ones(n))
        texts.append(len(native.native_source))
    assert texts[1] < texts[0] + 400
