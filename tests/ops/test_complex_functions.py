"""NumPy's and SciPy's functions of complex arguments, against differences in real and imaginary directions.

`CALLS` maps a name to a function and its argument. A loss weighs the real part of every item of the result by a complex
number; gradients are `df/dx - i df/dy`, the convention of docs/complex.md.
"""

from __future__ import annotations

import numpy as np
import pytest
import scipy.fft
import scipy.linalg
import scipy.signal
import scipy.special

import tracegrad as tg
from tracegrad import config
from tracegrad.errors import UnsupportedError

generator = np.random.default_rng(3)


def drawn(*shape):
    return generator.normal(size=shape) + 1j * generator.normal(size=shape)


Z = drawn(5)
M = drawn(3, 3) + 3 * np.eye(3)
R = drawn(4, 3)
H = M @ M.conj().T
X = generator.normal(size=5)
W = generator.normal(size=(4, 3))
LA = np.linalg


def phase_free(decompose, product):
    """What of a decomposition does not depend on the phases of its vectors."""
    return lambda m: product(*decompose(m))


def with_parts_written(a):
    b = a * 1
    b.imag[1:] = b.real[1:] ** 2
    b.real[0] = 3.0
    return b


def with_real_written(a):
    b = a.copy()
    b.real = b.imag * 2
    return b


