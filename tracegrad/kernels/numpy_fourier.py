"""NumPy's Fourier transforms along one axis, which compiled code calls by the address of their loops.

The name of a transform and a length go in, a function comes out: `numpy_fft(x, axis, factor, out)`, which fills `out`.
The length along the axis is that of the result: what is given is cut off, or filled up with zeros. What comes out are
sums, times the factor. In compiled code it is a call (`compiler/numpy_fourier.py`); here is what it means. NumPy
promises neither its ufuncs nor what they do, so that is looked at before the first is used. Begin with `transform`.
"""

# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

import functools
import importlib
from typing import Any

import numpy as np

from tracegrad.kernels.ufunc_loops import learn

TRANSFORMS = {
    "numpy_fft": ("fft", ("Dd->D", "Ff->F")),
    "numpy_ifft": ("ifft", ("Dd->D", "Ff->F")),
    "numpy_rfft_even": ("rfft_n_even", ("dd->D", "ff->F")),
    "numpy_rfft_odd": ("rfft_n_odd", ("dd->D", "ff->F")),
    "numpy_irfft": ("irfft", ("Dd->d", "Ff->f")),
}
"""The ufunc of each, and the types it is called for, as `ufunc.types` has them."""

OVER = ("numpy_fft", "numpy_ifft")
"""Those that may fill what they are given."""

FUNCTIONS: dict[str, Any] = {}
"""All made so far, by name."""


def transform(name, length):
    """What is `np.fft.<name>` to a length, but for its factor."""
    return _made(_called(name, length))


def _called(name, length):
    return f"numpy_{name}" + ("" if name != "rfft" else "_odd" if length % 2 else "_even")


@functools.cache
def taken_as(name, length, given, plain):
    """The dtypes that an array of this one is cast to, and of what is filled then; None where NumPy has another way.

    A factor is of the precision of the array, or the whole number 1 where the sums stay `plain`. Of that, NumPy
    concludes that it is to compute in double precision, whatever is given.
    """
    if not are_known() or given.kind not in "biufc":
        return None
    ufunc, loops = TRANSFORMS[_called(name, length)]
    factor = int if plain else np.result_type(given.type(0).real, 1.0)
    x, _, out = _ufunc(ufunc).resolve_dtypes((given, factor, None))
    same_factor = plain or np.result_type(x.type(0).real) == factor
    return (x, out) if same_factor and any(t[0] + t[-1] == x.char + out.char for t in loops) else None


@functools.cache
def _made(name):
    ufunc, loops = TRANSFORMS[name]

    def function(x, axis, factor, out):
        _ufunc(ufunc)(x, factor, axes=[(axis,), (), (axis,)], out=out)

    function.__name__ = name
    for types in loops:
        learn(loop_of(name, types[-1]), _ufunc(ufunc), types)
    FUNCTIONS[name] = function
    return function


def loop_of(name, letter):
    """By which name compiled code calls the loop that gives numbers of a dtype."""
    return f"{name}_{letter}"


def __getattr__(name):
    """The functions, for emitted text."""
    if name in TRANSFORMS and are_known():
        return _made(name)
    raise AttributeError(name)


@functools.cache
def _ufunc(name):
    return getattr(importlib.import_module("numpy.fft._pocketfft_umath"), name)


@functools.cache
def are_known():
    """Whether this NumPy has the ufuncs, and they do what is said here."""
    try:
        ufuncs = [(_ufunc(name), types) for name, types in TRANSFORMS.values()]
    except (ImportError, AttributeError):
        return False
    fits = all(
        isinstance(ufunc, np.ufunc)
        and ufunc.signature in ("(n),()->(m)", "(m),()->(n)")
        and set(types) <= set(ufunc.types)
        for ufunc, types in ufuncs
    )
    return fits and all(
        _is_numpys(*which)
        for which in (
            ("fft", np.fft.fft, ("backward", "forward"), 4),
            ("ifft", np.fft.ifft, ("forward", "backward"), 4),
            ("rfft", np.fft.rfft, ("backward", "forward"), 4),
            ("rfft", np.fft.rfft, ("backward", "forward"), 5),
            ("irfft", np.fft.irfft, ("forward", "backward"), 4),
        )
    )


def _is_numpys(name, numpys, norms, length):
    """Whether a function is NumPy's of these norms, the first of which gives plain sums."""
    for x in (np.sqrt(np.arange(1.0, 7.0)), np.sqrt(np.arange(1, 7, dtype=np.float32))):
        x = x if name == "rfft" else x * x.dtype.type(1.5) - 1j * x[::-1]
        for norm, factor in zip(norms, (1, np.reciprocal(length, dtype=x.real.dtype)), strict=True):
            wanted = numpys(x, length, norm=norm)
            found = np.zeros_like(wanted)
            transform(name, length)(x, 0, factor, found)
            if not np.array_equal(found, wanted):
                return False
    return True
