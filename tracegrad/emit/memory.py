"""Who owns the memory of an array, and which writes may happen in place.

Blocks with the lives of their values go in; afterwards every `Write` knows whether it works on its source itself, and
every loop which of the arrays it carries start as a copy (`Repeat.copied`), so that its body need not copy them again
and again. A write works in place if the memory was made here and no value needed afterwards may share it. Begin with
`write_in_place`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from tracegrad.emit.blocks import (
    Block,
    Choice,
    Compute,
    Item,
    Move,
    Node,
    Operand,
    Pack,
    Push,
    Repeat,
    Value,
    Write,
)
from tracegrad.emit.lifetimes import Groups, leaves, live_at
from tracegrad.ir.trace import Const
from tracegrad.ops.op import read_only


def write_in_place(block: Block, memory: Memory, groups: Groups) -> None:
    """Decide for every write in a block, in the order of the text."""
    for write, loops in _loops_around(block, ()):
        if not _fits(write, loops, memory, groups) and not _fits_after_copy(write, loops, memory, groups):
            memory.change({write.output: []})
            continue
        if not write.loop:  # all operands are read before the place is written
            at = write.output.start
            for value in (v for operand in write.rest for v in leaves(operand)):
                value.end = at if value.end == at + 2 else value.end
        assert isinstance(write.source, Value)
        write.in_place = groups.join(write.source, write.output)
        if not write.in_place:
            memory.change({write.output: []})


def _fits(write: Write, loops: Sequence[Repeat], memory: Memory, groups: Groups) -> bool:
    """Whether the source's memory is ours, and nothing that is needed afterwards may share it; small views that do are
    made copies."""
    source = write.source
    if not isinstance(source, Value) or source.expression is not None:
        return False
    owners = memory.owners(source)
    if None in owners:
        return False
    sharing = memory.shared_after(write, owners) - _of_steps_before(write, owners, loops, memory)
    if not sharing:
        return True
    views = _views_between(source, sharing, memory, groups)
    if not views:
        return False
    before = {v: memory.sources[v] for v in views}
    memory.change({view: [] for view in views})
    if memory.shared_after(write, memory.owners(source)):
        memory.change(before)
        return False
    for view in views:
        assert isinstance(view.maker, Compute)
        view.maker.copied = True
    return True


def _of_steps_before(
    write: Write, owners: Collection[Value | None], loops: Sequence[Repeat], memory: Memory
) -> set[Value]:
    """The values that share an array made anew at each step of the loop around a write, and are handed it by that loop
    alone: they have what a step before made."""
    if not loops or any(owner is None or owner.block is not loops[-1].body for owner in owners):
        return set()
    carried = set(loops[-1].carried)
    return memory.downstream(owners) - memory.downstream(owners, but=carried)


def _views_between(array: Value, sharing: Iterable[Value], memory: Memory, groups: Groups) -> set[Value]:
    """The small views through which values may share an array's memory; none where one shares it without."""
    views: set[Value] = set()
    seen, waiting = set(sharing), [*sharing]
    while waiting:
        value = waiting.pop()
        if groups.joined(value, array):
            return set()
        if _is_small_view(value, array):
            views.add(value)
            continue
        for source in memory.sources.get(value, ()):
            if isinstance(source, Value) and source not in seen:
                seen.add(source)
                waiting.append(source)
    return views


def _is_small_view(value: Value, array: Value) -> bool:
    """`x[k]` of a matrix that is written: it is better copied than the matrix."""
    maker = value.maker
    if not isinstance(maker, Compute) or maker.instr.op.name != "getitem" or -1 in array.type.shape:
        return False
    if value.expression is not None or maker.loop or maker.copied:
        return False
    return 2 * value.type.size <= array.type.size


def _fits_after_copy(write: Write, loops: Sequence[Repeat], memory: Memory, groups: Groups) -> bool:
    """Whether it fits once a loop around it starts with a copy: the outermost loop that will do."""
    return isinstance(write.source, Value) and after_copy(
        write.source, loops, memory, lambda: _fits(write, loops, memory, groups)
    )


def after_copy(array: Value, loops: Sequence[Repeat], memory: Memory, fits: Callable[[], bool]) -> bool:
    """Let the outermost loop that will do start with a copy of what the array may share, so that it fits."""
    before = memory.upstream(array) if loops else ()
    for loop in loops:
        for carried in loop.carried:
            if carried in before and carried not in loop.copied:
                memory.copy_at_entry(loop, carried)
                if fits():
                    return True
                memory.share_at_entry(loop, carried)
    return False


