"""The edges of loops, branches and choices in a marked clone.

In: a structure's key, and the local names around it. Out: which arm runs, whether another step does, and the
names as variables of the structure (`record/branches.py`, `record/loops.py`). Begin with `Edges.test`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from tracegrad.ir.trace import Const
from tracegrad.ops.compare import logical_not
from tracegrad.record.edges import UNDEFINED
from tracegrad.record.loops import Structures
from tracegrad.record.marks import Marked
from tracegrad.tensor.reads import MISSING
from tracegrad.tensor.sequences import Items, Later
from tracegrad.tensor.standins import is_traced


class Edges:
    """The part of `Marks` that stands for structure."""

    undefined = UNDEFINED
    marked: Marked | None
    session: Any
    structures: Structures
    number: int
    asked: Callable[[Any], Any]
    iterate: Callable[[Any], Any]
    whole: Callable[[Any], Any]
    compare: Callable[[str, Any, Any], Any]

    def _form(self, key: int) -> Any:
        assert self.marked is not None
        return self.marked.structures[key]

    def test(self, key: int, condition: Any, local: Mapping[str, Any]) -> bool:
        return self.structures.test(self.number + key, self._form(key), condition, local)

    def join(self, key: int, local: Mapping[str, Any]) -> tuple[Any, ...]:
        return self.structures.join(self.number + key, self._form(key), local)

    def enter(self, key: int) -> None:
        self.structures.enter(self.number + key, self._form(key))

    def enter_for(self, key: int, iterated: Any) -> Any:
        """What a `for` runs over: items computed from the counter, where they are known by their number."""
        listed = self.session.sequences.listed(self.whole(iterated))
        items = self.session.sequences.of(listed, self._form(key).pattern)
        if items is None:
            plain = self.iterate(iterated if listed is iterated else listed)
            self.structures.enter(self.number + key, self._form(key))
            return plain
        if type(listed) is Later:
            self._use_up(listed)
        frame = self.structures.enter(self.number + key, self._form(key), items)
        return self._items(self.number + key, items, frame, listed)

    def _use_up(self, iterator: Later) -> None:
        """A loop runs over an iterator, and over those it is made of."""
        self.session.iterators.used(iterator)
        for part in iterator.parts:
            if type(part) is Later:
                self._use_up(part)

    def _items(self, key: int, items: Items, frame: Any, iterated: Any) -> Iterator[Any]:
        try:
            while items.lasts(frame.at):
                yield self.structures.next_item(key, frame.at, items)
                frame.at += 1
        finally:
            if type(iterated) is Later:
                varies = frame.form.stop is not None or is_traced(items.length)
                ended = not items.lasts(frame.at)
                iterated.used(items, frame.at + (not ended), ended, self._used_again if varies else None)

    def _used_again(self) -> None:
        self.structures.recording.not_repeatable("an iterator goes on where a loop has left it")

    def header(self, key: int, local: Mapping[str, Any]) -> tuple[Any, ...]:
        return self.structures.header(self.number + key, self._form(key), local)

    def proceed(self, key: int, condition: Any) -> bool:
        return self.structures.proceed(self.number + key, condition)

    def stopped(self, key: int, flag: Any) -> bool:
        """Whether a loop was left early."""
        return self.structures.stopped(self.number + key, flag)

    def leave(self, key: int, local: Mapping[str, Any]) -> tuple[Any, ...]:
        return self.structures.leave(self.number + key, self._form(key), local)

    # --- lists

    def from_table(self, value: Any, key: Any, depth: int) -> Any:
        """An item of a list of numbers, at a traced index; `MISSING` where the index has to be a plain number."""
        if key.shape or isinstance(key.atom, Const) or not self.structures.is_open():
            return MISSING
        table = self.session.sequences.table(self.whole(value), depth)
        if table is None or not -len(value) <= key.value < len(value):
            return MISSING
        return table.item(key, int(key.value))

    def made(self, value: Any) -> Any:
        """A list or dict that the user's code writes down."""
        return self.session.iterators.made(value)

    # --- choices: what is evaluated in one of two cases --------------------------------------------

    def open(self, key: int, condition: Any) -> bool:
        """The first operand of a choice; returns which of the others is evaluated."""
        return self.structures.open(self.number + key, self._form(key), condition, self.asked(condition))

    def open_compare(self, key: int, operator_name: str, left: Any, right: Any) -> bool:
        """The first comparison of a chain; returns whether the next is evaluated."""
        taken = self.open(key, self.compare(operator_name, left, right))
        opened: Any = self.structures.frames[-1]
        opened.second = right
        return taken

    def second(self, key: int) -> Any:
        """The operand that two comparisons of a chain share."""
        opened: Any = self.structures.top(self.number + key)
        return opened.second

    def close(self, key: int, value: Any) -> Any:
        """The value of the operand that was evaluated."""
        return self.structures.close(self.number + key, value)

    def kept(self, key: int) -> Any:
        """The value of the first operand, since no other was evaluated."""
        return self.structures.kept(self.number + key)

    def negated(self, value: Any) -> Any:
        """`not value`."""
        value = self.asked(value)
        if is_traced(value) and value.size == 1 and not isinstance(value.atom, Const):
            truth = self.structures.truth(value)
            found = logical_not(truth)
            return self.structures.recording.wrap(bool(found.value), found.atom, True)
        return not value

    def stores_outer(self, *names: str) -> None:
        """A function runs that stores names of the function around it: no mark of a structure sees that."""
        self.structures.fail(f"`{names[0]}` is stored by a function inside")

    def names(self) -> dict[str, Any]:
        """What `locals()` says in a clone that has a name of its own for `locals`."""
        return sys._getframe(1).f_locals
