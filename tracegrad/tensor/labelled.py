"""Calls in a clone that containers with labels take part in: pandas' and xarray's own, and NumPy's of them.

A container from outside is built anew around traced arrays (`outside.py`), so its methods compute what is recorded and
keep no state: they are called as they are. A function of NumPy's that would make a plain array of a container gets the
array in it. In: a call. Out: what it gives, and nothing that depends on values unseen. Begin with `Labelled.labelled`.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tracegrad.containers import constructed, is_container, values_of
from tracegrad.errors import InPlaceError
from tracegrad.labels import is_labelled
from tracegrad.tensor.callables import is_in, module_of
from tracegrad.tensor.outside import around_traced
from tracegrad.tensor.reads import MISSING
from tracegrad.tensor.standins import is_traced

_VALUES = ("values", "to_numpy", "item")
_DRAWS = ("sample",)
# Functions of NumPy's that call a method of the same name: pandas and xarray answer with labels.
_BY_METHOD = {
    np.sum, np.prod, np.mean, np.std, np.var, np.min, np.max, np.amin, np.amax, np.any, np.all, np.round, np.around,
    np.clip, np.cumsum, np.cumprod, np.argmax, np.argmin, np.argsort, np.repeat, np.squeeze, np.shape, np.ndim, np.size,
    np.transpose,
}  # fmt: skip


def _writes_out(name: str) -> bool:
    known = (
        "numpy",
        "frame",
        "dict",
        "list",
        "series",
        "dataset",
        "dataarray",
        "dataframe",
        "array",
        "pandas",
    )
    return name.startswith("to_") and not name.removeprefix("to_").startswith(known)


class Labelled:
    """The part of `Marks` that knows containers with labels."""

    recording: Any
    reads: Any
    structures: Any
    callable_view: Callable[[Any], Any]

    def labelled(self, function: Any, args: tuple[Any, ...], keywords: Mapping[str, Any]) -> Any:
        """The answer of a call that containers take part in; `MISSING` where none does."""
        owner = getattr(function, "__self__", None)
        if isinstance(owner, types.ModuleType):
            owner = None
        of_library = is_labelled(function if isinstance(function, type) else type(owner)) or (
            owner is None and isinstance(function, types.FunctionType) and is_labelled_module(function)
        )
        if of_library:
            return self._of_library(function, owner, args, keywords)
        if not any(_holds(a) for a in (*args, *keywords.values())):
            return MISSING
        given = tuple(map(self.adopted, args))
        named = {k: self.adopted(v) for k, v in keywords.items()}
        package = module_of(function).partition(".")[0]
        if isinstance(function, np.ufunc) or is_in(function, _BY_METHOD):
            return self.adopted(function(*given, **named))
        if package in ("numpy", "scipy", "math") or is_in(function, (float, int, complex)):
            return self._again(function, tuple(map(_array, given)), {k: _array(v) for k, v in named.items()})
        return MISSING

    def _again(self, function: Any, args: tuple[Any, ...], keywords: Mapping[str, Any]) -> Any:
        call: Callable[..., Any] = self._call  # type: ignore[attr-defined]
        return call(function, args, dict(keywords))

    def _of_library(
        self, function: Any, owner: Any, args: tuple[Any, ...], keywords: Mapping[str, Any]
    ) -> Any:
        """A method of a container, or a function or class of the library's."""
        name = getattr(function, "__name__", type(function).__name__)
        if self.reads.path_of(owner if owner is not None else function) is not None and owner is not None:
            self.recording.not_repeatable(f"calls `{name}` of a {type(owner).__name__} from outside")
        if name in _DRAWS or _writes_out(name) or name.startswith(("read_", "open_", "plot")):
            self.recording.not_repeatable(f"calls `{name}`, which may answer differently each time")
        given = tuple(self.callable_view(self.adopted(a)) for a in args)
        named = {k: self.callable_view(self.adopted(v)) for k, v in keywords.items()}
        made = constructed(function, given, named)
        if made is None:
            with self.recording.lending(function):
                made = function(*given, **named)
        return self.adopted(made)

    def adopted(self, value: Any) -> Any:
        """A container of plain arrays around constants of the recording; anything else as it is."""
        if type(value) in (list, tuple):
            return type(value)(map(self.adopted, value))
        if is_container(type(value)) and not type(value).__module__.startswith("tracegrad"):
            return around_traced(value, self.recording)
        return value

    def values_by_name(self, value: Any, name: str) -> Any:
        """`.values`, `.to_numpy` and `.item` of a container of xarray's, which would make a plain array."""
        if name not in _VALUES or type(value).__module__.partition(".")[0] != "xarray":
            return MISSING
        found: Any = values_of(value) if is_container(type(value)) and hasattr(value, "data") else None
        if not is_traced(found):
            return MISSING
        if name == "to_numpy":
            return lambda dtype=None: found if dtype is None else found.astype(dtype)
        return found if name == "values" else found.item

    def borrowed(self, target: Any) -> None:
        """Refuse what would be written into a copy of the caller's container, and be seen by nobody."""
        target = target if is_container(type(target)) else getattr(target, "obj", None)  # `df.loc`
        if self.reads.is_lent(target):
            kind = type(target).__name__
            raise InPlaceError(
                f"a {kind} of the caller's is written in place.",
                self.recording.location(),
                "copy it first, `.copy()`",
            )


def is_labelled_module(function: Any) -> bool:
    """Whether a function belongs to pandas or xarray."""
    return (function.__module__ or "").partition(".")[0] in ("pandas", "xarray")


def _holds(value: Any) -> bool:
    if type(value) in (list, tuple):
        return any(map(_holds, value))
    return is_container(type(value))


def _array(value: Any) -> Any:
    if type(value) in (list, tuple):
        return type(value)(map(_array, value))
    return values_of(value) if is_container(type(value)) and hasattr(value, "shape") else value
