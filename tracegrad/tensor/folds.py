"""`sum`, `max` and `min` of Python's own, as the loops and branches they are.

Python's `max(a, b)` asks a condition inside of C code, where no mark is; so each is a small function here, and runs
as a marked clone. Begin with `fold_of`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tracegrad.tensor.standins import is_traced

FOLDS = {sum, max, min}


def total(items, start):  # type: ignore[no-untyped-def]
    """`sum(items, start)`."""
    for item in items:
        start = start + item
    return start


def larger(a, b):  # type: ignore[no-untyped-def]
    """`max(a, b)`: the first unless the second is larger."""
    if b > a:
        return b
    return a


def smaller(a, b):  # type: ignore[no-untyped-def]
    """`min(a, b)`."""
    if b < a:
        return b
    return a


def largest(items):  # type: ignore[no-untyped-def]
    """`max(items)`."""
    best = items[0]
    for item in items:
        if item > best:
            best = item
    return best


def smallest(items):  # type: ignore[no-untyped-def]
    """`min(items)`."""
    best = items[0]
    for item in items:
        if item < best:
            best = item
    return best


def fold_of(function: Any, args: Sequence[Any], run: Callable[..., Any]) -> Any:
    """The result of `sum`, `max` or `min` of traced numbers; None where Python's own answers.

    Parameters
    ----------
    function : sum, max or min
    args : its arguments, containers read whole
    run : callable
        `run(function, args, keywords)`: a marked clone of a function, called.
    """
    items = args[0] if args else None
    if isinstance(items, (list, tuple)) and any(hasattr(item, "item_of") for item in items):
        if function is sum:
            return run(total, (items, *args[1:]) if len(args) > 1 else (items, 0), {})
        return run(largest if function is max else smallest, (items,), {}) if len(args) == 1 else None
    if function is sum:
        return None
    parts = args if len(args) > 1 else items
    if not isinstance(parts, (list, tuple)) or len(parts) < 2 or not all(map(_is_number, parts)):
        return None
    if not any(map(is_traced, parts)):
        return None
    if any(_kind(part) == "f" for part in parts):
        parts = [float(part) if type(part) is int else part for part in parts]
    best = parts[0]
    for part in parts[1:]:
        best = run(larger if function is max else smaller, (best, part), {})
    return best


def _is_number(value: Any) -> bool:
    return not value.shape if is_traced(value) else isinstance(value, (int, float))


def _kind(value: Any) -> str:
    kind: str = value.dtype.kind if is_traced(value) else "f" if isinstance(value, float) else "i"
    return kind
