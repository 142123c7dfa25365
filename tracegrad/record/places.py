"""Where things were made while structures are open, and what it means for those when one of them is changed.

In: iterators, lists, dicts and constants as they are made; changes of lists and dicts, and arrays about to be written.
Out: structures that fail, with a reason, and guards for what arms were taken. Begin with `Places.writing`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tracegrad.ir.close import substituted
from tracegrad.ir.trace import Atom, Const, Step, Var
from tracegrad.record.edges import is_handed_on
from tracegrad.record.iterations import BranchFrame, Frame, LoopFrame, Straight
from tracegrad.record.pins import Pins, memory_of
from tracegrad.record.roots import Roots


class Places:
    """The part of `Branches` that knows where things were made.

    Parameters
    ----------
    recording : Recording
    """

    fail: Any

    def __init__(self, recording: Any) -> None:
        self.recording = recording
        self.frames: list[Frame] = []
        self.alias: dict[Var, Atom] = {}
        self.pins = Pins(self.is_visible)
        self.roots = Roots(self.alias, recording.is_given)
        self._made: dict[int, tuple[Any, tuple[Any, ...]]] = {}

    def lies_in(self, atom: Atom, memory: Atom | None) -> None:
        """An array was written, or is a view: it is in the memory of another, None where which one is not known."""
        if memory is None:
            self.roots.unknown(atom)
        else:
            self.roots.lies_in(atom, memory)

    def place(self) -> tuple[tuple[int, int], ...]:
        """Where the run is: each open structure, with the number of the step a loop is in."""
        return tuple((frame.key, frame.done if isinstance(frame, LoopFrame) else 0) for frame in self.frames)

    def made(self, value: Any) -> Any:
        """Remember where an iterator, list or dict was made, or the memory of a constant; returns it."""
        self._made[id(value)] = (value, self.place())
        return value

    def crossed(self, value: Any) -> int:
        """How many of the open structures, from the outermost, were open when this object was made."""
        entry = self._made.get(id(value))
        before = entry[1] if entry is not None and entry[0] is value else ()
        now = self.place()
        same = 0
        while same < min(len(before), len(now)) and before[same] == now[same]:
            same += 1
        return same

    def owned(self, value: Any) -> bool:
        """Whether a list or dict was made in this run."""
        entry = self._made.get(id(value))
        return entry is not None and entry[0] is value

    def changing(self, value: Any, reason: str) -> None:
        """A list or dict gets other items: fail the structures that were entered since it was made and do
        not follow it.
        """
        same = self.crossed(value)
        for i in range(same, len(self.frames)):
            frame = self.frames[i]
            if not isinstance(frame, Straight) and not self._follows(frame, value):
                self.fail(reason, i)
                return

    def appending(self, value: list[Any], reason: str) -> None:
        """A list gets one more item: as `changing`, but the innermost loop may hand it on as a stack."""
        same = self.crossed(value)
        for i in range(same, len(self.frames)):
            frame = self.frames[i]
            if isinstance(frame, Straight):
                continue
            grows = isinstance(frame, LoopFrame) and any(g.items is value for g in frame.grown.values())
            over = isinstance(frame, LoopFrame) and frame.items is not None and frame.items.is_over(value)
            if not grows or over or any(not isinstance(f, Straight) for f in self.frames[i + 1 :]):
                self.fail(reason, i)
                return

    def _follows(self, frame: BranchFrame | LoopFrame, value: Any) -> bool:
        """Whether a structure hands the items of a list or dict on; a loop over it has read them."""
        if isinstance(frame, LoopFrame) and frame.items is not None and frame.items.is_over(value):
            return False
        names = frame.before if isinstance(frame, BranchFrame) else frame.objects
        return any(
            frame.form.written.get(name) == {"item"} and is_handed_on(value, held, self.owned)
            for name, held in names.items()
        )

    def writing(self, array: Any, owner: int) -> None:
        """An array is written: fail the structures it came into from outside that do not hand it on; and
        guard what must have been taken for names to hold what they hold.
        """
        for i, frame in enumerate(self.frames):
            if isinstance(frame, LoopFrame) and any(owner in grown.memory for grown in frame.grown.values()):
                self.fail("an array is written in place after it was appended to a list", i)
                break
        self._reaching(array, owner, len(self.frames))
        self.pinned(array, owner)

    def entering(self, array: Any, owner: int, around: int) -> None:
        """An array comes into a structure that may write it, with so many others `around`: it will stand for a result
        of that under all its names.
        """
        self._reaching(array, owner, around)
        self.pinned(array, owner, entered=True)

    def _reaching(self, array: Any, owner: int, inner: int) -> None:
        """Fail those of the first `inner` structures that an array came into from outside and that do not follow it."""
        twins = (reference() for reference in array.twins or ())
        atoms = {substituted(t.atom, self.alias) for t in (array, *twins) if t is not None}
        for i in range(inner - 1, self.crossed(memory_of(array.value)) - 1, -1):
            frame = self.frames[i]
            if isinstance(frame, Straight):
                continue
            outside = [a for a in atoms if not self._is_made_in(i, a, owned=True)]
            if not outside:
                break
            entry = frame.owners.get(owner)
            if entry is None:
                without = min(self._outermost_without(owner, i, atom) for atom in outside)
                self.fail("an array from outside is written in place", without)
                break
            atoms = {substituted(entry, self.alias)}

    def pinned(self, array: Any, owner: int, entered: bool = False) -> None:
        """Guard what must have been taken for names to hold what they hold, as an array is written or may be."""
        guards, unknown = self.pins.written(array, owner, self.alias, entered)
        self.recording.steps.extend(guards)
        if unknown:
            self.recording.not_repeatable(
                "an array that came out of a nested loop or branch may be written in place"
            )

    def _outermost_without(self, owner: int, place: int, atom: Atom) -> int:
        """The outermost structure that was entered with this array and does not hand it on."""
        while place > 0 and not self._is_made_in(place - 1, atom, owned=True):
            place -= 1
            frame = self.frames[place]
            if not isinstance(frame, Straight) and owner in frame.owners:
                return place + 1
        return place

    def _blocks(self, place: int) -> list[Sequence[Step]]:
        """The steps so far of the block that an open structure is recording."""
        inner: Sequence[Step] = self.recording.steps
        for frame in self.frames[place + 1 :]:
            if not isinstance(frame, Straight):
                inner = frame.outer
                break
        frame = self.frames[place]
        if isinstance(frame, LoopFrame) and frame.current is not None:
            return [inner, frame.current.test]
        return [inner]

    def _is_made_in(self, place: int, atom: Atom, owned: bool = False) -> bool:
        frame = self.frames[place]
        if not isinstance(atom, Var) or isinstance(frame, Straight):
            return False
        one = frame.current if isinstance(frame, LoopFrame) else None
        if one is not None and (atom is one.counter or (atom in one.header.values() and not owned)):
            return True
        return any(atom in step.outputs for steps in self._blocks(place) for step in reversed(steps))

    def is_made_around(self, place: int, atom: Atom) -> bool:
        """Whether the block around an open structure may read this."""
        if not isinstance(atom, Var) or atom in self.recording.inputs:
            return True
        frame = self.frames[place]
        if not isinstance(frame, Straight) and any(atom in step.outputs for step in reversed(frame.outer)):
            return True
        return any(self._is_made_in(i, atom) for i in range(place))

    def is_visible(self, atom: Atom) -> bool:
        """Whether the block that is being recorded may read this."""
        atom = substituted(atom, self.alias)
        if isinstance(atom, Const) or atom in self.recording.inputs:
            return True
        if any(atom in step.outputs for step in reversed(self.recording.steps)):
            return True
        for frame in reversed(self.frames):
            if isinstance(frame, Straight):
                continue
            for one in (frame.current, frame.pending) if isinstance(frame, LoopFrame) else ():
                if one is None:
                    continue
                if atom is one.counter or atom in one.header.values():
                    return True
                if any(atom in step.outputs for step in one.test):
                    return True
            if any(atom in step.outputs for step in reversed(frame.outer)):
                return True
        return False

    def is_open(self) -> bool:
        """Whether anything recorded now may become part of a loop or branch."""
        return any(not isinstance(frame, Straight) for frame in self.frames)
