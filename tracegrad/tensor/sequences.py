"""What a `for` runs over, with its items known by their number: ranges, arrays, lists of numbers, and zip,
enumerate, reversed of such.

In: the value after `in`. Out: `Items`, whose item is computed from the traced counter, so that every iteration
records the same steps; or None for anything else, which Python iterates over. Begin with `Sequences.of`.
"""

from __future__ import annotations

import itertools
import operator
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from tracegrad.ir.trace import Var
from tracegrad.ir.types import WEAK
from tracegrad.ops.functions import FUNCTIONS
from tracegrad.record.certificate import Pattern, depth_of
from tracegrad.record.edges import Shape, is_in, put_together, taken_apart
from tracegrad.tensor.standins import is_traced

LARGE = 64  # arrays with more items than this, in a list, are not copied into one array
LATER = {zip: {"strict"}, enumerate: {"start"}, reversed: set(), range: set()}  # with the keywords they know
_LISTED = (
    itertools.product,
    itertools.combinations,
    itertools.permutations,
    itertools.combinations_with_replacement,
)


class Items:
    """Items by their number.

    Attributes
    ----------
    count : how many there are
    length : the same, traced where it is computed
    """

    count: int
    length: Any

    def item(self, counter: Any, number: int) -> Any:
        """The item with this number, as a function of the traced counter."""
        raise NotImplementedError

    def plain(self, number: int) -> Any:
        """The item as Python would have it, for a loop that is not one."""
        raise NotImplementedError

    def lasts(self, number: int) -> bool:
        """Whether there is an item with this number: a list may have grown in a loop that is none."""
        return number < self.count

    def is_over(self, value: Any) -> bool:
        """Whether a list or dict is what items come from, or inside of that."""
        return False


class Counted(Items):
    """`range(...)`."""

    def __init__(self, numbers: range, start: Any, length: Any) -> None:
        self.numbers, self.start = numbers, start
        self.count, self.length = len(numbers), length

    def item(self, counter: Any, number: int) -> Any:
        if self.numbers.step != 1:
            counter = counter * self.numbers.step
        return counter if type(self.start) is int and self.start == 0 else counter + self.start

    def plain(self, number: int) -> Any:
        return self.numbers[number]


class Rows(Items):
    """The items of an array."""

    def __init__(self, array: Any) -> None:
        self.array = array
        self.count = self.length = array.shape[0]

    def item(self, counter: Any, number: int) -> Any:
        return self.array[counter]

    def plain(self, number: int) -> Any:
        return self.array[number]


class Stacked(Rows):
    """The items of a list that a loop appended to."""

    def __init__(self, recording: Any, items: Sequence[Any]) -> None:
        super().__init__(recording.as_array(items))
        self.recording, self.items = recording, items

    def item(self, counter: Any, number: int) -> Any:
        found = super().item(counter, number)
        self.recording.structures.lies_in(found.atom, None)
        return self.recording.renamed(self.items[number], found.atom) if found.shape else found

    def plain(self, number: int) -> Any:
        return self.items[number]

    def lasts(self, number: int) -> bool:
        return number < len(self.items)

    def is_over(self, value: Any) -> bool:
        return value is self.items


class Table(Items):
    """A list or tuple of numbers and small arrays, or of tuples of such: each leaf a row of a table.

    An item that is a list, or holds one, is made anew where it is read. That is another list than the user's, so a
    table serves only who takes such items apart at once: `depth` says how many levels.
    """

    def __init__(self, recording: Any, items: Sequence[Any], shape: Shape, columns: dict[str, Any]) -> None:
        self.recording, self.items, self.shape, self.columns = recording, items, shape, columns
        self.count = self.length = len(items)
        self.depth = _levels(shape)
        self._stood_for = [self._atoms(k) for k in range(len(items))]

    def _atoms(self, number: int) -> dict[str, Any]:
        """What the arrays of an item stand for."""
        leaves: dict[str, Any] = {}
        taken_apart(self.items[number], "item", leaves, _always)
        return {label: leaf.atom for label, leaf in leaves.items() if is_traced(leaf) and leaf.shape}

    def item(self, counter: Any, number: int) -> Any:
        leaves: dict[str, Any] = {}
        taken_apart(self.items[number], "item", leaves, _always)
        own = {}
        stood_for = self._stood_for[number]
        for label, leaf in leaves.items():
            if label in stood_for and leaf.atom is not stood_for[label]:
                own[label] = self.recording.renamed(leaf, leaf.atom)  # the loop may have written it since
                continue
            found = self.columns[label][counter]
            weak = bool(leaf.weak) if is_traced(leaf) else type(leaf) in WEAK
            if label in stood_for:
                self.recording.structures.lies_in(found.atom, None)
                own[label] = self.recording.renamed(leaf, found.atom)  # written, it is written in the list
                continue
            value = leaf.value if is_traced(leaf) else leaf
            own[label] = self.recording.wrap(value, found.atom, weak, found.requires_grad)
        item = self.items[number]
        return put_together(
            list(item) if type(item) is list else dict(item) if type(item) is dict else item,
            "item",
            self.shape,
            own,
        )

    def plain(self, number: int) -> Any:
        return self.items[number]

    def lasts(self, number: int) -> bool:
        return number < len(self.items)

    def is_over(self, value: Any) -> bool:
        return is_in(value, self.items)


