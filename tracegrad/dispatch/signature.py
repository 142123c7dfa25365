"""A call's arguments as flat leaves with roles, and the key that says which programs may fit.

Differentiated arguments are active; other numbers and arrays are traced; everything else is static and part of the key.
Begin with `flat_call`.
"""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from tracegrad import tree
from tracegrad.config import number_of_bytes
from tracegrad.errors import ArgumentError
from tracegrad.ir.types import is_number, type_of
from tracegrad.labels import Content
from tracegrad.record.frames import user_location
from tracegrad.tensor.captured import Leaf

Wrt = int | str | tuple[int | str, ...] | None
ALL = "*"  # in place of a parameter's name: every positional argument
OURS = "_tg_"  # names that begin so are ours in generated functions
INT_RANGE = 2**31  # a larger Python int is static: arithmetic with it could leave what int64 holds


@dataclass(slots=True)
class Call:
    """A flattened call.

    Attributes
    ----------
    leaves : list of Leaf
    key : tuple
        Equal for calls that the same programs may serve.
    rebuild : callable
        From leaves to positional and keyword arguments.
    spans : dict of int or str to (structure, places)
        For each argument, by position or keyword, its structure and the places of its leaves; in the order of leaves.
    groups : list of (structure, places)
        The spans of the differentiated arguments.
    outer : bool
        Some leaf belongs to a recorder: the call is part of a capture or of an eager graph.
    tangents : list
        For "jvp", a tangent for each leaf: further inputs of the program.
    given : pair of types
        For "jvp", what primals and tangents came in: a tuple or a list.
    further : tuple of int
        The places of leaves that are such inputs, where they are leaves (`with_tangents`).
    """

    leaves: list[Leaf]
    key: tuple[Any, ...]
    rebuild: Callable[[Sequence[Any]], tuple[tuple[Any, ...], dict[str, Any]]]
    spans: dict[int | str, tuple[Any, tuple[int, ...]]]
    groups: list[tuple[Any, tuple[int, ...]]]
    outer: bool
    tangents: list[Any] = field(default_factory=list)
    given: tuple[type, type] = (tuple, tuple)
    further: tuple[int, ...] = ()

    def kinds(self) -> dict[str, str]:
        """For each leaf its type, or its value where that is part of the key."""
        return {leaf.name: _kind(leaf) for leaf in self.leaves}

    def kinds_text(self) -> str:
        """The arguments in a few words."""
        return ", ".join(
            f"{leaf.name}{'=' if _by_value(leaf) else ': '}{_kind(leaf)}" for leaf in self.leaves
        )


def with_tangents(call: Call) -> Call | None:
    """The call of a function as one of its derivative along a direction: `(x, y), (x_dot, y_dot)`.

    Tangents are leaves like their primals. None where keywords are a part of the call.
    """
    args, keywords = call.rebuild([leaf.value for leaf in call.leaves])
    if keywords:
        return None
    moved = [place for _, places in call.groups for place in places]
    count = len(call.leaves)
    further = tuple(range(count, count + len(moved)))
    dots = [replace(call.leaves[p], name=f"the tangent of {call.leaves[p].name}") for p in moved]
    parts = [tree.unflatten(s, [call.leaves[p].value for p in places]) for s, places in call.groups]
    primals, tangents = call.given
    structure, other = tree.flatten(primals(args))[1], tree.flatten(tangents(parts))[1]
    spans: dict[int | str, tuple[Any, tuple[int, ...]]] = {
        0: (structure, tuple(range(count))),
        1: (other, further),
    }
    return replace(call, leaves=[*call.leaves, *dots], spans=spans, further=further)


def _by_value(leaf: Leaf) -> bool:
    return leaf.role == "static" and not by_identity(leaf.value)


def _kind(leaf: Leaf) -> str:
    if isinstance(leaf.value, np.generic) and leaf.role != "static":
        return f"np.{type(leaf.value).__name__}"
    if leaf.role != "static":
        return (
            type(leaf.value).__name__
            if type(leaf.value) in (int, float, complex)
            else str(type_of(leaf.value))
        )
    # The `repr` of an object of the user's is the user's code.
    return f"{leaf.value!r:.30}" if _by_value(leaf) else type(leaf.value).__name__


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of the user's function: `kind` is "position", "either" or "keyword"."""

    name: str
    kind: str
    place: int


