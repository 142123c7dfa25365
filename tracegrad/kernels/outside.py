"""Calls of Python from compiled code: what has no compiled form is computed by NumPy or SciPy, and the program goes on.

Native text writes `called_out(python_dct, (x,))`, where `python_dct` is a function of the text that Python runs and
whose annotation says what it returns: `-> "complex128[8]"`. Compiled code calls an `Outside` with arrays around its own
memory (`compiler/outside.py`); what that answers is an array of this type which nobody else refers to. A function with
`-> None` fills the last array it is given. Begin with `Outside`.
"""

# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

import functools
import re
import sys

import numpy as np
from numpy._core import umath

_errors = umath._extobj_contextvar  # what NumPy does about floating-point errors
_ignored = umath._make_extobj(all="ignore")


def called_out(function, given):
    """`function(*given)`, by Python."""
    return function(*given)


def results_of(annotation):
    """The dtype and the shape of each result, -1 where a size is not known: of `"float64[3, 3], int64[]"`.

    A function that fills what it is given, with `None` there, has none.
    """
    return tuple(
        (np.dtype(name), tuple(int(n) for n in sizes.split(",") if n.strip()))
        for name, sizes in re.findall(r"(\w+)\[([^]]*)\]", annotation)
    )


class Outside:
    """A function of an emitted module, as compiled code calls it.

    Parameters
    ----------
    module, name : str
        Where the function is found.
    annotation : str
        What it returns, see `results_of`.
    """

    def __init__(self, module, name, annotation):
        self.module, self.name, self.annotation = module, name, annotation
        self.results = results_of(annotation)

    def __reduce__(self):
        return Outside, (self.module, self.name, self.annotation)

    @functools.cached_property
    def function(self):
        """What the module calls by that name: the function, or what Numba made of it."""
        found = vars(sys.modules[self.module])[self.name]
        return getattr(found, "py_func", found)

    def __call__(self, *given):
        before = _errors.set(_ignored)  # what `np.errstate(all="ignore")` does, in a quarter of its time
        try:
            found = self.function(*given)
            if not self.results:
                return None
            if len(self.results) == 1:
                return self._own(found, self.results[0], given)
            return tuple([self._own(v, kind, given) for v, kind in zip(found, self.results, strict=True)])
        finally:
            _errors.reset(before)

    def _own(self, found, kind, given):
        """A result as it was promised, in memory that compiled code may write to."""
        dtype, shape = kind
        if not shape:
            return np.asarray(found).astype(dtype, copy=False)[()]
        if type(found) is np.ndarray and found.dtype == dtype and found.shape == shape:
            flags = found.flags
            if flags.owndata and flags.carray and id(found) not in map(id, given):
                return found
        made = np.array(found, dtype, order="C")
        if len(made.shape) != len(shape) or any(
            n not in (-1, m) for n, m in zip(shape, made.shape, strict=True)
        ):
            raise ValueError(f"`{self.name}` gives an array of shape {made.shape} where {shape} belongs")
        return made
