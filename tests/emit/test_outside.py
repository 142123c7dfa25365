"""Native programs that call NumPy for what has no compiled form, and go on: values, gradients, errors, threads."""

from __future__ import annotations

import gc
import threading

import numpy as np
import pytest
import scipy.fft
import scipy.linalg
import scipy.special

import tracegrad as tg
from tracegrad.extend import defvjp, primitive
from tracegrad.kernels.outside import Outside

x = np.random.default_rng(0).normal(size=6)
square = np.random.default_rng(1).normal(size=(3, 3)) + 2 * np.eye(3)


def filtered(x):
    total, y = 0.0, x
    for k in range(4):
        spectrum = scipy.fft.dct(y)
        y = scipy.fft.idct(spectrum * 0.8) + 0.1 * np.tanh(y) - k * y**3 / 10
        total = total + np.sum(y**2)
    return total


def in_one_arm(x):
    if np.sum(x) > 0:
        return np.sum(scipy.fft.dst(x) ** 2) * x[0]
    return np.sum(x**3)


def several_results(a):
    values, vectors = np.linalg.eig(a @ a.T)
    return np.sum(values.real**2) + np.sum(np.abs(vectors[0]) ** 3)


def of_numbers(x):
    total = x[0] * x[1]
    for k in range(3):
        total = np.sin(total) * x[2] + scipy.special.spence(2.0 + total * total) + k
    return total


def single(x):
    spectrum = np.fft.fft(x.astype(np.float32), norm="ortho")
    return np.sum(np.abs(spectrum) * np.float32(0.5))


def of_matrices(a):
    return np.sum(scipy.linalg.expm(a) * np.arange(9.0).reshape(3, 3))


@primitive
def softplus(x):
    return np.log1p(np.exp(x))


defvjp(softplus, lambda z, x: lambda g: g / (1 + np.exp(-x)))


def of_a_primitive(x):
    total = 0.0
    for k in range(3):
        total = total + np.sum(softplus(x * k) * x)
    return total


PROGRAMS = [
    (filtered, x),
    (in_one_arm, np.abs(x)),
    (in_one_arm, -np.abs(x)),
    (several_results, square),
    (of_numbers, x),
    (of_matrices, square),
    (of_a_primitive, x),
]


def differences(function, x, step=1e-6):
    steps = np.eye(x.size).reshape(x.size, *x.shape) * step
    return np.reshape([(function(x + s) - function(x - s)) / (2 * step) for s in steps], x.shape)


@pytest.mark.parametrize(("function", "x"), PROGRAMS)
def test_a_program_that_calls_out_has_its_value_and_gradient(function, x):
    native, array = (tg.value_and_grad(function, jit=tier) for tier in ("native", "python"))
    for _ in range(2):
        (value, slope), (wanted, wanted_slope) = native(x), array(x)
        assert value == pytest.approx(wanted, rel=1e-12)
        np.testing.assert_allclose(slope, wanted_slope, rtol=1e-9, atol=1e-12)
    assert native.stats.compiles == 1, native.explain()
    assert value == pytest.approx(float(np.real(function(x))))
    np.testing.assert_allclose(slope, differences(function, x), rtol=2e-4, atol=1e-6)


def test_what_is_called_stands_in_the_text():
    made = tg.value_and_grad(filtered, jit="python")
    made(x)
    assert "    return scipy.fft.dct(x, type=2, axis=0, norm='backward')\n" in made.native_source
    assert "spectrum = called_out(python_dct, (y,))" in made.native_source
    made = tg.grad(single, jit="python")
    made(x)
    assert "def python_fft(x, out) -> None:\n    np.fft.fft(x, norm='ortho', out=out)\n" in made.native_source
    assert "called_out(python_fft, (cast_x, spectrum))" in made.native_source


def test_single_precision_stays_single():
    native, array = (tg.grad(single, jit=tier) for tier in ("native", "python"))
    assert native(x).dtype == array(x).dtype == np.float64
    np.testing.assert_allclose(native(x), array(x), rtol=1e-5)
    assert "np.empty(6, np.complex64)" in native.native_source


def test_an_error_is_numpys_with_the_users_line_and_the_program_goes_on():
    made = tg.value_and_grad(several_results, jit="native")
    wanted = made(square)
    for _ in range(20):
        with pytest.raises(np.linalg.LinAlgError, match="must not contain infs or NaNs") as caught:
            made(np.full((3, 3), np.nan))
        assert any("in several_results" in note for note in caught.value.__notes__)
    found = made(square)
    assert made.stats.compiles == 1
    np.testing.assert_array_equal(found[0], wanted[0])
    np.testing.assert_array_equal(found[1], wanted[1])


def test_an_error_gives_back_what_the_program_held():
    from numba.core.runtime import _nrt_python

    _nrt_python.memsys_enable_stats()

    def kept():
        gc.collect()  # what pytest keeps of an error
        return _nrt_python.memsys_get_stats_mi_alloc() - _nrt_python.memsys_get_stats_mi_free()

    made = tg.value_and_grad(of_a_failing, jit="native")
    made(x)
    before = None
    for _ in range(10):
        with pytest.raises(np.linalg.LinAlgError):
            made(x * np.nan)
        before = kept() if before is None else before
    assert kept() == before
    _nrt_python.memsys_disable_stats()


def of_a_failing(x):
    spectrum = scipy.fft.dct(x)
    return np.sum(np.abs(spectrum)) + np.sum(np.abs(np.linalg.eigvals(np.outer(x, x) + np.eye(6))))


def test_ctrl_c_in_what_is_called_reaches_the_user():
    calls = []

    def interrupted(x):
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return x * x

    function = primitive(interrupted)
    defvjp(function, lambda z, x: lambda g: 2 * g * x)
    made = tg.grad(lambda x: np.sum(function(x) * np.sin(x) + np.cos(x)), jit="native")
    np.testing.assert_allclose(made(x), 2 * x * np.sin(x) + x * x * np.cos(x) - np.sin(x))
    with pytest.raises(KeyboardInterrupt):
        for _ in range(4):
            made(x)
    assert len(calls) == 4
    assert made.stats.compiles == 1, made.explain()


def test_threads_of_python_call_out_at_the_same_time():
    made = tg.value_and_grad(filtered, jit="native")
    points = [x * (1 + k / 10) for k in range(4)]
    wanted = [made(p) for p in points]
    wrong = []

    def work(k):
        for _ in range(50):
            value, slope = made(points[k])
            if value != wanted[k][0] or not np.array_equal(slope, wanted[k][1]):
                wrong.append(k)

    workers = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not wrong
    assert made.stats.compiles == 1


def test_loops_in_which_little_else_happens_stay_numpy():
    def spectra(x):
        for _ in range(3):
            x = scipy.fft.dct(x)
        return x

    made = tg.jit(spectra, jit="native")
    np.testing.assert_allclose(made(x), spectra(x))
    assert made.stats.compiles == 0
    assert "its loop does little else" in made.explain()


def test_a_result_is_never_shared_and_never_of_another_shape():
    def python_same(x):
        return x

    outside = Outside(__name__, "python_same", "float64[3]")
    outside.function = python_same
    given = np.arange(3.0)
    assert outside(given) is not given
    np.testing.assert_array_equal(outside(given), given)
    backwards = np.arange(6.0)[::-2]
    assert outside(backwards).flags.carray
    with pytest.raises(ValueError, match="shape"):
        outside(np.arange(4.0))
