"""The edges of loops, branches and choices in a marked clone.

In: a structure's key, and the local names around it. Out: which arm runs, whether another step does, and the
names as variables of the structure (`record/structure.py`). Begin with `Edges.test`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tracegrad.record.marks import Marked
from tracegrad.record.structure import UNDEFINED, Structures


class Edges:
    """The part of `Marks` that stands for structure."""

    undefined = UNDEFINED
    marked: Marked | None
    structures: Structures
    number: int
    kept_values: dict[int, list[Any]]
    seconds: dict[int, list[Any]]
    asked: Callable[[Any], Any]
    iterate: Callable[[Any], Any]
    compare: Callable[[str, Any, Any], Any]

    def _names(self, key: int) -> tuple[str, ...]:
        assert self.marked is not None
        return self.marked.structures[key].names

    def test(self, key: int, condition: Any, local: Mapping[str, Any]) -> bool:
        return self.structures.test(self.number + key, self._names(key), condition, local)

    def join(self, key: int, local: Mapping[str, Any]) -> tuple[Any, ...]:
        return self.structures.join(self.number + key, self._names(key), local)

    def enter(self, key: int) -> None:
        self.structures.enter(self.number + key, "while")

    def enter_for(self, key: int, iterated: Any) -> Any:
        iterated = self.iterate(iterated)
        self.structures.enter(self.number + key, "for")
        return iterated

    def header(self, key: int, local: Mapping[str, Any]) -> tuple[Any, ...]:
        return self.structures.header(self.number + key, self._names(key), local)

    def proceed(self, key: int, condition: Any) -> bool:
        return self.structures.proceed(self.number + key, condition)

    def stopped(self, key: int, flag: Any) -> bool:
        """Whether a loop was left early."""
        if flag:
            frames = self.structures.frames
            place = max(i for i, frame in enumerate(frames) if frame.key == self.number + key)
            self.structures.fail("it is left early", place)
        return bool(flag)

    def leave(self, key: int, local: Mapping[str, Any]) -> tuple[Any, ...]:
        assert self.marked is not None
        after = self.marked.structures[key].after
        return self.structures.leave(self.number + key, self._names(key), after, local)

    # --- choices: what is evaluated in one of two cases --------------------------------------------

    def open(self, key: int, condition: Any) -> bool:
        """The first operand of a choice; returns which of the others is evaluated."""
        self.kept_values.setdefault(key, []).append(condition)
        return bool(self.asked(condition))

    def open_compare(self, key: int, operator_name: str, left: Any, right: Any) -> bool:
        """The first comparison of a chain; returns whether the next is evaluated."""
        result = self.compare(operator_name, left, right)
        self.seconds.setdefault(key, []).append(right)
        self.kept_values.setdefault(key, []).append(result)
        return bool(self.asked(result))

    def second(self, key: int) -> Any:
        """The operand that two comparisons of a chain share."""
        return self.seconds[key][-1]

    def close(self, key: int, value: Any) -> Any:
        """The value of the operand that was evaluated."""
        self.kept(key)
        return value

    def kept(self, key: int) -> Any:
        """The value of the first operand, since no other was evaluated."""
        if self.seconds.get(key):
            self.seconds[key].pop()
        return self.kept_values[key].pop()

    def negated(self, value: Any) -> Any:
        """`not value`."""
        return not self.asked(value)

    def stores_outer(self, *names: str) -> None:
        """A function runs that stores names of the function around it: no mark of a structure sees that."""
        self.structures.fail(f"`{names[0]}` is stored by a function inside")