class Zipped(Items):
    """`zip(...)`."""

    def __init__(self, parts: Sequence[Items], length: Any) -> None:
        self.parts = parts
        self.count, self.length = min(p.count for p in parts), length

    def item(self, counter: Any, number: int) -> Any:
        return tuple(p.item(counter, number) for p in self.parts)

    def plain(self, number: int) -> Any:
        return tuple(p.plain(number) for p in self.parts)

    def lasts(self, number: int) -> bool:
        return all(part.lasts(number) for part in self.parts)

    def is_over(self, value: Any) -> bool:
        return any(part.is_over(value) for part in self.parts)


class Numbered(Items):
    """`enumerate(...)`."""

    def __init__(self, part: Items, start: Any) -> None:
        self.part, self.start = part, start
        self.count, self.length = part.count, part.length

    def item(self, counter: Any, number: int) -> Any:
        at_zero = type(self.start) is int and self.start == 0
        return (counter if at_zero else counter + self.start), self.part.item(counter, number)

    def plain(self, number: int) -> Any:
        start = self.start.value if is_traced(self.start) else self.start
        return number + start, self.part.plain(number)

    def lasts(self, number: int) -> bool:
        return self.part.lasts(number)

    def is_over(self, value: Any) -> bool:
        return self.part.is_over(value)


class Backwards(Items):
    """`reversed(...)`."""

    def __init__(self, part: Items) -> None:
        self.part = part
        self.count, self.length = part.count, part.length

    def item(self, counter: Any, number: int) -> Any:
        last = self.length - 1
        return self.part.item(last - counter, self.count - 1 - number)

    def plain(self, number: int) -> Any:
        return self.part.plain(self.count - 1 - number)

    def is_over(self, value: Any) -> bool:
        return self.part.is_over(value)


class Later:
    """`zip(...)` and its kind until somebody iterates over it: a loop asks for its parts, anybody else gets
    Python's own, without the items that a loop has used up.
    """

    def __init__(
        self, function: Callable[..., Any], parts: tuple[Any, ...], keywords: dict[str, Any]
    ) -> None:
        self.function, self.parts, self.keywords = function, parts, keywords
        self._iterator: Iterator[Any] | None = None
        self._gone = 0
        self._unsure: Callable[[], None] | None = None
        self.begun = False  # whether items of it may be gone

    def used(self, items: Items, number: int, ended: bool, unsure: Callable[[], None] | None) -> None:
        """A loop has used up so many items.

        Parameters
        ----------
        items : Items
            What it ran over.
        number : int
        ended : whether it asked for one more
        unsure : callable or None
            Called when the others are asked for, if it may be another number in another run.
        """
        self.begun, self._gone, self._unsure = True, number, unsure
        within = (
            items.parts if isinstance(items, Zipped) else [items.part] if isinstance(items, Numbered) else []
        )
        for k, (part, its_items) in enumerate(zip(self.parts, within, strict=False)):
            if type(part) is Later:
                # `zip` asks its parts in order, and stops at the first that has no more.
                asked = ended and all(p.count > number for p in within[:k])
                more = asked and its_items.count > number
                part.used(its_items, number + more, asked and not more, unsure)

    def __iter__(self) -> Iterator[Any]:
        if self._unsure is not None:
            self._unsure()
        if self._iterator is None:
            self.begun = True
            keywords = {n: _iterable(v) for n, v in self.keywords.items()}
            whole = self.function(*map(_iterable, self.parts), **keywords)
            self._iterator = itertools.islice(whole, self._gone, None) if self._gone else iter(whole)
        return self._iterator

    def __next__(self) -> Any:
        return next(iter(self))


