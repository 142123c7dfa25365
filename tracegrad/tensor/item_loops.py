"""What NumPy does item by item with Python's functions or in place, as the loops they are: `ufunc.at`, `np.vectorize`.

In: the callable of the user's, its arguments, and `run`, which calls a function of this file: as a marked clone where
a capture is under way, so that its loop is recorded as one. Begin with `item_loop_of`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tracegrad.errors import LeakError, UnsupportedError
from tracegrad.ops.functions import FUNCTIONS
from tracegrad.ops.index import index_add, read, split
from tracegrad.ops.numpy_forms import is_traced, operand, plain


def item_loop_of(
    function: Any, args: Sequence[Any], keywords: Mapping[str, Any], attribute: Callable[[Any, str], Any]
) -> Any:
    """What answers for `np.multiply.at` or an `np.vectorize`; it is called with `run`. None for any other callable.

    `attribute` reads one of the callable's.
    """
    if isinstance(function, np.vectorize):
        if keywords or attribute(function, "signature") or function.excluded:
            raise UnsupportedError(
                "np.vectorize is recorded with positional arguments alone.",
                None,
                "leave out `excluded`, `signature` and keywords, or write the loop",
            )
        user_function, otypes = attribute(function, "pyfunc"), attribute(function, "otypes")
        return functools.partial(vectorized, pyfunc=user_function, otypes=otypes, args=args)
    owner = getattr(function, "__self__", None)
    if isinstance(owner, np.ufunc) and function.__name__ == "at":
        return functools.partial(updated_at, ufunc=owner, args=args)
    return None


# --- ufunc.at ---------------------------------------------------------------------------------------------------------


def each_item(ufunc, out, places, given):  # type: ignore[no-untyped-def]
    """Each place updated with its value, in order."""
    for k in range(len(places)):
        i = places[k]
        out[i] = ufunc(out[i], given[k])
    return out


def each_item_alone(ufunc, out, places):  # type: ignore[no-untyped-def]
    """Each place updated, in order."""
    for k in range(len(places)):
        i = places[k]
        out[i] = ufunc(out[i])
    return out


def updated_at(run: Callable[..., Any], *, ufunc: np.ufunc, args: Sequence[Any]) -> None:
    """`ufunc.at(a, indices, b)`: an item that is named twice is updated twice."""
    a, key, *values = args
    if not is_traced(a):
        raise LeakError(
            f"np.{ufunc.__name__}.at writes a traced value into a plain array; its derivative would be lost there.",
            None,
            "make the array inside the function, or with tracegrad",
        )
    values = [_as_wide(operand(v), np.empty(a.shape, bool)[plain(key)].shape) for v in values]
    ufunc.at(np.array(plain(a)), plain(key), *plain(values))  # what is wrong, NumPy says
    parts = key if isinstance(key, tuple) else (key,)
    dtypes = [
        np.asarray(p).dtype if isinstance(p, (list, tuple)) else getattr(p, "dtype", None) for p in parts
    ]
    if not any(dtype is not None and dtype.kind in "iu" for dtype in dtypes):
        a[key] = ufunc(a[key], *values)  # a slice or a mask names no item twice
        return
    template, arrays = split(a.recorder.plain_key(key, a.shape))
    if ufunc is np.add or ufunc is np.subtract:
        change = values[0] if ufunc is np.add else -values[0]
        a[...] = index_add(a, *arrays, change, index=template)
        return
    places = read(np.arange(a.size).reshape(a.shape), a.recorder.plain_key(key, a.shape))
    given = [FUNCTIONS[np.ravel](FUNCTIONS[np.broadcast_to](v, places.shape)) for v in values]
    flat = FUNCTIONS[np.copy](FUNCTIONS[np.ravel](a)), FUNCTIONS[np.ravel](places)
    found = run(each_item if given else each_item_alone, (ufunc, *flat, *given), {})
    a[...] = FUNCTIONS[np.reshape](found, a.shape)


def _as_wide(value: Any, shape: tuple[int, ...]) -> Any:
    """A value in the shape of its places: where it has fewer axes, NumPy (2.4) may read other memory."""
    if 0 < len(np.shape(value)) < len(shape) and np.broadcast_shapes(np.shape(value), shape) == shape:
        return FUNCTIONS[np.broadcast_to](value, shape)
    return value


# --- np.vectorize -----------------------------------------------------------------------------------------------------


def each_call(function, columns, count):  # type: ignore[no-untyped-def]
    """What a function gives for each row of arguments."""
    found = []
    for k in range(count):
        found.append(function(*[column[k] for column in columns]))
    return found


def vectorized(run: Callable[..., Any], *, pyfunc: Any, otypes: Any, args: Sequence[Any]) -> Any:
    """`np.vectorize(pyfunc)(*args)`."""
    given = FUNCTIONS[np.broadcast_arrays](*map(operand, args))
    shape = given[0].shape
    if not given[0].size:
        raise ValueError("cannot call `vectorize` on size 0 inputs unless `otypes` is set")
    columns = [FUNCTIONS[np.ravel](array) for array in given]
    found = run(each_call, (pyfunc, columns, columns[0].size), {})
    recorder = next(a.recorder for a in given if is_traced(a))
    if isinstance(found[0], tuple):
        results = [[row[k] for row in found] for k in range(len(found[0]))]
    else:
        results = [found]
    made = [FUNCTIONS[np.reshape](recorder.as_array(column), shape) for column in results]
    if otypes:
        made = [FUNCTIONS[np.astype](m, np.dtype(t)) for m, t in zip(made, otypes, strict=True)]
    return tuple(made) if isinstance(found[0], tuple) else made[0]
