"""Branches while they are being recorded, and what all open structures have in common.

In: the marks of `marks.py`, with the local names a structure rebinds. Out: `branch` steps in the recording,
or, where a structure cannot be generalised, the straight steps with their guards. Straight is always right;
the rest has to earn its place:

- A branch gets one arm, the one taken; the other is None until a later capture takes it.
- What a name holds at an edge must be a traced value, a number, or a tuple, list or dict of such. Anything
  else that an arm stores fails the structure, with a reason for `explain()`.
- An array that is written in place keeps its identity, and stands for the result of the structure.

Begin with `Branches.test`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tracegrad.ad.branch import branch
from tracegrad.ir.close import closed, free_variables, substitute, substituted
from tracegrad.ir.location import Location
from tracegrad.ir.trace import Atom, Const, Instr, Step, Var
from tracegrad.record.edges import UNDEFINED, put_together, readable, taken_apart, tracked_names
from tracegrad.record.iterations import BranchFrame, Frame, LoopFrame, Straight
from tracegrad.record.known import KnownLoops
from tracegrad.record.pins import Reach, arrays_in, owner_of, references
from tracegrad.record.places import Places

LEFT = "@"  # after a name: the array it held, where it holds another after an arm
CHOSEN = "value"  # the label of what a conditional expression chooses


class Branches(Places):
    """The open structures of one recording, and its branches.

    Parameters
    ----------
    recording : Recording
        Whose `steps` list is swapped while a block is open.
    known : KnownLoops
        Loops of earlier recordings of the same function; `found` are those of this one.
    """

    def __init__(self, recording: Any, known: KnownLoops) -> None:
        super().__init__(recording)
        self.known, self.found = known, KnownLoops()
        self.reasons: list[tuple[str, Location | None]] = []

    @contextlib.contextmanager
    def outside(self, value: Any) -> Iterator[None]:
        """Record for a while in the outermost block that has all leaves of a value."""
        leaves: dict[str, Any] = {}
        taken_apart(value, "item", leaves, lambda container: True)
        atoms = [
            substituted(t.atom, self.alias)
            for t in map(self.recording.traced, leaves.values())
            if t is not None
        ]
        steps = self.recording.steps
        for i in range(len(self.frames) - 1, -1, -1):
            frame = self.frames[i]
            if isinstance(frame, Straight):
                continue
            if not all(self.is_made_around(i, atom) for atom in atoms):
                break  # made in here, or by an iteration before this one
            steps = frame.outer
        around, self.recording.steps = self.recording.steps, steps
        try:
            yield
        finally:
            self.recording.steps = around

    # --- failing ---------------------------------------------------------------------------------

    def fail(self, reason: str, depth: int = 0) -> None:
        """Make the open structures above `depth` straight: what was recorded in them stays, as a path."""
        if any(not isinstance(f, Straight) for f in self.frames[depth:]):
            location = self.recording.location()
            self.reasons.append((reason, location))
            failed = self.frames[depth:]
            self.recording.watched = None
            content = self.recording.steps
            for i in range(len(self.frames) - 1, depth - 1, -1):
                frame = self.frames[i]
                if not isinstance(frame, Straight):
                    content = self._spilled(frame, content)
                    self.frames[i] = frame.given_up()
            self.recording.steps = content
            if any(isinstance(f, LoopFrame) and f.skipped for f in failed):
                self.recording.not_repeatable(reason)

    def _spilled(self, frame: BranchFrame | LoopFrame, content: list[Step]) -> list[Step]:
        """The steps around a frame, with what it recorded as straight steps, and the block being recorded,
        behind them.
        """
        frame.outer.extend(frame.flushed(self.alias))
        # A loop that has not begun its first iteration records into the steps around it.
        if content is not frame.outer:
            frame.outer.extend(content)
        return frame.outer

    def unwind(self, depth: int) -> None:
        """Close what an exception left open."""
        self.fail("an exception passed through", depth)
        del self.frames[depth:]

    def top(self, key: int) -> Frame:
        """The frame of the structure that is closing; what an exception left open above it is unwound."""
        place = max(i for i, f in enumerate(self.frames) if f.key == key)
        self.unwind(place + 1)
        return self.frames[place]

    # --- branches --------------------------------------------------------------------------------

    def test(self, key: int, form: Any, condition: Any, local: Mapping[str, Any]) -> bool:
        """A branch begins; returns which arm is taken."""
        recording = self.recording
        traced = recording.traced(condition)
        if traced is None or isinstance(traced.atom, Const):
            self.frames.append(Straight(key))
            return bool(condition)
        atom = recording.condition(traced)
        taken = bool(traced.value)
        before = {n: local.get(n, UNDEFINED) for n in tracked_names(form)}
        owners = self._owners(form, before, len(self.frames))
        frame = BranchFrame(
            key,
            form,
            atom,
            taken,
            recording.steps,
            before,
            owners,
            self.seen(form, local) if local else None,
            recording.location(),
        )
        self.frames.append(frame)
        recording.steps = []
        return taken

    def join(self, key: int, form: Any, local: Mapping[str, Any]) -> tuple[Any, ...]:
        """A branch ends; returns the values of its names, results of the branch from here on."""
        frame = self.top(key)
        after = {n: local.get(n, UNDEFINED) for n in tracked_names(form)}
        if isinstance(frame, BranchFrame):
            after = self._joined(frame, after)
        self.frames.pop()
        return tuple(after[n] for n in form.names)

    def open(self, key: int, form: Any, value: Any, asked: Any) -> bool:
        """A conditional expression begins with its condition, `and` and `or` with their first operand; `asked`
        is what is asked for its truth.
        """
        taken = self.test(key, form, asked, {})
        opened: Any = self.frames[-1]
        opened.kept = value
        return taken

    def close(self, key: int, value: Any) -> Any:
        """A conditional expression ends; returns what it chose."""
        frame = self.top(key)
        if isinstance(frame, BranchFrame):
            traced = self.recording.traced(value)
            if frame.form.truth:
                value = bool(value) if traced is None else self.truth(traced)
            value = self._joined(frame, {CHOSEN: value})[CHOSEN]
        self.frames.pop()
        return value

    def kept(self, key: int) -> Any:
        """What `open` was given, chosen."""
        opened: Any = self.top(key)
        return self.close(key, opened.kept)

    def truth(self, value: Any) -> Any:
        """The truth of a traced value, traced."""
        traced = self.recording.traced(value)
        return self.recording.wrap(bool(traced.value), self.recording.condition(traced), True)

    def _joined(self, frame: BranchFrame, after: dict[str, Any]) -> dict[str, Any]:
        """The values of the names after a branch: its results, where they can be."""
        results: dict[str, Any] = {}
        shapes: dict[str, Any] = {}
        for n, v in after.items():
            if v is UNDEFINED or (n in frame.before and n not in frame.form.names and self.is_own(frame, v)):
                continue
            leaves: dict[str, Any] = {}
            shapes[n] = taken_apart(v, n, leaves, self.owned)
            for label, leaf in leaves.items():
                traced = self.leaf(leaf)
                if traced is not None:
                    results[label] = traced
                elif n in frame.form.names or n not in frame.before:
                    self.fail(f"`{label}` holds a {type(leaf).__name__} after one arm", len(self.frames) - 1)
                    return after
        arrays = {f"{n}{LEFT}": a for n, a in self.rebound(frame, frame.before, after)}
        results.update(arrays)
        self.leaving(frame, {**after, **arrays})
        if self.frames[-1] is not frame:
            return after
        renamed = self._close_branch(frame, results, {**after, **arrays})
        return {n: put_together(v, n, shapes.get(n), renamed) for n, v in after.items()}

    def _close_branch(
        self, frame: BranchFrame, results: dict[str, Any], after: Mapping[str, Any]
    ) -> dict[str, Any]:
        recording = self.recording
        # An item of a list that a loop filled is read from its stack when it is asked for: here, in this arm.
        atoms = [substituted(t.atom, self.alias) for t in results.values()]
        steps = self._resolved(recording.steps)
        free = free_variables(steps, atoms)
        arm = closed(steps, atoms, (), free, "arm")
        outputs = tuple(Var(a.type, name_of(n)) for n, a in zip(results, atoms, strict=True))
        arms = (arm, None) if frame.taken else (None, arm)
        recording.steps = frame.outer
        recording.steps.append(
            Instr(
                branch,
                (frame.condition, *free),
                outputs,
                {"arms": arms, "names": tuple(results)},
                frame.location,
            )
        )
        deep = holds_arrays(steps)
        given = {n: (t, v, after.get(n)) for (n, t), v in zip(results.items(), outputs, strict=True)}
        arrays = {n: (a, v) for n, a, v in zip(results, atoms, outputs, strict=True) if v.type.shape}
        alone = self._alone(frame, steps, arrays) if arrays else {}
        return self.results(frame, given, (frame.condition, frame.taken, deep), alone)

    def _alone(
        self, frame: BranchFrame, steps: Sequence[Step], arrays: Mapping[str, tuple[Atom, Var]]
    ) -> dict[str, Reach | None]:
        """The arrays that a branch leaves under one name, with what they may be instead."""
        held = {n: self.recording.traced(frame.before.get(n.removesuffix(LEFT))) for n in arrays}
        before = {n: t.atom for n, t in held.items() if t is not None and t.atom.type.shape}
        found = arrays_in(frame.seen, self.recording.traced)
        reads = None if found is None else [t.atom for t in found]
        left = self.roots.branch(steps, arrays, before, reads, frame.form.bare and frame.taken)
        return {n: self.pins.reach_of(held[n]) if one.before else () for n, one in left.items()}

    # --- shared ----------------------------------------------------------------------------------

    def seen(self, form: Any, local: Mapping[str, Any]) -> tuple[Any, ...]:
        """What the names hold that a structure reads, and those that it may leave as they are."""
        return tuple(local.get(n) for n in (*form.loads, *form.names))

    def leaf(self, value: Any) -> Any:
        """A traced value, or a number or truth value made one; None for anything else."""
        traced = self.recording.number_as_traced(value)
        return None if traced is not None and traced.atom in self.recording.lost else traced

    def _owners(self, form: Any, held: Mapping[str, Any], around: int) -> dict[int, Atom]:
        """The atoms of the arrays that a structure writes, with so many others `around`, by whose memory it is; an item
        of a list is the list's.
        """
        out: dict[int, Atom] = {}
        for n in form.written:
            traced = self.recording.traced(held.get(n))
            if traced is None or not traced.atom.type.shape or self._is_item(traced):
                continue
            # What is not to be seen here is left from a step that is over, until the name is bound again.
            if self.recording.whole_array(traced) is traced and self.is_visible(traced.atom):
                out[owner_of(traced.value)] = traced.atom
                self.entering(traced, owner_of(traced.value), around)
        return out

    def is_own(self, frame: BranchFrame | LoopFrame, value: Any) -> bool:
        """Whether this is no array that came into a structure: nobody sees it who does not read its name."""
        traced = self.recording.number_as_traced(value)
        return traced is not None and not (traced.atom.type.shape and owner_of(traced.value) in frame.owners)

    def _is_item(self, traced: Any) -> bool:
        """Whether a loop that begins got this of what it runs over."""
        begun = [frame.pending for frame in self.frames if isinstance(frame, LoopFrame)]
        return any(traced.atom in step.outputs for one in begun if one is not None for step in one.steps)

    def rebound(
        self, frame: BranchFrame | LoopFrame, before: Mapping[str, Any], after: Mapping[str, Any]
    ) -> Iterator[tuple[str, Any]]:
        """Names that hold other memory now, with the arrays they held, which may have been written before that
        and may have other names.
        """
        for n in frame.form.written:
            traced = self.recording.traced(before.get(n))
            if traced is None or owner_of(traced.value) not in frame.owners:
                continue
            now = self.recording.traced(after.get(n))
            whole = now is not None and self.recording.whole_array(now) is now
            if not whole or owner_of(now.value) != owner_of(traced.value):
                yield n, traced

    def results(
        self,
        frame: BranchFrame | LoopFrame,
        given: Mapping[str, tuple[Any, Var, Any]],
        reached: tuple[Atom | None, Any, bool],
        alone: Mapping[str, Reach | None],
    ) -> dict[str, Any]:
        """The results of a structure by label, each of a value, its variable, and what the name holds.

        Arrays that are written inside come first: with them the views that no name holds are found again or lost.
        `alone` are arrays under one name in any call, with the memory that they may be in instead.
        """
        order = sorted(given, key=lambda n: not self.keeps_identity(frame, given[n][0], given[n][2]))
        return {n: self._result(frame, *given[n], reached, alone.get(n)) for n in order}

    def _result(
        self,
        frame: BranchFrame | LoopFrame,
        traced: Any,
        variable: Var,
        held: Any,
        reached: tuple[Atom | None, Any, bool],
        alone: Reach | None,
    ) -> Any:
        """The result of a structure that was closed: the same value under its variable.

        An array that is written inside keeps its identity. Of any other array, which one the name holds may
        depend on the arm, or on the number of iterations; that matters only when one of them is written later,
        and then the pin asks for what was taken here.
        """
        condition, expected, deep = reached
        if self.keeps_identity(frame, traced, held):
            self.recording.stands_for(traced, variable)
            return traced
        made = self.recording.renamed(traced, variable)
        if variable.type.shape and condition is not None and alone != ():
            found = None if alone is not None else arrays_in(frame.seen, self.recording.traced)
            reach = alone if found is None else references(found)
            self.pins.hold(made, condition, expected, deep, frame.location, reach, alone is not None)
        return made

    def leaving(self, frame: BranchFrame | LoopFrame, held: Mapping[str, Any]) -> None:
        """An arm or iteration ends, and what it may have written stands for a result under all names that it has now:
        guard, in the arm, what must have been taken for them to be its names.
        """
        for value in held.values():
            traced = self.recording.traced(value)
            if traced is not None and self.keeps_identity(frame, traced, value):
                self.pinned(traced, owner_of(traced.value), entered=True)

    def keeps_identity(self, frame: BranchFrame | LoopFrame, traced: Any, held: Any) -> bool:
        """Whether a name holds an array that the structure writes: the same object before, inside and after."""
        if held is not traced or not traced.atom.type.shape:
            return False
        return self.recording.whole_array(traced) is traced and owner_of(traced.value) in frame.owners

    def _resolved(self, steps: Sequence[Step]) -> list[Step]:
        return [substitute(s, self.alias) for s in steps] if self.alias else list(steps)


def name_of(label: str) -> str | None:
    """The hint for the name of a result; flags of early exits have none of the user's."""
    return None if label.startswith(CHOSEN) and label[len(CHOSEN) :][:1] in ("", "[") else readable(label)


def holds_arrays(steps: Sequence[Step]) -> bool:
    """Whether a loop or branch among these steps has an array among its results."""
    return any(
        isinstance(s, Instr) and s.op.family == "control" and any(v.type.shape for v in s.outputs)
        for s in steps
    )
