"""Random numbers: a draw is an input that is drawn anew at each call, in the order of the run.

In: calls of `np.random`, of generators, of `random`, as the function makes them, and of clocks. Out: values the capture
computes with, and a `Draw` for each call, which says how it is made again (`redraw.py`). A generator made inside with a
constant seed gives constants. What cannot be made again makes the run not repeatable. Begin with `Draws.call`.

Choosing from values draws their places: `rng.choice(a)` is `a[rng.choice(len(a))]`, bit for bit.
"""

from __future__ import annotations

import random
import time
import types
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tracegrad.errors import LeakError
from tracegrad.ir.trace import Const, Var
from tracegrad.ir.types import is_number
from tracegrad.ops.functions import FUNCTIONS
from tracegrad.tensor.outside import GENERATORS
from tracegrad.tensor.reads import MISSING, Argument, Read
from tracegrad.tensor.redraw import Draw, Drawn, Given, form_drawn, is_usable, varies
from tracegrad.tensor.standins import is_traced

_MAKERS = {
    np.random.default_rng, np.random.Generator, np.random.RandomState, np.random.SeedSequence, np.random.PCG64,
    np.random.PCG64DXSM, np.random.MT19937, np.random.Philox, np.random.SFC64, random.Random,
}  # fmt: skip
_CLOCKS = {"time", "perf_counter", "monotonic", "process_time", "thread_time"}
_GLOBAL: Any = np.random.mtrand._rand
_SHUFFLES = {"shuffle", "permutation", "choice", "permuted", "sample", "choices"}
Plain = (float, int, str, bytes, bool, type(None), np.generic, np.dtype, type, range)


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
            if owner is time and function.__name__ in _CLOCKS:
                self.recording.structures.fail(f"`{function.__name__}` asks a clock, and the next step later")
                return self._drawn(time, time, function.__name__, args, keywords)
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
            if not is_usable(result) or isinstance(result, list):
                self.recording.not_repeatable(
                    f"calls `{function.__name__}`, which remembers a {type(result).__name__}"
                )
                return result
            owner = Given(Read(origin[0], origin[1], "type", type(function)))
            drawn = self._noted(Draw(owner, None, given, tuple(named.items()), form_drawn(result)), result)
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
        if seeds and not any(s is None for s in seeds) and not any(map(varies, seeds)):
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
        if origin is None and not any(map(varies, (*given, *named.values()))):
            return self.array(result) if isinstance(result, np.ndarray) else result
        if origin is None or not (result is None or is_usable(result)):
            self.recording.not_repeatable(f"calls `{name}`, which may answer differently each time")
            return result
        form = None if result is None else form_drawn(result)
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
        traced = self.recording.input(value, None, type(value) in (float, int, complex))
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
            if not is_number(array.dtype):  # names, dates: which ones is guarded
                names = self.recording.array(array) if is_traced(array) else array
                return np.take(names, np.asarray(place), axis)
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


def _is_sequence(value: Any) -> bool:
    if is_traced(value):
        return bool(value.shape)
    return isinstance(value, (list, tuple, np.ndarray))
