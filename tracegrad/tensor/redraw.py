"""Random numbers of a known path: each draw as data, and made again at each call, in the order of the run.

`draws.py` notes them in a capture. A program that is left after its draws puts the generators back to where they
were, so that whoever answers the call draws the same numbers. Begin with `Redraw.make`.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tracegrad.ir.types import is_number
from tracegrad.tensor.reads import Read, form_of

_NUMBERS = (float, int, complex, np.inexact, np.integer)


_LARGEST = 2**31  # as for ints that are arguments


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


def form_drawn(value: Any) -> Any:
    return [form_of(v) for v in value] if isinstance(value, list) else form_of(value)


def _may_be_large(form: Any) -> bool:
    return any(map(_may_be_large, form)) if isinstance(form, list) else form is not None and form[0] is int


def _is_certain(draw: Draw) -> bool:
    """Whether a draw gives the same form each time: its arguments are constants, and no int may be too large."""
    constant = not varies([*draw.args, *(v for _, v in draw.keywords)])
    return constant and not _may_be_large(draw.form) and (draw.name is not None or draw.form is None)


def is_usable(value: Any) -> bool:
    if isinstance(value, list):
        return all(map(is_usable, value))
    if isinstance(value, int) and not isinstance(value, np.generic):
        return not isinstance(value, bool) and -_LARGEST < value < _LARGEST
    if isinstance(value, np.ndarray):
        return type(value) is np.ndarray and is_number(value.dtype)
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
                if draw.form is not None and (form_drawn(result) != draw.form or not is_usable(result)):
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


def varies(part: Any) -> bool:
    """Whether an argument may be another at the next call."""
    return any(map(varies, part)) if isinstance(part, (list, tuple)) else isinstance(part, (Given, Drawn))
