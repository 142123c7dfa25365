"""What all functions under NumPy's signatures share: which keywords are refused and how, and arguments brought to
one form.

A function is declared with `@answers(np.sum)`: it is then what a traced call of `np.sum` runs. Begin with `answers`.
"""

from __future__ import annotations

import functools
import inspect
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from tracegrad.errors import REFUSALS, LeakError, ShapeError, TracegradError, UnsupportedError, add_line
from tracegrad.ir import types
from tracegrad.ir.types import WEAK
from tracegrad.ops.families import astype, broadcast_to
from tracegrad.ops.shape import stack
from tracegrad.ops.symbol import Symbol

FUNCTIONS: dict[Callable[..., Any], Callable[..., Any]] = {}
"""NumPy's callables, each with ours."""

_ADVICE = {
    "where": "choose by value with np.where before the call",
    "casting": "cast with .astype after the call",
    "return_inverse": "leave it out",
}
_HARMLESS: dict[str, Sequence[Any]] = {
    "order": ("C", "K", "A"),
    "where": (True,),
    "casting": ("same_kind",),
    "subok": (True, False),
    "copy": (True, False),
    "like": (),
    "mode": ("raise",),
    "kind": ("quicksort", "stable", "mergesort", "heapsort", "introselect"),
    "stable": (True, False),
    "optimize": (True, False, "greedy", "optimal"),
    "device": ("cpu",),
}


def is_traced(value: Any) -> bool:
    """Whether a value carries a recorder."""
    return getattr(value, "recorder", None) is not None


def refuse_keywords(name: str, keywords: dict[str, Any]) -> None:
    """Raise for a keyword that has no meaning here; one that says what is the case anyway may stay."""
    for key, value in keywords.items():
        if value is None or value is np._NoValue:
            continue
        if isinstance(value, (bool, str)) and value in _HARMLESS.get(key, ()):
            continue
        advice = _ADVICE.get(key, f"leave `{key}` out, or compute this part from values that are not traced")
        raise UnsupportedError(
            f"`{name}` is recorded without its argument `{key}`.",
            None,
            advice.replace("{name}", name.split(".")[-1]),
        )


def spoken_name(function: Callable[..., Any]) -> str:
    """`np.linalg.norm`, as the user writes it."""
    module = getattr(function, "__module__", None) or "numpy"
    return f"{module.replace('numpy', 'np', 1)}.{function.__name__}"


def plain(given: Any) -> Any:
    """The same with arrays in place of traced values, also in tuples, lists and dicts; arrays are copied."""
    if type(given) in (tuple, list):
        return type(given)(map(plain, given))
    if isinstance(given, dict):
        return {k: plain(v) for k, v in given.items()}
    if isinstance(given, np.ndarray):
        return given.copy()
    if is_traced(given):
        return given.value if getattr(given, "weak", False) else np.array(given.value)[()]
    return given


def numpys_error(theirs: Callable[..., Any], args: Any, keywords: Any) -> Exception | None:
    """What NumPy raises at a call that ours refused, on plain arrays; None where it takes them.

    It is not asked where asking would run the user's code again.
    """
    given = (*args, *keywords.values())
    if any(callable(a) or isinstance(a, Iterator) for a in given):
        return None
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            theirs(*plain(args), **plain(keywords))
    except Exception as error:
        return error.with_traceback(None)
    return None


def refusing_as(theirs: Callable[..., Any], ours: Callable[..., Any]) -> Callable[..., Any]:
    """Ours, which raises what NumPy's raises wherever that refuses the arguments too."""

    @functools.wraps(ours)
    def answer(*args: Any, **keywords: Any) -> Any:
        try:
            return ours(*args, **keywords)
        except ShapeError:  # of eager tensors: in PyTorch's words
            raise
        except REFUSALS as refusal:
            if any(isinstance(a, Symbol) for a in _each((*args, *keywords.values()))):
                raise  # a rule of ours: there are no values to ask NumPy with
            error = numpys_error(theirs, args, keywords)
            _add_eager_line(error or refusal, (*args, *keywords.values()))
            if error is None:
                raise
            raise error from None

    return answer


def _add_eager_line(error: Exception, given: Sequence[Any]) -> None:
    """The user's line, where a refused argument is an eager tensor; a capture adds it when it ends."""
    recorder = next((a.recorder for a in _each(given) if is_traced(a)), None)
    if recorder is None or recorder.level > 0:
        return
    if not isinstance(error, TracegradError):
        add_line(error, recorder.location())
    elif error.where is None:
        error.where = recorder.location()


