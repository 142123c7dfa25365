"""Arrays that a native loop replaces at each step are written where the old ones were, or in two buffers by turns.

Blocks with lives and owners go in. An array that a loop over elements makes, and that becomes the next content of what
the loop carries, takes the memory of the old content if nobody needs that any more: each of its elements is read, if at
all, where the new one is made. If other elements of the old content are read as well, two buffers change places at the
end of each step. Where the old memory is not ours, the carried value starts as a copy. Begin with `reuse`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tracegrad.emit.blocks import Block, Choice, Compute, Fused, Move, Node, Repeat, Value, Write
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
                if _swap(node, old, loop, loops, memory, groups):
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
    at = value.start
    if live_at(old, at + 2) or not _read_before(node, members, old) or other_name(value, old):
        return False
    before = old.end, old.holes
    old.end = at if old.end <= at + 2 else old.end  # until then nothing else has its name
    old.holes = [
        (at, last, limit) if first <= at + 2 <= last else (first, last, limit)
        for first, last, limit in old.holes
    ]
    if groups.apart(old, value) and _free(old, value, [value], loops, memory):
        groups.join(old, value)
        memory.change({value: [old]})
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


def _swap(
    node: Compute, old: Value, loop: Repeat, loops: Sequence[Repeat], memory: Memory, groups: Groups
) -> bool:
    """Let two buffers change places: the new content is written where the one before the old was."""
    value, move = node.outputs[0], loop.body.nodes[-1]
    assert isinstance(move, Move)
    direct = value.block is loop.body and move.sources[loop.carried.index(old)] is value
    if not direct or len(groups.of(value)) > 1 or len(groups.of(old)) > 1:
        return False
    if not _free(old, value, [old, value], loops, memory):
        return False
    if any(v not in (old, value) for v in memory.needed(value, value.start)):
        return False
    loop.body.nodes[-1] = swapping = Move(move.location, (*move.targets, value), (*move.sources, old))
    for operand in move.sources:
        if isinstance(operand, Value):
            operand.readers = [swapping if r is move else r for r in operand.readers]
    old.readers.append(swapping)
    loop.buffers.append(value)
    value.is_buffer = True
    leave = loop.finals[loop.carried.index(old)].start
    value.start, value.end, value.holes = loop.counter.start, leave, []
    old.end, old.holes = max(old.end, leave), []
    groups.lengthened(value)
    groups.lengthened(old)
    memory.change({value: [value, old]})
    memory.begin_again()
    return True