CALLS = {
    "fft.ifft": (lambda a: np.fft.ifft(a, 8, norm="ortho"), Z),
    "fft.fftn twice": (lambda a: np.fft.fftn(a, axes=(0, 0)), R),
    "fft.hfft": (np.fft.hfft, Z),
    "fft.irfftn": (lambda a: np.fft.irfftn(a, (4, 5), axes=(0, 1)), R),
    "fft.shifts": (lambda a: np.fft.ifftshift(np.fft.fftshift(a, axes=0)), R),
    "scipy.fft": (scipy.fft.fft, Z),
    "dct": (scipy.fft.dct, Z),
    "dct real": (scipy.fft.dct, X),
    "dctn": (scipy.fft.dctn, W),
    "idctn": (lambda a: scipy.fft.idctn(a, type=3, norm="ortho"), W),
    "idct": (lambda a: scipy.fft.idct(a, n=7), X),
    "dst": (lambda a: scipy.fft.dst(a, type=1, n=7), X),
    "idst": (lambda a: scipy.fft.idst(a, 2, norm="forward"), X),
    "stack": (lambda a: np.stack([a, a.conj() * 1j]), Z),
    "einsum": (lambda a: np.einsum("ij,kj->ik", a, a.conj()), R),
    "tensordot": (lambda a: np.tensordot(a, a, axes=((0,), (0,))), R),
    "vdot": (lambda a: np.vdot(a, a * 1j + 1), R),
    "vecdot": (lambda a: np.vecdot(a, a * a), R),
    "inner": (lambda a: np.inner(a, a * 2j), R),
    "outer": (lambda a: np.multiply.outer(a, a), Z),
    "cov": (np.cov, R),
    "corrcoef": (np.corrcoef, R),
    "var": (lambda a: np.var(a, axis=0, ddof=1), R),
    "std": (lambda a: np.std(a, axis=1), R),
    "average": (lambda a: np.average(np.arange(5.0), weights=a), Z),
    "mean": (lambda a: a.mean(axis=1, keepdims=True), R),
    "cumprod": (np.cumprod, Z),
    "cumsum": (lambda a: np.add.accumulate(a), Z),
    "sort": (np.sort, Z),
    "median": (np.median, Z),
    "nanmedian": (lambda a: np.nanmedian(np.append(a, np.nan)), Z),
    "nanvar": (lambda a: np.nanvar(np.append(a, np.nan), ddof=1), Z),
    "maximum": (lambda a: np.maximum(a, 0.1), Z),
    "interp": (lambda a: np.interp([0.3, 1.7, 3.2], np.arange(5.0), a), Z),
    "convolve": (lambda a: np.convolve(a, [1j, 2.0]), Z),
    "correlate": (lambda a: np.correlate(a, a[:3], "full"), Z),
    "signal.fftconvolve": (lambda a: scipy.signal.fftconvolve(a, a), Z),
    "polyval": (lambda a: np.polyval(a, 1j + a[0]), Z),
    "roots": (np.roots, Z),
    "poly": (np.poly, Z),
    "polyfit": (lambda a: np.polyfit(np.arange(5.0), a, 2), Z),
    "solve": (lambda m: LA.solve(m, np.arange(3.0) + 1j), M),
    "inv": (LA.inv, M),
    "det": (LA.det, M),
    "slogdet sign": (lambda m: LA.slogdet(m)[0], M),
    "slogdet": (lambda m: LA.slogdet(m)[1], M),
    "norm": (LA.norm, M),
    "norm 1": (lambda m: LA.norm(m, 1), M),
    "norm of order 3": (lambda a: LA.norm(a, 3), Z),
    "nuclear norm": (lambda m: LA.norm(m, "nuc"), M),
    "cond": (LA.cond, M),
    "matrix_power": (lambda m: LA.matrix_power(m, -3), M),
    "cholesky": (lambda m: LA.cholesky(m @ m.conj().T), M),
    "cholesky upper": (lambda m: LA.cholesky(m @ m.conj().T, upper=True), M),
    "eigvalsh": (LA.eigvalsh, H),
    "eigh": (phase_free(LA.eigh, lambda w, v: (v * np.exp(-w / 9)) @ v.conj().T), H),
    "svd": (phase_free(lambda m: LA.svd(m, full_matrices=False), lambda u, s, vh: u @ vh), R),
    "svd wide": (
        phase_free(lambda m: LA.svd(m.T, full_matrices=False), lambda u, s, vh: (u * s**2) @ u.conj().T),
        R,
    ),
    "svdvals": (lambda m: LA.svd(m, compute_uv=False), R),
    "qr": (lambda m: LA.qr(m)[0], R),
    "qr wide": (lambda m: LA.qr(m.T)[1], R),
    "pinv": (LA.pinv, R),
    "lstsq": (lambda m: LA.lstsq(m, np.arange(4.0) * 1j, rcond=None)[0], R),
    "eigvals": (LA.eigvals, M),
    "eig": (lambda m: LA.eig(m)[1], M),
    "expm": (scipy.linalg.expm, M),
    "erf": (scipy.special.erf, Z),
    "power of a number": (lambda a: 2.0**a, Z),
    "power of complex": (lambda a: a**a, Z),
    "float_power": (lambda a: np.float_power(a, 2.5), Z),
    "sign": (np.sign, Z),
    "angle": (lambda a: np.angle(a, deg=True), Z),
    "unwrap": (lambda a: np.unwrap(np.angle(a)), Z),
    "parts": (lambda a: a.real + 1j * a.imag**2, Z),
    "parts written": (with_parts_written, Z),
    "real part written": (with_real_written, Z),
    "array of items": (lambda a: np.array([a[0], 1.0, [*a][2] * 1j]), Z),
    "where": (lambda a: np.where(np.iscomplex(a), a, a * 2), Z),
    "linspace": (lambda a: np.linspace(a[0], a[1], 4), Z),
    "geomspace": (lambda a: np.geomspace(1.0, a[0], 4), Z),
    "pad": (lambda a: np.pad(a, 1), R),
    "triangles": (lambda a: np.tril(a) + np.triu(a, 1) * 1j, M),
    "take": (lambda a: np.take(a, [0, 2, 2]), Z),
    "nan_to_num": (lambda a: np.nan_to_num(np.where(np.arange(5) == 2, np.nan, a), nan=2.0) * a, Z),
    "nansum": (lambda a: np.nansum(np.where(np.arange(5) == 2, np.nan, a)), Z),
    "nanmean": (lambda a: np.nanmean(np.where(np.arange(5) == 2, np.nan, a)), Z),
    "var where": (lambda a: np.var(a, axis=1, where=np.arange(3) > 0), R),
    "real_if_close": (lambda a: np.real_if_close(a * a.conj()), Z),
}


def loss_of(function, shape):
    weights = np.random.default_rng(1)
    weights = weights.normal(size=shape) + 1j * weights.normal(size=shape)
    return lambda a: np.sum(np.real(weights * function(a)))


def differences(function, x, step=1e-6):
    found = np.zeros_like(x)
    for place in np.ndindex(x.shape):
        along = np.zeros_like(x)
        along[place] = step
        found[place] = (function(x + along) - function(x - along)) / (2 * step)
        if x.dtype.kind == "c":
            found[place] -= 1j * (function(x + 1j * along) - function(x - 1j * along)) / (2 * step)
    return found


