"""Loops and branches while they are being recorded: the frames that the marks open and close.

In: the marks of `marks.py`, with the local names a structure rebinds. Out: `loop` and `branch` steps in the
recording, or, where a structure cannot be generalised, the straight steps with their guards. Straight is
always right; the rest has to earn its place:

- Each iteration of a loop is recorded in variables of its own header. An iteration that equals the first
  one literally (`ir/unify.py`) is dropped and counted. One that differs from the first may peel it off; a
  second difference makes the loop straight.
- A branch gets one arm, the one taken; the other is None until a later capture takes it.
- What a name holds at an edge must be a traced value or a number. Something else that stays the same object
  is left alone; something else that changes fails the structure, with a reason for `explain()`.

Begin with `Structures.header`.
"""

from __future__ import annotations

import weakref
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from tracegrad.ad.branch import branch
from tracegrad.ad.loop import loop
from tracegrad.errors import Mismatch
from tracegrad.ir.close import closed, free_variables, renewed, substitute, substituted
from tracegrad.ir.location import Location
from tracegrad.ir.trace import Atom, Const, Guard, Instr, Step, Var
from tracegrad.ir.types import array_type
from tracegrad.ops.compare import greater
from tracegrad.ops.index import zeros
from tracegrad.record.iterations import (
    UNDEFINED,
    BranchFrame,
    Frame,
    Iteration,
    LoopFrame,
    Pin,
    Straight,
    match_test,
    matched,
    promoted,
)


