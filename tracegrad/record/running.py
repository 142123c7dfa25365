"""When a loop runs ahead of its recording, and what its names hold then.

In: an open loop whose iterations were equal so far, at the edge of the next one. Out: the same loop some
iterations later, as if Python had run them (`ahead.py`). Begin with `Running.run_ahead`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tracegrad.ad.branch import branch
from tracegrad.ad.loop import loop
from tracegrad.ir.close import substituted
from tracegrad.ir.trace import Atom, Const, Instr, Step, Var
from tracegrad.ir.types import type_of
from tracegrad.ir.walk import nested
from tracegrad.ops.index import index_add, index_set
from tracegrad.record.ahead import Ahead
from tracegrad.record.edges import put_together, taken_apart
from tracegrad.record.handing import Handing
from tracegrad.record.iterations import LoopFrame
from tracegrad.record.pins import owner_of

FIRST = 2  # iterations recorded before any is computed; of a loop that is known, one
FEW = 16  # so many are left to Python in any case
LARGE = (
    1 << 17
)  # items of the largest array that is written into: a copy for each write takes less than recording


class Running(Handing):
    """The part of `Structures` that lets loops run ahead."""

    shown = False  # something was printed

    def showing(self) -> None:
        """Something is printed: the loops that are open run step by step."""
        self.shown = True
        for frame in self.frames:
            if isinstance(frame, LoopFrame):
                frame.shows = True

    def watch(self, frame: LoopFrame) -> None:
        """An iteration begins. If others may be computed after it, what it reads from outside is remembered."""
        if frame.count == FIRST - 1 or (frame.count == 0 and frame.location in self.known):
            frame.around, self.recording.watched = self.recording.watched, {}
            frame.watches = True

    def watched(self, frame: LoopFrame) -> None:
        """That iteration is over."""
        if not frame.watches or self.recording.watched is None:
            return
        frame.watches = False
        found = self.recording.watched
        self.recording.watched = frame.around
        if frame.around is not None:
            frame.around.update(found)
        frame.around = None
        named = ((substituted(v, self.alias), value) for v, value in found.items())
        frame.values = {v: value for v, value in named if isinstance(v, Var)}

    def run_ahead(self, frame: LoopFrame, held: dict[str, Any]) -> dict[str, Any]:
        """Compute iterations instead of recording them; returns what the names hold after them."""
        if frame.count < frame.next_try or not self._may_run(frame):
            return held
        ahead = self._prepared(frame)
        state = self._state(frame, held)
        most = frame.items.count - 1 - frame.done if frame.items is not None else 2**62
        if ahead is None or state is None or most < FEW:
            frame.next_try = 2**62
            return held
        done, after = ahead.run(frame.done, most, state, lambda pushed: self._left(frame, pushed))
        frame.wait = 1 if done else 2 * frame.wait  # Python's turn, before another try
        frame.next_try = frame.count + done + frame.wait
        if not done:
            return held
        frame.count += done
        frame.skipped = True
        frame.known.extend([None] * done)
        frame.at += done
        if frame.pending is not None:
            self._item_again(frame, ahead)
        return {n: self._with_state(frame, n, v, after) for n, v in held.items()}

    def _may_run(self, frame: LoopFrame) -> bool:
        if not frame.alike or frame.first is None or frame.values is None:
            return False
        if frame.count < FIRST and (frame.offset or not self.known.has(frame)):
            return False
        if frame.form.kind == "for" and frame.items is None:
            return False
        if len(set(frame.first.sharing)) < len(frame.first.sharing):
            return False
        return not frame.shows and not any(map(_copies, (*frame.first.test, *frame.first.steps)))

    def _prepared(self, frame: LoopFrame) -> Ahead | None:
        """The computation of an iteration; None if a value that it reads was not seen."""
        one, values = frame.first, frame.values
        assert one is not None and values is not None
        free = one.outside()
        if any(v not in values for v in free) or any(n not in one.next for n in one.header):
            return None
        return Ahead(one, {v: values[v] for v in free})

    def _state(self, frame: LoopFrame, held: Mapping[str, Any]) -> dict[str, Any] | None:
        """The values of the header's variables now; None if one is not to be had."""
        assert frame.first is not None
        leaves = self.leaves_of(frame, held)
        for grown in frame.grown.values():
            for label, item in grown.tail():
                if label in frame.shapes:
                    taken_apart(item, label, leaves, self.owned)
        state = {}
        steps, roots = [*frame.first.test, *frame.first.steps], set()
        for label in frame.first.header:
            traced = self.leaf(leaves.get(label))
            if traced is None or type_of(traced.value) != frame.first.header[label].type:
                return None
            kept = not traced.atom.type.shape or owner_of(traced.value) in frame.owners
            if not kept:
                handed = frame.first.next[label]
                root = viewed(handed, steps)
                if not is_made(root, steps) or root in roots or (root is not handed and frame.grown):
                    return None  # what is computed is in memory of its own, and other names may share this
                roots.add(root)
            state[label] = np.array(traced.value) if traced.atom.type.shape else traced.value
        return state

    def _with_state(self, frame: LoopFrame, name: str, value: Any, state: Mapping[str, Any]) -> Any:
        """What a name holds with the values of `state`."""
        if name not in frame.shapes:
            return value
        leaves: dict[str, Any] = {}
        taken_apart(value, name, leaves, self.owned)
        own: dict[str, Any] = {}
        for label, leaf in leaves.items():
            if label not in state:
                continue
            traced = self.leaf(leaf)
            if traced.atom.type.shape and owner_of(traced.value) in frame.owners:
                np.copyto(traced.value, state[label])
                continue
            own[label] = self.recording.wrap(
                _plain(state[label], traced), traced.atom, traced.weak, traced.requires_grad
            )
        return put_together(value, name, frame.shapes[name], own)

    def _left(self, frame: LoopFrame, pushed: Mapping[str, Any]) -> None:
        """The items that a computed iteration appends, at the end of their lists."""
        for grown in frame.grown.values():
            own = {}
            for label, before in grown.leaves[-1].items():
                own[label] = self.recording.wrap(
                    _plain(pushed[label], before), before.atom, before.weak, before.requires_grad
                )
            assert grown.shapes is not None
            templates = grown.items[len(grown.items) - len(grown.shapes) :]
            for j, template in enumerate(templates):
                grown.items.append(put_together(_copy(template), f"{grown.name}[+{j}]", grown.shapes[j], own))
            grown.pending = own
            grown.push()

    def _item_again(self, frame: LoopFrame, ahead: Ahead) -> None:
        """The item of the iteration that begins, which was computed for an earlier one."""
        one = frame.pending
        assert one is not None
        leaves: dict[str, Any] = {}
        taken_apart(frame.item, "item", leaves, lambda container: True)
        values = ahead.values_of(one, frame.done)
        made = {one.counter, *(v for step in one.steps for v in step.outputs)}
        for leaf in leaves.values():
            traced = self.recording.traced(leaf)
            if traced is not None and traced.atom in made:
                traced.value = _plain(values[traced.atom], traced)


