"""Random numbers: a draw is an input that is drawn anew at each call, in the order of the run.

In: calls of `np.random`, of generators, of `random`, as the function makes them. Out: values the capture computes with,
and a `Draw` for each call, which says how it is made again (`Redraw`). A program that is left after its draws puts the
generators back to where they were, so that whoever answers the call draws the same numbers. A generator made inside
with a constant seed gives constants. What cannot be made again makes the run not repeatable. Begin with `Draws.call`.

Choosing from values draws their places: `rng.choice(a)` is `a[rng.choice(len(a))]`, bit for bit.
"""

from __future__ import annotations

import random
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tracegrad.errors import LeakError
from tracegrad.ir.trace import Const, Var
from tracegrad.ops.functions import FUNCTIONS
from tracegrad.tensor.reads import GENERATORS, MISSING, Argument, Read, form_of
from tracegrad.tensor.standins import is_traced

_MAKERS = {
    np.random.default_rng, np.random.Generator, np.random.RandomState, np.random.SeedSequence, np.random.PCG64,
    np.random.PCG64DXSM, np.random.MT19937, np.random.Philox, np.random.SFC64, random.Random,
}  # fmt: skip
_GLOBAL: Any = np.random.mtrand._rand
_NUMBERS = (float, int, np.floating, np.integer)
_LARGEST = 2**31  # as for ints that are arguments
_SHUFFLES = {"shuffle", "permutation", "choice", "permuted", "sample", "choices"}
Plain = (float, int, str, bytes, bool, type(None), np.generic, np.dtype, type, range)


@dataclass(frozen=True, slots=True)
class Drawn:
    """An input, or a part of a later draw: what the draw with this number gave; of a list, one item."""

    number: int
    item: int | None = None


@dataclass(frozen=True, slots=True)
class Given:
    """An argument of a draw: an argument leaf of the call (its place), or a read."""

    source: int | Read


@dataclass(frozen=True, slots=True)
class Draw:
    """One call that is made again at each call.

    Attributes
    ----------
    owner : Given, Drawn or object
        The generator; without `name` the callable itself.
    name : str or None
    args, keywords : values, `Given`, `Drawn`, and tuples and lists of them
    form : what it gives: type, dtype and shape; of a list those of its items; None where nothing is computed with it
    """

    owner: Any
    name: str | None
    args: tuple[Any, ...]
    keywords: tuple[tuple[str, Any], ...]
    form: Any


def _form(value: Any) -> Any:
    return [form_of(v) for v in value] if isinstance(value, list) else form_of(value)


def _may_be_large(form: Any) -> bool:
    return any(map(_may_be_large, form)) if isinstance(form, list) else form is not None and form[0] is int


def _is_certain(draw: Draw) -> bool:
    """Whether a draw gives the same form each time: its arguments are constants, and no int may be too large."""
    varies = _varies([*draw.args, *(v for _, v in draw.keywords)])
    return not varies and not _may_be_large(draw.form) and (draw.name is not None or draw.form is None)


def _is_usable(value: Any) -> bool:
    if isinstance(value, list):
        return all(map(_is_usable, value))
    if isinstance(value, int) and not isinstance(value, np.generic):
        return not isinstance(value, bool) and -_LARGEST < value < _LARGEST
    if isinstance(value, np.ndarray):
        return type(value) is np.ndarray and value.dtype.kind in "fiub"
    return isinstance(value, _NUMBERS)