class Structures:
    """The open structures of one recording.

    Parameters
    ----------
    recording : Recording
        Whose `steps` list is swapped while a block is open; `traced(value)` and `wrap(...)` of it are used.
    """

    def __init__(self, recording: Any) -> None:
        self.recording = recording
        self.frames: list[Frame] = []
        self.alias: dict[Var, Atom] = {}
        self.reasons: list[tuple[str, Location | None]] = []
        self._pins: list[Pin] = []
        self._prune_at = 64

    # --- arrays that go through structures, and are written in place later -----------------------

    def _renamed(
        self,
        traced: Any,
        variable: Var,
        condition: Atom | None,
        expected: Any,
        deep: bool,
        location: Location | None,
    ) -> Any:
        """The result of a structure that was closed: the same value under its variable.

        Which array a name holds may depend on the arm, or on the number of iterations. That matters only
        when one of them is written in place later; then `pin` asks for what was taken here. `condition`
        None: nothing depends on it.
        """
        made = self.recording.renamed(traced, variable)
        if variable.type.shape and condition is not None:
            self._pins.append(Pin(weakref.ref(made), condition, expected, deep, location))
            if len(self._pins) > self._prune_at:
                self._pins = [p for p in self._pins if p.holder() is not None]
                self._prune_at = 64 + 2 * len(self._pins)
        return made

    def pin(self, written: Any) -> None:
        """An array is written in place: what a name of its kind holds must not depend on an arm."""
        left: list[Pin] = []
        for pin in self._pins:
            holder = pin.holder()
            if holder is None:
                continue
            if holder.dtype != written.dtype:
                left.append(pin)
                continue
            condition = substituted(pin.condition, self.alias)
            if pin.deep or not self.is_visible(condition):
                self.recording.not_repeatable(
                    "an array that came out of a nested loop or branch may be written in place"
                )
            elif isinstance(condition, Var):
                self.recording.steps.append(Guard(condition, pin.expected, pin.location))
        self._pins = left

    def is_visible(self, atom: Atom) -> bool:
        """Whether the block that is being recorded may read this; asked where no structure is open."""
        atom = substituted(atom, self.alias)
        if isinstance(atom, Const) or atom in self.recording.inputs:
            return True
        return any(atom in step.outputs for step in reversed(self.recording.steps))

    # --- failing ---------------------------------------------------------------------------------

    def fail(self, reason: str, depth: int = 0) -> None:
        """Make the open structures above `depth` straight: what was recorded in them stays, as a path."""
        if any(not isinstance(f, Straight) for f in self.frames[depth:]):
            location = self.recording.location()
            self.reasons.append((reason, location))
            content = self.recording.steps
            for i in range(len(self.frames) - 1, depth - 1, -1):
                frame = self.frames[i]
                if not isinstance(frame, Straight):
                    content = self._spilled(frame, content)
                    self.frames[i] = Straight(frame.key)
            self.recording.steps = content

    def _spilled(self, frame: BranchFrame | LoopFrame, content: list[Step]) -> list[Step]:
        """The steps around a frame, with what it recorded as straight steps, and the block being recorded,
        behind them.
        """
        frame.outer.extend(frame.flushed(self.alias))
        if (
            content is not frame.outer
        ):  # a loop that has not begun its first iteration records into the steps around it
            frame.outer.extend(content)
        return frame.outer

    def place(self) -> tuple[tuple[int, int], ...]:
        """Where the run is: each open structure, with the number of the step a loop is in."""
        return tuple((frame.key, frame.count if isinstance(frame, LoopFrame) else 0) for frame in self.frames)

    def unwind(self, depth: int) -> None:
        """Close what an exception left open."""
        self.fail("an exception passed through", depth)
        del self.frames[depth:]

    def _top(self, key: int) -> Frame:
        """The frame of the structure that is closing; what an exception left open above it is unwound."""
        place = max(i for i, f in enumerate(self.frames) if f.key == key)
        self.unwind(place + 1)
        return self.frames[place]

    # --- branches --------------------------------------------------------------------------------

    def test(self, key: int, names: Sequence[str], condition: Any, local: Mapping[str, Any]) -> bool:
        """A branch begins; returns which arm is taken."""
        recording = self.recording
        traced = recording.traced(condition)
        if traced is None or isinstance(traced.atom, Const):
            self.frames.append(Straight(key))
            return bool(condition)
        atom = recording.condition(traced)
        taken = bool(traced.value)
        before = {n: local.get(n, UNDEFINED) for n in names}
        self.frames.append(BranchFrame(key, atom, taken, recording.steps, before, recording.location()))
        recording.steps = []
        return taken

    def join(self, key: int, names: Sequence[str], local: Mapping[str, Any]) -> tuple[Any, ...]:
        """A branch ends; returns the values of its names, results of the branch from here on."""
        frame = self._top(key)
        values = [local.get(n, UNDEFINED) for n in names]
        if isinstance(frame, BranchFrame):
            results: dict[str, Any] = {}
            for n, v in zip(names, values, strict=True):
                traced = None if v is UNDEFINED else self._number(v)
                if traced is not None:
                    results[n] = traced
                elif v is not frame.before[n]:
                    self.fail(f"`{n}` holds a {type(v).__name__} after one arm", len(self.frames) - 1)
                    break
            else:
                self._close_branch(frame, results)
                values = [results.get(n, v) for n, v in zip(names, values, strict=True)]
        self.frames.pop()
        return tuple(values)

    def _close_branch(self, frame: BranchFrame, results: dict[str, Any]) -> None:
        recording = self.recording
        steps = self._resolved(recording.steps)
        atoms = [substituted(t.atom, self.alias) for t in results.values()]
        free = free_variables(steps, atoms)
        arm = closed(steps, atoms, (), free, "arm")
        outputs = tuple(Var(a.type, n) for n, a in zip(results, atoms, strict=True))
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
        deep = _holds_arrays(steps)
        for (n, t), v in zip(list(results.items()), outputs, strict=True):
            results[n] = self._renamed(t, v, frame.condition, frame.taken, deep, frame.location)

    # --- loops -----------------------------------------------------------------------------------

    def enter(self, key: int, kind: str) -> None:
        """A loop begins."""
        self.frames.append(LoopFrame(key, kind, self.recording.steps, self.recording.location()))

    def header(self, key: int, names: Sequence[str], local: Mapping[str, Any]) -> tuple[Any, ...]:
        """An iteration begins, before its condition is asked; returns the values of the loop's names."""
        frame = self._top(key)
        values = [local.get(n, UNDEFINED) for n in names]
        if not isinstance(frame, LoopFrame):
            return tuple(values)
        if frame.current is None and frame.count == 0:
            for n, v in zip(names, values, strict=True):
                traced = None if v is UNDEFINED else self._number(v)
                if traced is not None:
                    frame.init[n] = traced.atom
                elif v is not UNDEFINED:
                    frame.still[n] = v
        elif not self._close_iteration(frame, names, local):
            return tuple(values)
        header: dict[str, Var] = {}
        out: list[Any] = []
        for n, v in zip(names, values, strict=True):
            if n in frame.init:
                traced = self._number(v)
                header[n] = Var(traced.atom.type, n)
                out.append(self.recording.renamed(traced, header[n]))
            else:
                out.append(v)
        frame.current = Iteration(header)
        self.recording.steps = frame.current.steps
        return tuple(out)

    def proceed(self, key: int, condition: Any) -> bool:
        """The condition of a `while` has been computed; returns whether the body runs."""
        frame = self._top(key)
        if not isinstance(frame, LoopFrame):
            return bool(condition)
        assert frame.current is not None
        traced = self.recording.traced(condition)
        going = bool(condition) if traced is None else bool(traced.value)
        if traced is not None and isinstance(traced.atom, Var):
            frame.current.condition = self.recording.condition(traced)
        frame.current.test = frame.current.steps
        frame.current.steps = self.recording.steps = []
        return going

    def leave(
        self, key: int, names: Sequence[str], after: frozenset[str], local: Mapping[str, Any]
    ) -> tuple[Any, ...]:
        """A loop ends; returns the values of its names, results of the loop from here on."""
        frame = self._top(key)
        values = {n: local.get(n, UNDEFINED) for n in names}
        if isinstance(frame, LoopFrame) and self._finished(frame, names, local):
            finals = self._close_loop(frame, names, after, values)
            values.update(finals)
        self.frames.pop()
        return tuple(values[n] for n in names)

    def _finished(self, frame: LoopFrame, names: Sequence[str], local: Mapping[str, Any]) -> bool:
        """Close the last iteration of a `for`, or match the last test of a `while`; False if the loop is
        straight.
        """
        place = len(self.frames) - 1
        if frame.kind == "for":
            if frame.current is not None and not self._close_iteration(frame, names, local):
                return False
            frame.current = None
            if frame.count < 2:
                self._flatten(frame)
                return False
        else:
            last = frame.current
            assert last is not None
            if frame.first is None:
                if last.condition is None:
                    self._flatten(frame, stays=False)
                    return False
            else:
                try:
                    match_test(frame.first, self._resolve_iteration(last), frame)
                except Mismatch as found:
                    self._fail_on(found, place, stays=False)
                    return False
                if frame.first.condition is None and frame.count < 2:
                    self._flatten(frame, stays=False)
                    return False
        one = frame.first
        if one is not None:
            for n, v in one.header.items():
                if one.next[n].type != v.type:
                    self._flatten(frame, stays=frame.kind == "for")
                    return False
        return True

    def _flatten(self, frame: LoopFrame, stays: bool = True) -> None:
        """Make this loop straight without a word: it is too short to be a loop."""
        if frame.current is not None and not stays:
            self._false_test(frame)
        self.recording.steps = self._spilled(frame, self.recording.steps)
        self.frames[-1] = Straight(frame.key)

    def _fail_on(self, found: Mismatch, place: int, stays: bool = True) -> None:
        frame = self.frames[place]
        assert isinstance(frame, LoopFrame)
        if not stays:
            self._false_test(frame)
        self.fail(f"its iterations differ: {found.reason}", place)

    def _false_test(self, frame: LoopFrame) -> None:
        """The last test of a `while`, which was false: as a straight step with its guard."""
        last = frame.current
        assert last is not None
        if last.condition is not None:
            last.test.append(Guard(last.condition, False, frame.location))
            last.condition = None

    def _close_iteration(self, frame: LoopFrame, names: Sequence[str], local: Mapping[str, Any]) -> bool:
        """What the next iteration gets is known; compare with the first. False if the loop became straight."""
        one, place = frame.current, len(self.frames) - 1
        assert one is not None
        for n in names:
            v = local.get(n, UNDEFINED)
            traced = None if v is UNDEFINED else self._number(v)
            if n in frame.init and traced is None:
                self.fail(f"`{n}` becomes a {type(v).__name__} in the loop", place)
                return False
            if traced is not None:
                one.next[n] = substituted(traced.atom, self.alias)
            elif n in frame.still and v is not frame.still[n]:
                self.fail(f"`{n}` holds a {type(v).__name__} that changes from step to step", place)
                return False
        one = self._resolve_iteration(one)
        if frame.first is None:
            frame.first = frame.last = one
        else:
            try:
                frame.first = matched(frame, one)
                frame.last = one
            except Mismatch as found:
                renewed_first = promoted(frame, one)
                if renewed_first is not None:
                    frame.first = frame.last = renewed_first
                    frame.count += 1
                    frame.current = None
                    self.recording.steps = []
                    return True
                if frame.count != 1 or frame.peeled:
                    frame.current = replace(one, steps=[])
                    self.recording.steps = one.steps
                    self._fail_on(found, place)
                    return False
                frame.current = None
                frame.outer.extend(frame.flushed(self.alias))
                frame.init = {n: frame.first.next[n] for n in frame.init}
                frame.first = frame.last = one
                frame.count, frame.peeled = 0, True
        frame.count += 1
        frame.current = None
        self.recording.steps = []
        return True

    def _resolved(self, steps: Sequence[Step]) -> list[Step]:
        return [substitute(s, self.alias) for s in steps] if self.alias else list(steps)

    def _resolve_iteration(self, one: Iteration) -> Iteration:
        return replace(
            one,
            test=self._resolved(one.test),
            steps=self._resolved(one.steps),
            condition=None if one.condition is None else substituted(one.condition, self.alias),
        )

    def _close_loop(
        self, frame: LoopFrame, names: Sequence[str], after: frozenset[str], values: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Write the loop step; returns the values of its names."""
        recording, one, last = self.recording, frame.first, frame.current
        recording.steps = frame.outer
        init, body, condition = dict(frame.init), None, None
        if one is None:
            assert last is not None
            one = last
            one.next = {}
        carried = dict(one.header)
        extras = [n for n in names if n not in carried and n in one.next and n in after]
        for n in extras:
            type = one.next[n].type
            carried[n] = Var(type, n)
            init[n] = Const(type.dtype.type(0)) if not type.shape else self._zeros(type)
        free = free_variables([*one.test, *one.steps], [*one.next.values()], carried.values())
        bound = [Var(array_type((), int), "k"), *carried.values()]  # the counter comes first
        if one.condition is not None:
            if one.condition not in free and one.condition not in {v for s in one.test for v in s.outputs}:
                free = [
                    *free,
                    *(
                        [one.condition]
                        if isinstance(one.condition, Var) and one.condition not in bound
                        else []
                    ),
                ]
            condition = closed(*_copy(one.test, [one.condition], bound), free, "condition")
        if frame.first is not None:
            made = {v for s in one.test for v in s.outputs}
            crossing = made.intersection(free_variables(one.steps, list(one.next.values())))
            steps = [*one.test, *one.steps] if crossing else one.steps
            body = closed(*_copy(steps, [one.next[n] for n in carried], bound), free, "body")
        finals = {n: Var(v.type, n) for n, v in carried.items()}
        steps_done = Var(array_type((), int), None)
        limit = Const(-1) if one.condition is not None else Const(frame.count)
        recording.steps.append(
            Instr(
                loop,
                (limit, *(init[n] for n in carried), *free),
                (steps_done, *finals.values()),
                {
                    "condition": condition,
                    "stop": None,
                    "body": body,
                    "carried": len(carried),
                    "sliced": 0,
                    "reverse": False,
                    "names": tuple(carried),
                },
                frame.location,
            )
        )
        if extras and condition is not None:
            entered = Var(array_type((), bool))
            recording.steps.append(Instr(greater, (steps_done, Const(0)), (entered,), {}, frame.location))
            recording.steps.append(Guard(entered, True, frame.location))
        out: dict[str, Any] = {}
        deep = _holds_arrays([*one.test, *one.steps])
        done = steps_done if condition is not None or deep else None
        for n, v in finals.items():
            out[n] = self._renamed(self._number(values[n]), v, done, frame.count, deep, frame.location)
        return out

    def _zeros(self, type: Any) -> Atom:
        made = Var(type)
        self.recording.steps.append(Instr(zeros, (), (made,), {"shape": type.shape, "dtype": type.dtype}))
        return made

    def _number(self, value: Any) -> Any:
        """A traced value, or a number made one; None for anything else."""
        return self.recording.number_as_traced(value)


def _holds_arrays(steps: Sequence[Step]) -> bool:
    """Whether a loop or branch among these steps has an array among its results."""
    return any(
        isinstance(s, Instr) and s.op.family == "control" and any(v.type.shape for v in s.outputs)
        for s in steps
    )


def _copy(steps: Sequence[Step], outputs: Sequence[Atom], bound: Sequence[Var]) -> tuple[Any, Any, Any]:
    """A block in fresh variables, so that a test can stand in the condition and in the body."""
    inputs = [Var(v.type, v.name) for v in bound]
    copies, names = renewed(steps, dict(zip(bound, inputs, strict=True)))
    return copies, [substituted(a, names) for a in outputs], inputs