def viewed(atom: Atom, steps: Sequence[Step]) -> Atom:
    """The array in whose memory an array lies, as far as these steps tell."""
    for step in reversed(steps):
        if atom in step.outputs and isinstance(step, Instr) and step.op.view:
            atom = step.inputs[0]
    return atom


def is_made(atom: Atom, steps: Sequence[Step]) -> bool:
    """Whether an array is made by these steps, on every way through them: no view, and none that was there before."""
    step = next((s for s in reversed(steps) if atom in s.outputs), None)
    if not isinstance(step, Instr):
        return False
    place = step.outputs.index(atom)
    if step.op is branch:
        arms = [arm for arm in step.params["arms"] if arm is not None]
        return all(is_made(arm.outputs[place], arm.steps) for arm in arms)
    if step.op is loop:
        body, carried = step.params["body"], step.params["carried"]
        if place > carried or body is None:
            return place > carried
        handed, limit = body.outputs[place - 1], step.inputs[0]
        anew = is_made(handed, body.steps)
        if anew and isinstance(limit, Const) and limit.value > 0 and step.params["condition"] is None:
            return True
        return (anew or handed is body.inputs[place]) and is_made(step.inputs[place], steps)
    return not step.op.view and step.op.family != "control"


def _copies(step: Step) -> bool:
    """Whether a step copies an array to write into it, which Python would not, and that takes longer than recording."""
    if isinstance(step, Instr) and step.op in (index_set, index_add):
        return step.outputs[0].type.size > LARGE
    return any(_copies(inner) for trace in nested(step) for inner in trace.steps)


def _plain(value: Any, like: Any) -> Any:
    """A value as a Python number where that is what it stands for."""
    return value.item() if like.weak and hasattr(value, "item") else value


def _copy(template: Any) -> Any:
    return (
        list(template) if type(template) is list else dict(template) if type(template) is dict else template
    )
