"""What iterations hand on and append: the leaves of names, and lists that grow by the same items each time.

In: an open loop, and what its names hold at the edge of an iteration. Out: atoms that the next iteration gets
(`Iteration.next`), items that one leaves behind (`Iteration.pushed`), or the reason why it cannot be one of a
loop. After the loop a list that grew holds items of the loop's stacks. Begin with `Handing.next_of`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tracegrad.ir.close import substituted
from tracegrad.ir.trace import Guard, Instr, Var
from tracegrad.ir.types import ArrayType
from tracegrad.ops.shape import reshape
from tracegrad.record.branches import Branches, name_of
from tracegrad.record.edges import UNDEFINED, put_together, taken_apart
from tracegrad.record.iterations import Grown, Iteration, LoopFrame
from tracegrad.record.pins import Reach, owner_of


class Handing(Branches):
    """The part of `Structures` that goes from one iteration to the next."""

    # --- names -----------------------------------------------------------------------------------

    def in_header(self, frame: LoopFrame, one: Iteration, name: str, value: Any) -> dict[str, Any]:
        """The leaves of a name's value under variables of this iteration."""
        leaves: dict[str, Any] = {}
        taken_apart(value, name, leaves, self.owned)
        renamed: dict[str, Any] = {}
        for label, leaf in leaves.items():
            if label not in frame.init:
                continue
            traced = self.leaf(leaf)
            variable = one.header[label] = Var(traced.atom.type, name_of(label))
            one.parts[label] = self._written_part(frame, traced)
            if traced.atom.type.shape:
                one.memory[label] = self.pins.reach_of(traced)
            if self.keeps_identity(frame, traced, value):
                self.recording.stands_for(traced, variable, unchanged=True)
            else:
                renamed[label] = self.recording.renamed(traced, variable)
        return renamed

    def next_of(self, frame: LoopFrame, one: Iteration, name: str, value: Any) -> str | None:
        leaves: dict[str, Any] = {}
        shape = taken_apart(value, name, leaves, self.owned)
        if name in frame.shapes and shape != frame.shapes[name]:
            return f"`{name}` changes its structure in the loop"
        for label, leaf in leaves.items():
            traced = self.leaf(leaf)
            if traced is not None and label not in frame.still:
                if label in one.parts and one.parts[label] != self._written_part(frame, traced):
                    return f"`{label}` shows another part of an array that is written"
                one.next[label] = substituted(traced.atom, self.alias)
            elif label in frame.init:
                return f"`{label}` becomes a {type(leaf).__name__} in the loop"
            elif frame.done == 0 and label not in frame.still:
                frame.still[label] = leaf
            elif leaf is not frame.still.get(label, UNDEFINED):
                return f"`{label}` holds a {type(leaf).__name__} that changes from step to step"
        return None

    def _written_part(self, frame: LoopFrame, traced: Any) -> Any:
        """Which part of an array that the loop writes this is; None for anything else."""
        whole, part = self.recording.part_of(traced)
        return (owner_of(whole.value), *part) if part and owner_of(whole.value) in frame.owners else None

    def leaves_of(self, frame: LoopFrame, held: Mapping[str, Any]) -> dict[str, Any]:
        """The leaves, by label, of what the loop's names hold."""
        leaves: dict[str, Any] = {}
        for n, v in held.items():
            if n in frame.shapes:
                taken_apart(v, n, leaves, self.owned)
        return leaves

    def sharing(self, frame: LoopFrame, held: Mapping[str, Any]) -> tuple[int, ...]:
        """Which of the arrays that names hold are in one memory: a write to one is a write to all."""
        traced = map(self.recording.traced, self.leaves_of(frame, held).values())
        owners = [owner_of(t.value) for t in traced if t is not None and t.atom.type.shape]
        return tuple(map(owners.index, owners))

    # --- whose memory arrays are in ------------------------------------------------------------------

    def find_roots(self, frame: LoopFrame, one: Iteration) -> None:
        """Find out whose memory the arrays may be that an iteration hands on."""
        arrays = {n: a for n, a in one.next.items() if a.type.shape}
        if arrays:
            pushed = [a for a in one.pushed.values() if a.type.shape]
            frame.places, left = self.roots.iteration([*one.test, *one.steps], arrays, pushed, one.header)
            frame.left.update(left)

    def alone_after(
        self, frame: LoopFrame, one: Iteration, outputs: Mapping[str, Var], shared: Var, may_be_empty: bool
    ) -> dict[str, Reach | None]:
        """The arrays that a loop leaves under one name, with the memory that they may be in instead."""
        arrays = {n: v for n, v in outputs.items() if v.type.shape}
        self.roots.loop(frame.places, frame.left, frame.init, arrays, shared, may_be_empty)
        return {
            n: one.memory.get(n) if left.before or (may_be_empty and n in one.header) else ()
            for n, left in frame.left.items()
        }

    # --- lists that grow -------------------------------------------------------------------------

    def begin_list(self, frame: LoopFrame, name: str, items: list[Any]) -> None:
        grown = frame.grown[name] = Grown(name, items, len(items), len(items))
        for label, item in grown.tail():
            leaves: dict[str, Any] = {}
            frame.shapes[label] = taken_apart(item, label, leaves, self.owned)
            for inner, leaf in leaves.items():
                traced = self.leaf(leaf)
                if traced is None:
                    frame.still[inner] = leaf
                else:
                    frame.init[inner] = substituted(traced.atom, self.alias)

    def show_lists(self, frame: LoopFrame, one: Iteration) -> None:
        """The last items of lists stand for variables of this iteration while it runs."""
        for grown in frame.grown.values():
            for label, item in grown.tail():
                if label in frame.shapes:
                    shown = put_together(
                        item, label, frame.shapes[label], self.in_header(frame, one, label, item)
                    )
                    if shown is not item:
                        place = len(grown.items) - 1 - _depth(label)
                        grown.shown.append((place, item))
                        grown.items[place] = shown

    def restore_lists(self, frame: LoopFrame) -> None:
        """Items at the end of lists that stood for header variables: what belongs there again."""
        for grown in frame.grown.values():
            for place, item in grown.shown:
                if place < len(grown.items):
                    grown.items[place] = item
            grown.shown.clear()

    def appended(self, frame: LoopFrame, one: Iteration, grown: Grown) -> str | None:
        """The items that an iteration appended to a list, as leaves that it leaves behind."""
        new = grown.items[grown.seen :]
        leaves: dict[str, Any] = {}
        shapes = tuple(
            taken_apart(item, f"{grown.name}[+{j}]", leaves, self.owned) for j, item in enumerate(new)
        )
        if grown.shapes is None:
            grown.shapes = shapes
        elif shapes != grown.shapes:
            return f"another number or kind of items is appended to `{grown.name}`"
        own: dict[str, Any] = {}
        for label, leaf in leaves.items():
            traced = self.leaf(leaf)
            if traced is None:
                return f"a {type(leaf).__name__} is appended to `{grown.name}`"
            own[label] = self.recording.renamed(traced, traced.atom)
            if isinstance(traced.value, np.ndarray):
                grown.memory.add(owner_of(traced.value))
            one.pushed[label] = substituted(traced.atom, self.alias)
        for j, item in enumerate(new):
            grown.items[grown.seen + j] = put_together(item, f"{grown.name}[+{j}]", shapes[j], own)
        for label, item in grown.tail():
            if label in frame.shapes:
                reason = self.next_of(frame, one, label, item)
                if reason is not None:
                    return reason
        grown.pending = own
        return None

    def close_lists(self, frame: LoopFrame, stacks: Mapping[str, Var], steps: Var | None) -> None:
        """The items that iterations appended stand for items of the loop's stacks."""
        if not stacks:
            return
        recording = self.recording
        if steps is not None:
            recording.steps.append(Guard(steps, frame.count, frame.location))
        for grown in frame.grown.values():
            for label in grown.leaves[0]:
                leaves = [own[label] for own in grown.leaves]
                stack = stacks[label]
                shape = (frame.count, *stack.type.shape[1:])
                whole = Var(ArrayType(shape, stack.type.dtype), stack.name)
                stack.name = None
                recording.steps.append(Instr(reshape, (stack,), (whole,), {"shape": shape}, frame.location))
                values = np.array([leaf.value for leaf in leaves], stack.type.dtype)
                active = any(leaf.requires_grad for leaf in leaves)
                column = recording.wrap(values, whole, False, active)
                for i, leaf in enumerate(leaves):
                    leaf.becomes_item(column, i)


def _depth(label: str) -> int:
    """How far from the end the item with this label stands, 0 for the last."""
    return int(label[label.rindex("[-") + 2 : -1]) - 1