def _loops_around(block: Block, loops: tuple[Repeat, ...]) -> Iterable[tuple[Write, tuple[Repeat, ...]]]:
    """Every write with the loops around it, outermost first."""
    for node in block.nodes:
        if isinstance(node, Write):
            yield node, loops
        elif isinstance(node, Choice):
            for arm in node.arms:
                yield from _loops_around(arm, loops)
        elif isinstance(node, Repeat):
            yield from _loops_around(node.body, (*loops, node))
            if node.test is not None:
                yield from _loops_around(node.test, (*loops, node))


class Memory:
    """For each array, the values whose memory it may share: none or itself where that was made here, None where it is
    not ours.

    Owners are found when they are asked for, and what a change concerns is found again: in the order of the text a
    change concerns nothing that was asked before, so that all takes time in proportion to the values.
    """

    def __init__(self, inputs: Sequence[Value], nodes: Sequence[Node]) -> None:
        self.sources = _sources(nodes)
        made = (v for n in nodes for v in _made(n))
        self.values = [v for v in (*inputs, *made) if v.type.shape and v.expression is None]
        self._all = {*self.values, *self.sources}
        self._handed: dict[Value | None, dict[Value, None]] = {}  # to which values one hands its memory
        for value, given in self.sources.items():
            for source in given:
                self._handed.setdefault(source, {})[value] = None
        self._owners: dict[Value, frozenset[Value | None]] = {}
        self._changed: list[Value] = []  # to be shared anew
        self._shared: set[Value] = set()  # by owners, as far as the text was asked about
        self._sharing: dict[Value | None, dict[Value, None]] = {}
        self._waiting: list[Value] = []  # the rest of the text, the next one last
        self._at = -1
        self.begin_again()

    def owners(self, value: Value) -> frozenset[Value | None]:
        """The values that made the memory this one may use; None where it came from outside."""
        if value not in self._owners:
            self._owners.update(self._owners_of_all(self._unknown_before(value)))
        return self._owners[value]

    def _unknown_before(self, value: Value) -> Sequence[Value]:
        """The value, and all whose memory it may have been handed and whose owners are not known; sources first."""
        found = {value: None}
        waiting = [value]
        while waiting:
            for source in self.sources.get(waiting.pop(), ()):
                if source in self._all and source not in self._owners and source not in found:
                    assert source is not None
                    found[source] = None
                    waiting.append(source)
        return list(reversed(found))

    def _owners_of_all(self, values: Sequence[Value]) -> dict[Value, frozenset[Value | None]]:
        """Handed on in the order of the text, again where loops hand back, until nothing is new."""
        handed = {v: self.sources.get(v, [None]) for v in values}
        found: dict[Value, frozenset[Value | None]] = {}
        for value, given in handed.items():
            own: set[Value | None] = {None} if None in given else set()
            found[value] = frozenset(own | {value} if not given or value in given else own)
        anew = True
        while anew:
            anew = False
            for value, given in handed.items():
                known = [found.get(g) or self._owners.get(g) or frozenset() for g in given if g is not None]
                all_of_them = found[value].union(*known)
                if len(all_of_them) > len(found[value]):
                    found[value], anew = all_of_them, True
        return found

    def upstream(self, value: Value) -> set[Value]:
        """The value, and all whose memory it may have been handed."""
        seen, waiting = {value}, [value]
        while waiting:
            for source in self.sources.get(waiting.pop(), ()):
                if isinstance(source, Value) and source not in seen:
                    seen.add(source)
                    waiting.append(source)
        return seen

    def downstream(self, owners: Iterable[Value | None], but: Collection[Value] = ()) -> set[Value]:
        """All that these may hand their memory, themselves or others, but not through some."""
        waiting = [*owners]
        seen = {v for v in waiting if v is not None}
        while waiting:
            for value in self._handed.get(waiting.pop(), ()):
                if value not in seen and value not in but:
                    seen.add(value)
                    waiting.append(value)
        return seen

    def shared_after(self, write: Write, owners: Iterable[Value | None]) -> set[Value]:
        """The values other than its result that are needed after a write and may use memory of these owners."""
        at = write.output.start if write.loop else write.output.start + 2
        return {v for owner in owners for v in self.needed(owner, at) if v is not write.output}

    def needed(self, owner: Value | None, at: int) -> Iterable[Value]:
        """The values that are needed after a position and may use the memory of this owner.

        They are asked for in the order of the text: what ended before is forgotten, until `begin_again`.
        """
        if at <= self._at - _STEP:
            self.begin_again()
        self._at = at
        while self._waiting and self._waiting[-1].start <= at:
            self._share(self._waiting.pop())
        changed, self._changed = self._changed, []
        for value in changed:
            self._share(value)
        kept = self._sharing.get(owner, {})
        for value in [v for v in kept if v.end <= at - _STEP]:
            del kept[value]
        return [v for v in kept if v.expression is None and live_at(v, at)]

    def _share(self, value: Value) -> None:
        for owner in self.owners(value):
            self._sharing.setdefault(owner, {})[value] = None
        self._shared.add(value)

    def begin_again(self) -> None:
        """Lives may have become longer, or are asked about from the start."""
        self._at = -1
        self._waiting = sorted(self.values, key=lambda value: -value.start)
        self._changed, self._shared, self._sharing = [], set(), {}

    def change(self, sources: Mapping[Value, list[Value | None]]) -> None:
        """Let values have other sources."""
        for value, given in sources.items():
            for source in self.sources.get(value, ()):
                self._handed[source].pop(value, None)
            for source in given:
                self._handed.setdefault(source, {})[value] = None
        self.sources.update(sources)
        self._all.update(sources)
        concerned = list(sources)
        while concerned:  # what follows one whose owners nobody knows is not known either
            value = concerned.pop()
            if value not in self._owners:
                continue
            for owner in self._owners.pop(value):
                self._sharing.get(owner, {}).pop(value, None)
            if value in self._shared:
                self._shared.discard(value)
                self._changed.append(value)
            concerned.extend(self._handed.get(value, ()))

    def copy_at_entry(self, loop: Repeat, carried: Value) -> None:
        """A carried value starts as a copy: its own memory, handed on by the body."""
        loop.copied.add(carried)
        place = loop.carried.index(carried)
        self.change({carried: [carried, *_given(loop.body.nodes[-1], place)]})

    def owners_at_entry(self, loop: Repeat, carried: Value) -> frozenset[Value | None]:
        """Who made the memory that a carried value starts with."""
        (first,) = [carried] if carried in loop.copied else _given(loop.enter, loop.carried.index(carried))
        return frozenset([carried]) if first is carried else self.owners(first)

    def share_at_entry(self, loop: Repeat, carried: Value) -> None:
        """As it was before `copy_at_entry`."""
        loop.copied.discard(carried)
        place = loop.carried.index(carried)
        self.change({carried: [*_given(loop.enter, place), *_given(loop.body.nodes[-1], place)]})


