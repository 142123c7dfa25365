"""Answers for functions of Python's library and SciPy's that compute exactly, or ask what an array is.

`statistics.mean` adds fractions, `math.dist` reads plain floats, `array_namespace(x)` asks for a class: each would lose
the trace or refuse it. In: the function, and the stand-ins of a recording. Out: what answers in its place. Begin with
`answer`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from tracegrad.errors import UnsupportedError
from tracegrad.ops import special
from tracegrad.ops.functions import FUNCTIONS, SCIPY_FUNCTIONS

_ARRAY_API_EXTRA = "scipy._lib.array_api_extra._lib._funcs"
_LIBRARIES = ("statistics", "copy", "scipy._lib._array_api")
_COMPAT = (
    "array_api_compat.common._helpers",
    "array_api_compat.numpy.linalg",
)  # and copies in other packages
_SOLVE = "scipy._lib.array_api_compat.numpy.linalg.solve"


def is_known(module: str) -> bool:
    """Whether something here may answer for functions of this module."""
    return module in _LIBRARIES or module.endswith(_COMPAT)


def answer(function: Any, stand_ins: Any) -> Callable[..., Any] | None:
    """What answers for a function; None where it answers itself."""
    module = getattr(function, "__module__", None) or ""
    if module == "statistics":
        exact = _STATISTICS.get(function.__name__)
        return None if exact is None else functools.partial(_numbers, function, exact, stand_ins)
    if module == "copy" and function.__name__ in ("copy", "deepcopy"):
        return function  # by the special methods that traced values have for it
    if module == "numpy.ma.core" and function.__name__.startswith(
        ("array", "asarray", "asanyarray", "masked_")
    ):
        return functools.partial(_rules_of_its_own, function, stand_ins, "np.ma")
    if function in (np.matrix, np.asmatrix, np.bmat):
        return functools.partial(_rules_of_its_own, function, stand_ins, "np")
    if module == "_bisect" and function.__name__.startswith("bisect"):
        side = "left" if function.__name__ == "bisect_left" else "right"
        return functools.partial(_bisect, function, side, stand_ins)
    if module in ("math", "cmath"):
        closed = (_MATH if module == "math" else _CMATH).get(function.__name__)
        return None if closed is None else functools.partial(_numbers, function, closed, stand_ins)
    if module == _ARRAY_API_EXTRA and function.__name__ == "apply_where":
        return functools.partial(_apply_where, function, stand_ins)
    if module.endswith(_COMPAT[1]):
        return SCIPY_FUNCTIONS[_SOLVE] if function.__name__ == "solve" else None
    if is_known(module) and function.__name__ == "is_writeable_array":
        return lambda x: stand_ins.any_traced([x]) or function(x)
    if is_known(module) and (function.__name__ == "array_namespace" or function.__name__.startswith("is_")):
        return lambda *args, **keywords: function(*map(stand_ins.plain, args), **keywords)
    return None


def _apply_where(
    function: Callable[..., Any],
    stand_ins: Any,
    cond: Any,
    args: Any,
    f1: Callable[..., Any],
    f2: Callable[..., Any] | None = None,
    /,
    *,
    fill_value: Any = None,
    xp: Any = None,
    **options: Any,
) -> Any:
    """SciPy's choice between two functions: each is computed where it is chosen, and nowhere else."""
    given = tuple(args) if isinstance(args, (list, tuple)) else (args,)
    if not stand_ins.any_traced((cond, *given)):
        return function(cond, args, f1, f2, fill_value=fill_value, xp=xp, **options)
    cond, *given = FUNCTIONS[np.broadcast_arrays](cond, *given)
    if FUNCTIONS[np.all](cond):
        return f1(*given)
    count = FUNCTIONS[np.count_nonzero](cond)
    if count == 0:
        return f2(*given) if f2 is not None else stand_ins.full(np.shape(cond), fill_value)
    found = stand_ins.zeros(np.shape(cond)) if f2 is not None else stand_ins.full(np.shape(cond), fill_value)
    found[cond] = f1(*(a[cond] for a in given))
    if f2 is not None:
        other = FUNCTIONS[np.logical_not](cond)
        found[other] = f2(*(a[other] for a in given))
    return found


def _numbers(
    function: Callable[..., Any], ours: Callable[..., Any], stand_ins: Any, *args: Any, **keywords: Any
) -> Any:
    """Our function where something is traced: its results are Python's numbers, as those of the other are."""
    args = tuple(a if hasattr(a, "dtype") or not hasattr(a, "__iter__") else list(a) for a in args)
    if not stand_ins.any_traced((*args, *keywords.values())):
        return function(*args, **keywords)
    found = ours(*(stand_ins.asarray(a) for a in args), **keywords)
    return tuple(x.item() for x in found) if isinstance(found, tuple) else found.item()