def _each(items: Sequence[Any]) -> Iterator[Any]:
    """The items, and those of the lists and tuples among them."""
    for item in items:
        if isinstance(item, (list, tuple)):
            yield from _each(item)
        else:
            yield item


def deliver(result: Any, out: Any, theirs: Callable[[Any], Any] | None = None) -> Any:
    """Put a result where `out=` says; returns what the call gives.

    Parameters
    ----------
    result : array, traced or not; a tuple of them
    out : None, an array, or a tuple with one for each result
    theirs : callable, optional
        NumPy's own call on plain arrays, of `out`: asked where a result may not fit, for its error.
    """
    if isinstance(result, tuple):
        outs = out if isinstance(out, tuple) else (out,) * (out is None or len(result))
        return tuple(deliver(r, o) for r, o in zip(result, outs, strict=False)) + result[len(outs) :]
    if isinstance(out, tuple):
        (out,) = out
    if out is None:
        return result
    fits = np.shape(result) == out.shape and np.can_cast(operand(result).dtype, out.dtype, "same_kind")
    if theirs is not None and not fits:
        theirs(np.array(plain(out)))
    if is_traced(out):
        out.recorder.assign(out, Ellipsis, result)
        return out
    recorder = getattr(result, "recorder", None)
    if recorder is not None and (recorder.level > 0 or result.active):
        inside = recorder.level > 0
        raise LeakError(
            f"a {'traced value' if inside else 'Tensor'} would be written into a plain array, where its derivative "
            "would be lost.",
            None if inside else recorder.location(),
            "write `a = a + x` instead of `a += x`, or make the array "
            + ("inside the function" if inside else "a Tensor: tracegrad.zeros(...), tracegrad.array(...)"),
        )
    np.copyto(out, result if recorder is None else recorder.array(result), casting="unsafe")
    return out


def _theirs(functions: Sequence[Callable[..., Any]], args: Any, keywords: Any, out: Any) -> None:
    """NumPy's own call on plain arrays."""
    for function in functions[:1]:
        function(*plain(args), **plain(keywords), out=out)


