"""What a callable holds that is traced, and the same callable with other values in those places.

A function that the user hands to a solver closes over values of what is being captured. A step that solves again, at
another call, needs the function as it was written, of the values it has then. In: a callable, or a nested value. Out:
its form, which can be compared, and its leaves. What came from outside stays as it is and is read when it runs; what
was made inside is taken as it is now. Begin with `take_apart`.
"""

from __future__ import annotations

import copy
import dataclasses
import functools
import itertools
import types
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any, cast

import numpy as np

from tracegrad.errors import UnsupportedError
from tracegrad.ops.operators import Operators
from tracegrad.record.certificate import MARKS
from tracegrad.record.marks import is_marked, unmarked
from tracegrad.tensor.captured import outer_session

_PLAIN = (type(None), bool, int, float, complex, str, bytes, np.generic, np.dtype, type(...))
_WHOLE = (type, types.ModuleType, types.BuiltinFunctionType, np.ufunc)


@dataclasses.dataclass(frozen=True)
class _Same:
    """An object that stays what it is."""

    value: Any

    def __eq__(self, other: Any) -> bool:
        return isinstance(other, _Same) and other.value is self.value

    def __hash__(self) -> int:
        return id(self.value)


@dataclasses.dataclass(frozen=True)
class _Leaf:
    """A number or an array that is given anew each time."""

    place: int
    weak: bool


@dataclasses.dataclass(frozen=True)
class _Made:
    """Something that is made anew of its parts; `kind` says how."""

    kind: str
    of: Hashable
    parts: tuple[Any, ...]
    number: int  # others refer to it so, and it to itself


@dataclasses.dataclass(frozen=True)
class _Again:
    """What was made before, in this order."""

    number: int


class Apart:
    """A value taken apart.

    Attributes
    ----------
    form : hashable
        Equal for values that differ in their leaves alone.
    leaves : list
        Traced values, and plain arrays that were made inside.
    """

    def __init__(self, value: Any, is_outside: Callable[[Any], bool]) -> None:
        self.leaves: list[Any] = []
        self._is_outside = is_outside
        self._places: dict[int, int] = {}
        self._met: dict[int, Any] = {}
        self._count = itertools.count()
        self._alive: list[Any] = []
        self.form = self._form(value)

    def _form(self, value: Any) -> Any:
        if isinstance(value, Operators):
            return self._leaf(value, bool(getattr(value, "weak", False)))
        if isinstance(value, np.ndarray):
            return self._leaf(value, False) if value.dtype.kind in "fciub" else _Same(value)
        if isinstance(value, _PLAIN):
            return type(value), value
        if id(value) in self._met:
            return self._met[id(value)]
        number = next(self._count)
        self._met[id(value)] = _Again(number)
        self._alive.append(value)
        found = self._parts_of(value, number)
        if isinstance(found, _Same):
            self._met[id(value)] = found
        return found

    def _parts_of(self, value: Any, number: int) -> Any:
        if self._is_outside(value) and not isinstance(value, (types.FunctionType, types.MethodType)):
            return _Same(value)
        if isinstance(value, types.FunctionType):
            return self._function(value, number)
        if isinstance(value, types.MethodType):
            return self._made(value, "method", None, (value.__func__, value.__self__), number)
        if isinstance(value, functools.partial):
            parts = (value.func, value.args, value.keywords)
            return self._made(value, "partial", None, parts, number)
        if isinstance(value, _WHOLE):
            return _Same(value)
        if type(value) in (list, tuple):
            return self._made(value, type(value).__name__, None, tuple(value), number)
        if isinstance(value, tuple) and hasattr(value, "_fields"):
            return self._made(value, "named", type(value), tuple(value), number)
        if type(value) is dict and all(isinstance(k, _PLAIN) for k in value):
            return self._made(value, "dict", tuple(value), tuple(value.values()), number)
        held = getattr(value, "__dict__", None)
        if type(held) is dict and held:
            return self._made(value, "object", (_Same(value), tuple(held)), tuple(held.values()), number)
        return _Same(value)

    def _leaf(self, value: Any, weak: bool) -> _Leaf:
        self._alive.append(value)
        place = self._places.setdefault(id(value), len(self.leaves))
        if place == len(self.leaves):
            self.leaves.append(value)
        return _Leaf(place, weak)

    def _made(self, value: Any, kind: str, of: Any, parts: tuple[Any, ...], number: int) -> Any:
        """A form with parts; where nothing in them is given anew, the value itself."""
        forms = tuple(map(self._form, parts))
        if kind == "object" and all(map(_stays, forms)):
            return _Same(value)
        return _Made(kind, of, forms, number)

    def _function(self, function: types.FunctionType, number: int) -> Any:
        """Of a function from outside nothing is taken apart: what it reads, it reads when it runs."""
        if not is_marked(function):
            held = [c for c in function.__closure__ or () if _holds_traced(c)]
            if not held and not any(isinstance(d, Operators) for d in function.__defaults__ or ()):
                return _Same(function)
            code: types.CodeType | None = function.__code__
        else:
            code = unmarked(function.__code__)
        if code is None:
            raise UnsupportedError(
                f"`{function.__name__}` cannot be told from another function on its line.",
                None,
                "write it on a line of its own",
            )
        cells = dict(zip(function.__code__.co_freevars, function.__closure__ or (), strict=True))
        outside = _cells_from_outside(cells.pop(MARKS, None)) if is_marked(function) else ()
        defaults = self._form(function.__defaults__), self._form(function.__kwdefaults__)
        parts: list[Any] = []
        for name in code.co_freevars:
            cell = cells[name]
            if any(cell is other for other in outside) and not _holds_traced(cell):
                parts.append(_Same(cell))
            else:
                parts.append(self._form(cell.cell_contents))
        return _Made("function", (code, _Same(function.__globals__)), (*defaults, *parts), number)