class Redraw:
    """Makes the draws of one path.

    Attributes
    ----------
    needs : list of int or Read
        What `make` asks the values of.
    """

    def __init__(self, draws: Sequence[Draw]) -> None:
        self.draws = draws
        self.needs: list[Any] = []
        for draw in draws:
            self._collect((draw.owner, draw.args, [v for _, v in draw.keywords]))
        self._certain = all(map(_is_certain, draws))
        self._plain: list[tuple[Any, Any, str, tuple[Any, ...], dict[str, Any]]] | None = None
        if self._certain and all(d.name is not None and not isinstance(d.owner, Drawn) for d in draws):
            self._plain = [
                (self._place_of_owner(d.owner), d.owner, str(d.name), d.args, dict(d.keywords)) for d in draws
            ]

    def _place_of_owner(self, owner: Any) -> int | None:
        return self._place(owner.source) if isinstance(owner, Given) else None

    def _collect(self, part: Any) -> None:
        if isinstance(part, Given):
            if self._place(part.source) is None:
                self.needs.append(part.source)
        elif isinstance(part, (list, tuple)):
            for p in part:
                self._collect(p)

    def _place(self, source: Any) -> int | None:
        return next(
            (i for i, s in enumerate(self.needs) if s is source or (type(s) is int and s == source)), None
        )

    def make(self, values: Sequence[Any], save: bool = True) -> tuple[list[Any], list[Any]] | None:
        """The results, and what `put_back` needs; None, with everything put back, where one is of another form.

        Parameters
        ----------
        values : what `needs` asks for
        save : bool
            The draws may have to be taken back.
        """
        results: list[Any] = []
        saved: list[Any] = []
        if self._plain is not None and not save:  # nothing to look up, to check or to take back
            for place, owner, name, args, keywords in self._plain:
                generator = owner if place is None else values[place]
                results.append(getattr(generator, name)(*args, **keywords))
            return results, saved
        try:
            for draw in self.draws:
                owner = self._filled(draw.owner, values, results)
                function = owner if draw.name is None else getattr(owner, draw.name)
                if (save or not self._certain) and not isinstance(draw.owner, Drawn):
                    _save(owner, saved)
                keywords = {k: self._filled(v, values, results) for k, v in draw.keywords}
                result = function(*self._filled(draw.args, values, results), **keywords)
                results.append(result)
                if draw.form is not None and (_form(result) != draw.form or not _is_usable(result)):
                    put_back(saved)
                    return None
        except Exception:  # whoever answers the call instead will raise it, from the user's line
            put_back(saved)
            return None
        return results, saved

    def _filled(self, part: Any, values: Sequence[Any], results: Sequence[Any]) -> Any:
        if isinstance(part, Given):
            place = self._place(part.source)
            assert place is not None
            return values[place]
        if isinstance(part, Drawn):
            return results[part.number] if part.item is None else results[part.number][part.item]
        if type(part) in (list, tuple):
            return type(part)([self._filled(p, values, results) for p in part])
        return part


def _save(owner: Any, saved: list[Any]) -> None:
    """Note the state of a generator, unless it was noted already."""
    if any(known is owner for known, _ in saved):
        return
    if isinstance(owner, np.random.Generator):
        saved.append((owner, owner.bit_generator.state))
    elif isinstance(owner, np.random.RandomState):
        saved.append((owner, owner.get_state(legacy=False)))
    elif isinstance(owner, random.Random):
        saved.append((owner, owner.getstate()))


def put_back(saved: Sequence[Any]) -> None:
    """Generators as they were before the draws."""
    for owner, state in reversed(saved):
        if isinstance(owner, np.random.Generator):
            owner.bit_generator.state = state
        elif isinstance(owner, np.random.RandomState):
            owner.set_state(state)
        else:
            owner.setstate(state)


def drawn_value(drawn: Sequence[Any], source: Drawn) -> Any:
    """The value of an input that was drawn."""
    value = drawn[source.number]
    return value if source.item is None else value[source.item]