def _rules_of_its_own(
    function: Callable[..., Any], stand_ins: Any, module: str, *args: Any, **keywords: Any
) -> Any:
    """Masked arrays and matrices are refused."""
    if not stand_ins.any_traced((*args, *keywords.values())):
        return function(*args, **keywords)
    raise UnsupportedError(
        f"`{module}.{function.__name__}` makes an array that computes by rules of its own, which no program has.",
        stand_ins.recording.location(),
        "keep the array, and a mask of truth values beside it: x[~mask].sum(), np.where(mask, 0.0, x)"
        if module == "np.ma"
        else "keep the array and write products with @, np.linalg.inv and np.linalg.matrix_power for powers",
    )


def _bisect(
    function: Callable[..., Any],
    side: Any,
    stand_ins: Any,
    a: Any,
    x: Any,
    lo: int = 0,
    hi: int | None = None,
    **keywords: Any,
) -> Any:
    """A place in a sorted list of numbers."""
    if keywords or not stand_ins.any_traced((a, x)) or any(isinstance(v, (list, tuple, str)) for v in a):
        return function(a, x, lo, hi, **keywords)
    if lo < 0:
        raise ValueError("lo must be non-negative")
    return (FUNCTIONS[np.searchsorted](stand_ins.asarray(a[lo:hi]), x, side) + lo).item()


def _mean(data: Any) -> Any:
    return FUNCTIONS[np.mean](data)


def _variance(data: Any, centre: Any = None, less: int = 0) -> Any:
    away = data - (_mean(data) if centre is None else centre)
    return FUNCTIONS[np.sum](away * away) / (len(data) - less)


def _root(variance: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *args, **keywords: FUNCTIONS[np.sqrt](variance(*args, **keywords))


def _sample_variance(data: Any, xbar: Any = None) -> Any:
    return _variance(data, xbar, 1)


def _population_variance(data: Any, mu: Any = None) -> Any:
    return _variance(data, mu)


def _harmonic_mean(data: Any, weights: Any = None) -> Any:
    weights = np.ones(len(data)) if weights is None else np.asarray(weights)
    return FUNCTIONS[np.sum](weights) / FUNCTIONS[np.sum](weights / data)


_STATISTICS: dict[str, Callable[..., Any]] = {
    "mean": _mean,
    "variance": _sample_variance,
    "pvariance": _population_variance,
    "stdev": _root(_sample_variance),
    "pstdev": _root(_population_variance),
    "harmonic_mean": _harmonic_mean,
}


def _dist(p: Any, q: Any) -> Any:
    away = p - q
    return FUNCTIONS[np.sqrt](FUNCTIONS[np.sum](away * away))


def _remainder(x: Any, y: Any) -> Any:
    return x - FUNCTIONS[np.rint](x / y) * y


def _is_close(a: Any, b: Any, *, rel_tol: float = 1e-09, abs_tol: float = 0.0) -> Any:
    size = FUNCTIONS[np.maximum](FUNCTIONS[np.abs](a), FUNCTIONS[np.abs](b))
    return FUNCTIONS[np.abs](a - b) <= FUNCTIONS[np.maximum](rel_tol * size, abs_tol)


def _of_complex(ours: Callable[..., Any]) -> Callable[..., Any]:
    """A function as `cmath` has it: its argument is a complex number, whatever is given."""
    return lambda z: ours(FUNCTIONS[np.astype](z, np.complex128))


def _polar(z: Any) -> tuple[Any, Any]:
    return FUNCTIONS[np.abs](z), FUNCTIONS[np.angle](z)


def _complex_log(z: Any, base: Any = None) -> Any:
    log = _of_complex(FUNCTIONS[np.log])
    return log(z) if base is None else log(z) / log(base)


_ENTIRE = (
    "exp", "log10", "sqrt", "sin", "cos", "tan", "sinh", "cosh", "tanh",
    "asin", "acos", "atan", "asinh", "acosh", "atanh",
)  # fmt: skip
_CMATH: dict[str, Callable[..., Any]] = {
    **{name: _of_complex(FUNCTIONS[getattr(np, name)]) for name in _ENTIRE},
    "log": _complex_log,
    "phase": lambda z: FUNCTIONS[np.angle](z),
    "polar": _polar,
    "rect": lambda r, phi: r * FUNCTIONS[np.exp](1j * phi),
    **{name: FUNCTIONS[getattr(np, name)] for name in ("isnan", "isinf", "isfinite")},
}
_MATH: dict[str, Callable[..., Any]] = {
    "dist": _dist,
    "frexp": lambda x: FUNCTIONS[np.frexp](x),
    "gamma": lambda x: special.gamma(x),
    "hypot": lambda first=0.0, *sides: functools.reduce(FUNCTIONS[np.hypot], sides or (0.0,), first),
    "isclose": _is_close,
    "ldexp": lambda x, power: x * 2.0**power,
    "modf": lambda x: FUNCTIONS[np.modf](x),
    "remainder": _remainder,
}
