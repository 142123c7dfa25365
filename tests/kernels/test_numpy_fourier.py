"""Fourier transforms in compiled programs: NumPy's to the last bit; by Python where NumPy has another way."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import tracegrad as tg
from tracegrad.kernels import numpy_fourier

rng = np.random.default_rng(5)
ROOT = Path(__file__).resolve().parents[2]
NORMS = ("backward", "ortho", "forward")


def transforms(x, axis, lengths):
    """All transforms along an axis, to these lengths."""
    real = [] if np.iscomplexobj(x) else [np.fft.rfft(x, n, axis, norm) for n in lengths for norm in NORMS]
    found = [f(x, n, axis, norm) for f in (np.fft.fft, np.fft.ifft) for n in lengths for norm in NORMS]
    return (*real, *found, *[np.fft.irfft(x, n, axis, norm) for n in lengths for norm in NORMS])


def planes(x):
    """Transforms along several axes, some to other lengths."""
    found = [np.fft.fft2(x), np.fft.ifft2(x, norm="ortho"), np.fft.fftn(x), np.fft.irfft2(x, norm="forward")]
    return (*found, np.fft.ifft2(x, s=(5, 3)), np.fft.fftn(x, axes=(0,)))


def numbers(shape, dtype):
    x = rng.normal(size=shape)
    return (x + 1j * rng.normal(size=shape) if np.dtype(dtype).kind == "c" else x).astype(dtype)


def check_bits(function, x, *given):
    made = tg.jit(function, jit="native")
    with np.errstate(all="ignore"):
        for _ in range(2):
            for found, wanted in zip(made(x, *given), function(x, *given), strict=True):
                assert found.dtype == wanted.dtype
                np.testing.assert_array_equal(found, wanted)
    assert made.stats.compiles == 1, made.explain()
    return made


@pytest.mark.parametrize("dtype", [np.float64, np.complex128, np.float32, np.complex64, np.int64])
@pytest.mark.parametrize(
    ("shape", "axis", "lengths"),
    [
        ((1,), 0, (1, 4)),
        ((7,), 0, (None, 12)),
        ((8,), -1, (None, 9)),
        ((4, 6), 0, (None, 3, 7)),
        ((2, 5, 6), 1, (None, 3, 8)),
        ((2, 5, 6), 2, (None, 3, 8)),
        ((3, 4, 1, 5), 1, (None, 8)),
    ],
)
def test_transforms_are_numpys_to_the_last_bit(shape, axis, lengths, dtype):
    made = check_bits(transforms, numbers(shape, dtype), axis, lengths)
    assert "numpy_" in made.native_source
    if dtype in (np.float64, np.complex128, np.complex64):
        assert "called_out" not in made.native_source


@pytest.mark.parametrize("dtype", [np.float64, np.complex128, np.float32, np.complex64])
@pytest.mark.parametrize("shape", [(4, 6), (3, 5, 8)])
def test_transforms_along_several_axes_are_numpys_to_the_last_bit(shape, dtype):
    made = check_bits(planes, numbers(shape, dtype))
    assert dtype == np.float32 or "called_out" not in made.native_source


@pytest.mark.parametrize("part", [lambda x: x.T, lambda x: x[::-2, 1:], lambda x: x[:, 2]])
def test_arrays_need_not_be_contiguous(part):
    check_bits(transforms, part(numbers((9, 8), complex)), 0, (None, 6))


def stepped(v, z):
    for _ in range(4):
        z = np.fft.ifft(np.exp(1j * v) * np.fft.fft(np.exp(0.5j * v) * z))
    return np.abs(np.vdot(z, z * v))


def test_a_loop_of_transforms_is_compiled_whole():
    v, z = rng.normal(size=12), numbers(12, complex)
    made = tg.value_and_grad(stepped, jit="native")
    value, slope = made(v, z)
    assert made.stats.compiles == 1 and "called_out" not in made.native_source
    assert value == pytest.approx(stepped(v, z), rel=1e-13)
    steps = 1e-5 * np.eye(12)
    np.testing.assert_allclose(
        slope, [(stepped(v + s, z) - stepped(v - s, z)) / 2e-5 for s in steps], rtol=1e-6, atol=1e-8
    )


@pytest.mark.parametrize("missing", ["none", "others", "signature"])
def test_what_numpy_does_in_another_way_is_called(monkeypatch, missing):
    known = numpy_fourier._ufunc
    ufuncs = {
        "none": {}.__getattribute__,
        "others": lambda name: known("ifft"),
        "signature": lambda name: np.add,
    }
    monkeypatch.setattr(numpy_fourier, "_ufunc", ufuncs[missing])
    monkeypatch.setattr(numpy_fourier, "are_known", numpy_fourier.are_known.__wrapped__)
    numpy_fourier.taken_as.cache_clear()
    try:
        assert not numpy_fourier.are_known()
        assert "called_out(python_fft" in check_bits(planes, numbers((4, 6), complex)).native_source
    finally:
        numpy_fourier.taken_as.cache_clear()


WITHOUT_MEMORY = """
import resource, numpy as np, tracegrad as tg
from tests.kernels.test_numpy_fourier import of_a_prime

x = np.random.default_rng(0).normal(size=300_007)
made = tg.value_and_grad(of_a_prime, jit="native")
made(x)
value, slope = made(x)
used = [int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmSize")][0] * 1024
for room in (16 << 20, resource.RLIM_INFINITY):
    limit = room if room == resource.RLIM_INFINITY else used + room
    resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))
    try:
        again = made(x)
        print(again[0] == value and np.array_equal(again[1], slope))
    except MemoryError:
        print("no memory")
"""


def of_a_prime(x):
    """NumPy takes more memory for such a transform than the arrays have."""
    return np.sum(np.abs(np.fft.rfft(x)))


@pytest.mark.skipif(sys.platform != "linux", reason="the limit of memory is Linux's")
def test_without_memory_an_error_is_raised():
    given = {**os.environ, "TRACEGRAD_CACHE": "none", "MALLOC_ARENA_MAX": "1"}
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_MEMORY], env=given, cwd=ROOT, capture_output=True, text=True
    )
    assert done.stdout.split("\n")[:2] == ["no memory", "True"], done.stderr
