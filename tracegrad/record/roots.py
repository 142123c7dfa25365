"""Whose memory an array may be that comes out of a loop or branch, whatever arms a run takes and however long it loops.

In: the steps of a block that closes, and what its names hold. Out: for each array the variables whose memory it may
be, its roots; and which results nobody else holds (`Left`), so that a write to anything else leaves them as they are.
Of an arm that was not taken may come whatever it reads, and something new. Begin with `Roots.follow`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import NamedTuple, TypeAlias

from tracegrad.ir.close import substituted
from tracegrad.ir.trace import Atom, Instr, Step, Var

Place: TypeAlias = Atom | str | None
"""Whose memory an array may be at the end of an iteration: that of something around the loop, of what the name with
this label held when the iteration began, or, None, new memory."""


class Left(NamedTuple):
    """An array that a structure leaves under one name alone: one that it made, or what the name held before."""

    made: bool
    before: bool


class Roots:
    """The roots of the arrays of one recording.

    Parameters
    ----------
    alias : dict of Var to Atom
        What variables of structures that failed stand for.
    is_given : callable
        Whether an atom is an argument: nobody writes its memory.
    """

    def __init__(self, alias: Mapping[Var, Atom], is_given: Callable[[Atom], bool]) -> None:
        self._alias, self._is_given = alias, is_given
        self._of: dict[Atom, tuple[Atom, ...] | None] = {}

    def lies_in(self, atom: Atom, *memory: Atom) -> None:
        """An array is in the memory of one of these; where it is new memory, it is its own root."""
        self._of[atom] = memory

    def unknown(self, atom: Atom) -> None:
        self._of[atom] = None

    def follow(self, atoms: Iterable[Atom], made: Mapping[Atom, Instr]) -> set[Atom] | None:
        """The roots of arrays: new memory of the steps in `made`, or variables around them; None if not known."""
        found: set[Atom] = set()
        seen: set[Atom] = set()
        todo = list(atoms)
        while todo:
            atom = substituted(todo.pop(), self._alias)
            if atom in seen:
                continue
            seen.add(atom)
            step = made.get(atom)
            if atom in self._of:
                memory = self._of[atom]
                if memory is None:
                    return None
                if atom in memory:
                    found.add(atom)
                todo.extend(memory)
            elif step is not None and step.op.family == "control":
                return None
            elif step is not None and step.op.view:
                todo.append(step.inputs[0])
            elif not self._is_given(atom):
                found.add(atom)
        return found

    # --- branches --------------------------------------------------------------------------------

    def branch(
        self,
        steps: Sequence[Step],
        results: Mapping[str, tuple[Atom, Var]],
        before: Mapping[str, Atom],
        reads: Collection[Atom] | None,
        no_other: bool,
    ) -> dict[str, Left]:
        """The arrays that a branch leaves under one name.

        Parameters
        ----------
        steps : sequence of Step
            The arm that was taken.
        results : dict of str to (Atom, Var)
            The arrays of the branch: what the arm hands on, and the variable that stands for it behind.
        before : dict of str to Atom
            What the names among them held.
        reads : collection of Atom, or None
            What the other arm could reach; None if that is not known.
        no_other : bool
            There is no other arm: what was there before is there behind.
        """
        made = made_by(steps)
        # What a list or dict held before is not there any more.
        mine = {n: None if "[" in n else self.follow([atom], made) for n, (atom, _) in results.items()}
        theirs = None if reads is None else self.follow(reads, made)
        shared = next((v for _, v in results.values()), None)
        left: dict[str, Left] = {}
        for n, (_, variable) in results.items():
            own = mine[n]
            was = self.follow([before[n]], made) if n in before else set()
            other = was if no_other else theirs
            if own is None or other is None or was is None:
                self.unknown(variable)
                continue
            outside = other | {a for a in own if a not in made}
            new = not no_other or any(a in made for a in own)
            rivals = [mine[m] for m in results if m != n]
            alone = outside <= was and (no_other or not rivals)
            if alone and all(r is not None and own.isdisjoint(r) for r in rivals):
                left[n] = Left(new, bool(outside))
            self.lies_in(variable, *outside, *([variable if n in left else shared] if new else ()))
        return left

    # --- loops -----------------------------------------------------------------------------------

    def iteration(
        self,
        steps: Sequence[Step],
        arrays: Mapping[str, Atom],
        pushed: Iterable[Atom],
        header: Mapping[str, Var],
    ) -> tuple[dict[str, set[Place]], dict[str, Left]]:
        """Whose memory the arrays may be that an iteration hands on, where that is known, and those under one name."""
        made = made_by(steps)
        roots = {n: self.follow([atom], made) for n, atom in arrays.items()}
        others = [*roots.values(), *(self.follow([atom], made) for atom in pushed)]
        names: dict[Atom, Place] = {**dict.fromkeys(made), **{v: n for n, v in header.items()}}
        places: dict[str, set[Place]] = {}
        left: dict[str, Left] = {}
        for n, own in roots.items():
            if own is None:
                continue
            mine = places[n] = {names.get(a, a) for a in own}
            if mine <= {None, n} and sum(r is None or not own.isdisjoint(r) for r in others) <= 1:
                left[n] = Left(None in mine, n in mine)
        return places, left

    def loop(
        self,
        places: Mapping[str, set[Place]],
        left: Collection[str],
        init: Mapping[str, Atom],
        outputs: Mapping[str, Var],
        shared: Var,
        may_be_empty: bool,
    ) -> None:
        """Remember the roots of what a loop leaves; `shared` stands for new memory that several may hold."""
        for n, variable in outputs.items():
            memory: set[Atom] = {init[n]} if may_be_empty and n in init else set()
            todo, seen = [n], {n}
            while todo:
                own = places.get(todo.pop())
                if own is None:
                    self.unknown(variable)
                    break
                names = {p for p in own if isinstance(p, str)}
                memory.update(init[m] for m in names)
                memory.update(p for p in own if not isinstance(p, str | None))
                if None in own:
                    memory.add(variable if n in left else shared)
                todo.extend(names - seen)
                seen |= names
            else:
                self.lies_in(variable, *memory)


def made_by(steps: Iterable[Step]) -> dict[Atom, Instr]:
    """The steps of a block by what they make."""
    return {v: step for step in steps if isinstance(step, Instr) for v in step.outputs}
