"""What bad input has to raise: in the library's words and with the user's line.

In: a function of the table of `test_numpys_errors.py` or `test_scipys_errors.py`. Begin with `check`.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tracegrad as tg


def raised(call: Callable[..., Any], *args: Any) -> Exception:
    with np.errstate(all="ignore"), pytest.raises(Exception) as caught:
        call(*args)
    return caught.value


def check(theirs: Exception, ours: Exception, function: Any) -> None:
    """The same kind of error, with the same words, and the user's line with it."""
    assert type(ours) is type(theirs)
    assert str(ours) == str(theirs)
    file, first = function.__code__.co_filename, function.__code__.co_firstlineno
    lines = range(first, first + len(list(function.__code__.co_lines())) + 4)
    places = [f"where: {Path(file).name}:{line}," for line in lines]
    said = "".join(getattr(ours, "__notes__", ()))
    last = traceback.extract_tb(ours.__traceback__)[-1]
    assert any(place in said for place in places) or (last.filename == file and last.lineno in lines)


def number_of(case: Any) -> str:
    """The name of a case: its function's, or its line."""
    function, *_ = case
    name = function.__name__
    return name if name != "<lambda>" else f"line-{function.__code__.co_firstlineno}"


def check_shapes(function: Callable[..., Any], x: Any) -> None:
    """What is wrong by its shapes is refused by a capture for either mode, whatever runs later."""
    theirs = raised(function, x)
    gradient = tg.vjp(function, jit="python")
    for call in (
        lambda: gradient(x),
        lambda: gradient(x),
        lambda: tg.jit(function, jit="native")(x),
        lambda: tg.jvp(function)((x,), (x,)),
    ):
        check(theirs, raised(call), function)
    assert gradient.stats.captures == 0


def runs(function: Any, good: Any, jit: str) -> list[Callable[[Any], Any]]:
    """Derivatives and values by programs that ran at the good point."""

    def total(x: Any) -> Any:
        return np.sum(function(x))

    gradient, value, push = tg.grad(total, jit=jit), tg.jit(total, jit=jit), tg.jvp(total, jit=jit)
    calls = [gradient, value, lambda x: push((x,), (x,))][: 1 if jit == "native" else 3]
    for call in calls:
        for _ in range(2):
            call(good)
    return calls


def check_values(function: Callable[..., Any], good: Any, bad: Any) -> None:
    """What is wrong by its values is refused where a program runs that was made of good ones."""
    theirs = raised(function, bad)
    check(theirs, raised(tg.grad(lambda x: np.sum(function(x)), jit="python"), bad), function)
    for call in runs(function, good, "python"):
        for _ in range(2):
            check(theirs, raised(call, bad), function)
        call(good)


def check_compiled(function: Callable[..., Any], good: Any, bad: Any) -> None:
    """The same in compiled code."""
    theirs = raised(function, bad)
    call, *_ = runs(function, good, "native")
    for _ in range(2):
        check(theirs, raised(call, bad), function)
