"""The tables through which NumPy's and SciPy's callables, and array methods, reach our ops.

`FUNCTIONS` maps each NumPy callable to ours, `SCIPY_FUNCTIONS` does so by name, because SciPy is not imported here;
`METHODS` has what `x.sum(...)` and its kind run. The functions stand in the files `numpy_*.py`; the usual ones can
be had from here. Each takes any mixture of arrays, Python numbers and traced values. Begin with `FUNCTIONS`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tracegrad.ops import (  # noqa: F401 (they answer, or are what passes write)
    integrators,
    numpy_choosing,
    numpy_decompositions,
    numpy_making,
    numpy_nan,
    numpy_sets,
    overlay,
    scipy_bins,
    scipy_images,
    scipy_integrals,
    scipy_interpolate,
    scipy_linalg,
    scipy_linear,
    scipy_rotations,
    scipy_samples,
    scipy_sparse,
    scipy_spatial,
    scipy_spectra,
    scipy_tests,
)
from tracegrad.ops.families import conj
from tracegrad.ops.numpy_elementwise import clip, round, where
from tracegrad.ops.numpy_forms import FUNCTIONS, holds_traced, is_traced, lying, operand, value
from tracegrad.ops.numpy_fourier import FOURIER_FORMS
from tracegrad.ops.numpy_linalg import dot, einsum, linalg_norm, matmul, trace
from tracegrad.ops.numpy_padding import pad
from tracegrad.ops.numpy_reduce import (
    all,
    any,
    argmax,
    argmin,
    argsort,
    cumprod,
    cumsum,
    logsumexp,
    max,
    mean,
    min,
    prod,
    ptp,
    std,
    sum,
    var,
)
from tracegrad.ops.numpy_shape import (
    astype,
    concatenate,
    copy,
    diagonal,
    ravel,
    repeat,
    reshape,
    split,
    squeeze,
    stack,
    swapaxes,
    take,
    transpose,
)
from tracegrad.ops.numpy_ufuncs import ufunc_method
from tracegrad.ops.scipy_forms import SCIPY_FORMS, real_where_unknown, refusing_as_scipy
from tracegrad.ops.scipy_special import SPECIAL
from tracegrad.ops.scipy_stats import STATS

__all__ = [
    "FUNCTIONS",
    "METHODS",
    "SCIPY_FUNCTIONS",
    "all",
    "any",
    "argmax",
    "argmin",
    "argsort",
    "astype",
    "clip",
    "concatenate",
    "copy",
    "cumprod",
    "cumsum",
    "diagonal",
    "dot",
    "einsum",
    "holds_traced",
    "is_traced",
    "linalg_norm",
    "logsumexp",
    "matmul",
    "max",
    "mean",
    "min",
    "operand",
    "pad",
    "prod",
    "ptp",
    "ravel",
    "repeat",
    "reshape",
    "round",
    "split",
    "squeeze",
    "stack",
    "std",
    "sum",
    "swapaxes",
    "take",
    "trace",
    "transpose",
    "ufunc_method",
    "value",
    "var",
    "where",
]

SCIPY_FUNCTIONS: dict[str, Callable[..., Any]] = {
    name: refusing_as_scipy(name, ours, first=name not in SPECIAL)
    for name, ours in {
        **SPECIAL,
        **real_where_unknown(STATS),
        **real_where_unknown(SCIPY_FORMS),
        **FOURIER_FORMS,
    }.items()
}
"""SciPy's callables by their full name, `scipy.special.erf`."""


def _shape_of(arguments: tuple[Any, ...]) -> Any:
    """`x.reshape(2, 3)` and `x.reshape((2, 3))` alike."""
    return arguments[0] if len(arguments) == 1 else arguments


def _reshape(x: Any, *shape: Any, **keywords: Any) -> Any:
    return reshape(x, _shape_of(shape), **keywords)


def _transpose(x: Any, *axes: Any) -> Any:
    return transpose(x, _shape_of(axes) if axes else None)


def _copy(x: Any, order: str = "C") -> Any:
    return copy(x, order)


def _flatten(x: Any, order: str = "C") -> Any:
    return copy(ravel(x, order=order))


def _clip(x: Any, min: Any = None, max: Any = None, **keywords: Any) -> Any:
    return clip(x, min, max, **keywords)


def _astype(x: Any, dtype: Any, order: str = "K", casting: str = "unsafe", **keywords: Any) -> Any:
    made = astype(x, dtype, copy=keywords.get("copy", True))
    return made if made is x or order == "K" else lying(made, order, x)


def _compress(x: Any, condition: Any, axis: int | None = None, **keywords: Any) -> Any:
    return FUNCTIONS[np.compress](condition, x, axis, **keywords)


def _searchsorted(x: Any, v: Any, side: str = "left", sorter: Any = None) -> Any:
    return FUNCTIONS[np.searchsorted](x if sorter is None else take(x, sorter), v, side)


METHODS: dict[str, Callable[..., Any]] = {
    "all": all,
    "any": any,
    "argmax": argmax,
    "argmin": argmin,
    "argsort": argsort,
    "astype": _astype,
    "choose": FUNCTIONS[np.choose],
    "clip": _clip,
    "compress": _compress,
    "conj": conj,
    "conjugate": conj,
    "copy": _copy,
    "cumprod": cumprod,
    "cumsum": cumsum,
    "diagonal": diagonal,
    "dot": dot,
    "flatten": _flatten,
    "max": max,
    "mean": mean,
    "min": min,
    "prod": prod,
    "ptp": ptp,
    "ravel": ravel,
    "repeat": repeat,
    "reshape": _reshape,
    "round": round,
    "searchsorted": _searchsorted,
    "squeeze": squeeze,
    "std": std,
    "sum": sum,
    "swapaxes": swapaxes,
    "take": take,
    "trace": trace,
    "transpose": _transpose,
    "var": var,
}
"""Methods of arrays: `METHODS["sum"](x, axis=0)` is `x.sum(axis=0)`."""
