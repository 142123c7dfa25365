"""Special functions of SciPy's for numbers, which compiled code calls by their address in its Cython module.

The name of a ufunc and the dtypes it is given go in, a function of numbers comes out: `scipy_jv`, or `scipy_kn_ld` for
the loop of an integer and a float64. It is the same C function that the ufunc calls for each element. In compiled code
it is a call (`compiler/special.py`); here is what it means. Begin with `number_function`.
"""

# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

import functools
import importlib
import re
from typing import Any

import numpy as np

from tracegrad.kernels import capsules

PREFIX = "scipy_"
LETTERS = {"double": "d", "long": "l", "Py_ssize_t": "l"}
TALKING = {("hyp0f1", "dd"), ("expn", "dd"), ("kn", "dd"), ("yn", "dd")}
"""What takes Python's lock to say that a division failed, or that an order is no whole number."""

FUNCTIONS: dict[str, Any] = {}
"""All functions made so far, by name; each has `address` and `loop`, the letters of its arguments."""


def number_function(name, dtypes):
    """The function for numbers of these dtypes; None where SciPy has none that gives a float64."""
    ufunc = getattr(_module("scipy.special"), name)
    if not isinstance(ufunc, np.ufunc):
        return None
    try:
        loop = ufunc.resolve_dtypes((*dtypes, *[None] * ufunc.nout))
    except TypeError:  # there is none
        return None
    letters = "".join("l" if t == np.int64 else t.char for t in loop[:-1])
    return _made(name, letters) if loop[-1] == np.float64 and letters in _addresses(name) else None


@functools.cache
def _made(name, letters):
    def function(*numbers):
        return getattr(_module("scipy.special"), name)(*numbers)

    function.__name__ = PREFIX + name + ("" if set(letters) == {"d"} else f"_{letters}")
    vars(function).update(loop=letters, address=_addresses(name)[letters])
    FUNCTIONS[function.__name__] = function
    return function


def __getattr__(name):
    """The functions, for emitted text."""
    if name.startswith(PREFIX):
        base, _, suffix = name.removeprefix(PREFIX).rpartition("_")
        if "l" not in suffix or set(suffix) - {"d", "l"}:
            base, suffix = name.removeprefix(PREFIX), ""
        for letters in _addresses(base):
            if letters == suffix or (not suffix and set(letters) == {"d"}):
                return _made(base, letters)
    raise AttributeError(name)


@functools.cache
def _module(name):
    return importlib.import_module(name)


@functools.cache
def _addresses(name):
    """Where the C functions of this name that give a float64 stand, by the letters of their arguments."""
    found = {}
    for key, capsule in capsules.capsules("scipy.special.cython_special").items():
        if re.fullmatch(rf"(__pyx_fuse_(\d+_)*\d+)?{name}", key):
            given = re.fullmatch(r"double \((.*), int __pyx_skip_dispatch\)", capsules.described(capsule))
            letters = [LETTERS.get(t, "") for t in given[1].split(", ")] if given is not None else [""]
            if "" not in letters and (name, "".join(letters)) not in TALKING:
                found["".join(letters)] = capsules.address(capsule)
    return found