def _holds_traced(cell: types.CellType) -> bool:
    try:
        return isinstance(cell.cell_contents, Operators)
    except ValueError:  # nothing is in it
        return False


def _cells_from_outside(marks: types.CellType | None) -> tuple[types.CellType, ...]:
    """The free variables of the function that was there before the capture."""
    owner = None if marks is None else marks.cell_contents.function
    return getattr(owner, "__closure__", None) or ()


def _stays(form: Any) -> bool:
    return isinstance(form, (_Same, _Again)) or (type(form) is tuple and isinstance(form[0], type))


def _again(form: Any, leaves: Sequence[Any], made: dict[int, Any]) -> Any:
    if isinstance(form, _Same):
        return form.value
    if isinstance(form, _Leaf):
        return leaves[form.place]
    if isinstance(form, _Again):
        return made[form.number]
    if type(form) is tuple:
        return form[1]
    if form.kind == "function":
        return _function_again(form, leaves, made)
    if form.kind == "object":
        owner, names = form.of
        found = copy.copy(owner.value)
        made[form.number] = found
        parts = [_again(part, leaves, made) for part in form.parts]
        vars(found).update(zip(names, parts, strict=True))
        return found
    parts = [_again(part, leaves, made) for part in form.parts]
    makers: dict[str, Any] = {
        "list": list,
        "tuple": tuple,
        "named": lambda parts: form.of(*parts),
        "dict": lambda parts: dict(zip(form.of, parts, strict=True)),
        "method": lambda parts: types.MethodType(*parts),
        "partial": lambda parts: functools.partial(parts[0], *parts[1], **parts[2]),
    }
    made[form.number] = makers[form.kind](parts)
    return made[form.number]


def _function_again(form: _Made, leaves: Sequence[Any], made: dict[int, Any]) -> Any:
    code, scope = cast("tuple[types.CodeType, _Same]", form.of)
    cells = [
        part.value if isinstance(part, _Same) and isinstance(part.value, types.CellType) else types.CellType()
        for part in form.parts[2:]
    ]
    found = types.FunctionType(code, scope.value, code.co_name, None, tuple(cells))
    made[form.number] = found  # it may hold itself
    found.__defaults__, found.__kwdefaults__ = (_again(p, leaves, made) for p in form.parts[:2])
    for cell, part in zip(cells, form.parts[2:], strict=True):
        if not (isinstance(part, _Same) and isinstance(part.value, types.CellType)):
            cell.cell_contents = _again(part, leaves, made)
    return found


def again(form: Any, leaves: Sequence[Any]) -> Any:
    """The value of this form with these leaves."""
    return _again(form, leaves, {})


def objects_in(form: Any) -> Iterator[Any]:
    """The objects of the user's that stay what they are in a form: what is read of them may change."""
    if isinstance(form, _Same):
        if not isinstance(form.value, (types.FunctionType, types.CellType, *_WHOLE)):
            yield form.value
    elif isinstance(form, _Made):
        for part in form.parts:
            yield from objects_in(part)


def take_apart(value: Any) -> Apart:
    """A callable, or a nested value, taken apart.

    Raises
    ------
    UnsupportedError : a function made inside that cannot be told from another
    """
    session = outer_session()
    return Apart(value, lambda part: session is not None and session.reads.path_of(part) is not None)