def answers(
    *functions: Callable[..., Any], name: str = ""
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Declare the decorated function as what `functions` are when an argument is traced.

    Arguments that ours does not have are refused with `UnsupportedError`, unless they say what is the case anyway.
    """

    def decorate(ours: Callable[..., Any]) -> Callable[..., Any]:
        parameters = inspect.signature(ours).parameters.values()
        open_ended = any(p.kind is p.VAR_KEYWORD for p in parameters)
        known = {p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
        most = sum(p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) for p in parameters)
        if any(p.kind is p.VAR_POSITIONAL for p in parameters):
            most = 1_000
        said = name or spoken_name(functions[0])
        theirs = _positions(functions[0]) if functions and not isinstance(functions[0], np.ufunc) else ()

        @functools.wraps(ours)
        def checked(*args: Any, **keywords: Any) -> Any:
            if len(args) > most:
                extra = dict(zip(theirs[most:], args[most:], strict=False))
                if len(extra) < len(args) - most:  # a ufunc, which does not say what its arguments are called
                    extra = {"out": args[most:]}
                keywords, args = {**extra, **keywords}, args[:most]
            if "out" in keywords and "out" not in known:
                out = keywords.pop("out")
                theirs_again = functools.partial(_theirs, functions, args, keywords)
                return deliver(checked(*args, **keywords), out, theirs_again)
            if not open_ended and not keywords.keys() <= known:
                refuse_keywords(said, {k: v for k, v in keywords.items() if k not in known})
                keywords = {k: v for k, v in keywords.items() if k in known}
            if keywords:
                keywords = {k: v for k, v in keywords.items() if v is not np._NoValue}
            return ours(*args, **keywords)

        answer = refusing_as(functions[0], checked) if functions else checked
        for function in functions:
            FUNCTIONS[function] = answer
        return answer

    return decorate


def _positions(function: Callable[..., Any]) -> tuple[str, ...]:
    try:
        return tuple(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        return ()


def lying(made: Any, order: str, like: Any = None) -> Any:
    """A fresh result in memory as NumPy has it: a later change of its shape is a view of it or a copy, as it lies.

    Parameters
    ----------
    made : traced array
        Nothing else is in its memory.
    order : "C", "F", "A" or "K"
        "A": as `like` where that lies in Fortran's order; "K": as `like`, which has the same shape.
    """
    array, given = getattr(made, "value", None), getattr(like, "value", like)
    if isinstance(array, np.ndarray) and array.ndim > 1:
        fortran = order == "F" or (order == "A" and given.flags.fnc)
        laid = np.empty(array.shape, array.dtype, "F" if fortran else "C")
        laid = np.empty_like(given, array.dtype) if order == "K" else laid
        if laid.strides != array.strides:
            laid[...] = array
            made.value = laid
    return made


def value(a: Any) -> Any:
    """Anything NumPy takes for an array: traced values, arrays and numbers as they are, lists as arrays."""
    if is_traced(a) or isinstance(a, (np.ndarray, np.generic, *WEAK)):
        return a
    if isinstance(a, (list, tuple)) and holds_traced(a):
        return stack(*(operand(item) for item in a), axis=0)
    return np.asarray(a)


def operand(a: Any) -> Any:
    """As `value`, with Python numbers as NumPy scalars, so that the result has `shape` and `dtype`."""
    a = value(a)
    return np.asarray(a)[()] if isinstance(a, WEAK) else a


def array_operand(a: Any) -> Any:
    """As `operand`, where NumPy makes an array of a Python number first: its dtype counts."""
    a = operand(a)
    return astype(a, dtype=a.dtype) if getattr(a, "weak", False) else a


def common_dtype(given: Sequence[Any]) -> np.dtype[Any]:
    """The dtype of several arrays and numbers together; those of Python count as they do in arithmetic."""
    kinds: list[Any] = []
    for a in map(value, given):
        weak = isinstance(a, WEAK) or getattr(a, "weak", False)
        kinds.append(np.asarray(0, a.dtype).item() if weak and is_traced(a) else a if weak else a.dtype)
    return np.result_type(*kinds)


def known(number: Any) -> Any:
    """A static parameter as a Python number; a traced one is asked for its value, which its recorder guards."""
    if not is_traced(number):
        return number
    kinds: dict[str, type] = {"f": float, "c": complex}
    return kinds.get(number.dtype.kind, int)(number)


def is_sequence(a: Any) -> bool:
    """Whether something has items, unlike a number, traced or not."""
    return isinstance(a, (tuple, list, range)) or getattr(a, "ndim", 0) > 0


def is_number(given: Any, number: float) -> bool:
    """Whether this is a plain number, and that one."""
    return isinstance(given, (bool, int, float)) and given == number


def whole(numbers: Any) -> tuple[int, ...]:
    """A number or a sequence of numbers as a tuple of ints."""
    return tuple(n.__index__() for n in numbers) if is_sequence(numbers) else (numbers.__index__(),)


def holds_traced(items: Any) -> bool:
    """Whether a nested list or tuple has a traced value in it."""
    return any(is_traced(item) or (isinstance(item, (list, tuple)) and holds_traced(item)) for item in items)


def as_dtype(x: Any, dtype: Any) -> Any:
    """`x` in the dtype a caller asked for, or as it is."""
    return x if dtype is None or x.dtype == np.dtype(dtype) else astype(x, dtype=number_type(dtype))


def number_type(dtype: Any) -> np.dtype[Any]:
    """A dtype that traced values can have.

    Raises
    ------
    UnsupportedError : objects, records, texts, dates, numbers wider than NumPy's usual ones
    """
    dtype = np.dtype(dtype)
    if not types.is_number(dtype):
        raise UnsupportedError(
            f"a traced value would become {dtype}, which has no derivative and no program.",
            None,
            "use a number type of NumPy: float64, float32, complex128, int64, bool",
        )
    return dtype


def axis_number(axis: Any, ndim: int) -> int:
    """A non-negative axis; NumPy's own error where there is none."""
    k = axis.__index__()
    if not -ndim <= k < ndim:
        raise np.exceptions.AxisError(k, ndim)
    return k % ndim


def axis_tuple(axis: Any, ndim: int) -> tuple[int, ...]:
    """`None`, a number or a tuple as a sorted tuple of non-negative axes."""
    if axis is None:
        return tuple(range(ndim))
    if not is_sequence(axis):
        return (axis_number(axis, ndim),)
    found = tuple(sorted(axis_number(k, ndim) for k in axis))
    if len(set(found)) != len(found):
        raise ValueError("duplicate value in 'axis'")
    return found


def expand_to(x: Any, shape: tuple[int, ...]) -> Any:
    """`x` broadcast to a shape, or as it is."""
    return x if x.shape == shape else broadcast_to(x, shape=shape)
