"""How functions are declared under SciPy's signatures.

`SCIPY_FORMS` maps their full names to ours; the files `scipy_*.py` fill it. Begin with `under`. What is not in
`COMPLEX` refuses complex numbers: SciPy conjugates in some places, drops imaginary parts in others, and a formula that
is right for real numbers would quietly give something else.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from typing import Any

import numpy as np

from tracegrad.errors import UnsupportedError
from tracegrad.ops.numpy_forms import answers, is_traced, known, numpys_error, refusing_as
from tracegrad.ops.symbol import Symbol

SCIPY_FORMS: dict[str, Callable[..., Any]] = {}
REFUSED: set[str] = set()
"""Those of them that say what to use instead, and nothing else."""

COMPLEX = frozenset(
    [
        "scipy.linalg.inv",
        "scipy.linalg.det",
        "scipy.linalg.pinv",
        "scipy.linalg.lstsq",
        "scipy.linalg.cholesky",
        "scipy.linalg.qr",
        "scipy.linalg.svd",
        "scipy.linalg.svdvals",
        "scipy.linalg.expm",
        "scipy.linalg.sqrtm",
        "scipy.linalg.solve_sylvester",
        "scipy.linalg.block_diag",
        "scipy.signal.convolve",
        "scipy.signal.fftconvolve",
        "scipy.signal.oaconvolve",
        "scipy.signal.convolve2d",
        "scipy.integrate.trapezoid",
    ]
)
"""Functions that are right for complex numbers too, and tested to be."""


def of_real_numbers(name: str, ours: Callable[..., Any]) -> Callable[..., Any]:
    """The same function, which refuses complex numbers.

    Raises
    ------
    UnsupportedError : an argument, or an item of one, is complex
    """

    @functools.wraps(ours)
    def checked(*args: Any, **keywords: Any) -> Any:
        if any(map(_is_complex, (*args, *keywords.values()))):
            raise UnsupportedError(
                f"`{name}` is recorded for real numbers; an argument is complex.",
                None,
                "give real and imaginary parts apart, or write it with NumPy's functions, which take complex numbers",
            )
        return ours(*args, **keywords)

    return checked


def _is_complex(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return any(map(_is_complex, value))
    return isinstance(value, complex) or getattr(getattr(value, "dtype", None), "kind", "") == "c"


def real_where_unknown(forms: dict[str, Callable[..., Any]]) -> dict[str, Callable[..., Any]]:
    """Forms by name, where those that are not in `COMPLEX` refuse complex numbers."""
    return {name: ours if name in COMPLEX else of_real_numbers(name, ours) for name, ours in forms.items()}


_TAKEN: set[Any] = set()
"""Calls that SciPy has taken, told apart by what cannot be computed: shapes, dtypes, options."""
_MOST_TAKEN = 4096
_OPTIONS = (bool, int, float, complex, str, type(None), np.dtype, type, slice)


class _NotTold(Exception):
    """An argument is neither an array nor an option: SciPy's function may not know what it is."""


def _told(given: Any) -> Any:
    """What a call is told apart by."""
    if type(given) in (list, tuple):
        return type(given), *map(_told, given)
    if isinstance(given, dict):
        return tuple((k, _told(v)) for k, v in given.items())
    if isinstance(given, _OPTIONS) and not isinstance(given, np.generic):
        return type(given), str(given)
    if isinstance(given, Symbol) or not (is_traced(given) or isinstance(given, (np.ndarray, np.generic))):
        raise _NotTold
    return given.shape, given.dtype


def _named(name: str) -> Any:
    """What stands under a full name, `scipy.spatial.transform.Rotation.from_quat`."""
    package, _, last = name.rpartition(".")
    try:
        return getattr(importlib.import_module(package), last)
    except ModuleNotFoundError:  # a class
        return getattr(_named(package), last)


def refusing_as_scipy(name: str, ours: Callable[..., Any], first: bool = True) -> Callable[..., Any]:
    """Ours, which raises what SciPy's function of this name raises wherever that refuses the arguments.

    With `first` SciPy is asked before ours computes, once for each form of a call; otherwise where ours refuses.
    """
    last = name.rpartition(".")[2]

    def theirs(*args: Any, **keywords: Any) -> Any:
        return _named(name)(*args, **keywords)

    of_arguments = refusing_as(theirs, ours)

    @functools.wraps(ours)
    def answer(*args: Any, **keywords: Any) -> Any:
        if args and "seen" in getattr(args[0], "__dict__", ()):  # a method of an object of SciPy's
            owner, *rest = args
            return refusing_as(getattr(owner.seen, last), functools.partial(ours, owner))(*rest, **keywords)
        if first:
            _ask(name, theirs, args, keywords)
        return of_arguments(*args, **keywords)

    return answer


def _ask(name: str, theirs: Callable[..., Any], args: tuple[Any, ...], keywords: dict[str, Any]) -> None:
    """Raise what SciPy raises at this call; one that it has taken in this form is not made again."""
    try:
        told = name, _told(args), _told(keywords)
    except _NotTold:
        return
    if told in _TAKEN:
        return
    error = numpys_error(theirs, args, keywords)
    if error is not None:
        raise error
    if len(_TAKEN) >= _MOST_TAKEN:
        _TAKEN.clear()
    _TAKEN.add(told)


def under(*names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Declare the decorated function as what SciPy's functions of these names are when an argument is traced."""

    def decorate(ours: Callable[..., Any]) -> Callable[..., Any]:
        for name in names:
            SCIPY_FORMS[name] = _or_theirs(name, answers(name=name)(ours))
        return SCIPY_FORMS[names[-1]]

    return decorate


def is_active(value: Any) -> bool:
    """Whether a traced value, or one in a list or tuple, depends on what is differentiated."""
    if isinstance(value, (list, tuple)):
        return any(map(is_active, value))
    return is_traced(value) and bool(getattr(value, "requires_grad", True))


def guarded(value: Any) -> Any:
    """Plain numbers and arrays in place of traced ones, in lists and tuples too, whose recorder guards their values."""
    if type(value) in (list, tuple):
        return type(value)(map(guarded, value))
    if not is_traced(value):
        return value
    return np.asarray(value) if value.shape else known(value)


def _or_theirs(name: str, ours: Callable[..., Any]) -> Callable[..., Any]:
    """Ours; where it refuses and no derivative passes through, SciPy's own function of the values."""

    @functools.wraps(ours)
    def answer(*args: Any, **keywords: Any) -> Any:
        try:
            return ours(*args, **keywords)
        except UnsupportedError:
            given = (*args, *keywords.values())
            if is_active(given) or any(map(callable, given)):
                raise
            return _named(name)(*map(guarded, args), **{k: guarded(v) for k, v in keywords.items()})

    return answer


def refuse(*names: str, why: str, do: str) -> None:
    """Declare that SciPy's functions of these names are refused.

    Parameters
    ----------
    *names : str
    why : str
        Follows the name in the message.
    do : str
        What to use instead.
    """

    def refused(name: str) -> Callable[..., Any]:
        def function(*args: Any, **keywords: Any) -> Any:
            raise UnsupportedError(f"`{name}` {why}", None, do)

        return function

    for name in names:
        SCIPY_FORMS[name] = _or_theirs(name, refused(name))
        REFUSED.add(name)