class Draws:
    """The draws of one capture.

    Parameters
    ----------
    recording : Recording
    reads : Reads
    array : callable
        The stand-in of `np.array`.
    """

    def __init__(self, recording: Any, reads: Any, array: Callable[[Any], Any]) -> None:
        self.recording, self.reads, self.array = recording, reads, array
        self.draws: list[Draw] = []
        self.values: list[Any] = []
        self.inputs: dict[Any, Drawn] = {}
        self.places: dict[Any, int] = {}  # variables of the arguments -> leaves
        self._made: dict[int, tuple[Any, Drawn | None]] = {}
        self._answers: dict[Any, Any] = {}

    def call(self, function: Any, args: tuple[Any, ...], keywords: Mapping[str, Any]) -> Any:
        """What a call gives if it draws, or makes a generator; `MISSING` for any other."""
        if isinstance(function, (types.MethodType, types.BuiltinMethodType)):
            owner = function.__self__
            if isinstance(owner, GENERATORS):
                return self._of_generator(owner, function.__name__, args, keywords)
        elif isinstance(function, (type, type(np.random.default_rng))) and function in _MAKERS:
            return self._making(function, args, keywords)
        return MISSING

    def remembered(self, function: Any, args: tuple[Any, ...], keywords: Mapping[str, Any]) -> Any:
        """What a function with a memory (`lru_cache`) answers: asked again at each call, once for equal arguments.

        `MISSING` where it cannot be asked again.
        """
        origin = self.reads.path_of(function)
        parts = self._arguments(args, keywords, function.__name__)
        if origin is None or not origin[1] or parts is None:
            return MISSING
        (given, plain), (named, plainly) = parts
        key = (id(function), repr((plain, plainly)))
        if key not in self._answers:
            result = function(*plain, **plainly)
            if not _is_usable(result) or isinstance(result, list):
                self.recording.not_repeatable(
                    f"calls `{function.__name__}`, which remembers a {type(result).__name__}"
                )
                return result
            owner = Given(Read(origin[0], origin[1], "type", type(function)))
            drawn = self._noted(Draw(owner, None, given, tuple(named.items()), _form(result)), result)
            self._answers[key] = self.input(result, drawn)
        return self._answers[key]

    # --- generators

    def _making(self, function: Any, args: tuple[Any, ...], keywords: Mapping[str, Any]) -> Any:
        parts = self._arguments(args, keywords, function.__name__)
        if parts is None:
            return MISSING
        (given, plain), (named, plainly) = parts
        made = function(*plain, **plainly)
        seeds = [*given, *named.values()]
        if seeds and not any(s is None for s in seeds) and not any(map(_varies, seeds)):
            self._made[id(made)] = (made, None)
        else:
            self._made[id(made)] = (
                made,
                self._noted(Draw(function, None, given, tuple(named.items()), None), made),
            )
        return made

    def _origin(self, owner: Any) -> Any:
        """Where a generator is found at a later call; None for a deterministic one, `MISSING` where not known."""
        entry = self._made.get(id(owner))
        if entry is not None and entry[0] is owner:
            return entry[1]
        if owner is _GLOBAL:
            return owner
        origin = self.reads.path_of(owner)
        if origin is None:
            return MISSING
        root, path = origin
        if isinstance(root, Argument) and not path:
            return Given(root.place)
        return Given(Read(root, path, "type", type(owner))) if path else root

    def _of_generator(self, owner: Any, name: str, args: tuple[Any, ...], keywords: Mapping[str, Any]) -> Any:
        origin = self._origin(owner)
        known = isinstance(owner, np.random.Generator) or type(owner) in (
            np.random.RandomState,
            random.Random,
        )
        if origin is MISSING or not known or "out" in keywords or name.startswith("_"):
            return self._refused(name)
        self.recording.structures.fail(f"`{name}` draws a random number, and the next step another")
        if name in _SHUFFLES and args and _is_sequence(args[0]):
            return self._chosen(owner, name, args, keywords)
        return self._drawn(owner, origin, name, args, keywords)

    def _drawn(
        self, owner: Any, origin: Any, name: str, args: tuple[Any, ...], keywords: Mapping[str, Any]
    ) -> Any:
        parts = self._arguments(args, keywords, name)
        if parts is None:
            return self._refused(name)
        (given, plain), (named, plainly) = parts
        result = getattr(owner, name)(*plain, **plainly)
        if origin is None and not any(map(_varies, (*given, *named.values()))):
            return self.array(result) if isinstance(result, np.ndarray) else result
        if origin is None or not (result is None or _is_usable(result)):
            self.recording.not_repeatable(f"calls `{name}`, which may answer differently each time")
            return result
        form = None if result is None else _form(result)
        number = self._noted(Draw(origin, name, given, tuple(named.items()), form), result).number
        if isinstance(result, list):
            return [self.input(v, Drawn(number, k)) for k, v in enumerate(result)]
        return None if result is None else self.input(result, Drawn(number))

    def _refused(self, name: str) -> Any:
        """A draw that cannot be made again: it is made as it stands, and the function runs on the tape."""
        self.recording.not_repeatable(f"calls `{name}`, which may answer differently each time")
        return MISSING

    def adopt(self, draws: Sequence[Draw], values: Sequence[Any], moved: Callable[[Any], Any]) -> int:
        """Take over the draws of a function inside; returns the number of the first one here.

        `moved` gives what an argument or owner of theirs is here; `MISSING` where that is not known.
        """
        first = len(self.draws)
        self.recording.structures.fail("draws random numbers, and the next step others")

        def part(old: Any) -> Any:
            if isinstance(old, Drawn):
                return Drawn(first + old.number, old.item)
            if isinstance(old, Given):
                new = moved(old.source)
                if new is MISSING:
                    self._refused("a derivative with draws")
                return new
            return type(old)(map(part, old)) if type(old) in (list, tuple) else old

        for draw, value in zip(draws, values, strict=True):
            keywords = tuple((k, part(v)) for k, v in draw.keywords)
            self._noted(Draw(part(draw.owner), draw.name, part(draw.args), keywords, draw.form), value)
        return first

    def given(self, value: Any) -> Any:
        """What an argument of a draw, or a generator, of an inner function is here."""
        if isinstance(value, GENERATORS):
            origin = self._origin(value)
            return MISSING if origin is None else origin
        parts = self._argument(value, "a draw")
        return MISSING if parts is None else parts[0]

    def _noted(self, draw: Draw, value: Any) -> Drawn:
        self.draws.append(draw)
        self.values.append(value)
        return Drawn(len(self.draws) - 1)

    def input(self, value: Any, source: Drawn) -> Any:
        """What a draw gave, as an input of the trace."""
        traced = self.recording.input(value, None, type(value) in (float, int))
        self.inputs[traced.atom] = source
        return traced

    # --- choosing from values

    def _chosen(self, owner: Any, name: str, args: tuple[Any, ...], keywords: Mapping[str, Any]) -> Any:
        """`choice`, `permutation`, `shuffle` of values: the places are drawn."""
        values, origin = args[0], self._origin(owner)
        if not is_traced(values):
            values = self.reads.contents(values)
        axis = keywords.get("axis", args[1] if name in ("permutation", "shuffle") and len(args) > 1 else 0)
        if isinstance(owner, random.Random):
            if name != "choice" or is_traced(values):
                return self._refused(name)
            place = self._drawn(owner, origin, name, (range(len(values)),), {})
            return self._item(values, place)
        if type(axis) is not int or name not in ("choice", "permutation", "shuffle"):
            return self._refused(name)
        array = values if is_traced(values) else self.array(values)
        size = array.shape[axis]
        rest = {k: v for k, v in keywords.items() if k != "axis"}
        if name == "choice":
            place = self._drawn(owner, origin, name, (size, *args[1:]), rest)
            if array.dtype.kind not in "fiub":  # names, dates: which ones is guarded
                return np.take(self.recording.array(array), np.asarray(place), axis)
            return FUNCTIONS[np.take](array, place, axis=axis)
        if name == "shuffle" and not is_traced(values):
            return self._refused(name)
        place = self._drawn(owner, origin, "permutation", (size,), {})
        moved = FUNCTIONS[np.take](array, place, axis=axis)
        if name == "permutation":
            return moved
        self.recording.assign(values, Ellipsis, moved)
        return None

    def _item(self, values: Any, place: Any) -> Any:
        return values[place.__index__() if is_traced(place) else place]

    # --- arguments of draws

    def _arguments(self, args: tuple[Any, ...], keywords: Mapping[str, Any], name: str) -> Any:
        """Arguments as a `Draw` keeps them beside their plain values; None where one cannot be made again."""
        kept: list[Any] = []
        plain: list[Any] = []
        for value in (*args, *keywords.values()):
            part = self._argument(value, name)
            if part is None:
                return None
            kept.append(part[0])
            plain.append(part[1])
        count = len(args)
        return (
            (tuple(kept[:count]), plain[:count]),
            (dict(zip(keywords, kept[count:], strict=True)), dict(zip(keywords, plain[count:], strict=True))),
        )

    def _argument(self, value: Any, name: str) -> tuple[Any, Any] | None:
        if is_traced(value):
            return self._traced_argument(self.recording.traced(value), name)
        made = self._made.get(id(value))
        if made is not None and made[0] is value:
            return (_CONSTANT if made[1] is None else made[1]), value
        if isinstance(value, (list, tuple)):
            parts = [self._argument(v, name) for v in self.reads.contents(value)]
            if any(p is None for p in parts):
                return None
            kept, plain = ([p[k] for p in parts if p is not None] for k in (0, 1))
            return type(value)(kept), type(value)(plain)
        if isinstance(value, np.ndarray):
            return value.copy(), value
        return (value, value) if isinstance(value, Plain) else None

    def _traced_argument(self, traced: Any, name: str) -> tuple[Any, Any]:
        if traced.requires_grad:
            raise LeakError(
                f"`{name}` is given a parameter with a derivative, which would be lost in what it draws.",
                self.recording.location(),
                "draw standard numbers and transform them, mu + s * rng.standard_normal(size); or take the parameter "
                "out of the derivative with tracegrad.stop_gradient(x)",
            )
        plain, atom = traced.value, traced.atom
        if isinstance(atom, Const):
            return plain, plain
        if isinstance(atom, Var) and atom in self.inputs:
            return self.inputs[atom], plain
        if atom in self.places:
            return Given(self.places[atom]), plain
        if atom in self.reads.inputs:
            return Given(self.reads.inputs[atom]), plain
        if traced.shape:
            plain = self.recording.array(traced)
            return plain, plain
        plain = self.recording.text(traced)
        return plain, plain


class _Constant:
    """Stands for a generator made inside from constants, as the argument of another."""


_CONSTANT = _Constant()


def _varies(part: Any) -> bool:
    """Whether an argument may be another at the next call."""
    return any(map(_varies, part)) if isinstance(part, (list, tuple)) else isinstance(part, (Given, Drawn))


def _is_sequence(value: Any) -> bool:
    if is_traced(value):
        return bool(value.shape)
    return isinstance(value, (list, tuple, np.ndarray))
