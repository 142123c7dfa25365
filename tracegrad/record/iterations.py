"""What an open loop or branch has recorded so far, and whether an iteration of a loop is the first one over
again.

In: steps, as they were recorded. Out: one iteration that stands for all, or `Mismatch`; and, for a
structure that fails, its steps one after the other (`flushed`). Begin with `LoopFrame` and `matched`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from tracegrad.errors import Mismatch
from tracegrad.ir.close import free_variables, renewed, substituted
from tracegrad.ir.location import Location
from tracegrad.ir.trace import Atom, Const, Guard, Step, Var
from tracegrad.ir.types import array_type
from tracegrad.ir.unify import same_atom, unify
from tracegrad.ops.index import zeros

UNDEFINED = type("Undefined", (), {"__repr__": lambda self: "<undefined>"})()


@dataclass(slots=True)
class Straight:
    """A structure that is not one: its condition is no traced value, or it failed. Steps go where they
    always go.
    """

    key: int


@dataclass(slots=True)
class BranchFrame:
    key: int
    condition: Atom
    taken: bool
    outer: list[Step]
    before: dict[str, Any]
    location: Location | None

    def flushed(self, alias: dict[Var, Atom]) -> list[Step]:
        return [Guard(self.condition, self.taken, self.location)]


@dataclass(slots=True)
class Iteration:
    """One run of a loop's body: header variables, the condition's steps, the body's, what the next
    iteration gets.
    """

    header: dict[str, Var]
    test: list[Step] = field(default_factory=list)
    condition: Atom | None = None
    steps: list[Step] = field(default_factory=list)
    next: dict[str, Atom] = field(default_factory=dict)
    _made: set[Var] | None = None

    def made(self) -> set[Var]:
        """The variables of its steps, asked for when it is complete."""
        if self._made is None:
            self._made = {v for s in (*self.test, *self.steps) for v in s.outputs}
        return self._made

    def straight(self, location: Location | None) -> list[Step]:
        guard = [] if self.condition is None else [Guard(self.condition, True, location)]
        return [*self.test, *guard, *self.steps]


@dataclass(slots=True)
class LoopFrame:
    key: int
    kind: str
    outer: list[Step]
    location: Location | None
    init: dict[str, Atom] = field(default_factory=dict)
    still: dict[str, Any] = field(default_factory=dict)
    first: Iteration | None = None
    last: Iteration | None = None
    current: Iteration | None = None
    count: int = 0
    peeled: bool = False

    def flushed(self, alias: dict[Var, Atom]) -> list[Step]:
        """The iterations so far, one after the other."""
        out: list[Step] = []
        values = dict(self.init)
        for i in range(self.count):
            one = self.last if i == self.count - 1 else self.first
            assert one is not None
            if i == self.count - 1:
                alias.update((one.header[n], values[n]) for n in one.header)
                out.extend(one.straight(self.location))
                values = one.next
            else:
                names: dict[Var, Atom] = {one.header[n]: values[n] for n in one.header}
                copies, names = renewed(one.straight(self.location), names)
                out.extend(copies)
                values = {n: substituted(a, names) for n, a in one.next.items()}
        if self.current is not None:
            # Its body is the block being recorded: the caller adds that.
            alias.update((v, values[n]) for n, v in self.current.header.items())
            out.extend(replace(self.current, steps=[]).straight(self.location))
        return out


Frame = Straight | BranchFrame | LoopFrame


@dataclass(frozen=True, slots=True)
class Pin:
    """Which array `holder` is depends on `condition` having been `expected`, or on what happened deeper
    inside.
    """

    holder: Any
    condition: Atom
    expected: Any
    deep: bool
    location: Location | None


def match_test(first: Iteration, one: Iteration, frame: LoopFrame) -> tuple[list[Step], dict[Var, Atom]]:
    outputs = [a for a in (one.condition, *one.next.values()) if a is not None]
    free = free_variables([*one.test, *one.steps], outputs)
    if any(v in made for v in free for made in (first.made(), frame.last.made() if frame.last else ())):
        raise Mismatch("a value of the step before is used that is not handed on by a name")
    if any(first.header[n].type != v.type for n, v in one.header.items()):
        raise Mismatch("a carried value changes its shape or dtype")
    names: dict[Var, Atom] = {v: first.header[n] for n, v in one.header.items()}
    test = unify(first.test, one.test, names, zeros)
    if (first.condition is None) != (one.condition is None) or (
        first.condition is not None
        and one.condition is not None
        and not same_atom(first.condition, one.condition, names)
    ):
        raise Mismatch("the condition asks something else")
    return test, names


def matched(frame: LoopFrame, one: Iteration) -> Iteration:
    """The first iteration, grown by what this one did for the first time."""
    first = frame.first
    assert first is not None
    test, names = match_test(first, one, frame)
    steps = unify(first.steps, one.steps, names, zeros)
    for n, a in first.next.items():
        if n not in one.next:
            if n in first.header:
                raise Mismatch(f"`{n}` is undefined")
        elif not same_atom(a, one.next[n], names):
            raise Mismatch(f"`{n}` gets another value")
    if all(a is b for a, b in zip((*test, *steps), (*first.test, *first.steps), strict=True)):
        return first
    return Iteration(first.header, test, first.condition, steps, first.next)


def promoted(frame: LoopFrame, one: Iteration) -> Iteration | None:
    """The second iteration in place of the first, where a sum started from the integer 0 and became a
    float.
    """
    first = frame.first
    assert first is not None
    changed = [n for n, v in one.header.items() if v.type != first.header[n].type]
    if frame.count != 1 or not changed or not all(_whole(frame.init[n], one.header[n]) for n in changed):
        return None
    made = {v for s in (*first.test, *first.steps) for v in s.outputs}
    if made.intersection(free_variables([*one.test, *one.steps], list(one.next.values()))):
        return None
    names: dict[Var, Atom] = {v: one.header[n] for n, v in first.header.items()}
    try:
        test = unify(one.test, first.test, names, zeros)
        steps = unify(one.steps, first.steps, names, zeros)
    except Mismatch:
        return None
    if any(not same_atom(a, first.next[n], names) for n, a in one.next.items()):
        return None
    if one.condition is not None and not same_atom(one.condition, first.condition or one.condition, names):
        return None
    for n in changed:
        start = frame.init[n]
        assert isinstance(start, Const)
        frame.init[n] = Const(float(start.value))
    return Iteration(one.header, test, one.condition, steps, one.next)


def _whole(atom: Atom, variable: Var) -> bool:
    """Whether this is a Python integer that the float variable could have started from."""
    return isinstance(atom, Const) and type(atom.value) is int and variable.type == array_type((), float)
