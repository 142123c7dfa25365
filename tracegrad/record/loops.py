"""Loops while they are being recorded: iterations that are one another's repetition become one `loop` step.

In: the marks of `marks.py`: `enter`, for each iteration `items` and `header`, `proceed` with the condition of a
`while`, `stopped` with the flag of a `break`, and `leave`. Out: a `loop` step, or straight steps:

- Each iteration is recorded in variables of its own header. One that equals the first one literally (`ir/unify.py`) is
  dropped and counted. One that differs from the first may peel it off; a second difference makes the loop straight.
- The counter of a `for` is a variable of the header like any other, so `x[i]` is the same step each time.
- What each iteration appends to a list becomes a stack, and the list holds its items (`Grown`).

Begin with `Structures.header`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from tracegrad.ad.loop import loop
from tracegrad.errors import Mismatch
from tracegrad.ir.arms import known_arms
from tracegrad.ir.close import closed, free_variables, renewed, substituted
from tracegrad.ir.trace import Atom, Const, Guard, Instr, Step, Var
from tracegrad.ir.types import ArrayType, array_type
from tracegrad.ops.arithmetic import add
from tracegrad.ops.compare import greater
from tracegrad.ops.index import zeros
from tracegrad.record.branches import holds_arrays, name_of
from tracegrad.record.edges import UNDEFINED, put_together, root_of, taken_apart, tracked_names
from tracegrad.record.iterations import Iteration, LoopFrame, Straight, match_test, matched, promoted
from tracegrad.record.pins import owner_of
from tracegrad.record.running import FIRST, Running

COUNTER = array_type((), int)
LITERAL_ZEROS = 16  # an array of at most so many items that no iteration made is written as a constant


class Structures(Running):
    """The open structures of one recording: its branches, and its loops."""

    # --- edges of iterations ---------------------------------------------------------------------

    def enter(self, key: int, form: Any, items: Any = None) -> LoopFrame:
        """A loop begins. `items`: what a `for` runs over, if its items are known by their number."""
        frame = LoopFrame(key, form, self.recording.steps, self.recording.location(), items)
        # An item that is no number may be another each time, and what it does in an arm not taken as well.
        frame.alike = form.kind == "while" or items is not None or form.loads.isdisjoint(form.targets)
        self.frames.append(frame)
        return frame

    def next_item(self, key: int, number: int, items: Any) -> Any:
        """The item of the iteration that `header` will begin: recorded as its first steps."""
        frame = self.top(key)
        if not isinstance(frame, LoopFrame):
            return items.plain(number)
        recording = self.recording
        one = frame.pending = Iteration({}, Var(COUNTER, "k"))
        around, recording.steps = recording.steps, one.steps
        made = items.item(recording.wrap(number, one.counter, True), number)
        recording.steps = around
        frame.item = made
        return made

    def header(self, key: int, form: Any, local: Mapping[str, Any]) -> tuple[Any, ...]:
        """An iteration begins, before its condition is asked; returns the values of the loop's names."""
        frame = self.top(key)
        held = {n: local.get(n, UNDEFINED) for n in tracked_names(form)}
        if isinstance(frame, LoopFrame):
            if frame.begun and self._close_iteration(frame, held) and frame.begun:
                held = self.run_ahead(frame, held)
            if not frame.begun:
                frame.seen = self.seen(form, local)
                self._begin(frame, held)
            again = self.frames[-1]
            if again is frame:
                held = self._open_iteration(frame, held)
                self.watch(frame)
            elif frame.pending is not None:
                self.recording.steps.extend(frame.pending.steps)
        return tuple(held[n] for n in form.names)

    def proceed(self, key: int, condition: Any) -> bool:
        """The condition of a `while` has been computed; returns whether the body runs."""
        frame = self.top(key)
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

    def stopped(self, key: int, flag: Any) -> bool:
        """The body is over; returns whether a `break` or `return` in it ends the loop."""
        frame = self.top(key)
        traced = self.recording.traced(flag)
        going = bool(flag) if traced is None else bool(traced.value)
        if isinstance(frame, LoopFrame) and frame.current is not None:
            if traced is not None and isinstance(traced.atom, Var):
                frame.current.stop = traced.atom
            frame.broke = going
        return going

    def leave(self, key: int, form: Any, local: Mapping[str, Any]) -> tuple[Any, ...]:
        """A loop ends; returns the values of its names, results of the loop from here on."""
        frame = self.top(key)
        held = {n: local.get(n, UNDEFINED) for n in tracked_names(form)}
        if isinstance(frame, LoopFrame) and self._finished(frame, held):
            held = self._close_loop(frame, held)
        self.frames.pop()
        return tuple(held[n] for n in form.names)

    # --- the first edge --------------------------------------------------------------------------

    def _begin(self, frame: LoopFrame, held: Mapping[str, Any]) -> None:
        """What the loop's names hold before its first iteration."""
        frame.begun = True
        frame.init, frame.still, frame.shapes, frame.objects = {}, {}, {}, dict(held)
        frame.owners = self._owners(frame.form, held, len(self.frames) - 1)
        for n, v in held.items():
            if v is UNDEFINED or (n not in frame.form.names and self.is_own(frame, v)):
                continue
            ways = frame.form.written.get(n)
            if n not in frame.form.names and type(v) is list and ways == {"append"}:
                if self.owned(v):
                    self.begin_list(frame, n, v)
                continue
            leaves: dict[str, Any] = {}
            frame.shapes[n] = taken_apart(v, n, leaves, self.owned)
            for label, leaf in leaves.items():
                traced = self.leaf(leaf)
                if traced is not None:
                    frame.init[label] = substituted(traced.atom, self.alias)
                else:
                    frame.still[label] = leaf

    def _open_iteration(self, frame: LoopFrame, held: dict[str, Any]) -> dict[str, Any]:
        """The next iteration, recorded in its own variables; returns what the names hold in it."""
        one = frame.pending or Iteration({}, Var(COUNTER, "k"))
        frame.pending, frame.current = None, one
        self.recording.steps = one.steps
        out = dict(held)
        for n, v in held.items():
            if n in frame.shapes:
                out[n] = put_together(v, n, frame.shapes[n], self.in_header(frame, one, n, v))
        self.show_lists(frame, one)
        if frame.form.written:
            one.sharing = self.sharing(frame, out)
        return out

    # --- the edge between two iterations ---------------------------------------------------------

    def _close_iteration(self, frame: LoopFrame, held: Mapping[str, Any]) -> bool:
        """What the next iteration gets is known; compare with the first. False if the loop became straight."""
        one, place = frame.current, len(self.frames) - 1
        assert one is not None
        self.watched(frame)
        self.restore_lists(frame)
        reason = self._handed_on(frame, one, held)
        if self.frames[place] is not frame:
            return False
        one = self._resolve_iteration(one)
        if reason is not None:
            if frame.done > 0:
                return self._given_up(frame, one, reason, place)
            self._peel(frame, one)
            return True
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
                elif frame.count == 1 and frame.offset == 0 and not frame.grown:
                    first = frame.first
                    frame.current = None
                    self._peeled(frame)
                    frame.init = {n: first.next[n] for n in frame.init}
                    frame.first = frame.last = one
                else:
                    return self._given_up(frame, one, _differs(frame, found), place)
        self.find_roots(frame, one)
        for grown in frame.grown.values():
            grown.push()
        frame.known.append(known_arms([*one.test, *one.steps]))
        frame.count += 1
        frame.current = None
        self.recording.steps = []
        return True

    def _handed_on(self, frame: LoopFrame, one: Iteration, held: Mapping[str, Any]) -> str | None:
        """Write down what an iteration hands on and appends; returns why it cannot be one of a loop."""
        self.leaving(frame, held)
        left = list(self.rebound(frame, frame.objects, held))
        for n, array in left:
            if substituted(array.atom, self.alias) is not one.header.get(n):
                return f"`{n}` becomes another array after it was written"
            del frame.owners[owner_of(array.value)]
        reason = self._next(frame, one, held)
        for n, array in left:  # views of them are still of what this iteration got
            self.recording.stands_for(array, frame.init[n])
        return reason

    def _next(self, frame: LoopFrame, one: Iteration, held: Mapping[str, Any]) -> str | None:
        for n, v in held.items():
            if v is UNDEFINED:
                if n in frame.shapes:
                    return f"`{n}` is undefined after an iteration"
                continue
            if n in frame.grown or (n not in frame.form.names and n not in frame.shapes):
                continue
            reason = self.next_of(frame, one, n, v)
            if reason is not None:
                return reason
        for grown in frame.grown.values():
            reason = self.appended(frame, one, grown)
            if reason is not None:
                return reason
        return None

    # --- iterations that stay straight -----------------------------------------------------------

    def _given_up(self, frame: LoopFrame, one: Iteration, reason: str, place: int) -> bool:
        """The iterations are no loop: all of them stay, one after the other."""
        frame.current = replace(one, steps=[])
        self.recording.steps = one.steps
        if one.stop is not None:
            self.recording.steps.append(Guard(one.stop, frame.broke, frame.location))
        self.fail(reason, place)
        return False

    def _peel(self, frame: LoopFrame, one: Iteration) -> None:
        """The first iteration, just over and perhaps the last, stays straight before the loop."""
        frame.current = replace(one, steps=[])
        self._flush_before(frame)
        frame.outer.extend(one.steps)
        if one.stop is not None:
            frame.outer.append(Guard(one.stop, frame.broke, frame.location))
        frame.current, frame.begun = None, False
        frame.grown, frame.known, frame.left = {}, [], {}
        frame.offset += 1
        self.recording.steps = frame.outer

    def _peeled(self, frame: LoopFrame) -> None:
        """The one iteration recorded so far stays straight before the loop."""
        self._flush_before(frame)
        frame.count, frame.offset, frame.known, frame.left = 0, 1, [], {}

    def _flush_before(self, frame: LoopFrame) -> None:
        """The iterations so far as straight steps before the loop; where their number is computed, that there
        are any.
        """
        limit = self._limit(frame)
        if isinstance(limit, Var):
            enough = Var(array_type((), bool))
            frame.outer.append(Instr(greater, (limit, Const(0)), (enough,), {}, frame.location))
            frame.outer.append(Guard(enough, True, frame.location))
        begun, frame.pending = frame.pending, None
        broke, frame.broke = frame.broke, False  # the iteration after them, perhaps
        frame.outer.extend(frame.flushed(self.alias))
        frame.pending, frame.broke = begun, broke

    def _limit(self, frame: LoopFrame) -> Atom | None:
        """How many iterations what a `for` runs over has; None if that is not known."""
        if frame.items is None:
            return None
        length = frame.items.length
        traced = self.recording.traced(length)
        return Const(length) if traced is None else substituted(traced.atom, self.alias)

    def _flatten(self, frame: LoopFrame) -> bool:
        """Make this loop straight without a word: it is too short to be a loop."""
        if frame.current is not None:
            self._false_test(frame)
        self.recording.steps = self._spilled(frame, self.recording.steps)
        self.frames[-1] = Straight(frame.key)
        return False

    def _failed(self, frame: LoopFrame, reason: str) -> bool:
        if frame.current is not None:
            self._false_test(frame)
        self.fail(reason, len(self.frames) - 1)
        return False

    def _false_test(self, frame: LoopFrame) -> None:
        """The last test of a `while`, which was false: as a straight step with its guard."""
        last = frame.current
        assert last is not None
        if last.condition is not None:
            last.test.append(Guard(last.condition, False, frame.location))
            last.condition = None

    def _spilled(self, frame: Any, content: list[Step]) -> list[Step]:
        if isinstance(frame, LoopFrame):
            self.restore_lists(frame)
            limit = self._limit(frame)
            if isinstance(limit, Var):
                frame.outer.append(Guard(limit, int(frame.items.length.value), frame.location))
        return super()._spilled(frame, content)

    # --- the last edge ---------------------------------------------------------------------------

    def _finished(self, frame: LoopFrame, held: Mapping[str, Any]) -> bool:
        """Close the last iteration, or match the last test of a `while`; False if the loop is straight."""
        if not frame.begun:
            if frame.offset or not isinstance(self._limit(frame), Var):
                return self._flatten(frame)
            self._begin(frame, held)
            if self.frames[-1] is not frame:
                return False
            self._open_iteration(frame, dict(held))
            self.restore_lists(frame)
            return True
        if frame.form.kind == "for" or frame.broke:
            if not self._close_iteration(frame, held):
                return False
            if frame.first is None:  # the only iteration was peeled off
                return self._flatten(frame)
        elif not self._ended(frame):
            return False
        return self._is_a_loop(frame, held)

    def _ended(self, frame: LoopFrame) -> bool:
        """The last test of a `while` is that of the other iterations; False if the loop is straight."""
        last = frame.current
        assert last is not None
        self.restore_lists(frame)
        if frame.first is None:
            return last.condition is not None or self._flatten(frame)
        try:
            test, _ = match_test(frame.first, self._resolve_iteration(last), frame)
            frame.first = replace(frame.first, test=test, _made=None)
        except Mismatch as found:
            return self._failed(frame, _differs(frame, found))
        return True

    def _is_a_loop(self, frame: LoopFrame, held: Mapping[str, Any]) -> bool:
        """Whether what was recorded determines what any number of iterations does."""
        one = frame.first
        asks = frame.form.kind == "while"
        condition = (one or frame.current).condition if asks else None  # type: ignore[union-attr]
        limit, stop = self._limit(frame), None if one is None else one.stop
        if stop is not None:
            if asks and condition is None and frame.form.text not in ("True", "1"):
                return self._failed(frame, "its condition is not computed from traced values")
            if not asks and limit is None:
                return self._failed(frame, "it is left early, and how long it may run is not known")
        if frame.broke and stop is None:
            if frame.count < 2:
                return self._flatten(frame)
            return self._failed(frame, "it is left early on a condition that is not traced")
        runs_on = condition is not None or stop is not None or isinstance(limit, Var)
        if not runs_on and frame.count < 2:
            return self._flatten(frame)
        if one is not None and frame.form.written and runs_on and self.sharing(frame, held) != one.sharing:
            return self._flatten(frame)  # another iteration would write what is one array in these, or in it
        if one is not None and any(
            n in one.next and one.next[n].type != v.type for n, v in one.header.items()
        ):
            return self._flatten(frame)
        return True

    def _resolve_iteration(self, one: Iteration) -> Iteration:
        return replace(
            one,
            test=self._resolved(one.test),
            steps=self._resolved(one.steps),
            condition=None if one.condition is None else substituted(one.condition, self.alias),
            stop=None if one.stop is None else substituted(one.stop, self.alias),
            _made=None,
        )

    # --- writing the step ------------------------------------------------------------------------

    def _close_loop(self, frame: LoopFrame, held: dict[str, Any]) -> dict[str, Any]:
        """Write the loop step; returns the values of its names."""
        recording, one = self.recording, frame.first or frame.current
        assert one is not None
        if frame.count >= FIRST:
            self.found.add(frame)
        recording.steps = frame.outer
        init, carried = dict(frame.init), dict(one.header)
        after = frame.form.after
        extras = [n for n in one.next if n not in carried and (root_of(n) in after or n == frame.form.stop)]
        for n in extras:
            carried[n] = Var(one.next[n].type, name_of(n))
            init[n] = self._nothing(one.next[n].type)
        body, condition, free = self._traces(frame, one, carried)
        finals = {n: Var(v.type, name_of(n)) for n, v in carried.items()}
        stacks = {
            n: Var(ArrayType((-1, *a.type.shape), a.type.dtype), name_of(n)) for n, a in one.pushed.items()
        }
        steps = Var(COUNTER, None)
        limit = self._number_left(frame, condition is not None or one.stop is not None)
        names = tuple(carried)
        stop = None if one.stop is None or frame.form.stop not in carried else names.index(frame.form.stop)
        params = {
            "condition": condition,
            "body": body,
            "carried": len(carried),
            "sliced": 0,
            "reverse": False,
            "stop": stop,
            "names": names,
        }
        inputs = (limit, *(init[n] for n in carried), *free)
        outputs = (steps, *finals.values(), *stacks.values())
        recording.steps.append(Instr(loop, inputs, outputs, params, frame.location))
        varies = condition is not None or stop is not None or isinstance(limit, Var)
        if varies and body is not None and any(not n.startswith("__tg_") for n in extras):
            entered = Var(array_type((), bool))
            recording.steps.append(Instr(greater, (steps, Const(0)), (entered,), {}, frame.location))
            recording.steps.append(Guard(entered, True, frame.location))
        deep = holds_arrays([*one.test, *one.steps])
        reached = (steps if varies or deep else None, frame.count, deep)
        shapes: dict[str, Any] = {}
        results: dict[str, tuple[Any, Var, Any]] = {}
        for n, v in held.items():
            leaves: dict[str, Any] = {}
            shapes[n] = taken_apart(v, n, leaves, self.owned)
            results.update({k: (self.leaf(leaf), finals[k], v) for k, leaf in leaves.items() if k in finals})
        renamed = self.results(frame, results, reached, self.alone_after(frame, one, finals, steps, varies))
        out = {n: put_together(v, n, shapes[n], renamed) for n, v in held.items()}
        self.close_lists(frame, stacks, steps if varies else None)
        return out

    def _traces(
        self, frame: LoopFrame, one: Iteration, carried: Mapping[str, Var]
    ) -> tuple[Any, Any, list[Var]]:
        """Body and condition as closed traces, and what they read from outside."""
        bound = [one.counter, *carried.values()]
        free = free_variables([*one.test, *one.steps], one.results(), bound)
        body, condition = None, None
        if one.condition is not None:
            known = {v for s in one.test for v in s.outputs}
            if isinstance(one.condition, Var) and one.condition not in (*free, *known, *bound):
                free = [*free, one.condition]
            condition = closed(*self._copy(frame, one.test, [one.condition], bound), free, "condition")
        if frame.first is not None:
            made = {v for s in one.test for v in s.outputs}
            crossing = made.intersection(free_variables(one.steps, one.results()))
            steps = [*one.test, *one.steps] if crossing else one.steps
            results = [*(one.next[n] for n in carried), *one.pushed.values()]
            body = closed(*self._copy(frame, steps, results, bound), free, "body")
        return body, condition, free

    def _copy(
        self, frame: LoopFrame, steps: Sequence[Step], outputs: Sequence[Atom], bound: Sequence[Var]
    ) -> tuple[Any, Any, Any]:
        """A block in fresh variables, so that a test can stand in the condition and in the body; the counter
        goes on where iterations were peeled off.
        """
        inputs = [Var(v.type, v.name) for v in bound]
        names: dict[Var, Atom] = dict(zip(bound, inputs, strict=True))
        first: list[Step] = []
        if frame.offset:
            names[bound[0]] = number = Var(COUNTER, "k")
            first.append(Instr(add, (inputs[0], Const(frame.offset)), (number,), {}, frame.location))
        copies, names = renewed(steps, names)
        return [*first, *copies], [substituted(a, names) for a in outputs], inputs

    def _number_left(self, frame: LoopFrame, runs_on: bool) -> Atom:
        """The limit of the loop, without the iterations that were peeled off."""
        limit = self._limit(frame)
        if isinstance(limit, Var) and frame.offset:
            left = Var(COUNTER)
            step = Instr(add, (limit, Const(-frame.offset)), (left,), {}, frame.location)
            self.recording.steps.append(step)
            return left
        if isinstance(limit, Var):
            return limit
        if runs_on:
            return Const(-1) if limit is None else Const(limit.value - frame.offset)
        return Const(frame.count)

    def _nothing(self, type: ArrayType) -> Atom:
        """What a name holds that no iteration has bound; nobody reads it."""
        if not type.shape:
            return Const(type.dtype.type(0))
        if type.size <= LITERAL_ZEROS:
            return Const(np.zeros(type.shape, type.dtype))
        made = Var(type)
        self.recording.steps.append(Instr(zeros, (), (made,), {"shape": type.shape, "dtype": type.dtype}))
        return made


def _differs(frame: LoopFrame, found: Mismatch) -> str:
    """Which step differs from those before it, and in what."""
    where = "" if found.where is None else f", line {found.where.line}: `{found.where.text}`"
    return f"its step {frame.offset + frame.count + 1} differs from those before: {found.reason}{where}"
