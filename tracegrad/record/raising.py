"""Errors that the user's code may catch: in a program, an operation that failed cannot be told from one that did not.

While a function runs that has a `try` or a `with` (the functions it calls included), what may raise leaves a guard that
its result is sound, so it stays in the program even where nobody reads that result; and Python's numbers raise what
they raise without us, where NumPy would go on with NaN or an infinity. A run in which values made an operation raise,
and that ended all the same, is true of those values alone: no program is kept of it. Begin with `Raising.checked`.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tracegrad.ir.location import Location
from tracegrad.ir.trace import Var
from tracegrad.ops.compare import not_equal
from tracegrad.ops.functions import FUNCTIONS
from tracegrad.ops.numpy_forms import is_traced
from tracegrad.ops.op import Op
from tracegrad.record.numbers import OPERATORS

_DIVISIONS = frozenset(["divide", "floor_divide", "remainder"])
_OF_INDICES = frozenset(["getitem", "index_set", "index_add"])
_OF_MATRICES = frozenset(
    [
        "cholesky",
        "eig",
        "eigh",
        "generalised_eigh",
        "inv",
        "logm",
        "lu_factor",
        "pinv",
        "polar_factor",
        "qr",
        "scipy_eigh",
        "solve",
        "solve_banded",
        "solve_lower",
        "solve_sylvester",
        "solve_upper",
        "sparse_solve",
        "sqrtm",
        "svd",
    ]
)


def catches(code: types.CodeType) -> bool:
    """Whether a function has a `try` or a `with` in it."""
    return bool(code.co_exceptiontable)


class Raising:
    """The part of a `Recording` that knows what may raise.

    Attributes
    ----------
    watchers : int
        How many running functions may catch an error.
    caught : (str, Location) or None
        What values made raise in this run.
    impure : (str, Location) or None
        Why a program could not repeat this run.
    """

    truth: Any
    location: Any
    wrap: Any
    structures: Any

    def __init__(self) -> None:
        self.watchers = 0
        self.caught: tuple[str, Location | None] | None = None
        self.impure: tuple[str, Location | None] | None = None

    def not_repeatable(self, reason: str, where: Location | None = None) -> None:
        """This run did something a program could not repeat: the function runs on the tape."""
        if self.impure is None:
            self.impure = (reason, where or self.location())
        self.structures.fail(reason)

    def refused(self, op: Op, args: Sequence[Any], values: Sequence[Any], of_numbers: bool) -> None:
        """An op raised, as it would for any values of these shapes and dtypes, or for these values alone."""
        if op.name in _OF_INDICES:
            of_values = any(map(is_traced, args[1:]))
        elif op.family in ("elementwise", "linear", "bilinear"):
            of_values = of_numbers or all(np.asarray(value).dtype.kind not in "fc" for value in values)
        else:
            of_values = True
        if of_values:
            self.failed(op.name)

    def failed(self, name: str) -> None:
        """Values made an operation raise; whoever catches that goes on with what no guard tells."""
        if self.caught is None:
            self.caught = (f"catches an error of `{name}`", self.location())

    def calling(self, function: Callable[..., Any], *args: Any, **keywords: Any) -> Any:
        """The answer of a function that may raise for values."""
        try:
            return function(*args, **keywords)
        except Exception:
            self.failed(getattr(function, "__name__", type(function).__name__))
            raise

    def as_python(self, name: str, values: Sequence[Any]) -> None:
        """Raise what an operator raises for numbers of Python's."""
        if name in _DIVISIONS:
            if not values[1]:
                OPERATORS[name](*values)
        elif name == "power" and float in map(type, values):
            OPERATORS[name](*values)

    def checked(self, op: Op, args: Sequence[Any], result: Any, of_numbers: bool) -> None:
        """After an op that did not raise: a guard that it does not, and that keeps it in the program.

        Parameters
        ----------
        op, args : the op, and what it was given
        result : traced value, or the first of several
        of_numbers : bool
            All arguments are Python's numbers.
        """
        if of_numbers and op.name in _DIVISIONS:
            if isinstance(getattr(args[1], "atom", None), Var):
                self.truth(not_equal(args[1], 0))
            return
        indexed = op.name in _OF_INDICES and any(map(is_traced, args[1:]))
        if indexed or op.name in _OF_MATRICES or (of_numbers and op.name == "power"):
            self.sound(result)

    def sound(self, result: Any) -> None:
        """A guard on whether the first number of a result is finite."""
        if isinstance(result.atom, Var) and result.atom.type.size and result.dtype.kind in "fc":
            first = result[(0,) * len(result.shape)] if result.shape else result
            self.truth(FUNCTIONS[np.isfinite](first))