class TracedRange:
    """`range(...)` of traced numbers; whatever asks more of it than a loop gets the plain one, with guards."""

    def __init__(self, start: Any, stop: Any, step: Any) -> None:
        self.start, self.stop, self.step = start, stop, step

    def plain(self) -> range:
        """The plain range: its ends are guarded by their values."""
        return range(*(v.__index__() if is_traced(v) else v for v in (self.start, self.stop, self.step)))

    def __iter__(self) -> Iterator[int]:
        return iter(self.plain())

    def __reversed__(self) -> Iterator[int]:
        return reversed(self.plain())

    def __len__(self) -> int:
        return len(self.plain())

    def __contains__(self, value: Any) -> bool:
        return value in self.plain()

    def __getitem__(self, key: Any) -> Any:
        return self.plain()[key]


class Sequences:
    """The items of what the loops of one capture run over.

    Parameters
    ----------
    recording : Recording
    """

    def __init__(self, recording: Any) -> None:
        self.recording = recording
        self._tables: dict[int, tuple[Any, list[Any], list[Any] | None, Items | None]] = {}

    def of(self, value: Any, pattern: Pattern) -> Items | None:
        """The items of a value by their number, for a loop whose target takes them apart so; or None."""
        kind = type(value)
        if kind is range:
            return Counted(value, value.start, len(value))
        if kind is TracedRange:
            return self._range(value)
        if is_traced(value):
            return Rows(value) if value.ndim else None
        if kind in (list, tuple):
            return self.table(value, depth_of(pattern))
        if kind is Later and not value.begun:
            return self._later(value, pattern)
        return None

    def later(self, function: Callable[..., Any], args: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        """`zip(...)`, `enumerate(...)`, `reversed(...)`, `range(...)` in a clone, with keywords that they know."""
        if function is range:
            if not any(is_traced(a) and isinstance(a.atom, Var) for a in args):
                return range(*(a.__index__() if is_traced(a) else a for a in args))
            range(*(a.value if is_traced(a) else a for a in args))  # Python refuses what is no whole number
            start, stop, step = (0, args[0], 1) if len(args) == 1 else (*args, 1)[:3]
            return TracedRange(start, stop, step.__index__() if is_traced(step) else step)
        if function is reversed and isinstance(args[0], Later):
            return reversed(args[0].function())  # an error, as Python words it
        return Later(function, args, keywords)

    def table(self, value: Any, depth: int) -> Items | None:
        """The table of a list that is read at a traced index, and its items to this depth: made outside the loops
        that read it.
        """
        made = self._known_table(value)
        return None if isinstance(made, Table) and made.depth > depth else made

    def _known_table(self, value: Any) -> Items | None:
        if value and hasattr(value[-1], "item_of") and _are_alike(value):
            return Stacked(self.recording, value)
        known = self._tables.get(id(value))
        if known is not None and known[0] is value and len(known[1]) == len(value):
            same = all(map(operator.is_, known[1], value)) and (
                known[2] is None or _alike(known[2], _leaves(value))
            )
            if same and (known[3] is None or self._is_there(known[3])):
                return known[3]
        with self.recording.structures.outside(value):
            made = self._table(value)
        changing = any(not _is_number(item) for item in value)
        self._tables[id(value)] = (value, list(value), _leaves(value) if changing else None, made)
        return made

    def _is_there(self, table: Any) -> bool:
        return all(self.recording.structures.is_visible(c.atom) for c in table.columns.values())

    def listed(self, value: Any) -> Any:
        """An iterator of itertools' over known items as the list of them; anything else as it is."""
        return list(value) if isinstance(value, _LISTED) else value

    def _range(self, value: TracedRange) -> Items | None:
        numbers = range(*(v.value if is_traced(v) else v for v in (value.start, value.stop, value.step)))
        start, stop, step = value.start, value.stop, value.step
        if step == 0 or any(is_traced(v) and (v.shape or v.dtype.kind not in "iu") for v in (start, stop)):
            return None
        at_zero = type(start) is int and start == 0
        length = stop if at_zero else stop - start
        if step < 0:
            length = -length
        if abs(step) != 1:
            length = (length + (abs(step) - 1)) // abs(step)
        if is_traced(length) and isinstance(length.atom, Var):
            length = FUNCTIONS[np.maximum](length, 0)
        else:
            length = len(numbers)
        return Counted(numbers, start, length)

    def _later(self, value: Later, pattern: Pattern) -> Items | None:
        function, parts = value.function, value.parts
        if function is enumerate:
            within = pattern[1] if len(pattern) == 2 else ()
            part = self.of(parts[0], within) if len(parts) + len(value.keywords) <= 2 else None
            start = parts[1] if len(parts) > 1 else value.keywords.get("start", 0)
            return None if part is None else Numbered(part, start)
        patterns = [pattern] if function is reversed else pattern
        if len(patterns) != len(parts):
            patterns = [()] * len(parts)
        found = [self.of(part, within) for part, within in zip(parts, patterns, strict=True)]
        known = [part for part in found if part is not None]
        if not known or len(known) < len(found):
            return None
        if function is reversed:
            return Backwards(known[0])
        length: Any = min(p.count for p in known)
        if value.keywords.get("strict") and any(is_traced(p.length) or p.count != length for p in known):
            return None  # Python's own says which is the shorter
        if any(is_traced(p.length) for p in known):
            length = known[0].length
            for part in known[1:]:
                length = FUNCTIONS[np.minimum](length, part.length)
        return Zipped(known, length)

    def _table(self, items: Sequence[Any]) -> Items | None:
        """A table of items that are alike; None where one is another kind of thing."""
        if not items:
            return None
        rows: list[dict[str, Any]] = []
        shapes: list[Shape] = []
        for item in items:
            leaves: dict[str, Any] = {}
            shapes.append(taken_apart(item, "item", leaves, _always))
            rows.append(leaves)
        first = rows[0]
        kinds = {label: self._kind(leaf) for label, leaf in first.items()}
        if None in kinds.values() or any(shape != shapes[0] for shape in shapes):
            return None
        for row in rows[1:]:
            if any(self._kind(row[label]) != kind for label, kind in kinds.items()):
                return None
        columns = {label: self._column([row[label] for row in rows]) for label in first}
        return Table(self.recording, items, shapes[0], columns)

    def _kind(self, leaf: Any) -> Any:
        """Type and weakness of a leaf; None if it cannot stand in a table."""
        if isinstance(leaf, (bool, np.bool_)) or (isinstance(leaf, int) and not -(2**63) <= leaf < 2**63):
            return None
        traced = self.recording.number_as_traced(leaf)
        if traced is None or traced.atom.type.size > LARGE:
            return None
        return traced.atom.type, bool(traced.weak)

    def _column(self, leaves: Sequence[Any]) -> Any:
        found = self.recording.as_array(list(leaves))
        if not is_traced(found):
            return self.recording.wrap(found, self.recording.constant(found))
        return found


def _levels(shape: Shape) -> int:
    """How many lists or dicts are inside each other, at most."""
    if shape is None:
        return 0
    kind, _, shapes = shape
    return (kind in (list, dict)) + max(map(_levels, shapes), default=0)


def _is_number(item: Any) -> bool:
    return not item.shape if is_traced(item) else isinstance(item, (float, int, complex, np.generic))


def _are_alike(items: Sequence[Any]) -> bool:
    """Whether these are numbers, or arrays, of one shape."""
    shape = items[-1].shape
    return all(
        item.shape == shape
        if is_traced(item) or isinstance(item, np.ndarray)
        else not shape and _is_number(item)
        for item in items
    )


def _leaves(value: Any) -> list[Any]:
    """The numbers in a list, and what its arrays stand for: another variable once they were written."""
    leaves: dict[str, Any] = {}
    taken_apart(value, "item", leaves, _always)
    return [
        leaf.atom if is_traced(leaf) and not hasattr(leaf, "item_of") else leaf for leaf in leaves.values()
    ]


def _alike(one: list[Any], other: list[Any]) -> bool:
    return len(one) == len(other) and all(map(operator.is_, one, other))


def _always(value: Any) -> bool:
    return True


def _iterable(value: Any) -> Any:
    """A part of `zip(...)` as Python's `zip` takes it."""
    return value.__index__() if is_traced(value) and not value.shape else value
