"""Arrays that a native loop replaces at each step are written where the old ones were, or in two buffers by turns.

Blocks with lives and owners go in. An array that a loop over elements makes, and that becomes the next content of what
the loop carries, takes the memory of the old content if nobody needs that any more: each of its elements is read, if at
all, where the new one is made. If other elements of the old content are read as well, two buffers change places at the
end of each step. Where the old memory is not ours, the carried value starts as a copy. Begin with `reuse`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from tracegrad.emit.blocks import Block, Choice, Compute, Fused, Move, Node, Operand, Repeat, Value, Write
from tracegrad.emit.fusion import place_made, places_read
from tracegrad.emit.lifetimes import Groups, live_at, other_name, walk
from tracegrad.emit.memory import Memory, after_copy


def reuse(block: Block, memory: Memory, groups: Groups) -> None:
    """Decide for every array that a loop over elements makes inside of another loop."""
    carried = {c: loop for loop in walk(block) if isinstance(loop, Repeat) for c in loop.carried}
    for node, members, loops in makers(block, ()):
        value = node.outputs[0]
        if not loops or value.inner or value.expression is not None or not value.type.shape:
            continue
        for loop, old in _replaced(value, carried):
            if loop in loops and old.type == value.type:
                if _take(node, members, old, loops, memory, groups):
                    break
                if _turn(node, members, old, loop, loops, memory, groups):
                    break


def makers(
    block: Block, loops: tuple[Repeat, ...]
) -> Iterable[tuple[Compute, Sequence[Node], tuple[Repeat, ...]]]:
    """Every step that is a loop over elements, with all steps of its loop and the loops around it, outermost first."""
    for node in block.nodes:
        if isinstance(node, Compute) and node.loop:
            yield node, (node,), loops
        elif isinstance(node, Fused):
            yield from ((n, node.nodes, loops) for n in node.nodes if isinstance(n, Compute) and n.loop)
        elif isinstance(node, Choice):
            for arm in node.arms:
                yield from makers(arm, loops)
        elif isinstance(node, Repeat):
            yield from makers(node.body, (*loops, node))


def _replaced(value: Value, carried: dict[Value, Repeat]) -> Iterable[tuple[Repeat, Value]]:
    """The carried values that are handed this array at the end of a step."""
    seen, waiting = {value}, [value]
    while waiting:
        handed = waiting.pop()
        targets: list[Value] = []
        for reader in handed.readers:
            if isinstance(reader, Write) and reader.in_place and reader.source is handed:
                targets.append(reader.output)
            elif isinstance(reader, Move):
                for target, source in zip(reader.targets, reader.sources, strict=True):
                    loop = carried.get(target)
                    if source is not handed:
                        continue
                    if loop is not None and reader is loop.body.nodes[-1]:
                        yield loop, target
                    else:
                        targets.append(target if loop is None else loop.finals[loop.carried.index(target)])
        waiting.extend(t for t in targets if t not in seen)
        seen.update(targets)


# --- in place ---------------------------------------------------------------------------------------------------------


def _take(
    node: Compute,
    members: Sequence[Node],
    old: Value,
    loops: Sequence[Repeat],
    memory: Memory,
    groups: Groups,
) -> bool:
    """Let the result of a node take the memory of the content it replaces."""
    value = node.outputs[0]
    if other_name(value, old):
        return False

    def free() -> bool:
        return _free(old, value, [value], loops, memory)

    if not _take_name(node, members, old, groups, free):
        return False
    memory.change({value: [old]})
    return True


def _take_name(
    node: Compute, members: Sequence[Node], old: Value, groups: Groups, free: Callable[[], bool]
) -> bool:
    """Let the result of a node have the name of an array that is read for the last time where it is made, if that is
    free then."""
    value = node.outputs[0]
    at = value.start
    if live_at(old, at + 2) or not _read_before(node, members, old):
        return False
    before = old.end, old.holes
    old.end = at if old.end <= at + 2 else old.end  # until then nothing else has its name
    old.holes = [
        (at, last, limit) if first <= at + 2 <= last else (first, last, limit)
        for first, last, limit in old.holes
    ]
    if groups.apart(old, value) and free():
        groups.join(old, value)
        value.is_buffer = True
        return True
    old.end, old.holes = before
    groups.lengthened(old)
    return False


def _read_before(node: Compute, members: Sequence[Node], old: Value) -> bool:
    """Whether the loop over elements reads an element of the old content, if at all, before it makes the new one."""
    made, place = False, place_made(node)
    for member in members:
        for value, read in places_read(member):
            if value is old and (made or read is None or read != place):
                return False
        made = made or member is node
    return True


def _free(old: Value, new: Value, but: Sequence[Value], loops: Sequence[Repeat], memory: Memory) -> bool:
    """Whether the memory of the old content is ours and nobody else needs it when the new one is made, perhaps after a
    loop around it starts with a copy."""

    def fits() -> bool:
        owners = memory.owners(old)
        return None not in owners and not any(
            value not in but for owner in owners for value in memory.needed(owner, new.start)
        )

    return fits() or after_copy(old, loops, memory, fits)


# --- by turns ---------------------------------------------------------------------------------------------------------


def _turn(
    node: Compute,
    members: Sequence[Node],
    old: Value,
    loop: Repeat,
    loops: Sequence[Repeat],
    memory: Memory,
    groups: Groups,
) -> bool:
    """Let arrays change places, `old, u = u, old`: the new content is written where the oldest stands that the loop
    carries, or in a buffer beside them."""
    value, move = node.outputs[0], loop.body.nodes[-1]
    assert isinstance(move, Move)
    contents = _contents(move.sources[loop.carried.index(old)])
    direct = value.block is loop.body and contents[-1:] == [value]
    line = _line(old, loop)
    if not direct or len(groups.of(value)) > len(contents) or any(len(groups.of(v)) > 1 for v in line):
        return False
    if not _kept_apart(line, contents, loop, loops, memory):
        return False
    oldest = line[-1]
    if len(line) > 1 and len(contents) == 1 and _take_name(node, members, oldest, groups, lambda: True):
        memory.change({value: [oldest]})
    else:
        _make_buffer(value, oldest, loop, groups)
        memory.change({value: [value, oldest]})
    memory.begin_again()
    return True


def _contents(handed: Operand) -> list[Value]:
    """An array that is handed on, and what it was before it was written in, the first last."""
    found = [handed] if isinstance(handed, Value) else []
    while found and isinstance(write := found[-1].maker, Write) and write.in_place:
        assert isinstance(write.source, Value)
        found.append(write.source)
    return found


def _line(first: Value, loop: Repeat) -> list[Value]:
    """A carried value, the one that is handed its content at the end of a step, and so on."""
    move, line = loop.body.nodes[-1], [first]
    assert isinstance(move, Move)
    while True:
        after = [t for t, s in zip(move.targets, move.sources, strict=True) if s is line[-1]]
        if len(after) != 1 or after[0] not in loop.carried or after[0] in line or after[0].type != first.type:
            return line
        line.append(after[0])


def _kept_apart(
    line: Sequence[Value], contents: Sequence[Value], loop: Repeat, loops: Sequence[Repeat], memory: Memory
) -> bool:
    """Whether the memory of each array in the line is ours and its own, and nobody else needs it when the new content
    is made; perhaps after the loop starts with copies."""
    value = contents[-1]
    but, at = [*contents, *line], value.start

    def others(owners: Iterable[Value | None]) -> bool:
        return any(v not in but for owner in owners for v in memory.needed(owner, at))

    if len(line) == 1:
        return _free(line[0], value, but, loops, memory) and not others([value])
    copied, seen = [], set[Value | None]()
    for carried in line:
        owners = memory.owners_at_entry(loop, carried)
        if None in owners or owners & seen or others(owners):
            copied.append(carried)
        seen |= owners
    for carried in copied:
        memory.copy_at_entry(loop, carried)
    if not others({value, *(owner for v in line for owner in memory.owners(v))}):
        return True
    for carried in copied:
        memory.share_at_entry(loop, carried)
    return False


def _make_buffer(value: Value, oldest: Value, loop: Repeat, groups: Groups) -> None:
    """A buffer for new content, which is the oldest one's at the end of a step."""
    move = loop.body.nodes[-1]
    assert isinstance(move, Move)
    loop.body.nodes[-1] = turning = Move(move.location, (*move.targets, value), (*move.sources, oldest))
    for operand in move.sources:
        if isinstance(operand, Value):
            operand.readers = [turning if r is move else r for r in operand.readers]
    oldest.readers.append(turning)
    loop.buffers.append(value)
    value.is_buffer = True
    leave = loop.finals[loop.carried.index(oldest)].start
    value.start, value.end, value.holes = loop.counter.start, leave, []
    oldest.end, oldest.holes = max(oldest.end, leave), []
    groups.lengthened(value)
    groups.lengthened(oldest)
