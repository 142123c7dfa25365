"""Memory of large arrays that nobody sees any more, handed out again.

Fresh memory costs more than the arithmetic of a large elementwise program: the system hands it out page by page, each
cleared first. So the large results of a program, and the room it works in, are remembered here; one that only this
pool refers to any more (no name, no view, no buffer, no weak reference) is what the next call gets. A result in use is
never handed out, and an array whose shape or flags were changed is forgotten.

At most `config.reuse_memory` bytes are remembered, those used last; when memory runs out all is forgotten first.
Begin with `take`.
"""

from __future__ import annotations

import math
import sys
import threading
import weakref
from collections import OrderedDict
from typing import Any

import numpy as np

from tracegrad.config import config

Array = np.ndarray[Any, Any]
LARGE = 1 << 16  # bytes of an array that is remembered
ALIKE = 8  # arrays of one shape that are

_lock = threading.RLock()  # what is dropped may run code that comes here again
_remembered: OrderedDict[int, Array] = OrderedDict()  # by identity, those used last at the end
_alike: dict[tuple[Any, ...], list[int]] = {}


def take(dtype: np.dtype[Any], shape: tuple[int, ...]) -> Array:
    """An array with anything in it, which nobody else sees while the caller keeps it."""
    if not is_remembered(dtype, shape):
        return np.empty(shape, dtype)
    key = (dtype, shape)
    with _lock:
        for number in tuple(_alike.get(key, ())):
            if number not in _remembered:
                continue
            if sys.getrefcount(_remembered[number]) > _ALONE:
                continue
            if _is_as_it_was(_remembered[number], dtype, shape):
                _remembered.move_to_end(number)
                return _remembered[number]
            _forget(number)
    made = _made(dtype, shape)
    with _lock:
        _remembered[id(made)] = made
        alike = _alike.setdefault(key, [])
        alike.append(id(made))
        if len(alike) > ALIKE:
            _forget(alike[0])
        _shrink(config.reuse_memory)
    return made


def is_remembered(dtype: np.dtype[Any], shape: tuple[int, ...]) -> bool:
    """Whether an array is so large that its memory is worth being handed out again."""
    return math.prod(shape) * dtype.itemsize >= LARGE


def forget() -> None:
    """Drop all arrays that are remembered; those in use stay as they are."""
    with _lock:
        _shrink(0)


def remembered() -> int:
    """The bytes of all arrays that are remembered, in use or not."""
    with _lock:
        return sum(array.nbytes for array in _remembered.values())


def _made(dtype: np.dtype[Any], shape: tuple[int, ...]) -> Array:
    try:
        return np.empty(shape, dtype)
    except MemoryError:
        forget()
        return np.empty(shape, dtype)


def _is_as_it_was(array: Array, dtype: np.dtype[Any], shape: tuple[int, ...]) -> bool:
    same = array.dtype is dtype and array.shape == shape and array.flags.carray
    return same and not weakref.getweakrefcount(array)


def _shrink(limit: int | None) -> None:
    while limit is not None and _remembered and remembered() > limit:
        _forget(next(iter(_remembered)))


def _forget(number: int) -> None:
    array = _remembered.pop(number)
    for alike in _alike.values():
        if number in alike:
            alike.remove(number)
    del array


def _references() -> int:
    """What `getrefcount` says of an array that only a dictionary refers to."""
    one = OrderedDict({0: np.empty(1)})
    return sys.getrefcount(one[0])


_ALONE = _references()
