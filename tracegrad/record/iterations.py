"""What an open loop or branch has recorded so far, and whether an iteration of a loop is the first one over
again.

In: steps, as they were recorded. Out: one iteration that stands for all, or `Mismatch`; and, for a
structure that fails, its steps one after the other (`flushed`). Begin with `LoopFrame` and `matched`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from tracegrad.errors import Mismatch
from tracegrad.ir.arms import Known, only_known
from tracegrad.ir.close import free_variables, renewed, substituted
from tracegrad.ir.location import Location
from tracegrad.ir.trace import Atom, Const, Guard, Step, Var
from tracegrad.ir.types import array_type
from tracegrad.ir.unify import same_atom, unify
from tracegrad.ops.index import zeros
from tracegrad.record.edges import Shape, root_of
from tracegrad.record.pins import Reach
from tracegrad.record.roots import Left, Place

TAIL = 2  # items at the end of a list that grows which the next iteration may read


@dataclass(slots=True)
class Straight:
    """A structure that is not one: its condition is no traced value, or it failed. Steps go where they
    always go.
    """

    key: int
    kept: Any = None
    second: Any = None


@dataclass(slots=True)
class BranchFrame:
    """An open branch. `before`: what its names held; `owners`: the atoms of arrays it may write, by memory."""

    key: int
    form: Any
    condition: Atom
    taken: bool
    outer: list[Step]
    before: dict[str, Any]
    owners: dict[int, Atom]
    seen: tuple[Any, ...] | None
    location: Location | None
    kept: Any = None
    second: Any = None

    def flushed(self, alias: dict[Var, Atom]) -> list[Step]:
        return [Guard(self.condition, self.taken, self.location)]

    def given_up(self) -> Straight:
        return Straight(self.key, self.kept, self.second)


@dataclass(slots=True)
class Iteration:
    """One run of a loop's body: header variables, which parts of written arrays they show, the memory they may be in,
    the condition's steps, the body's, what the next iteration gets, and the items appended to lists.
    """

    header: dict[str, Var]
    counter: Var
    parts: dict[str, Any] = field(default_factory=dict)
    memory: dict[str, Reach | None] = field(default_factory=dict)
    test: list[Step] = field(default_factory=list)
    condition: Atom | None = None
    steps: list[Step] = field(default_factory=list)
    next: dict[str, Atom] = field(default_factory=dict)
    pushed: dict[str, Atom] = field(default_factory=dict)
    stop: Atom | None = None
    sharing: tuple[int, ...] = ()
    _made: set[Var] | None = None

    def made(self) -> set[Var]:
        """The variables of its steps, asked for when it is complete."""
        if self._made is None:
            self._made = {v for s in (*self.test, *self.steps) for v in s.outputs}
        return self._made

    def results(self) -> list[Atom]:
        """What it hands on and leaves behind."""
        return [*self.next.values(), *self.pushed.values()]

    def outside(self) -> list[Var]:
        """The variables it reads that were made outside the loop, in order of their first reading."""
        outputs = [a for a in (self.condition, self.stop, *self.results()) if a is not None]
        return free_variables([*self.test, *self.steps], outputs, [self.counter, *self.header.values()])

    def straight(self, location: Location | None) -> list[Step]:
        guard = [] if self.condition is None else [Guard(self.condition, True, location)]
        return [*self.test, *guard, *self.steps]


@dataclass(slots=True)
class Grown:
    """A list that each iteration appends to.

    Attributes
    ----------
    items : the list; before the loop it had `length` items
    shapes : the shapes of the items that an iteration appends
    leaves : for each iteration so far, the traced leaves of its items by label
    shown : items at the end that stand for header variables now, with their places and what belongs there
    memory : owners of the arrays among its items
    """

    name: str
    items: list[Any]
    length: int
    seen: int
    shapes: tuple[Shape, ...] | None = None
    leaves: list[dict[str, Any]] = field(default_factory=list)
    shown: list[tuple[int, Any]] = field(default_factory=list)
    pending: dict[str, Any] = field(default_factory=dict)
    memory: set[int] = field(default_factory=set)

    def tail(self) -> list[tuple[str, Any]]:
        """The last items, with their labels."""
        there = min(TAIL, self.length, len(self.items))
        return [(f"{self.name}[-{j + 1}]", self.items[-1 - j]) for j in range(there)]

    def push(self) -> None:
        """The items of the iteration that is over are settled."""
        self.leaves.append(self.pending)
        self.pending = {}
        self.seen = len(self.items)


@dataclass(slots=True)
class LoopFrame:
    """An open loop.

    Attributes
    ----------
    init, still : what the leaves of its names held at entry: atoms, and what is no number
    shapes, objects : shape of what each name holds, and what that was at entry
    alike : whether an arm that one iteration took is what any other would do there
    known : the arms that each iteration took; None of one that was computed and not recorded
    values, around, watches : what an iteration reads from outside; the same for the loop around it; whether this is
        being written down
    at, item : number and item of the iteration that a `for` begins
    owners : atoms of arrays it may write, by memory
    places, left : whose memory the arrays may be that the last iteration hands on, and those under one name, by label
    items : what a `for` runs over, when its length and its items are known by their number
    count, offset : iterations recorded as one, and iterations peeled off before
    """

    key: int
    form: Any
    outer: list[Step]
    location: Location | None
    items: Any = None
    alike: bool = True
    seen: tuple[Any, ...] = ()
    begun: bool = False
    init: dict[str, Atom] = field(default_factory=dict)
    still: dict[str, Any] = field(default_factory=dict)
    shapes: dict[str, Shape] = field(default_factory=dict)
    objects: dict[str, Any] = field(default_factory=dict)
    owners: dict[int, Atom] = field(default_factory=dict)
    grown: dict[str, Grown] = field(default_factory=dict)
    places: dict[str, set[Place]] = field(default_factory=dict)
    left: dict[str, Left] = field(default_factory=dict)
    first: Iteration | None = None
    last: Iteration | None = None
    known: list[Known | None] = field(default_factory=list)
    at: int = 0
    item: Any = None
    values: dict[Var, Any] | None = None
    around: dict[Var, Any] | None = None
    watches: bool = False
    skipped: bool = False
    shows: bool = False
    next_try: int = 0
    wait: int = 1
    current: Iteration | None = None
    pending: Iteration | None = None
    broke: bool = False
    count: int = 0
    offset: int = 0

    def given_up(self) -> Straight:
        return Straight(self.key)

    @property
    def done(self) -> int:
        """Iterations that are over."""
        return self.offset + self.count

    def flushed(self, alias: dict[Var, Atom]) -> list[Step]:
        """The iterations so far, one after the other."""
        out: list[Step] = []
        values = dict(self.init)
        for i in range(self.count):
            one = self.last if i == self.count - 1 else self.first
            assert one is not None and self.first is not None
            number: Atom = Const(np.int64(self.offset + i))
            if i == self.count - 1:
                alias.update((one.header[n], values[n]) for n in one.header)
                alias[one.counter] = number
                out.extend(only_known(one.straight(self.location), self.known[i]))
                if one.stop is not None and self.current is None and self.broke:
                    out.append(Guard(one.stop, True, self.location))
                elif one.stop is not None:
                    out.append(Guard(one.stop, False, self.location))
                values, pushed = one.next, one.pushed
            else:
                names: dict[Var, Atom] = {one.header[n]: values[n] for n in one.header}
                names[one.counter] = number
                steps = only_known(one.straight(self.location), self.known[i])
                copies, names = renewed(steps, names)
                out.extend(copies)
                if one.stop is not None:
                    out.append(Guard(substituted(one.stop, names), False, self.location))
                values = {n: substituted(a, names) for n, a in one.next.items()}
                pushed = {n: substituted(a, names) for n, a in one.pushed.items()}
            for grown in self.grown.values():
                for label, leaf in grown.leaves[i].items():
                    leaf.atom = pushed[label]
        if self.current is not None:
            # Its body is the block being recorded: the caller adds that.
            alias.update((v, values[n]) for n, v in self.current.header.items())
            alias[self.current.counter] = Const(np.int64(self.done))
            out.extend(replace(self.current, steps=[]).straight(self.location))
        if self.pending is not None:
            alias[self.pending.counter] = Const(np.int64(self.done + (self.current is not None)))
        return out


Frame = Straight | BranchFrame | LoopFrame


def match_test(
    first: Iteration, one: Iteration, frame: LoopFrame, outside: Mapping[Var, Atom] | None = None
) -> tuple[list[Step], dict[Var, Atom]]:
    if any(
        v in made for v in one.outside() for made in (first.made(), frame.last.made() if frame.last else ())
    ):
        raise Mismatch("a value of the step before is used that is not handed on by a name")
    names: dict[Var, Atom] = {**(outside or {}), one.counter: first.counter}
    for n, v in one.header.items():
        if n in first.header and first.header[n].type != v.type:
            raise Mismatch(f"`{n}` changes its shape or dtype")
        names[v] = first.header.setdefault(n, v)
    test = unify(first.test, one.test, names, zeros, frame.alike)
    if (first.condition is None) != (one.condition is None) or (
        first.condition is not None
        and one.condition is not None
        and not same_atom(first.condition, one.condition, names)
    ):
        raise Mismatch("the condition asks something else")
    return test, names


def matched(frame: LoopFrame, one: Iteration, outside: Mapping[Var, Atom] | None = None) -> Iteration:
    """The first iteration, grown by what this one did for the first time.

    Parameters
    ----------
    frame : LoopFrame
    one : Iteration
    outside : dict of Var to Atom, optional
        What the first one calls the variables that this one reads from outside, where it calls them otherwise.

    Raises
    ------
    Mismatch : they do different things
    """
    first = frame.first
    assert first is not None
    if first.sharing != one.sharing:
        raise Mismatch("names hold one array that held two, and one is written")
    test, names = match_test(first, one, frame, outside)
    steps = unify(first.steps, one.steps, names, zeros, frame.alike)
    after = dict(first.next)
    for n, a in first.next.items():
        if n not in one.next:
            raise Mismatch(f"`{n}` is undefined")
        if not same_atom(a, one.next[n], names):
            raise Mismatch(f"`{n}` gets another value")
    for n, a in one.next.items():
        if n not in first.next:
            # Bound for the first time in this iteration: undefined, and not read, after those before.
            if n in first.header or any(root_of(n) == root_of(m) for m in first.next):
                raise Mismatch(f"`{n}` holds something else")
            after[n] = substituted(a, names)
    if first.pushed.keys() != one.pushed.keys():
        raise Mismatch("another number of items is appended")
    for n, a in first.pushed.items():
        if not same_atom(a, one.pushed[n], names):
            raise Mismatch(f"`{n}` gets another item")
    if (first.stop is None) != (one.stop is None) or (
        first.stop is not None and one.stop is not None and not same_atom(first.stop, one.stop, names)
    ):
        raise Mismatch("it is left for another reason")
    if all(a is b for a, b in zip((*test, *steps), (*first.test, *first.steps), strict=True)):
        return first
    return replace(first, test=test, steps=steps, next=after, _made=None)


def promoted(frame: LoopFrame, one: Iteration) -> Iteration | None:
    """The second iteration in place of the first, where a sum started from the integer 0 and became a
    float.
    """
    first = frame.first
    assert first is not None
    changed = [n for n, v in one.header.items() if n in first.header and v.type != first.header[n].type]
    if frame.count != 1 or not changed or not all(_whole(frame.init[n], one.header[n]) for n in changed):
        return None
    if first.pushed or one.header.keys() != first.header.keys():
        return None
    made = {v for s in (*first.test, *first.steps) for v in s.outputs}
    if made.intersection(free_variables([*one.test, *one.steps], one.results())):
        return None
    names: dict[Var, Atom] = {v: one.header[n] for n, v in first.header.items()}
    names[first.counter] = one.counter
    try:
        test = unify(one.test, first.test, names, zeros, frame.alike)
        steps = unify(one.steps, first.steps, names, zeros, frame.alike)
    except Mismatch:
        return None
    if one.next.keys() != first.next.keys():
        return None
    if any(not same_atom(a, first.next[n], names) for n, a in one.next.items()):
        return None
    if one.condition is not None and not same_atom(one.condition, first.condition or one.condition, names):
        return None
    if one.stop is not None and not same_atom(one.stop, first.stop or one.stop, names):
        return None
    for n in changed:
        start = frame.init[n]
        assert isinstance(start, Const)
        frame.init[n] = Const(float(start.value))
    return replace(one, test=test, steps=steps, memory=first.memory, _made=None)


def _whole(atom: Atom, variable: Var) -> bool:
    """Whether this is a Python integer that the float variable could have started from."""
    return isinstance(atom, Const) and type(atom.value) is int and variable.type == array_type((), float)
