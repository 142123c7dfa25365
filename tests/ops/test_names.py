"""Every public name of NumPy's, called in a few ways: recorded, passed through, or refused by a class made for that.

What NumPy takes, our functions answer with the same dtype and shape and value, or say that they do not; nothing ends
in an error of our own machinery.
"""

from __future__ import annotations

import inspect
import warnings
from typing import Any

import numpy as np
import pytest

import tracegrad as tg
from tracegrad.errors import InternalError, SideExit, TracegradError

ROOMS = {"np": np, "np.linalg": np.linalg, "np.fft": np.fft, "np.emath": np.emath}
NOT_CALLED = {
    "save", "savez", "savez_compressed", "savetxt", "load", "loadtxt", "genfromtxt", "fromfile", "test", "info",
    "show_config", "show_runtime", "memmap", "fromregex", "from_dlpack", "set_printoptions", "seterr", "seterrcall",
    "setbufsize", "get_include",
}  # fmt: skip
WAYS = [lambda f, x: f(x), lambda f, x: f(x, x), lambda f, x: f([x, x]), lambda f, x: f(x, 1)]
NO_NUMBERS = {
    "bytes_",
    "str_",
    "object_",
    "void",
    "record",
    "clongdouble",
    "complex256",
    "float128",
    "longdouble",
}
FREE = {
    "empty_like",
    "allclose",
    "array_equal",
    "array_equiv",
}  # any numbers; Python's truth values come out as NumPy's
NARROWER = {"frombuffer", "roll", "matrix_rank", "histogram", "convolve", "piecewise", "lexsort", "norm"}
"""Refused with NumPy's kind of error in some way that NumPy takes: a mode as a number, an axis of something 0-d."""


def first(found: Any) -> Any:
    while isinstance(found, (tuple, list)) and len(found):
        found = found[0]
    return found


def names() -> list[tuple[str, str]]:
    found = []
    for room, module in ROOMS.items():
        for name in sorted(dir(module)):
            function = getattr(module, name)
            wrong = isinstance(function, type) and issubclass(function, (Exception, Warning))
            if name[0] != "_" and name not in NOT_CALLED and callable(function) and not wrong:
                found.append((room, name))
    return found


@pytest.mark.parametrize(("room", "name"), names(), ids=lambda part: part)
def test_each_name_is_recorded_or_passes_or_is_refused(room, name):
    function = getattr(ROOMS[room], name)
    if inspect.ismodule(function):
        return
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for x in (np.array([0.3, 0.7, 0.5]), np.array([[2.0, 0.5], [0.5, 3.0]])):
            for way in WAYS:
                try:
                    wanted = first(way(function, x.copy()))
                except Exception:
                    continue
                if name not in NO_NUMBERS:
                    check(lambda x, way=way: first(way(function, x)), x, wanted, name)


def check(call: Any, x: Any, wanted: Any, name: str) -> None:
    try:
        found = tg.jit(call, jit="python")(x)
    except (InternalError, SideExit):
        raise
    except TracegradError:
        return
    except (TypeError, ValueError, IndexError):
        if name not in NARROWER:
            raise
        return
    if name in FREE or not isinstance(wanted, (np.ndarray, np.generic, float, int)):
        return
    ours, theirs = np.asarray(found), np.asarray(wanted)
    assert ours.dtype == theirs.dtype
    assert ours.shape == theirs.shape or name in NARROWER
    if theirs.dtype.kind in "fciub" and name not in NARROWER:
        assert np.allclose(ours, theirs, equal_nan=True)


def test_a_guard_on_an_array_with_nan_holds():
    def function(x):
        return np.nansum(x) + len(list(np.broadcast(x, x)))

    x = np.array([np.nan, 1.0])
    counted = tg.jit(function, jit="python")
    assert [counted(x), counted(x), counted(np.ones(2))] == [3.0, 3.0, 4.0]
    assert counted.stats.captures == 2


def test_a_triangle_of_a_vector_is_that_of_its_rows():
    value, gradient = tg.value_and_grad(lambda x: np.sum(np.tril(x) * np.triu(x, 1) + np.tril(x)))(np.ones(3))
    assert value == 6.0
    assert gradient.tolist() == [3.0, 2.0, 1.0]