_STEP = 4  # a node stands at one of so many positions


def _made(node: Node) -> Iterable[Value]:
    yield from node.makes
    if isinstance(node, Repeat):
        yield from node.carried
        yield from node.stacks


def _sources(nodes: Sequence[Node]) -> dict[Value, list[Value | None]]:
    """See `Memory`."""
    found: dict[Value, list[Value | None]] = {}
    for node in nodes:
        if isinstance(node, Compute):
            if node.instr.op.view and not node.loop:
                kept = node.instr.op.view is read_only
                for value in node.outputs:  # a single item is a number
                    shares = [_handed(node.inputs[0], value), *([None] if kept else [])]
                    found[value] = shares if value.type.shape else []
            else:
                for value in node.outputs:
                    found[value] = []
        elif isinstance(node, Write):
            found[node.output] = [_handed(node.source, node.output)]
        elif isinstance(node, Pack):
            found[node.output] = []
        elif isinstance(node, Item):
            found[node.output] = [None]
        elif isinstance(node, Choice):
            for arm in node.arms:
                _moved(arm.nodes[-1], found)
        elif isinstance(node, Repeat):
            _moved(node.enter, found)
            _moved(node.body.nodes[-1], found)
            for value, final in zip(node.carried, node.finals, strict=True):
                found.setdefault(final, []).append(value)
            for stack in node.stacks:
                found.setdefault(stack, [])
        elif isinstance(node, Push) and node.index is None and node.value.type.shape:
            found.setdefault(node.stack, []).append(_handed(node.value, node.stack))
    return found


def _moved(move: Node, found: dict[Value, list[Value | None]]) -> None:
    assert isinstance(move, Move)
    for place, target in enumerate(move.targets):
        found.setdefault(target, []).extend(_given(move, place))


def _given(move: Node, place: int) -> list[Value]:
    """What one target of a move is handed."""
    assert isinstance(move, Move)
    return [_handed(move.sources[place], move.targets[place])]


def _handed(source: Operand, target: Value) -> Value:
    """An array constant is written out, so it is memory of its own."""
    return target if isinstance(source, Const) else source
