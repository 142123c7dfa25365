"""What a program of the corpus is: a plain function, inputs that take its paths, and how it is checked.

The files `arithmetic.py`, `loops.py`, ... register their functions with `@program(...)`; `PROGRAMS` holds
them all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

X = np.array([1.2, -0.7, 0.4])


@dataclass(frozen=True)
class Program:
    """A function with its inputs.

    Attributes
    ----------
    inputs : tuple of argument tuples
        Together they take every path that the test is about; the first is used again at the end.
    argnums : int
        Which argument is differentiated.
    native : bool
        It is also compiled with Numba.
    captures : int or None
        How many captures all inputs may need at most; None where that is not what the program is about.
    loops : int
        How many loops its program has at least, the unrolled ones not counted.
    second : bool
        Its second derivative is checked as well.
    eager : bool
        It runs on eager tensors as well.
    overwrites : bool
        On tensors it overwrites what their backward reads, and is refused unless that is allowed.
    tolerance : float
        Of the gradient against differences.
    """

    function: Callable[..., Any]
    inputs: tuple[tuple[Any, ...], ...]
    argnums: int = 0
    native: bool = False
    captures: int | None = None
    loops: int = 0
    second: bool = False
    eager: bool = False
    overwrites: bool = False
    tolerance: float = 2e-6

    @property
    def name(self) -> str:
        return self.function.__name__


PROGRAMS: list[Program] = []


def program(*inputs: Any, **options: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a function; an input that is not a tuple is its one argument."""
    given = tuple(i if type(i) is tuple else (i,) for i in inputs) or ((X,), (-X,))

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        PROGRAMS.append(Program(function, given, **options))
        return function

    return register