def plain_parameters(function: Callable[..., Any]) -> tuple[Parameter, ...] | None:
    """The parameters of a function for which it makes no difference whether an argument comes by name or by place.

    None where that is not known: other callables, decorated functions, `*args` and `**keywords`.
    """
    inner = getattr(function, "__func__", function)
    if type(inner) is not types.FunctionType or vars(inner).keys() & {"__wrapped__", "__signature__"}:
        return None
    found: list[Parameter] = []
    for place, p in enumerate(inspect.signature(function).parameters.values()):
        if p.kind not in _KINDS or p.name.startswith(OURS):
            return None
        found.append(Parameter(p.name, _KINDS[p.kind], place))
    return tuple(found)


_KINDS = {
    inspect.Parameter.POSITIONAL_ONLY: "position",
    inspect.Parameter.POSITIONAL_OR_KEYWORD: "either",
    inspect.Parameter.KEYWORD_ONLY: "keyword",
}


class Signature:
    """How a function's arguments are named and which are differentiated.

    Parameters
    ----------
    function : callable
    wrt : int, str, tuple of them, or None
        `argnums`: by index or by parameter name; None differentiates nothing, `ALL` every positional argument.
    """

    def __init__(self, function: Callable[..., Any], wrt: Wrt, where: str) -> None:
        self.name = getattr(function, "__name__", type(function).__name__)
        try:
            parameters = list(inspect.signature(function).parameters.values())
        except (TypeError, ValueError):
            parameters = []
        self.parameters = plain_parameters(function)
        self.positional = [
            p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
        ]
        self.names = [p.name for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
        self.defaults = {p.name: p.default for p in parameters if p.default is not p.empty}
        self.variadic = any(p.kind is p.VAR_POSITIONAL for p in parameters) or not parameters
        self.open_keywords = any(p.kind is p.VAR_KEYWORD for p in parameters)
        self.single = not isinstance(wrt, tuple)
        self.given = wrt
        wanted: tuple[int | str, ...] = () if wrt is None else wrt if isinstance(wrt, tuple) else (wrt,)
        self.all = isinstance(wrt, str) and wrt == ALL  # an array is compared item by item
        self.wrt = () if self.all else tuple(self._checked(w, where) for w in wanted)

    def _checked(self, w: int | str, where: str) -> int | str:
        if isinstance(w, bool) or not isinstance(w, (int, str, np.integer)):
            raise ArgumentError(
                f"`{where}` got argnums={w!r:.60}.",
                user_location(),
                "give the index or the name of a parameter, or a tuple of them; arguments go to what comes back, "
                f"`{where}(f)(x)`",
            )
        if isinstance(w, str):
            if w not in self.names and not self.open_keywords:
                raise ArgumentError(
                    f"`{self.name}` has no parameter {w!r}.",
                    user_location(),
                    f"its parameters are {', '.join(self.names)}",
                )
            return self.positional.index(w) if w in self.positional else w
        if not self.variadic and not -len(self.positional) <= w < len(self.positional):
            raise ArgumentError(
                f"`{self.name}` has no positional parameter {w}.",
                user_location(),
                f"it has {len(self.positional)}: {', '.join(self.positional)}",
            )
        return int(w) % len(self.positional) if not self.variadic else int(w)

    def flat_call(self, args: tuple[Any, ...], keywords: dict[str, Any]) -> Call:
        """Flatten a call.

        Raises
        ------
        ArgumentError : a differentiated argument is missing or not numeric; an array that cannot be traced
        """
        wanted: list[int | str] = [*range(len(args))] if self.all else []
        for w in self.wrt:
            place = self._place(w, args, keywords)
            if isinstance(place, str) and place not in keywords:
                keywords = {**keywords, place: self.defaults[place]}
            wanted.append(place)
        leaves: list[Leaf] = []
        spans: dict[int | str, tuple[Any, tuple[int, ...]]] = {}
        order: list[Any] = [*range(len(args)), *sorted(keywords)]
        key: list[Any] = [len(args)]
        for where in order:
            value = args[where] if isinstance(where, int) else keywords[where]
            name = self._name(where)
            flat, structure = tree.flatten(value)
            active = where in wanted
            names = tree.paths(value, name) if structure is not None else [name]
            first = len(leaves)
            for leaf, leaf_name in zip(flat, names, strict=True):
                made, part = self._leaf(leaf, leaf_name, active)
                leaves.append(made)
                key.append(part)
            key.append((where if isinstance(where, str) else None, structure, active))
            spans[where] = (structure, tuple(range(first, len(leaves))))

        def rebuild(values: Sequence[Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
            parts = {w: tree.unflatten(s, [values[i] for i in places]) for w, (s, places) in spans.items()}
            return tuple(parts[i] for i in range(len(args))), {k: parts[k] for k in keywords}

        outer = any(getattr(leaf.value, "recorder", None) is not None for leaf in leaves)
        return Call(leaves, tuple(key), rebuild, spans, [spans[w] for w in wanted], outer)

    def _place(self, w: int | str, args: tuple[Any, ...], keywords: dict[str, Any]) -> int | str:
        """Where a call gives a differentiated argument: a position, or a keyword, perhaps one left to its default."""
        if isinstance(w, int) and w < 0:
            w += len(args)
        if isinstance(w, int):
            if 0 <= w < len(args):
                return w
            name = self.positional[w] if 0 <= w < len(self.positional) else None
        else:
            name = w
        if name is not None and (name in keywords or name in self.defaults):
            return name
        raise ArgumentError(
            f"`{self.name}` is differentiated by {f'`{name}`' if name else f'argument {w}'}, "
            "which the call does not give.",
            user_location(),
            f"pass {name}=..., or choose another argument with argnums"
            if name
            else "pass it, or choose another argument with argnums",
        )

    def _name(self, where: int | str) -> str:
        if isinstance(where, str):
            return where
        return self.positional[where] if where < len(self.positional) else f"args_{where}"

    def _leaf(self, value: Any, name: str, active: bool) -> tuple[Leaf, Any]:
        """A leaf with its role, and its part of the key."""
        kind = type(value)
        if kind is float:
            return Leaf(value, name, "active" if active else "traced"), float
        if kind is int:
            if active:
                return Leaf(float(value), name, "active"), float
            if -INT_RANGE < value < INT_RANGE:
                return Leaf(value, name, "traced"), int
            return Leaf(value, name, "static"), (int, value)
        if kind is np.ndarray or isinstance(value, np.ndarray):
            return self._array_leaf(value, name, active)
        if kind is complex:
            return Leaf(value, name, "active" if active else "traced"), complex
        if isinstance(value, np.generic) and value.dtype.kind in "fiuc" and is_number(value.dtype):
            if active and value.dtype.kind not in "fc":
                value = np.float64(value)
            return Leaf(value, name, "active" if active else "traced"), (value.dtype, None)
        if getattr(value, "recorder", None) is not None:
            if active and value.dtype.kind not in "fc":
                raise self._refused(
                    name, active, f"a traced value of {value.dtype}", "pass a float or an array of floats"
                )
            return Leaf(value, name, "active" if active else "traced"), id(value)
        if active:
            raise self._refused(name, active, *_why_not(value))
        try:
            hash(value)
        except TypeError:
            return Leaf(value, name, "static"), _Identity(value)
        return Leaf(value, name, "static"), _Identity(value) if by_identity(value) else (kind, value)

    def _array_leaf(self, value: Any, name: str, active: bool) -> tuple[Leaf, Any]:
        if type(value) is not np.ndarray:
            if isinstance(value, np.ma.MaskedArray):
                raise self._refused(name, active, "a masked array", f"fill it first, {name}.filled(0.0)")
            if not isinstance(value, np.memmap):  # a subclass may mean something else by its operators
                kind = type(value).__name__
                raise self._refused(name, active, f"a {kind}, not a plain array", f"pass np.asarray({name})")
            value = np.asarray(value)
        if not is_number(value.dtype):
            if (
                not active and value.dtype.kind in "SUMmV" and not value.dtype.hasobject
            ):  # captures guard what is in it
                return Leaf(value, name, "static"), (value.dtype, value.shape)
            do = f"pass {name}.tolist()" if value.dtype.hasobject else "pass an array of float64 or float32"
            raise self._refused(name, active, f"an array of {value.dtype}", do)
        if not value.dtype.isnative:
            value = value.astype(value.dtype.newbyteorder("="))
        if active and value.dtype.kind not in "fc":
            raise self._refused(name, active, f"an array of {value.dtype}", f"pass {name}.astype(float)")
        return Leaf(value, name, "active" if active else "traced"), (value.dtype, value.shape)

    def _refused(self, name: str, active: bool, what: str, do: str) -> ArgumentError:
        return ArgumentError(
            f"argument `{name}` of `{self.name}` is {what}; it cannot be "
            f"{'differentiated' if active else 'traced'}.",
            user_location(),
            do,
        )


def _why_not(value: Any) -> tuple[str, str]:
    """What a value that cannot be differentiated is, and what to do."""
    if value is None:
        return "None", "pass a float or an array of floats"
    if isinstance(value, (bool, np.bool_)):
        return f"{value!r}, a bool", "pass a float, or choose another argument with argnums"
    if isinstance(value, np.generic) and value.dtype.kind in "fc":
        return f"a number of type {value.dtype}", "pass a float64 or a complex128"
    if isinstance(value, (str, bytes)):
        return f"{value!r:.40}, a {type(value).__name__}", "choose another argument with argnums"
    if isinstance(value, Content):
        return f"{value.value.dtype}, no numbers", "leave it out, or choose another argument with argnums"
    if hasattr(value, "to_numpy"):
        return f"a {type(value).__name__}", "pass its values, .to_numpy()"
    if hasattr(value, "__array__"):
        return f"a {type(value).__name__}", "pass it as an array, np.asarray(...)"
    return f"an object of class {type(value).__name__}", "choose another argument with argnums"


def check_complex(call: Call, label: str) -> None:
    """Refuse real arguments where the complex derivative is asked for.

    Raises
    ------
    ArgumentError : an argument that is differentiated is real
    """
    for leaf in call.leaves:
        if leaf.role == "active" and type_of(getattr(leaf.value, "value", leaf.value)).dtype.kind != "c":
            raise ArgumentError(
                f"`{label}(..., holomorphic=True)` differentiates by `{leaf.name}`, which is real.",
                user_location(),
                "pass a complex number, or an array of them",
            )


def by_identity(value: Any) -> bool:
    """Objects that compare by identity anyway, or whose `==` says nothing about what the function reads of them."""
    return not isinstance(
        value, (bool, str, bytes, type(None), complex, np.bool_, frozenset, np.dtype, type, Content)
    )


class _Identity:
    """An object in a key, equal to itself alone; kept alive, so that its address is not used again."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Identity) and other.value is self.value

    def __hash__(self) -> int:
        return id(self.value)


def checked_options(function: Any, jit: Any, memory: Any, label: str) -> int | None:
    """Refuse what no transform can take; returns the option `memory` in bytes.

    Raises
    ------
    ArgumentError : not a function, or one whose calls run later; no such way to compile, no such size
    """
    if not callable(function):
        raise ArgumentError(
            f"`{label}` got {function!r:.60}, which is no function.",
            user_location(),
            f"pass the function itself, `{label}(f)`, and call what comes back",
        )
    for runs_later, kind, do in _RUN_LATER:
        if runs_later(function):
            name = getattr(function, "__name__", type(function).__name__)
            raise ArgumentError(
                f"`{label}` got `{name}`, {kind}: a call runs nothing of it.", user_location(), do
            )
    if jit not in (None, "auto", "native", "python"):
        raise ArgumentError(
            f"`{label}` got jit={jit!r:.60}.", user_location(), 'write jit="auto", "native" or "python"'
        )
    try:
        return number_of_bytes(memory)
    except (TypeError, ValueError) as error:
        said = f"`{label}` got memory={memory!r:.60}: {error}."
        raise ArgumentError(said, user_location(), 'write memory="256MB", or a number of bytes') from error


_RUN_LATER = (
    (
        inspect.iscoroutinefunction,
        "an `async` function",
        "put what is computed into a plain function, and call its derivative where you await",
    ),
    (
        lambda function: inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function),
        "a generator function",
        "return what it yields, as a list or an array",
    ),
)