@pytest.mark.parametrize("name", CALLS)
def test_value_and_both_modes(name):
    function, x = CALLS[name]
    wanted = np.asarray(function(x))
    loss = loss_of(function, wanted.shape)
    with config.using(jit="python"):
        found = np.asarray(tg.jit(function)(x))
        assert found.dtype == wanted.dtype
        np.testing.assert_allclose(found, wanted, rtol=1e-10, atol=1e-12)
        gradient = tg.grad(loss)(x)
        assert gradient.dtype == x.dtype
        np.testing.assert_allclose(gradient, differences(loss, x), rtol=2e-5, atol=1e-5)
        along = generator.normal(size=x.shape).astype(x.dtype)
        if x.dtype.kind == "c":
            along = along * (1 + 0.4j)
        _, tangent = tg.jvp(loss, (x,), (along,))
        np.testing.assert_allclose(tangent, np.sum(gradient * along).real, rtol=1e-8)


ZERO = {
    "abs": (lambda z: np.sum(np.abs(z)), 0.0),
    "angle": (lambda z: np.sum(np.angle(z)), 0.0),
    "norm": (lambda z: np.linalg.norm(z), 0.0),
}


@pytest.mark.parametrize("name", ZERO)
def test_the_derivative_at_zero_is_the_stated_one(name):
    function, wanted = ZERO[name]
    z = np.zeros(2, complex)
    with config.using(jit="python"):
        np.testing.assert_array_equal(tg.grad(function)(z), np.full(2, wanted))
        assert tg.jvp(function, (z,), (np.array([1 + 1j, 2.0]),))[1] == wanted


def spiral(z, w):
    total = 0.0
    for k in range(z.shape[0]):
        w = w * z[k] + np.conj(w)
        total += np.abs(w) ** 2 + np.exp(z[k] * 0.1j).real
    return total


def rotated(z, w):
    return np.sum(np.abs(np.sin(z) * w - z.conj() / (2 + z)) ** 2)


@pytest.mark.parametrize("function", [spiral, rotated])
def test_compiled_code_agrees(function):
    z, w = Z[:4], 0.3 - 0.2j
    compiled = tg.value_and_grad(function, argnums=(0, 1), jit="native")
    readable = tg.value_and_grad(function, argnums=(0, 1), jit="python")
    (value, found), (other, wanted) = compiled(z, w), readable(z, w)
    assert value == pytest.approx(other, rel=1e-14)
    for got, want in zip(found, wanted, strict=True):
        assert type(got) is type(want)
        np.testing.assert_allclose(got, want, rtol=1e-12)
    assert "no native text" not in compiled.native_source


def test_tensors_have_the_conjugate_as_pytorch_has():
    tensor = tg.tensor(Z, requires_grad=True)
    rotated(tensor, 1j).backward()
    wanted = tg.grad(rotated, jit="python")(Z, 1j)
    np.testing.assert_allclose(tensor.grad.numpy(), np.conj(wanted), rtol=1e-12)


def test_a_tangent_of_a_python_number_keeps_both_parts():
    assert tg.jvp(lambda z: abs(z) ** 2, (1.0 + 2.0j,), (1j,), jit="python")[1] == pytest.approx(4.0)
    assert tg.jvp(lambda z: z**2, (1.0 + 2.0j,), (1.0,), jit="python")[1] == pytest.approx(2.0 + 4.0j)


def test_the_derivative_of_a_holomorphic_function():
    found = tg.grad(lambda z: z**3 + np.exp(1j * z), holomorphic=True, jit="python")(0.3 + 0.7j)
    z = 0.3 + 0.7j
    assert found == pytest.approx(3 * z**2 + 1j * np.exp(1j * z), rel=1e-13)


REFUSED = {
    "scipy.signal.correlate": lambda a: scipy.signal.correlate(a, a[:3]),
    "scipy.linalg.toeplitz": lambda a: scipy.linalg.toeplitz(a),
    "scipy.special.softmax": lambda a: scipy.special.softmax(a),
    "np.nanmax": lambda a: np.nanmax(a),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_right_for_real_numbers_alone_refuses_others(name):
    with pytest.raises(UnsupportedError, match=name), config.using(jit="python"):
        tg.grad(lambda a: np.sum(np.abs(REFUSED[name](a))))(Z)
